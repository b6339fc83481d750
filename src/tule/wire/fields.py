"""What an API says of a message's fields beyond their types: which it fills in itself, which must be given.

Plain protobuf messages carry this as options (google.api.field_behavior). The messages of client packages lost their
options when they were generated; the words "Output only." and "Required." stand in their documentation instead.
"""

from __future__ import annotations

import functools
import inspect
import re
from dataclasses import dataclass
from typing import Any

_ENTRY = re.compile(r"^ {4}(\w+) \([^\n]+\):\n((?:[ \t]*\n| {8}[^\n]*\n?)*)", re.MULTILINE)
_OUTPUT_ONLY, _REQUIRED = 3, 2


@dataclass(frozen=True)
class Behaviours:
    """Names of a message's fields."""

    output_only: frozenset[str]
    required: frozenset[str]


def behaviours(descriptor: Any) -> Behaviours:
    """The behaviours of a message's fields, by its descriptor."""
    return _behaviours(descriptor.full_name)


@functools.lru_cache(maxsize=4096)
def _behaviours(full_name: str) -> Behaviours:
    from google.protobuf import descriptor_pool, message_factory

    descriptor = descriptor_pool.Default().FindMessageTypeByName(full_name)
    plain = message_factory.GetMessageClass(descriptor)
    wrapper = _wrapper(descriptor, plain)
    return _documented(descriptor, wrapper) if wrapper is not plain else _declared(descriptor)


def _wrapper(descriptor: Any, plain: Any) -> Any:
    """The class by which a client package shows a message: a proto-plus class, or the plain one."""
    from proto.marshal import Marshal

    return type(Marshal(name=descriptor.file.package).to_python(plain, plain()))


def _documented(descriptor: Any, wrapper: Any) -> Behaviours:
    text = inspect.cleandoc(wrapper.__doc__ or "").partition("Attributes:")[2]
    words = {name: " ".join(about.split()) for name, about in _ENTRY.findall(text)}
    # A reserved word is a field with an underscore in Python; the descriptor has it without.
    names = {each.name for each in descriptor.fields}
    plain = {name if name in names else name.removesuffix("_"): about for name, about in words.items()}
    return Behaviours(
        frozenset(name for name, about in plain.items() if about.startswith("Output only.")),
        frozenset(name for name, about in plain.items() if about.startswith("Required.")),
    )


def _declared(descriptor: Any) -> Behaviours:
    from google.api import field_behavior_pb2

    declared = {
        each.name: each.GetOptions().Extensions[field_behavior_pb2.field_behavior] for each in descriptor.fields
    }
    return Behaviours(
        frozenset(name for name, kinds in declared.items() if _OUTPUT_ONLY in kinds),
        frozenset(name for name, kinds in declared.items() if _REQUIRED in kinds),
    )


def without_output_only(message: Any) -> Any:
    """A copy of a plain protobuf message without the fields that the API fills in, at any depth."""
    made = type(message)()
    made.CopyFrom(message)
    _clear_output_only(made)
    return made


def _clear_output_only(message: Any) -> None:
    filled_in = behaviours(message.DESCRIPTOR).output_only
    for field, value in message.ListFields():
        kind = field.message_type
        if field.name in filled_in:
            message.ClearField(field.name)
        elif kind is not None and not kind.GetOptions().map_entry and not kind.full_name.startswith("google.protobuf."):
            for each in value if field.is_repeated else (value,):
                _clear_output_only(each)


def missing(message: Any) -> list[str]:
    """The texts and messages that the API requires of a message and that are not there.

    Numbers, booleans and enums cannot be told from ones that are given as 0; masks have a meaning when left out.
    """
    found = []
    for name in sorted(behaviours(message.DESCRIPTOR).required):
        field = message.DESCRIPTOR.fields_by_name[name]
        if field.is_repeated or name.endswith("_mask"):
            continue
        if (field.type == field.TYPE_STRING and not getattr(message, name)) or (
            field.type == field.TYPE_MESSAGE and not message.HasField(name)
        ):
            found.append(name)
    return found
