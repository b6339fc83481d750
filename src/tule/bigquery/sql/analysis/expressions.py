"""Expressions: one handler for each kind of syntax node."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from tule.bigquery.sql.analysis import bignumerics, casts, floats, operators, ranges
from tule.bigquery.sql.analysis.scopes import Scope, Source, parts_of, unrecognized, wrong
from tule.bigquery.sql.byte_literals import octets
from tule.bigquery.sql.kinds import (
    BIGNUMERIC,
    BOOL,
    BYTES,
    FLOAT64,
    INT64,
    JSON,
    NULL,
    STRING,
    Kind,
    NoSupertype,
    array,
    common,
    engine_type,
    kind_of_engine,
    shown,
)

if TYPE_CHECKING:
    from tule.bigquery.sql.analysis.walk import Walk

Handler = Callable[["Walk", Any, Scope, bool], "Kind | None"]
_LARGEST = 2**63 - 1
_MANY_COLUMNS = "cannot have more than one column unless using SELECT AS STRUCT to build STRUCT values"


def visit(walk: Walk, node: Any, scope: Scope, aliases: bool = False) -> Kind | None:
    """Rewrite an expression in its place; its type."""
    if node.meta.get("tule_engine") or node.meta.get("tule_done"):
        return _engine(walk, node, scope, aliases)
    handler = HANDLERS.get(type(node))
    if handler is not None:
        return handler(walk, node, scope, aliases)
    if isinstance(node, exp.Func):
        from tule.bigquery.sql.analysis.calls import call_of_class

        return call_of_class(walk, node, scope, aliases)
    if isinstance(node, exp.Query):
        return _subquery(walk, node, scope, aliases)
    raise wrong(f"Tule does not do {type(node).__name__} here: {node.sql('bigquery')[:80]}", node)


def _engine(walk: Walk, node: Any, scope: Scope, aliases: bool) -> Kind | None:
    """What a rule before has put in the engine's form; its arguments may still be GoogleSQL."""
    kinds: list[Kind | None] = []
    for child in list(node.iter_expressions()):
        if isinstance(child, exp.Lambda):
            inner = kinds[-1].element if kinds and kinds[-1] is not None else None
            names = {each.name.lower(): inner for each in child.expressions}
            kinds.append(array(visit(walk, child.this, Scope(scope, [], {}, names), False)))
        elif not isinstance(child, exp.DataType | exp.Identifier):
            kinds.append(visit(walk, child, scope, aliases))
    if isinstance(node, exp.Cast):
        return kind_of_engine(node.to)
    name = node.name.lower() if isinstance(node, exp.Anonymous) else ""
    if name == "list_transform" and len(kinds) == 2:
        return kinds[1]
    if name == "list_extract" and kinds and kinds[0] is not None:
        return kinds[0].element
    return None


def _identifier(walk: Walk, node: Any, scope: Scope, aliases: bool) -> Kind | None:
    """The variable of a function of list elements."""
    for each in scope.out():
        if node.name.lower() in each.aliases:
            return each.aliases[node.name.lower()]
    return None


def is_literal(node: Any) -> bool:
    """Whether a node is a constant that may become other types by itself: literals and query parameters."""
    while isinstance(node, exp.Neg | exp.Paren):
        node = node.this
    if isinstance(node, exp.Cast) and isinstance(node.this, exp.Parameter):
        return True
    if isinstance(node, exp.Array):
        return all(is_literal(each) for each in node.expressions)
    return isinstance(node, exp.Literal | exp.RawString | exp.Null) or bool(node.meta.get("tule_literal"))


def replace(node: Any, made: Any) -> Any:
    """Put a node in another's place, also where the new one holds the old one."""
    if made is node:
        return node
    parent = node.parent
    if parent is None:
        return made
    placeholder = exp.Null()
    node.replace(placeholder)
    placeholder.replace(made)
    return made


def cast(node: Any, kind: Kind) -> Any:
    """A plain cast of the engine."""
    made = exp.Cast(this=node, to=engine_type(kind))
    made.meta["tule_done"] = True
    return made


