"""Resource names in requests: which resource a request is about, project numbers as ids."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

_NAME = re.compile(r"projects/[^/\s]+(?:/[^/\s]+)*")
_NUMBERED = re.compile(r"projects/([0-9]{1,20})((?:/[^/\s]+)*)")
# Texts that people write; they may look like anything.
_PROSE = frozenset({"display_name", "description"})


def project_of(resource: str) -> str:
    """The project of a resource name, '' for a name without one.

    >>> project_of("projects/p/locations/l"), project_of("operations/7")
    ('p', '')
    """
    head, _, rest = resource.partition("/")
    return rest.partition("/")[0] if head == "projects" else ""


def about(message: Any) -> str:
    """The resource that a request is about, '' when it names none: the first name, those of the request itself first."""
    return next(_names(message), "")


def elsewhere(message: Any, resource: str) -> Iterator[str]:
    """The resources that a request names in other projects than that of ``resource``."""
    own = project_of(resource)
    return (name for name in _names(message) if project_of(name) != own)


def _names(message: Any) -> Iterator[str]:
    inner: list[Any] = []
    for field, value in message.ListFields():
        if field.type == field.TYPE_STRING and field.name not in _PROSE:
            yield from (each for each in (value if field.is_repeated else (value,)) if _NAME.fullmatch(each))
        elif _has_names(field):
            inner.extend(value if field.is_repeated else (value,))
    for each in inner:
        yield from _names(each)


def _has_names(field: Any) -> bool:
    kind = field.message_type
    return kind is not None and not kind.GetOptions().map_entry and not kind.full_name.startswith("google.protobuf.")


def with_ids(message: Any, find: Callable[[int], str | None]) -> None:
    """Replace the project numbers in resource names by ids, in place: ids are what everything behind the wire knows.

    ``find`` gives the id of a number, None for one of no project seen; such a name stays as it is.
    """
    for field, value in message.ListFields():
        if field.type == field.TYPE_STRING:
            if field.name in _PROSE:
                continue
            if field.is_repeated:
                for index, each in enumerate(value):
                    value[index] = _with_id(each, find)
            elif (made := _with_id(value, find)) != value:
                setattr(message, field.name, made)
        elif _has_names(field):
            for each in value if field.is_repeated else (value,):
                with_ids(each, find)


def _with_id(name: str, find: Callable[[int], str | None]) -> str:
    found = _NUMBERED.fullmatch(name)
    if found is None:
        return name
    project = find(int(found.group(1)))
    return name if project is None else f"projects/{project}{found.group(2)}"
