"""Calls of functions that users defined become what their bodies say.

A SQL function is expanded in the tree, as BigQuery inlines it. What must hold then, and how it does:

- A name in the body means what it meant where the function was defined: tables are resolved there, names of arguments are
  taken for arguments only where no column of the body's own queries has them.
- A name in an argument means what it means at the call. Where the body has queries of its own, which could capture it, the
  arguments are computed beside the body: ``(SELECT body FROM (SELECT argument AS a0))``.
- An argument is computed once: one that would give another value each time is computed beside the body, too.

A JavaScript function becomes a call of a function that the engine was told of.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from sqlglot import exp

from tule.bigquery.sql.analysis.calls import engine_call as call
from tule.bigquery.sql.analysis.scopes import wrong
from tule.bigquery.sql.context import Context, Scope
from tule.bigquery.sql.forms import WithExpression
from tule.bigquery.sql.free_names import COLUMNS, free_names, leading, path
from tule.bigquery.sql.functions import FUNCTIONS, aggregate_in, is_aggregate
from tule.bigquery.sql.functions.keysets import VOLATILE
from tule.bigquery.sql.parse import TableRef, parse, parse_expression
from tule.bigquery.sql.pipes import PIPED
from tule.bigquery.sql.routine_statements import (
    AGGREGATE,
    ANY_TYPE,
    PROCEDURE,
    SCALAR,
    TABLE,
    RoutineArgument,
    RoutineDefinition,
)
from tule.bigquery.sql.rules.name_columns import name_columns
from tule.bigquery.sql.rules.refuse import refuse
from tule.bigquery.sql.rules.resolve_tables import resolve_tables
from tule.bigquery.sql.words import moved
from tule.bigquery.types import Field
from tule.kernel.errors import TuleError, Unimplemented

_DEEPEST = 30
_SIMPLE = (exp.Column, exp.Literal, exp.Null, exp.Boolean, exp.Parameter, exp.Identifier)
# An argument larger than this is not written twice.
_SMALL = 24


class _Argument(exp.Expression):
    """The place of an argument in a body: ``this`` is its index. Nothing captures it."""

    arg_types: ClassVar[dict[str, bool]] = {"this": True}


def expand_routines(tree: Any, context: Context) -> Any:
    while (found := _innermost(tree, context)) is not None:
        node, definition = found
        made = _expanded(node, definition, context)
        if node is tree:
            tree = made
        else:
            node.replace(made)
    return tree


def expand_names(tree: Any, context: Context) -> Any:
    """``WITH(a AS x, value)`` is the body ``value`` of a function of ``a`` that is called with ``x``."""
    for node in reversed(list(tree.find_all(WithExpression))):
        value = node.this
        for each in reversed(node.expressions):
            argument = RoutineArgument(each.alias, ANY_TYPE)
            definition = RoutineDefinition(SCALAR, ("with", each.alias.lower()), (argument,), "")
            holder = exp.Paren(this=value.copy())
            _mark(holder, definition, context)
            value = _bound(holder.this, [each.this.copy()], definition)
        node.replace(exp.Paren(this=value))
    return tree


# -- finding calls


def _innermost(tree: Any, context: Context) -> tuple[Any, RoutineDefinition] | None:
    """The first call whose arguments have none."""
    calls = [node for node in tree.find_all(exp.Anonymous) if not node.meta.get("tule_engine")]
    for node in reversed(calls):
        whole, written = _call_of(node)
        if whole is None:
            continue
        definition = _definition(written, context)
        if definition is None:
            continue
        if isinstance(whole, exp.Table) != (definition.kind == TABLE):
            continue
        return whole, definition
    return None


def _call_of(node: exp.Anonymous) -> tuple[Any, tuple[str, ...]]:
    """The node that a call is as a whole, and its name's parts."""
    name = node.this.name if isinstance(node.this, exp.Identifier) else str(node.this)
    last = tuple(name.split("."))
    parent = node.parent
    if isinstance(parent, exp.Table) and parent.this is node:
        before = [parent.args.get(part) for part in ("catalog", "db")]
        names = ".".join(each.name for each in before if each is not None)
        return parent, (*names.split("."), *last) if names else last
    if isinstance(parent, exp.Dot) and parent.expression is node:
        dotted = _dotted(parent.this)
        return (parent, (*dotted, *last)) if dotted else (None, ())
    return node, last


