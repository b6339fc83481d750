"""INFORMATION_SCHEMA.VECTOR_INDEXES, VECTOR_INDEX_COLUMNS and VECTOR_INDEX_OPTIONS.

https://cloud.google.com/bigquery/docs/information-schema-vector-indexes
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from tule.bigquery.references import TableReference
from tule.bigquery.types import Field
from tule.kernel.records import Record

KIND = "bigquery#vectorIndex"
View = tuple[list[Field], list[dict[str, Any]]]


def _named(record: Record) -> dict[str, Any]:
    table = TableReference.of(record.name.rpartition("/vectorIndexes/")[0])
    return {
        "index_catalog": table.project, "index_schema": table.dataset, "table_name": table.table,
        "index_name": record.body["name"],
    }  # fmt: skip


def _fields(*more: Field) -> list[Field]:
    names = ("index_catalog", "index_schema", "table_name", "index_name")
    return [*(Field(name, "STRING") for name in names), *more]


def indexes(records: Sequence[Record]) -> View:
    """One row an index; each is made with its statement, so all its rows are in it."""
    moments = ("creation_time", "last_modification_time", "last_refresh_time", "disable_time")
    fields = _fields(
        Field("index_status", "STRING"),
        *(Field(name, "TIMESTAMP") for name in moments),
        Field("disable_reason", "STRING"),
        Field("ddl", "STRING"),
        Field("coverage_percentage", "INT64"),
        Field("unindexed_row_count", "INT64"),
        Field("total_logical_bytes", "INT64"),
        Field("total_storage_bytes", "INT64"),
        Field("last_index_alteration_info", "STRING"),
    )
    rows = [
        {
            **_named(record),
            "index_status": "ACTIVE",
            "creation_time": record.create_time,
            "last_modification_time": _moment(record.body["modified"]),
            "last_refresh_time": _moment(record.body["refreshed"]),
            "disable_time": None,
            "disable_reason": None,
            "ddl": record.body["ddl"],
            "coverage_percentage": 100,
            "unindexed_row_count": 0,
            "total_logical_bytes": record.body["bytes"],
            "total_storage_bytes": record.body["bytes"],
            "last_index_alteration_info": None,
        }
        for record in records
    ]
    return fields, rows


def columns(records: Sequence[Record]) -> View:
    """The indexed column of each, then those that it stores."""
    rows = []
    for record in records:
        paths = [record.body["column"], *record.body["stored"]]
        rows += [{**_named(record), "index_column_name": path, "index_field_path": path} for path in paths]
    return _fields(Field("index_column_name", "STRING"), Field("index_field_path", "STRING")), rows


_OPTIONS = ("index_type", "distance_type", "num_lists", "leaf_node_embedding_count", "normalization_type")


def options(records: Sequence[Record]) -> View:
    """One row an option that has a value."""
    rows = []
    for record in records:
        given = record.body["options"]
        for name in _OPTIONS:
            if (value := given.get(name)) is not None:
                kind = "INT64" if isinstance(value, int) else "STRING"
                rows.append({**_named(record), "option_name": name, "option_type": kind, "option_value": str(value)})
    return _fields(*(Field(name, "STRING") for name in ("option_name", "option_type", "option_value"))), rows


def _moment(micros: str) -> datetime:
    return datetime.fromtimestamp(int(micros) / 1_000_000, UTC)
