"""Statistics of training columns before a TRANSFORM, by one query of the engine: what ML.FEATURE_INFO shows of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from sqlglot import exp

from tule.bigquery.ml import nodes
from tule.bigquery.ml.batches import Relation

if TYPE_CHECKING:
    from tule.learn.models import FeatureStatistics

# Beyond so many rows a median is approximate: an exact one would hold every value.
_EXACT_ROWS = 131_072


def describe(rows: Relation, names: Iterable[str], run: Callable[[exp.Expression], Any]) -> list[FeatureStatistics]:
    """One entry a column, STRUCT columns by field."""
    from tule.learn.models import FeatureStatistics

    (counted,) = run(rows.select([nodes.named(exp.Count(this=exp.Star()), "n")])).table().to_pylist()
    median = "quantile_cont" if counted["n"] <= _EXACT_ROWS else "approx_quantile"
    columns = [each for name in names for each in _expanded(name, rows.schema.field(name).type)]
    wanted = [
        (at, key, node) for at, each in enumerate(columns) for key, node in _aggregates(*each[1:], median).items()
    ]
    found: list[dict[str, Any]] = [{"name": name} for name, _, _ in columns]
    if wanted:
        items = [nodes.named(node, f"s{place}") for place, (_, _, node) in enumerate(wanted)]
        (row,) = run(rows.select(items)).table().to_pylist()
        for (at, key, _), value in zip(wanted, row.values(), strict=True):
            found[at][key] = value if value is None or isinstance(value, int) else float(value)
    return [FeatureStatistics(**each) for each in found]


def _expanded(name: str, kind: pa.DataType) -> Iterable[tuple[str, exp.Expression, pa.DataType]]:
    if pa.types.is_struct(kind):
        for each in kind:
            yield f"{name}_{each.name}", nodes.field(nodes.column(name), each.name), each.type
    else:
        yield name, nodes.column(name), kind


def _aggregates(node: exp.Expression, kind: pa.DataType, median: str) -> dict[str, exp.Expression]:
    from tule.learn.transforms.features import is_number

    nulls = exp.CountIf(this=exp.Is(this=node.copy(), expression=exp.Null()))
    if pa.types.is_timestamp(kind) and kind.tz:
        node = nodes.engine_call("epoch", node.copy())
    elif not is_number(kind):
        found: dict[str, exp.Expression] = {"null_count": nulls}
        if pa.types.is_list(kind):
            if is_number(kind.value_type):
                found["dimension"] = exp.Max(this=nodes.engine_call("len", node.copy()))
        elif not pa.types.is_nested(kind):
            found["category_count"] = exp.Count(this=exp.Distinct(expressions=[node.copy()]))
        return found
    number = exp.cast(node.copy(), "FLOAT64", dialect="bigquery")
    number.meta["tule_done"] = True
    # The approximate one takes its share as FLOAT alone.
    half = exp.cast(exp.Literal.number("0.5"), exp.DataType.Type.FLOAT)
    half.meta["tule_done"] = True
    return {
        "min": exp.Min(this=number.copy()),
        "max": exp.Max(this=number.copy()),
        "mean": exp.Avg(this=number.copy()),
        "median": nodes.engine_call(median, number.copy(), half),
        "stddev": exp.StddevSamp(this=number.copy()),
        "null_count": nulls,
    }
