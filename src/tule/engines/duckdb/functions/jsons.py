"""JSON values changed, searched and taken apart. https://cloud.google.com/bigquery/docs/reference/standard-sql/json_functions

Paths come as JSON arrays of their steps: names and places.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tule.engines.duckdb.functions.udfs import Row


def _written(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


# -- changes


def _change(text: str, verb: str, steps: str, value: str) -> str:
    """JSON_SET, JSON_REMOVE, JSON_ARRAY_APPEND and JSON_ARRAY_INSERT at one path; ``_each`` takes a value's elements."""
    root, path, new = json.loads(text), json.loads(steps), json.loads(value)
    values = new if verb.endswith("_each") else [new]
    match verb.removesuffix("_each"):
        case "set":
            return _written(_put(root, path, new))
        case "replace":
            return _written(_put(root, path, new)) if _exists(root, path) else text
        case "remove":
            _remove(root, path)
        case "append":
            root = _append(root, path, values)
        case "insert":
            root = _insert(root, path, values)
    return _written(root)


def _exists(root: Any, path: Sequence[Any]) -> bool:
    if not path:
        return True
    parent = _at(root, path[:-1])
    step = path[-1]
    if isinstance(parent, dict):
        return step in parent
    return isinstance(parent, list) and isinstance(step, int) and step < len(parent)


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


def _remove(root: Any, path: Sequence[Any]) -> None:
    if _exists(root, path):
        del _at(root, path[:-1])[path[-1]]


def _append(root: Any, path: Sequence[Any], values: list[Any]) -> Any:
    found = _at(root, path)
    if isinstance(found, list):
        found.extend(values)
    elif found is None and _exists(root, path):
        return _put(root, path, values)
    return root


def _insert(root: Any, path: Sequence[Any], values: list[Any]) -> Any:
    if not path or not isinstance(path[-1], int):
        return root
    parent, place = _at(root, path[:-1]), path[-1]
    if parent is None and _exists(root, path[:-1]):
        return _put(root, path[:-1], [None] * place + values)
    if isinstance(parent, list):
        parent.extend([None] * (place - len(parent)))
        parent[place:place] = values
    return root


def _strip_nulls(text: str, steps: str, arrays: bool, empty: bool) -> str:
    root, path = json.loads(text), json.loads(steps)
    if not _exists(root, path):
        return _written(root)
    return _written(_put(root, path, _stripped(_at(root, path), arrays, empty)))


def _stripped(value: Any, arrays: bool, empty: bool) -> Any:
    """A value without nulls inside; None for one of which nothing is left."""
    if isinstance(value, dict):
        inner = {key: _stripped(each, arrays, empty) for key, each in value.items()}
        kept: Any = {key: each for key, each in inner.items() if each is not None}
        return None if empty and not kept else kept
    if isinstance(value, list):
        kept = [_stripped(each, arrays, empty) for each in value]
        if not arrays:
            return kept
        kept = [each for each in kept if each is not None]
        return None if empty and not kept else kept
    return value


# -- looks


def _keys(text: str, depth: int, mode: str) -> list[str]:
    """The paths of all keys; ``lax`` looks into arrays too, ``lax recursive`` also into arrays of arrays."""
    if depth <= 0:
        raise ValueError("tule: max_depth of JSON_KEYS must be positive")
    if mode not in ("strict", "lax", "lax recursive"):
        raise ValueError(f"tule: Invalid mode of JSON_KEYS: {mode}")
    found: set[str] = set()

    def walk(value: Any, path: str, left: int, listed: bool) -> None:
        if isinstance(value, list) and mode != "strict" and (not listed or mode == "lax recursive"):
            for each in value:
                walk(each, path, left, True)
        if isinstance(value, dict) and left > 0:
            for key, inner in value.items():
                name = key if key.replace("_", "a").isalnum() else '"' + key.replace('"', '\\"') + '"'
                whole = f"{path}.{name}" if path else name
                found.add(whole)
                walk(inner, whole, left - 1, False)

    walk(json.loads(text), "", depth, False)
    return sorted(found)


def _lax(text: str, steps: str, recursive: bool) -> str:
    """All values at a path, as an array: names look into arrays, the place 0 of what is no array is itself."""
    found = [json.loads(text)]
    for step in json.loads(steps):
        found = [value for each in found for value in _step(each, step, recursive)]
    return _written(found)


