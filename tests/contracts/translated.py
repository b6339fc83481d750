"""Engines of other dialects under the contract suite, which is written in DuckDB's SQL."""

from __future__ import annotations

import re
from typing import Any

import sqlglot
from sqlglot.dialects.duckdb import DuckDB

_SPOKEN = ("query", "execute", "schema", "temporary_as")
_NUMBERS = re.compile(r"`?numbers_(\d+)`?")


class _DuckDB(DuckDB):
    """As the engine orders NULLs."""

    NULL_ORDERING = "nulls_are_small"


class Translated:
    """An engine whose sessions are spoken to in DuckDB's SQL. ``numbers`` says a relation of whole numbers from 0."""

    def __init__(self, engine: Any, numbers: Any) -> None:
        self._engine = engine
        self._numbers = numbers

    def session(self) -> Any:
        return TranslatedSession(self._engine.session(), lambda sql: said(sql, self._engine.dialect, self._numbers))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


class TranslatedSession:
    def __init__(self, session: Any, say: Any) -> None:
        self._session = session
        self._say = say

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._session, name)
        if name in _SPOKEN:
            return lambda sql, *rest: found(self._say(sql), *rest)
        if name == "create_as":
            return lambda project, table, sql, *rest: found(project, table, self._say(sql), *rest)
        return found


def said(sql: str, dialect: str, numbers: Any) -> str:
    try:
        # Relations are written as the engine prints them.
        made = sqlglot.transpile(sql.replace("`", '"'), read=_DuckDB, write=dialect)[0]
    except sqlglot.errors.ParseError:
        made = sql
    return _NUMBERS.sub(lambda found: numbers(int(found[1])), made)
