"""Regular expressions are GoogleSQL's (RE2); Spark's (Java) mean something else in places, and may take for ever."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from tule.bigquery.sql.context import Context
from tule.kernel.errors import Unimplemented

_FUNCTIONS = ("regexp_", "tule_regexp_")


def check_patterns(tree: Any, context: Context) -> Any:
    for node in tree.find_all(exp.Anonymous, exp.RegexpLike, exp.RegexpExtract, exp.RegexpReplace):
        name = node.name.lower() if isinstance(node, exp.Anonymous) else type(node).__name__
        if name.startswith((*_FUNCTIONS, "Regexp")):
            raise Unimplemented(
                "Regular expressions must run on the embedded engine: Spark's are another language", given="TULE_SQL=spark",
                do="use LIKE, STRPOS or SPLIT, or set TULE_SQL=duckdb", reason="notImplemented", location="query",
            )  # fmt: skip
    return tree
