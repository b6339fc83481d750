"""Who may use a dataset: the ``access`` list of its resource, and the same as a policy.

https://cloud.google.com/bigquery/docs/dataset-access-controls
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tule.bigquery.errors import invalid, not_implemented

Entry = dict[str, Any]

# What a dataset has that was given nothing else. Whoever holds the data directory's credentials owns every project.
DEFAULT: list[Entry] = [
    {"role": "WRITER", "specialGroup": "projectWriters"},
    {"role": "OWNER", "specialGroup": "projectOwners"},
    {"role": "READER", "specialGroup": "projectReaders"},
]
_ROLES = {
    "READER": "roles/bigquery.dataViewer",
    "WRITER": "roles/bigquery.dataEditor",
    "OWNER": "roles/bigquery.dataOwner",
}
_GROUPS = {"projectOwners": "projectOwner:", "projectWriters": "projectEditor:", "projectReaders": "projectViewer:"}
_WHO = ("userByEmail", "groupByEmail", "domain", "specialGroup", "iamMember")
_LATER = ("condition",)
# What reads a dataset's tables for whoever may use it itself, and how each is named.
_AUTHORIZED = {"view": "tableId", "routine": "routineId", "dataset": "datasetId"}
_TARGETS = ("VIEWS", "ROUTINES")


def checked(given: Any) -> list[Entry]:
    """The entries as they are stored; raises for those that cannot be, and by name for those that are not done."""
    if not isinstance(given, list):
        raise invalid(f"access must be a list; given: {given!r}")
    return [_entry(each) for each in given]


def _entry(given: Any) -> Entry:
    if not isinstance(given, Mapping):
        raise invalid(f"An entry of access must be an object; given: {given!r}")
    entry = {key: value for key, value in given.items() if value is not None}
    if kind := next((each for each in _AUTHORIZED if each in entry), None):
        return _authorized(entry, kind)
    for key in entry:
        if key in _LATER:
            raise not_implemented(f"access.{key}", do="grant a role to a user, a group or a domain")
        if key not in ("role", *_WHO) or not isinstance(entry[key], str):
            raise invalid(f"An entry of access must have a role and one of {', '.join(_WHO)}, as texts; given: {entry}")
    if len(entry) != 2 or "role" not in entry:
        raise invalid(f"An entry of access must have a role and one of {', '.join(_WHO)}; given: {entry}")
    role = entry["role"]
    if role not in _ROLES and not role.startswith("roles/"):
        raise invalid(f"The role of an access entry must be {', '.join(_ROLES)} or roles/NAME; given: {role!r}")
    group = entry.get("specialGroup")
    if group is not None and group not in (*_GROUPS, "allAuthenticatedUsers"):
        raise invalid(f"specialGroup must be one of {', '.join(_GROUPS)}, allAuthenticatedUsers; given: {group!r}")
    return entry


def _authorized(entry: Entry, kind: str) -> Entry:
    """An authorized view, routine or dataset."""
    if len(entry) != 1:
        raise invalid(
            f"An entry of access that authorizes a {kind} must have nothing else, no role either; given: {entry}"
        )
    given = entry[kind]
    named = given.get("dataset") if kind == "dataset" and isinstance(given, Mapping) else given
    keys = ("projectId", "datasetId") if kind == "dataset" else ("projectId", "datasetId", _AUTHORIZED[kind])
    if not isinstance(named, Mapping) or any(not isinstance(named.get(key), str) or not named[key] for key in keys):
        raise invalid(f"access.{kind} must name {', '.join(keys)}; given: {given!r}")
    made = {key: named[key] for key in keys}
    if kind != "dataset":
        return {kind: made}
    targets = [str(each).upper() for each in given.get("targetTypes") or ()]
    if not targets or not set(targets) <= set(_TARGETS):
        raise invalid(
            f"access.dataset.targetTypes must be of {', '.join(_TARGETS)}; given: {given.get('targetTypes')!r}"
        )
    return {"dataset": {"dataset": made, "targetTypes": targets}}


def authorizes(entries: Sequence[Entry], through: tuple[str, str, str, str]) -> bool:
    """Whether a dataset lets a view or a routine (kind, project, dataset, name) read its tables for others.

    >>> entry = {"view": {"projectId": "p", "datasetId": "d", "tableId": "v"}}
    >>> authorizes([entry], ("view", "p", "d", "v")), authorizes([entry], ("routine", "p", "d", "v"))
    (True, False)
    """
    kind, project, dataset, name = through
    own = {"projectId": project, "datasetId": dataset}
    return any(
        each.get(kind) == {**own, _AUTHORIZED[kind]: name}
        or (
            "dataset" in each
            and each["dataset"]["dataset"] == own
            and f"{kind.upper()}S" in each["dataset"]["targetTypes"]
        )
        for each in entries
    )


def entry_of(role: str, member: str) -> Entry:
    """The entry of a role for a member as IAM writes it; raises for one that cannot be.

    >>> entry_of("roles/bigquery.dataViewer", "user:a@b.c")
    {'role': 'READER', 'userByEmail': 'a@b.c'}
    """
    basic = {full: name for name, full in _ROLES.items()}.get(role, role)
    kind, _, name = member.rpartition(":")
    key = {"": "userByEmail", "user": "userByEmail", "serviceAccount": "userByEmail", "group": "groupByEmail",
           "domain": "domain", "specialGroup": "specialGroup"}.get(kind)  # fmt: skip
    if member in ("allUsers", "allAuthenticatedUsers"):
        key, name = ("iamMember" if member == "allUsers" else "specialGroup"), member
    if key is None or not name or (key in ("userByEmail", "groupByEmail") and "@" not in name):
        raise invalid(
            f"A member must be written as user:EMAIL, group:EMAIL, domain:NAME or the like; given: {member!r}"
        )
    return {"role": basic, key: name}


def policy(entries: Sequence[Entry], project: str) -> dict[str, Any]:
    """The entries as a policy of IAM.

    >>> policy([{"role": "READER", "userByEmail": "a@b.c"}], "p")
    {'bindings': [{'role': 'roles/bigquery.dataViewer', 'members': ['user:a@b.c']}]}
    """
    bindings = [
        {"role": _ROLES.get(each["role"], each["role"]), "members": [_member(each, project)]}
        for each in entries
        if "role" in each
    ]
    return {"bindings": bindings}


def _member(entry: Entry, project: str) -> str:
    if "userByEmail" in entry:
        return f"user:{entry['userByEmail']}"
    if "groupByEmail" in entry:
        return f"group:{entry['groupByEmail']}"
    if "domain" in entry:
        return f"domain:{entry['domain']}"
    if "iamMember" in entry:
        return str(entry["iamMember"])
    group = entry["specialGroup"]
    return f"{_GROUPS[group]}{project}" if group in _GROUPS else str(group)
