"""BigQuery's types: names, Arrow forms, REST schemas and cell values, one table.

A ``Field`` is a column with its standard type name. Arrow cannot tell JSON or GEOGRAPHY from text, so such an Arrow field
carries the type's name in its metadata under ``bq``.

>>> Field("tags", "STRING", mode="REPEATED").arrow
pyarrow.Field<tags: list<item: string>>
>>> Field.from_rest({"name": "n", "type": "INTEGER"}).type
'INT64'
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa

from tule.kernel.errors import InvalidArgument, Unimplemented

NULLABLE, REQUIRED, REPEATED = "NULLABLE", "REQUIRED", "REPEATED"
METADATA = b"bq"

# Standard name -> (name in REST answers, Arrow type).
SCALARS: dict[str, tuple[str, pa.DataType]] = {
    "INT64": ("INTEGER", pa.int64()),
    "FLOAT64": ("FLOAT", pa.float64()),
    "NUMERIC": ("NUMERIC", pa.decimal128(38, 9)),
    "BIGNUMERIC": ("BIGNUMERIC", pa.decimal256(76, 38)),
    "BOOL": ("BOOLEAN", pa.bool_()),
    "STRING": ("STRING", pa.string()),
    "BYTES": ("BYTES", pa.binary()),
    "DATE": ("DATE", pa.date32()),
    "TIME": ("TIME", pa.time64("us")),
    "DATETIME": ("DATETIME", pa.timestamp("us")),
    "TIMESTAMP": ("TIMESTAMP", pa.timestamp("us", tz="UTC")),
    "JSON": ("JSON", pa.string()),
    "GEOGRAPHY": ("GEOGRAPHY", pa.string()),
    "INTERVAL": ("INTERVAL", pa.month_day_nano_interval()),
}
TOLD_BY_METADATA = frozenset({"JSON", "GEOGRAPHY", "RANGE"})
RANGE_ELEMENTS = ("DATE", "DATETIME", "TIMESTAMP")

SYNONYMS: dict[str, str] = {
    "INT": "INT64",
    "SMALLINT": "INT64",
    "INTEGER": "INT64",
    "BIGINT": "INT64",
    "TINYINT": "INT64",
    "BYTEINT": "INT64",
    "FLOAT": "FLOAT64",
    "DOUBLE": "FLOAT64",
    "DECIMAL": "NUMERIC",
    "BIGDECIMAL": "BIGNUMERIC",
    "BOOLEAN": "BOOL",
    "RECORD": "STRUCT",
}


def standard(name: str) -> str:
    """The standard name of a type given by any of its names; raises InvalidArgument."""
    upper = name.upper()
    found = SYNONYMS.get(upper, upper)
    if found not in SCALARS and found not in ("STRUCT", "RANGE"):
        raise InvalidArgument(f"Invalid field type {name}", do="use one of " + ", ".join(SCALARS), reason="invalid")
    return found


def _size(body: Mapping[str, Any], key: str) -> int | None:
    return int(body[key]) if body.get(key) else None


@dataclass(frozen=True)
class Field:
    """One column: ``type`` is a standard name (STRUCT with ``fields``, RANGE of ``element``), ``mode`` NULLABLE, REQUIRED
    or REPEATED; ``length``, ``precision`` and ``scale`` as in STRING(10) and NUMERIC(10, 2); ``default`` in GoogleSQL;
    ``collation`` of a STRING, None where none is said and "" where it is said that there is none."""

    name: str
    type: str
    mode: str = NULLABLE
    fields: tuple[Field, ...] = ()
    description: str = ""
    element: str = ""
    length: int | None = None
    precision: int | None = None
    scale: int | None = None
    default: str = ""
    collation: str | None = None

    @property
    def repeated(self) -> bool:
        return self.mode == REPEATED

    @cached_property
    def value_type(self) -> pa.DataType:
        """The Arrow type of one value: of an element where the field is repeated."""
        if self.type == "STRUCT":
            return pa.struct([each.arrow for each in self.fields])
        if self.type == "RANGE":
            bound = SCALARS[self.element][1]
            return pa.struct([pa.field("start", bound), pa.field("end", bound)])
        return SCALARS[self.type][1]

    @cached_property
    def arrow(self) -> pa.Field:
        """The Arrow field, with the type's name in its metadata where Arrow cannot tell."""
        metadata = {METADATA: self.type.encode()} if self.type in TOLD_BY_METADATA else None
        if self.repeated:
            item = pa.field("item", self.value_type, metadata=metadata)
            return pa.field(self.name, pa.list_(item), metadata=metadata)
        return pa.field(self.name, self.value_type, metadata=metadata)

    def rest(self) -> dict[str, Any]:
        """As REST answers write it: legacy type names."""
        made: dict[str, Any] = {
            "name": self.name,
            "type": {"STRUCT": "RECORD", "RANGE": "RANGE"}.get(self.type) or SCALARS[self.type][0],
            "mode": self.mode,
        }
        if self.element:
            made["rangeElementType"] = {"type": self.element}
        for key, value in (("maxLength", self.length), ("precision", self.precision), ("scale", self.scale)):
            if value is not None:
                made[key] = str(value)
        if self.default:
            made["defaultValueExpression"] = self.default
        if self.collation is not None:
            made["collation"] = self.collation
        if self.fields:
            made["fields"] = [each.rest() for each in self.fields]
        if self.description:
            made["description"] = self.description
        return made

    @classmethod
    def from_rest(cls, body: Mapping[str, Any]) -> Field:
        return cls(
            str(body["name"]),
            standard(str(body["type"])),
            str(body.get("mode") or NULLABLE).upper(),
            tuple(cls.from_rest(each) for each in body.get("fields") or ()),
            str(body.get("description") or ""),
            str((body.get("rangeElementType") or {}).get("type") or ""),
            length=_size(body, "maxLength"),
            precision=_size(body, "precision"),
            scale=_size(body, "scale"),
            default=str(body.get("defaultValueExpression") or ""),
            collation=body.get("collation"),
        )

    @classmethod
    def from_arrow(cls, field: pa.Field) -> Field:
        """The column that an Arrow field is; raises Unimplemented for a type that BigQuery lacks."""
        kind, mode, told = field.type, NULLABLE, _told(field)
        if _is_list(kind):
            kind, mode, told = kind.value_type, REPEATED, told or _told(kind.value_field)
            if _is_list(kind):
                raise InvalidArgument(
                    "Cannot construct an array with element type ARRAY because nested arrays are not supported",
                    given=f"column {field.name}",
                    reason="invalidQuery",
                )
        if told == "RANGE":
            return cls(field.name, "RANGE", mode, element=type_of(kind.field(0).type, field.name))
        if pa.types.is_struct(kind):
            return cls(field.name, "STRUCT", mode, tuple(cls.from_arrow(each) for each in kind))
        return cls(field.name, told or type_of(kind, field.name), mode)


