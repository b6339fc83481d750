"""Builders of JSON functions: paths, and values as JSON by their types."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from tule.bigquery.sql.analysis import casts
from tule.bigquery.sql.analysis.calls import engine_call as call
from tule.bigquery.sql.kinds import BOOL, JSON, NULL, STRING, Kind, engine_type

if TYPE_CHECKING:
    from tule.bigquery.sql.analysis.calls import Call


def _text(value: str) -> Any:
    return exp.Literal.string(value)


# -- paths

_STEP = re.compile(r"""\.(?P<name>[^.\[\]"'\s][^.\[\]"']*)|\."(?P<quoted>(?:[^"\\]|\\.)*)"|\['(?P<single>(?:[^'\\]|\\.)*)'\]
|\["(?P<double>(?:[^"\\]|\\.)*)"\]|\[(?P<index>\d+)\]""", re.VERBOSE)  # fmt: skip


def steps(path: str, it: Call) -> list[str | int]:
    """The steps of a JSONPath; raises for one that GoogleSQL does not take."""
    if path.startswith(("lax ", "lax\t")):
        raise it.wrong(f"JSONPath in lax mode is not supported in {it.function.name}")
    if not path.startswith("$"):
        raise it.wrong(f"Invalid JSONPath: a path must start with '$'; given: {path!r}")
    found: list[str | int] = []
    at = 1
    while at < len(path):
        step = _STEP.match(path, at)
        if step is None:
            raise it.wrong(f"Invalid token in JSONPath at: {path[at:]}")
        if step["index"] is not None:
            found.append(int(step["index"]))
        else:
            found.append(
                next(
                    each for each in (step["name"], step["quoted"], step["single"], step["double"]) if each is not None
                )
            )
        at = step.end()
    return found


def _path(it: Call, index: int = 1) -> Any:
    """The path argument as the engine writes it."""
    if len(it.arguments) <= index:
        return _text("$")
    if it.kind(index) == NULL:
        return exp.Null()
    return _text(engine_path(steps(str(it.constant(index, "JSONPath")), it)))


def engine_path(found: list[str | int]) -> str:
    """Steps as a path of the engine."""
    made = "$"
    for each in found:
        made += f"[{each}]" if isinstance(each, int) else '."' + each.replace('"', '\\"') + '"'
    return made


def _at_path(name: str) -> Callable[[Call], Any]:
    return lambda it: call(name, it.argument(0), _path(it))


# -- values as JSON


def as_json(it: Call, node: Any, kind: Kind | None, wide: bool = False) -> Any:
    """A value of a type as JSON of the engine; a NULL is JSON's null. ``wide``: numbers that a double cannot hold become
    strings."""
    if kind is None:
        raise it.refuse(f"{it.function.name} of a value whose type it does not know", do="cast the value")
    made = _as_json(it, node, kind, wide)
    return call("coalesce", made, _cast(_text("null"), JSON))


def _cast(node: Any, kind: Kind) -> Any:
    made = exp.Cast(this=node, to=engine_type(kind))
    made.meta["tule_done"] = True
    return made


def _as_json(it: Call, node: Any, kind: Kind, wide: bool) -> Any:
    if kind == NULL:
        return _cast(_text("null"), JSON)
    if kind == JSON:
        return node
    if kind in (STRING, BOOL):
        return call("to_json", node)
    if kind.name == "INT64":
        return call("tule_json_of_int64", node) if wide else call("to_json", node)
    if kind.name == "FLOAT64":
        return call("tule_json_of_double", node)
    if kind.name in ("NUMERIC", "BIGNUMERIC"):
        return call("tule_json_of_number_text", casts.to_string(node, kind), exp.Boolean(this=wide))
    if kind.name == "INTERVAL":
        return call("to_json", call("tule_iso_of_interval", node))
    if kind.name == "RANGE":
        ends = [call(f"tule_range_{end}", node.copy()) for end in ("start", "end")]
        first, last = (as_json(it, each, kind.element, wide) for each in ends)
        made = call("json_object", _text("start"), first, _text("end"), last)
        return exp.Case(default=made).when(exp.Is(this=node.copy(), expression=exp.Null()), exp.Null())
    if kind.name == "BYTES":
        return call("to_json", call("to_base64", node))
    if kind.name in ("TIMESTAMP", "DATETIME"):
        return call("to_json", call(f"tule_json_of_{kind.name.lower()}", node))
    if kind.name == "ARRAY":
        if kind.element is None:
            raise it.refuse(f"{it.function.name} of an array whose type it does not know", do="cast the value")
        variable = exp.to_identifier(f"tule_j{_depth(kind)}")
        body = as_json(it, exp.column(variable.copy()), kind.element, wide)
        items = call("list_transform", node, exp.Lambda(this=body, expressions=[variable]))
        return call("to_json", items)
    if kind.name == "STRUCT":
        members: list[Any] = []
        for name, inner in kind.fields:
            value = exp.Dot(this=exp.Paren(this=node.copy()), expression=exp.to_identifier(name, quoted=True))
            members += [_text("" if name.startswith("_field_") else name), as_json(it, value, inner, wide)]
        made = call("json_object", *members)
        return exp.Case(default=made).when(exp.Is(this=node.copy(), expression=exp.Null()), exp.Null())
    return call("to_json", casts.to_string(node, kind))


def _depth(kind: Kind | None) -> int:
    if kind is None:
        return 0
    return 1 + max([_depth(kind.element), *(_depth(each) for _, each in kind.fields)])


def _to_json(it: Call) -> Any:
    wide = bool(it.constant(1, "stringify_wide_numbers")) if len(it.arguments) > 1 else False
    return as_json(it, it.argument(0), it.kind(0), wide)


def _to_json_string(it: Call) -> Any:
    if len(it.arguments) > 1 and it.constant(1, "pretty_print"):
        return call("tule_json_pretty", _cast(as_json(it, it.argument(0), it.kind(0), True), STRING))
    return _cast(as_json(it, it.argument(0), it.kind(0), True), STRING)


def _json_array(it: Call) -> Any:
    return call(
        "json_array", *(as_json(it, node, kind) for node, (kind, _) in zip(it.arguments, it.kinds, strict=True))
    )


def _values(it: Call) -> Any:
    """The second array of JSON_OBJECT as JSON, which must be no NULL."""
    for index, noun in enumerate(("keys", "values")):
        if it.kind(index) == NULL:
            raise it.wrong(f"Invalid input to JSON_OBJECT: The {noun} array cannot be NULL")
    return _cast(as_json(it, it.argument(1), it.kind(1)), STRING)


def _json_object(it: Call) -> Any:
    if len(it.arguments) == 2 and it.kind(0) is not None and it.kind(0).name == "ARRAY":  # type: ignore[union-attr]
        return _cast(call("tule_json_object_of", it.argument(0), _values(it)), JSON)
    if len(it.arguments) % 2:
        raise it.wrong("JSON_OBJECT takes pairs of a key and a value")
    items = []
    for index in range(0, len(it.arguments), 2):
        if it.kind(index) not in (STRING, None):
            raise it.wrong(f"A key of JSON_OBJECT must be a STRING; given: {it.kind(index)}")
        items += [it.arguments[index], as_json(it, it.arguments[index + 1], it.kind(index + 1))]
    return call("json_object", *items)


# -- changes

_EACH = {"append": "append_each_element", "insert": "insert_each_element"}


def _steps_node(it: Call, index: int) -> Any:
    """A path as a JSON array of its steps; a NULL stays one."""
    import json

    if it.kind(index) == NULL:
        return None
    return _text(json.dumps(steps(str(it.constant(index, "JSONPath")), it)))


def _changed(name: str) -> Callable[[Call], Any]:
    def build(it: Call) -> Any:
        made = it.argument(0)
        if len(it.arguments) % 2 == 0:
            raise it.wrong(f"{it.function.name} takes pairs of a path and a value")
        for index in range(1, len(it.arguments), 2):
            path = _steps_node(it, index)
            verb = _verb(it, name, it.kind(index + 1))
            if path is None or verb is None:
                continue
            value = _cast(as_json(it, it.arguments[index + 1], it.kind(index + 1)), STRING)
            made = call("tule_json_change", made, _text(verb), path, value)
        return _cast(made, JSON)

    return build


def _verb(it: Call, name: str, kind: Kind | None) -> str | None:
    """How a value is put; None where the option that says so is NULL."""
    if name == "set":
        return {True: "set", False: "replace", None: None}[it.option("create_if_missing", True)]
    each = it.option(_EACH[name], True)
    if each is None:
        return None
    return f"{name}_each" if each and kind is not None and kind.name == "ARRAY" else name


def _json_remove(it: Call) -> Any:
    made = it.argument(0)
    for index in range(1, len(it.arguments)):
        path = _steps_node(it, index)
        if path is None:
            continue
        if path.this == "[]":
            raise it.wrong("The JSONPath cannot be '$'")
        made = call("tule_json_change", made, _text("remove"), path, _text("null"))
    return _cast(made, JSON)


def _json_strip_nulls(it: Call) -> Any:
    path: Any = _text("[]")
    if len(it.arguments) > 1 and 1 not in it.missing:
        path = _steps_node(it, 1)
    flags = []
    for index, name, default in ((2, "include_arrays", True), (3, "remove_empty", False)):
        given = index < len(it.arguments) and index not in it.missing
        flags.append(it.constant(index, name) if given else default)
    if path is None or None in flags:
        return it.argument(0)
    return _cast(call("tule_json_strip_nulls", it.argument(0), path, *(exp.Boolean(this=each) for each in flags)), JSON)


def _json_keys(it: Call) -> Any:
    given = len(it.arguments) > 1 and 1 not in it.missing and it.kind(1) != NULL
    depth = it.arguments[1] if given else exp.Literal.number(1_000_000)
    return call("tule_json_keys", it.argument(0), depth, it.argument(2, _text("strict")))


def _json_query(it: Call) -> Any:
    """JSON_QUERY of JSON, whose path may be lax: then all values that it finds are an array."""
    import json

    path = it.constant(1, "JSONPath") if len(it.arguments) > 1 else None
    words = (
        re.match(r"(?P<mode>lax(?:\s+recursive)?|recursive\s+lax)\s+(?=\$)", path) if isinstance(path, str) else None
    )
    if words is None or path is None:
        return _at_path("tule_json_query")(it)
    found = _text(json.dumps(steps(path[words.end() :], it)))
    recursive = exp.Boolean(this="recursive" in words["mode"])
    return _cast(call("tule_json_lax", it.argument(0), found, recursive), JSON)


def _parse_json(it: Call) -> Any:
    mode = str(it.constant(1, "wide_number_mode")) if len(it.arguments) > 1 else "exact"
    if mode not in ("exact", "round"):
        raise it.wrong("Invalid wide_number_mode specified for PARSE_JSON")
    return call("tule_parse_json_in", it.argument(0), exp.Boolean(this=mode == "exact"))


def _json_float64(it: Call) -> Any:
    mode = str(it.constant(1, "wide_number_mode")) if len(it.arguments) > 1 else "round"
    if mode not in ("exact", "round"):
        raise it.wrong("Invalid wide_number_mode specified for FLOAT64")
    return call("tule_json_float64" if mode == "round" else "tule_json_float64_exact", it.argument(0))


BUILDERS: dict[str, Callable[[Call], Any]] = {
    "json_extract": _at_path("tule_json_query"),
    "json_extract_text": _at_path("tule_json_query_text"),
    "json_extract_array": _at_path("tule_json_query_array"),
    "json_extract_array_text": _at_path("tule_json_query_array_text"),
    "json_value": _at_path("tule_json_value"),
    "json_value_text": _at_path("tule_json_value_text"),
    "json_value_array": _at_path("tule_json_value_array"),
    "json_value_array_text": _at_path("tule_json_value_array_text"),
    "to_json": _to_json,
    "to_json_string": _to_json_string,
    "json_array": _json_array,
    "json_object": _json_object,
    "json_query": _json_query,
    "json_strip_nulls": _json_strip_nulls,
    "json_set": _changed("set"),
    "json_array_append": _changed("append"),
    "json_array_insert": _changed("insert"),
    "json_remove": _json_remove,
    "json_keys": _json_keys,
    "parse_json": _parse_json,
    "json_float64": _json_float64,
}
