"""The arguments of a call ``ML.F(MODEL m, {TABLE t | (query)}, STRUCT(value AS key, ...))`` as plain values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from tule.bigquery.ml import nodes
from tule.bigquery.ml.functions import Function
from tule.bigquery.ml.functions.function import ARRAY, DATA, MODEL, STRUCT
from tule.bigquery.model_statements import reference
from tule.bigquery.references import ModelReference
from tule.bigquery.sql.context import Context
from tule.bigquery.sql.names import full_name
from tule.bigquery.sql.parse import ModelRef, TableRef, printed
from tule.bigquery.sql.statements import value
from tule.kernel.errors import InvalidArgument

_WORDS = {
    MODEL: "MODEL name",
    DATA: "TABLE name or (query)",
    ARRAY: "an array of thresholds",
    STRUCT: "STRUCT(value AS key, ...)",
}
_MOST_THRESHOLDS = 100_000


@dataclass(frozen=True)
class Arguments:
    """``data`` is a query in the tree of the call, to be moved or copied; ``values`` the STRUCT as written."""

    model: ModelReference
    data: exp.Expression | None
    values: Mapping[str, Any]
    array: list[float] | None


def read_arguments(call: exp.Expression, function: Function, context: Context) -> Arguments:
    """Check the form of a call; InvalidArgument says what the function takes and what stands there instead."""
    written = list(call.this.expressions)
    found: dict[str, Any] = {}
    left = list(function.order)
    for node in written:
        kind = _kind(node)
        if kind is None or kind not in left or (MODEL in left and kind != MODEL):
            raise _form(function, given=printed(node))
        # What is left out must come before: the order of arguments is part of the function.
        del left[: left.index(kind) + 1]
        found[kind] = node
    if MODEL not in found:
        raise _form(function, given=printed(written[0]) if written else "no argument")
    if DATA in found and function.data == "none":
        raise _form(function, given=printed(found[DATA]))
    if DATA not in found and function.data == "required":
        raise _form(function, given="no rows to read")
    model = _model(found[MODEL], context)
    array = _numbers(found[ARRAY], function, context) if ARRAY in found else None
    return Arguments(
        model,
        query_of(found[DATA]) if DATA in found else None,
        structure(found.get(STRUCT), function.name, function.arguments, context),
        array,
    )


def model_of(call: exp.Expression, function: Function, context: Context) -> ModelReference:
    """The model that a call names first."""
    written = list(call.this.expressions)
    if not written or _kind(written[0]) != MODEL:
        raise _form(function, given=printed(written[0]) if written else "no argument")
    return _model(written[0], context)


def _model(node: Any, context: Context) -> ModelReference:
    return reference(full_name(node.this, context.project, context.dataset))


def _kind(node: Any) -> str | None:
    match node:
        case ModelRef():
            return MODEL
        case TableRef() | exp.Subquery():
            return DATA
        case exp.Struct():
            return STRUCT
        case exp.Cast() if isinstance(node.this, exp.Struct):
            return STRUCT
        case exp.Array():
            return ARRAY
    return ARRAY if _range(node) is not None else None


def _range(node: Any) -> list[Any] | None:
    """The arguments of GENERATE_ARRAY, None for any other node."""
    if isinstance(node, exp.GenerateSeries):
        return [node.args[name] for name in ("start", "end", "step") if node.args.get(name) is not None]
    if isinstance(node, exp.Anonymous) and node.name.upper() == "GENERATE_ARRAY":
        return list(node.expressions)
    return None


def _form(function: Function, given: str) -> InvalidArgument:
    needed = [
        f"[{_WORDS[kind]}]"
        if kind in (ARRAY, STRUCT) or (kind == DATA and function.data == "optional")
        else _WORDS[kind]
        for kind in function.order
        if not (kind == DATA and function.data == "none")
    ]
    return InvalidArgument(
        f"ML.{function.name} takes {', '.join(needed)}, in this order",
        given=given if len(given) <= 100 else f"{given[:97]}...",
        do="put a query in parentheses and TABLE before a name" if function.data != "none" else "leave the rest out",
        reason="invalidQuery",
        location="query",
    )


def query_of(node: Any) -> exp.Expression:
    """The query that an argument ``TABLE name`` or ``(query)`` stands for, in the tree of the call."""
    if isinstance(node, TableRef):
        return nodes.select([exp.Star()], node.this)
    found: exp.Expression = node.unnest()
    return found


def structure(node: Any, function: str, keys: Iterable[str], context: Context) -> dict[str, Any]:
    """The values of ``STRUCT(value AS key, ...)`` as written; of no node, none."""
    if node is None:
        return {}
    names: list[str | None] = []
    if isinstance(node, exp.Cast):
        names = [each.name for each in node.to.expressions if isinstance(each, exp.ColumnDef)]
        node = node.this
    found: dict[str, Any] = {}
    for at, each in enumerate(node.expressions):
        if isinstance(each, exp.PropertyEQ):
            name, inner = each.this.name, each.expression
        elif isinstance(each, exp.Alias):
            name, inner = each.alias, each.this
        elif at < len(names) and names[at]:
            name, inner = names[at], each
        else:
            raise InvalidArgument(
                f"Each value in the STRUCT of ML.{function} needs a name", given=printed(each),
                do="write value AS " + (" or ".join(keys) or "key"), reason="invalidQuery", location="query",
            )  # fmt: skip
        if name.lower() in (known.lower() for known in found):
            raise InvalidArgument(f"Duplicate argument: {name}", reason="invalidQuery", location="query")
        found[name] = constant(inner, context, f"The argument {name} of ML.{function}")
    return found


def constant(node: Any, context: Context, what: str) -> Any:
    """A constant or a query parameter as a Python value."""
    if isinstance(node, exp.Cast) and not isinstance(node.this, exp.Struct):
        return constant(node.this, context, what)
    if isinstance(node, exp.Parameter):
        name = node.this.name.lower()
        found = next((each for each in context.parameters if each.lower() == name), None)
        if found is None:
            raise InvalidArgument(
                f"Query parameter '{node.this.name}' not found", reason="invalidQuery", location="query"
            )
        return context.parameters[found].value
    if isinstance(node, exp.Placeholder):
        from tule.bigquery.sql.parse import POSITION

        position = node.meta.get(POSITION, 0)
        if str(position) not in context.parameters:
            raise InvalidArgument(
                f"Query parameter number {position + 1} not found", reason="invalidQuery", location="query"
            )
        return context.parameters[str(position)].value
    try:
        return value(node)
    except InvalidArgument:
        raise InvalidArgument(
            f"{what} must be a constant", given=printed(node), do="write a literal or a query parameter",
            reason="invalidQuery", location="query",
        ) from None  # fmt: skip


def _numbers(node: Any, function: Function, context: Context) -> list[float]:
    """The numbers of ``[a, b, ...]`` or ``GENERATE_ARRAY(first, last [, step])``."""
    what = f"Each number in the array of ML.{function.name}"
    bounds = _range(node)
    if bounds is not None:
        if len(bounds) not in (2, 3):
            raise _not_numbers(function, printed(node))
        first, last, step = (*(constant(each, context, what) for each in bounds), 1)[:3]
        if not all(_is_number(each) for each in (first, last, step)) or step == 0:
            raise _not_numbers(function, printed(node))
        count = math.floor((last - first) / step + 1e-9) + 1
        if count > _MOST_THRESHOLDS:
            raise _not_numbers(function, f"{count} numbers")
        return [float(first + at * step) for at in range(max(0, count))]
    found = [constant(each, context, what) for each in node.expressions]
    if not all(_is_number(each) for each in found) or len(found) > _MOST_THRESHOLDS:
        raise _not_numbers(function, printed(node))
    return [float(each) for each in found]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _not_numbers(function: Function, given: str) -> InvalidArgument:
    return InvalidArgument(
        f"The array of ML.{function.name} must hold numbers, at most {_MOST_THRESHOLDS:,}", given=given[:100],
        do="use GENERATE_ARRAY(0.4, 0.6, 0.01) or [0.1, 0.5]", reason="invalidQuery", location="query",
    )  # fmt: skip
