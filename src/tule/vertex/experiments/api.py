"""The door of metadata stores: google.cloud.aiplatform MetadataService."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from tule.kernel.operations import Operation, Progress
from tule.vertex.experiments.metadata import Metadata
from tule.vertex.experiments.nodes import ARTIFACT, CONTEXT, EXECUTION, Kind, store_of
from tule.vertex.messages import finisher, metadata
from tule.wire.service import Call, Platform, Service, rpc
from tule.wire.surfaces import pb
from tule.wire.transcode import to_dict

_LISTED = ("parent", "page_size", "page_token", "filter", "order_by")
_PURGED = ("parent", "filter", "force")
_NUMBERED = re.compile(r"\bprojects/([0-9]{1,20})(?=/)")
_PAGE, _LARGEST_PAGE = 100, 1000


def _fields(field: str, *more: str) -> tuple[str, ...]:
    common = ("name", "display_name", "etag", "labels", "schema_title", "schema_version", "metadata")
    return tuple(f"{field}.{each}" for each in (*common, *more))


_CONTEXT, _EXECUTION = _fields("context"), _fields("execution", "state")
_ARTIFACT = _fields("artifact", "uri", "state")


class MetadataService(Service):
    """Metadata stores, schemas, contexts, artifacts, executions and their lineage."""

    packages = ("google.cloud.aiplatform_v1", "google.cloud.aiplatform_v1beta1")
    service = "MetadataService"

    def __init__(self, platform: Platform, metadata: Metadata) -> None:
        super().__init__(platform)
        self._metadata = metadata

    # -- stores

    @rpc(
        permission="aiplatform.metadataStores.create",
        executes=("parent", "metadata_store_id"),
        stores=("metadata_store.description",),
    )
    def create_metadata_store(self, request: Any, call: Call) -> Operation:
        message = to_dict(request.metadata_store)
        if request.metadata_store_id:
            self._metadata.check_new_store(f"{request.parent}/metadataStores/{request.metadata_store_id}")

        def work(progress: Progress) -> dict[str, Any]:
            return self._metadata.create_store(request.parent, request.metadata_store_id, message)

        return call.start(request.parent, work, metadata=metadata(call), target=request.parent)

    @rpc(permission="aiplatform.metadataStores.get", executes=("name",))
    def get_metadata_store(self, request: Any, call: Call) -> dict[str, Any]:
        return self._metadata.store(request.name)

    @rpc(permission="aiplatform.metadataStores.list", executes=("parent", "page_size", "page_token"))
    def list_metadata_stores(self, request: Any, call: Call) -> dict[str, Any]:
        found, token = self._metadata.list_stores(
            request.parent, page_size=_page_size(request), page_token=request.page_token
        )
        return {"metadataStores": found, "nextPageToken": token}

    @rpc(permission="aiplatform.metadataStores.delete", executes=("name", "force"))
    def delete_metadata_store(self, request: Any, call: Call) -> Operation:
        self._metadata.store(request.name)
        parent = request.name.rpartition("/metadataStores/")[0]
        return self._removal(call, parent, request.name, lambda: self._metadata.delete_store(request.name))

    # -- schemas

    @rpc(
        permission="aiplatform.metadataSchemas.create",
        executes=("parent", "metadata_schema_id", "metadata_schema.schema", "metadata_schema.schema_type",
                  "metadata_schema.schema_version"),
        stores=("metadata_schema.description",),
    )  # fmt: skip
    def create_metadata_schema(self, request: Any, call: Call) -> dict[str, Any]:
        return self._metadata.create_schema(
            request.parent, request.metadata_schema_id, to_dict(request.metadata_schema)
        )

    @rpc(permission="aiplatform.metadataSchemas.get", executes=("name",))
    def get_metadata_schema(self, request: Any, call: Call) -> dict[str, Any]:
        return self._metadata.schema(request.name)

    @rpc(permission="aiplatform.metadataSchemas.list", executes=("parent", "page_size", "page_token", "filter"))
    def list_metadata_schemas(self, request: Any, call: Call) -> dict[str, Any]:
        found, token = self._metadata.list_schemas(
            request.parent, filter=request.filter, page_size=_page_size(request), page_token=request.page_token
        )
        return {"metadataSchemas": found, "nextPageToken": token}

    # -- contexts

    @rpc(
        permission="aiplatform.contexts.create",
        executes=("parent", "context_id", *_CONTEXT),
        stores=("context.description",),
    )
    def create_context(self, request: Any, call: Call) -> dict[str, Any]:
        return self._metadata.create(CONTEXT, request.parent, request.context_id, to_dict(request.context))

    @rpc(permission="aiplatform.contexts.get", executes=("name",))
    def get_context(self, request: Any, call: Call) -> dict[str, Any]:
        return self._metadata.get(CONTEXT, request.name)

    @rpc(permission="aiplatform.contexts.list", executes=_LISTED)
    def list_contexts(self, request: Any, call: Call) -> dict[str, Any]:
        return self._list(CONTEXT, request)

    @rpc(
        permission="aiplatform.contexts.update",
        executes=("update_mask", "allow_missing", *_CONTEXT),
        stores=("context.description",),
    )
    def update_context(self, request: Any, call: Call) -> dict[str, Any]:
        return self._update(CONTEXT, request, request.context)

    @rpc(permission="aiplatform.contexts.delete", executes=("name", "etag"))
    def delete_context(self, request: Any, call: Call) -> Operation:
        return self._delete(CONTEXT, request, call)

    @rpc(permission="aiplatform.contexts.delete", executes=_PURGED)
    def purge_contexts(self, request: Any, call: Call) -> Operation:
        return self._purge(CONTEXT, request, call)

    @rpc(
        permission="aiplatform.contexts.addContextArtifactsAndExecutions",
        executes=("context", "artifacts", "executions"),
    )
    def add_context_artifacts_and_executions(self, request: Any, call: Call) -> None:
        self._metadata.add_members(request.context, list(request.artifacts), list(request.executions))

    @rpc(permission="aiplatform.contexts.addContextChildren", executes=("context", "child_contexts"))
    def add_context_children(self, request: Any, call: Call) -> None:
        self._metadata.add_children(request.context, list(request.child_contexts))

    @rpc(permission="aiplatform.contexts.removeContextChildren", executes=("context", "child_contexts"))
    def remove_context_children(self, request: Any, call: Call) -> None:
        self._metadata.remove_children(request.context, list(request.child_contexts))

    @rpc(permission="aiplatform.contexts.queryContextLineageSubgraph", executes=("context",))
    def query_context_lineage_subgraph(self, request: Any, call: Call) -> dict[str, Any]:
        return self._metadata.context_lineage(request.context).to_json()

    # -- artifacts

    @rpc(
        permission="aiplatform.artifacts.create",
        executes=("parent", "artifact_id", *_ARTIFACT),
        stores=("artifact.description",),
    )
    def create_artifact(self, request: Any, call: Call) -> dict[str, Any]:
        return self._metadata.create(ARTIFACT, request.parent, request.artifact_id, to_dict(request.artifact))

    @rpc(permission="aiplatform.artifacts.get", executes=("name",))
    def get_artifact(self, request: Any, call: Call) -> dict[str, Any]:
        return self._metadata.get(ARTIFACT, request.name)

    @rpc(permission="aiplatform.artifacts.list", executes=_LISTED)
    def list_artifacts(self, request: Any, call: Call) -> dict[str, Any]:
        return self._list(ARTIFACT, request)

    @rpc(
        permission="aiplatform.artifacts.update",
        executes=("update_mask", "allow_missing", *_ARTIFACT),
        stores=("artifact.description",),
    )
    def update_artifact(self, request: Any, call: Call) -> dict[str, Any]:
        return self._update(ARTIFACT, request, request.artifact)

    @rpc(permission="aiplatform.artifacts.delete", executes=("name", "etag"))
    def delete_artifact(self, request: Any, call: Call) -> Operation:
        return self._delete(ARTIFACT, request, call)

    @rpc(permission="aiplatform.artifacts.delete", executes=_PURGED)
    def purge_artifacts(self, request: Any, call: Call) -> Operation:
        return self._purge(ARTIFACT, request, call)

    @rpc(permission="aiplatform.artifacts.queryArtifactLineageSubgraph", executes=("artifact", "max_hops", "filter"))
    def query_artifact_lineage_subgraph(self, request: Any, call: Call) -> dict[str, Any]:
        # On the wire 0 hops and none given are one: the whole graph.
        hops = request.max_hops or None
        found = self._metadata.artifact_lineage(request.artifact, hops=hops, filter=self._ids(request.filter))
        return found.to_json()

    # -- executions

    @rpc(
        permission="aiplatform.executions.create",
        executes=("parent", "execution_id", *_EXECUTION),
        stores=("execution.description",),
    )
    def create_execution(self, request: Any, call: Call) -> dict[str, Any]:
        return self._metadata.create(EXECUTION, request.parent, request.execution_id, to_dict(request.execution))

    @rpc(permission="aiplatform.executions.get", executes=("name",))
    def get_execution(self, request: Any, call: Call) -> dict[str, Any]:
        return self._metadata.get(EXECUTION, request.name)

    @rpc(permission="aiplatform.executions.list", executes=_LISTED)
    def list_executions(self, request: Any, call: Call) -> dict[str, Any]:
        return self._list(EXECUTION, request)

    @rpc(
        permission="aiplatform.executions.update",
        executes=("update_mask", "allow_missing", *_EXECUTION),
        stores=("execution.description",),
    )
    def update_execution(self, request: Any, call: Call) -> dict[str, Any]:
        return self._update(EXECUTION, request, request.execution)

    @rpc(permission="aiplatform.executions.delete", executes=("name", "etag"))
    def delete_execution(self, request: Any, call: Call) -> Operation:
        return self._delete(EXECUTION, request, call)

    @rpc(permission="aiplatform.executions.delete", executes=_PURGED)
    def purge_executions(self, request: Any, call: Call) -> Operation:
        return self._purge(EXECUTION, request, call)

    @rpc(
        permission="aiplatform.executions.addExecutionEvents",
        executes=("execution", "events.artifact", "events.type_", "events.labels"),
    )
    def add_execution_events(self, request: Any, call: Call) -> None:
        self._metadata.add_execution_events(request.execution, [to_dict(each) for each in request.events])

    @rpc(permission="aiplatform.executions.queryExecutionInputsAndOutputs", executes=("execution",))
    def query_execution_inputs_and_outputs(self, request: Any, call: Call) -> dict[str, Any]:
        return self._metadata.execution_lineage(request.execution).to_json()

    # -- what the nodes have in common

    def _list(self, kind: Kind, request: Any) -> dict[str, Any]:
        found, token = self._metadata.page(
            kind,
            request.parent,
            filter=self._ids(request.filter),
            order_by=request.order_by,
            page_size=_page_size(request),
            page_token=request.page_token,
        )
        return {kind.collection: found, "nextPageToken": token}

    def _update(self, kind: Kind, request: Any, message: Any) -> dict[str, Any]:
        mask = list(pb(request).update_mask.paths)
        return self._metadata.update(kind, to_dict(message), mask=mask, allow_missing=request.allow_missing)

    def _delete(self, kind: Kind, request: Any, call: Call) -> Operation:
        self._metadata.check_delete(kind, request.name, request.etag)
        return self._removal(
            call, store_of(request.name), request.name, lambda: self._metadata.delete(kind, request.name, request.etag)
        )

    def _purge(self, kind: Kind, request: Any, call: Call) -> Operation:
        wanted = self._ids(request.filter)
        self._metadata.purge(kind, request.parent, wanted, force=False)

        def work(progress: Progress) -> dict[str, Any]:
            return self._metadata.purge(kind, request.parent, wanted, force=request.force)

        return call.start(request.parent, work, metadata=metadata(call), target=request.parent)

    def _removal(self, call: Call, parent: str, name: str, remove: Callable[[], None]) -> Operation:
        def work(progress: Progress) -> dict[str, Any]:
            finish = finisher(call, progress)
            with self.platform.records.transaction():
                remove()
                finish({})
            return {}

        return call.start(parent, work, metadata=metadata(call), target=name)

    def _ids(self, text: str) -> str:
        """A filter with ids for the numbers of projects, as names in requests have them."""
        return _NUMBERED.sub(lambda found: f"projects/{self.platform.projects.find(int(found[1])) or found[1]}", text)


def _page_size(request: Any) -> int:
    return min(request.page_size or _PAGE, _LARGEST_PAGE)
