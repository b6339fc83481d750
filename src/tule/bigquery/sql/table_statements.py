"""Statements about tables that the parser below does not know, read word by word; expressions and queries in them are parsed
as others are. https://cloud.google.com/bigquery/docs/reference/standard-sql/data-definition-language
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from sqlglot import exp

from tule.bigquery.sql.catalog import Name
from tule.bigquery.sql.routine_statements import options_clause
from tule.bigquery.sql.words import Cursor, Text, is_string, words
from tule.kernel.errors import InvalidArgument, TuleError, Unimplemented

Path = tuple[str, ...]
Resolve = Callable[[Path], Name]


class TableStatement(exp.Expression):
    """One such statement: ``this`` makes its ``Statement`` of what completes a name and of this very tree."""

    arg_types: ClassVar[dict[str, bool]] = {"this": True, "text": True}


_INDEXES = {
    "SEARCH": "leave it out: SEARCH and LIKE answer the same without an index",
}
_ELSEWHERE = {
    "DATA_POLICY": "leave it out: there is no data masking",
    "PROPERTY": "join the tables: there are no property graphs",
    "CONNECTION": "make connections by the Connection API",
    "EXTERNAL": "make a dataset and external tables in it",
}
"""What is refused by the first word behind CREATE, ALTER or DROP, and what to do."""
_CAPACITY = ("CAPACITY", "RESERVATION", "ASSIGNMENT", "BI_CAPACITY", "PROJECT", "ORGANIZATION")


def is_table_statement(starters: list[str]) -> bool:
    """Whether the first words of a statement, in capitals, are those of one that is read here."""
    verb = starters[:1]
    rest = [each for each in starters[1:] if each not in ("OR", "REPLACE")]
    if verb == ["UNDROP"]:
        return True
    if verb == ["ALTER"]:
        return rest[:1] != ["MODEL"]
    if verb in (["CREATE"], ["DROP"]) and _is_elsewhere(rest):
        return True
    if verb not in (["CREATE"], ["DROP"]):
        return False
    known = (["SNAPSHOT", "TABLE"], ["MATERIALIZED", "VIEW"], ["ROW", "ACCESS"], ["ALL", "ROW"], ["VECTOR", "INDEX"],
             ["SEARCH", "INDEX"])  # fmt: skip
    return rest[:2] in known or rest[:1] == ["INDEX"] or rest[:1] in [[each] for each in _CAPACITY]


def _is_elsewhere(rest: list[str]) -> bool:
    return (
        rest[:1] == ["DATA_POLICY"]
        or rest[:1] == ["CONNECTION"]
        or rest[:2] in (["PROPERTY", "GRAPH"], ["EXTERNAL", "SCHEMA"])
    )


def is_clone(starters: list[str]) -> bool:
    """Whether a CREATE TABLE, by its first words in capitals without IF NOT EXISTS, copies a table with CLONE or COPY."""
    return starters[:2] == ["CREATE", "TABLE"] or starters[:4] == ["CREATE", "OR", "REPLACE", "TABLE"]


def parse_table_statement(text: str) -> exp.Expression:
    """Read one such statement; InvalidArgument with position for wrong syntax, Unimplemented for what is not done."""
    source = Text(text)
    cursor = Cursor(source, words(source))
    made = _statement(cursor)
    if not cursor.done:
        raise cursor.expected("end of input")
    return TableStatement(this=made, text=text.strip())


def parse_clone(text: str) -> exp.Expression | None:
    """A CREATE TABLE ... CLONE or COPY; None for another CREATE TABLE."""
    source = Text(text)
    cursor = Cursor(source, words(source))
    cursor.expect("CREATE")
    replace = cursor.skip("OR", "REPLACE")
    cursor.expect("TABLE")
    absent = cursor.skip("IF", "NOT", "EXISTS")
    if cursor.done or (not cursor.word() and cursor.symbol("(")):
        return None
    try:
        target = tuple(cursor.path())
    except InvalidArgument:
        return None
    if cursor.skip("COPY"):
        made = _whole_copy(cursor, target, replace, absent)
    elif cursor.at("CLONE"):
        made = _copy(cursor, "CREATE_TABLE", target, replace, absent)
    else:
        return None
    if not cursor.done:
        raise cursor.expected("end of input")
    return TableStatement(this=made, text=text.strip())


Make = Callable[[Resolve, Any], Any]


def _statement(cursor: Cursor) -> Make:
    verb = cursor.take().text.upper()
    if verb == "UNDROP":
        cursor.expect("SCHEMA")
        absent = cursor.skip("IF", "NOT", "EXISTS")
        return _of_schema("UndropSchema", "UNDROP_SCHEMA", tuple(cursor.path()), if_not_exists=absent)
    if verb == "ALTER":
        return _alter(cursor)
    replace = verb == "CREATE" and cursor.skip("OR", "REPLACE")
    for word, do in _ELSEWHERE.items():
        if cursor.at(word):
            second = cursor.word(1) if word in ("PROPERTY", "EXTERNAL") else ""
            raise _refused(f"{verb} {word} {second}".strip(), do)
    for word, do in _INDEXES.items():
        if cursor.at(word, "INDEX"):
            raise _refused(f"{verb} {word} INDEX", do)
    for word in _CAPACITY:
        if cursor.at(word):
            raise _refused(f"{verb} {word}", "leave it out: queries take what the machine has")
    if cursor.at("INDEX"):
        raise _refused(f"{verb} INDEX", "leave it out")
    if cursor.skip("VECTOR", "INDEX"):
        return _create_index(cursor, replace) if verb == "CREATE" else _drop_index(cursor)
    if cursor.skip("ROW", "ACCESS", "POLICY"):
        return _create_policy(cursor, replace) if verb == "CREATE" else _drop_policy(cursor)
    if cursor.skip("ALL", "ROW", "ACCESS", "POLICIES"):
        cursor.expect("ON")
        path = tuple(cursor.path())
        return _named("DropRowAccessPolicy", "DROP_ALL_ROW_ACCESS_POLICIES", path, policy="", if_exists=True)
    snapshot = cursor.skip("SNAPSHOT", "TABLE")
    if not snapshot:
        cursor.expect("MATERIALIZED", "VIEW")
    if verb == "DROP":
        exists = cursor.skip("IF", "EXISTS")
        kind = "DROP_SNAPSHOT_TABLE" if snapshot else "DROP_MATERIALIZED_VIEW"
        return _named("Drop", kind, tuple(cursor.path()), if_exists=exists)
    absent = cursor.skip("IF", "NOT", "EXISTS")
    if replace and absent:
        raise InvalidArgument("CREATE OR REPLACE and IF NOT EXISTS cannot be used together", reason="invalidQuery")
    path = tuple(cursor.path())
    if snapshot:
        if not cursor.at("CLONE"):
            raise cursor.expected("keyword CLONE")
        return _copy(cursor, "CREATE_SNAPSHOT_TABLE", path, replace, absent)
    return _materialized(cursor, path, replace, absent)


def _made() -> Any:
    """Where the statements are; they stand above the parser."""
    from tule.bigquery.sql import table_definitions

    return table_definitions


def _named(name: str, kind: str, path: Path, **more: Any) -> Make:
    """A statement whose first value is the full name of ``path``."""
    return lambda resolve, tree: getattr(_made(), name)(kind, tree, resolve(path), **more)


def _of_schema(name: str, kind: str, path: Path, **more: Any) -> Make:
    def make(resolve: Resolve, tree: Any) -> Any:
        # The project of a dataset is found as that of a table in it.
        found = resolve((*path, "_"))
        return getattr(_made(), name)(kind, tree, found.project, found.dataset, **more)

    return make


def _refused(what: str, do: str) -> Unimplemented:
    return Unimplemented(f"{what} is not executed by Tule", do=do, reason="notImplemented", location="query")


# -- snapshots and clones


def _copy(cursor: Cursor, kind: str, path: Path, replace: bool, absent: bool) -> Make:
    cursor.expect("CLONE")
    source = tuple(cursor.path())
    at = None
    if cursor.skip("FOR", "SYSTEM_TIME", "AS", "OF") or cursor.skip("FOR", "SYSTEM", "TIME", "AS", "OF"):
        at = _expression(cursor, *cursor.until({"OPTIONS"}))
    options = options_clause(cursor) if cursor.at("OPTIONS") else {}

    def make(resolve: Resolve, tree: Any) -> Any:
        return _made().CopyTable(kind, tree, resolve(path), resolve(source), at, replace, absent, options)

    return make


def _whole_copy(cursor: Cursor, path: Path, replace: bool, absent: bool) -> Make:
    from tule.bigquery.sql.statements import CreateTable

    source = tuple(cursor.path())
    options = options_clause(cursor) if cursor.at("OPTIONS") else {}
    return lambda resolve, tree: CreateTable(
        "CREATE_TABLE", tree, resolve(path), replace, absent, None, None, resolve(source), True, options
    )


def _expression(cursor: Cursor, start: int, end: int) -> exp.Expression:
    from tule.bigquery.sql.parse import parse_expression

    try:
        query: Any = parse_expression(cursor.part(start, end))
    except TuleError as error:
        raise cursor.text.shifted(error, start) from None
    found: exp.Expression = query.expressions[0]
    return found


# -- materialized views


def _materialized(cursor: Cursor, path: Path, replace: bool, absent: bool) -> Make:
    if cursor.symbol("("):
        raise _refused("CREATE MATERIALIZED VIEW with a list of columns", "name the columns in its query")
    partition, cluster = "", list[str]()
    if cursor.skip("PARTITION", "BY"):
        partition = cursor.part(*cursor.until({"CLUSTER", "OPTIONS", "AS"}))
    if cursor.skip("CLUSTER", "BY"):
        cluster = cursor.part(*cursor.until({"OPTIONS", "AS"}, commas=True)).replace("`", "").split(",")
    options = options_clause(cursor) if cursor.at("OPTIONS") else {}
    cursor.expect("AS")
    if cursor.at("REPLICA"):
        raise _refused("CREATE MATERIALIZED VIEW AS REPLICA OF", "make a materialized view of the source's query")
    query = cursor.part(*_rest(cursor))
    return _named(
        "CreateMaterializedView", "CREATE_MATERIALIZED_VIEW", path, replace=replace, if_not_exists=absent, query=query,
        options=options, partition_by=partition, cluster_by=tuple(each.strip() for each in cluster),
    )  # fmt: skip


def _rest(cursor: Cursor) -> tuple[int, int]:
    start = cursor.start
    if cursor.done:
        raise cursor.unexpected()
    while not cursor.done:
        cursor.take()
    return start, cursor.end


# -- row access policies


def _create_policy(cursor: Cursor, replace: bool) -> Make:
    absent = cursor.skip("IF", "NOT", "EXISTS")
    policy = cursor.name()
    cursor.expect("ON")
    path = tuple(cursor.path())
    grantees: list[str] = []
    if cursor.skip("GRANT", "TO"):
        cursor.expect_symbol("(")
        while True:
            grantees.append(string(cursor))
            if not cursor.skip_symbol(","):
                break
        cursor.expect_symbol(")")
    cursor.expect("FILTER", "USING")
    start, end = cursor.bracketed()
    condition = cursor.part(start + 1, end - 1)
    _expression(cursor, start + 1, end - 1)
    return _named(
        "CreateRowAccessPolicy", "CREATE_ROW_ACCESS_POLICY", path, policy=policy, replace=replace, if_not_exists=absent,
        grantees=tuple(grantees), filter=condition.strip(),
    )  # fmt: skip


def _create_index(cursor: Cursor, replace: bool) -> Make:
    absent = cursor.skip("IF", "NOT", "EXISTS")
    if replace and absent:
        raise InvalidArgument("CREATE OR REPLACE and IF NOT EXISTS cannot be used together", reason="invalidQuery")
    index = cursor.name()
    cursor.expect("ON")
    path = tuple(cursor.path())
    columns = _bracketed_names(cursor)
    if len(columns) != 1:
        raise InvalidArgument(
            "A vector index is of one column", given=", ".join(columns), do="name the column with the vectors",
            reason="invalidQuery", location="query",
        )  # fmt: skip
    stored = _bracketed_names(cursor) if cursor.skip("STORING") else ()
    if cursor.at("PARTITION", "BY"):
        raise _refused("PARTITION BY of a vector index", "leave it out")
    options = options_clause(cursor) if cursor.at("OPTIONS") else {}
    text = cursor.text.text.strip()
    return _named(
        "CreateVectorIndex", "CREATE_VECTOR_INDEX", path, index=index, column=columns[0], replace=replace,
        if_not_exists=absent, stored=tuple(stored), options=options, text=text,
    )  # fmt: skip


def _drop_index(cursor: Cursor) -> Make:
    exists = cursor.skip("IF", "EXISTS")
    index = cursor.name()
    cursor.expect("ON")
    return _named(
        "DropVectorIndex", "DROP_VECTOR_INDEX", tuple(cursor.path()), index=index, if_exists=exists
    )  # fmt: skip


def _bracketed_names(cursor: Cursor) -> tuple[str, ...]:
    """``(name, ...)``"""
    cursor.expect_symbol("(")
    found = [cursor.name()]
    while cursor.skip_symbol(","):
        found.append(cursor.name())
    cursor.expect_symbol(")")
    return tuple(found)


def _drop_policy(cursor: Cursor) -> Make:
    exists = cursor.skip("IF", "EXISTS")
    policy = cursor.name()
    cursor.expect("ON")
    path = tuple(cursor.path())
    return _named("DropRowAccessPolicy", "DROP_ROW_ACCESS_POLICY", path, policy=policy, if_exists=exists)


# -- ALTER


def _alter(cursor: Cursor) -> Make:
    for word in (*_CAPACITY, "VECTOR", "SEARCH"):
        if cursor.at(word):
            raise _refused(f"ALTER {word}", "leave it out")
    if cursor.skip("SCHEMA"):
        exists = cursor.skip("IF", "EXISTS")
        path = tuple(cursor.path())
        if cursor.skip("SET", "DEFAULT", "COLLATE"):
            return _of_schema(
                "AlterSchema", "ALTER_SCHEMA", path, if_exists=exists, options={}, collation=string(cursor)
            )
        if not cursor.at("SET", "OPTIONS"):
            if cursor.at("ADD", "REPLICA") or cursor.at("DROP", "REPLICA"):
                raise _refused(f"ALTER SCHEMA {cursor.word()} {cursor.word(1)}", "leave it out: there is one location")
            raise cursor.expected("keyword SET")
        return _of_schema("AlterSchema", "ALTER_SCHEMA", path, if_exists=exists, options=_set_options(cursor))
    if cursor.skip("TABLE"):
        return _alter_table(cursor)
    materialized = cursor.skip("MATERIALIZED")
    cursor.expect("VIEW")
    exists = cursor.skip("IF", "EXISTS")
    path = tuple(cursor.path())
    kind = "ALTER_MATERIALIZED_VIEW" if materialized else "ALTER_VIEW"
    if cursor.at("SET", "OPTIONS"):
        return _named("AlterView", kind, path, if_exists=exists, options=_set_options(cursor))
    columns = []
    while True:
        cursor.expect("ALTER", "COLUMN")
        columns.append(_column(cursor))
        if not cursor.skip_symbol(","):
            break
    return lambda resolve, tree: _made().AlterView(
        kind, tree, resolve(path), exists, {}, tuple(each(resolve) for each in columns)
    )


def string(cursor: Cursor) -> str:
    """Take a string literal."""
    token = cursor.take()
    if not is_string(token):
        raise cursor.text.error("Syntax error: Expected string literal", token.start)
    return str(token.text)


def _set_options(cursor: Cursor) -> dict[str, Any]:
    cursor.expect("SET")
    return options_clause(cursor)


def _alter_table(cursor: Cursor) -> Make:
    exists = cursor.skip("IF", "EXISTS")
    path = tuple(cursor.path())
    found: dict[str, Any] = {"add": [], "drop": [], "rename": [], "rename_to": "", "options": {}}
    columns: list[Any] = []
    keys: list[Any] = []
    while True:
        _action(cursor, found, columns, keys)
        if not cursor.skip_symbol(","):
            break

    def make(resolve: Resolve, tree: Any) -> Any:
        return _made().AlterTable(
            "ALTER_TABLE", tree, resolve(path), exists, tuple(found["add"]), tuple(found["drop"]),
            tuple(found["rename"]), found["rename_to"], found["options"],
            columns=tuple(each(resolve) for each in columns), keys=tuple(each(resolve) for each in keys),
            collation=found.get("collation"),
        )  # fmt: skip

    return make


def _action(cursor: Cursor, found: dict[str, Any], columns: list[Any], keys: list[Any]) -> None:
    if cursor.at("SET", "OPTIONS"):
        found["options"] |= _set_options(cursor)
    elif cursor.skip("SET", "DEFAULT", "COLLATE"):
        found["collation"] = string(cursor)
    elif cursor.skip("ADD", "COLUMN"):
        absent = cursor.skip("IF", "NOT", "EXISTS")
        found["add"].append((_definition(cursor, *cursor.until({}, types=True)), absent))
    elif cursor.skip("DROP", "COLUMN"):
        lenient = cursor.skip("IF", "EXISTS")
        found["drop"].append((cursor.name(), lenient))
    elif cursor.skip("RENAME", "COLUMN"):
        lenient = cursor.skip("IF", "EXISTS")
        before = cursor.name()
        cursor.expect("TO")
        found["rename"].append((before, cursor.name(), lenient))
    elif cursor.skip("RENAME", "TO"):
        found["rename_to"] = cursor.path()[-1]
    elif cursor.skip("ALTER", "COLUMN"):
        columns.append(_column(cursor))
    elif cursor.skip("DROP", "PRIMARY", "KEY"):
        lenient = cursor.skip("IF", "EXISTS")
        keys.append(lambda resolve: _made().KeyChange(False, primary=(), lenient=lenient))
    elif cursor.skip("DROP", "CONSTRAINT"):
        lenient = cursor.skip("IF", "EXISTS")
        name = cursor.name()
        keys.append(lambda resolve: _made().KeyChange(False, name=name, lenient=lenient))
    elif cursor.skip("ADD"):
        keys.append(_key(cursor))
    else:
        raise cursor.unexpected()


def _key(cursor: Cursor) -> Callable[[Resolve], Any]:
    """[CONSTRAINT [IF NOT EXISTS] name] PRIMARY KEY or FOREIGN KEY, always NOT ENFORCED."""
    name, lenient = "", False
    if cursor.skip("CONSTRAINT"):
        lenient = cursor.skip("IF", "NOT", "EXISTS")
        name = cursor.name()
    if cursor.skip("PRIMARY", "KEY"):
        columns = _names(cursor)
        cursor.expect("NOT", "ENFORCED")
        return lambda resolve: _made().KeyChange(True, primary=columns, lenient=lenient)
    cursor.expect("FOREIGN", "KEY")
    columns = _names(cursor)
    cursor.expect("REFERENCES")
    path = tuple(cursor.path())
    referenced = _names(cursor)
    cursor.expect("NOT", "ENFORCED")

    def make(resolve: Resolve) -> Any:
        made = _made()
        foreign = made.ForeignKey(name, columns, resolve(path), referenced)
        return made.KeyChange(True, foreign=foreign, name=name, lenient=lenient)

    return make


def _names(cursor: Cursor) -> Path:
    cursor.expect_symbol("(")
    found = [cursor.name()]
    while cursor.skip_symbol(","):
        found.append(cursor.name())
    cursor.expect_symbol(")")
    return tuple(found)


def _column(cursor: Cursor) -> Callable[[Resolve], Any]:
    """What stands behind ALTER COLUMN."""
    lenient = cursor.skip("IF", "EXISTS")
    name = cursor.name()
    more: dict[str, Any]
    if cursor.skip("DROP", "NOT", "NULL"):
        more = {"relax": True}
    elif cursor.skip("DROP", "DEFAULT"):
        more = {"default": ""}
    elif cursor.skip("SET", "DEFAULT"):
        more = {"default": cursor.part(*cursor.until({}))}
    elif cursor.skip("SET", "DATA", "TYPE"):
        start, end = cursor.until({}, types=True)
        more = {"type": _definition(cursor, start, end, "x ")}
    else:
        more = {"options": _set_options(cursor)}
    return lambda resolve: _made().ColumnChange(name, lenient, **more)


def _definition(cursor: Cursor, start: int, end: int, before: str = "") -> Any:
    """A column's definition as a field."""
    from tule.bigquery.sql.parse import parse
    from tule.bigquery.sql.statements import _column as column

    try:
        tree: Any = parse(f"CREATE TABLE t (\n{before}{cursor.part(start, end)})")
    except TuleError as error:
        raise cursor.text.shifted(error, start, lines=1) from None
    return column(tree.this.expressions[0])
