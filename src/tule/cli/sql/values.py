"""Cells of the REST API as text to read and as values of JSON.

Both follow the service: text as its console writes it, JSON as TO_JSON does
(https://cloud.google.com/bigquery/docs/reference/standard-sql/json_functions#json_encodings).
"""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

Field = dict[str, Any]

NUMBERS = frozenset({"INTEGER", "INT64", "FLOAT", "FLOAT64", "NUMERIC", "BIGNUMERIC"})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Beyond this, programs that read JSON numbers as doubles would change an INT64.
_LARGEST = 2**53


def is_number(field: Field) -> bool:
    """Whether a column is set flush right."""
    return field["type"] in NUMBERS and field.get("mode") != "REPEATED"


def text(field: Field, value: Any) -> str | None:
    """A cell as one reads it; None for NULL.

    >>> text({"type": "TIMESTAMP"}, "1700000000000000")
    '2023-11-14 22:13:20 UTC'
    >>> text({"type": "RECORD", "fields": [{"name": "a", "type": "STRING"}]}, {"f": [{"v": "x"}]})
    '{a: "x"}'
    """
    if value is None:
        return None
    if field.get("mode") == "REPEATED":
        element = {**field, "mode": "NULLABLE"}
        return f"[{', '.join(_inner(element, each['v']) for each in value)}]"
    if field["type"] in ("RECORD", "STRUCT"):
        pairs = zip(field["fields"], value["f"], strict=True)
        return "{" + ", ".join(f"{each['name']}: {_inner(each, cell['v'])}" for each, cell in pairs) + "}"
    if field["type"] == "TIMESTAMP":
        return _moment(value).isoformat(" ").replace("+00:00", " UTC")
    return str(value)


def _inner(field: Field, value: Any) -> str:
    shown = text(field, value)
    if shown is None:
        return "NULL"
    plain = field.get("mode") == "REPEATED" or field["type"] in {
        *NUMBERS,
        "BOOLEAN",
        "BOOL",
        "RECORD",
        "STRUCT",
        "JSON",
    }
    return shown if plain else json.dumps(shown, ensure_ascii=False)


def json_value(field: Field, value: Any) -> Any:
    """A cell as a value that ``json.dumps`` writes as TO_JSON would.

    >>> json_value({"type": "INTEGER"}, "12"), json_value({"type": "INTEGER"}, "9007199254740993")
    (12, '9007199254740993')
    """
    if value is None:
        return None
    if field.get("mode") == "REPEATED":
        return [json_value({**field, "mode": "NULLABLE"}, each["v"]) for each in value]
    match field["type"]:
        case "RECORD" | "STRUCT":
            pairs = zip(field["fields"], value["f"], strict=True)
            return {each["name"]: json_value(each, cell["v"]) for each, cell in pairs}
        case "INTEGER" | "INT64":
            number = int(value)
            return number if abs(number) <= _LARGEST else value
        case "FLOAT" | "FLOAT64":
            real = float(value)
            return real if math.isfinite(real) else value
        case "NUMERIC" | "BIGNUMERIC":
            # A number where a double holds it exactly, else text.
            real = float(value)
            return real if math.isfinite(real) and Decimal(repr(real)) == Decimal(value) else value
        case "BOOLEAN" | "BOOL":
            return value == "true"
        case "JSON":
            return json.loads(value)
        case "TIMESTAMP":
            return _moment(value).isoformat().replace("+00:00", "Z")
    return value


def _moment(microseconds: str) -> datetime:
    return _EPOCH + timedelta(microseconds=int(microseconds))
