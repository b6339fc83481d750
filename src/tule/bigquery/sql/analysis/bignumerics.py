"""BIGNUMERIC: the engine keeps a whole number of 1e-38, so that each conversion and operator has a form of its own.

See docs/decisions/0033-bignumeric-as-whole-numbers.md.
"""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from tule.bigquery.sql.kinds import BIGNUMERIC, FLOAT64, Kind, engine_type
from tule.kernel.errors import Unimplemented

_FROM = {
    "INT64": "tule_bignumeric_of_int64",
    "NUMERIC": "tule_bignumeric_of_numeric",
    "FLOAT64": "tule_bignumeric_of_double",
    "STRING": "tule_bignumeric_of_text",
}
_TO = {
    "INT64": "tule_int64_of_bignumeric",
    "NUMERIC": "tule_numeric_of_bignumeric",
    "FLOAT64": "tule_double_of_bignumeric",
    "STRING": "tule_text_of_bignumeric",
}
_OPERATORS: dict[type[Any], str] = {
    exp.Add: "tule_bignumeric_plus",
    exp.Sub: "tule_bignumeric_minus",
    exp.Mul: "tule_bignumeric_times",
    exp.Div: "tule_bignumeric_divided",
}


def _call(name: str, *arguments: Any) -> Any:
    from tule.bigquery.sql.analysis.calls import engine_call

    return engine_call(name, *arguments)


def converted(node: Any, given: Kind | None, wanted: Kind) -> Any:
    """A number or text as a BIGNUMERIC, or a BIGNUMERIC as another type."""
    if given is None:
        raise Unimplemented(
            "Tule does not make a BIGNUMERIC of a value whose type it does not know", given=node.sql("bigquery")[:80],
            do="cast the value to NUMERIC or STRING first", reason="notImplemented", location="query",
        )  # fmt: skip
    if given == wanted:
        return node
    if wanted == BIGNUMERIC:
        if given == FLOAT64 and (written := _as_written(node)) is not None:
            return _call(_FROM["STRING"], exp.Literal.string(written))
        return _call(_FROM[given.name], node)
    return _call(_TO[wanted.name], node)


def _as_written(node: Any) -> str | None:
    """The text of a constant, None for what is none."""
    sign, inner = "", node
    while isinstance(inner, exp.Neg | exp.Paren):
        if isinstance(inner, exp.Neg):
            sign = "" if sign else "-"
        inner = inner.this
    if not isinstance(inner, exp.Literal) or inner.is_string:
        return None
    return sign + str(inner.meta.get("tule_written", inner.this))


def computed(node: Any) -> Any:
    """``a + b`` and the like of two BIGNUMERICs."""
    return _call(_OPERATORS[type(node)], node.this, node.expression)


def zero() -> Any:
    made = exp.Cast(this=exp.Literal.string("0"), to=engine_type(BIGNUMERIC))
    made.meta["tule_done"] = True
    return made


__all__ = ["computed", "converted", "zero"]