def coerced(node: Any, given: Kind | None, wanted: Kind | None) -> Any:
    """A node as a value of the wanted type, where it is of another one that becomes it."""
    if given is None or wanted is None or given == wanted or wanted.name in ("ANY", "T"):
        return node
    if given == NULL:
        target = engine_type(wanted)
        if target is None:
            return node
        made = exp.Cast(this=node, to=target)
        made.meta["tule_done"] = True
        return made
    if given.name == wanted.name and given.name not in ("ARRAY", "STRUCT"):
        return node
    if given == STRING and wanted.name in ("DATE", "TIME", "DATETIME", "TIMESTAMP", "INTERVAL"):
        return casts.from_string(node, wanted)
    if (range_or_text := ranges.converted(node, given, wanted)) is not None:
        return range_or_text
    if BIGNUMERIC in (given, wanted):
        return bignumerics.converted(node, given, wanted)
    if BIGNUMERIC in (given.element, wanted.element) and not {given.element, wanted.element} & {None, NULL}:
        raise wrong(f"Tule does not make {wanted} of {given}: cast each element", node)
    if given.name == wanted.name == "STRUCT":
        return struct_as(node, given, wanted)
    target = engine_type(wanted)
    if target is None:
        return node
    if wanted.name == "NUMERIC" and given == FLOAT64:
        node = _as_decimal(node)
    made = exp.Cast(this=node, to=target)
    made.meta["tule_done"] = True
    return made


def struct_as(node: Any, given: Kind, wanted: Kind) -> Any:
    """A struct as one of another type: fields by position, while the engine casts them by name."""
    names = [name or f"_field_{index + 1}" for index, (name, _) in enumerate(wanted.fields)]
    if isinstance(node, exp.Paren) and isinstance(node.this, exp.Struct | exp.Tuple):
        node = node.this
    if isinstance(node, exp.Struct):
        values = [each.expression for each in node.expressions]
    elif isinstance(node, exp.Tuple):
        values = list(node.expressions)
    elif [name for name, _ in given.fields] == names:
        target = engine_type(wanted)
        return node if target is None else cast(node, wanted)
    else:
        values = [
            exp.Dot(
                this=exp.Paren(this=node.copy()),
                expression=exp.to_identifier(name or f"_field_{index + 1}", quoted=True),
            )
            for index, (name, _) in enumerate(given.fields)
        ]
    made = exp.Struct(
        expressions=[
            exp.PropertyEQ(this=exp.to_identifier(name, quoted=True), expression=coerced(value, has, wants))
            for name, value, (_, has), (_, wants) in zip(names, values, given.fields, wanted.fields, strict=True)
        ]
    )
    made.meta["tule_done"] = True
    return made


def _as_decimal(node: Any) -> Any:
    """A FLOAT64 literal as it was written, for a NUMERIC."""
    inner = node
    while isinstance(inner, exp.Neg | exp.Paren):
        inner = inner.this
    if isinstance(inner, exp.Literal) and "tule_written" in inner.meta:
        inner.set("this", inner.meta["tule_written"])
    return node


# -- constants


def _literal(walk: Walk, node: Any, scope: Scope, aliases: bool) -> Kind | None:
    if node.is_string:
        return STRING
    if node.meta.get("tule_typed"):
        return FLOAT64
    text = node.this
    if text.isdigit():
        if int(text) > _LARGEST and not (isinstance(node.parent, exp.Neg) and int(text) == _LARGEST + 1):
            raise wrong(f"Invalid integer literal: {text}", node)
        if int(text) > _LARGEST:
            made = exp.Cast(this=exp.Literal.string("-" + text), to=exp.DataType(this=exp.DataType.Type.BIGINT))
            made.meta["tule_done"] = True
            made.meta["tule_literal"] = True
            replace(node.parent, made)
            return INT64
        made = exp.Cast(this=node.copy(), to=exp.DataType(this=exp.DataType.Type.BIGINT))
        made.meta.update({"tule_done": True, "tule_literal": True})
        made.this.meta["tule_done"] = True
        replace(node, made)
        return INT64
    node.meta["tule_written"] = text
    digits = text.rstrip(".") if text.endswith(".") else text
    # An exponent makes a double of a number in the engine, without a cast.
    node.set("this", digits if "e" in digits.lower() else f"{digits}e0")
    node.meta["tule_typed"] = True
    return FLOAT64


