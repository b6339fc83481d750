"""GoogleSQL: parsing, statements as plain values, and the rules that turn it into an engine's dialect."""

from tule.bigquery.sql.catalog import Catalog, Name, Relation, Temporary
from tule.bigquery.sql.compilations import Compilations
from tule.bigquery.sql.compile import (
    LONGEST_KEPT,
    Compiled,
    Parsed,
    comparison,
    compile_check,
    compile_query,
    constant,
    conversion,
    statements,
)
from tule.bigquery.sql.context import Context, Expand, Parameter, Scope
from tule.bigquery.sql.parse import printed

__all__ = [
    "LONGEST_KEPT", "Catalog", "Compilations", "Compiled", "Context", "Expand", "Name", "Parameter", "Parsed",
    "Relation", "Scope", "Temporary", "comparison", "compile_check", "compile_query", "constant", "conversion",
    "printed", "statements",
]  # fmt: skip
