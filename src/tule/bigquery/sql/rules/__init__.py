"""The rules that every dialect begins with: small, one file each, applied in this order. They leave GoogleSQL in which
names are the engine's; what comes behind them is the dialect's (``bigquery.sql.dialects``).

A rule takes the tree and the context and gives the tree. Its pairs of input and expected rows are in ``tests/sql`` under
the rule's name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tule.bigquery.sql.context import Context
from tule.bigquery.sql.rules.bind_parameters import bind_parameters
from tule.bigquery.sql.rules.expand_changes import expand_changes
from tule.bigquery.sql.rules.expand_external_queries import expand_external_queries
from tule.bigquery.sql.rules.expand_model_functions import expand_model_functions
from tule.bigquery.sql.rules.expand_routines import expand_names, expand_routines
from tule.bigquery.sql.rules.find_volatile import find_volatile
from tule.bigquery.sql.rules.name_columns import name_columns
from tule.bigquery.sql.rules.preprocess import preprocess
from tule.bigquery.sql.rules.read_moments import read_moments
from tule.bigquery.sql.rules.refuse import refuse
from tule.bigquery.sql.rules.resolve_tables import resolve_tables
from tule.bigquery.sql.rules.resolve_variables import resolve_variables

Rule = Callable[[Any, Context], Any]

RULES: tuple[Rule, ...] = (
    refuse,
    read_moments,
    name_columns,
    expand_external_queries,
    expand_changes,
    expand_routines,
    find_volatile,
    expand_model_functions,
    resolve_tables,
    expand_names,
    resolve_variables,
    bind_parameters,
    preprocess,
)
