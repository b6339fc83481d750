"""ML.ROC_CURVE: counts at each threshold of a binary classifier."""

from __future__ import annotations

from tule.bigquery.ml.functions.function import Answer, Call, Function
from tule.bigquery.ml.options import CLASSIFIERS


def answer(call: Call) -> Answer:
    from tule.learn import metrics

    return Answer.of(metrics.roc_curve(call.trained.model, call.evaluation(), thresholds=call.array))


FUNCTION = Function("ROC_CURVE", answer, CLASSIFIERS, "optional", takes_array=True)
