"""Names and Arrow types of what goes into a model and comes out: kept in its bundle as plain JSON.

>>> Field.from_json(Field("tags", pa.list_(pa.string())).to_json()).type
ListType(list<item: string>)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from tule.kernel.errors import DataLoss, Unimplemented

_PLAIN: dict[str, pa.DataType] = {
    "null": pa.null(),
    "bool": pa.bool_(),
    "int8": pa.int8(),
    "int16": pa.int16(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "uint8": pa.uint8(),
    "uint16": pa.uint16(),
    "uint32": pa.uint32(),
    "uint64": pa.uint64(),
    "float16": pa.float16(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "string": pa.string(),
    "binary": pa.binary(),
    "date32": pa.date32(),
    "time64": pa.time64("us"),
    "datetime": pa.timestamp("us"),
    "timestamp": pa.timestamp("us", tz="UTC"),
}
_NAMES: dict[pa.DataType, str] = {kind: name for name, kind in _PLAIN.items()}


def plain_type(kind: pa.DataType) -> pa.DataType:
    """The type that a bundle records: dictionary, large and view variants, odd units and zones become one form."""
    if pa.types.is_dictionary(kind):
        return plain_type(kind.value_type)
    if isinstance(kind, pa.BaseExtensionType):
        return plain_type(kind.storage_type)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if (
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_binary_view(kind)
        or pa.types.is_fixed_size_binary(kind)
    ):
        return pa.binary()
    if pa.types.is_date(kind):
        return pa.date32()
    if pa.types.is_time(kind):
        return pa.time64("us")
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", tz="UTC") if kind.tz else pa.timestamp("us")
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return pa.list_(plain_type(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(field.name, plain_type(field.type)) for field in kind])
    return kind


def type_to_json(kind: pa.DataType) -> Any:
    """A JSON value for an Arrow type: ``"int64"``, ``["list", "string"]``, ``["struct", [["a", "int64"]]]``."""
    kind = plain_type(kind)
    if kind in _NAMES:
        return _NAMES[kind]
    if pa.types.is_decimal(kind):
        return ["decimal", kind.precision, kind.scale]
    if pa.types.is_list(kind):
        return ["list", type_to_json(kind.value_type)]
    if pa.types.is_struct(kind):
        return ["struct", [[field.name, type_to_json(field.type)] for field in kind]]
    raise Unimplemented(
        "A column must have a type that models understand", given=str(kind), do="cast the column, or leave it out"
    )


def type_from_json(text: Any) -> pa.DataType:
    """The Arrow type that ``type_to_json`` wrote."""
    match text:
        case str() if text in _PLAIN:
            return _PLAIN[text]
        case ["decimal", int(precision), int(scale)]:
            return pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(precision, scale)
        case ["list", item]:
            return pa.list_(type_from_json(item))
        case ["struct", list(fields)]:
            return pa.struct([pa.field(name, type_from_json(kind)) for name, kind in fields])
    raise DataLoss("A bundle must name known column types", given=text, do="save the model again")


@dataclass(frozen=True)
class Field:
    """One column: its name and Arrow type."""

    name: str
    type: pa.DataType

    def to_json(self) -> list[Any]:
        return [self.name, type_to_json(self.type)]

    @classmethod
    def from_json(cls, text: Sequence[Any]) -> Field:
        return cls(str(text[0]), type_from_json(text[1]))


@dataclass(frozen=True)
class Signature:
    """What a model reads and answers.

    ``inputs``: the columns given to ``fit`` as features, in their order, structs not expanded. ``label``: the label
    column, None for clustering. ``outputs``: the columns of ``Model.predict``.
    """

    inputs: tuple[Field, ...]
    label: Field | None
    outputs: tuple[Field, ...]

    @property
    def input_names(self) -> list[str]:
        return [field.name for field in self.inputs]

    def to_json(self) -> dict[str, Any]:
        return {
            "inputs": [field.to_json() for field in self.inputs],
            "label": self.label.to_json() if self.label else None,
            "outputs": [field.to_json() for field in self.outputs],
        }

    @classmethod
    def from_json(cls, text: Mapping[str, Any]) -> Signature:
        return cls(
            tuple(Field.from_json(field) for field in text["inputs"]),
            Field.from_json(text["label"]) if text["label"] else None,
            tuple(Field.from_json(field) for field in text["outputs"]),
        )
