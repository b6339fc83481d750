"""A literal with a point or an exponent is FLOAT64, a whole one INT64: the engine would take them for a decimal and for
32 bits, which overflow in arithmetic of constants."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from tule.bigquery.sql.context import Context


def type_literals(tree: Any, context: Context) -> Any:
    for node in list(tree.find_all(exp.Literal)):
        if node.is_string or node.this.isdigit() or node.meta.get("tule_typed"):
            continue
        if isinstance(node.parent, exp.Interval | exp.DataTypeParam):
            continue
        if isinstance(node.parent, exp.Cast) and node.parent.to.this == exp.DataType.Type.DECIMAL:
            continue
        # An exponent makes a double of a number in DuckDB, without a cast.
        node.set("this", node.this if "e" in node.this.lower() else f"{node.this}e0")
        node.meta["tule_typed"] = True
    for node in list(tree.find_all(exp.Add, exp.Sub, exp.Mul)):
        if _is_int(node.this) and _is_int(node.expression):
            wide = exp.cast(node.this.copy(), exp.DataType.Type.BIGINT)
            wide.meta["tule_done"] = True
            node.set("this", wide)
    return tree


def _is_int(node: Any) -> bool:
    return isinstance(node, exp.Literal) and not node.is_string and node.this.isdigit()
