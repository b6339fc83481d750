"""LOAD DATA, EXPORT DATA and CREATE EXTERNAL TABLE: statements about files, done as jobs about files are.

https://cloud.google.com/bigquery/docs/reference/standard-sql/load-statements
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from tule.bigquery.datasets import Datasets
from tule.bigquery.definitions import ddl, described_table, layout_of
from tule.bigquery.errors import already_exists, invalid_query
from tule.bigquery.external.options import external_configuration, file_options
from tule.bigquery.extracts import Extracts
from tule.bigquery.formats.values import timestamp
from tule.bigquery.jobs import Job, Outcome
from tule.bigquery.loads import Loads
from tule.bigquery.partitioning import DATE, TIME, Partitioning, partitioning_of
from tule.bigquery.references import TableReference
from tule.bigquery.sql.statements import CreateExternalTable, ExportQuery, LoadFiles
from tule.bigquery.tables import EXTERNAL, Tables, not_a_table
from tule.bigquery.types import fields_of

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OF_TABLES = ("description", "friendly_name", "labels", "expiration_timestamp")


def _partition(partitioning: Partitioning, column: str, value: str, table: TableReference) -> str:
    """The id of the partition of ``column = value``."""
    names = (TIME, DATE) if partitioning.by_loading else (partitioning.field,)
    if column.upper() not in {each.upper() for each in names}:
        raise invalid_query(
            f"PARTITIONS must be of the column that {table} is partitioned by, {names[0]}; given: {column}"
        )
    try:
        if partitioning.grain:
            return partitioning.id_at(_EPOCH + timedelta(microseconds=timestamp(value)))
        start, _, step = partitioning.bounds
        return str(int(value) - (int(value) - start) % step)
    except ValueError:
        kind = partitioning.kind.replace("INTEGER", "INT64")
        raise invalid_query(f"The value of PARTITIONS must be a literal of type {kind}; given: {value!r}") from None


class DataStatements:
    """Runs them."""

    def __init__(self, datasets: Datasets, tables: Tables, loads: Loads, extracts: Extracts) -> None:
        self._datasets = datasets
        self._tables = tables
        self._loads = loads
        self._extracts = extracts

    def load(self, job: Job, statement: LoadFiles) -> Outcome:
        """LOAD DATA."""
        name = statement.table.target
        target = TableReference(name.project, name.dataset, name.table).checked()
        config = file_options(statement.files, statement.partitions, "FROM FILES")
        # Columns that nobody gave are those of the table, and where there is none those that the files show.
        fields = statement.table.fields
        record = self._tables.find(target)
        known = record is not None and (statement.partition is not None or not statement.overwrite)
        layout = layout_of(statement.table)
        table = target.json()
        if statement.partition is not None:
            body = {"schema": {"fields": [each.rest() for each in fields or ()]}, **layout}
            partitioning = partitioning_of(body if record is None else record.body, target)
            table["tableId"] += "$" + _partition(partitioning, *statement.partition, target)
        config |= {
            "destinationTable": table,
            "writeDisposition": "WRITE_TRUNCATE" if statement.overwrite else "WRITE_APPEND",
            "schema": {"fields": [each.rest() for each in fields]} if fields is not None else None,
            "autodetect": fields is None and not known,
            "destinationTableProperties": described_table(statement.table.options),
            **layout,
        }
        plan = self._loads.plan(target.project, config, None)
        outcome = self._loads.run(job, plan, lambda about: {"query": {"loadQueryStatistics": about}})
        outcome.configuration = {"query": {"destinationTable": target.json()}}
        return outcome

    def export(
        self, job: Job, statement: ExportQuery, result: Any, batches: Iterable[pa.RecordBatch]
    ) -> dict[str, Any]:
        """Write the rows of a query's result; what the statistics of a query tell of that."""
        return self._extracts.exported(job, statement.options, fields_of(result.schema), batches)

    def create_external(self, statement: CreateExternalTable) -> Outcome:
        """CREATE EXTERNAL TABLE."""
        name = statement.target
        target = TableReference(name.project, name.dataset, name.table).checked()
        self._datasets.check(target.parent)
        existing = self._tables.find(target)
        if existing is not None and not statement.replace:
            if statement.if_not_exists:
                return Outcome({"query": ddl("SKIP", target)})
            raise already_exists("Table", target)
        if existing is not None and existing.body["type"] != EXTERNAL:
            raise not_a_table(target, existing.body["type"])
        load = file_options(statement.options, statement.partitions, "CREATE EXTERNAL TABLE", others=_OF_TABLES)
        fields = [each.rest() for each in statement.fields] if statement.fields is not None else None
        described = described_table({key: value for key, value in statement.options.items() if key in _OF_TABLES})
        body = self._tables.external_body(
            target,
            {
                **described,
                "externalDataConfiguration": {**external_configuration(load), "autodetect": fields is None},
                "schema": {"fields": fields} if fields else None,
            },
        )

        def commit() -> None:
            self._tables.replace(target, body, None)

        return Outcome({"query": ddl("REPLACE" if existing is not None else "CREATE", target)}, commit=commit)
