"""INFORMATION_SCHEMA.ROUTINES, PARAMETERS and ROUTINE_OPTIONS.

https://cloud.google.com/bigquery/docs/information-schema-routines
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tule.bigquery.references import RoutineReference
from tule.bigquery.routines import definition_of
from tule.bigquery.sql.routine_statements import AGGREGATE, ANY_TYPE, PROCEDURE, SCALAR, TABLE, RoutineDefinition
from tule.bigquery.types import Field
from tule.kernel.records import Record

View = tuple[list[Field], list[dict[str, Any]]]

_TYPES = {SCALAR: "FUNCTION", AGGREGATE: "AGGREGATE FUNCTION", TABLE: "TABLE FUNCTION", PROCEDURE: "PROCEDURE"}
_OPTION_TYPES = {"description": "STRING", "strict_mode": "BOOL", "library": "ARRAY<STRING>"}


def _text(*names: str) -> list[Field]:
    return [Field(name, "STRING") for name in names]


def _name(record: Record) -> dict[str, Any]:
    reference = RoutineReference.of(record.name)
    return {
        "specific_catalog": reference.project,
        "specific_schema": reference.dataset,
        "specific_name": reference.routine,
    }


def routines(records: Sequence[Record]) -> View:
    """One row a routine."""
    fields = [
        *_text(
            "specific_catalog", "specific_schema", "specific_name", "routine_catalog", "routine_schema", "routine_name",
            "routine_type", "data_type", "routine_body", "routine_definition", "external_language", "is_deterministic",
            "security_type",
        ),
        Field("created", "TIMESTAMP"),
        Field("last_altered", "TIMESTAMP"),
        *_text("ddl", "connection"),
    ]  # fmt: skip
    rows = []
    for record in records:
        name, definition = _name(record), definition_of(record.body)
        external = definition.language != "SQL"
        rows.append(
            {
                **name,
                "routine_catalog": name["specific_catalog"],
                "routine_schema": name["specific_schema"],
                "routine_name": name["specific_name"],
                "routine_type": _TYPES[definition.kind],
                "data_type": definition.returns or None,
                "routine_body": "EXTERNAL" if external else "SQL",
                "routine_definition": definition.body,
                "external_language": definition.language if external else None,
                "is_deterministic": None if definition.deterministic is None else _yes(definition.deterministic),
                "created": record.create_time,
                "last_altered": record.update_time,
                "ddl": ddl(definition),
            }
        )
    return fields, rows


def parameters(records: Sequence[Record]) -> View:
    """One row an argument, and one for what a function returns."""
    fields = [
        *_text("specific_catalog", "specific_schema", "specific_name"),
        Field("ordinal_position", "INT64"),
        *_text("parameter_mode", "is_result", "parameter_name", "data_type", "parameter_default", "is_aggregate"),
    ]
    rows: list[dict[str, Any]] = []
    for record in records:
        name, definition = _name(record), definition_of(record.body)
        if definition.kind != PROCEDURE:
            rows.append({**name, "ordinal_position": 0, "is_result": "YES", "data_type": definition.returns or None})
        for position, each in enumerate(definition.arguments, 1):
            rows.append(
                {
                    **name,
                    "ordinal_position": position,
                    "parameter_mode": each.mode or None,
                    "is_result": "NO",
                    "parameter_name": each.name,
                    "data_type": each.type,
                    "is_aggregate": _yes(each.aggregate) if definition.kind == AGGREGATE else None,
                }
            )
    return fields, rows


def options(records: Sequence[Record]) -> View:
    """One row an option of a routine."""
    fields = _text("specific_catalog", "specific_schema", "specific_name", "option_name", "option_type", "option_value")
    rows = [
        {**_name(record), "option_name": name, "option_type": _OPTION_TYPES[name], "option_value": _constant(value)}
        for record in records
        for name, value in definition_of(record.body).options.items()
    ]
    return fields, rows


def _yes(value: bool) -> str:
    return "YES" if value else "NO"


def _constant(value: Any) -> str:
    """An option's value as GoogleSQL writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value)


def ddl(definition: RoutineDefinition) -> str:
    """The statement that makes a routine."""
    arguments = ", ".join(_argument(each, definition.kind) for each in definition.arguments)
    head = f"CREATE {_TYPES[definition.kind]} `{'.'.join(definition.path)}`({arguments})"
    parts = [head]
    if definition.returns:
        parts.append(f"RETURNS {definition.returns}")
    if definition.columns is not None:
        parts.append(f"RETURNS TABLE<{', '.join(f'{name} {kind}' for name, kind in definition.columns)}>")
    given = ", ".join(f"{name}={_constant(value)}" for name, value in definition.options.items())
    written = f"OPTIONS({given})" if given else ""
    if definition.kind == PROCEDURE:
        parts += [written, definition.body]
    elif definition.language != "SQL":
        determinism = {True: "DETERMINISTIC", False: "NOT DETERMINISTIC", None: ""}[definition.deterministic]
        parts += [determinism, "LANGUAGE js", written, f'AS r"""{definition.body}"""']
    elif definition.kind == TABLE:
        parts += [written, f"AS {definition.body}"]
    else:
        parts += [f"AS ({definition.body})", written]
    return "\n".join(each for each in parts if each) + ";"


def _argument(argument: Any, kind: str) -> str:
    mode = f"{argument.mode} " if argument.mode else ""
    last = " NOT AGGREGATE" if kind == AGGREGATE and not argument.aggregate else ""
    type_ = "ANY TYPE" if argument.type == ANY_TYPE else argument.type
    return f"{mode}{argument.name} {type_}{last}"
