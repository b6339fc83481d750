"""ML.TRAINING_INFO: the history of each training run."""

from __future__ import annotations

import pyarrow as pa

from tule.bigquery.ml.functions.function import MODEL, Answer, Call, TableFunction
from tule.bigquery.ml.options.model_types import FORECASTING, KMEANS, LEARNED

_CLUSTER = pa.struct([("centroid_id", pa.int64()), ("cluster_radius", pa.float64()), ("cluster_size", pa.int64())])


def answer(call: Call) -> Answer:
    runs = [*call.trained.earlier_runs, call.trained.model.iterations]
    rows = [(number, each) for number, run in enumerate(runs) for each in run]
    history = [each for _, each in rows]
    columns = {
        "training_run": pa.array([number for number, _ in rows], pa.int64()),
        "iteration": pa.array([each.number for each in history], pa.int64()),
    }
    if call.trained.options.model_type not in FORECASTING:
        columns["loss"] = pa.array([each.loss for each in history], pa.float64())
    if call.trained.options.model_type not in FORECASTING | {KMEANS}:
        columns["eval_loss"] = pa.array([each.eval_loss for each in history], pa.float64())
        columns["learning_rate"] = pa.array([each.learn_rate for each in history], pa.float64())
    columns["duration_ms"] = pa.array([each.duration_ms for each in history], pa.int64())
    if call.trained.options.model_type == KMEANS:
        clusters = [
            [{"centroid_id": c.centroid_id, "cluster_radius": c.radius, "cluster_size": c.size} for c in each.clusters]
            for each in history
        ]
        columns["cluster_info"] = pa.array(clusters, pa.list_(_CLUSTER))
    return Answer.of(pa.table(columns))


FORMS = (TableFunction(name="TRAINING_INFO", model_types=LEARNED, order=(MODEL,), for_each_trial=True, answer=answer),)
