"""ML.ROC_CURVE: counts at each threshold of a binary classifier."""

from __future__ import annotations

import pyarrow as pa

from tule.bigquery.ml.functions.function import ARRAY, DATA, MODEL, STRUCT, Answer, Call, TableFunction
from tule.bigquery.ml.options.model_types import CLASSIFIERS
from tule.kernel.errors import InvalidArgument

_SHARES = ("threshold", "recall", "false_positive_rate")
_COUNTS = ("true_positives", "false_positives", "true_negatives", "false_negatives")
_SCHEMA = pa.schema([*((name, pa.float64()) for name in _SHARES), *((name, pa.int64()) for name in _COUNTS)])


def answer(call: Call) -> Answer:
    model = call.trained.model
    assert model.classes is not None
    if len(model.classes) != 2:
        raise InvalidArgument(
            "ML.ROC_CURVE needs a binary classifier",
            given=f"{call.trained.name}, a model with {len(model.classes)} classes",
            do="use ML.CONFUSION_MATRIX, or train on a label with two values",
            reason="invalidQuery",
        )

    def table() -> pa.Table:
        from tule.learn import metrics

        return metrics.roc_curve(model, call.evaluation(), thresholds=call.array)

    return Answer.computed(_SCHEMA, table)


FORMS = (
    TableFunction(
        name="ROC_CURVE",
        model_types=CLASSIFIERS,
        data="optional",
        order=(MODEL, DATA, ARRAY, STRUCT),
        answer=answer,
    ),
)
