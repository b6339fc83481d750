"""How rows are written: a table to read, JSON and CSV for programs; the latter two page by page, in constant memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any, TextIO

from tule.cli.sql import layout, values
from tule.cli.sql.values import Field

Rows = Iterable[list[Any]]
Format = Callable[[Sequence[Field], Rows, TextIO], int]


def write_table(fields: Sequence[Field], rows: Rows, out: TextIO) -> int:
    """All rows as one table, fitted to the terminal where ``out`` is one."""
    cells = [[values.text(field, value) for field, value in zip(fields, row, strict=True)] for row in rows]
    columns = [layout.Column(each["name"], values.is_number(each)) for each in fields]
    for line in layout.lines(columns, cells, layout.Screen.of(out)):
        out.write(line + "\n")
    return len(cells)


def write_json(fields: Sequence[Field], rows: Rows, out: TextIO) -> int:
    """An array with an object for each row."""
    count = 0
    out.write("[")
    for count, row in enumerate(rows, 1):
        made = {each["name"]: values.json_value(each, value) for each, value in zip(fields, row, strict=True)}
        out.write(("\n  " if count == 1 else ",\n  ") + json.dumps(made, ensure_ascii=False))
    out.write("\n]\n" if count else "]\n")
    return count


def write_csv(fields: Sequence[Field], rows: Rows, out: TextIO) -> int:
    """A header and a line for each row; NULL is empty and the empty string is "", nested values are JSON."""
    out.write(",".join(_quoted(each["name"]) for each in fields) + "\n")
    count = 0
    for count, row in enumerate(rows, 1):  # noqa: B007
        out.write(",".join(_csv_cell(field, value) for field, value in zip(fields, row, strict=True)) + "\n")
    return count


def _csv_cell(field: Field, value: Any) -> str:
    if value is None:
        return ""
    if field.get("mode") == "REPEATED" or field["type"] in ("RECORD", "STRUCT"):
        return _quoted(json.dumps(values.json_value(field, value), ensure_ascii=False))
    return _quoted(values.text(field, value) or "")


def _quoted(text: str) -> str:
    if text and not any(each in text for each in ',"\r\n'):
        return text
    return '"' + text.replace('"', '""') + '"'


def rows_of(pages: Iterable[list[list[Any]]]) -> Rows:
    return chain.from_iterable(pages)


FORMATS: dict[str, Format] = {"table": write_table, "json": write_json, "csv": write_csv}
