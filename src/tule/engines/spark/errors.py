"""Spark's errors as Tule's, in BigQuery's words: by the name of their condition, without physical names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tule.kernel.errors import (
    Cancelled,
    InvalidArgument,
    ResourceExhausted,
    TuleError,
    Unavailable,
    Unimplemented,
)

_PHYSICAL = re.compile(r"`?(?:spark_catalog`?\.)?(?:`?default`?\.)?`?p_[0-9a-f]{20}__t_\w+`?|\btmp_[0-9a-f]{24}\b")
_NOUNS = {
    "BIGINT": "int64",
    "INT": "int64",
    "DOUBLE": "double",
    "BOOLEAN": "bool",
    "DATE": "date",
    "TIMESTAMP": "timestamp",
}

Words = Callable[[Mapping[str, str]], str]

_TABLE: tuple[tuple[str, Words], ...] = (
    ("UNRESOLVED_COLUMN", lambda given: f"Unrecognized name: {_bare(given.get('objectName', ''))}"),
    ("UNRESOLVED_MAP_KEY", lambda given: f"Unrecognized name: {_bare(given.get('objectName', ''))}"),
    ("DIVIDE_BY_ZERO", lambda given: "division by zero"),
    ("REMAINDER_BY_ZERO", lambda given: "division by zero"),
    ("ARITHMETIC_OVERFLOW", lambda given: f"int64 overflow: {given.get('message', '')}"),
    (
        "BINARY_ARITHMETIC_OVERFLOW",
        lambda given: f"int64 overflow: {given.get('value1')} {given.get('symbol')} {given.get('value2')}",
    ),
    (
        "NUMERIC_VALUE_OUT_OF_RANGE",
        lambda given: f"numeric overflow: {given.get('value', 'the result')} is out of range",
    ),
    ("CAST_OVERFLOW", lambda given: f"int64 out of range: {given.get('value', '')}"),
    ("CAST_INVALID_INPUT", lambda given: _bad_value(given)),
    ("SCALAR_SUBQUERY_TOO_MANY_ROWS", lambda given: "Scalar subquery produced more than one element"),
    ("MISSING_AGGREGATION", lambda given: _ungrouped(given)),
    ("MISSING_GROUP_BY", lambda given: _ungrouped(given)),
    ("UNRESOLVED_ROUTINE", lambda given: f"Function not found: {_bare(given.get('routineName', '')).upper()}"),
    ("DATATYPE_MISMATCH", lambda given: f"No matching signature for {given.get('sqlExpr', '')}"),
    ("USER_RAISED_EXCEPTION", lambda given: given.get("errorMessage", "").removeprefix("tule: ")),
    ("TABLE_OR_VIEW_NOT_FOUND", lambda given: "Not found: a table of the query"),
    ("PARSE_SYNTAX_ERROR", lambda given: f"Syntax error: Unexpected {given.get('error', '')}"),
    ("AMBIGUOUS_REFERENCE", lambda given: f"Column name {_bare(given.get('name', ''))} is ambiguous"),
    ("INVALID_ARRAY_INDEX", lambda given: f"Array index {given.get('indexValue', '')} is out of bounds"),
    ("DATETIME_OVERFLOW", lambda given: "the result is out of the range of dates"),
)


@contextmanager
def translated() -> Iterator[None]:
    """The block's errors of the client as Tule's."""
    from grpc import RpcError
    from pyspark.errors import PySparkException

    try:
        yield
    except PySparkException as error:
        raise translation(error) from error
    except RpcError as error:
        raise Unavailable("Spark must be reached", given=str(error)[:300], do="see TULE_SQL") from error


def translation(error: Any) -> TuleError:
    name, text = str(error.getCondition() or ""), str(error)
    if "OPERATION_CANCELED" in name or "OPERATION_CANCELED" in text or "cancelled" in text[:400]:
        return Cancelled("Job execution was cancelled: the query was stopped", reason="stopped")
    given = error.getMessageParameters() or {}
    for condition, words in _TABLE:
        if name == condition or name.startswith(condition + "."):
            return _invalid(_clean(words(given)))
    if "OutOfMemoryError" in text[:2000]:
        return ResourceExhausted("Resources exceeded during query execution: out of memory", do="set TULE_MEMORY higher",
                                 reason="resourcesExceeded")  # fmt: skip
    if name.startswith(("UNSUPPORTED", "NOT_SUPPORTED")):
        return Unimplemented(f"Spark does not run this query: {_clean(_first(text))}", reason="notImplemented")
    return _invalid(_clean(_first(text)))


def _invalid(message: str) -> InvalidArgument:
    return InvalidArgument(message, reason="invalidQuery", location="query")


def _first(text: str) -> str:
    """What an error says, without its condition, state and plan."""
    return re.sub(r"^\[[\w.]+\] ", "", text.split("\n")[0]).split(" SQLSTATE")[0]


def _clean(text: str) -> str:
    return _PHYSICAL.sub("the table", text)


def _bare(name: str) -> str:
    return name.replace("`", "").rpartition(".")[2]


def _bad_value(given: Mapping[str, str]) -> str:
    noun = _NOUNS.get(given.get("targetType", "").strip('"'), "value")
    value = _unquoted(given.get("expression", "")).replace("\\'", "'").replace("\\\\", "\\")
    if value.startswith("tule: "):
        # A failed check of a function is a cast of its message that cannot be done.
        return value.removeprefix("tule: ")
    return f"Bad {noun} value: {value}" if noun != "value" else f"Bad value: {value}"


def _unquoted(text: str) -> str:
    return text[1:-1] if text[:1] == text[-1:] == "'" and len(text) > 1 else text


def _ungrouped(given: Mapping[str, str]) -> str:
    column = _bare(given.get("expression", "").strip('"'))
    return f"SELECT list expression references column {column} which is neither grouped nor aggregated"


__all__ = ["translated", "translation"]
