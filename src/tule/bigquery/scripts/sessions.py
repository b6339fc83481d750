"""Sessions: temporary tables and functions, variables and an open transaction that several queries share.

A session is a record, so that its temporary tables, functions and variables are there after a restart; a transaction that
was open then is not. It ends after a day without use, after a week, or when it is aborted.
https://cloud.google.com/bigquery/docs/sessions-intro
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from tule.bigquery.errors import invalid, invalid_query
from tule.bigquery.jobs import Job
from tule.bigquery.references import DatasetReference, TableReference
from tule.bigquery.scripts.frames import Variable
from tule.bigquery.scripts.state import State
from tule.bigquery.scripts.values import Value, of_column
from tule.bigquery.sql import Name, Temporary
from tule.bigquery.sql.routine_statements import RoutineArgument, RoutineDefinition
from tule.bigquery.tables import Tables
from tule.bigquery.types import Field
from tule.kernel.clock import Clock
from tule.kernel.records import Record, Records

KIND = "bigquery#session"
_IDLE = timedelta(hours=24)
_LONGEST = timedelta(days=7)
_ROUND = 0.25


class Session:
    """One session while the server runs. ``state`` is used by one job at a time."""

    def __init__(
        self, id: str, project: str, user: str, location: str, created: datetime, state: State, temporary: Temporary
    ) -> None:
        self.id = id
        self.project = project
        self.user = user
        self.location = location
        self.created = created
        self.state = state
        self._temporary = temporary
        self.lock = threading.Lock()
        self.ending = False

    @property
    def name(self) -> str:
        """The name of its record."""
        return _name(self.project, self.id)

    @property
    def temporary(self) -> Temporary:
        """Where its temporary tables are."""
        return self._temporary

    def end_after_job(self) -> None:
        """End the session once the job that runs in it is done."""
        self.ending = True


class Sessions:
    """The sessions of all projects."""

    def __init__(self, records: Records, tables: Tables, clock: Clock) -> None:
        self._records = records
        self._tables = tables
        self._clock = clock
        self._lock = threading.Lock()
        self._open: dict[str, Session] = {}

    # -- beginning and joining

    def create(self, project: str, user: str, location: str) -> Session:
        """A new session; durable when this returns."""
        id = secrets.token_urlsafe(48)
        session = self._made(id, project, user, location, self._clock.now(), _state(project, id))
        self._records.create(KIND, session.name, self._body(session))
        with self._lock:
            self._open[session.name] = session
        return session

    def find(self, project: str, id: str, user: str) -> Session:
        """The session of an id; raises where it is none, is over, or is another user's."""
        record = self._records.find(_name(project, id)) if id and "/" not in id else None
        if record is None or record.body["user"] != user:
            raise invalid("Invalid input session id.")
        if self._over(record):
            self._end(record)
            raise invalid(f"Session {id} has expired and is no longer available.")
        with self._lock:
            found = self._open.get(record.name)
            if found is None:
                found = self._open[record.name] = self._loaded(record)
        return found

    @contextmanager
    def joined(self, session: Session, job: Job) -> Iterator[State]:
        """The state of a session for one job: jobs of a session run one after the other. What it comes to is durable at
        the end; an error rolls an open transaction back."""
        while not session.lock.acquire(timeout=_ROUND):
            job.check()
        try:
            if self._records.find(session.name) is None:
                raise invalid("Invalid input session id.")
            try:
                yield session.state
            except BaseException:
                self._roll_back(session)
                raise
            finally:
                if session.ending:
                    self._finish(session)
                else:
                    body = self._body(session)
                    self._records.update(session.name, lambda _: body)
        finally:
            session.lock.release()

    # -- ending

    def abort(self, project: str, id: str, user: str, *, within: Session | None) -> None:
        """BQ.ABORT_SESSION(id), called in ``within`` or in no session."""
        if within is not None and within.id == id:
            within.end_after_job()
            return
        try:
            session = self.find(project, id, user)
        except Exception:
            raise invalid_query(f"Session not found or already terminated: {id}") from None
        with session.lock:
            self._finish(session)

    def sweep(self) -> None:
        """End the sessions whose time is over."""
        for record in self._records.list(KIND).records:
            if self._over(record):
                self._end(record)

    def recover(self) -> None:
        """Remove temporary tables of scripts that a crash cut off; those of sessions stay."""
        kept = {record.body["dataset"] for record in self._records.list(KIND).records}
        for record in self._records.list("bigquery#table").records:
            dataset = record.body["tableReference"]["datasetId"]
            if dataset.startswith(SCRIPT) or (dataset.startswith(SESSION) and dataset not in kept):
                self._records.delete(record.name)

    def close(self) -> None:
        """Roll back what is open: the server stops."""
        with self._lock:
            sessions = list(self._open.values())
        for session in sessions:
            self._roll_back(session)

    def _over(self, record: Record) -> bool:
        now = self._clock.now()
        return now - record.create_time >= _LONGEST or now - datetime.fromisoformat(record.body["used"]) >= _IDLE

    def _end(self, record: Record) -> None:
        with self._lock:
            session = self._open.get(record.name)
        if session is None:
            session = self._loaded(record)
        if session.lock.acquire(blocking=False):
            try:
                self._finish(session)
            finally:
                session.lock.release()

    def _finish(self, session: Session) -> None:
        """End a session whose lock is held."""
        self._roll_back(session)
        with self._records.transaction():
            self._tables.delete_under(session.state.temporary)
            if self._records.find(session.name) is not None:
                self._records.delete(session.name)
        with self._lock:
            self._open.pop(session.name, None)

    @staticmethod
    def _roll_back(session: Session) -> None:
        if session.state.transaction is not None:
            session.state.transaction.rollback()
            session.state.transaction = None

    # -- the record

    def _body(self, session: Session) -> dict[str, Any]:
        state = session.state
        return {
            "user": session.user,
            "location": session.location,
            "dataset": state.temporary.dataset,
            "used": self._clock.now().isoformat(),
            "functions": {name: asdict(each) for name, each in state.functions.items()},
            "variables": [_variable_body(each) for each in state.variables.values()],
            "settings": {"dataset": state.dataset, "project": state.project, "labels": state.labels},
        }

    def _loaded(self, record: Record) -> Session:
        _, project, _, id = record.name.split("/")
        body = record.body
        state = _state(project, id)
        state.functions = {name: _function(each) for name, each in body["functions"].items()}
        for each in body["variables"]:
            variable = _variable(each)
            state.variables[variable.name.lower()] = variable
        settings = body["settings"]
        state.dataset, state.project, state.labels = settings["dataset"], settings["project"], settings["labels"]
        return self._made(id, project, body["user"], body["location"], record.create_time, state)

    def _made(self, id: str, project: str, user: str, location: str, created: datetime, state: State) -> Session:
        return Session(id, project, user, location, created, state, temporary_of(state.temporary, self._tables))


