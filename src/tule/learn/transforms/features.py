"""Features: input columns after structs are expanded, what kind each is, and how its values are read.

A value of a categorical feature has one canonical text, the same from an Arrow column and from JSON: strings are
themselves, booleans ``true``/``false``, bytes base64, dates and times ISO (a DATETIME with a blank in the middle).
"""

from __future__ import annotations

import base64
import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tule.kernel.errors import InvalidArgument, Unimplemented
from tule.learn.data import missing_column
from tule.learn.schema import Field, plain_type


class Kind(StrEnum):
    """How a feature is turned into numbers."""

    NUMERIC = "numeric"
    CATEGORY = "category"
    TIMESTAMP = "timestamp"
    MULTI = "multi"
    VECTOR = "vector"
    SPARSE = "sparse"


@dataclass(frozen=True)
class Feature:
    """A feature: ``path`` is the input column and, inside a struct, the field; ``name`` joins them by ``_``."""

    name: str
    path: tuple[str, ...]
    kind: Kind
    type: pa.DataType


def features_of(fields: Sequence[Field]) -> list[Feature]:
    """The features of input columns, structs expanded; a type that no model can use is refused by column name."""
    found: list[Feature] = []
    for field in fields:
        kind = plain_type(field.type)
        if pa.types.is_struct(kind):
            if kind.num_fields == 0:
                raise InvalidArgument("A STRUCT feature must have fields", given=field.name, do="leave it out")
            for inner in kind:
                if not inner.name:
                    raise InvalidArgument(
                        "All fields of a STRUCT feature must have names", given=field.name, do="name them with AS"
                    )
                if pa.types.is_struct(inner.type):
                    raise InvalidArgument(
                        "A STRUCT feature must not hold another STRUCT",
                        given=f"{field.name}.{inner.name}",
                        do="select its fields as columns",
                        location=field.name,
                    )
                found.append(_feature(f"{field.name}_{inner.name}", (field.name, inner.name), inner.type))
        else:
            found.append(_feature(field.name, (field.name,), kind))
    names = [feature.name for feature in found]
    for name in names:
        if names.count(name) > 1:
            raise InvalidArgument(
                "Feature names must differ after structs are expanded", given=name, do="rename one of the columns"
            )
    return found


def _feature(name: str, path: tuple[str, ...], kind: pa.DataType) -> Feature:
    return Feature(name, path, _kind(name, kind), kind)


def is_number(kind: pa.DataType) -> bool:
    """INT64, FLOAT64, NUMERIC, BIGNUMERIC in any width."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _is_category(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_boolean(kind)
        or pa.types.is_string(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_date(kind)
        or pa.types.is_time(kind)
        or (pa.types.is_timestamp(kind) and kind.tz is None)
    )


def _kind(name: str, kind: pa.DataType) -> Kind:
    if is_number(kind):
        return Kind.NUMERIC
    if pa.types.is_timestamp(kind) and kind.tz:
        return Kind.TIMESTAMP
    if _is_category(kind):
        return Kind.CATEGORY
    if pa.types.is_list(kind):
        item = kind.value_type
        if is_number(item):
            return Kind.VECTOR
        if _is_category(item) or (pa.types.is_timestamp(item) and item.tz):
            return Kind.MULTI
        if (
            pa.types.is_struct(item)
            and item.num_fields == 2
            and pa.types.is_integer(item[0].type)
            and is_number(item[1].type)
        ):
            return Kind.SPARSE
    raise Unimplemented(
        "A feature must be a number, BOOL, STRING, BYTES, a date or time, an array of these, "
        "or ARRAY<STRUCT<INT64, number>>",
        given=f"{name} is {kind}",
        do="cast the column or leave it out",
        location=name,
    )


def column_of(batch: pa.RecordBatch, feature: Feature) -> pa.Array:
    """The feature's values in a batch; a missing column or field is an InvalidArgument naming it."""
    place = batch.schema.get_field_index(feature.path[0])
    if place < 0:
        raise missing_column(feature.path[0], batch.schema.names)
    array = batch.column(place)
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if len(feature.path) == 2:
        if not pa.types.is_struct(array.type):
            raise _mismatch(feature, array.type)
        names = [field.name for field in array.type]
        if feature.path[1] not in names:
            raise missing_column(".".join(feature.path), [f"{feature.path[0]}.{name}" for name in names])
        array = pc.struct_field(array, names.index(feature.path[1]))
    return array


