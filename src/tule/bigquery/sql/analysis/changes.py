"""INSERT, UPDATE, DELETE and MERGE: what they read and what they write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlglot import exp

from tule.bigquery.sql.analysis import writes
from tule.bigquery.sql.analysis.scopes import PSEUDO, Columns, Scope, Source, unrecognized, wrong
from tule.bigquery.sql.kinds import NULL, STRING, Kind
from tule.bigquery.types import Field

if TYPE_CHECKING:
    from tule.bigquery.sql.analysis.walk import Walk


def _targets(walk: Walk, node: Any) -> Scope:
    scope = Scope()
    walk._source(node, scope)
    return scope


def _condition(walk: Walk, tree: Any, scope: Scope) -> None:
    if (where := tree.args.get("where")) is None:
        word = type(tree).__name__.upper()
        raise wrong(f"{word} must have a WHERE clause")
    walk.expr(where.this, scope)


def insert(walk: Walk, tree: Any) -> None:
    target = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
    columns = walk._known(target)
    added: list[Field] = []
    if columns is not None:
        added = writes.with_defaults(tree, target)
    names = [each.name for each in tree.this.expressions] if isinstance(tree.this, exp.Schema) else None
    kinds = _insert_kinds(columns, names, tree)
    source = tree.expression
    if isinstance(source, exp.Values):
        for row in source.expressions:
            values = row.expressions if isinstance(row, exp.Tuple) else [row]
            if kinds is not None and len(values) != len(kinds):
                raise wrong(f"Inserted row has wrong column count; Has {len(values)}, expected {len(kinds)}", row)
            for index, value in enumerate(list(values)):
                if isinstance(value, exp.Var) and value.name.upper() == "DEFAULT":
                    continue
                assigned(walk, value, Scope(), kinds[index] if kinds is not None else ("", None))
        return
    made = walk.query(source, None)
    if made is not None and kinds is not None and len(made) != len(kinds):
        raise wrong(f"Inserted row has wrong column count; Has {len(made)}, expected {len(kinds)}", source)
    if made is not None and kinds is not None:
        for (_, given), (name, wanted) in zip(made, kinds, strict=True):
            _check_assignable(name, given, wanted, source)
        writes.converted(walk, tree, made, kinds, added)


def _insert_kinds(columns: Columns | None, names: list[str] | None, tree: Any) -> Columns | None:
    if columns is None:
        return None
    if names is None:
        return [each for each in columns if each[0] not in PSEUDO]
    found = []
    for index, name in enumerate(names):
        hit = next((each for each in columns if each[0].lower() == name.lower()), None)
        if hit is None:
            raise wrong(f"Column {name} is not present in the target table", tree.this.expressions[index])
        found.append(hit)
    return found


def assigned(walk: Walk, value: Any, scope: Scope, wanted: tuple[str, Kind | None]) -> None:
    from tule.bigquery.sql.analysis.expressions import coerced, is_literal

    literal = is_literal(value)
    holder = value.parent
    key, index = value.arg_key, value.index
    kind = walk.expr(value, scope)
    _check_assignable(wanted[0], kind, wanted[1], holder, literal=literal)
    current = holder.args[key][index] if index is not None else holder.args[key]
    made = coerced(current, kind, wanted[1])
    if wanted[1] is not None and wanted[1].name == "ARRAY":
        made = writes.whole(made, wanted[1])
    if made is not current:
        holder.set(key, made, index)


def delete(walk: Walk, tree: Any) -> None:
    _condition(walk, tree, _targets(walk, tree.this))


def update(walk: Walk, tree: Any) -> None:
    scope = _targets(walk, tree.this)
    target = scope.sources[0]
    source = tree.args.get("from_")
    if source is not None:
        scope.qualify = True
        walk._source(source.this, scope)
    _sets(walk, tree.expressions, scope, target, tree)
    _condition(walk, tree, scope)
    if source is not None:
        _update_by_merge(tree, scope.sources[1:])


def _update_by_merge(tree: Any, sources: list[Source]) -> None:
    """UPDATE ... FROM fails where two rows of FROM are for one of the table, which the engine's MERGE sees to."""
    source = tree.args["from_"].this
    if len(sources) > 1:
        # Each row of FROM as one value a source: names with their source in front mean the same.
        names = [exp.column(exp.to_identifier(each.name, quoted=True)) for each in sources]
        inner = exp.select(*names).from_(source.copy())
        alias = exp.TableAlias(this=exp.to_identifier("_tule_from", quoted=True))
        source = exp.Subquery(this=inner, alias=alias)
    update = exp.Update(expressions=[each.copy() for each in tree.expressions])
    merge = exp.Merge(
        this=tree.this.copy(),
        using=source.copy(),
        on=tree.args["where"].this.copy(),
        whens=exp.Whens(expressions=[exp.When(matched=True, source=False, then=update)]),
    )
    tree.replace(merge)


