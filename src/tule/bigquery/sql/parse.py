"""GoogleSQL text as syntax trees: sqlglot's BigQuery dialect with BigQuery ML's table functions and statements.

sqlglot alone knows ``ML.PREDICT`` and a few others, each with a shape of its own, and stumbles over the rest. Here every
``ML.F(MODEL m, TABLE t, (query), STRUCT(...))`` comes out as one shape: a ``Table`` whose ``this`` is an ``Anonymous``
with ``ModelRef``, ``TableRef``, ``Subquery`` and ``Struct`` arguments and whose ``db`` is ``ML``.
"""

from __future__ import annotations

import itertools
import re
from typing import Any, ClassVar

import sqlglot
from sqlglot import exp, tokens
from sqlglot.dialects.bigquery import BigQuery
from sqlglot.errors import ParseError, TokenError

from tule.bigquery.sql.byte_literals import RAW_PREFIXES, byte_literal, printed_bytes, raw_literal
from tule.bigquery.sql.data_statements import STATEMENTS, is_data_statement, parse_data_statement
from tule.bigquery.sql.forms import FormParser, WithExpression
from tule.bigquery.sql.permission_statements import is_permission_statement, parse_permission_statement
from tule.bigquery.sql.pipes import PipeParser
from tule.bigquery.sql.routine_statements import (
    CreateRoutine,
    DropRoutine,
    is_routine_statement,
    parse_routine_statement,
)
from tule.bigquery.sql.table_statements import (
    TableStatement,
    is_clone,
    is_table_statement,
    parse_clone,
    parse_table_statement,
)
from tule.bigquery.sql.words import Text, bracketed, moved, place
from tule.kernel.errors import InvalidArgument, Unimplemented

_PRIVACY = re.compile(r"\bSELECT\s+WITH\s+(DIFFERENTIAL_PRIVACY|AGGREGATION_THRESHOLD|ANONYMIZATION)\b", re.IGNORECASE)
PLACE = "tule_place"
POSITION = "tule_position"
"""Meta of a ``?``: where it stands in the text, and how many stand before it."""


class ModelRef(exp.Expression):
    """``MODEL name`` as an argument."""

    arg_types: ClassVar[dict[str, bool]] = {"this": True}


class TableRef(exp.Expression):
    """``TABLE name`` as an argument."""

    arg_types: ClassVar[dict[str, bool]] = {"this": True}


class ExportModel(exp.Expression):
    """``EXPORT MODEL name OPTIONS (...)``."""

    arg_types: ClassVar[dict[str, bool]] = {"this": True, "properties": False}


class NamedQueries(exp.Expression):
    """``(training_data AS (query), custom_holiday AS (query))``: the queries of CREATE MODEL as CTEs."""

    arg_types: ClassVar[dict[str, bool]] = {"expressions": True}


class AlterModel(exp.Expression):
    """``ALTER MODEL [IF EXISTS] name SET OPTIONS (...)``."""

    arg_types: ClassVar[dict[str, bool]] = {"this": True, "exists": False, "properties": False}


_SYNTAX = frozenset({"ARRAY", "CAST", "EXTRACT", "SAFE_CAST", "UNNEST"})
"""What is written like a function, but with words between its arguments."""


