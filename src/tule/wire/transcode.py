"""HTTP requests as messages and messages as JSON (google.api.http transcoding), for every gapic method alike."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from tule.kernel.errors import InvalidArgument
from tule.kernel.operations import Operation
from tule.wire.door import Reply
from tule.wire.surfaces import HttpRule, Method, pb, pb_class


def request_message(
    method: Method,
    rule: HttpRule,
    path_fields: dict[str, str],
    query: Iterable[tuple[str, str]],
    body: bytes,
    content_type: str = "",
) -> Any:
    """The request message of an HTTP call; raises InvalidArgument naming the field or the position that is wrong.

    A request with a google.api.HttpBody takes the body as it is, with its ``content_type``.
    """
    from google.protobuf import json_format

    kind = pb_class(method.request)
    made: dict[str, Any] = {}
    raw = _raw_field(kind) if rule.body == "*" else ""
    if raw:
        pass
    elif rule.body and body.strip():
        try:
            value = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise InvalidArgument("The body must be JSON", given=str(error), do="check that position") from None
        if rule.body == "*":
            if not isinstance(value, dict):
                raise InvalidArgument("The body must be a JSON object", given=type(value).__name__)
            made = value
        else:
            made[rule.body] = value
    elif body.strip() and not rule.body:
        raise InvalidArgument(f"{method.name} takes no body", given=f"{len(body)} bytes", do="send none")
    for name, value in query:
        if not name.startswith("$") and name not in ("alt", "key", "prettyPrint", "fields", "quotaUser"):
            _put(made, name, _typed(kind.DESCRIPTOR, name, value), repeated=_is_repeated(kind.DESCRIPTOR, name))
    for name, value in path_fields.items():
        _put(made, name, value, repeated=False)
    try:
        message = json_format.ParseDict(made, kind())
    except json_format.ParseError as error:
        raise InvalidArgument(f"The request must be a {kind.DESCRIPTOR.name}", given=str(error)) from None
    if raw:
        getattr(message, raw).data = body
        getattr(message, raw).content_type = content_type
    return message


def _raw_field(kind: Any) -> str:
    """The request's field that is a google.api.HttpBody, '' if it has none."""
    for field in kind.DESCRIPTOR.fields:
        if field.message_type is not None and field.message_type.full_name == "google.api.HttpBody":
            return str(field.name)
    return ""


def _put(target: dict[str, Any], path: str, value: Any, *, repeated: bool) -> None:
    *parents, last = path.split(".")
    for name in parents:
        inner = target.setdefault(name, {})
        if not isinstance(inner, dict):
            raise InvalidArgument(f"{path} must be a field of a message", given=path)
        target = inner
    if repeated:
        target.setdefault(last, []).append(value)
    else:
        target[last] = value


def _field(descriptor: Any, path: str) -> Any:
    found = None
    for name in path.split("."):
        if descriptor is None:
            return None
        found = descriptor.fields_by_name.get(name) or next((f for f in descriptor.fields if f.json_name == name), None)
        if found is None:
            return None
        descriptor = found.message_type
    return found


def _is_repeated(descriptor: Any, path: str) -> bool:
    found = _field(descriptor, path)
    return bool(found is not None and found.is_repeated)


def _typed(descriptor: Any, path: str, value: str) -> Any:
    """A query string's value as JSON: booleans are the one kind that JSON parsing does not take from text."""
    found = _field(descriptor, path)
    if found is None:
        raise InvalidArgument(f"{descriptor.name} has no field {path}", given=f"query parameter {path}")
    if found.type == found.TYPE_BOOL and value in ("true", "false"):
        return value == "true"
    if found.message_type is not None and found.message_type.full_name in _WRAPPED_BOOL and value in ("true", "false"):
        return value == "true"
    return value


_WRAPPED_BOOL = ("google.protobuf.BoolValue",)
_PROJECT_NUMBER = re.compile(r"projects/(\d+)(?=/|$)")


def project_of(message: Any) -> str:
    """The project that a request names, '' when it names none: the first resource name among its fields."""
    for name in resource_names(message):
        return name.split("/")[1]
    return ""


def resource_names(message: Any) -> Iterator[str]:
    """Values of the string fields that name a resource under a project, nested messages after the fields themselves."""
    inner = []
    for field, value in message.ListFields():
        if field.type == field.TYPE_STRING and not field.is_repeated and value.startswith("projects/"):
            yield value
        elif field.message_type is not None and not field.is_repeated:
            inner.append(value)
    for each in inner:
        yield from resource_names(each)


def resolve_projects(message: Any, resolve: Any) -> None:
    """Replace project numbers in resource names by ids, in place: ids are what everything behind the wire knows."""
    for field, value in message.ListFields():
        if field.type == field.TYPE_STRING:
            if field.is_repeated:
                for index, each in enumerate(value):
                    if each.startswith("projects/"):
                        value[index] = _resolved(each, resolve)
            elif value.startswith("projects/"):
                setattr(message, field.name, _resolved(value, resolve))
        elif field.message_type is not None and not field.message_type.GetOptions().map_entry:
            if field.message_type.full_name.startswith("google.protobuf."):
                continue
            for each in value if field.is_repeated else (value,):
                resolve_projects(each, resolve)


def _resolved(name: str, resolve: Any) -> str:
    head, project, *rest = name.split("/")
    if not project:
        return name
    return "/".join((head, resolve(project), *rest))


def response_message(method: Method, result: Any) -> Any:
    """What a door returned, as the plain protobuf message of the method's response."""
    from google.protobuf import json_format

    if isinstance(result, Operation):
        return operation_message(result)
    kind = pb_class(method.response)
    if result is None:
        return kind()
    if isinstance(result, Reply):
        # A raw answer; its headers have no place in gRPC.
        return kind(content_type=result.headers.get("Content-Type", ""), data=result.body)
    if isinstance(result, dict):
        if kind.DESCRIPTOR.full_name == "google.longrunning.Operation" and "@type" not in result:
            raise TypeError(f"{method.full_name} is long-running: answer with call.start(...)")
        return json_format.ParseDict(result, kind(), ignore_unknown_fields=True)
    return pb(result)


def operation_message(operation: Operation) -> Any:
    """google.longrunning.Operation of a kernel operation; the classes of its Any fields must have been imported."""
    from google.longrunning import operations_pb2
    from google.protobuf import json_format

    body = {"name": operation.name, "done": operation.done}
    for name in ("metadata", "response"):
        value = operation.body.get(name)
        if value and "@type" in value:
            body[name] = value
    if operation.error is not None:
        body["error"] = operation.error
    return json_format.ParseDict(body, operations_pb2.Operation(), ignore_unknown_fields=True)


def to_dict(message: Any) -> dict[str, Any]:
    """A message of either kind as JSON in Google's spelling: camelCase, enums by name."""
    from google.protobuf import json_format

    found: dict[str, Any] = json_format.MessageToDict(pb(message))
    return found


def to_json(message: Any, *, integers: bool = False) -> bytes:
    """A message as the JSON that Google's REST carriers send; ``integers``: enums as numbers."""
    from google.protobuf import json_format

    return orjson.dumps(json_format.MessageToDict(message, use_integers_for_enums=integers))
