"""JSON values in protobuf (google.protobuf.Value) as Python values, and back, quickly.

``MessageToDict`` and ``ParseDict`` look at descriptors for each value; a row of numbers is most of what predictions
carry, so it is read and written directly here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def to_python(value: Any) -> Any:
    """A google.protobuf.Value message as None, bool, float, str, list or dict."""
    match value.WhichOneof("kind"):
        case "number_value":
            return value.number_value
        case "list_value":
            return [
                item.number_value if item.HasField("number_value") else to_python(item)
                for item in value.list_value.values
            ]
        case "struct_value":
            return {key: to_python(item) for key, item in value.struct_value.fields.items()}
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
    return None


def fill(target: Any, value: Any) -> None:
    """Set the google.protobuf.Value message ``target`` to a JSON value; floats that JSON cannot write become null."""
    if isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, (int, float)):
        if value != value or value in (float("inf"), float("-inf")):
            target.null_value = 0
        else:
            target.number_value = value
    elif isinstance(value, str):
        target.string_value = value
    elif value is None:
        target.null_value = 0
    elif isinstance(value, dict):
        fields = target.struct_value.fields
        target.struct_value.SetInParent()
        for key, item in value.items():
            fill(fields[key], item)
    else:
        target.list_value.SetInParent()
        add = target.list_value.values.add
        for item in value:
            fill(add(), item)


def extend(target: Any, values: Iterable[Any]) -> None:
    """Append JSON values to a repeated google.protobuf.Value field."""
    for value in values:
        fill(target.add(), value)
