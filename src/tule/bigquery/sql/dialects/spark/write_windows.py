"""``OVER (w ROWS ...)``: a window that adds to a named one says the named one's parts itself; numbers in frames are bare."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from tule.bigquery.sql.context import Context
from tule.kernel.errors import Unimplemented


def write_windows(tree: Any, context: Context) -> Any:
    _plain_numbers(tree)
    for node in list(tree.find_all(exp.Window)):
        base = node.args.get("alias")
        if base is None or node.arg_key == "windows" or not (node.args.get("spec") or node.args.get("order")):
            continue
        select = node.find_ancestor(exp.Select)
        named = {each.name.lower(): each for each in (select.args.get("windows") or [])} if select is not None else {}
        found = named.get(base.name.lower())
        if found is None or found.args.get("alias") is not None:
            raise Unimplemented(
                "A window on a window on another must run on the embedded engine", given="TULE_SQL=spark",
                do="write it out, or set TULE_SQL=duckdb", reason="notImplemented", location="query",
            )  # fmt: skip
        for key in ("partition_by", "order"):
            if found.args.get(key) and not node.args.get(key):
                value = found.args[key]
                node.set(key, [each.copy() for each in value] if isinstance(value, list) else value.copy())
        if isinstance(node.this, exp.Lag | exp.Lead):
            node.set("spec", None)
        node.set("alias", None)
    return tree


def _plain_numbers(tree: Any) -> None:
    """Sizes of frames and places are literals there, and of another width than INT64."""
    for node in list(tree.find_all(exp.WindowSpec, exp.Ntile, exp.NthValue, exp.Lag, exp.Lead)):
        for key in ("start", "end", "this", "offset"):
            value = node.args.get(key)
            counts = key in ("start", "end", "offset") or isinstance(node, exp.Ntile)
            if counts and isinstance(value, exp.Cast) and isinstance(value.this, exp.Literal):
                node.set(key, value.this.copy())
