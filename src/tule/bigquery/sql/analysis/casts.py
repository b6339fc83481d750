"""CAST and SAFE_CAST: which are allowed, and the engine's form of each.

https://cloud.google.com/bigquery/docs/reference/standard-sql/conversion_functions#cast
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlglot import exp

from tule.bigquery.sql.analysis import bignumerics, moments, ranges
from tule.bigquery.sql.analysis.scopes import Scope, wrong
from tule.bigquery.sql.kinds import BIGNUMERIC, FLOAT64, NULL, STRING, Kind, engine_type, kind_of_node
from tule.kernel.errors import Unimplemented

if TYPE_CHECKING:
    from tule.bigquery.sql.analysis.walk import Walk

_SCALARS = (
    "INT64",
    "FLOAT64",
    "NUMERIC",
    "BOOL",
    "STRING",
    "BYTES",
    "DATE",
    "TIME",
    "DATETIME",
    "TIMESTAMP",
    "INTERVAL",
    "BIGNUMERIC",
    "RANGE",
)

# What may be cast to what, besides itself. https://cloud.google.com/bigquery/docs/reference/standard-sql/conversion_rules
_ALLOWED: dict[str, tuple[str, ...]] = {
    "INT64": ("BOOL", "NUMERIC", "BIGNUMERIC", "FLOAT64", "STRING"),
    "NUMERIC": ("INT64", "BIGNUMERIC", "FLOAT64", "STRING"),
    "BIGNUMERIC": ("INT64", "NUMERIC", "FLOAT64", "STRING"),
    "FLOAT64": ("INT64", "NUMERIC", "BIGNUMERIC", "STRING"),
    "BOOL": ("INT64", "STRING"),
    "STRING": _SCALARS,
    "BYTES": ("STRING",),
    "DATE": ("STRING", "DATETIME", "TIMESTAMP"),
    "TIME": ("STRING",),
    "DATETIME": ("STRING", "DATE", "TIME", "TIMESTAMP"),
    "TIMESTAMP": ("STRING", "DATE", "TIME", "DATETIME"),
    "INTERVAL": ("STRING",),
    "RANGE": ("STRING",),
}


def visit_cast(walk: Walk, node: Any, scope: Scope, aliases: bool) -> Kind | None:
    """The engine's form of a cast; the type it casts to."""
    from tule.bigquery.sql.analysis.expressions import is_literal, replace, visit

    to = kind_of_node(node.to)
    unsupported(to)
    if node.args.get("format") is not None:
        from tule.bigquery.sql.functions.formats import formatted_cast

        return formatted_cast(walk, node, to, scope, aliases)
    if isinstance(node.this, exp.Parameter) and "GEOGRAPHY" in (to.name, to.element.name if to.element else ""):
        from tule.bigquery.sql.functions.geographies import bound

        replace(node, bound(node.this.copy(), to))
        return to
    if isinstance(node.this, exp.Parameter):
        # A bound value has its type already.
        node.set("to", engine_type(to) or node.to)
        node.meta.update({"tule_done": True, "tule_literal": True})
        return to
    safe = isinstance(node, exp.TryCast)
    constant = is_literal(node.this)
    if to.name == "STRUCT" and isinstance(inner := node.this.unnest(), exp.Tuple):
        node.this.replace(exp.Struct(expressions=inner.expressions))
    if isinstance(node.this, exp.Struct) and to.name == "STRUCT":
        _name_fields(node.this, to, node)
    if (
        isinstance(node.this, exp.Array)
        and to.name == "ARRAY"
        and to.element is not None
        and to.element.name == "STRUCT"
    ):
        for each in node.this.expressions:
            inner = each.this if isinstance(each, exp.Paren) else each
            if isinstance(inner, exp.Tuple):
                inner.replace(exp.Struct(expressions=inner.expressions))
        for each in node.this.expressions:
            inner = each.unnest()
            if isinstance(inner, exp.Struct):
                _name_fields(inner, to.element, node)
    given = visit(walk, node.this, scope, aliases)
    value = node.this
    made = _cast(value, given, to, node)
    sizes = [int(each.name) for each in node.to.expressions if isinstance(each, exp.DataTypeParam)]
    if sizes:
        made = _sized(made, to, sizes, node)
    if safe:
        made = _safe(made, value, constant)
    if made is not node:
        replace(node, made)
    return to