def _dotted(node: Any) -> tuple[str, ...]:
    if isinstance(node, exp.Identifier):
        return tuple(node.name.split("."))
    if isinstance(node, exp.Column):
        return tuple(itertools.chain.from_iterable(each.name.split(".") for each in path(node)))
    if isinstance(node, exp.Dot):
        left, right = _dotted(node.this), _dotted(node.expression)
        return (*left, *right) if left and right else ()
    return ()


def _definition(written: Sequence[str], context: Context) -> RoutineDefinition | None:
    from tule.bigquery.sql.statements import routine_name

    if len(written) == 1:
        found = context.scope.functions.get(written[0].lower())
        if found is not None or context.dataset is None or written[0].upper() in FUNCTIONS:
            return found
    if (
        written[0].upper() in ("ML", "AI", "NET", "HLL_COUNT", "KEYS", "SAFE", "AEAD", "BAGOFWORDS")
        and len(written) == 2
    ):
        return None
    return context.catalog.routine(routine_name(written, context.project, context.dataset))


# -- expanding one


def _expanded(node: Any, definition: RoutineDefinition, context: Context) -> Any:
    if definition.kind == PROCEDURE:
        raise wrong(f"{_shown(definition)} is a procedure: CALL it", node)
    anonymous = node.this if isinstance(node, exp.Table) else node.expression if isinstance(node, exp.Dot) else node
    if definition.path in context.routines or len(context.routines) >= _DEEPEST:
        raise wrong(
            f"The function {_shown(definition)} must not call itself, nor calls nest more than {_DEEPEST} deep", node
        )
    context.called.append(definition.path)
    given = _matched(node, list(anonymous.expressions), definition)
    if definition.kind == TABLE:
        return _table(node, definition, given, context)
    if isinstance(node.parent, exp.Window) and node.parent.this is node:
        raise wrong(f"The function {_shown(definition)} does not support an OVER clause", node)
    if definition.language == "JAVASCRIPT":
        return _foreign(definition, given, context)
    body = _body(definition, context)
    if definition.kind == AGGREGATE:
        return _substituted(body, given)
    return _bound(body, given, definition)


def _matched(node: Any, given: list[Any], definition: RoutineDefinition) -> list[Any]:
    """The arguments of a call, each cast to its type; raises where they do not fit."""
    wanted = definition.arguments
    given = _piped(given, wanted)
    if len(given) != len(wanted):
        counted = f"{len(wanted)} argument{'' if len(wanted) == 1 else 's'}"
        raise wrong(
            f"Number of arguments does not match for function {_shown(definition)}; it has {counted}, {len(given)} given",
            node,
        )
    return [
        value if each.type == ANY_TYPE or each.type.startswith("TABLE<") else cast_to(value, each, definition, node)
        for value, each in zip(given, wanted, strict=True)
    ]


def _piped(given: list[Any], wanted: Sequence[RoutineArgument]) -> list[Any]:
    """Arguments with the rows of ``|> CALL``, if they are among them, in the place of the first table."""
    rows = next((each for each in given if each.meta.get(PIPED)), None)
    place = next((index for index, each in enumerate(wanted) if each.type.startswith("TABLE<")), None)
    if rows is None or place is None:
        return given
    rest = [each for each in given if each is not rows]
    return [*rest[:place], rows, *rest[place:]]