def _raw_string(walk: Walk, node: Any, scope: Scope, aliases: bool) -> Kind | None:
    replace(node, exp.Literal.string(node.this))
    return STRING


def _byte_string(walk: Walk, node: Any, scope: Scope, aliases: bool) -> Kind | None:
    from tule.bigquery.sql.analysis.calls import engine_call

    made = engine_call("unhex", exp.Literal.string(octets(node).hex()))
    made.meta["tule_literal"] = True
    replace(node, made)
    return BYTES


def _hex(walk: Walk, node: Any, scope: Scope, aliases: bool) -> Kind | None:
    made = exp.Literal.number(str(int(node.this, 16)))
    replace(node, made)
    return _literal(walk, made, scope, aliases)


def _null(walk: Walk, node: Any, scope: Scope, aliases: bool) -> Kind | None:
    return NULL


def _boolean(walk: Walk, node: Any, scope: Scope, aliases: bool) -> Kind | None:
    return BOOL


# -- names


def _column(walk: Walk, node: Any, scope: Scope, aliases: bool) -> Kind | None:
    identifiers = parts_of(node)
    names = [each.name for each in identifiers]
    if isinstance(node.this, exp.Star):
        raise wrong("Star expansion is not allowed here", node)
    for each in scope.out():
        found, kind, rest = _in_scope(each, names, node, aliases and each is scope)
        if found:
            if rest is None:
                return kind
            return _path(kind, rest, node)
        if any(source.columns is None for source in each.sources):
            # It may be a column that is not known.
            return None
    raise unrecognized(names[0], node, scope)


def _in_scope(scope: Scope, names: list[str], node: Any, aliases: bool) -> tuple[bool, Kind | None, list[str] | None]:
    """(found, type, the parts that are still to be looked up in it; None: nothing more to do)."""
    first = names[0].lower()
    if len(names) > 1:
        for source in scope.sources:
            if source.name.lower() != first:
                continue
            if source.columns is None:
                return True, None, None
            hit, kind = source.find(names[1].lower())
            if hit:
                return True, kind, names[2:]
            hit, kind = source.field_of_value(names[1].lower())
            if hit:
                _through_value(node, source, names, 1)
                return True, kind, names[2:]
            if not scope.aliases.get(first) and not any(each.find(first)[0] for each in scope.sources):
                raise wrong(f"Name {names[1]} not found inside {names[0]}", node)
    by_alias = aliases and first in scope.aliases and len(names) == 1
    if not (by_alias and node.find_ancestor(exp.Order)) and (variable := _variable(scope, names, node)) is not None:
        return variable
    found: list[Kind | None] = []
    owner = ""
    for source in scope.sources:
        hit, kind = source.find(first)
        if hit and (first not in source.merged):
            found.append(kind)
            owner = source.name
    if not found:
        for source in scope.sources:
            hit, kind = source.field_of_value(first)
            if hit:
                _through_value(node, source, names, 0)
                return True, kind, names[1:]
    if (value := scope.joined.get(first)) is not None and found:
        made = value.copy()
        for name in names[1:]:
            made = exp.Dot(this=exp.Paren(this=made), expression=exp.to_identifier(name, quoted=True))
        made.meta["tule_done"] = True
        replace(node, made)
        return True, found[0], names[1:]
    if by_alias:
        # ORDER BY and GROUP BY look at the SELECT list first.
        if not found or node.find_ancestor(exp.Order):
            return True, scope.aliases[first], []
        return True, found[0], []
    if len(found) > 1:
        raise wrong(f"Column name {names[0]} is ambiguous", node)
    if found:
        if scope.qualify and owner:
            _qualify(node, owner)
        return True, found[0], names[1:]
    if first in scope.aliases and len(names) == 1 and (
        node.find_ancestor(exp.Having, exp.Qualify, exp.Order, exp.Group, exp.Select) or aliases
    ) and node.find_ancestor(exp.Having, exp.Qualify, exp.Order, exp.Group):  # fmt: skip
        return True, scope.aliases[first], []
    for source in scope.sources:
        if source.name and source.name.lower() == first:
            return True, source.row, names[1:]
    return False, None, None