class GoogleSQL(BigQuery):
    """The dialect."""

    # ``t FOR SYSTEM_TIME AS OF moment AS a``; ``t AS a FOR ...`` is read behind it.
    ALIAS_POST_VERSION = True

    class Tokenizer(BigQuery.Tokenizer):
        RAW_STRINGS: ClassVar[list[Any]] = [
            *BigQuery.Tokenizer.RAW_STRINGS,
            *((prefix + quote, quote) for quote in ("'", '"', '"""', "'''") for prefix in RAW_PREFIXES),
        ]

    class Parser(FormParser, PipeParser, BigQuery.Parser):  # type: ignore[valid-type, misc]
        # ``FROM t, t.items`` is told from UNNEST, which gives no name, where tables are resolved.
        SUPPORTS_IMPLICIT_UNNEST: ClassVar[bool] = False
        # Functions stay as they are written (``Anonymous``): what each means is said in ``sql.functions`` alone.
        FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {
            name: parser for name, parser in BigQuery.Parser.FUNCTION_PARSERS.items() if name in _SYNTAX
        }
        FUNCTIONS: ClassVar[dict[str, Any]] = {"STRUCT": BigQuery.Parser.FUNCTIONS["STRUCT"]}
        # A column may be named list.
        ARRAY_CONSTRUCTORS: ClassVar[dict[str, Any]] = {"ARRAY": exp.Array}
        PROPERTY_PARSERS: ClassVar[dict[str, Any]] = {
            **BigQuery.Parser.PROPERTY_PARSERS,
            # Plain names and values: sqlglot has words like FORMAT and LOCATION for properties of their own.
            "OPTIONS": lambda self: self._parse_wrapped_csv(self._parse_key_value_property),
        }
        PRIMARY_PARSERS: ClassVar[dict[Any, Any]] = {
            **BigQuery.Parser.PRIMARY_PARSERS,
            tokens.TokenType.BYTE_STRING: lambda self, token: byte_literal(
                token, self.sql[token.start : token.end + 1]
            ),
            tokens.TokenType.RAW_STRING: lambda self, token: raw_literal(token, self.sql[token.start : token.end + 1]),
        }
        PLACEHOLDER_PARSERS: ClassVar[dict[Any, Any]] = {
            **FormParser.PLACEHOLDER_PARSERS,
            tokens.TokenType.PLACEHOLDER: lambda self: self._parse_positional(),
        }

        def _parse_ddl_select(self) -> Any:
            """What CREATE is AS: a query, or the named queries of CREATE MODEL."""
            ahead = [token.token_type for token in self._tokens[self._index : self._index + 4]]
            kinds = tokens.TokenType
            if ahead != [kinds.L_PAREN, kinds.VAR, kinds.ALIAS, kinds.L_PAREN]:
                return super()._parse_ddl_select()
            return self.expression(NamedQueries(expressions=self._parse_wrapped_csv(self._parse_cte)))

        def _parse_cast(self, strict: bool, safe: bool | None = None) -> Any:
            """``CAST(x AS type [FORMAT pattern [AT TIME ZONE zone]])``, with the pattern as it is written."""
            this = self._parse_assignment()
            if not self._match(tokens.TokenType.ALIAS):
                self.raise_error("Expected AS after CAST")
            to = self._parse_types()
            if not to:
                self.raise_error("Expected TYPE after CAST")
            if isinstance(to, exp.Identifier):
                to = exp.DataType.from_str(to.name, dialect=self.dialect, udt=True)
            pattern = self._parse_at_time_zone(self._parse_unary()) if self._match(tokens.TokenType.FORMAT) else None
            return self.expression((exp.Cast if strict else exp.TryCast)(this=this, to=to, format=pattern))

        def _parse_table(self, *args: Any, **options: Any) -> Any:
            made = super()._parse_table(*args, **options)
            if isinstance(made, exp.Table) and not made.args.get("version") and (found := self._parse_version()):
                made.set("version", found)
            return made

        def _parse_positional(self) -> Any:
            """``?`` with its place in the text: no walk through a tree meets them in the order of the text."""
            token = self._prev
            made = self.expression(exp.Placeholder())
            made.meta[PLACE] = token.start
            return made.update_positions(token)

        def _parse_parameter(self) -> Any:
            token = self._prev
            return super()._parse_parameter().update_positions(token)

        def _parse_lambda(self, alias: bool = False) -> Any:
            for word, kind in (("MODEL", ModelRef), ("TABLE", TableRef)):
                token = self._curr
                following = self._next
                if (
                    token is not None
                    and token.text.upper() == word
                    and token.token_type != tokens.TokenType.IDENTIFIER
                    and following is not None
                    and (
                        following.token_type in (tokens.TokenType.VAR, tokens.TokenType.IDENTIFIER)
                        or _is_word(following)
                    )
                ):
                    self._advance()
                    return self.expression(kind(this=self._parse_table_parts()))
            return super()._parse_lambda(alias=alias)

    class Generator(BigQuery.Generator):  # type: ignore[valid-type, misc]
        TRANSFORMS: ClassVar[dict[Any, Any]] = {
            **BigQuery.Generator.TRANSFORMS,
            ModelRef: lambda self, node: f"MODEL {self.sql(node, 'this')}",
            NamedQueries: lambda self, node: f"({self.expressions(node)})",
            exp.ByteString: lambda self, node: printed_bytes(node),
            TableRef: lambda self, node: f"TABLE {self.sql(node, 'this')}",
            WithExpression: lambda self, node: f"WITH({self.expressions(node, flat=True)}, {self.sql(node, 'this')})",
            CreateRoutine: lambda self, node: node.args["text"],
            DropRoutine: lambda self, node: node.args["text"],
            TableStatement: lambda self, node: node.args["text"],
            **{kind: lambda self, node: node.args["text"] for kind in STATEMENTS},
            ExportModel: lambda self, node: _joined(
                "EXPORT MODEL", self.sql(node, "this"), self.sql(node, "properties")
            ),
            AlterModel: lambda self, node: _joined(
                "ALTER MODEL IF EXISTS" if node.args.get("exists") else "ALTER MODEL",
                self.sql(node, "this"),
                f"SET {self.sql(node, 'properties').strip()}",
            ),
        }


