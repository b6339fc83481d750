"""ML.PRINCIPAL_COMPONENTS and ML.PRINCIPAL_COMPONENT_INFO: what a PCA found."""

from __future__ import annotations

import pyarrow as pa

from tule.bigquery.ml.functions.function import MODEL, Answer, Call, TableFunction, by_feature
from tule.bigquery.ml.options.model_types import PCA


def components(call: Call) -> Answer:
    return Answer.of(by_feature(call.trained.model.components(), "principal_component_id"))


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
