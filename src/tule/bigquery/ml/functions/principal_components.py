"""ML.PRINCIPAL_COMPONENTS and ML.PRINCIPAL_COMPONENT_INFO: what a PCA found."""

from __future__ import annotations

import pyarrow as pa

from tule.bigquery.ml.functions.function import MODEL, Answer, Call, TableFunction
from tule.bigquery.ml.options.model_types import PCA

_CATEGORIES = pa.list_(pa.struct([("category", pa.string()), ("value", pa.float64())]))


def components(call: Call) -> Answer:
    rows = call.trained.model.components()
    return Answer.of(
        pa.table(
            {
                "principal_component_id": pa.array([row.component_id for row in rows], pa.int64()),
                "feature": pa.array([row.name for row in rows], pa.string()),
                "numerical_value": pa.array([row.value for row in rows], pa.float64()),
                "categorical_value": pa.array(
                    [[{"category": name, "value": value} for name, value in row.categories] for row in rows],
                    _CATEGORIES,
                ),
            }
        )
    )


def info(call: Call) -> Answer:
    rows = call.trained.model.component_info()
    columns = {"principal_component_id": pa.array([row.component_id for row in rows], pa.int64())}
    for name in ("eigenvalue", "explained_variance_ratio", "cumulative_explained_variance_ratio"):
        columns[name] = pa.array([getattr(row, name) for row in rows], pa.float64())
    return Answer.of(pa.table(columns))


FORMS = (
    TableFunction(name="PRINCIPAL_COMPONENTS", model_types=frozenset({PCA}), order=(MODEL,), answer=components),
    TableFunction(name="PRINCIPAL_COMPONENT_INFO", model_types=frozenset({PCA}), order=(MODEL,), answer=info),
)