SCRIPT, SESSION = "_script", "_session"


def script_dataset(project: str, job: str) -> DatasetReference:
    """The hidden dataset of a script's temporary tables."""
    return DatasetReference(project, f"{SCRIPT}{hashlib.sha256(job.encode()).hexdigest()[:40]}")


def temporary_of(dataset: DatasetReference, tables: Tables) -> Temporary:
    """The temporary tables of a hidden dataset, for SQL."""

    def exists(name: Name) -> bool:
        return tables.find(TableReference(name.project, name.dataset, name.table)) is not None

    return Temporary(dataset.project, dataset.dataset, exists)


def _state(project: str, id: str) -> State:
    return State(DatasetReference(project, f"{SESSION}{hashlib.sha256(id.encode()).hexdigest()[:40]}"))


def _name(project: str, id: str) -> str:
    return f"projects/{project}/sessions/{id}"


def _variable_body(variable: Variable) -> dict[str, Any]:
    field = Field(variable.name, variable.field.type, variable.field.mode, variable.field.fields)
    schema = pa.schema([field.arrow])
    batch = pa.RecordBatch.from_arrays([pa.array([variable.value.value], type=field.arrow.type)], schema=schema)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(batch)
    return {"name": variable.name, "value": base64.b64encode(sink.getvalue()).decode()}


def _variable(body: Mapping[str, Any]) -> Variable:
    with pa.ipc.open_stream(pa.py_buffer(base64.b64decode(body["value"]))) as reader:
        table = reader.read_all()
    value: Value = of_column(table.column(0), table.schema.field(0))
    return Variable(body["name"], value.field, value)


def _function(body: Mapping[str, Any]) -> RoutineDefinition:
    arguments = tuple(RoutineArgument(**each) for each in body["arguments"])
    columns = body["columns"]
    return RoutineDefinition(
        **{
            **body,
            "path": tuple(body["path"]),
            "arguments": arguments,
            "place": tuple(body["place"]),
            "columns": None if columns is None else tuple((name, kind) for name, kind in columns),
        }
    )
