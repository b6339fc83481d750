"""EXPORT DATA, LOAD DATA and external tables, read word by word; their queries and columns are parsed as others are.

https://cloud.google.com/bigquery/docs/reference/standard-sql/export-statements
https://cloud.google.com/bigquery/docs/reference/standard-sql/load-statements
https://cloud.google.com/bigquery/docs/reference/standard-sql/data-definition-language#create_external_table_statement
"""

from __future__ import annotations

from typing import Any, ClassVar

from sqlglot import exp

from tule.bigquery.sql.routine_statements import options_clause
from tule.bigquery.sql.words import Cursor, Text, words
from tule.kernel.errors import InvalidArgument, TuleError, Unimplemented


class ExportData(exp.Expression):
    """``EXPORT DATA OPTIONS (...) AS query``: ``this`` is the query, ``options`` by name in lower case."""

    arg_types: ClassVar[dict[str, bool]] = {"this": True, "options": True, "text": True}


class LoadData(exp.Expression):
    """``LOAD DATA``: ``this`` is the table's path, ``table`` a CREATE TABLE of its columns and layout, ``options`` those of
    the table, ``files`` those of the files; ``partitions``: None without WITH PARTITION COLUMNS, else a CREATE TABLE of
    their columns or False where none are listed; ``partition``: the equation of PARTITIONS."""

    arg_types: ClassVar[dict[str, bool]] = {
        "this": True, "table": True, "overwrite": False, "temporary": False, "options": True, "files": True,
        "partitions": False, "partition": False, "text": True,
    }  # fmt: skip


class CreateExternal(exp.Expression):
    """``CREATE EXTERNAL TABLE``: ``this`` is its path, ``table`` a CREATE TABLE of its columns or None; ``partitions`` as
    in ``LoadData``."""

    arg_types: ClassVar[dict[str, bool]] = {
        "this": True, "table": False, "replace": False, "exists": False, "options": True, "partitions": False,
        "text": True,
    }  # fmt: skip


class DropExternal(exp.Expression):
    """``DROP EXTERNAL TABLE``: ``this`` is its path."""

    arg_types: ClassVar[dict[str, bool]] = {"this": True, "exists": False, "text": True}


STATEMENTS = (ExportData, LoadData, CreateExternal, DropExternal)


def is_data_statement(starters: list[str]) -> bool:
    """Whether the first words of a statement, in capitals, are those of one that is read here."""
    if starters[:2] in (["EXPORT", "DATA"], ["LOAD", "DATA"]):
        return True
    rest = [each for each in starters[1:] if each not in ("OR", "REPLACE")]
    return starters[:1] in (["CREATE"], ["DROP"]) and rest[:2] == ["EXTERNAL", "TABLE"]


def parse_data_statement(text: str) -> exp.Expression:
    """Read one such statement; InvalidArgument with position for wrong syntax."""
    source = Text(text)
    cursor = Cursor(source, words(source))
    if cursor.skip("EXPORT", "DATA"):
        made = _export(cursor, text)
    elif cursor.skip("LOAD", "DATA"):
        made = _load(cursor, text)
    elif cursor.skip("DROP", "EXTERNAL", "TABLE"):
        exists = cursor.skip("IF", "EXISTS")
        made = DropExternal(this=tuple(cursor.path()), exists=exists, text=text.strip())
    else:
        made = _external(cursor, text)
    if not cursor.done:
        raise cursor.expected("end of input")
    return made


def _export(cursor: Cursor, text: str) -> exp.Expression:
    _no_connection(cursor)
    options = options_clause(cursor)
    cursor.expect("AS")
    start = cursor.start
    while not cursor.done:
        cursor.take()
    if cursor.end <= start:
        raise cursor.unexpected()
    query = _parsed(cursor, start, cursor.end)
    if not isinstance(query, exp.Query):
        raise cursor.text.error("Syntax error: EXPORT DATA must have a query behind AS", start)
    return ExportData(this=query, options=options, text=text.strip())


