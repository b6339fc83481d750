"""Unmodified clients land here: TLS, proxy, credentials, metadata; and nothing of Google's leaves."""

from __future__ import annotations

import base64
import re
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import httpx
import pytest

from tule.testing.process import ServerProcess
from tule.wire.intercept.routes import Route

Exec = Callable[..., CompletedProcess[str]]
pytestmark = pytest.mark.clients


def test_default_credentials_name_the_project_and_get_a_token(tule_exec: Exec) -> None:
    done = tule_exec("""
import google.auth, google.auth.transport.requests
credentials, project = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
credentials.refresh(google.auth.transport.requests.Request())
print(project, credentials.service_account_email, bool(credentials.token))
""")
    assert done.stdout.split() == ["test-project", "tule@test-project.iam.gserviceaccount.com", "True"]


def test_grpc_and_rest_both_reach_an_api_that_is_not_served(tule_exec: Exec) -> None:
    done = tule_exec("""
from google.cloud import aiplatform_v1
from google.api_core import exceptions
for transport in ("grpc", "rest"):
    client = aiplatform_v1.MigrationServiceClient(
        transport=transport, client_options={"api_endpoint": "us-central1-aiplatform.googleapis.com"})
    try:
        client.search_migratable_resources(parent="projects/p/locations/us-central1", retry=None, timeout=20)
    except exceptions.MethodNotImplemented as error:
        print(transport, error.message)
""")
    grpc, rest = done.stdout.splitlines()
    assert grpc.startswith(
        "grpc Tule does not do MigrationService.SearchMigratableResources yet. Next: see docs/coverage.md"
    )
    assert rest.startswith("rest POST https://us-central1-aiplatform.googleapis.com")
    assert rest.endswith(
        "Tule does not do MigrationService.SearchMigratableResources yet. Next: see docs/coverage.md for what it does"
    )


def test_a_google_host_that_is_not_served_gets_a_clear_error_and_never_leaves(tule_exec: Exec) -> None:
    done = tule_exec("""
import requests, google.auth, google.auth.transport.requests
credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
session = google.auth.transport.requests.AuthorizedSession(credentials)
answer = session.get("https://spanner.googleapis.com/v1/projects/p/instances")
print(answer.status_code, answer.json()["error"]["message"])
""")
    assert done.stdout.startswith("404 There is no method at GET /v1/projects/p/instances")


def test_the_metadata_server_answers_for_the_project(tule_exec: Exec) -> None:
    done = tule_exec("""
import requests
base = "http://metadata.google.internal/computeMetadata/v1/"
print(requests.get(base + "project/project-id", headers={"Metadata-Flavor": "Google"}).text)
token = requests.get(base + "instance/service-accounts/default/token", headers={"Metadata-Flavor": "Google"}).json()
print(token["token_type"])
print(requests.get(base + "project/project-id").status_code)
""")
    assert done.stdout.split() == ["test-project", "Bearer", "403"]


