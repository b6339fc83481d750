"""Snapshots and clones of tables, and tables made of them again: by statement and as copy jobs.

Rows are copied inside the engine; a snapshot is a table that nobody can write.
https://cloud.google.com/bigquery/docs/table-snapshots-intro
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from tule.bigquery import schemas
from tule.bigquery.engine import Session
from tule.bigquery.errors import already_exists, invalid
from tule.bigquery.history import State
from tule.bigquery.jobs import Outcome
from tule.bigquery.partitioning import stored_fields
from tule.bigquery.physical import Physical
from tule.bigquery.references import TableReference
from tule.bigquery.tables import SNAPSHOT, TABLE, Tables, not_a_table
from tule.bigquery.types import fields_from_rest
from tule.kernel.clock import Clock

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KEPT = ("timePartitioning", "rangePartitioning", "clustering", "requirePartitionFilter")
_DESCRIBED = ("description", "friendlyName", "labels")


class Snapshots:
    """Makes them."""

    def __init__(self, tables: Tables, physical: Physical, clock: Clock) -> None:
        self._tables = tables
        self._physical = physical
        self._clock = clock

    def copied(
        self,
        operation: str,
        source: TableReference,
        moment: int | None,
        target: TableReference,
        *,
        described: Mapping[str, Any] | None = None,
        replace: bool = False,
    ) -> tuple[Outcome, int]:
        """The Outcome that makes ``target`` of ``source`` as it was at ``moment`` (microseconds since 1970, None for now),
        and the number of rows. ``operation``: SNAPSHOT, CLONE or RESTORE."""
        now = (self._clock.now() - _EPOCH) // timedelta(microseconds=1)
        state = self._tables.at(source, now if moment is None else moment)
        self._check(operation, source, state, target, replace)
        fields = state.body["schema"]["fields"]
        given = {**{key: state.body[key] for key in _DESCRIBED if key in state.body}, **(described or {})}
        given.setdefault("defaultCollation", state.body.get("defaultCollation", ""))
        body = self._tables.table_body(target, given, fields, defaults=operation != "SNAPSHOT")
        kept = {key: state.body[key] for key in _KEPT if key in state.body}
        if operation == "SNAPSHOT" and "timePartitioning" in kept:
            # A snapshot keeps all that it has until it goes itself.
            kept["timePartitioning"] = {**kept["timePartitioning"], "expirationMs": None}
        body |= schemas.layout(kept, fields) | {key: kept[key] for key in ("requirePartitionFilter",) if key in kept}
        stamp = (_EPOCH + timedelta(microseconds=now if moment is None else moment)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        if operation == "SNAPSHOT":
            body["type"] = SNAPSHOT
            body["snapshotDefinition"] = {"baseTableReference": source.json(), "snapshotTime": stamp}
        elif operation == "CLONE":
            body["cloneDefinition"] = {"baseTableReference": source.json(), "cloneTime": stamp}
        with self._physical.using([(source.project, state.physical)]):
            name, rows = self._physical.fill_from(
                target.project, lambda session, name: self._fill(session, source.project, state, target.project, name)
            )

        def commit() -> None:
            if replace:
                self._tables.replace(target, body, name)
            else:
                self._tables.create(target, body, name)

        return Outcome(commit=commit, undo=lambda: self._physical.drop(target.project, name)), rows

    def _check(
        self, operation: str, source: TableReference, state: State, target: TableReference, replace: bool
    ) -> None:
        kind = state.body["type"]
        if kind not in (TABLE, SNAPSHOT):
            raise not_a_table(source, kind)
        if operation == "RESTORE" and kind != SNAPSHOT:
            raise invalid(f"operationType RESTORE must have a snapshot as its source; {source} is a TABLE")
        if operation == "SNAPSHOT" and kind == SNAPSHOT:
            raise invalid(f"operationType SNAPSHOT must have a table as its source; {source} is a SNAPSHOT")
        existing = self._tables.find(target)
        if existing is None:
            return
        if not replace:
            raise already_exists("Table", target)
        if existing.body["type"] != TABLE:
            raise not_a_table(target, existing.body["type"])

    def _fill(self, session: Session, from_project: str, state: State, project: str, name: str) -> int:
        session.create(project, name, fields_from_rest(stored_fields(state.body)))
        first = "" if state.rows is None else f" LIMIT {state.rows}"
        into, source = self._physical.relation(project, name), self._physical.relation(from_project, state.physical)
        return session.execute(f"INSERT INTO {into} SELECT * FROM {source}{first}")
