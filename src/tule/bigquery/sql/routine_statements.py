"""CREATE and DROP of functions, table functions and procedures, read word by word.

https://cloud.google.com/bigquery/docs/reference/standard-sql/data-definition-language#create_function_statement
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from sqlglot import exp

from tule.bigquery.sql.words import Cursor, Text, is_string, words
from tule.kernel.errors import InvalidArgument, TuleError, Unimplemented

SCALAR, AGGREGATE = "SCALAR_FUNCTION", "AGGREGATE_FUNCTION"
TABLE, PROCEDURE = "TABLE_VALUED_FUNCTION", "PROCEDURE"
ANY_TYPE = "ANY TYPE"

_LANGUAGES = {"JS": "JAVASCRIPT", "JAVASCRIPT": "JAVASCRIPT", "SQL": "SQL", "PYTHON": "PYTHON", "JAVA": "JAVA",
              "SCALA": "SCALA"}  # fmt: skip


@dataclass(frozen=True)
class RoutineArgument:
    """``type`` as GoogleSQL writes it, ``ANY TYPE`` for a templated one, ``TABLE<...>`` for a relation. ``mode`` is IN,
    OUT or INOUT of a procedure, else empty. ``aggregate`` false: the NOT AGGREGATE argument of an aggregate function."""

    name: str
    type: str
    mode: str = ""
    aggregate: bool = True


@dataclass(frozen=True)
class RoutineDefinition:
    """A routine as a statement defines it.

    ``body``: the expression of a function, the query of a table function, BEGIN ... END of a procedure, the source of
    JavaScript. ``returns`` is empty where the body tells the type, ``columns`` None likewise. ``place`` is the line and
    column of the body in the statement that is being run.
    """

    kind: str
    path: tuple[str, ...]
    arguments: tuple[RoutineArgument, ...]
    body: str
    language: str = "SQL"
    returns: str = ""
    columns: tuple[tuple[str, str], ...] | None = None
    deterministic: bool | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    temporary: bool = False
    replace: bool = False
    if_not_exists: bool = False
    place: tuple[int, int] = (1, 1)


class CreateRoutine(exp.Expression):
    """A statement that makes a routine: ``this`` is the ``RoutineDefinition``, ``text`` the statement."""

    arg_types: ClassVar[dict[str, bool]] = {"this": True, "text": True}


class DropRoutine(exp.Expression):
    """A statement that removes one: ``this`` is its path, ``kind`` FUNCTION, TABLE FUNCTION or PROCEDURE."""

    arg_types: ClassVar[dict[str, bool]] = {"this": True, "kind": True, "exists": False, "text": True}


def is_routine_statement(starters: list[str]) -> bool:
    """Whether the first words of a statement, in capitals, are those of one that makes or removes a routine."""
    if starters[:1] == ["DROP"]:
        return starters[1:2] in (["FUNCTION"], ["PROCEDURE"]) or starters[1:3] == ["TABLE", "FUNCTION"]
    if starters[:1] != ["CREATE"]:
        return False
    rest = [each for each in starters[1:] if each not in ("OR", "REPLACE", "TEMP", "TEMPORARY", "AGGREGATE")]
    return rest[:1] in (["FUNCTION"], ["PROCEDURE"]) or rest[:2] == ["TABLE", "FUNCTION"]


def parse_routine_statement(text: str) -> exp.Expression:
    """Read one such statement; InvalidArgument with position for wrong syntax, Unimplemented for a language not done."""
    source = Text(text)
    cursor = Cursor(source, words(source))
    made = _drop(cursor, text) if cursor.at("DROP") else _create(cursor, text)
    if not cursor.done:
        raise cursor.expected("end of input")
    return made


def _drop(cursor: Cursor, text: str) -> exp.Expression:
    cursor.expect("DROP")
    kind = cursor.take().text.upper()
    if kind == "TABLE":
        cursor.expect("FUNCTION")
        kind = "TABLE FUNCTION"
    exists = cursor.skip("IF", "EXISTS")
    return DropRoutine(this=tuple(cursor.path()), kind=kind, exists=exists, text=text.strip())


def _create(cursor: Cursor, text: str) -> exp.Expression:
    cursor.expect("CREATE")
    replace = cursor.skip("OR", "REPLACE")
    temporary = cursor.skip("TEMP") or cursor.skip("TEMPORARY")
    kind = _kind(cursor)
    if temporary and kind in (TABLE, PROCEDURE):
        raise cursor.unexpected()
    absent = cursor.skip("IF", "NOT", "EXISTS")
    if replace and absent:
        raise InvalidArgument("CREATE OR REPLACE and IF NOT EXISTS cannot be used together", reason="invalidQuery")
    path = tuple(cursor.path())
    arguments = _arguments(cursor, kind)
    head: dict[str, Any] = {
        "kind": kind, "path": path, "arguments": arguments, "replace": replace, "temporary": temporary,
        "if_not_exists": absent,
    }  # fmt: skip
    rest = _procedure(cursor) if kind == PROCEDURE else _function(cursor, kind)
    if rest.get("language") == "JAVASCRIPT" and any(each.type == ANY_TYPE for each in arguments):
        raise cursor.text.error("The arguments of a JavaScript function must have types", 0)
    return CreateRoutine(this=RoutineDefinition(**head, **rest), text=text.strip())


def _kind(cursor: Cursor) -> str:
    if cursor.skip("PROCEDURE"):
        return PROCEDURE
    if cursor.skip("TABLE", "FUNCTION"):
        return TABLE
    aggregate = cursor.skip("AGGREGATE")
    cursor.expect("FUNCTION")
    return AGGREGATE if aggregate else SCALAR


# -- arguments


def _arguments(cursor: Cursor, kind: str) -> tuple[RoutineArgument, ...]:
    cursor.expect_symbol("(")
    found: list[RoutineArgument] = []
    if not cursor.symbol(")"):
        while True:
            place = cursor.start
            made = _argument(cursor, kind)
            if made.name.lower() in (each.name.lower() for each in found):
                raise cursor.text.error(f"Duplicate argument name: {made.name}", place)
            found.append(made)
            if not cursor.skip_symbol(","):
                break
    cursor.expect_symbol(")")
    return tuple(found)


def _argument(cursor: Cursor, kind: str) -> RoutineArgument:
    mode = ""
    if kind == PROCEDURE:
        mode = "IN"
        # IN is reserved; OUT and INOUT may also be the argument's name.
        if cursor.at("IN"):
            cursor.take()
        elif cursor.word() in ("OUT", "INOUT") and not _ends_argument(cursor, 2) and cursor.word(1) != "ANY":
            mode = cursor.take().text.upper()
    name = cursor.name()
    if cursor.skip("ANY"):
        cursor.expect("TYPE")
        type_ = ANY_TYPE
    else:
        type_ = type_text(cursor, "NOT")
    aggregate = True
    if cursor.skip("NOT"):
        cursor.expect("AGGREGATE")
        if kind != AGGREGATE:
            raise cursor.unexpected()
        aggregate = False
    return RoutineArgument(name, type_, mode, aggregate)


def _ends_argument(cursor: Cursor, ahead: int) -> bool:
    return any(cursor.symbol(each, ahead) for each in (",", ")", "<", "("))


def type_text(cursor: Cursor, *stops: str) -> str:
    """Pass a type; GoogleSQL's text of it."""
    from tule.bigquery.sql.script.parser import type_of

    start = cursor.start
    if cursor.at("TABLE") and cursor.symbol("<", 1):
        return f"TABLE<{', '.join(f'{name} {kind}' for name, kind in _columns(cursor))}>"
    start, end = _pass_type(cursor, stops)
    return str(type_of(cursor.text, start, end).sql(dialect="bigquery"))


