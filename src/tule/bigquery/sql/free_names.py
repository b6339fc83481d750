"""Names in a tree that no column and no alias of a query answers: only those may mean a variable or an argument.

GoogleSQL takes a name for a column wherever one of that name can be seen, and for a variable only where there is none. So
the sources of each query around a name are asked for their columns, from the innermost outwards.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp

from tule.bigquery.types import Field

# Where a rule that put a relation or a finished query into a tree notes its columns: a list of Field.
COLUMNS = "tule_columns"

Columns = dict[str, Field | None]
"""By name in lower case; None for a column whose type is not known."""
Describe = Callable[[exp.Expression], Sequence[Field] | None]


@dataclass
class _Query:
    """The names that one query makes visible to its parts."""

    outer: _Query | None
    sources: dict[str, Columns | None] = field(default_factory=dict)
    """alias -> columns, None where they are not known"""
    aliases: set[str] = field(default_factory=set)
    """names of the select list, for the clauses that see them"""
    tables: dict[str, Columns | None] = field(default_factory=dict)
    """what WITH defines"""

    def binds(self, name: str) -> bool:
        if name in self.sources or name in self.aliases:
            return True
        # Columns that nobody knows may be of that name, and columns come first.
        return any(columns is None or name in columns for columns in self.sources.values())

    def column(self, parts: Sequence[str]) -> Field | None:
        """The field that a dotted name leads to."""
        query: _Query | None = self
        while query is not None:
            if parts[0] in query.sources and len(parts) > 1:
                found = (query.sources[parts[0]] or {}).get(parts[1])
                return _inner(found, parts[2:])
            for columns in query.sources.values():
                if columns and parts[0] in columns:
                    return _inner(columns[parts[0]], parts[1:])
            query = query.outer
        return None

    def table(self, name: str) -> tuple[bool, Columns | None]:
        """(whether WITH defines it, its columns)"""
        query: _Query | None = self
        while query is not None:
            if name in query.tables:
                return True, query.tables[name]
            query = query.outer
        return False, None


def _inner(found: Field | None, path: Sequence[str]) -> Field | None:
    for part in path:
        if found is None:
            return None
        found = next((each for each in found.fields if each.name.lower() == part), None)
    return found


def free_names(tree: exp.Expression, names: Collection[str], describe: Describe) -> list[Any]:
    """The nodes (columns, possibly with a path behind the name) whose first part is one of ``names`` (in lower case) and
    that no column binds. ``describe`` tells the columns of a table that the tree does not know."""
    candidates = [each for each in tree.find_all(exp.Column) if leading(each) in names]
    if not candidates:
        return []
    finder = _Finder({id(each) for each in candidates}, describe)
    finder.visit(tree, None)
    return finder.found


def leading(column: exp.Column) -> str:
    """The first part of a column's name, in lower case."""
    for part in ("catalog", "db", "table", "this"):
        node = column.args.get(part)
        if isinstance(node, exp.Identifier):
            return str(node.name).lower()
    return ""


def path(column: exp.Column) -> list[exp.Identifier]:
    """All parts of a column's name."""
    return [
        node for part in ("catalog", "db", "table", "this") if isinstance(node := column.args.get(part), exp.Identifier)
    ]


