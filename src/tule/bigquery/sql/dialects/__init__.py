"""The dialects of engines: what is done to a statement beyond the rules that all of them share, and how it is printed.

An engine names its own by ``QueryEngine.dialect``. The rules of a dialect run behind those of
``bigquery.sql.rules``, on every query; its last rules once, on the whole statement.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

from tule.bigquery.sql.context import Context, Parameter
from tule.kernel.errors import Internal

Rule = Callable[[Any, Context], Any]
_HOME = "tule.bigquery.sql.dialects"


@dataclass(frozen=True)
class Dialect:
    """How statements become those of an engine.

    ``printer`` is the class of sqlglot that prints trees. ``bound`` gives a parameter in the form that the engine binds;
    ``mark`` stands before its name in the SQL.
    """

    rules: tuple[Rule, ...]
    printer: Any
    bound: Callable[[Parameter], Any]
    mark: str
    last: tuple[Rule, ...] = ()


@cache
def dialect(name: str) -> Dialect:
    """The dialect of a name."""
    if name not in ("duckdb", "bigquery", "spark"):
        raise Internal("An engine must have a dialect that bigquery.sql knows", given=name)
    made: Dialect = import_module(f"{_HOME}.{name}").DIALECT
    return made


def said(text: str, name: str) -> str:
    """SQL of the room itself, which is written in DuckDB's words, in those of another dialect."""
    if name == "duckdb":
        return text
    from sqlglot import transpile

    return str(transpile(text, read="duckdb", write=name)[0])


__all__ = ["Dialect", "Rule", "dialect", "said"]
