"""One option of CREATE MODEL, and how the value written in SQL is read."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tule.kernel.errors import InvalidArgument


@dataclass(frozen=True)
class Option:
    """One option: its name in SQL, how a value is read, the model types that take it and its default there."""

    name: str
    read: Callable[[Option, Any], Any]
    types: frozenset[str]
    default: Any = None
    help: str = ""
    choices: tuple[str, ...] = ()
    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False

    @property
    def key(self) -> str:
        return self.name.lower()


PARTS = ("dnn", "linear")


def _wrong(option: Option, must: str, given: Any) -> InvalidArgument:
    return InvalidArgument(f"Option {option.name} must be {must}", given=repr(given), reason="invalidQuery")


def boolean(option: Option, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _wrong(option, "TRUE or FALSE", value)
    return value


def _in_range(option: Option, value: float) -> None:
    below = value <= option.low if option.open_low else value < option.low
    if below or value > option.high or math.isnan(value):
        edge = "(" if option.open_low else "["
        raise _wrong(option, f"in {edge}{option.low:g}, {option.high:g}]", value)


def integer(option: Option, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong(option, "a whole number", value)
    _in_range(option, value)
    return value


def number(option: Option, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(option, "a number", value)
    _in_range(option, value)
    return float(value)


def text(option: Option, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise _wrong(option, "a non-empty string", value)
    return value


def choice(option: Option, value: Any) -> str:
    if not isinstance(value, str) or value.upper() not in option.choices:
        raise _wrong(option, "one of " + ", ".join(option.choices), value)
    return value.upper()


def texts(option: Option, value: Any) -> list[str]:
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or not value or not all(isinstance(each, str) and each for each in value):
        raise _wrong(option, "an array of strings", value)
    return list(value)


def label(option: Option, value: Any) -> list[str]:
    names = texts(option, value)
    if len(names) != 1:
        raise _wrong(option, "an array with exactly one column name", value)
    return names


def class_weights(option: Option, value: Any) -> list[tuple[str, float]]:
    pairs: list[tuple[str, float]] = []
    for each in value if isinstance(value, list) else [None]:
        pair = tuple(each.values()) if isinstance(each, dict) else each
        if not isinstance(pair, tuple) or len(pair) != 2 or isinstance(pair[1], bool):
            raise _wrong(option, "an array of STRUCT(label STRING, weight FLOAT64)", value)
        if not isinstance(pair[0], str) or not isinstance(pair[1], int | float) or pair[1] < 0:
            raise _wrong(option, "an array of STRUCT(label STRING, weight FLOAT64), no weight below 0", value)
        if pair[0] in (label for label, _ in pairs):
            raise _wrong(option, "an array that names each label once", value)
        pairs.append((pair[0], float(pair[1])))
    return pairs


def text_or_texts(option: Option, value: Any) -> list[str]:
    """One name or an array of them."""
    names = texts(option, value)
    if len({name.lower() for name in names}) < len(names):
        raise _wrong(option, "different names", value)
    return names


def choices(option: Option, value: Any) -> list[str]:
    """One word of an enumeration or an array of them."""
    return [choice(option, each) for each in texts(option, value)]


def _by_part(read: Callable[[Option, Any], Any], option: Option, value: Any) -> dict[str, Any]:
    """One value for both parts of a wide and deep network, or STRUCTs that name the part: dnn, linear."""
    if not isinstance(value, list):
        return dict.fromkeys(PARTS, read(option, value))
    found: dict[str, Any] = {}
    for each in value:
        pair = tuple(each.values()) if isinstance(each, dict) else each
        if not isinstance(pair, tuple) or len(pair) != 2 or str(pair[0]).lower() not in PARTS:
            raise _wrong(option, "one value, or STRUCT('dnn', value) and STRUCT('linear', value)", value)
        found[str(pair[0]).lower()] = read(option, pair[1])
    return found


def choice_by_part(option: Option, value: Any) -> dict[str, str]:
    return _by_part(choice, option, value)


def number_by_part(option: Option, value: Any) -> dict[str, float]:
    return _by_part(number, option, value)


def whole_numbers(option: Option, value: Any) -> list[int]:
    """A tuple or an array of whole numbers."""
    if not isinstance(value, tuple | list) or not value:
        raise _wrong(option, "whole numbers in parentheses", value)
    return [integer(option, each) for each in value]


_FIXED = ("MAXIMIZE_PRECISION_AT_RECALL", "MAXIMIZE_RECALL_AT_PRECISION")


def objective(option: Option, value: Any) -> str | tuple[str, float]:
    """A word of an enumeration, or a STRUCT of one of the two that hold a number fixed and this number, 0 to 1."""
    if not isinstance(value, tuple):
        return choice(option, value)
    names = [name for name in option.choices if name in _FIXED]
    if len(value) != 2 or str(value[0]).upper() not in names:
        must = f"a word or STRUCT({' or '.join(names)}, a number)" if names else f"one of {', '.join(option.choices)}"
        raise _wrong(option, must, value)
    if isinstance(value[1], bool) or not isinstance(value[1], int | float) or not 0 <= value[1] <= 1:
        raise _wrong(option, f"STRUCT('{value[0]}', a number from 0 to 1)", value)
    return str(value[0]).upper(), float(value[1])
