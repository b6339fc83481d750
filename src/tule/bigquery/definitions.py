"""Statements that define: CREATE, DROP and ALTER of tables, views and schemas.

https://cloud.google.com/bigquery/docs/reference/standard-sql/data-definition-language
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, Protocol

import pyarrow as pa

from tule.bigquery import collations, constraints, schemas
from tule.bigquery import options as option_fields
from tule.bigquery.datasets import Datasets
from tule.bigquery.destinations import WriteLocks
from tule.bigquery.errors import already_exists, invalid_query, not_found, not_implemented
from tule.bigquery.jobs import Outcome
from tule.bigquery.models import Models
from tule.bigquery.partitioning import DATE, TIME, arriving, stored_fields
from tule.bigquery.physical import Physical, fit
from tule.bigquery.readable import Sources
from tule.bigquery.references import DatasetReference, ModelReference, TableReference
from tule.bigquery.schemas import JsonField
from tule.bigquery.sql.catalog import Name
from tule.bigquery.sql.statements import (
    AlterTable,
    ColumnChange,
    CreateSchema,
    CreateTable,
    CreateView,
    Drop,
    DropSchema,
)
from tule.bigquery.tables import (
    EXTERNAL,
    MATERIALIZED_VIEW,
    SNAPSHOT,
    TABLE,
    VIEW,
    Tables,
    not_a_table,
    writable,
)
from tule.bigquery.types import fields_from_rest
from tule.kernel.clock import Clock
from tule.kernel.records import Record, Records

_TRUNCATED = re.compile(
    r"(?P<function>TIMESTAMP_TRUNC|DATETIME_TRUNC|DATE_TRUNC)\(\s*`?(?P<column>\w+)`?\s*,\s*(?P<grain>HOUR|DAY|MONTH|YEAR)\s*\)",
    re.I,
)
_DATE_OF = re.compile(r"DATE\(\s*`?(?P<column>\w+)`?\s*\)|CAST\(`?(?P<cast>\w+)`? AS DATE\)", re.I)
_COLUMN = re.compile(r"`?(?P<column>\w+)`?")
_RANGE = re.compile(
    r"RANGE_BUCKET\(\s*`?(?P<column>\w+)`?\s*,\s*GENERATE_ARRAY\(\s*(?P<start>-?\d+)\s*,\s*(?P<end>-?\d+)\s*"
    r"(?:,\s*(?P<interval>\d+)\s*)?\)\s*\)",
    re.I,
)


_DROPPED = {
    "DROP_VIEW": VIEW,
    "DROP_EXTERNAL_TABLE": EXTERNAL,
    "DROP_SNAPSHOT_TABLE": SNAPSHOT,
    "DROP_MATERIALIZED_VIEW": MATERIALIZED_VIEW,
}


class Transaction(Protocol):
    """An open transaction that temporary tables are made and dropped in."""

    def made(self, reference: TableReference, body: dict[str, Any], physical: str, *, replace: bool) -> None:
        """Make the record of a table whose rows the transaction wrote."""

    def dropped(self, reference: TableReference) -> None:
        """Remove a table."""


class Definitions:
    """Runs statements that define. Each returns the Outcome that makes its effect visible."""

    def __init__(
        self,
        records: Records,
        datasets: Datasets,
        tables: Tables,
        models: Models,
        physical: Physical,
        sources: Sources,
        locks: WriteLocks,
        clock: Clock,
    ) -> None:
        self._records = records
        self._datasets = datasets
        self._tables = tables
        self._models = models
        self._physical = physical
        self._sources = sources
        self._locks = locks
        self._clock = clock

    # -- tables

    def skipped(self, statement: CreateTable | CreateView) -> Outcome | None:
        """The Outcome of IF NOT EXISTS where the table is there; raises where it may not be."""
        target = _table(statement.target)
        self._datasets.check(target.parent)
        if statement.replace or self._tables.find(target) is None:
            return None
        if not statement.if_not_exists:
            raise already_exists("Table", target)
        return Outcome({"query": ddl("SKIP", target)})

    def create_table(self, statement: CreateTable) -> Outcome:
        """CREATE TABLE without a query: from columns, or LIKE, COPY or CLONE of another table."""
        target = _table(statement.target)
        if skipped := self.skipped(statement):
            return skipped
        layout = layout_of(statement)
        if statement.like is not None:
            source = self._sources.open(_table(statement.like))
            fields = schemas.checked(source.fields)
            layout = {**source.layout, **layout}
            stored = stored_fields(layout, fields)
            if statement.copies_rows:
                rows = arriving(layout, source.scan(stored=source.stored), self._clock.now())
                name, _ = self._physical.fill(
                    target.project, stored, (fit(each, fields_from_rest(stored)) for each in rows)
                )
            else:
                name = self._physical.create(target.project, stored)
        else:
            if statement.fields is None:
                raise invalid_query("CREATE TABLE must have columns or a query")
            fields = schemas.checked([each.rest() for each in statement.fields])
            name = self._physical.create(target.project, stored_fields(layout, fields))
        return self.created(statement, fields, name, layout=layout)

    def created(
        self,
        statement: CreateTable,
        fields: Sequence[JsonField],
        name: str,
        transaction: Transaction | None = None,
        *,
        layout: dict[str, Any] | None = None,
    ) -> Outcome:
        """The Outcome of a new table whose rows are in the physical table ``name``, written by ``transaction`` if any."""
        target = _table(statement.target)
        try:
            given = described_table(statement.options)
            if statement.like is not None and (source := self._tables.find(_table(statement.like))) is not None:
                given["defaultCollation"] = source.body.get("defaultCollation", "")
            if statement.collation is not None:
                given["defaultCollation"] = collations.checked(statement.collation, "a table's new columns")
            layout = dict(layout_of(statement) if layout is None else layout)
            if "expirationMs" in (expiry := given.pop("timePartitioning", {})):
                if "timePartitioning" not in layout:
                    raise invalid_query("The option partition_expiration_days must be of a table partitioned by time")
                layout["timePartitioning"] = {**layout["timePartitioning"], **expiry}
            given |= {"tableConstraints": constraints.changed(None, statement.keys, fields, target)}
            body = self._tables.table_body(target, {**given, **layout}, list(fields))
        except BaseException:
            if transaction is None:
                self._physical.drop(target.project, name)
            raise
        existed = self._tables.find(target) is not None
        about = {"query": ddl("REPLACE" if existed else "CREATE", target)}
        if transaction is not None:
            transaction.made(target, body, name, replace=statement.replace)
            return Outcome(about)

        def commit() -> None:
            if statement.replace:
                self._tables.replace(target, body, name)
            else:
                self._tables.create(target, body, name)

        return Outcome(about, commit=commit, undo=lambda: self._physical.drop(target.project, name))

    def create_view(self, statement: CreateView, fields: list[JsonField]) -> Outcome:
        target = _table(statement.target)
        if skipped := self.skipped(statement):
            return skipped
        existed = self._tables.find(target)
        if existed is not None and existed.body["type"] == TABLE:
            raise invalid_query(f"{target} is not allowed for this operation because it is currently a TABLE.")
        options = option_fields.described(statement.options, option_fields.VIEW)
        query = statement.query
        if statement.columns is not None:
            query = _renamed_query(query, statement.columns, fields)
            fields = [
                {**each, "name": name, **({"description": text} if text else {})}
                for each, (name, text) in zip(fields, statement.columns, strict=True)
            ]
        body = self._tables.view_body(target, {**options, "view": {"query": query}})
        body["schema"] = {"fields": fields}

        def commit() -> None:
            self._tables.replace(target, body, None)

        return Outcome({"query": ddl("REPLACE" if existed else "CREATE", target)}, commit=commit)

    def drop(self, statement: Drop, transaction: Transaction | None = None) -> Outcome:
        """DROP TABLE, VIEW or MODEL; in a ``transaction`` of a temporary table."""
        if statement.kind == "DROP_MODEL":
            return self._drop_model(statement)
        target = _table(statement.target)
        record = self._tables.find(target)
        wanted = _DROPPED.get(statement.kind, TABLE)
        if record is None:
            if statement.if_exists:
                return Outcome({"query": ddl("SKIP", target)})
            self._datasets.check(target.parent)
            raise not_found("Table", target, location=self._datasets.location(target.parent))
        if record.body["type"] != wanted and not (statement.kind == "DROP_TABLE" and record.body["type"] == EXTERNAL):
            raise invalid_query(
                f"{target} is not allowed for this operation because it is currently a {record.body['type']}."
            )
        if transaction is not None:
            transaction.dropped(target)
            return Outcome({"query": ddl("DROP", target)})
        return Outcome({"query": ddl("DROP", target)}, commit=lambda: self._tables.delete(target))

    def _drop_model(self, statement: Drop) -> Outcome:
        name = statement.target
        target = ModelReference(name.project, name.dataset, name.table)
        place = TableReference(name.project, name.dataset, name.table)
        record = self._models.find(target)
        if record is None:
            if statement.if_exists:
                return Outcome({"query": ddl("SKIP", place)})
            self._datasets.check(target.parent)
            raise not_found("Model", target)
        return Outcome({"query": ddl("DROP", place)}, commit=lambda: self._models.remove(record))

    def alter_table(self, statement: AlterTable) -> Outcome:
        """ALTER TABLE: the actions of one statement together."""
        target = _table(statement.target)
        held = ExitStack()
        held.enter_context(self._locks.hold(target.name))
        try:
            outcome = self._altered(statement, target)
        except BaseException:
            held.close()
            raise
        outcome.release = held.close
        return outcome

    def _altered(self, statement: AlterTable, target: TableReference) -> Outcome:
        record = self._tables.find(target)
        if record is None:
            if statement.if_exists:
                return Outcome({"query": ddl("SKIP", target)})
            self._datasets.check(target.parent)
            raise not_found("Table", target, location=self._datasets.location(target.parent))
        about = {"query": ddl("ALTER", target)}
        if record.body["type"] not in (TABLE, EXTERNAL):
            raise not_a_table(target, record.body["type"])
        if statement.rename_to:
            return self._renamed(statement, record, target, about)
        change = option_fields.described(statement.options, option_fields.TABLE, clears=True)
        if expiry := change.pop("timePartitioning", None):
            if "timePartitioning" not in record.body:
                raise invalid_query("The option partition_expiration_days must be of a table partitioned by time")
            change["timePartitioning"] = {**record.body["timePartitioning"], **expiry}
        old: list[JsonField] = record.body["schema"]["fields"]
        if statement.collation is not None:
            change["defaultCollation"] = collations.checked(statement.collation, "a table's new columns") or None
        fields, origin = _columns(statement, record.body.get("defaultCollation", ""), old)
        described = _changed(statement.columns, fields)
        schemas.checked(fields)
        schemas.layout(record.body, fields)
        if statement.keys:
            change["tableConstraints"] = constraints.changed(
                record.body.get("tableConstraints"), statement.keys, fields, target
            )
        if _shape(fields) == _shape(old) and not origin:
            if described:
                change["schema"] = {"fields": fields}
            return Outcome(about, commit=lambda: _ignore(self._tables.patch(target, change)))
        name = writable(record)
        stored = stored_fields(record.body, fields)
        moved = self._moved(target.project, name, stored, origin)
        new, _ = self._physical.fill(target.project, stored, moved)

        def commit() -> None:
            self._tables.flip(target, new, {"schema": {"fields": fields}}, how="ALTER")
            if change:
                self._tables.patch(target, change)

        return Outcome(about, commit=commit, undo=lambda: self._physical.drop(target.project, new))

    def _moved(
        self, project: str, name: str, fields: Sequence[JsonField], origin: Mapping[str, str]
    ) -> Iterator[pa.RecordBatch]:
        """The rows of a table in its new columns; ``origin`` maps a new name to the old one where they differ."""
        columns = fields_from_rest(fields)
        renamed = {old.lower(): new for new, old in origin.items()}
        kept = {each.name.lower() for each in columns}
        for batch in self._physical.scan(project, name):
            names = [renamed.get(each.lower(), each) for each in batch.schema.names]
            moved = batch.rename_columns(names)
            yield fit(moved.select([each for each in names if each.lower() in kept]), columns)

    def _renamed(self, statement: AlterTable, record: Record, target: TableReference, about: dict[str, Any]) -> Outcome:
        if (
            statement.add
            or statement.drop
            or statement.rename
            or statement.options
            or statement.columns
            or statement.keys
        ):
            raise invalid_query("RENAME TO must stand alone in ALTER TABLE")
        new = TableReference(target.project, target.dataset, statement.rename_to).checked()
        if self._tables.find(new) is not None:
            raise already_exists("Table", new)

        def commit() -> None:
            body = {key: value for key, value in record.body.items() if key != "_tule"}
            body["tableReference"] = new.json()
            # The rows stay where they are: only the name that leads to them changes.
            self._records.delete(target.name)
            self._tables.create(new, body, writable(record))

        return Outcome(about, commit=commit)

    # -- schemas

    def create_schema(self, statement: CreateSchema) -> Outcome:
        target = DatasetReference(statement.project, statement.dataset).checked()
        about = _ddl_dataset("CREATE", target)
        if self._datasets.find(target) is not None:
            if not statement.if_not_exists:
                raise already_exists("Dataset", target)
            return Outcome({"query": _ddl_dataset("SKIP", target)})
        body = {"datasetReference": target.json(), **option_fields.described(statement.options, option_fields.SCHEMA)}
        if statement.collation is not None:
            body["defaultCollation"] = collations.checked(statement.collation, "a dataset's new tables")
        return Outcome({"query": about}, commit=lambda: _ignore(self._datasets.insert(target.project, body)))

    def drop_schema(self, statement: DropSchema) -> Outcome:
        target = DatasetReference(statement.project, statement.dataset)
        if self._datasets.find(target) is None:
            if statement.if_exists:
                return Outcome({"query": _ddl_dataset("SKIP", target)})
            raise not_found("Dataset", target)
        return Outcome(
            {"query": _ddl_dataset("DROP", target)},
            commit=lambda: self._datasets.delete(target, contents=statement.cascade, drop=self.drop_contents),
        )

    def drop_contents(self, dataset: DatasetReference) -> None:
        """Remove the tables and models of a dataset, inside the current transaction where there is one."""
        with self._records.transaction():
            self._tables.delete_under(dataset)
            for record in self._records.list("bigquery#routine", dataset.name).records:
                self._records.delete(record.name)
            for record in self._records.list("bigquery#model", dataset.name).records:
                self._models.remove(record)


def _table(name: Name) -> TableReference:
    return TableReference(name.project, name.dataset, name.table).checked()


def ddl(operation: str, target: TableReference) -> dict[str, Any]:
    return {"ddlOperationPerformed": operation, "ddlTargetTable": target.json()}


def _ddl_dataset(operation: str, target: DatasetReference) -> dict[str, Any]:
    return {"ddlOperationPerformed": operation, "ddlTargetDataset": target.json()}


def _ignore(_: Any) -> None:
    return None


def _columns(statement: AlterTable, collation: str, old: Sequence[JsonField]) -> tuple[list[JsonField], dict[str, str]]:
    """The columns after a statement, and the old name of each that was renamed; ``collation``: that of new ones."""
    fields = [dict(each) for each in old]
    origin: dict[str, str] = {}
    for field, if_not_exists in statement.add:
        if schemas.find(fields, field.name) is not None:
            if if_not_exists:
                continue
            raise invalid_query(f"Column already exists: {field.name}")
        if field.mode == "REQUIRED":
            raise invalid_query(f"Cannot add required columns to an existing table. (column: {field.name})")
        if field.default:
            raise invalid_query(
                f"Adding a column with a default value to an existing table is not supported (column: {field.name}): add it "
                "without, then ALTER COLUMN SET DEFAULT"
            )
        fields += collations.inherited(schemas.checked([field.rest()]), collation)
    for name, if_exists in statement.drop:
        found = schemas.find(fields, name)
        if found is None:
            if if_exists:
                continue
            raise invalid_query(f"Column not found: {name}")
        if len(fields) == 1:
            raise invalid_query(f"Cannot drop the only column of a table: {name}")
        fields.remove(found)
    for before, after, if_exists in statement.rename:
        found = schemas.find(fields, before)
        if found is None:
            if if_exists:
                continue
            raise invalid_query(f"Column not found: {before}")
        if schemas.find(fields, after) is not None:
            raise invalid_query(f"Column already exists: {after}")
        origin[after] = found["name"]
        found["name"] = after
    return fields, origin


def described_table(options: Mapping[str, Any]) -> dict[str, Any]:
    """OPTIONS of a table as fields of the REST resource."""
    return option_fields.described(options, option_fields.TABLE)


def _renamed_query(query: str, columns: Sequence[tuple[str, str]], fields: Sequence[JsonField]) -> str:
    """The query of a view whose columns have names of their own."""
    if len(columns) != len(fields):
        raise invalid_query(
            f"The number of columns in the view's column list ({len(columns)}) does not match that of its query "
            f"({len(fields)})"
        )
    names = ", ".join(f"`{each['name']}` AS `{name}`" for each, (name, _) in zip(fields, columns, strict=True))
    return f"SELECT {names} FROM (\n{query}\n)"


# What a column may become, beside itself. https://cloud.google.com/bigquery/docs/reference/standard-sql/conversion_rules
_WIDER = {
    "INTEGER": ("NUMERIC", "BIGNUMERIC", "FLOAT"),
    "NUMERIC": ("BIGNUMERIC", "FLOAT"),
    "BIGNUMERIC": ("FLOAT",),
}


def _changed(columns: Sequence[ColumnChange], fields: list[JsonField]) -> bool:
    """Apply ALTER COLUMN to ``fields``; whether there was anything to do."""
    described = False
    for each in columns:
        found = schemas.find(fields, each.column)
        if found is None:
            if each.if_exists:
                continue
            raise invalid_query(f"Column not found: {each.column}")
        described = True
        if each.relax:
            if found["mode"] != "REQUIRED":
                raise invalid_query(
                    f"ALTER TABLE ALTER COLUMN DROP NOT NULL requires column {each.column} to be REQUIRED"
                )
            found["mode"] = "NULLABLE"
        elif each.options is not None:
            if unknown := [name for name in each.options if name != "description"]:
                raise not_implemented(f"The option {unknown[0]} of a column", do="leave it out; done is description")
            found.pop("description", None)
            if each.options.get("description"):
                found["description"] = str(each.options["description"])
        elif each.default is not None:
            found.pop("defaultValueExpression", None)
            if each.default:
                found["defaultValueExpression"] = each.default
        elif each.type is not None:
            _retype(found, each.type.rest(), each.column)
    return described


def _retype(found: JsonField, new: JsonField, column: str) -> None:
    """Give a column another type; raises for one that cannot hold all that it holds."""
    wider = new["type"] == found["type"] or new["type"] in _WIDER.get(found["type"], ())
    if not wider or (new["mode"] == "REPEATED") != (found["mode"] == "REPEATED") or found["type"] == "RECORD":
        raise invalid_query(
            f"ALTER TABLE ALTER COLUMN SET DATA TYPE requires that the existing column type ({found['type']}) is "
            f"assignable to the new column type ({new['type']}); column: {column}"
        )
    if new.get("collation", found.get("collation", "")) != found.get("collation", ""):
        raise invalid_query(f"ALTER TABLE ALTER COLUMN SET DATA TYPE must not change the collation of column {column}")
    for key in ("maxLength", "precision", "scale"):
        before, after = found.get(key), new.get(key)
        if key == "maxLength" and after is not None and (before is None or int(after) < int(before)):
            raise invalid_query(f"ALTER TABLE ALTER COLUMN SET DATA TYPE must not make column {column} shorter")
        found.pop(key, None)
        if after is not None:
            found[key] = after
    found["type"] = new["type"]


def _shape(fields: Sequence[JsonField]) -> list[Any]:
    """What of the columns the rows of a table depend on."""
    return [
        (each["name"], each["type"], each["mode"], each.get("maxLength"), each.get("precision"), each.get("scale"),
         _shape(each.get("fields", [])))
        for each in fields
    ]  # fmt: skip


def layout_of(statement: CreateTable) -> dict[str, Any]:
    """PARTITION BY and CLUSTER BY as the REST resource writes them."""
    return layout_of_text(statement.partition_by, statement.cluster_by)


def layout_of_text(partition_by: str, cluster_by: Sequence[str]) -> dict[str, Any]:
    """The same of their texts."""
    made: dict[str, Any] = {}
    if cluster_by:
        made["clustering"] = {"fields": list(cluster_by)}
    text = partition_by.strip()
    if not text:
        return made
    if found := _RANGE.fullmatch(text):
        bounds = {"start": found["start"], "end": found["end"], "interval": found["interval"] or "1"}
        return {**made, "rangePartitioning": {"field": found["column"], "range": bounds}}
    if (grain := _loading_grain(text)) is not None:
        return {**made, "timePartitioning": {"type": grain}}
    if found := _TRUNCATED.fullmatch(text):
        return {**made, "timePartitioning": {"type": found["grain"].upper(), "field": found["column"]}}
    if found := _DATE_OF.fullmatch(text):
        return {**made, "timePartitioning": {"type": "DAY", "field": found["column"] or found["cast"]}}
    if (found := _COLUMN.fullmatch(text)) and not found["column"].upper().startswith("_PARTITION"):
        return {**made, "timePartitioning": {"type": "DAY", "field": found["column"]}}
    raise invalid_query(f"PARTITION BY expression must be {_EXPRESSIONS}")


def _loading_grain(text: str) -> str | None:
    """The grain of a partitioning by the time of loading; None for another expression."""
    if text.strip("`").upper() == DATE:
        return "DAY"
    if (found := _DATE_OF.fullmatch(text)) and (found["column"] or found["cast"]).upper() == TIME:
        return "DAY"
    found = _TRUNCATED.fullmatch(text)
    if found is None or found["column"].upper() not in (TIME, DATE):
        return None
    grain, function = found["grain"].upper(), found["function"].upper()
    if function == "DATETIME_TRUNC" or (found["column"].upper() == DATE and function != "DATE_TRUNC"):
        return None
    return None if function == "DATE_TRUNC" and grain == "HOUR" and found["column"].upper() == DATE else grain


_EXPRESSIONS = (
    "DATE(<timestamp_column>), DATE(<datetime_column>), DATETIME_TRUNC(<datetime_column>, DAY/HOUR/MONTH/YEAR), a DATE "
    "column, TIMESTAMP_TRUNC(<timestamp_column>, DAY/HOUR/MONTH/YEAR), DATE_TRUNC(<date_column>, MONTH/YEAR), or "
    "RANGE_BUCKET(<int64_column>, GENERATE_ARRAY(<int64_value>, <int64_value>[, <int64_value>]))"
)