def _body(definition: RoutineDefinition, context: Context) -> Any:
    """The body with its tables resolved, its own calls expanded and ``_Argument`` where an argument is named."""
    try:
        tree: Any = (parse if definition.kind == TABLE else parse_expression)(definition.body).copy()
    except TuleError as error:
        raise moved(error, definition.place) from None
    _relocate(tree, definition, context)
    functions = context.scope.functions if len(definition.path) == 1 else {}
    inside = replace(
        context,
        project=definition.path[0] if len(definition.path) == 3 else context.project,
        dataset=None,
        parameters={},
        scope=Scope(system=context.scope.system, functions=functions),
        routines=(*context.routines, definition.path),
    )
    tree = name_columns(refuse(tree, inside), inside)
    if any(not each.meta.get("tule_bound") for each in tree.find_all(exp.Parameter, exp.Placeholder)):
        raise wrong(f"Query parameters cannot be used inside the body of the function {_shown(definition)}")
    tables = {
        each.name.lower(): index for index, each in enumerate(definition.arguments) if each.type.startswith("TABLE<")
    }
    for table in list(tree.find_all(exp.Table)):
        if tables and not table.args.get("db") and table.name.lower() in tables:
            marker = exp.Subquery(
                this=exp.select("*").from_(exp.Table(this=_Argument(this=tables[table.name.lower()])))
            )
            marker.meta[COLUMNS] = _table_columns(definition.arguments[tables[table.name.lower()]])
            marker.set(
                "alias", table.args.get("alias") or exp.TableAlias(this=exp.to_identifier(table.name, quoted=True))
            )
            table.replace(marker)
    tree = expand_names(resolve_tables(tree, inside), inside)
    _mark(tree, definition, inside)
    tree = expand_routines(tree, inside)
    _recognized(tree, inside)
    if definition.kind == TABLE:
        return tree
    value = tree.expressions[0].unalias()
    if isinstance(value, exp.Subquery):
        value.set("alias", None)
    return value


def _relocate(tree: Any, definition: RoutineDefinition, context: Context) -> None:
    """Make the places of a body's parts those in the statement that defines it; where it is called they are none."""
    first, column = definition.place
    first -= definition.kind != TABLE
    for node in tree.walk():
        meta = node.meta
        if "line" not in meta:
            continue
        if context.routines:
            for key in ("line", "col", "start", "end"):
                meta.pop(key, None)
        else:
            if meta["line"] == 1 + (definition.kind != TABLE):
                meta["col"] += column - 1
            meta["line"] += first - 1


def checked_body(definition: RoutineDefinition, context: Context) -> Any:
    """The query that a new function is checked with: its body over arguments that are NULL.

    Raises for what the body alone shows to be wrong; None where the types of the arguments are left open.
    """
    body = _body(definition, context)
    if any(each.type == ANY_TYPE or each.type.startswith("TABLE<") for each in definition.arguments):
        return None
    nulls = [exp.cast(exp.Null(), exp.DataType.build(each.type, dialect="bigquery")) for each in definition.arguments]
    if definition.kind != TABLE:
        value = _substituted(body, nulls)
        value = _returned(value, definition) if _is_constant(value) else value
        return exp.select(exp.alias_(value, "value", quoted=True))
    body = _substituted(body, nulls)
    return body if definition.columns is None else _shaped(body, definition.columns)


def _is_constant(value: Any) -> bool:
    """Whether a body is written as a constant, or makes a struct: these are taken for the type that they are returned as."""
    return isinstance(value.unnest(), exp.Literal | exp.Null | exp.Neg | exp.Struct | exp.Tuple | exp.Array)


def _recognized(tree: Any, context: Context) -> None:
    """Raise for a name that nothing in the body means."""
    from tule.bigquery.sql.rules.resolve_variables import describer

    names = {leading(each) for each in tree.find_all(exp.Column)}
    for column in free_names(tree, names, describer(context)):
        raise wrong(f"Unrecognized name: {path(column)[0].name}", column)


def _mark(tree: Any, definition: RoutineDefinition, context: Context) -> None:
    """Put ``_Argument`` where the body means an argument."""
    from tule.bigquery.sql.rules.resolve_variables import describer

    indices = {each.name.lower(): index for index, each in enumerate(definition.arguments)}
    for column in free_names(tree, indices.keys(), describer(context)):
        parts = path(column)
        made: Any = _Argument(this=indices[parts[0].name.lower()])
        if isinstance(column.this, exp.Star):
            raise Unimplemented(
                f"Tule does not do {parts[0].name}.* over an argument of a function", do="name its fields",
                reason="notImplemented",
            )  # fmt: skip
        for part in parts[1:]:
            made = exp.Dot(this=exp.Paren(this=made), expression=part.copy())
        column.replace(made)


