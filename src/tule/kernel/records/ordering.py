"""The order of a list (https://google.aip.dev/132#ordering): ``create_time desc, display_name``.

Names break ties, so that every order is total and a page can go on after the last record that was seen.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from tule.kernel.errors import InvalidArgument
from tule.kernel.records import paths as field_paths
from tule.kernel.records.filters import as_instant, as_number

# Orders that the database gives by itself.
COLUMNS = {"name": "name", "create_time": "create_us", "update_time": "update_us"}

_FIELD = re.compile(r"(\S+)(?:\s+(asc|desc))?", re.IGNORECASE)


class Field(NamedTuple):
    """One field of an order."""

    path: field_paths.Path
    descending: bool

    @property
    def column(self) -> str | None:
        """The column of the store that holds this field, None when it is in the body."""
        return COLUMNS.get(field_paths.snake(self.path[0])) if len(self.path) == 1 else None


Key = list[Any]


def parse(order_by: str) -> tuple[Field, ...]:
    """The fields of ``order_by``, always ending with the name.

    >>> [(field.path, field.descending) for field in parse("createTime desc, displayName")]
    [(('createTime',), True), (('displayName',), False), (('name',), False)]
    """
    found: list[Field] = []
    for part in order_by.split(",") if order_by.strip() else []:
        match = _FIELD.fullmatch(part.strip())
        if match is None:
            raise InvalidArgument(
                "An order must be fields joined by commas, each with asc or desc or nothing",
                given=repr(order_by),
                do='write it like "create_time desc, display_name"',
            )
        path, direction = match.groups()
        found.append(Field(field_paths.parse(path), (direction or "asc").lower() == "desc"))
    if not any(field.column == "name" for field in found):
        found.append(Field(("name",), False))
    return tuple(found)


def in_columns(fields: Sequence[Field]) -> bool:
    """Whether the database can order and cut the list by itself."""
    return all(field.column is not None for field in fields)


def value(body: dict[str, Any], field: Field) -> Any:
    """What ``body`` holds at a field, None when nothing."""
    spelled = tuple(field_paths.spellings(segment) for segment in field.path)
    return next(iter(field_paths.values(body, spelled)), None)


def rank(value: Any) -> Key:
    """A JSON value as a comparable pair: missing, booleans, numbers, moments, texts, in this order."""
    if value is None or isinstance(value, dict | list):
        return [0, 0]
    if isinstance(value, bool):
        return [1, int(value)]
    if isinstance(value, int | float):
        return [2, value]
    number = as_number(value)
    if number is not None:
        return [2, number]
    instant = as_instant(value)
    if instant is not None:
        return [3, instant.timestamp()]
    return [4, value]


def compare(left: Sequence[Key], right: Sequence[Key], fields: Sequence[Field]) -> int:
    """-1, 0 or 1 as the key ``left`` comes before, at or after ``right``."""
    for mine, other, field in zip(left, right, fields, strict=True):
        if mine != other:
            before = mine < other
            return -1 if before is not field.descending else 1
    return 0
