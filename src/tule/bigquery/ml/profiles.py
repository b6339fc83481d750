"""Profiles of the columns of rows: what ML.DESCRIBE_DATA and its kin tell of them, by queries of the engine.

The first gives counts, moments, quantiles and ends. A scan of the numbers, which needs the ends, counts their ranges; a
query counts the most frequent texts. Memory does not grow with the rows: up to 131,072 of them quantiles are exact, beyond
they are approximate.

Numbers are FLOAT64 here and everything else is text, arrays are taken apart, STRUCT columns count by field, and arrays of
``STRUCT<INT64, number>`` are sparse vectors of numbers.
https://cloud.google.com/bigquery/docs/reference/standard-sql/bigqueryml-syntax-describe-data
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from sqlglot import exp

from tule.bigquery.catalog import type_text
from tule.bigquery.ml import nodes
from tule.bigquery.ml.batches import Relation
from tule.bigquery.ml.mistakes import wrong
from tule.bigquery.sql.parse import parse
from tule.bigquery.types import Field

if TYPE_CHECKING:
    from tule.learn.drift import Distribution

EXACT_ROWS = 131_072
"""Beyond so many rows quantiles are approximate: exact ones would hold every value."""

RANGES = 10
"""Of numbers, where distributions are compared."""

_NUMBERS = ("INT64", "FLOAT64", "NUMERIC", "BIGNUMERIC")
_TEXTS = ("STRING", "BOOL", "BYTES", "DATE", "DATETIME", "TIME", "TIMESTAMP")


@dataclass(frozen=True)
class Wanted:
    """How much is asked for; 0 leaves a part out. ``summary``: counts, moments and lengths."""

    summary: bool = False
    quantiles: int = 0
    length_quantiles: int = 0
    top: int = 0
    ranges: int = 0


@dataclass(frozen=True)
class Column:
    """A column, or a field of a STRUCT column, and how it is read. ``node``: over the rows."""

    name: str
    node: exp.Expression
    is_number: bool
    is_whole: bool = False
    is_array: bool = False
    is_sparse: bool = False
    is_bytes: bool = False

    def value(self, node: exp.Expression) -> exp.Expression:
        """One value as FLOAT64 or STRING."""
        if self.is_bytes:
            return exp.Anonymous(this="SAFE_CONVERT_BYTES_TO_STRING", expressions=[node])
        return exp.cast(node, "FLOAT64" if self.is_number else "STRING", dialect="bigquery")


@dataclass(frozen=True)
class Profile:
    """What the rows hold in one column; parts that were not asked for, or that it has not, are None or empty.

    ``values`` counts those that are not NULL, ``deviation`` is the population's. Of arrays ``values`` and all that follows
    is of their elements, ``arrays`` counts those that have one or more.
    """

    column: Column
    rows: int
    values: int
    nulls: int
    least: str | None = None
    greatest: str | None = None
    zeros: int | None = None
    mean: float | None = None
    deviation: float | None = None
    undefined: int = 0
    infinite: int = 0
    quantiles: tuple[float, ...] = ()
    unique: int | None = None
    average_length: float | None = None
    top: tuple[tuple[str, int], ...] = ()
    edges: tuple[float, ...] = ()
    ranges: tuple[int, ...] = ()
    arrays: int | None = None
    shortest: int | None = None
    longest: int | None = None
    average_array: float | None = None
    total_array: int | None = None
    lengths: tuple[int, ...] = ()
    dimension: int | None = None

    @property
    def name(self) -> str:
        return self.column.name

    @property
    def distribution(self) -> Distribution:
        """As distances compare it."""
        from tule.learn.drift import Frequencies, Histogram

        if not self.column.is_number:
            return Frequencies({name: float(count) for name, count in self.top})
        return Histogram(self.edges, tuple(map(float, self.ranges)), float(self.infinite), float(self.undefined))


def columns_of(schema: pa.Schema, function: str | None, names: Iterable[str] | None = None) -> list[Column]:
    """The columns by name, STRUCT columns by field.

    A type that has no profile is InvalidArgument for a function, and left out for none.
    """
    found: list[Column | None] = []
    for name in schema.names if names is None else names:
        field = Field.from_arrow(schema.field(name))
        if field.type == "STRUCT" and not field.repeated:
            for each in field.fields:
                found.append(_column(f"{name}_{each.name}", nodes.field(nodes.column(name), each.name), each, function))
        else:
            found.append(_column(name, nodes.column(name), field, function))
    return sorted((each for each in found if each is not None), key=lambda each: each.name)


def _column(name: str, node: exp.Expression, field: Field, function: str | None) -> Column | None:
    if field.type == "STRUCT" and field.repeated and len(field.fields) == 2:
        first, second = field.fields
        if first.type == "INT64" and second.type in _NUMBERS and not (first.repeated or second.repeated):
            return Column(name, node, True, second.type == "INT64", is_array=True, is_sparse=True)
    if field.type not in (*_NUMBERS, *_TEXTS):
        if function is None:
            return None
        raise wrong(
            f"The columns of ML.{function} must be numbers, {', '.join(_TEXTS)}, STRUCT or ARRAY of them, or "
            "ARRAY<STRUCT<INT64, FLOAT64>>",
            given=f"{name} of type {type_text(field)}", do="leave the column out with SELECT * EXCEPT, or cast it",
        )  # fmt: skip
    return Column(
        name, node, field.type in _NUMBERS, field.type == "INT64", field.repeated, is_bytes=field.type == "BYTES"
    )


Ends = Mapping[str, tuple[float, float]]


def profile(
    rows: Relation,
    columns: Sequence[Column],
    wanted: Wanted,
    ask: Callable[[exp.Expression], Any],
    ends: Ends | None = None,
) -> list[Profile]:
    """The profile of each column, in their order. ``ask`` answers a query (``Run.batches``).

    ``ends``: the least and the greatest number of columns that these rows are only a sample of.
    """
    from tule.learn.drift import edges_of

    if not columns:
        return []
    sources = _sources(rows, columns)
    # Quantiles are exact while there are few rows: their number is told first where it is not known.
    count = rows.rows if rows.rows is not None else _count(rows, ask)
    found: dict[int, dict[str, Any]] = {}
    for source in sources:
        found |= source.summaries(wanted, count, ask)
    for place, values in found.items():
        values["rows"] = count
        if columns[place].is_number and wanted.ranges:
            own = [end for end in (values.pop("low"), values.pop("high")) if end is not None]
            own += (ends or {}).get(columns[place].name, ()) if own else ()
            values["edges"] = list(edges_of(min(own), max(own), wanted.ranges)) if own else []
            values["ranges"] = [0] * max(len(values["edges"]) - 1, 0)
    _count_values(sources, found, wanted, ask)
    return [Profile(column, **_plain(found[place])) for place, column in enumerate(columns)]


def distributions(
    rows: Relation,
    columns: Sequence[Column],
    ask: Callable[[exp.Expression], Any],
    *,
    ranges: int = RANGES,
    top: int = 50,
    ends: Ends | None = None,
) -> dict[str, Distribution]:
    """What distances need of each column, by name: ``ranges`` of numbers, the ``top`` most frequent texts."""
    found = profile(rows, columns, Wanted(ranges=ranges, top=top), ask, ends)
    return {each.name: each.distribution for each in found}


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(each) if isinstance(each, list) else each for name, each in values.items()}


def _count(rows: Relation, ask: Callable[[exp.Expression], Any]) -> int:
    counted = nodes.named(exp.Count(this=exp.Star()), "n")
    return int(ask(rows.select([counted])).table().column(0)[0].as_py())


@dataclass(frozen=True)
class _Source:
    """A query of values, one column ``v<place>`` for each column; of an array, a row an element (and its index ``i``)."""

    columns: tuple[tuple[int, Column], ...]
    made: Callable[[Sequence[int]], exp.Select]
    """The query with the values of these columns alone."""

    def select(self, text: str, places: Sequence[int]) -> Any:
        """A query written over the table ``values``."""
        made: Any = parse(text)
        for table in list(made.find_all(exp.Table)):
            if table.name == "values":
                table.replace(nodes.subquery(self.made(places)))
        return made

    def summaries(self, wanted: Wanted, count: int, ask: Callable[[exp.Expression], Any]) -> dict[int, dict[str, Any]]:
        items = {
            (place, key): text
            for place, column in self.columns
            for key, text in _aggregates(f"v{place}", column, wanted)
        }
        listed = ", ".join(f"{text} AS s{at}" for at, text in enumerate(items.values()))
        made = self.select(f"SELECT {listed} FROM `values`", [place for place, _ in self.columns])
        if wanted.quantiles and count > EXACT_ROWS:
            _approximate(made)
        row = ask(made).table().to_pylist()[0]
        found: dict[int, dict[str, Any]] = {place: {} for place, _ in self.columns}
        for (place, key), value in zip(items, row.values(), strict=True):
            found[place][key] = value if value is not None or key not in ("quantiles", "lengths") else ()
        return found


def _sources(rows: Relation, columns: Sequence[Column]) -> list[_Source]:
    plain = [(place, column) for place, column in enumerate(columns) if not column.is_array]
    found = []
    if plain:

        def values(places: Sequence[int]) -> exp.Select:
            return rows.select(
                nodes.named(columns[place].value(columns[place].node.copy()), f"v{place}") for place in places
            )

        found.append(_Source(tuple(plain), values))
    for place, column in enumerate(columns):
        if column.is_array:
            found.append(_array_source(rows, place, column))
    return found


def _array_source(rows: Relation, place: int, column: Column) -> _Source:
    """The elements of each row's array; a row without any stays, as its length."""
    arrays = rows.select([nodes.named(column.node.copy(), "a")])
    # ``o`` is NULL for the row of an array without elements, 0 for the first element of any other.
    made: Any = parse("SELECT x AS e, o, ARRAY_LENGTH(a) AS n FROM _arrays_ LEFT JOIN UNNEST(a) AS x WITH OFFSET AS o")
    for table in list(made.find_all(exp.Table)):
        if table.name == "_arrays_":
            table.replace(nodes.subquery(arrays, "t"))
    element: exp.Expression = nodes.column("e")
    items = []
    if column.is_sparse:
        kind = rows_type(rows, column)
        items.append(nodes.named(nodes.field(nodes.column("e"), kind[0].name), "i"))
        element = nodes.field(element, kind[1].name)
    items = [nodes.named(column.value(element), f"v{place}"), *items]
    items += [nodes.named(nodes.column(name), name) for name in ("o", "n")]
    query = nodes.select(items, nodes.subquery(made))
    return _Source(((place, column),), lambda places: query.copy())