def _bound(body: Any, given: list[Any], definition: RoutineDefinition) -> Any:
    """A function's body with its arguments in place."""
    uses: dict[int, list[_Argument]] = {}
    for marker in body.find_all(_Argument):
        uses.setdefault(marker.this, []).append(marker)
    beside = {index for index, markers in uses.items() if _apart(given[index], markers, body)}
    if beside:
        # All of them go the same way: a body beside one argument could capture the names of the others.
        body = _beside(body, given, uses, definition)
    else:
        body = _substituted(body, given)
    return exp.Paren(this=_returned(body, definition))


def _substituted(body: Any, given: list[Any]) -> Any:
    holder = exp.Paren(this=body)
    for marker in list(holder.find_all(_Argument)):
        value = given[marker.this].copy()
        marker.replace(value if isinstance(value, _SIMPLE) else exp.Paren(this=value))
    return holder.this


def _apart(value: Any, markers: list[_Argument], body: Any) -> bool:
    """Whether an argument must be computed beside the body."""
    if isinstance(value, exp.Cast) and isinstance(value.this, exp.Literal | exp.Null | exp.Boolean):
        return False
    if isinstance(value, exp.Literal | exp.Null | exp.Boolean):
        return False
    if any(_inside_query(marker, body) for marker in markers):
        found = value.find(exp.Column, exp.Query, exp.Window) or aggregate_in(value)
        return found is not None or is_volatile(value)
    if len(markers) > 1:
        return is_volatile(value) or sum(1 for _ in value.walk()) > _SMALL
    return False


def _inside_query(marker: Any, body: Any) -> bool:
    node = marker
    while node is not body and node is not None:
        node = node.parent
        if isinstance(node, exp.Query | exp.Lambda):
            return True
    return isinstance(body, exp.Query)


def _beside(body: Any, given: list[Any], uses: Mapping[int, Any], definition: RoutineDefinition) -> Any:
    values = [given[index] for index in sorted(uses)]
    queries = isinstance(body, exp.Query) or body.find(exp.Query) is not None
    if any(_has_window(value) for value in values) or any(_counts_nothing(value) for value in values):
        if queries:
            raise Unimplemented(
                f"Tule does not pass window functions or COUNT(*) to {_shown(definition)}, whose body has a query",
                do="compute the argument in a subquery and pass its column", reason="notImplemented",
            )  # fmt: skip
        return _in_list(body, given, uses, definition)
    if any(is_volatile(value) for value in values) and not any(value.find(exp.Column) for value in values):
        if queries:
            raise Unimplemented(
                f"Tule does not pass a random value to {_shown(definition)}, whose body has a query",
                do="compute the argument in a subquery and pass its column", reason="notImplemented",
            )  # fmt: skip
        return _in_list(body, given, uses, definition)
    if not queries:
        return _in_list(body, given, uses, definition)
    # Named after the function, not counted: the same call twice must be the same text, as GROUP BY compares.
    alias = exp.to_identifier(_scope_name(definition), quoted=True)
    holder = exp.Paren(this=body)
    columns = []
    for index in sorted(uses):
        columns.append(exp.alias_(given[index].copy(), f"a{index}", quoted=True))
        for marker in uses[index]:
            marker.replace(exp.column(exp.to_identifier(f"a{index}", quoted=True), table=alias.copy()))
    source = exp.Subquery(this=exp.select(*columns), alias=exp.TableAlias(this=alias.copy()))
    return exp.Subquery(this=exp.select(exp.alias_(holder.this, "value", quoted=True)).from_(source))


def _in_list(body: Any, given: list[Any], uses: Mapping[int, Any], definition: RoutineDefinition) -> Any:
    """The body as the function of one struct: ``list_transform([arguments], p -> body)[1]``; its names are the outer ones,
    and each argument is computed once."""
    name = exp.to_identifier(_scope_name(definition), quoted=True)
    holder = exp.Paren(this=body)
    fields = []
    for index in sorted(uses):
        key = exp.to_identifier(f"a{index}", quoted=True)
        fields.append(exp.PropertyEQ(this=key.copy(), expression=given[index].copy()))
        for marker in uses[index]:
            marker.replace(exp.Dot(this=name.copy(), expression=key.copy()))
    function = exp.Lambda(this=holder.this, expressions=[name.copy()])
    return call(
        "list_extract", call("list_transform", exp.Array(expressions=[exp.Struct(expressions=fields)]), function),
        exp.Literal.number(1),
    )  # fmt: skip


