"""Values in files and rows as BigQuery reads them: text of CSV cells and JSON values to Arrow, with the bad ones named.

Text is converted a column at a time; only a column with a value that does not fit is looked at value by value.
https://cloud.google.com/bigquery/docs/loading-data-cloud-storage-csv#data_types
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Callable, Sequence
from datetime import date, time
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from tule.bigquery.types import Field

_EPOCH_DAY = date(1970, 1, 1)
_INT64 = re.compile(r"[+-]?\d+")
_DATE = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})")
_TIME = re.compile(r"(\d{1,2}):(\d{1,2}):(\d{1,2})(?:\.(\d{1,6})\d*)?")
_MOMENT = re.compile(
    r"(?P<date>\d{4}-\d{1,2}-\d{1,2})(?:[ Tt](?P<time>\d{1,2}:\d{1,2}(?::\d{1,2}(?:\.\d+)?)?))?"
    r"\s*(?P<zone>Z|z|UTC|[+-]\d{1,2}(?::?\d{2})?)?"
)
TRUE = frozenset({"true", "t", "yes", "y", "1"})
FALSE = frozenset({"false", "f", "no", "n", "0"})
_INTERVAL = re.compile(r"([-+]?)(\d+)-(\d+) ([-+]?\d+) ([-+]?)(\d+):(\d+):(\d+)(?:\.(\d{1,6}))?")
_ISO_INTERVAL = re.compile(
    r"P(?=.)(?:([-+]?\d+)Y)?(?:([-+]?\d+)M)?(?:([-+]?\d+)W)?(?:([-+]?\d+)D)?"
    r"(?:T(?=.)(?:([-+]?\d+)H)?(?:([-+]?\d+)M)?(?:([-+]?\d+(?:\.\d{1,6})?)S)?)?"
)
_RANGE = re.compile(r"\s*\[\s*([^\s,\[\])][^,\[\])]*?)\s*,\s*([^\s,\[\])][^,\[\])]*?)\s*\)\s*")
# Enough digits for BIGNUMERIC: the default context would round to 28.
_WIDE = Context(prec=90, rounding=ROUND_HALF_UP)
# A BIGNUMERIC of 39 whole digits is more than Arrow's decimals hold: it can be made in SQL, not loaded.
_LIMITS = {"NUMERIC": (9, Decimal(10) ** 29), "BIGNUMERIC": (38, Decimal(10) ** 38)}
_MOST_MONTHS, _MOST_DAYS, _MOST_MICROS = 120_000, 3_660_000, 316_224_000_000_000_000


class BadValue(ValueError):
    """A value that cannot become one of its column's type; ``str`` says why, ``path`` where in the row."""

    def __init__(self, reason: str, path: str = "") -> None:
        super().__init__(reason)
        self.path = path


# -- text, a value at a time


def integer(text: str) -> int:
    if _INT64.fullmatch(text.strip()) is None:
        raise ValueError("not an integer")
    number = int(text)
    if not -(2**63) <= number < 2**63:
        raise ValueError("out of the range of INT64")
    return number


def real(text: str) -> float:
    if "_" in text:
        raise ValueError("not a number")
    return float(text)


def boolean(text: str) -> bool:
    lowered = text.strip().lower()
    if lowered in TRUE:
        return True
    if lowered in FALSE:
        return False
    raise ValueError("not a boolean")


def decimal(text: str, kind: str = "NUMERIC") -> Decimal:
    """Rounded half away from zero to the type's scale, as BigQuery does; raises beyond its range."""
    scale, limit = _LIMITS[kind]
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        raise ValueError("not a decimal number") from None
    if not number.is_finite() or abs(number) >= limit:
        raise ValueError(f"out of the range of {kind}")
    exponent = number.as_tuple().exponent
    if isinstance(exponent, int) and -exponent > scale:
        return number.quantize(Decimal(1).scaleb(-scale), context=_WIDE)
    return number


def day(text: str) -> int:
    """Days since 1970."""
    found = _DATE.fullmatch(text.strip())
    if found is None:
        raise ValueError("not a date")
    return (date(*map(int, found.groups())) - _EPOCH_DAY).days


