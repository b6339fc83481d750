"""Statements as plain values: what the rest of the room needs to know of a syntax tree, without knowing sqlglot."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlglot import exp

from tule.bigquery.sql.catalog import Name, Temporary
from tule.bigquery.sql.data_statements import CreateExternal, DropExternal, ExportData, LoadData
from tule.bigquery.sql.kinds import kind_of_node
from tule.bigquery.sql.names import SESSION, full_name, parts
from tule.bigquery.sql.parse import AlterModel, ExportModel, NamedQueries, printed
from tule.bigquery.sql.routine_statements import (
    AGGREGATE,
    PROCEDURE,
    SCALAR,
    TABLE,
    CreateRoutine,
    DropRoutine,
    RoutineDefinition,
)
from tule.bigquery.sql.table_statements import TableStatement
from tule.bigquery.type_parameters import decimal_parameters
from tule.bigquery.types import Field, standard
from tule.kernel.errors import InvalidArgument, Unimplemented


@dataclass(frozen=True)
class Statement:
    """One statement. ``kind`` is BigQuery's statementType; ``tree`` the parsed GoogleSQL, for the compiler."""

    kind: str
    tree: exp.Expression = field(repr=False)


@dataclass(frozen=True)
class Query(Statement):
    """SELECT in all its forms."""


@dataclass(frozen=True)
class Dml(Statement):
    """INSERT, UPDATE, DELETE, MERGE, TRUNCATE of ``target``."""

    target: Name


@dataclass(frozen=True)
class CreateTable(Statement):
    """CREATE TABLE. ``fields`` None: those of the ``query`` or of ``like`` (with its rows for COPY and CLONE)."""

    target: Name
    replace: bool
    if_not_exists: bool
    fields: list[Field] | None
    query: exp.Expression | None
    like: Name | None = None
    copies_rows: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    partition_by: str = ""
    cluster_by: tuple[str, ...] = ()
    keys: tuple[KeyChange, ...] = ()
    collation: str | None = None
    """DEFAULT COLLATE; None: that of the dataset."""


@dataclass(frozen=True)
class CreateExternalTable(Statement):
    """CREATE EXTERNAL TABLE. ``fields`` None: those that the files show. ``partitions``: the columns of WITH PARTITION
    COLUMNS, empty where they are not listed, None without the clause."""

    target: Name
    replace: bool
    if_not_exists: bool
    fields: list[Field] | None
    options: Mapping[str, Any]
    partitions: list[Field] | None = None


@dataclass(frozen=True)
class ExportQuery(Statement):
    """EXPORT DATA of a query's rows."""

    query: exp.Expression
    options: Mapping[str, Any]


@dataclass(frozen=True)
class LoadFiles(Statement):
    """LOAD DATA. ``table`` has the target, its columns (None: those that the files show) and its layout; ``files`` are the
    options of FROM FILES, ``partitions`` as in ``CreateExternalTable``."""

    table: CreateTable
    overwrite: bool
    files: Mapping[str, Any]
    partitions: list[Field] | None = None
    partition: tuple[str, str] | None = None
    """The column and the value of the one partition that is loaded."""


@dataclass(frozen=True)
class CreateView(Statement):
    """CREATE VIEW; ``query`` is its text, ``columns`` the names and descriptions that its columns get."""

    target: Name
    replace: bool
    if_not_exists: bool
    query: str
    options: Mapping[str, Any] = field(default_factory=dict)
    columns: tuple[tuple[str, str], ...] | None = None


@dataclass(frozen=True)
class CreateSchema(Statement):
    project: str
    dataset: str
    if_not_exists: bool
    options: Mapping[str, Any] = field(default_factory=dict)
    collation: str | None = None


@dataclass(frozen=True)
class Drop(Statement):
    """DROP TABLE, VIEW or MODEL."""

    target: Name
    if_exists: bool


