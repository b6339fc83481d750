"""ML.ADVANCED_WEIGHTS: weights with their standard errors and p-values."""

from __future__ import annotations

import pyarrow as pa

from tule.bigquery.ml.functions.function import MODEL, STRUCT, Answer, Argument, Call, TableFunction
from tule.bigquery.ml.options.model_types import GLM
from tule.kernel.errors import InvalidArgument


def answer(call: Call) -> Answer:
    if not call.trained.options["calculate_p_values"]:
        raise InvalidArgument(
            "ML.ADVANCED_WEIGHTS needs a model trained with CALCULATE_P_VALUES = TRUE",
            given=call.trained.name,
            do="train the model with this option and CATEGORY_ENCODING_METHOD = 'DUMMY_ENCODING'",
            reason="invalidQuery",
        )
    rows = call.trained.model.advanced_weights(standardize=call.arguments["standardize"])
    return Answer.of(
        pa.table(
            {
                "processed_input": pa.array([row.name for row in rows], pa.string()),
                "category": pa.array([row.category for row in rows], pa.string()),
                "weight": pa.array([row.weight for row in rows], pa.float64()),
                "standard_error": pa.array([row.standard_error for row in rows], pa.float64()),
                "p_value": pa.array([row.p_value for row in rows], pa.float64()),
            }
        )
    )


FORMS = (
    TableFunction(
        name="ADVANCED_WEIGHTS",
        model_types=GLM,
        arguments={"standardize": Argument(False, bool)},
        order=(MODEL, STRUCT),
        for_each_trial=True,
        answer=answer,
    ),
)
