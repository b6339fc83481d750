"""Primary and foreign keys of tables: kept and shown, never enforced, as in BigQuery.

https://cloud.google.com/bigquery/docs/primary-foreign-keys
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tule.bigquery import schemas
from tule.bigquery.errors import invalid_query
from tule.bigquery.references import TableReference
from tule.bigquery.schemas import JsonField
from tule.bigquery.sql.statements import ForeignKey, KeyChange

_MOST_PRIMARY, _MOST_FOREIGN = 16, 64


def changed(
    given: Mapping[str, Any] | None, keys: Sequence[KeyChange], fields: Sequence[JsonField], table: TableReference
) -> dict[str, Any]:
    """``tableConstraints`` after some changes; raises in BigQuery's words for those that cannot be."""
    made: dict[str, Any] = {key: value for key, value in (given or {}).items() if value}
    for each in keys:
        if each.primary is not None:
            _primary(made, each, fields, table)
        elif each.foreign is not None:
            _add_foreign(made, each, each.foreign, fields)
        else:
            _drop(made, each, table)
    return made


def _primary(made: dict[str, Any], change: KeyChange, fields: Sequence[JsonField], table: TableReference) -> None:
    if not change.add:
        if "primaryKey" not in made and not change.lenient:
            raise invalid_query(f"Primary key not found in table {table}")
        made.pop("primaryKey", None)
        return
    if "primaryKey" in made:
        raise invalid_query(f"Already Exists: Primary key of table {table}")
    columns = [_column(fields, name) for name in change.primary or ()]
    if len(columns) > _MOST_PRIMARY:
        raise invalid_query(f"A primary key must have at most {_MOST_PRIMARY} columns; given: {len(columns)}")
    made["primaryKey"] = {"columns": columns}


def _add_foreign(made: dict[str, Any], change: KeyChange, key: ForeignKey, fields: Sequence[JsonField]) -> None:
    present = made.get("foreignKeys", [])
    name = key.name or f"fk${len(present) + 1}"
    if any(each["name"] == name for each in present):
        if change.lenient:
            return
        raise invalid_query(f"Already Exists: Constraint {name}")
    if len(key.columns) != len(key.referenced):
        raise invalid_query("The number of referencing columns in a foreign key must be that of the referenced ones")
    if len(present) >= _MOST_FOREIGN:
        raise invalid_query(f"A table must have at most {_MOST_FOREIGN} foreign keys")
    columns = [_column(fields, each) for each in key.columns]
    made["foreignKeys"] = [
        *present,
        {
            "name": name,
            "referencedTable": TableReference(key.table.project, key.table.dataset, key.table.table).json(),
            "columnReferences": [
                {"referencingColumn": own, "referencedColumn": other}
                for own, other in zip(columns, key.referenced, strict=True)
            ],
        },
    ]


def _drop(made: dict[str, Any], change: KeyChange, table: TableReference) -> None:
    present = made.get("foreignKeys", [])
    left = [each for each in present if each["name"] != change.name]
    if len(left) == len(present) and not change.lenient:
        raise invalid_query(f"Constraint {change.name} not found in table {table}")
    made["foreignKeys"] = left
    if not left:
        del made["foreignKeys"]


def _column(fields: Sequence[JsonField], name: str) -> str:
    found = schemas.find(list(fields), name)
    if found is None:
        raise invalid_query(f"Column {name} of a key was not found in the table")
    if found["mode"] == "REPEATED" or found["type"] == "RECORD":
        raise invalid_query(f"Column {name} of a key must be of a simple type")
    return str(found["name"])
