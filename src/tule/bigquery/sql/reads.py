"""What a compiled statement reads: of each relation the columns that its result depends on, and which partitions a filter by
constants leaves. It looks at the tree in the engine's form, where every name is written out.

https://cloud.google.com/bigquery/docs/best-practices-costs and .../estimate-costs#query_size_calculation
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp

from tule.bigquery.sql.free_names import COLUMNS, path

PARTITION = "tule_partition"
"""Where a relation's node notes the column that it is partitioned by, in lower case."""
LOW, HIGH = "tule_low", "tule_high"


@dataclass(frozen=True)
class Read:
    """``columns`` in lower case, None for all; ``condition`` is of ``tule_low`` and ``tule_high``, the bounds of a
    partition, "" where all are read."""

    relation: str
    columns: frozenset[str] | None
    condition: str = ""


@dataclass
class _Use:
    """One place where a relation is read."""

    relation: str
    partition: str
    columns: set[str] = field(default_factory=set)
    everything: bool = False
    conditions: list[str] = field(default_factory=list)


_Cell = tuple[int, str]
"""A column of a use."""


@dataclass(frozen=True)
class _Value:
    """What a column is made of; ``same``: the columns whose very values it has, or that it grows with as ``form`` says."""

    of: frozenset[_Cell] = frozenset()
    same: frozenset[_Cell] = frozenset()
    form: Any = None


@dataclass
class _Source:
    """What FROM has under a name; ``use`` is the one of a relation."""

    columns: dict[str, _Value]
    use: int | None = None

    def find(self, name: str) -> _Value | None:
        if name in self.columns:
            return self.columns[name]
        if self.use is not None and not self.columns:
            cell = frozenset({(self.use, name)})
            return _Value(cell, cell)
        return None


@dataclass
class _Scope:
    outer: _Scope | None = None
    sources: dict[str, _Source] = field(default_factory=dict)
    tables: dict[str, Any] = field(default_factory=dict)
    """What WITH defines: a query, then its columns."""
    aliases: dict[str, _Value] = field(default_factory=dict)


_Columns = list[tuple[str, _Value]]


def reads(tree: Any, printer: Any) -> tuple[Read, ...]:
    """What a statement reads, one a relation; conditions are printed as the statement is."""
    reader = _Reader(printer)
    reader.statement(tree)
    found: dict[str, list[_Use]] = {}
    for use in reader.uses:
        found.setdefault(use.relation, []).append(use)
    return tuple(_together(relation, uses) for relation, uses in found.items())


def _together(relation: str, uses: Sequence[_Use]) -> Read:
    columns = None
    if not any(use.everything for use in uses):
        columns = frozenset(column for use in uses for column in use.columns)
    condition = ""
    if all(use.conditions for use in uses):
        condition = " OR ".join(dict.fromkeys(f"({' AND '.join(use.conditions)})" for use in uses))
    return Read(relation, columns, condition)


