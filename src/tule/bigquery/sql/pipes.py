"""Pipe syntax: each operator sees the rows that the one before it made.

sqlglot folds operators into one SELECT, which is another query where a LIMIT, DISTINCT or ORDER BY stands before. Here a
query that has one of these is closed (it becomes a WITH entry) before the next operator.

An operator that changes columns leaves what a table's alias stands for: ``t.x`` is still the x before ``|> SET x = ...``.
So where a later operator says ``t.``, the whole row of t goes along as a column (``_tule_row_t``), which no ``*`` shows.
https://cloud.google.com/bigquery/docs/reference/standard-sql/pipe-syntax
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from sqlglot import exp
from sqlglot.tokens import TokenType

from tule.kernel.errors import InvalidArgument, Unimplemented

_CLOSING = ("limit", "offset", "distinct", "order", "qualify", "kind", "windows")
_REFUSED = frozenset(
    {
        "CREATE",
        "DESCRIBE",
        "EXPORT",
        "FORK",
        "IF",
        "INSERT",
        "LOG",
        "MATCH_RECOGNIZE",
        "RECURSIVE",
        "STATIC_DESCRIBE",
        "TEE",
    }
)
_SAMPLE = "TABLESAMPLE SYSTEM can only be applied directly to tables"
ROW = "_tule_row_"
PIPED = "tule_piped"
"""Meta of the argument of a table function that the pipe's rows are."""


