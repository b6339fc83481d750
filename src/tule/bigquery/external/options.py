"""How options of files are written: in LOAD DATA, in CREATE EXTERNAL TABLE, and in ``externalDataConfiguration``.

Each is turned into the words of ``configuration.load``, which ``formats.files`` reads.
https://cloud.google.com/bigquery/docs/reference/standard-sql/load-statements#load_option_list
https://cloud.google.com/bigquery/docs/reference/rest/v2/tables#externaldataconfiguration
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tule.bigquery.errors import invalid, invalid_query, not_implemented
from tule.bigquery.hive import encoded
from tule.bigquery.types import Field

_WORDS = {str: "STRING", bool: "BOOL", int: "INT64", list: "ARRAY<STRING>"}

# Option -> (field of configuration.load, type). A field with a dot is one of a part.
_OPTIONS: dict[str, tuple[str, type]] = {
    "format": ("sourceFormat", str),
    "uris": ("sourceUris", list),
    "allow_jagged_rows": ("allowJaggedRows", bool),
    "allow_quoted_newlines": ("allowQuotedNewlines", bool),
    "enable_list_inference": ("parquetOptions.enableListInference", bool),
    "enable_logical_types": ("useAvroLogicalTypes", bool),
    "encoding": ("encoding", str),
    "field_delimiter": ("fieldDelimiter", str),
    "file_set_spec_type": ("fileSetSpecType", str),
    "hive_partition_uri_prefix": ("hivePartitioningOptions.sourceUriPrefix", str),
    "ignore_unknown_values": ("ignoreUnknownValues", bool),
    "max_bad_records": ("maxBadRecords", int),
    "null_marker": ("nullMarker", str),
    "null_markers": ("nullMarkers", list),
    "quote": ("quote", str),
    "reference_file_schema_uri": ("referenceFileSchemaUri", str),
    "require_hive_partition_filter": ("hivePartitioningOptions.requirePartitionFilter", bool),
    "skip_leading_rows": ("skipLeadingRows", int),
}
_OF_CSV = frozenset(
    {"allow_jagged_rows", "allow_quoted_newlines", "field_delimiter", "null_marker", "null_markers", "quote",
     "skip_leading_rows"}
)  # fmt: skip
_FORMATS = {"JSON": "NEWLINE_DELIMITED_JSON"}
# What says the same where it is said with this value.
_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "compression": ("NONE", "GZIP"),
    "preserve_ascii_control_characters": (False,),
    "enum_as_string": (False,),
    "column_name_character_map": ("STRICT",),
}


def file_options(
    options: Mapping[str, Any], partitions: list[Field] | None, statement: str, *, others: tuple[str, ...] = ()
) -> dict[str, Any]:
    """OPTIONS of files as ``configuration.load``; ``others`` are options that are not about files."""
    made: dict[str, Any] = {}
    for name, value in options.items():
        if value is None or name in others:
            continue
        if name not in _OPTIONS:
            if value in _NEUTRAL.get(name, ()):
                continue
            raise not_implemented(
                f"The option {name} of {statement}", do=f"leave it out; done are {', '.join(_OPTIONS)}"
            )
        field, kind = _OPTIONS[name]
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise invalid_query(f"The option {name} must be of type {_WORDS[kind]}; given: {value!r}")
        head, _, rest = field.partition(".")
        if rest:
            made.setdefault(head, {})[rest] = value
        else:
            made[head] = value
    for name in ("format", "uris"):
        if not made.get(_OPTIONS[name][0]):
            raise invalid_query(f"The option {name} must be set in {statement}")
    made["sourceFormat"] = _FORMATS.get(made["sourceFormat"].upper(), made["sourceFormat"].upper())
    if made["sourceFormat"] != "CSV" and (of_csv := sorted(_OF_CSV & set(options))):
        raise invalid_query(f"The option {of_csv[0]} is of the format CSV alone; given: {made['sourceFormat']}")
    _partitioned(made, partitions)
    return made


def _partitioned(made: dict[str, Any], partitions: list[Field] | None) -> None:
    hive = made.get("hivePartitioningOptions")
    if partitions is None:
        if hive is not None:
            raise invalid_query(
                "hive_partition_uri_prefix and require_hive_partition_filter need the clause WITH PARTITION COLUMNS"
            )
        return
    hive = made.setdefault("hivePartitioningOptions", {})
    hive["mode"] = "CUSTOM" if partitions else "AUTO"
    if partitions:
        if not hive.get("sourceUriPrefix"):
            raise invalid_query("The option hive_partition_uri_prefix must be set where partition columns are listed")
        hive["sourceUriPrefix"] = encoded(hive["sourceUriPrefix"], partitions)


# Part of an ExternalDataConfiguration -> its fields, which configuration.load has by the same name.
_PARTS: dict[str, tuple[str, ...]] = {
    "csvOptions": (
        "fieldDelimiter", "skipLeadingRows", "quote", "allowQuotedNewlines", "allowJaggedRows", "encoding", "nullMarker",
        "nullMarkers",
    ),
    "avroOptions": ("useAvroLogicalTypes",),
    "jsonOptions": ("encoding",),
}  # fmt: skip
_PLAIN = (
    "sourceFormat", "sourceUris", "autodetect", "ignoreUnknownValues", "maxBadRecords", "parquetOptions",
    "hivePartitioningOptions", "referenceFileSchemaUri", "fileSetSpecType", "jsonExtension",
)  # fmt: skip


# What a configuration may say beside: texts that change nothing, and what is refused with words of its own.
_BESIDE = ("compression", "connectionId", "objectMetadata", "metadataCacheMode", "decimalTargetTypes", "schema")
_INSIDE = {
    "parquetOptions": ("enableListInference",),
    "hivePartitioningOptions": ("mode", "sourceUriPrefix", "requirePartitionFilter", "fields"),
}


def load_options(external: Mapping[str, Any]) -> dict[str, Any]:
    """An ``ExternalDataConfiguration`` in the words of ``configuration.load``; raises for what is not done."""
    _known(external)
    made = {key: external[key] for key in _PLAIN if external.get(key) is not None}
    for part, fields in _PARTS.items():
        made.update({key: external[part][key] for key in fields if (external.get(part) or {}).get(key) is not None})
    if external.get("compression") not in (None, "", "NONE", "GZIP"):
        raise not_implemented(
            f"compression {external['compression']}", do="use GZIP or NONE; what a file is shows itself"
        )
    for key, what in (("connectionId", "A connection of an external table"), ("objectMetadata", "An object table")):
        if external.get(key):
            raise not_implemented(what, do="leave it out; the server reads Cloud Storage itself")
    if external.get("metadataCacheMode") not in (None, "", "METADATA_CACHE_MODE_UNSPECIFIED"):
        raise not_implemented("metadataCacheMode", do="leave it out: files are listed when they are read")
    if external.get("decimalTargetTypes"):
        raise not_implemented("decimalTargetTypes", do="leave it out, or give a schema")
    if not made.get("sourceFormat"):
        raise invalid("Required parameter is missing: externalDataConfiguration.sourceFormat")
    return made


def _known(external: Mapping[str, Any]) -> None:
    parts = {**_PARTS, **_INSIDE}
    for key, value in external.items():
        if value in (None, "", [], {}):
            continue
        if key not in (*_PLAIN, *_BESIDE, *_PARTS):
            raise not_implemented(f"externalDataConfiguration.{key}", do="leave it out")
        for inner, given in value.items() if key in parts else ():
            if inner not in parts[key] and given not in (None, "", False, [], {}):
                raise not_implemented(f"externalDataConfiguration.{key}.{inner}", do="leave it out")


def external_configuration(load: Mapping[str, Any]) -> dict[str, Any]:
    """The other way round: what is stored for a table that a statement made."""
    made: dict[str, Any] = {key: load[key] for key in _PLAIN if key in load}
    part = "jsonOptions" if load.get("sourceFormat") == "NEWLINE_DELIMITED_JSON" else "csvOptions"
    for name in (part, "avroOptions"):
        found = {key: load[key] for key in _PARTS[name] if key in load}
        if found:
            made[name] = found
    return made
