"""ML.CENTROIDS: the middle of each cluster, feature by feature."""

from __future__ import annotations

import pyarrow as pa

from tule.bigquery.ml.functions.function import MODEL, STRUCT, Answer, Argument, Call, TableFunction
from tule.bigquery.ml.options.model_types import KMEANS

_CATEGORIES = pa.list_(pa.struct([("category", pa.string()), ("value", pa.float64())]))


def answer(call: Call) -> Answer:
    rows = call.trained.model.centroids(standardize=call.arguments["standardize"])
    return Answer.of(
        pa.table(
            {
                "centroid_id": pa.array([row.centroid_id for row in rows], pa.int64()),
                "feature": pa.array([row.name for row in rows], pa.string()),
                "numerical_value": pa.array([row.value for row in rows], pa.float64()),
                "categorical_value": pa.array(
                    [[{"category": name, "value": value} for name, value in row.categories] for row in rows],
                    _CATEGORIES,
                ),
            }
        )
    )


FORMS = (
    TableFunction(
        name="CENTROIDS",
        model_types=frozenset({KMEANS}),
        arguments={"standardize": Argument(False, bool)},
        order=(MODEL, STRUCT),
        answer=answer,
    ),
)
