"""Builders of date and time functions: parts, formats and zones."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from tule.bigquery.sql.analysis import casts, moments
from tule.bigquery.sql.analysis.calls import engine_call as call
from tule.bigquery.sql.analysis.scopes import Scope, wrong
from tule.bigquery.sql.functions.texts import joined
from tule.bigquery.sql.kinds import DATE, DATETIME, INT64, INTERVAL, STRING, TIME, TIMESTAMP, Kind, engine_type

if TYPE_CHECKING:
    from tule.bigquery.sql.analysis.calls import Call
    from tule.bigquery.sql.analysis.walk import Walk

_DAYS = ("SUNDAY", "MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY")


def _text(value: str) -> Any:
    return exp.Literal.string(value)


def _number(value: int) -> Any:
    return exp.Literal.number(value)


def _cast(node: Any, kind: Kind) -> Any:
    made = exp.Cast(this=node, to=engine_type(kind))
    made.meta["tule_done"] = True
    return made


def week_start(part: str) -> int | None:
    """The first day of the weeks that a part means, 0 for Sunday; None for a part that is no week."""
    if part == "WEEK":
        return 0
    if part == "ISOWEEK":
        return 1
    if part.startswith("WEEK(") and part[5:-1] in _DAYS:
        return _DAYS.index(part[5:-1])
    return None


def in_zone(node: Any, zone: Any) -> Any:
    """The wall clock (DATETIME) of a TIMESTAMP in a zone, UTC where none is given."""
    if zone is None:
        return _cast(node, DATETIME)
    if isinstance(zone, exp.Literal):
        ahead = moments.offset_micros(zone.this)
        if ahead is None:
            return _at_zone(node, zone)
        return _moved(_cast(node, DATETIME), ahead)
    return call("tule_in_zone", node, zone)


def moment(node: Any, zone: Any) -> Any:
    """The TIMESTAMP at which the wall clocks of a zone show a DATETIME."""
    if zone is None:
        return _cast(node, TIMESTAMP)
    if isinstance(zone, exp.Literal):
        ahead = moments.offset_micros(zone.this)
        if ahead is None:
            return _at_zone(node, zone)
        return _cast(_moved(node, -ahead), TIMESTAMP)
    return call("tule_moment", node, zone)


def _at_zone(node: Any, zone: Any) -> Any:
    made = exp.AtTimeZone(this=exp.Paren(this=node), zone=zone.copy())
    made.meta["tule_done"] = True
    return exp.Paren(this=made)


def _moved(node: Any, micros: int) -> Any:
    amount = _number(abs(micros))
    step = call("to_microseconds", exp.Neg(this=amount) if micros < 0 else amount)
    made = exp.Add(this=node, expression=step)
    made.meta["tule_done"] = True
    return exp.Paren(this=made)


def ahead_of(local: Any, value: Any) -> Any:
    """Seconds that a wall clock is ahead of UTC."""
    difference = exp.Paren(this=exp.Sub(this=call("epoch_us", local), expression=call("epoch_us", value)))
    made = exp.IntDiv(this=difference, expression=_number(1_000_000))
    made.meta["tule_done"] = True
    return exp.Paren(this=made)


# -- parts

_DATE_PARTS = ("DAY", "WEEK", "ISOWEEK", "MONTH", "QUARTER", "YEAR", "ISOYEAR")
_CLOCK_PARTS = ("MICROSECOND", "MILLISECOND", "SECOND", "MINUTE", "HOUR")
_MICROS = {"MICROSECOND": 1, "MILLISECOND": 1000, "SECOND": 10**6, "MINUTE": 60 * 10**6, "HOUR": 3600 * 10**6,
           "DAY": 86400 * 10**6}  # fmt: skip


def _part(it: Call, index: int, allowed: tuple[str, ...]) -> str:
    node = it.argument(index)
    part = str(node.this).upper() if isinstance(node, exp.Literal) and node.is_string else ""
    if part in allowed or ("WEEK" in allowed and week_start(part) is not None):
        return part
    raise it.wrong(f"A valid date part name is required but found {part or node.sql('bigquery')}" if part not in _ALL
                   else f"{it.function.name} does not support the {part} date part")  # fmt: skip


_ALL = (*_DATE_PARTS, *_CLOCK_PARTS, "DAYOFWEEK", "DAYOFYEAR", "DATE", "TIME", "DATETIME", "NANOSECOND")


def _truncated_date(node: Any, part: str) -> Any:
    start = week_start(part)
    if start is not None:
        return call("tule_week_start", node, _number(start))
    return call(f"tule_date_trunc_{part.lower()}", node)


def _date_trunc(it: Call) -> Any:
    return _truncated_date(it.argument(0), _part(it, 1, _DATE_PARTS))


def _truncated(node: Any, part: str) -> Any:
    """A DATETIME down to a part."""
    if part in _CLOCK_PARTS or part == "DAY":
        return call("date_trunc", _text(part.lower()), node)
    return _cast(_truncated_date(_cast(node, DATE), part), DATETIME)


def _datetime_trunc(it: Call) -> Any:
    return _truncated(it.argument(0), _part(it, 1, (*_DATE_PARTS, *_CLOCK_PARTS)))


def _timestamp_trunc(it: Call) -> Any:
    part = _part(it, 1, (*_DATE_PARTS, *_CLOCK_PARTS))
    zone = it.argument(2)
    made = _truncated(in_zone(it.argument(0), zone), part)
    return moment(made, zone)


def _time_trunc(it: Call) -> Any:
    part = _part(it, 1, _CLOCK_PARTS)
    return call("tule_time_trunc", it.argument(0), _number(_MICROS[part]))


def _date_diff(it: Call) -> Any:
    return _date_boundaries(it.argument(0), it.argument(1), _part(it, 2, _DATE_PARTS))


def _date_boundaries(a: Any, b: Any, part: str) -> Any:
    start = week_start(part)
    if start is not None:
        return call("tule_week_diff", a, b, _number(start))
    if part == "ISOYEAR":
        return exp.Paren(this=exp.Sub(this=call("isoyear", a), expression=call("isoyear", b)))
    return call("date_diff", _text(part.lower()), b, a)


def _datetime_diff(it: Call) -> Any:
    part = _part(it, 2, (*_DATE_PARTS, *_CLOCK_PARTS))
    if part in _CLOCK_PARTS:
        return call(
            "tule_boundaries",
            call("epoch_us", it.argument(0)),
            call("epoch_us", it.argument(1)),
            _number(_MICROS[part]),
        )
    return _date_boundaries(_cast(it.argument(0), DATE), _cast(it.argument(1), DATE), part)


def _time_diff(it: Call) -> Any:
    part = _part(it, 2, _CLOCK_PARTS)
    a, b = call("tule_time_micros", it.argument(0)), call("tule_time_micros", it.argument(1))
    return call("tule_boundaries", a, b, _number(_MICROS[part]))


def _timestamp_diff(it: Call) -> Any:
    part = _part(it, 2, (*_CLOCK_PARTS, "DAY"))
    return call(
        "tule_whole", call("epoch_us", it.argument(0)), call("epoch_us", it.argument(1)), _number(_MICROS[part])
    )


def _last_day(it: Call) -> Any:
    part = _part(it, 1, _DATE_PARTS) if len(it.arguments) > 1 else "MONTH"
    node = _cast(it.argument(0), DATE)
    if part == "DAY":
        raise it.wrong("LAST_DAY does not support the DAY date part")
    start = week_start(part)
    if start is not None:
        return call("tule_date_plus", call("tule_week_start", node, _number(start)), _number(6))
    return call(f"tule_last_day_{part.lower()}", node)


# -- EXTRACT


def extract(walk: Walk, node: Any, scope: Scope, aliases: bool) -> Kind | None:
    """EXTRACT(part FROM value [AT TIME ZONE zone])"""
    from tule.bigquery.sql.analysis.calls import part_name
    from tule.bigquery.sql.analysis.expressions import replace, visit

    part = part_name(node.this)
    value, zone = node.expression, None
    if isinstance(value, exp.AtTimeZone):
        visit(walk, value.args["zone"], scope, aliases)
        zone = value.args["zone"]
        kind = visit(walk, value.this, scope, aliases)
        if kind not in (None, TIMESTAMP):
            raise wrong(f"EXTRACT from {kind} does not support AT TIME ZONE", node)
        value = value.this
    else:
        kind = visit(walk, value, scope, aliases)
        value = node.expression
    if kind is not None and kind.name not in ("DATE", "DATETIME", "TIMESTAMP", "TIME", "INTERVAL", "NULL"):
        raise wrong(f"No matching signature for function EXTRACT for argument types: DATE_TIME_PART FROM {kind}.", node)
    if kind == TIMESTAMP or zone is not None:
        value = in_zone(value, zone)
    made, result = _extracted(part, value, kind, node)
    replace(node, made)
    return result


def _extracted(part: str, value: Any, kind: Kind | None, node: Any) -> tuple[Any, Kind]:
    clock = part in _CLOCK_PARTS
    if kind == INTERVAL:
        if not clock and part not in ("DAY", "MONTH", "YEAR"):
            raise wrong(f"EXTRACT from INTERVAL does not support the {part} date part", node)
        return call(f"tule_interval_{part.lower()}", value), INT64
    if (kind == DATE and (clock or part in ("TIME", "DATE", "DATETIME"))) or (
        kind == TIME and not clock
    ):  # fmt: skip
        raise wrong(f"EXTRACT from {kind} does not support the {part} date part", node)
    simple = {"YEAR": "year", "ISOYEAR": "isoyear", "QUARTER": "quarter", "MONTH": "month", "DAY": "day",
              "DAYOFYEAR": "dayofyear", "HOUR": "hour", "MINUTE": "minute", "ISOWEEK": "weekofyear", "SECOND": "second",
              }  # fmt: skip
    if part in simple:
        return call(simple[part], value), INT64
    if part == "DAYOFWEEK":
        return exp.Paren(this=exp.Add(this=call("dayofweek", value), expression=_number(1))), INT64
    start = week_start(part)
    if start is not None:
        return call("tule_week_number", _cast(value, DATE), _number(start)), INT64
    if part in ("MILLISECOND", "MICROSECOND"):
        return call(f"tule_extract_{part.lower()}", value), INT64
    if part in ("DATE", "TIME", "DATETIME"):
        target = {"DATE": DATE, "TIME": TIME, "DATETIME": DATETIME}[part]
        return _cast(value, target), target
    raise wrong(f"A valid date part name is required but found {part}", node)


# -- now


def _current(it: Call) -> Any:
    """The time of the statement, the same wherever it is asked for."""
    now = it.walk.context.now
    instant: Any = call("now") if now is None else _cast(_text(now.isoformat(sep=" ")), TIMESTAMP)
    if it.function.name == "CURRENT_TIMESTAMP":
        return instant
    target = {"CURRENT_DATE": DATE, "CURRENT_DATETIME": DATETIME, "CURRENT_TIME": TIME}[it.function.name]
    return _cast(in_zone(instant, it.argument(0)), target)


# -- conversions


def _date_of_timestamp(it: Call) -> Any:
    return _cast(in_zone(it.argument(0), it.argument(1)), DATE)


def _datetime_of_timestamp(it: Call) -> Any:
    return in_zone(it.argument(0), it.argument(1))


def _time_of_timestamp(it: Call) -> Any:
    return _cast(in_zone(it.argument(0), it.argument(1)), TIME)


def _timestamp_of_text(it: Call) -> Any:
    if len(it.arguments) > 1:
        text, zone = it.argument(0), it.argument(1)
        if isinstance(text, exp.Literal) and (wall := moments.constant(text.this, "DATETIME")) is not None:
            return moment(_cast(_text(wall), DATETIME), zone)
        return call("tule_timestamp_of_text_in", text, zone)
    return casts.from_string(it.argument(0), TIMESTAMP)


def _timestamp_of_datetime(it: Call) -> Any:
    value = _cast(it.argument(0), DATETIME)
    return moment(value, it.argument(1))


def _string_of_timestamp(it: Call) -> Any:
    if len(it.arguments) > 1:
        value = it.argument(0)
        local = in_zone(value.copy(), it.argument(1))
        return call("tule_text_of_timestamp_at", local, ahead_of(local.copy(), value))
    return casts.to_string(it.argument(0), TIMESTAMP)


def _string_of(it: Call) -> Any:
    kind = it.kind(0)
    assert kind is not None
    return casts.to_string(it.argument(0), kind)


# -- FORMAT_DATE and its like. https://cloud.google.com/bigquery/docs/reference/standard-sql/format-elements

_PLAIN = "AaBbdHIjMmpSUVWwYyuG%"
_COMPOUND = {
    "c": "%a %b %e %H:%M:%S %Y", "D": "%m/%d/%y", "F": "%Y-%m-%d", "h": "%b", "R": "%H:%M", "T": "%H:%M:%S",
    "X": "%H:%M:%S", "x": "%m/%d/%y",
}  # fmt: skip
_TIME_ONLY = set("HIklMPpQRSsTXcZzEnt%")
_DATE_ELEMENTS = set("AaBbCcDdeFGghjmQUuVWwxYy")
_CLOCK_ELEMENTS = set("cHIklMPpRrSsTX")


def _format_time(it: Call) -> Any:
    pattern = str(it.constant(0, "format string"))
    value, kind = it.argument(1), it.match.arguments[1] if it.match is not None else None
    zone = it.argument(2)
    assert kind is not None
    local = in_zone(value, zone) if kind == TIMESTAMP else value
    if kind == TIME:
        local = call("tule_datetime_of_time", value)
    elif kind == DATE:
        local = _cast(value, DATETIME)
    parts = _format_parts(it, _expanded(pattern), local, value, kind, zone)
    return joined(parts) if parts else _text("")


def _expanded(pattern: str) -> str:
    """Elements that stand for several, written out."""
    made, at = "", 0
    while at < len(pattern):
        if pattern[at] == "%" and at + 1 < len(pattern) and pattern[at + 1] in _COMPOUND:
            made += _expanded(_COMPOUND[pattern[at + 1]])
            at += 2
        elif pattern[at] == "%" and at + 1 < len(pattern):
            made += pattern[at : at + 2]
            at += 2
        else:
            made += pattern[at]
            at += 1
    return made


def _format_parts(it: Call, pattern: str, local: Any, value: Any, kind: Kind, zone: Any) -> list[Any]:
    parts: list[Any] = []
    plain = ""

    def flush() -> None:
        nonlocal plain
        if plain:
            parts.append(call("strftime", local.copy(), _text(plain)))
            plain = ""

    at = 0
    while at < len(pattern):
        if pattern[at] != "%":
            plain += pattern[at]
            at += 1
            continue
        element = pattern[at + 1 : at + 2]
        at += 2
        _check_element(it, element, kind)
        if element and element in _PLAIN:
            plain += "%" + element
            continue
        if element == "E":
            element, at = _extended(it, pattern, at)
        flush()
        parts.append(_element(it, element, local.copy(), value.copy(), kind, zone))
    flush()
    return parts


def _check_element(it: Call, element: str, kind: Kind) -> None:
    if kind == DATE and element in _CLOCK_ELEMENTS and it.function.name == "FORMAT_DATE":
        raise it.wrong(f"Invalid format: %{element} is not allowed for the DATE type.")
    if kind == TIME and (element in _DATE_ELEMENTS or element in "Zz") and element:
        raise it.wrong(f"Invalid format: %{element} is not allowed for the TIME type.")


def _extended(it: Call, pattern: str, at: int) -> tuple[str, int]:
    """%Ez, %E4Y, %E*S, %E3S."""
    for length in (1, 2):
        text = pattern[at : at + length]
        if text in ("z", "4Y", "*S") or (length == 2 and text[:1].isdigit() and text[1:] == "S" and int(text[0]) <= 6):
            return "E" + text, at + length
    raise it.refuse(f"the format element %E{pattern[at : at + 1]}")


def _element(it: Call, element: str, local: Any, value: Any, kind: Kind, zone: Any) -> Any:
    if element == "n":
        return _text("\n")
    if element == "t":
        return _text("\t")
    if element == "C":
        return call("tule_format_century", local)
    if element == "e":
        return call("tule_pad_left", _cast(call("day", local), STRING), _number(2))
    if element == "k":
        return call("tule_pad_left", _cast(call("hour", local), STRING), _number(2))
    if element == "l":
        return call("tule_format_hour12", local)
    if element == "P":
        return call("lower", call("strftime", local, _text("%p")))
    if element == "Q":
        return _cast(call("quarter", local), STRING)
    if element == "g":
        return call("tule_format_isoyear2", local)
    if element == "s":
        instant = value if kind == TIMESTAMP else local
        return _cast(call("tule_floor_seconds", call("epoch_us", instant)), STRING)
    if element == "E4Y":
        return call("strftime", local, _text("%Y"))
    if element == "E*S":
        return call("tule_format_seconds", local)
    if len(element) == 3 and element.endswith("S"):
        digits = int(element[1])
        seconds = call("strftime", local.copy(), _text("%S"))
        if not digits:
            return seconds
        return joined([seconds, _text("."), call("left", call("strftime", local, _text("%f")), _number(digits))])
    if element in ("Z", "z", "Ez"):
        if kind != TIMESTAMP:
            raise it.wrong(f"Invalid format: %{element} is not allowed for the {kind} type.")
        if zone is None:
            return _text({"Z": "UTC", "z": "+0000", "Ez": "+00:00"}[element])
        ahead = ahead_of(local, value)
        if element == "Z":
            return call("tule_format_zone_name", ahead)
        return call("tule_format_offset", ahead, _text(":" if element == "Ez" else ""))
    raise it.refuse(f"the format element %{element}")


# -- PARSE_DATE and its like

_PARSED = "YymdBbAaHIMSpj"
_PARSE_COMPOUND = {"F": "%Y-%m-%d", "T": "%H:%M:%S", "R": "%H:%M", "D": "%m/%d/%y", "x": "%m/%d/%y", "X": "%H:%M:%S",
                   "h": "%b", "e": "%d", "k": "%H", "l": "%I", "n": " ", "t": " ", "E4Y": "%Y", "P": "%p"}  # fmt: skip


def _parse_time(it: Call) -> Any:
    pattern = str(it.constant(0, "format string"))
    name = it.function.name
    engine, zoned, epoch = _parse_pattern(it, _expanded(pattern))
    value = it.argument(1)
    if epoch:
        return call("tule_parse_epoch", value)
    patterns = [engine]
    if "%E*S" in engine:
        patterns = [engine.replace("%E*S", "%S.%f"), engine.replace("%E*S", "%S")]
    formats = exp.Array(expressions=[_text(each) for each in patterns])
    made = call("tule_parse_zoned" if zoned else "tule_parse", value, formats, _text(pattern))
    if name == "PARSE_TIMESTAMP":
        if zoned:
            return _cast(made, TIMESTAMP)
        return moment(made, it.argument(2))
    if zoned:
        raise it.wrong(f"Time zone elements are not allowed in {name}")
    target = {"PARSE_DATE": DATE, "PARSE_DATETIME": DATETIME, "PARSE_TIME": TIME}[name]
    return _cast(made, target)


def _parse_pattern(it: Call, pattern: str) -> tuple[str, bool, bool]:
    """(pattern of the engine, whether it has a zone, whether it is %s alone)."""
    made, at, zoned = "", 0, False
    if pattern.strip() == "%s":
        return "", False, True
    while at < len(pattern):
        if pattern[at] != "%":
            made += pattern[at]
            at += 1
            continue
        element = pattern[at + 1 : at + 2]
        at += 2
        if element == "E":
            element, at = _extended(it, pattern, at)
        if element and element in _PARSED:
            made += "%" + element
        elif element in _PARSE_COMPOUND:
            made += _PARSE_COMPOUND[element]
        elif element == "%":
            made += "%%"
        elif element == "E*S" or (len(element) == 3 and element.endswith("S") and element != "E0S"):
            made += "%E*S"
        elif element == "E0S":
            made += "%S"
        elif element in ("z", "Ez"):
            made, zoned = made + "%z", True
        else:
            raise it.refuse(f"the format element %{element} in {it.function.name}")
    return made, zoned, False


BUILDERS: dict[str, Callable[[Call], Any]] = {
    "date_trunc": _date_trunc,
    "datetime_trunc": _datetime_trunc,
    "timestamp_trunc": _timestamp_trunc,
    "time_trunc": _time_trunc,
    "date_diff": _date_diff,
    "datetime_diff": _datetime_diff,
    "timestamp_diff": _timestamp_diff,
    "time_diff": _time_diff,
    "last_day": _last_day,
    "current": _current,
    "date_of_timestamp": _date_of_timestamp,
    "datetime_of_timestamp": _datetime_of_timestamp,
    "time_of_timestamp": _time_of_timestamp,
    "timestamp_of_text": _timestamp_of_text,
    "timestamp_of_datetime": _timestamp_of_datetime,
    "string_of_timestamp": _string_of_timestamp,
    "string_of": _string_of,
    "format_time": _format_time,
    "parse_time": _parse_time,
}
