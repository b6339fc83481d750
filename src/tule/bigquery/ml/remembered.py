"""What a model remembers of its training rows: the distribution of each feature column, before any TRANSFORM.

ML.VALIDATE_DATA_SKEW compares other rows with it. It is taken from an even sample of the rows that training reads anyway,
which is all of them up to ``rows``; ends of numbers are those of all rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from tule.bigquery.ml import nodes, profiles
from tule.bigquery.ml.batches import Relation
from tule.bigquery.ml.functions.validate_data_skew import WATCHED
from tule.bigquery.ml.options import ModelOptions
from tule.bigquery.types import fields_of

if TYPE_CHECKING:
    from tule.bigquery.model_statements import Run
    from tule.learn.drift import Distribution
    from tule.learn.models import FeatureStatistics

_PLAIN = ("INT64", "FLOAT64", "NUMERIC")
"""Numbers that Arrow has as such: what is left, and texts, the engine counts."""


def is_remembered(options: ModelOptions) -> bool:
    """Whether a model of these options is compared with other rows; one that goes on from another never is."""
    return options.model_type in WATCHED and not options.get("warm_start")


def distributions(
    run: Run,
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    features: Sequence[str],
    statistics: Sequence[FeatureStatistics],
) -> dict[str, Distribution]:
    """Of the columns ``features`` of these rows; ``statistics`` are of the rows that they are a sample of."""
    from tule.learn.drift import histogram

    chosen = pa.schema([schema.field(name) for name in features])
    rows = pa.Table.from_batches([batch.select(features) for batch in batches], chosen)
    ends = {each.name: (each.min, each.max) for each in statistics if each.min is not None and each.max is not None}
    numbers = [each.name for each in fields_of(chosen) if each.type in _PLAIN and not each.repeated]
    found: dict[str, Distribution] = {
        name: histogram(_float64(rows.column(name)), profiles.RANGES, ends.get(name)) for name in numbers
    }
    if others := [name for name in features if name not in found]:
        rest = rows.select(others)
        source = nodes.relation(run.session.temporary(rest.schema, iter(rest.to_batches())))
        relation = Relation(source, rest.schema, rest.num_rows)
        found |= profiles.distributions(relation, profiles.columns_of(rest.schema, None), run.batches, ends=ends)
    return dict(sorted(found.items()))


def _float64(column: pa.ChunkedArray) -> np.ndarray:
    return column.drop_null().cast(pa.float64(), safe=False).to_numpy()
