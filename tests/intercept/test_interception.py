"""Unmodified clients land here: TLS, proxy, credentials, metadata; and nothing of Google's leaves."""

from __future__ import annotations

import base64
import socket
from collections.abc import Callable
from subprocess import CompletedProcess

import httpx
import pytest

from tule.testing.process import ServerProcess

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
    client = aiplatform_v1.PipelineServiceClient(
        transport=transport, client_options={"api_endpoint": "us-central1-aiplatform.googleapis.com"})
    try:
        client.get_pipeline_job(name="projects/p/locations/us-central1/pipelineJobs/x", retry=None, timeout=20)
    except exceptions.MethodNotImplemented as error:
        print(transport, error.message)
""")
    grpc, rest = done.stdout.splitlines()
    assert grpc.startswith("grpc Tule does not do PipelineService.GetPipelineJob yet. Next: see docs/coverage.md")
    assert rest.startswith("rest GET https://us-central1-aiplatform.googleapis.com")
    assert rest.endswith("Tule does not do PipelineService.GetPipelineJob yet. Next: see docs/coverage.md for what it does")


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
        answer = sock.recv(4096)
    assert answer.startswith(b"HTTP/1.1 407")
    assert b"tule exec" in answer


def test_other_hosts_pass_where_the_command_would_have_reached_them(server: ServerProcess) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        credential = base64.b64encode(f"tule:{server.token}".encode()).decode()
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