class _Reader:
    """One statement."""

    def __init__(self, printer: Any) -> None:
        self._printer = printer
        self.uses: list[_Use] = []

    def statement(self, tree: Any) -> None:
        scope = _Scope()
        match tree:
            case exp.Query():
                self._need(self.query(tree, None))
            case exp.Insert():
                # Its rows are not looked at.
                self._source(tree.this.this if isinstance(tree.this, exp.Schema) else tree.this, scope)
                if isinstance(tree.expression, exp.Query):
                    self._need(self.query(tree.expression, None))
                elif tree.expression is not None:
                    self._mark(self._cells(tree.expression, scope))
            case exp.Update() | exp.Delete():
                self._source(tree.this, scope)
                self._changed(tree, scope)
                self._where(tree, scope)
            case exp.Merge():
                self._source(tree.this, scope)
                whens = tree.args["whens"].expressions
                if any(not isinstance(each.args["then"], exp.Insert) for each in whens):
                    self._changed(tree, scope)
                self._source(tree.args["using"], scope)
                self._mark(self._cells(tree.args["on"], scope))
                self._mark(self._cells(tree.args["whens"], scope))
            case _:
                self._mark(self._cells(tree, scope))

    def _changed(self, tree: Any, scope: _Scope) -> None:
        """All columns of a table whose rows are changed are written anew."""
        for source in scope.sources.values():
            if source.use is not None:
                self.uses[source.use].everything = True
        for each in tree.args.get("expressions") or ():
            self._mark(self._cells(each, scope))

    # -- marking

    def _mark(self, cells: Iterable[_Cell]) -> None:
        for use, column in cells:
            self.uses[use].columns.add(column)

    def _need(self, columns: _Columns) -> None:
        for _, value in columns:
            self._mark(value.of)

    # -- queries

    def query(self, node: Any, outer: _Scope | None) -> _Columns:
        """The columns of a query; what it reads whichever of them are wanted is marked."""
        scope = _Scope(outer)
        self._with(node, scope)
        if isinstance(node, exp.Subquery):
            columns = self.query(node.this, scope)
            return self._ended(node, _Scope(scope, {"": _Source(dict(columns))}), columns)
        if isinstance(node, exp.SetOperation):
            columns = self._set_operation(node, scope)
            return self._ended(node, _Scope(scope, {"": _Source(dict(columns))}), columns)
        if isinstance(node, exp.Select):
            return self._select(node, scope)
        self._mark(self._cells(node, scope))
        return []

    def _with(self, node: Any, scope: _Scope) -> None:
        clause = node.args.get("with_")
        for cte in clause.expressions if clause is not None else ():
            scope.tables[cte.alias.lower()] = (cte, bool(clause.args.get("recursive")), scope)

    def _set_operation(self, node: Any, scope: _Scope) -> _Columns:
        left, right = self.query(node.this, scope), self.query(node.expression, scope)
        if not isinstance(node, exp.Union) or node.args.get("distinct"):
            self._need(left)
            self._need(right)
        if node.args.get("by_name"):
            by_name = {name.lower(): value for name, value in right}
            names = [name for name, _ in left] + [name for name, _ in right if name not in dict(left)]
            both = {name.lower(): value for name, value in left}
            return [(name, _joined(both.get(name.lower()), by_name.get(name.lower()))) for name in names]
        if len(left) != len(right):
            self._need(left)
            self._need(right)
            return []
        return [(name, _joined(a, b)) for (name, a), (_, b) in zip(left, right, strict=True)]

    def _select(self, node: exp.Select, scope: _Scope) -> _Columns:
        if (from_ := node.args.get("from_")) is not None:
            self._source(from_.this, scope)
        for join in node.args.get("joins") or ():
            self._join(join, scope)
        for lateral in node.args.get("laterals") or ():
            self._source(lateral, scope)
        self._where(node, scope)
        columns: _Columns = []
        for item in node.expressions:
            columns += self._item(item, scope)
        scope.aliases = {name.lower(): value for name, value in columns}
        for key in ("having", "qualify", "windows", "prewhere"):
            for each in _listed(node.args.get(key)):
                self._mark(self._cells(each, scope))
        if (group := node.args.get("group")) is not None:
            self._mark(self._cells(group, scope))
            self._positions(group.expressions, columns)
        if node.args.get("distinct") is not None:
            self._need(columns)
        return self._ended(node, scope, columns)

    def _ended(self, node: Any, scope: _Scope, columns: _Columns) -> _Columns:
        """The columns after ORDER BY and LIMIT. A filter around a query that groups or cuts is none of its relations."""
        if (order := node.args.get("order")) is not None:
            self._mark(self._cells(order, scope))
            self._positions([each.this for each in order.expressions], columns)
        cuts = any(node.args.get(key) is not None for key in ("limit", "offset", "group", "qualify", "distinct"))
        if cuts or any(each.find(exp.Window) for each in getattr(node, "expressions", ())):
            return [(name, _Value(value.of)) for name, value in columns]
        return columns

    def _positions(self, items: Iterable[Any], columns: _Columns) -> None:
        for each in items:
            if isinstance(each, exp.Literal) and not each.is_string and 0 < int(each.name) <= len(columns):
                self._mark(columns[int(each.name) - 1][1].of)

    def _item(self, item: Any, scope: _Scope) -> _Columns:
        if item.is_star:
            owner = item.table.lower() if isinstance(item, exp.Column) else ""
            return [
                each
                for name, source in scope.sources.items()
                if not owner or name == owner
                for each in self._all(source)
            ]
        value = item.unalias()
        if isinstance(value, exp.Column):
            return [(item.alias_or_name, self._column(value, scope))]
        cells = frozenset(self._cells(value, scope))
        if _grows(value) and (inner := self._column(value.find(exp.Column), scope)).same:
            return [(item.alias_or_name, _Value(cells, inner.same, _formed(value, inner)))]
        return [(item.alias_or_name, _Value(cells))]

    def _all(self, source: _Source) -> _Columns:
        if source.use is not None and not source.columns:
            self.uses[source.use].everything = True
        return list(source.columns.items())

    # -- FROM

    def _join(self, join: Any, scope: _Scope) -> None:
        self._source(join.this, scope)
        if (on := join.args.get("on")) is not None:
            self._mark(self._cells(on, scope))
        for name in join.args.get("using") or ():
            for source in scope.sources.values():
                if (found := source.find(name.name.lower())) is not None:
                    self._mark(found.of)

    def _source(self, node: Any, scope: _Scope) -> None:
        alias = node.args.get("alias")
        name = (alias.name if isinstance(alias, exp.TableAlias) else node.alias_or_name or "").lower()
        if isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier):
            made = self._table(node, scope)
        elif isinstance(node, exp.Subquery) and not isinstance(node.this, exp.Query):
            self._source(node.this, scope)
            made = None
        elif isinstance(node, exp.Query):
            made = _Source(dict(_renamed(self.query(node, scope), alias)))
        else:
            self._mark(self._cells(node, scope))
            made = _Source({})
        if node.args.get("pivots") and made is not None:
            # What is not named is grouped by: all of it is read.
            self._need(self._all(made))
            made = _Source({})
        if made is not None:
            scope.sources[name or f"\x00{len(scope.sources)}"] = made
        for join in node.args.get("joins") or ():
            self._join(join, scope)

    def _table(self, node: exp.Table, scope: _Scope) -> _Source:
        if node.args.get("db") is None:
            around: _Scope | None = scope
            while around is not None:
                if node.name.lower() in around.tables:
                    return _Source(dict(_renamed(self._defined(node.name.lower(), around), node.args.get("alias"))))
                around = around.outer
        use = len(self.uses)
        self.uses.append(_Use(".".join(each.name for each in node.parts), node.meta.get(PARTITION, "")))
        cells = {each.name.lower(): frozenset({(use, each.name.lower())}) for each in node.meta.get(COLUMNS) or ()}
        return _Source({name: _Value(cell, cell) for name, cell in cells.items()}, use)

    def _defined(self, name: str, scope: _Scope) -> _Columns:
        """The columns of what a WITH clause defines, which is looked at where it is used."""
        found = scope.tables[name]
        if isinstance(found, list):
            return found
        cte, recursive, place = found
        alias = cte.args.get("alias")
        if recursive and isinstance(cte.this, exp.SetOperation):
            # The columns of a query that refers to itself are those of its first part.
            first = _renamed(self.query(cte.this.this, place), alias)
            self._need(first)
            scope.tables[name] = first
            self._need(self.query(cte.this, place))
            return first
        columns = scope.tables[name] = _renamed(self.query(cte.this, place), alias)
        return columns

    # -- expressions

    def _cells(self, node: Any, scope: _Scope) -> set[_Cell]:
        """The columns that an expression is made of."""
        if isinstance(node, exp.Column) and not isinstance(node.this, exp.Star):
            return set(self._column(node, scope).of)
        if isinstance(node, exp.Query):
            columns = self.query(node, scope)
            if isinstance(node.parent, exp.Exists):
                return set()
            return {cell for _, value in columns for cell in value.of}
        if isinstance(node, exp.Star):
            if isinstance(node.parent, exp.Func):
                # COUNT(*): of rows, whatever is in them.
                return set()
            return {cell for source in scope.sources.values() for _, value in self._all(source) for cell in value.of}
        found: set[_Cell] = set()
        for value in node.args.values():
            for each in _listed(value):
                found |= self._cells(each, scope)
        return found

    def _column(self, node: exp.Column, scope: _Scope) -> _Value:
        names = [each.name.lower() for each in path(node)]
        around: _Scope | None = scope
        while around is not None:
            source = around.sources.get(names[0])
            if source is not None and len(names) > 1:
                if (hit := source.find(names[1])) is not None:
                    return hit if len(names) == 2 else _Value(hit.of)
            elif source is not None and not any(each.columns.get(names[0]) for each in around.sources.values()):
                # The whole row under the name of its source.
                return _Value(frozenset(cell for _, value in self._all(source) for cell in value.of))
            hits = [hit for each in around.sources.values() if (hit := each.find(names[0])) is not None]
            if names[0] in around.aliases:
                hits.append(around.aliases[names[0]])
            if hits:
                value = hits[0] if len(hits) == 1 else _Value(frozenset(cell for hit in hits for cell in hit.of))
                return value if len(names) == 1 else _Value(value.of)
            around = around.outer
        return _Value()

    # -- partitions

    def _where(self, node: Any, scope: _Scope) -> None:
        where = node.args.get("where")
        if where is None:
            return
        self._mark(self._cells(where.this, scope))
        for part in where.this.flatten() if isinstance(where.this, exp.And) else [where.this]:
            cells = {self._column(each, scope).same for each in part.find_all(exp.Column)}
            if len(cells) != 1 or part.find(exp.Query) is not None:
                continue
            (same,) = cells
            if same and all(column == self.uses[use].partition for use, column in same):
                part = part.copy()
                for each in list(part.find_all(exp.Column)):
                    each.replace(_formed(each, self._column(each, scope)))
                condition = partition_condition(part)
                for use, _ in same if condition is not None else ():
                    self.uses[use].conditions.append(f"({condition.sql(dialect=self._printer, identify=True)})")