def _told(field: pa.Field) -> str:
    return (field.metadata or {}).get(METADATA, b"").decode()


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def type_of(kind: pa.DataType, column: str = "") -> str:
    """The standard name for a scalar Arrow type."""
    tests = (
        (pa.types.is_boolean, "BOOL"),
        (pa.types.is_integer, "INT64"),
        (pa.types.is_floating, "FLOAT64"),
        (pa.types.is_string, "STRING"),
        (pa.types.is_large_string, "STRING"),
        (pa.types.is_string_view, "STRING"),
        (pa.types.is_binary, "BYTES"),
        (pa.types.is_large_binary, "BYTES"),
        (pa.types.is_fixed_size_binary, "BYTES"),
        (pa.types.is_binary_view, "BYTES"),
        (pa.types.is_date, "DATE"),
        (pa.types.is_time, "TIME"),
        (pa.types.is_interval, "INTERVAL"),
        (pa.types.is_null, "INT64"),
    )
    for fits, name in tests:
        if fits(kind):
            return name
    if pa.types.is_timestamp(kind):
        return "TIMESTAMP" if kind.tz else "DATETIME"
    if pa.types.is_decimal(kind):
        return "NUMERIC" if kind.scale <= 9 and kind.precision - kind.scale <= 29 else "BIGNUMERIC"
    if pa.types.is_dictionary(kind):
        return type_of(kind.value_type, column)
    raise Unimplemented("A column must have a type that BigQuery knows", given=f"{column}: {kind}", do="cast it")


def fields_of(schema: pa.Schema) -> list[Field]:
    return [Field.from_arrow(each) for each in schema]


def fields_from_rest(body: Iterable[Mapping[str, Any]]) -> list[Field]:
    return [Field.from_rest(each) for each in body]


def arrow_schema(fields: Sequence[Field]) -> pa.Schema:
    return pa.schema([each.arrow for each in fields])


def rest_schema(schema: pa.Schema) -> dict[str, Any]:
    """``{"fields": [...]}`` of a result."""
    return {"fields": [Field.from_arrow(each).rest() for each in schema]}


def conform(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """A batch with exactly this schema: columns cast where the engine gives a wider or narrower form of the type."""
    if batch.schema.equals(schema, check_metadata=True):
        return batch
    columns = [
        column if column.type.equals(want.type) else column.cast(want.type)
        for column, want in zip(batch.columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)
