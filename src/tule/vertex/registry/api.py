"""The door of the model registry: google.cloud.aiplatform ModelService."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tule.kernel.errors import InvalidArgument, Unimplemented
from tule.kernel.operations import Operation, Progress
from tule.vertex.messages import check_also, finisher, masked_fields, metadata, read_masked
from tule.vertex.registry.artifacts import Source
from tule.vertex.registry.evaluations import STORED
from tule.vertex.registry.export import Exporter
from tule.vertex.registry.fields import KEPT, UPLOADED
from tule.vertex.registry.models import Models, split_name
from tule.wire.service import Call, Platform, Service, rpc
from tule.wire.transcode import to_dict

PACKAGES = ("google.cloud.aiplatform_v1", "google.cloud.aiplatform_v1beta1")

_UPLOADED = ("parent", "parent_model", "model_id", *(f"model.{each}" for each in UPLOADED))
_KEPT = tuple(f"model.{each}" for each in KEPT)


def parent_of(name: str) -> str:
    """The location of a model."""
    return split_name(name)[0].rpartition("/models/")[0]


class ModelService(Service):
    """Models and their versions."""

    packages = PACKAGES
    service = "ModelService"

    def __init__(
        self,
        platform: Platform,
        models: Models,
        source: Callable[[str], Source],
        exporter: Exporter,
        check_explanation: Callable[[dict[str, Any]], None],
    ) -> None:
        super().__init__(platform)
        self._models = models
        self._source = source
        self._exporter = exporter
        self._check_explanation = check_explanation

    @rpc(permission="aiplatform.models.upload", executes=_UPLOADED, stores=_KEPT)
    def upload_model(self, request: Any, call: Call) -> Operation:
        message = to_dict(request.model)
        self._check_explanation(message.get("explanationSpec", {}))
        source = self._source(message["artifactUri"]) if message.get("artifactUri") else None
        self._models.check_new(request.parent, message, request.parent_model, request.model_id)
        if source is not None:
            message["supportedDeploymentResourcesTypes"] = ["DEDICATED_RESOURCES"]
            message["supportedExportFormats"] = [{"id": "custom-trained", "exportableContents": ["ARTIFACT"]}]
        message["modelSourceInfo"] = {"sourceType": "CUSTOM"}

        def work(progress: Progress) -> dict[str, Any]:
            finish = finisher(call, progress)
            version = self._models.upload(
                request.parent,
                message,
                source,
                parent_model=request.parent_model,
                model_id=request.model_id,
                report=progress.report,
                finish=lambda made: finish({"model": made.model, "modelVersionId": made.id}),
            )
            return {"model": version.model, "modelVersionId": version.id}

        target = request.parent_model or f"{request.parent}/models/{request.model_id or '-'}"
        return call.start(request.parent, work, metadata=metadata(call), target=target)

    @rpc(permission="aiplatform.models.get", executes=("name",))
    def get_model(self, request: Any, call: Call) -> dict[str, Any]:
        return self._models.message(request.name)

    @rpc(
        permission="aiplatform.models.list",
        executes=("parent", "filter", "page_size", "page_token", "order_by", "read_mask"),
    )
    def list_models(self, request: Any, call: Call) -> dict[str, Any]:
        found, token = self._models.list_models(
            request.parent,
            filter=request.filter,
            order_by=request.order_by,
            page_size=request.page_size,
            page_token=request.page_token,
        )
        return {"models": read_masked(found, request), "nextPageToken": token}

    @rpc(
        permission="aiplatform.models.list",
        executes=("name", "filter", "page_size", "page_token", "order_by", "read_mask"),
    )
    def list_model_versions(self, request: Any, call: Call) -> dict[str, Any]:
        found, token = self._models.list_versions(
            request.name,
            filter=request.filter,
            order_by=getattr(request, "order_by", ""),
            page_size=request.page_size,
            page_token=request.page_token,
        )
        return {"models": read_masked(found, request), "nextPageToken": token}

    # Clients send the whole model back; only what the mask names is read, and what cannot change is refused by name.
    @rpc(permission="aiplatform.models.update", executes=("model.*", "update_mask"))
    def update_model(self, request: Any, call: Call) -> dict[str, Any]:
        message = to_dict(request.model)
        fields = masked_fields(request, request.model)
        return self._models.update(request.model.name, message, fields, request.model.etag)

    @rpc(permission="aiplatform.models.update", executes=("name", "version_aliases"))
    def merge_version_aliases(self, request: Any, call: Call) -> dict[str, Any]:
        return self._models.merge_aliases(request.name, list(request.version_aliases))

    @rpc(permission="aiplatform.models.delete", executes=("name",))
    def delete_model(self, request: Any, call: Call) -> Operation:
        self._models.check_delete(request.name)
        return self._delete(request.name, call, self._models.delete)

    @rpc(permission="aiplatform.models.delete", executes=("name",))
    def delete_model_version(self, request: Any, call: Call) -> Operation:
        self._models.check_delete_version(request.name)
        return self._delete(request.name, call, self._models.delete_version)

    def _delete(self, name: str, call: Call, delete: Callable[[str], None]) -> Operation:
        def work(progress: Progress) -> dict[str, Any]:
            finish = finisher(call, progress)
            with self.platform.records.transaction():
                delete(name)
                finish({})
            return {}

        return call.start(parent_of(name), work, metadata=metadata(call), target=name)

    @rpc(
        permission="aiplatform.models.export",
        executes=("name", "output_config.export_format_id", "output_config.artifact_destination.*"),
    )
    def export_model(self, request: Any, call: Call) -> Operation:
        config = to_dict(request.output_config)
        version = self._models.get(request.name)
        target = self._exporter.destination(version, config)

        def work(progress: Progress) -> dict[str, Any]:
            self._exporter.write(version, target, progress)
            progress.report(99, "done", outputInfo={"artifactOutputUri": target})
            return {}

        return call.start(parent_of(request.name), work, metadata=metadata(call), target=request.name)

    @rpc(permission="aiplatform.models.upload", executes=("parent", "source_model", "model_id", "parent_model"))
    def copy_model(self, request: Any, call: Call) -> Operation:
        check_also(call, "aiplatform.models.get", request.source_model)
        source = self._models.get(request.source_model)
        if source.model.split("/")[1] != request.parent.split("/")[1]:
            raise InvalidArgument(
                "A model is copied within its project", given=f"{request.source_model} to {request.parent}"
            )
        if source.message.get("modelSourceInfo", {}).get("sourceType") == "BQML":
            raise Unimplemented(
                "A model trained in SQL belongs to its dataset and is not copied", given=request.source_model,
                do="register it under the other id with ALTER MODEL ... SET OPTIONS",
            )  # fmt: skip

        def work(progress: Progress) -> dict[str, Any]:
            made = self._models.copy(
                source.name, request.parent, parent_model=request.parent_model, model_id=request.model_id
            )
            return {"model": made.model, "modelVersionId": made.id}

        return call.start(request.parent, work, metadata=metadata(call), target=request.source_model)

    @rpc(
        permission="aiplatform.modelEvaluations.import",
        executes=("parent",),
        stores=tuple(f"model_evaluation.{field}" for field in STORED),
    )
    def import_model_evaluation(self, request: Any, call: Call) -> dict[str, Any]:
        return self._models.add_evaluation(request.parent, to_dict(request.model_evaluation))

    @rpc(permission="aiplatform.modelEvaluations.get", executes=("name",))
    def get_model_evaluation(self, request: Any, call: Call) -> dict[str, Any]:
        return self._models.evaluation(request.name)

    @rpc(
        permission="aiplatform.modelEvaluations.list",
        executes=("parent", "filter", "page_size", "page_token", "read_mask"),
    )
    def list_model_evaluations(self, request: Any, call: Call) -> dict[str, Any]:
        found, token = self._models.list_evaluations(
            request.parent, filter=request.filter, page_size=request.page_size, page_token=request.page_token
        )
        return {"modelEvaluations": read_masked(found, request), "nextPageToken": token}
