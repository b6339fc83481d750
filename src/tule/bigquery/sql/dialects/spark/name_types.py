"""Types by Spark's names; what it cannot keep is refused: BIGNUMERIC, INTERVAL, TIME, GEOGRAPHY and RANGE."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from tule.bigquery.sql.context import Context
from tule.kernel.errors import Unimplemented

_Type = exp.DataType.Type
_REFUSED = {
    _Type.TIME: "TIME", _Type.INTERVAL: "INTERVAL", _Type.BIGNUM: "BIGNUMERIC", _Type.GEOMETRY: "GEOGRAPHY",
    _Type.HUGEINT if hasattr(_Type, "HUGEINT") else _Type.INT128: "BIGNUMERIC", _Type.JSON: "JSON",
}  # fmt: skip


def name_types(tree: Any, context: Context) -> Any:
    for node in list(tree.find_all(exp.DataType)):
        if node.this in _REFUSED:
            raise Unimplemented(
                f"Values of type {_REFUSED[node.this]} must be computed by the embedded engine", given="TULE_SQL=spark",
                do="CAST them to another type, or set TULE_SQL=duckdb", reason="notImplemented", location="query",
            )  # fmt: skip
        if node.this == _Type.TIMESTAMP:
            node.set("this", _Type.TIMESTAMPNTZ)
    return tree
