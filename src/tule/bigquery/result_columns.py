"""The columns of a query's result, as the fields of a table.

https://cloud.google.com/bigquery/docs/reference/rest/v2/tables#TableFieldSchema
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pyarrow as pa

from tule.bigquery import schemas
from tule.bigquery.errors import invalid_query
from tule.bigquery.schemas import JsonField
from tule.bigquery.sql.kinds import Kind, collates
from tule.bigquery.types import fields_of


def result_columns(schema: pa.Schema, kinds: Sequence[Kind | None] = ()) -> list[JsonField]:
    """The columns of a result whose types, as far as they are known, are ``kinds``; raises for a name that two of them
    have, since every result is a table."""
    fields = [each.rest() for each in fields_of(schema)]
    names = [each["name"].lower() for each in fields]
    if reserved := [each for each in names if each.startswith("_") and each.upper().startswith(schemas.RESERVED)]:
        raise invalid_query(
            f'Invalid field name "{fields[names.index(reserved[0])]["name"]}". Field names are not allowed to start with '
            "the (case-insensitive) prefixes _PARTITION, _TABLE_, _FILE_, _ROW_TIMESTAMP, __ROOT__ and _COLIDENTIFIER"
        )
    if len(set(names)) < len(names):
        twice = [name for name, times in Counter(names).items() if times > 1]
        raise invalid_query(
            f"Duplicate column names in the result are not supported. Found duplicate(s): {', '.join(twice)}"
        )
    if len(kinds) == len(fields):
        for field, kind in zip(fields, kinds, strict=True):
            _note(field, kind)
    return fields


def _note(field: JsonField, kind: Kind | None) -> None:
    """Write the collations of a type into its field."""
    if kind is not None and kind.name == "ARRAY":
        kind = kind.element
    if kind is None or not collates(kind):
        return
    if kind.collation:
        field["collation"] = kind.collation
    for inner, (_, each) in zip(field.get("fields", ()), kind.fields, strict=False):
        _note(inner, each)


__all__ = ["result_columns"]