def _scope_name(definition: RoutineDefinition) -> str:
    return f"_tule_{'_'.join(definition.path)}"


def _returned(body: Any, definition: RoutineDefinition) -> Any:
    if not definition.returns:
        return body
    # A struct that is made here takes the names of the type.
    body = body.unnest() if isinstance(body.unnest(), exp.Struct | exp.Tuple) else body
    return exp.cast(body, exp.DataType.build(definition.returns, dialect="bigquery"))


def _foreign(definition: RoutineDefinition, given: list[Any], context: Context) -> Any:
    """A call of a function in another language."""
    name = context.catalog.foreign(definition)
    fields = [
        exp.PropertyEQ(this=exp.to_identifier(each.name, quoted=True), expression=value)
        for value, each in zip(given, definition.arguments, strict=True)
    ] or [exp.PropertyEQ(this=exp.to_identifier("none", quoted=True), expression=exp.Boolean(this=True))]
    made = call(name, exp.Struct(expressions=fields))
    return call("struct_extract", made, exp.Literal.string("value"))


# -- table functions


def _table(node: exp.Table, definition: RoutineDefinition, given: list[Any], context: Context) -> Any:
    body = _body(definition, context)
    for marker in list(body.find_all(_Argument)):
        value = given[marker.this]
        if isinstance(marker.parent, exp.Table):
            # What it stands for tells its columns from now on.
            marker.find_ancestor(exp.Subquery).meta.pop(COLUMNS)
            marker.parent.replace(_relation(value, definition.arguments[marker.this], context))
            continue
        if next(iter(value.find_all(exp.Column)), None) is not None and _inside_query(marker, body):
            # A variable is a column until it is resolved: mark it, so that the body's columns do not capture it.
            value = _resolved(value, context)
        marker.replace(exp.Paren(this=value.copy()))
    if definition.columns is not None:
        body = _shaped(body, definition.columns)
    made = exp.Subquery(this=body)
    alias = node.args.get("alias") or exp.TableAlias(this=exp.to_identifier(definition.path[-1], quoted=True))
    made.set("alias", alias)
    for name in ("joins", "pivots", "laterals"):
        if node.args.get(name):
            made.set(name, node.args[name])
    return made


def _resolved(value: Any, context: Context) -> Any:
    """An argument of a table function with the variables in it bound; it cannot have columns."""
    from tule.bigquery.sql.rules.resolve_variables import resolve_variables

    holder: Any = exp.select(exp.alias_(value.copy(), "value", quoted=True))
    holder = resolve_variables(resolve_tables(holder, context), context)
    for column in holder.expressions[0].find_all(exp.Column):
        if column.find_ancestor(exp.Query) is holder:
            raise wrong(f"Unrecognized name: {column.sql(dialect='bigquery')}", column)
    return holder.expressions[0].this


def _relation(value: Any, argument: RoutineArgument, context: Context) -> Any:
    """A table argument: the columns that it asks for of ``TABLE t`` or a query, which may have others."""
    alias = exp.TableAlias(this=exp.to_identifier(argument.name, quoted=True))
    if isinstance(value, TableRef | exp.Subquery):
        rows = value.this.copy() if isinstance(value, TableRef) else value.copy()
        rows.set("alias", alias.copy())
        columns = [exp.column(exp.to_identifier(each.name, quoted=True)) for each in _table_columns(argument)]
        return exp.Subquery(this=exp.select(*columns).from_(rows), alias=alias)
    raise wrong(f"The argument {argument.name} must be a table: TABLE name, or a query in parentheses")


def _table_columns(argument: RoutineArgument) -> tuple[Field, ...]:
    from tule.bigquery.sql.statements import field_of_text

    return field_of_text(argument.name, argument.type.replace("TABLE<", "STRUCT<", 1)).fields