def printed(tree: exp.Expression) -> str:
    """A tree as GoogleSQL text that ``parse`` reads again."""
    return str(tree.sql(dialect=GoogleSQL))


def _joined(*parts: str) -> str:
    return " ".join(each.strip() for each in parts if each.strip())


def _is_word(token: Any) -> bool:
    return re.fullmatch(r"[^\W\d]\w*", token.text) is not None


def split(text: str) -> list[str]:
    """The statements of a text, each without its semicolon; comments and strings are understood.

    What came before a statement stays as blanks, so that a position in it is one in the text.
    """
    found, begin, words = [], 0, 0
    for token in [*_tokens(text), None]:
        if token is not None and token.token_type != tokens.TokenType.SEMICOLON:
            words += 1
            continue
        end = len(text) if token is None else token.start
        if words:
            found.append(re.sub(r"[^\n]", " ", text[:begin]) + text[begin:end])
        begin, words = end + 1, 0
    return found


def _tokens(text: str) -> list[Any]:
    try:
        return list(sqlglot.tokenize(text, read=GoogleSQL))
    except TokenError as error:
        raise _syntax_error(text, str(error)) from None


_SCRIPTING = frozenset(
    {"DECLARE", "IF", "LOOP", "WHILE", "REPEAT", "FOR", "BEGIN", "CALL", "EXECUTE", "RETURN", "LEAVE", "ITERATE", "BREAK",
     "CONTINUE", "RAISE", "COMMIT", "ROLLBACK", "SET", "ASSERT", "CASE"}
)  # fmt: skip


_STARTERS = frozenset(
    {"SELECT", "WITH", "FROM", "(", "INSERT", "UPDATE", "DELETE", "MERGE", "TRUNCATE", "CREATE", "DROP", "ALTER", "EXPORT",
     "LOAD", "EXPLAIN", "DESCRIBE", "SHOW", "UNDROP"}
)  # fmt: skip


def _column(text: str, token: Any) -> int:
    """The column, from 1, at which a token begins in its line."""
    return int(token.start - (text.rfind("\n", 0, token.start) + 1) + 1)


_CLONE = re.compile(r"\b(?:CLONE|COPY)\b", re.I)
_UNDONE = (
    (re.compile(r"\bGENERATED\s+(?:ALWAYS|BY)\b", re.I), "generated columns", "compute them in a view"),
    (re.compile(r"\)\s*WITH\s+CONNECTION\b", re.I), "CREATE TABLE WITH CONNECTION", "make a table of the server's own"),
)
"""What a CREATE TABLE that is not understood may have meant: its form, its name, what to do."""


