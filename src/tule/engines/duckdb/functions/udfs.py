"""Functions that neither the engine nor a macro can do: over whole Arrow columns, in Python.

A function is handed columns of equal length and must answer one; NULL arguments are its own business.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import json
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

    # The engine reads the number of parameters off the function.
    wrappers: dict[int, Callable[..., pa.Array]] = {
        1: lambda a: column((a,)),
        2: lambda a, b: column((a, b)),
        3: lambda a, b, c: column((a, b, c)),
        4: lambda a, b, c, d: column((a, b, c, d)),
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


# -- JSON


def _written(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _json_change(text: str, verb: str, steps: str, value: str) -> str:
    """JSON_SET, JSON_REMOVE, JSON_ARRAY_APPEND and JSON_ARRAY_INSERT at one path."""
    root, path, new = json.loads(text), json.loads(steps), json.loads(value)
    if not path:
        if verb == "set":
            return _written(new)
        if verb == "append" and isinstance(root, list):
            return _written([*root, new])
        return _written(root)
    if verb == "append":
        found = _at(root, path)
        if isinstance(found, list):
            found.append(new)
        elif found is None and _exists(root, path):
            _put(root, path, [new])
        return _written(root)
    if verb == "set":
        return _written(_put(root, path, new))
    parent = _at(root, path[:-1]) if len(path) > 1 else root
    last = path[-1]
    if verb == "remove":
        if (isinstance(parent, dict) and last in parent) or (
            isinstance(parent, list) and isinstance(last, int) and last < len(parent)
        ):
            del parent[last]
    elif verb == "insert" and isinstance(last, int) and isinstance(parent, list):
        parent.extend([None] * (last - len(parent)))
        parent.insert(last, new)
    return _written(root)


def _exists(root: Any, path: Sequence[Any]) -> bool:
    parent = _at(root, path[:-1]) if len(path) > 1 else root
    return isinstance(parent, dict) and path[-1] in parent


def _at(root: Any, path: Sequence[Any]) -> Any:
    for step in path:
        here = (isinstance(root, dict) and isinstance(step, str) and step in root) or (
            isinstance(root, list) and isinstance(step, int) and step < len(root)
        )
        if not here:
            return None
        root = root[step]
    return root


def _put(root: Any, path: Sequence[Any], new: Any) -> Any:
    """The root with a value at a path; what is missing on the way is made, what is of another shape is left alone."""
    if not path:
        return new
    step: Any = path[0]
    rest = path[1:]
    if root is None:
        root = {} if isinstance(step, str) else []
    if isinstance(root, dict) and isinstance(step, str):
        root[step] = _put(root.get(step), rest, new)
    elif isinstance(root, list) and isinstance(step, int):
        root.extend([None] * (step + 1 - len(root)))
        root[step] = _put(root[step], rest, new)
    return root


def _json_keys(text: str, depth: int) -> list[str]:
    found: set[str] = set()

    def walk(value: Any, path: str, left: int) -> None:
        if isinstance(value, dict) and left > 0:
            for key, inner in value.items():
                name = key if key.replace("_", "a").isalnum() else f'"{key}"'
                whole = f"{path}.{name}" if path else name
                found.add(whole)
                walk(inner, whole, left - 1)

    walk(json.loads(text), "", depth)
    return sorted(found)


def _json_strip_nulls(text: str) -> str:
    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: strip(each) for key, each in value.items() if each is not None}
        if isinstance(value, list):
            return [strip(each) for each in value if each is not None]
        return value

    return _written(strip(json.loads(text)))


def _json_flatten(text: str) -> list[str]:
    def flat(value: Any) -> list[Any]:
        return [inner for each in value for inner in flat(each)] if isinstance(value, list) else [value]

    return [_written(each) for each in flat(json.loads(text))]


def _json_pretty(text: str) -> str:
    return json.dumps(json.loads(text), ensure_ascii=False, indent=2)


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
    return pa.list_(_arrow(name[:-2])) if name.endswith("[]") else _ARROW[name]


Row = tuple[str, Callable[..., Any], str, str]
"""A function of one row: its name, what computes it, the types that it takes, the type that it gives."""


def register(connection: Any) -> None:
    """Make the functions known to a DuckDB instance."""
    from tule.engines.duckdb.functions import formats, octets

    for name, function, takes, gives in (*FUNCTIONS, *octets.FUNCTIONS, *formats.FUNCTIONS):
        given = takes.split(", ")
        connection.create_function(
            name,
            rows(function, _arrow(gives), len(given)),
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
    ("tule_json_change", _json_change, "VARCHAR, VARCHAR, VARCHAR, VARCHAR", "VARCHAR"),
    ("tule_json_keys", _json_keys, "VARCHAR, BIGINT", "VARCHAR[]"),
    ("tule_json_pretty", _json_pretty, "VARCHAR", "VARCHAR"),
    ("tule_json_strip_nulls_text", _json_strip_nulls, "VARCHAR", "VARCHAR"),
    ("tule_json_flatten_text", _json_flatten, "VARCHAR", "VARCHAR[]"),
)
