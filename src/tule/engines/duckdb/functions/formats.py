"""CAST ... FORMAT: dates, numbers and bytes as text by a pattern of elements, and text read by one.

https://cloud.google.com/bigquery/docs/reference/standard-sql/format-elements
"""

from __future__ import annotations

import base64
import binascii
import calendar
import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tule.engines.duckdb.functions.udfs import Row

_ELEMENTS = (
    "YYYY", "YYY", "YY", "Y", "RRRR", "RR", "MONTH", "MON", "MM", "DDD", "DD", "DAY", "DY", "D", "HH12", "HH24", "HH", "MI",
    "SSSSS", "SS", *(f"FF{digits}" for digits in range(1, 10)), "A.M.", "P.M.", "AM", "PM", "TZH", "TZM",
)  # fmt: skip
_LITERALS = "-./,';: "
_DATE = frozenset({"YYYY", "YYY", "YY", "Y", "RRRR", "RR", "MONTH", "MON", "MM", "DDD", "DD", "DAY", "DY", "D"})
_ZONE = frozenset({"TZH", "TZM"})
_CLOCK = frozenset(_ELEMENTS) - _DATE - _ZONE


def _failure(message: str) -> ValueError:
    return ValueError(f"tule: {message}")


@lru_cache(maxsize=256)
def _elements(pattern: str) -> tuple[tuple[str, str], ...]:
    """(element, as it is written) of a pattern; the element "" is a literal."""
    found: list[tuple[str, str]] = []
    at = 0
    while at < len(pattern):
        if pattern[at] == '"':
            quoted = re.compile(r'"((?:[^"\\]|\\["\\])*)"').match(pattern, at)
            if quoted is None:
                raise _failure(f'Cannot find matching " for quoted literal at {at}')
            found.append(("", re.sub(r"\\(.)", r"\1", quoted[1])))
            at = quoted.end()
            continue
        if pattern[at] in _LITERALS or pattern[at].isspace():
            found.append(("", pattern[at]))
            at += 1
            continue
        upper = pattern[at:].upper()
        element = next((each for each in _ELEMENTS if upper.startswith(each)), None)
        if element is None:
            raise _failure(f"Cannot find matched format element at {at}")
        found.append((element, pattern[at : at + len(element)]))
        at += len(element)
    return tuple(found)


def _cased(text: str, written: str) -> str:
    """A word with the case that the first two letters of an element show."""
    letters = [each for each in written if each.isalpha()]
    if letters[0].islower():
        return text.lower()
    return text.upper() if len(letters) < 2 or letters[1].isupper() else text.capitalize()


# -- dates and times as text


def _format_moment(local: datetime, pattern: str, ahead: int, kind: str) -> str:
    """A wall clock, ``ahead`` seconds before UTC, as text; ``kind`` tells which elements there are."""
    parts = []
    for element, written in _elements(pattern):
        if element:
            _check(element, kind)
        parts.append(_WRITTEN[element](local, written, ahead) if element else written)
    return "".join(parts)


def _check(element: str, kind: str) -> None:
    allowed = {"DATE": _DATE, "TIME": _CLOCK, "DATETIME": _DATE | _CLOCK}.get(kind, _DATE | _CLOCK | _ZONE)
    if element not in allowed:
        raise _failure(f"Format element '{element}' is not supported for {kind}")


def _weekday(day: date) -> int:
    """1 for Sunday."""
    return day.isoweekday() % 7 + 1


