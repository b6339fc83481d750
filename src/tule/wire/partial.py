"""The ``fields`` parameter of JSON APIs: an answer with just the fields asked for.

>>> select_fields({"a": 1, "b": {"c": 2, "d": 3}, "e": [{"f": 4, "g": 5}]}, "a,b/c,e(f)")
{'a': 1, 'b': {'c': 2}, 'e': [{'f': 4}]}
"""

from __future__ import annotations

from typing import Any

from tule.kernel.errors import InvalidArgument

Tree = dict[str, Any]


def select_fields(body: dict[str, Any], fields: str) -> dict[str, Any]:
    """``body`` with only the ``fields``: comma separated paths with ``/`` (or ``.``), groups in parentheses, ``*``."""
    tree, rest = _parse(fields, 0)
    if rest != len(fields):
        raise InvalidArgument(
            "fields must be a list of paths", given=f"{fields!r} at {rest}", reason="invalidParameter"
        )
    selected = _pick(body, tree)
    assert isinstance(selected, dict)
    return selected


def _parse(text: str, at: int) -> tuple[Tree, int]:
    tree: Tree = {}
    while True:
        path: list[str] = []
        while True:
            start = at
            while at < len(text) and text[at] not in ",/.()":
                at += 1
            if start == at:
                raise InvalidArgument("fields must name a field", given=f"{text!r} at {at}", reason="invalidParameter")
            path.append(text[start:at].strip())
            if at < len(text) and text[at] in "/.":
                at += 1
                continue
            break
        inner: Tree = {}
        if at < len(text) and text[at] == "(":
            inner, at = _parse(text, at + 1)
            if at >= len(text) or text[at] != ")":
                raise InvalidArgument("fields must close its parentheses", given=repr(text), reason="invalidParameter")
            at += 1
        node = tree
        for name in path[:-1]:
            node = node.setdefault(name, {})
        node.setdefault(path[-1], {}).update(inner)
        if at < len(text) and text[at] == ",":
            at += 1
            continue
        return tree, at


def _pick(value: Any, tree: Tree) -> Any:
    if not tree:
        return value
    if isinstance(value, list):
        return [_pick(each, tree) for each in value]
    if not isinstance(value, dict):
        return value
    if "*" in tree:
        return {key: _pick(inner, tree["*"]) for key, inner in value.items()}
    return {key: _pick(inner, tree[key]) for key, inner in value.items() if key in tree}