class PipeParser:
    """The part of a parser that reads ``|>`` and what follows."""

    PIPES: ClassVar[dict[str, Callable[[Any, Any], Any]]] = {
        "AGGREGATE": lambda self, query: self._pipe_aggregate(query),
        "AS": lambda self, query: self._pipe_as(query),
        "ASSERT": lambda self, query: self._pipe_assert(query),
        "CALL": lambda self, query: self._pipe_call(query),
        "DISTINCT": lambda self, query: self._pipe_distinct(query),
        "DROP": lambda self, query: self._pipe_drop(query),
        "EXTEND": lambda self, query: self._pipe_extend(query, "EXTEND"),
        "LIMIT": lambda self, query: self._pipe_limit(query),
        "PIVOT": lambda self, query: self._pipe_pivot(query),
        "RENAME": lambda self, query: self._pipe_rename(query),
        "SELECT": lambda self, query: self._pipe_select(query),
        "SET": lambda self, query: self._pipe_set(query),
        "TABLESAMPLE": lambda self, query: self._pipe_sample(query),
        "UNPIVOT": lambda self, query: self._pipe_pivot(query),
        "WINDOW": lambda self, query: self._pipe_extend(query, "WINDOW"),
        "WITH": lambda self, query: self._pipe_with(query),
    }

    def _parse_pipe_syntax_query(self: Any, query: Any) -> Any:
        if isinstance(query, exp.Subquery):
            query = exp.select("*").from_(query, copy=False)
        if not query.args.get("from_"):
            query = exp.select("*").from_(query.subquery(copy=False), copy=False)
        while self._match(TokenType.PIPE_GT):
            word = self._curr.text.upper() if self._curr is not None else ""
            if word in _REFUSED:
                raise Unimplemented(
                    f"Tule does not do the pipe operator {word}", do="see docs/bigquery-sql.md for what it does",
                    reason="notImplemented", location="query",
                )  # fmt: skip
            if word == "UNION" or not (word == "LIMIT" and not _has(query, ("limit", "offset", "distinct", "kind"))):
                query = self._closed(query)
            self._name_rows(_rows(query))
            query = self._pipe(word, query)
        return query

    def _closed(self: Any, query: Any) -> Any:
        """A query that the next operator can be added to."""
        if isinstance(query, exp.Select) and not _has(query, _CLOSING) and _is_plain(query):
            return query
        alias = _alias(query) if isinstance(query, exp.Select) and _is_plain(query) else ""
        if alias and self._is_named_later(alias):
            # The same rows, or fewer, under the same alias.
            made = self._build_pipe_cte(query=query, expressions=[exp.Star()])
            made.args["from_"].this.set("alias", exp.TableAlias(this=exp.to_identifier(alias, quoted=True)))
            return made
        return self._kept(query, _has(query, ("distinct",)))

    def _kept(self: Any, query: Any, bare: bool = False) -> Any:
        """All columns of a query that is closed, with the rows that later operators name unless it is ``bare``."""
        rows = [] if bare else [each for each in _range_variables(query) if self._is_named_later(each)]
        for each in rows:
            name = exp.to_identifier(ROW + each, quoted=True)
            value = exp.column(name.copy() if each in _rows(query) else exp.to_identifier(each, quoted=True))
            query = query.select(exp.alias_(value, name, quoted=True, copy=False), append=True, copy=False)
        return self._build_pipe_cte(query=query, expressions=[_star(rows)])

    def _pipe(self: Any, word: str, query: Any) -> Any:
        known = self.PIPES.get(word) or self.PIPE_SYNTAX_TRANSFORM_PARSERS.get(word)
        if known is not None:
            return known(self, query)
        start = self._index
        made = self._pipe_set_operator(query) or self._parse_pipe_syntax_join(query)
        if made is None:
            self._retreat(start)
            self.raise_error(f"Unsupported pipe syntax operator: '{word}'.")
        return made

    def _pipe_set_operator(self: Any, query: Any) -> Any:
        """``UNION``, ``INTERSECT`` or ``EXCEPT`` with queries in parentheses; None where no such word stands."""
        found = self.parse_set_operation(this=query)
        if found is None:
            return None
        found.this.pop()
        others = [found.expression.pop()]
        while self._match(TokenType.COMMA):
            others.append(self._parse_paren())
        if not all(isinstance(each, exp.Subquery) for each in others):
            self.raise_error("Expected queries in parentheses")
        made = self._build_pipe_cte(query=query, expressions=[_star(_rows(query))])
        clause = made.args["with_"].pop()
        words = {key: value for key, value in found.args.items() if key not in ("this", "expression")}
        for each in others:
            inner = each.this
            if not isinstance(inner, exp.Select) or _has(inner, ("with_", "order", "limit", "offset", "kind")):
                inner = exp.select("*").from_(each, copy=False)
            made = type(found)(this=made, expression=inner, **{key: _copied(value) for key, value in words.items()})
        made.set("with_", clause)
        return self._build_pipe_cte(query=made, expressions=[exp.Star()])

    # -- aliases of tables

    def _is_named_later(self: Any, name: str) -> bool:
        """Whether ``name.`` is said by an operator that is still to be read."""
        tokens = self._tokens[self._index :]
        return any(
            token.text.lower() == name.lower() and following.token_type == TokenType.DOT
            for token, following in itertools.pairwise(tokens)
        )

    def _name_rows(self: Any, rows: list[str]) -> None:
        """Let the next operator mean the column with the row of a table where it says ``t.``."""
        if not rows:
            return
        depth, index, shadowed = 0, self._index, list[tuple[int, set[str]]]()
        while index < len(self._tokens):
            token = self._tokens[index]
            if token.token_type == TokenType.L_PAREN:
                depth += 1
                if hidden := self._own_aliases(index, rows):
                    shadowed.append((depth, hidden))
            elif token.token_type == TokenType.R_PAREN:
                if shadowed and shadowed[-1][0] == depth:
                    shadowed.pop()
                depth -= 1
            if depth < 0 or (depth == 0 and token.token_type in (TokenType.PIPE_GT, TokenType.SEMICOLON)):
                return
            name = token.text.lower()
            before = self._tokens[index - 1].token_type
            if name in rows and before != TokenType.DOT and not any(name in hidden for _, hidden in shadowed):
                following = self._tokens[index + 1] if index + 1 < len(self._tokens) else None
                if following is not None and following.token_type == TokenType.DOT:
                    self._tokens[index] = _renamed_token(token, ROW + name)
                    if index == self._index:
                        self._retreat(index)
            index += 1

    def _own_aliases(self: Any, start: int, rows: list[str]) -> set[str]:
        """Names of ``rows`` that a query in the parentheses from ``start`` on gives to tables of its own."""
        depth, found, queries = 0, set[str](), False
        for token, following in zip(self._tokens[start:], self._tokens[start + 1 :], strict=False):
            depth += (token.token_type == TokenType.L_PAREN) - (token.token_type == TokenType.R_PAREN)
            queries = queries or token.token_type == TokenType.FROM
            if token.text.lower() in rows and following.token_type != TokenType.DOT:
                found.add(token.text.lower())
            if depth == 0:
                break
        return found if queries else set()

    # -- columns

    def _pipe_select(self: Any, query: Any) -> Any:
        select = self._parse_select(consume_pipe=False)
        if select is None:
            return query
        others = {key for key, value in select.args.items() if value} - {"expressions", "distinct", "kind", "windows"}
        kind = str(select.args.get("kind") or "").upper()
        if others or kind == "VALUE":
            raise Unimplemented(
                "Tule does |> SELECT with a list of columns alone", given=f"SELECT AS {kind}" if kind else ", ".join(others),
                do="write the rest as operators of their own", reason="notImplemented", location="query",
            )  # fmt: skip
        if rows := _rows(query):
            for each in select.expressions:
                if type(each) is exp.Star:
                    each.set("except_", [*(each.args.get("except_") or ()), *_hidden(rows)])
        made = query.select(*select.expressions, append=False)
        for key in ("distinct", "windows"):
            if select.args.get(key):
                made.set(key, select.args[key])
        return self._build_pipe_cte(query=made, expressions=[exp.Star()])

    def _pipe_distinct(self: Any, query: Any) -> Any:
        self._advance()
        return query.distinct(copy=False)

    def _pipe_extend(self: Any, query: Any, word: str) -> Any:
        self._match_text_seq(word)
        # What the rows are is said before the columns are there.
        names = _range_variables(query)
        items = self._parse_expressions()
        made = query.select(*items, append=True, copy=False)
        if self._match(TokenType.WINDOW):
            made.set("windows", self._parse_csv(self._parse_named_window))
        return self._kept(made) if names else self._build_pipe_cte(query=made, expressions=[exp.Star()])

    def _pipe_limit(self: Any, query: Any) -> Any:
        limit, offset = self._parse_limit(), self._parse_offset()
        query.set("limit", limit)
        if offset is not None:
            query.set("offset", offset)
        return query

    def _pipe_set(self: Any, query: Any) -> Any:
        self._match_text_seq("SET")
        items = []
        for each in self._parse_csv(self._parse_disjunction):
            if not isinstance(each, exp.EQ) or not isinstance(each.this, exp.Column):
                self.raise_error("Expected column = expression after |> SET")
            items.append(exp.alias_(each.expression, each.this.this, copy=True))
        return self._starred(query, replace=items)

    def _pipe_drop(self: Any, query: Any) -> Any:
        self._match_text_seq("DROP")
        return self._starred(query, except_=self._parse_csv(self._parse_id_var))

    def _pipe_rename(self: Any, query: Any) -> Any:
        self._match_text_seq("RENAME")
        pairs = self._parse_csv(self._renamed)
        return self._starred(query, rename=pairs)

    def _renamed(self: Any) -> Any:
        name = self._parse_id_var()
        self._match(TokenType.ALIAS)
        return exp.alias_(exp.column(name), self._parse_id_var(), copy=False)

    def _starred(self: Any, query: Any, **changes: Any) -> Any:
        """All columns, some of them changed."""
        rows = _rows(query)
        star = exp.Star(**{**changes, "except_": [*(changes.get("except_") or ()), *_hidden(rows)] or None})
        query.set("expressions", [star])
        if rows:
            query.meta[ROW] = rows
        return self._kept(query)

    def _pipe_as(self: Any, query: Any) -> Any:
        self._match(TokenType.ALIAS)
        name = self._parse_id_var()
        if name is None:
            self.raise_error("Expected an alias after |> AS")
        made = self._build_pipe_cte(query=query, expressions=[exp.Star()])
        made.args["from_"].this.set("alias", exp.TableAlias(this=exp.to_identifier(name.name, quoted=True)))
        return made

    # -- rows

    def _pipe_sample(self: Any, query: Any) -> Any:
        sample, source = self._parse_table_sample(), query.args["from_"].this
        if (
            query.args.get("joins")
            or query.args.get("where")
            or not isinstance(source, exp.Table)
            or _made(query, source)
        ):
            raise InvalidArgument(_SAMPLE, reason="invalidQuery", location="query")
        source.set("sample", sample)
        return query

    def _pipe_assert(self: Any, query: Any) -> Any:
        """Rows as they are, unless for one of them a condition is not true: then the query fails."""
        self._match_text_seq("ASSERT")
        start = self._curr
        condition = self._parse_disjunction()
        text = self.sql[start.start : self._prev.end + 1]
        payload = self._parse_csv(self._parse_disjunction) if self._match(TokenType.COMMA) else []
        message: Any = exp.Literal.string(f"Assertion failed: {text}")
        if payload:
            pattern = "Assertion failed:" + " %t" * len(payload)
            message = exp.Anonymous(this="FORMAT", expressions=[exp.Literal.string(pattern), *payload])
        failed = exp.cast(exp.Anonymous(this="ERROR", expressions=[message]), exp.DataType.build("BOOLEAN"))
        holds = exp.Anonymous(this="COALESCE", expressions=[condition, exp.false()])
        query = query.where(exp.If(this=holds, true=exp.true(), false=failed), copy=False)
        # No later condition may come before this one: a limit lets none through.
        return query.limit(exp.Literal.number(2**63 - 1), copy=False)

    def _pipe_with(self: Any, query: Any) -> Any:
        self._match(TokenType.WITH)
        recursive = self._match(TokenType.RECURSIVE)
        alias = _alias(query)
        made = self._kept(query) if not alias else self._build_pipe_cte(query=query, expressions=[exp.Star()])
        if alias:
            made.args["from_"].this.set("alias", exp.TableAlias(this=exp.to_identifier(alias, quoted=True)))
        clause = made.args["with_"]
        if recursive:
            clause.set("recursive", True)
        while self._curr is not None and self._curr.token_type not in (TokenType.PIPE_GT, TokenType.SEMICOLON):
            found = self._parse_cte()
            if found is None:
                self.raise_error("Expected name AS (query) after |> WITH")
            clause.append("expressions", found)
            if not self._match(TokenType.COMMA):
                break
        return made

    def _pipe_call(self: Any, query: Any) -> Any:
        """The rows of a table function of which the rows before are the first table among its arguments."""
        self._match_text_seq("CALL")
        called = self._parse_table()
        function: Any = called.this if isinstance(called, exp.Table) else None
        if not isinstance(function, exp.Func):
            self.raise_error("Expected a table function after |> CALL")
        before = self._build_pipe_cte(query=query, expressions=[exp.Star()])
        clause = before.args["with_"].pop()
        rows = exp.Subquery(this=before)
        rows.meta[PIPED] = True
        given = list(function.expressions)
        models = sum(1 for each in given if type(each).__name__ == "ModelRef")
        function.set("expressions", [*given[:models], rows, *given[models:]])
        made = exp.select("*").from_(called, copy=False)
        made.set("with_", clause)
        return made

    def _pipe_pivot(self: Any, query: Any) -> Any:
        if _rows(query) or query.args.get("joins") or query.args.get("where"):
            query = self._build_pipe_cte(query=query, expressions=[exp.Star()])
        return self._parse_pipe_syntax_pivot(query)

    # -- AGGREGATE

    def _pipe_aggregate(self: Any, query: Any) -> Any:
        self._match_text_seq("AGGREGATE")
        values = self._suffixed(lambda: self._at_group() or self._ends())
        groups: list[tuple[Any, Any]] = []
        ordered = False
        group: Any = None
        if self._match(TokenType.GROUP_BY) or self._match_text_seq("GROUP"):
            if self._prev.token_type != TokenType.GROUP_BY:
                ordered = self._match_text_seq("AND") and self._match(TokenType.ORDER_BY)
                if not ordered:
                    self.raise_error("Expected BY or AND ORDER BY after GROUP")
            if self._curr is not None and self._curr.token_type in _SETS:
                group = self._parse_group(skip_group_by_token=True)
                groups = [(each, None) for each in _grouped(group)]
            else:
                groups = self._suffixed(self._ends)
                keys = [item.unalias().copy() for item, _ in groups]
                group = exp.Group(expressions=keys)
        if not values and not groups:
            self.raise_error("Expected an aggregate after |> AGGREGATE")
        items = [*groups, *values]
        query.set("expressions", [item for item, _ in items])
        query.set("group", group)
        order = []
        for place, (_, suffix) in enumerate(items, 1):
            if suffix is not None or (ordered and place <= len(groups)):
                made = suffix or exp.Ordered(nulls_first=True)
                made.set("this", exp.Literal.number(place))
                order.append(made)
        if order:
            query.set("order", exp.Order(expressions=order))
        return query if order else self._build_pipe_cte(query=query, expressions=[exp.Star()])

    def _suffixed(self: Any, ends: Callable[[], bool]) -> list[tuple[Any, Any]]:
        """Expressions with aliases, each with its ASC or DESC where it has one; a comma may stand behind the last."""
        found: list[tuple[Any, Any]] = []
        while not ends():
            item = self._parse_alias(self._parse_disjunction())
            suffix = None
            if self._match_set((TokenType.ASC, TokenType.DESC), advance=False):
                suffix = self._parse_ordered(lambda item=item: item.copy())
            found.append((item, suffix))
            if not self._match(TokenType.COMMA):
                break
        return found

    def _at_group(self: Any) -> bool:
        token = self._curr
        return token is not None and (token.token_type == TokenType.GROUP_BY or token.text.upper() == "GROUP")

    def _ends(self: Any) -> bool:
        ends = (TokenType.PIPE_GT, TokenType.SEMICOLON, TokenType.R_PAREN)
        return self._curr is None or self._curr.token_type in ends or self._curr.token_type == TokenType.SENTINEL


