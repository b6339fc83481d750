"""The types of GoogleSQL expressions, as far as they are known while a statement is compiled.

``None`` stands for a type that is not known; rules must then leave the choice to the engine. Names are the standard ones of
``bigquery.types``. https://cloud.google.com/bigquery/docs/reference/standard-sql/conversion_rules
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from sqlglot import exp

from tule.bigquery.types import RANGE_ELEMENTS, SCALARS, Field, standard
from tule.kernel.errors import InvalidArgument


@dataclass(frozen=True)
class Kind:
    """A type: ARRAY has an ``element`` (None: not known), STRUCT has ``fields`` by name ("" where there is none).

    ``collation`` is that of a STRING, "" for the order of code points. It makes no other type.
    """

    name: str
    element: Kind | None = None
    fields: tuple[tuple[str, Kind | None], ...] = ()
    collation: str = field(default="", compare=False)

    def __str__(self) -> str:
        if self.name in ("ARRAY", "RANGE"):
            return f"{self.name}<{self.element or '?'}>"
        if self.name == "STRUCT" and self.fields:
            inner = ", ".join(f"{name} {kind or '?'}".strip() for name, kind in self.fields)
            return f"STRUCT<{inner}>"
        return self.name

    def member(self, name: str) -> tuple[bool, Kind | None]:
        """Whether a struct has a field of that name in any case, and its type."""
        for each, kind in self.fields:
            if each.lower() == name.lower():
                return True, kind
        return False, None


INT64, FLOAT64, NUMERIC, BIGNUMERIC, BOOL, STRING, BYTES, DATE, TIME, DATETIME, TIMESTAMP, INTERVAL, JSON = (
    Kind(name)
    for name in (
        "INT64", "FLOAT64", "NUMERIC", "BIGNUMERIC", "BOOL", "STRING", "BYTES", "DATE", "TIME", "DATETIME", "TIMESTAMP",
        "INTERVAL", "JSON",
    )
)  # fmt: skip
NULL = Kind("NULL")
"""The type of the literal NULL and of an empty array's elements: it becomes any other."""

NUMBERS = ("INT64", "NUMERIC", "BIGNUMERIC", "FLOAT64")

_DECIMALS = ("NUMERIC", "BIGNUMERIC")

# What becomes what by itself (besides literals).
_COERCED: dict[str, tuple[str, ...]] = {
    "INT64": ("NUMERIC", "FLOAT64", "BIGNUMERIC"),
    "NUMERIC": ("FLOAT64", "BIGNUMERIC"),
    "BIGNUMERIC": ("FLOAT64",),
    "DATE": ("DATETIME",),
}
# What a constant may become besides.
_LITERALS: dict[str, tuple[str, ...]] = {
    "STRING": ("DATE", "TIME", "DATETIME", "TIMESTAMP", "INTERVAL", "RANGE"),
    "FLOAT64": ("NUMERIC", "BIGNUMERIC"),
}


def array(element: Kind | None) -> Kind:
    return Kind("ARRAY", element)


def fits(given: Kind | None, wanted: Kind, *, literal: bool = False) -> int | None:
    """The cost of using a value of one type as another: 0 for the same, None where it cannot be."""
    if given is None or given == NULL:
        return 0
    if wanted.name == "ARRAY":
        if given.name != "ARRAY":
            return None
        if given.element is None or wanted.element is None:
            return 0
        cost = fits(given.element, wanted.element, literal=literal)
        return cost if cost == 0 or literal else None
    if given.name == wanted.name == "STRUCT" and given.fields and wanted.fields:
        # Field by field, in order.
        return 0 if len(given.fields) == len(wanted.fields) else None
    if given.name == wanted.name:
        return None if given.name == "RANGE" and wanted.element not in (None, given.element) else 0
    if wanted.name in _COERCED.get(given.name, ()):
        return 1 + _COERCED[given.name].index(wanted.name)
    if literal and wanted.name in _LITERALS.get(given.name, ()):
        return 10
    return None


def common(kinds: Iterable[tuple[Kind | None, bool]]) -> Kind | None:
    """The supertype of (type, is literal) pairs: None when one is not known; raises InvalidArgument when there is none."""
    found: Kind | None = NULL
    loose = True
    for kind, literal in kinds:
        if kind is None or found is None:
            found = None
            continue
        made = _pair(found, loose, kind, literal)
        if made is None:
            raise NoSupertype(found, kind)
        loose = (loose or found == NULL) and literal
        found = made
    return found


class NoSupertype(InvalidArgument):
    """Two types have nothing in common."""

    def __init__(self, a: Kind, b: Kind) -> None:
        super().__init__(f"No common supertype of {a} and {b}", reason="invalidQuery", location="query")
        self.pair = (a, b)