def _variable(scope: Scope, names: list[str], node: Any) -> tuple[bool, Kind | None, list[str] | None] | None:
    """What a name is as a range variable, which hides columns of its name; None where it is none or hides nothing."""
    first = names[0].lower()
    source = scope.element(first)
    if source is not None:
        if scope.qualify or scope.shared(first, source):
            _qualify(node, source.name)
        return True, source.find(first)[1], names[1:]
    source = next((each for each in scope.sources if each.name.lower() == first), None)
    if source is None or source.columns is None or len(names) > 1:
        return None
    if source.value:
        _qualify_value(node, source)
        return True, source.find(source.value.lower())[1], []
    if not any(each.find(first)[0] for each in scope.sources):
        return None
    replace(node, _row(source))
    return True, source.row, []


def _row(source: Source) -> Any:
    """The whole row as a value."""
    fields = []
    for name, _ in source.columns or ():
        column = exp.column(exp.to_identifier(name, quoted=True), exp.to_identifier(source.name, quoted=True))
        fields.append(exp.PropertyEQ(this=exp.to_identifier(name, quoted=True), expression=column))
    made = exp.Struct(expressions=fields)
    made.meta["tule_done"] = True
    return made


def _qualify_value(node: Any, source: Source) -> None:
    """The name of a value table is its value."""
    made = exp.column(exp.to_identifier(source.value, quoted=True), exp.to_identifier(source.name, quoted=True))
    made.meta["tule_done"] = True
    replace(node, made)


def _qualify(node: Any, owner: str) -> None:
    """``column.field`` becomes ``owner.column.field``."""
    identifiers = [each.copy() for each in parts_of(node)]
    made: Any = exp.column(identifiers[0], exp.to_identifier(owner, quoted=True))
    for each in identifiers[1:]:
        made = exp.Dot(this=exp.Paren(this=made), expression=each)
    made.meta["tule_done"] = True
    replace(node, made)


def _through_value(node: Any, source: Any, names: list[str], at: int) -> None:
    """``field`` of an unnested struct becomes ``element.field``."""
    path = exp.column(exp.to_identifier(source.value, quoted=True), exp.to_identifier(source.name, quoted=True))
    made: Any = exp.Paren(this=path)
    for name in names[at:]:
        made = exp.Dot(this=made, expression=exp.to_identifier(name, quoted=True))
    made.meta["tule_done"] = True
    replace(node, made)


def _path(kind: Kind | None, names: list[str], node: Any) -> Kind | None:
    """The type of a path of fields below a type."""
    for name in names:
        if kind is None or kind == JSON:
            continue
        if kind.name != "STRUCT":
            raise wrong(f"Cannot access field {name} on a value with type {kind}", node)
        if not kind.fields:
            return None
        hit, kind_of_field = kind.member(name)
        if not hit:
            raise wrong(f"Field name {name} does not exist in {kind}", node)
        kind = kind_of_field
    return kind


def _dot(walk: Walk, node: Any, scope: Scope, aliases: bool) -> Kind | None:
    if isinstance(node.expression, exp.Func):
        from tule.bigquery.sql.analysis.calls import dotted_call

        return dotted_call(walk, node, scope, aliases)
    kind = visit(walk, node.this, scope, aliases)
    if not isinstance(node.this, exp.Paren | exp.Column | exp.Dot | exp.Identifier):
        node.set("this", exp.Paren(this=node.this))
    return _path(kind, [node.expression.name], node)


# -- small forms


def _paren(walk: Walk, node: Any, scope: Scope, aliases: bool) -> Kind | None:
    return visit(walk, node.this, scope, aliases)


def _alias(walk: Walk, node: Any, scope: Scope, aliases: bool) -> Kind | None:
    return visit(walk, node.this, scope, aliases)


def _subquery(walk: Walk, node: Any, scope: Scope, aliases: bool) -> Kind | None:
    columns = walk.query(node, scope)
    if columns is None:
        return None
    if len(columns) != 1:
        raise wrong(f"Scalar subquery {_MANY_COLUMNS}", node)
    return columns[0][1]


