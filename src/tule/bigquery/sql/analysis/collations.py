"""Texts with a collation: compared, grouped and ordered by keys instead of by themselves.

The key of a text is the engine's (``tule_collation_key``): equal for texts that the collation takes for the same, and in its
order. What searches in texts folds both instead (``tule_collation_fold``). Types carry the collation (``Kind.collation``).
https://cloud.google.com/bigquery/docs/reference/standard-sql/collation-concepts
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from tule.bigquery.sql.analysis.scopes import Columns, Scope, Source, wrong
from tule.bigquery.sql.kinds import Kind, collated, collates
from tule.kernel.errors import Unimplemented

if TYPE_CHECKING:
    from tule.bigquery.sql.analysis.calls import Call
    from tule.bigquery.sql.analysis.walk import Walk

AGGREGATE = "tule_aggregate"
"""Meta of an aggregate's engine form: what is inside of it is of rows, not of groups."""
_ROWS, _OTHERS = "_tule_rows", "_tule_others"
_PROPAGATING = frozenset(
    [
        "AEAD.DECRYPT_STRING",
        "ANY_VALUE",
        "ARRAY_AGG",
        "ARRAY_FIRST",
        "ARRAY_LAST",
        "ARRAY_SLICE",
        "ARRAY_TO_STRING",
        "CONCAT",
        "FORMAT",
        "FORMAT_DATE",
        "FORMAT_DATETIME",
        "FORMAT_TIME",
        "FORMAT_TIMESTAMP",
        "GREATEST",
        "LAG",
        "LEAD",
        "LEAST",
        "LEFT",
        "LOWER",
        "LPAD",
        "LTRIM",
        "MAX",
        "MIN",
        "NET.HOST",
        "NET.PUBLIC_SUFFIX",
        "NET.REG_DOMAIN",
        "NORMALIZE",
        "NORMALIZE_AND_CASEFOLD",
        "NTH_VALUE",
        "NULLIFERROR",
        "REPEAT",
        "REPLACE",
        "REVERSE",
        "RIGHT",
        "RPAD",
        "RTRIM",
        "SOUNDEX",
        "SPLIT",
        "STRING_AGG",
        "SUBSTR",
        "SUBSTRING",
        "TRIM",
        "UPPER",
    ]
)
_OF_FIRST = frozenset({"FORMAT", "FORMAT_DATE", "FORMAT_DATETIME", "FORMAT_TIME", "FORMAT_TIMESTAMP"})
_REJECTING = frozenset(
    [
        "APPROX_COUNT_DISTINCT",
        "APPROX_QUANTILES",
        "APPROX_TOP_COUNT",
        "APPROX_TOP_SUM",
        "HLL_COUNT.INIT",
        "INITCAP",
        "PERCENTILE_DISC",
        "RANGE_BUCKET",
        "REGEXP_CONTAINS",
        "REGEXP_EXTRACT",
        "REGEXP_EXTRACT_ALL",
        "REGEXP_INSTR",
        "REGEXP_REPLACE",
        "REGEXP_SUBSTR",
        "TRANSLATE",
    ]
)
_SEARCHING = frozenset({"ENDS_WITH", "INSTR", "STARTS_WITH", "STRPOS"})
_BY_SECOND = frozenset({"MAX_BY", "MIN_BY"})


def key(node: Any, kind: Kind | None) -> Any:
    """A value as it is compared: itself, or the key of its collation."""
    if kind is None or not collates(kind):
        return node
    if kind.name != "STRING":
        raise Unimplemented(
            f"Tule does not compare, group or order values of type {kind} whose texts have a collation",
            do="take the text out of it, or COLLATE(text, '')", reason="notImplemented", location="query",
        )  # fmt: skip
    return _call("tule_collation_key", node)


def folded(node: Any) -> Any:
    """A text in which others are searched, or that is searched."""
    return _call("tule_collation_fold", node)


def keyed(walk: Walk, node: Any, scope: Scope, *, aliases: bool = False) -> Kind | None:
    """Visit an expression and put the key of its value in its place."""
    holder, name, index = node.parent, node.arg_key, node.index
    kind = walk.expr(node, scope, aliases=aliases)
    if collates(kind):
        current = holder.args[name][index] if index is not None else holder.args[name]
        _put(holder, name, index, key(current, kind))
    return kind


