"""The request path: endpoint, split, deployed model, replica, bytes. No database and no protobuf.

The routing table is an immutable snapshot that is swapped when an endpoint changes, so a request sees one state of it.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from tule.kernel.errors import FailedPrecondition, InvalidArgument, NotFound, TuleError, Unavailable
from tule.vertex.endpoints.replicas import Replica
from tule.vertex.endpoints.traffic import Split

SMALL_BODY = 256 * 1024
"""Bytes of request up to which an inline replica answers in the event loop."""

_STARTING_SECONDS = 60.0


class Deployed:
    """A deployed model in the routing table. Its replica may still be starting, or may have failed to."""

    def __init__(self, id: str, model: str, version_id: str, display_name: str, replica: Replica | None = None) -> None:
        self.id = id
        self.model = model
        self.version_id = version_id
        self.display_name = display_name
        self.requests = 0
        self._replica = replica
        self._failure: TuleError | None = None
        self._ready = threading.Event()
        if replica is not None:
            self._ready.set()
        about = {
            "deployedModelId": id,
            "model": model,
            "modelDisplayName": display_name,
            "modelVersionId": version_id,
        }
        self.tail = b"," + orjson.dumps(about)[1:]
        """The end of every JSON answer of this model."""

    def settle(self, replica: Replica | None, failure: TuleError | None = None) -> None:
        """The replica has started, or why it could not."""
        self._replica, self._failure = replica, failure
        self._ready.set()

    @property
    def inline(self) -> bool:
        """Whether a small request may be answered in the event loop."""
        return self._replica is not None and self._replica.inline

    @property
    def replica(self) -> Replica:
        """The replica, waited for while it starts; raises Unavailable with the reason when there is none."""
        if self._replica is None:
            self._ready.wait(_STARTING_SECONDS)
        if self._replica is not None:
            return self._replica
        if self._failure is not None:
            raise Unavailable(
                f"Deployed model {self.id} must be running",
                given=f"it could not be opened again after a restart: {self._failure.message}",
                do="deploy the model again",
            )
        raise Unavailable(f"Deployed model {self.id} must be running", given="it is still starting", do="try again")

    def status(self) -> dict[str, Any]:
        if self._replica is not None:
            return self._replica.status()
        return {"availableReplicaCount": 0, **({"message": self._failure.message} if self._failure else {})}

    def close(self) -> None:
        if self._replica is not None:
            self._replica.close()


class Route:
    """One endpoint: its split and its deployed models."""

    def __init__(
        self, name: str, shares: Mapping[str, int], deployed: Mapping[str, Deployed], seconds: float | None = None
    ) -> None:
        self.name = name
        self.split = Split(shares)
        self.deployed = dict(deployed)
        self.seconds = seconds

    def choose(self, deployed_model_id: str = "") -> Deployed:
        """The deployed model for the next request, or the one that the request names."""
        if deployed_model_id:
            found = self.deployed.get(deployed_model_id)
            if found is None:
                raise NotFound(
                    "The deployed model must exist on the endpoint",
                    given=deployed_model_id,
                    do=f"use one of {', '.join(sorted(self.deployed)) or 'none: deploy a model first'}",
                )
            return found
        chosen = self.split.choose()
        if chosen is None:
            raise FailedPrecondition(
                "An endpoint must send its traffic to a deployed model",
                given=f"{self.name} has "
                + ("no deployed model" if not self.deployed else f"{', '.join(self.deployed)} but an empty split"),
                do="deploy a model, or set a traffic_split",
            )
        return self.deployed[chosen]


class Router:
    """The routing table of the server. Safe to use from several threads."""

    def __init__(self) -> None:
        self._routes: dict[str, Route] = {}
        self._writing = threading.Lock()

    def set(self, route: Route) -> None:
        with self._writing:
            self._routes = {**self._routes, route.name: route}

    def remove(self, name: str) -> None:
        with self._writing:
            self._routes = {key: route for key, route in self._routes.items() if key != name}

    def find(self, name: str) -> Route | None:
        return self._routes.get(name)

    def get(self, name: str) -> Route:
        route = self._routes.get(name)
        if route is None:
            raise NotFound("The endpoint must exist", given=name, do="list the endpoints of the location")
        return route

    def routes(self) -> list[Route]:
        return list(self._routes.values())

    def predict(self, name: str, instances: Any, deployed_model_id: str = "") -> tuple[list[Any], Deployed]:
        """Predictions for JSON instances, and which deployed model made them."""
        route = self.get(name)
        deployed = route.choose(deployed_model_id)
        check_instances(instances)
        answers = deployed.replica.predict(instances, route.seconds)
        deployed.requests += 1
        return answers, deployed

    def predict_json(self, name: str, body: bytes) -> tuple[bytes, Deployed]:
        """The JSON answer to a JSON request ``{"instances": [...]}``."""
        route, instances = self.get(name), instances_of(body)
        deployed = route.choose()
        return answer(route, deployed, instances), deployed


def answer(route: Route, deployed: Deployed, instances: Sequence[Any]) -> bytes:
    """The JSON answer of a route's deployed model."""
    answers = deployed.replica.predict(instances, route.seconds)
    deployed.requests += 1
    return b'{"predictions":' + orjson.dumps(answers, option=orjson.OPT_SERIALIZE_NUMPY) + deployed.tail


def check_instances(instances: Any) -> None:
    if not isinstance(instances, list) or not instances:
        raise InvalidArgument(
            "A prediction must have a list of instances",
            given="an empty list" if isinstance(instances, list) else type(instances).__name__,
            do='send {"instances": [...]}',
        )


def instances_of(body: bytes) -> list[Any]:
    """The instances in a JSON body; raises InvalidArgument naming what is wrong with it."""
    try:
        request = orjson.loads(body)
    except ValueError as error:
        raise InvalidArgument("The body must be JSON", given=str(error), do='send {"instances": [...]}') from error
    if not isinstance(request, dict) or "instances" not in request:
        given = (
            f"an object with {', '.join(request) or 'nothing'}" if isinstance(request, dict) else type(request).__name__
        )
        raise InvalidArgument("A prediction must have a list of instances", given=given, do='send {"instances": [...]}')
    unknown = [key for key in request if key not in ("instances", "parameters")]
    if unknown:
        raise InvalidArgument(
            "A prediction request must have only known fields", given=", ".join(unknown), do="leave these out"
        )
    check_parameters(request.get("parameters"))
    check_instances(request["instances"])
    found: list[Any] = request["instances"]
    return found


def check_parameters(parameters: Any) -> None:
    if parameters not in (None, {}):
        raise InvalidArgument(
            "The prebuilt runtimes take no parameters", given=str(parameters)[:200], do="leave parameters out"
        )
