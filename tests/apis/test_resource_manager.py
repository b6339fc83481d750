"""Projects through the stock Resource Manager client, over both transports, and the JSON of v1."""

from __future__ import annotations

from collections.abc import Callable
from subprocess import CompletedProcess

import pytest

from tule.apis.resourcemanager.projects import ProjectResources
from tule.kernel.clock import RealClock
from tule.kernel.errors import InvalidArgument, NotFound
from tule.kernel.projects import Projects
from tule.kernel.records import Records

Exec = Callable[..., CompletedProcess[str]]


@pytest.fixture
def projects(tmp_path_factory: pytest.TempPathFactory) -> ProjectResources:
    records = Records(f"sqlite:///{tmp_path_factory.mktemp('projects')}/records.db", RealClock())
    seen = Projects(records)
    for each in ("alpha", "beta", "gamma"):
        seen.resolve(each)
    return ProjectResources(records, seen)


def all_visible(name: str) -> bool:
    return True


def test_a_project_has_one_description_by_id_and_by_number(projects: ProjectResources) -> None:
    found = projects.get("projects/alpha")
    assert (found["projectId"], found["state"]) == ("alpha", "ACTIVE")
    assert projects.get(found["name"]) == found


@pytest.mark.parametrize("name", ["alpha", "projects/", "projects/a/b", "folders/1", "projects/-", "projects/ä"])
def test_what_names_no_project_is_refused(projects: ProjectResources, name: str) -> None:
    with pytest.raises(InvalidArgument, match="A project"):
        projects.get(name)


def test_a_number_that_was_never_given_out_is_not_found(projects: ProjectResources) -> None:
    with pytest.raises(NotFound, match=r"given: 123. Next: use its id"):
        projects.get("projects/123")


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("", ["alpha", "beta", "gamma"]),
        ("projectId:*a*", ["alpha", "beta", "gamma"]),
        ("name=be*", ["beta"]),
        ("id:alpha OR id:gamma", ["alpha", "gamma"]),
        ("state:ACTIVE", ["alpha", "beta", "gamma"]),
        ("lifecycleState=DELETE_REQUESTED", []),
    ],
)
def test_projects_are_searched(projects: ProjectResources, query: str, ids: list[str]) -> None:
    found, token = projects.search(query, page_size=0, page_token="", visible=all_visible)
    assert ([each["projectId"] for each in found], token) == (ids, "")


def test_searches_come_in_pages_of_what_the_caller_may_see(projects: ProjectResources) -> None:
    def visible(name: str) -> bool:
        return name != "projects/beta"

    found, token = projects.search("", page_size=1, page_token="", visible=visible)
    assert [each["projectId"] for each in found] == ["alpha"]
    with pytest.raises(InvalidArgument, match="page token"):
        projects.search("id:a", page_size=1, page_token=token, visible=visible)
    found, token = projects.search("", page_size=1, page_token=token, visible=visible)
    assert ([each["projectId"] for each in found], token) == (["gamma"], "")


@pytest.mark.clients
def test_the_stock_client(tule_exec: Exec) -> None:
    tule_exec("""
from google.api_core import exceptions
from google.cloud import resourcemanager_v3, storage

bucket = storage.Client().create_bucket("resource-manager")
for transport in ("grpc", "rest"):
    client = resourcemanager_v3.ProjectsClient(transport=transport)
    project = client.get_project(name="projects/test-project")
    assert project.name == f"projects/{bucket.project_number}"
    assert (project.project_id, project.state.name) == ("test-project", "ACTIVE")
    assert client.get_project(name=project.name) == project
    assert [each.project_id for each in client.search_projects(query="id:test-project")] == ["test-project"]
    try:
        list(client.list_projects(parent="organizations/1"))
    except exceptions.NotFound as error:
        assert "no folder and no organization" in error.message
    else:
        raise AssertionError
    try:
        client.delete_project(name="projects/test-project")
    except exceptions.MethodNotImplemented as error:
        assert "Tule does not do Projects.DeleteProject" in error.message
    else:
        raise AssertionError
    policy = client.get_iam_policy(resource="projects/test-project")
    del policy.bindings[:]
    policy.bindings.add(role="roles/viewer", members=[f"user:{transport}@example.com"])
    kept = client.set_iam_policy({"resource": "projects/test-project", "policy": policy})
    assert client.get_iam_policy(resource=project.name) == kept
    kept.bindings.add(role="roles/owner", members=["user:b@example.com"])
    try:
        client.set_iam_policy({"resource": project.name, "policy": policy})
    except exceptions.Aborted as error:
        assert transport == "grpc" and "etag" in error.message
    except exceptions.Conflict as error:
        assert transport == "rest" and "etag" in error.message
    asked = ["resourcemanager.projects.get"]
    assert client.test_iam_permissions(resource=project.name, permissions=asked).permissions == asked
""")


@pytest.mark.clients
def test_the_sdk_of_vertex_ai_finds_ids_and_numbers(tule_exec: Exec) -> None:
    done = tule_exec("""
from google.cloud.aiplatform.utils import resource_manager_utils
number = resource_manager_utils.get_project_number("test-project")
print(resource_manager_utils.get_project_id(str(number)), str(number).isdigit())
""")
    assert done.stdout.split() == ["test-project", "True"]


@pytest.mark.clients
def test_version_1(tule_exec: Exec) -> None:
    tule_exec("""
import google.auth
from google.auth.transport.requests import AuthorizedSession
credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
session = AuthorizedSession(credentials)
base = "https://cloudresourcemanager.googleapis.com/v1/projects"
found = session.get(base + "/test-project").json()
assert (found["projectId"], found["lifecycleState"], found["name"]) == ("test-project", "ACTIVE", "test-project")
assert session.get(f"{base}/{found['projectNumber']}").json() == found
assert found in session.get(base, params={"filter": "id:test-project"}).json()["projects"]
missing = session.get(base + "/123")
assert (missing.status_code, missing.json()["error"]["status"]) == (404, "NOT_FOUND")
wrong = session.get(base, params={"pageSize": "x"})
assert wrong.status_code == 400 and "pageSize must be a whole number" in wrong.json()["error"]["message"]
refused = session.get(base, params={"colour": "red"})
assert refused.status_code in (400, 501) and "colour" in refused.json()["error"]["message"]
""")