def _listed(value: Any) -> list[Any]:
    return [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, exp.Expression)]


def _joined(a: _Value | None, b: _Value | None) -> _Value:
    a, b = a or _Value(), b or _Value()
    alike = bool(a.same and b.same) and a.form == b.form
    return _Value(a.of | b.of, a.same | b.same if alike else frozenset(), a.form if alike else None)


def _formed(node: Any, value: _Value) -> Any:
    """An expression of a column as one of the column that this grows with."""
    made = exp.Paren(this=node.copy())
    if value.form is not None:
        for each in list(made.find_all(exp.Column)):
            each.replace(value.form.copy())
    return made


def _renamed(columns: _Columns, alias: Any) -> _Columns:
    names = [each.name for each in alias.columns] if isinstance(alias, exp.TableAlias) else []
    renamed = [(names[at] if at < len(names) else name, value) for at, (name, value) in enumerate(columns)]
    return [(name.lower(), value) for name, value in renamed]


# -- conditions of a partition


def partition_condition(node: Any) -> Any:
    """What must hold for the bounds of a partition so that a row of it can fulfil a condition on the partitioning column;
    None where nothing is known."""
    match node:
        case exp.Paren():
            return partition_condition(node.this)
        case exp.And():
            known = [each for each in map(partition_condition, (node.this, node.expression)) if each is not None]
            return exp.and_(*known) if known else None
        case exp.Or():
            both = [partition_condition(each) for each in (node.this, node.expression)]
            return exp.or_(*both) if all(each is not None for each in both) else None
        case exp.Between() if _grows(node.this) and _is_constant(node.args["low"]) and _is_constant(node.args["high"]):
            return exp.and_(
                exp.GTE(this=_at(node.this, HIGH), expression=node.args["low"].copy()),
                exp.LTE(this=_at(node.this, LOW), expression=node.args["high"].copy()),
            )
        case exp.In() if node.expressions and _grows(node.this) and all(map(_is_constant, node.expressions)):
            return exp.or_(*(_equal(node.this, each) for each in node.expressions))
        case exp.Is() if isinstance(node.expression, exp.Null) and _grows(node.this):
            return exp.Is(this=_at(node.this, LOW), expression=exp.Null())
        case exp.Not() if isinstance(inner := node.this.unnest(), exp.Is) and (null := partition_condition(inner)):
            return exp.Not(this=null)
    return _comparison(node)


