"""The door of the BigQuery Connection API. https://cloud.google.com/bigquery/docs/reference/bigqueryconnection/rpc"""

from __future__ import annotations

from typing import Any

from tule.bigquery.connections.connections import Connections
from tule.bigquery.connections.credentials import Credential
from tule.kernel.errors import InvalidArgument
from tule.wire.mixins import IamPolicies
from tule.wire.service import Call, Platform, Service, rpc
from tule.wire.surfaces import pb
from tule.wire.transcode import to_dict

PACKAGES = ("google.cloud.bigquery_connection_v1",)
_FIELDS = (
    "connection.name",
    "connection.cloud_sql.instance_id",
    "connection.cloud_sql.database",
    "connection.cloud_sql.type_",
    "connection.cloud_sql.credential.username",
    "connection.cloud_sql.credential.password",
    "connection.cloud_sql.service_account_id",
    "connection.cloud_spanner.database",
    "connection.cloud_spanner.database_role",
    "connection.cloud_resource.service_account_id",
    "connection.creation_time",
    "connection.last_modified_time",
    "connection.has_credential",
)
# How Spanner spreads a query over its machines changes no answer.
_STORED = (
    "connection.friendly_name",
    "connection.description",
    "connection.cloud_spanner.use_parallelism",
    "connection.cloud_spanner.max_parallelism",
    "connection.cloud_spanner.use_serverless_analytics",
    "connection.cloud_spanner.use_data_boost",
)
_KEPT = ("friendlyName", "description", "cloudSql", "cloudSpanner", "cloudResource")


class ConnectionService(Service):
    """google.cloud.bigquery.connection.v1.ConnectionService"""

    packages = PACKAGES
    service = "ConnectionService"

    def __init__(self, platform: Platform, connections: Connections) -> None:
        super().__init__(platform)
        self._connections = connections
        self._policies = IamPolicies(platform)

    @rpc(permission="bigquery.connections.create", executes=("parent", "connection_id", *_FIELDS), stores=_STORED)
    def create_connection(self, request: Any, call: Call) -> dict[str, Any]:
        given, credential = _read(request.connection)
        return self._connections.create(request.parent, request.connection_id, given, credential)

    @rpc(permission="bigquery.connections.get", executes=("name",))
    def get_connection(self, request: Any, call: Call) -> dict[str, Any]:
        return self._connections.get(request.name)

    @rpc(permission="bigquery.connections.list", executes=("parent", "page_size", "page_token"))
    def list_connections(self, request: Any, call: Call) -> dict[str, Any]:
        found, token = self._connections.list(
            request.parent, page_size=request.page_size, page_token=request.page_token
        )
        return {"connections": found, "nextPageToken": token}

    @rpc(permission="bigquery.connections.update", executes=("name", "update_mask", *_FIELDS), stores=_STORED)
    def update_connection(self, request: Any, call: Call) -> dict[str, Any]:
        given, credential = _read(request.connection)
        paths = [_camel(each) for each in pb(request).update_mask.paths]
        return self._connections.update(request.name, given, credential, paths)

    @rpc(permission="bigquery.connections.delete", executes=("name",))
    def delete_connection(self, request: Any, call: Call) -> None:
        self._connections.delete(request.name)

    # -- policies

    @rpc(permission="bigquery.connections.getIamPolicy", executes=("resource", "options.requested_policy_version"))
    def get_iam_policy(self, request: Any, call: Call) -> dict[str, Any]:
        return self._policies.get_iam_policy(request, call)

    @rpc(
        permission="bigquery.connections.setIamPolicy",
        executes=("resource", "policy.bindings.role", "policy.bindings.members", "policy.etag", "policy.version"),
    )
    def set_iam_policy(self, request: Any, call: Call) -> dict[str, Any]:
        return self._policies.set_iam_policy(request, call)

    @rpc(permission="bigquery.connections.get", executes=("resource", "permissions"))
    def test_iam_permissions(self, request: Any, call: Call) -> dict[str, Any]:
        return self._policies.test_iam_permissions(request, call)


def _read(message: Any) -> tuple[dict[str, Any], Credential | None]:
    """What a caller gives, with the credential taken out of it."""
    found = to_dict(message)
    given: dict[str, Any] = {key: found[key] for key in _KEPT if key in found}
    secret = given.get("cloudSql", {}).pop("credential", None)
    if secret is None:
        return given, None
    if not secret.get("username") or not secret.get("password"):
        raise InvalidArgument("A credential must have a username and a password", given="one of them is empty")
    return given, Credential(secret["username"], secret["password"])


def _camel(path: str) -> str:
    """A path of a field mask as JSON writes it: ``cloud_sql.instance_id`` is ``cloudSql.instanceId``."""
    return ".".join(_camel_word(each) for each in path.split("."))


def _camel_word(word: str) -> str:
    head, *rest = word.split("_")
    return head + "".join(each[:1].upper() + each[1:] for each in rest)
