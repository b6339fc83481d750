"""The walk: statements, queries and what stands in FROM. Expressions are in ``expressions``."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from tule.bigquery.sql.analysis import changes, collations, series, set_operations, unnests, writes
from tule.bigquery.sql.analysis.doubtful_sums import DoubtfulSums
from tule.bigquery.sql.analysis.ordering import groups, orders
from tule.bigquery.sql.analysis.scopes import PSEUDO, Columns, Scope, Source, wrong
from tule.bigquery.sql.analysis.windows import random_windows, split
from tule.bigquery.sql.context import Context
from tule.bigquery.sql.free_names import COLUMNS
from tule.bigquery.sql.kinds import Kind, NoSupertype, collates, common, kind_of_field

RESOLVED = "tule_resolved"


def analyzed(tree: Any, context: Context) -> Any:
    """A statement in the engine's form."""
    walk = Walk(context)
    holder = exp.Paren(this=tree)
    walk.statement(tree)
    walk.sums.close()
    made = holder.this
    made.pop()
    return made


class Walk:
    """One statement's walk."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.sums = DoubtfulSums(context)

    def statement(self, tree: Any) -> None:
        match tree:
            case exp.Query():
                self._open_values(tree)
                columns = self.query(tree, None)
                self.context.kinds[:] = [kind for _, kind in columns or ()]
                self._whole_arrays(tree, columns)
            case exp.Insert():
                changes.insert(self, tree)
            case exp.Update():
                changes.update(self, tree)
            case exp.Delete():
                changes.delete(self, tree)
            case exp.Merge():
                changes.merge(self, tree)
            case exp.TruncateTable():
                pass
            case _:
                self.expr(tree, Scope())

    def _open_values(self, tree: Any) -> None:
        """The rows of SELECT AS STRUCT and AS VALUE, as a result, have the fields of the struct as columns."""
        kind = str(tree.args.get("kind") or "").upper() if isinstance(tree, exp.Select) else ""
        if kind not in ("STRUCT", "VALUE"):
            return
        inner = tree.copy()
        alias = exp.TableAlias(this=exp.to_identifier("_tule_values", quoted=True))
        for key in list(tree.args):
            tree.set(key, None)
        tree.set("expressions", [exp.Star()])
        tree.set("from_", exp.From(this=exp.Subquery(this=inner, alias=alias)))

    # -- queries

    def query(self, node: Any, outer: Scope | None) -> Columns | None:
        """Rewrite a query; its columns, None where they are not known."""
        if isinstance(node, exp.Subquery):
            scope = self._with(node, outer)
            columns = self._known(node) or self.query(node.this, scope)
            inner = Scope(scope, [Source("", columns)])
            if ordered := self._order(node, inner, columns):
                collations.order_by_keys(exp.Select(), ordered, inner)
            return columns
        if isinstance(node, exp.SetOperation):
            return self._set_operation(node, outer)
        if isinstance(node, exp.Select):
            return self._select(node, outer)
        if isinstance(node, exp.Table):
            return self._table(node, outer or Scope()).columns
        raise wrong(f"A query must stand here; given: {type(node).__name__}")

    def _with(self, node: Any, outer: Scope | None) -> Scope:
        scope = Scope(outer)
        clause = node.args.get("with_")
        if clause is None:
            return scope
        for cte in clause.expressions:
            name = cte.alias.lower()
            if clause.args.get("recursive") and isinstance(cte.this.unnest(), exp.SetOperation):
                # The first branch tells the columns that the second one sees.
                first = cte.this.unnest()
                while isinstance(first, exp.SetOperation):
                    first = first.this.unnest()
                probe = first.copy()
                exp.Paren(this=probe)
                scope.tables[name] = Walk(self.context).query(probe, scope)
            scope.tables[name] = self.query(cte.this, scope)
            if clause.args.get("recursive"):
                set_operations.limited(cte)
        return scope

    def _set_operation(self, node: Any, outer: Scope | None) -> Columns | None:
        scope = self._with(node, outer)
        left = self.query(node.this, scope)
        right = self.query(node.expression, scope)
        if node.args.get("by_name") and left is not None and right is not None:
            left, right = set_operations.by_names(node, left, right)
        columns = left
        if left is not None and right is not None and not node.args.get("by_name"):
            word = {exp.Union: "UNION", exp.Except: "EXCEPT", exp.Intersect: "INTERSECT"}[type(node)]
            word += " DISTINCT" if node.args.get("distinct") else " ALL"
            if len(left) != len(right):
                raise wrong(
                    f"Queries in {word} have mismatched column count; query 1 has {len(left)} column"
                    f"{'s' * (len(left) != 1)}, query 2 has {len(right)} column{'s' * (len(right) != 1)}", node.expression,
                )  # fmt: skip
            columns = []
            for index, ((name, a), (_, b)) in enumerate(zip(left, right, strict=True)):
                try:
                    columns.append((name, common([(a, False), (b, False)])))
                except NoSupertype:
                    raise wrong(
                        f"Column {index + 1} in {word} has incompatible types: {a}, {b}", node.expression
                    ) from None
            for key, given in (("this", left), ("expression", right)):
                node.set(key, writes.branch(node.args[key], given, columns))
        elif left is None or right is None:
            columns = None
        ordered = self._order(node, Scope(scope, [Source("", columns)]), columns)
        compares = not isinstance(node, exp.Union) or node.args.get("distinct")
        if ordered or (compares and any(collates(kind) for _, kind in columns or ())):
            collations.set_operation(node, columns or [])
        return columns

    def _select(self, node: Any, outer: Scope | None) -> Columns | None:
        scope = self._with(node, outer)
        if random := random_windows(node):
            scope.qualify = True
        if (source := node.args.get("from_")) is not None:
            self._source(source.this, scope)
        for join in node.args.get("joins") or []:
            self._join(join, scope)
        for key in ("where",):
            if (clause := node.args.get(key)) is not None:
                self.expr(clause.this, scope)
        columns = self._list(node, scope)
        scope.aliases = {name.lower(): kind for name, kind in columns or () if name}
        if (group := node.args.get("group")) is not None:
            self._group(group, scope, columns)
        for key in ("having", "qualify"):
            if (clause := node.args.get(key)) is not None:
                self.expr(clause.this, scope)
        for window in node.args.get("windows") or []:
            self._window_parts(window, scope)
        if (distinct := node.args.get("distinct")) is not None and distinct.args.get("on") is not None:
            raise wrong("DISTINCT ON is not GoogleSQL")
        for _, kind in (columns or ()) if distinct is not None else ():
            groups(kind, node, "DISTINCT")
        self._collated(node, scope, columns, self._order(node, scope, columns))
        if random:
            split(node, scope)
        return self._as_struct(node, columns)

    def _collated(self, node: Any, scope: Scope, columns: Columns | None, ordered: list[Any]) -> None:
        """Compare the texts of a SELECT that have a collation by their keys."""
        if scope.grouped:
            collations.group_by_keys(node, scope.grouped, scope)
        if node.args.get("distinct") is not None and any(collates(kind) for _, kind in columns or ()):
            collations.distinct(node, columns or [], scope)
        elif ordered:
            collations.order_by_keys(node, ordered, scope)

    def _group(self, group: Any, scope: Scope, columns: Columns | None) -> None:
        for each in list(group.expressions):
            self._grouping(each, scope, columns)
        for key in ("rollup", "cube", "grouping_sets"):
            for each in list(group.args.get(key) or []):
                self._grouping(each, scope, columns)

    def _grouping(self, node: Any, scope: Scope, columns: Columns | None) -> None:
        """What rows are grouped by; sets of several, and sets of sets."""
        if isinstance(node, exp.Rollup | exp.Cube | exp.GroupingSets):
            for each in list(node.expressions):
                if isinstance(each, exp.Tuple):
                    for part in list(each.expressions):
                        self._grouping(part, scope, columns)
                else:
                    self._grouping(each, scope, columns)
            return
        holder, key, index = node.parent, node.arg_key, node.index
        kind = _at_position(node, columns)
        if not isinstance(node, exp.Literal):
            kind = self.expr(node, scope, aliases=True)
            groups(kind, node)
        if collates(kind):
            current = holder.args[key][index]
            # A part of a value has no key: that is said now.
            collations.key(current.copy(), kind)
            scope.grouped.append(current)

    def _order(self, node: Any, scope: Scope, columns: Columns | None) -> list[Any]:
        """Walk ORDER BY, LIMIT and OFFSET; what of ORDER BY has a collation."""
        found = []
        if (order := node.args.get("order")) is not None:
            for each in list(order.expressions):
                kind = _at_position(each.this, columns)
                # A number is a position of the SELECT list.
                if not isinstance(each.this, exp.Literal):
                    kind = self.expr(each.this, scope, aliases=True)
                    orders(kind, each)
                if collates(kind):
                    found.append(each)
        for key in ("limit", "offset"):
            clause = node.args.get(key)
            if clause is not None and not isinstance(clause.expression, exp.Literal):
                self.expr(clause.expression, scope)
        return found

    def _window_parts(self, window: Any, scope: Scope) -> None:
        for each in list(window.args.get("partition_by") or []):
            collations.keyed(self, each, scope)
        if (order := window.args.get("order")) is not None:
            for each in list(order.expressions):
                collations.keyed(self, each.this, scope)
        if (spec := window.args.get("spec")) is not None:
            for key in ("start", "end"):
                if isinstance(spec.args.get(key), exp.Expression):
                    self.expr(spec.args[key], scope)

    def _known(self, node: Any) -> Columns | None:
        """The columns of a relation or of a finished query that a rule put here."""
        fields = node.meta.get(COLUMNS)
        if fields is None and isinstance(node, exp.Table) and node.meta.get(RESOLVED):
            names = [each.name for each in node.parts]
            fields = self.context.catalog.describe(".".join(names))
            node.meta[COLUMNS] = fields
        return None if fields is None else [(each.name, kind_of_field(each)) for each in fields]

    # -- the SELECT list

    def _list(self, node: Any, scope: Scope) -> Columns | None:
        columns: Columns = []
        known = True
        made: list[Any] = []
        for item in list(node.expressions):
            star = _star(item)
            if star is None:
                kind = self.expr(item.this if isinstance(item, exp.Alias) else item, scope)
                columns.append((item.alias_or_name, kind))
                made.append(None)
                continue
            expanded = self._star(item, star, scope)
            if expanded is None:
                known = False
                made.append(None)
                continue
            made.append([each for _, _, each in expanded])
            columns.extend((name, kind) for name, kind, _ in expanded)
        # Rewriting has replaced items in place: read them again.
        items = list(node.expressions)
        result: list[Any] = []
        for item, expansion in zip(items, made, strict=True):
            result.extend([item] if expansion is None else expansion)
        if scope.joined:
            result = [_named(each, name) for each, (name, _) in zip(result, columns, strict=True)] if known else result
        if not result:
            raise wrong("SELECT list must not be empty", node)
        node.set("expressions", result)
        return columns if known else None

    def _star(self, item: Any, star: Any, scope: Scope) -> list[tuple[str, Kind | None, Any]] | None:
        """``*``, ``t.*`` or ``s.struct.*`` as columns: (name, type, expression)."""
        replaced: dict[str, Any] = {}
        for each in star.args.get("replace") or []:
            self.expr(each.this, scope)
        for each in star.args.get("replace") or []:
            replaced[each.alias.lower()] = each
        dropped = {each.name.lower() for each in star.args.get("except_") or []}
        found = self._starred(item, scope)
        if found is None:
            return None
        names = {name.lower() for name, _, _ in found}
        for each in star.args.get("except_") or []:
            if each.name.lower() not in names:
                raise wrong(f"Column {each.name} in SELECT * EXCEPT list does not exist", each)
        for name, each in replaced.items():
            if name not in names:
                raise wrong(f"Column {each.alias} in SELECT * REPLACE list does not exist", each)
        made = []
        for name, kind, node in found:
            if name.lower() in dropped:
                continue
            if name.lower() in replaced:
                node, kind = replaced[name.lower()].this.copy(), None
            made.append((name, kind, exp.alias_(node, name, quoted=True, copy=False)))
        if not made:
            raise wrong("SELECT * EXCEPT must leave a column", item)
        for each in star.args.get("rename") or []:
            made = _renamed(made, each)
        return made

    def _starred(self, item: Any, scope: Scope) -> list[tuple[str, Kind | None, Any]] | None:
        if isinstance(item, exp.Star):
            return self._all(scope, item)
        owner = item.copy()
        if isinstance(owner, exp.Column):
            if owner.args.get("db") is None:
                name = owner.table.lower()
                source = next((each for each in scope.sources if each.name.lower() == name), None)
                if source is not None:
                    return _columns_of(source)
            names = [owner.args[key] for key in ("catalog", "db", "table") if owner.args.get(key) is not None]
            node: Any = exp.Column(this=names[-1], **dict(zip(("table", "db"), reversed(names[:-1]), strict=False)))
        else:
            node = owner.this
        holder = exp.Paren(this=node)
        kind = self.expr(node, scope)
        node = holder.this
        if kind is None:
            return None
        if kind.name != "STRUCT":
            raise wrong(f"Dot-star is not supported for type {kind}", item)
        return [(name, inner, exp.Dot(this=exp.Paren(this=node.copy()), expression=exp.to_identifier(name, quoted=True)))
                for name, inner in kind.fields]  # fmt: skip

    def _all(self, scope: Scope, item: Any) -> list[tuple[str, Kind | None, Any]] | None:
        if not scope.sources:
            raise wrong("SELECT * must have a FROM clause", item)
        if any(source.columns is None for source in scope.sources):
            return None
        found: list[tuple[str, Kind | None, Any]] = []
        using = {name.lower() for name in scope.using}
        for name in scope.using:
            kind = next((kind for source in scope.sources for hit, kind in [source.find(name.lower())] if hit), None)
            node = scope.joined.get(name.lower())
            found.append(
                (name, kind, node.copy() if node is not None else exp.column(exp.to_identifier(name, quoted=True)))
            )
        for source in scope.sources:
            found.extend(each for each in _columns_of(source) or () if each[0].lower() not in using)
        return found

    def _as_struct(self, node: Any, columns: Columns | None) -> Columns | None:
        """SELECT AS STRUCT makes one value of the list; SELECT AS VALUE is that value."""
        kind = str(node.args.get("kind") or "").upper()
        if kind == "VALUE":
            node.set("kind", None)
            item = node.expressions[0]
            if len(node.expressions) != 1:
                raise wrong("SELECT AS VALUE must have one expression", node)
            if not item.alias_or_name or not isinstance(item, exp.Alias):
                item.replace(exp.alias_(item.copy(), item.alias_or_name or "f0_", quoted=True))
            return [(node.expressions[0].alias, columns[0][1])] if columns else columns
        if kind != "STRUCT":
            return columns
        node.set("kind", None)
        names = [each.alias_or_name or f"_field_{index + 1}" for index, each in enumerate(node.expressions)]
        plain = [each.this if isinstance(each, exp.Alias) else each for each in node.expressions]
        if any(_star(each) is not None for each in plain):
            raise wrong("Tule does not do SELECT AS STRUCT * of columns that it does not know", node)
        clauses = ("order", "distinct", "group", "having", "qualify", "limit")
        if any(node.args.get(key) is not None for key in clauses):
            inner = node.copy()
            inner.set("with_", None)
            inner.set(
                "expressions",
                [exp.alias_(each.copy(), name, quoted=True) for each, name in zip(plain, names, strict=True)],
            )
            for key in (*clauses, "where", "joins", "windows", "offset"):
                node.set(key, None)
            alias = exp.TableAlias(this=exp.to_identifier("_tule_rows", quoted=True))
            node.set("from_", exp.From(this=exp.Subquery(this=inner, alias=alias)))
            plain = [exp.column(exp.to_identifier(name, quoted=True), "_tule_rows", quoted=True) for name in names]
        fields = [
            exp.PropertyEQ(this=exp.to_identifier(name, quoted=True), expression=each)
            for name, each in zip(names, plain, strict=True)
        ]
        node.set("expressions", [exp.alias_(exp.Struct(expressions=fields), "f0_", quoted=True)])
        if columns is None:
            return [("f0_", None)]
        return [("f0_", Kind("STRUCT", None, tuple((n, k) for n, (_, k) in zip(names, columns, strict=True))))]

    def _whole_arrays(self, tree: Any, columns: Columns | None) -> None:
        """Arrays of a result must not hold NULLs."""
        from tule.bigquery.sql.analysis.calls import engine_call

        if not isinstance(tree, exp.Select) or columns is None or len(columns) != len(tree.expressions):
            return
        for item, (name, kind) in zip(list(tree.expressions), columns, strict=True):
            if kind is not None and kind.name == "ARRAY" and isinstance(item, exp.Alias):
                inner = item.this
                if isinstance(inner, exp.Column) or tree.args.get("group") is None or inner.find(exp.Anonymous):
                    item.set("this", engine_call("tule_whole_array", inner, exp.Literal.string(name)))

    # -- FROM

    def _join(self, join: Any, scope: Scope) -> None:
        before = len(scope.sources)
        if (
            isinstance(join.this, exp.Unnest)
            and join.args.get("side")
            and not join.args.get("on")
            and not join.args.get("using")
        ):
            # LEFT JOIN UNNEST(...) needs no condition.
            join.set("on", exp.Boolean(this=True))
        self._source(join.this, scope)
        using = join.args.get("using") or []
        for each in using:
            name = each.name
            for sources in (scope.sources[:before], scope.sources[before:]):
                if all(source.columns is not None and not source.find(name.lower())[0] for source in sources):
                    raise wrong(f"Column {name} in USING clause not found on both sides of join", each)
            if name.lower() not in (known.lower() for known in scope.using):
                scope.using.append(name)
            for source in scope.sources[before:]:
                source.merged.add(name.lower())
        if (condition := join.args.get("on")) is not None:
            self.expr(condition, scope)
        elif using:
            collations.joined_by_keys(join, scope, before)

    def _source(self, node: Any, scope: Scope) -> None:
        if series.name_of(node):
            node = series.expanded(self, node, scope)
        pivots = node.args.get("pivots") or []
        match node:
            case exp.Unnest():
                self._unnest(node, scope)
                return
            case exp.Subquery():
                made = self._known(node)
                if made is not None:
                    source = _source_of(node.alias, made)
                else:
                    inner = node.this
                    if isinstance(inner, exp.Table) or not isinstance(inner, exp.Query):
                        # A join in parentheses: its sources are seen as if there were none.
                        self._source(inner, scope)
                        for join in node.args.get("joins") or []:
                            self._join(join, scope)
                        return
                    value = str(inner.args.get("kind") or "").upper() if isinstance(inner, exp.Select) else ""
                    columns_or_none = self.query(node, _closed(scope))
                    source = Source(node.alias, columns_or_none)
                    if value in ("STRUCT", "VALUE") and columns_or_none is not None:
                        self._open_value(node, source)
            case exp.Table():
                source = self._table(node, scope)
            case exp.Paren():
                self._source(node.this, scope)
                return
            case exp.Values():
                raise wrong("VALUES is not a table of GoogleSQL", node)
            case _:
                source = Source(node.alias_or_name, None)
        for pivot in pivots:
            source = self._pivot(pivot, source, scope)
        scope.sources.append(source)
        for join in node.args.get("joins") or []:
            self._join(join, scope)
        if isinstance(node, exp.Subquery | exp.Table):
            node.set("alias", _alias_of(node, source.name))

    def _open_value(self, node: Any, source: Source) -> None:
        """A value table in FROM shows the fields of its structs as columns."""
        ((name, kind),) = source.columns or [("", None)]
        if kind is None or kind.name != "STRUCT":
            source.value = name
            return
        struct = exp.column(exp.to_identifier(name, quoted=True))
        items = [
            exp.alias_(exp.Dot(this=exp.Paren(this=struct.copy()), expression=exp.to_identifier(field, quoted=True)), field,
                       quoted=True)
            for field, _ in kind.fields
        ]  # fmt: skip
        alias = exp.TableAlias(this=exp.to_identifier("_tule_value", quoted=True))
        inner = exp.select(*items).from_(exp.Subquery(this=node.this, alias=alias))
        node.set("this", inner)
        source.columns = list(kind.fields)

    def _table(self, node: Any, scope: Scope) -> Source:
        name = node.alias or node.name
        if (known := self._known(node)) is not None:
            return _source_of(name, known)
        if node.args.get("db") is None:
            found, columns_or_none = scope.defined(node.name)
            if found:
                return Source(name, columns_or_none and list(columns_or_none))
        return Source(name, None)

    def _unnest(self, node: Any, scope: Scope) -> None:
        self._unnested = getattr(self, "_unnested", 0) + 1
        joins = node.args.get("joins") or []
        unnests.unnested(self, node, scope, self._unnested)
        for join in joins:
            self._join(join, scope)

    def _pivot(self, pivot: Any, source: Source, scope: Scope) -> Source:
        from tule.bigquery.sql.analysis.pivots import pivoted

        return pivoted(self, pivot, source, scope)

    # -- expressions

    def expr(self, node: Any, scope: Scope, *, aliases: bool = False) -> Kind | None:
        """Rewrite an expression in its place; its type."""
        from tule.bigquery.sql.analysis.expressions import visit

        return visit(self, node, scope, aliases)


def _at_position(node: Any, columns: Columns | None) -> Kind | None:
    """The type of the column whose number stands in ORDER BY or GROUP BY."""
    if not isinstance(node, exp.Literal) or columns is None or not node.this.isdigit():
        return None
    return columns[int(node.this) - 1][1] if 0 < int(node.this) <= len(columns) else None


def _named(item: Any, name: str) -> Any:
    return item if item.alias_or_name == name else exp.alias_(item, name, quoted=True)


def _source_of(name: str, columns: Columns) -> Source:
    hidden = [each for each in columns if each[0] in PSEUDO]
    return Source(name, [each for each in columns if each not in hidden], hidden=hidden)


def _closed(scope: Scope) -> Scope:
    """What a subquery in FROM sees: no other source beside it, but what WITH defines."""
    return Scope(scope.outer, [], scope.tables)


def _columns_of(source: Source) -> list[tuple[str, Kind | None, Any]] | None:
    if source.columns is None:
        return None
    found: list[tuple[str, Kind | None, Any]] = []
    for name, kind in source.columns:
        node = exp.column(exp.to_identifier(name, quoted=True), exp.to_identifier(source.name, quoted=True))
        if not source.name:
            node = exp.column(exp.to_identifier(name, quoted=True))
        if source.value == name and kind is not None and kind.name == "STRUCT":
            # Structs that are unnested show their fields.
            for field, inner in kind.fields:
                dotted = exp.Dot(this=exp.Paren(this=node.copy()), expression=exp.to_identifier(field, quoted=True))
                found.append((field, inner, dotted))
            continue
        found.append((_shown_name(name, len(found)), kind, node))
    return found


def _shown_name(name: str, place: int) -> str:
    return f"f{place}_" if name.startswith(unnests.UNNAMED) else name


def _renamed(columns: list[tuple[str, Kind | None, Any]], pair: Any) -> list[tuple[str, Kind | None, Any]]:
    """The columns of a ``*`` with one of them under another name."""
    old, new = pair.this.name, pair.alias
    if old.lower() not in (name.lower() for name, _, _ in columns):
        raise wrong(f"Column {old} in RENAME does not exist", pair)
    return [
        (new, kind, exp.alias_(node.this, new, quoted=True)) if name.lower() == old.lower() else (name, kind, node)
        for name, kind, node in columns
    ]


def _star(item: Any) -> Any:
    """The Star of a ``*`` item, None for an expression."""
    if isinstance(item, exp.Star):
        return item
    if isinstance(item, exp.Column) and isinstance(item.this, exp.Star):
        return item.this
    if isinstance(item, exp.Dot) and isinstance(item.expression, exp.Star):
        return item.expression
    return None


def _alias_of(node: Any, name: str) -> Any:
    alias = node.args.get("alias")
    if alias is None and name:
        return exp.TableAlias(this=exp.to_identifier(name, quoted=True))
    return alias


__all__ = ["Walk", "analyzed"]
