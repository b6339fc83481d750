"""Functions on BIGNUMERIC, and those of NUMERIC that are computed with its digits."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from tule.bigquery.sql.analysis import bignumerics
from tule.bigquery.sql.analysis.calls import engine_call as call
from tule.bigquery.sql.kinds import BIGNUMERIC, NUMERIC

if TYPE_CHECKING:
    from tule.bigquery.sql.analysis.calls import Call

_AWAY, _EVEN, _TRUNCATED = "ROUND_HALF_AWAY_FROM_ZERO", "ROUND_HALF_EVEN", "TRUNC"


def _rounded(it: Call, mode: str) -> Any:
    digits = it.argument(1, exp.Literal.number(0))
    return call("tule_bignumeric_round", it.argument(0), digits, exp.Literal.string(mode))


def _round(it: Call) -> Any:
    mode = _AWAY
    if len(it.arguments) > 2:
        mode = str(it.constant(2, "rounding mode"))
        if mode not in (_AWAY, _EVEN):
            raise it.wrong(f"Invalid rounding mode: {mode}")
    return _rounded(it, mode)


def _safe_divide(it: Call) -> Any:
    divisor = it.argument(1)
    return call("tule_bignumeric_divided", it.argument(0), call("nullif", divisor, bignumerics.zero()))


def _by_bignumeric(it: Call) -> Any:
    """A function of NUMERICs, computed with more digits and rounded at the end."""
    wide = [bignumerics.converted(each, NUMERIC, BIGNUMERIC) for each in it.arguments]
    name = it.function.name.lower()
    if name == "log" and len(wide) == 1:
        name = "ln"
    return bignumerics.converted(call(f"tule_bignumeric_{name}", *wide), BIGNUMERIC, NUMERIC)


def _sum(it: Call) -> Any:
    total = it.aggregate("sum", it.argument(0), order=False)
    return call("tule_bignumeric_checked", total, exp.Literal.string("SUM"))


def _average(it: Call) -> Any:
    total = it.aggregate("sum", it.argument(0), order=False)
    count = it.aggregate("count", it.argument(0).copy(), order=False)
    return call("tule_bignumeric_mean", total, call("nullif", count, exp.Literal.number(0)))


BUILDERS: dict[str, Callable[[Call], Any]] = {
    "avg_bignumeric": _average,
    "by_bignumeric": _by_bignumeric,
    "round_bignumeric": _round,
    "safe_divide": _safe_divide,
    "sum_bignumeric": _sum,
    "trunc_bignumeric": lambda it: _rounded(it, _TRUNCATED),
}