_SETS = (TokenType.ROLLUP, TokenType.CUBE, TokenType.GROUPING_SETS)


def _grouped(group: Any) -> list[Any]:
    """The columns of ROLLUP, CUBE and GROUPING SETS, each once."""
    found: dict[str, Any] = {}

    def add(node: Any) -> None:
        if isinstance(node, exp.Rollup | exp.Cube | exp.GroupingSets | exp.Tuple):
            for each in node.expressions:
                add(each)
        else:
            bare = node.unnest()
            found.setdefault(bare.sql("bigquery").lower(), bare.copy())

    for each in group.expressions:
        add(each)
    return list(found.values())


def _renamed_token(token: Any, name: str) -> Any:
    kind = type(token)
    return kind(
        TokenType.IDENTIFIER, text=name, line=token.line, col=token.col, start=token.start, end=token.end,
        comments=token.comments,
    )  # fmt: skip


def _copied(value: Any) -> Any:
    if isinstance(value, list):
        return [_copied(each) for each in value]
    return value.copy() if isinstance(value, exp.Expression) else value


def _has(query: Any, keys: tuple[str, ...]) -> bool:
    return any(query.args.get(key) for key in keys)


def _star(rows: Iterable[str]) -> exp.Star:
    rows = list(rows)
    return exp.Star(except_=_hidden(rows)) if rows else exp.Star()