@dataclass(frozen=True)
class DropSchema(Statement):
    project: str
    dataset: str
    if_exists: bool
    cascade: bool


@dataclass(frozen=True)
class ColumnChange:
    """ALTER COLUMN: one of ``type``, ``relax`` (DROP NOT NULL), ``options`` and ``default`` ("" drops it)."""

    column: str
    if_exists: bool
    type: Field | None = None
    relax: bool = False
    options: Mapping[str, Any] | None = None
    default: str | None = None


@dataclass(frozen=True)
class ForeignKey:
    name: str
    columns: tuple[str, ...]
    table: Name
    referenced: tuple[str, ...]


@dataclass(frozen=True)
class KeyChange:
    """A constraint that is added or dropped. ``primary``: the columns of a primary key, () where it is dropped."""

    add: bool
    primary: tuple[str, ...] | None = None
    foreign: ForeignKey | None = None
    name: str = ""
    lenient: bool = False
    """Whether IF [NOT] EXISTS was said."""


@dataclass(frozen=True)
class AlterTable(Statement):
    """ALTER TABLE: columns added, dropped, renamed and changed, options set, keys; in the order written."""

    target: Name
    if_exists: bool
    add: tuple[tuple[Field, bool], ...] = ()
    """(column, whether IF NOT EXISTS was said)"""
    drop: tuple[tuple[str, bool], ...] = ()
    """(name, whether IF EXISTS was said)"""
    rename: tuple[tuple[str, str, bool], ...] = ()
    """(name, new name, whether IF EXISTS was said)"""
    rename_to: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    columns: tuple[ColumnChange, ...] = ()
    keys: tuple[KeyChange, ...] = ()
    collation: str | None = None
    """SET DEFAULT COLLATE: that of columns which are added later."""


@dataclass(frozen=True)
class CreateRoutineNamed(Statement):
    """CREATE of a function, table function or procedure; ``target`` None for a temporary function."""

    target: Name | None
    definition: RoutineDefinition


@dataclass(frozen=True)
class DropRoutineNamed(Statement):
    """DROP of one; ``kind`` tells which."""

    target: Name
    if_exists: bool


@dataclass(frozen=True)
class CreateModel(Statement):
    """CREATE MODEL. ``transform``: the select list of TRANSFORM, ``holidays``: the query of custom ones, ``inputs`` and
    ``outputs``: the columns of INPUT and OUTPUT, ``connection``: of REMOTE, as written; None without."""

    target: Name
    replace: bool
    if_not_exists: bool
    options: Mapping[str, Any]
    query: exp.Expression | None
    transform: list[exp.Expression] | None = None
    holidays: exp.Expression | None = None
    inputs: list[Field] | None = None
    outputs: list[Field] | None = None
    connection: str | None = None


@dataclass(frozen=True)
class AlterModelOptions(Statement):
    target: Name
    if_exists: bool
    options: Mapping[str, Any]


@dataclass(frozen=True)
class ExportModelTo(Statement):
    target: Name
    options: Mapping[str, Any]


