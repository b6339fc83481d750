"""The types of parameters: which values fit, and how a value is written as text.

Numbers of a protobuf Struct are doubles; where a type or a value is whole, it becomes an integer again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tule.kernel.errors import InvalidArgument

TASK_FINAL_STATUS = "TASK_FINAL_STATUS"
# PrimitiveType of schema 2.0.0, as ParameterType.
_PRIMITIVE = {"INT": "NUMBER_INTEGER", "DOUBLE": "NUMBER_DOUBLE", "STRING": "STRING"}
_SAFE = 2**53


def named(kind: str, path: str) -> str:
    """The parameter type of a definition; raises InvalidArgument for one that there is not."""
    kind = _PRIMITIVE.get(kind, kind)
    if kind not in TYPES and kind != TASK_FINAL_STATUS:
        raise InvalidArgument(
            f"{path}.parameterType must be one of {', '.join(TYPES)}", given=kind or "none", location=path
        )
    return kind


def converted(kind: str, value: Any, what: str) -> Any:
    """A value as its type has it; raises InvalidArgument for one that does not fit.

    >>> converted("NUMBER_INTEGER", 3.0, "x"), converted("LIST", "[1, 2]", "x")
    (3, [1, 2])
    """
    if kind == TASK_FINAL_STATUS:
        return value
    try:
        return TYPES[kind](value)
    except (TypeError, ValueError):
        raise InvalidArgument(f"{what} must be {kind}", given=repr(value)[:200]) from None


def text_of(value: Any) -> str:
    """A value as a placeholder shows it: texts as they are, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(value)


def fits(given: str, wanted: str) -> bool:
    """Whether a parameter of one type may go where another is wanted; the value itself is looked at when it is there."""
    return given == wanted or {given, wanted} <= {"NUMBER_INTEGER", "NUMBER_DOUBLE"}


def _integer(value: Any) -> int:
    if isinstance(value, str):
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise ValueError
    return int(value)


def _double(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError
    return float(value)


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError
    return value


def _boolean(value: Any) -> bool:
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if value in (0, 1) and not isinstance(value, bool):
        return bool(value)
    if not isinstance(value, bool):
        raise ValueError
    return value


def _of(kind: type) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        if isinstance(value, str):
            value = json.loads(value)
        if not isinstance(value, kind):
            raise ValueError
        return whole(value)

    return convert


def whole(value: Any) -> Any:
    """A value of a Struct with its whole numbers as integers, at any depth."""
    if isinstance(value, float) and value.is_integer() and abs(value) < _SAFE:
        return int(value)
    if isinstance(value, list):
        return [whole(each) for each in value]
    if isinstance(value, dict):
        return {key: whole(each) for key, each in value.items()}
    return value


TYPES: dict[str, Callable[[Any], Any]] = {
    "NUMBER_DOUBLE": _double,
    "NUMBER_INTEGER": _integer,
    "STRING": _string,
    "BOOLEAN": _boolean,
    "LIST": _of(list),
    "STRUCT": _of(dict),
}
