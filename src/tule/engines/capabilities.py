"""What an engine of SQL tells of itself; satisfies ``bigquery.engine.Capabilities``."""

from __future__ import annotations

from dataclasses import dataclass

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


__all__ = ["ALL_TYPES", "Capabilities"]
