"""Every function of the public GoogleSQL reference: how it is called and what the engine does for it, or that it is refused.

One table, read from lines of text in the modules of this folder, one module a family. The rule that rewrites functions and
docs/bigquery-sql.md are both made of it. https://cloud.google.com/bigquery/docs/reference/standard-sql/functions-all
"""

from typing import Any

from sqlglot import exp

from tule.bigquery.sql.functions import aggregates, dates, geography, json, math, others, strings
from tule.bigquery.sql.functions.signatures import Argument, Function, Match, Signature

FUNCTIONS: dict[str, Function] = {
    **aggregates.FUNCTIONS,
    **strings.FUNCTIONS,
    **math.FUNCTIONS,
    **dates.FUNCTIONS,
    **json.FUNCTIONS,
    **geography.FUNCTIONS,
    **others.FUNCTIONS,
}


def aggregate_in(tree: Any) -> Any:
    """A call of an aggregate function within an expression, None where there is none."""
    return next((node for node in tree.find_all(exp.Anonymous) if is_aggregate(node)), None)


def is_aggregate(node: exp.Anonymous) -> bool:
    """Whether a call is one of an aggregate function."""
    found = FUNCTIONS.get(node.name.upper())
    return found is not None and found.role == "aggregate"


__all__ = ["FUNCTIONS", "Argument", "Function", "Match", "Signature", "aggregate_in", "is_aggregate"]
