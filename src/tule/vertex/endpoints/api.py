"""The doors of endpoints: google.cloud.aiplatform EndpointService and PredictionService."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tule.kernel.errors import InvalidArgument, Unimplemented
from tule.kernel.operations import Operation, Progress
from tule.vertex.endpoints import explanation, values
from tule.vertex.endpoints.endpoints import ENDPOINT, Endpoints
from tule.vertex.endpoints.explaining import Explainer
from tule.vertex.endpoints.replicas import replica_counts
from tule.vertex.endpoints.router import SMALL_BODY, Deployed, Router, answer, check_parameters, instances_of
from tule.vertex.messages import check_also, deletion, finisher, masked_fields, metadata, read_masked
from tule.wire.door import Reply
from tule.wire.service import Call, FastPath, FastRequest, Platform, Service, rpc
from tule.wire.surfaces import pb, pb_class
from tule.wire.transcode import to_dict

PACKAGES = ("google.cloud.aiplatform_v1", "google.cloud.aiplatform_v1beta1")

_DEPLOYED = "deployed_model"
_SPEC = f"{_DEPLOYED}.explanation_spec"
_RESOURCES = (
    f"{_DEPLOYED}.dedicated_resources.min_replica_count", f"{_DEPLOYED}.dedicated_resources.max_replica_count",
    f"{_DEPLOYED}.automatic_resources.min_replica_count", f"{_DEPLOYED}.automatic_resources.max_replica_count",
)  # fmt: skip


class EndpointService(Service):
    """Endpoints and what is deployed to them."""

    packages = PACKAGES
    service = "EndpointService"

    def __init__(self, platform: Platform, endpoints: Endpoints) -> None:
        super().__init__(platform)
        self._endpoints = endpoints

    @rpc(
        permission="aiplatform.endpoints.create",
        executes=(
            "parent", "endpoint_id", "endpoint.display_name", "endpoint.labels", "endpoint.traffic_split",
            "endpoint.dedicated_endpoint_enabled", "endpoint.client_connection_config.inference_timeout",
        ),
        stores=("endpoint.description",),
    )  # fmt: skip
    def create_endpoint(self, request: Any, call: Call) -> Operation:
        message = to_dict(request.endpoint)
        endpoint_id = getattr(request, "endpoint_id", "")
        self._endpoints.check_new(request.parent, message, endpoint_id)

        def work(progress: Progress) -> dict[str, Any]:
            finish = finisher(call, progress)
            with self.platform.records.transaction():
                made = self._endpoints.create(request.parent, message, endpoint_id)
                finish(made)
            return made

        target = f"{request.parent}/endpoints/{endpoint_id or '-'}"
        return call.start(request.parent, work, metadata=metadata(call), target=target)

    @rpc(permission="aiplatform.endpoints.get", executes=("name",))
    def get_endpoint(self, request: Any, call: Call) -> dict[str, Any]:
        return self._endpoints.get(request.name)

    @rpc(
        permission="aiplatform.endpoints.list",
        executes=("parent", "filter", "page_size", "page_token", "order_by", "read_mask"),
    )
    def list_endpoints(self, request: Any, call: Call) -> dict[str, Any]:
        found, token = self._endpoints.list_endpoints(
            request.parent,
            filter=request.filter,
            order_by=getattr(request, "order_by", ""),
            page_size=request.page_size,
            page_token=request.page_token,
        )
        return {"endpoints": read_masked(found, request), "nextPageToken": token}

    # Clients send the whole endpoint back; only what the mask names is read, and what cannot change is refused by name.
    @rpc(permission="aiplatform.endpoints.update", executes=("endpoint.*", "update_mask"))
    def update_endpoint(self, request: Any, call: Call) -> dict[str, Any]:
        fields = masked_fields(request, request.endpoint)
        message = to_dict(request.endpoint)
        return self._endpoints.update(request.endpoint.name, message, fields, request.endpoint.etag)

    @rpc(
        permission="aiplatform.endpoints.update",
        executes=("endpoint.name", "endpoint.client_connection_config.inference_timeout"),
    )
    def update_endpoint_long_running(self, request: Any, call: Call) -> Operation:
        name, message = request.endpoint.name, to_dict(request.endpoint)
        self._endpoints.get(name)

        def work(progress: Progress) -> dict[str, Any]:
            return self._endpoints.set_timeout(name, message.get("clientConnectionConfig", {}))

        return call.start(_location(name), work, metadata=metadata(call), target=name)

    @rpc(permission="aiplatform.endpoints.delete", executes=("name",))
    def delete_endpoint(self, request: Any, call: Call) -> Operation:
        name = request.name
        self._endpoints.check_delete(name)
        return deletion(call, name, self._endpoints.delete)

    @rpc(
        permission="aiplatform.endpoints.deploy",
        executes=(
            "endpoint", "traffic_split", f"{_DEPLOYED}.id", f"{_DEPLOYED}.model", f"{_DEPLOYED}.display_name",
            f"{_DEPLOYED}.disable_explanations", f"{_SPEC}.parameters.sampled_shapley_attribution.*",
            f"{_SPEC}.parameters.top_k", f"{_SPEC}.parameters.output_indices", f"{_SPEC}.metadata.inputs",
            f"{_SPEC}.metadata.outputs", f"{_DEPLOYED}.disable_container_logging", *_RESOURCES,
        ),
        # The machine is this one; a model's process has no credentials to be somebody with, and no network to use them.
        stores=(
            f"{_DEPLOYED}.dedicated_resources.machine_spec.machine_type", f"{_DEPLOYED}.dedicated_resources.spot",
            f"{_DEPLOYED}.service_account", f"{_DEPLOYED}.system_labels",
            f"{_SPEC}.metadata.feature_attributions_schema_uri",
        ),
    )  # fmt: skip
    def deploy_model(self, request: Any, call: Call) -> Operation:
        name, shares = request.endpoint, dict(request.traffic_split)
        message = to_dict(request.deployed_model)
        explanation.check_spec(message.get("explanationSpec", {}))
        check_also(call, "aiplatform.models.get", message.get("model", ""))
        self._endpoints.check_deploy(name, message, shares)

        def work(progress: Progress) -> dict[str, Any]:
            return self._endpoints.deploy(name, message, shares, progress, finisher(call, progress))

        about = {**metadata(call), "deploymentStage": "STARTING_DEPLOYMENT"}
        return call.start(name, work, metadata=about, target=name)

    @rpc(permission="aiplatform.endpoints.undeploy", executes=("endpoint", "deployed_model_id", "traffic_split"))
    def undeploy_model(self, request: Any, call: Call) -> Operation:
        name, deployed_id, shares = request.endpoint, request.deployed_model_id, dict(request.traffic_split)
        self._endpoints.check_undeploy(name, deployed_id, shares)

        def work(progress: Progress) -> dict[str, Any]:
            finish = finisher(call, progress)
            with self.platform.records.transaction():
                self._endpoints.undeploy(name, deployed_id, shares)
                finish({})
            return {}

        return call.start(name, work, metadata=metadata(call), target=name)

    # As with updates, the mask says what is read of the deployed model.
    @rpc(permission="aiplatform.endpoints.update", executes=("endpoint", f"{_DEPLOYED}.*", "update_mask"))
    def mutate_deployed_model(self, request: Any, call: Call) -> Operation:
        name, message = request.endpoint, to_dict(request.deployed_model)
        mask = list(pb(request).update_mask.paths)
        known = {path.removeprefix(f"{_DEPLOYED}.") for path in _RESOURCES} | {"min_replica_count", "max_replica_count"}
        wrong = [path for path in mask if path not in known]
        if wrong or not mask:
            raise InvalidArgument(
                f"update_mask must name only {', '.join(sorted(known))}", given=", ".join(wrong) or "nothing"
            )
        present = self._endpoints.deployed_message(name, message.get("id", ""))
        least, most = replica_counts(present)
        given = message.get("dedicatedResources") or message.get("automaticResources") or {}
        if any(path.endswith("min_replica_count") for path in mask):
            least = int(given.get("minReplicaCount") or 1)
        if any(path.endswith("max_replica_count") for path in mask):
            most = int(given.get("maxReplicaCount") or 1)
        counts = replica_counts({"dedicatedResources": {"minReplicaCount": least, "maxReplicaCount": most}})

        def work(progress: Progress) -> dict[str, Any]:
            return {"deployedModel": self._endpoints.mutate(name, message, counts)}

        return call.start(name, work, metadata=metadata(call), target=name)


class PredictionService(Service):
    """Predictions. A REST ``:predict`` of a data-only model is answered in the event loop, see ``fast``."""

    packages = PACKAGES
    service = "PredictionService"

    def __init__(self, platform: Platform, router: Router, explainer: Explainer) -> None:
        super().__init__(platform)
        self._router = router
        self._explainer = explainer
        # Requests that wait for a worker, or are large: the event loop must not.
        self._waiting = ThreadPoolExecutor(64, thread_name_prefix="predict")

    @property
    def fast(self) -> Mapping[str, FastPath]:
        return {"predict": self._fast_predict}

    def _fast_predict(self, request: FastRequest) -> bytes | Awaitable[bytes] | None:
        route = self._router.find(request.name)
        if route is None or not request.principal.owner:
            # A project number in the name, no such endpoint, or somebody whose permission must be looked up.
            return None
        body, deployed = request.body, route.choose()
        if deployed.inline and len(body) <= SMALL_BODY:
            return answer(route, deployed, instances_of(body))
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._waiting, lambda: answer(route, deployed, instances_of(body)))

    @rpc(permission="aiplatform.endpoints.predict", executes=("endpoint", "instances", "parameters"))
    def predict(self, request: Any, call: Call) -> Any:
        message = pb(request)
        _check_endpoint(message.endpoint)
        if message.HasField("parameters"):
            check_parameters(values.to_python(message.parameters))
        instances = [values.to_python(each) for each in message.instances]
        answers, deployed = self._router.predict(message.endpoint, instances)
        response = pb_class(call.method.response)()
        values.extend(response.predictions, answers)
        response.deployed_model_id = deployed.id
        response.model = deployed.model
        response.model_display_name = deployed.display_name
        response.model_version_id = deployed.version_id
        return response

    @rpc(permission="aiplatform.endpoints.predict", executes=("endpoint", "http_body.data", "http_body.content_type"))
    def raw_predict(self, request: Any, call: Call) -> Any:
        message = pb(request)
        _check_endpoint(message.endpoint)
        kind = message.http_body.content_type.partition(";")[0].strip().lower()
        if kind not in ("", "application/json"):
            raise InvalidArgument(
                "The prebuilt runtimes read JSON", given=f"content type {kind}", do="send application/json"
            )
        body, deployed = self._router.predict_json(message.endpoint, message.http_body.data)
        headers = {"Content-Type": "application/json", **raw_headers(message.endpoint, deployed)}
        return Reply(200, body, headers)

    @rpc(
        permission="aiplatform.endpoints.explain", executes=("endpoint", "instances", "parameters", "deployed_model_id")
    )
    def explain(self, request: Any, call: Call) -> dict[str, Any]:
        message = pb(request)
        _check_endpoint(message.endpoint)
        if message.HasField("parameters"):
            check_parameters(values.to_python(message.parameters))
        instances = [values.to_python(each) for each in message.instances]
        return self._explainer.explain(message.endpoint, instances, message.deployed_model_id)


def raw_headers(endpoint: str, deployed: Deployed) -> dict[str, str]:
    """The headers by which a raw answer says who made it."""
    return {
        "X-Vertex-AI-Endpoint-Id": endpoint.rpartition("/")[2],
        "X-Vertex-AI-Deployed-Model-Id": deployed.id,
        "X-Vertex-AI-Model": deployed.model,
        "X-Vertex-AI-Model-Version-Id": deployed.version_id,
    }


def _check_endpoint(name: str) -> None:
    """Predictions go to endpoints here; publisher models (Model Garden) are somebody else's."""
    if "/publishers/" in name:
        raise Unimplemented("Publisher models are not served", given=name, do="deploy a model to an endpoint")
    ENDPOINT.parse(name)


def _location(name: str) -> str:
    return name.rpartition("/endpoints/")[0]