def unsupported(kind: Kind | None) -> None:
    """Raises for a type that there is not."""
    if kind is None:
        return
    if kind.name.startswith("OBJECT"):
        raise Unimplemented(
            f"Tule has no type {kind.name}", do="use NUMERIC, FLOAT64 or STRING", reason="notImplemented"
        )
    unsupported(kind.element)
    for _, inner in kind.fields:
        unsupported(inner)


def _name_fields(struct: Any, to: Kind, node: Any) -> None:
    """``STRUCT<a INT64>(1)``: values by position get the names of the type."""
    if len(struct.expressions) != len(to.fields):
        raise wrong(
            f"STRUCT type has {len(to.fields)} fields but constructor call has {len(struct.expressions)} fields", node
        )
    items = []
    for index, (each, (name, kind)) in enumerate(zip(list(struct.expressions), to.fields, strict=True)):
        value = each.expression if isinstance(each, exp.PropertyEQ) else each
        inner = engine_type(kind) if kind is not None else None
        if inner is not None:
            value = exp.Cast(this=value.copy(), to=_node_of(kind))
        items.append(
            exp.PropertyEQ(this=exp.to_identifier(name or f"_field_{index + 1}", quoted=True), expression=value)
        )
    struct.set("expressions", items)


def _node_of(kind: Kind | None) -> Any:
    return exp.DataType.build(str(kind), dialect="bigquery")


def _cast(value: Any, given: Kind | None, to: Kind, node: Any) -> Any:
    if given is not None and given != NULL and given.name != to.name:
        allowed = _ALLOWED.get(given.name, ())
        if to.name not in allowed:
            raise wrong(f"Invalid cast from {given} to {to}", node)
    if to.name == "STRUCT" and given is not None and given.fields and len(given.fields) == len(to.fields):
        from tule.bigquery.sql.analysis.expressions import struct_as

        return struct_as(value, given, _named(to))
    if (made := ranges.converted(value, given, to)) is not None:
        return made
    if to.name == "RANGE" and given is not None and given.name == "RANGE" and given != to:
        raise wrong(f"Invalid cast from {given} to {to}", node)
    if given != NULL and BIGNUMERIC in (given, to):
        return bignumerics.converted(value, given, to)
    if to.name in ("ARRAY", "STRUCT"):
        if _made_anew(given, to):
            raise Unimplemented(
                f"Tule does not cast {given} to {to}", do="cast each element: ARRAY(SELECT CAST(x AS ...) FROM UNNEST(...))",
                reason="notImplemented", location="query",
            )  # fmt: skip
        target = engine_type(_named(to))
        if target is None:
            raise wrong(f"Invalid cast to {to}", node)
        return _engine_cast(value, target, given if given != to else None)
    if given is None:
        return _unknown(value, to)
    if given == NULL or given.name == to.name:
        return _engine_cast(value, engine_type(to))
    if given == STRING:
        return from_string(value, to)
    if to == STRING:
        return to_string(value, given)
    if to.name == "INT64" and given == FLOAT64:
        return _call("tule_int64_of_double", value)
    return _engine_cast(value, engine_type(to), given)


def _made_anew(given: Kind | None, to: Kind) -> bool:
    """Whether elements would become of a type that the engine's own cast does not make, or be what it misreads."""
    a, b = given.element if given is not None else None, to.element
    return (
        to.name == "ARRAY"
        and a != b
        and a not in (None, NULL)
        and bool({"BIGNUMERIC", "RANGE"} & {each.name for each in (a, b) if each is not None})
    )


def _named(kind: Kind) -> Kind:
    if kind.name == "ARRAY" and kind.element is not None:
        return Kind("ARRAY", _named(kind.element))
    if kind.name == "STRUCT":
        fields = ((name or f"_field_{i + 1}", k and _named(k)) for i, (name, k) in enumerate(kind.fields))
        return Kind("STRUCT", None, tuple(fields))
    return kind


FROM = "tule_from"
"""Meta of a cast of the engine: the name of the type that the value has, where it is another one."""


