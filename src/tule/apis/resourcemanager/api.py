"""The doors of Resource Manager: v3 by its client package, and the JSON of v1 that older clients still ask."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tule.apis.resourcemanager.projects import ProjectResources
from tule.kernel.access import Principal
from tule.kernel.errors import InvalidArgument
from tule.kernel.iam import Policies
from tule.wire.door import Door, Request, route
from tule.wire.mixins import IamPolicies
from tule.wire.service import Call, Platform, Service, rpc

PACKAGES = ("google.cloud.resourcemanager_v3",)


class ProjectsService(Service):
    """google.cloud.resourcemanager.v3.Projects"""

    packages = PACKAGES
    service = "Projects"

    def __init__(self, platform: Platform) -> None:
        super().__init__(platform)
        self._projects = ProjectResources(platform.records, platform.projects)
        self._policies = IamPolicies(platform)

    @rpc(permission="resourcemanager.projects.get", executes=("name",))
    def get_project(self, request: Any, call: Call) -> dict[str, Any]:
        return self._projects.get(request.name)

    @rpc(permission="resourcemanager.projects.list", executes=("parent", "page_size", "page_token", "show_deleted"))
    def list_projects(self, request: Any, call: Call) -> dict[str, Any]:
        return {"projects": self._projects.list(request.parent)}

    @rpc(permission="resourcemanager.projects.list", executes=("query", "page_size", "page_token"))
    def search_projects(self, request: Any, call: Call) -> dict[str, Any]:
        found, token = self._projects.search(
            request.query,
            page_size=request.page_size,
            page_token=request.page_token,
            visible=_visible(self.platform.policies, call.principal),
        )
        return {"projects": found, "nextPageToken": token}

    @rpc(permission="resourcemanager.projects.getIamPolicy", executes=("resource", "options.requested_policy_version"))
    def get_iam_policy(self, request: Any, call: Call) -> dict[str, Any]:
        return self._policies.get_iam_policy(request, call)

    @rpc(
        permission="resourcemanager.projects.setIamPolicy",
        executes=("resource", "policy.bindings.role", "policy.bindings.members", "policy.etag", "policy.version"),
    )
    def set_iam_policy(self, request: Any, call: Call) -> dict[str, Any]:
        return self._policies.set_iam_policy(request, call)

    @rpc(permission="resourcemanager.projects.testIamPermissions", executes=("resource", "permissions"))
    def test_iam_permissions(self, request: Any, call: Call) -> dict[str, Any]:
        return self._policies.test_iam_permissions(request, call)


class ProjectsV1(Door):
    """cloudresourcemanager.googleapis.com/v1"""

    name = "resourcemanager-v1"
    hosts = ("cloudresourcemanager.googleapis.com",)
    error_style = "google"

    def __init__(self, platform: Platform) -> None:
        self._policies = platform.policies
        self._projects = ProjectResources(platform.records, platform.projects)

    @route("GET", "/v1/projects/{project}", permission="resourcemanager.projects.get")
    def get_project(self, request: Request) -> dict[str, Any]:
        return _version_1(self._projects.get(f"projects/{request.params['project']}"))

    @route(
        "GET",
        "/v1/projects",
        permission="resourcemanager.projects.list",
        executes=("filter", "pageSize", "pageToken"),
    )
    def list_projects(self, request: Request) -> dict[str, Any]:
        size = request.query.get("pageSize") or "0"
        if not (size.isascii() and size.isdigit()):
            raise InvalidArgument("pageSize must be a whole number", given=repr(size[:60]))
        found, token = self._projects.search(
            request.query.get("filter", ""),
            page_size=int(size),
            page_token=request.query.get("pageToken", ""),
            visible=_visible(self._policies, request.principal),
        )
        made: dict[str, Any] = {"projects": [_version_1(each) for each in found]}
        return made | ({"nextPageToken": token} if token else {})


def _visible(policies: Policies, principal: Principal) -> Callable[[str], bool]:
    """Whether a caller may see a project at all."""
    return lambda name: principal.owner or bool(policies.test(principal.email, name, ["resourcemanager.projects.get"]))


def _version_1(project: dict[str, Any]) -> dict[str, Any]:
    return {
        "projectNumber": project["name"].partition("/")[2],
        "projectId": project["projectId"],
        "lifecycleState": project["state"],
        "name": project["displayName"],
        "createTime": project["createTime"],
    }
