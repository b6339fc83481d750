"""Routes of buckets, their policies and the service account of a project."""

from __future__ import annotations

from typing import Any

from tule.kernel.errors import InvalidArgument
from tule.storage.api.routes import (
    BUCKET_CONDITIONS,
    StorageDoor,
    conditions,
    matches,
    number,
    projection,
    reading,
    refuse_flag,
    served,
)
from tule.storage.fields import BUCKET_EXECUTED, BUCKET_STORED
from tule.storage.policies import BucketPolicies
from tule.wire.door import Reply, Request

_POLICY = ("kind", "resourceId", "version", "etag", "bindings.role", "bindings.members", "bindings.condition.*")
_UNDELETED = "deleted buckets are gone"


class BucketRoutes(StorageDoor):
    """buckets.* and projects.serviceAccount.*"""

    @property
    def _policies(self) -> BucketPolicies:
        return BucketPolicies(self.objects, self.policies)

    @served(
        "POST",
        "/b",
        permission="storage.buckets.create",
        executes=("project", "projection", "enableObjectRetention", *BUCKET_EXECUTED),
        stores=BUCKET_STORED,
    )
    def insert_bucket(self, request: Request) -> dict[str, Any]:
        projection(request)
        refuse_flag(request, "enableObjectRetention", "hold objects with temporaryHold")
        return self.buckets.insert(self._project(request), request.json(), request.base_url)

    @served(
        "GET",
        "/b",
        permission="storage.buckets.list",
        executes=("project", "prefix", "maxResults", "pageToken", "projection", "softDeleted", "returnPartialSuccess"),
    )
    def list_buckets(self, request: Request) -> dict[str, Any]:
        projection(request)
        refuse_flag(request, "softDeleted", _UNDELETED)
        return self.buckets.list(
            self._project(request),
            request.base_url,
            prefix=request.query.get("prefix", ""),
            page_size=number(request, "maxResults"),
            page_token=request.query.get("pageToken", ""),
        )

    @served(
        "GET",
        "/b/{bucket}",
        permission="storage.buckets.get",
        executes=(*BUCKET_CONDITIONS, "projection", "softDeleted"),
    )
    def get_bucket(self, request: Request) -> dict[str, Any] | Reply:
        projection(request)
        refuse_flag(request, "softDeleted", _UNDELETED)

        def answer() -> dict[str, Any]:
            found = self.buckets.get(request.params["bucket"], request.base_url, conditions(request))
            matches(request, found["etag"])
            return found

        made: dict[str, Any] | Reply = reading(answer)
        return made

    @served(
        "PATCH",
        "/b/{bucket}",
        permission="storage.buckets.update",
        executes=(*BUCKET_CONDITIONS, "projection", *BUCKET_EXECUTED),
        stores=BUCKET_STORED,
    )
    def patch_bucket(self, request: Request) -> dict[str, Any]:
        projection(request)
        return self.buckets.change(request.params["bucket"], request.json(), request.base_url, conditions(request))

    @served(
        "PUT",
        "/b/{bucket}",
        permission="storage.buckets.update",
        executes=(*BUCKET_CONDITIONS, "projection", *BUCKET_EXECUTED),
        stores=BUCKET_STORED,
    )
    def update_bucket(self, request: Request) -> dict[str, Any]:
        projection(request)
        return self.buckets.change(
            request.params["bucket"], request.json(), request.base_url, conditions(request), replace=True
        )

    @served("DELETE", "/b/{bucket}", permission="storage.buckets.delete", executes=BUCKET_CONDITIONS)
    def delete_bucket(self, request: Request) -> Reply:
        self.buckets.delete(request.params["bucket"], conditions(request))
        return Reply(204)

    # -- policies

    @served(
        "GET",
        "/b/{bucket}/iam",
        permission="storage.buckets.getIamPolicy",
        executes=("optionsRequestedPolicyVersion",),
    )
    def get_iam_policy(self, request: Request) -> dict[str, Any]:
        version = number(request, "optionsRequestedPolicyVersion")
        if version is not None and not 1 <= version <= 3:
            raise InvalidArgument("optionsRequestedPolicyVersion must be 1, 2 or 3", given=version)
        return self._policies.get(request.params["bucket"])

    @served("PUT", "/b/{bucket}/iam", permission="storage.buckets.setIamPolicy", executes=_POLICY)
    def set_iam_policy(self, request: Request) -> dict[str, Any]:
        return self._policies.set(request.params["bucket"], request.json())

    @served(
        "GET",
        "/b/{bucket}/iam/testPermissions",
        permission="storage.buckets.testIamPermissions",
        executes=("permissions",),
    )
    def test_iam_permissions(self, request: Request) -> dict[str, Any]:
        return self._policies.test(request.principal, request.params["bucket"], request.query_list("permissions"))

    # -- projects

    @served("GET", "/projects/{project}/serviceAccount", permission="resourcemanager.projects.get")
    def get_service_account(self, request: Request) -> dict[str, Any]:
        number = self.projects.number(request.params["project"])
        return {
            "kind": "storage#serviceAccount",
            "email_address": f"service-{number}@gs-project-accounts.iam.gserviceaccount.com",
        }

    def _project(self, request: Request) -> str:
        project = request.query.get("project", "")
        if not project:
            raise InvalidArgument("Required parameter: project", do="name a project", reason="required")
        return project
