"""What an engine of SQL tells of itself; satisfies ``bigquery.engine.Capabilities``."""

from __future__ import annotations

from dataclasses import dataclass

from tule.kernel.errors import Unimplemented

ALL_TYPES = frozenset(
    {"INT64", "FLOAT64", "NUMERIC", "BIGNUMERIC", "BOOL", "STRING", "BYTES", "DATE", "TIME", "DATETIME", "TIMESTAMP", "JSON",
     "GEOGRAPHY", "INTERVAL", "RANGE", "STRUCT"}
)  # fmt: skip


@dataclass(frozen=True)
class Capabilities:
    """See the port."""

    functions: bool = True
    ordered: bool = True
    closed: bool = True
    types: frozenset[str] = ALL_TYPES


def no_functions(setting: str) -> Unimplemented:
    """What ``Session.function`` of an engine without them raises; ``setting``: how TULE_SQL names the engine."""
    return Unimplemented(
        "Functions that the server computes (JavaScript, models that are no SQL) must run on the embedded engine",
        given=f"TULE_SQL={setting}", do="set TULE_SQL=duckdb", reason="notImplemented",
    )  # fmt: skip


__all__ = ["ALL_TYPES", "Capabilities", "no_functions"]
