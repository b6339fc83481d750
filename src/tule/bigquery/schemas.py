"""Schemas as REST JSON: checking what arrives, and telling how a schema may change.

https://cloud.google.com/bigquery/docs/managing-table-schemas
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tule.bigquery import collations
from tule.bigquery.errors import invalid, not_implemented
from tule.bigquery.type_parameters import attributes, widened
from tule.bigquery.types import Field

JsonField = dict[str, Any]

# What clients may write -> what the REST API answers.
REST_TYPES: dict[str, str] = {
    "STRING": "STRING",
    "BYTES": "BYTES",
    "INTEGER": "INTEGER",
    "INT64": "INTEGER",
    "FLOAT": "FLOAT",
    "FLOAT64": "FLOAT",
    "BOOLEAN": "BOOLEAN",
    "BOOL": "BOOLEAN",
    "NUMERIC": "NUMERIC",
    "DECIMAL": "NUMERIC",
    "BIGNUMERIC": "BIGNUMERIC",
    "BIGDECIMAL": "BIGNUMERIC",
    "DATE": "DATE",
    "TIME": "TIME",
    "DATETIME": "DATETIME",
    "TIMESTAMP": "TIMESTAMP",
    "JSON": "JSON",
    "GEOGRAPHY": "GEOGRAPHY",
    "INTERVAL": "INTERVAL",
    "RANGE": "RANGE",
    "RECORD": "RECORD",
    "STRUCT": "RECORD",
}
_MODES = ("NULLABLE", "REQUIRED", "REPEATED")
_NAME = re.compile(r"[^\W\d][\w \-&%=+:'<>#|]{0,299}")
RESERVED = ("_TABLE_", "_FILE_", "_PARTITION", "_ROW_TIMESTAMP", "__ROOT__", "_COLIDENTIFIER", "_CHANGE_")
_KNOWN = frozenset(
    {"name", "type", "mode", "fields", "description", "maxLength", "precision", "scale", "roundingMode",
     "defaultValueExpression", "rangeElementType", "collation"}
)  # fmt: skip
_DEEPEST = 15
# Attributes that change behaviour; each is refused by name unless it has the value that changes nothing.
_REFUSED: dict[str, tuple[Any, ...]] = {
    "policyTags": (None, {}, {"names": []}),
    "timestampPrecision": (None, "", 6, "6"),
    "foreignTypeDefinition": (None, ""),
    "categories": (None, {}),
    "dataPolicies": (None, []),
}


def checked(fields: Any, *, prefix: str = "", depth: int = 0) -> list[JsonField]:
    """Fields as they are stored and answered; raises for what cannot be a schema."""
    if not isinstance(fields, list):
        raise invalid(f"schema.fields must be a list; given: {type(fields).__name__}")
    if depth > _DEEPEST:
        raise invalid(f"A schema may be nested at most {_DEEPEST} levels deep")
    found: dict[str, JsonField] = {}
    for each in fields:
        field = _field(each, prefix, depth)
        if field["name"].lower() in found:
            raise invalid(f"Duplicate field name: {prefix}{field['name']}")
        found[field["name"].lower()] = field
    return list(found.values())


def _field(given: Any, prefix: str, depth: int) -> JsonField:
    if not isinstance(given, Mapping) or not isinstance(given.get("name"), str):
        raise invalid(f"Each field of a schema must be an object with a name; given: {given!r}")
    name = given["name"]
    path = prefix + name
    if _NAME.fullmatch(name) is None and not re.fullmatch(r"_\w{0,299}", name):
        raise invalid(
            f'Invalid field name "{name}". Fields must contain the allowed characters, and be at most 300 characters '
            "long."
        )
    if name.upper().startswith(RESERVED):
        raise invalid(f'Invalid field name "{name}". Field names must not begin with a reserved prefix')
    for key, value in given.items():
        if key in _REFUSED:
            if value not in _REFUSED[key]:
                raise not_implemented(f"The attribute {key} of field {path}", do="leave it out")
        elif key not in _KNOWN:
            raise not_implemented(f"The attribute {key} of field {path}", do="leave it out")
    kind = REST_TYPES.get(str(given.get("type", "")).upper())
    if kind is None:
        raise invalid(f"Invalid value for type: {given.get('type')!r} is not a valid value; field: {path}")
    mode = str(given.get("mode") or "NULLABLE").upper()
    if mode not in _MODES:
        raise invalid(f"Invalid value for mode: {given.get('mode')!r} is not a valid value; field: {path}")
    field: JsonField = {"name": name, "type": kind, "mode": mode}
    if kind == "RECORD":
        inner = checked(given.get("fields") or [], prefix=path + ".", depth=depth + 1)
        if not inner:
            raise invalid(f"Field {path} is type RECORD but has no schema")
        field["fields"] = inner
    elif given.get("fields"):
        raise invalid(f"Field {path} is of type {kind} and cannot have fields")
    if given.get("description"):
        field["description"] = str(given["description"])
    field |= attributes(given, kind, path, depth) | collations.attribute(given, kind, path)
    if "defaultValueExpression" in field:
        from tule.bigquery.sql.defaults import check

        check(Field.from_rest(field))
    return field


@dataclass(frozen=True)
class SchemaChange:
    """A schema after a change. ``rows_change``: whether stored rows must be rewritten to fit it."""

    fields: list[JsonField]
    rows_change: bool


def updated(table: object, old: Sequence[JsonField], new: Sequence[JsonField], collation: str = "") -> SchemaChange:
    """``new`` as the schema of a table that has ``old``: fields may be added, relaxed and described. ``collation``: that of
    new fields that say none.

    Raises in BigQuery's words for anything else.
    """
    return _compare(table, old, new, add=True, relax=True, complete=True, collation=collation)


def appended(
    table: object, old: Sequence[JsonField], new: Sequence[JsonField], *, add: bool, relax: bool, collation: str = ""
) -> SchemaChange:
    """The table's schema after rows of schema ``new`` are appended; ``add`` and ``relax`` as schemaUpdateOptions say."""
    return _compare(table, old, new, add=add, relax=relax, complete=False, collation=collation)


