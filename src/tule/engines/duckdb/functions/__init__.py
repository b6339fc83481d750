"""Functions of GoogleSQL that DuckDB lacks, as vectorised Arrow functions and macros."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from tule.engines.duckdb.functions.macros import MACROS


def register(connection: Any) -> None:
    """Make the functions known to a DuckDB instance."""
    from duckdb.sqltypes import BIGINT, VARCHAR

    connection.create_function(
        "tule_farm_fingerprint", farm_fingerprint, [VARCHAR], BIGINT, type="arrow", side_effects=False
    )
    for head, body in MACROS:
        connection.execute(f"CREATE MACRO {head} AS {body}")


def farm_fingerprint(values: pa.Array) -> pa.Array:
    """FarmHash Fingerprint64 of the UTF-8 bytes as a signed INT64."""
    import farmhash

    hashed = farmhash.fingerprint64
    made: list[int | None] = []
    for value in values.to_pylist():
        if value is None:
            made.append(None)
            continue
        number = hashed(value)
        made.append(number - 2**64 if number >= 2**63 else number)
    return pa.array(made, pa.int64())
