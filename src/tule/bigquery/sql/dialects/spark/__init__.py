"""Spark's SQL: the shared analysis gives every operator and function the form that DuckDB has for its types; the last rules
bring these forms to Spark, and refuse by name what it has no equal for."""

from __future__ import annotations

from tule.bigquery.sql.bound_values import bindable
from tule.bigquery.sql.dialects import Dialect
from tule.bigquery.sql.dialects.spark.bind_by_colon import bind_by_colon
from tule.bigquery.sql.dialects.spark.call_functions import call_functions
from tule.bigquery.sql.dialects.spark.check_patterns import check_patterns
from tule.bigquery.sql.dialects.spark.name_types import name_types
from tule.bigquery.sql.dialects.spark.printer import Printer
from tule.bigquery.sql.dialects.spark.refuse_syntax import refuse_syntax
from tule.bigquery.sql.dialects.spark.round_casts import round_casts
from tule.bigquery.sql.dialects.spark.take_arrays_apart import take_arrays_apart
from tule.bigquery.sql.dialects.spark.write_windows import write_windows
from tule.bigquery.sql.rules.rewrite import rewrite

DIALECT = Dialect(
    rules=(rewrite,),
    printer=Printer,
    bound=lambda each: bindable(each.type, each.value),
    mark=":",
    last=(
        round_casts,
        refuse_syntax,
        check_patterns,
        write_windows,
        take_arrays_apart,
        call_functions,
        name_types,
        bind_by_colon,
    ),
)