class _Finder:
    def __init__(self, candidates: set[int], describe: Describe) -> None:
        self._candidates = candidates
        self._describe = describe
        self.found: list[Any] = []

    # -- any node

    def visit(self, node: Any, query: _Query | None) -> None:
        if isinstance(node, exp.Column):
            if id(node) in self._candidates and not self._bound(leading(node), query):
                self.found.append(node)
            return
        if isinstance(node, exp.Query):
            self.query(node, query)
        elif isinstance(node, exp.DML | exp.Merge):
            self._change(node, query)
        elif isinstance(node, exp.Lambda):
            self._lambda(node, query)
        else:
            self._children(node, query)

    def _children(self, node: Any, query: _Query | None, skip: Collection[str] = ()) -> None:
        for name, value in node.args.items():
            if name not in skip:
                for each in value if isinstance(value, list) else (value,):
                    if isinstance(each, exp.Expression):
                        self.visit(each, query)

    @staticmethod
    def _bound(name: str, query: _Query | None) -> bool:
        while query is not None:
            if query.binds(name):
                return True
            query = query.outer
        return False

    def _lambda(self, node: exp.Lambda, query: _Query | None) -> None:
        inside = _Query(query, aliases={each.name.lower() for each in node.expressions})
        self.visit(node.this, inside)

    # -- queries

    def query(self, node: Any, outer: _Query | None) -> Columns | None:
        """Look through a query; its columns."""
        if (known := node.meta.get(COLUMNS)) is not None:
            return _columns(known)
        inside = _Query(outer)
        self._with(node, inside)
        if isinstance(node, exp.Subquery):
            columns = self.query(node.this, inside)
            self._children(node, inside, skip=("with_", "this", "alias", "joins", "laterals", "pivots"))
            return columns
        if isinstance(node, exp.SetOperation):
            left = self.query(node.left, inside)
            self.query(node.right, inside)
            inside.aliases |= set(left or ())
            self._children(node, inside, skip=("with_", "this", "expression"))
            return left
        if isinstance(node, exp.Select):
            return self._select(node, inside)
        self._children(node, inside, skip=("with_",))
        return None

    def _with(self, node: Any, inside: _Query) -> None:
        with_ = node.args.get("with_")
        if with_ is None:
            return
        for cte in with_.expressions:
            name = cte.alias.lower()
            if with_.args.get("recursive"):
                body = cte.this
                first = body.left if isinstance(body, exp.SetOperation) else body
                # The columns of a query that refers to itself are those of its first part.
                inside.tables[name] = _renamed(_Finder(set(), self._describe).query(first, inside), cte)
            columns = self.query(cte.this, inside)
            inside.tables[name] = _renamed(columns, cte)

    def _select(self, node: exp.Select, inside: _Query) -> Columns | None:
        if (from_ := node.args.get("from_")) is not None:
            self._source(from_.this, inside)
        for join in node.args.get("joins") or ():
            self._source(join.this, inside)
            self._children(join, inside, skip=("this", "using"))
        for lateral in node.args.get("laterals") or ():
            self._source(lateral, inside)
        for each in node.expressions:
            self.visit(each, inside)
        for name in ("where", "prewhere", "distinct", "hint"):
            if isinstance(node.args.get(name), exp.Expression):
                self.visit(node.args[name], inside)
        inside.aliases |= {each.alias.lower() for each in node.expressions if isinstance(each, exp.Alias)}
        self._children(
            node, inside, skip=("with_", "from_", "joins", "laterals", "expressions", "where", "prewhere", "distinct",
                                "hint", "kind"),
        )  # fmt: skip
        return self._output(node, inside)

    def _output(self, node: exp.Select, inside: _Query) -> Columns | None:
        if str(node.args.get("kind") or "").upper() == "VALUE":
            return None
        found: Columns = {}
        for each in node.expressions:
            if each.is_star:
                columns = self._star(each, inside)
                if columns is None:
                    return None
                found |= columns
            elif each.alias_or_name:
                value = each.unalias()
                known = isinstance(value, exp.Column)
                parts = [part.name.lower() for part in path(value)] if known else []
                found[each.alias_or_name.lower()] = inside.column(parts) if parts else _typed(value)
        return found

    @staticmethod
    def _star(node: Any, inside: _Query) -> Columns | None:
        star = node if isinstance(node, exp.Star) else node.find(exp.Star)
        found: Columns = {}
        qualifier = node.args["table"].name.lower() if isinstance(node, exp.Column) and node.args.get("table") else ""
        for name, columns in inside.sources.items():
            if qualifier and name != qualifier:
                continue
            if columns is None:
                return None
            found |= columns
        if qualifier and qualifier not in inside.sources:
            return None
        for each in star.args.get("except_") or star.args.get("except") or ():
            found.pop(each.name.lower(), None)
        return found

    # -- sources

    def _source(self, node: Any, inside: _Query) -> None:
        """Add what a table, subquery or UNNEST of FROM makes visible."""
        alias = node.args.get("alias")
        name = alias.name.lower() if alias is not None and alias.name else ""
        columns: Columns | None
        if isinstance(node, exp.Unnest):
            self._unnest(node, inside)
            return
        if isinstance(node, exp.Table):
            name = name or _last(node)
            defined, columns = inside.table(node.name.lower()) if not node.args.get("db") else (False, None)
            if not defined:
                columns = self._table(node, inside)
        elif isinstance(node, exp.Subquery) and isinstance(node.this, exp.Table | exp.Unnest):
            # A join in parentheses.
            self._source(node.this, inside)
            columns = {}
        elif isinstance(node, exp.Query):
            columns = self.query(node, inside.outer if not isinstance(node.parent, exp.Lateral) else inside)
        else:
            self._children(node, inside)
            columns = None
        columns = _renamed(columns, node)
        if node.args.get("pivots"):
            for each in node.args["pivots"]:
                self.visit(each, _Query(inside, sources={name: columns}))
            columns = None
        if node.args.get("offset") is not None and isinstance(node.args["offset"], exp.Identifier):
            inside.aliases.add(node.args["offset"].name.lower())
        if name or columns:
            inside.sources[name or f"\x00{len(inside.sources)}"] = columns
        for join in node.args.get("joins") or ():
            self._source(join.this, inside)
            self._children(join, inside, skip=("this", "using"))

    def _table(self, node: exp.Table, inside: _Query) -> Columns | None:
        if (known := node.meta.get(COLUMNS)) is not None:
            return _columns(known)
        if not isinstance(node.this, exp.Identifier):
            self._children(node.this, inside)
        # ``FROM t, t.items``: a path that begins with another source is its array.
        parts = [part.name.lower() for part in node.parts if isinstance(part, exp.Identifier)]
        if len(parts) > 1 and parts[0] in inside.sources:
            return _elements(inside.column(parts))
        fields = self._describe(node)
        return None if fields is None else _columns(fields)

    def _unnest(self, node: exp.Unnest, inside: _Query) -> None:
        for each in node.expressions:
            self.visit(each, inside)
        alias = node.args.get("alias")
        names = [each.name.lower() for each in alias.columns] if alias is not None else []
        if alias is not None and alias.name:
            names.append(alias.name.lower())
        if isinstance(node.args.get("offset"), exp.Identifier):
            names.append(node.args["offset"].name.lower())
        elif node.args.get("offset"):
            names.append("offset")
        arrays = [each for each in node.expressions if not isinstance(each, exp.Kwarg)]
        for each in arrays:
            if isinstance(each, exp.Alias):
                names.append(each.alias.lower())
        columns: Columns = dict.fromkeys(names)
        if len(arrays) == 1:
            columns |= self._element(arrays[0].unalias(), inside)
        if names:
            columns[names[0]] = Field(names[0], "STRUCT", fields=tuple(each for each in columns.values() if each))
        inside.sources[names[0] if names else f"\x00{len(inside.sources)}"] = columns

    def _element(self, array: Any, inside: _Query) -> Columns:
        """The fields of an array's elements, as far as the text tells."""
        if isinstance(array, exp.Paren):
            return self._element(array.this, inside)
        if isinstance(array, exp.Column):
            return _elements(inside.column([part.name.lower() for part in path(array)]))
        if isinstance(array, exp.Array) and array.expressions:
            first = array.expressions[0]
            if isinstance(first, exp.Query):
                columns = _Finder(set(), self._describe).query(first, inside)
                kind = first.args.get("kind") if isinstance(first, exp.Select) else None
                return columns or {} if str(kind or "").upper() == "STRUCT" else {}
            return _fields(first)
        return _elements(_typed(array))

    # -- statements that change

    def _change(self, node: Any, outer: _Query | None) -> None:
        inside = _Query(outer)
        self._with(node, inside)
        target = node.this.this if isinstance(node.this, exp.Schema) else node.this
        if isinstance(node, exp.Insert):
            if not isinstance(node.this, exp.Table | exp.Schema):
                # INSERT of a MERGE: its target is the MERGE's.
                self._children(node, outer)
                return
            # The rows of INSERT do not see the columns of its table.
            self._children(node, inside, skip=("with_", "this"))
            return
        if isinstance(target, exp.Table):
            self._source(target, inside)
        using = node.args.get("using")
        for each in using if isinstance(using, list) else (using,):
            if isinstance(each, exp.Expression):
                self._source(each, inside)
        if (from_ := node.args.get("from_")) is not None:
            self._source(from_.this, inside)
        self._children(node, inside, skip=("with_", "this", "using", "from_"))


