"""A text that is asked again is compiled once, and never comes to what it meant before."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tule.bigquery.sql import compilations

if TYPE_CHECKING:
    from tests.bigquery.conftest import BigQueryApi

    from tule.kernel.clock import VirtualClock


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The SQL of each compilation that takes place."""
    made: list[str] = []
    really = compilations.compile_query

    def counted(*arguments: Any) -> Any:
        found = really(*arguments)
        made.append(found.sql)
        return found

    monkeypatch.setattr(compilations, "compile_query", counted)
    yield made


def test_a_repeated_text_is_compiled_once(api: BigQueryApi, compiled: list[str]) -> None:
    api.query("CREATE OR REPLACE TABLE d.c1 AS SELECT 1 AS a")
    for _ in range(3):
        assert api.rows("SELECT a + 1, 'once' FROM d.c1") == [["2", "once"]]
        api.query("INSERT INTO d.c1 SELECT 5 FROM d.c1 WHERE FALSE")
    assert len([sql for sql in compiled if "once" in sql]) == 1


CHANGES = {
    "replaced": ("CREATE OR REPLACE TABLE d.{t} AS SELECT 'x' AS a, 2 AS b", [["x", "2"]]),
    "rows": ("CREATE OR REPLACE TABLE d.{t} AS SELECT 7 AS a", [["7"]]),
    "column": ("ALTER TABLE d.{t} ADD COLUMN z STRING", [["1", None]]),
    "view": ("DROP TABLE d.{t}; CREATE VIEW d.{t} AS SELECT 9 AS v", [["9"]]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_names_that_mean_something_else_are_compiled_anew(api: BigQueryApi, change: str) -> None:
    name = f"c_{change}"
    api.query(f"CREATE TABLE d.{name} AS SELECT 1 AS a")
    assert api.rows(f"SELECT * FROM d.{name}") == api.rows(f"SELECT * FROM d.{name}") == [["1"]]
    sql, rows = CHANGES[change]
    for each in sql.format(t=name).split("; "):
        api.query(each)
    assert api.rows(f"SELECT * FROM d.{name}") == rows


def test_a_view_below_that_changes_counts_too(api: BigQueryApi) -> None:
    api.query("CREATE TABLE d.below AS SELECT 1 AS a")
    api.query("CREATE VIEW d.over AS SELECT a AS b FROM d.below")
    assert api.rows("SELECT b FROM d.over") == api.rows("SELECT b FROM d.over") == [["1"]]
    api.query("CREATE OR REPLACE VIEW d.over AS SELECT a * 10 AS b FROM d.below")
    assert api.rows("SELECT b FROM d.over") == [["10"]]
    api.query("DROP TABLE d.below")
    assert "d.below was not found" in api.query_error("SELECT b FROM d.over")["message"]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT CURRENT_TIMESTAMP()",
        "SELECT CURRENT_DATE()",
        "SELECT t FROM d.timed_view",
        "SELECT (SELECT MAX(ts) FROM UNNEST([CURRENT_DATETIME()]) AS ts)",
        "SELECT EXTRACT(DAYOFYEAR FROM CURRENT_TIMESTAMP())",
    ],
)
def test_the_time_goes_on(timed: BigQueryApi, clock: VirtualClock, sql: str) -> None:
    timed.query("CREATE VIEW d.timed_view AS SELECT CURRENT_TIMESTAMP() AS t")
    seen = []
    for _ in range(3):
        seen.append(timed.rows(sql)[0][0])
        clock.advance(timedelta(days=2))
    assert len(set(seen)) == 3


def test_parameters_keep_their_own_values(api: BigQueryApi) -> None:
    for value in ("1", "2"):
        parameter = {"name": "p", "parameterType": {"type": "INT64"}, "parameterValue": {"value": value}}
        assert api.rows("SELECT @p * 3", queryParameters=[parameter]) == [[str(int(value) * 3)]]


def test_a_wildcard_sees_new_tables(api: BigQueryApi) -> None:
    api.query("CREATE TABLE d.wild_1 AS SELECT 1 AS a")
    assert api.rows("SELECT COUNT(*) FROM `d.wild_*`") == [["1"]]
    api.query("CREATE TABLE d.wild_2 AS SELECT 2 AS a")
    assert api.rows("SELECT COUNT(*) FROM `d.wild_*`") == [["2"]]


def test_a_function_may_change(api: BigQueryApi) -> None:
    for factor in (2, 3):
        api.query(f"CREATE OR REPLACE FUNCTION d.times(x INT64) AS (x * {factor})")
        assert api.rows("SELECT d.times(5)") == [[str(5 * factor)]]


def test_datasets_and_projects_tell_names_apart(api: BigQueryApi) -> None:
    for name in ("left_", "right_"):
        api.dataset(name)
        api.query(f"CREATE TABLE {name}.same AS SELECT '{name}' AS a")
    for name in ("left_", "right_", "left_"):
        assert api.rows("SELECT a FROM same", defaultDataset={"datasetId": name}) == [[name]]


def test_permissions_are_looked_at_each_time(api: BigQueryApi) -> None:
    api.query("CREATE OR REPLACE TABLE d.secret AS SELECT 42 AS a")
    assert api.rows("SELECT a FROM d.secret") == [["42"]]
    with api.caller("nobody@example.com") as caller:
        assert caller.query_error("SELECT a FROM d.secret")["code"] == 403
    assert api.rows("SELECT a FROM d.secret") == [["42"]]


def test_a_table_that_is_gone_is_told_with_its_place(api: BigQueryApi) -> None:
    api.query("CREATE TABLE d.gone_ AS SELECT 1 AS a")
    assert api.rows("SELECT a FROM d.gone_") == [["1"]]
    fresh = api.query_error("SELECT  a FROM d.never_")["message"].replace("never_", "gone_")
    api.query("DROP TABLE d.gone_")
    assert api.query_error("SELECT a FROM d.gone_")["message"] == fresh.replace("[1:16]", "[1:15]")