def moment_of_day(text: str) -> int:
    """Microseconds since midnight."""
    found = _TIME.fullmatch(text.strip())
    if found is None:
        raise ValueError("not a time")
    hour, minute, second = map(int, found.groups()[:3])
    at = time(hour, minute, second, int((found[4] or "0").ljust(6, "0")))
    return ((at.hour * 60 + at.minute) * 60 + at.second) * 1_000_000 + at.microsecond


def timestamp(text: str) -> int:
    """Microseconds since 1970 in UTC; without a zone the text is UTC."""
    return _moment(text, zone_allowed=True)


def civil(text: str) -> int:
    """A DATETIME as microseconds since 1970-01-01T00:00:00; a zone is an error."""
    return _moment(text, zone_allowed=False)


def _moment(text: str, *, zone_allowed: bool) -> int:
    found = _MOMENT.fullmatch(text.strip())
    if found is None or (found["zone"] and not zone_allowed):
        raise ValueError("not a timestamp" if zone_allowed else "not a datetime")
    micros = day(found["date"]) * 86_400_000_000
    if found["time"]:
        clock = found["time"]
        micros += moment_of_day(clock if clock.count(":") == 2 else clock + ":00")
    zone = found["zone"]
    if zone and zone not in ("Z", "z", "UTC"):
        digits = zone[1:].replace(":", "").rjust(2, "0")
        hours, minutes = (int(digits[:-2]), int(digits[-2:])) if len(digits) > 2 else (int(digits), 0)
        micros -= (1 if zone[0] == "+" else -1) * (hours * 60 + minutes) * 60_000_000
    return micros


def interval(text: str) -> pa.MonthDayNano:
    """``Y-M D H:M:S[.F]`` or ISO 8601."""
    bare = text.strip()
    if (found := _INTERVAL.fullmatch(bare)) is not None:
        sign, years, month, days, clock, hours, minutes, seconds, fraction = found.groups()
        months = (int(years) * 12 + int(month)) * (-1 if sign == "-" else 1)
        micros = ((int(hours) * 60 + int(minutes)) * 60 + int(seconds)) * 1_000_000 + int(
            (fraction or "").ljust(6, "0")
        )
        return _interval(months, int(days), -micros if clock == "-" else micros)
    if (found := _ISO_INTERVAL.fullmatch(bare)) is None:
        raise ValueError("not an interval")
    parts = [Decimal(each or 0) for each in found.groups()]
    micros = int((parts[4] * 3600 + parts[5] * 60 + parts[6]) * 1_000_000)
    return _interval(int(parts[0] * 12 + parts[1]), int(parts[2] * 7 + parts[3]), micros)


def _interval(months: int, days: int, micros: int) -> pa.MonthDayNano:
    if abs(months) > _MOST_MONTHS or abs(days) > _MOST_DAYS or abs(micros) > _MOST_MICROS:
        raise ValueError("out of the range of INTERVAL")
    return pa.MonthDayNano([months, days, micros * 1000])


def span(text: str, element: str) -> dict[str, Any]:
    """``[start, end)`` of a RANGE; a bound UNBOUNDED or NULL is None."""
    found = _RANGE.fullmatch(text)
    if found is None:
        raise ValueError("not a range: it must be written as [start, end)")
    start, end = (None if each.upper() in ("UNBOUNDED", "NULL") else each for each in found.groups())
    return _span(start, end, TEXT[element])


def _span(start: Any, end: Any, read: Callable[[Any], Any]) -> dict[str, Any]:
    bounds: dict[str, Any] = {
        "start": None if start is None else read(start),
        "end": None if end is None else read(end),
    }
    if start is not None and end is not None and bounds["start"] >= bounds["end"]:
        raise ValueError("the start of a range must be smaller than its end")
    return bounds


def reader(field: Field) -> Callable[[str], Any]:
    """What reads the text of a value of a column."""
    if field.type == "RANGE":
        return lambda text: span(text, field.element)
    return TEXT[field.type]


def beyond(value: Any, field: Field) -> str:
    """Why a value is none of STRING(L), BYTES(L) or NUMERIC(P, S), "" for one that is."""
    if field.length is not None and len(value) > field.length:
        limit = f"{field.type}({field.length}) has maximum length {field.length}"
        return f"Field {field.name}: {limit} but got a value with length {len(value)}"
    if field.precision is not None:
        scale = field.scale or 0
        if abs(value.quantize(Decimal(1).scaleb(-scale), context=_WIDE)) >= Decimal(10) ** (field.precision - scale):
            limit = f"{field.type}({field.precision}, {scale}) has precision {field.precision} and scale {scale}"
            return f"Field {field.name}: {limit} but got a value that is not in its range"
    return ""