def _load(cursor: Cursor, text: str) -> exp.Expression:
    overwrite = cursor.skip("OVERWRITE")
    if not overwrite:
        cursor.expect("INTO")
    temporary = cursor.skip("TEMP", "TABLE") or cursor.skip("TEMPORARY", "TABLE")
    path = tuple(cursor.path())
    partition = None
    if cursor.at("PARTITIONS") or cursor.at("OVERWRITE", "PARTITIONS"):
        overwrite = cursor.skip("OVERWRITE") or overwrite
        cursor.expect("PARTITIONS")
        partition = _partition(cursor)
    table = _table(cursor)
    options = options_clause(cursor) if cursor.at("OPTIONS") else {}
    cursor.expect("FROM")
    files = options_clause(cursor, "FILES")
    partitions = _partitions(cursor)
    _no_connection(cursor)
    if partitions is None:
        partitions = _partitions(cursor)
    return LoadData(
        this=path, table=table, overwrite=overwrite, temporary=temporary, options=options, files=files,
        partitions=partitions, partition=partition, text=text.strip(),
    )  # fmt: skip


def _partition(cursor: Cursor) -> exp.Expression:
    """``(column = value)`` of the one partition that is loaded."""
    start, end = cursor.bracketed()
    query: Any = _parsed(cursor, start + 1, end - 1, "SELECT\n")
    made = query.expressions[0] if isinstance(query, exp.Select) else None
    if not isinstance(made, exp.EQ) or not isinstance(made.this, exp.Column):
        raise cursor.text.error("Syntax error: PARTITIONS must have one column = value", start)
    return made


def _external(cursor: Cursor, text: str) -> exp.Expression:
    cursor.expect("CREATE")
    replace = cursor.skip("OR", "REPLACE")
    cursor.expect("EXTERNAL", "TABLE")
    absent = cursor.skip("IF", "NOT", "EXISTS")
    if replace and absent:
        raise InvalidArgument("CREATE OR REPLACE and IF NOT EXISTS cannot be used together", reason="invalidQuery")
    path = tuple(cursor.path())
    table = _table(cursor, layout=False) if cursor.symbol("(") else None
    _no_connection(cursor)
    partitions = _partitions(cursor)
    options = options_clause(cursor)
    return CreateExternal(
        this=path,
        table=table,
        replace=replace,
        exists=absent,
        options=options,
        partitions=partitions,
        text=text.strip(),
    )


def _table(cursor: Cursor, *, layout: bool = True) -> exp.Expression:
    """``(columns)``, PARTITION BY and CLUSTER BY as a CREATE TABLE."""
    start = cursor.start
    if cursor.symbol("("):
        cursor.bracketed()
    if layout and cursor.skip("PARTITION", "BY"):
        cursor.until({"CLUSTER", "OPTIONS", "FROM"})
    if layout and cursor.skip("CLUSTER", "BY"):
        cursor.until({"OPTIONS", "FROM"}, commas=True)
    return _columns(cursor, start, max(start, cursor.end))


def _partitions(cursor: Cursor) -> Any:
    if not cursor.skip("WITH", "PARTITION", "COLUMNS"):
        return None
    return _columns(cursor, *cursor.bracketed()) if cursor.symbol("(") else False


def _no_connection(cursor: Cursor) -> None:
    if cursor.at("WITH", "CONNECTION"):
        raise _refused("WITH CONNECTION for files", "leave it out: the server reads and writes Cloud Storage itself")


def _refused(what: str, do: str) -> Unimplemented:
    return Unimplemented(f"{what} is not executed by Tule", do=do, reason="notImplemented", location="query")


def _columns(cursor: Cursor, start: int, end: int) -> exp.Expression:
    return _parsed(cursor, start, end, "CREATE TABLE t\n")


def _parsed(cursor: Cursor, start: int, end: int, before: str = "") -> exp.Expression:
    """The tree of a part of the text; places in errors are those of the whole."""
    from tule.bigquery.sql.parse import parse

    try:
        return parse(before + cursor.part(start, end))
    except TuleError as error:
        raise cursor.text.shifted(error, start, lines=before.count("\n")) from None
