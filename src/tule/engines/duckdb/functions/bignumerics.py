"""BIGNUMERIC arithmetic on whole numbers of 1e-38, in Python: the engine adds such numbers, and no more.

Results are rounded half away from zero, as BigQuery does; beyond 2^255 units there is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Context, Decimal, InvalidOperation
from typing import Any

import pyarrow as pa

from tule.engines.duckdb.values import bignum_column, bignums

ONE = 10**38
_LIMIT = 2**255
_WIDE = Context(prec=120)
_ROUNDINGS = ("ROUND_HALF_AWAY_FROM_ZERO", "ROUND_HALF_EVEN")


def written(units: int) -> str:
    """The number as CAST(x AS STRING) writes it.

    >>> written(15 * 10**37), written(-ONE)
    ('1.5', '-1')
    """
    whole, fraction = divmod(abs(units), ONE)
    text = f"{whole}.{fraction:038d}".rstrip("0").rstrip(".")
    return f"-{text}" if units < 0 else text


def _quotient(a: int, b: int) -> int:
    """a / b, rounded half away from zero."""
    found = (2 * abs(a) + abs(b)) // (2 * abs(b))
    return found if (a < 0) == (b < 0) else -found


def _within(units: int, what: Callable[[], str]) -> int:
    if not -_LIMIT <= units < _LIMIT:
        raise ValueError(f"tule: BIGNUMERIC overflow: {what()}")
    return units


def _two(symbol: str, compute: Callable[[int, int], int]) -> Callable[[int, int], int]:
    return lambda a, b: _within(compute(a, b), lambda: f"{written(a)} {symbol} {written(b)}")


def _divided(a: int, b: int) -> int:
    if b == 0:
        raise ValueError(f"tule: division by zero: {written(a)} / 0")
    return _quotient(a * ONE, b)


def _whole_quotient(a: int, b: int) -> int:
    if b == 0:
        raise ValueError(f"tule: division by zero: DIV({written(a)}, 0)")
    found = abs(a) // abs(b)
    return _within((found if (a < 0) == (b < 0) else -found) * ONE, lambda: f"DIV({written(a)}, {written(b)})")


def _remainder(a: int, b: int) -> int:
    if b == 0:
        raise ValueError(f"tule: division by zero: MOD({written(a)}, 0)")
    return abs(a) % abs(b) * (-1 if a < 0 else 1)


def _rounded(units: int, digits: int, mode: str) -> int:
    if digits >= 38:
        return units
    step = 10 ** (38 - max(digits, -39))
    if mode == "TRUNC":
        made = abs(units) // step
    elif mode == "ROUND_HALF_EVEN":
        made, rest = divmod(abs(units), step)
        made += rest * 2 > step or (rest * 2 == step and made % 2 == 1)
    else:
        made = (2 * abs(units) + step) // (2 * step)
    return _within(made * step * (-1 if units < 0 else 1), lambda: f"ROUND({written(units)}, {digits})")


def _floor(units: int) -> int:
    return _within(units // ONE * ONE, lambda: f"FLOOR({written(units)})")


def _ceiling(units: int) -> int:
    return _within(-(-units // ONE) * ONE, lambda: f"CEIL({written(units)})")


def of_decimal(number: Decimal, what: str) -> int:
    """The units of a decimal number; raises ValueError beyond the range."""
    if not number.is_finite():
        raise ValueError(f"tule: Invalid BIGNUMERIC value: {what}")
    if number.adjusted() > 40:
        raise ValueError(f"tule: Invalid BIGNUMERIC value: {what}")
    sign, digits, exponent = number.as_tuple()
    value = int("".join(map(str, digits)) or "0")
    shift = int(exponent) + 38
    units = value * 10**shift if shift >= 0 else _quotient(value, 10 ** min(-shift, 4000))
    if not -_LIMIT <= (-units if sign else units) < _LIMIT:
        raise ValueError(f"tule: Invalid BIGNUMERIC value: {what}")
    return -units if sign else units


def of_text(text: str) -> int:
    """The units of a number as CAST reads it."""
    bare = text.strip()
    try:
        if "_" in bare or not bare.isascii():
            raise InvalidOperation
        return of_decimal(Decimal(bare), text)
    except InvalidOperation:
        raise ValueError(f"tule: Invalid BIGNUMERIC value: {text}") from None


def _of_double(value: float) -> int:
    return of_decimal(Decimal(value) if value == value and abs(value) != float("inf") else Decimal("NaN"), repr(value))


def _parsed(text: str) -> int:
    """PARSE_BIGNUMERIC: commas between digits, and the sign on either side."""
    import re

    bare = re.sub(r"(?<=\d),", "", text.strip())
    bare = re.sub(r"^([-+])\s+", r"\1", bare)
    if found := re.fullmatch(r"(.*\S)\s*([-+])", bare):
        bare = found[2] + found[1]
    try:
        return of_text(bare)
    except ValueError:
        raise ValueError(f"tule: Invalid input to PARSE_BIGNUMERIC: {text}") from None


def _powers(name: str, compute: Callable[..., Decimal]) -> Callable[..., int]:
    def build(*units: int) -> int:
        numbers = [Decimal(each).scaleb(-38, context=_WIDE) for each in units]
        shown = ", ".join(map(written, units))
        try:
            return of_decimal(compute(*numbers), shown)
        except (InvalidOperation, ArithmeticError, ValueError):
            raise ValueError(f"tule: Floating point error in function: {name}({shown})") from None

    return build


def _logarithm(number: Decimal, base: Decimal | None = None) -> Decimal:
    found = number.ln(context=_WIDE)
    return found if base is None else _WIDE.divide(found, base.ln(context=_WIDE))


def register(connection: Any) -> None:
    """Make the functions known to a DuckDB instance."""
    from duckdb.sqltypes import BIGINT, DOUBLE, VARCHAR

    big = connection.type("BIGNUM")

    def add(name: str, function: Callable[..., Any], takes: Sequence[Any]) -> None:
        connection.create_function(
            name, _columns(function, [each is big for each in takes]), list(takes), big, type="arrow",
            null_handling="special", side_effects=False,
        )  # fmt: skip

    add("tule_bignumeric_times", _two("*", lambda a, b: _quotient(a * b, ONE)), [big, big])
    add("tule_bignumeric_divided", _two("/", _divided), [big, big])
    add("tule_bignumeric_plus", _two("+", lambda a, b: a + b), [big, big])
    add("tule_bignumeric_minus", _two("-", lambda a, b: a - b), [big, big])
    add("tule_bignumeric_div", _whole_quotient, [big, big])
    add("tule_bignumeric_mod", _remainder, [big, big])
    add("tule_bignumeric_mean", lambda total, count: _quotient(total, count), [big, BIGINT])
    add("tule_bignumeric_round", _rounded, [big, BIGINT, VARCHAR])
    add("tule_bignumeric_floor", _floor, [big])
    add("tule_bignumeric_ceil", _ceiling, [big])
    add("tule_bignumeric_of_text", of_text, [VARCHAR])
    add("tule_bignumeric_of_double", _of_double, [DOUBLE])
    add("tule_parse_bignumeric", _parsed, [VARCHAR])
    add("tule_bignumeric_sqrt", _powers("SQRT", lambda x: x.sqrt(context=_WIDE)), [big])
    add("tule_bignumeric_exp", _powers("EXP", lambda x: x.exp(context=_WIDE)), [big])
    add("tule_bignumeric_ln", _powers("LN", _logarithm), [big])
    add("tule_bignumeric_log", _powers("LOG", _logarithm), [big, big])
    add("tule_bignumeric_log10", _powers("LOG10", lambda x: x.log10(context=_WIDE)), [big])
    add("tule_bignumeric_pow", _powers("POW", _WIDE.power), [big, big])


def _columns(function: Callable[..., int], big: Sequence[bool]) -> Callable[..., pa.Array]:
    """A function of whole columns; the engine reads the number of its parameters off it."""

    def column(given: Sequence[Any]) -> pa.Array:
        lists = [bignums(each) if wide else each.to_pylist() for each, wide in zip(given, big, strict=True)]
        return bignum_column([None if None in row else function(*row) for row in zip(*lists, strict=True)])

    forms: dict[int, Callable[..., pa.Array]] = {
        1: lambda a: column((a,)),
        2: lambda a, b: column((a, b)),
        3: lambda a, b, c: column((a, b, c)),
    }
    return forms[len(big)]


__all__ = ["of_decimal", "of_text", "register", "written"]