def _mismatch(feature: Feature, given: pa.DataType) -> InvalidArgument:
    return InvalidArgument(
        f"The column {'.'.join(feature.path)} must be of the type it was trained with, {feature.type}",
        given=str(given),
        do="cast it in the query",
        location=feature.path[0],
    )


def as_numbers(array: pa.Array, feature: Feature) -> tuple[np.ndarray, np.ndarray | None]:
    """(float64 values, mask of NULLs or None). Values under the mask are 0.0. May share memory with the array."""
    kind = array.type
    if pa.types.is_null(kind):
        return np.zeros(len(array)), np.ones(len(array), bool)
    if pa.types.is_dictionary(kind):
        array = array.dictionary_decode()
        kind = array.type
    if feature.kind is Kind.TIMESTAMP:
        micros, nulls = _micros(array, feature)
        return np.floor_divide(micros, 1_000_000).astype(np.float64), nulls
    if not is_number(kind):
        raise _mismatch(feature, kind)
    nulls = None
    if array.null_count:
        nulls = np.asarray(array.is_null().to_numpy(zero_copy_only=False))
        array = pc.fill_null(array, pa.scalar(0, array.type))
    if not pa.types.is_float64(kind):
        array = array.cast(pa.float64(), safe=False)
    return array.to_numpy(zero_copy_only=False), nulls


def _micros(array: pa.Array, feature: Feature) -> tuple[np.ndarray, np.ndarray | None]:
    if not pa.types.is_timestamp(array.type):
        raise _mismatch(feature, array.type)
    nulls = np.asarray(array.is_null().to_numpy(zero_copy_only=False)) if array.null_count else None
    # A cast between units keeps the instant; the zone does not matter, values are stored in UTC.
    whole = array.cast(pa.timestamp("us", tz=array.type.tz), safe=False).cast(pa.int64())
    if nulls is not None:
        whole = pc.fill_null(whole, 0)
    return whole.to_numpy(zero_copy_only=False), nulls


TIMESTAMP_PARTS = {
    "DAY": "_TS_DOM_",
    "DAYOFWEEK": "_TS_DOW_",
    "MONTH": "_TS_MOY_",
    "HOUR": "_TS_HOD_",
    "MINUTE": "_TS_MOH_",
    "WEEK": "_TS_WOY_",
    "YEAR": "_TS_YEAR_",
}
"""Part of a timestamp -> prefix of the name of its derived column."""


def timestamp_parts(array: pa.Array, feature: Feature) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    """The calendar parts of a timestamp column in UTC as int64, and the mask of NULLs."""
    if pa.types.is_null(array.type):
        zeros = np.zeros(len(array), np.int64)
        return dict.fromkeys(TIMESTAMP_PARTS, zeros), np.ones(len(array), bool)
    micros, nulls = _micros(array, feature)
    return parts_of_micros(micros), nulls


def parts_of_micros(micros: np.ndarray) -> dict[str, np.ndarray]:
    """Calendar parts (UTC) of int64 microseconds since 1970."""
    days = np.floor_divide(micros, 86_400_000_000)
    seconds = np.floor_divide(micros - days * 86_400_000_000, 1_000_000)
    dates = days.astype("M8[D]")
    months, years = dates.astype("M8[M]"), dates.astype("M8[Y]")
    weekday = (days + 4) % 7  # 1970-01-01 was a Thursday; 0 = Sunday
    day_of_year = (dates - years).astype(np.int64)
    return {
        "DAY": (dates - months).astype(np.int64) + 1,
        "DAYOFWEEK": weekday + 1,
        "MONTH": (months - years).astype(np.int64) + 1,
        "HOUR": seconds // 3600,
        "MINUTE": seconds // 60 % 60,
        "WEEK": (day_of_year + 7 - weekday) // 7,
        "YEAR": years.astype(np.int64) + 1970,
    }


