"""Collations of columns: which there are, and what a dataset and a table give to columns that say none.

https://cloud.google.com/bigquery/docs/reference/standard-sql/collation-concepts
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tule.bigquery.errors import invalid

COLLATIONS = ("", "und:ci")
"""Those of the service: the order of code points, and one that takes capital and small letters for the same."""


def checked(value: Any, of: str) -> str:
    """A collation that a request names; raises for another one."""
    if value not in COLLATIONS:
        raise invalid(f"The collation of {of} must be 'und:ci' or ''; given: {value!r}")
    return str(value)


def attribute(given: Mapping[str, Any], kind: str, path: str) -> dict[str, str]:
    """What a field of the REST type ``kind`` says of its collation, as it is stored."""
    value = given.get("collation")
    if value is None:
        return {}
    found = checked(value, f"field {path}")
    if kind != "STRING":
        raise invalid(f"collation belongs to fields of type STRING; field {path} is {kind}")
    return {"collation": found}


def inherited(fields: Iterable[Mapping[str, Any]], default: str) -> list[dict[str, Any]]:
    """New columns after those that say no collation have got the ``default``; what is none is left out."""
    made = []
    for each in fields:
        field = dict(each)
        found = field.pop("collation", default if field["type"] == "STRING" else "")
        if found:
            field["collation"] = found
        if "fields" in field:
            field["fields"] = inherited(field["fields"], default)
        made.append(field)
    return made


def check_clusters(fields: Sequence[Mapping[str, Any]], names: Iterable[str]) -> None:
    """Raise where a table would be clustered by a column that has a collation."""
    clusters = {each.lower() for each in names}
    for each in fields:
        if each.get("collation") and each["name"].lower() in clusters:
            raise invalid(f"A column with a collation cannot be clustered by. Invalid field: {each['name']}.")


__all__ = ["COLLATIONS", "attribute", "check_clusters", "checked", "inherited"]