def raw_bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"not base64: {error}") from None


def json_text(text: str) -> str:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error}") from None
    return text


def _same(text: str) -> str:
    return text


TEXT: dict[str, Callable[[str], Any]] = {
    "INT64": integer,
    "FLOAT64": real,
    "BOOL": boolean,
    "NUMERIC": decimal,
    "BIGNUMERIC": lambda text: decimal(text, "BIGNUMERIC"),
    "STRING": _same,
    "BYTES": raw_bytes,
    "DATE": day,
    "TIME": moment_of_day,
    "DATETIME": civil,
    "TIMESTAMP": timestamp,
    "JSON": json_text,
    "GEOGRAPHY": _same,
    "INTERVAL": interval,
}

# What BigQuery calls a type in "Could not parse 'abc' as INT64 for field a".
_NOUN = {"FLOAT64": "DOUBLE", "BOOL": "BOOL"}


# -- text, a column at a time


def column(texts: pa.Array, field: Field) -> tuple[pa.Array, dict[int, str]]:
    """A column of text as the field's type; indexes of values that do not fit, with why, and NULL in their place."""
    limited = field.length is not None or field.precision is not None
    try:
        if not limited:
            return _vectorised(texts, field), {}
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError):
        pass
    parse = reader(field)
    values: list[Any] = []
    bad: dict[int, str] = {}
    for index, text in enumerate(texts.to_pylist()):
        if text is None:
            values.append(None)
            continue
        try:
            value = parse(text)
            if limited and (why := beyond(value, field)):
                bad[index] = why
                value = None
            values.append(value)
        except (ValueError, OverflowError) as error:
            values.append(None)
            bad[index] = (
                f"Could not parse '{text[:128]}' as {_NOUN.get(field.type, field.type)} for field {field.name}"
                f" ({error})"
            )
    return array(values, field), bad


def _vectorised(texts: pa.Array, field: Field) -> pa.Array:
    kind = field.type
    if kind in ("STRING", "GEOGRAPHY"):
        return texts.cast(field.arrow.type)
    if kind in ("INT64", "FLOAT64", "DATE", "TIME", "DATETIME"):
        return pc.utf8_trim_whitespace(texts).cast(field.arrow.type)
    if kind == "BOOL":
        lowered = pc.utf8_lower(pc.utf8_trim_whitespace(texts))
        true = pc.is_in(lowered, value_set=pa.array(sorted(TRUE)))
        known = pc.or_(true, pc.is_in(lowered, value_set=pa.array(sorted(FALSE))))
        if not pc.all(pc.or_(known, pc.is_null(texts))).as_py() and len(texts):
            raise ValueError("some are not booleans")
        return pc.if_else(pc.is_null(texts), pa.scalar(None, pa.bool_()), true)
    if kind == "TIMESTAMP":
        plain = pc.replace_substring_regex(pc.utf8_trim_whitespace(texts), r"\s*(UTC|Z)$", "")
        return plain.cast(pa.timestamp("us")).cast(pa.timestamp("us", "UTC"))
    raise ValueError("no shorter way")


def array(values: Sequence[Any], field: Field) -> pa.Array:
    """Parsed values as an Arrow array of the field's type."""
    return pa.array(values, type=field.arrow.type)


# -- JSON values


def from_json(value: Any, field: Field, *, ignore_unknown: bool = False, path: str = "") -> Any:
    """A JSON value as what ``array`` takes; raises BadValue naming the place in the row."""
    path = path or field.name
    if field.mode == "REPEATED":
        if value is None:
            return []
        if not isinstance(value, list):
            raise BadValue(f"Array specified for non-repeated field: expected a list; given: {_short(value)}", path)
        return [_single(each, field, ignore_unknown, path) for each in value]
    if isinstance(value, list):
        raise BadValue("Array specified for non-repeated field.", path)
    if value is None:
        if field.mode == "REQUIRED":
            raise BadValue(f"Missing required field: {path}.", path)
        return None
    return _single(value, field, ignore_unknown, path)