def _shaped(body: Any, columns: Sequence[tuple[str, str]]) -> Any:
    """A query with the columns that RETURNS TABLE promises, by name."""
    names = [
        exp.alias_(
            exp.cast(exp.column(exp.to_identifier(name, quoted=True)), exp.DataType.build(kind, dialect="bigquery")),
            name,
            quoted=True,
        )
        for name, kind in columns
    ]
    source = exp.Subquery(this=body, alias=exp.TableAlias(this=exp.to_identifier("_tule_returned", quoted=True)))
    return exp.select(*names).from_(source)


# -- types of arguments

_TYPES = {
    exp.DataType.Type.BIGINT: "INT64",
    exp.DataType.Type.DOUBLE: "FLOAT64",
    exp.DataType.Type.DECIMAL: "NUMERIC",
    exp.DataType.Type.BIGDECIMAL: "BIGNUMERIC",
    exp.DataType.Type.BOOLEAN: "BOOL",
    exp.DataType.Type.TEXT: "STRING",
    exp.DataType.Type.BINARY: "BYTES",
    exp.DataType.Type.DATE: "DATE",
    exp.DataType.Type.TIME: "TIME",
    exp.DataType.Type.TIMESTAMP: "DATETIME",
    exp.DataType.Type.TIMESTAMPTZ: "TIMESTAMP",
}
# What is taken for another type without a cast: by any value, and by a literal.
COERCIONS: dict[str, frozenset[str]] = {
    "INT64": frozenset({"NUMERIC", "BIGNUMERIC", "FLOAT64"}),
    "NUMERIC": frozenset({"BIGNUMERIC", "FLOAT64"}),
    "BIGNUMERIC": frozenset({"FLOAT64"}),
    "DATE": frozenset({"DATETIME"}),
}
LITERALS: dict[str, frozenset[str]] = {
    "STRING": frozenset({"DATE", "DATETIME", "TIME", "TIMESTAMP", "JSON"}),
    "FLOAT64": frozenset({"NUMERIC", "BIGNUMERIC"}),
}


def cast_to(value: Any, argument: RoutineArgument, definition: RoutineDefinition, node: Any) -> Any:
    """A value as the type of an argument; raises where its text alone shows that it is of another."""
    wanted = argument.type.partition("(")[0].partition("<")[0]
    found, literal = _type_of(value)
    if found and found != wanted:
        fits = wanted in COERCIONS.get(found, ()) or (literal and wanted in LITERALS.get(found, ()))
        if not fits:
            types = ", ".join(each.type for each in definition.arguments)
            raise wrong(
                f"No matching signature for function {_shown(definition)} for argument types: {found}. Supported "
                f"signature: {_shown(definition)}({types})",
                node,
            )
    if found == wanted and not isinstance(value, exp.Literal):
        return value
    return exp.cast(value, exp.DataType.build(argument.type, dialect="bigquery"))


def _type_of(value: Any) -> tuple[str, bool]:
    """(the type that an expression's text shows, "" for none; whether it is a literal)"""
    node = value.this if isinstance(value, exp.Paren) else value
    if isinstance(node, exp.Neg):
        return _type_of(node.this)
    if isinstance(node, exp.Literal):
        return ("STRING" if node.is_string else "INT64" if node.this.isdigit() else "FLOAT64"), True
    if isinstance(node, exp.Boolean):
        return "BOOL", True
    if isinstance(node, exp.Cast):
        return _TYPES.get(node.to.this, ""), False
    return "", False


# -- properties of expressions


def is_volatile(value: Any) -> bool:
    """Whether an expression gives another value each time."""
    return any(
        each.name.upper() in ("RAND", "GENERATE_UUID")
        or (isinstance(each.parent, exp.Dot) and f"{each.parent.this.name.upper()}.{each.name.upper()}" in VOLATILE)
        for each in value.find_all(exp.Anonymous)
    )


def _has_window(value: Any) -> bool:
    return value.find(exp.Window) is not None


def _counts_nothing(value: Any) -> bool:
    """Whether an aggregate has no column: beside the body it would count the rows there."""
    aggregates = (each for each in value.find_all(exp.Anonymous) if is_aggregate(each))
    return any(each.find(exp.Column) is None for each in aggregates)


def _shown(definition: RoutineDefinition) -> str:
    return ".".join(definition.path)


__all__ = ["COERCIONS", "LITERALS", "SCALAR", "expand_names", "expand_routines", "is_volatile"]
