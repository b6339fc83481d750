"""A TRANSFORM clause replayed on raw instances of online prediction: the same SQL on the same engine as in ML.PREDICT."""

from __future__ import annotations

import base64
import datetime
import decimal
import logging
import queue
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tule.bigquery.ml import nodes, predict_sql, proof, rowwise
from tule.bigquery.ml import transform as transforms
from tule.bigquery.ml.transform import Item, Transform
from tule.kernel.errors import InvalidArgument, NotFound, TuleError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tule.bigquery.engine import QueryEngine, Session
    from tule.bigquery.sql import Name, Relation
    from tule.bigquery.sql.catalog import Through
    from tule.learn.schema import Field, Signature

Instance = Any
_LOG = logging.getLogger(__name__)


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
    """One transform, compiled. May be called from several threads at once.

    Planning a query takes milliseconds, however few its rows are. So expressions that have such a form are compiled to
    functions of a row (``rowwise.py``), after they were seen to give on 192 rows made for it (``proof.py``) what the engine
    gives, to the last bit. A row that they are unsure of, and every other expression, goes to the engine.
    """

    def __init__(self, engine: QueryEngine, transform: Transform, signature: Signature) -> None:
        self._engine = engine
        self._idle: queue.LifoQueue[Session] = queue.LifoQueue()
        items = [item for name in signature.input_names if (item := transform.item(name)) is not None]
        used = {name.lower() for item in items for name in item.inputs()}
        self._columns = [column for column in transform.columns if column.name.lower() in used]
        self._readers = [reader(column.type) for column in self._columns]
        self._sql, self._keys = self._query(items)
        functions = self._functions(items)
        self._rowwise = functions if functions is not None and self._proved(functions, items) else None

    @property
    def by_rows(self) -> bool:
        """Whether plain rows are answered without the engine."""
        return self._rowwise is not None

    def _query(self, items: Sequence[Item]) -> tuple[str, list[str]]:
        """The engine's query, and the name of the parameter that each column is bound to."""
        from tule.bigquery.catalog import type_text
        from tule.bigquery.sql import Context, Parameter, compile_query
        from tule.bigquery.types import Field as Column

        # A list for each column; the lists are taken apart side by side.
        parameters: dict[str, Parameter] = {}
        given = []
        for place, column in enumerate(self._columns):
            name = f"c{place}"
            kind = type_text(Column.from_arrow(pa.field("x", column.type)))
            parameters[name] = Parameter(f"ARRAY<{kind}>", [])
            values = nodes.engine_call("unnest", nodes.parameter(name))
            given.append(nodes.named(predict_sql.typed(values, kind), column.name))
        source = nodes.subquery(nodes.select(given, None))
        query = nodes.select([nodes.named(item.node(), item.name) for item in items], source)
        made = compile_query(query, Context(_NoTables(), "", parameters=parameters, dialect=self._engine.dialect))
        return made.sql, list(made.parameters)

    def _functions(self, items: Sequence[Item]) -> list[Callable[[rowwise.Row], Any]] | None:
        """Each output as a function of a row; None where one must be the engine's."""
        places = {column.name.lower(): (at, rowwise.kind_of(column.type)) for at, column in enumerate(self._columns)}
        found: list[Callable[[rowwise.Row], Any]] = []
        for item in items:
            made = rowwise.compiled(item.plain_node(), places)
            if made is None:
                return None
            kind, function = made
            found.append(function if kind in _PLAIN_KINDS else _plainly(function))
        return found

    def _proved(self, functions: list[Callable[[rowwise.Row], Any]], items: Sequence[Item]) -> bool:
        """Whether the functions answer as the engine does. Rows that either refuses say nothing."""
        trees = [item.plain_node() for item in items]
        made = proof.rows([column.type for column in self._columns], trees)
        for start in range(0, len(made), 16):
            part = made[start : start + 16]
            try:
                wanted = self._ask(part)
            except TuleError:
                continue
            for row, answer in zip(part, wanted, strict=True):
                try:
                    found = [function(row) for function in functions]
                except rowwise.Unsure:
                    continue
                if not proof.agree(found, answer):
                    names = [
                        item.name for item, a, b in zip(items, found, answer, strict=True) if not proof.agree(a, b)
                    ]
                    _LOG.warning("%s of a TRANSFORM are left to the engine: by rows they differ", ", ".join(names))
                    return False
        return True

    def __call__(self, instances: Sequence[Instance]) -> list[list[Any]]:
        """InvalidArgument names the instance and the column that is missing or wrong."""
        if not instances:
            return []
        rows = [
            [
                _read(at, column, read, value)
                for column, read, value in zip(self._columns, self._readers, self._row(at, instance), strict=True)
            ]
            for at, instance in enumerate(instances)
        ]
        if self._rowwise is not None and not any(
            type(value) is float and not isfinite(value) for row in rows for value in row
        ):
            try:
                return [[function(row) for function in self._rowwise] for row in rows]
            except rowwise.Unsure:
                _LOG.debug("The engine replays a TRANSFORM on %d rows", len(rows))
        return self._ask(rows)

    def _ask(self, rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
        """The engine's answer."""
        lists = [list(column) for column in zip(*rows, strict=True)]
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

    def resolve(self, name: Name, at: datetime.datetime | None = None, through: Sequence[Through] = ()) -> Relation:
        raise NotFound(f"Not found: Table {name}", reason="notFound")

    def changes(
        self, name: Name, function: str, start: datetime.datetime | None, end: datetime.datetime | None
    ) -> Relation:
        raise NotFound(f"Not found: Table {name}", reason="notFound")

    def external_query(self, connection: str, sql: str, options: str, project: str) -> str:
        raise NotFound(f"Not found: Connection {connection}", reason="notFound")

    def defined(self, name: str) -> None:
        return None

    def tables(self, project: str, dataset: str) -> Sequence[str]:
        return ()

    def constant(self, sql: str, parameters: Mapping[str, Any]) -> Any:
        raise NotFound("Not found: constant", reason="notFound")

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


_PLAIN_KINDS = (rowwise.INT, rowwise.FLOAT, rowwise.TEXT, rowwise.BOOL, rowwise.NULL)


def _plainly(function: Callable[[rowwise.Row], Any]) -> Callable[[rowwise.Row], Any]:
    return lambda row: _plain(function(row))


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
