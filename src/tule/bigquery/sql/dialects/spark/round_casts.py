"""A NUMERIC becomes an INT64 by rounding; Spark's own cast cuts off. Arrays and structs it would cast in the same way."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from tule.bigquery.sql.analysis.casts import FROM
from tule.bigquery.sql.context import Context
from tule.kernel.errors import Unimplemented


def round_casts(tree: Any, context: Context) -> Any:
    for node in list(tree.find_all(exp.Cast)):
        given = node.meta.get(FROM)
        if given == "NUMERIC" and node.to.this == exp.DataType.Type.BIGINT:
            node.set("this", exp.Anonymous(this="tule_round", expressions=[node.this, exp.Literal.number(0)]))
        elif given in ("ARRAY", "STRUCT"):
            raise Unimplemented(
                f"CAST of {given} to another type must run on the embedded engine", given="TULE_SQL=spark",
                do="cast what is in it, or set TULE_SQL=duckdb", reason="notImplemented", location="query",
            )  # fmt: skip
    return tree
