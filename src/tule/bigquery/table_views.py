"""``__TABLES__``, and the views of INFORMATION_SCHEMA on datasets, tables and their columns.

https://cloud.google.com/bigquery/docs/information-schema-table-options
https://cloud.google.com/bigquery/docs/information-schema-column-field-paths
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from tule.bigquery.catalog import type_text
from tule.bigquery.partitioning import TIME, is_by_loading
from tule.bigquery.partitions import partition_rows, partition_sizes
from tule.bigquery.references import TableReference
from tule.bigquery.tables import Tables
from tule.bigquery.types import Field, fields_from_rest
from tule.kernel.iam import Policies
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
    if body.get("requirePartitionFilter"):
        yield "require_partition_filter", "BOOL", "true"
    if body.get("enableChangeHistory"):
        yield "enable_change_history", "BOOL", "true"
    if span := (body.get("timePartitioning") or {}).get("expirationMs"):
        yield "partition_expiration_days", "FLOAT64", f"{int(span) / 86_400_000}"
    if about := body.get("materializedView"):
        yield "enable_refresh", "BOOL", str(about["enableRefresh"]).lower()
        yield "refresh_interval_minutes", "FLOAT64", f"{int(about['refreshIntervalMs']) / 60_000}"
        if staleness := about.get("maxStaleness"):
            yield "max_staleness", "INTERVAL", f'INTERVAL "{staleness}" YEAR TO SECOND'
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
                        "collation_name": field.collation or "NULL",
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
    fields = [
        *_text("table_catalog", "table_schema", "table_name"),
        Field("last_refresh_time", "TIMESTAMP"),
        Field("refresh_watermark", "TIMESTAMP"),
        Field("last_refresh_status", "STRUCT", "NULLABLE", tuple(_text("reason", "location", "debug_info", "message"))),
    ]
    rows = []
    for record in records:
        if record.body["type"] == "MATERIALIZED_VIEW":
            at = datetime.fromtimestamp(int(record.body["materializedView"]["lastRefreshTime"]) / 1000, UTC)
            rows.append({**_name(record), "last_refresh_time": at, "refresh_watermark": at})
    return fields, rows


# -- datasets


def schemata(records: Sequence[Record]) -> View:
    """One row a dataset."""
    moments = [Field("creation_time", "TIMESTAMP"), Field("last_modified_time", "TIMESTAMP")]
    fields = [
        *_text("catalog_name", "schema_name", "schema_owner"), *moments, *_text("location", "ddl", "default_collation_name"),
    ]  # fmt: skip
    rows = []
    for record in records:
        options = ", ".join(f"{name}={value}" for name, _, value in _schema_options(record.body))
        rows.append(
            {
                **_schema(record),
                "creation_time": record.create_time,
                "last_modified_time": record.update_time,
                "location": record.body.get("location"),
                "ddl": f"CREATE SCHEMA `{_schema(record)['catalog_name']}.{_schema(record)['schema_name']}`"
                + (
                    f"\nDEFAULT COLLATE '{record.body['defaultCollation']}'"
                    if "defaultCollation" in record.body
                    else ""
                )
                + (f"\nOPTIONS({options})" if options else "")
                + ";",
                "default_collation_name": record.body.get("defaultCollation", "NULL"),
            }
        )
    return fields, rows


def schemata_options(records: Sequence[Record]) -> View:
    """One row for each option that a dataset was given."""
    fields = _text("catalog_name", "schema_name", "option_name", "option_type", "option_value")
    rows = [
        {**_schema(record), "option_name": name, "option_type": kind, "option_value": value}
        for record in records
        for name, kind, value in _schema_options(record.body)
    ]
    return fields, rows


def _schema(record: Record) -> dict[str, Any]:
    reference = record.body["datasetReference"]
    return {"catalog_name": reference["projectId"], "schema_name": reference["datasetId"]}


_SPANS = {
    "defaultTableExpirationMs": ("default_table_expiration_days", 86_400_000),
    "defaultPartitionExpirationMs": ("default_partition_expiration_days", 86_400_000),
}


def _schema_options(body: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    yield from _options({key: body[key] for key in ("description", "friendlyName", "labels") if key in body})
    yield "location", "STRING", json.dumps(body.get("location"))
    for key, (name, unit) in _SPANS.items():
        if key in body:
            yield name, "FLOAT64", str(int(body[key]) / unit)
    if "maxTimeTravelHours" in body:
        yield "max_time_travel_hours", "INT64", str(body["maxTimeTravelHours"])


# -- tables

_TYPES = {"TABLE": "BASE TABLE", "MATERIALIZED_VIEW": "MATERIALIZED VIEW"}


def table_type(body: Mapping[str, Any]) -> str:
    """BASE TABLE, CLONE, SNAPSHOT, VIEW, MATERIALIZED VIEW or EXTERNAL."""
    return "CLONE" if "cloneDefinition" in body else _TYPES.get(body["type"], body["type"])


def tables(records: Sequence[Record]) -> View:
    """One row a table or view."""
    fields = [
        *_text("table_catalog", "table_schema", "table_name", "table_type", "managed_table_type", "is_insertable_into",
               "is_fine_grained_mutations_enabled", "is_typed", "is_change_history_enabled"),
        Field("creation_time", "TIMESTAMP"),
        *_text("base_table_catalog", "base_table_schema", "base_table_name"),
        Field("snapshot_time_ms", "TIMESTAMP"),
        *_text("ddl", "default_collation_name"),
    ]  # fmt: skip
    rows = []
    for record in records:
        kind = record.body["type"]
        rows.append(
            {
                **_name(record),
                "table_type": table_type(record.body),
                "managed_table_type": "NATIVE" if kind in ("TABLE", "SNAPSHOT") else None,
                "is_insertable_into": "YES" if kind == "TABLE" else "NO",
                "is_fine_grained_mutations_enabled": "NO",
                "is_typed": "NO",
                "is_change_history_enabled": "YES" if record.body.get("enableChangeHistory") else "NO",
                "creation_time": record.create_time,
                **_base(record.body),
                "ddl": ddl(record),
                "default_collation_name": record.body.get("defaultCollation", "NULL"),
            }
        )
    return fields, rows


def _base(body: Mapping[str, Any]) -> dict[str, Any]:
    """The table that a snapshot or a clone was made of, and the moment."""
    made = body.get("snapshotDefinition") or body.get("cloneDefinition")
    if made is None:
        return {}
    base = made["baseTableReference"]
    return {
        "base_table_catalog": base["projectId"],
        "base_table_schema": base["datasetId"],
        "base_table_name": base["tableId"],
        "snapshot_time_ms": datetime.fromisoformat(made.get("snapshotTime") or made["cloneTime"]),
    }


def ddl(record: Record) -> str:
    """The statement that makes a table or view."""
    body, reference = record.body, TableReference.of(record.name)
    options = ", ".join(f"{name}={value}" for name, _, value in _options(body))
    tail = f"\nOPTIONS({options})" if options else ""
    if body["type"] in ("VIEW", "MATERIALIZED_VIEW"):
        word, key = ("VIEW", "view") if body["type"] == "VIEW" else ("MATERIALIZED VIEW", "materializedView")
        return f"CREATE {word} `{reference.dotted}`{tail}\nAS {body[key]['query']};"
    word = {"SNAPSHOT": "SNAPSHOT TABLE", "EXTERNAL": "EXTERNAL TABLE"}.get(body["type"], "TABLE")
    columns = ",\n  ".join(_column_ddl(each) for each in body["schema"]["fields"])
    default = f"\nDEFAULT COLLATE '{body['defaultCollation']}'" if body.get("defaultCollation") else ""
    return f"CREATE {word} `{reference.dotted}`\n(\n  {columns}\n){default}{_layout_ddl(body)}{tail};"


def _column_ddl(given: Mapping[str, Any]) -> str:
    (field,) = fields_from_rest([dict(given)])
    text = f"{field.name} {_type_ddl(field)}"
    if default := given.get("defaultValueExpression"):
        text += f" DEFAULT {default}"
    if given["mode"] == "REQUIRED":
        text += " NOT NULL"
    if given.get("description"):
        text += f" OPTIONS(description={json.dumps(given['description'], ensure_ascii=False)})"
    return text


def _type_ddl(field: Field) -> str:
    """A type with the collations of its texts."""
    if field.type == "STRUCT":
        inner = ", ".join(f"{each.name} {_type_ddl(each)}" for each in field.fields)
        text = f"STRUCT<{inner}>"
    else:
        text = type_text(replace(field, mode="NULLABLE"))
        text += f" COLLATE '{field.collation}'" if field.collation else ""
    return f"ARRAY<{text}>" if field.repeated else text


def _layout_ddl(body: Mapping[str, Any]) -> str:
    made = ""
    if span := body.get("rangePartitioning"):
        bounds = span["range"]
        made += (
            f"\nPARTITION BY RANGE_BUCKET({span['field']}, GENERATE_ARRAY({bounds['start']}, {bounds['end']}, "
            f"{bounds['interval']}))"
        )
    elif is_by_loading(body):
        grain = body["timePartitioning"]["type"]
        made += "\nPARTITION BY " + (
            "DATE(_PARTITIONTIME)" if grain == "DAY" else f"TIMESTAMP_TRUNC(_PARTITIONTIME, {grain})"
        )
    elif time := body.get("timePartitioning"):
        kind = next((each["type"] for each in body["schema"]["fields"] if each["name"] == time["field"]), "TIMESTAMP")
        column = time["field"]
        plain = kind == "DATE" and time["type"] == "DAY"
        made += "\nPARTITION BY " + (column if plain else f"{kind}_TRUNC({column}, {time['type']})")
    if names := (body.get("clustering") or {}).get("fields"):
        made += f"\nCLUSTER BY {', '.join(names)}"
    return made


def views(records: Sequence[Record]) -> View:
    """One row a view."""
    fields = _text("table_catalog", "table_schema", "table_name", "view_definition", "check_option", "use_standard_sql")
    rows = [
        {
            **_name(record),
            "view_definition": record.body["view" if record.body["type"] == "VIEW" else "materializedView"]["query"],
            "use_standard_sql": "YES",
        }
        for record in records
        if record.body["type"] in ("VIEW", "MATERIALIZED_VIEW")
    ]
    return fields, rows


def snapshots(records: Sequence[Record]) -> View:
    """One row a snapshot."""
    fields = [
        *_text("table_catalog", "table_schema", "table_name", "base_table_catalog", "base_table_schema",
               "base_table_name"),
        Field("snapshot_time", "TIMESTAMP"),
    ]  # fmt: skip
    rows = []
    for record in records:
        if record.body["type"] == "SNAPSHOT":
            base = _base(record.body)
            rows.append({**_name(record), **base, "snapshot_time": base.pop("snapshot_time_ms")})
    for row in rows:
        row.pop("snapshot_time_ms", None)
    return fields, rows


def storage(records: Sequence[Record], tables: Tables) -> View:
    """One row a table with rows of its own. Bytes are logical ones; what they take on disk is not told by table."""
    numbers = (
        "total_rows", "total_partitions", "total_logical_bytes", "active_logical_bytes", "long_term_logical_bytes",
        "current_physical_bytes", "total_physical_bytes",
    )  # fmt: skip
    fields = [
        *_text("project_id", "table_catalog", "table_schema", "table_name"),
        Field("creation_time", "TIMESTAMP"),
        *(Field(name, "INT64") for name in numbers),
        Field("storage_last_modified_time", "TIMESTAMP"),
        Field("deleted", "BOOL"),
        *_text("table_type"),
    ]
    rows = []
    for record in records:
        if "physical" in record.body.get("_tule", {}):
            count, size = tables.measure(record)
            rows.append(
                {
                    **_name(record),
                    "project_id": _name(record)["table_catalog"],
                    "creation_time": record.create_time,
                    "total_rows": count,
                    "total_partitions": len(partition_rows(record, tables)),
                    "total_logical_bytes": size,
                    "active_logical_bytes": 0 if tables.is_long_term(record) else size,
                    "long_term_logical_bytes": size if tables.is_long_term(record) else 0,
                    "storage_last_modified_time": record.update_time,
                    "deleted": False,
                    "table_type": table_type(record.body),
                }
            )
    return fields, rows


def partitions(records: Sequence[Record], tables: Tables) -> View:
    """One row a partition, one for a table that has none."""
    fields = [
        *_text("table_catalog", "table_schema", "table_name", "partition_id"),
        *(Field(name, "INT64") for name in ("total_rows", "total_logical_bytes", "total_billable_bytes")),
        Field("last_modified_time", "TIMESTAMP"),
        *_text("storage_tier"),
    ]
    rows = []
    for record in records:
        if "physical" not in record.body.get("_tule", {}):
            continue
        for partition, own, size in partition_sizes(record, tables):
            rows.append(
                {
                    **_name(record),
                    "partition_id": partition,
                    "total_rows": own,
                    "total_logical_bytes": size,
                    "total_billable_bytes": size,
                    "last_modified_time": record.update_time,
                    "storage_tier": "LONG_TERM" if tables.is_long_term(record) else "ACTIVE",
                }
            )
    return fields, rows


def columns(records: Sequence[Record]) -> View:
    """One row a column."""
    fields = [
        Field("table_catalog", "STRING"),
        Field("table_schema", "STRING"),
        Field("table_name", "STRING"),
        Field("column_name", "STRING"),
        Field("ordinal_position", "INT64"),
        Field("is_nullable", "STRING"),
        Field("data_type", "STRING"),
        Field("is_generated", "STRING"),
        Field("is_hidden", "STRING"),
        Field("is_system_defined", "STRING"),
        Field("is_partitioning_column", "STRING"),
        Field("clustering_ordinal_position", "INT64"),
        Field("collation_name", "STRING"),
        Field("column_default", "STRING"),
        Field("rounding_mode", "STRING"),
    ]
    rows = []
    for record in records:
        body = record.body
        partition = (body.get("timePartitioning") or body.get("rangePartitioning") or {}).get("field")
        clusters = [name.lower() for name in (body.get("clustering") or {}).get("fields", [])]
        for position, field in enumerate(fields_from_rest(body["schema"]["fields"]), 1):
            rows.append(
                {
                    **_name(record),
                    "column_name": field.name,
                    "ordinal_position": position,
                    "is_nullable": "NO" if field.mode == "REQUIRED" else "YES",
                    "data_type": type_text(field),
                    "is_generated": "NEVER",
                    "is_hidden": "NO",
                    "is_system_defined": "NO",
                    "is_partitioning_column": "YES" if field.name == partition else "NO",
                    "clustering_ordinal_position": (
                        clusters.index(field.name.lower()) + 1 if field.name.lower() in clusters else None
                    ),
                    # The service writes NULL as a text here.
                    "collation_name": field.collation or "NULL",
                    "column_default": field.default or "NULL",
                    "rounding_mode": None,
                }
            )
        if is_by_loading(body):
            rows.append(
                {
                    **_name(record), "column_name": TIME, "is_nullable": "YES", "data_type": "TIMESTAMP",
                    "is_generated": "NEVER", "is_hidden": "YES", "is_system_defined": "YES",
                    "is_partitioning_column": "YES", "collation_name": "NULL", "column_default": "NULL",
                }
            )  # fmt: skip
    return fields, rows


# -- keys


def _keys(records: Sequence[Record]) -> Iterator[tuple[Record, str, str, list[tuple[str, str]], dict[str, Any]]]:
    """(record, name, type, pairs of own and referenced columns, referenced table) of each constraint."""
    for record in records:
        table = TableReference.of(record.name).table
        given = record.body.get("tableConstraints") or {}
        if primary := given.get("primaryKey"):
            yield record, f"{table}.pk$", "PRIMARY KEY", [(each, each) for each in primary["columns"]], {}
        for key in given.get("foreignKeys") or ():
            pairs = [(each["referencingColumn"], each["referencedColumn"]) for each in key["columnReferences"]]
            yield record, f"{table}.{key['name']}", "FOREIGN KEY", pairs, key["referencedTable"]


def _constraint(record: Record, name: str) -> dict[str, Any]:
    own = _name(record)
    return {
        "constraint_catalog": own["table_catalog"], "constraint_schema": own["table_schema"], "constraint_name": name,
    }  # fmt: skip


def constraints(records: Sequence[Record]) -> View:
    fields = _text(
        "constraint_catalog", "constraint_schema", "constraint_name", "table_catalog", "table_schema", "table_name",
        "constraint_type", "is_deferrable", "initially_deferred", "enforced",
    )  # fmt: skip
    never = {"is_deferrable": "NO", "initially_deferred": "NO", "enforced": "NO"}
    rows = [
        {**_constraint(record, name), **_name(record), "constraint_type": kind, **never}
        for record, name, kind, _, _ in _keys(records)
    ]
    return fields, rows


def key_columns(records: Sequence[Record]) -> View:
    fields = [
        *_text("constraint_catalog", "constraint_schema", "constraint_name", "table_catalog", "table_schema",
               "table_name", "column_name"),
        Field("ordinal_position", "INT64"),
        Field("position_in_unique_constraint", "INT64"),
    ]  # fmt: skip
    rows = [
        {
            **_constraint(record, name), **_name(record), "column_name": own, "ordinal_position": place,
            "position_in_unique_constraint": place if kind == "FOREIGN KEY" else None,
        }
        for record, name, kind, pairs, _ in _keys(records)
        for place, (own, _) in enumerate(pairs, 1)
    ]  # fmt: skip
    return fields, rows


def constraint_columns(records: Sequence[Record]) -> View:
    fields = _text(
        "table_catalog", "table_schema", "table_name", "column_name", "constraint_catalog", "constraint_schema",
        "constraint_name",
    )  # fmt: skip
    rows = []
    for record, name, _, pairs, other in _keys(records):
        named = _name(record)
        if other:
            named = {
                "table_catalog": other["projectId"], "table_schema": other["datasetId"], "table_name": other["tableId"],
            }  # fmt: skip
        rows += [{**named, "column_name": column, **_constraint(record, name)} for _, column in pairs]
    return fields, rows


def privileges(records: Sequence[Record], policies: Policies) -> View:
    """One row for each role that somebody was given on a dataset or a table."""
    fields = _text("object_catalog", "object_schema", "object_name", "object_type", "privilege_type", "grantee")
    rows = []
    for record in records:
        _, project, _, dataset, *rest = record.name.split("/")
        place = {
            "object_catalog": project,
            "object_schema": dataset if rest else None,
            "object_name": rest[1] if rest else dataset,
            "object_type": table_type(record.body).replace("BASE ", "") if rest else "SCHEMA",
        }
        rows += [
            {**place, "privilege_type": binding["role"], "grantee": member}
            for binding in policies.get(record.name)["bindings"]
            for member in binding["members"]
        ]
    return fields, rows
