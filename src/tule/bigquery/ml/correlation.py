"""ML.CORRELATION: how one column goes with others, in all rows and in every combination of dimension values.

https://cloud.google.com/bigquery/docs/reference/standard-sql/bigqueryml-syntax-correlation
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from tule.bigquery.catalog import type_text
from tule.bigquery.ml import nodes
from tule.bigquery.ml.batches import QueryBatches
from tule.bigquery.ml.given_rows import check_different, given_rows
from tule.bigquery.ml.mistakes import wrong
from tule.bigquery.ml.named_arguments import TEXT, TEXTS, Argument, NamedArguments
from tule.bigquery.model_statements import Run
from tule.bigquery.sql import Context
from tule.bigquery.sql.rules.resolve_tables import relation as relation_node
from tule.bigquery.types import Field

if TYPE_CHECKING:
    import numpy as np

    from tule.learn.correlations import Column

NAME = "ML.CORRELATION"
_METHODS = ("PEARSON", "SPEARMAN", "KENDALL")
_ARGUMENTS = NamedArguments(
    1,
    {
        "target_col": replace(TEXT, required=True),
        "target_correlation_cols": replace(TEXTS, required=True),
        "dimension_cols": replace(TEXTS, default=[]),
        "method": Argument(
            lambda value: isinstance(value, str) and value.upper() in _METHODS,
            f"one of {', '.join(_METHODS)}",
            "PEARSON",
        ),
    },
)
_RESERVED = ("segment", "target_col", "corr_col", "correlation", "segment_size", "segment_proportion")
_NUMBERS = ("INT64", "FLOAT64", "NUMERIC", "BIGNUMERIC")
_NOT_GROUPED = ("STRUCT", "JSON", "GEOGRAPHY", "RANGE")
_MOST_DIMENSIONS = 12
_MOST_ROWS = 10_000_000
_MOST_SEGMENTS = 1_000_000
_PARTS = Field(
    "segment",
    "STRUCT",
    "REPEATED",
    (Field("dimension_col", "STRING"), Field("dimension_value", "JSON")),
)


def expand(call: exp.Expression, context: Context, run: Run) -> exp.Expression:
    """The relation that stands in the place of a call."""
    (table,), arguments = _ARGUMENTS.read(NAME, call, context)
    target, others = arguments["target_col"], arguments["target_correlation_cols"]
    dimensions = arguments["dimension_cols"]
    _check(target, others, dimensions)
    rows = given_rows(table, [target, *others, *dimensions], NAME, call, context, run)
    _check_types(rows.schema, [target, *others], dimensions)
    schema = pa.schema(
        [
            _PARTS.arrow,
            *(rows.schema.field(name) for name in dimensions),
            pa.field("target_col", pa.string()),
            pa.field("corr_col", pa.string()),
            pa.field("correlation", pa.float64()),
            pa.field("segment_size", pa.int64()),
            pa.field("segment_proportion", pa.float64()),
        ]
    )
    if run.looking:
        return relation_node(run.session.temporary(schema, ()))
    found = _Table(_read(rows), run, dimensions).correlations(target, others, arguments["method"].upper())
    return relation_node(run.session.temporary(schema, found.select(schema.names).cast(schema).to_batches()))


def _check(target: str, others: Sequence[str], dimensions: Sequence[str]) -> None:
    if len(dimensions) > _MOST_DIMENSIONS:
        raise wrong(f"{NAME} takes at most {_MOST_DIMENSIONS} dimensions", given=len(dimensions), do="name fewer")
    check_different([target, *others, *dimensions], NAME)
    taken = [name for name in (target, *others, *dimensions) if name.lower() in _RESERVED]
    if taken:
        raise wrong(
            f"The columns that {NAME} is told must not be called as its own, {', '.join(_RESERVED)}", given=taken[0],
            do="rename the column in the query",
        )  # fmt: skip


def _check_types(schema: pa.Schema, numbers: Sequence[str], dimensions: Sequence[str]) -> None:
    for name in (*numbers, *dimensions):
        field = Field.from_arrow(schema.field(name))
        if name in numbers and (field.repeated or field.type not in _NUMBERS):
            raise wrong(
                f"The columns that {NAME} correlates must be numbers", given=f"{name} of type {type_text(field)}",
                do="convert it in the query",
            )  # fmt: skip
        if name in dimensions and (field.repeated or field.type in _NOT_GROUPED):
            raise wrong(
                f"The dimensions of {NAME} must be of a type that can be grouped",
                given=f"{name} of type {type_text(field)}", do="convert it in the query",
            )  # fmt: skip


def _read(rows: QueryBatches) -> pa.Table:
    batches, count = [], 0
    for batch in rows.scan():
        count += batch.num_rows
        if count > _MOST_ROWS:
            raise wrong(f"{NAME} takes at most {_MOST_ROWS:,} rows", given="more", do="sample the rows in the query")
        batches.append(batch)
    return pa.Table.from_batches(batches, rows.schema)


@dataclass(frozen=True)
class _Dimension:
    """The different values of a dimension, as they are and as JSON, and the place of each row's."""

    name: str
    values: pa.Array
    texts: list[str]
    codes: np.ndarray


