"""ML.FEATURE_IMPORTANCE: how much the trees use each feature."""

from __future__ import annotations

import pyarrow as pa

from tule.bigquery.ml.functions.function import MODEL, Answer, Call, TableFunction
from tule.bigquery.ml.options.model_types import TREES, XGBOOST


def answer(call: Call) -> Answer:
    rows = call.trained.model.importance()
    return Answer.of(
        pa.table(
            {
                "feature": pa.array([row.name for row in rows], pa.string()),
                "importance_weight": pa.array([row.weight for row in rows], pa.int64()),
                "importance_gain": pa.array([row.gain for row in rows], pa.float64()),
                "importance_cover": pa.array([row.cover for row in rows], pa.float64()),
            }
        )
    )


FORMS = (
    TableFunction(
        name="FEATURE_IMPORTANCE", model_types=TREES | {XGBOOST}, order=(MODEL,), for_each_trial=True, answer=answer
    ),
)