def test_offline_refuses_other_hosts(server: ServerProcess) -> None:
    done = server.exec(["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "https://example.com/"], check=False)
    assert done.returncode != 0
    assert "403" in done.stdout + done.stderr


def test_the_proxy_wants_its_credential(server: ServerProcess) -> None:
    with socket.create_connection(("127.0.0.1", server.runtime.port)) as sock:
        wrong = base64.b64encode(b"tule:wrong").decode()
        sock.sendall(
            f"CONNECT storage.googleapis.com:443 HTTP/1.1\r\nHost: storage.googleapis.com\r\n"
            f"Proxy-Authorization: Basic {wrong}\r\n\r\n".encode()
        )
        answer = b"".join(iter(lambda: sock.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 407")
    assert b"tule exec" in answer


@pytest.mark.parametrize("user", ["tule", f"tule+{Route().encode()}", f"tule%2B{Route().encode()}"])
def test_other_hosts_pass_where_the_command_would_have_reached_them(server: ServerProcess, user: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        credential = base64.b64encode(f"{user}:{server.token}".encode()).decode()
        with socket.create_connection(("127.0.0.1", server.runtime.port)) as sock:
            sock.sendall(
                f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Basic {credential}\r\n\r\n".encode()
            )
            there, _ = listener.accept()
            with there:
                assert sock.recv(4096).startswith(b"HTTP/1.1 200")
                sock.sendall(b"ping")
                assert there.recv(10) == b"ping"
                there.sendall(b"pong")
                assert sock.recv(10) == b"pong"


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic eDp5"}])
def test_no_request_without_the_token(server: ServerProcess, headers: dict[str, str]) -> None:
    answer = httpx.get(f"{server.url}/bigquery/v2/projects/p/datasets", headers=headers)
    assert answer.status_code == 401
    assert "tule env" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}, {"Origin": "http://localhost:1"}]
)
def test_foreign_hosts_and_origins_are_refused(server: ServerProcess, headers: dict[str, str]) -> None:
    answer = httpx.get(f"{server.url}/bigquery/v2/projects/p/datasets", headers={**server.headers, **headers})
    assert answer.status_code == 403


def test_the_same_port_speaks_tls_with_a_certificate_of_ours(server: ServerProcess) -> None:
    for port in (server.runtime.tls_port, server.runtime.port):
        answer = httpx.get(f"https://127.0.0.1:{port}/healthz", verify=str(server.target.bundle))
        assert answer.json() == {"status": "ready"}


def test_every_usual_way_to_speak_http_lands_here(tule_exec: Exec) -> None:
    done = tule_exec("""
import asyncio, json, os, subprocess, urllib.request
import httpx, requests
url = "https://bigquery.googleapis.com/bigquery/v2/projects?alt=json"
headers = {"Authorization": "Bearer " + os.environ["TULE_TOKEN"]}
print("requests", requests.get(url, headers=headers).json()["kind"])
print("urllib", json.load(urllib.request.urlopen(urllib.request.Request(url, headers=headers)))["kind"])
print("httpx", httpx.get(url, headers=headers).json()["kind"])
async def ask():
    async with httpx.AsyncClient() as client:
        return (await client.get(url, headers=headers)).json()["kind"]
print("async", asyncio.run(ask()))
curl = ["curl", "-sS", "-H", "Authorization: " + headers["Authorization"], url]
print("curl", json.loads(subprocess.run(curl, capture_output=True, check=True).stdout)["kind"])
""")
    assert done.stdout.splitlines() == [
        f"{way} bigquery#projectList" for way in ("requests", "urllib", "httpx", "async", "curl")
    ]


class Upstream:
    """The proxy that a command had before: it notes what it is asked for, and lets nothing through."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://user:pass@127.0.0.1:{self._socket.getsockname()[1]}"
        self.heads: list[str] = []
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                self.heads.append(connection.recv(65536).decode("latin-1"))
                connection.sendall(b"HTTP/1.1 418 I'm a teapot\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    def __enter__(self) -> Upstream:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(10)


# Whatever Python's sockets look up or connect to, and whom this process's sockets (gRPC's too) are connected with.
SEEN = """
import os, socket, sys
asked = set()
def watch(event, arguments):
    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        asked.add(str(arguments[0]))
    elif event == "socket.connect" and isinstance(arguments[1], tuple):
        asked.add(arguments[1][0])
sys.addaudithook(watch)
def peers():
    own = {os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")}
    rows = [line.split() for name in ("tcp", "tcp6") for line in open(f"/proc/self/net/{name}").readlines()[1:]]
    return {row[2].split(":")[0] for row in rows if f"socket:[{row[9]}]" in own}
"""


def test_nothing_meant_for_google_leaves(server: ServerProcess) -> None:
    code = (
        SEEN
        + """
import requests, google.auth, google.auth.transport.requests
from google.api_core.exceptions import GoogleAPICallError
from google.cloud import aiplatform_v1, bigquery
session = google.auth.transport.requests.AuthorizedSession(
    google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])[0])
for host in ("spanner", "storage", "www", "oauth2", "us-central1-aiplatform", "no-such-service"):
    session.get(f"https://{host}.googleapis.com/v1/anything")
requests.get("https://us-docker.pkg.dev/v2/")
requests.get("http://metadata.google.internal/computeMetadata/v1/project/project-id")
bigquery.Client().query_and_wait("SELECT 1")
client = aiplatform_v1.PipelineServiceClient(client_options={"api_endpoint": "europe-west4-aiplatform.googleapis.com"})
try:
    client.list_pipeline_jobs(parent="projects/p/locations/europe-west4", retry=None, timeout=20)
except GoogleAPICallError:
    pass
print(sorted(asked), sorted(peers()))
"""
    )
    with Upstream() as upstream:
        done = server.exec(code, offline=False, inherited={"HTTPS_PROXY": upstream.url})
        asked, _, peers = done.stdout.strip().rpartition(" [")
        assert asked == "['127.0.0.1']"
        # 127.0.0.1 as the kernel writes it, alone and inside IPv6.
        assert set(re.findall(r"\w+", peers)) <= {"0100007F", "0000000000000000FFFF00000100007F"}
        assert upstream.heads == []

        # The same, for a host that is not Google's: this is how it would have been seen.
        server.exec(
            ["curl", "-sS", "https://example.com/"], offline=False, check=False, inherited={"HTTPS_PROXY": upstream.url}
        )
        (head,) = upstream.heads
        assert head.startswith("CONNECT example.com:443 HTTP/1.1")
        assert f"Proxy-Authorization: Basic {base64.b64encode(b'user:pass').decode()}" in head
        assert server.token not in head and "tule" not in head.lower()


def test_no_proxy_is_honoured_for_other_hosts_and_not_for_googles(server: ServerProcess) -> None:
    with Upstream() as upstream, socket.create_server(("127.0.0.2", 0)) as direct:
        inherited = {"HTTPS_PROXY": upstream.url, "NO_PROXY": "*.googleapis.com,127.0.0.2"}
        port = direct.getsockname()[1]
        code = f"import socket, requests; requests.get('http://127.0.0.2:{port}/x')"
        answering = threading.Thread(target=_answer_once, args=(direct,))
        answering.start()
        server.exec(code, offline=False, inherited=inherited)
        answering.join(10)
        done = server.exec(
            "import requests; print(requests.get('https://bigquery.googleapis.com/bigquery/v2/projects').status_code)",
            offline=False, inherited=inherited,
        )  # fmt: skip
        assert done.stdout == "401\n"
        assert upstream.heads == []


def _answer_once(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        head = connection.recv(65536).decode()
        assert head.startswith("GET /x HTTP/1.1") and "Proxy-Authorization" not in head
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


def test_an_offline_server_refuses_whatever_a_command_asks(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "home", offline=True).start()
    try:
        done = server.exec(
            ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_connect}", "https://example.com/"],
            offline=False,
            check=False,
        )
        assert done.stdout == "403"
        refused = server.exec(["curl", "-sS", "http://example.com/"], offline=False, check=False)
        assert "Tule is offline" in refused.stdout and "given: example.com:80" in refused.stdout
    finally:
        server.stop()


@pytest.mark.parametrize(
    "given", ["", "Basic !!!", "Basic dHVsZQ==", "Bearer wrong"], ids=["none", "noise", "user", "bearer"]
)
def test_the_proxy_answers_nobody_without_its_credential(server: ServerProcess, given: str) -> None:
    for target, host in (
        ("CONNECT bigquery.googleapis.com:443", "bigquery.googleapis.com"),
        ("GET http://example.com/", "example.com"),
        ("GET http://metadata.google.internal/computeMetadata/v1/project/project-id", "metadata.google.internal"),
    ):
        line = f"Proxy-Authorization: {given}\r\n" if given else ""
        with socket.create_connection(("127.0.0.1", server.runtime.port)) as sock:
            sock.sendall(f"{target} HTTP/1.1\r\nHost: {host}\r\n{line}\r\n".encode())
            answer = b"".join(iter(lambda: sock.recv(65536), b""))
        assert answer.startswith((b"HTTP/1.1 407", b"HTTP/1.1 401")), answer
        assert b"Next:" in answer