def statement(tree: exp.Expression, project: str, dataset: str | None, temporary: Temporary | None = None) -> Statement:
    """Read a syntax tree. ``project`` and ``dataset`` complete names; Unimplemented names what is not done."""

    def name(node: Any) -> Name:
        return full_name(node, project, dataset, temporary)

    if isinstance(tree, exp.Query):
        return Query("SELECT", tree)
    if isinstance(tree, exp.Insert):
        return Dml("INSERT", tree, name(tree.this.this if isinstance(tree.this, exp.Schema) else tree.this))
    if isinstance(tree, exp.Update):
        return Dml("UPDATE", tree, name(tree.this))
    if isinstance(tree, exp.Delete):
        return Dml("DELETE", tree, name(tree.this))
    if isinstance(tree, exp.Merge):
        return Dml("MERGE", tree, name(tree.this))
    if isinstance(tree, exp.TruncateTable):
        return Dml("TRUNCATE_TABLE", tree, name(tree.expressions[0]))
    if isinstance(tree, ExportModel):
        return ExportModelTo("EXPORT_MODEL", tree, name(tree.this), options_of(tree.args.get("properties")))
    if isinstance(tree, AlterModel):
        options = options_of(tree.args.get("properties"))
        return AlterModelOptions("ALTER_MODEL", tree, name(tree.this), bool(tree.args.get("exists")), options)
    if isinstance(tree, exp.Create):
        return _create(tree, project, dataset, temporary)
    if isinstance(tree, CreateRoutine):
        return _create_routine(tree, project, dataset)
    if isinstance(tree, DropRoutine):
        kind = f"DROP_{tree.args['kind'].replace(' ', '_')}"
        return DropRoutineNamed(kind, tree, routine_name(tree.this, project, dataset), bool(tree.args.get("exists")))
    if isinstance(tree, exp.Drop):
        return _drop(tree, project, dataset, temporary)
    if isinstance(tree, ExportData):
        return ExportQuery("EXPORT_DATA", tree, tree.this, tree.args["options"])
    if isinstance(tree, LoadData):
        return _load_files(tree, project, dataset, temporary)
    if isinstance(tree, CreateExternal):
        fields = None if tree.args.get("table") is None else _columns(tree.args["table"])
        target = full_name(_path(tree.this), project, dataset)
        return CreateExternalTable(
            "CREATE_EXTERNAL_TABLE", tree, target, bool(tree.args.get("replace")), bool(tree.args.get("exists")), fields,
            tree.args["options"], _partitions(tree),
        )  # fmt: skip
    if isinstance(tree, DropExternal):
        target = full_name(_path(tree.this), project, dataset)
        return Drop("DROP_EXTERNAL_TABLE", tree, target, bool(tree.args.get("exists")))
    if isinstance(tree, TableStatement):
        made: Statement = tree.this(lambda path: name(_path(path)), tree)
        return made
    raise Unimplemented(
        f"Tule does not run {type(tree).__name__.upper()} statements",
        do="see docs/bigquery.md",
        reason="notImplemented",
    )


_ROUTINES = {
    SCALAR: "CREATE_FUNCTION",
    AGGREGATE: "CREATE_FUNCTION",
    TABLE: "CREATE_TABLE_FUNCTION",
    PROCEDURE: "CREATE_PROCEDURE",
}


def _create_routine(tree: CreateRoutine, project: str, dataset: str | None) -> Statement:
    definition: RoutineDefinition = tree.this
    if definition.temporary and len(definition.path) > 1:
        raise _wrong(f"Temporary functions may not be qualified: {'.'.join(definition.path)}")
    target = None if definition.temporary else routine_name(definition.path, project, dataset)
    return CreateRoutineNamed(_ROUTINES[definition.kind], tree, target, definition)


def routine_name(path: Sequence[str], project: str, dataset: str | None) -> Name:
    """The full name of a function or procedure; raises InvalidArgument where a dataset is missing."""
    written = list(path)
    if len(written) > 3:
        written = [".".join(written[:-2]), *written[-2:]]
    if len(written) == 3:
        return Name(*written)
    if len(written) == 2:
        return Name(project, *written)
    if dataset is None:
        raise InvalidArgument(
            f'Routine name "{written[0]}" missing dataset while no default dataset is set in the request.',
            reason="invalid",
            location="query",
        )
    default_project, _, name = dataset.rpartition(".")
    return Name(default_project or project, name, written[0])


_TABLE_PROPERTIES = (
    exp.Property, exp.TemporaryProperty, exp.PartitionedByProperty, exp.ClusterProperty, exp.LikeProperty,
    exp.CollateProperty,
)  # fmt: skip
"""What may stand around a table's columns; another word would be lost."""


