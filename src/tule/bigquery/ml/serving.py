"""A TRANSFORM clause replayed on raw instances of online prediction: the same SQL on the same engine as in ML.PREDICT."""

from __future__ import annotations

import base64
import datetime
import decimal
import queue
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tule.bigquery.ml import nodes
from tule.bigquery.ml import transform as transforms
from tule.bigquery.ml.transform import Transform
from tule.kernel.errors import InvalidArgument, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tule.bigquery.engine import QueryEngine, Session
    from tule.bigquery.sql import Name, Relation
    from tule.learn.schema import Field, Signature

Instance = Any


class Transforms:
    """Makes the row transform of a bundle: what ``vertex.endpoints`` asks for, passed in by the wiring."""

    def __init__(self, engine: Callable[[], QueryEngine]) -> None:
        """``engine`` is asked for when a model with a TRANSFORM is first served."""
        self._engine = engine

    def __call__(self, directory: Path) -> Callable[[Sequence[Instance]], Sequence[Instance]] | None:
        """From instances by raw input column to rows in the order of the model's inputs; None without a TRANSFORM."""
        from tule.learn import bundle

        transform = transforms.read(directory)
        if transform is None:
            return None
        return Replay(self._engine(), transform, bundle.read(directory).signature)


class Replay:
    """One transform, compiled. May be called from several threads at once."""

    def __init__(self, engine: QueryEngine, transform: Transform, signature: Signature) -> None:
        from tule.bigquery.catalog import type_text
        from tule.bigquery.sql import Context, Parameter, compile_query
        from tule.bigquery.types import Field as Column

        self._engine = engine
        self._idle: queue.LifoQueue[Session] = queue.LifoQueue()
        items = [item for name in signature.input_names if (item := transform.item(name)) is not None]
        used = {name.lower() for item in items for name in item.inputs()}
        self._columns = [column for column in transform.columns if column.name.lower() in used]
        self._readers = [reader(column.type) for column in self._columns]
        # A list for each column; the lists are taken apart side by side.
        parameters: dict[str, Parameter] = {}
        given = []
        for place, column in enumerate(self._columns):
            name = f"c{place}"
            parameters[name] = Parameter(f"ARRAY<{type_text(Column.from_arrow(pa.field('x', column.type)))}>", [])
            given.append(nodes.named(nodes.engine_call("unnest", nodes.parameter(name)), column.name))
        source = nodes.subquery(nodes.select(given, None))
        query = nodes.select([nodes.named(item.node(), item.name) for item in items], source)
        made = compile_query(query, Context(_NoTables(), "", parameters=parameters))
        self._sql, self._keys = made.sql, list(made.parameters)

    def __call__(self, instances: Sequence[Instance]) -> list[list[Any]]:
        """InvalidArgument names the instance and the column that is missing or wrong."""
        if not instances:
            return []
        rows = [self._row(at, instance) for at, instance in enumerate(instances)]
        lists = [
            [_read(at, column, read, row[place]) for at, row in enumerate(rows)]
            for place, (column, read) in enumerate(zip(self._columns, self._readers, strict=True))
        ]
        with self._session() as session:
            table = session.query(self._sql, dict(zip(self._keys, lists, strict=True))).table()
        return [list(each) for each in zip(*(plain_values(column) for column in table.columns), strict=True)]

    def _row(self, at: int, instance: Instance) -> Sequence[Any]:
        from tule.learn.data import missing_column

        if isinstance(instance, Mapping):
            try:
                return [instance[column.name] for column in self._columns]
            except KeyError as error:
                text = missing_column(str(error.args[0]), [str(key) for key in instance]).message
                raise InvalidArgument(f"Instance {at}: {text}") from None
        if isinstance(instance, list | tuple) and len(instance) == len(self._columns):
            return instance
        names = ", ".join(column.name for column in self._columns)
        raise InvalidArgument(
            f"Instance {at} must be an object by input column, or a list of the values of {names}",
            given=f"{len(instance)} values" if isinstance(instance, list | tuple) else type(instance).__name__,
            do="send the columns of the training query that TRANSFORM uses",
        )

    @contextmanager
    def _session(self) -> Iterator[Session]:
        try:
            session = self._idle.get_nowait()
        except queue.Empty:
            session = self._engine.session()
        try:
            yield session
        finally:
            self._idle.put(session)


