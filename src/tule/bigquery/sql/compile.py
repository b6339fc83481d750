"""From GoogleSQL to the engine's SQL: parse, apply the rules in order, print."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import Any

from sqlglot import exp

from tule.bigquery.sql.catalog import Name
from tule.bigquery.sql.context import Context
from tule.bigquery.sql.parse import parse, split
from tule.bigquery.sql.routine_statements import RoutineDefinition
from tule.bigquery.sql.statements import Statement, statement
from tule.kernel.errors import InvalidArgument, TuleError, Unimplemented

_LONGEST = 1024 * 1024


@dataclass(frozen=True)
class Compiled:
    """SQL of the engine's dialect with the values to bind, and the tables it reads."""

    sql: str
    parameters: dict[str, Any]
    tables: tuple[Name, ...]


class Parsed:
    """Parsed statements by text, the latest kept: clients repeat themselves."""

    def __init__(self, most: int = 256) -> None:
        self._most = most
        self._kept: OrderedDict[str, list[exp.Expression]] = OrderedDict()
        self._lock = Lock()

    def trees(self, text: str) -> list[exp.Expression]:
        """The statements of a text; each call gives trees of its own."""
        if len(text) > _LONGEST:
            raise InvalidArgument("The query is too large. The maximum standard SQL query length is 1024.00K characters",
                                  reason="invalid", location="query")  # fmt: skip
        with self._lock:
            found = self._kept.get(text)
            if found is not None:
                self._kept.move_to_end(text)
        if found is None:
            found = [parse(each) for each in split(text)]
            if not found:
                raise InvalidArgument(
                    "Syntax error: Unexpected end of statement", reason="invalidQuery", location="query"
                )
            with self._lock:
                self._kept[text] = found
                while len(self._kept) > self._most:
                    self._kept.popitem(last=False)
        return [each.copy() for each in found]


def statements(trees: list[exp.Expression], project: str, dataset: str | None) -> list[Statement]:
    return [statement(tree, project, dataset) for tree in trees]


def rewritten(tree: Any, context: Context) -> Any:
    """The tree after every rule, ready to be printed in the engine's dialect."""
    from tule.bigquery.sql.rules import RULES

    for rule in RULES:
        tree = rule(tree, context)
    return tree


def compile_query(tree: Any, context: Context) -> Compiled:
    """Compile a query or a DML statement. The tree is used up."""
    try:
        made = rewritten(tree, context)
        sql = made.sql(dialect="duckdb", identify=True, unsupported_level=_RAISE)
    except TuleError:
        raise
    except RecursionError:
        raise InvalidArgument("The query is nested too deeply", reason="invalidQuery", location="query") from None
    except _GENERATOR_ERRORS as error:
        raise Unimplemented(
            f"Tule does not run this query: {str(error).splitlines()[0]}", reason="notImplemented"
        ) from None
    return Compiled(sql, dict(context.bound), tuple(dict.fromkeys(context.tables)))


def compile_check(definition: RoutineDefinition, context: Context) -> Compiled | None:
    """The query that shows whether a function's body can run; None where only its calls can show that."""
    from tule.bigquery.sql.rules.expand_routines import checked_body

    try:
        tree = checked_body(definition, context)
    except RecursionError:
        raise InvalidArgument("The function is nested too deeply", reason="invalidQuery", location="query") from None
    return None if tree is None else compile_query(tree, context)


def _generator() -> tuple[Any, tuple[type[Exception], ...]]:
    from sqlglot import ErrorLevel
    from sqlglot.errors import UnsupportedError

    return ErrorLevel.RAISE, (UnsupportedError, ValueError)


_RAISE, _GENERATOR_ERRORS = _generator()