def _offset(ahead: int) -> tuple[str, int, int]:
    hours, minutes = divmod(abs(ahead) // 60, 60)
    return "-" if ahead < 0 else "+", hours, minutes


def _hour12(moment: datetime) -> str:
    return f"{(moment.hour + 11) % 12 + 1:02d}"


def _meridian(moment: datetime, written: str) -> str:
    word = "AM" if moment.hour < 12 else "PM"
    return _cased(f"{word[0]}.{word[1]}." if "." in written else word, written)


_Writer = Callable[[datetime, str, int], str]
_WRITTEN: dict[str, _Writer] = {
    "YYYY": lambda at, _, __: f"{at.year:04d}",
    "YYY": lambda at, _, __: f"{at.year % 1000:03d}",
    "YY": lambda at, _, __: f"{at.year % 100:02d}",
    "Y": lambda at, _, __: str(at.year % 10),
    "RRRR": lambda at, _, __: f"{at.year:04d}",
    "RR": lambda at, _, __: f"{at.year % 100:02d}",
    "MONTH": lambda at, written, _: _cased(calendar.month_name[at.month], written),
    "MON": lambda at, written, _: _cased(calendar.month_abbr[at.month], written),
    "MM": lambda at, _, __: f"{at.month:02d}",
    "DDD": lambda at, _, __: f"{at.timetuple().tm_yday:03d}",
    "DD": lambda at, _, __: f"{at.day:02d}",
    "DAY": lambda at, written, _: _cased(calendar.day_name[at.weekday()], written),
    "DY": lambda at, written, _: _cased(calendar.day_abbr[at.weekday()], written),
    "D": lambda at, _, __: str(_weekday(at)),
    "HH": lambda at, _, __: _hour12(at),
    "HH12": lambda at, _, __: _hour12(at),
    "HH24": lambda at, _, __: f"{at.hour:02d}",
    "MI": lambda at, _, __: f"{at.minute:02d}",
    "SS": lambda at, _, __: f"{at.second:02d}",
    "SSSSS": lambda at, _, __: f"{at.hour * 3600 + at.minute * 60 + at.second:05d}",
    **{
        f"FF{digits}": lambda at, _, __, digits=digits: f"{at.microsecond:06d}000"[:digits]  # type: ignore[misc]
        for digits in range(1, 10)
    },
    **dict.fromkeys(("AM", "PM", "A.M.", "P.M."), lambda at, written, _: _meridian(at, written)),
    "TZH": lambda _, __, ahead: "{}{:02d}".format(*_offset(ahead)[:2]),
    "TZM": lambda _, __, ahead: f"{_offset(ahead)[2]:02d}",
}


# -- text as dates and times

_MONTHS = "|".join(calendar.month_name[1:])
_MONTHS_SHORT = "|".join(calendar.month_abbr[1:])
_READ = {
    "YYYY": r"\d{1,5}", "YYY": r"\d{1,3}", "YY": r"\d{1,2}", "Y": r"\d", "RRRR": r"\d{1,4}", "RR": r"\d{1,2}",
    "MONTH": _MONTHS, "MON": _MONTHS_SHORT, "MM": r"\d{1,2}", "DDD": r"\d{1,3}", "DD": r"\d{1,2}", "HH": r"\d{1,2}",
    "HH12": r"\d{1,2}", "HH24": r"\d{1,2}", "MI": r"\d{1,2}", "SS": r"\d{1,2}", "SSSSS": r"\d{1,5}", "AM": "AM|PM",
    "PM": "AM|PM", "A.M.": r"A\.M\.|P\.M\.", "P.M.": r"A\.M\.|P\.M\.", "TZH": r"[+\- ]?\d{1,2}", "TZM": r"\d{1,2}",
    **{f"FF{digits}": rf"\d{{1,{digits}}}" for digits in range(1, 10)},
}  # fmt: skip


def _parse_moment(text: str, pattern: str, kind: str, today: str) -> str:
    """The date and time that a text says, as the engine writes it, with the offset where the pattern has one.

    What the pattern leaves out is of the first day of the month of ``today``, at midnight.
    """
    found = _read_elements(text, pattern, kind)
    now = date.fromisoformat(today)
    day = _day(found, now, kind)
    micros = _micros(found)
    if "TZH" in found or "TZM" in found:
        sign = "-" if found.get("TZH", "+").startswith("-") else "+"
        hours = int(found.get("TZH", "0").strip("+- "))
        return f"{_iso(day, micros)}{sign}{hours:02d}:{int(found.get('TZM', 0)):02d}"
    return _iso(day, micros)


def _iso(day: date, micros: int) -> str:
    moment = datetime(day.year, day.month, day.day) + timedelta(microseconds=micros)
    return moment.isoformat(sep=" ", timespec="microseconds")


def _read_elements(text: str, pattern: str, kind: str) -> dict[str, str]:
    found: dict[str, str] = {}
    at, end = 0, len(text)
    at += len(text) - len(text.lstrip())
    for element, written in _elements(pattern):
        if not element:
            hit = re.compile(r"\s*" if written.isspace() else re.escape(written)).match(text, at)
            if hit is None or (written.isspace() and not hit[0] and at < end):
                raise _failure(f'Failed to parse input string "{text}" at {at} with format element "{written}"')
            at = hit.end()
            continue
        _check(element, kind)
        if element not in _READ:
            raise _failure(f"Format element '{element}' is not supported for parsing")
        if element in found:
            raise _failure(f"Format element '{element}' appears more than once in the format string")
        hit = re.compile(_READ[element], re.IGNORECASE).match(text, at)
        if hit is None:
            raise _failure(f'Failed to parse input string "{text}" at {at} with format element {element}')
        found[element] = hit[0]
        at = hit.end()
    if text[at:].strip():
        raise _failure(f"Illegal non-space trailing data '{text[at:]}' in input string \"{text}\"")
    return found


def _year(found: dict[str, str], now: date) -> int:
    for element, size in (("YYY", 1000), ("YY", 100), ("Y", 10)):
        if element in found:
            return now.year - now.year % size + int(found[element])
    if "YYYY" in found:
        return int(found["YYYY"])
    for element in ("RRRR", "RR"):
        if element in found:
            return _rounded_year(found[element], now) if len(found[element]) <= 2 else int(found[element])
    return now.year


def _rounded_year(text: str, now: date) -> int:
    """Two digits as the year nearest to now: of this century's half, or of the one before or after."""
    value, century, here = int(text), now.year // 100 * 100, now.year % 100
    if value < 50 <= here:
        return century + 100 + value
    if value >= 50 > here:
        return century - 100 + value
    return century + value


def _day(found: dict[str, str], now: date, kind: str) -> date:
    if kind == "TIME":
        return date(1970, 1, 1)
    year = _year(found, now)
    month = now.month
    if "MM" in found:
        month = int(found["MM"])
    elif "MON" in found or "MONTH" in found:
        word = (found.get("MON") or found["MONTH"])[:3].capitalize()
        month = list(calendar.month_abbr).index(word)
    try:
        if "DDD" in found:
            made = date(year, 1, 1) + timedelta(days=int(found["DDD"]) - 1)
            if made.year != year:
                raise ValueError
            return made
        return date(year, month, int(found.get("DD", 1)))
    except (ValueError, OverflowError):
        raise _failure("Invalid result from year, month, day values after parsing") from None


def _micros(found: dict[str, str]) -> int:
    fraction = next((found[f"FF{n}"] for n in range(1, 10) if f"FF{n}" in found), "0")
    micros = int(fraction.ljust(9, "0")[:6])
    if "SSSSS" in found:
        return int(found["SSSSS"]) * 1_000_000 + micros
    hour = int(found.get("HH24", 0))
    twelve = found.get("HH12") or found.get("HH")
    if twelve is not None:
        meridian = next((found[each] for each in ("AM", "PM", "A.M.", "P.M.") if each in found), None)
        if meridian is None or not 1 <= int(twelve) <= 12:
            raise _failure("Format element HH12 needs an hour from 1 to 12 and a meridian indicator")
        hour = int(twelve) % 12 + (12 if meridian.upper().startswith("P") else 0)
    minute, second = int(found.get("MI", 0)), int(found.get("SS", 0))
    if hour > 23 or minute > 59 or second > 59:
        raise _failure("Invalid result from hour, minute, second values after parsing")
    return ((hour * 60 + minute) * 60 + second) * 1_000_000 + micros


# -- numbers as text

_NUMBER = re.compile(
    r"(?P<sign>S)?(?P<body>(?:[$CLB]|TM9|TME|TM|[09X,G.DV]|EEEE)*)(?P<trail>S|MI|PR)?(?P<money>[$CL]?)", re.IGNORECASE
)


def _format_number(value: str, pattern: str) -> str:
    """A number, written as text, by a pattern. The same number of characters for every value that fits."""
    found = _NUMBER.fullmatch(pattern)
    if found is None:
        raise _failure(f'Error parsing format string: Unexpected format element in "{pattern}"')
    body = found["body"]
    if "TM" in body.upper():
        return _minimal(value, body)
    if re.fullmatch(r"[+-]?(inf|infinity|nan)", value, re.IGNORECASE):
        return value.lower().rjust(len(pattern) + 1)
    number = Decimal(value)
    currency = next((each for each in body + found["money"] if each in "$CcLl"), "")
    digits = re.sub("[$CLB]", "", body, flags=re.IGNORECASE)
    blank = "B" in body.upper()
    if "X" in digits.upper():
        text = _hexadecimal(number, digits)
    elif digits.upper().endswith("EEEE"):
        text = _scientific(number, digits[:-4])
    else:
        text = _decimal(number, digits, blank)
    if text is None:
        return "#" * (len(pattern) + 1)
    return _signed(text, number < 0, found, currency)


def _signed(text: str, negative: bool, found: re.Match[str], currency: str) -> str:
    """Digits with the currency and the sign, as wide as for any other value."""
    width = len(text)
    money = {"": "", "$": "$", "C": "USD", "c": "usd", "L": "$", "l": "$"}[currency]
    bare = money + text.lstrip(" ")
    width += len(money)
    trail = (found["trail"] or "").upper()
    if trail == "MI":
        return bare.rjust(width) + ("-" if negative else " ")
    if trail == "PR":
        return (f"<{bare}>" if negative else f" {bare} ").rjust(width + 2)
    if trail == "S":
        return bare.rjust(width) + ("-" if negative else "+")
    if found["sign"]:
        return (("-" if negative else "+") + bare).rjust(width + 1)
    return (("-" if negative else "") + bare).rjust(width + 1)


def _decimal(number: Decimal, digits: str, blank: bool) -> str | None:
    whole, point, fraction = _halves(digits)
    shift = 0
    if "V" in digits.upper():
        shift = len(fraction)
        whole, point, fraction = whole + fraction, "", ""
    places = len(re.sub("[,Gg]", "", whole))
    value = _rounded(abs(number).scaleb(shift), len(fraction))
    text = f"{value:f}"
    integral, _, decimals = text.partition(".")
    integral = integral.lstrip("0")
    if len(integral) > places:
        return None
    zero = next((index for index, each in enumerate(re.sub("[,Gg]", "", whole)) if each == "0"), places)
    least = places - zero
    if not integral and not least and not fraction and places:
        integral = "" if blank else "0"
    integral = integral.rjust(least, "0")
    made, left = "", integral.rjust(places)
    at = 0
    for each in whole:
        if each in ",Gg":
            made += "," if made.strip() else " "
            continue
        made += left[at]
        at += 1
    if blank and value == 0:
        return " " * (len(made) + len(point) + len(fraction))
    return made + ("." if point else "") + decimals[: len(fraction)]


def _halves(digits: str) -> tuple[str, str, str]:
    split = re.split(r"([.DVdv])", digits, maxsplit=1)
    if len(split) == 1:
        return digits, "", ""
    whole, point, fraction = split
    if re.search(r"[^09]", fraction):
        raise _failure(f'Error parsing format string: Unexpected format element after the decimal point in "{digits}"')
    return whole, point, fraction


def _rounded(value: Decimal, digits: int) -> Decimal:
    with localcontext() as context:
        context.prec = 400
        return value.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_UP)


