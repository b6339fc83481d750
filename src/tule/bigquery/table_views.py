"""``__TABLES__``, INFORMATION_SCHEMA.TABLE_OPTIONS, COLUMN_FIELD_PATHS and MATERIALIZED_VIEWS.

https://cloud.google.com/bigquery/docs/information-schema-table-options
https://cloud.google.com/bigquery/docs/information-schema-column-field-paths
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from tule.bigquery.catalog import type_text
from tule.bigquery.references import TableReference
from tule.bigquery.tables import Tables
from tule.bigquery.types import Field, fields_from_rest
from tule.kernel.records import Record

View = tuple[list[Field], list[dict[str, Any]]]

_NUMBERS = {"TABLE": 1, "VIEW": 2, "EXTERNAL": 3, "MATERIALIZED_VIEW": 4, "SNAPSHOT": 5}
_TEXTS = {"description": "description", "friendlyName": "friendly_name"}


def _text(*names: str) -> list[Field]:
    return [Field(name, "STRING") for name in names]


def _name(record: Record) -> dict[str, Any]:
    reference = TableReference.of(record.name)
    return {
        "table_catalog": reference.project, "table_schema": reference.dataset, "table_name": reference.table,
    }  # fmt: skip


def meta(records: Sequence[Record], tables: Tables) -> View:
    """``dataset.__TABLES__``: one row a table or view, with its rows and bytes."""
    whole = ("creation_time", "last_modified_time", "row_count", "size_bytes", "type")
    fields = [*_text("project_id", "dataset_id", "table_id"), *(Field(name, "INT64") for name in whole)]
    rows = []
    for record in records:
        reference, about = TableReference.of(record.name), tables.resource(record)
        rows.append(
            {
                "project_id": reference.project,
                "dataset_id": reference.dataset,
                "table_id": reference.table,
                "creation_time": int(about["creationTime"]),
                "last_modified_time": int(about["lastModifiedTime"]),
                "row_count": int(about["numRows"]) if "numRows" in about else None,
                "size_bytes": int(about["numBytes"]) if "numBytes" in about else None,
                "type": _NUMBERS[record.body["type"]],
            }
        )
    return fields, rows


def options(records: Sequence[Record]) -> View:
    """One row for each option that a table was given."""
    fields = _text("table_catalog", "table_schema", "table_name", "option_name", "option_type", "option_value")
    rows = [
        {**_name(record), "option_name": name, "option_type": kind, "option_value": value}
        for record in records
        for name, kind, value in _options(record.body)
    ]
    return fields, rows


def _options(body: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    for key, name in _TEXTS.items():
        if body.get(key):
            yield name, "STRING", json.dumps(body[key], ensure_ascii=False)
    if labels := body.get("labels"):
        pairs = ", ".join(f"STRUCT({json.dumps(key)}, {json.dumps(value)})" for key, value in labels.items())
        yield "labels", "ARRAY<STRUCT<STRING, STRING>>", f"[{pairs}]"
    if at := body.get("expirationTime"):
        moment = datetime.fromtimestamp(int(at) / 1000, UTC)
        yield "expiration_timestamp", "TIMESTAMP", f'TIMESTAMP "{moment.isoformat(timespec="milliseconds")[:-6]}Z"'


def field_paths(records: Sequence[Record]) -> View:
    """One row for each column and for each field inside of one."""
    fields = _text(
        "table_catalog", "table_schema", "table_name", "column_name", "field_path", "data_type", "description",
        "collation_name", "rounding_mode",
    )  # fmt: skip
    rows = []
    for record in records:
        for column in record.body["schema"]["fields"]:
            for path, given in _paths(column, ""):
                (field,) = fields_from_rest([given])
                rows.append(
                    {
                        **_name(record),
                        "column_name": column["name"],
                        "field_path": path,
                        "data_type": type_text(field),
                        "description": given.get("description"),
                        # The service writes NULL as a text here.
                        "collation_name": "NULL",
                        "rounding_mode": None,
                    }
                )
    return fields, rows


def _paths(field: dict[str, Any], above: str) -> Iterator[tuple[str, dict[str, Any]]]:
    path = f"{above}{field['name']}"
    yield path, field
    for inner in field.get("fields") or ():
        yield from _paths(inner, f"{path}.")


def materialized(records: Sequence[Record]) -> View:
    """One row for each materialized view."""
    fields = [*_text("table_catalog", "table_schema", "table_name"), Field("last_refresh_time", "TIMESTAMP")]
    return fields, [_name(record) for record in records if record.body["type"] == "MATERIALIZED_VIEW"]
