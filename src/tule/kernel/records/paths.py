"""Field paths into a JSON body: display_name, labels.env, labels."a b", labels.`a.b`.

A body holds a Google message as camelCase JSON; paths come in snake_case or camelCase. Keys of maps are taken as they
are, so each segment is tried as written before its other spelling.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tule.kernel.errors import InvalidArgument

Path = tuple[str, ...]

_SEGMENT = re.compile(r'`([^`]+)`|"((?:[^"\\]|\\.)*)"|([^.`"]+)')


def camel(segment: str) -> str:
    """
    >>> camel("display_name"), camel("displayName"), camel("f0_")
    ('displayName', 'displayName', 'f0_')
    """
    return re.sub(r"(?<=[A-Za-z0-9])_([a-z0-9])", lambda found: found.group(1).upper(), segment)


def snake(segment: str) -> str:
    """
    >>> snake("displayName")
    'display_name'
    """
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda found: "_" + found.group(1).lower(), segment)


def spellings(segment: str) -> tuple[str, ...]:
    """The keys a segment may stand for, the written one first."""
    return tuple(dict.fromkeys((segment, camel(segment), snake(segment))))


def parse(text: str) -> Path:
    """The segments of a written path; raises InvalidArgument for an empty segment."""
    segments: list[str] = []
    position = 0
    while True:
        found = _SEGMENT.match(text, position)
        if found is None:
            raise InvalidArgument(
                "A field path must be names joined by dots, odd keys in backticks", given=f"{text!r} at {position}"
            )
        ticked, quoted, plain = found.groups()
        segments.append(ticked or (re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain.strip()))
        position = found.end()
        if position == len(text):
            return tuple(segments)
        if text[position] != ".":
            raise InvalidArgument("Segments of a field path must be joined by a dot", given=f"{text!r} at {position}")
        position += 1


def key_in(container: dict[str, Any], segment: str) -> str | None:
    """The key of ``container`` that ``segment`` means, None when there is none."""
    return next((key for key in spellings(segment) if key in container), None)


def values(body: Any, path: tuple[tuple[str, ...], ...]) -> Iterator[Any]:
    """Every value at ``path`` (spellings of each segment); lists on the way are looked into, element by element."""
    if not path:
        yield body
    elif isinstance(body, list):
        for element in body:
            yield from values(element, path)
    elif isinstance(body, dict):
        for key in path[0]:
            if key in body:
                yield from values(body[key], path[1:])
                return
