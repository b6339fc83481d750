"""HTTP requests as messages and messages as JSON (google.api.http transcoding), for every gapic method alike."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tule.kernel.errors import InvalidArgument
from tule.kernel.operations import Operation
from tule.kernel.records.paths import camel
from tule.wire.door import Reply, read_json
from tule.wire.splices import Serialized
from tule.wire.surfaces import HttpRule, Method, pb, pb_class

# What every Google API knows beside the fields of a request (https://cloud.google.com/apis/docs/system-parameters).
# The carrier executes alt, $alt and fields; the others change nothing on a machine of one's own.
SYSTEM_PARAMETERS = frozenset(
    {"alt", "$alt", "fields", "$fields", "prettyPrint", "$prettyPrint", "key", "$key", "quotaUser", "$quotaUser",
     "userProject", "$userProject", "$.xgafv", "$apiVersion", "$unique"}
)  # fmt: skip


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
    kind = pb_class(method.request)
    raw = _raw_field(kind) if rule.body == "*" else ""
    made = {} if raw else _body_fields(method, rule, body)
    for name, value in query:
        if name not in SYSTEM_PARAMETERS:
            _put(made, name, _typed(kind.DESCRIPTOR, name, value), repeated=_is_repeated(kind.DESCRIPTOR, name))
    for name, value in path_fields.items():
        _put(made, name, value, repeated=False)
    message = _parsed(made, kind)
    if raw:
        getattr(message, raw).data = body
        getattr(message, raw).content_type = content_type
    return message


def _body_fields(method: Method, rule: HttpRule, body: bytes) -> dict[str, Any]:
    """The request's fields that the body carries."""
    if not body.strip():
        return {}
    if not rule.body:
        raise InvalidArgument(f"{method.name} takes no body", given=f"{len(body)} bytes", do="send none")
    value = read_json(body)
    if rule.body != "*":
        return {rule.body: value}
    if not isinstance(value, dict):
        raise InvalidArgument("The body must be a JSON object", given=type(value).__name__)
    return value


def _parsed(made: dict[str, Any], kind: Any) -> Any:
    from google.protobuf import json_format

    try:
        return json_format.ParseDict(made, kind())
    except (json_format.ParseError, TypeError, ValueError, AttributeError) as error:
        # A value of another shape than its field's also ends in errors of Python's.
        raise InvalidArgument(f"The request must be a {kind.DESCRIPTOR.name}", given=_shortened(error)) from None


def _shortened(error: Exception) -> str:
    text = str(error)
    return text if len(text) <= _LONGEST_REASON else text[:_LONGEST_REASON] + "..."


_LONGEST_REASON = 1000


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
        raise InvalidArgument(f"{descriptor.name} has no field {path}", given=f"query parameter {path[:100]}")
    kind = found.message_type.full_name if found.message_type is not None else ""
    if (found.type == found.TYPE_BOOL or kind == "google.protobuf.BoolValue") and value in ("true", "false"):
        return value == "true"
    if kind == "google.protobuf.FieldMask":
        # Google takes both spellings in a query; JSON has one.
        return ",".join(camel(part) for part in value.split(","))
    return value


def response_message(method: Method, result: Any) -> Any:
    """What a door returned, as the plain protobuf message of the method's response."""
    from google.protobuf import json_format

    if isinstance(result, Operation):
        return operation_message(result)
    kind = pb_class(method.response)
    if result is None:
        return kind()
    if isinstance(result, Serialized):
        return kind.FromString(result.data)
    if isinstance(result, Reply):
        # A raw answer; its headers have no place in gRPC.
        return kind(content_type=result.headers.get("Content-Type", ""), data=result.body)
    if isinstance(result, dict):
        if kind.DESCRIPTOR.full_name == "google.longrunning.Operation" and "@type" not in result:
            raise TypeError(f"{method.full_name} is long-running: answer with call.start(...)")
        return json_format.ParseDict(result, kind(), ignore_unknown_fields=True)
    return pb(result)


def serialized(body: dict[str, Any], kind: Any) -> bytes:
    """A JSON object as the bytes of a plain protobuf class; fields that it does not know are left out."""
    from google.protobuf import json_format

    return bytes(json_format.ParseDict(body, kind(), ignore_unknown_fields=True).SerializeToString())


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


def to_dict(message: Any, *, integers: bool = False) -> dict[str, Any]:
    """A message of either kind as JSON in Google's spelling: camelCase; ``integers``: enums as numbers, not by name."""
    from google.protobuf import json_format

    found: dict[str, Any] = json_format.MessageToDict(pb(message), use_integers_for_enums=integers)
    return found
