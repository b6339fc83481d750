"""Receipts: what a method does with each field of its request.

A method names the fields that it *executes* and those that it only *stores* (descriptions). Any other field that
arrives set is *refused*, by name. Refusal is the default, so nothing that changes behaviour can be ignored in silence.
The table in the docs (``docs/coverage.md``) is these declarations.

A path is dotted, in the spelling of the wire (snake_case for messages, camelCase for JSON doors). A path that ends in
``.*`` covers a message or object and all below it, any other path only itself; ``*`` covers everything. Lists are looked
through. An object that arrives set but empty is covered where something below it is.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tule.kernel.errors import Unimplemented
from tule.wire.fields import behaviours


@dataclass(frozen=True)
class Receipt:
    """The declaration of one method."""

    executes: tuple[str, ...] = ()
    stores: tuple[str, ...] = ()

    @functools.cached_property
    def _exact(self) -> frozenset[str]:
        return frozenset((*self.executes, *self.stores))

    @functools.cached_property
    def whole(self) -> frozenset[str]:
        """The paths that are covered with all below them; walks may stop there."""
        return frozenset(path[:-2] for path in self._exact if path.endswith(".*"))

    @functools.cached_property
    def _above(self) -> frozenset[str]:
        return frozenset(above for path in self._exact for above in _ancestors(path))

    def covers(self, path: str) -> bool:
        """Whether the method does something with a path, or with an object that is empty (``path.``)."""
        if "*" in self._exact or path in self._exact:
            return True
        if path.endswith("."):
            return path[:-1] in self._above or self.covers(path[:-1])
        return path in self.whole or any(above in self.whole for above in _ancestors(path))

    def check(self, method: str, paths: Iterable[str]) -> None:
        """Raise Unimplemented naming every path that arrived set and is not covered."""
        refused = sorted({path.rstrip(".") for path in paths if not self.covers(path)})
        if refused:
            raise Unimplemented(
                f"Tule does not do {', '.join(refused[:_MOST_NAMED])}{_more(refused)} of {method}",
                do="leave it out; what is done stands in docs/coverage.md",
                reason="notImplemented",
                location=refused[0],
            )


_MOST_NAMED = 20


def _more(refused: list[str]) -> str:
    return f" and {len(refused) - _MOST_NAMED} more" if len(refused) > _MOST_NAMED else ""


def _ancestors(path: str) -> Iterator[str]:
    """
    >>> list(_ancestors("a.b.c"))
    ['a.b', 'a']
    """
    while "." in path:
        path = path.rpartition(".")[0]
        yield path


def json_paths(value: Any, prefix: str = "", *, whole: frozenset[str] = frozenset()) -> Iterator[str]:
    """The dotted paths of what a JSON body sets; null and empty lists set nothing, an empty object ends in a dot.

    Nothing below the ``whole`` paths is looked at.

    >>> sorted(json_paths({"a": {"b": 1, "c": None}, "d": [{"e": True}], "f": [], "g": {}}))
    ['a.b', 'd.e', 'g.']
    """
    if prefix in whole and prefix:
        yield prefix
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from json_paths(inner, f"{prefix}.{name}" if prefix else str(name), whole=whole)
        if not value and prefix:
            yield f"{prefix}."
    elif isinstance(value, list):
        for inner in value:
            yield from json_paths(inner, prefix, whole=whole)
    elif value is not None and prefix:
        yield prefix


# Well-known types are leaves: what is inside them is a value, not a field of the request.
_LEAVES = ("google.protobuf.",)


def message_paths(message: Any, prefix: str = "", *, whole: frozenset[str] = frozenset()) -> Iterator[str]:
    """The dotted paths of the fields that are set in a protobuf message; an empty message ends in a dot.

    Fields marked as output only are left out: clients send them back unread and Google ignores them. A field that the
    installed client package does not know is named by its number. Nothing below the ``whole`` paths is looked at.
    """
    if prefix in whole and prefix:
        yield prefix
        return
    fields = message.ListFields()
    filled_in = behaviours(message.DESCRIPTOR).output_only if fields else frozenset()
    for field, value in fields:
        if field.name in filled_in:
            continue
        path = f"{prefix}.{field.name}" if prefix else field.name
        inner = field.message_type
        if inner is None or inner.full_name.startswith(_LEAVES) or inner.GetOptions().map_entry:
            yield path
        else:
            for each in value if field.is_repeated else (value,):
                yield from message_paths(each, path, whole=whole)
    yield from _unknown(message, prefix)
    if not fields and prefix:
        yield f"{prefix}."


def _unknown(message: Any, prefix: str) -> Iterator[str]:
    from google.protobuf.unknown_fields import UnknownFieldSet

    found: Any = UnknownFieldSet(message)
    for each in found:
        yield f"{prefix}{'.' if prefix else ''}(field {each.field_number})"