def _create(tree: exp.Create, project: str, dataset: str | None, temporary: Temporary | None = None) -> Statement:
    kind = str(tree.args["kind"]).upper()
    replace, absent = bool(tree.args.get("replace")), bool(tree.args.get("exists"))
    properties = tree.args.get("properties")
    options = options_of(properties, computed=kind in ("SCHEMA", "TABLE", "VIEW"), tuned=kind == "MODEL")
    if kind == "SCHEMA":
        written = parts(tree.this)
        return CreateSchema(
            "CREATE_SCHEMA", tree, *_schema(written, project), absent, options, _default_collation(properties)
        )
    schema = tree.this if isinstance(tree.this, exp.Schema) else None
    named = schema.this if schema else tree.this
    if properties is not None and properties.find(exp.TemporaryProperty):
        target = _temporary_target(named, kind, temporary)
    else:
        target = _created(named, project, dataset, temporary)
    if kind == "MODEL":
        return _create_model(tree, target, replace, absent, options)
    if kind == "VIEW":
        if tree.expression is None:
            raise _wrong("A view must have a query")
        query = printed(tree.expression)
        columns = tuple(_view_column(each) for each in schema.expressions) if schema else None
        return CreateView("CREATE_VIEW", tree, target, replace, absent, query, options, columns)
    if kind != "TABLE":
        raise Unimplemented(f"Tule does not run CREATE {kind}", do="see docs/bigquery.md", reason="notImplemented")
    for each in properties.expressions if properties is not None else ():
        if type(each) not in _TABLE_PROPERTIES:
            raise Unimplemented(
                f"Tule does not do {each.sql('bigquery').strip()} in CREATE TABLE", do="see docs/bigquery-sql.md",
                reason="notImplemented", location="query",
            )  # fmt: skip
    like = copies = None
    if properties is not None and (found := properties.find(exp.LikeProperty)):
        like = full_name(found.this, project, dataset, temporary)
    if (clone := tree.args.get("clone")) is not None:
        like, copies = full_name(clone.this, project, dataset, temporary), True

    def name_of(node: Any) -> Name:
        return full_name(node, project, dataset, temporary)

    fields = [_column(each) for each in schema.expressions if isinstance(each, exp.ColumnDef)] if schema else None
    return CreateTable(
        "CREATE_TABLE_AS_SELECT" if tree.expression is not None else "CREATE_TABLE",
        tree,
        target,
        replace,
        absent,
        fields,
        tree.expression,
        like,
        bool(copies),
        options,
        **_layout_of(properties),
        keys=tuple(_keys(schema, name_of)) if schema else (),
        collation=_default_collation(properties),
    )


def _default_collation(properties: Any) -> str | None:
    found = properties.find(exp.CollateProperty) if properties is not None else None
    return None if found is None else found.this.name


def _keys(schema: Any, name: Callable[[Any], Name]) -> Iterator[KeyChange]:
    """The PRIMARY KEY and FOREIGN KEYs among the columns of a CREATE TABLE; another constraint is refused."""
    for each in schema.expressions:
        label, node = "", each
        if isinstance(each, exp.Constraint):
            label, node = each.this.name, each.expressions[0]
        if isinstance(node, exp.PrimaryKey):
            yield KeyChange(True, primary=tuple(part.name for part in node.expressions))
        elif isinstance(node, exp.ForeignKey):
            columns = tuple(part.name for part in node.expressions)
            yield KeyChange(True, foreign=_foreign(label, columns, node.args["reference"], name))
        elif isinstance(node, exp.ColumnDef):
            for kind in [constraint.kind for constraint in node.args.get("constraints") or []]:
                if isinstance(kind, exp.PrimaryKeyColumnConstraint):
                    yield KeyChange(True, primary=(node.name,))
                elif isinstance(kind, exp.Reference):
                    yield KeyChange(True, foreign=_foreign("", (node.name,), kind, name))
                else:
                    continue
                _not_enforced(node)
            continue
        else:
            raise Unimplemented(f"Tule does not do {each.sql('bigquery')} in CREATE TABLE", reason="notImplemented")
        _not_enforced(each)


