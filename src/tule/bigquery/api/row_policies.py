"""Routes of row access policies. https://cloud.google.com/bigquery/docs/reference/rest/v2/rowAccessPolicies"""

from __future__ import annotations

from typing import Any

from tule.bigquery.api.routes import number, served
from tule.bigquery.api.shapes import POLICY_ACTION, ROW_POLICIES, ROW_POLICY
from tule.bigquery.api.tables import reference
from tule.bigquery.errors import not_found
from tule.bigquery.warehouse import Warehouse
from tule.wire.door import Reply, Request

_POLICIES = "/projects/{project}/datasets/{dataset}/tables/{table}/rowAccessPolicies"
_PAGE = 100
_POLICY = _POLICIES + "/{policy}"
_EXECUTED = ("rowAccessPolicyReference.*", "filterPredicate", "grantees", "creationTime", "lastModifiedTime", "etag")


class RowPolicyRoutes:
    """rowAccessPolicies.*"""

    warehouse: Warehouse

    @served("GET", _POLICIES, permission="bigquery.rowAccessPolicies.list", executes=("pageSize", "pageToken"))
    def list_row_policies(self, request: Request) -> dict[str, Any]:
        size = min(number(request, "pageSize") or _PAGE, _PAGE)
        token = request.query.get("pageToken", "")
        found, token = self.warehouse.row_policies.list(reference(request), page_size=size, page_token=token)
        return {"rowAccessPolicies": found} | ({"nextPageToken": token} if token else {})

    @served(
        "POST", _POLICIES, permission="bigquery.rowAccessPolicies.create", body=ROW_POLICY, executes=_EXECUTED
    )  # fmt: skip
    def insert_row_policy(self, request: Request) -> dict[str, Any]:
        return self.warehouse.row_policies.insert(reference(request), request.json())

    @served("GET", _POLICY, permission="bigquery.rowAccessPolicies.get")
    def get_row_policy(self, request: Request) -> dict[str, Any]:
        return self.warehouse.row_policies.get(reference(request), request.params["policy"])

    @served("PUT", _POLICY, permission="bigquery.rowAccessPolicies.update", body=ROW_POLICY, executes=_EXECUTED)
    def update_row_policy(self, request: Request) -> dict[str, Any]:
        return self.warehouse.row_policies.update(reference(request), request.params["policy"], request.json())

    @served("DELETE", _POLICY, permission="bigquery.rowAccessPolicies.delete", executes=("force",))
    def delete_row_policy(self, request: Request) -> Reply:
        self.warehouse.row_policies.delete(reference(request), request.params["policy"])
        return Reply(204)

    @served(
        "POST", _POLICIES + ":batchDelete", permission="bigquery.rowAccessPolicies.delete", body=ROW_POLICIES,
        executes=("policyIds", "force"),
    )  # fmt: skip
    def delete_row_policies(self, request: Request) -> Reply:
        self.warehouse.row_policies.batch_delete(reference(request), request.json().get("policyIds") or [])
        return Reply(204)

    @served(
        "POST", _POLICIES + "/{policy_action}", permission="bigquery.rowAccessPolicies.getIamPolicy",
        body=POLICY_ACTION, executes=("*",),
    )  # fmt: skip
    def row_policy_action(self, request: Request) -> dict[str, Any]:
        """``{policy}:getIamPolicy`` and ``:testIamPermissions``."""
        policy, _, action = request.params["policy_action"].rpartition(":")
        table = reference(request)
        if action == "getIamPolicy":
            return self.warehouse.row_policies.policy(table, policy)
        if action != "testIamPermissions":
            raise not_found("Method", action)
        self.warehouse.row_policies.get(table, policy)
        return self.warehouse.table_policy(table, action, request.json(), request.principal)
