"""Endpoints: creating them, deploying models to them, and bringing both back after a restart.

An endpoint is a record whose body is Google's message. Beside each deployed model stands a record
``.../deployedModels/ID`` (kind ``Deployment``) with what serves it; its folder ``home/deployments/<id>`` holds
compiled arrays and logs. Opening a model comes first and may take long; then one transaction writes the endpoint, the
deployment, the model's note of it and the end of the operation: an endpoint is in its old state or its new one.
"""

from __future__ import annotations

import logging
import re
import secrets
import shutil
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict
from typing import Any, Protocol

from tule.kernel.clock import Clock
from tule.kernel.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound, TuleError
from tule.kernel.home import Home
from tule.kernel.names import Pattern, numeric_id
from tule.kernel.operations import Progress
from tule.kernel.records import Record, Records
from tule.vertex.endpoints import traffic
from tule.vertex.endpoints.replicas import Replicas, Serving, check_servable, replica_counts
from tule.vertex.endpoints.router import Deployed, Route, Router
from tule.vertex.registry import Models

ENDPOINT = Pattern("projects/{project}/locations/{location}/endpoints/{endpoint}")

_LOG = logging.getLogger(__name__)
_ENDPOINT_ID = re.compile(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?|[1-9][0-9]{0,9}|0")
_DEPLOYED_ID = re.compile(r"[0-9]{1,10}")
_UPDATABLE = {"displayName", "description", "labels", "trafficSplit"}


def _now(clock: Clock) -> str:
    return clock.now().isoformat().replace("+00:00", "Z")


class Story(Protocol):
    """What is told of deployments (``vertex.experiments``), passed in by the wiring; inside their transaction."""

    def deployed(self, endpoint: str, version: str, deployed_id: str) -> None:
        """A model version began to answer behind an endpoint."""


class Endpoints:
    """The endpoints of the server. Safe to use from several threads."""

    def __init__(
        self,
        home: Home,
        records: Records,
        models: Models,
        replicas: Replicas,
        router: Router,
        clock: Clock,
        story: Callable[[], Story] | None = None,
    ) -> None:
        """``story`` is asked for when there is something to tell."""
        self._story = story
        self._records = records
        self._models = models
        self._replicas = replicas
        self._clock = clock
        self._folders = home.folder("deployments")
        self._publishing = threading.Lock()
        self.router = router

    # -- reading

    def message(self, record: Record) -> dict[str, Any]:
        """The Endpoint message as ``GetEndpoint`` answers it."""
        route = self.router.find(record.name)
        deployed = [
            {**each, "status": route.deployed[each["id"]].status()} if route and each["id"] in route.deployed else each
            for each in record.body.get("deployedModels", [])
        ]
        location = ENDPOINT.parse(record.name)["location"]
        return {
            **{key: value for key, value in record.body.items() if key != "endpoint"},
            "name": record.name,
            "etag": record.etag,
            "createTime": record.create_time.isoformat().replace("+00:00", "Z"),
            "updateTime": record.update_time.isoformat().replace("+00:00", "Z"),
            **({"deployedModels": deployed} if deployed else {}),
            # A dedicated endpoint answers under the regional name too; there is no other tenant to keep away.
            **(
                {"dedicatedEndpointDns": f"{location}-aiplatform.googleapis.com"}
                if record.body.get("dedicatedEndpointEnabled")
                else {}
            ),
        }

    def get(self, name: str) -> dict[str, Any]:
        return self.message(self._endpoint(name))

    def list_endpoints(
        self, parent: str, *, filter: str = "", order_by: str = "", page_size: int = 0, page_token: str = ""
    ) -> tuple[list[dict[str, Any]], str]:
        page = self._records.list(
            "Endpoint", parent, filter=filter, order_by=order_by, page_size=page_size, page_token=page_token
        )
        return [self.message(record) for record in page], page.next_page_token

    # -- the endpoint itself

    def check_new(self, parent: str, message: Mapping[str, Any], endpoint_id: str = "") -> None:
        """Raise what is wrong with a new endpoint before it is made."""
        if not message.get("displayName"):
            raise InvalidArgument("An endpoint must have a display name", given="none", do="set endpoint.display_name")
        if endpoint_id and not _ENDPOINT_ID.fullmatch(endpoint_id):
            raise InvalidArgument(
                "An endpoint id must be up to 10 digits without a leading zero, or up to 63 of [a-z0-9-] that begin "
                "with a letter and do not end with a hyphen",
                given=repr(endpoint_id),
            )
        if message.get("trafficSplit"):
            raise InvalidArgument(
                "A new endpoint has no deployed model to send traffic to",
                given=f"traffic_split {message['trafficSplit']}",
                do="set the split with the first deployment",
            )
        _seconds(message.get("clientConnectionConfig", {}))
        if endpoint_id and self._records.find(f"{parent}/endpoints/{endpoint_id}"):
            raise AlreadyExists("The endpoint id must be free", given=f"{parent}/endpoints/{endpoint_id}")

    def create(self, parent: str, message: Mapping[str, Any], endpoint_id: str = "") -> dict[str, Any]:
        """Store a new endpoint; it takes no traffic until a model is deployed."""
        self.check_new(parent, message, endpoint_id)
        key = endpoint_id or numeric_id()
        body = {name: value for name, value in message.items() if name not in ("name", "etag")}
        record = self._records.create("Endpoint", f"{parent}/endpoints/{key}", {**body, "endpoint": key})
        self._records.after_commit(lambda: self._publish(record.name))
        return self.message(record)

    def update(self, name: str, changes: Mapping[str, Any], fields: Collection[str], etag: str = "") -> dict[str, Any]:
        """Set ``fields`` (camelCase) to their values in ``changes``."""
        wrong = sorted(set(fields) - _UPDATABLE)
        if wrong:
            raise InvalidArgument(
                f"An update of an endpoint must name only {', '.join(sorted(_UPDATABLE))}",
                given=", ".join(wrong),
                do="deploy and undeploy models with their own methods",
            )
        if "displayName" in fields and not changes.get("displayName"):
            raise InvalidArgument("An endpoint must have a display name", given="an empty one")

        def change(body: dict[str, Any]) -> dict[str, Any]:
            for field in fields:
                value = changes.get(field)
                if field == "trafficSplit":
                    value = traffic.check(_shares(value), _ids(body))
                if value:
                    body[field] = value
                else:
                    body.pop(field, None)
            return body

        with self._records.transaction():
            self._endpoint(name)
            record = self._records.update(name, change, etag=etag or None)
            self._records.after_commit(lambda: self._publish(name))
        return self.get(record.name)

    def set_timeout(self, name: str, config: Mapping[str, Any]) -> dict[str, Any]:
        """Set how long one prediction may take (``client_connection_config``)."""
        _seconds(config)
        with self._records.transaction():
            self._endpoint(name)
            self._records.update(name, lambda body: {**body, "clientConnectionConfig": dict(config)})
            self._records.after_commit(lambda: self._publish(name))
        return self.get(name)

    def check_delete(self, name: str) -> None:
        """Raise what ``delete`` would raise."""
        deployed = self._endpoint(name).body.get("deployedModels", [])
        if deployed:
            raise FailedPrecondition(
                "An endpoint must have no deployed models when it is deleted",
                given=", ".join(f"{each['id']} ({each['displayName']})" for each in deployed),
                do="undeploy them first, or delete with force",
            )

    def delete(self, name: str) -> None:
        """Remove an endpoint; FailedPrecondition while models are deployed to it."""
        with self._records.transaction():
            self.check_delete(name)
            # Operations under the endpoint stay: they are the record of what was done to it.
            self._records.delete(name)
            self._records.after_commit(lambda: self._publish(name))

    # -- deployments

    def check_deploy(self, name: str, message: Mapping[str, Any], shares: Mapping[str, int]) -> None:
        """Raise what is wrong with a deployment before any work is done."""
        record = self._endpoint(name)
        self._new_id(record, message)
        replica_counts(dict(message))
        if shares:
            traffic.with_new(shares, traffic.NEW, _ids(record.body))
        if not message.get("model"):
            raise InvalidArgument("A deployment must name its model", given="none", do="set deployed_model.model")
        check_servable(self._models.get(message["model"]))

    def _new_id(self, record: Record, message: Mapping[str, Any]) -> str:
        wanted = message.get("id", "")
        if not wanted:
            return numeric_id()
        if not _DEPLOYED_ID.fullmatch(wanted) or wanted == traffic.NEW:
            raise InvalidArgument("A deployed model id must be 1 to 10 digits and not 0", given=repr(wanted))
        if wanted in _ids(record.body):
            raise AlreadyExists("The deployed model id must be free on the endpoint", given=wanted)
        return str(wanted)

    def deploy(
        self,
        name: str,
        message: Mapping[str, Any],
        shares: Mapping[str, int],
        progress: Progress,
        finish: Callable[[dict[str, Any]], None],
    ) -> dict[str, Any]:
        """Open a model and put it behind the endpoint; ``finish`` gets the response inside the transaction."""
        self.check_deploy(name, message, shares)
        version = self._models.get(message["model"])
        least, most = replica_counts(dict(message))
        progress.report(10, "opening the model", deploymentStage="STARTING_MODEL_SERVER")
        folder = self._folders / secrets.token_hex(16)
        folder.mkdir(mode=0o700)
        replica = None
        try:
            logs = not message.get("disableContainerLogging", False)
            want = Serving("", "", least=least, most=most, logs=logs)
            serving, replica = self._replicas.prepare(version, folder, want)
            progress.report(90, "routing traffic", deploymentStage="FINISHING_UP")
            with self._records.transaction():
                record = self._endpoint(name)
                deployed_id = self._new_id(record, message)
                deployed = {
                    **message,
                    "id": deployed_id,
                    "model": version.model,
                    "modelVersionId": version.id,
                    "displayName": message.get("displayName") or version.message["displayName"],
                    "createTime": _now(self._clock),
                }
                split = _shares(record.body.get("trafficSplit"))
                if shares:
                    split = traffic.with_new(shares, deployed_id, _ids(record.body))
                body = {
                    "model": version.name,
                    "modelDisplayName": version.message["displayName"],
                    "folder": folder.name,
                    "serving": asdict(serving),
                }
                self._records.create("Deployment", f"{name}/deployedModels/{deployed_id}", body, parent=name)
                self._records.update(
                    name,
                    lambda old: {
                        **old,
                        "deployedModels": [*old.get("deployedModels", []), deployed],
                        "trafficSplit": split,
                    },
                )
                self._models.note_deployed(version.name, name, deployed_id)
                if self._story is not None:
                    self._story().deployed(name, version.name, deployed_id)
                entry = Deployed(deployed_id, version.model, version.id, version.message["displayName"], replica)
                self._records.after_commit(lambda: self._publish(name, entry))
                answer = {"deployedModel": deployed}
                finish(answer)
        except BaseException:
            if replica is not None:
                replica.close()
            shutil.rmtree(folder, ignore_errors=True)
            raise
        _LOG.info("%s serves %s as %s: %s", name, version.name, deployed_id, serving.reason)
        return answer

    def check_undeploy(self, name: str, deployed_model_id: str, shares: Mapping[str, int]) -> dict[str, int]:
        """The traffic split after ``undeploy``; raises what it would raise."""
        record = self._endpoint(name)
        ids = _ids(record.body)
        if deployed_model_id not in ids:
            raise NotFound(
                "The deployed model must exist on the endpoint",
                given=deployed_model_id,
                do=f"use one of {', '.join(ids) or 'none: the endpoint is empty'}",
            )
        rest = [each for each in ids if each != deployed_model_id]
        return traffic.without(_shares(record.body.get("trafficSplit")), deployed_model_id, shares, rest)

    def undeploy(self, name: str, deployed_model_id: str, shares: Mapping[str, int]) -> None:
        """Take a deployed model off an endpoint."""
        with self._records.transaction():
            split = self.check_undeploy(name, deployed_model_id, shares)
            deployment = self._records.delete(f"{name}/deployedModels/{deployed_model_id}")

            def change(body: dict[str, Any]) -> dict[str, Any]:
                kept = [each for each in body["deployedModels"] if each["id"] != deployed_model_id]
                return {**body, "deployedModels": kept, "trafficSplit": split}

            self._records.update(name, change)
            self._models.note_undeployed(deployment.body["model"], name, deployed_model_id)
            route = self.router.find(name)
            gone = route.deployed.get(deployed_model_id) if route else None

            def finish() -> None:
                self._publish(name)
                if gone is not None:
                    gone.close()
                shutil.rmtree(self._folders / deployment.body["folder"], ignore_errors=True)

            self._records.after_commit(finish)

    def mutate(self, name: str, message: Mapping[str, Any], counts: tuple[int, int]) -> dict[str, Any]:
        """Change how many processes answer for a deployed model."""
        deployed_id = message.get("id", "")
        least, most = counts
        with self._records.transaction():
            record = self._endpoint(name)
            if deployed_id not in _ids(record.body):
                raise NotFound("The deployed model must exist on the endpoint", given=repr(deployed_id))

            def change(body: dict[str, Any]) -> dict[str, Any]:
                for each in body["deployedModels"]:
                    if each["id"] == deployed_id:
                        key = "automaticResources" if "automaticResources" in each else "dedicatedResources"
                        each[key] = {**each.get(key, {}), "minReplicaCount": least, "maxReplicaCount": most}
                return body

            record = self._records.update(name, change)
            self._records.update(
                f"{name}/deployedModels/{deployed_id}",
                lambda body: {**body, "serving": {**body["serving"], "least": least, "most": most}},
            )
        self.router.get(name).choose(deployed_id).replica.resize(least, most)
        return next(each for each in record.body["deployedModels"] if each["id"] == deployed_id)

    def deployment(self, name: str, deployed_model_id: str) -> Record:
        """The private record of a deployed model."""
        return self._records.get(f"{name}/deployedModels/{deployed_model_id}")

    def deployed_message(self, name: str, deployed_model_id: str) -> dict[str, Any]:
        """The DeployedModel message."""
        for each in self._endpoint(name).body.get("deployedModels", []):
            if each["id"] == deployed_model_id:
                found: dict[str, Any] = each
                return found
        raise NotFound("The deployed model must exist on the endpoint", given=deployed_model_id)

    # -- the server's life

    def recover(self) -> None:
        """Put every endpoint back on the routing table and reopen its models, beside the caller.

        The table is complete when this returns; a request for a model that is still opening waits for it.
        """
        waiting = []
        used = set()
        for record in self._records.list("Endpoint"):
            entries = {}
            for each in record.body.get("deployedModels", []):
                deployment = self.deployment(record.name, each["id"])
                used.add(deployment.body["folder"])
                name = deployment.body["modelDisplayName"]
                entry = Deployed(each["id"], each["model"], each["modelVersionId"], name)
                entries[each["id"]] = entry
                waiting.append((entry, deployment))
            self._set_route(record, entries)
        for path in self._folders.iterdir():
            if path.name not in used:
                shutil.rmtree(path, ignore_errors=True)
        if waiting:
            threading.Thread(target=self._reopen, args=(waiting,), name="reopen-deployments", daemon=True).start()

    def _reopen(self, waiting: list[tuple[Deployed, Record]]) -> None:
        # Those that only read their arrays come before those that start a process.
        for entry, deployment in sorted(waiting, key=lambda pair: pair[1].body["serving"]["mode"] == "worker"):
            serving = Serving(**deployment.body["serving"])
            try:
                version = self._models.get(deployment.body["model"])
                replica = self._replicas.restore(version, self._folders / deployment.body["folder"], serving)
            except TuleError as error:
                _LOG.error("Deployed model %s could not be reopened: %s", deployment.name, error.message)
                entry.settle(None, error)
            except Exception as error:
                _LOG.exception("Deployed model %s could not be reopened", deployment.name)
                entry.settle(None, FailedPrecondition("The model must open", given=f"{type(error).__name__}: {error}"))
            else:
                entry.settle(replica)

    def close(self) -> None:
        for route in self.router.routes():
            for deployed in route.deployed.values():
                deployed.close()

    # -- inside

    def _endpoint(self, name: str) -> Record:
        ENDPOINT.parse(name)
        record = self._records.find(name)
        if record is None or record.kind != "Endpoint":
            raise NotFound("The endpoint must exist", given=name, do="list the endpoints of the location")
        return record

    def _publish(self, name: str, new: Deployed | None = None) -> None:
        """Bring the routing table to the stored state of one endpoint."""
        # Whoever comes last reads the last state: commits may be published in another order than they were made.
        with self._publishing:
            record = self._records.find(name)
            if record is None:
                self.router.remove(name)
                return
            route = self.router.find(name)
            known = {**(route.deployed if route else {}), **({new.id: new} if new else {})}
            self._set_route(record, {each: known[each] for each in _ids(record.body) if each in known})

    def _set_route(self, record: Record, deployed: Mapping[str, Deployed]) -> None:
        shares = {key: share for key, share in _shares(record.body.get("trafficSplit")).items() if key in deployed}
        seconds = _seconds(record.body.get("clientConnectionConfig", {}))
        self.router.set(Route(record.name, shares, deployed, seconds))


def _ids(body: Mapping[str, Any]) -> list[str]:
    return [each["id"] for each in body.get("deployedModels", [])]


def _shares(split: Mapping[str, Any] | None) -> dict[str, int]:
    return {str(key): int(share) for key, share in (split or {}).items()}


def _seconds(config: Mapping[str, Any]) -> float | None:
    """The prediction timeout in seconds, None when none is set."""
    text = config.get("inferenceTimeout")
    if not text:
        return None
    try:
        seconds = float(str(text).removesuffix("s"))
    except ValueError:
        seconds = -1.0
    if not 0 < seconds <= 3600:
        raise InvalidArgument("An inference timeout must lie between 0 and 3600 s", given=text)
    return seconds
