"""The arguments by which ML.VALIDATE_DATA_SKEW and ML.VALIDATE_DATA_DRIFT judge differences, and the rows they answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tule.bigquery.ml.functions.function import Argument
from tule.kernel.errors import InvalidArgument, Unimplemented

if TYPE_CHECKING:
    from tule.learn.drift import Comparison, Criteria

_MEASURES = ("L_INFTY", "JENSEN_SHANNON_DIVERGENCE")


@dataclass(frozen=True)
class Threshold(Argument):
    """A number, at least 0 and below 1."""

    def read(self, function: str, key: str, value: Any) -> float:
        number = super().read(function, key, value)
        if not 0 <= number < 1:
            raise InvalidArgument(
                f"Argument {key} of ML.{function} must be at least 0 and below 1", given=number, reason="invalidQuery"
            )
        return float(number)


@dataclass(frozen=True)
class Thresholds(Argument):
    """``[('column', 0.1), ...]``: by lower-case column."""

    def read(self, function: str, key: str, value: Any) -> dict[str, float]:
        found: dict[str, float] = {}
        for each in value if isinstance(value, list) else [None]:
            if not isinstance(each, tuple) or len(each) != 2 or not isinstance(each[0], str):
                raise InvalidArgument(
                    f"Argument {key} of ML.{function} must be an array of columns with thresholds",
                    given=repr(value)[:100], do="write [('column', 0.1), ('other', 0.8)]", reason="invalidQuery",
                )  # fmt: skip
            if each[0].lower() in found:
                raise InvalidArgument(
                    f"Argument {key} of ML.{function} must name each column once", given=each[0], reason="invalidQuery"
                )
            found[each[0].lower()] = Threshold(0.3, float).read(function, f"{key} for {each[0]}", each[1])
        return found


ARGUMENTS: dict[str, Argument] = {
    "categorical_default_threshold": Threshold(0.3, float),
    "categorical_metric_type": Argument("L_INFTY", str, choices=_MEASURES),
    "numerical_default_threshold": Threshold(0.3, float),
    "numerical_metric_type": Argument("JENSEN_SHANNON_DIVERGENCE", str, choices=_MEASURES[1:]),
    "thresholds": Thresholds({}, list),
}

SCHEMA = pa.schema(
    [
        pa.field("input", pa.string()),
        pa.field("metric", pa.string()),
        pa.field("threshold", pa.float64()),
        pa.field("value", pa.float64()),
        pa.field("is_anomaly", pa.bool_()),
    ]
)


def criteria(values: Mapping[str, Any]) -> Criteria:
    """The arguments as learning takes them."""
    from tule.learn.drift import Criteria

    return Criteria(
        values["categorical_metric_type"],
        values["categorical_default_threshold"],
        values["numerical_default_threshold"],
        values["thresholds"],
    )


def check_thresholds(function: str, values: Mapping[str, Any], columns: Sequence[str]) -> None:
    """InvalidArgument where a threshold is for a column that is not compared."""
    known = {name.lower() for name in columns}
    for name in values["thresholds"]:
        if name not in known:
            raise InvalidArgument(
                f"Argument thresholds of ML.{function} must name columns that are compared", given=name,
                do=f"use {', '.join(columns)}", reason="invalidQuery", location="query",
            )  # fmt: skip


def answer(found: Sequence[Comparison]) -> pa.Table:
    """A row for each feature."""
    rows = [(each.name, each.metric, each.threshold, each.value, each.is_anomaly) for each in found]
    columns = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in SCHEMA]
    return pa.table([pa.array(values, kind.type) for values, kind in zip(columns, SCHEMA, strict=True)], schema=SCHEMA)


def no_links(function: str) -> Unimplemented:
    """Charts of the monitoring console are not made here."""
    return Unimplemented(
        f"Tule does not make the visualization links of ML.{function}",
        do="leave the argument out: the answer has the same values without it",
        reason="notImplemented",
    )
