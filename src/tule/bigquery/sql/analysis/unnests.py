"""UNNEST in FROM: a lateral query whose offset counts from 0 and whose rows keep their order.

https://cloud.google.com/bigquery/docs/reference/standard-sql/query-syntax#unnest_operator
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from tule.bigquery.sql.analysis.scopes import Columns, Scope, Source, wrong
from tule.bigquery.sql.kinds import INT64, Kind

if TYPE_CHECKING:
    from tule.bigquery.sql.analysis.walk import Walk

UNNAMED = "_tule_element"
_MODES = ("PAD", "STRICT", "TRUNCATE")


def unnested(walk: Walk, node: Any, scope: Scope, number: int) -> None:
    """Replace an UNNEST; ``number``: how many there were before in the statement."""
    arrays, mode = _arrays(node)
    kinds = []
    with scope.qualified():
        # The engine would take an unqualified name for that of the element itself: UNNEST(z) AS z.
        for holder in arrays:
            kind = walk.expr(holder.this, scope)
            if kind is not None and kind.name not in ("ARRAY", "NULL"):
                raise wrong(
                    f"Values referenced in UNNEST must be arrays. UNNEST contains expression of type {kind}", node
                )
            kinds.append(kind.element if kind is not None else None)
    source, items = _columns(node, arrays, kinds, mode)
    table = f"_tule_unnest_{number}"
    source.name = table
    made = exp.Subquery(this=exp.select(*items), alias=exp.TableAlias(this=exp.to_identifier(table, quoted=True)))
    made.meta["tule_lateral"] = True
    if joins := node.args.get("joins"):
        made.set("joins", joins)
    node.replace(made)
    scope.sources.append(source)


def _arrays(node: Any) -> tuple[list[Any], str]:
    """The arrays, each in an Alias ("" where it has no name), and how they are matched."""
    mode, arrays = "PAD", []
    for each in node.expressions:
        if not isinstance(each, exp.Kwarg):
            held = each if isinstance(each, exp.Alias) else exp.Alias(this=each, alias=exp.to_identifier(""))
            arrays.append(held)
            continue
        value = each.expression
        if each.this.name.lower() != "mode" or not isinstance(value, exp.Literal):
            raise wrong("UNNEST takes no named argument but mode => 'PAD', 'STRICT' or 'TRUNCATE'", each)
        mode = str(value.this).upper()
    if mode not in _MODES:
        raise wrong(f"Unrecognized mode of UNNEST: {mode}; it is PAD, STRICT or TRUNCATE", node)
    if not arrays:
        raise wrong("UNNEST must have an array", node)
    node.set("expressions", arrays)
    alias = node.args.get("alias")
    if len(arrays) > 1 and alias is not None:
        raise wrong(
            "UNNEST of several arrays must not have an alias: name each array, as in UNNEST(a AS x, b AS y)", node
        )
    return arrays, mode


def _columns(node: Any, arrays: list[Any], kinds: list[Kind | None], mode: str) -> tuple[Source, list[Any]]:
    from tule.bigquery.sql.analysis.calls import engine_call

    names = [each.alias for each in arrays]
    if (alias := node.args.get("alias")) is not None:
        names[0] = alias.columns[0].name if alias.columns else alias.name
    given = names[0] if len(arrays) == 1 else ""
    places = itertools.count(1)
    # Columns without a name do not clash.
    shown = [name or (UNNAMED if len(arrays) == 1 else f"{UNNAMED}_{next(places)}") for name in names]
    values = [each.this.copy() for each in arrays]
    lengths = [engine_call("coalesce", engine_call("len", each.copy()), exp.Literal.number(0)) for each in values]
    if len(values) > 1 and mode == "TRUNCATE":
        least = engine_call("least", *(each.copy() for each in lengths))
        values = [engine_call("list_slice", each, exp.Literal.number(1), least.copy()) for each in values]
        lengths = [least]
    elif len(values) > 1 and mode == "STRICT":
        values[0] = engine_call(
            "tule_equally_long", values[0], exp.Array(expressions=[each.copy() for each in lengths])
        )
    items: list[Any] = [
        exp.alias_(engine_call("unnest", value), name, quoted=True) for name, value in zip(shown, values, strict=True)
    ]
    columns: Columns = list(zip(shown, kinds, strict=True))
    if offset := node.args.get("offset"):
        name = offset.name if isinstance(offset, exp.Identifier) else "offset"
        longest = engine_call("greatest", *lengths) if len(lengths) > 1 else engine_call("len", values[0].copy())
        items.append(exp.alias_(engine_call("unnest", engine_call("range", longest)), name, quoted=True))
        columns.append((name, INT64))
    elements = frozenset(each.lower() for each, _ in columns if not each.startswith(UNNAMED))
    # Without a name the elements of one array are f0_, or their fields.
    value = (names[0] or UNNAMED) if len(arrays) == 1 else ""
    return Source(given, columns, value=value, elements=elements), items


__all__ = ["UNNAMED", "unnested"]
