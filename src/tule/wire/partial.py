"""The ``fields`` parameter of JSON APIs: an answer with just the fields asked for.

>>> select_fields({"a": 1, "b": {"c": 2, "d": 3}, "e": [{"f": 4, "g": 5}]}, "a,b/c,e(f)")
{'a': 1, 'b': {'c': 2}, 'e': [{'f': 4}]}

https://cloud.google.com/storage/docs/json_api#partial-response
"""

from __future__ import annotations

from typing import Any

from tule.kernel.errors import InvalidArgument

# The fields wanted of an object, each with what is wanted of it; None is everything.
Tree = dict[str, Any] | None

_DEEPEST = 30
_PUNCTUATION = ",/.()"


def select_fields(body: dict[str, Any], fields: str) -> dict[str, Any]:
    """``body`` with only the ``fields``: comma separated paths with ``/`` (or ``.``), groups in parentheses, ``*``."""
    selected = _pick(body, _Parser(fields).parse())
    assert isinstance(selected, dict)
    return selected


class _Parser:
    """Reads ``list = path {"," path}; path = name {("/" | ".") name} ["(" list ")"]``."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def parse(self) -> Tree:
        tree = self._list(0)
        if self._at != len(self._text):
            raise self._wrong("fields must be a list of paths")
        return tree

    def _list(self, depth: int) -> Tree:
        if depth > _DEEPEST:
            raise self._wrong(f"fields must be nested at most {_DEEPEST} deep")
        tree = self._path(depth)
        while self._take(","):
            tree = _merged(tree, self._path(depth))
        return tree

    def _path(self, depth: int) -> Tree:
        names = [self._name()]
        while self._take("/") or self._take("."):
            names.append(self._name())
        if len(names) > _DEEPEST:
            raise self._wrong(f"fields must be nested at most {_DEEPEST} deep")
        tree: Tree = None
        if self._take("("):
            tree = self._list(depth + 1)
            if not self._take(")"):
                raise self._wrong("fields must close its parentheses")
        for name in reversed(names):
            tree = {name: tree}
        return tree

    def _name(self) -> str:
        start = self._at
        while self._at < len(self._text) and self._text[self._at] not in _PUNCTUATION:
            self._at += 1
        name = self._text[start : self._at].strip()
        if not name:
            raise self._wrong("fields must name a field")
        return name

    def _take(self, letter: str) -> bool:
        if self._text[self._at : self._at + 1] != letter:
            return False
        self._at += 1
        return True

    def _wrong(self, rule: str) -> InvalidArgument:
        return InvalidArgument(
            rule,
            given=f"{self._text[:200]!r}, at {self._at}",
            do="write them as a,b/c,d(e,f)",
            reason="invalidParameter",
        )


def _merged(one: Tree, other: Tree) -> Tree:
    """What is wanted by either."""
    if one is None or other is None:
        return None
    return {**one, **{name: _merged(one[name], tree) if name in one else tree for name, tree in other.items()}}


def _pick(value: Any, tree: Tree) -> Any:
    if tree is None:
        return value
    if isinstance(value, list):
        return [_pick(each, tree) for each in value]
    if not isinstance(value, dict):
        return value
    every = tree.get("*", {})
    return {
        key: _pick(inner, _merged(tree.get(key, {}), every))
        for key, inner in value.items()
        if key in tree or "*" in tree
    }