def _not_enforced(node: Any) -> None:
    if "NOT ENFORCED" not in node.sql("bigquery").upper():
        raise _wrong("Syntax error: Enforced constraints are not supported; write NOT ENFORCED behind a key")


def _foreign(label: str, columns: tuple[str, ...], reference: Any, name: Callable[[Any], Name]) -> ForeignKey:
    target = reference.this
    return ForeignKey(label, columns, name(target.this), tuple(each.name for each in target.expressions))


def _load_files(tree: LoadData, project: str, dataset: str | None, temporary: Temporary | None) -> Statement:
    named, made = _path(tree.this), tree.args["table"]
    properties = made.args.get("properties")
    if tree.args.get("temporary"):
        target = _temporary_target(named, "TABLE", temporary)
    else:
        target = full_name(named, project, dataset, temporary)
    fields = _columns(made) if isinstance(made.this, exp.Schema) else None
    layout = _layout_of(properties)
    table = CreateTable(
        "CREATE_TABLE", made, target, False, False, fields, None, options=tree.args["options"], **layout
    )
    partition = tree.args.get("partition")
    return LoadFiles(
        "LOAD_DATA", tree, table, bool(tree.args.get("overwrite")), tree.args["files"], _partitions(tree),
        None if partition is None else (partition.this.name, _constant_text(partition.expression)),
    )  # fmt: skip


def _constant_text(value: Any) -> str:
    """The text of a literal, also of one with a type before it."""
    literal = value.this if isinstance(value, exp.Cast) else value
    negative = isinstance(literal, exp.Neg)
    literal = literal.this if negative else literal
    if not isinstance(literal, exp.Literal):
        raise InvalidArgument(
            f"The value of PARTITIONS must be a literal; given: {value.sql('bigquery')}", reason="invalidQuery"
        )
    return "-" * negative + literal.name


def _path(path: Sequence[str]) -> exp.Table:
    names = [exp.to_identifier(each, quoted=True) for each in path]
    head = exp.to_identifier(".".join(path[:-2]), quoted=True) if len(path) > 2 else None
    return exp.Table(this=names[-1], db=names[-2] if len(names) > 1 else None, catalog=head)


def _partitions(tree: exp.Expression) -> list[Field] | None:
    given = tree.args.get("partitions")
    if given is None:
        return None
    return [] if given is False else _columns(given)


def _columns(tree: Any) -> list[Field]:
    """The columns of a CREATE TABLE; anything else among them is refused."""
    for each in tree.this.expressions:
        if not isinstance(each, exp.ColumnDef):
            raise Unimplemented(f"Tule does not do {each.sql('bigquery')} among these columns", reason="notImplemented")
    return [_column(each) for each in tree.this.expressions]


def _layout_of(properties: Any) -> dict[str, Any]:
    """PARTITION BY and CLUSTER BY of a CREATE TABLE."""
    partition = properties.find(exp.PartitionedByProperty) if properties is not None else None
    cluster = properties.find(exp.ClusterProperty) if properties is not None else None
    return {
        "partition_by": partition.this.sql(dialect="bigquery") if partition is not None else "",
        "cluster_by": tuple(each.name for each in cluster.expressions) if cluster is not None else (),
    }


def _view_column(node: Any) -> tuple[str, str]:
    """The name and description of a column in the list of a view."""
    constraints = node.args.get("constraints") or [] if isinstance(node, exp.ColumnDef) else []
    options: dict[str, Any] = {}
    for each in constraints:
        options |= options_of(each.kind if isinstance(each.kind, exp.Properties) else None)
    return node.name, str(next((given for key, given in options.items() if key.lower() == "description"), None) or "")