class _Table:
    """The rows in memory, each dimension by the places of its values."""

    def __init__(self, table: pa.Table, run: Run, dimensions: Sequence[str]) -> None:
        self._table = table
        self._run = run
        self._dimensions = [self._dimension(name) for name in dimensions]

    def _dimension(self, name: str) -> _Dimension:
        encoded = self._table.column(name).combine_chunks().dictionary_encode(null_encoding="encode")
        values = encoded.dictionary
        return _Dimension(name, values, self._json(values, name), encoded.indices.to_numpy())

    def _json(self, values: pa.Array, name: str) -> list[str]:
        """The values as TO_JSON writes them."""
        schema = pa.schema([pa.field("place", pa.int64()), self._table.schema.field(name)])
        batch = pa.RecordBatch.from_arrays([pa.array(range(len(values)), pa.int64()), values], schema=schema)
        kept = nodes.relation(self._run.session.temporary(schema, iter([batch])))
        text = exp.Anonymous(this="TO_JSON_STRING", expressions=[nodes.column(name)])
        query = nodes.select([nodes.named(nodes.column("place"), "place"), nodes.named(text, "text")], kept)
        answer = self._run.batches(query).table().sort_by("place")
        return [str(each) for each in answer.column("text").to_pylist()]

    def correlations(self, target: str, others: Sequence[str], method: str) -> pa.Table:
        """Every combination of dimensions, the largest segments first."""
        pieces = [
            self._segments(chosen, target, others, method)
            for count in range(len(self._dimensions), -1, -1)
            for chosen in itertools.combinations(range(len(self._dimensions)), count)
        ]
        return pa.concat_tables(pieces).sort_by([("segment_size", "descending"), ("corr_col", "ascending")])

    def _segments(self, chosen: Sequence[int], target: str, others: Sequence[str], method: str) -> pa.Table:
        """The segments of one combination of dimensions."""
        import numpy as np

        from tule.learn.correlations import correlations

        self._run.check()
        rows = self._table.num_rows
        groups, first = self._groups(chosen)
        if len(first) > _MOST_SEGMENTS:
            raise wrong(
                f"{NAME} tells at most {_MOST_SEGMENTS:,} segments", given=f"{len(first):,} of one combination",
                do="leave out the dimensions with most values",
            )  # fmt: skip
        sizes = np.bincount(groups, minlength=len(first))
        shown = {
            "segment": pa.array(self._parts(chosen, first), _PARTS.arrow.type),
            **{each.name: _column(each, at in chosen, first) for at, each in enumerate(self._dimensions)},
            "segment_size": pa.array(sizes),
            "segment_proportion": pa.array(sizes / rows if rows else np.zeros(len(first))),
        }
        tables = []
        for name in others:
            found = correlations(self._numbers(target), self._numbers(name), groups, len(first), method)
            own = {
                "target_col": pa.array([target] * len(first), pa.string()),
                "corr_col": pa.array([name] * len(first), pa.string()),
                "correlation": pa.array(found.values, mask=~found.known),
            }
            tables.append(pa.table({**shown, **own}))
        return pa.concat_tables(tables)

    def _groups(self, chosen: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """The group of each row, and a row of each group; all rows are one group where no dimension is chosen."""
        import numpy as np

        rows = self._table.num_rows
        groups = np.zeros(rows, dtype=np.int64)
        first = np.zeros(1, dtype=np.int64)
        for at in chosen:
            each = self._dimensions[at]
            # Numbered anew after each dimension, so that products of their sizes stay small.
            mixed = groups * max(1, len(each.values)) + each.codes
            _, first, groups = np.unique(mixed, return_index=True, return_inverse=True)
        return groups, first

    def _parts(self, chosen: Sequence[int], first: np.ndarray) -> list[list[dict[str, str]]]:
        own = [self._dimensions[at] for at in chosen]
        return [
            [{"dimension_col": each.name, "dimension_value": each.texts[each.codes[row]]} for each in own]
            for row in first
        ]

    def _numbers(self, name: str) -> Column:
        from tule.learn.correlations import Column
        from tule.learn.metrics import numbers

        column = self._table.column(name)
        return Column(numbers(column), pc.is_valid(column).to_numpy())


def _column(dimension: _Dimension, is_chosen: bool, first: np.ndarray) -> pa.Array:
    if not is_chosen:
        return pa.nulls(len(first), dimension.values.type)
    return dimension.values.take(pa.array(dimension.codes[first]))
