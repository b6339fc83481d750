"""From GoogleSQL to the engine's SQL: parse, apply the rules in order, print."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from sqlglot import exp

from tule.bigquery.sql.catalog import Name, Temporary
from tule.bigquery.sql.context import Context
from tule.bigquery.sql.dialects import dialect
from tule.bigquery.sql.kinds import Kind
from tule.bigquery.sql.reads import Read, reads
from tule.bigquery.sql.routine_statements import RoutineDefinition
from tule.bigquery.sql.script import Script, Sql, parse_script
from tule.bigquery.sql.statements import Statement, statement
from tule.kernel.errors import InvalidArgument, TuleError, Unimplemented

_BOUND = re.compile(r"[$@:](p_\d+)\b")
_RANDOM = re.compile(r"\b(?:random|uuid|gen_random_uuid|tule_rand\w*|tule_uuid\w*)\(", re.I)


# Longer texts are hardly repeated (rows written as VALUES), and their trees take a hundred times their size.
LONGEST_KEPT = 20_000


@dataclass(frozen=True)
class Compiled:
    """SQL of the engine's dialect with the values to bind, and the tables it reads.

    ``sources`` tells which variable (``x``), parameter (``@p``) or system variable (``@@s``) a bound value is of;
    ``repeatable``: whether the same SQL is right again with other values, because it calls no function of a user and
    reads no table of a moment.
    """

    sql: str
    parameters: dict[str, Any]
    tables: tuple[Name, ...]
    sources: dict[str, str] = field(default_factory=dict)
    repeatable: bool = True
    reads: tuple[Read, ...] = ()
    kinds: tuple[Kind | None, ...] = ()
    """The types of a query's columns, () where they are not known."""

    @property
    def exact(self) -> bool:
        """Whether the same statement on the same rows comes to the same: it makes no random values."""
        return _RANDOM.search(self.sql) is None


class Parsed:
    """Parsed texts, the latest kept: clients repeat themselves. The trees of a script are not to be changed."""

    def __init__(self, most: int = 256) -> None:
        self._most = most
        self._kept: OrderedDict[tuple[str, tuple[str, ...] | None], Script] = OrderedDict()
        self._lock = Lock()

    def script(self, text: str, *, arguments: tuple[str, ...] | None = None) -> Script:
        """The statements of a text; with ``arguments``, of the body of a procedure that has these."""
        key = (text, arguments)
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
                return found
        found = parse_script(text, arguments=arguments or ())
        if len(text) > LONGEST_KEPT:
            return found
        with self._lock:
            self._kept[key] = found
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return found

    def query(self, text: str) -> exp.Expression | None:
        """The tree of a text that is one query and nothing else; a copy."""
        nodes = self.script(text).statements
        if len(nodes) != 1 or not isinstance(nodes[0], Sql) or not isinstance(nodes[0].tree, exp.Query):
            return None
        return nodes[0].tree.copy()


def statements(
    trees: list[exp.Expression], project: str, dataset: str | None, temporary: Temporary | None = None
) -> list[Statement]:
    return [statement(tree, project, dataset, temporary) for tree in trees]


def rewritten(tree: Any, context: Context) -> Any:
    """The tree after every rule but the dialect's last."""
    from tule.bigquery.sql.rules import RULES

    for rule in (*RULES, *dialect(context.dialect).rules):
        tree = rule(tree, context)
    return tree


def compile_query(tree: Any, context: Context) -> Compiled:
    """Compile a query or a DML statement. The tree is used up."""
    try:
        made, kind = rewritten(tree, context), dialect(context.dialect)
        for rule in kind.last:
            made = rule(made, context)
        sql = made.sql(dialect=kind.printer, identify=True, unsupported_level=_RAISE)
    except TuleError:
        raise
    except RecursionError:
        raise InvalidArgument("The query is nested too deeply", reason="invalidQuery", location="query") from None
    except _GENERATOR_ERRORS as error:
        raise Unimplemented(
            f"Tule does not run this query: {str(error).splitlines()[0]}", reason="notImplemented"
        ) from None
    return Compiled(
        sql,
        used(sql, context.bound),
        tuple(dict.fromkeys(context.tables)),
        dict(context.sources),
        not context.called and not context.moments,
        reads(made, kind.printer),
        tuple(context.kinds),
    )


def used(sql: str, bound: Mapping[str, Any]) -> dict[str, Any]:
    """The bound values that the SQL mentions: a constant of a function may have been read while compiling."""
    names = set(_BOUND.findall(sql))
    return {name: value for name, value in bound.items() if name in names}


def comparison(left: str, right: str) -> exp.Expression:
    """The query of whether two variables are equal."""
    value = exp.EQ(this=exp.column(left), expression=exp.column(right))
    return exp.select(exp.alias_(value, "value", quoted=True))


def constant(value: exp.Expression) -> exp.Expression:
    """The query of one expression."""
    return exp.select(exp.alias_(value.copy(), "value", quoted=True))


def conversion(variable: str, kind: str) -> exp.Expression:
    """The query of a variable as another type."""
    value = exp.cast(exp.column(variable), exp.DataType.build(kind, dialect="bigquery"))
    return exp.select(exp.alias_(value, "value", quoted=True))


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
