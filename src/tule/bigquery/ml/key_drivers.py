"""AI.KEY_DRIVERS: the segments that changed a sum most, without a model: contribution analysis of the rows that are given.

https://cloud.google.com/bigquery/docs/reference/standard-sql/bigqueryml-syntax-ai-key-drivers
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from sqlglot import exp

from tule.bigquery.ml.batches import QueryBatches
from tule.bigquery.ml.given_rows import check_different, given_rows
from tule.bigquery.ml.mistakes import users_errors, wrong
from tule.bigquery.ml.named_arguments import FLAG, TEXT, TEXTS, Argument, NamedArguments, number, whole
from tule.bigquery.model_statements import Run
from tule.bigquery.sql import Context
from tule.bigquery.sql.rules.resolve_tables import relation as relation_node

if TYPE_CHECKING:
    from tule.learn.models.contribution import ContributionModel

NAME = "AI.KEY_DRIVERS"
_MOST_DIMENSIONS = 12
_MOST_DRIVERS = 1_000_000
_ARGUMENTS = NamedArguments(
    1,
    {
        "metric_col": replace(TEXT, required=True),
        "dimension_cols": replace(TEXTS, required=True),
        "interest_label_col": replace(TEXT, required=True),
        "min_apriori_support": Argument(lambda value: number(value) and 0 <= value <= 1, "a number between 0 and 1"),
        "top_k": Argument(
            lambda value: whole(value) and 1 <= value <= _MOST_DRIVERS,
            f"a whole number between 1 and {_MOST_DRIVERS:,}",
        ),
        "enable_pruning": replace(FLAG, default=True),
    },
)
# The columns of ML.GET_INSIGHTS by other names.
_NAMES = {"contributors": "drivers", "metric_test": "metric_interest", "metric_control": "metric_reference"}
_FIGURES = (
    "metric_interest", "metric_reference", "difference", "relative_difference", "unexpected_difference",
    "relative_unexpected_difference", "apriori_support", "contribution",
)  # fmt: skip


def expand(call: exp.Expression, context: Context, run: Run) -> exp.Expression:
    """The relation that stands in the place of a call."""
    tables, arguments = _ARGUMENTS.read(NAME, call, context)
    if arguments["min_apriori_support"] is not None and arguments["top_k"] is not None:
        raise wrong(f"min_apriori_support and top_k of {NAME} exclude each other", do="leave one out")
    wanted = [arguments["metric_col"], *arguments["dimension_cols"], arguments["interest_label_col"]]
    check_different(wanted, NAME)
    if len(arguments["dimension_cols"]) > _MOST_DIMENSIONS:
        given = len(arguments["dimension_cols"])
        raise wrong(f"{NAME} takes 1 to {_MOST_DIMENSIONS} dimensions", given=given, do="name fewer")
    rows = given_rows(tables[0], wanted, NAME, call, context, run)
    schema = pa.schema(
        [
            pa.field("drivers", pa.list_(pa.string())),
            *(pa.field(name, rows.schema.field(name).type) for name in rows.schema.names[1:-1]),
            *(pa.field(name, pa.float64()) for name in _FIGURES),
        ]
    )
    if run.looking:
        return relation_node(run.session.temporary(schema, ()))
    with users_errors():
        found = _fitted(rows, arguments).table()
    found = found.rename_columns({name: _NAMES.get(name, name) for name in found.schema.names}).cast(schema)
    return relation_node(run.session.temporary(schema, found.to_batches()))


def _fitted(rows: QueryBatches, arguments: Mapping[str, Any]) -> ContributionModel:
    from tule.learn.models import FAMILIES
    from tule.learn.models.contribution import ContributionModel

    names = rows.schema.names
    options = {
        "contribution_metric": f"SUM(`{names[0]}`)",
        "dimension_id_cols": names[1:-1],
        "is_test_col": names[-1],
        "min_apriori_support": arguments["min_apriori_support"],
        "top_k_insights_by_apriori_support": arguments["top_k"],
        "pruning_method": "PRUNE_REDUNDANT_INSIGHTS" if arguments["enable_pruning"] else "NO_PRUNING",
    }
    model = FAMILIES["contribution_analysis"].fit(rows, label=None, options=options)
    assert isinstance(model, ContributionModel)
    return model