def coded(array: pa.Array, feature: Feature) -> tuple[np.ndarray, list[str]]:
    """A categorical column as (int32 place in the texts, -1 for NULL) and the texts that occur in this batch."""
    kind = array.type
    if pa.types.is_null(kind):
        return np.full(len(array), -1, np.int32), []
    wanted = feature.type.value_type if feature.kind is Kind.MULTI else feature.type
    if plain_type(kind) != wanted:
        raise _mismatch(feature, kind)
    if pa.types.is_dictionary(kind):
        # Unused or repeated dictionary values are legal in Arrow; decoding once removes both.
        array = array.dictionary_decode()
    encoded = array.dictionary_encode()
    indices = encoded.indices
    if indices.null_count:
        indices = pc.fill_null(indices, pa.scalar(-1, indices.type))
    return indices.to_numpy(zero_copy_only=False), texts(encoded.dictionary)


def texts(values: pa.Array) -> list[str]:
    """The canonical texts of an Arrow array without NULLs."""
    kind = values.type
    if pa.types.is_timestamp(kind):
        values = values.cast(pa.timestamp("us", tz=kind.tz), safe=False)
    elif pa.types.is_time(kind):
        values = values.cast(pa.time64("us"), safe=False)
    items = values.to_pylist()
    if items and isinstance(items[0], str):
        return items
    return [text_of(item) for item in items]


def text_of(value: Any) -> str:
    """The canonical text of one Python value.

    >>> text_of(True), text_of(datetime.datetime(2026, 1, 2, 3, 4)), text_of(b"ab")
    ('true', '2026-01-02 03:04:00', 'YWI=')
    """
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case bytes():
            return base64.b64encode(value).decode()
        case datetime.datetime():
            return value.replace(tzinfo=None).isoformat(" ")
        case datetime.date() | datetime.time():
            return value.isoformat()
    return str(value)


def value_of(text: str, kind: pa.DataType) -> Any:
    """The Python value of the column's type that has this canonical text."""
    if pa.types.is_boolean(kind):
        return text == "true"
    if pa.types.is_binary(kind):
        return base64.b64decode(text)
    if pa.types.is_timestamp(kind):
        value = datetime.datetime.fromisoformat(text)
        return value.replace(tzinfo=datetime.UTC) if kind.tz else value
    if pa.types.is_date(kind):
        return datetime.date.fromisoformat(text)
    if pa.types.is_time(kind):
        return datetime.time.fromisoformat(text)
    return text


def text_of_json(value: Any, kind: pa.DataType) -> str:
    """The canonical text of a JSON value for a categorical column; ValueError or TypeError if it cannot be one."""
    if pa.types.is_string(kind):
        if not isinstance(value, str):
            raise TypeError("a string")
        return value
    if pa.types.is_boolean(kind):
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower()
        if not isinstance(value, bool):
            raise TypeError("a boolean")
        return "true" if value else "false"
    if pa.types.is_binary(kind):
        if isinstance(value, dict) and set(value) == {"b64"}:
            value = value["b64"]
        if not isinstance(value, str):
            raise TypeError("base64 text")
        return base64.b64encode(base64.b64decode(value, validate=True)).decode()
    if not isinstance(value, str):
        raise TypeError("text in ISO form")
    if pa.types.is_date(kind):
        return datetime.date.fromisoformat(value).isoformat()
    if pa.types.is_time(kind):
        return datetime.time.fromisoformat(value).isoformat()
    moment = datetime.datetime.fromisoformat(value)
    if kind.tz:
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).astimezone(datetime.UTC)
    elif moment.tzinfo:
        raise TypeError("a DATETIME without a zone")
    return text_of(moment)


def micros_of_json(value: Any) -> int:
    """Microseconds since 1970 (UTC) of a JSON timestamp: ISO text (no zone means UTC) or unix seconds."""
    if isinstance(value, bool):
        raise TypeError("a timestamp")
    if isinstance(value, (int, float)):
        return int(np.floor(value * 1_000_000)) if isinstance(value, float) else value * 1_000_000
    if not isinstance(value, str):
        raise TypeError("a timestamp in ISO form")
    moment = datetime.datetime.fromisoformat(value.strip().removesuffix(" UTC").strip())
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return (moment - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)) // datetime.timedelta(microseconds=1)
