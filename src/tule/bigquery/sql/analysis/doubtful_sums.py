"""SUM and AVG of FLOAT64, checked once where each term would have to be.

A product that overflows is infinite, and so is no sum of it a number: where the sum is one, no term has overflowed. Where
it is none, the terms may have been infinite before, so the statement fails with ``IN_DOUBT`` and is run again with every
term checked (``floats.checked``). A check of each term takes half as long as the sum. A sum of plain columns may be infinite
since one of them is; run again, it fails where none is.
"""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from tule.bigquery.sql.context import Context

IN_DOUBT = "a sum of FLOAT64 is no finite number"
# What keeps an infinite operand infinite, or makes NaN of it. A quotient of one may be a number again.
_KEEPING = (exp.Add, exp.Sub, exp.Mul, exp.Neg, exp.Paren)
# Where a sum is more than one value of its group.
_ELSEWHERE = (exp.Window, exp.Pivot, exp.Filter, exp.WithinGroup, exp.HavingMax)


class Detached(Exception):
    """A sum was rewritten meanwhile, so that its terms must be checked after all: compile without ``quick``."""


class DoubtfulSums:
    """Those of one statement."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._found: list[Any] = []

    def take(self, node: Any) -> bool:
        """Whether an arithmetic node needs no check of its own, since the sum around it is checked."""
        if not self._context.quick:
            return False
        at = node
        while isinstance(at.parent, _KEEPING):
            at = at.parent
        total = at.parent
        if not _is_sum(total) or not _is_plain(at):
            return False
        if any(isinstance(each, _ELSEWHERE) for each in (total.parent, *_ancestors(total, exp.Pivot))):
            return False
        if not any(each is total for each in self._found):
            self._found.append(total)
        return True

    def made(self, node: Any, made: Any) -> Any:
        """The engine's form of a call, checked where its terms are not; raises ``Detached``."""
        if not any(each is node for each in self._found):
            return made
        self._found = [each for each in self._found if each is not node]
        if not _is_sum(made):
            raise Detached
        return _checked(made)

    def whole(self, node: Any, made: Any, value: Any) -> Any:
        """A sum of FLOAT64 whose terms are no arithmetic: infinite only where one of them is."""
        if any(isinstance(each, _ELSEWHERE) for each in _ancestors(node, *_ELSEWHERE)) or not isinstance(
            made, exp.Anonymous
        ):
            return made
        return _checked(made) if self._context.quick else _refused(made, value)

    def close(self) -> None:
        """At the end of the statement; raises ``Detached``."""
        if self._found:
            raise Detached


def _is_sum(node: Any) -> bool:
    return isinstance(node, exp.Anonymous) and str(node.this).upper() in ("SUM", "AVG") and len(node.expressions) == 1


def _ancestors(node: Any, *kinds: type[Any]) -> Any:
    at = node.parent
    while at is not None:
        if not kinds or isinstance(at, kinds):
            yield at
        at = at.parent


def _is_plain(node: Any) -> bool:
    """Whether an expression is arithmetic of columns and numbers, which is the same each time it is computed."""
    if isinstance(node, _KEEPING):
        return all(_is_plain(each) for each in node.iter_expressions())
    if isinstance(node, exp.Cast) and not isinstance(node, exp.TryCast):
        return _is_plain(node.this)
    return isinstance(node, exp.Column | exp.Literal | exp.Identifier)


def _checked(total: Any) -> Any:
    # The engine computes once what a statement says twice.
    is_number = exp.Anonymous(this="isfinite", expressions=[total.copy()])
    failure = exp.Anonymous(this="tule_error", expressions=[exp.Literal.string(IN_DOUBT)])
    made = exp.Case(
        ifs=[
            exp.If(
                this=exp.Or(this=is_number, expression=exp.Is(this=total.copy(), expression=exp.Null())),
                true=total.copy(),
            )
        ],
        default=exp.Cast(this=failure, to=exp.DataType(this=exp.DataType.Type.DOUBLE)),
    )
    made.meta["tule_done"] = True
    return made


def _refused(total: Any, value: Any) -> Any:
    """A sum that is an error where it is infinite and no term is."""
    term = value.expressions[0] if isinstance(value, exp.Distinct) else value
    infinite = exp.Not(this=exp.Anonymous(this="isfinite", expressions=[term.copy()]))
    failure = exp.Anonymous(
        this="tule_error", expressions=[exp.Literal.string(f"double overflow: {str(total.this).upper()}")]
    )
    found = exp.Anonymous(this="bool_or", expressions=[infinite])
    number = exp.Anonymous(this="isfinite", expressions=[total.copy()])
    made = exp.Case(default=exp.Cast(this=failure, to=exp.DataType(this=exp.DataType.Type.DOUBLE)))
    for holds in (number, exp.Is(this=total.copy(), expression=exp.Null()), found):
        made = made.when(holds, total.copy(), copy=False)
    made.meta["tule_done"] = True
    return made


__all__ = ["IN_DOUBT", "Detached", "DoubtfulSums"]
