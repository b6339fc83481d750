"""ML.GET_INSIGHTS: the segments that changed a metric."""

from __future__ import annotations

from typing import Any

from tule.bigquery.ml.functions.function import MODEL, Answer, Call, TableFunction
from tule.bigquery.ml.options.model_types import CONTRIBUTION


def insights(call: Call) -> Answer:
    model: Any = call.trained.model
    return Answer.of(model.table())


FORMS = (TableFunction(name="GET_INSIGHTS", model_types=frozenset({CONTRIBUTION}), order=(MODEL,), answer=insights),)
