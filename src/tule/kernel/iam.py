"""Policies: who may do what on which resource, as Google's IAM writes it. The default is to deny.

A policy holds on its resource and everything below it. Roles grant permissions by rule, not by Google's long lists:

- ``roles/owner`` everything; ``roles/editor`` everything but policies; ``roles/viewer`` what reads;
- ``roles/<service>.admin`` everything of a service (``aiplatform``); ``roles/<service>.viewer`` (or anything that ends
  in viewer or reader) what reads there; any other role of a service (user, editor, ...) everything there but policies;
- ``permissions/<prefix>`` (Tule's own) the permissions that begin with the prefix: ``permissions/aiplatform.models``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from tule.kernel.errors import InvalidArgument, Unimplemented
from tule.kernel.records import Records

_KIND = "iamPolicy"
_SUFFIX = "/iamPolicy"
# The verbs of permissions that only look: "bigquery.tables.getData", "aiplatform.endpoints.list".
_READING = ("get", "list", "read", "search", "test", "check", "view", "export", "wait", "query")
_POLICY_VERBS = ("setIamPolicy", "setPolicy")
_MEMBER_TYPES = ("user:", "serviceAccount:", "group:", "domain:", "principal:")
_EVERYONE = ("allUsers", "allAuthenticatedUsers")


class Policies:
    """The policies of one record store. Reading one that was never set gives an empty policy."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def get(self, resource: str) -> dict[str, Any]:
        """The policy set on a resource: version, bindings, etag."""
        record = self._records.find(resource + _SUFFIX)
        if record is None or record.body["uid"] != self._uid(resource):
            return {"version": 1, "bindings": [], "etag": "ACAB"}
        return {"version": 1, "bindings": record.body["bindings"], "etag": record.etag}

    def set(self, resource: str, policy: dict[str, Any]) -> dict[str, Any]:
        """Replace a resource's policy; raises Aborted when ``policy`` carries an etag that is not the present one."""
        bindings = [_binding(each) for each in policy.get("bindings") or []]
        body = {"resource": resource, "uid": self._uid(resource), "bindings": bindings}
        with self._records.transaction():
            etag = policy.get("etag") or None
            present = self._records.find(resource + _SUFFIX)
            if present is None:
                self._records.create(_KIND, resource + _SUFFIX, body, parent=resource)
            else:
                stale = present.body["uid"] != body["uid"]
                self._records.update(present.name, lambda _: body, etag=None if stale else etag)
        return self.get(resource)

    def forget(self, resource: str) -> None:
        """Remove a resource's policy, if it has one: the resource is deleted."""
        with self._records.transaction():
            if self._records.find(resource + _SUFFIX) is not None:
                self._records.delete(resource + _SUFFIX)

    def test(self, member: str, resource: str, permissions: Iterable[str]) -> list[str]:
        """Those of ``permissions`` that ``member`` (an email) has on ``resource``."""
        roles = set(self._roles(member, resource))
        return [each for each in permissions if any(grants(role, each) for role in roles)]

    def _roles(self, member: str, resource: str) -> Iterator[str]:
        wanted = {f"{kind}{member}" for kind in ("user:", "serviceAccount:", "group:")} | {*_EVERYONE}
        wanted.add("domain:" + member.rpartition("@")[2])
        for place in lineage(resource):
            for binding in self.get(place)["bindings"]:
                if wanted.intersection(binding["members"]):
                    yield binding["role"]

    def _uid(self, resource: str) -> str:
        """What ties a policy to this very resource: one made later under the same name starts without it.

        Projects are not tied: they are recorded when first used, and never made twice.
        """
        if resource.count("/") == 1:
            return ""
        record = self._records.find(resource)
        return "" if record is None else record.uid


def lineage(resource: str) -> Iterator[str]:
    """
    >>> list(lineage("projects/p/datasets/d"))
    ['projects/p/datasets/d', 'projects/p']
    """
    segments = resource.split("/")
    for end in range(len(segments), 0, -2):
        yield "/".join(segments[:end])


def grants(role: str, permission: str) -> bool:
    """Whether a role grants a permission.

    >>> grants("roles/viewer", "bigquery.tables.getData"), grants("roles/storage.admin", "bigquery.tables.get")
    (True, False)
    >>> grants("permissions/aiplatform.models", "aiplatform.models.upload")
    True
    """
    verb = permission.rpartition(".")[2]
    if role.startswith("permissions/"):
        prefix = role.removeprefix("permissions/")
        return permission == prefix or permission.startswith(prefix + ".")
    service, _, title = role.removeprefix("roles/").rpartition(".")
    if service and not permission.startswith(service + "."):
        return False
    title = title.lower()
    if title in ("owner", "admin"):
        return True
    if title.endswith(("viewer", "reader")):
        return verb.startswith(_READING)
    if service or title == "editor":
        return verb not in _POLICY_VERBS
    return False


def _binding(given: Any) -> dict[str, Any]:
    if not isinstance(given, dict) or not isinstance(given.get("role"), str):
        raise InvalidArgument("A policy binding must be an object with a role and members", given=repr(given))
    role, members = given["role"], given.get("members") or []
    if not isinstance(members, list):
        raise InvalidArgument("The members of a policy binding must be a list", given=repr(members))
    if given.get("condition"):
        raise Unimplemented("Policy bindings have no conditions", given=role, do="leave the condition out")
    if not role.startswith(("roles/", "permissions/")):
        raise InvalidArgument(
            "A role must be roles/NAME or permissions/PREFIX",
            given=role,
            do="use roles/viewer, roles/editor, roles/owner",
        )
    for member in members:
        if not isinstance(member, str) or not (member in _EVERYONE or member.startswith(_MEMBER_TYPES)):
            # Cloud Storage adds such members to every new bucket.
            if isinstance(member, str) and member.startswith(("projectOwner:", "projectEditor:", "projectViewer:")):
                continue
            raise InvalidArgument(
                f"A member must be one of {', '.join(_EVERYONE)} or begin with {', '.join(_MEMBER_TYPES)}",
                given=repr(member),
            )
    return {"role": role, "members": list(members)}