def _single(value: Any, field: Field, ignore_unknown: bool, path: str) -> Any:
    if field.type == "STRUCT":
        if not isinstance(value, dict):
            raise BadValue(f"This field: {path} is not a record.", path)
        return record(value, field.fields, ignore_unknown=ignore_unknown, prefix=path + ".")
    if value is None:
        raise BadValue("Only optional fields can be set to NULL", path)
    try:
        if field.type == "RANGE":
            return _json_range(value, field.element)
        found = _JSON[field.type](value)
    except (ValueError, OverflowError, TypeError) as error:
        noun = _JSON_NOUN.get(field.type, field.type.lower())
        raise BadValue(f"Cannot convert value to {noun} (bad value): {_short(value)} ({error})", path) from None
    except KeyError:
        raise BadValue(f"Values of type {field.type} are not executed in rows of JSON", path) from None
    if why := beyond(found, field):
        raise BadValue(why, path)
    return found


def record(
    body: dict[str, Any], fields: Sequence[Field], *, ignore_unknown: bool = False, prefix: str = ""
) -> dict[str, Any]:
    """A JSON object as a row; keys are matched without regard to case, as BigQuery does."""
    given = {key.lower(): (key, value) for key, value in body.items()}
    row = {}
    for each in fields:
        _, value = given.pop(each.name.lower(), (each.name, None))
        row[each.name] = from_json(value, each, ignore_unknown=ignore_unknown, path=prefix + each.name)
    if given and not ignore_unknown:
        name = prefix + next(iter(given.values()))[0]
        raise BadValue(f"no such field: {name}.", name)
    return row


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else orjson.dumps(value, default=str).decode()
    return text[:128]


def _json_integer(value: Any) -> int:
    if isinstance(value, bool):
        raise ValueError("a boolean")
    if isinstance(value, float):
        if not value.is_integer():
            raise ValueError("has a fraction")
        value = int(value)
    return integer(str(value))


def _json_real(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("not a number")
    return real(value) if isinstance(value, str) else float(value)


def _json_boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return boolean(value)
    raise ValueError("not a boolean")


def _json_decimal(kind: str) -> Callable[[Any], Decimal]:
    def parse(value: Any) -> Decimal:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError("not a number")
        return decimal(repr(value) if isinstance(value, float) else str(value), kind)

    return parse


def _json_string(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    raise ValueError("an object")


def _json_timestamp(value: Any) -> int:
    """Text, or seconds since 1970 as a number."""
    if isinstance(value, bool):
        raise ValueError("a boolean")
    if isinstance(value, int | float):
        if not math.isfinite(value):
            raise ValueError("not finite")
        return value * 1_000_000 if isinstance(value, int) else round(value * 1_000_000)
    if re.fullmatch(r"-?\d+(\.\d+)?", value):
        return int(Decimal(value) * 1_000_000)
    return timestamp(value)


def _text_only(parse: Callable[[str], Any]) -> Callable[[Any], Any]:
    def checked(value: Any) -> Any:
        if not isinstance(value, str):
            raise ValueError("not a text")
        return parse(value)

    return checked


def _json_range(value: Any, element: str) -> dict[str, Any]:
    """An object of ``start`` and ``end``, or a text."""
    if isinstance(value, str):
        return span(value, element)
    if not isinstance(value, dict) or not set(value) <= {"start", "end"}:
        raise ValueError("not an object of start and end")
    return _span(value.get("start"), value.get("end"), _JSON[element])


def _json_json(value: Any) -> str:
    """A JSON column takes any value; a text is JSON text, as BigQuery reads it in rows."""
    return json_text(value) if isinstance(value, str) else orjson.dumps(value).decode()


_JSON: dict[str, Callable[[Any], Any]] = {
    "INT64": _json_integer,
    "FLOAT64": _json_real,
    "BOOL": _json_boolean,
    "NUMERIC": _json_decimal("NUMERIC"),
    "BIGNUMERIC": _json_decimal("BIGNUMERIC"),
    "STRING": _json_string,
    "BYTES": _text_only(raw_bytes),
    "DATE": _text_only(day),
    "TIME": _text_only(moment_of_day),
    "DATETIME": _text_only(civil),
    "TIMESTAMP": _json_timestamp,
    "JSON": _json_json,
    "GEOGRAPHY": _text_only(_same),
    "INTERVAL": _text_only(interval),
}
_JSON_NOUN = {"INT64": "integer", "FLOAT64": "double", "BOOL": "boolean", "STRING": "string"}
