"""ML.TFDV_DESCRIBE: statistics of the columns of given rows as a message of TensorFlow Data Validation, in JSON.

Numbers of 64 bits are text there, and what has its default is left out, as protocol buffers are written in JSON.
https://cloud.google.com/bigquery/docs/reference/standard-sql/bigqueryml-syntax-tfdv-describe
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tule.bigquery.ml import profiles
from tule.bigquery.ml.data_calls import read_call
from tule.bigquery.ml.functions.validate_data_drift import HISTOGRAMS
from tule.bigquery.types import Field

if TYPE_CHECKING:
    from sqlglot import exp

    from tule.bigquery.ml.profiles import Profile
    from tule.bigquery.model_statements import Run
    from tule.bigquery.sql import Context

NAME = "TFDV_DESCRIBE"
SCHEMA = pa.schema([Field("dataset_feature_statistics_list", "JSON").arrow])
_TOP = 20


def expand(call: exp.Expression, context: Context, run: Run) -> exp.Expression:
    """The relation that stands in the place of a call."""
    read = read_call(call, NAME, context, run, arguments=HISTOGRAMS)
    (rows,) = read.rows
    columns = profiles.columns_of(rows.schema, NAME)
    if run.looking:
        return read.answer(SCHEMA, ())
    wanted = profiles.Wanted(
        summary=True,
        # The median is a quantile: an even number of them has it.
        quantiles=2 * read.values["num_quantiles_histogram_buckets"],
        length_quantiles=read.values["num_values_histogram_buckets"],
        top=read.values["num_rank_histogram_buckets"],
        ranges=read.values["num_histogram_buckets"],
    )
    found = profiles.profile(rows.readable(), columns, wanted, read.run.batches)
    dataset = _message(num_examples=_whole(found[0].rows if found else 0), features=[_feature(each) for each in found])
    text = json.dumps({"datasets": [dataset]}, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return read.answer(SCHEMA, [pa.RecordBatch.from_arrays([pa.array([text], SCHEMA[0].type)], schema=SCHEMA)])


def _message(**fields: Any) -> dict[str, Any]:
    """The fields that differ from their defaults."""
    return {name: value for name, value in fields.items() if value not in (None, 0, "0", "", [], {})}


def _whole(value: int | None) -> str:
    return str(value or 0)


def _number(value: float | None) -> float | str | None:
    """A double, whose odd values have names."""
    if value is None or math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _feature(each: Profile) -> dict[str, Any]:
    if each.column.is_number:
        kind = None if each.column.is_whole else "FLOAT"
        return _message(name=each.name, type=kind, num_stats=_numbers(each))
    return _message(name=each.name, type="STRING", string_stats=_texts(each))


def _common(each: Profile) -> dict[str, Any]:
    if not each.column.is_array:
        values = int(each.values > 0)
        return _message(
            num_non_missing=_whole(each.values), num_missing=_whole(each.rows - each.values),
            min_num_values=_whole(values), max_num_values=_whole(values), avg_num_values=float(values),
            tot_num_values=_whole(each.values),
        )  # fmt: skip
    arrays = each.arrays or 0
    total = each.total_array or 0
    return _message(
        num_non_missing=_whole(arrays), num_missing=_whole(each.rows - arrays), min_num_values=_whole(each.shortest),
        max_num_values=_whole(each.longest), avg_num_values=total / arrays if arrays else 0.0,
        tot_num_values=_whole(total),
        num_values_histogram=_quantiles([float(length) for length in each.lengths], arrays),
    )  # fmt: skip


def _numbers(each: Profile) -> dict[str, Any]:
    histograms = [
        _histogram(((*ends, float(n)) for ends, n in zip(pairwise(each.edges), each.ranges, strict=True)), each),
        _quantiles(each.quantiles[::2], each.values),
    ]
    ends = [None if end is None else float(end) for end in (each.least, each.greatest)]
    return _message(
        common_stats=_common(each), mean=_number(each.mean), std_dev=_number(each.deviation),
        num_zeros=_whole(each.zeros), min=_number(ends[0]),
        median=_number(each.quantiles[len(each.quantiles) // 2]) if each.quantiles else None, max=_number(ends[1]),
        histograms=[histogram for histogram in histograms if histogram],
    )  # fmt: skip


def _histogram(buckets: Iterable[tuple[float, float, float]], each: Profile) -> dict[str, Any]:
    """Ranges of equal width, the default type; infinite numbers lie in a range of their own."""
    made = [_bucket(*bucket) for bucket in buckets]
    if each.infinite:
        made.append({"low_value": "Infinity", "high_value": "Infinity", "sample_count": float(each.infinite)})
    return _message(num_nan=_whole(each.undefined), buckets=made)


def _bucket(low: float, high: float, count: float) -> dict[str, Any]:
    return _message(low_value=_number(low), high_value=_number(high), sample_count=count)


def _quantiles(edges: Sequence[float], count: int) -> dict[str, Any]:
    """As many values in each range."""
    if len(edges) < 2:
        return {}
    share = count / (len(edges) - 1)
    return {
        "buckets": [_bucket(low, high, share) for low, high in pairwise(edges)],
        "type": "QUANTILES",
    }


def _texts(each: Profile) -> dict[str, Any]:
    ranks = [
        _message(low_rank=_whole(rank), high_rank=_whole(rank), label=value, sample_count=float(count))
        for rank, (value, count) in enumerate(each.top)
    ]
    return _message(
        common_stats=_common(each), unique=_whole(each.unique),
        top_values=[_message(value=value, frequency=float(count)) for value, count in each.top[:_TOP]],
        avg_length=each.average_length, rank_histogram=_message(buckets=ranks),
    )  # fmt: skip
