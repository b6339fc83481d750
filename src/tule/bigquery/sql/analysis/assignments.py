"""UPDATE SET of fields inside of structs."""

from __future__ import annotations

from typing import Any

from tule.bigquery.sql.analysis.scopes import Source, parts_of
from tule.kernel.errors import Unimplemented


def nested_assignments(items: list[Any], target: Source) -> None:
    """Refuse ``SET column.field = ...``; ``SET table.column = ...`` is the column."""
    for each in items:
        names = [part.name for part in parts_of(each.this)]
        if len(names) > 1 and names[0].lower() == target.name.lower():
            names = names[1:]
        if len(names) > 1:
            raise Unimplemented(
                "Tule does not do UPDATE of a field inside of a STRUCT", given=".".join(names),
                do=f"set the whole column {names[0]}", reason="notImplemented", location="query",
            )  # fmt: skip
