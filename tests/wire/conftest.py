"""A whole server in this process over two small doors: a gapic one on a real client package, and a JSON one."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections.abc import Awaitable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from google.cloud import aiplatform_v1
from google.oauth2.credentials import Credentials

from tule.kernel.access import Access
from tule.kernel.clock import RealClock
from tule.kernel.errors import FailedPrecondition, InvalidArgument, NotFound
from tule.kernel.home import Home
from tule.kernel.iam import Policies
from tule.kernel.journal import Journal
from tule.kernel.operations import Operations
from tule.kernel.projects import Projects
from tule.kernel.records import Records
from tule.kernel.settings import Settings
from tule.wire.calls import Call, Handler, Platform, rpc
from tule.wire.door import Door, Reply, Request, route
from tule.wire.grpc import Grpc
from tule.wire.handlers import HandlerTable
from tule.wire.intercept.ca import CertificateAuthority
from tule.wire.intercept.metadata_server import MetadataServer
from tule.wire.intercept.names import METADATA
from tule.wire.intercept.oauth import TokenEndpoint
from tule.wire.intercept.proxy import Proxy
from tule.wire.rest import Rest
from tule.wire.server import Server
from tule.wire.service import FastRequest, Service
from tule.wire.standard import Collection
from tule.wire.surfaces import CLIENT_STREAM, Surface

PACKAGE = "google.cloud.aiplatform_v1"
LOCATION = "projects/p/locations/us-central1"
BOARD = LOCATION + "/tensorboards/{tensorboard}"
MAX_BODY = 4 * 2**20


class Boards(Service):
    """Tensorboards: standard methods with and without operations, a stream out, a stream in, one that fails as told."""

    packages = (PACKAGE,)
    service = "TensorboardService"
    collections = (
        Collection(
            "Tensorboard",
            "projects/{project}/locations/{location}/tensorboards/{tensorboard}",
            permission="aiplatform.tensorboards",
            executes=("display_name",),
            stores=("description",),
        ),
        Collection(
            "TensorboardExperiment",
            "projects/{project}/locations/{location}/tensorboards/{tensorboard}/experiments/{experiment}",
            permission="aiplatform.tensorboardExperiments",
            executes=("display_name", "source"),
            stores=("description",),
        ),
    )

    def __init__(self, platform: Platform) -> None:
        super().__init__(platform)
        # Open for a test to hold a call back, and what calls saw of their end.
        self.gate = threading.Event()
        self.ended = threading.Event()

    @rpc(permission="aiplatform.tensorboards.read", executes=("time_series", "blob_ids"))
    def read_tensorboard_blob_data(self, request: Any, call: Call) -> Iterator[Any]:
        try:
            for each in request.blob_ids:
                if each == "wait":
                    self.gate.wait(30)
                elif each == "fail":
                    raise FailedPrecondition("A blob must be whole", given=each, do="upload it again")
                elif each == "bug":
                    raise RuntimeError("a secret of the server")
                else:
                    blob = aiplatform_v1.TensorboardBlob(id=each, data=each.encode() * 1000)
                    yield aiplatform_v1.ReadTensorboardBlobDataResponse(blobs=[blob])
        finally:
            self.ended.set()

    @rpc(permission="aiplatform.tensorboards.write", executes=("tensorboard_run", "time_series_data.*"))
    def write_tensorboard_run_data(self, request: Any, call: Call) -> dict[str, Any]:
        kind = request.tensorboard_run.rpartition("/")[2]
        if kind == "missing":
            raise NotFound("The run must exist", given=request.tensorboard_run, do="create it first")
        if kind == "long":
            raise InvalidArgument("The run must be short", given="x" * 100_000)
        if kind == "detailed":
            detail = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "TEST", "domain": "tule"}
            raise InvalidArgument("The run must be simple", details=[detail])
        if kind == "bug":
            raise RuntimeError("a secret of the server")
        if kind == "wait":
            self.gate.wait(30)
        return {}

    @rpc(permission="aiplatform.tensorboards.read", executes=("tensorboard_time_series", "max_data_points"))
    def read_tensorboard_time_series_data(self, request: Any, call: Call) -> dict[str, Any]:
        blob = {"id": "x" * int(request.max_data_points)}
        data = {"values": [{"blobs": {"values": [blob]}, "step": "7"}], "valueType": "BLOB_SEQUENCE"}
        return {"timeSeriesData": data}

    @rpc(permission="aiplatform.tensorboards.write", executes=("parent", "requests.*"))
    def batch_create_tensorboard_runs(self, requests: Any, call: Call) -> dict[str, Any]:
        """A stream of requests with one answer, as no client package has it: see ``handlers``."""
        return {"tensorboardRuns": [{"name": each.parent} for each in requests]}

    def handlers(self, surface: Surface) -> dict[str, Handler]:
        found = super().handlers(surface)
        path = "/google.cloud.aiplatform.v1.TensorboardService/BatchCreateTensorboardRuns"
        method = dataclasses.replace(found[path].method, streaming=CLIENT_STREAM, http=())
        return found | {path: dataclasses.replace(found[path], method=method)}


class Writes(Service):
    """A conversation: each message in is answered by one."""

    packages = (PACKAGE,)
    service = "FeatureOnlineStoreService"

    @rpc(
        permission="aiplatform.featureViews.write",
        executes=("feature_view", "data_key_and_feature_values.data_key.key"),
    )
    def feature_view_direct_write(self, requests: Any, call: Call) -> Iterator[dict[str, Any]]:
        for request in requests:
            keys = [{"dataKey": {"key": each.data_key.key}} for each in request.data_key_and_feature_values]
            yield {"writeResponses": keys}


class Predictions(Service):
    """A method with a short way."""

    packages = (PACKAGE,)
    service = "PredictionService"

    @property
    def fast(self) -> Any:
        return {"predict": self._fast}

    def _fast(self, request: FastRequest) -> bytes | Awaitable[bytes] | None:
        if request.body == b"ordinary":
            return None
        if request.body.startswith(b"wait"):
            return self._slow(request.body)
        if request.body == b"bug":
            raise RuntimeError("a secret of the server")
        return b'{"fast":' + str(len(request.body)).encode() + b"}"

    async def _slow(self, body: bytes) -> bytes:
        await asyncio.sleep(0.01)
        if body == b"wait for ever":
            await asyncio.Event().wait()
        if body == b"wait for a bug":
            raise RuntimeError("a secret of the server")
        return b'{"waited":' + str(len(body)).encode() + b"}"

    @rpc(permission="aiplatform.endpoints.predict", executes=("endpoint", "instances"))
    def predict(self, request: Any, call: Call) -> dict[str, Any]:
        return {"deployedModelId": "ordinary", "predictions": list(request.instances)}


class Notes(Door):
    """A JSON door."""

    name = "notes"
    hosts = ("notes.googleapis.com",)

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.waiting = 0

    @route("GET", "/notes/v1/projects/{project}/notes/{note}", permission="notes.get", executes=("verbose",))
    def get_note(self, request: Request) -> dict[str, Any]:
        return {"id": request.params["note"], "tags": [{"name": "a", "rank": 1}], "by": request.principal.email}

    @route(
        "POST",
        "/notes/v1/projects/{project}/notes",
        permission="notes.create",
        executes=("id", "body.text", "flags.*"),
        stores=("title",),
    )
    def insert_note(self, request: Request) -> Reply:
        return Reply(201, request.json(), {"X-Title": request.json().get("title", "")})

    @route("POST", "/notes/v1/projects/{project}/uploads", permission="notes.create", streams=True)
    def upload(self, request: Request) -> dict[str, Any]:
        return {"size": sum(len(chunk) for chunk in request.chunks())}

    @route("GET", "/notes/v1/projects/{project}/download", permission="notes.get", executes=("size",))
    def download(self, request: Request) -> Reply:
        size = int(request.query["size"])
        return Reply(200, (b"x" * 2**16 for _ in range(size // 2**16)), {"Content-Type": "text/plain"})

    @route("GET", "/notes/v1/projects/{project}/wait", permission="notes.get")
    def wait(self, request: Request) -> dict[str, Any]:
        self.waiting += 1
        return {"opened": self.gate.wait(30)}

    @route("GET", "/notes/v1/public", public=True)
    def public(self, request: Request) -> dict[str, Any]:
        return {"who": request.principal.email}

    @route("GET", "/notes/v1/bug", permission="notes.get")
    def bug(self, request: Request) -> dict[str, Any]:
        raise RuntimeError("a secret of the server")


class Example:
    """The running server and ways to speak to it."""

    def __init__(self, folder: Path, *, patience: float = 60.0, threads: int = 64) -> None:
        self.clock = RealClock()
        self.home = Home.open(Settings(home=folder))
        self.records = Records(f"sqlite:///{self.home.path('tule.db')}", self.clock)
        self.operations = Operations(self.records, Journal(self.records), self.clock)
        self.policies = Policies(self.records)
        self.projects = Projects(self.records)
        self.access = Access(self.home, self.clock, "p", policies=self.policies)
        self.platform = Platform(self.records, self.operations, self.projects, self.policies)
        self.table = HandlerTable(self.platform, self.access)
        self.boards, self.notes = Boards(self.platform), Notes()
        self.table.add_api("aiplatform.googleapis.com", (PACKAGE,))
        self.table.add_api(
            "cloudresourcemanager.googleapis.com", ("google.cloud.resourcemanager_v3",), "resourcemanager"
        )
        self.table.add_service((PACKAGE,), "TensorboardService", lambda: self.boards)
        self.table.add_service((PACKAGE,), "FeatureOnlineStoreService", lambda: Writes(self.platform))
        self.table.add_service((PACKAGE,), "PredictionService", lambda: Predictions(self.platform))
        self.table.add_door(Notes.hosts, ("/notes/",), lambda: self.notes)
        self.table.add_door(("oauth2.googleapis.com",), ("/token",), lambda: TokenEndpoint(self.access))
        metadata = MetadataServer(self.access, location="us-central1")
        self.table.add_door(METADATA, ("/computeMetadata/",), lambda: metadata)
        predict = r"/v1/(?P<name>projects/[^/]+/locations/[^/]+/endpoints/[^/:]+):predict"
        fast = ((predict, PACKAGE, "PredictionService", "predict"),)
        self.authority = CertificateAuthority(self.home, self.clock)
        self.server = Server(
            Rest(self.table, self.access, max_body=MAX_BODY, threads=threads, fast=fast),
            lambda socket: Grpc(self.table, self.access, socket, max_body=MAX_BODY),
            tls=self.authority.context,
            connect=Proxy(self.access),
            private=self.home.folder("sockets"),
            host="127.0.0.1",
            port=0,
            tls_port=0,
            patience=patience,
        )
        self.server.start()
        self.headers = {"authorization": f"Bearer {self.access.token}"}
        self.address = f"127.0.0.1:{self.server.port}"
        self.http = httpx.Client(base_url=f"http://{self.address}", headers=self.headers, timeout=30)
        self.stranger = grpc.insecure_channel(self.address, options=[("grpc.max_receive_message_length", 2**28)])
        self.channel = grpc.intercept_channel(self.stranger, _Token(self.access.token))

    def close(self) -> None:
        self.http.close()
        self.stranger.close()
        self.server.stop()
        self.operations.close()
        self.records.close()
        self.home.close()

    def client(self, transport: str) -> aiplatform_v1.TensorboardServiceClient:
        """Google's client of the boards over a carrier."""
        kind = aiplatform_v1.TensorboardServiceClient.get_transport_class(transport)
        credentials = Credentials(token=self.access.token)
        if transport == "rest":
            made = kind(host=self.address, url_scheme="http", credentials=credentials)
        else:
            made = kind(channel=self.channel)
        return aiplatform_v1.TensorboardServiceClient(transport=made)

    def error(self, answer: httpx.Response) -> dict[str, Any]:
        found: dict[str, Any] = answer.json()["error"]
        return found


class _Token(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Adds the token, which gRPC's own credentials send over TLS only."""

    def __init__(self, token: str) -> None:
        self._header = ("authorization", f"Bearer {token}")

    def intercept(self, go_on: Any, details: Any, request: Any) -> Any:
        return go_on(details._replace(metadata=[*(details.metadata or ()), self._header]), request)

    intercept_unary_unary = intercept_unary_stream = intercept
    intercept_stream_unary = intercept_stream_stream = intercept


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
    """One server for the tests of a worker; use names of your own in it."""
    made = Example(tmp_path_factory.mktemp("wire") / "home")
    yield made
    made.close()


@pytest.fixture(scope="session")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
    """A server with little patience and few threads."""
    made = Example(tmp_path_factory.mktemp("hasty") / "home", patience=0.4, threads=2)
    yield made
    made.close()


@pytest.fixture
def side() -> Iterator[ThreadPoolExecutor]:
    """Threads for calls that wait."""
    with ThreadPoolExecutor(16) as pool:
        yield pool