def _created(named: Any, project: str, dataset: str | None, temporary: Temporary | None) -> Name:
    """The name of what a statement makes: ``_SESSION.t`` is a temporary table, a bare name is not."""
    if temporary is not None and len(parts(named)) == 2:
        return full_name(named, project, dataset, temporary)
    return full_name(named, project, dataset)


def _temporary_target(named: Any, kind: str, temporary: Temporary | None) -> Name:
    if kind != "TABLE":
        raise Unimplemented(
            f"Tule does not make temporary {kind.lower()}s", do="use a dataset's", reason="notImplemented"
        )
    if temporary is None:
        raise _wrong("Use of CREATE TEMPORARY TABLE requires a script or session")
    written = parts(named)
    if len(written) > 1 and not (len(written) == 2 and written[0].upper() == SESSION):
        raise _wrong("Temporary tables may not be qualified")
    return temporary.named(written[-1])


def _create_model(
    tree: exp.Create, target: Name, replace: bool, absent: bool, options: Mapping[str, Any]
) -> CreateModel:
    properties = tree.args.get("properties")
    found = list(properties.expressions) if properties is not None else []
    clauses = {type(each): each for each in found}
    transform = clauses[exp.TransformModelProperty].expressions if exp.TransformModelProperty in clauses else None
    inputs, outputs = (
        [_column(each) for each in clauses[kind].this.expressions] if kind in clauses else None
        for kind in (exp.InputModelProperty, exp.OutputModelProperty)
    )
    remote = clauses.get(exp.RemoteWithConnectionModelProperty)
    connection = ".".join(parts(remote.this)) if remote is not None else None
    query = tree.expression
    holidays = None
    if isinstance(query, NamedQueries):
        named = {each.alias.lower(): each.this for each in query.expressions}
        if "training_data" not in named or named.keys() - {"training_data", "custom_holiday"}:
            raise _wrong(
                "The named queries of CREATE MODEL must be training_data and custom_holiday; given: " + ", ".join(named)
            )
        query, holidays = named["training_data"], named.get("custom_holiday")
    if isinstance(query, exp.Subquery):
        query = query.unnest()
    return CreateModel(
        "CREATE_MODEL", tree, target, replace, absent, options, query, transform, holidays, inputs, outputs, connection
    )


def _schema(written: list[str], project: str) -> tuple[str, str]:
    return (".".join(written[:-1]) or project, written[-1])


def _drop(tree: exp.Drop, project: str, dataset: str | None, temporary: Temporary | None = None) -> Statement:
    kind = str(tree.args["kind"]).upper()
    exists = bool(tree.args.get("exists"))
    nodes = tree.args.get("tables") or [tree.this]
    if len(nodes) != 1:
        raise _wrong("DROP must name one thing")
    if kind == "SCHEMA":
        return DropSchema(
            "DROP_SCHEMA", tree, *_schema(parts(nodes[0]), project), exists, bool(tree.args.get("cascade"))
        )
    if kind not in ("TABLE", "VIEW", "MODEL"):
        raise Unimplemented(f"Tule does not run DROP {kind}", do="see docs/bigquery.md", reason="notImplemented")
    return Drop(f"DROP_{kind}", tree, full_name(nodes[0], project, dataset, temporary), exists)


def _wrong(message: str) -> InvalidArgument:
    return InvalidArgument(message, reason="invalidQuery", location="query")


# -- columns and options


def _column(node: exp.ColumnDef) -> Field:
    """A column definition as a field; a constraint that changes behaviour and is not done is refused."""
    mode, description, default, collation = None, "", "", None
    for constraint in node.args.get("constraints") or []:
        kind = constraint.kind
        if isinstance(kind, exp.NotNullColumnConstraint):
            mode = "NULLABLE" if kind.args.get("allow_null") else "REQUIRED"
        elif isinstance(kind, exp.Properties):
            description = _column_description(node.name, options_of(kind))
        elif isinstance(kind, exp.DefaultColumnConstraint):
            default = printed(kind.this)
        elif isinstance(kind, exp.PrimaryKeyColumnConstraint | exp.Reference):
            # Keys are read with the others (``_keys``).
            continue
        elif isinstance(kind, exp.CollateColumnConstraint):
            collation = kind.this.name
        else:
            raise Unimplemented(
                f"Tule does not do {constraint.sql('bigquery')} of a column", given=node.name, reason="notImplemented"
            )
    made = field_of(node.name, node.args["kind"], mode=mode, description=description)
    return replace(made, default=default, collation=made.collation if collation is None else collation)


