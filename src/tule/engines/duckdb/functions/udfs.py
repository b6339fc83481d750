"""Functions that neither the engine nor a macro can do: over whole Arrow columns, in Python.

A function is handed columns of equal length and must answer one; NULL arguments are its own business.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

_Failure = ValueError


def rows(function: Callable[..., Any], kind: pa.DataType, count: int) -> Callable[..., pa.Array]:
    """A column function of a function of one row that is NULL when an argument is; equal rows are computed once."""

    def column(columns: Sequence[Any]) -> pa.Array:
        lists = [each.to_pylist() for each in columns]
        nested = any(pa.types.is_list(each.type) for each in columns)
        known: dict[tuple[Any, ...], Any] = {}
        made: list[Any] = []
        for row in zip(*lists, strict=True):
            if None in row:
                made.append(None)
                continue
            key = tuple(tuple(each) if isinstance(each, list) else each for each in row) if nested else row
            if key not in known:
                known[key] = function(*row)
            made.append(known[key])
        return pa.array(made, kind)

    return _of(count, column)


def columns(function: Callable[..., Any], kind: pa.DataType, count: int) -> Callable[..., pa.Array]:
    """A column function of a function of lists without NULLs, which are NULL in its answer."""

    def column(columns: Sequence[Any]) -> pa.Array:
        valid = [True] * len(columns[0])
        for each in columns:
            if each.null_count:
                valid = [a and b for a, b in zip(valid, each.is_valid().to_pylist(), strict=True)]
        lists = [[value for value, here in zip(each.to_pylist(), valid, strict=True) if here] for each in columns]
        found = iter(function(*lists) if any(valid) else ())
        return pa.array([next(found) if here else None for here in valid], kind)

    return _of(count, column)


def arrays(function: Callable[..., Any], kind: pa.DataType, count: int) -> Callable[..., pa.Array]:
    """A column function of one that takes Arrow columns."""
    return _of(count, function)


def _of(count: int, column: Callable[[Sequence[Any]], pa.Array]) -> Callable[..., pa.Array]:
    """The engine reads the number of parameters off the function."""
    wrappers: dict[int, Callable[..., pa.Array]] = {
        1: lambda a: column((a,)),
        2: lambda a, b: column((a, b)),
        3: lambda a, b, c: column((a, b, c)),
        4: lambda a, b, c, d: column((a, b, c, d)),
        5: lambda a, b, c, d, e: column((a, b, c, d, e)),
    }
    return wrappers[count]


def _fingerprint(value: str | bytes) -> int:
    import farmhash

    number = int(farmhash.fingerprint64(value))
    return number - 2**64 if number >= 2**63 else number


def _casefold(text: str, mode: str) -> str:
    return unicodedata.normalize(mode, unicodedata.normalize(mode, text).casefold())  # type: ignore[arg-type]


def _from_base32(text: str) -> bytes:
    try:
        return base64.b32decode(text + "=" * (-len(text) % 8))
    except ValueError:
        raise _Failure("tule: Failed to decode invalid base32 string") from None


def _edit_distance(a: str, b: str) -> int:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]


# -- network addresses


def _ip_from_string(text: str) -> bytes:
    try:
        return ipaddress.ip_address(text).packed
    except ValueError:
        raise _Failure(f"tule: NET.IP_FROM_STRING() encountered an unparseable IP-address: {text}") from None


def _safe_ip_from_string(text: str) -> bytes | None:
    try:
        return ipaddress.ip_address(text).packed
    except ValueError:
        return None


def _ip_to_string(address: bytes) -> str:
    if len(address) not in (4, 16):
        raise _Failure(f"tule: NET.IP_TO_STRING() requires 4 or 16 bytes; given: {len(address)}")
    return str(ipaddress.ip_address(address))


def _ip_net_mask(length: int, prefix: int) -> bytes:
    if length not in (4, 16) or not 0 <= prefix <= length * 8:
        raise _Failure(f"tule: NET.IP_NET_MASK() needs 4 or 16 bytes and a prefix within; given: {length}, {prefix}")
    bits = length * 8
    return (((1 << prefix) - 1) << (bits - prefix)).to_bytes(length, "big")


def _ip_trunc(address: bytes, prefix: int) -> bytes:
    mask = _ip_net_mask(len(address), prefix)
    return bytes(a & b for a, b in zip(address, mask, strict=True))


_ARROW: dict[str, pa.DataType] = {
    "VARCHAR": pa.string(),
    "BIGINT": pa.int64(),
    "DOUBLE": pa.float64(),
    "BOOLEAN": pa.bool_(),
    "BLOB": pa.binary(),
    "DATE": pa.date32(),
    "TIME": pa.time64("us"),
    "TIMESTAMP": pa.timestamp("us"),
}


def _arrow(name: str) -> pa.DataType:
    if name.endswith("[]"):
        return pa.list_(_arrow(name[:-2]))
    if name.startswith("STRUCT("):
        fields = (each.split(" ", 1) for each in name[7:-1].split(", "))
        return pa.struct([(key, _arrow(kind)) for key, kind in fields])
    return _ARROW[name]


Row = tuple[str, Callable[..., Any], str, str]
"""A function of one row: its name, what computes it, the types that it takes, the type that it gives."""


def register(connection: Any) -> None:
    """Make the functions known to a DuckDB instance."""
    from tule.engines.duckdb import geography
    from tule.engines.duckdb.functions import domains, formats, jsons, keysets, octets, searches, sketches, statistics

    by_row = (
        *FUNCTIONS,
        *octets.FUNCTIONS,
        *domains.FUNCTIONS,
        *formats.FUNCTIONS,
        *jsons.FUNCTIONS,
        *sketches.FUNCTIONS,
        *searches.FUNCTIONS,
        *keysets.FUNCTIONS,
        *statistics.FUNCTIONS,
        *geography.ROWS,
    )
    for made, entries in ((rows, by_row), (columns, geography.COLUMNS), (arrays, sketches.ARRAYS)):
        for name, function, takes, gives in entries:
            given = takes.split(", ")
            connection.create_function(
                name,
                made(function, _arrow(gives), len(given)),
                [connection.type(each) for each in given],
                connection.type(gives),
                type="arrow",
                null_handling="special",
                side_effects=False,
            )


FUNCTIONS: tuple[Row, ...] = (
    ("tule_farm_fingerprint", _fingerprint, "VARCHAR", "BIGINT"),
    ("tule_farm_fingerprint_bytes", _fingerprint, "BLOB", "BIGINT"),
    ("tule_sha512", lambda value: hashlib.sha512(value).digest(), "BLOB", "BLOB"),
    ("tule_normalize", lambda value, mode: unicodedata.normalize(mode, value), "VARCHAR, VARCHAR", "VARCHAR"),
    ("tule_normalize_and_casefold", _casefold, "VARCHAR, VARCHAR", "VARCHAR"),
    ("tule_to_base32", lambda value: base64.b32encode(value).decode(), "BLOB", "VARCHAR"),
    ("tule_from_base32", _from_base32, "VARCHAR", "BLOB"),
    ("tule_safe_convert_bytes_to_string", lambda value: value.decode("utf-8", "replace"), "BLOB", "VARCHAR"),
    ("tule_distance_of_texts", _edit_distance, "VARCHAR, VARCHAR", "BIGINT"),
    ("tule_net_ip_from_string", _ip_from_string, "VARCHAR", "BLOB"),
    ("tule_net_safe_ip_from_string", _safe_ip_from_string, "VARCHAR", "BLOB"),
    ("tule_net_ip_to_string", _ip_to_string, "BLOB", "VARCHAR"),
    ("tule_net_ip_net_mask", _ip_net_mask, "BIGINT, BIGINT", "BLOB"),
    ("tule_net_ip_trunc", _ip_trunc, "BLOB, BIGINT", "BLOB"),
)
