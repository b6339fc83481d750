"""Builders of SEARCH and TEXT_ANALYZE, and of functions that take lambdas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from tule.bigquery.sql.analysis.calls import engine_call as call
from tule.bigquery.sql.kinds import BOOL, NULL, STRING, Kind, array

if TYPE_CHECKING:
    from tule.bigquery.sql.analysis.calls import Call

_ANALYZERS = ("LOG_ANALYZER", "NO_OP_ANALYZER", "PATTERN_ANALYZER")


def _text(value: str) -> Any:
    return exp.Literal.string(value)


def _named(it: Call, index: int, what: str, default: str) -> str:
    if index >= len(it.arguments) or index in it.missing:
        return default
    return str(it.constant(index, what))


def _analyzer(it: Call, index: int) -> list[Any]:
    name = _named(it, index, "analyzer", "LOG_ANALYZER")
    if name not in _ANALYZERS:
        raise it.wrong(f"Invalid analyzer of {it.function.name}: {name}")
    return [_text(name), _text(_named(it, index + 1, "analyzer_options", ""))]


def _text_analyze(it: Call) -> Any:
    return call("tule_text_analyze", it.argument(0), *_analyzer(it, 1))


def _search(it: Call) -> Any:
    if it.kind(1) == NULL:
        raise it.wrong("SEARCH: the query must not be NULL")
    scope = _named(it, 2, "json_scope", "JSON_VALUES")
    if scope not in ("JSON_VALUES", "JSON_KEYS", "JSON_KEYS_AND_VALUES"):
        raise it.wrong(f"Invalid json_scope of SEARCH: {scope}")
    found = _texts(it, it.argument(0), it.kind(0), scope)
    if not found:
        raise it.wrong(f"SEARCH is not defined for arguments of type {it.kind(0)}")
    texts = found[0] if len(found) == 1 else call("list_concat", *found)
    return call("tule_search", texts, it.argument(1), *_analyzer(it, 3))


def _texts(it: Call, node: Any, kind: Kind | None, scope: str) -> list[Any]:
    """Lists of the texts in a value; other types have none, as a row that is searched may hold them."""
    if kind is None:
        raise it.refuse("SEARCH in a value whose type it does not know", do="cast the value")
    if kind == STRING:
        held = exp.Array(expressions=[node])
        held.meta["tule_done"] = True
        return [held]
    if kind == array(STRING):
        return [node]
    if kind.name == "JSON":
        return [call("tule_json_texts", node, _text(scope))]
    if kind.name == "STRUCT":
        found = []
        for index, (name, inner) in enumerate(kind.fields):
            label = exp.to_identifier(name or f"_field_{index + 1}", quoted=True)
            found += _texts(it, exp.Dot(this=exp.Paren(this=node.copy()), expression=label), inner, scope)
        return found
    return []


def _lambda(it: Call) -> tuple[Any, Kind | None]:
    """The lambda of the second argument for the engine, whose places count from 1, and the type of its body."""
    node = it.arguments[1]
    if not isinstance(node, exp.Lambda):
        raise it.wrong(f"{it.function.name} takes a lambda, such as e -> e > 1, as its second argument")
    if len(node.expressions) > 1:
        place = node.expressions[1].name.lower()
        for each in list(node.this.find_all(exp.Identifier, exp.Column)):
            if each.name.lower() == place and not isinstance(each.parent, exp.Column | exp.Dot):
                offset = exp.Paren(this=exp.Sub(this=each.copy(), expression=exp.Literal.number(1)))
                each.replace(offset)
    return node, it.kind(1)


def _array_filter(it: Call) -> Any:
    node, kind = _lambda(it)
    if kind not in (None, BOOL, NULL):
        raise it.wrong(f"Lambda of ARRAY_FILTER must return BOOL; given: {kind}")
    return call("list_filter", it.argument(0), node)


def _array_transform(it: Call) -> Any:
    node, kind = _lambda(it)
    assert it.match is not None
    if kind is not None and kind.name == "ARRAY":
        raise it.wrong("Lambda of ARRAY_TRANSFORM must not return an array")
    it.match = replace(it.match, result=array(kind))
    return call("list_transform", it.argument(0), node)


BUILDERS: dict[str, Callable[[Call], Any]] = {
    "text_analyze": _text_analyze,
    "search": _search,
    "array_filter": _array_filter,
    "array_transform": _array_transform,
}