def _pair(a: Kind, a_literal: bool, b: Kind, b_literal: bool) -> Kind | None:
    if a == b:
        return merged(a, b)
    if a == NULL:
        return b
    if b == NULL:
        return a
    if a.name == b.name == "ARRAY":
        if a.element is None or b.element is None:
            return array(a.element or b.element)
        inner = _pair(a.element, a_literal, b.element, b_literal)
        return None if inner is None else array(inner)
    if a.name == b.name == "STRUCT":
        if len(a.fields) != len(b.fields):
            return None
        fields = []
        for (name, x), (other, y) in zip(a.fields, b.fields, strict=True):
            inner = None
            if x is not None and y is not None and (inner := _pair(x, a_literal, y, b_literal)) is None:
                return None
            fields.append((name or other, inner))
        return Kind("STRUCT", None, tuple(fields))
    if fits(a, b) is not None:
        # A constant 1.5 beside a NUMERIC column is NUMERIC.
        return a if b.name == "FLOAT64" and b_literal and not a_literal and a.name in _DECIMALS else b
    if fits(b, a) is not None:
        return b if a.name == "FLOAT64" and a_literal and not b_literal and b.name in _DECIMALS else a
    if fits(a, b, literal=a_literal) is not None:
        return b
    if fits(b, a, literal=b_literal) is not None:
        return a
    return None


def merged(a: Kind, b: Kind) -> Kind:
    """One of two equal types, with the collations of both: where one has none, the other's holds."""
    if a is b or not collates(b):
        return a
    if a.name == "STRING":
        return a if a.collation else b
    if a.element is not None and b.element is not None:
        return replace(a, element=merged(a.element, b.element))
    fields = zip(a.fields, b.fields, strict=True)
    return replace(a, fields=tuple((name, x and y and merged(x, y)) for (name, x), (_, y) in fields))


def collates(kind: Kind | None) -> bool:
    """Whether a type, or a part of it, has a collation."""
    if kind is None or kind.name not in _COLLATED:
        return False
    if kind.name == "STRING":
        return bool(kind.collation)
    return collates(kind.element) or any(collates(each) for _, each in kind.fields)


_COLLATED = ("STRING", "ARRAY", "STRUCT")


def collated(kind: Kind | None, collation: str) -> Kind | None:
    """A STRING or an array of them with a collation; other types as they are."""
    if kind is None or not collation:
        return kind
    if kind.name == "STRING":
        return replace(kind, collation=collation)
    return replace(kind, element=collated(kind.element, collation)) if kind.name == "ARRAY" else kind


def kind_of_field(column: Field) -> Kind:
    """The type of a column."""
    kind = Kind(column.type, Kind(column.element) if column.element else None, collation=column.collation or "")
    if column.type == "STRUCT":
        kind = Kind("STRUCT", None, tuple((each.name, kind_of_field(each)) for each in column.fields))
    return array(kind) if column.repeated else kind


_NODES: dict[str, str] = {
    "TEXT": "STRING", "VARCHAR": "STRING", "BIGINT": "INT64", "INT": "INT64", "SMALLINT": "INT64", "TINYINT": "INT64",
    "DOUBLE": "FLOAT64", "FLOAT": "FLOAT64", "DECIMAL": "NUMERIC", "BIGDECIMAL": "BIGNUMERIC", "BIGNUM": "BIGNUMERIC",
    "BOOLEAN": "BOOL",
    "BINARY": "BYTES", "VARBINARY": "BYTES", "BLOB": "BYTES", "DATE": "DATE", "TIME": "TIME", "TIMESTAMP": "DATETIME",
    "DATETIME": "DATETIME", "TIMESTAMPTZ": "TIMESTAMP", "JSON": "JSON", "INTERVAL": "INTERVAL",
    "GEOMETRY": "GEOGRAPHY",
}  # fmt: skip


def kind_of_node(node: Any) -> Kind:
    """The type that a syntax node of one names; raises InvalidArgument."""
    name = node.this.value if isinstance(node.this, exp.DataType.Type) else str(node.this)
    if name == "ARRAY":
        return array(kind_of_node(node.expressions[0]) if node.expressions else None)
    if name == "STRUCT":
        fields = []
        for each in node.expressions:
            if isinstance(each, exp.ColumnDef):
                fields.append((each.name, kind_of_node(each.args["kind"])))
            else:
                fields.append(("", kind_of_node(each)))
        return Kind("STRUCT", None, tuple(fields))
    if name == "RANGE":
        element = kind_of_node(node.expressions[0]) if node.expressions else None
        if element is None or element.name not in RANGE_ELEMENTS:
            raise InvalidArgument(
                f"RANGE must be of DATE, DATETIME or TIMESTAMP; given: {node.sql(dialect='bigquery')}",
                reason="invalidQuery", location="query",
            )  # fmt: skip
        return Kind("RANGE", element)
    if name in _NODES:
        return Kind(_NODES[name])
    written = node.sql(dialect="bigquery")
    found = standard(written) if written.isidentifier() else written
    return Kind(found)