def _exists(walk: Walk, node: Any, scope: Scope, aliases: bool) -> Kind | None:
    walk.query(node.this, scope)
    return BOOL


def _tuple(walk: Walk, node: Any, scope: Scope, aliases: bool) -> Kind | None:
    made = exp.Struct(expressions=[exp.Paren(this=each) for each in node.expressions])
    replace(node, made)
    kind = _struct(walk, made, scope, aliases)
    return kind and Kind("STRUCT", None, tuple(("", inner) for _, inner in kind.fields))


def _struct(walk: Walk, node: Any, scope: Scope, aliases: bool) -> Kind | None:
    fields: list[tuple[str, Kind | None]] = []
    made = []
    for index, each in enumerate(list(node.expressions)):
        if isinstance(each, exp.PropertyEQ):
            name = each.this.name
            kind = visit(walk, each.expression, scope, aliases)
            value = each.expression
        else:
            name = _inferred_name(each)
            kind = visit(walk, each, scope, aliases)
            value = node.expressions[index]
        made.append((name, value))
        fields.append((name, kind))
    taken: set[str] = set()
    for name, _ in made:
        if name and name.lower() in taken:
            raise wrong(f"Tule does not do a STRUCT with two fields of one name: {name}", node)
        taken.add(name.lower())
    expressions = [
        exp.PropertyEQ(this=exp.to_identifier(name or f"_field_{index + 1}", quoted=True), expression=value)
        for index, (name, value) in enumerate(made)
    ]
    node.set("expressions", expressions)
    return Kind(
        "STRUCT", None, tuple((name or f"_field_{index + 1}", kind) for index, (name, kind) in enumerate(fields))
    )


def _inferred_name(node: Any) -> str:
    if isinstance(node, exp.Column):
        return node.name
    if isinstance(node, exp.Dot) and not isinstance(node.expression, exp.Func):
        return node.expression.name
    return ""


def _array(walk: Walk, node: Any, scope: Scope, aliases: bool) -> Kind | None:
    items = list(node.expressions)
    if len(items) == 1 and isinstance(items[0], exp.Query):
        columns = walk.query(items[0], scope)
        if columns is not None and len(columns) != 1:
            raise wrong(f"ARRAY subquery {_MANY_COLUMNS}", node)
        kind = columns[0][1] if columns else None
        if kind is not None and kind.name == "ARRAY":
            raise wrong(
                f"Cannot use array subquery with column of type {kind} because nested arrays are not supported", node
            )
        return array(kind)
    literals = [is_literal(each) for each in items]
    kinds = [visit(walk, each, scope, aliases) for each in items]
    try:
        element = common(zip(kinds, literals, strict=True))
    except NoSupertype:
        raise wrong(f"Array elements of types {{{shown(list(dict.fromkeys(kinds)))}}} do not have a common supertype",
                    node) from None  # fmt: skip
    if element is not None and element.name == "ARRAY":
        raise wrong(f"Cannot construct array with element type {element} because nested arrays are not supported", node)
    current = list(node.expressions)
    node.set("expressions", [coerced(each, kind, element) for each, kind in zip(current, kinds, strict=True)])
    return array(element)


def _case(walk: Walk, node: Any, scope: Scope, aliases: bool) -> Kind | None:
    from tule.bigquery.sql.analysis.calls import engine_call

    operand = None
    if node.this is not None:
        literal = is_literal(node.this)
        operand = (visit(walk, node.this, scope, aliases), literal)
    branches = []
    compared = []
    for each in node.args["ifs"]:
        literal = is_literal(each.this)
        kind = visit(walk, each.this, scope, aliases)
        if operand is not None:
            compared.append((each, operators.comparable("=", operand, (kind, literal), node)))
        else:
            operators.boolean(kind, "CASE", each)
        literal = is_literal(each.args["true"])
        branches.append((visit(walk, each.args["true"], scope, aliases), literal, each, "true"))
    if node.args.get("default") is not None:
        literal = is_literal(node.args["default"])
        branches.append((visit(walk, node.args["default"], scope, aliases), literal, node, "default"))
    if operand is not None:
        _compare_operand(node, operand[0])
        if any(kind is not None and kind.collation for _, kind in compared):
            for owner, _ in (*compared, (node, None)):
                owner.set("this", engine_call("tule_collation_key", owner.this))
    return unified(branches, "CASE", node)


