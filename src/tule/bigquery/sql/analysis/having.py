"""``f(x HAVING MAX y)``: an aggregate over the rows of a group of which y is the largest.

The group becomes a list of what the aggregate reads, the list is cut down, and the aggregate goes over it.
https://cloud.google.com/bigquery/docs/reference/standard-sql/aggregate-function-calls
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlglot import exp

if TYPE_CHECKING:
    from tule.bigquery.sql.analysis.calls import Call

_ROW = "tule_row"
# What the engine does over a list, and takes no more than one value of each row for.
_OVER_LISTS = frozenset(
    {"any_value", "avg", "bit_and", "bit_or", "bit_xor", "bool_and", "bool_or", "count", "list", "max", "min", "stddev_pop",
     "stddev_samp", "string_agg", "sum", "var_pop", "var_samp"}
)  # fmt: skip


def restricted(call: Call, name: str, value: Any, rest: list[Any], condition: Any, order: list[Any]) -> Any:
    from tule.bigquery.sql.analysis.calls import engine_call

    if name not in _OVER_LISTS:
        raise call.refuse(f"HAVING MAX and HAVING MIN in {call.function.name}", do="use MAX_BY or a window function")
    if isinstance(value, exp.Star):
        raise call.wrong("HAVING MAX and HAVING MIN cannot be used with COUNT(*)")
    fields = {"v": value, "k": call.having.expression}
    if condition is not None:
        fields["c"] = condition
    row = exp.Struct(
        expressions=[
            exp.PropertyEQ(this=exp.to_identifier(key, quoted=True), expression=each.copy())
            for key, each in fields.items()
        ]
    )
    row.meta["tule_done"] = True
    held: Any = exp.Order(this=row, expressions=order) if order else row
    rows = call.over(engine_call("list", held))
    rows = engine_call("tule_of_largest" if call.having.args.get("max") else "tule_of_smallest", rows)
    if condition is not None:
        rows = engine_call("list_filter", rows, _of_row("c"))
    values = engine_call("list_transform", rows, _of_row("v"))
    if call.distinct:
        values = engine_call("list_distinct", values)
    if name == "list":
        return engine_call("nullif", values, _empty()) if condition is not None else values
    made = engine_call("list_aggregate", values, exp.Literal.string(name), *rest)
    return engine_call("coalesce", made, exp.Literal.number(0)) if name == "count" else made


def _of_row(field: str) -> Any:
    row = exp.to_identifier(_ROW)
    made = exp.Lambda(this=exp.Dot(this=row.copy(), expression=exp.to_identifier(field)), expressions=[row])
    made.meta["tule_done"] = True
    return made


def _empty() -> Any:
    made = exp.Array(expressions=[])
    made.meta["tule_done"] = True
    return made


__all__ = ["restricted"]
