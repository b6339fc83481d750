"""TRANSFORM by rows without the engine: equal to it to the last bit, or left to it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tule.bigquery.ml import proof, rowwise
from tule.bigquery.ml.serving import Replay
from tule.bigquery.ml.transform import read
from tule.kernel.errors import InvalidArgument
from tule.learn import bundle

if TYPE_CHECKING:
    from tests.bigquery.ml.conftest import Models

ROWS = """SELECT x / 4 AS f, x AS n, CONCAT('w', CAST(MOD(x, 5) AS STRING)) AS word, MOD(x, 3) = 0 AS flag,
    DATE_ADD(DATE '2026-01-01', INTERVAL x DAY) AS day, TIMESTAMP_ADD(TIMESTAMP '2026-01-01 00:00:00+00',
    INTERVAL x HOUR) AS at,
    STRUCT(x * 0.5 AS inner_f, 'k' AS inner_s) AS s, x * 3 AS y FROM UNNEST(GENERATE_ARRAY(1, 60)) AS x"""
BY_ROWS = [
    "f * 2 - 1.5 + n", "-f", "f / 3", "n + 1", "n * n - 2", "SAFE_DIVIDE(f, n)", "MOD(n, 7)", "ABS(f) + ABS(n)",
    "IF(f > 2.5, 'high', "
    "'low')", "IF(flag, n, 0.5)", "CASE WHEN f < 0 THEN 'neg' WHEN f IS NULL THEN 'none' ELSE word END",
    "CASE word WHEN 'w1' THEN 1 WHEN 'w2' THEN 2 "
    "END", "COALESCE(f, n, 0)", "IFNULL(word, 'x')", "word IN ('w1', 'it\\'s')",
    "n BETWEEN 3 AND 5", "f > 1 AND n < 4 OR NOT "
        "flag", "flag IS TRUE", "word IS NOT NULL", "word = 'w1'", "word < 'w3'",
    "CONCAT(word, '_', CAST(n AS STRING), CAST(flag AS "
    "STRING))", "word || 'z'", "CAST(n AS FLOAT64)", "CAST(flag AS INT64)",
    "EXTRACT(YEAR FROM day) * 100 + EXTRACT(MONTH FROM day)", "EXTRACT(DAYOFWEEK FROM at)", "EXTRACT(HOUR FROM at)",
    "EXTRACT(DAYOFYEAR FROM "
    "day)", "EXTRACT(QUARTER FROM day)", "s.inner_f + 1", "CONCAT(s.inner_s, word)", "LENGTH(word)", "UPPER(word)",
    "GREATEST(f, n)", "LEAST(n, 3)", "SQRT(ABS(f))", "EXP(f / 10000000)", "LN(ABS(f) + 1)", "day", "at", "flag", "s", "word",
    "STRUCT(f AS a, word AS b)", "ML.BUCKETIZE(f, [1, 5.5, 10])", "ML.BUCKETIZE(n, [1, 5, 10], TRUE)",
    "ML.FEATURE_CROSS(STRUCT(word, CAST(n AS STRING) AS m))", "ML.POLYNOMIAL_EXPAND(STRUCT(f, n))",
    "ML.STANDARD_SCALER(f) OVER ()", "ML.MIN_MAX_SCALER(n) OVER ()", "ML.MAX_ABS_SCALER(f) OVER ()",
    "ML.ROBUST_SCALER(f, [10, 90], FALSE) OVER "
    "()", "ML.QUANTILE_BUCKETIZE(f, 7) OVER ()", "ML.IMPUTER(f, 'mean') OVER ()",
    "ML.IMPUTER(word, 'most_frequent') OVER ()", "ML.LABEL_ENCODER(word, 3) OVER ()",
    "ML.ONE_HOT_ENCODER(word) OVER ()", "ML.ONE_HOT_ENCODER(word, 'most_frequent', 4, 1) OVER ()",
]  # fmt: skip
BY_THE_ENGINE = [
    "ROUND(f, 1)", "SUBSTR(word, 2)", "REGEXP_REPLACE(word, 'w', "
        "'v')", "CAST(f AS STRING)", "CAST(f AS INT64)", "FORMAT('%d', n)",
    "DATE_DIFF(day, DATE '2026-01-01', DAY)", "ML.HASH_BUCKETIZE(word, 8)", "EXTRACT(WEEK FROM day)",
]  # fmt: skip


def replay(models: Models, name: str) -> Replay:
    record = models.api.app.records.get(f"projects/test-project/datasets/d/models/{name}")
    learning: Any = models.api.warehouse.queries.models
    directory: Path = learning.bundles.directory(record.body["_tule"]["bundle"])
    transform = read(directory)
    assert transform is not None
    return Replay(models.api.warehouse.physical.engine, transform, bundle.read(directory).signature)


def train(models: Models, name: str, expressions: list[str]) -> Replay:
    clause = ", ".join(f"{each} AS c{at}" for at, each in enumerate(expressions)) + ", y"
    models.train(name, "MODEL_TYPE='LINEAR_REG', INPUT_LABEL_COLS=['y'], L2_REG=0.1", ROWS, transform=clause)
    return replay(models, name)


def test_each_expression_by_rows_is_the_engines(models: Models) -> None:
    made = train(models, "by_rows", BY_ROWS)
    assert made.by_rows
    functions = made._rowwise
    assert functions is not None
    types = [column.type for column in made._columns]
    compared = 0
    for row in proof.rows(types, [])[:64]:
        try:
            (wanted,) = made._ask([row])
            found = [function(row) for function in functions]
        except (rowwise.Unsure, InvalidArgument):
            continue
        for expression, ours, own in zip(BY_ROWS, found, wanted, strict=True):
            assert proof.agree(ours, own), (expression, row, ours, own)
        compared += 1
    assert compared > 20


@pytest.mark.parametrize("expression", BY_THE_ENGINE)
def test_what_the_engine_does(models: Models, expression: str) -> None:
    name = f"engine{BY_THE_ENGINE.index(expression)}"
    made = train(models, name, [expression])
    assert not made.by_rows
    instance = {
        "f": 1.25,
        "n": 7,
        "word": "w1",
        "flag": True,
        "day": "2026-03-01",
        "at": "2026-03-01T10:00:00Z",
        "s": {"inner_f": 1, "inner_s": "k"},
    }
    (answer,) = made([instance])
    (row,) = models.ask(
        f"SELECT {expression} AS c FROM (SELECT 1.25 AS f, 7 AS n, 'w1' AS word, TRUE AS flag, DATE '2026-03-01' "
        f"AS day)"
    )
    assert answer == [row["c"]]


def test_rows_that_only_the_engine_can_judge(models: Models) -> None:
    made = train(models, "judged", ["n + 1", "f / n"])
    assert made.by_rows
    assert made([{"n": 4, "f": 2.0}]) == [[5, 0.5]]
    with pytest.raises(InvalidArgument, match="division by zero"):
        made([{"n": 0, "f": 2.0}])
    with pytest.raises(InvalidArgument, match="int64 overflow"):
        made([{"n": 2**63 - 1, "f": 2.0}])
    assert math.isnan(made([{"n": 1, "f": "nan"}])[0][1])


def test_functions_that_differ_are_left_to_the_engine(
    models: Models, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made = train(models, "differing", ["LENGTH(word)", "f + 1"])
    assert made.by_rows
    monkeypatch.setitem(
        rowwise._FUNCTIONS, "length", rowwise._strict((rowwise.TEXT,), rowwise.INT, lambda text: len(text) + 1)
    )
    again = replay(models, "differing")
    assert not again.by_rows and "c0 of a TRANSFORM are left to the engine" in caplog.text
    assert again([{"word": "abc", "f": 1}]) == [[3, 2.0]]
