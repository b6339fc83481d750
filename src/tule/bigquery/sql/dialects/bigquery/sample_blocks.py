"""TABLESAMPLE SYSTEM stays what it was: blocks of the service's tables."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from tule.bigquery.sql.context import Context


def sample_blocks(tree: Any, context: Context) -> Any:
    for sample in tree.find_all(exp.TableSample):
        sample.set("method", exp.var("SYSTEM"))
    return tree
