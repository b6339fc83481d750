"""An error as one reads it: its message and, where it names a place in the SQL, that line with a mark under it."""

from __future__ import annotations

import re

from tule.kernel.errors import TuleError

_PLACE = re.compile(r"\bat \[(?P<line>\d+):(?P<column>\d+)\]")
# Messages that name a word of the text without its place.
_WORD = re.compile(r"(?:Unrecognized name|Function not found): (?P<word>[\w.]+)")
_WIDEST = 160


def shown(error: TuleError, text: str) -> list[str]:
    """The lines that tell of ``error`` in ``text``."""
    lines = [f"Error: {error.message}"]
    place = _place(error.message, text)
    if place is None:
        return lines
    number, column = place
    source = text.split("\n")
    if not 1 <= number <= len(source):
        return lines
    line = source[number - 1].rstrip("\r").replace("\t", " ")
    # A long line is shown around the place.
    begin = max(0, column - 1 - _WIDEST // 2) if len(line) > _WIDEST else 0
    margin = f"{number:>4} | "
    lines.append(margin + line[begin : begin + _WIDEST])
    lines.append(" " * (len(margin) + min(column - 1, len(line)) - begin) + "^")
    return lines


def _place(message: str, text: str) -> tuple[int, int] | None:
    """(line, column) from 1; of a word that is named only, if it is there once."""
    if found := _PLACE.search(message):
        return int(found["line"]), int(found["column"])
    if named := _WORD.search(message):
        hits = list(re.finditer(rf"(?<![\w.]){re.escape(named['word'])}\b", text, re.IGNORECASE))
        if len(hits) == 1:
            begin = hits[0].start()
            return text.count("\n", 0, begin) + 1, begin - (text.rfind("\n", 0, begin) + 1) + 1
    return None
