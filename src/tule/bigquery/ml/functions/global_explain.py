"""ML.GLOBAL_EXPLAIN: the mean absolute attribution of each feature over the evaluation rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from tule.bigquery.ml.functions.function import MODEL, STRUCT, Answer, Argument, Call, TableFunction
from tule.bigquery.ml.options.model_types import AUTOML, CLASSIFIERS, LABELLED
from tule.bigquery.ml.resource import label_text
from tule.kernel.errors import InvalidArgument

TOP_OF_A_CLASS = 10


def answer(call: Call) -> Answer:
    trained, by_class = call.trained, call.arguments["class_level_explain"]
    # An automatic search needs no leave to be explained, and is explained as a whole alone.
    if trained.options.model_type in AUTOML:
        if by_class:
            raise InvalidArgument(
                f"class_level_explain is not supported for model type {trained.options.model_type}",
                do="leave it out",
                reason="invalidQuery",
            )
    elif not trained.options["enable_global_explain"]:
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
    names = ["class_name"] if by_class else []
    schema = pa.schema(
        [*((name, pa.string()) for name in names), ("feature", pa.string()), ("attribution", pa.float64())]
    )

    def table() -> pa.Table:
        from tule.learn.explain import global_explain

        found = global_explain(trained.model, trained.kept(), class_level=by_class)
        if by_class:
            found = _top(found)
        columns = [pa.array([label_text(row.class_label) for row in found], pa.string())] if by_class else []
        columns.append(pa.array([row.feature for row in found], pa.string()))
        columns.append(pa.array([row.attribution for row in found], pa.float64()))
        return pa.Table.from_arrays(columns, schema=schema)

    return Answer.computed(schema, table)


def _top(rows: Iterable[Any]) -> list[Any]:
    """The most important features of each class."""
    seen: dict[str, int] = {}
    kept = []
    for row in rows:
        name = label_text(row.class_label)
        seen[name] = seen.get(name, 0) + 1
        if seen[name] <= TOP_OF_A_CLASS:
            kept.append(row)
    return kept


FORMS = (
    TableFunction(
        name="GLOBAL_EXPLAIN",
        model_types=LABELLED,
        arguments={"class_level_explain": Argument(False, bool)},
        order=(MODEL, STRUCT),
        answer=answer,
    ),
)