def _pass_type(cursor: Cursor, stops: tuple[str, ...]) -> tuple[int, int]:
    """The offsets of a type: a comma or bracket ends it outside of its own."""
    start = cursor.start
    depth = 0
    while (token := cursor.token()) is not None:
        text = token.text
        if not depth and (text in (",", ")", ";") or cursor.word() in stops or (text == ">" and not depth)):
            break
        if text in ("<", "("):
            depth += 1
        elif text in (">", ")"):
            depth -= 1
        elif text == ">>":
            depth -= 2
        cursor.take()
        if depth < 0:
            break
        if not depth and not cursor.symbol("<") and not cursor.symbol("(") and cursor.word() != "PRECISION":
            break
    if cursor.end <= start:
        raise cursor.unexpected()
    return start, cursor.end


def _columns(cursor: Cursor) -> list[tuple[str, str]]:
    """``TABLE<name type, ...>``"""
    cursor.expect("TABLE")
    cursor.expect_symbol("<")
    found: list[tuple[str, str]] = []
    while not cursor.symbol(">"):
        name = cursor.name()
        found.append((name, type_text(cursor)))
        if not cursor.skip_symbol(","):
            break
    cursor.expect_symbol(">")
    return found


# -- what follows the arguments


def _function(cursor: Cursor, kind: str) -> dict[str, Any]:
    made: dict[str, Any] = {"options": {}}
    while not cursor.done and not cursor.at("AS"):
        _clause(cursor, kind, made)
    if kind == TABLE:
        cursor.expect("AS")
        made["place"] = cursor.text.position(cursor.start)
        made["body"] = _query(cursor)
        return made
    cursor.expect("AS")
    if made.get("language", "SQL") == "JAVASCRIPT":
        token = cursor.token()
        if token is None or not is_string(token):
            raise cursor.expected("string literal")
        if not made.get("returns"):
            raise cursor.text.error("JavaScript functions must have a RETURNS clause", cursor.start)
        made["body"] = cursor.take().text
    else:
        made["body"], made["place"] = _expression(cursor)
    while not cursor.done:
        _clause(cursor, kind, made)
    return made