def rows_type(rows: Relation, column: Column) -> Any:
    """The Arrow type of an array column's elements."""
    node: Any = column.node
    if isinstance(node, exp.Dot):
        return rows.schema.field(node.this.name).type.field(node.expression.name).type.value_type
    return rows.schema.field(node.name).type.value_type


def _aggregates(v: str, column: Column, wanted: Wanted) -> Iterator[tuple[str, str]]:
    """(key of ``Profile``, aggregate as GoogleSQL) of one column of values."""
    finite = f"NOT IS_NAN({v}) AND NOT IS_INF({v})"
    yield "values", f"COUNT({v})"
    element = "o IS NOT NULL" if column.is_array else "TRUE"
    yield "nulls", f"COUNTIF({v} IS NULL AND {element})"
    if column.is_number and wanted.ranges:
        yield "low", f"MIN(IF({finite}, {v}, NULL))"
        yield "high", f"MAX(IF({finite}, {v}, NULL))"
    if column.is_number:
        yield "undefined", f"COUNTIF(IS_NAN({v}))"
        yield "infinite", f"COUNTIF(IS_INF({v}))"
    if column.is_number and wanted.quantiles:
        yield "quantiles", f"APPROX_QUANTILES({v}, {wanted.quantiles})"
    if wanted.summary:
        yield "least", f"CAST(MIN({v}) AS STRING)"
        yield "greatest", f"CAST(MAX({v}) AS STRING)"
        if column.is_number:
            yield "zeros", f"COUNTIF({v} = 0)"
            yield "mean", f"AVG({v})"
            # The deviation of what is not finite is not a number, whichever engine computes it.
            nan = "CAST('NaN' AS FLOAT64)"
            yield (
                "deviation",
                f"IF(COUNTIF({v} IS NOT NULL AND NOT ({finite})) > 0, {nan}, STDDEV_POP(IF({finite}, {v}, NULL)))",
            )
        else:
            yield "unique", f"APPROX_COUNT_DISTINCT({v})"
            yield "average_length", f"AVG(CHAR_LENGTH({v}))"
    if column.is_array and wanted.summary:
        # One row an array: its first element, or the row of one without any.
        length = "IF(o IS NULL, IF(n IS NULL, NULL, 0), IF(o = 0, n, NULL))"
        yield "arrays", f"COUNTIF({length} > 0)"
        yield "shortest", f"MIN({length})"
        yield "longest", f"MAX({length})"
        yield "average_array", f"AVG({length})"
        yield "total_array", f"SUM({length})"
        if wanted.length_quantiles:
            yield "lengths", f"APPROX_QUANTILES({length}, {wanted.length_quantiles})"
        if column.is_sparse:
            yield "dimension", "MAX(i) + 1"


