"""VECTOR_SEARCH: neighbours as NumPy finds them, in every form of the call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from tests.bigquery.ml.conftest import Models

_VECTOR = "[MOD(n * 37, 101) / 10, MOD(n * 53, 97) / 10, CAST(MOD(n, 7) AS FLOAT64)]"


@pytest.fixture(scope="module", autouse=True)
def made(models: Models) -> Iterator[None]:
    models.api.query(f"CREATE TABLE d.base AS SELECT n AS id, {_VECTOR} AS v FROM UNNEST(GENERATE_ARRAY(1, 300)) AS n")
    models.api.query(
        f"CREATE TABLE d.asked AS SELECT CONCAT('q', n) AS name, {_VECTOR} AS e FROM UNNEST([5, 250]) AS n"
    )
    yield


def vectors() -> np.ndarray:
    n = np.arange(1, 301)
    return np.column_stack([n * 37 % 101 / 10, n * 53 % 97 / 10, n % 7.0])


def distances(kind: str, query: np.ndarray) -> np.ndarray:
    base = vectors()
    if kind == "EUCLIDEAN":
        return np.linalg.norm(base - query, axis=1)
    if kind == "COSINE":
        return 1.0 - base @ query / np.linalg.norm(base, axis=1) / np.linalg.norm(query)
    return -(base @ query)


@pytest.mark.parametrize("kind", ["EUCLIDEAN", "COSINE", "DOT_PRODUCT"])
def test_the_nearest_of_each_query(models: Models, kind: str) -> None:
    rows = models.ask(
        f"""SELECT query.name, base.id, distance FROM VECTOR_SEARCH(TABLE d.base, 'v', TABLE d.asked, top_k => 4,
        distance_type => '{kind}') ORDER BY name, distance"""
    )
    assert len(rows) == 8
    for name, place in (("q5", 4), ("q250", 249)):
        found = [row["distance"] for row in rows if row["name"] == name]
        assert found == pytest.approx(np.sort(distances(kind, vectors()[place]))[:4], abs=1e-9)
    for row in rows:
        place = int(row["name"][1:]) - 1
        assert distances(kind, vectors()[place])[row["id"] - 1] == pytest.approx(row["distance"], abs=1e-9)


def test_the_forms_of_a_call(models: Models) -> None:
    sql = "SELECT * FROM VECTOR_SEARCH((SELECT * FROM d.base WHERE id < 100), 'V', (SELECT [1.0, 2, 3] AS x), 'x')"
    columns = models.api.query(sql)["schema"]["fields"]
    assert [(each["name"], each["type"]) for each in columns] == [
        ("query", "RECORD"), ("base", "RECORD"), ("distance", "FLOAT")
    ]  # fmt: skip
    assert len(models.ask(sql)) == 10
    one = models.ask(
        "SELECT base.id, distance FROM VECTOR_SEARCH(TABLE d.base, 'v', query_value => [1.0, 2.0, 3.0], top_k => 1)"
    )
    wanted = distances("EUCLIDEAN", np.array([1.0, 2.0, 3.0]))
    assert one == [{"id": int(wanted.argmin()) + 1, "distance": pytest.approx(wanted.min())}]
    counted = (
        "SELECT COUNT(*) AS n FROM VECTOR_SEARCH(TABLE d.base, 'v', TABLE d.asked, query_column_to_search => 'e', "
    )
    assert models.ask(counted + "top_k => -1, options => '{\"use_brute_force\": true}')") == [{"n": 600}]
    named = "SELECT COUNT(*) AS n FROM VECTOR_SEARCH(TABLE d.base, 'v', (SELECT * FROM q))"
    assert models.ask(f"WITH q AS (SELECT e FROM d.asked) {named}") == [{"n": 20}]


def test_rows_without_a_vector_are_no_neighbours(models: Models) -> None:
    base = "(SELECT 1 AS id, CAST(NULL AS ARRAY<FLOAT64>) AS v UNION ALL SELECT 2, [0.0])"
    found = models.ask(f"SELECT base.id FROM VECTOR_SEARCH({base}, 'v', (SELECT [1.0] AS v))")
    assert found in ([{"id": 2}],)


WRONG: dict[str, str] = {
    "TABLE d.base, 'nothing', TABLE d.asked": "must be a column of its table; given: nothing; there are id, v",
    "TABLE d.base, 'id', TABLE d.asked": "must be of type ARRAY<FLOAT64>",
    "TABLE d.base, 'v'": "VECTOR_SEARCH takes TABLE base or (query)",
    "TABLE d.base, 'v', (SELECT 1 AS x)": "must have a column of type ARRAY<FLOAT64>",
    "TABLE d.base, 'v', TABLE d.asked, top_k => 0": "must be a whole number that is not 0",
    "TABLE d.base, 'v', TABLE d.asked, distance_type => 'MANHATTAN'": "must be one of EUCLIDEAN, COSINE, DOT_PRODUCT",
    "TABLE d.base, 'v', TABLE d.asked, options => '{\"speed\": 1}'": "must be of use_brute_force",
    "TABLE d.base, 'v', TABLE d.asked, limit_to => 3": "VECTOR_SEARCH has no argument limit_to",
    "TABLE d.base, 'v', (SELECT [1.0] AS v)": "must have the same length",
}


@pytest.mark.parametrize("arguments", WRONG)
def test_calls_that_cannot_be(models: Models, arguments: str) -> None:
    error: dict[str, Any] = models.api.query_error(f"SELECT * FROM VECTOR_SEARCH({arguments})")
    assert (error["code"], error["reason"]) == (400, "invalidQuery") and WRONG[arguments] in error["message"]
