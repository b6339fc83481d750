"""Builders of HLL_COUNT and KLL_QUANTILES: groups become lists, of which the engine makes sketches.

A list for HLL_COUNT holds pairs of a bucket and a run of zeros, each once: it has no more than a sketch has.
https://cloud.google.com/bigquery/docs/reference/standard-sql/hll_functions
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from tule.bigquery.sql.analysis import casts
from tule.bigquery.sql.analysis.calls import engine_call as call
from tule.bigquery.sql.kinds import BYTES, INT64, NULL, STRING, engine_type

if TYPE_CHECKING:
    from tule.bigquery.sql.analysis.calls import Call

_LEAST, _MOST, _DEFAULT = 10, 24, 15


def _number(value: int) -> Any:
    made = exp.Cast(this=exp.Literal.number(value), to=engine_type(INT64))
    made.meta["tule_done"] = True
    return made


def _there(node: Any) -> Any:
    return exp.Not(this=exp.Is(this=node.copy(), expression=exp.Null()))


def _hll_init(it: Call) -> Any:
    precision = it.constant(1, "precision") if len(it.arguments) > 1 else _DEFAULT
    if not isinstance(precision, int) or not _LEAST <= precision <= _MOST:
        raise it.wrong(f"The precision of HLL_COUNT.INIT must be between {_LEAST} and {_MOST}")
    assert it.match is not None
    kind = it.match.arguments[0]
    value = it.argument(0)
    if kind == BYTES:
        value = call("hex", value)
    elif kind not in (None, STRING):
        value = casts.to_string(value, kind)
    it.distinct = True
    codes = it.aggregate("list", call("tule_hll_code", value, _number(precision)), condition=_there(it.argument(0)))
    return call("tule_hll_of", codes, _number(precision), exp.Literal.string(kind.name if kind is not None else ""))


def _merged(name: str) -> Callable[[Call], Any]:
    """Sketches of a group, merged; what follows them must be constant."""

    def build(it: Call) -> Any:
        rest = it.arguments[1:]
        found = it.aggregate("list", it.argument(0), condition=_there(it.argument(0)))
        if name == "tule_hll_count":
            found = call("coalesce", found, _no_sketches())
        return call(name, found, *rest)

    return build


def _no_sketches() -> Any:
    made = exp.Cast(this=exp.Array(expressions=[]), to=exp.DataType.build("BLOB[]", dialect="duckdb"))
    made.meta["tule_done"] = True
    return made


def _extracted(name: str) -> Callable[[Call], Any]:
    def build(it: Call) -> Any:
        one = exp.Array(expressions=[it.argument(0).copy()])
        one.meta["tule_done"] = True
        made = call(name, one, *it.arguments[1:])
        return exp.Case().when(_there(it.argument(0)), made)

    return build


def _kll_init(name: str) -> Callable[[Call], Any]:
    def build(it: Call) -> Any:
        value, weight = it.argument(0), it.argument(2)
        precision = it.argument(1) if len(it.arguments) > 1 and it.kind(1) != NULL else _number(1000)
        condition = _there(value)
        if weight is None:
            weights: Any = exp.Cast(this=exp.Null(), to=exp.DataType.build("BIGINT[]", dialect="duckdb"))
            weights.meta["tule_done"] = True
        else:
            condition = exp.and_(condition, _there(weight), copy=False)
            weights = it.aggregate("list", weight.copy(), condition=condition.copy())
        if it.window is None:
            precision = call("any_value", precision)
        return call(name, it.aggregate("list", value, condition=condition), precision, weights)

    return build


BUILDERS: dict[str, Callable[[Call], Any]] = {
    "hll_init": _hll_init,
    "hll_merge": _merged("tule_hll_count"),
    "hll_merge_partial": _merged("tule_hll_partial"),
    "hll_extract": _extracted("tule_hll_count"),
    "kll_init_int64": _kll_init("tule_kll_init_int64"),
    "kll_init_float64": _kll_init("tule_kll_init_float64"),
    "kll_merge_partial": _merged("tule_kll_partial"),
    **{
        f"kll_{verb}_{kind}": make(f"tule_kll_{kind}")
        for verb, make in (("merge", _merged), ("extract", _extracted))
        for kind in ("int64", "float64", "point_int64", "point_float64")
    },
}
