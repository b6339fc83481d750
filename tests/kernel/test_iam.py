"""Policies: bindings, etags, roles, and resources that were made anew."""

from __future__ import annotations

from typing import Any

import pytest

from tule.kernel.errors import Aborted, InvalidArgument, Unimplemented
from tule.kernel.iam import Policies, grants
from tule.kernel.records import Records

MODEL = "projects/p/locations/l/models/7"
ANN = "ann@example.com"


@pytest.fixture
def policies(records: Records) -> Policies:
    return Policies(records)


def bound(role: str, *members: str, **more: Any) -> dict[str, Any]:
    return {"bindings": [{"role": role, "members": list(members or [f"user:{ANN}"]), **more}]}


def test_a_policy_that_was_never_set_is_empty(policies: Policies) -> None:
    assert policies.get(MODEL) == {"version": 1, "bindings": [], "etag": "ACAB"}


def test_set_replaces_and_returns_the_policy(policies: Policies) -> None:
    first = policies.set(MODEL, bound("roles/viewer"))
    assert first["bindings"] == [{"role": "roles/viewer", "members": [f"user:{ANN}"]}]
    assert policies.get(MODEL) == first
    second = policies.set(MODEL, {**bound("roles/editor"), "etag": first["etag"]})
    assert [each["role"] for each in second["bindings"]] == ["roles/editor"]
    with pytest.raises(Aborted, match="etag"):
        policies.set(MODEL, {**bound("roles/owner"), "etag": first["etag"]})
    assert policies.get(MODEL) == second


@pytest.mark.parametrize(
    "member", [f"user:{ANN}", f"serviceAccount:{ANN}", "domain:example.com", "allUsers", "allAuthenticatedUsers"]
)
def test_who_a_binding_means(policies: Policies, member: str) -> None:
    policies.set("projects/p", bound("roles/viewer", member))
    assert policies.test(ANN, MODEL, ["a.models.get", "a.models.delete"]) == ["a.models.get"]


def test_nobody_else(policies: Policies) -> None:
    policies.set("projects/p", bound("roles/owner", "user:bob@example.com", "domain:other.example"))
    assert policies.test(ANN, MODEL, ["a.models.get"]) == []


def test_a_resource_made_anew_starts_without_the_old_policy(policies: Policies, records: Records) -> None:
    records.create("model", MODEL, {})
    old = policies.set(MODEL, bound("roles/owner"))
    assert policies.test(ANN, MODEL, ["a.b.get"]) == ["a.b.get"]
    records.delete(MODEL)
    records.create("model", MODEL, {})
    assert policies.get(MODEL)["bindings"] == []
    assert policies.test(ANN, MODEL, ["a.b.get"]) == []
    assert policies.set(MODEL, {**bound("roles/viewer"), "etag": old["etag"]})["bindings"]


def test_a_policy_of_a_project_stays_when_the_project_is_recorded(policies: Policies, records: Records) -> None:
    policies.set("projects/p", bound("roles/viewer"))
    records.create("project", "projects/p", {})
    assert policies.test(ANN, MODEL, ["a.b.get"]) == ["a.b.get"]


@pytest.mark.parametrize(
    ("role", "permission", "granted"),
    [
        ("roles/owner", "aiplatform.models.setIamPolicy", True),
        ("roles/editor", "aiplatform.models.upload", True),
        ("roles/editor", "storage.buckets.setIamPolicy", False),
        ("roles/viewer", "bigquery.tables.list", True),
        ("roles/viewer", "bigquery.tables.create", False),
        ("roles/bigquery.admin", "bigquery.datasets.setIamPolicy", True),
        ("roles/bigquery.admin", "bigqueryreservation.x.get", False),
        ("roles/aiplatform.user", "aiplatform.endpoints.predict", True),
        ("roles/aiplatform.user", "aiplatform.operations.cancel", True),
        ("roles/aiplatform.viewer", "aiplatform.operations.wait", True),
        ("roles/aiplatform.viewer", "aiplatform.operations.delete", False),
        ("roles/aiplatform.user", "storage.objects.get", False),
        ("roles/storage.objectViewer", "storage.objects.get", True),
        ("roles/storage.objectViewer", "storage.objects.delete", False),
        ("permissions/aiplatform.models", "aiplatform.models.delete", True),
        ("permissions/aiplatform.models", "aiplatform.modelsets.delete", False),
        ("roles/unknown", "bigquery.tables.get", False),
    ],
)
def test_what_a_role_grants(role: str, permission: str, granted: bool) -> None:
    assert grants(role, permission) is granted


@pytest.mark.parametrize(
    ("policy", "rule"),
    [
        (bound("viewer"), "roles/NAME"),
        (bound("roles/viewer", "ann@example.com"), "A member must be"),
        ({"bindings": [{"members": ["allUsers"]}]}, "object with a role"),
        ({"bindings": ["roles/viewer"]}, "object with a role"),
    ],
)
def test_a_wrong_policy_is_refused(policies: Policies, policy: dict[str, Any], rule: str) -> None:
    with pytest.raises(InvalidArgument, match=rule):
        policies.set(MODEL, policy)
    assert policies.get(MODEL)["bindings"] == []


def test_conditions_are_refused_by_name(policies: Policies) -> None:
    with pytest.raises(Unimplemented, match="no conditions"):
        policies.set(MODEL, bound("roles/viewer", condition={"expression": "true"}))
