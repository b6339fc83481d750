"""Names of tables become the engine's relations; views become their queries, wildcard tables a union.

A name that a WITH clause defines in its scope is left alone. A column's ``table.`` prefix keeps working because each
relation gets the table's last name as alias where none is written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

from sqlglot import exp

from tule.bigquery.sql import loading
from tule.bigquery.sql.catalog import Name, Relation
from tule.bigquery.sql.context import Context
from tule.bigquery.sql.free_names import COLUMNS
from tule.bigquery.sql.names import full_name, parts
from tule.bigquery.sql.reads import PARTITION
from tule.bigquery.sql.rules.read_moments import AT
from tule.bigquery.types import Field
from tule.kernel.errors import InvalidArgument, NotFound

RESOLVED = "tule_resolved"
_META = "__TABLES__"
_SAMPLED = "TABLESAMPLE SYSTEM can only be applied directly to tables"


def resolve_tables(tree: Any, context: Context) -> Any:
    wanted = _Wanted(tree)
    for table in list(tree.find_all(exp.Table)):
        if table.meta.get(RESOLVED) or not isinstance(table.this, exp.Identifier):
            continue
        if _is_defined(table):
            if table.args.get("sample"):
                raise _wrong(_SAMPLED)
            continue
        if _is_path(table):
            table.replace(_unnested(table))
            continue
        replacement = _meaning(table, context, wanted)
        alias = table.args.get("alias") or exp.TableAlias(this=exp.to_identifier(parts(table)[-1], quoted=True))
        replacement.set("alias", alias)
        for name in ("joins", "pivots", "laterals"):
            if table.args.get(name):
                replacement.set(name, table.args[name])
        if (sample := table.args.get("sample")) is not None:
            replacement.set("sample", _sample(sample, replacement))
        if table is tree:
            tree = replacement
        else:
            table.replace(replacement)
    return tree


def _sample(written: Any, source: Any) -> Any:
    """A share of the rows. The service takes whole blocks of a table, of which a small one has one; here each row may be
    taken."""
    if not isinstance(source, exp.Table):
        raise _wrong(_SAMPLED)
    method, percent = written.args.get("method"), written.args.get("percent")
    if method is None or method.name.upper() != "SYSTEM" or not isinstance(percent, exp.Literal) or percent.is_string:
        raise _wrong("TABLESAMPLE must be written as TABLESAMPLE SYSTEM (number PERCENT)")
    if not 0.0 <= float(percent.name) <= 100.0:
        raise _wrong(f"TABLESAMPLE percent value must be in the range [0, 100]; given: {percent.name}")
    return exp.TableSample(method=exp.var("BERNOULLI"), percent=percent.copy())


def relation(text: str) -> exp.Table:
    """A table node of a relation as the engine prints it."""
    names = [exp.to_identifier(each.strip('"`'), quoted=True) for each in text.split(".")]
    made = exp.Table(
        this=names[-1], db=names[-2] if len(names) > 1 else None, catalog=names[-3] if len(names) > 2 else None
    )
    made.meta[RESOLVED] = True
    return made


def _meaning(table: exp.Table, context: Context, wanted: _Wanted) -> Any:
    written = parts(table)
    if len(written) == 1 and (own := context.catalog.defined(written[0])) is not None:
        return _read(own, written[0], table, wanted)
    upper = [each.upper() for each in written]
    if "INFORMATION_SCHEMA" in upper:
        at = upper.index("INFORMATION_SCHEMA")
        before = written[:at]
        project = ".".join(before[:-1]) or context.project
        dataset = before[-1] if before else None
        view = ".".join(upper[at + 1 :])
        if table.meta.get(AT):
            raise _wrong(f"FOR SYSTEM_TIME AS OF cannot be used with INFORMATION_SCHEMA.{view}")
        return relation(context.catalog.information_schema(project, dataset, view))
    name = full_name(table, context.project, context.dataset, context.scope.temporary)
    if name.table.upper() == _META:
        return relation(context.catalog.information_schema(name.project, name.dataset, _META))
    moment = table.meta.get(AT) or context.at
    if name.table.endswith("*"):
        if moment is not None:
            raise _wrong("FOR SYSTEM_TIME AS OF expression is not supported for wildcard tables")
        return _wildcard(name, context, wanted)
    found = context.catalog.resolve(name, moment, context.through)
    context.tables.append(name)
    if found.read is not None:
        return _read(found, str(name), table, wanted)
    if not _is_target(table):
        _check_filter(found, f"{name.project}.{name.dataset}.{name.table}", table)
    if found.grain and (_is_target(table) or _is_changed(table)):
        return loading.target(found, table)
    if found.condition and not _is_target(table):
        return _seen(found, name, context, wanted)
    return _relation(found, name, context, moment, wanted)


def _is_changed(table: exp.Table) -> bool:
    """Whether rows of the table are updated, deleted or merged with others."""
    holder = table.parent
    return isinstance(holder, exp.Update | exp.Delete | exp.Merge) and holder.this is table


def _is_target(table: exp.Table) -> bool:
    """Whether rows are added to the table: those that it has are not read."""
    holder = table.parent.parent if isinstance(table.parent, exp.Schema) else table.parent
    return isinstance(holder, exp.Insert) and table is not holder.expression


def _seen(found: Relation, name: Name, context: Context, wanted: _Wanted) -> Any:
    """The rows of a table that its row access policies let the caller see."""
    from tule.bigquery.sql.compile import rewritten
    from tule.bigquery.sql.parse import parse_expression

    pseudo = wanted.pseudo(found)
    rows = relation(found.relation)
    rows.meta[PARTITION] = found.partition
    source = loading.source(rows, found.fields, pseudo, hides=bool(found.grain))
    source.set("alias", exp.TableAlias(this=exp.to_identifier(name.table, quoted=True)))
    condition = parse_expression(found.condition).expressions[0].unalias()
    query = (
        exp.select(exp.Star(), *(exp.column(each.name, quoted=True) for each in pseudo)).from_(source).where(condition)
    )
    inner = rewritten(query, context.inside(name.project, name))
    for each in inner.find_all(exp.Table):
        each.meta[RESOLVED] = True
    return _with_columns(exp.Subquery(this=inner), [*found.fields, *pseudo])


def _wrong(message: str) -> InvalidArgument:
    return InvalidArgument(message, reason="invalidQuery", location="query")


def _relation(found: Relation, name: Name, context: Context, moment: datetime | None, wanted: _Wanted) -> Any:
    if not found.query:
        rows: Any = relation(found.relation)
        rows.meta[PARTITION] = found.partition
        if found.rows is not None:
            rows = exp.Subquery(this=exp.select(exp.Star()).from_(rows).limit(found.rows))
        return loading.source(rows, found.fields, wanted.pseudo(found), hides=bool(found.grain))
    if name in context.views or len(context.views) >= 16:
        raise InvalidArgument(
            f"View {name} must not refer to itself, nor nest more than 16 deep", reason="invalidQuery"
        )
    from tule.bigquery.sql.compile import rewritten
    from tule.bigquery.sql.parse import parse

    inner = rewritten(parse(found.query), context.inside(found.project or name.project, name, moment))
    for each in inner.find_all(exp.Table):
        each.meta[RESOLVED] = True
    return _with_columns(exp.Subquery(this=inner), found.fields)


def _with_columns(node: Any, fields: Sequence[Field]) -> Any:
    node.meta[COLUMNS] = list(fields)
    return node


class _Wanted:
    """Which columns a statement may mean: those whose names it holds anywhere, all where it has a ``*``."""

    def __init__(self, tree: Any) -> None:
        self._tree = tree

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(each.name.lower() for each in self._tree.find_all(exp.Identifier))

    @cached_property
    def _all(self) -> bool:
        if any(self._tree.find(kind) is not None for kind in (exp.Merge, exp.Pivot)):
            return True
        return any(not isinstance(star.parent, exp.Func) for star in self._tree.find_all(exp.Star))

    def pseudo(self, found: Relation) -> list[Field]:
        """The columns that are not in ``*`` and that the statement names."""
        return [each for each in found.pseudo if each.name.lower() in self._names]

    def of(self, table: exp.Table) -> Callable[[str], bool]:
        alias = (table.alias or parts(table)[-1]).lower()
        row = any(not each.table and each.name.lower() == alias for each in self._tree.find_all(exp.Column))
        if self._all or row:
            return lambda name: not name.startswith("_FILE_") or name.lower() in self._names
        return lambda name: name.lower() in self._names


def _read(found: Relation, name: str, table: exp.Table, wanted: _Wanted) -> Any:
    """What is read when the engine comes to it: the columns that the statement may mean, and no others."""
    _check_filter(found, name, table)
    assert found.read is not None
    return _with_columns(relation(found.read(wanted.of(table))), [*found.fields, *found.pseudo])


def _check_filter(found: Relation, name: str, table: exp.Table) -> None:
    """Raise where a table may only be read by a filter on a column, and the query around it has none."""
    if found.filter_on and not _filters(table, found.filter_on):
        columns = ", ".join(f"'{each}'" for each in found.filter_on)
        raise InvalidArgument(
            f"Cannot query over table '{name}' without a filter over column(s) {columns} that can be used for partition "
            "elimination",
            reason="invalidQuery",
            location="query",
        )


def _filters(table: exp.Table, keys: Sequence[str]) -> bool:
    """Whether the query around a table filters by one of its columns ``keys``."""
    select = table.find_ancestor(exp.Select, exp.Delete, exp.Update, exp.Merge)
    if select is None or select.args.get("where") is None:
        return False
    alias = (table.alias or parts(table)[-1]).lower()
    names = {each.lower() for each in keys}
    return any(
        each.name.lower() in names and each.table.lower() in ("", alias)
        for each in select.args["where"].find_all(exp.Column)
    )


def _wildcard(name: Name, context: Context, wanted: _Wanted) -> Any:
    """``dataset.prefix*``: all tables of that prefix, with ``_TABLE_SUFFIX``."""
    prefix = name.table[:-1]
    tables = sorted(each for each in context.catalog.tables(name.project, name.dataset) if each.startswith(prefix))
    if not tables:
        raise NotFound(f"{name.project}:{name.dataset}.{name.table} does not match any table.", reason="notFound")
    selects = []
    fields: Sequence[Field] = ()
    pseudo: dict[str, Field] = {}
    for each in tables:
        one = Name(name.project, name.dataset, each)
        context.tables.append(one)
        suffix = exp.alias_(exp.Literal.string(each[len(prefix) :]), "_TABLE_SUFFIX", quoted=True)
        found = context.catalog.resolve(one, None, context.through)
        if found.read is not None:
            raise InvalidArgument(
                f"External tables cannot be queried through prefix: {one}", reason="invalidQuery", location="query"
            )
        fields = found.fields
        named = wanted.pseudo(found)
        pseudo |= {column.name: column for column in named}
        source = _relation(found, one, context, None, wanted)
        # A subquery needs a name in the engine's SQL.
        source.set("alias", exp.TableAlias(this=exp.to_identifier("_tule_table", quoted=True)))
        selects.append(exp.select(exp.Star(), suffix).from_(source))
    union: Any = selects[0]
    for select in selects[1:]:
        union = exp.Union(this=union, expression=select, distinct=False, by_name=True)
    return _with_columns(exp.Subquery(this=union), [*fields, *pseudo.values(), Field("_TABLE_SUFFIX", "STRING")])


def _is_path(table: exp.Table) -> bool:
    """Whether the name is an array of something before it in FROM: ``FROM UNNEST(a) AS s, s.items``."""
    join = table.parent
    select = join.parent if isinstance(join, exp.Join) else None
    first = table.parts[0].name.lower() if table.args.get("db") is not None else ""
    if not first or not isinstance(select, exp.Select) or select.args.get("from_") is None:
        return False
    before = [select.args["from_"].this]
    for each in select.args.get("joins") or ():
        if each is join:
            break
        before.append(each.this)
    return any(first in _names_of(each) for each in before)


def _names_of(source: Any) -> set[str]:
    alias = source.args.get("alias")
    if alias is None:
        return {source.name.lower()} if isinstance(source, exp.Table) else set()
    return {each.name.lower() for each in (alias.this, *alias.columns) if each is not None}


def _unnested(table: exp.Table) -> exp.Expression:
    alias = table.args.get("alias")
    path = exp.Column(
        **dict(zip(("this", "table", "db", "catalog"), [each.copy() for each in reversed(table.parts)], strict=False))
    )
    made = exp.Unnest(expressions=[path])
    name = alias.this if alias is not None else table.parts[-1]
    made.set("alias", exp.TableAlias(columns=[name.copy()]))
    return made


def _is_defined(table: exp.Table) -> bool:
    """Whether a WITH clause around the table defines its name."""
    if table.args.get("db") is not None:
        return False
    wanted = table.name.lower()
    node: Any = table
    while node is not None:
        with_ = node.args.get("with_") if hasattr(node, "args") else None
        if with_ is not None:
            for cte in with_.expressions:
                if cte.alias.lower() == wanted and not (_inside(table, cte) and not with_.args.get("recursive")):
                    return True
        node = node.parent
    return False


def _inside(node: Any, ancestor: Any) -> bool:
    while node is not None:
        if node is ancestor:
            return True
        node = node.parent
    return False
