"""ML.DESCRIBE_DATA: what the columns of given rows hold, a row for each.

https://cloud.google.com/bigquery/docs/reference/standard-sql/bigqueryml-syntax-describe-data
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tule.bigquery.ml import profiles
from tule.bigquery.ml.data_calls import read_call
from tule.bigquery.ml.functions.function import Argument

if TYPE_CHECKING:
    from sqlglot import exp

    from tule.bigquery.ml.profiles import Profile
    from tule.bigquery.model_statements import Run
    from tule.bigquery.sql import Context

NAME = "DESCRIBE_DATA"
ARGUMENTS = {
    "num_quantiles": Argument(2, int, 1, 100_000),
    "num_array_length_quantiles": Argument(10, int, 1, 100_000),
    "top_k": Argument(1, int, 1, 10_000),
}
_NUMBER, _WHOLE, _TEXT = pa.float64(), pa.int64(), pa.string()
SCHEMA = pa.schema(
    [
        ("name", _TEXT),
        ("num_rows", _WHOLE),
        ("num_nulls", _WHOLE),
        ("num_zeros", _WHOLE),
        ("min", _TEXT),
        ("max", _TEXT),
        ("mean", _NUMBER),
        # The page of the reference says stdev; the service answers stddev.
        ("stddev", _NUMBER),
        ("median", _NUMBER),
        ("quantiles", pa.list_(_NUMBER)),
        ("unique", _WHOLE),
        ("avg_string_length", _NUMBER),
        ("num_values", _WHOLE),
        ("top_values", pa.list_(pa.struct([("value", _TEXT), ("count", _WHOLE)]))),
        ("min_array_length", _WHOLE),
        ("max_array_length", _WHOLE),
        ("avg_array_length", _NUMBER),
        ("total_array_length", _WHOLE),
        ("array_length_quantiles", pa.list_(_WHOLE)),
        ("dimension", _WHOLE),
    ]
)


def expand(call: exp.Expression, context: Context, run: Run) -> exp.Expression:
    """The relation that stands in the place of a call."""
    read = read_call(call, NAME, context, run, arguments=ARGUMENTS)
    (rows,) = read.rows
    columns = profiles.columns_of(rows.schema, NAME)
    if run.looking:
        return read.answer(SCHEMA, ())
    # The median is a quantile: an even number of them has it.
    asked = read.values["num_quantiles"]
    wanted = profiles.Wanted(
        summary=True,
        quantiles=asked if asked % 2 == 0 else 2 * asked,
        length_quantiles=read.values["num_array_length_quantiles"],
        top=read.values["top_k"],
    )
    found = profiles.profile(rows.readable(), columns, wanted, read.run.batches)
    table = pa.Table.from_pylist([_row(each, asked) for each in found], SCHEMA)
    return read.answer(SCHEMA, table.to_batches())


def _row(each: Profile, quantiles: int) -> dict[str, Any]:
    step = max(1, (len(each.quantiles) - 1) // quantiles)
    return {
        "name": each.name,
        "num_rows": each.rows,
        "num_nulls": each.nulls,
        "num_zeros": each.zeros,
        "min": each.least,
        "max": each.greatest,
        "mean": each.mean,
        "stddev": each.deviation,
        "median": each.quantiles[len(each.quantiles) // 2] if each.quantiles else None,
        "quantiles": list(each.quantiles[::step]),
        "unique": each.unique,
        "avg_string_length": each.average_length,
        "num_values": each.values,
        "top_values": [{"value": value, "count": count} for value, count in each.top],
        "min_array_length": each.shortest,
        "max_array_length": each.longest,
        "avg_array_length": each.average_array,
        "total_array_length": each.total_array,
        "array_length_quantiles": list(each.lengths),
        "dimension": each.dimension,
    }
