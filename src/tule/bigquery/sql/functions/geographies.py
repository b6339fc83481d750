"""Builders of geography functions: the engine keeps a GEOGRAPHY as a GEOMETRY, and computes with its WKB."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from tule.bigquery.sql.analysis.calls import engine_call as call
from tule.bigquery.sql.kinds import BYTES, FLOAT64, INT64, STRING, Kind, array, engine_type

if TYPE_CHECKING:
    from tule.bigquery.sql.analysis.calls import Call

GEOGRAPHY = Kind("GEOGRAPHY")
_SHAPES = array(GEOGRAPHY)

# What is said of an argument that is not given.
_DEFAULTS: dict[str, Any] = {
    "level": 30, "min_level": 0, "max_level": 30, "max_cells": 8, "buffer": 0.0, "num_seg_quarter_circle": 8.0,
    "oriented": False, "planar": False, "directed": False, "ST_DUMP": -1, "ST_GEOHASH": 20, "ST_MAKEPOLYGON": None,
}  # fmt: skip
_LEFT_OUT = ("use_spheroid", "make_valid", "endcap", "side")
"""Arguments of which one value alone is done."""
_NAMES = {
    "ST_NPOINTS": "tule_st_numpoints",
    "ST_GEOGFROMGEOJSON": "tule_st_of_json",
    "ST_HAUSDORFFDWITHIN": "tule_st_hausdorffdistance",
}


def wkb(node: Any, kind: Kind | None) -> Any:
    """A value as the functions of the engine take it."""
    if kind == GEOGRAPHY:
        return call("st_aswkb", node)
    if kind == _SHAPES:
        variable = exp.to_identifier("tule_g")
        body = call("st_aswkb", exp.column(variable.copy()))
        return call("list_transform", node, exp.Lambda(this=body, expressions=[variable]))
    return node


def shape(node: Any, kind: Kind | None) -> Any:
    """The answer of a function of the engine as a value."""
    if kind == GEOGRAPHY:
        return call("st_geomfromwkb", node)
    if kind == _SHAPES:
        variable = exp.to_identifier("tule_g")
        body = call("st_geomfromwkb", exp.column(variable.copy()))
        return call("list_transform", node, exp.Lambda(this=body, expressions=[variable]))
    return node


def bound(parameter: Any, kind: Kind) -> Any:
    """A value that is bound as text."""
    if kind == GEOGRAPHY:
        made = shape(call("tule_st_of_any", _cast(parameter, STRING)), kind)
    else:
        variable = exp.to_identifier("tule_g")
        body = shape(call("tule_st_of_any", exp.column(variable.copy())), GEOGRAPHY)
        made = call("list_transform", _cast(parameter, array(STRING)), exp.Lambda(this=body, expressions=[variable]))
    made.meta["tule_literal"] = True
    return made


def _cast(node: Any, kind: Kind) -> Any:
    made = exp.Cast(this=node, to=engine_type(kind))
    made.meta["tule_done"] = True
    return made


def _default(name: str) -> Any:
    value = _DEFAULTS[name]
    if value is None:
        made = exp.Cast(this=exp.Array(expressions=[]), to=exp.DataType.build("BLOB[]", dialect="duckdb"))
        made.meta["tule_done"] = True
        return made
    if isinstance(value, bool):
        return exp.Boolean(this=value)
    number = exp.Literal.number(abs(value))
    return _cast(exp.Neg(this=number) if value < 0 else number, FLOAT64 if isinstance(value, float) else INT64)


def _check(it: Call, name: str, index: int) -> None:
    """Of some arguments only one value is done."""
    value = it.constant(index, name)
    wanted = {"use_spheroid": False, "make_valid": False, "endcap": "ROUND", "side": "BOTH"}[name]
    if value not in (None, wanted):
        raise it.refuse(f"{it.function.name} with {name} => {value}", do=f"leave {name} out")


def _arguments(it: Call) -> list[Any]:
    assert it.match is not None
    made = []
    for index, argument in enumerate(it.signature.arguments):
        given = index < len(it.arguments) and index not in it.missing
        if argument.name in _LEFT_OUT:
            if given:
                _check(it, argument.name, index)
        elif given:
            made.append(wkb(it.arguments[index], it.match.arguments[index]))
        else:
            made.append(_default(argument.name or it.function.name))
    return made


def _geography(it: Call) -> Any:
    assert it.match is not None
    arguments = _arguments(it)
    name = _name(it)
    if it.function.name == "ST_HAUSDORFFDWITHIN":
        most = arguments.pop(2)
        made: Any = exp.LTE(this=call(name, *arguments), expression=most)
        made.meta["tule_done"] = True
        return exp.Paren(this=made)
    return shape(call(name, *arguments), it.match.result)


def _name(it: Call) -> str:
    name, first = it.function.name, it.match.arguments[0] if it.match is not None and it.match.arguments else None
    if name == "ST_GEOGFROM":
        return "tule_st_of_any_bytes" if first == BYTES else "tule_st_of_any"
    if name in ("ST_GEOGFROMTEXT", "ST_GEOGFROMWKB"):
        if first == BYTES:
            return "tule_st_of_bytes"
        return "tule_st_of_text" if name == "ST_GEOGFROMTEXT" else "tule_st_of_hex"
    if first == _SHAPES and name in ("ST_UNION", "ST_MAKELINE"):
        return f"tule_{name.lower()}_of"
    return _NAMES.get(name, "tule_" + name.lower())


def _aggregate(it: Call) -> Any:
    """The shapes of a group as a list."""
    assert it.match is not None
    name = it.function.name
    values = wkb(it.argument(0), GEOGRAPHY)
    there = exp.Not(this=exp.Is(this=it.argument(0).copy(), expression=exp.Null()))
    found = it.aggregate("list", values, condition=there)
    if name == "ST_EXTENT":
        return call("tule_st_extent_of", found)
    if name == "ST_UNION_AGG":
        return shape(call("tule_st_union_of", found), GEOGRAPHY)
    return shape(call("tule_st_centroid", call("tule_st_collected", found)), GEOGRAPHY)


def _cluster(it: Call) -> Any:
    """The cluster of a row's shape among those of its window."""
    if it.window is not None and (it.window.args.get("order") or it.window.args.get("spec")):
        raise it.wrong("Window ORDER BY is not allowed for analytic function st_clusterdbscan")
    value = wkb(it.argument(0), GEOGRAPHY)
    found = it.aggregate("list", value.copy())
    return call("tule_st_cluster_of", found, value, it.argument(1), it.argument(2))


BUILDERS: dict[str, Callable[[Call], Any]] = {
    "geography": _geography,
    "geography_agg": _aggregate,
    "st_clusterdbscan": _cluster,
}
