"""Datasets that were deleted, and can be had back while their tables are remembered: UNDROP SCHEMA, datasets.undelete.

Tables come back with their rows, views and routines as they were; models, whose files are gone, do not.
https://cloud.google.com/bigquery/docs/restore-deleted-datasets
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tule.bigquery.datasets import Datasets
from tule.bigquery.errors import already_exists, not_found
from tule.bigquery.references import DatasetReference
from tule.bigquery.tables import KIND as TABLE_KIND
from tule.bigquery.tables import Tables
from tule.kernel.clock import Clock
from tule.kernel.records import Record, Records

KIND = "bigquery#deletedDataset"
_ROUTINE = "bigquery#routine"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class DeletedDatasets:
    """Remembers what a deletion takes away that the history of tables does not."""

    def __init__(self, records: Records, datasets: Datasets, tables: Tables, clock: Clock) -> None:
        self._records = records
        self._datasets = datasets
        self._tables = tables
        self._clock = clock

    def remember(self, reference: DatasetReference) -> None:
        """Note a dataset before it is deleted; part of the current transaction."""
        record = self._datasets.record(reference)
        others = [
            {"kind": kind, "name": each.name, "body": each.body}
            for kind in (TABLE_KIND, _ROUTINE)
            for each in self._records.list(kind, reference.name).records
            if "physical" not in each.body.get("_tule", {})
        ]
        rows = [
            each.name
            for each in self._records.list(TABLE_KIND, reference.name).records
            if "physical" in each.body.get("_tule", {})
        ]
        now = self._now()
        body = {"body": record.body, "others": others, "tables": rows, "deleted": now,
                "expires": now + self._tables.history.window(reference)}  # fmt: skip
        name = _name(reference)
        if self._records.find(name) is not None:
            self._records.delete(name)
        self._records.create(KIND, name, body)

    def check(self, reference: DatasetReference) -> Record:
        """What was remembered; raises where there is nothing to have back, or something in its place."""
        if self._datasets.find(reference) is not None:
            raise already_exists("Dataset", reference)
        found = self._records.find(_name(reference))
        if found is None or found.body["expires"] <= self._now():
            raise not_found("Dataset", reference)
        return found

    def restore(self, reference: DatasetReference) -> None:
        """Make a dataset again with what was in it."""
        with self._records.transaction():
            found = self.check(reference)
            self._datasets.restore(reference, found.body["body"])
            for each in found.body["others"]:
                self._records.create(each["kind"], each["name"], each["body"])
            for name in found.body["tables"]:
                self._tables.history.revive(name, found.body["deleted"])
            self._records.delete(found.name)

    def sweep(self) -> None:
        now = self._now()
        for record in self._records.list(KIND).records:
            if record.body["expires"] <= now:
                self._records.delete(record.name)

    def _now(self) -> int:
        return (self._clock.now() - _EPOCH) // timedelta(microseconds=1)


def _name(reference: DatasetReference) -> str:
    return f"{reference.parent}/deletedDatasets/{reference.dataset}"