def _approximate(made: Any) -> None:
    """Quantiles that hold no more than a digest of the values."""
    for call in list(made.find_all(exp.Anonymous, exp.ApproxQuantiles)):
        if isinstance(call, exp.Anonymous):
            if call.name.upper() != "APPROX_QUANTILES":
                continue
            value, number = call.expressions
        else:
            value, number = call.this, call.args["expression"]
        count = int(number.this)
        shares = [exp.cast(exp.Literal.number(at / count), exp.DataType.Type.FLOAT) for at in range(count + 1)]
        for share in shares:
            share.meta["tule_done"] = True
        call.replace(nodes.engine_call("approx_quantile", value.copy(), exp.Array(expressions=shares)))


def _count_values(
    sources: Sequence[_Source],
    found: dict[int, dict[str, Any]],
    wanted: Wanted,
    ask: Callable[[exp.Expression], Any],
) -> None:
    """Put in how often each range and each frequent text comes."""
    queries = []
    for source in sources:
        places = [
            place for place, column in source.columns if column.is_number and len(found[place].get("edges", ())) > 1
        ]
        _count_ranges(source, places, found, ask)
        for place, column in source.columns:
            if not column.is_number and wanted.top:
                queries.append(source.select(_frequent(place, wanted.top), [place]))
    if not queries:
        return
    made = queries[0]
    for each in queries[1:]:
        made = exp.Union(this=made, expression=each, distinct=False)
    for row in ask(made).table().to_pylist():
        found[row["place"]].setdefault("top", []).append((row["label"], row["n"]))
    for values in found.values():
        if "top" in values:
            values["top"].sort(key=lambda pair: (-pair[1], pair[0]))


def _count_ranges(
    source: _Source, places: Sequence[int], found: dict[int, dict[str, Any]], ask: Callable[[exp.Expression], Any]
) -> None:
    """Count by one scan: as SQL, a query for each column would take longer to plan than its rows to count."""
    from tule.learn.drift import range_counts

    if not places:
        return
    for batch in ask(source.made(places)).batches:
        for place in places:
            values = found[place]
            counts = range_counts(batch.column(f"v{place}").drop_null().to_numpy(zero_copy_only=False), values["edges"])
            values["ranges"] = [before + more for before, more in zip(values["ranges"], counts, strict=True)]


def _frequent(place: int, top: int) -> str:
    v = f"v{place}"
    counted = f"SELECT {v} AS label, COUNT(*) AS n FROM `values` WHERE {v} IS NOT NULL GROUP BY label"
    return f"SELECT {place} AS place, label, n FROM ({counted} ORDER BY n DESC, label LIMIT {top})"
