"""ML.EVALUATE: one row of metrics."""

from __future__ import annotations

import pyarrow as pa

from tule.bigquery.ml.functions.function import THRESHOLD, Answer, Call, Function
from tule.bigquery.ml.options import ALL, CLASSIFIERS
from tule.kernel.errors import InvalidArgument


def answer(call: Call) -> Answer:
    from tule.learn import metrics

    trained = call.trained
    if call.arguments["threshold"] != 0.5 and trained.options.model_type not in CLASSIFIERS:
        raise InvalidArgument(
            f"Argument threshold of ML.EVALUATE is not supported for model type {trained.options.model_type}",
            do="leave it out",
            reason="invalidQuery",
        )
    row = metrics.evaluate(trained.model, call.evaluation(), threshold=call.arguments["threshold"])
    return Answer.of(pa.table({name: pa.array([value], pa.float64()) for name, value in row.items()}))


FUNCTION = Function("EVALUATE", answer, ALL, "optional", {"threshold": THRESHOLD})
