"""Functions of GoogleSQL that DuckDB lacks: macros in the ``.sql`` files of this folder, and Python over Arrow columns.

A macro is written ``name(parameters) AS body;``. Those of one name with several types are the forms of one function for
different types of its arguments.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tule.engines.duckdb.functions import bignumerics, udfs

_FILES = ("checks", "numbers", "casts", "bignumerics", "ranges", "dates", "texts", "collations", "lists", "learning")
_HEAD = re.compile(r"(?P<name>tule_\w+)(?P<parameters>\([^)]*(?:\(\d+, \d+\)[^)]*)*\)) AS\n")


def register(connection: Any) -> None:
    """Make the functions known to a DuckDB instance."""
    udfs.register(connection)
    bignumerics.register(connection)
    # One transaction: each macro alone would be one of its own.
    connection.execute("BEGIN")
    connection.execute(";".join(statements()))
    connection.execute("COMMIT")


def macros() -> Iterator[tuple[str, str, str]]:
    """(name, parameters, body) of each form."""
    for name in _FILES:
        text = re.sub(r"^--.*\n", "", Path(__file__).with_name(f"{name}.sql").read_text(), flags=re.MULTILINE)
        for each in re.split(r";\n+", text):
            found = _HEAD.match(each.strip() + "\n")
            if found is not None:
                yield found["name"], found["parameters"], each.strip()[found.end() :]


def statements() -> list[str]:
    """CREATE MACRO for each function, its forms together; those that others use come first."""
    forms: dict[str, list[str]] = {}
    for name, parameters, body in macros():
        forms.setdefault(name, []).append(f"{parameters} AS {body}")
    made: dict[str, str] = {}

    def add(name: str) -> None:
        if name in made:
            return
        text = ", ".join(forms[name])
        for used in dict.fromkeys(re.findall(r"\btule_\w+", text)):
            if used != name and used in forms:
                add(used)
        made[name] = f"CREATE MACRO {name} {text}"

    for each in forms:
        add(each)
    return list(made.values())
