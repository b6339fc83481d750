"""What must hold of a whole script before it runs: declarations, labels, and where RAISE, BREAK and CONTINUE stand."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace

from tule.bigquery.sql.script.nodes import (
    Assign,
    AssignStruct,
    Block,
    Declare,
    Execute,
    ForIn,
    Jump,
    Labelled,
    Loop,
    Node,
    Raise,
    Repeat,
    Sql,
    While,
)
from tule.bigquery.sql.words import Text

_LOOPS = (Loop, While, Repeat, ForIn)


@dataclass(frozen=True)
class _Place:
    """Where a list of statements stands."""

    depth: int = 0
    handler: bool = False
    loop: bool = False
    declares: bool = True
    labels: dict[str, bool] = field(default_factory=dict)
    """label in lower case -> whether it is a loop's"""
    variables: frozenset[str] = frozenset()


def check(
    text: Text, statements: Iterable[Node], *, arguments: Collection[str] = (), outer: Collection[str] = (),
    strict: bool = False,
) -> None:  # fmt: skip
    """Raise for what cannot be. ``arguments`` are those of the procedure this is the body of, ``outer`` the variables of
    the session; names in any case. ``strict``: a variable that is given a value must be declared."""
    made = _Checks(text, {each.lower() for each in arguments}, {each.lower() for each in outer}, strict)
    made.list(statements, _Place())


class _Checks:
    def __init__(self, text: Text, arguments: set[str], outer: set[str], strict: bool) -> None:
        self._text = text
        self._arguments = arguments
        self._outer = outer
        self._strict = strict

    def list(self, statements: Iterable[Node], place: _Place) -> None:
        variables = set(place.variables)
        beginning = place.declares
        for each in statements:
            if isinstance(each, Declare):
                if not beginning:
                    raise self._text.error(
                        "Variable declarations are allowed only at the start of a block or script", each.start
                    )
                for name, at in zip(each.names, each.places, strict=True):
                    self._declared(name, at, variables, inside=place.depth > 0)
            else:
                beginning = False
                self._statement(each, replace(place, variables=frozenset(variables)))

    def _declared(self, name: str, at: int, variables: set[str], *, inside: bool) -> None:
        if name.lower() in variables or (inside and name.lower() in self._outer):
            raise self._text.error(f"Variable '{name}' redeclaration", at)
        if name.lower() in self._arguments:
            raise self._text.error(f"Variable '{name}' previously declared as an argument", at)
        variables.add(name.lower())

    def _statement(self, node: Node, place: _Place) -> None:
        if self._strict:
            for name, at in _targets(node):
                if name.lower() not in place.variables | self._arguments | self._outer:
                    raise self._text.error(f"Undeclared variable: {name}", at)
        if isinstance(node, Jump):
            self._jump(node, place)
        elif isinstance(node, Raise):
            if node.message is None and not place.handler:
                raise self._text.error(
                    "Cannot re-raise an existing exception outside of an exception handler", node.start
                )
        elif not isinstance(node, Sql):
            self._nested(node, place)

    def _nested(self, node: Node, place: _Place) -> None:
        inside = replace(place, depth=place.depth + 1, declares=False)
        if isinstance(node, Labelled):
            inside = self._labelled(node, inside)
        if isinstance(node, ForIn):
            variables = set(inside.variables)
            self._declared(node.variable, node.place, variables, inside=True)
            inside = replace(inside, variables=frozenset(variables))
        if isinstance(node, Block):
            self.list(node.body, replace(inside, declares=True))
            if node.handler is not None:
                self.list(node.handler, replace(inside, handler=True))
            return
        for body in node.blocks():
            self.list(body, inside)

    def _labelled(self, node: Labelled, place: _Place) -> _Place:
        loops = isinstance(node, _LOOPS)
        labels = place.labels
        if node.label:
            if node.label.lower() in labels:
                raise self._text.error(f"Label {node.label} already exists", node.start)
            labels = {**labels, node.label.lower(): loops}
        return replace(place, labels=labels, loop=place.loop or loops)

    def _jump(self, node: Jump, place: _Place) -> None:
        if node.label:
            loops = place.labels.get(node.label.lower())
            if loops is None:
                raise self._text.error(f"Label {node.label} does not exist or is out of scope", node.start)
            if node.continues and not loops:
                raise self._text.error(f"{node.word} with label must refer to a loop", node.start)
        elif not place.loop:
            without = "" if node.continues else " without label"
            raise self._text.error(f"{node.word}{without} is only allowed inside of a loop body", node.start)


def _targets(node: Node) -> Iterable[tuple[str, int]]:
    """The variables that a statement gives a value, with their places."""
    if isinstance(node, Assign):
        return [(node.name, node.place)]
    if isinstance(node, AssignStruct):
        return zip(node.names, node.places, strict=True)
    if isinstance(node, Execute):
        return zip(node.into, node.places, strict=True)
    return ()