def _put(holder: Any, name: str, index: int | None, made: Any) -> None:
    if index is None:
        holder.set(name, made)
    else:
        holder.args[name][index] = made
        holder.set(name, holder.args[name])


def compared(node: Any, keys: Iterable[str], kinds: Iterable[Kind | None]) -> bool:
    """Put keys in the places of a comparison's sides, where one of their types has a collation; whether it was so."""
    if not any(kind is not None and kind.name == "STRING" and kind.collation for kind in kinds):
        return False
    for name in keys:
        node.set(name, _call("tule_collation_key", node.args[name]))
    return True


def keys_of(query: Any) -> Any:
    """A query of one column, of the keys of its texts."""
    made = exp.select(_call("tule_collation_key", _column(_ROWS, "c0")))
    return exp.Subquery(this=made.from_(_rows_of(query.copy(), _ROWS, ["c0"])))


def _call(name: str, *arguments: Any) -> Any:
    from tule.bigquery.sql.analysis.calls import engine_call

    return engine_call(name, *arguments)


# -- functions


def of_call(call: Call) -> Any:
    """The engine's form of a call that its arguments' collations change, None for another call; raises where a function
    takes no collation."""
    name = call.function.name
    found = [index for index, (kind, _) in enumerate(call.kinds) if collates(kind)]
    if not found:
        return None
    if name in _REJECTING or (name in _BY_SECOND and 1 in found):
        kind = call.kind(found[-1])
        given = kind.collation if kind is not None and kind.collation else "und:ci"
        raise call.wrong(f'Collation is not allowed on argument {found[-1] + 1} ("{given}")')
    if name in ("MAX", "MIN"):
        return call.aggregate(f"arg_{name.lower()}", call.argument(0), key(call.argument(0).copy(), call.kind(0)))
    if call.distinct and call.function.role == "aggregate":
        if name != "COUNT":
            raise call.refuse(f"{name}(DISTINCT ...) of texts with a collation", do="group by the text first")
        call.arguments[0] = key(call.argument(0), call.kind(0))
    elif name in _SEARCHING:
        call.arguments[:2] = [folded(each) for each in call.arguments[:2]]
    elif name in ("GREATEST", "LEAST"):
        values = exp.Array(expressions=list(call.arguments))
        values.meta["tule_done"] = True
        return _call(f"tule_{name.lower()}_collated", values)
    elif name == "REPLACE":
        return _call("tule_replace_collated", *call.arguments)
    elif name == "SPLIT":
        return _call("tule_split_collated", call.argument(0), call.argument(1, exp.Literal.string(",")))
    elif name == "NULLIF":
        same = exp.EQ(this=call.argument(0).copy(), expression=call.argument(1))
        compared(same, ("this", "expression"), [call.kind(0), call.kind(1)])
        return exp.Paren(this=exp.Case(default=call.argument(0)).when(same, exp.Null()))
    return None


def result(call: Call, kind: Kind | None) -> Kind | None:
    """The type of a call's answer with the collation that gets through to it."""
    name = call.function.name
    if name not in _PROPAGATING or not any(collates(each) for each, _ in call.kinds):
        return kind
    kinds = [each for each, _ in call.kinds[:1]] if name in _OF_FIRST else [each for each, _ in call.kinds]
    return collated(kind, next(filter(None, map(_collation, kinds)), ""))


def _collation(kind: Kind | None) -> str:
    if kind is not None and kind.name == "ARRAY":
        kind = kind.element
    return kind.collation if kind is not None else ""


# -- GROUP BY, DISTINCT and ORDER BY


def group_by_keys(select: Any, items: list[Any], scope: Scope) -> None:
    """Group by the keys of ``items``, which are those of a GROUP BY that have a collation: what the query says of the text
    then is one text of the group."""
    group = select.args["group"]
    sets = group.find(exp.Rollup, exp.Cube, exp.GroupingSets) is not None
    for item in items:
        value = _meant(item, select, scope).copy()
        by = _call("tule_collation_key", value.copy())
        item.replace(by)
        one: Any = _call("any_value", value.copy())
        one.meta[AGGREGATE] = True
        if sets:
            total = exp.EQ(this=_call("grouping", by.copy()), expression=exp.Literal.number(0))
            one = exp.Paren(this=exp.Case().when(total, one))
        for name in ("expressions", "having", "qualify", "order", "windows"):
            part = select.args.get(name)
            for each in list(part) if isinstance(part, list) else [part] if part is not None else []:
                _replace_in(each, value, one, by)


