"""Rows laid out to be read: columns side by side, narrowed to the terminal, or one value under the other.

Widths are counted in cells of the screen, as a letter may take two or none.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TextIO

from rich.cells import cell_len, set_cell_size

NULL = "NULL"
_GAP = "  "
# Columns of text are not made narrower than this: then values go one under the other.
_NARROWEST = 16
_BOLD, _DIM, _PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[0m"
# Line ends and other control characters would break the layout, or speak to the terminal.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SHORT = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}

Cells = Sequence[Sequence[str | None]]


@dataclass(frozen=True)
class Screen:
    """Where a table is shown: ``width`` in cells, None for as wide as it wants; ``styled`` with bold and dim."""

    width: int | None = None
    styled: bool = False

    @classmethod
    def of(cls, out: TextIO) -> Screen:
        if not out.isatty():
            return cls()
        return cls(shutil.get_terminal_size().columns, not os.environ.get("NO_COLOR"))

    def style(self, text: str, style: str) -> str:
        return f"{style}{text}{_PLAIN}" if self.styled and text.strip() else text


@dataclass(frozen=True)
class Column:
    name: str
    number: bool


def lines(columns: Sequence[Column], cells: Cells, screen: Screen) -> Iterator[str]:
    """The lines of a table."""
    shown = [[NULL if value is None else _CONTROL.sub(_escaped, value) for value in row] for row in cells]
    natural = [
        max(cell_len(column.name), *(cell_len(row[index]) for row in shown), 1) if shown else cell_len(column.name)
        for index, column in enumerate(columns)
    ]
    widths = _fitted(columns, natural, screen.width)
    if widths is None:
        yield from _records(columns, cells, screen)
        return
    head = [_cell(column.name, width, column.number) for column, width in zip(columns, widths, strict=True)]
    yield _GAP.join(screen.style(each, _BOLD) for each in head).rstrip()
    yield _GAP.join("─" * width for width in widths)
    for row, values in zip(shown, cells, strict=True):
        parts = [_cell(text, width, column.number) for text, width, column in zip(row, widths, columns, strict=True)]
        styled = [
            screen.style(part, _DIM) if value is None else part for part, value in zip(parts, values, strict=True)
        ]
        yield _GAP.join(styled).rstrip()


def _fitted(columns: Sequence[Column], natural: Sequence[int], width: int | None) -> list[int] | None:
    """Widths that fit, the widest columns of text cut down to one measure; None where that would be too narrow."""
    room = None if width is None else width - len(_GAP) * (len(columns) - 1)
    if room is None or sum(natural) <= room:
        return list(natural)
    most = max(each for each in natural)
    for measure in range(most, _NARROWEST - 1, -1):
        cut = [each if column.number else min(each, measure) for column, each in zip(columns, natural, strict=True)]
        if sum(cut) <= room:
            return cut
    return None


def _cell(text: str, width: int, right: bool) -> str:
    if cell_len(text) > width:
        return set_cell_size(text, width - 1) + "…"
    padding = " " * (width - cell_len(text))
    return padding + text if right else text + padding


def _records(columns: Sequence[Column], cells: Cells, screen: Screen) -> Iterator[str]:
    """Each row as a block of lines ``name  value``; long values go on over several lines."""
    names = max(cell_len(column.name) for column in columns)
    room = max(20, (screen.width or 80) - names - len(_GAP))
    for number, row in enumerate(cells, 1):
        yield screen.style(f"── row {number} ".ljust(min(names + len(_GAP) + room, 60), "─"), _DIM)
        for column, value in zip(columns, row, strict=True):
            name = screen.style(_cell(column.name, names, False), _BOLD)
            first, *more = [screen.style(NULL, _DIM)] if value is None else list(_folded(value, room))
            yield f"{name}{_GAP}{first}".rstrip()
            yield from (" " * (names + len(_GAP)) + each for each in more)


def _folded(value: str, room: int) -> Iterator[str]:
    """A value over lines of at most ``room`` cells; its own line ends are kept."""
    for line in value.split("\n"):
        rest = _CONTROL.sub(_escaped, line)
        while cell_len(rest) > room:
            piece = set_cell_size(rest, room).rstrip(" ")
            yield piece
            rest = rest[max(1, len(piece)) :].lstrip(" ")
        yield rest


def _escaped(found: re.Match[str]) -> str:
    character = found[0]
    code = ord(character)
    return _SHORT.get(character) or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")
