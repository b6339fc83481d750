"""Stock clients inside a container land here, as the account that the container runs as."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.vertex.containers.conftest import IMAGE, make_bucket

from tule.app import App
from tule.kernel.jobs import Job
from tule.vertex.containers import Container, Prepared, cause

pytestmark = pytest.mark.clients


@pytest.fixture(scope="module", autouse=True)
def buckets(app: App) -> None:
    make_bucket(app, "p", "data-of-p")
    make_bucket(app, "q", "data-of-q")
    app.objects.put("data-of-q", "x", [b"q"])


def run(app: App, name: str, code: str, **more: str) -> tuple[Prepared, Job]:
    container = Container(image=IMAGE, command=("python", "-c", code), **more)  # type: ignore[arg-type]
    prepared = app.containers.prepare(container, project="p", name=name)
    return prepared, app.jobs.wait(app.jobs.submit("projects/p/customJobs/1", prepared.spec).name, 120)


def test_storage_and_its_permissions(app: App) -> None:
    code = """
from google.cloud import storage
client = storage.Client()
client.bucket("data-of-p").blob("out/model.txt").upload_from_string("trained")
print(client.project, client._credentials.service_account_email)
from google.api_core.exceptions import Forbidden
try:
    client.bucket("data-of-q").blob("x").download_as_bytes()
except Forbidden:
    print("forbidden")
"""
    _, job = run(app, "storage", code)
    written = app.jobs.logs(job.name).decode()
    number = app.projects.number("p")
    assert written == f"p {number}-compute@developer.gserviceaccount.com\nforbidden\n", job.error
    with app.objects.open("data-of-p", "out/model.txt") as file:
        assert file.read() == b"trained"


def test_an_account_without_a_role_is_told_what_it_lacks(app: App) -> None:
    code = "from google.cloud import storage; storage.Client().bucket('data-of-p').blob('y').upload_from_string('y')"
    _, job = run(app, "poor", code, service_account="poor@p.iam.gserviceaccount.com")
    assert job.exit is not None
    found = cause(job.exit, app.jobs.logs(job.name), app.jobs.logs(job.name, "stderr"))
    assert found is not None and found.kind == "permission", found
    assert "poor@p.iam.gserviceaccount.com must have the permission storage.objects.create" in found.text
    assert app.objects.find("data-of-p", "y") is None


def test_grpc_and_the_metadata_server_know_who_it_is(app: App) -> None:
    code = """
import os, urllib.request
from google.cloud import resourcemanager_v3
print(resourcemanager_v3.ProjectsClient().get_project(name="projects/p").project_id)
place = "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/email"
asked = urllib.request.Request(place, headers={"Metadata-Flavor": "Google"})
print(urllib.request.urlopen(asked).read().decode())
"""
    _, job = run(app, "vertex", code)
    number = app.projects.number("p")
    assert app.jobs.logs(job.name).decode() == f"p\n{number}-compute@developer.gserviceaccount.com\n", job.error


def test_the_proxy_takes_it_for_nobody_else(app: App) -> None:
    code = """
import json, os, urllib.request
place = os.environ["TULE_URL"] + "/storage/v1/b/data-of-q/o/x?alt=media"
asked = urllib.request.Request(place, headers={"Authorization": "Bearer " + os.environ["TULE_TOKEN"]})
try:
    urllib.request.urlopen(asked)
except urllib.error.HTTPError as error:
    print(error.code)
"""
    prepared, job = run(app, "token", code)
    assert app.jobs.logs(job.name) == b"403\n", job.error
    assert app.access.token not in Path(prepared.folder / "credentials.json").read_text()
