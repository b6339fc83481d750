"""Transactions of several statements, with snapshot isolation and one commit.

A transaction is one of the engine, on a session of its own, together with the records as they were when it began: names
lead to the physical tables of that moment. Nothing it changed is seen outside before COMMIT, where the engine's commit
carries a mark, and the records of the changed tables are touched with the job that committed.

An error ends a transaction of the engine, but not one of BigQuery, whose handlers may go on and commit. So what was done is
remembered, and done again in a new transaction where that is known to come to the same: nothing that was used has changed
meanwhile, and no statement made a random value. https://cloud.google.com/bigquery/docs/transactions
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from tule.bigquery.destinations import WriteLocks, conflict
from tule.bigquery.engine import Session
from tule.bigquery.errors import invalid_query, not_implemented
from tule.bigquery.jobs import Job, Outcome
from tule.bigquery.physical import Physical, note
from tule.bigquery.references import TableReference
from tule.bigquery.scripts.state import State
from tule.bigquery.tables import KIND, Tables, physical_of, writable
from tule.kernel.errors import Aborted, TuleError
from tule.kernel.records import Record, Records

if TYPE_CHECKING:
    from tule.bigquery.plans import QueryPlan

Made = TypeVar("Made")


class _Rollback(Exception):
    """Leaves the engine's transaction without its changes."""


class Transactions:
    """Begins, commits and rolls back."""

    def __init__(self, records: Records, tables: Tables, physical: Physical, locks: WriteLocks) -> None:
        self.records = records
        self.tables = tables
        self.physical = physical
        self.locks = locks

    def work(self, state: State, verb: str, plan: QueryPlan) -> Callable[[Job], Outcome]:
        """What the job of BEGIN TRANSACTION, COMMIT or ROLLBACK does."""

        def begin(job: Job) -> Outcome:
            if state.transaction is not None:
                raise invalid_query("A transaction is already in progress; transactions cannot be nested")
            state.transaction = Transaction(self, plan.project)
            job.statistics["transactionInfo"] = {"transactionId": state.transaction.id}
            return _done("BEGIN_TRANSACTION")

        def commit(job: Job) -> Outcome:
            transaction = self._open(state, "commit")
            state.transaction = None
            return transaction.commit(job)

        def rollback(job: Job) -> Outcome:
            transaction = self._open(state, "roll back")
            state.transaction = None
            transaction.rollback()
            return _done("ROLLBACK_TRANSACTION")

        return {"BEGIN": begin, "COMMIT": commit, "ROLLBACK": rollback}[verb]

    @staticmethod
    def _open(state: State, verb: str) -> Transaction:
        if state.transaction is None:
            raise invalid_query(f"There is no transaction in progress to {verb}")
        return state.transaction


def _done(kind: str) -> Outcome:
    return Outcome({"query": {"statementType": kind, "totalBytesProcessed": "0"}})


