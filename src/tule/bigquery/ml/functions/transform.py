"""ML.TRANSFORM: what a model's TRANSFORM clause makes of rows, then their columns that it does not use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from tule.bigquery.ml.batches import actual
from tule.bigquery.ml.functions.function import DATA, MODEL, ExpressionFunction, Trained
from tule.bigquery.ml.options.model_types import TRANSFORMED
from tule.kernel.errors import InvalidArgument


def items(trained: Trained, rows: pa.Schema) -> tuple[list[tuple[str, Any]], Sequence[str]]:
    """The items of the clause, and the columns of the rows that they stand for.

    A label, or another column that steers training and passes through, may be missing.
    """
    from tule.bigquery.ml.inputs import input_items

    transform = trained.transform
    if transform is None:
        raise InvalidArgument(
            "ML.TRANSFORM needs a model with a TRANSFORM clause",
            given=trained.name,
            do="create it with CREATE MODEL ... TRANSFORM(...)",
            reason="invalidQuery",
            location="query",
        )
    steering = trained.options.non_features
    names = [
        each.name
        for each in transform.items
        if each.name.lower() not in steering or actual(rows.names, each.name) is not None
    ]
    made = input_items(trained, rows, names)
    used = {name.lower() for name in names} | {each.name.lower() for each in transform.columns}
    return made, [name for name in rows.names if name.lower() in used]


FORMS = (
    ExpressionFunction(
        name="TRANSFORM",
        model_types=TRANSFORMED,
        data="required",
        order=(MODEL, DATA),
        by_trial=False,
        items=items,
    ),
)
