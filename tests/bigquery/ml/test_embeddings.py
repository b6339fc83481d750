"""ML.GENERATE_EMBEDDING over models of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.bigquery.ml.conftest import Models

_ROWS = "SELECT n AS id, n / 7 AS x, MOD(n, 5) AS z, MOD(n, 3) = 0 AS f FROM UNNEST(GENERATE_ARRAY(1, 60)) AS n"


def test_components_as_vectors(models: Models) -> None:
    models.train("parts", "MODEL_TYPE='PCA', NUM_PRINCIPAL_COMPONENTS=2", f"SELECT x, z, f FROM ({_ROWS})")
    sql = f"SELECT * FROM ML.GENERATE_EMBEDDING(MODEL d.parts, ({_ROWS}))"
    names = [name for name, _ in models.columns(sql)]
    assert names == ["ml_generate_embedding_result", "id", "x", "z", "f"]
    found = models.ask(f"{sql} ORDER BY id")
    own = models.ask(
        f"SELECT * FROM ML.PREDICT(MODEL d.parts, ({_ROWS}), STRUCT(TRUE AS keep_original_columns)) ORDER BY id"
    )
    simple = models.ask(f"SELECT * FROM AI.GENERATE_EMBEDDING(MODEL d.parts, ({_ROWS})) ORDER BY id")
    assert list(simple[0]) == ["embedding", "id", "x", "z", "f"]
    vectors = [row["ml_generate_embedding_result"] for row in found]
    assert [row["embedding"] for row in simple] == vectors
    assert vectors == [[row["principal_component_1"], row["principal_component_2"]] for row in own]


def test_the_factors_of_each_id_with_its_intercept(models: Models) -> None:
    query = f"SELECT MOD(id, 6) AS user, CONCAT('i', MOD(id, 4)) AS item, MOD(id, 5) AS rating FROM ({_ROWS})"
    models.train("ratings", "MODEL_TYPE='MATRIX_FACTORIZATION', NUM_FACTORS=2, MAX_ITERATIONS=3", query)
    found = models.ask("SELECT * FROM ML.GENERATE_EMBEDDING(MODEL d.ratings)")
    weights = models.ask("SELECT * FROM ML.WEIGHTS(MODEL d.ratings) WHERE processed_input IS NOT NULL")
    wanted = {
        (row["processed_input"], row["feature"]): [
            *(each["weight"] for each in row["factor_weights"]),
            row["intercept"],
        ]
        for row in weights
    }
    key, value = ("processed_input", "feature"), "ml_generate_embedding_result"
    simple = models.ask("SELECT * FROM AI.GENERATE_EMBEDDING(MODEL d.ratings)")
    assert [row["embedding"] for row in simple] == [row[value] for row in found]
    assert {(row[key[0]], row[key[1]]): row[value] for row in found} == wanted and len(wanted) == 10


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        (
            "ML.GENERATE_EMBEDDING(MODEL d.line, (SELECT 1 AS x))",
            "ML.GENERATE_EMBEDDING is not supported for model type LINEAR",
        ),
        ("ML.GENERATE_EMBEDDING(MODEL d.parts, (SELECT 1 AS z, TRUE AS f))", "The data must have the column"),
        ("AI.GENERATE_EMBEDDING(MODEL d.parts, (SELECT 1 AS z))", "must have the column x"),
        ("AI.SEARCH((SELECT 1 AS x), 'x', 'text')", "Tule does not do AI.SEARCH; given: it searches a column whose"),
        ("AI.GENERATE_TEXT(MODEL d.parts, (SELECT 'a' AS prompt))", "given: it asks a large language model"),
        ("ML.TRANSLATE(MODEL d.parts, (SELECT 'a' AS text_content))", "given: it asks the Translation API"),
    ],
)
def test_what_makes_no_vectors(models: Models, sql: str, message: str) -> None:
    if not models.exists("line"):
        models.train("line", "MODEL_TYPE='LINEAR_REG', INPUT_LABEL_COLS=['x']", f"SELECT x, z FROM ({_ROWS})")
    assert message in models.api.query_error(f"SELECT * FROM {sql}")["message"]