class Transaction:
    """One open transaction. Used by one thread at a time; ends in ``commit`` or ``rollback``."""

    def __init__(self, parts: Transactions, project: str) -> None:
        self.id = str(uuid.uuid4())
        self._parts = parts
        self._written: str | None = None
        self._snapshots: dict[str, dict[str, Record]] = {}
        self._held: dict[str, ExitStack] = {}
        self._stale: set[str] = set()
        """Tables that others had changed before this transaction wrote them: rows may be added, not changed."""
        self._used: set[str] = set()
        self._changed: set[str] = set()
        self._before: dict[str, str | None] = {}
        """The physical copies of tables of which other rows than new ones were changed."""
        self._own: set[str] = set()
        """Temporary tables that this transaction made or dropped: their records are as they are now."""
        self._log: list[Callable[[Session], Any]] = []
        self._exact = True
        self._undo: list[Callable[[], None]] = []
        self._after: list[Callable[[], None]] = []
        self._release: list[Callable[[], None]] = []
        self._session: Session
        self._block: AbstractContextManager[None]
        self._begin()
        self.pin(project)

    # -- reading

    @property
    def session(self) -> Session:
        """The engine's session, ready for a statement."""
        if self._session.aborted:
            self._recover()
        return self._session

    def pin(self, project: str) -> None:
        """See the tables of a project as they are now, for the rest of the transaction."""
        if project not in self._snapshots:
            # The records first: a table that is replaced in between is missed by name, never by rows.
            listed = self._parts.records.list(KIND, f"projects/{project}/datasets/-").records
            self._session.pin(project)
            self._snapshots[project] = {record.name: record for record in listed}

    def find(self, reference: TableReference) -> Record | None:
        """The record of a table as this transaction sees it (``tables.Tables.find``)."""
        if reference.name in self._own:
            return self._parts.tables.find(reference)
        self.pin(reference.project)
        found = self._snapshots[reference.project].get(reference.name)
        if found is None or self._parts.tables.expired(found):
            return None
        self._used.add(reference.name)
        return found

    # -- writing

    def write(self, reference: TableReference, *, changes_rows: bool) -> Record:
        """The record of a table that a statement is about to change; no other writer changes it before the end.

        Raises Aborted where another change came first.
        """
        record = self.find(reference)
        if record is None:
            raise self._parts.tables.missing(reference)
        physical = writable(record)
        self._writes_in(reference.project)
        name = reference.name
        if name not in self._held and name not in self._own:
            held = self._parts.locks.claim(name, self.id)
            present = self._parts.tables.find(reference)
            if present is None or present.body["_tule"].get("physical") != physical:
                held.close()
                raise conflict(name, self.id)
            self._held[name] = held
            if _changes(present) != _changes(record):
                self._stale.add(name)
        if changes_rows and name in self._stale:
            raise conflict(name, self.id)
        if changes_rows and name not in self._before and name not in self._own:
            self._held[name].enter_context(self._parts.physical.changing(reference.project, physical))
            self.do(lambda session: self._remember(session, record), exact=True)
        return record

    def _remember(self, session: Session, record: Record) -> None:
        """Copy a table before its rows change in their place. What this transaction added before is no state of it."""
        self._before[record.name] = None
        if record.name not in self._changed:
            self._before[record.name] = self._parts.tables.history.copy(session, record)

    def _writes_in(self, project: str) -> None:
        if self._written not in (None, project):
            raise not_implemented(
                f"A change of tables of {project} in a transaction that has changed tables of {self._written}",
                do="change the tables of one project in one transaction",
            )
        self._written = project

    def do(self, action: Callable[[Session], Made], *, exact: bool) -> Made:
        """Change something. ``exact``: the same action on the same tables would come to the same."""
        made = action(self.session)
        self._log.append(action)
        self._exact = self._exact and exact
        return made

    def wrote(self, reference: TableReference) -> None:
        """A table that lasts was changed."""
        if reference.name not in self._own:
            self._changed.add(reference.name)

    # -- temporary tables

    def made(self, reference: TableReference, body: dict[str, Any], physical: str, *, replace: bool) -> None:
        """Make the record of a temporary table whose rows this transaction wrote; gone again when it is rolled back."""
        tables, records = self._parts.tables, self._parts.records
        self._writes_in(reference.project)
        with records.transaction():
            if replace and (old := tables.find(reference)) is not None:
                self._removed(old)
            tables.create(reference, body, physical)
        self._own.add(reference.name)
        self._undo.append(lambda: _ignore(records.delete(reference.name)))

    def dropped(self, reference: TableReference) -> None:
        """Remove a temporary table; it is there again when the transaction is rolled back."""
        self._removed(self._parts.tables.record(reference))
        self._own.add(reference.name)

    def _removed(self, record: Record) -> None:
        records, project = self._parts.records, TableReference.of(record.name).project
        records.delete(record.name)
        self._undo.append(lambda: _ignore(records.create(KIND, record.name, record.body)))
        self._after.append(lambda: self._parts.physical.drop(project, physical_of(record)))

    def keep(self, held: Callable[[], None]) -> None:
        """Call ``held`` at the end, however it comes."""
        self._release.append(held)

    # -- the end

    def commit(self, job: Job) -> Outcome:
        """Make the changes durable and seen; raises Aborted, and then nothing was changed."""
        changed = sorted(self._changed)
        project = self._written or ""
        try:
            session = self.session
            before = {name: copy for name, copy in self._before.items() if name in self._changed}
            if changed:
                session.mark(project, job.reference.name, note(_statistics(), changed, before))
            self._block.__exit__(None, None, None)
        except BaseException:
            self.rollback()
            raise
        self._session.close()
        references = [TableReference.of(name) for name in changed]

        def touch() -> None:
            for each in references:
                self._parts.tables.touch(each, before.get(each.name), grown=each.name not in before)

        def after() -> None:
            if changed:
                self._parts.physical.done_with(project, job.reference.name)
            for action in self._after:
                action()

        return Outcome(_statistics(), commit=touch, after=after, release=self._let_go)

    def rollback(self) -> None:
        """Undo everything; idempotent."""
        self._leave()
        for action in reversed(self._undo):
            action()
        self._undo.clear()
        self._let_go()

    def _let_go(self) -> None:
        for held in self._held.values():
            held.close()
        self._held.clear()
        for action in self._release:
            action()
        self._release.clear()

    # -- the engine's transaction

    def _begin(self) -> None:
        self._session = self._parts.physical.engine.session()
        self._block = self._session.transaction()
        self._block.__enter__()

    def _leave(self) -> None:
        with suppress(_Rollback, TuleError):
            self._block.__exit__(_Rollback, _Rollback(), None)
        self._session.close()

    def _recover(self) -> None:
        """After an error: do again what was done before it, in a new transaction of the engine."""
        before = self._snapshots
        self._leave()
        self._begin()
        self._snapshots = {}
        for project in before:
            self.pin(project)
        if not self._exact:
            raise Aborted(
                "Transaction is aborted: a statement in it failed, after others that made random values",
                do="roll back and begin again", reason="invalidQuery",
            )  # fmt: skip
        for name in sorted(self._used):
            project = TableReference.of(name).project
            if _state(before[project].get(name)) != _state(self._snapshots[project].get(name)):
                raise conflict(name, self.id)
        for action in self._log:
            action(self._session)


def _changes(record: Record) -> int:
    return int(record.body["_tule"].get("changes", 0))


def _state(record: Record | None) -> tuple[Any, ...]:
    """What of a record tells its rows."""
    private: Mapping[str, Any] = {} if record is None else record.body.get("_tule", {})
    return private.get("physical"), private.get("changes", 0)


def _statistics() -> dict[str, Any]:
    return {"query": {"statementType": "COMMIT_TRANSACTION", "totalBytesProcessed": "0"}}


def _ignore(_: Any) -> None:
    return None
