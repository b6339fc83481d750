"""Vector indexes: built, used by VECTOR_SEARCH, kept up to date and told of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from tests.bigquery.ml.conftest import Models

# 12 clouds of 8 numbers: what an index is made for.
_VECTOR = (
    "ARRAY(SELECT 10 * SIN(MOD(n, 12) * 7 + k * k) + COS(n * k) FROM UNNEST(GENERATE_ARRAY(1, 8)) AS k ORDER BY k)"
)
_FAR = "[9e3, 9e3, 9e3, 9e3, 9e3, 9e3, 9e3, 9e3]"


@pytest.fixture(scope="module", autouse=True)
def made(models: Models) -> Iterator[None]:
    models.api.query(
        f"CREATE TABLE d.clouds AS SELECT n AS id, {_VECTOR} AS v, CONCAT('w', n) AS word "
        "FROM UNNEST(GENERATE_ARRAY(1, 3000)) AS n"
    )
    models.api.query(
        f"CREATE TABLE d.asked AS SELECT n AS q, {_VECTOR} AS v FROM UNNEST(GENERATE_ARRAY(20, 60, 2)) AS n"
    )
    models.api.query(
        """CREATE VECTOR INDEX lists ON d.clouds(v) STORING(word)
        OPTIONS(index_type = 'IVF', distance_type = 'EUCLIDEAN', ivf_options = '{"num_lists": 40}')"""
    )
    yield


def search(models: Models, options: str, more: str = "") -> dict[int, list[int]]:
    """The ids found for each query, nearest first."""
    rows = models.ask(
        f"""SELECT query.q AS q, base.id AS id, distance FROM VECTOR_SEARCH(TABLE d.clouds, 'v', TABLE d.asked, top_k => 5
        {more}{f", options => '{options}'" if options else ""}) ORDER BY q, distance, id"""
    )
    found: dict[int, list[int]] = {}
    for row in rows:
        found.setdefault(row["q"], []).append(row["id"])
    return found


def recall(found: dict[int, list[int]], wanted: dict[int, list[int]]) -> float:
    return float(np.mean([len(set(found.get(q, [])) & set(ids)) / len(ids) for q, ids in wanted.items()]))


def test_an_index_finds_nearly_all_and_brute_force_all(models: Models) -> None:
    exact = search(models, '{"use_brute_force": true}')
    assert recall(search(models, ""), exact) >= 0.9
    assert recall(search(models, '{"fraction_lists_to_search": 1}'), exact) == 1.0
    # One list of forty has some of the rows alone.
    sql = (
        f"SELECT COUNT(*) AS n FROM VECTOR_SEARCH(TABLE d.clouds, 'v', "
        f"query_value => (SELECT {_VECTOR} FROM UNNEST([5]) n), top_k => 3000, options => '%s')"
    )
    assert 0 < models.ask(sql % '{"fraction_lists_to_search": 0.02}')[0]["n"] < 600
    assert models.ask(sql % '{"use_brute_force": true}') == [{"n": 3000}]


def test_distances_are_exact(models: Models) -> None:
    (row,) = models.ask(
        f"SELECT base.word, distance FROM VECTOR_SEARCH(TABLE d.clouds, 'v', "
        f"query_value => (SELECT {_VECTOR} FROM UNNEST([77]) n), top_k => 1)"
    )
    assert row == {"word": "w77", "distance": 0.0}


def test_an_index_follows_its_table(models: Models) -> None:
    models.api.query("CREATE TABLE d.moving AS SELECT * FROM d.clouds")
    models.api.query("CREATE VECTOR INDEX m ON d.moving(v) OPTIONS(index_type = 'IVF')")
    asked = f"SELECT base.id FROM VECTOR_SEARCH(TABLE d.moving, 'v', query_value => {_FAR}, top_k => 1)"
    models.ask(asked)
    models.api.query(f"INSERT INTO d.moving VALUES (-1, {_FAR}, 'far')")
    assert models.ask(asked) == [{"id": -1}]
    models.api.query("DELETE FROM d.moving WHERE id = -1")
    assert models.ask(asked)[0]["id"] > 0
    # What a transaction wrote is seen inside it.
    insert = f"INSERT INTO d.moving VALUES (-2, {_FAR}, 'x')"
    script = f"BEGIN TRANSACTION; {insert}; {asked}; COMMIT TRANSACTION"
    models.api.done(query={"query": script, "useLegacySql": False})
    assert models.ask(asked) == [{"id": -2}]


def test_indexes_are_told(models: Models) -> None:
    (row,) = models.ask(
        "SELECT table_name, index_name, index_status, coverage_percentage, ddl FROM d.INFORMATION_SCHEMA.VECTOR_INDEXES "
        "WHERE table_name = 'clouds'"
    )
    assert (row["index_name"], row["index_status"], row["coverage_percentage"]) == ("lists", "ACTIVE", 100)
    assert row["ddl"].startswith("CREATE VECTOR INDEX lists")
    columns = models.ask(
        "SELECT index_column_name FROM d.INFORMATION_SCHEMA.VECTOR_INDEX_COLUMNS WHERE table_name = 'clouds' ORDER BY 1"
    )
    assert [each["index_column_name"] for each in columns] == ["v", "word"]
    options = models.ask(
        "SELECT option_name, option_value FROM d.INFORMATION_SCHEMA.VECTOR_INDEX_OPTIONS WHERE table_name = 'clouds'"
    )
    assert {each["option_name"]: each["option_value"] for each in options} == {
        "index_type": "IVF", "distance_type": "EUCLIDEAN", "num_lists": "40"
    }  # fmt: skip


def test_trees_replaced_and_dropped(models: Models) -> None:
    models.api.query("CREATE TABLE d.trees AS SELECT * FROM d.clouds WHERE id < 1500")
    sql = """CREATE {}VECTOR INDEX {}t ON d.trees(v)
        OPTIONS(index_type = 'TREE_AH', distance_type = 'COSINE',
        tree_ah_options = '{{"leaf_node_embedding_count": 500}}')"""
    models.api.query(sql.format("", ""))
    assert "Already Exists" in models.api.query_error(sql.format("", ""))["message"]
    models.api.query(sql.format("", "IF NOT EXISTS "))
    models.api.query(sql.format("OR REPLACE ", ""))
    folder = models.api.app.home.root / "indexes"
    before = len(list(folder.iterdir()))
    models.api.query("DROP VECTOR INDEX t ON d.trees")
    assert len(list(folder.iterdir())) == before - 1
    assert "Not found: Vector index" in models.api.query_error("DROP VECTOR INDEX t ON d.trees")["message"]
    models.api.query("DROP VECTOR INDEX IF EXISTS t ON d.trees")
    # Another table of the same name has none.
    models.api.query(sql.format("", ""))
    models.api.query("CREATE OR REPLACE TABLE d.trees AS SELECT * FROM d.clouds WHERE id < 20")
    models.api.query("DROP TABLE d.trees")
    models.api.query("CREATE TABLE d.trees AS SELECT * FROM d.clouds WHERE id < 20")
    assert models.ask("SELECT * FROM d.INFORMATION_SCHEMA.VECTOR_INDEXES WHERE table_name = 'trees'") == []


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("ON d.clouds(v) OPTIONS(index_type = 'IVF')", "A table may have one vector index"),
        ("ON d.asked(v) OPTIONS(index_type = 'HNSW')", "index_type must be IVF or TREE_AH"),
        ("ON d.asked(v) OPTIONS(index_type = 'IVF', distance_type = 'MANHATTAN')", "distance_type must be one of"),
        (
            "ON d.asked(v) OPTIONS(index_type = 'IVF', ivf_options = '{\"lists\": 3}')",
            "must be an object with num_lists",
        ),
        ("ON d.asked(v) OPTIONS(index_type = 'IVF', ivf_options = '{\"num_lists\": 9000}')", "from 1 to 5000"),
        ("ON d.asked(q) OPTIONS(index_type = 'IVF')", "ARRAY<FLOAT64>"),
        ("ON d.asked(w) OPTIONS(index_type = 'IVF')", "must be one of"),
        ("ON d.asked(v, q) OPTIONS(index_type = 'IVF')", "of one column"),
        ("ON d.nowhere(v) OPTIONS(index_type = 'IVF')", "Not found: Table"),
    ],
)
def test_an_index_that_cannot_be(models: Models, sql: str, message: str) -> None:
    folder = models.api.app.home.root / "indexes"
    before = sorted(path.name for path in folder.iterdir())
    assert message in models.api.query_error(f"CREATE VECTOR INDEX wrong {sql}")["message"]
    assert sorted(path.name for path in folder.iterdir()) == before


def test_rows_that_a_policy_hides_are_not_in_an_index(models: Models) -> None:
    models.api.query("CREATE TABLE d.hidden AS SELECT * FROM d.clouds WHERE id < 100")
    models.api.query("CREATE VECTOR INDEX h ON d.hidden(v) OPTIONS(index_type = 'IVF')")
    models.api.query(
        "CREATE ROW ACCESS POLICY few ON d.hidden GRANT TO ('allAuthenticatedUsers') FILTER USING (id > 90)"
    )
    rows = models.ask(
        f"SELECT base.id FROM VECTOR_SEARCH(TABLE d.hidden, 'v', "
        f"query_value => (SELECT {_VECTOR} FROM UNNEST([5]) n), top_k => 3)"
    )
    assert rows and all(row["id"] > 90 for row in rows)