def _meant(item: Any, select: Any, scope: Scope) -> Any:
    """What a name or a number of GROUP BY or ORDER BY stands for."""
    plain = item.this if isinstance(item, exp.Cast) and isinstance(item.this, exp.Literal) else item
    if isinstance(plain, exp.Literal) and not plain.is_string and plain.this.isdigit():
        return select.expressions[int(plain.this) - 1].unalias()
    if isinstance(item, exp.Column) and item.args.get("table") is None:
        ordering = item.find_ancestor(exp.Order, exp.Query)
        known = any(source.find(item.name.lower())[0] for source in scope.sources)
        if isinstance(ordering, exp.Order) or not known:
            for each in select.expressions:
                if each.alias_or_name.lower() == item.name.lower():
                    return each.unalias()
    return item


def _replace_in(node: Any, value: Any, one: Any, by: Any) -> None:
    """Replace a grouped text by one of its group, outside of aggregates and of queries."""
    if node.meta.get(AGGREGATE):
        for call in list(node.find_all(exp.Anonymous)):
            for each in list(call.expressions) if call.name.lower() == "grouping" else ():
                if _same(each, value):
                    each.replace(by.copy())
        return
    if isinstance(node, exp.Query):
        return
    if _same(node, value):
        made = one.copy()
        named = isinstance(node.parent, exp.Select) and node.arg_key == "expressions"
        node.replace(exp.alias_(made, node.alias_or_name, quoted=True) if named and node.alias_or_name else made)
        return
    for each in list(node.iter_expressions()):
        _replace_in(each, value, one, by)


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, exp.Column) and isinstance(b, exp.Column):
        tables = {each.table.lower() for each in (a, b) if each.table}
        return a.name.lower() == b.name.lower() and len(tables) < 2
    return type(a) is type(b) and a.sql("duckdb", identify=True) == b.sql("duckdb", identify=True)


def order_by_keys(select: Any, items: list[Any], scope: Scope) -> None:
    """Order by the keys of ``items``, which are those of an ORDER BY that have a collation."""
    for item in items:
        item.set("this", _call("tule_collation_key", _meant(item.this, select, scope).copy()))


def distinct(select: Any, columns: Columns, scope: Scope) -> None:
    """The rows of a SELECT DISTINCT whose keys differ."""
    order, clauses = select.args.get("order"), ("group", "having", "qualify", "where", "joins", "windows", "laterals")
    names = [f"c{index}" for index in range(len(columns))]
    places = [(_place(each.this, select, columns, scope), each) for each in order.expressions] if order else []
    inner = select.copy()
    for name in ("with_", "distinct", "order", "limit", "offset"):
        inner.set(name, None)
    for name in clauses:
        select.set(name, None)
    select.set("distinct", exp.Distinct(on=exp.Tuple(expressions=_keys(_ROWS, names, columns))))
    select.set("expressions", _outer(_ROWS, names, columns))
    select.set("from_", exp.From(this=exp.Subquery(this=inner, alias=_alias(_ROWS, names))))
    for place, each in places:
        each.set("this", _keys(_ROWS, names, columns)[place])


def _place(node: Any, select: Any, columns: Columns, scope: Scope) -> int:
    """The column of a SELECT DISTINCT that its ORDER BY means."""
    meant = _meant(node, select, scope)
    for index, each in enumerate(select.expressions):
        if each.unalias() is meant or _same(each.unalias(), meant):
            return index
    raise wrong("ORDER BY clause expression references a column which is not visible after SELECT DISTINCT", node)


def _alias(table: str, names: list[str]) -> Any:
    columns = [exp.to_identifier(each, quoted=True) for each in names]
    return exp.TableAlias(this=exp.to_identifier(table, quoted=True), columns=columns)


def _column(table: str, name: str) -> Any:
    return exp.column(exp.to_identifier(name, quoted=True), exp.to_identifier(table, quoted=True))


def _keys(table: str, names: list[str], columns: Columns) -> list[Any]:
    return [key(_column(table, name), kind) for name, (_, kind) in zip(names, columns, strict=True)]


