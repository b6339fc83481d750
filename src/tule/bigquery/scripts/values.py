"""Values of variables: a type, and the Python value that stands for it when it is bound.

A value comes out of the engine as one cell of Arrow, and goes back into it as a typed parameter.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from tule.bigquery.catalog import type_text
from tule.bigquery.sql import Parameter
from tule.bigquery.types import NULLABLE, Field

# What is taken for another type without a cast: by any value, and by a literal.
# https://cloud.google.com/bigquery/docs/reference/standard-sql/conversion_rules
_COERCED: dict[str, frozenset[str]] = {
    "INT64": frozenset({"NUMERIC", "BIGNUMERIC", "FLOAT64"}),
    "NUMERIC": frozenset({"BIGNUMERIC", "FLOAT64"}),
    "BIGNUMERIC": frozenset({"FLOAT64"}),
    "DATE": frozenset({"DATETIME"}),
}
_LITERALS: dict[str, frozenset[str]] = {
    "STRING": frozenset({"DATE", "DATETIME", "TIME", "TIMESTAMP"}),
    "FLOAT64": frozenset({"NUMERIC", "BIGNUMERIC"}),
}


@dataclass(frozen=True)
class Value:
    """``field`` tells the type (its name means nothing); ``size`` is the bytes that count against the limits."""

    field: Field
    value: Any = None
    size: int = 0

    @property
    def type(self) -> str:
        return type_text(self.field)

    @property
    def parameter(self) -> Parameter:
        return Parameter(self.type, self.value)


def of_column(column: pa.ChunkedArray | pa.Array, arrow: pa.Field, index: int = 0) -> Value:
    """One cell of a result."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):
        array = array.chunk(0)
    field = named(Field.from_arrow(arrow))
    cell = array.slice(index, 1)
    return Value(field, python(cell, field), cell.nbytes)


def named(field: Field) -> Field:
    """A type whose structs have a name for each field: the others cannot be told apart in a Python value."""
    if field.type != "STRUCT":
        return field
    seen: set[str] = set()
    fields = []
    for index, each in enumerate(field.fields):
        name = each.name if each.name and each.name.lower() not in seen else f"_field_{index + 1}"
        seen.add(name.lower())
        fields.append(replace(named(each), name=name))
    return replace(field, fields=tuple(fields))


def python(cell: pa.Array, field: Field) -> Any:
    """The Python value of an array of one element."""
    if not cell[0].is_valid:
        return None
    if field.repeated:
        inner = cell.flatten()
        element = replace(field, mode=NULLABLE)
        if field.type != "STRUCT":
            return inner.to_pylist()
        return [python(inner.slice(index, 1), element) for index in range(len(inner))]
    if field.type == "STRUCT":
        # ``field`` of an Arrow array leaves out the offset of a slice; ``flatten`` does not.
        parts = cell.flatten()
        return {each.name: python(parts[index], each) for index, each in enumerate(field.fields)}
    return cell[0].as_py()


def fits(given: Field, wanted: Field, *, literal: bool) -> bool:
    """Whether a value of one type is taken for one of another; ``literal``: it is written as a constant."""
    if given.repeated != wanted.repeated:
        return False
    if given.type == "STRUCT" and wanted.type == "STRUCT":
        return len(given.fields) == len(wanted.fields) and all(
            fits(mine, theirs, literal=literal) for mine, theirs in zip(given.fields, wanted.fields, strict=True)
        )
    if given.type == wanted.type:
        return True
    if given.repeated and not literal:
        return False
    return wanted.type in _COERCED.get(given.type, ()) or (literal and wanted.type in _LITERALS.get(given.type, ()))


def same(given: Field, wanted: Field) -> bool:
    """Whether two types are equal but for the names of their fields."""
    return (
        given.type == wanted.type
        and given.repeated == wanted.repeated
        and len(given.fields) == len(wanted.fields)
        and all(same(mine, theirs) for mine, theirs in zip(given.fields, wanted.fields, strict=True))
    )


def renamed(value: Any, given: Field, wanted: Field) -> Any:
    """A value with the names that the wanted type gives to the fields of its structs."""
    if value is None or given.type != "STRUCT":
        return value
    if given.repeated:
        one, other = replace(given, mode=NULLABLE), replace(wanted, mode=NULLABLE)
        return [renamed(each, one, other) for each in value]
    return {
        theirs.name: renamed(value[mine.name], mine, theirs)
        for mine, theirs in zip(given.fields, wanted.fields, strict=True)
    }