def parse(text: str) -> exp.Expression:
    """One statement. InvalidArgument with BigQuery's wording and position for a syntax error, Unimplemented by name for
    statements that are not understood."""
    words = [token.text.upper() for token in _tokens(text)[:8]]
    if not words:
        raise _invalid("Syntax error: Unexpected end of statement")
    if is_routine_statement(words):
        return parse_routine_statement(text)
    if is_permission_statement(words):
        return parse_permission_statement(text)
    if is_data_statement(words):
        return parse_data_statement(text)
    if is_table_statement(words):
        return parse_table_statement(text)
    if is_clone(words) and _CLONE.search(text) and (clone := parse_clone(text)) is not None:
        return clone
    if words[0] in _SCRIPTING:
        raise Unimplemented(
            f"Tule does not run {words[0]} statements", do="run plain statements one by one", reason="notImplemented"
        )
    if words[0] not in _STARTERS:
        token = _tokens(text)[0]
        _refuse_hints(text)
        raise _invalid(f"Syntax error: Unexpected {_shown(token.text)} at [{token.line}:{_column(text, token)}]")
    if words[:2] in (["EXPORT", "MODEL"], ["ALTER", "MODEL"]):
        return _model_statement(text, words[0])
    try:
        made = [each for each in sqlglot.parse(text, read=GoogleSQL) if each is not None]
    except ParseError as error:
        _refuse_tables(words, text)
        if words[:1] == ["SELECT"] and (clause := _PRIVACY.search(text)) is not None:
            raise Unimplemented(
                f"Tule does not do SELECT WITH {clause[1].upper()}", do="aggregate without the clause",
                reason="notImplemented", location="query",
            ) from None  # fmt: skip
        _refuse_hints(text)
        raise _syntax_error(text, str(error), error.errors) from None
    except RecursionError:
        raise _invalid("The query is nested too deeply") from None
    if len(made) != 1:
        raise _invalid("Syntax error: Expected end of input")
    found: Any = made[0]
    if isinstance(found, exp.Command) or found.find(exp.Command):
        _refuse_tables(words, text)
        raise Unimplemented(
            f"Tule does not run {' '.join(words[:2])} statements", do="see docs/bigquery.md for what it runs",
            reason="notImplemented",
        )  # fmt: skip
    if isinstance(found, exp.Delete) and not found.this and found.args.get("tables"):
        # DELETE without FROM, which sqlglot takes for the list of tables of other dialects.
        found.set("this", found.args["tables"][0])
        found.set("tables", None)
    for insert in found.find_all(exp.Insert):
        _values_of_merge(insert)
    for literal in list(found.find_all(exp.ParseJSON)):
        _rotate(literal)
    _number(found)
    return found


def _refuse_tables(starters: list[str], text: str) -> None:
    """Raise for a part of CREATE TABLE that is not done, in a statement that is not understood."""
    if starters[:1] != ["CREATE"] or "TABLE" not in starters:
        return
    for pattern, what, do in _UNDONE:
        if pattern.search(text):
            raise Unimplemented(f"Tule does not do {what}", do=do, reason="notImplemented", location="query")


def _refuse_hints(text: str) -> None:
    """Raise for ``@{...}`` in a text that is not understood."""
    kinds = [token.token_type for token in _tokens(text)]
    if (tokens.TokenType.PARAMETER, tokens.TokenType.L_BRACE) in itertools.pairwise(kinds):
        raise Unimplemented("Tule does not do hints (@{...})", do="leave them out: they change no answer",
                            reason="notImplemented", location="query")  # fmt: skip


ENDS = "Syntax error: Unexpected end of script"


def parse_expression(text: str) -> exp.Expression:
    """The query ``SELECT (text)``, in which places are one line further down. Errors have those in ``text``; one that ends
    too early is ``ENDS`` at its end."""
    try:
        return parse(bracketed(text))
    except InvalidArgument as error:
        moved(error, (1, 1), lines=1)
        end = Text(text).position(len(text))
        found = place(error)
        raise error if found is None or found < end else _invalid(f"{ENDS} at [{end[0]}:{end[1]}]") from None


def _values_of_merge(insert: Any) -> None:
    """``INSERT VALUES (...)`` of MERGE: the parser takes VALUES for the name of a column."""
    columns = insert.this
    if isinstance(columns, exp.Tuple) and len(columns.expressions) == 1 and not insert.args.get("expression"):
        (values,) = columns.expressions
        if isinstance(values, exp.Anonymous) and values.name.upper() == "VALUES":
            insert.set("this", None)
            insert.set("expression", exp.Tuple(expressions=values.expressions))


def _rotate(literal: Any) -> None:
    """``JSON '...'.a``: the parser takes the path for a part of the text."""
    path = literal.this
    inner = path
    while isinstance(inner, exp.Dot | exp.Bracket):
        inner = inner.this
    if inner is path or literal.parent is None:
        return
    literal.replace(path)
    literal.set("this", inner.copy())
    inner.replace(exp.Paren(this=literal))


def _number(tree: Any) -> None:
    placeholders = sorted(tree.find_all(exp.Placeholder), key=lambda node: node.meta.get(PLACE, 0))
    for position, node in enumerate(placeholders):
        node.meta[POSITION] = position


