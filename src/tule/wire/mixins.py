"""Methods that every gapic API has in common, once for all: Operations, Locations and IAMPolicy."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tule.kernel.errors import InvalidArgument, NotFound, PermissionDenied
from tule.kernel.operations import Operation
from tule.wire.receipts import Receipt
from tule.wire.service import Call, Handler, Platform, Service
from tule.wire.surfaces import UNARY, HttpRule, Method
from tule.wire.transcode import operation_message

if TYPE_CHECKING:
    from tule.wire.handlers import HandlerTable

LOCATIONS = ("us-central1", "us-east1", "us-east4", "us-west1", "europe-west1", "europe-west4", "asia-east1")
# Clients of Vertex AI ask for operations under /ui when they speak REST.
_VERSIONS = ("v1", "v1beta1", "v2", "v3", "ui")
# A client that waits is answered at the latest after this long, and asks again.
_LONGEST_WAIT = 60.0


# Service, method, request, response, HTTP rules, what answers, the fields that it executes.
_Row = tuple[str, str, Any, Any, tuple[tuple[str, str, str | None], ...], Callable[..., Any], tuple[str, ...]]


def mixin_handlers(platform: Platform, table: HandlerTable) -> dict[str, Handler]:
    """gRPC path -> handler of the mixin methods."""
    from google.cloud.location import locations_pb2
    from google.iam.v1 import iam_policy_pb2, policy_pb2
    from google.longrunning import operations_pb2 as lro
    from google.protobuf import empty_pb2

    mixins = Mixins(platform, table)
    operations, locations, iam = (
        "google.longrunning.Operations",
        "google.cloud.location.Locations",
        "google.iam.v1.IAMPolicy",
    )
    rows: tuple[_Row, ...] = (
        (operations, "GetOperation", lro.GetOperationRequest, lro.Operation,
         (("GET", "{name=**/operations/*}", None),), mixins.get_operation, ("name",)),
        (operations, "ListOperations", lro.ListOperationsRequest, lro.ListOperationsResponse,
         (("GET", "{name=**}/operations", None),), mixins.list_operations, ("name", "filter", "page_size", "page_token")),
        (operations, "WaitOperation", lro.WaitOperationRequest, lro.Operation,
         (("POST", "{name=**/operations/*}:wait", "*"),), mixins.wait_operation, ("name", "timeout")),
        (operations, "CancelOperation", lro.CancelOperationRequest, empty_pb2.Empty,
         (("POST", "{name=**/operations/*}:cancel", "*"),), mixins.cancel_operation, ("name",)),
        (operations, "DeleteOperation", lro.DeleteOperationRequest, empty_pb2.Empty,
         (("DELETE", "{name=**/operations/*}", None),), mixins.delete_operation, ("name",)),
        (locations, "GetLocation", locations_pb2.GetLocationRequest, locations_pb2.Location,
         (("GET", "{name=projects/*/locations/*}", None),), mixins.get_location, ("name",)),
        (locations, "ListLocations", locations_pb2.ListLocationsRequest, locations_pb2.ListLocationsResponse,
         (("GET", "{name=projects/*}/locations", None),), mixins.list_locations, ("name",)),
        (iam, "GetIamPolicy", iam_policy_pb2.GetIamPolicyRequest, policy_pb2.Policy,
         (("POST", "{resource=**}:getIamPolicy", "*"), ("GET", "{resource=**}:getIamPolicy", None)),
         mixins.get_iam_policy, ("resource", "options.requested_policy_version")),
        (iam, "SetIamPolicy", iam_policy_pb2.SetIamPolicyRequest, policy_pb2.Policy,
         (("POST", "{resource=**}:setIamPolicy", "*"),), mixins.set_iam_policy,
         ("resource", "policy.bindings.role", "policy.bindings.members", "policy.etag", "policy.version")),
        (iam, "TestIamPermissions", iam_policy_pb2.TestIamPermissionsRequest, iam_policy_pb2.TestIamPermissionsResponse,
         (("POST", "{resource=**}:testIamPermissions", "*"),), mixins.test_iam_permissions, ("resource", "permissions")),
    )  # fmt: skip
    found = {}
    for service, name, request, response, rules, call, executes in rows:
        http = tuple(HttpRule(verb, f"/{v}/{path}", body) for verb, path, body in rules for v in _VERSIONS)
        python = "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")
        method = Method(service, name, python, UNARY, request, response, http)
        permission = _permission(service, name)
        found[method.path] = Handler(method, call, Receipt(executes), permission, mixins)
    return found


def _permission(service: str, name: str) -> str:
    """
    >>> _permission("google.longrunning.Operations", "GetOperation"), _permission("google.iam.v1.IAMPolicy", "SetIamPolicy")
    ('*.operations.get', 'iampolicy.setIamPolicy')
    """
    group = service.rpartition(".")[2].lower()
    verb = name[0].lower() + name[1:]
    return f"iampolicy.{verb}" if group == "iampolicy" else f"*.{group}.{verb.partition(group[:-1].title())[0]}"


class IamPolicies(Service):
    """Policies of any resource, for doors whose API describes these methods itself too."""

    # Policies here have no conditions, so they are of version 1 whatever version is asked for, as Google's are.
    def get_iam_policy(self, request: Any, call: Call) -> dict[str, Any]:
        self._check_resource(request.resource)
        return _policy(self.platform.policies.get(request.resource))

    def set_iam_policy(self, request: Any, call: Call) -> dict[str, Any]:
        import base64

        self._check_resource(request.resource)
        policy: dict[str, Any] = {
            "bindings": [{"role": each.role, "members": list(each.members)} for each in request.policy.bindings]
        }
        if request.policy.etag:
            policy["etag"] = base64.urlsafe_b64encode(request.policy.etag).decode()
        return _policy(self.platform.policies.set(request.resource, policy))

    def test_iam_permissions(self, request: Any, call: Call) -> dict[str, Any]:
        if call.principal.owner:
            return {"permissions": list(request.permissions)}
        return {"permissions": self.platform.policies.test(call.principal.email, request.resource, request.permissions)}

    def _check_resource(self, name: str) -> None:
        """Policies belong to what exists. Projects exist once they were named."""
        if name.count("/") != 1 and self.platform.records.find(name) is None:
            raise NotFound("The resource of a policy must exist", given=name)


class Mixins(IamPolicies):
    """The door of the shared methods."""

    def __init__(self, platform: Platform, table: HandlerTable) -> None:
        super().__init__(platform)
        self._table = table

    def _message(self, operation: Operation) -> Any:
        for name in ("metadata", "response"):
            kind = (operation.body.get(name) or {}).get("@type")
            if kind:
                self._table.load_types_of(kind)
        return operation_message(operation)

    def get_operation(self, request: Any, call: Call) -> Any:
        return self._message(self.platform.operations.get(request.name))

    def list_operations(self, request: Any, call: Call) -> Any:
        from google.longrunning import operations_pb2

        operations, token = self.platform.operations.list(
            request.name or None, filter=request.filter, page_size=request.page_size, page_token=request.page_token
        )
        seen = [self._message(each) for each in operations if self._may_list(call, each)]
        return operations_pb2.ListOperationsResponse(operations=seen, next_page_token=token)

    def _may_list(self, call: Call, operation: Operation) -> bool:
        """Whether a caller who may list one product's operations may also list this one."""
        try:
            self._table.check(call.principal, "*.operations.list", operation.name)
        except PermissionDenied:
            return False
        return True

    def wait_operation(self, request: Any, call: Call) -> Any:
        asked = request.timeout.seconds + request.timeout.nanos / 1e9
        return self._message(self.platform.operations.wait(request.name, min(asked or _LONGEST_WAIT, _LONGEST_WAIT)))

    def cancel_operation(self, request: Any, call: Call) -> None:
        self.platform.operations.cancel(request.name)

    def delete_operation(self, request: Any, call: Call) -> None:
        self.platform.operations.delete(request.name)

    def get_location(self, request: Any, call: Call) -> dict[str, Any]:
        parts = request.name.split("/")
        if len(parts) != 4 or parts[0] != "projects" or parts[2] != "locations":
            raise InvalidArgument("A location is named projects/PROJECT/locations/LOCATION", given=request.name)
        return {"name": request.name, "locationId": parts[3]}

    def list_locations(self, request: Any, call: Call) -> dict[str, Any]:
        return {"locations": [{"name": f"{request.name}/locations/{each}", "locationId": each} for each in LOCATIONS]}


def _policy(policy: dict[str, Any]) -> dict[str, Any]:
    return dict(policy)