def _sets(walk: Walk, items: list[Any], scope: Scope, target: Source, tree: Any) -> None:
    from tule.bigquery.sql.analysis.assignments import nested_assignments

    nested_assignments(items, target)
    writes.set_defaults(items, tree.this)
    for each in items:
        name = each.this.name
        hit, kind = target.find(name.lower())
        if not hit and target.columns is not None:
            raise unrecognized(name, each.this, Scope(None, [target]))
        each.this.set("table", None)
        if isinstance(each.expression, exp.Var) and each.expression.name.upper() == "DEFAULT":
            continue
        assigned(walk, each.expression, scope, (name, kind))


def merge(walk: Walk, tree: Any) -> None:
    scope = _targets(walk, tree.this)
    target = scope.sources[0]
    walk._source(tree.args["using"], scope)
    using = scope.sources[1:]
    walk.expr(tree.args["on"], scope)
    target_scope, source_scope = Scope(None, [target]), Scope(None, using)
    for when in tree.args["whens"].expressions:
        inner = scope
        if not when.args.get("matched"):
            inner = target_scope if when.args.get("source") else source_scope
        if (condition := when.args.get("condition")) is not None:
            walk.expr(condition, inner)
        then = when.args["then"]
        if isinstance(then, exp.Update):
            _sets(walk, then.expressions, inner, target, tree)
        elif isinstance(then, exp.Insert):
            _merge_insert(walk, then, source_scope, target, using, tree.this)


def _merge_insert(walk: Walk, then: Any, scope: Scope, target: Source, using: list[Source], table: Any) -> None:
    row = isinstance(then.this, exp.Var) and then.this.name.upper() == "ROW"
    columns = target.columns
    if row:
        # INSERT ROW takes the columns of the source by name.
        if columns is None or any(source.columns is None for source in using):
            raise wrong("INSERT ROW needs known columns")
        given = [name for source in using for name, _ in source.columns or ()]
        names = [name for name, _ in columns]
        if len(given) < len(names):
            raise wrong(f"Inserted row has wrong column count; Has {len(given)}, expected {len(names)}")
        by_name = {name.lower() for name in given}
        for name in names:
            if name.lower() not in by_name:
                raise wrong(f"INSERT ROW needs the column {name} in the source of the MERGE")
        values = [exp.column(exp.to_identifier(name, quoted=True), using[0].name, quoted=True) for name in names]
        then.set("this", exp.Tuple(expressions=[exp.column(exp.to_identifier(name, quoted=True)) for name in names]))
        then.set("expression", exp.Tuple(expressions=values))
    writes.merge_defaults(then, table)
    named = then.this.expressions if isinstance(then.this, exp.Tuple) else []
    wanted: Columns | None = columns
    if named:
        wanted = []
        for each in named:
            hit, kind = target.find(each.name.lower())
            if not hit and columns is not None:
                raise wrong(f"Column {each.name} is not present in the target table", each)
            wanted.append((each.name, kind))
    values = then.expression.expressions if isinstance(then.expression, exp.Tuple) else [then.expression]
    if wanted is not None and len(values) != len(wanted):
        raise wrong(f"Inserted row has wrong column count; Has {len(values)}, expected {len(wanted)}")
    for index, value in enumerate(list(values)):
        if isinstance(value, exp.Var) and value.name.upper() == "DEFAULT":
            continue
        assigned(walk, value, scope, wanted[index] if wanted is not None else ("", None))


def _check_assignable(name: str, given: Kind | None, wanted: Kind | None, node: Any, *, literal: bool = False) -> None:
    from tule.bigquery.sql.kinds import fits

    if given is None or wanted is None or given == NULL:
        return
    if wanted.name in ("ARRAY", "JSON", "GEOGRAPHY") and given.name == wanted.name:
        return
    if fits(given, wanted, literal=literal) is None and not (given == STRING and literal and wanted.name == "JSON"):
        raise wrong(
            f"Value has type {given} which cannot be inserted into column {name}, which has type {wanted}", node
        )
