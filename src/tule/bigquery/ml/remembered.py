"""What a model remembers of its training rows: the distribution of each feature column, before any TRANSFORM.

ML.VALIDATE_DATA_SKEW compares other rows with it. It is taken from an even sample of the rows that training reads anyway,
which is all of them up to ``rows``; ends of numbers are those of all rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from tule.bigquery.ml import nodes, profiles
from tule.bigquery.ml.batches import Relation
from tule.bigquery.ml.functions.validate_data_skew import WATCHED
from tule.bigquery.ml.options import ModelOptions

if TYPE_CHECKING:
    from tule.bigquery.model_statements import Run
    from tule.learn.drift import Distribution
    from tule.learn.models import FeatureStatistics


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
    chosen = pa.schema([schema.field(name) for name in features])
    pieces = [batch.select(features) for batch in batches]
    source = nodes.relation(run.session.temporary(chosen, iter(pieces)))
    rows = Relation(source, chosen, sum(each.num_rows for each in pieces))
    columns = profiles.columns_of(chosen, None)
    ends = {
        each.name: (each.min, each.max) for each in statistics if each.min is not None and each.max is not None
    }  # fmt: skip
    return profiles.distributions(rows, columns, run.batches, ends=ends)