def _column_description(name: str, options: Mapping[str, Any]) -> str:
    for key, given in options.items():
        if key.lower() == "rounding_mode" and str(given).upper() != "ROUND_HALF_AWAY_FROM_ZERO":
            raise Unimplemented(
                f"Tule does not do rounding_mode {given} of a column",
                given=name,
                do="leave it out",
                reason="notImplemented",
            )
        if key.lower() not in ("description", "rounding_mode"):
            raise Unimplemented(f"Tule does not do the option {key} of a column", given=name, reason="notImplemented")
    return str(next((given for key, given in options.items() if key.lower() == "description"), None) or "")


def field_of(name: str, kind: exp.DataType, *, mode: str | None = None, description: str = "") -> Field:
    """A field of a type node: ARRAY becomes REPEATED, parameters (STRING(10)) its attributes."""
    if kind.this == exp.DataType.Type.ARRAY:
        inner = kind.expressions[0]
        if inner.this == exp.DataType.Type.ARRAY:
            raise _wrong("Cannot construct an array of arrays")
        return replace(field_of(name, inner), mode="REPEATED", description=description)
    if kind.this == exp.DataType.Type.STRUCT:
        fields = []
        for index, each in enumerate(kind.expressions):
            if isinstance(each, exp.ColumnDef):
                fields.append(_column(each))
            else:
                fields.append(field_of(f"_field_{index + 1}", each))
        return Field(name, "STRUCT", mode or "NULLABLE", tuple(fields), description)
    if kind.this == exp.DataType.Type.RANGE:
        element = kind_of_node(kind).element
        assert element is not None
        return Field(name, "RANGE", mode or "NULLABLE", (), description, element=element.name)
    sizes = [each for each in kind.expressions if isinstance(each, exp.DataTypeParam)]
    if not sizes:
        return Field(name, standard(kind.sql(dialect="bigquery")), mode or "NULLABLE", (), description)
    bare = kind.copy()
    bare.set("expressions", [])
    made = Field(name, standard(bare.sql(dialect="bigquery")), mode or "NULLABLE", (), description)
    return replace(made, **_parameters(made, [_size(each, kind) for each in sizes], kind))


def _size(node: Any, kind: Any) -> int:
    if not node.name.isdigit():
        raise _wrong(f"{kind.sql('bigquery')}: a type's parameters must be whole numbers")
    return int(node.name)


def _parameters(made: Field, sizes: list[int], kind: Any) -> dict[str, Any]:
    """The parameters that a type is written with, as attributes of its field."""
    if made.type in ("STRING", "BYTES") and len(sizes) == 1 and sizes[0]:
        return {"length": sizes[0]}
    if made.type in ("NUMERIC", "BIGNUMERIC") and len(sizes) <= 2:
        decimal_parameters(made.type, sizes[0], sizes[1] if len(sizes) > 1 else None, made.name)
        return dict(zip(("precision", "scale"), sizes, strict=False))
    raise Unimplemented(
        f"Tule has no type {kind.sql('bigquery')}", given=f"column {made.name}", do="leave the parameters out",
        reason="notImplemented",
    )  # fmt: skip


def field_of_text(name: str, text: str) -> Field:
    """A field of a type as GoogleSQL writes it."""
    return field_of(name, exp.DataType.build(text, dialect="bigquery"))


_UNITS = ("YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND")
_LONG_INTERVAL = re.compile(r"(?:\d+-\d+ )?(?:\d+ )?\d+:\d+:\d+")