_BOUNDS: dict[type[Any], tuple[str, type[Any]]] = {
    exp.LT: (LOW, exp.GT), exp.LTE: (LOW, exp.GTE), exp.GT: (HIGH, exp.LT), exp.GTE: (HIGH, exp.LTE),
}  # fmt: skip


def _comparison(node: Any) -> Any:
    kind = type(node)
    if kind is not exp.EQ and kind not in _BOUNDS:
        return None
    left, right = node.this, node.expression
    if not _grows(left):
        left, right = right, left
        kind = kind if kind is exp.EQ else _BOUNDS[kind][1]
    if not (_grows(left) and _is_constant(right)):
        return None
    if kind is exp.EQ:
        return _equal(left, right)
    return kind(this=_at(left, _BOUNDS[kind][0]), expression=right.copy())


def _equal(column: Any, value: Any) -> Any:
    return exp.and_(
        exp.LTE(this=_at(column, LOW), expression=value.copy()),
        exp.GTE(this=_at(column, HIGH), expression=value.copy()),
    )


def _grows(node: Any) -> bool:
    """Whether an expression is the column, or grows with it: a cast or the beginning of its day, month, ..."""
    if isinstance(node, exp.Column):
        return True
    if isinstance(node, exp.Cast | exp.Paren):
        return _grows(node.this)
    if isinstance(node, exp.DateTrunc | exp.TimestampTrunc):
        return _grows(node.this)
    if isinstance(node, exp.Anonymous) and "date_trunc" in node.name.lower() and node.expressions:
        *units, last = node.expressions
        return all(isinstance(each, exp.Literal) for each in units) and _grows(last)
    return False


def _is_constant(node: Any) -> bool:
    return not any(isinstance(each, exp.Column | exp.Query | exp.Rand | exp.Star) for each in node.walk())


def _at(node: Any, bound: str) -> Any:
    """The expression of a bound in the place of the column."""
    made = exp.Paren(this=node.copy())
    for each in list(made.find_all(exp.Column)):
        each.replace(exp.column(bound, quoted=True))
    return made


__all__ = ["HIGH", "LOW", "PARTITION", "Read", "partition_condition", "reads"]
