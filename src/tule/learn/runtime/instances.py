"""From instances (parsed JSON rows) to encoded rows, without Arrow: the hot path of online prediction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import numpy as np
import pyarrow as pa

from tule.kernel.errors import InvalidArgument
from tule.learn.data import missing_column
from tule.learn.schema import Signature
from tule.learn.transforms import Block, Encoding, Feature, Kind
from tule.learn.transforms.blocks import Ragged
from tule.learn.transforms.encoding import CategoryColumn, part_codes
from tule.learn.transforms.features import micros_of_json, parts_of_micros, text_of_json


class InstanceReader:
    """Compiled once per model; ``block`` may be called from several threads."""

    def __init__(self, signature: Signature, encoding: Encoding) -> None:
        self._names = signature.input_names
        self._encoding = encoding
        self._layout = encoding.layout
        self._width = len(self._names)
        self._pick: Callable[[Any], Any] = itemgetter(*self._names)
        places = {name: at for at, name in enumerate(self._names)}
        self._paths = [(places[feature.path[0]], feature.path[1:]) for feature in encoding.features]
        self._plain = all(feature.kind is Kind.NUMERIC and len(feature.path) == 1 for feature in encoding.features)
        self._means = encoding.means
        self._number_place = {number.feature: at for at, number in enumerate(encoding.numbers)}
        self._vector_place: dict[int, tuple[int, np.ndarray]] = {}
        first = len(encoding.numbers)
        for vector in encoding.vectors:
            self._vector_place[vector.feature] = (first, vector.means)
            first += len(vector.means)
        self._categories: dict[int, list[tuple[int, CategoryColumn]]] = {}
        for at, category in enumerate(encoding.categories):
            self._categories.setdefault(category.feature, []).append((at, category))
        self._texts = [
            category.part is None and pa.types.is_string(encoding.features[category.feature].type)
            for category in encoding.categories
        ]

    def block(self, instances: Sequence[Any]) -> Block:
        """Encoded rows, numbers in their own units, NULL filled. InvalidArgument names the column and the row."""
        rows = self._rows(instances)
        if self._plain:
            try:
                dense = np.array(rows, np.float64)
            except (TypeError, ValueError, OverflowError):
                dense = None
            if dense is not None and dense.size == len(rows) * self._width:
                dense = dense.reshape(len(rows), self._width)
                empty = np.isnan(dense)
                if empty.any():
                    places = np.nonzero(empty)
                    dense[places] = self._means[places[1]]
                return Block(self._layout, dense)
        return self._mixed(rows)

    def _rows(self, instances: Sequence[Any]) -> list[Any]:
        """Rows as sequences in the order of the inputs."""
        found: list[Any] = []
        pick, width = self._pick, self._width
        for at, instance in enumerate(instances):
            if isinstance(instance, dict):
                try:
                    row = pick(instance)
                except KeyError as error:
                    raise self._missing(str(error.args[0]), instance, at) from None
                found.append(row if width > 1 else (row,))
            elif isinstance(instance, (list, tuple)):
                if len(instance) != width:
                    raise InvalidArgument(
                        f"Instance {at} must have {width} values, one per input: {', '.join(self._names)}",
                        given=len(instance),
                        do="send an object by input name, or all values in this order",
                    )
                found.append(instance)
            elif width == 1 and not isinstance(instance, Mapping):
                found.append((instance,))
            else:
                raise InvalidArgument(
                    f"Instance {at} must be an object by input name or a list of values",
                    given=type(instance).__name__,
                    do=f"send {{{', '.join(self._names[:3])}, ...}}",
                )
        return found

    def _missing(self, name: str, instance: Mapping[str, Any], at: int) -> InvalidArgument:
        error = missing_column(name, [str(key) for key in instance])
        return InvalidArgument(f"Instance {at}: {error.message}", location=name)

    def _mixed(self, rows: list[Any]) -> Block:
        encoding, layout = self._encoding, self._layout
        count = len(rows)
        dense = np.empty((count, layout.dense))
        codes: list[np.ndarray] = [np.empty(0, np.int32)] * len(layout.codes)
        ragged: dict[str, Ragged] = {}
        columns = list(zip(*rows, strict=True))
        for at, feature in enumerate(encoding.features):
            place, inner = self._paths[at]
            values: Sequence[Any] = columns[place]
            if inner:
                values = self._fields(values, feature)
            if feature.kind is Kind.NUMERIC:
                own = self._number_place[at]
                try:
                    numbers = np.array(values, np.float64)
                except (TypeError, ValueError, OverflowError):
                    numbers = np.empty(0)
                if numbers.shape != (count,):
                    numbers = np.array([_number(value, feature, row) for row, value in enumerate(values)])
                if np.isnan(numbers).any():
                    numbers = np.where(np.isnan(numbers), self._means[own], numbers)
                dense[:, own] = numbers
            elif feature.kind is Kind.CATEGORY:
                for own, category in self._categories[at]:
                    codes[own] = self._codes(values, feature, category, self._texts[own])
            elif feature.kind is Kind.TIMESTAMP:
                self._timestamps(values, feature, at, dense, codes)
            elif feature.kind is Kind.VECTOR:
                first, means = self._vector_place[at]
                for row, value in enumerate(values):
                    dense[row, first : first + len(means)] = _vector(value, means, feature, row)
            elif feature.kind is Kind.MULTI:
                ragged[feature.name] = self._multi(values, feature)
            else:
                ragged[feature.name] = self._sparse(values, feature)
        order = [*(multi.name for multi in encoding.multis), *(sparse.name for sparse in encoding.sparses)]
        return Block(layout, dense, tuple(codes), tuple(ragged[name] for name in order))

    def _fields(self, values: Sequence[Any], feature: Feature) -> list[Any]:
        field = feature.path[1]
        found: list[Any] = []
        for row, value in enumerate(values):
            value = _single(value)
            if value is None:
                found.append(None)
            elif isinstance(value, dict):
                if field not in value:
                    raise self._missing(
                        f"{feature.path[0]}.{field}", {f"{feature.path[0]}.{key}": 0 for key in value}, row
                    )
                found.append(value[field])
            else:
                raise _wrong(feature.path[0], row, "an object", value)
        return found

    def _codes(self, values: Sequence[Any], feature: Feature, category: CategoryColumn, plain: bool) -> np.ndarray:
        places = category.places
        null = len(category.texts) if category.null else -1
        found = []
        for row, value in enumerate(values):
            if plain and type(value) is str:
                found.append(places.get(value, -1))
                continue
            value = _single(value)
            if value is None:
                found.append(null)
                continue
            try:
                found.append(places.get(text_of_json(value, feature.type), -1))
            except (TypeError, ValueError) as error:
                raise _wrong(".".join(feature.path), row, f"a {feature.type} value ({error})", value) from None
        return np.array(found, np.int32)

    def _timestamps(
        self, values: Sequence[Any], feature: Feature, at: int, dense: np.ndarray, codes: list[np.ndarray]
    ) -> None:
        micros = np.zeros(len(values), np.int64)
        nulls = np.zeros(len(values), bool)
        for row, value in enumerate(values):
            value = _single(value)
            if value is None:
                nulls[row] = True
                continue
            try:
                micros[row] = micros_of_json(value)
            except (TypeError, ValueError, OverflowError) as error:
                raise _wrong(".".join(feature.path), row, f"a timestamp ({error})", value) from None
        own = self._number_place[at]
        dense[:, own] = np.where(nulls, self._means[own], np.floor_divide(micros, 1_000_000))
        parts = parts_of_micros(micros)
        for place, category in self._categories[at]:
            assert category.part is not None
            codes[place] = part_codes(category, parts[category.part], nulls)

    def _multi(self, values: Sequence[Any], feature: Feature) -> Ragged:
        multi = next(item for item in self._encoding.multis if item.name == feature.name)
        starts, indices = [0], []
        for row, value in enumerate(values):
            if value is not None and not isinstance(value, (list, tuple)):
                raise _wrong(".".join(feature.path), row, "a list", value)
            own: set[int] = set()
            for item in value or ():
                if item is None:
                    continue
                try:
                    place = multi.places.get(text_of_json(item, feature.type.value_type), -1)
                except (TypeError, ValueError) as error:
                    raise _wrong(".".join(feature.path), row, f"a list of {error}", item) from None
                if place >= 0:
                    own.add(place)
            indices += sorted(own)
            starts.append(len(indices))
        return Ragged(np.array(starts), np.array(indices, np.int64), np.ones(len(indices)))

    def _sparse(self, values: Sequence[Any], feature: Feature) -> Ragged:
        sparse = next(item for item in self._encoding.sparses if item.name == feature.name)
        keys = [field.name for field in feature.type.value_type]
        starts, indices, numbers = [0], [], []
        for row, value in enumerate(values):
            if value is not None and not isinstance(value, (list, tuple)):
                raise _wrong(".".join(feature.path), row, "a list of index and value", value)
            for item in value or ():
                try:
                    index, number = (item[keys[0]], item[keys[1]]) if isinstance(item, dict) else item
                    index, number = int(index), 0.0 if number is None else float(number)
                except (TypeError, ValueError, KeyError):
                    raise _wrong(".".join(feature.path), row, "a list of index and value", item) from None
                if 0 <= index < len(sparse.means):
                    indices.append(index)
                    numbers.append(number)
            starts.append(len(indices))
        return Ragged(np.array(starts), np.array(indices, np.int64), np.array(numbers))


def _single(value: Any) -> Any:
    """A value out of a list of one."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _number(value: Any, feature: Feature, row: int) -> float:
    value = _single(value)
    if value is None:
        return float("nan")
    if isinstance(value, (int, float, str)):
        try:
            return float(value)
        except (ValueError, OverflowError):
            pass
    raise _wrong(".".join(feature.path), row, "a number", value)


def _vector(value: Any, means: np.ndarray, feature: Feature, row: int) -> np.ndarray:
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
        value = value[0]
    if value is None or (isinstance(value, (list, tuple)) and not value):
        return means
    try:
        found = np.array(value, np.float64)
    except (TypeError, ValueError):
        raise _wrong(".".join(feature.path), row, "a list of numbers", value) from None
    if found.shape != means.shape:
        raise _wrong(".".join(feature.path), row, f"a list of {len(means)} numbers", value)
    return np.where(np.isnan(found), means, found)


def _wrong(column: str, row: int, wanted: str, value: Any) -> InvalidArgument:
    shown = repr(value)
    return InvalidArgument(
        f"Instance {row}: {column} must be {wanted}",
        given=shown if len(shown) <= 100 else shown[:97] + "...",
        do="send the type that the model was trained with",
        location=column,
    )