def _interval(node: Any) -> str | None:
    """A constant interval as BigQuery writes it: ``0-0 0 4:0:0``."""
    text = node.this.name if isinstance(node.this, exp.Literal) else ""
    unit = node.args["unit"].sql("bigquery").upper() if node.args.get("unit") is not None else ""
    if unit in _UNITS and text.isdigit():
        parts = {each: (text if each == unit else "0") for each in _UNITS}
        return "{YEAR}-{MONTH} {DAY} {HOUR}:{MINUTE}:{SECOND}".format(**parts)
    if _LONG_INTERVAL.fullmatch(text):
        days, _, time = text.rpartition(" ")
        months, _, days = days.rpartition(" ")
        return f"{months or '0-0'} {days or '0'} {time}"
    return None


@dataclass(frozen=True)
class HparamRange:
    """``HPARAM_RANGE(low, high)``: the value of an option of CREATE MODEL that is to be tuned."""

    low: Any
    high: Any


@dataclass(frozen=True)
class HparamCandidates:
    """``HPARAM_CANDIDATES([value, ...])``"""

    values: Any


@dataclass(frozen=True)
class Computed:
    """The value of an option that functions make: it is computed when the statement runs."""

    tree: exp.Expression


def options_of(properties: Any, *, computed: bool = False, tuned: bool = False) -> dict[str, Any]:
    """``OPTIONS (...)`` by name as written; a name given twice is an error. Values that functions make are ``Computed``
    where these may be, those of HPARAM_RANGE and HPARAM_CANDIDATES are read where something is ``tuned``."""
    found: dict[str, Any] = {}
    for each in properties.expressions if properties is not None else ():
        # Not its subclasses: PARTITION BY, CLUSTER BY and LIKE are properties to sqlglot too.
        if type(each) is exp.Property:
            name = each.this.name
            if name.lower() in (known.lower() for known in found):
                raise _wrong(f"Duplicate option: {name}")
            written = each.args["value"]
            if tuned and isinstance(written, exp.Anonymous):
                found[name] = _tuned(written)
            else:
                found[name] = _value_or_computed(written) if computed else value(written)
    return found


def _tuned(node: exp.Anonymous) -> Any:
    match node.name.upper(), node.expressions:
        case "HPARAM_RANGE", [low, high]:
            return HparamRange(value(low), value(high))
        case "HPARAM_CANDIDATES", [values]:
            return HparamCandidates(value(values))
        case ("HPARAM_RANGE" | "HPARAM_CANDIDATES") as name, given:
            takes = "a lowest and a highest number" if name == "HPARAM_RANGE" else "an array of values"
            raise _wrong(f"{name} takes {takes}; given: {len(given)} arguments")
    return value(node)


def _value_or_computed(node: Any) -> Any:
    try:
        return value(node)
    except InvalidArgument:
        if node.find(exp.Column, exp.Query) is not None:
            raise
        return Computed(node)


def value(node: Any) -> Any:
    """A constant: str, bool, int, float, None, list, tuple (a struct). Anything else is an error."""
    match node:
        case exp.Literal() if node.is_string:
            return node.this
        case exp.Literal():
            return int(node.this) if node.this.isdigit() else float(node.this)
        case exp.Boolean():
            return bool(node.this)
        case exp.Null():
            return None
        case exp.Neg():
            return -value(node.this)
        case exp.Paren():
            return value(node.this)
        case exp.Array() | exp.List():
            return [value(each) for each in node.expressions]
        case exp.Struct() | exp.Tuple():
            return tuple(
                value(each.expression if isinstance(each, exp.PropertyEQ) else each) for each in node.expressions
            )
        case exp.Cast():
            return value(node.this)
        case exp.Interval() if (found := _interval(node)) is not None:
            return found
    raise _wrong(f"An option must be a constant; given: {node.sql('bigquery')}")
