"""The arguments of table functions that take tables, then ``name => value``: AI.FORECAST, AI.KEY_DRIVERS and their like."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from tule.bigquery.ml.arguments import constant
from tule.bigquery.ml.mistakes import wrong
from tule.bigquery.sql import Context, printed
from tule.bigquery.sql.parse import TableRef
from tule.kernel.errors import InvalidArgument


@dataclass(frozen=True)
class Argument:
    """What a value must be, as a test and in words, and the default."""

    fits: Callable[[Any], bool]
    must: str
    default: Any = None
    required: bool = False


def text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _texts(value: Any) -> bool:
    return text(value) or (isinstance(value, list) and bool(value) and all(text(each) for each in value))


def moment(value: Any) -> int:
    """Microseconds since 1970 of a TIMESTAMP, DATE or DATETIME constant; ValueError for another value."""
    from tule.bigquery.formats.values import timestamp

    return timestamp(str(value))


def _is_moment(value: Any) -> bool:
    try:
        moment(value)
    except ValueError:
        return False
    return True


MOMENT = Argument(_is_moment, "a TIMESTAMP")
"""Read with ``moment``."""
FLAG = Argument(lambda value: isinstance(value, bool), "TRUE or FALSE")
TEXT = Argument(text, "a string")
TEXTS = Argument(_texts, "a string or an array of strings")
"""Read as a list."""


@dataclass(frozen=True)
class NamedArguments:
    """``tables``: how many come first, and ``optional`` ones after them; ``arguments`` by name."""

    tables: int
    arguments: Mapping[str, Argument]
    optional: int = 0

    def read(self, name: str, call: Any, context: Context) -> tuple[list[Any], dict[str, Any]]:
        """The tables of a call, as they stand in its tree, and every argument, with defaults."""
        tables: list[Any] = []
        found: dict[str, Any] = {}
        for node in call.this.expressions:
            if isinstance(node, exp.Kwarg):
                key = node.this.name.lower()
                if key in found:
                    raise wrong(f"Duplicate argument of {name}: {key}")
                found[key] = self._value(name, key, node.expression, context)
            elif isinstance(node, TableRef | exp.Subquery) and not found:
                tables.append(node)
            else:
                raise self._form(name, printed(node)[:100])
        if not self.tables <= len(tables) <= self.tables + self.optional:
            raise self._form(name, f"{len(tables)} tables")
        for key, argument in self.arguments.items():
            if argument.required and key not in found:
                raise wrong(
                    f"{name} needs the argument {key}", do=f"add {key} => {_EXAMPLES.get(argument.must, '...')}"
                )
            found.setdefault(key, argument.default)
            if argument.fits is _texts and isinstance(found[key], str):
                found[key] = [found[key]]
        return tables, found

    def _value(self, name: str, key: str, node: Any, context: Context) -> Any:
        if key not in self.arguments:
            raise wrong(f"{name} has no argument {key}", do=f"use one of {', '.join(self.arguments)}")
        argument = self.arguments[key]
        value = constant(node, context, f"The argument {key} of {name}")
        if not argument.fits(value):
            raise wrong(f"The argument {key} of {name} must be {argument.must}", given=repr(value)[:100])
        return value

    def _form(self, name: str, given: str) -> InvalidArgument:
        tables = ", ".join(["TABLE name or (query)"] * self.tables) + "[, TABLE name or (query)]" * self.optional
        return wrong(f"{name} takes {tables}, then arguments by name (name => value)", given=given)


_EXAMPLES = {TEXT.must: "'column'", TEXTS.must: "['column']"}
