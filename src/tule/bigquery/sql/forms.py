"""Forms of expressions that sqlglot's BigQuery dialect lacks, and the end of those of other dialects that it has.

https://cloud.google.com/bigquery/docs/reference/standard-sql/operators
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from sqlglot import exp
from sqlglot.dialects.bigquery import BigQuery
from sqlglot.tokens import TokenType

from tule.bigquery.sql.depths import counted

_Parsers = dict[Any, Any]


def _only(parsers: Any, *kinds: TokenType) -> _Parsers:
    return {kind: parsers[kind] for kind in kinds if kind in parsers}


class WithExpression(exp.Expression):
    """``WITH(a AS x, b AS y, value)``: ``this`` is the value, ``expressions`` are the names with what they stand for."""

    arg_types: ClassVar[dict[str, bool]] = {"this": True, "expressions": True}


class FormParser:
    """The part of a parser that reads expressions."""

    # What is an operator or a clause elsewhere is a mistake here: nothing of a statement may be taken for something else.
    FACTOR: ClassVar[_Parsers] = _only(BigQuery.Parser.FACTOR, TokenType.SLASH, TokenType.STAR, TokenType.MOD)
    EQUALITY: ClassVar[_Parsers] = _only(BigQuery.Parser.EQUALITY, TokenType.EQ, TokenType.NEQ)
    COLUMN_OPERATORS: ClassVar[_Parsers] = _only(BigQuery.Parser.COLUMN_OPERATORS, TokenType.DOT)
    RANGE_PARSERS: ClassVar[_Parsers] = {
        **_only(BigQuery.Parser.RANGE_PARSERS, TokenType.BETWEEN, TokenType.IN, TokenType.IS),
        TokenType.LIKE: lambda self, this: self._parse_like(this),
    }
    UNARY_PARSERS: ClassVar[_Parsers] = {
        **_only(BigQuery.Parser.UNARY_PARSERS, TokenType.PLUS, TokenType.NOT, TokenType.TILDE, TokenType.DASH),
        TokenType.WITH: lambda self: self._parse_with_expression(),
    }
    QUERY_MODIFIER_PARSERS: ClassVar[_Parsers] = _only(
        BigQuery.Parser.QUERY_MODIFIER_PARSERS, TokenType.MATCH_RECOGNIZE, TokenType.WHERE, TokenType.GROUP_BY,
        TokenType.HAVING, TokenType.QUALIFY, TokenType.WINDOW, TokenType.ORDER_BY, TokenType.LIMIT, TokenType.OFFSET,
        TokenType.TABLE_SAMPLE,
    )  # fmt: skip
    PLACEHOLDER_PARSERS: ClassVar[_Parsers] = _only(
        BigQuery.Parser.PLACEHOLDER_PARSERS, TokenType.PLACEHOLDER, TokenType.PARAMETER
    )
    JOIN_METHODS: ClassVar[set[Any]] = set()
    JOIN_KINDS: ClassVar[set[Any]] = {TokenType.INNER, TokenType.CROSS, TokenType.OUTER}

    # -- WITH(a AS x, value)

    def _parse_with_expression(self: Any) -> Any:
        if not self._match(TokenType.L_PAREN):
            self._retreat(self._index - 1)
            return None
        names = []
        while (found := self._named_value()) is not None:
            names.append(found)
        if not names:
            self.raise_error("Expected name AS value in WITH(...)")
        value = self._parse_disjunction()
        self._match_r_paren()
        made = self.expression(WithExpression(this=value, expressions=names))
        return self._parse_column_ops(made)

    def _parse_with(self: Any, skip_with_token: bool = False) -> Any:
        """The WITH clause of a query; ``WITH(`` is an expression."""
        if not skip_with_token and self._next is not None and self._next.token_type == TokenType.L_PAREN:
            return None
        return super()._parse_with(skip_with_token)  # type: ignore[misc]

    def _parse_cte(self: Any) -> Any:
        """``name AS (query) [WITH DEPTH [AS column] [BETWEEN n AND n | MAX n]]``"""
        made = super()._parse_cte()  # type: ignore[misc]
        following = self._next.text.upper() if self._next is not None else ""
        if not isinstance(made, exp.CTE) or following != "DEPTH" or not self._match(TokenType.WITH):
            return made
        self._advance()
        column = self._parse_id_var().name if self._match(TokenType.ALIAS) else "depth"
        low = high = None
        if self._match(TokenType.BETWEEN):
            low = self._parse_bound()
            if not self._match(TokenType.AND):
                self.raise_error("Expected AND")
            high = self._parse_bound()
        elif self._match_text_seq("MAX"):
            high = self._parse_bound()
        return counted(made, column, low, high)

    def _parse_bound(self: Any) -> Any:
        """A number of rounds; None for UNBOUNDED."""
        if self._match_text_seq("UNBOUNDED"):
            return None
        found = self._parse_primary() or self._parse_parameter_or_none()
        if not isinstance(found, exp.Literal | exp.Parameter | exp.Placeholder) or getattr(found, "is_string", False):
            self.raise_error("Expected a whole number or UNBOUNDED")
        return found

    def _parse_parameter_or_none(self: Any) -> Any:
        return self._parse_placeholder()

    def _named_value(self: Any) -> Any:
        """``name AS value,``, None where something else stands."""
        start = self._index
        name = self._parse_id_var()
        if name is None or not self._match(TokenType.ALIAS):
            self._retreat(start)
            return None
        made = exp.alias_(self._parse_disjunction(), name, copy=False)
        if not self._match(TokenType.COMMA):
            self.raise_error("Expecting ,")
        return made

    def _parse_limit(self: Any, *arguments: Any, **options: Any) -> Any:
        made = super()._parse_limit(*arguments, **options)  # type: ignore[misc]
        if isinstance(made, exp.Limit) and made.args.get("offset") is not None:
            self.raise_error("LIMIT with a comma")
        return made

    # -- UNNEST(a AS x, b AS y, mode => 'PAD')

    def _parse_unnest(self: Any, with_alias: bool = True) -> Any:
        if not self._match_pair(TokenType.UNNEST, TokenType.L_PAREN, advance=False):
            return None
        self._advance()
        arrays = self._parse_wrapped_csv(self._unnested)
        alias = self._parse_table_alias() if with_alias else None
        if alias is not None:
            if alias.args.get("columns"):
                self.raise_error("Unexpected list of columns after UNNEST")
            alias.set("columns", [alias.this])
            alias.set("this", None)
        offset: Any = None
        if self._match_pair(TokenType.WITH, TokenType.OFFSET):
            self._match(TokenType.ALIAS)
            tokens = self.UNNEST_OFFSET_ALIAS_TOKENS
            offset = self._parse_id_var(any_token=False, tokens=tokens) or exp.to_identifier("offset")
        return self.expression(exp.Unnest(expressions=arrays, alias=alias, offset=offset))

    def _unnested(self: Any) -> Any:
        """One array of UNNEST with its name, or ``mode => text``."""
        if self._next is not None and self._next.token_type == TokenType.FARROW:
            name = self._parse_id_var(any_token=True)
            self._advance()
            return self.expression(exp.Kwarg(this=name, expression=self._parse_disjunction()))
        array = self._parse_disjunction()
        if self._match(TokenType.ALIAS):
            return exp.alias_(array, self._parse_id_var(), copy=False)
        return array

    # -- LIKE, LIKE ANY and LIKE ALL

    def _parse_like(self: Any, this: Any) -> Any:
        kind: Any = None
        if self._match_set((TokenType.ANY, TokenType.SOME)):
            kind = exp.Any
        elif self._match(TokenType.ALL):
            kind = exp.All
        if kind is None:
            return self.expression(exp.Like(this=this, expression=self._parse_bitwise()))
        patterns = self._parse_unnest(with_alias=False) or self._parse_patterns()
        return self.expression(exp.Like(this=this, expression=kind(this=patterns)))

    def _parse_patterns(self: Any) -> Any:
        """``(pattern, ...)`` or ``(query)``."""
        self._match_l_paren()
        query = self._parse_select()
        if query is not None:
            made = self._parse_query_modifiers(query).subquery(copy=False)
        else:
            made = self.expression(exp.Tuple(expressions=self._parse_csv(self._parse_disjunction)))
        self._match_r_paren()
        return made

    # -- (x).f(y): chained calls

    def _parse_field(self: Any, any_token: bool = False, tokens: Any = None, anonymous_func: bool = False) -> Any:
        if anonymous_func and self._prev.token_type == TokenType.DOT and self._curr.token_type == TokenType.L_PAREN:
            return self._parse_dotted_name()
        return super()._parse_field(any_token, tokens, anonymous_func)  # type: ignore[misc]

    def _parse_dotted_name(self: Any) -> Any:
        """``(a.b.f)(x)`` behind a dot: a function whose name has parts."""
        self._match_l_paren()
        names = [self._parse_id_var(any_token=True)]
        while self._match(TokenType.DOT):
            names.append(self._parse_id_var(any_token=True))
        self._match_r_paren()
        self._match_l_paren()
        arguments = self._parse_csv(self._parse_lambda)
        self._match_r_paren()
        made = self.expression(exp.Anonymous(this=names[-1].name, expressions=arguments))
        made.meta[_BEFORE] = [each.name for each in names[:-1]]
        return made

    def _parse_column_ops(self: Any, this: Any) -> Any:
        made = super()._parse_column_ops(this)  # type: ignore[misc]
        return _chained(made) if isinstance(made, exp.Dot | exp.Bracket | exp.Window) else made


_BEFORE = "tule_names_before"
_NAMES = (exp.Identifier, exp.Column, exp.Var)


def _chained(node: Any) -> Any:
    """Calls behind a value as calls with it as their first argument: ``(x).f(y)`` is ``f(x, y)``."""
    if isinstance(node, exp.Bracket | exp.Window):
        node.set("this", _chained(node.this))
        return node
    if not isinstance(node, exp.Dot):
        return node
    value, function = _chained(node.this), node.expression
    node.set("this", value)
    if not isinstance(function, exp.Func) or _is_path(value):
        return node
    if not isinstance(function, exp.Anonymous):
        function = exp.Anonymous(this=function.sql_name(), expressions=list(function.iter_expressions()))
    value.pop()
    function.set("expressions", [value, *function.expressions])
    return _under(function, function.meta.pop(_BEFORE, []))


def _under(function: Any, names: list[str]) -> Any:
    """A call whose name has parts before it."""
    kinds: dict[str, Callable[..., Any]] = {"SAFE": exp.SafeFunc, "NET": exp.NetFunc}
    if not names:
        return function
    if names[0].upper() == "SAFE":
        return exp.SafeFunc(this=_under(function, names[1:]))
    if [each.upper() for each in names] == ["NET"]:
        return kinds["NET"](this=function)
    path: Any = exp.to_identifier(names[0])
    for each in names[1:]:
        path = exp.Dot(this=path, expression=exp.to_identifier(each))
    return exp.Dot(this=path, expression=function)


def _is_path(node: Any) -> bool:
    while isinstance(node, exp.Dot):
        if not isinstance(node.expression, _NAMES):
            return False
        node = node.this
    return isinstance(node, _NAMES)


__all__ = ["FormParser", "WithExpression"]
