"""IAM policies of buckets. https://cloud.google.com/storage/docs/json_api/v1/buckets/setIamPolicy"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tule.kernel.access import Principal
from tule.kernel.errors import Aborted, InvalidArgument
from tule.kernel.iam import Policies
from tule.kernel.objects import ConditionNotMet, Objects


class BucketPolicies:
    """The policy of each bucket; one made later under the same name starts without it."""

    def __init__(self, objects: Objects, policies: Policies) -> None:
        self._objects = objects
        self._policies = policies

    def get(self, bucket: str) -> dict[str, Any]:
        return _resource(bucket, self._policies.get(self._objects.buckets.get(bucket).name))

    def set(self, bucket: str, policy: Mapping[str, Any]) -> dict[str, Any]:
        """Replace a policy; one that was read before somebody else's change is ConditionNotMet."""
        version = policy.get("version")
        if version not in (None, 1, 2, 3):
            raise InvalidArgument("The version of a policy must be 1, 2 or 3", given=repr(version)[:60])
        name = self._objects.buckets.get(bucket).name
        try:
            return _resource(bucket, self._policies.set(name, dict(policy)))
        except Aborted as error:
            present = self._policies.get(name)["etag"]
            raise ConditionNotMet("etag", policy.get("etag"), f"etag {present}", unchanged=False) from error

    def test(self, principal: Principal, bucket: str, permissions: Iterable[str]) -> dict[str, Any]:
        """Those of the permissions that the caller has."""
        name = self._objects.buckets.get(bucket).name
        asked = list(permissions)
        held = asked if principal.owner else self._policies.test(principal.email, name, asked)
        return {"kind": "storage#testIamPermissionsResponse"} | ({"permissions": held} if held else {})


def _resource(bucket: str, policy: Mapping[str, Any]) -> dict[str, Any]:
    return {"kind": "storage#policy", "resourceId": f"projects/_/buckets/{bucket}", **policy}