def _clause(cursor: Cursor, kind: str, made: dict[str, Any]) -> None:
    """One of RETURNS, DETERMINISTIC, LANGUAGE and OPTIONS."""
    if cursor.skip("RETURNS"):
        if kind == TABLE:
            made["columns"] = tuple(_columns(cursor))
        else:
            made["returns"] = type_text(cursor, "AS", "LANGUAGE", "DETERMINISTIC", "NOT", "OPTIONS", "REMOTE")
    elif cursor.skip("DETERMINISTIC"):
        made["deterministic"] = True
    elif cursor.skip("NOT", "DETERMINISTIC"):
        made["deterministic"] = False
    elif cursor.skip("LANGUAGE"):
        place = cursor.start
        name = cursor.name()
        made["language"] = _LANGUAGES.get(name.upper(), "")
        if made["language"] not in ("SQL", "JAVASCRIPT"):
            if made["language"]:
                raise _refused(f"functions in the language {name}", "write them in SQL or JavaScript")
            raise cursor.text.error(f"Unsupported language: {name}", place)
    elif cursor.at("OPTIONS"):
        made["options"] = {**made["options"], **options_clause(cursor)}
    elif cursor.at("REMOTE") or cursor.at("WITH", "CONNECTION"):
        raise _refused("remote functions", "write the function in SQL or JavaScript")
    else:
        raise cursor.unexpected()


def _procedure(cursor: Cursor) -> dict[str, Any]:
    from tule.bigquery.sql.script.parser import parse_script

    made: dict[str, Any] = {"options": {}}
    while not cursor.done and not cursor.at("BEGIN"):
        if cursor.at("OPTIONS"):
            made["options"] = {**made["options"], **options_clause(cursor)}
        elif cursor.at("LANGUAGE") or cursor.at("WITH", "CONNECTION") or cursor.at("EXTERNAL"):
            raise _refused("stored procedures for Apache Spark", "write the procedure in SQL")
        else:
            raise cursor.expected("keyword BEGIN")
    start = cursor.start
    while not cursor.done:
        cursor.take()
    body = cursor.part(start, cursor.end)
    try:
        script = parse_script(body)
    except TuleError as error:
        raise cursor.text.shifted(error, start) from None
    if len(script.statements) != 1:
        raise cursor.text.error("Syntax error: Expected end of input", start + script.statements[1].start)
    made["body"], made["place"] = body, cursor.text.position(start)
    return made


def _refused(what: str, do: str) -> Unimplemented:
    return Unimplemented(f"Tule does not make {what}", do=do, reason="notImplemented")


def _expression(cursor: Cursor) -> tuple[str, tuple[int, int]]:
    """``(expression)``: the text between the parentheses, exactly as written, and where it begins."""
    from tule.bigquery.sql.parse import ENDS, parse_expression

    start, end = cursor.bracketed()
    body = cursor.part(start + 1, end - 1)
    try:
        parse_expression(body)
    except TuleError as error:
        if error.message.startswith(ENDS):
            raise cursor.text.error('Syntax error: Unexpected ")"', end - 1) from None
        raise cursor.text.shifted(error, start + 1) from None
    begin = start + 1 + len(body) - len(body.lstrip())
    return body.strip(), cursor.text.position(begin)


def _query(cursor: Cursor) -> str:
    """The rest of the text, which must be a query."""
    from tule.bigquery.sql.parse import parse

    start = cursor.start
    while not cursor.done:
        cursor.take()
    body = cursor.part(start, cursor.end)
    try:
        tree: Any = parse(body)
    except TuleError as error:
        raise cursor.text.shifted(error, start) from None
    if not isinstance(tree, exp.Query):
        raise cursor.text.error("Syntax error: The body of a table function must be a query", start)
    return body.strip()


def options_clause(cursor: Cursor, word: str = "OPTIONS") -> dict[str, Any]:
    """``OPTIONS (name = constant, ...)``, by name in lower case."""
    from tule.bigquery.sql.parse import parse
    from tule.bigquery.sql.statements import options_of

    cursor.expect(word)
    start, end = cursor.bracketed()
    try:
        tree: Any = parse(f"CREATE MODEL m OPTIONS\n{cursor.part(start, end)}\nAS SELECT 1")
    except TuleError as error:
        raise cursor.text.shifted(error, start, lines=1) from None
    return {name.lower(): value for name, value in options_of(tree.args.get("properties")).items()}
