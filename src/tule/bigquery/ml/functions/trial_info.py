"""ML.TRIAL_INFO: what was tried to tune a model, and what came of it."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from tule.bigquery.ml.functions.function import MODEL, Answer, Call, TableFunction
from tule.bigquery.ml.options.tuning import TUNED
from tule.kernel.errors import InvalidArgument

_KINDS: dict[str, pa.DataType] = {
    "int64": pa.int64(),
    "float64": pa.float64(),
    "string": pa.string(),
    "array": pa.list_(pa.int64()),
}


def answer(call: Call) -> Answer:
    tuning = call.trained.tuning
    if tuning is None:
        raise InvalidArgument(
            "ML.TRIAL_INFO needs a model trained with NUM_TRIALS",
            given=call.trained.name,
            do="train it with the option NUM_TRIALS",
            reason="invalidQuery",
        )
    values = pa.struct([(name, _KINDS[kind]) for name, kind in tuning.kinds.items()])
    schema = pa.schema(
        [
            ("trial_id", pa.int64()),
            ("hyperparameters", values),
            ("hparam_tuning_evaluation_metrics", pa.struct([(tuning.objective, pa.float64())])),
            ("training_loss", pa.float64()),
            ("eval_loss", pa.float64()),
            ("status", pa.string()),
            ("error_message", pa.string()),
            ("is_optimal", pa.bool_()),
        ]
    )
    rows: list[dict[str, Any]] = [
        {
            "trial_id": each.id,
            "hyperparameters": {name: each.hyperparameters.get(name) for name in tuning.kinds},
            "hparam_tuning_evaluation_metrics": {tuning.objective: each.evaluated.get(tuning.objective)},
            "training_loss": each.training_loss,
            "eval_loss": each.eval_loss,
            "status": each.status,
            "error_message": each.error,
            "is_optimal": each.id in tuning.optimal,
        }
        for each in tuning.trials
    ]
    return Answer.of(pa.Table.from_pylist(rows, schema))


FORMS = (TableFunction(name="TRIAL_INFO", model_types=TUNED, order=(MODEL,), by_trial=False, answer=answer),)