def _compare(
    table: object,
    old: Sequence[JsonField],
    new: Sequence[JsonField],
    *,
    add: bool,
    relax: bool,
    complete: bool,
    collation: str,
    prefix: str = "",
) -> SchemaChange:
    head = f"Provided Schema does not match Table {table}."
    given = {each["name"].lower(): each for each in new}
    fields: list[JsonField] = []
    changed = False
    for before in old:
        after = given.pop(before["name"].lower(), None)
        path = prefix + before["name"]
        if after is None:
            if complete:
                raise invalid(f"{head} Field {path} is missing in new schema")
            if before["mode"] == "REQUIRED":
                if not relax:
                    raise invalid(f"{head} Field {path} is missing in new schema")
                changed = True
                before = {**before, "mode": "NULLABLE"}
            fields.append(before)
            continue
        if after["type"] != before["type"]:
            raise invalid(f"{head} Field {path} has changed type from {before['type']} to {after['type']}")
        merged = dict(before)
        if after["mode"] != before["mode"]:
            relaxed = (before["mode"], after["mode"]) == ("REQUIRED", "NULLABLE")
            tightened = (before["mode"], after["mode"]) == ("NULLABLE", "REQUIRED")
            if (relaxed and not relax) or not (relaxed or (tightened and not complete)):
                raise invalid(f"{head} Field {path} has changed mode from {before['mode']} to {after['mode']}")
            if relaxed:
                merged["mode"] = "NULLABLE"
                changed = True
        if after.get("rangeElementType") != before.get("rangeElementType"):
            raise invalid(f"{head} Field {path} has changed rangeElementType")
        if complete and after.get("collation", before.get("collation", "")) != before.get("collation", ""):
            raise invalid(f"{head} Field {path} has changed collation")
        if complete:
            for key in ("description", "defaultValueExpression", "roundingMode"):
                merged.pop(key, None)
                if key in after:
                    merged[key] = after[key]
            if (parameters := widened(before, after, path, head)) is not None:
                for key in ("maxLength", "precision", "scale"):
                    merged.pop(key, None)
                merged |= parameters
                changed = True
        if before["type"] == "RECORD":
            inner = _compare(
                table, before["fields"], after["fields"], add=add, relax=relax, complete=complete, collation=collation,
                prefix=path + ".",
            )  # fmt: skip
            merged["fields"] = inner.fields
            changed = changed or inner.rows_change
        fields.append(merged)
    for extra in given.values():
        if not add:
            raise invalid(f"{head} Cannot add fields (field: {prefix}{extra['name']})")
        if extra["mode"] == "REQUIRED":
            raise invalid(f"{head} Cannot add required fields to an existing schema. (field: {prefix}{extra['name']})")
        fields += collations.inherited([extra], collation)
        changed = True
    return SchemaChange(fields, changed)


def selected(fields: Sequence[JsonField], names: str) -> list[JsonField]:
    """The fields of ``selectedFields`` (``a,b.c``), in the table's order; all where it is empty."""
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    return _pick(fields, wanted, "") if wanted else list(fields)


def _pick(fields: Sequence[JsonField], wanted: Iterable[str], prefix: str) -> list[JsonField]:
    inner: dict[str, list[str]] = {}
    for name in wanted:
        head, _, rest = name.partition(".")
        paths = inner.setdefault(head.lower(), [])
        if rest:
            paths.append(rest)
        else:
            paths.append("")
    found = []
    for each in fields:
        paths_of = inner.pop(each["name"].lower(), None)
        if paths_of is None:
            continue
        if "" in paths_of or each["type"] != "RECORD":
            found.append(each)
        else:
            found.append({**each, "fields": _pick(each["fields"], paths_of, f"{prefix}{each['name']}.")})
    if inner:
        raise invalid(f"No such field: {prefix}{next(iter(inner))}", location="selectedFields")
    return found


