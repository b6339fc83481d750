"""The nodes of a script. Each knows its place in the text: ``start`` and ``end`` are offsets, ``end`` behind the last."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp

from tule.bigquery.sql.words import Text


@dataclass(frozen=True, kw_only=True)
class Node:
    """One statement."""

    start: int
    end: int

    def blocks(self) -> Iterator[tuple[Node, ...]]:
        """The lists of statements inside."""
        return iter(())


@dataclass(frozen=True, kw_only=True, eq=False)
class Expression:
    """An expression: its place, and the query ``SELECT (expression)`` that tells its value.

    ``positions``: how many ``?`` stand before it in the text. ``reads``: whether it has a query inside, so that to
    evaluate it is a job of its own. ``literal``: whether it is written as a constant.
    """

    start: int
    end: int
    tree: exp.Expression = field(repr=False)
    positions: int = 0
    reads: bool = False
    literal: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Sql(Node):
    """A statement that is none of the procedural language's."""

    tree: exp.Expression = field(repr=False)
    positions: int = 0


@dataclass(frozen=True, kw_only=True)
class Declare(Node):
    """``type`` is None where the default tells it."""

    names: tuple[str, ...]
    places: tuple[int, ...]
    type: exp.DataType | None = None
    default: Expression | None = None


@dataclass(frozen=True, kw_only=True)
class Assign(Node):
    """SET of one variable."""

    name: str
    place: int
    value: Expression


@dataclass(frozen=True, kw_only=True)
class AssignStruct(Node):
    """SET of several variables from the fields of one struct."""

    names: tuple[str, ...]
    places: tuple[int, ...]
    value: Expression


@dataclass(frozen=True, kw_only=True)
class AssignSystem(Node):
    """SET of a system variable: ``name`` without its ``@@``."""

    name: str
    value: Expression


@dataclass(frozen=True, kw_only=True)
class Branch:
    """A condition and what is done where it holds."""

    start: int
    end: int
    condition: Expression
    body: tuple[Node, ...]


@dataclass(frozen=True, kw_only=True)
class If(Node):
    branches: tuple[Branch, ...]
    otherwise: tuple[Node, ...]

    def blocks(self) -> Iterator[tuple[Node, ...]]:
        yield from (each.body for each in self.branches)
        yield self.otherwise


@dataclass(frozen=True, kw_only=True)
class Case(Node):
    """``operand`` None: each branch has a condition; else a value to compare with the operand's."""

    operand: Expression | None
    branches: tuple[Branch, ...]
    otherwise: tuple[Node, ...]

    def blocks(self) -> Iterator[tuple[Node, ...]]:
        yield from (each.body for each in self.branches)
        yield self.otherwise


@dataclass(frozen=True, kw_only=True)
class Labelled(Node):
    """A block or a loop; ``label`` empty where it has none."""

    label: str
    body: tuple[Node, ...]

    def blocks(self) -> Iterator[tuple[Node, ...]]:
        yield self.body


@dataclass(frozen=True, kw_only=True)
class Block(Labelled):
    """BEGIN ... END; ``handler`` None without EXCEPTION."""

    handler: tuple[Node, ...] | None = None

    def blocks(self) -> Iterator[tuple[Node, ...]]:
        yield self.body
        if self.handler is not None:
            yield self.handler


@dataclass(frozen=True, kw_only=True)
class Loop(Labelled):
    """LOOP"""


@dataclass(frozen=True, kw_only=True)
class While(Labelled):
    condition: Expression


@dataclass(frozen=True, kw_only=True)
class Repeat(Labelled):
    until: Expression


@dataclass(frozen=True, kw_only=True)
class ForIn(Labelled):
    """FOR variable IN (query) DO"""

    variable: str
    place: int
    query: Sql


@dataclass(frozen=True, kw_only=True)
class Jump(Node):
    """BREAK, LEAVE (``continues`` false), CONTINUE or ITERATE; ``word`` as it is written."""

    word: str
    continues: bool
    label: str


@dataclass(frozen=True, kw_only=True)
class Return(Node):
    """RETURN"""


@dataclass(frozen=True, kw_only=True)
class Raise(Node):
    """RAISE; ``message`` None where the error at hand is raised again."""

    message: Expression | None


@dataclass(frozen=True, kw_only=True)
class Using:
    """An argument of EXECUTE IMMEDIATE; ``name`` empty where it is one by position."""

    value: Expression
    name: str
    place: int


@dataclass(frozen=True, kw_only=True)
class Execute(Node):
    """EXECUTE IMMEDIATE"""

    text: Expression
    into: tuple[str, ...] = ()
    places: tuple[int, ...] = ()
    using: tuple[Using, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Argument:
    """An argument of CALL; ``variable`` is its name where it is nothing but one, ``name`` where it is given by name."""

    value: Expression
    variable: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Call(Node):
    procedure: tuple[str, ...]
    place: int
    arguments: tuple[Argument, ...]


@dataclass(frozen=True, kw_only=True)
class Transaction(Node):
    """BEGIN TRANSACTION, COMMIT or ROLLBACK: ``verb`` is BEGIN, COMMIT or ROLLBACK."""

    verb: str


@dataclass(frozen=True, kw_only=True)
class Assert(Node):
    condition: Expression
    description: str | None


# Statements that stand for themselves: what may be run by EXECUTE IMMEDIATE, and be a job without being a script.
PLAIN = (Sql, Assert)


@dataclass(frozen=True)
class Script:
    """A whole text. ``positions`` is the number of ``?`` in it, ``parameters`` the names after ``@`` in lower case."""

    text: Text
    statements: tuple[Node, ...]
    positions: int = 0
    parameters: frozenset[str] = frozenset()

    def source(self, node: Any) -> str:
        """The text of a node."""
        return self.text.text[node.start : node.end]
