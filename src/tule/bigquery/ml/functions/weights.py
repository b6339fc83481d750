"""ML.WEIGHTS: what a linear model learned, in the units of the features."""

from __future__ import annotations

import pyarrow as pa

from tule.bigquery.ml.functions.function import MODEL, STRUCT, Answer, Argument, Call, TableFunction
from tule.bigquery.ml.options import GLM
from tule.bigquery.ml.resource import label_text

CATEGORY_WEIGHTS = pa.list_(pa.struct([("category", pa.string()), ("weight", pa.float64())]))


def answer(call: Call) -> Answer:
    model = call.trained.model
    rows = model.weights(standardize=call.arguments["standardize"])
    columns = {
        "processed_input": pa.array([row.name for row in rows], pa.string()),
        "weight": pa.array([row.weight for row in rows], pa.float64()),
        "category_weights": pa.array(
            [[{"category": name, "weight": weight} for name, weight in row.categories] for row in rows],
            CATEGORY_WEIGHTS,
        ),
    }
    if model.classes is not None and len(model.classes) > 2:
        columns["class_label"] = pa.array([label_text(row.class_label) for row in rows], pa.string())
    return Answer.of(pa.table(columns))


FUNCTION = TableFunction(
    name="WEIGHTS",
    model_types=GLM,
    arguments={"standardize": Argument(False, bool)},
    order=(MODEL, STRUCT),
    answer=answer,
)
