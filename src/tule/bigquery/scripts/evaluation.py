"""The values of expressions. One without a query inside costs no job: it is compiled once and run with new values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from typing import Any, Protocol

from tule.bigquery.scripts.frames import Frame
from tule.bigquery.scripts.values import Value, fits, of_column, renamed, same
from tule.bigquery.sql import Compiled, Parameter, Scope, comparison, conversion
from tule.bigquery.sql.bound_values import bindable
from tule.bigquery.sql.script import Expression
from tule.bigquery.types import Field
from tule.kernel.errors import TuleError


class Line(Protocol):
    """A line of work with the engine (``queries.Line``)."""

    session: Any

    def compile(self, tree: Any) -> Compiled:
        """A tree as SQL of the engine."""


OpenLine = Callable[[Mapping[str, Parameter], Scope], AbstractContextManager[Line]]
"""A line for one expression, with its parameters and its scope."""
RunQuery = Callable[[Frame, Expression], tuple[Any, Any]]
"""Runs an expression with a query inside as a job: (schema, table of one row)."""


@dataclass
class _Kept:
    """An expression as it was compiled for variables of these types."""

    types: tuple[tuple[str, str], ...]
    compiled: Compiled
    schema: Any = field(default=None)


class Evaluator:
    """Evaluates the expressions of one script. ``scope_of`` tells what names mean in a frame now."""

    def __init__(self, lines: OpenLine, run: RunQuery, scope_of: Callable[[Frame, Any], Scope]) -> None:
        self._lines = lines
        self._run = run
        self._scope_of = scope_of
        self._kept: dict[int, _Kept] = {}
        self._held = ExitStack()
        self._session: Any = None

    def close(self) -> None:
        """Let the engine's session go."""
        self._held.close()

    # -- one expression

    def evaluate(self, frame: Frame, node: Expression) -> Value:
        """The value of an expression, of whatever type it has."""
        schema, table = self._run(frame, node) if node.reads else self._direct(frame, node)
        if not table.num_rows:
            raise frame.script.text.error("An expression must have a value", node.start)
        return of_column(table.column(0), schema.field(0))

    def coerced(self, frame: Frame, node: Expression, wanted: Field) -> Value:
        """The value of an expression as a type; raises where it is not taken for one of that type."""
        value = self.evaluate(frame, node)
        try:
            return self.convert(value, wanted, literal=node.literal)
        except Misfit:
            raise frame.script.text.error(
                f"Cannot coerce expression {frame.script.source(node)} to type {Value(wanted).type}", node.start
            ) from None

    def condition(self, frame: Frame, node: Expression) -> bool:
        """Whether a condition holds; NULL does not."""
        return self.coerced(frame, node, Field("", "BOOL")).value is True

    def equal(self, frame: Frame, operand: Value, node: Expression) -> bool:
        """Whether the value of an expression is equal to ``operand``; NULL is equal to nothing."""
        other = self.evaluate(frame, node)
        if operand.value is None or other.value is None:
            return False
        field = operand.field
        if same(field, other.field) and not field.repeated and field.type != "STRUCT":
            return bool(operand.value == other.value)
        if node.literal and fits(other.field, field, literal=True):
            other = self.convert(other, field, literal=True)
        scope = Scope(variables={"left_": operand.parameter, "right_": other.parameter})
        with self._lines({}, scope) as line:
            compiled = line.compile(comparison("left_", "right_"))
            table = line.session.query(compiled.sql, compiled.parameters).table()
        return table.column(0)[0].as_py() is True

    def convert(self, value: Value, wanted: Field, *, literal: bool) -> Value:
        """A value as another type."""
        if same(value.field, wanted):
            return Value(wanted, renamed(value.value, value.field, wanted), value.size)
        if literal and value.value in (None, []):
            return Value(wanted, value.value if wanted.repeated else None)
        if not fits(value.field, wanted, literal=literal):
            raise Misfit
        tree = conversion("value", Value(wanted).type)
        scope = Scope(variables={"value": value.parameter})
        with self._lines({}, scope) as line:
            compiled = line.compile(tree)
            table = line.session.query(compiled.sql, compiled.parameters).table()
        made = of_column(table.column(0), table.schema.field(0))
        return Value(wanted, renamed(made.value, made.field, wanted), made.size)

    # -- how

    def _direct(self, frame: Frame, node: Expression) -> tuple[Any, Any]:
        try:
            return self._computed(frame, node)
        except TuleError as error:
            raise frame.script.text.shifted(error, node.start, lines=1) from None

    def _computed(self, frame: Frame, node: Expression) -> tuple[Any, Any]:
        scope = self._scope_of(frame, node)
        types = tuple(sorted((name, each.type) for name, each in scope.variables.items()))
        kept = self._kept.get(id(node))
        if kept is not None and kept.types == types:
            values = {key: self._value(source, frame, scope) for key, source in kept.compiled.sources.items()}
            table = self._engine().query(kept.compiled.sql, values).table()
            return table.schema, table
        with self._lines(frame.parameters, scope) as line:
            compiled = line.compile(node.tree)
            table = line.session.query(compiled.sql, compiled.parameters).table()
        if set(compiled.parameters) == set(compiled.sources) and compiled.repeatable:
            self._kept[id(node)] = _Kept(types, compiled)
        return table.schema, table

    def _engine(self) -> Any:
        """A session of the engine for expressions that were compiled before."""
        if self._session is None:
            self._session = self._held.enter_context(self._lines({}, Scope())).session
        return self._session

    @staticmethod
    def _value(source: str, frame: Frame, scope: Scope) -> Any:
        if source.startswith("@@"):
            found = scope.system(source[2:])
        elif source.startswith("@"):
            found = frame.parameters[source[1:]]
        else:
            found = scope.variables[source]
        return None if found is None else bindable(found.type, found.value)


class Misfit(Exception):
    """A value that is not taken for one of the wanted type."""


__all__ = ["Evaluator", "Misfit"]
