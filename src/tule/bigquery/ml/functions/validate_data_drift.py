"""ML.VALIDATE_DATA_DRIFT: how far the columns of one set of rows are from those of another.

https://cloud.google.com/bigquery/docs/reference/standard-sql/bigqueryml-syntax-validate-data-drift
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tule.bigquery.ml import profiles
from tule.bigquery.ml.data_calls import read_call
from tule.bigquery.ml.functions import criteria
from tule.bigquery.ml.functions.function import Argument

if TYPE_CHECKING:
    from sqlglot import exp

    from tule.bigquery.model_statements import Run
    from tule.bigquery.sql import Context

NAME = "VALIDATE_DATA_DRIFT"
HISTOGRAMS = {
    "num_histogram_buckets": Argument(10, int, 1, 1_000),
    "num_quantiles_histogram_buckets": Argument(10, int, 1, 1_000),
    "num_values_histogram_buckets": Argument(10, int, 1, 1_000),
    "num_rank_histogram_buckets": Argument(50, int, 1, 10_000),
}
"""The sizes of histograms. The distances look at ranges of equal width and at ranks; the others describe."""


def expand(call: exp.Expression, context: Context, run: Run) -> exp.Expression:
    """The relation that stands in the place of a call."""
    from tule.learn.drift import compare

    read = read_call(call, NAME, context, run, tables=2, arguments=HISTOGRAMS | criteria.ARGUMENTS, model=True)
    if read.model is not None:
        raise criteria.no_links(NAME)
    columns = [profiles.columns_of(each.schema, NAME) for each in read.rows]
    common = {each.name.lower() for each in columns[0]} & {each.name.lower() for each in columns[1]}
    criteria.check_thresholds(NAME, read.values, [each.name for each in columns[0] if each.name.lower() in common])
    if run.looking:
        return read.answer(criteria.SCHEMA, ())
    base, study = (
        profiles.distributions(
            rows.readable(), [each for each in own if each.name.lower() in common], read.run.batches,
            ranges=read.values["num_histogram_buckets"], top=read.values["num_rank_histogram_buckets"],
        )
        for rows, own in zip(read.rows, columns, strict=True)
    )  # fmt: skip
    table = criteria.answer(compare(base, study, criteria.criteria(read.values)))
    return read.answer(table.schema, table.to_batches())
