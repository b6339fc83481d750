"""ML.GLOBAL_EXPLAIN: the mean absolute attribution of each feature over the evaluation rows."""

from __future__ import annotations

import pyarrow as pa

from tule.bigquery.ml.functions.function import Answer, Argument, Call, Function
from tule.bigquery.ml.options import CLASSIFIERS, SUPERVISED
from tule.bigquery.ml.resource import label_text
from tule.kernel.errors import InvalidArgument

TOP_OF_A_CLASS = 10


def answer(call: Call) -> Answer:
    from tule.learn.explain import global_explain

    trained, by_class = call.trained, call.arguments["class_level_explain"]
    if not trained.options["enable_global_explain"]:
        raise InvalidArgument(
            "ML.GLOBAL_EXPLAIN needs a model trained with ENABLE_GLOBAL_EXPLAIN = TRUE",
            given=trained.name,
            do="train the model with this option",
            reason="invalidQuery",
        )
    if by_class and trained.options.model_type not in CLASSIFIERS:
        raise InvalidArgument(
            "class_level_explain needs a classifier", given=trained.options.model_type, reason="invalidQuery"
        )
    found = global_explain(trained.model, trained.kept(), class_level=by_class)
    if by_class:
        seen: dict[str, int] = {}
        kept = []
        for row in found:
            name = label_text(row.class_label)
            seen[name] = seen.get(name, 0) + 1
            if seen[name] <= TOP_OF_A_CLASS:
                kept.append(row)
        found = kept
    columns = {"class_name": pa.array([label_text(row.class_label) for row in found], pa.string())} if by_class else {}
    columns["feature"] = pa.array([row.feature for row in found], pa.string())
    columns["attribution"] = pa.array([row.attribution for row in found], pa.float64())
    return Answer.of(pa.table(columns))


FUNCTION = Function("GLOBAL_EXPLAIN", answer, SUPERVISED, arguments={"class_level_explain": Argument(False, bool)})