def _step(value: Any, step: Any, recursive: bool) -> Iterator[Any]:
    if isinstance(step, int):
        if isinstance(value, list):
            if step < len(value):
                yield value[step]
        elif step == 0:
            yield value
        return
    if isinstance(value, dict) and step in value:
        yield value[step]
    elif isinstance(value, list):
        for each in value:
            if isinstance(each, dict) or recursive:
                yield from _step(each, step, recursive)


def _contains(outer: str, inner: str) -> bool:
    a, b = json.loads(outer), json.loads(inner)
    if isinstance(a, list) and not isinstance(b, list | dict):
        return any(_equal(each, b) for each in a)
    return _holds(a, b)


def _holds(a: Any, b: Any) -> bool:
    if isinstance(a, dict) and isinstance(b, dict):
        return all(key in a and _holds(a[key], value) for key, value in b.items())
    if isinstance(a, list) and isinstance(b, list):
        return all(any(_holds(x, y) for x in a) for y in b)
    return not isinstance(a, dict | list) and not isinstance(b, dict | list) and _equal(a, b)


def _equal(a: Any, b: Any) -> bool:
    return isinstance(a, bool) == isinstance(b, bool) and a == b


def _texts(text: str, scope: str) -> list[str]:
    """What CONTAINS_SUBSTR looks at: values, keys or both."""
    found: list[str] = []

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            for key, each in value.items():
                if scope != "JSON_VALUES":
                    found.append(key)
                walk(each)
        elif isinstance(value, list):
            for each in value:
                walk(each)
        elif value is not None and scope != "JSON_KEYS":
            found.append(value if isinstance(value, str) else _written(value))

    walk(json.loads(text))
    return found


def _flatten(text: str) -> list[str]:
    def flat(value: Any) -> list[Any]:
        return [inner for each in value for inner in flat(each)] if isinstance(value, list) else [value]

    return [_written(each) for each in flat(json.loads(text))]


def _pretty(text: str) -> str:
    return json.dumps(json.loads(text), ensure_ascii=False, indent=2)


def _object_of(keys: Sequence[str | None], values: str) -> str:
    """An object of an array of keys and a JSON array of values, of equal keys the first."""
    found = json.loads(values)
    if any(each is None for each in keys):
        raise ValueError("tule: Invalid input to JSON_OBJECT: A key cannot be NULL")
    if len(keys) != len(found):
        raise ValueError("tule: Invalid input to JSON_OBJECT: The number of keys and values must match")
    made: dict[str, Any] = {}
    for key, value in zip(keys, found, strict=True):
        made.setdefault(str(key), value)
    return _written(made)


def _wide(text: str, exact: bool) -> str:
    """PARSE_JSON of large numbers: they become doubles, and one that a double cannot hold is an error where it must be
    exact."""

    def number(written: str) -> float:
        value = float(written)
        if exact and Decimal(written) != Decimal(repr(value)):
            raise ValueError(
                f"tule: Invalid input to PARSE_JSON: Input number: {written} cannot round-trip through string representation"
            )
        return value

    def whole(written: str) -> int | float:
        value = int(written)
        return value if -(2**63) <= value < 2**64 else number(written)

    try:
        return _written(json.loads(text, parse_float=number, parse_int=whole))
    except json.JSONDecodeError:
        raise ValueError("tule: Invalid input to PARSE_JSON: syntax error while parsing value") from None


FUNCTIONS: tuple[Row, ...] = (
    ("tule_json_change", _change, "VARCHAR, VARCHAR, VARCHAR, VARCHAR", "VARCHAR"),
    ("tule_json_strip_nulls", _strip_nulls, "VARCHAR, VARCHAR, BOOLEAN, BOOLEAN", "VARCHAR"),
    ("tule_json_keys", _keys, "VARCHAR, BIGINT, VARCHAR", "VARCHAR[]"),
    ("tule_json_lax", _lax, "VARCHAR, VARCHAR, BOOLEAN", "VARCHAR"),
    ("tule_json_contains", _contains, "VARCHAR, VARCHAR", "BOOLEAN"),
    ("tule_json_texts", _texts, "VARCHAR, VARCHAR", "VARCHAR[]"),
    ("tule_json_flatten_text", _flatten, "VARCHAR", "VARCHAR[]"),
    ("tule_json_pretty", _pretty, "VARCHAR", "VARCHAR"),
    ("tule_json_object_of", _object_of, "VARCHAR[], VARCHAR", "VARCHAR"),
    ("tule_parse_json_wide", _wide, "VARCHAR, BOOLEAN", "VARCHAR"),
)
