"""The fitted preprocessing of a model as nodes of its graph: from one input a feature to encoded columns.

A number is a float64 tensor (rows,), a category the canonical text of its value (``transforms.features``), a timestamp its
seconds since 1970, an array of numbers (rows, its length). ONNX has no NULL: a number that is NULL is NaN, a text that is
NULL is ``NULL_CATEGORY``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tule.kernel.errors import Unimplemented
from tule.learn.onnx.builder import ML, Graph
from tule.learn.transforms import Encoding, Kind
from tule.learn.transforms.encoding import NULL_CATEGORY, CategoryColumn
from tule.learn.transforms.features import Feature

_DAY = 86_400.0


def no_form(what: str, given: str) -> Unimplemented:
    """Why a model has no graph that answers exactly as it does."""
    return Unimplemented(
        f"{what} has no exact form as an ONNX graph", given=given, do="serve the model's own bundle",
        reason="notImplemented",
    )  # fmt: skip


class Encoded:
    """Encoded rows in a graph: ``dense`` (n, numbers and vectors) or None, and the codes of each category, -1 for none."""

    def __init__(self, graph: Graph, encoding: Encoding, *, scaled: bool) -> None:
        """Adds the inputs. ``scaled``: numbers are centred and divided by their deviation."""
        self._graph = graph
        self.encoding = encoding
        ragged = [
            *(each.name for each in encoding.multis),
            *(each.name for each in encoding.sparses if each.name not in graph.supplied),
        ]
        if ragged:
            raise no_form("An array of categories or of indexed numbers", ragged[0])
        self._inputs = {at: self._input(feature) for at, feature in enumerate(encoding.features)}
        self._parts: dict[int, dict[str, str]] = {}
        self.dense = self._dense(scaled)
        self.codes = [self._codes(category) for category in encoding.categories]

    def sparse(self, absent: float) -> list[str]:
        """(n, width) of each array of indexed numbers, of one entry a row; an index past the width is left out."""
        graph, found = self._graph, []
        for each in self.encoding.sparses:
            given = graph.supplied[each.name]
            index, value = (graph.node("Gather", given, graph.constant([at], "int64"), axis=1) for at in range(2))
            here = graph.node("Equal", index, graph.constant([range(len(each.means))]))
            found.append(graph.node("Where", here, value, graph.constant(absent)))
        return found

    def _input(self, feature: Feature) -> str:
        if feature.kind is Kind.SPARSE:
            return ""
        if feature.kind is Kind.VECTOR:
            place = next(each for each in self.encoding.vectors if self.encoding.features[each.feature] is feature)
            return self._graph.input(feature.name, "float64", (len(place.means),))
        return self._graph.input(feature.name, "str" if feature.kind is Kind.CATEGORY else "float64")

    def _dense(self, scaled: bool) -> str | None:
        graph, encoding = self._graph, self.encoding
        parts = []
        if encoding.numbers:
            last = graph.constant([-1], "int64")
            columns = [graph.node("Unsqueeze", self._inputs[number.feature], last) for number in encoding.numbers]
            values = self._filled(_joined(graph, columns), encoding.means)
            if scaled:
                values = graph.node("Sub", values, graph.constant(encoding.centers))
                values = graph.node("Div", values, graph.constant(encoding.scales))
            parts.append(values)
        parts += [self._filled(self._inputs[each.feature], each.means) for each in encoding.vectors]
        return _joined(graph, parts) if parts else None

    def _filled(self, values: str, means: np.ndarray) -> str:
        missing = self._graph.node("IsNaN", values)
        return self._graph.node("Where", missing, self._graph.constant(means), values)

    def _codes(self, category: CategoryColumn) -> str:
        """int64 (n,): places among the category's texts, NULL after them."""
        graph = self._graph
        value = self._inputs[category.feature]
        if category.part is not None:
            return self._part_codes(category, value)
        keys = list(category.texts)
        places = list(range(len(keys)))
        if category.null:
            if NULL_CATEGORY in keys:
                raise no_form(f"A column with both NULL and the text {NULL_CATEGORY}", category.name)
            keys.append(NULL_CATEGORY)
            places.append(len(keys) - 1)
        if not keys:
            keys, places = [NULL_CATEGORY], [-1]
        return graph.node(
            "LabelEncoder", value, domain=ML, keys_strings=keys, values_int64s=places, default_int64=-1
        )  # fmt: skip

    # -- parts of a timestamp

    def _part_codes(self, category: CategoryColumn, seconds: str) -> str:
        graph = self._graph
        if category.feature not in self._parts:
            self._parts[category.feature] = _calendar(graph, seconds)
        assert category.part is not None
        number = self._parts[category.feature][category.part]
        known = [float(text) for text in category.texts]
        wide = graph.node("Unsqueeze", number, graph.constant([-1], "int64"))
        equal = graph.node("Cast", graph.node("Equal", wide, graph.constant([known])), to=11)
        # Places counted from 1, so that a part that is not known becomes -1.
        weights = graph.constant(np.arange(1.0, len(known) + 1)[:, None])
        found = graph.node("Squeeze", graph.node("MatMul", equal, weights), graph.constant([1], "int64"))
        found = graph.node("Sub", found, graph.constant(1.0))
        null = graph.constant(float(len(known)) if category.null else -1.0)
        found = graph.node("Where", graph.node("IsNaN", seconds), null, found)
        return graph.node("Cast", found, to=7)

    # -- what models make of it

    def matrix(self, absent: float = 0.0) -> str:
        """(n, D) float64 encoded rows, one-hot; ``absent``: what stands where a category is not."""
        parts = [self.dense] if self.dense is not None else []
        for category, code in zip(self.encoding.categories, self.codes, strict=True):
            if category.width:
                parts.append(self._one_hot(code, category.width, absent))
        parts += self.sparse(absent)
        return _joined(self._graph, parts)

    def _one_hot(self, code: str, width: int, absent: float) -> str:
        graph = self._graph
        wide = graph.node("Unsqueeze", code, graph.constant([-1], "int64"))
        here = graph.node("Equal", wide, graph.constant([range(width)], "int64"))
        return graph.node("Where", here, graph.constant(1.0), graph.constant(absent))

    def looked_up(self, at: int, table: np.ndarray) -> str:
        """(n, T): the row of ``table`` (width + 1, T) for the category's code; its last for a value without a place."""
        graph = self._graph
        width = len(table) - 1
        none = graph.node("Less", self.codes[at], graph.constant(0, "int64"))
        code = graph.node("Where", none, graph.constant(width, "int64"), self.codes[at])
        return graph.node("Gather", graph.constant(table), code, axis=0)

    def times(self, weights: np.ndarray) -> str:
        """(n, K): encoded rows times ``weights`` (D, K); categories are looked up, not multiplied."""
        graph, layout = self._graph, self.encoding.layout
        parts = []
        if self.dense is not None:
            parts.append(graph.node("MatMul", self.dense, graph.constant(weights[: layout.dense])))
        zero = np.zeros((1, weights.shape[1]))
        for at, (first, last) in enumerate(layout.code_ranges()):
            parts.append(self.looked_up(at, np.concatenate([weights[first:last], zero])))
        for entries, (first, last) in zip(self.sparse(0.0), layout.ragged_ranges(), strict=True):
            parts.append(graph.node("MatMul", entries, graph.constant(weights[first:last])))
        return parts[0] if len(parts) == 1 else graph.node("Sum", *parts)


