"""GRANT and REVOKE, read word by word.

https://cloud.google.com/bigquery/docs/reference/standard-sql/data-control-language
"""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from tule.bigquery.sql.table_statements import Resolve, TableStatement, string
from tule.bigquery.sql.words import Cursor, Text, words

_KINDS = ("SCHEMA", "TABLE", "VIEW", "EXTERNAL")


def is_permission_statement(starters: list[str]) -> bool:
    return starters[:1] in (["GRANT"], ["REVOKE"])


def parse_permission_statement(text: str) -> exp.Expression:
    """Read one such statement; InvalidArgument with position for wrong syntax."""
    source = Text(text)
    cursor = Cursor(source, words(source))
    kind = cursor.take().text.upper()
    roles = [_role(cursor)]
    while cursor.skip_symbol(","):
        roles.append(_role(cursor))
    cursor.expect("ON")
    on = next((each for each in _KINDS if cursor.skip(each)), None)
    if on is None:
        raise cursor.expected("keyword SCHEMA, TABLE, VIEW or EXTERNAL TABLE")
    if on == "EXTERNAL":
        cursor.expect("TABLE")
    path = tuple(cursor.path())
    cursor.expect("TO" if kind == "GRANT" else "FROM")
    members = [string(cursor)]
    while cursor.skip_symbol(","):
        members.append(string(cursor))
    if not cursor.done:
        raise cursor.expected("end of input")

    def make(resolve: Resolve, tree: Any) -> Any:
        from tule.bigquery.sql.table_definitions import Permissions

        found = resolve((*path, "_") if on == "SCHEMA" else path)
        table = "" if on == "SCHEMA" else found.table
        return Permissions(kind, tree, tuple(roles), found.project, found.dataset, table, tuple(members))

    return TableStatement(this=make, text=text.strip())


def _role(cursor: Cursor) -> str:
    """``roles/bigquery.dataViewer`` in backticks."""
    return cursor.name()


__all__ = ["is_permission_statement", "parse_permission_statement"]
