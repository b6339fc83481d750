"""Frames: the scripts and procedures that run inside one another, their variables and where each stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tule.bigquery.scripts.values import Value
from tule.bigquery.sql import Parameter
from tule.bigquery.sql.script import Script
from tule.bigquery.types import Field
from tule.kernel.errors import InvalidArgument, TuleError

_LARGEST_VARIABLE = 1024 * 1024
_LARGEST_TOTAL = 10 * 1024 * 1024


@dataclass
class Variable:
    """A variable: its name as declared, its type and its present value."""

    name: str
    field: Field
    value: Value


class Frame:
    """One script, procedure or dynamic statement while it runs. ``name`` is a procedure's, else empty."""

    def __init__(
        self,
        script: Script,
        name: str = "",
        parameters: Mapping[str, Parameter] | None = None,
        *,
        dynamic: bool = False,
    ) -> None:
        self.script = script
        self.name = name
        self.parameters: Mapping[str, Parameter] = parameters or {}
        self.dynamic = dynamic
        self.node: Any = None
        """The statement that runs now."""
        self._blocks: list[dict[str, Variable]] = [{}]

    # -- variables

    def declare(self, name: str, kind: Field, value: Value) -> None:
        self._blocks[-1][name.lower()] = Variable(name, kind, value)
        self._within_limits(name, value)

    def find(self, name: str) -> Variable | None:
        for block in reversed(self._blocks):
            if (found := block.get(name.lower())) is not None:
                return found
        return None

    def variable(self, name: str, place: int) -> Variable:
        """A variable by its name; raises where there is none."""
        found = self.find(name)
        if found is None:
            raise self.script.text.error(f"Undeclared variable: {name}", place)
        return found

    def assign(self, variable: Variable, value: Value) -> None:
        variable.value = value
        self._within_limits(variable.name, value)

    def variables(self) -> dict[str, Parameter]:
        """All variables that can be seen, as parameters by name in lower case."""
        return {name: each.value.parameter for block in self._blocks for name, each in block.items()}

    @property
    def outermost(self) -> dict[str, Variable]:
        """The variables of the outermost block: what a session keeps."""
        return self._blocks[0]

    @contextmanager
    def block(self) -> Iterator[None]:
        """Variables declared inside are gone at the end."""
        self._blocks.append({})
        try:
            yield
        finally:
            self._blocks.pop()

    def _within_limits(self, name: str, value: Value) -> None:
        if value.size > _LARGEST_VARIABLE:
            raise _too_large(f"Script variable {name} exceeded the size limit of {_LARGEST_VARIABLE} bytes")
        total = sum(each.value.size for block in self._blocks for each in block.values())
        if total > _LARGEST_TOTAL:
            raise _too_large(f"Script exceeded the memory limit of {_LARGEST_TOTAL} bytes")

    # -- places

    def place(self, offset: int) -> str:
        """``line:column`` as messages write it, with the procedure's name in front."""
        line, column = self.script.text.position(offset)
        return f"{self.name}:{line}:{column}" if self.name else f"{line}:{column}"

    def json(self, node: Any) -> dict[str, Any]:
        """The entry of ``scriptStatistics.stackFrames``."""
        first, last = self.script.text.position(node.start), self.script.text.position(node.end)
        made: dict[str, Any] = {
            "startLine": first[0],
            "startColumn": first[1],
            "endLine": last[0],
            "endColumn": last[1],
            "text": self.script.source(node),
        }
        return {**made, "procedureId": self.name} if self.name else made


def _too_large(message: str) -> InvalidArgument:
    return InvalidArgument(message, reason="invalidQuery", location="query")


@dataclass
class Failure(Exception):
    """A statement that failed, on its way to a handler or to the end of the script.

    ``error`` is what the job tells, with the place in its message; ``message`` what ``@@error.message`` answers.
    """

    error: TuleError
    message: str
    statement: str
    trace: list[tuple[int, int, str | None]] = field(default_factory=list)
    """(line, column, procedure), the innermost first"""

    @property
    def formatted(self) -> str:
        return "".join(f"At {name or ''}[{line}:{column}]\n" for line, column, name in self.trace)