def _joined(graph: Graph, parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else graph.node("Concat", *parts, axis=1)


def _calendar(graph: Graph, seconds: str) -> dict[str, str]:
    """The parts of moments in UTC, as float64 (n,): days to years after Hinnant, "chrono-Compatible Low-Level Date
    Algorithms" (https://howardhinnant.github.io/date_algorithms.html)."""
    number = graph.constant

    def floor(value: str, divisor: float) -> str:
        return graph.node("Floor", graph.node("Div", value, number(divisor)))

    def minus(a: str, b: str, times: float = 1.0) -> str:
        return graph.node("Sub", a, b if times == 1.0 else graph.node("Mul", b, number(times)))

    def plus(a: str, b: float) -> str:
        return graph.node("Add", a, number(b))

    known = graph.node("Where", graph.node("IsNaN", seconds), number(0.0), seconds)
    days = floor(known, _DAY)
    rest = minus(known, days, _DAY)
    hour = floor(rest, 3600.0)
    minute = floor(minus(rest, hour, 3600.0), 60.0)
    shifted = plus(days, 4.0)
    weekday = minus(shifted, floor(shifted, 7.0), 7.0)  # 0 is Sunday
    since = plus(days, 719_468.0)
    era = floor(since, 146_097.0)
    of_era = minus(since, era, 146_097.0)
    leaps = graph.node("Sub", graph.node("Add", minus(of_era, floor(of_era, 1460.0)), floor(of_era, 36_524.0)),
                       floor(of_era, 146_096.0))  # fmt: skip
    year_of_era = floor(leaps, 365.0)
    spent = graph.node("Sub", graph.node("Add", graph.node("Mul", year_of_era, number(365.0)), floor(year_of_era, 4.0)),
                       floor(year_of_era, 100.0))  # fmt: skip
    of_year = minus(of_era, spent)
    march = floor(plus(graph.node("Mul", of_year, number(5.0)), 2.0), 153.0)
    day = plus(minus(of_year, floor(plus(graph.node("Mul", march, number(153.0)), 2.0), 5.0)), 1.0)
    late = graph.node("GreaterOrEqual", march, number(10.0))
    month = graph.node("Where", late, plus(march, -9.0), plus(march, 3.0))
    year = graph.node("Add", graph.node("Add", year_of_era, graph.node("Mul", era, number(400.0))),
                      graph.node("Where", late, number(1.0), number(0.0)))  # fmt: skip
    # The day of the year from 0: January and February are the last of a year that begins in March.
    leap = graph.node("Where", _is_leap(graph, year), number(1.0), number(0.0))
    after = graph.node("Add", plus(of_year, 59.0), leap)
    day_of_year = graph.node("Where", late, plus(of_year, -306.0), after)
    week = floor(plus(minus(day_of_year, weekday), 7.0), 7.0)
    return {
        "DAY": day, "DAYOFWEEK": plus(weekday, 1.0), "MONTH": month, "HOUR": hour, "MINUTE": minute, "WEEK": week,
        "YEAR": year,
    }  # fmt: skip


def _is_leap(graph: Graph, year: str) -> str:
    def divides(divisor: float) -> str:
        whole = graph.node("Floor", graph.node("Div", year, graph.constant(divisor)))
        return graph.node("Equal", graph.node("Mul", whole, graph.constant(divisor)), year)

    return graph.node("Or", graph.node("And", divides(4.0), graph.node("Not", divides(100.0))), divides(400.0))
