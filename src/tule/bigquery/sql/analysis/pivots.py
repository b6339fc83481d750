"""PIVOT and UNPIVOT: the names and types of their columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlglot import exp

from tule.bigquery.sql.analysis.scopes import Columns, Scope, Source, wrong
from tule.bigquery.sql.kinds import STRING, Kind, NoSupertype, collates, common
from tule.kernel.errors import Unimplemented

if TYPE_CHECKING:
    from tule.bigquery.sql.analysis.walk import Walk


def pivoted(walk: Walk, pivot: Any, source: Source, scope: Scope) -> Source:
    """Rewrite a PIVOT or UNPIVOT on a source; the source that it makes."""
    alias = pivot.args.get("alias")
    name = alias.name if alias is not None else source.name
    if alias is None and name:
        pivot.set("alias", exp.TableAlias(this=exp.to_identifier(name, quoted=True)))
    if pivot.args.get("unpivot"):
        return Source(name, _unpivoted(pivot, source))
    return Source(name, _pivoted(walk, pivot, source))


def _pivoted(walk: Walk, pivot: Any, source: Source) -> Columns | None:
    inner = Scope(None, [Source("", source.columns)])
    used: set[str] = set()
    for column in pivot.find_all(exp.Column):
        used.add(column.name.lower())
    if len(pivot.args["fields"]) != 1 or not isinstance(pivot.args["fields"][0], exp.In):
        raise wrong("PIVOT must have one FOR ... IN (...)", pivot)
    field = pivot.args["fields"][0]
    aggregates: list[tuple[str, Kind | None]] = []
    for each in list(pivot.expressions):
        index = each.index
        body = each.this if isinstance(each, exp.Alias) else each
        kind = walk.expr(body, inner)
        current = pivot.expressions[index]
        aggregates.append((current.alias if isinstance(current, exp.Alias) else "", kind))
    if len(aggregates) > 1 and not all(name for name, _ in aggregates):
        raise wrong("PIVOT with several aggregates must name each with AS", pivot)
    kind = walk.expr(field.this, inner)
    if any(collates(each) for each in (kind, *(k for name, k in source.columns or () if name.lower() not in used))):
        raise Unimplemented(
            "Tule does not do PIVOT of columns that have a collation", do="take it off before: COLLATE(column, '')",
            reason="notImplemented", location="query",
        )  # fmt: skip
    values = []
    for each in field.expressions:
        if isinstance(each, exp.PivotAlias | exp.Alias):
            text = each.args["alias"].name
            value = each.this
        else:
            value, text = each, _value_name(each)
        values.append((value.copy(), text))
    made: Columns = [each for each in source.columns or () if each[0].lower() not in used]
    for _, text in values:
        for prefix, kind in aggregates:
            made.append((f"{prefix}_{text}" if prefix else text, kind))
    # The engine names columns VALUE or VALUE_AGGREGATE: say each value's name, and take the prefix to the front after.
    expressions = [exp.PivotAlias(this=value, alias=exp.to_identifier(text, quoted=True)) for value, text in values]
    field.set("expressions", expressions)
    _rename_prefixed(pivot, source, made, aggregates, values)
    return made if source.columns is not None else None


def _rename_prefixed(pivot: Any, source: Source, made: Columns, aggregates: Any, values: Any) -> None:
    """With named aggregates the engine answers ``value_prefix``; GoogleSQL says ``prefix_value``."""
    if not any(name for name, _ in aggregates):
        return
    owner = pivot.parent
    renamed = {}
    for _, text in values:
        for prefix, _ in aggregates:
            renamed[f"{text}_{prefix}"] = f"{prefix}_{text}"
    owner.meta["tule_pivot_names"] = renamed
    if source.columns is None:
        raise wrong("Tule does not do PIVOT with named aggregates over columns that it does not know", pivot)
    kept = [name for name, _ in made[: len(made) - len(renamed)]]
    items: list[Any] = [exp.column(exp.to_identifier(name, quoted=True)) for name in kept]
    items += [
        exp.alias_(exp.column(exp.to_identifier(old, quoted=True)), new, quoted=True) for old, new in renamed.items()
    ]
    alias = pivot.args.get("alias")
    copy = owner.copy()
    for each in copy.args.get("pivots") or []:
        each.set("alias", None)
    for key in ("joins",):
        copy.set(key, None)
    inner = exp.select(*items).from_(copy)
    name = alias.name if alias is not None else source.name
    subquery = exp.Subquery(this=inner)
    if name:
        subquery.set("alias", exp.TableAlias(this=exp.to_identifier(name, quoted=True)))
    if owner.args.get("joins"):
        subquery.set("joins", owner.args["joins"])
    owner.replace(subquery)


def _value_name(node: Any) -> str:
    """The column name that a value of IN makes."""
    inner = node
    while isinstance(inner, exp.Cast | exp.Paren):
        inner = inner.this
    if isinstance(inner, exp.Neg):
        return "minus" + _value_name(inner.this)
    if isinstance(inner, exp.Boolean):
        return "TRUE" if inner.this else "FALSE"
    if isinstance(inner, exp.Null):
        return "NULL"
    if isinstance(inner, exp.Literal):
        text = str(inner.meta.get("tule_written", inner.this))
        if not inner.is_string:
            return "_" + text.replace(".", "_point_")
        if isinstance(node, exp.Cast):
            return "_" + text.replace("-", "_")
        return text
    raise wrong("A value of PIVOT IN must be a constant or have an alias", node)


def _unpivoted(pivot: Any, source: Source) -> Columns | None:
    if len(pivot.expressions) != 1 or isinstance(pivot.expressions[0], exp.Tuple):
        raise wrong("Tule does not do UNPIVOT into several value columns", pivot)
    field = pivot.args["fields"][0]
    value, name = pivot.expressions[0].name, field.this.name
    chosen: list[str] = []
    for each in field.expressions:
        column = each.this if isinstance(each, exp.PivotAlias) else each
        chosen.append(column.name)
    if source.columns is None:
        return None
    known = {key.lower(): kind for key, kind in source.columns}
    for each in chosen:
        if each.lower() not in known:
            raise wrong(f"Column {each} of UNPIVOT is not in the table", pivot)
    try:
        kind = common([(known[each.lower()], False) for each in chosen])
    except NoSupertype:
        raise wrong("The datatype of all columns in an UNPIVOT must be the same", pivot) from None
    taken = {each.lower() for each in chosen}
    rest = [each for each in source.columns if each[0].lower() not in taken]
    return [*rest, (value, kind), (name, STRING)]
