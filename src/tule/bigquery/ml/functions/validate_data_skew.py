"""ML.VALIDATE_DATA_SKEW: how far the columns of given rows are from those that a model was trained on.

https://cloud.google.com/bigquery/docs/reference/standard-sql/bigqueryml-syntax-validate-data-skew
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from tule.bigquery.ml.batches import Relation, actual
from tule.bigquery.ml.functions import criteria
from tule.bigquery.ml.functions.function import Argument, Call, QueryFunction
from tule.bigquery.ml.options.model_types import ALL, AUTOML, CONTRIBUTION, FACTORIZATION, FORECASTING
from tule.kernel.errors import FailedPrecondition

NAME = "VALIDATE_DATA_SKEW"
WATCHED = ALL - FORECASTING - AUTOML - {FACTORIZATION, CONTRIBUTION}
"""The types of models whose training rows are remembered by their distributions."""


def check(call: Call) -> None:
    if call.arguments["enable_visualization_link"]:
        raise criteria.no_links(NAME)
    kept = call.trained.distributions()
    if kept is None:
        raise FailedPrecondition(
            "ML.VALIDATE_DATA_SKEW needs a model that was trained from the beginning, with the distributions of its "
            "training data kept",
            given=call.trained.name, do="train it again with CREATE OR REPLACE MODEL, without WARM_START",
            reason="invalidQuery",
        )  # fmt: skip
    criteria.check_thresholds(NAME, call.arguments, sorted(kept))


def answer(call: Call, rows: Relation, ask: Callable[[Any], Any]) -> pa.Table:
    from tule.bigquery.ml import profiles
    from tule.learn.drift import compare

    base = call.trained.distributions()
    assert base is not None
    roots = [name for name in rows.schema.names if _is_wanted(name, rows.schema.field(name).type, list(base))]
    columns = [each for each in profiles.columns_of(rows.schema, NAME, roots) if actual(base, each.name) is not None]
    study = profiles.distributions(rows, columns, ask)
    return criteria.answer(compare(base, study, criteria.criteria(call.arguments)))


def _is_wanted(name: str, kind: pa.DataType, known: list[str]) -> bool:
    """Whether a column, or a field of it, is a feature; others may be of any type."""
    if pa.types.is_struct(kind):
        return any(actual(known, f"{name}_{each.name}") is not None for each in kind)
    return actual(known, name) is not None


FORMS = (
    QueryFunction(
        name=NAME,
        model_types=WATCHED,
        data="required",
        arguments={**criteria.ARGUMENTS, "enable_visualization_link": Argument(False, bool)},
        by_trial=False,
        schema=criteria.SCHEMA,
        check=check,
        answer=answer,
    ),
)
