"""The registry as training rooms see it: models that this server trained are put in and taken out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tule.kernel.errors import NotFound
from tule.vertex.registry.artifacts import OwnFiles
from tule.vertex.registry.evaluations import METRICS_SCHEMAS
from tule.vertex.registry.models import DEFAULT, Models


class Registry:
    """Registers bundles. Safe to use from several threads; may be called inside a transaction of the records."""

    def __init__(self, models: Models) -> None:
        self._models = models

    def register(
        self,
        project: str,
        location: str,
        model_id: str,
        files: OwnFiles,
        display_name: str,
        version_aliases: Sequence[str] = (),
        labels: Mapping[str, str] | None = None,
        evaluation: Mapping[str, Any] | None = None,
        *,
        description: str = "",
    ) -> tuple[str, str]:
        """Add the files as model ``model_id``, or as its next version; returns the model's name and the version.

        They are copied, so their folder may change or go afterwards. ``version_aliases`` move to the new version
        (``default`` among them makes it the default one; a first version always is). ``evaluation`` is
        ``{"problem": "classification" | "regression" | ..., "metrics": {...}}`` and becomes the version's
        ModelEvaluation. Raises InvalidArgument for a wrong id, alias or label.
        """
        message: dict[str, Any] = {
            "displayName": display_name,
            "description": description,
            "versionAliases": list(version_aliases),
            "labels": dict(labels or {}),
            "modelSourceInfo": {"sourceType": "BQML"},
            "supportedDeploymentResourcesTypes": ["DEDICATED_RESOURCES"],
            "supportedExportFormats": [{"id": "custom-trained", "exportableContents": ["ARTIFACT"]}],
        }
        version = self._models.register(f"projects/{project}/locations/{location}", model_id, files, message)
        if evaluation:
            schema = METRICS_SCHEMAS.get(str(evaluation.get("problem", "")))
            about = {"displayName": display_name, "metrics": dict(evaluation.get("metrics", {}))}
            self._models.add_evaluation(version.name, {**about, **({"metricsSchemaUri": schema} if schema else {})})
        return version.model, version.id

    def remove(self, project: str, location: str, model_id: str, version: str | None = None) -> None:
        """Take a model, or one version of it, out again; nothing happens if it is not there.

        FailedPrecondition while it is deployed. The last version takes the model with it.
        """
        name = f"projects/{project}/locations/{location}/models/{model_id}"
        try:
            versions, _ = self._models.list_versions(name)
            if version is None or len(versions) == 1:
                if version is None or versions[0]["versionId"] == version:
                    self._models.delete(name)
            else:
                self._models.delete_version(f"{name}@{version}", even_default=True)
        except NotFound:
            return

    def versions(self, project: str, location: str, model_id: str) -> list[dict[str, Any]]:
        """The Model messages of all versions, oldest first; none if there is no such model."""
        try:
            return self._models.list_versions(f"projects/{project}/locations/{location}/models/{model_id}")[0]
        except NotFound:
            return []


__all__ = ["DEFAULT", "Registry"]