def _hidden(rows: Iterable[str]) -> list[Any]:
    return [exp.to_identifier(ROW + each, quoted=True) for each in rows]


def _rows(query: Any) -> list[str]:
    """The tables whose rows a query of all columns has as columns that it does not show."""
    if not isinstance(query, exp.Select):
        return []
    if (kept := query.meta.get(ROW)) is not None:
        return list(kept)
    star = query.expressions[0] if query.expressions else None
    hidden = (star.args.get("except_") or ()) if isinstance(star, exp.Star) else ()
    return [each.name.removeprefix(ROW) for each in hidden if each.name.startswith(ROW)]


def _range_variables(query: Any) -> list[str]:
    """What stands for a whole row in a query: its tables, and those of queries before it."""
    if not isinstance(query, exp.Select) or query.args.get("group") is not None:
        return []
    sources = _sources(query.args["from_"].this, query.args.get("joins"))
    names = [_name(each).lower() for each in sources if not _made(query, each) and not isinstance(each, exp.Unnest)]
    return [each for each in dict.fromkeys((*names, *_rows(query))) if each]


def _sources(first: Any, joins: Any) -> list[Any]:
    found = [first]
    for join in (*(first.args.get("joins") or ()), *(joins or ())):
        found += _sources(join.this, None)
    return found


def _name(source: Any) -> str:
    return str(source.alias_or_name or "")


def _alias(query: Any) -> str:
    """The one table of a query, "" where it has several or none with a name."""
    if _rows(query) or query.args.get("joins"):
        return ""
    source = query.args["from_"].this
    if source.args.get("joins") or source.args.get("pivots") or _made(query, source):
        return ""
    return "" if isinstance(source, exp.Unnest) else _name(source)


def _made(query: Any, source: Any) -> bool:
    """Whether a table is one that was made here and has no alias."""
    clause = query.args.get("with_")
    return (
        isinstance(source, exp.Table)
        and not source.alias
        and source.name.startswith("__tmp")
        and clause is not None
        and any(each.alias == source.name for each in clause.expressions)
    )


def _is_plain(query: exp.Select) -> bool:
    """Whether a query's list is all columns and nothing is grouped: what stands before the first operator may be."""
    items = query.expressions
    return (
        len(items) == 1
        and isinstance(items[0], exp.Star)
        and not any(value for key, value in items[0].args.items() if key != "except_" or not _rows(query))
        and not (query.args.get("group") or query.args.get("having"))
    )


__all__ = ["PIPED", "PipeParser"]