class _NoTables:
    """The catalog of a query without tables."""

    def resolve(self, name: Name) -> Relation:
        raise NotFound(f"Not found: Table {name}", reason="notFound")

    def tables(self, project: str, dataset: str) -> Sequence[str]:
        return ()

    def information_schema(self, project: str, dataset: str | None, view: str) -> str:
        raise NotFound(f"Not found: Table {view}", reason="notFound")

    def describe(self, relation: str) -> Sequence[Any]:
        return ()

    def routine(self, name: Name) -> None:
        return None

    def foreign(self, routine: Any) -> str:
        raise NotFound("Not found: Routine", reason="notFound")


def _read(at: int, column: Field, read: Callable[[Any], Any], value: Any) -> Any:
    if isinstance(value, list) and len(value) == 1 and not pa.types.is_list(column.type):
        value = value[0]
    if value is None:
        return None
    try:
        return read(value)
    except (TypeError, ValueError, OverflowError, KeyError) as error:
        from tule.bigquery.ml.inputs import words

        shown = repr(value)
        raise InvalidArgument(
            f"Instance {at}: {column.name} must be a {words(column.type)}",
            given=shown if len(shown) <= 100 else f"{shown[:97]}...",
            do=f"send the type of the training query ({error})",
            location=column.name,
        ) from None


def reader(kind: pa.DataType) -> Callable[[Any], Any]:
    """What turns a JSON value that is not null into a value of a type to be bound."""
    if pa.types.is_list(kind):
        element = reader(kind.value_type)
        return lambda value: [None if each is None else element(each) for each in _a(list, value)]
    if pa.types.is_struct(kind):
        fields = [(each.name, reader(each.type)) for each in kind]
        return lambda value: {
            name: None if _a(dict, value)[name] is None else read(value[name]) for name, read in fields
        }
    for fits, read in _READERS:
        if fits(kind):
            return read
    if pa.types.is_timestamp(kind):
        return _timestamp if kind.tz else _datetime
    return lambda value: _a(str, value)


def _a(kind: type, value: Any) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"it is a {type(value).__name__}")
    return value


def _whole(value: Any) -> int:
    if isinstance(value, bool):
        raise TypeError("it is a boolean")
    made = int(value) if isinstance(value, str) else value
    if isinstance(made, float) and made.is_integer():
        made = int(made)
    return int(_a(int, made))


def _number(value: Any) -> float:
    if isinstance(value, bool):
        raise TypeError("it is a boolean")
    return float(value)


def _decimal(value: Any) -> decimal.Decimal:
    if isinstance(value, bool):
        raise TypeError("it is a boolean")
    try:
        return decimal.Decimal(str(value))
    except decimal.InvalidOperation:
        raise ValueError("it is no number") from None


def _boolean(value: Any) -> bool:
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    return bool(_a(bool, value))


def _bytes(value: Any) -> bytes:
    if isinstance(value, dict):
        value = value["b64"]
    return base64.b64decode(_a(str, value), validate=True)


def _timestamp(value: Any) -> datetime.datetime:
    from tule.learn.transforms.features import micros_of_json

    start = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    return start + datetime.timedelta(microseconds=micros_of_json(value))


def _datetime(value: Any) -> datetime.datetime:
    found = datetime.datetime.fromisoformat(_a(str, value))
    if found.tzinfo is not None:
        raise ValueError("a DATETIME has no zone")
    return found


_READERS: tuple[tuple[Callable[[pa.DataType], bool], Callable[[Any], Any]], ...] = (
    (pa.types.is_boolean, _boolean),
    (pa.types.is_integer, _whole),
    (pa.types.is_floating, _number),
    (pa.types.is_decimal, _decimal),
    (pa.types.is_binary, _bytes),
    (pa.types.is_date, lambda value: datetime.date.fromisoformat(_a(str, value))),
    (pa.types.is_time, lambda value: datetime.time.fromisoformat(_a(str, value))),
)


def plain_values(column: pa.ChunkedArray) -> list[Any]:
    """The values of a column as an instance of the model may hold them."""
    kind = column.type
    values: list[Any] = column.to_pylist()
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_string(kind) or pa.types.is_boolean(kind):
        return values
    return [_plain(value) for value in values]


def _plain(value: Any) -> Any:
    match value:
        case None | bool() | int() | float() | str():
            return value
        case decimal.Decimal():
            return float(value)
        case list():
            return [_plain(each) for each in value]
        case dict():
            return {key: _plain(each) for key, each in value.items()}
    from tule.learn.transforms.features import text_of

    return text_of(value)
