"""ML.FEATURE_INFO: statistics of the training columns, before any TRANSFORM."""

from __future__ import annotations

import pyarrow as pa

from tule.bigquery.ml.functions.function import MODEL, Answer, Call, TableFunction
from tule.bigquery.ml.options.model_types import ALL, CONTRIBUTION

_NUMBERS = ("min", "max", "mean", "median", "stddev")
_COUNTS = ("category_count", "null_count", "dimension")


def answer(call: Call) -> Answer:
    rows = call.trained.statistics
    columns = {"input": pa.array([row.name for row in rows], pa.string())}
    columns |= {name: pa.array([getattr(row, name) for row in rows], pa.float64()) for name in _NUMBERS}
    columns |= {name: pa.array([getattr(row, name) for row in rows], pa.int64()) for name in _COUNTS}
    return Answer.of(pa.table(columns))


FORMS = (
    TableFunction(name="FEATURE_INFO", model_types=ALL - {CONTRIBUTION}, order=(MODEL,), by_trial=False, answer=answer),
)
