"""Row access policies: whom they show which rows, in every way that rows are read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tule.bigquery.references import TableReference

if TYPE_CHECKING:
    from tests.bigquery.conftest import BigQueryApi

ANN, BOB, EVE = "ann@example.com", "bob@example.com", "eve@other.org"
PATH = "datasets/{}/tables/t"


@contextmanager
def table(api: BigQueryApi, name: str) -> Iterator[str]:
    """A dataset with ``t``, which Ann, Bob and Eve may read and write."""
    users = [f"user:{each}" for each in (ANN, BOB, EVE)]
    api.app.policies.set("projects/test-project", {"bindings": [{"role": "roles/bigquery.jobUser", "members": users}]})
    access = [{"role": "WRITER", "userByEmail": each} for each in (ANN, BOB, EVE)]
    api.dataset(name, access=[{"role": "OWNER", "specialGroup": "projectOwners"}, *access])
    api.query(
        f"CREATE TABLE {name}.t AS SELECT * FROM UNNEST([STRUCT(1 AS x, '{ANN}' AS who), (2, '{BOB}'), (3, 'z')])"
    )
    for each in (ANN, BOB, EVE):
        policy = api.ok("POST", f"{PATH.format(name)}:getIamPolicy", {})
        bindings = [*policy.get("bindings", []), {"role": "roles/bigquery.dataEditor", "members": [f"user:{each}"]}]
        api.ok("POST", f"{PATH.format(name)}:setIamPolicy", {"policy": {"bindings": bindings}})
    yield name


def seen(api: BigQueryApi, email: str, sql: str) -> list[str]:
    """The first column that a user gets."""
    with api.caller(email) as caller:
        return sorted(row[0] for row in caller.rows(sql))


@pytest.fixture(scope="module")
def guarded(api: BigQueryApi) -> Iterator[tuple[BigQueryApi, str]]:
    with table(api, "guarded") as name:
        api.query(
            f"CREATE ROW ACCESS POLICY own ON {name}.t GRANT TO ('user:{ANN}', 'domain:example.com') "
            "FILTER USING (who = SESSION_USER())"
        )
        api.query(f"CREATE ROW ACCESS POLICY small ON {name}.t GRANT TO ('user:{ANN}') FILTER USING (x > 2)")
        yield api, name


def test_each_user_sees_the_rows_of_their_policies(guarded: tuple[BigQueryApi, str]) -> None:
    api, name = guarded
    assert seen(api, ANN, f"SELECT x FROM {name}.t") == ["1", "3"]
    assert seen(api, BOB, f"SELECT x FROM {name}.t") == ["2"]
    assert seen(api, EVE, f"SELECT x FROM {name}.t") == []
    # Nor do they come out through an aggregate, a join, a subquery or an alias.
    assert seen(api, BOB, f"SELECT COUNT(*) FROM {name}.t AS a JOIN {name}.t AS b USING (x)") == ["1"]
    assert seen(api, BOB, f"SELECT (SELECT MAX(x) FROM {name}.t) FROM UNNEST([1])") == ["2"]


def test_the_owner_of_everything_sees_none_without_a_policy(guarded: tuple[BigQueryApi, str]) -> None:
    api, name = guarded
    assert api.rows(f"SELECT x FROM {name}.t") == []
    assert api.rows("SELECT SESSION_USER()") == [[api.app.access.email]]


def test_pages_read_sessions_and_streams_show_the_same(guarded: tuple[BigQueryApi, str]) -> None:
    api, name = guarded
    with api.caller(ANN) as ann:
        answer = ann.ok("GET", f"{PATH.format(name)}/data")
        assert (answer["totalRows"], sorted(row[0] for row in ann.cells(answer))) == ("2", ["1", "3"])
    reference = TableReference("test-project", name, "t")
    for restriction, rows in (("", 2), ("x < 3", 1), ("x = 2", 0)):
        session = api.warehouse.read_sessions.create("test-project", reference, user=ANN, restriction=restriction)
        assert session.rows == rows
    assert api.warehouse.read_sessions.create("test-project", reference, user=EVE).rows == 0


def test_changes_and_copies_need_all_rows(guarded: tuple[BigQueryApi, str]) -> None:
    api, name = guarded
    for statement in (
        f"DELETE FROM {name}.t WHERE true", f"UPDATE {name}.t SET x = 0 WHERE true", f"TRUNCATE TABLE {name}.t",
        f"CREATE SNAPSHOT TABLE {name}.s CLONE {name}.t", f"CREATE TABLE {name}.c COPY {name}.t",
        f"SELECT * FROM {name}.t FOR SYSTEM_TIME AS OF CURRENT_TIMESTAMP()",
        f"BEGIN TRANSACTION; DELETE FROM {name}.t WHERE true; COMMIT TRANSACTION",
    ):  # fmt: skip
        assert "Access Denied" in api.query_error(statement)["message"], statement
    tables = {"sourceTable": api.reference(f"{name}.t"), "destinationTable": api.reference(f"{name}.c")}
    assert "Access Denied" in api.job(copy=tables)["status"]["errorResult"]["message"]


def test_rows_are_added_by_those_who_do_not_see_them(api: BigQueryApi) -> None:
    with table(api, "added") as name:
        api.query(f"CREATE ROW ACCESS POLICY p ON {name}.t GRANT TO ('user:{ANN}') FILTER USING (TRUE)")
        assert api.query(f"INSERT INTO {name}.t VALUES (9, 'q')")["numDmlAffectedRows"] == "1"
        assert api.query(f"INSERT INTO {name}.t SELECT * FROM {name}.t")["numDmlAffectedRows"] == "0"
        assert seen(api, ANN, f"SELECT x FROM {name}.t") == ["1", "2", "3", "9"]
        with api.caller(ANN) as ann:
            assert ann.query(f"DELETE FROM {name}.t WHERE x = 9")["numDmlAffectedRows"] == "1"


def test_policies_as_resources(api: BigQueryApi) -> None:
    with table(api, "resources") as name:
        path = f"{PATH.format(name)}/rowAccessPolicies"
        reference = {**api.reference(f"{name}.t"), "policyId": "p"}
        body = {"rowAccessPolicyReference": reference, "filterPredicate": "x = 1", "grantees": [f"user:{ANN}"]}
        made = api.ok("POST", path, body)
        assert (made["filterPredicate"], "grantees" in made) == ("x = 1", False)
        assert [each["rowAccessPolicyReference"]["policyId"] for each in api.ok("GET", path)["rowAccessPolicies"]] == [
            "p"
        ]
        binding = api.ok("POST", f"{path}/p:getIamPolicy", {})["bindings"]
        assert binding == [{"role": "roles/bigquery.filteredDataViewer", "members": [f"user:{ANN}"]}]
        assert api.ok("PUT", f"{path}/p", {**body, "filterPredicate": "x = 2"})["filterPredicate"] == "x = 2"
        assert seen(api, ANN, f"SELECT x FROM {name}.t") == ["2"]
        assert "Already Exists" in api.error("POST", path, body)["message"]
        assert api.error("GET", f"{path}/q")["code"] == 404
        assert api.error("POST", path, {**body, "grantees": ["ann"]})["code"] == 400
        wrong = {**body, "rowAccessPolicyReference": {**reference, "policyId": "q"}, "filterPredicate": "y = 1"}
        assert "y" in api.error("POST", path, wrong)["message"]
        assert api.error("POST", f"{path}:batchDelete", {"policyIds": ["p", "q"]})["code"] == 404
        assert api.ok("GET", f"{path}/p")["filterPredicate"] == "x = 2"
        api.ok("POST", f"{path}:batchDelete", {"policyIds": ["p"]})
        assert seen(api, EVE, f"SELECT x FROM {name}.t") == ["1", "2", "3"]


def test_policies_by_statement(api: BigQueryApi) -> None:
    with table(api, "stated") as name:
        create = f"ROW ACCESS POLICY {{}} p ON {name}.t GRANT TO ('allAuthenticatedUsers') FILTER USING (x = {{}})"
        api.query("CREATE " + create.format("", 1))
        assert "Already Exists" in api.query_error("CREATE " + create.format("", 2))["message"]
        api.query("CREATE " + create.format("IF NOT EXISTS", 2))
        assert seen(api, EVE, f"SELECT x FROM {name}.t") == ["1"]
        api.query("CREATE OR REPLACE " + create.format("", 3))
        assert seen(api, EVE, f"SELECT x FROM {name}.t") == ["3"]
        assert "unknown" in api.query_error(f"CREATE ROW ACCESS POLICY q ON {name}.t FILTER USING (unknown)")["message"]
        api.query_error(f"CREATE ROW ACCESS POLICY q ON {name}.t FILTER USING (x)")
        api.query(f"DROP ROW ACCESS POLICY p ON {name}.t")
        assert "Not found" in api.query_error(f"DROP ROW ACCESS POLICY p ON {name}.t")["message"]
        api.query(f"DROP ROW ACCESS POLICY IF EXISTS p ON {name}.t")
        api.query(f"CREATE ROW ACCESS POLICY q ON {name}.t FILTER USING (x = 1)")
        assert api.rows(f"SELECT x FROM {name}.t") == []
        api.query(f"DROP ALL ROW ACCESS POLICIES ON {name}.t")
        assert len(api.rows(f"SELECT x FROM {name}.t")) == 3


def test_policies_go_with_their_table(api: BigQueryApi) -> None:
    with table(api, "gone") as name:
        api.query(f"CREATE ROW ACCESS POLICY q ON {name}.t FILTER USING (x = 1)")
        api.query(f"DROP TABLE {name}.t")
        api.query(f"CREATE TABLE {name}.t AS SELECT 7 AS x")
        assert api.rows(f"SELECT x FROM {name}.t") == [["7"]]
