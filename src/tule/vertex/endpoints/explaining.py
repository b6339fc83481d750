"""Explaining a deployed model's predictions: which deployment answers, by which method, in which words."""

from __future__ import annotations

from typing import Any

from tule.kernel.errors import FailedPrecondition
from tule.vertex.endpoints import explanation
from tule.vertex.endpoints.endpoints import Endpoints
from tule.vertex.endpoints.router import check_instances
from tule.vertex.registry import Models


class Explainer:
    """Answers Explain requests. Safe to use from several threads."""

    def __init__(self, endpoints: Endpoints, models: Models) -> None:
        self._endpoints = endpoints
        self._models = models

    def explain(self, endpoint: str, instances: list[Any], deployed_model_id: str = "") -> dict[str, Any]:
        """Google's ExplainResponse: predictions, and one explanation per instance."""
        check_instances(instances)
        route = self._endpoints.router.get(endpoint)
        deployed = route.choose(deployed_model_id)
        message = self._endpoints.deployed_message(endpoint, deployed.id)
        if message.get("disableExplanations"):
            raise FailedPrecondition(
                "The deployed model must have its explanations enabled",
                given=f"{deployed.id}, deployed with disable_explanations",
                do="deploy it again without",
            )
        replica = deployed.replica
        predictions = replica.predict(instances, route.seconds)
        found = replica.explain(instances)
        if found is not None:
            output = next(iter(predictions[0]), "prediction") if isinstance(predictions[0], dict) else "prediction"
            explanations = explanation.exact(found, output)
        else:
            model = self._models.get(f"{deployed.model}@{deployed.version_id}").message
            spec = explanation.merged(model.get("explanationSpec", {}), message.get("explanationSpec", {}))
            explanations = explanation.SampledShapley(spec).explain(instances, replica.predict)
        deployed.requests += 1
        return {"predictions": predictions, "explanations": explanations, "deployedModelId": deployed.id}
