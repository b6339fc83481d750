"""GoogleSQL for the service itself: only names were resolved. Types and errors are the service's own."""

from __future__ import annotations

from tule.bigquery.sql.dialects import Dialect
from tule.bigquery.sql.dialects.bigquery.bind_values import bound
from tule.bigquery.sql.dialects.bigquery.fill_defaults import fill_defaults
from tule.bigquery.sql.dialects.bigquery.refuse_engine_calls import refuse_engine_calls
from tule.bigquery.sql.dialects.bigquery.sample_blocks import sample_blocks
from tule.bigquery.sql.parse import GoogleSQL

DIALECT = Dialect(
    rules=(), printer=GoogleSQL, bound=bound, mark="@", last=(refuse_engine_calls, fill_defaults, sample_blocks)
)
