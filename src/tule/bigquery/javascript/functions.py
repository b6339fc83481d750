"""Functions in JavaScript as functions of rows of the engine that runs SQL.

A function is a program of its own: its libraries, then ``prelude.js`` with its body. The program starts at the first row
and ends with the statement, or when the statement is broken off.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import cache
from importlib import resources
from typing import Any, Protocol

import orjson
import pyarrow as pa

from tule.bigquery.catalog import type_text
from tule.bigquery.engine import Session
from tule.bigquery.errors import invalid, not_found
from tule.bigquery.javascript.values import check_types, described, given, taken
from tule.bigquery.source_files import ObjectFiles
from tule.bigquery.sql.routine_statements import RoutineDefinition
from tule.bigquery.sql.statements import field_of_text
from tule.bigquery.types import Field, arrow_schema
from tule.kernel.errors import InvalidArgument

# A frame of the body in the text of a stack; the engine puts two lines before it.
_FRAME = re.compile(r"at anonymous \(<input>:(\d+):(\d+)\)")
_LINES_BEFORE = 2
_CHUNK = 512
"""Rows that go to a program at once."""


class Program(Protocol):
    """A program in JavaScript."""

    def answer(self, requests: Sequence[str]) -> list[str]:
        """What the program's function answers to each text. May be called from several threads."""

    def stop(self) -> None:
        """End it, also in the middle of an answer; from any thread."""

    def close(self) -> None:
        """End it; idempotent."""


class Engine(Protocol):
    """Runs programs in JavaScript, each apart from the others and from everything else."""

    def open(self, sources: Sequence[str]) -> Program:
        """A program of scripts that run in this order; the last one's value is the function that answers. An empty answer
        waits for a promise: the empty text asks for it when nothing is pending any more."""


class Functions:
    """Makes functions in JavaScript known to a session of the engine that runs SQL."""

    def __init__(self, engine: Engine, objects: ObjectFiles) -> None:
        self._engine = engine
        self._objects = objects

    def function(self, routine: RoutineDefinition, session: Session, held: ExitStack) -> str:
        """Make a function known to a session until ``held`` is closed; its name there."""
        arguments = [field_of_text(each.name, each.type) for each in routine.arguments]
        result = field_of_text("value", routine.returns)
        check_types(arguments, result)
        sources = [*self._libraries(routine), _source(routine, arguments, result)]
        program = self._engine.open(sources)
        held.callback(program.close)
        # A function of no arguments is one of something that it does not look at.
        inputs = arguments or [Field("none", "BOOL")]
        compute = _computing(program, arguments, result, _shown(routine))
        # What may answer something else each time is computed anew for each row.
        return session.function(inputs, [result], compute, program.stop, pure=routine.deterministic is True)

    def _libraries(self, routine: RoutineDefinition) -> list[str]:
        found = []
        for uri in routine.options.get("library") or ():
            if not str(uri).startswith("gs://"):
                raise invalid(f"A library of a JavaScript function must be at gs://bucket/object; given: {uri!r}")
            objects = self._objects.glob(str(uri))
            if not objects:
                raise not_found("URI", uri)
            for each in objects:
                try:
                    found.append(self._objects.path(each.bucket, each.key).read_text(encoding="utf-8"))
                except UnicodeDecodeError:
                    raise invalid(f"A library of a JavaScript function must be text in UTF-8; given: {uri}") from None
        return found


@cache
def _prelude() -> str:
    return resources.files("tule.bigquery.javascript").joinpath("prelude.js").read_text(encoding="utf-8")


def _source(routine: RoutineDefinition, arguments: Sequence[Field], result: Field) -> str:
    given = (
        [each.name for each in arguments],
        [described(each) for each in arguments],
        described(result),
        routine.body,
    )
    return f"{_prelude().rstrip()}({', '.join(json.dumps(each) for each in given)})"


def _shown(routine: RoutineDefinition) -> str:
    return f"{'.'.join(routine.path)}({', '.join(each.type for each in routine.arguments)})"


def _computing(
    program: Program, arguments: Sequence[Field], result: Field, shown: str
) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
    schema = arrow_schema([result])

    def compute(batch: pa.RecordBatch) -> pa.RecordBatch:
        columns = [column.to_pylist() for column in batch.columns] if arguments else []
        made: list[Any] = []
        for first in range(0, batch.num_rows, _CHUNK):
            requests = []
            for row in range(first, min(first + _CHUNK, batch.num_rows)):
                values = [given(cells[row], field) for cells, field in zip(columns, arguments, strict=True)]
                requests.append(orjson.dumps(values).decode())
            made += [_value(answer, result, shown) for answer in program.answer(requests)]
        return pa.RecordBatch.from_arrays([pa.array(made, schema.field(0).type)], schema=schema)

    return compute


def _value(answer: str, result: Field, shown: str) -> Any:
    found = orjson.loads(answer)
    if "error" in found:
        raise _wrong(_failure(found, shown))
    if "misfit" in found:
        raise _wrong(f"Failed to coerce output value {found['misfit']} to type {type_text(result)}")
    try:
        return taken(found["value"], result)
    except ValueError as error:
        value = json.dumps(found["value"])
        raise _wrong(f"Failed to coerce output value {value} to type {type_text(result)}: {error}") from error


def _failure(found: dict[str, str], shown: str) -> str:
    """What a body threw, with the place in it."""
    place = _FRAME.search(found["stack"])
    if place is None:
        return f"{found['error']} at {shown}"
    line, column = int(place[1]) - _LINES_BEFORE, int(place[2])
    return f"{found['error']} at {shown} line {line}, columns {column}-{column + 1}"


def _wrong(message: str) -> InvalidArgument:
    return InvalidArgument(message, reason="invalidQuery", location="query")
