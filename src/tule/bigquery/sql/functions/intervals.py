"""INTERVAL: its literals, and date arithmetic with ``INTERVAL n PART``."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from tule.bigquery.sql.analysis.calls import engine_call as call
from tule.bigquery.sql.analysis.scopes import Scope, wrong
from tule.bigquery.sql.kinds import INT64, INTERVAL, NULL, Kind

if TYPE_CHECKING:
    from tule.bigquery.sql.analysis.calls import Call
    from tule.bigquery.sql.analysis.walk import Walk

# Part -> (unit, factor): the units that an interval consists of.
_UNITS: dict[str, tuple[str, int]] = {
    "MICROSECOND": ("microseconds", 1),
    "MILLISECOND": ("microseconds", 1_000),
    "SECOND": ("microseconds", 1_000_000),
    "MINUTE": ("microseconds", 60_000_000),
    "HOUR": ("microseconds", 3_600_000_000),
    "DAY": ("days", 1),
    "WEEK": ("days", 7),
    "MONTH": ("months", 1),
    "QUARTER": ("months", 3),
    "YEAR": ("months", 12),
}


def part_of(node: Any) -> str:
    unit = node.args.get("unit")
    name = str(unit.name if unit is not None else "").upper()
    return name[:-1] if name.endswith("S") and name[:-1] in _UNITS else name


def amount(part: str, value: Any) -> Any:
    """``n`` of a part as an interval of the engine."""
    unit, factor = _UNITS[part]
    if factor != 1:
        value = exp.Mul(this=exp.Paren(this=value), expression=exp.Literal.number(factor))
    return call(f"tule_{unit}", value)


def _count(node: Any) -> Any:
    """The number of ``INTERVAL n PART`` as a node of INT64."""
    value = node.this
    if isinstance(value, exp.Literal):
        text = str(value.this).strip()
        if not re.fullmatch(r"[-+]?\d+", text):
            raise wrong(f"Invalid INTERVAL value '{text}'", node)
        made: Any = exp.Literal.number(text.lstrip("+-"))
        made = exp.Cast(this=exp.Neg(this=made) if text.startswith("-") else made,
                        to=exp.DataType(this=exp.DataType.Type.BIGINT))  # fmt: skip
        made.meta["tule_done"] = True
        return made
    return value


def span(it: Call, node: Any, parts: Sequence[str]) -> Any:
    """An ``INTERVAL n PART`` argument as an interval of the engine; raises for a part that the function does not take."""
    if not isinstance(node, exp.Interval):
        raise it.refuse(f"{it.function.name} with an INTERVAL that is computed", do="write INTERVAL n PART")
    part = part_of(node)
    if part not in parts:
        raise it.wrong(f"{it.function.name} does not support the {part or 'given'} date part")
    return amount(part, _count(node))


def interval(walk: Walk, node: Any, scope: Scope, aliases: bool) -> Kind | None:
    """``INTERVAL n PART`` and ``INTERVAL '1-2 3 4:5:6' YEAR TO SECOND`` as values."""
    from tule.bigquery.sql.analysis.expressions import replace, visit

    unit = node.args.get("unit")
    if isinstance(unit, exp.IntervalSpan):
        months, days, micros = _range(node, str(node.this.name), unit.this.name.upper(), unit.expression.name.upper())
        replace(node, constant(months, days, micros))
        return INTERVAL
    part = part_of(node)
    if part not in _UNITS:
        raise wrong(f"Invalid interval part {part}", node)
    if not isinstance(node.this, exp.Literal):
        kind = visit(walk, node.this, scope, aliases)
        if kind not in (None, INT64, NULL):
            raise wrong(f"INTERVAL must be an INT64; given: {kind}", node)
    unit_name, factor = _UNITS[part]
    if part == "SECOND" and isinstance(node.this, exp.Literal) and "." in node.this.name:
        replace(node, constant(0, 0, _micros(node)))
        return INTERVAL
    value = _count(node)
    if factor != 1:
        value = exp.Mul(this=exp.Paren(this=value), expression=exp.Literal.number(factor))
    parts = [value if each == unit_name else exp.Literal.number(0) for each in ("months", "days", "microseconds")]
    replace(node, call("tule_interval", *parts))
    return INTERVAL


def _micros(node: Any) -> int:
    """The microseconds of seconds with a fraction, as a text says them."""
    text = str(node.this.name).strip()
    if not node.this.is_string or not re.fullmatch(r"[-+]?\d+\.\d{1,6}", text):
        raise wrong(f"Invalid INTERVAL value '{text}'", node)
    return int(Decimal(text) * 1_000_000)


def constant(months: int, days: int, micros: int) -> Any:
    return call("tule_interval", *(exp.Literal.number(each) if each >= 0 else exp.Neg(this=exp.Literal.number(-each))
                                   for each in (months, days, micros)))  # fmt: skip


_ORDER = ("YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND")


def _range(node: Any, text: str, first: str, last: str) -> tuple[int, int, int]:
    """(months, days, microseconds) of ``[-]Y-M [-]D [-]H:M:S[.F]``, as far as the two parts say."""
    if first not in _ORDER or last not in _ORDER or _ORDER.index(first) >= _ORDER.index(last):
        raise wrong(f"Invalid interval range {first} TO {last}", node)
    parts = _ORDER[_ORDER.index(first) : _ORDER.index(last) + 1]
    date = "-".join(r"(\d+)" for each in parts if each in ("YEAR", "MONTH"))
    day = r"([-+]?)(\d+)" if "DAY" in parts else ""
    clock = ":".join(
        r"(\d+)" if each != "SECOND" else r"(\d+(?:\.\d{1,6})?)" for each in parts[-3:] if each in _ORDER[3:]
    )
    pieces = [r"([-+]?)" + date if date else "", day, r"([-+]?)" + clock if clock else ""]
    found = re.fullmatch(r"\s+".join(each for each in pieces if each), text.strip())
    if found is None:
        raise wrong(f"Invalid INTERVAL value '{text}'", node)
    values = list(found.groups())
    amounts = {"months": 0, "days": 0, "microseconds": 0}
    sign = 1
    names = list(parts)
    for value in values:
        if value in ("", "+", "-"):
            sign = -1 if value == "-" else 1
            continue
        unit, factor = _UNITS[names.pop(0)]
        amounts[unit] += sign * round(float(value) * factor) if "." in value else sign * int(value) * factor
    return amounts["months"], amounts["days"], amounts["microseconds"]


# -- arithmetic

CLOCK = ("MICROSECOND", "MILLISECOND", "SECOND", "MINUTE", "HOUR")
CALENDAR = ("DAY", "WEEK", "MONTH", "QUARTER", "YEAR")


def _shift(name: str, parts: Sequence[str]) -> Callable[[Call], Any]:
    def build(it: Call) -> Any:
        return call(name, it.argument(0), span(it, it.argument(1), parts))

    return build


def _make_interval(it: Call) -> Any:
    zero = exp.Literal.number(0)
    values = [zero.copy() if index in it.missing else it.argument(index, zero.copy()) for index in range(6)]
    return call("tule_make_interval", *values)


def _bucket(it: Call) -> Any:
    kind = it.match.result.name if it.match is not None and it.match.result is not None else ""
    node = it.argument(1)
    if not isinstance(node, exp.Interval):
        raise it.refuse(f"{it.function.name} with an INTERVAL that is computed", do="write INTERVAL n PART")
    part = part_of(node)
    if kind == "TIMESTAMP" and part in ("MONTH", "QUARTER", "YEAR"):
        raise it.wrong(f"{it.function.name} does not support the {part} date part")
    width = span(it, node, CALENDAR if kind == "DATE" else (*CLOCK, *CALENDAR))
    origin = it.argument(2)
    target = {"DATE": "DATE", "DATETIME": "TIMESTAMP", "TIMESTAMP": "TIMESTAMPTZ"}[kind]
    if origin is None:
        origin = exp.Cast(this=exp.Literal.string("1950-01-01"), to=exp.DataType.build(target, dialect="duckdb"))
        origin.meta["tule_done"] = True
    made: Any = call("time_bucket", width, it.argument(0), origin)
    if kind == "DATE":
        made = exp.Cast(this=made, to=exp.DataType(this=exp.DataType.Type.DATE))
        made.meta["tule_done"] = True
    return made


def _total(it: Call) -> list[Any]:
    """The sums of the months, days and microseconds of intervals."""
    if it.distinct:
        raise it.refuse(f"{it.function.name}(DISTINCT ...) of intervals")
    return [
        it.aggregate("sum", call(f"tule_{unit}_of", it.argument(0).copy()), order=False)
        for unit in ("months", "days", "micros")
    ]


def _average(it: Call) -> Any:
    count = it.aggregate("count", it.argument(0).copy(), order=False)
    return call("tule_interval_parts", *_total(it), call("nullif", count, exp.Literal.number(0)))


BUILDERS: dict[str, Callable[[Call], Any]] = {
    "avg_interval": _average,
    "sum_interval": lambda it: call("tule_interval", *_total(it)),
    "date_add": _shift("tule_date_add", CALENDAR),
    "date_sub": _shift("tule_date_sub", CALENDAR),
    "datetime_add": _shift("tule_datetime_add", (*CLOCK, *CALENDAR)),
    "datetime_sub": _shift("tule_datetime_sub", (*CLOCK, *CALENDAR)),
    "timestamp_add": _shift("tule_timestamp_add", (*CLOCK, "DAY")),
    "timestamp_sub": _shift("tule_timestamp_sub", (*CLOCK, "DAY")),
    "time_add": _shift("tule_time_add", CLOCK),
    "time_sub": _shift("tule_time_sub", CLOCK),
    "make_interval": _make_interval,
    "bucket": _bucket,
}