def _engine_cast(value: Any, target: Any, given: Kind | None = None) -> Any:
    made = exp.Cast(this=value, to=target)
    made.meta["tule_done"] = True
    if given is not None:
        made.meta[FROM] = given.name
    return made


def _call(name: str, *arguments: Any) -> Any:
    from tule.bigquery.sql.analysis.calls import engine_call

    return engine_call(name, *arguments)


_FROM_STRING = {
    "INT64": "tule_int64_of_text",
    "FLOAT64": "tule_double_of_text",
    "NUMERIC": "tule_numeric_of_text",
    "BOOL": "tule_bool_of_text",
    "BYTES": "encode",
    "DATE": "tule_date_of_text",
    "TIME": "tule_time_of_text",
    "DATETIME": "tule_datetime_of_text",
    "TIMESTAMP": "tule_timestamp_of_text",
    "INTERVAL": "tule_interval_of_text",
}
_TO_STRING = {
    "GEOGRAPHY": "tule_text_of_geography",
    "FLOAT64": "tule_text_of_double",
    "NUMERIC": "tule_text_of_numeric",
    "BYTES": "tule_text_of_bytes",
    "DATETIME": "tule_text_of_datetime",
    "TIME": "tule_text_of_time",
    "TIMESTAMP": "tule_text_of_timestamp",
    "INTERVAL": "tule_text_of_interval",
}


def from_string(value: Any, to: Kind) -> Any:
    if isinstance(value, exp.Literal) and (constant := moments.constant(value.this, to.name)) is not None:
        # What the text says is known now: the engine need not read it.
        read = exp.Literal.string(constant)
        read.meta.update(value.meta)
        return _engine_cast(read, engine_type(to))
    return _call(_FROM_STRING[to.name], value)


def to_string(value: Any, given: Kind) -> Any:
    """A value as CAST(x AS STRING) writes it."""
    if given == BIGNUMERIC:
        return bignumerics.converted(value, given, STRING)
    if given.name == "RANGE":
        return ranges.text_of(value, given)
    name = _TO_STRING.get(given.name)
    if name is None:
        return _engine_cast(value, engine_type(STRING))
    return _call(name, value)


def _unknown(value: Any, to: Kind) -> Any:
    """The type is not known: the engine chooses among the forms."""
    if to.name in ("INT64", "FLOAT64", "NUMERIC", "BOOL", "STRING", "BYTES", "DATE", "TIME", "DATETIME", "TIMESTAMP"):
        return _call(f"tule_as_{to.name.lower()}", value)
    return _engine_cast(value, engine_type(to))


def _sized(made: Any, to: Kind, sizes: list[int], node: Any) -> Any:
    """STRING(10), BYTES(10), NUMERIC(10, 2)."""
    if to.name in ("STRING", "BYTES") and len(sizes) == 1:
        return _call("tule_sized_" + ("text" if to == STRING else "bytes"), made, exp.Literal.number(sizes[0]))
    if to.name == "NUMERIC" and len(sizes) <= 2:
        precision, scale = sizes[0], sizes[1] if len(sizes) > 1 else 0
        if not (0 <= scale <= 9 and max(1, scale) <= precision <= scale + 29):
            raise wrong(f"NUMERIC({precision}, {scale}) is not a type", node)
        parameters = [exp.DataTypeParam(this=exp.Literal.number(each)) for each in (precision, scale)]
        narrow = exp.DataType(this=exp.DataType.Type.DECIMAL, expressions=parameters)
        return _engine_cast(_engine_cast(made, narrow), engine_type(to))
    if to == BIGNUMERIC and len(sizes) <= 2:
        precision, scale = sizes[0], sizes[1] if len(sizes) > 1 else 0
        if not (0 <= scale <= 38 and max(1, scale) <= precision <= scale + 38):
            raise wrong(f"BIGNUMERIC({precision}, {scale}) is not a type", node)
        return _call("tule_bignumeric_sized", made, *map(exp.Literal.number, (precision, scale)))
    raise wrong(f"{to} must not have parameters", node)


def _safe(made: Any, value: Any, constant: bool) -> Any:
    """NULL where the cast fails, but not where its argument does."""
    from tule.bigquery.sql.analysis.calls import attempt

    return attempt(made, [value])
