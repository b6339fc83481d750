"""Receipts: what a method does with each field of its request.

A method names the fields that it *executes* and those that it only *stores* (descriptions). Any other field that
arrives set is *refused*, by name. Refusal is the default, so nothing that changes behaviour can be ignored in silence.
The table in the docs (``docs/coverage.md``) is these declarations.

A path is dotted, in the spelling of the wire (snake_case for messages, camelCase for JSON doors). A path that names a
message or object covers it and all below when it ends in ``.*``, and only the leaf otherwise. Lists are looked through.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tule.kernel.errors import Unimplemented


@dataclass(frozen=True)
class Receipt:
    """The declaration of one method."""

    executes: tuple[str, ...] = ()
    stores: tuple[str, ...] = ()

    def covers(self, path: str) -> bool:
        return any(_fits(pattern, path) for pattern in (*self.executes, *self.stores))

    def check(self, method: str, paths: Iterable[str]) -> None:
        """Raise Unimplemented naming every path that arrived set and is not covered."""
        refused = sorted({path for path in paths if not self.covers(path)})
        if refused:
            raise Unimplemented(
                f"Tule does not do {', '.join(refused)} of {method}",
                do="leave it out; what is done stands in docs/coverage.md",
                reason="notImplemented",
                location=refused[0],
            )


def _fits(pattern: str, path: str) -> bool:
    if pattern == "*":
        return True
    if pattern.endswith(".*"):
        return path == pattern[:-2] or path.startswith(pattern[:-1])
    return path == pattern or path.startswith(pattern + "[")


def json_paths(value: Any, prefix: str = "") -> Iterator[str]:
    """The dotted paths of what a JSON body sets; null and empty objects and lists set nothing.

    >>> sorted(json_paths({"a": {"b": 1, "c": None}, "d": [{"e": True}], "f": []}))
    ['a.b', 'd.e']
    """
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from json_paths(inner, f"{prefix}.{name}" if prefix else str(name))
    elif isinstance(value, list):
        for inner in value:
            yield from json_paths(inner, prefix)
    elif value is not None and prefix:
        yield prefix


# Well-known types are leaves: what is inside them is a value, not a field of the request.
_LEAVES = ("google.protobuf.",)


def message_paths(message: Any, prefix: str = "") -> Iterator[str]:
    """The dotted paths of the fields that are set in a protobuf message, fields marked as output only left out."""
    for field, value in message.ListFields():
        path = f"{prefix}.{field.name}" if prefix else field.name
        if _output_only(field):
            continue
        inner = field.message_type
        if inner is None or inner.full_name.startswith(_LEAVES) or inner.GetOptions().map_entry:
            yield path
        elif _repeated(field):
            for each in value:
                yield from message_paths(each, path)
            if not any(each.ListFields() for each in value):
                yield path
        elif value.ListFields():
            yield from message_paths(value, path)
        else:
            yield path


def _repeated(field: Any) -> bool:
    return bool(field.is_repeated)


_OUTPUT_ONLY = 3


def _output_only(field: Any) -> bool:
    """Whether the API marks the field OUTPUT_ONLY; clients send such fields back unread and Google ignores them."""
    from google.api import field_behavior_pb2

    return _OUTPUT_ONLY in field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