def kind_of_engine(node: Any) -> Kind | None:
    """The type that a type node of the engine is, None for one that GoogleSQL does not know."""
    try:
        return kind_of_node(node)
    except InvalidArgument:
        return None


_ENGINE: dict[str, Any] = {
    "INT64": exp.DataType.Type.BIGINT,
    "FLOAT64": exp.DataType.Type.DOUBLE,
    "BOOL": exp.DataType.Type.BOOLEAN,
    "STRING": exp.DataType.Type.TEXT,
    "BYTES": exp.DataType.Type.BLOB,
    "DATE": exp.DataType.Type.DATE,
    "TIME": exp.DataType.Type.TIME,
    "DATETIME": exp.DataType.Type.TIMESTAMP,
    "TIMESTAMP": exp.DataType.Type.TIMESTAMPTZ,
    "JSON": exp.DataType.Type.JSON,
    "INTERVAL": exp.DataType.Type.INTERVAL,
    "GEOGRAPHY": exp.DataType.Type.GEOMETRY,
    # A whole number of 1e-38.
    "BIGNUMERIC": exp.DataType.Type.BIGNUM,
}
START, END = "tule_start", "tule_end"
"""The fields of the engine's struct that a RANGE is; infinite where it has no bound."""


def engine_type(kind: Kind) -> Any:
    """The node of the engine's type, None where a part of it is not known or the engine lacks it."""
    if kind.name == "ARRAY":
        inner = engine_type(kind.element) if kind.element is not None else None
        return None if inner is None else exp.DataType(this=exp.DataType.Type.ARRAY, expressions=[inner], nested=True)
    if kind.name == "STRUCT":
        columns = []
        for name, each in kind.fields:
            inner = engine_type(each) if each is not None and name else None
            if inner is None:
                return None
            columns.append(exp.ColumnDef(this=exp.to_identifier(name, quoted=True), kind=inner))
        return exp.DataType(this=exp.DataType.Type.STRUCT, expressions=columns, nested=True)
    if kind.name == "RANGE":
        if kind.element is None:
            return None
        columns = [exp.ColumnDef(this=exp.to_identifier(name, quoted=True), kind=engine_type(kind.element))
                   for name in (START, END)]  # fmt: skip
        return exp.DataType(this=exp.DataType.Type.STRUCT, expressions=columns, nested=True)
    if kind.name == "NUMERIC":
        sizes = [exp.DataTypeParam(this=exp.Literal.number(each)) for each in (38, 9)]
        return exp.DataType(this=exp.DataType.Type.DECIMAL, expressions=sizes)
    found = _ENGINE.get(kind.name)
    return None if found is None else exp.DataType(this=found)


@cache
def parsed(text: str) -> Kind:
    """A type as signatures write it: ``INT64``, ``ARRAY<STRING>``, ``STRUCT<value T, count INT64>``, ``T``."""
    text = text.strip()
    if text.startswith("ARRAY<") and text.endswith(">"):
        return array(parsed(text[6:-1]))
    if text == "ARRAY":
        return Kind("ARRAY")
    if text.startswith("STRUCT<") and text.endswith(">"):
        fields = []
        for each in split_commas(text[7:-1]):
            name, _, kind = each.strip().partition(" ")
            fields.append((name, parsed(kind)))
        return Kind("STRUCT", None, tuple(fields))
    if text.startswith("RANGE<") and text.endswith(">"):
        return Kind("RANGE", parsed(text[6:-1]))
    if text in SCALARS or text in ("RANGE", "STRUCT", "T", "ANY", "PART", "NULL", "CONST"):
        return Kind(text)
    raise AssertionError(f"no type {text!r}")


def split_commas(text: str) -> list[str]:
    """Parts between commas that stand outside of < > and [ ]."""
    found, depth, begin = [], 0, 0
    for at, each in enumerate(text):
        if each in "<[(":
            depth += 1
        elif each in "])" or (each == ">" and text[at - 1] != "="):
            depth -= 1
        elif each == "," and depth == 0:
            found.append(text[begin:at])
            begin = at + 1
    if text[begin:].strip():
        found.append(text[begin:])
    return found


def shown(kinds: Sequence[Kind | None]) -> str:
    return ", ".join("NULL" if kind == NULL else str(kind or "?") for kind in kinds)
