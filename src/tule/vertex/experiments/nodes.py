"""The nodes of a metadata store: contexts, artifacts and executions, as what they have in common.

A node is Google's message as a record. How nodes stand to each other is kept in links: a context *has* members and
children, an execution *takes* and *makes* artifacts.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tule.kernel.errors import InvalidArgument
from tule.kernel.labels import check_labels
from tule.kernel.names import Pattern
from tule.kernel.records import Record

STORE = Pattern("projects/{project}/locations/{location}/metadataStores/{metadata_store}")

MEMBER, CHILD = "member", "child"
INPUT, OUTPUT = "input", "output"

_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,127}")
_LONGEST_DISPLAY_NAME = 128
_LARGEST_METADATA = 200 * 1024


@dataclass(frozen=True)
class Kind:
    """One kind of node: of its records, the plural in its names, the type of its schemas, and the fields of its message
    that callers set."""

    kind: str
    collection: str
    schema_type: str
    fields: tuple[str, ...]

    @property
    def pattern(self) -> Pattern:
        return Pattern(f"{STORE.text}/{self.collection}/{{{self.kind}}}")


_COMMON = ("displayName", "description", "labels", "schemaTitle", "schemaVersion", "metadata")

CONTEXT = Kind("context", "contexts", "CONTEXT_TYPE", _COMMON)
ARTIFACT = Kind("artifact", "artifacts", "ARTIFACT_TYPE", (*_COMMON, "uri", "state"))
EXECUTION = Kind("execution", "executions", "EXECUTION_TYPE", (*_COMMON, "state"))
KINDS = (CONTEXT, ARTIFACT, EXECUTION)


def store_of(name: str) -> str:
    """The metadata store of a node."""
    return "/".join(name.split("/")[:6])


def kind_of(name: str) -> Kind:
    """The kind of a node by its name; raises InvalidArgument for other names."""
    for kind in KINDS:
        if kind.pattern.match(name) is not None:
            return kind
    raise InvalidArgument(
        "A node of a metadata store must be named .../metadataStores/S/{contexts,artifacts,executions}/ID", given=name
    )


def new_id(given: str, what: str) -> str:
    """The id asked for, or a fresh one."""
    if not given:
        return str(uuid.uuid4())
    if _ID.fullmatch(given) is None:
        raise InvalidArgument(
            f"The id of {what} must match {_ID.pattern}", given=repr(given[:150]), do="use lower case, digits and -"
        )
    return given


def body_of(kind: Kind, message: Mapping[str, Any]) -> dict[str, Any]:
    """What of a message is stored; raises InvalidArgument for what cannot be."""
    body = {key: value for key, value in message.items() if key in kind.fields}
    if len(body.get("displayName", "")) > _LONGEST_DISPLAY_NAME:
        raise InvalidArgument(
            f"A display name must have at most {_LONGEST_DISPLAY_NAME} characters", given=len(body["displayName"])
        )
    check_labels(body.get("labels", {}))
    if "metadata" in body:
        body["metadata"] = {str(key).strip(): value for key, value in body["metadata"].items()}
    return body


def check_size(metadata: Mapping[str, Any]) -> None:
    """Raise InvalidArgument for metadata that a client may not send for its size."""
    size = len(repr(metadata))
    if size > _LARGEST_METADATA:
        raise InvalidArgument(
            f"The metadata of a node must be at most {_LARGEST_METADATA} bytes", given=size, do="keep it in a file"
        )


def message(record: Record, parents: Sequence[str] = ()) -> dict[str, Any]:
    """A node's message as JSON."""
    body = {key: value for key, value in record.body.items() if not key.startswith("_")}
    body |= {
        "name": record.name,
        "createTime": timestamp(record.create_time),
        "updateTime": timestamp(record.update_time),
        "etag": record.etag,
    }
    if parents:
        body["parentContexts"] = list(parents)
    return body


def timestamp(moment: datetime) -> str:
    return str(moment.isoformat().replace("+00:00", "Z"))