def find(fields: Sequence[JsonField], name: str) -> JsonField | None:
    """A top-level field by name, without regard to case."""
    return next((each for each in fields if each["name"].lower() == name.lower()), None)


_PARTITION_TYPES = ("DATE", "DATETIME", "TIMESTAMP")
_CLUSTER_TYPES = (*_PARTITION_TYPES, "STRING", "INTEGER", "NUMERIC", "BIGNUMERIC", "BOOLEAN", "GEOGRAPHY")
_GRAINS = ("HOUR", "DAY", "MONTH", "YEAR")
_MOST_CLUSTERS = 4
_LONGEST_LIFETIME = 1_000 * 366 * 86_400_000


def layout(body: Mapping[str, Any], fields: Sequence[JsonField]) -> dict[str, Any]:
    """Partitioning and clustering of a table, checked against its fields."""
    made: dict[str, Any] = {}
    partition = body.get("timePartitioning")
    if partition:
        made["timePartitioning"] = _time_partitioning(partition, fields)
    if body.get("rangePartitioning"):
        if partition:
            raise invalid("A table must not have both timePartitioning and rangePartitioning")
        made["rangePartitioning"] = _range_partitioning(body["rangePartitioning"], fields)
    clustering = body.get("clustering")
    if clustering and clustering.get("fields"):
        names = clustering["fields"]
        if len(names) > _MOST_CLUSTERS:
            raise invalid(f"A table may be clustered by at most {_MOST_CLUSTERS} fields; given: {len(names)}")
        for name in names:
            field = find(fields, name)
            if field is None:
                raise invalid(
                    f"The field specified for clustering cannot be found in the schema. Invalid field: {name}."
                )
            if field["type"] not in _CLUSTER_TYPES or field["mode"] == "REPEATED":
                raise invalid(f"A field of type {field['type']} cannot be clustered by. Invalid field: {name}.")
        collations.check_clusters(fields, names)
        made["clustering"] = {"fields": list(names)}
    return made


def _time_partitioning(given: Mapping[str, Any], fields: Sequence[JsonField]) -> dict[str, Any]:
    grain = str(given.get("type") or "DAY").upper()
    if grain not in _GRAINS:
        raise invalid(f"timePartitioning.type must be one of {', '.join(_GRAINS)}; given: {given.get('type')!r}")
    made = {"type": grain}
    if given.get("expirationMs") is not None and (lifetime := partition_lifetime(given["expirationMs"])):
        made["expirationMs"] = str(lifetime)
    name = given.get("field")
    if not name:
        return made
    field = find(fields, name)
    if field is None:
        raise invalid(f"The field specified for partitioning cannot be found in the schema. Invalid field: {name}.")
    if field["type"] not in _PARTITION_TYPES or field["mode"] == "REPEATED":
        raise invalid(
            f"The field specified for time partitioning must be of type {', '.join(_PARTITION_TYPES)}; field {name} is "
            f"{field['type']}"
        )
    if field["type"] == "DATE" and grain == "HOUR":
        raise invalid(f"A column of type DATE cannot be partitioned by HOUR. Invalid field: {name}.")
    return {**made, "field": field["name"]}


def partition_lifetime(given: Any, name: str = "expirationMs") -> int:
    """A number of milliseconds; 0 for partitions that are kept for ever."""
    try:
        lifetime = int(given)
    except (TypeError, ValueError):
        lifetime = -1
    if not 0 <= lifetime <= _LONGEST_LIFETIME:
        raise invalid(f"{name} must be a number of milliseconds that is not negative; given: {given!r}")
    return lifetime


def _range_partitioning(given: Mapping[str, Any], fields: Sequence[JsonField]) -> dict[str, Any]:
    field = find(fields, str(given.get("field", "")))
    if field is None or field["type"] != "INTEGER" or field["mode"] == "REPEATED":
        raise invalid(f"rangePartitioning.field must be an INTEGER column; given: {given.get('field')!r}")
    bounds = given.get("range") or {}
    try:
        start, end, step = (int(bounds[key]) for key in ("start", "end", "interval"))
    except (KeyError, TypeError, ValueError):
        raise invalid("rangePartitioning.range must have whole numbers start, end and interval") from None
    if step <= 0 or end <= start:
        raise invalid(f"rangePartitioning.range must go up; given: {dict(bounds)}")
    return {"field": field["name"], "range": {"start": str(start), "end": str(end), "interval": str(step)}}