def _compare_operand(node: Any, kind: Kind | None) -> None:
    """The operand of a CASE as BigQuery compares it with the values."""
    if floats.maybe_nan(node.this, kind):
        node.set("this", floats.without_nan(node.this))
    elif kind is not None and kind.name == "STRUCT":
        raise wrong(f"Tule does not do CASE value WHEN with a value of type {kind}: write CASE WHEN a = b", node)


def _if(walk: Walk, node: Any, scope: Scope, aliases: bool) -> Kind | None:
    operators.boolean(visit(walk, node.this, scope, aliases), "IF", node)
    if node.args.get("false") is None:
        raise wrong("Number of arguments does not match for function IF. Supported signature: IF(BOOL, T, T)", node)
    branches = []
    for key in ("true", "false"):
        literal = is_literal(node.args[key])
        branches.append((visit(walk, node.args[key], scope, aliases), literal, node, key))
    return unified(branches, "IF", node)


def unified(branches: list[Any], word: str, node: Any) -> Kind | None:
    """The type of branches (type, is literal, owner, key), each coerced to it."""
    try:
        kind = common((kind, literal) for kind, literal, _, _ in branches)
    except NoSupertype:
        kinds = [kind for kind, _, _, _ in branches]
        raise operators.no_match(word, kinds, node, operator=word == "CASE") from None
    for given, _, owner, key in branches:
        value = owner.args[key]
        made = coerced(value, given, kind) if given != NULL else value
        if made is not value:
            owner.set(key, made)
    return kind


def _cast(walk: Walk, node: Any, scope: Scope, aliases: bool) -> Kind | None:
    return casts.visit_cast(walk, node, scope, aliases)


def _bracket(walk: Walk, node: Any, scope: Scope, aliases: bool) -> Kind | None:
    from tule.bigquery.sql.analysis.calls import engine_call

    kind = visit(walk, node.this, scope, aliases)
    if len(node.expressions) != 1:
        raise wrong("A subscript must be one expression", node)
    index_kind = visit(walk, node.expressions[0], scope, aliases)
    index = node.expressions[0]
    base = node.args.get("offset")
    if kind == JSON or (kind is None and index_kind == STRING):
        replace(node, engine_call("tule_json_subscript", node.this, index))
        return JSON
    if kind is not None and kind.name == "STRUCT":
        inner = index.this if isinstance(index, exp.Cast) else index
        if not (isinstance(inner, exp.Literal) and not inner.is_string):
            raise wrong("A field of a STRUCT must be chosen by a constant", node)
        position = int(inner.this) - (1 if base == 1 else 0)
        if not 0 <= position < len(kind.fields):
            raise wrong(f"Field ordinal out of bounds in {kind}", node)
        replace(node, engine_call("struct_extract_at", node.this, exp.Literal.number(position + 1)))
        return kind.fields[position][1]
    if kind is not None and kind.name not in ("ARRAY", "NULL"):
        raise wrong(f"Subscript access using [INT64] is not supported on values of type {kind}", node)
    if index_kind not in (None, INT64, NULL):
        raise wrong(f"Array position in [] must be coercible to INT64 type, but has type {index_kind}", node)
    name = "tule_array_" + ("safe_" if node.args.get("safe") else "") + ("ordinal" if base == 1 else "offset")
    replace(node, engine_call(name, node.this, index))
    return kind.element if kind is not None else None


def _window(walk: Walk, node: Any, scope: Scope, aliases: bool) -> Kind | None:
    from tule.bigquery.sql.analysis.calls import window_call

    walk._window_parts(node, scope)
    return window_call(walk, node, scope, aliases)


def _anonymous(walk: Walk, node: Any, scope: Scope, aliases: bool) -> Kind | None:
    from tule.bigquery.sql.analysis.calls import named_call

    return named_call(walk, node, node.name.upper(), scope, aliases)