def _model_statement(text: str, verb: str) -> exp.Expression:
    """EXPORT MODEL and ALTER MODEL, which sqlglot takes for other statements: the rest parses as a CREATE MODEL."""
    pattern = (
        r"EXPORT\s+MODEL\s+(?P<name>`[^`]+`(?:\s*\.\s*`[^`]+`)*|[\w.\-`]+)\s*(?P<options>OPTIONS\s*\(.*\))?\s*"
        if verb == "EXPORT"
        else r"ALTER\s+MODEL\s+(?P<exists>IF\s+EXISTS\s+)?(?P<name>`[^`]+`|[\w.\-`]+)\s+SET\s+"
        r"(?P<options>OPTIONS\s*\(.*\))\s*"
    )
    bare = re.sub(r"^(\s|--[^\n]*\n|#[^\n]*\n|/\*.*?\*/)+", "", text, flags=re.DOTALL)
    found = re.fullmatch(pattern, bare, re.IGNORECASE | re.DOTALL)
    if found is None:
        raise _invalid(f"Syntax error: {verb} MODEL must name a model and its OPTIONS")
    try:
        created: Any = sqlglot.parse_one(
            f"CREATE MODEL {found['name']} {found['options'] or 'OPTIONS()'} AS SELECT 1", read=GoogleSQL
        )
    except ParseError as error:
        raise _syntax_error(text, str(error), error.errors) from None
    kind = ExportModel if verb == "EXPORT" else AlterModel
    made = kind(this=created.this, properties=created.args.get("properties"))
    if verb == "ALTER":
        made.set("exists", bool(found["exists"]))
    return made


def _invalid(message: str) -> InvalidArgument:
    return InvalidArgument(message, reason="invalidQuery", location="query")


def _syntax_error(text: str, message: str, errors: list[dict[str, Any]] | None = None) -> InvalidArgument:
    """``Syntax error: Unexpected identifier "SELEC" at [1:1]``."""
    for each in errors or []:
        word, line, column = each.get("highlight") or "", each.get("line"), each.get("col")
        if line is not None and column is not None:
            begin = max(1, column - len(word) + 1)
            if (found := _at_end(text, str(each.get("description") or ""), line, begin)) is not None:
                return found
            if not word.strip():
                return _invalid(f"Syntax error: Unexpected end of script at [{line}:{begin}]")
            shown = _shown(word)
            return _invalid(f"Syntax error: Unexpected {shown} at [{line}:{begin}]")
    line_count = text.count("\n") + 1
    return _invalid(f"Syntax error: {message.splitlines()[0]} at [{line_count}:1]")


def _at_end(text: str, description: str, line: int, column: int) -> InvalidArgument | None:
    """The error for a text that ends too early: the parser points at its last word."""
    if not description.startswith("Expect"):
        return None
    last = _tokens(text)[-1]
    if (last.line, _column(text, last)) != (line, column):
        return None
    place = f"[{line}:{_column(text, last) + last.end - last.start + 1}]"
    if description.startswith("Expecting )"):
        return _invalid(f'Syntax error: Expected ")" but got end of script at {place}')
    return _invalid(f"Syntax error: Unexpected end of script at {place}")


_KEYWORDS = frozenset(
    [
        "ALL",
        "AND",
        "ANY",
        "ARRAY",
        "AS",
        "ASC",
        "BETWEEN",
        "BY",
        "CASE",
        "CAST",
        "CREATE",
        "CROSS",
        "DEFAULT",
        "DESC",
        "DISTINCT",
        "ELSE",
        "END",
        "EXCEPT",
        "EXISTS",
        "FALSE",
        "FOR",
        "FROM",
        "FULL",
        "GROUP",
        "HAVING",
        "IF",
        "IN",
        "INNER",
        "INTERSECT",
        "INTERVAL",
        "INTO",
        "IS",
        "JOIN",
        "LEFT",
        "LIKE",
        "LIMIT",
        "NOT",
        "NULL",
        "ON",
        "OR",
        "ORDER",
        "OUTER",
        "OVER",
        "PARTITION",
        "RIGHT",
        "SELECT",
        "SET",
        "STRUCT",
        "THEN",
        "TO",
        "TRUE",
        "UNION",
        "UNNEST",
        "USING",
        "WHEN",
        "WHERE",
        "WINDOW",
        "WITH",
    ]
)


def _shown(word: str) -> str:
    if not re.fullmatch(r"\w+", word):
        return f'"{word}"'
    if word.upper() in _KEYWORDS:
        return f"keyword {word.upper()}"
    return f'{"integer literal" if word.isdigit() else "identifier"} "{word}"'