def _scientific(number: Decimal, digits: str) -> str:
    fraction = _halves(digits)[2]
    with localcontext() as context:
        context.prec = len(fraction) + 1
        context.rounding = ROUND_HALF_UP
        value = +abs(number)
    exponent = value.adjusted() if value else 0
    mantissa = f"{value.scaleb(-exponent):.{len(fraction)}f}"
    return mantissa + f"E{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def _hexadecimal(number: Decimal, digits: str) -> str | None:
    if re.sub("[0Xx]", "", digits):
        raise _failure(f"Error parsing format string: 'X' cannot appear together with other digits in \"{digits}\"")
    text = f"{int(_rounded(abs(number), 0)):{'x' if 'x' in digits else 'X'}}"
    if len(text) > len(digits):
        return None
    least = len(digits) - digits.find("0") if "0" in digits else 0
    return text.rjust(least, "0").rjust(len(digits))


def _minimal(value: str, body: str) -> str:
    number = Decimal(value)
    if body.upper() == "TME":
        text = f"{number:E}"
        mantissa, _, exponent = text.partition("E")
        text = f"{mantissa}E{exponent[0]}{exponent[1:].rjust(2, '0')}"
    else:
        text = f"{number:f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
        if len(text) > 64:
            return _minimal(value, "TME" if body.isupper() else "tme")
    return text if body[0].isupper() else text.lower()