def _outer(table: str, names: list[str], columns: Columns) -> list[Any]:
    return [
        exp.alias_(_column(table, name), shown or name, quoted=True)
        for name, (shown, _) in zip(names, columns, strict=True)
    ]


# -- set operations


def set_operation(node: Any, columns: Columns) -> None:
    """Replace a set operation on columns with collations, which compares rows or orders them, by a SELECT that does so by
    keys."""
    names = [f"c{index}" for index in range(len(columns))]
    made = exp.Select(expressions=_outer(_ROWS, names, columns))
    removing = not isinstance(node, exp.Union)
    if removing or node.args.get("distinct"):
        made.set("distinct", exp.Distinct(on=exp.Tuple(expressions=_keys(_ROWS, names, columns))))
    for name in ("with_", "limit", "offset"):
        made.set(name, node.args.get(name))
        node.set(name, None)
    if (order := node.args.get("order")) is not None:
        node.set("order", None)
        for each in order.expressions:
            each.set("this", _keys(_ROWS, names, columns)[_output(each.this, columns)])
        made.set("order", order)
    inner = node.this.copy() if removing else node.copy()
    inner.set("distinct", None) if not removing else None
    made.set("from_", exp.From(this=_rows_of(inner, _ROWS, names)))
    if removing:
        pairs = zip(_keys(_ROWS, names, columns), _keys(_OTHERS, names, columns), strict=True)
        same = exp.and_(*(exp.NullSafeEQ(this=a, expression=b) for a, b in pairs), copy=False)
        others = exp.Select(expressions=[exp.Literal.number(1)])
        others.set("from_", exp.From(this=_rows_of(node.expression.copy(), _OTHERS, names)))
        others.set("where", exp.Where(this=same))
        found: Any = exp.Exists(this=others)
        made.set("where", exp.Where(this=exp.Not(this=found) if isinstance(node, exp.Except) else found))
    node.replace(made)


def _rows_of(query: Any, table: str, names: list[str]) -> Any:
    inner = query.this if isinstance(query, exp.Subquery) and not query.args.get("with_") else query
    return exp.Subquery(this=inner, alias=_alias(table, names))


def _output(node: Any, columns: Columns) -> int:
    """The column that ORDER BY behind a set operation means."""
    plain = node.this if isinstance(node, exp.Cast) else node
    if isinstance(plain, exp.Literal) and plain.this.isdigit():
        return int(plain.this) - 1
    for index, (name, _) in enumerate(columns):
        if isinstance(node, exp.Column) and name.lower() == node.name.lower():
            return index
    raise Unimplemented(
        "Tule orders a set operation on texts with a collation only by its columns", given=node.sql("bigquery")[:80],
        do="put it into a subquery and order that", reason="notImplemented", location="query",
    )  # fmt: skip


# -- USING


def joined_by_keys(join: Any, scope: Scope, before: int) -> None:
    """Join by the keys of texts that USING names, where they have a collation."""
    pairs = []
    for each in join.args.get("using") or ():
        left = _owner([one for one in scope.sources[:before] if each.name.lower() not in one.merged], each.name)
        right = _owner(scope.sources[before:], each.name)
        if left is None or right is None:
            return
        pairs.append((each.name, left, right))
    if not any(collates(source.find(name.lower())[1]) for name, *sides in pairs for source in sides):
        return
    conditions = []
    for name, left, right in pairs:
        kinds = [source.find(name.lower())[1] for source in (left, right)]
        one = scope.joined.get(name.lower(), _column(left.name, name)).copy()
        other = _column(right.name, name)
        same = exp.EQ(this=one.copy(), expression=other.copy())
        compared(same, ("this", "expression"), kinds)
        conditions.append(same)
        side = str(join.args.get("side") or "").upper()
        value = {"RIGHT": other, "FULL": _call("coalesce", one, other)}.get(side, one)
        scope.joined[name.lower()] = value
    join.set("using", None)
    join.set("on", exp.and_(*conditions, copy=False))


def _owner(sources: list[Source], name: str) -> Source | None:
    found = [each for each in sources if each.find(name.lower())[0]]
    return found[0] if found and found[0].name else None


__all__ = [
    "AGGREGATE", "compared", "distinct", "folded", "group_by_keys", "joined_by_keys", "key", "keyed", "keys_of",
    "of_call", "order_by_keys", "result", "set_operation",
]  # fmt: skip
