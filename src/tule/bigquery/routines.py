"""Functions, table functions and procedures as resources: what ``routines.*`` answers, and what SQL makes of a record.

A record's body is the REST Routine; the definition that SQL expands or runs is read from it.
https://cloud.google.com/bigquery/docs/reference/rest/v2/routines
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pyarrow as pa

from tule.bigquery.catalog import type_text
from tule.bigquery.datasets import Datasets, milliseconds
from tule.bigquery.engine import Session
from tule.bigquery.errors import already_exists, invalid, invalid_query, not_found, not_implemented, stale
from tule.bigquery.javascript import Functions, check_types
from tule.bigquery.jobs import Outcome
from tule.bigquery.references import DatasetReference, RoutineReference
from tule.bigquery.scripts.values import fits, same
from tule.bigquery.sql import Catalog, Name
from tule.bigquery.sql.names import is_definition, written_names
from tule.bigquery.sql.routine_statements import (
    AGGREGATE,
    ANY_TYPE,
    PROCEDURE,
    SCALAR,
    TABLE,
    RoutineArgument,
    RoutineDefinition,
)
from tule.bigquery.sql.script import Node, Script, check_body, parse_script, trees
from tule.bigquery.sql.script.nodes import Block, Call
from tule.bigquery.sql.statements import CreateRoutineNamed, DropRoutineNamed, field_of_text, routine_name
from tule.bigquery.sql.words import moved
from tule.bigquery.types import SCALARS, Field, standard
from tule.kernel.errors import Aborted, NotFound, TuleError
from tule.kernel.records import Record, Records

KIND = "bigquery#routine"
_KINDS = (SCALAR, AGGREGATE, TABLE, PROCEDURE)
_FILTER = re.compile(r"\s*routineType\s*:\s*(?P<kind>\w+)\s*")
_SHORT = ("etag", "routineReference", "routineType", "creationTime", "lastModifiedTime", "language")
_OPTIONS = {"description": "description", "strict_mode": "strictMode", "library": "importedLibraries"}
_OPTIONS_OF = {PROCEDURE: ("strict_mode",), "JAVASCRIPT": ("library",)}


Validate = Callable[[RoutineDefinition, RoutineReference], None]


def _valid(definition: RoutineDefinition, reference: RoutineReference) -> None:
    """Until the warehouse says how a definition is checked, all are right."""


class Routines:
    """The routines of all projects. ``validate`` raises for a definition that could not run; set by the warehouse."""

    def __init__(
        self, records: Records, datasets: Datasets, base_url: str = "https://bigquery.googleapis.com/bigquery/v2"
    ) -> None:
        self._records = records
        self._datasets = datasets
        self._base_url = base_url
        self.validate: Validate = _valid
        self.javascript: Functions | None = None
        """None where no engine of JavaScript is installed."""

    # -- for SQL

    def definition(self, reference: RoutineReference) -> RoutineDefinition | None:
        """What SQL needs of a routine; None where there is none."""
        found = self.find(reference)
        return None if found is None else definition_of(found.body)

    def foreign(self, routine: RoutineDefinition, session: Session, held: ExitStack) -> str:
        """Make a JavaScript function known to a session for as long as ``held``; its name there."""
        if self.javascript is None:
            raise not_implemented(
                f"The JavaScript function {'.'.join(routine.path)}", do="install tule[javascript], or write it in SQL"
            )
        return self.javascript.function(routine, session, held)

    # -- reading

    def find(self, reference: RoutineReference) -> Record | None:
        return self._records.find(reference.name)

    def record(self, reference: RoutineReference) -> Record:
        found = self.find(reference)
        if found is None:
            self._datasets.check(reference.parent)
            raise not_found("Routine", reference)
        return found

    def get(self, reference: RoutineReference, *, mask: str = "") -> dict[str, Any]:
        return _masked(self.resource(self.record(reference)), mask)

    def list(
        self, dataset: DatasetReference, *, filter: str = "", mask: str = "", page_size: int = 0, page_token: str = ""
    ) -> tuple[Sequence[dict[str, Any]], str]:
        """Routines of a dataset by name, short unless ``mask`` names fields, and the token of the next page."""
        self._datasets.check(dataset)
        page = self._records.list(KIND, dataset.name, filter=_aip(filter), page_size=page_size, page_token=page_token)
        found = [self.resource(each) for each in page]
        if mask:
            return [_masked(each, mask) for each in found], page.next_page_token
        return [{key: each[key] for key in _SHORT if key in each} for each in found], page.next_page_token

    def resource(self, record: Record) -> dict[str, Any]:
        """The REST Routine."""
        return {
            "etag": record.etag,
            **{key: value for key, value in record.body.items() if key != "_tule"},
            "creationTime": milliseconds(record.create_time),
            "lastModifiedTime": milliseconds(record.update_time),
        }

    # -- changing, by REST

    def insert(self, dataset: DatasetReference, body: Mapping[str, Any]) -> dict[str, Any]:
        given = body.get("routineReference")
        if not isinstance(given, Mapping) or not given.get("routineId"):
            raise invalid("Required parameter is missing: routineReference.routineId")
        reference = RoutineReference(
            str(given.get("projectId") or dataset.project),
            str(given.get("datasetId") or dataset.dataset),
            str(given["routineId"]),
        ).checked()
        if reference.parent != dataset:
            raise invalid(f"routineReference must name a routine of {dataset}; given: {reference}")
        self._datasets.check(dataset)
        if self.find(reference) is not None:
            raise already_exists("Routine", reference)
        stored = self._stored(reference, body)
        return self.resource(self._records.create(KIND, reference.name, stored))

    def update(
        self, reference: RoutineReference, body: Mapping[str, Any], *, etag: str | None = None
    ) -> dict[str, Any]:
        """Replace a routine; raises where its type would change."""
        old = self.record(reference)
        given = body.get("routineType", old.body["routineType"])
        if given != old.body["routineType"]:
            raise invalid(f"The type of a routine cannot be changed: {old.body['routineType']} to {given}")
        stored = self._stored(reference, {"routineType": given, **body})
        try:
            return self.resource(self._records.update(reference.name, lambda _: stored, etag=etag))
        except Aborted as error:
            raise stale() from error

    def delete(self, reference: RoutineReference) -> None:
        self.record(reference)
        self._records.delete(reference.name)

    def _stored(
        self, reference: RoutineReference, body: Mapping[str, Any], place: tuple[int, int] = (1, 1)
    ) -> dict[str, Any]:
        stored = _checked(reference, body)
        definition = replace(definition_of(stored), place=place)
        if definition.language == "JAVASCRIPT":
            check_types(
                [field_of_text(each.name, each.type) for each in definition.arguments],
                field_of_text("", definition.returns),
            )
        self.validate(definition, reference)
        return stored

    # -- changing, by SQL

    def create(self, statement: CreateRoutineNamed) -> Outcome:
        """CREATE of a routine that lasts. The Outcome makes it visible."""
        assert statement.target is not None
        reference = _reference(statement.target)
        self._datasets.check(reference.parent)
        existing = self.find(reference)
        definition = statement.definition
        if existing is not None:
            if definition.if_not_exists:
                return Outcome({"query": _ddl("SKIP", reference)})
            if not definition.replace:
                raise already_exists("Routine", reference)
            if existing.body["routineType"] != definition.kind:
                raise invalid(
                    f"{reference} is not allowed for this operation because it is currently a "
                    f"{existing.body['routineType']}."
                )
        body = resource_of(definition, reference)
        stored = self._stored(reference, body, definition.place)
        operation = "CREATE" if existing is None else "REPLACE"
        return Outcome(
            {"query": _ddl(operation, reference)},
            commit=lambda: _ignore(self._records.put(KIND, reference.name, stored)),
        )

    def drop(self, statement: DropRoutineNamed) -> Outcome:
        reference = _reference(statement.target)
        existing = self.find(reference)
        wanted = {
            "DROP_FUNCTION": (SCALAR, AGGREGATE), "DROP_TABLE_FUNCTION": (TABLE,), "DROP_PROCEDURE": (PROCEDURE,)
        }[statement.kind]  # fmt: skip
        if existing is None:
            if statement.if_exists:
                return Outcome({"query": _ddl("SKIP", reference)})
            self._datasets.check(reference.parent)
            raise not_found("Routine", reference)
        if existing.body["routineType"] not in wanted:
            raise invalid(
                f"{reference} is not allowed for this operation because it is currently a {existing.body['routineType']}."
            )
        return Outcome({"query": _ddl("DROP", reference)}, commit=lambda: _ignore(self._records.delete(reference.name)))


def _reference(name: Any) -> RoutineReference:
    return RoutineReference(name.project, name.dataset, name.table).checked()


def _ddl(operation: str, target: RoutineReference) -> dict[str, Any]:
    return {"ddlOperationPerformed": operation, "ddlTargetRoutine": target.json()}


def _ignore(_: Any) -> None:
    return None


def _aip(text: str) -> str:
    """``routineType:SCALAR_FUNCTION`` as a filter of the record store."""
    if not text:
        return ""
    found = _FILTER.fullmatch(text)
    if found is None or found["kind"] not in _KINDS:
        raise invalid(
            f"A filter must be routineType: and one of {', '.join(_KINDS)}; given: {text!r}", location="filter"
        )
    return f'routineType = "{found["kind"]}"'


def _masked(resource: dict[str, Any], mask: str) -> dict[str, Any]:
    """The top-level fields that a field mask names; all of them without one."""
    names = [each.strip().split(".")[0].split("(")[0] for each in mask.replace("/", ".").split(",") if each.strip()]
    if not names or "*" in names:
        return resource
    if unknown := [each for each in names if each not in _FIELDS]:
        raise invalid(f"readMask must name fields of a Routine; given: {unknown[0]!r}", location="readMask")
    return {key: value for key, value in resource.items() if key in names or key == "routineReference"}


_FIELDS = frozenset(
    {"etag", "routineReference", "routineType", "creationTime", "lastModifiedTime", "language", "arguments", "returnType",
     "returnTableType", "importedLibraries", "definitionBody", "description", "determinismLevel", "securityType",
     "strictMode", "remoteFunctionOptions", "sparkOptions", "dataGovernanceType", "pythonOptions",
     "externalRuntimeOptions"}
)  # fmt: skip


# -- the resource and the definition


def _checked(reference: RoutineReference, body: Mapping[str, Any]) -> dict[str, Any]:
    """A Routine as it is stored; raises for what cannot be or is not done."""
    kind = body.get("routineType")
    if kind not in _KINDS:
        raise invalid(f"routineType must be one of {', '.join(_KINDS)}; given: {kind!r}")
    language = str(body.get("language") or "SQL")
    if language not in ("SQL", "JAVASCRIPT"):
        raise not_implemented(f"A routine in the language {language}", do="write it in SQL or JavaScript")
    if language == "JAVASCRIPT" and any(each.get("argumentKind") == "ANY_TYPE" for each in body.get("arguments") or ()):
        raise invalid("The arguments of a JavaScript function must have types")
    if language == "JAVASCRIPT" and kind != SCALAR:
        raise not_implemented(f"A {kind} in JavaScript", do="write it in SQL")
    text = body.get("definitionBody")
    if not isinstance(text, str) or not text.strip():
        raise invalid("Required parameter is missing: definitionBody")
    if language == "JAVASCRIPT" and not body.get("returnType"):
        raise invalid("Required parameter is missing: returnType")
    if kind == PROCEDURE and (body.get("returnType") or body.get("returnTableType")):
        raise invalid("A procedure cannot have a return type")
    if body.get("returnTableType") and kind != TABLE:
        raise invalid("returnTableType can be set only for a TABLE_VALUED_FUNCTION")
    stored: dict[str, Any] = {"routineReference": reference.json(), "routineType": kind, "language": language}
    if arguments := body.get("arguments"):
        stored["arguments"] = [_argument(each, kind) for each in arguments]
    for key in ("description", "determinismLevel", "importedLibraries", "strictMode"):
        if body.get(key) not in (None, "", []):
            stored[key] = body[key]
    if body.get("returnType"):
        stored["returnType"] = json_type(field_from_json("", body["returnType"]))
    if table := body.get("returnTableType"):
        stored["returnTableType"] = {"columns": [_column(each) for each in table.get("columns") or ()]}
    stored["definitionBody"] = text
    return stored


def _argument(given: Mapping[str, Any], kind: str) -> dict[str, Any]:
    name = given.get("name")
    if not isinstance(name, str) or not name:
        raise invalid("Each argument of a routine must have a name")
    made: dict[str, Any] = {"name": name}
    sort = given.get("argumentKind") or "FIXED_TYPE"
    if sort not in ("ARGUMENT_KIND_UNSPECIFIED", "FIXED_TYPE", "ANY_TYPE", "FIXED_TABLE"):
        raise invalid(f"argumentKind must be FIXED_TYPE, ANY_TYPE or FIXED_TABLE; given: {sort!r} for {name}")
    if sort == "ANY_TYPE":
        made["argumentKind"] = "ANY_TYPE"
    elif sort == "FIXED_TABLE":
        columns = (given.get("tableType") or {}).get("columns")
        if kind != TABLE or not columns:
            raise invalid(f"A table argument must be of a TABLE_VALUED_FUNCTION and have columns; given: {name}")
        return {**made, "argumentKind": sort, "tableType": {"columns": [_column(each) for each in columns]}}
    elif not given.get("dataType"):
        raise invalid(f"Required parameter is missing: dataType of the argument {name}")
    if given.get("dataType"):
        made["dataType"] = json_type(field_from_json(name, given["dataType"]))
    mode = given.get("mode")
    if kind == PROCEDURE:
        if mode not in (None, "MODE_UNSPECIFIED", "IN", "OUT", "INOUT"):
            raise invalid(f"mode must be IN, OUT or INOUT; given: {mode!r} for {name}")
        if mode in ("IN", "OUT", "INOUT"):
            made["mode"] = mode
    elif mode not in (None, "MODE_UNSPECIFIED"):
        raise invalid(f"Only arguments of procedures have a mode; given: {mode!r} for {name}")
    if given.get("isAggregate") is not None:
        if kind != AGGREGATE:
            raise invalid(f"Only arguments of aggregate functions have isAggregate; given for {name}")
        made["isAggregate"] = bool(given["isAggregate"])
    return made


def _column(given: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(given.get("name"), str) or not given.get("type"):
        raise invalid("Each column of a table's type must have a name and a type")
    return {"name": given["name"], "type": json_type(field_from_json(given["name"], given["type"]))}


def definition_of(body: Mapping[str, Any]) -> RoutineDefinition:
    """The definition that a stored Routine is."""
    reference = body["routineReference"]
    kind = body["routineType"]
    columns = body.get("returnTableType")
    determinism = body.get("determinismLevel")
    return RoutineDefinition(
        kind=kind,
        path=(reference["projectId"], reference["datasetId"], reference["routineId"]),
        arguments=tuple(_definition_argument(each, kind) for each in body.get("arguments") or ()),
        body=body["definitionBody"],
        language=body.get("language", "SQL"),
        returns=_type_text(body["returnType"]) if body.get("returnType") else "",
        columns=None if columns is None else tuple((each["name"], _type_text(each["type"])) for each in columns["columns"]),
        deterministic=None if determinism is None else determinism == "DETERMINISTIC",
        options={
            option: body[key] for option, key in _OPTIONS.items() if body.get(key) is not None
        },
    )  # fmt: skip


def _definition_argument(given: Mapping[str, Any], kind: str) -> RoutineArgument:
    mode = given.get("mode", "IN") if kind == PROCEDURE else ""
    if given.get("argumentKind") == "ANY_TYPE":
        return RoutineArgument(given["name"], ANY_TYPE, mode, given.get("isAggregate", True))
    if given.get("argumentKind") == "FIXED_TABLE":
        columns = ", ".join(f"`{each['name']}` {_type_text(each['type'])}" for each in given["tableType"]["columns"])
        return RoutineArgument(given["name"], f"TABLE<{columns}>", mode)
    return RoutineArgument(given["name"], _type_text(given["dataType"]), mode, given.get("isAggregate", True))


def resource_of(definition: RoutineDefinition, reference: RoutineReference) -> dict[str, Any]:
    """The Routine that a definition is; raises for options and types that are not done."""
    body: dict[str, Any] = {
        "routineReference": reference.json(),
        "routineType": definition.kind,
        "language": definition.language,
        "definitionBody": definition.body,
    }
    known = ("description", *_OPTIONS_OF.get(definition.kind, ()), *_OPTIONS_OF.get(definition.language, ()))
    for name, value in definition.options.items():
        if name not in known:
            if value in (None, False):
                continue
            raise not_implemented(f"The option {name} of a routine", do=f"leave it out; done are {', '.join(known)}")
        if value is not None:
            body[_OPTIONS[name]] = [value] if name == "library" and isinstance(value, str) else value
    arguments = []
    for each in definition.arguments:
        made: dict[str, Any] = {"name": each.name}
        if each.type == ANY_TYPE:
            made["argumentKind"] = "ANY_TYPE"
        elif each.type.startswith("TABLE<"):
            columns = field_of_text(each.name, each.type.replace("TABLE<", "STRUCT<", 1)).fields
            made["argumentKind"] = "FIXED_TABLE"
            made["tableType"] = {"columns": [{"name": one.name, "type": json_type(one)} for one in columns]}
        else:
            made["dataType"] = json_type(field_of_text(each.name, each.type))
        if definition.kind == PROCEDURE:
            made["mode"] = each.mode
        if definition.kind == AGGREGATE and not each.aggregate:
            made["isAggregate"] = False
        arguments.append(made)
    if arguments:
        body["arguments"] = arguments
    if definition.returns:
        body["returnType"] = json_type(field_of_text("", definition.returns))
    if definition.columns is not None:
        body["returnTableType"] = {
            "columns": [
                {"name": name, "type": json_type(field_of_text(name, kind))} for name, kind in definition.columns
            ]
        }
    if definition.deterministic is not None:
        body["determinismLevel"] = "DETERMINISTIC" if definition.deterministic else "NOT_DETERMINISTIC"
    return body


# -- types as JSON (StandardSqlDataType)


def json_type(field: Field) -> dict[str, Any]:
    """
    >>> json_type(Field("a", "INT64", "REPEATED"))
    {'typeKind': 'ARRAY', 'arrayElementType': {'typeKind': 'INT64'}}
    """
    kind: dict[str, Any] = {"typeKind": field.type}
    if field.type == "STRUCT":
        kind["structType"] = {"fields": [{"name": each.name, "type": json_type(each)} for each in field.fields]}
    return {"typeKind": "ARRAY", "arrayElementType": kind} if field.repeated else kind


def field_from_json(name: str, given: Any) -> Field:
    """A field of a StandardSqlDataType; raises for what is none."""
    if not isinstance(given, Mapping) or not isinstance(given.get("typeKind"), str):
        raise invalid(f"A type must have a typeKind; given: {given!r}")
    kind = given["typeKind"].upper()
    if kind == "ARRAY":
        inner = field_from_json(name, given.get("arrayElementType"))
        if inner.repeated:
            raise invalid("Cannot construct an array with element type ARRAY because nested arrays are not supported")
        return Field(name, inner.type, "REPEATED", inner.fields)
    if kind == "STRUCT":
        fields = (given.get("structType") or {}).get("fields") or ()
        return Field(
            name, "STRUCT", fields=tuple(field_from_json(each.get("name") or "", each.get("type")) for each in fields)
        )
    if kind not in SCALARS:
        raise invalid(f"typeKind must be ARRAY, STRUCT or one of {', '.join(SCALARS)}; given: {given['typeKind']!r}")
    return Field(name, standard(kind))


def _type_text(given: Mapping[str, Any]) -> str:
    return type_text(field_from_json("", given))


# -- checks


def check_result(definition: RoutineDefinition, schema: pa.Schema) -> None:
    """Raise for a function whose body is not of the type that it is declared to return."""
    if not definition.returns or definition.kind == TABLE:
        return
    given, wanted = Field.from_arrow(schema.field(0)), field_of_text("", definition.returns)
    if not fits(given, wanted, literal=False) and not same(given, wanted):
        raise invalid_query(
            f"Function declared to return {type_text(wanted)} but the function body produces incompatible type "
            f"{type_text(given)}"
        )


def check_procedure(definition: RoutineDefinition, reference: RoutineReference, catalog: Catalog) -> None:
    """Raise for a procedure whose body is wrong: its syntax, its variables and, unless strict_mode is off, what it calls."""
    try:
        _check_procedure(definition, reference, catalog)
    except TuleError as error:
        raise moved(error, definition.place) from None


def _check_procedure(definition: RoutineDefinition, reference: RoutineReference, catalog: Catalog) -> None:
    arguments = [each.name for each in definition.arguments]
    script = parse_script(definition.body, arguments=arguments)
    if len(script.statements) != 1 or not isinstance(script.statements[0], Block):
        raise invalid("The body of a procedure must be BEGIN ... END", location="definitionBody")
    if definition.options.get("strict_mode", True) is False:
        return
    check_body(script, arguments)
    own = Name(reference.project, reference.dataset, reference.routine)
    for call in _calls(script.statements):
        if call.procedure[0].upper() == "BQ":
            continue
        name = routine_name(call.procedure, reference.project, None)
        if name != own and catalog.routine(name) is None:
            raise script.text.error(f"Procedure is not found: {'.'.join(call.procedure)}", call.place)
    _check_tables(script, reference, catalog)


def _check_tables(script: Script, reference: RoutineReference, catalog: Catalog) -> None:
    """Raise for a table that is neither there nor made by the body."""
    made: set[Name] = set()
    for node, tree in trees(script.statements):
        names = written_names(tree, reference.project)
        if is_definition(tree):
            made.update(names[:1])
            names = names[1:]
        for name in names:
            if name in made:
                continue
            try:
                catalog.resolve(name)
            except NotFound as error:
                raise script.text.placed(error, node.start) from None


def _calls(statements: Sequence[Node]) -> Iterator[Call]:
    for each in statements:
        if isinstance(each, Call):
            yield each
        for block in each.blocks():
            yield from _calls(block)