# -- bytes

_BITS = {"BASE2": 1, "BASE8": 3, "BASE16": 4, "HEX": 4}


def _format_bytes(value: bytes, pattern: str) -> str:
    name = pattern.upper()
    if name in _BITS:
        return _of_bits("".join(f"{each:08b}" for each in value), _BITS[name])
    if name == "BASE32":
        return base64.b32encode(value).decode()
    if name in ("BASE64", "BASE64M"):
        return base64.b64encode(value).decode()
    try:
        return value.decode({"ASCII": "ascii", "UTF8": "utf-8", "UTF-8": "utf-8"}[name])
    except KeyError:
        raise _failure(f"Invalid format in a cast between BYTES and STRING: {pattern}") from None
    except UnicodeDecodeError:
        raise _failure(f"Invalid {name} bytes in a cast from BYTES to STRING") from None


def _of_bits(bits: str, size: int) -> str:
    bits += "0" * (-len(bits) % size)
    return "".join(f"{int(bits[at : at + size], 2):x}" for at in range(0, len(bits), size))


def _parse_bytes(text: str, pattern: str) -> bytes:
    name = pattern.upper()
    try:
        if name in _BITS:
            size = _BITS[name]
            if name in ("HEX", "BASE16"):
                return bytes.fromhex(text.rjust(len(text) + len(text) % 2, "0"))
            bits = "".join(f"{int(each, 2**size):0{size}b}" for each in text)
            return bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits) - 7, 8))
        if name == "BASE32":
            return base64.b32decode(text)
        if name == "BASE64M":
            return base64.b64decode(re.sub(r"\s", "", text), validate=True)
        if name == "BASE64":
            return base64.b64decode(text, validate=True)
        if name in ("ASCII", "UTF8", "UTF-8"):
            return text.encode("ascii" if name == "ASCII" else "utf-8")
    except (ValueError, binascii.Error):
        raise _failure(f"Failed to decode invalid {name} string") from None
    raise _failure(f"Invalid format in a cast between BYTES and STRING: {pattern}")


FUNCTIONS: tuple[Row, ...] = (
    ("tule_format_moment", _format_moment, "TIMESTAMP, VARCHAR, BIGINT, VARCHAR", "VARCHAR"),
    ("tule_parse_moment", _parse_moment, "VARCHAR, VARCHAR, VARCHAR, VARCHAR", "VARCHAR"),
    ("tule_format_number", _format_number, "VARCHAR, VARCHAR", "VARCHAR"),
    ("tule_format_bytes", _format_bytes, "BLOB, VARCHAR", "VARCHAR"),
    ("tule_parse_bytes", _parse_bytes, "VARCHAR, VARCHAR", "BLOB"),
)
