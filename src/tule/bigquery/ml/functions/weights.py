"""ML.WEIGHTS: what a linear model learned, in the units of the features; the factors of users and items."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from tule.bigquery.ml.functions.function import MODEL, STRUCT, Answer, Argument, Call, TableFunction
from tule.bigquery.ml.options.model_types import FACTORIZATION, GLM
from tule.bigquery.ml.resource import label_text

CATEGORY_WEIGHTS = pa.list_(pa.struct([("category", pa.string()), ("weight", pa.float64())]))


def answer(call: Call) -> Answer:
    model = call.trained.model
    rows = model.weights(standardize=call.arguments["standardize"])
    columns = {
        "processed_input": pa.array([row.name for row in rows], pa.string()),
        "weight": pa.array([row.weight for row in rows], pa.float64()),
        "category_weights": pa.array(
            [[{"category": name, "weight": weight} for name, weight in row.categories] for row in rows],
            CATEGORY_WEIGHTS,
        ),
    }
    if model.classes is not None and len(model.classes) > 2:
        columns["class_label"] = pa.array([label_text(row.class_label) for row in rows], pa.string())
    return Answer.of(pa.table(columns))


_FACTORS = pa.schema(
    [
        ("processed_input", pa.string()),
        ("feature", pa.string()),
        ("factor_weights", pa.list_(pa.struct([("factor", pa.int64()), ("weight", pa.float64())]))),
        ("intercept", pa.float64()),
    ]
)
_AT_ONCE = 10_000


def factors(call: Call) -> Answer:
    """The global intercept, then the factors and the intercept of each user and each item."""
    model: Any = call.trained.model

    def batches() -> Iterator[pa.RecordBatch]:
        rows = model.factor_weights()
        while part := list(itertools.islice(rows, _AT_ONCE)):
            lines = [
                {
                    "processed_input": row.name,
                    "feature": row.feature,
                    "factor_weights": [{"factor": at, "weight": w} for at, w in enumerate(row.factors, 1)],
                    "intercept": row.intercept,
                }
                for row in part
            ]
            yield pa.RecordBatch.from_pylist(lines, _FACTORS)

    return Answer(_FACTORS, batches)


FORMS = (
    TableFunction(
        name="WEIGHTS",
        model_types=GLM,
        arguments={"standardize": Argument(False, bool)},
        order=(MODEL, STRUCT),
        for_each_trial=True,
        answer=answer,
    ),
    TableFunction(
        name="WEIGHTS", model_types=frozenset({FACTORIZATION}), order=(MODEL,), for_each_trial=True, answer=factors
    ),
)
