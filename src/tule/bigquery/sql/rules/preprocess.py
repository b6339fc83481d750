"""BigQuery ML's preprocessing functions as plain SQL (``ML.BUCKETIZE``, ``ML.STANDARD_SCALER(...) OVER ()``, ...).

A scalar function becomes an expression. An analytic one becomes an expression over window aggregates here, and over
constants in a TRANSFORM that is replayed (see ``bigquery.sql.preprocessing``).
"""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from tule.bigquery.sql.context import Context
from tule.bigquery.sql.preprocessing import ANALYTIC, SCALAR, function_of, over_window, scalar, weighed_terms
from tule.kernel.errors import InvalidArgument, Unimplemented


def preprocess(tree: Any, context: Context) -> Any:
    return taken_apart(tree)


def plain(node: Any) -> Any:
    """An expression in which every preprocessing function is taken apart; it stands alone afterwards."""
    holder = exp.Paren(this=node)
    taken_apart(holder)
    made = holder.this
    made.pop()
    return made


def taken_apart(tree: Any) -> Any:
    """The tree with its preprocessing functions as plain expressions."""
    for node in reversed(list(tree.find_all(exp.Dot))):
        name = function_of(node)
        if name is None:
            continue
        window = node.parent if isinstance(node.parent, exp.Window) else None
        arguments = list(node.expression.expressions)
        if name in SCALAR:
            node.replace(scalar(name, arguments))
        elif name in ANALYTIC:
            if window is None or window.args.get("partition_by") or window.args.get("order"):
                raise InvalidArgument(f"ML.{name} must be called with an empty OVER ()", reason="invalidQuery")
            window.replace(over_window(name, arguments))
        else:
            raise Unimplemented(f"Function not supported in Tule: ML.{name}", reason="invalidQuery")
    for call in reversed(list(tree.find_all(exp.Anonymous))):
        window = call.parent
        if call.name.upper() == "TF_IDF" and isinstance(window, exp.Window):
            if window.args.get("partition_by") or window.args.get("order"):
                raise InvalidArgument("TF_IDF must be called with an empty OVER ()", reason="invalidQuery")
            window.replace(weighed_terms(list(call.expressions)))
    return tree