def _nulls(walk: Walk, node: Any, scope: Scope, aliases: bool) -> Kind | None:
    """``f(x) IGNORE NULLS`` outside of a window: the words belong inside."""
    inner = node.this
    if not isinstance(inner, exp.Anonymous) or not inner.expressions:
        raise wrong("IGNORE NULLS and RESPECT NULLS belong into a function", node)
    first = inner.expressions[0]
    wrapped = type(node)(this=first.copy())
    first.replace(wrapped)
    node.replace(inner)
    return visit(walk, inner, scope, aliases)


def _safe(walk: Walk, node: Any, scope: Scope, aliases: bool) -> Kind | None:
    from tule.bigquery.sql.analysis.calls import safe_call

    return safe_call(walk, node, scope, aliases)


def _net(walk: Walk, node: Any, scope: Scope, aliases: bool) -> Kind | None:
    from tule.bigquery.sql.analysis.calls import named_call

    inner = node.this
    node.replace(inner)
    return named_call(walk, inner, "NET." + inner.name.upper(), scope, aliases)


def _without_parens(name: str) -> Handler:
    def handler(walk: Walk, node: Any, scope: Scope, aliases: bool) -> Kind | None:
        from tule.bigquery.sql.analysis.calls import named_call

        arguments = [node.this] if node.args.get("this") is not None else []
        made = exp.Anonymous(this=name, expressions=arguments)
        replace(node, made)
        return named_call(walk, made, name, scope, aliases)

    return handler


def _parse_json(walk: Walk, node: Any, scope: Scope, aliases: bool) -> Kind | None:
    from tule.bigquery.sql.analysis.calls import named_call

    made = exp.Anonymous(this="PARSE_JSON", expressions=[node.this])
    replace(node, made)
    return named_call(walk, made, "PARSE_JSON", scope, aliases)


def _adjacent(walk: Walk, node: Any, scope: Scope, aliases: bool) -> Kind | None:
    if node.args.get("coalesce") is False and all(isinstance(each, exp.Literal) for each in node.expressions):
        raise wrong("Syntax error: concatenated string literals need || between them", node)
    from tule.bigquery.sql.analysis.calls import call_of_class

    return call_of_class(walk, node, scope, aliases)


def _extract(walk: Walk, node: Any, scope: Scope, aliases: bool) -> Kind | None:
    from tule.bigquery.sql.functions.times import extract

    return extract(walk, node, scope, aliases)


def _interval(walk: Walk, node: Any, scope: Scope, aliases: bool) -> Kind | None:
    from tule.bigquery.sql.functions.intervals import interval

    return interval(walk, node, scope, aliases)


HANDLERS: dict[type[Any], Handler] = {
    exp.Literal: _literal,
    exp.RawString: _raw_string,
    exp.ByteString: _byte_string,
    exp.HexString: _hex,
    exp.Null: _null,
    exp.Identifier: _identifier,
    exp.Boolean: _boolean,
    exp.Column: _column,
    exp.Dot: _dot,
    exp.Paren: _paren,
    exp.Alias: _alias,
    exp.Exists: _exists,
    exp.Tuple: _tuple,
    exp.Struct: _struct,
    exp.Array: _array,
    exp.Case: _case,
    exp.If: _if,
    exp.Cast: _cast,
    exp.TryCast: _cast,
    exp.Bracket: _bracket,
    exp.Window: _window,
    exp.Anonymous: _anonymous,
    exp.IgnoreNulls: _nulls,
    exp.RespectNulls: _nulls,
    exp.SafeFunc: _safe,
    exp.NetFunc: _net,
    exp.ParseJSON: _parse_json,
    exp.Concat: _adjacent,
    exp.Extract: _extract,
    exp.Interval: _interval,
    exp.CurrentDate: _without_parens("CURRENT_DATE"),
    exp.CurrentDatetime: _without_parens("CURRENT_DATETIME"),
    exp.CurrentTime: _without_parens("CURRENT_TIME"),
    exp.CurrentTimestamp: _without_parens("CURRENT_TIMESTAMP"),
    exp.CurrentUser: _without_parens("SESSION_USER"),
    **operators.HANDLERS,
}