def _last(table: exp.Table) -> str:
    return str(table.name).rsplit(".", 1)[-1].lower()


def _columns(fields: Sequence[Field]) -> Columns:
    return {each.name.lower(): each for each in fields}


def _elements(found: Field | None) -> Columns:
    """The fields of a repeated struct's elements."""
    return _columns(found.fields) if found is not None else {}


def _renamed(columns: Columns | None, node: Any) -> Columns | None:
    """Columns as a list of names behind an alias calls them."""
    alias = node.args.get("alias")
    names = [each.name.lower() for each in alias.columns] if isinstance(alias, exp.TableAlias) else []
    if not names:
        return columns
    known = list((columns or {}).values())
    return {name: known[index] if index < len(known) else None for index, name in enumerate(names)}


def _typed(node: Any) -> Field | None:
    """The type of an expression that says it: a cast, or a struct or array with a type."""
    if isinstance(node, exp.Cast):
        from tule.bigquery.sql.statements import field_of
        from tule.kernel.errors import TuleError

        try:
            return field_of("", node.to)
        except TuleError:
            return None
    if isinstance(node, exp.Struct):
        return Field("", "STRUCT", fields=tuple(each for each in _fields(node).values() if each))
    return None


def _fields(node: Any) -> Columns:
    """The named fields of a struct."""
    if not isinstance(node, exp.Struct):
        return _elements(_typed(node))
    found: Columns = {}
    for each in node.expressions:
        name = each.this.name if isinstance(each, exp.PropertyEQ) else each.alias_or_name
        if name:
            found[name.lower()] = Field(name, "STRING")
    return found
