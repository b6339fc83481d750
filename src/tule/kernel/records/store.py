"""The store itself: records and the journal in one database, over SQLAlchemy Core on SQLite or PostgreSQL.

One transaction writes at a time, readers never wait for it: on SQLite through write-ahead logging with a full sync at
each commit, so that what a caller was told of is on disk.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import re
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from tule.kernel.clock import Clock
from tule.kernel.errors import (
    Aborted,
    AlreadyExists,
    DataLoss,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
    TuleError,
    Unavailable,
)
from tule.kernel.home import sync_folder
from tule.kernel.records import ordering, pages
from tule.kernel.records.filters import Filter
from tule.kernel.records.masks import apply_mask
from tule.kernel.records.schema import JOURNAL, METADATA, RECORDS

_LOG = logging.getLogger(__name__)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LONGEST_NAME = 4096
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_CHUNK = 500
# Any number: it names Tule's lock among the advisory locks of a PostgreSQL database.
_ADVISORY_LOCK = 0x7475_6C65

Change = dict[str, Any] | Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Record:
    """One stored resource. ``body`` is the Google message as camelCase JSON, a copy that the reader may change."""

    kind: str
    name: str
    body: dict[str, Any]
    etag: str
    uid: str
    create_time: datetime
    update_time: datetime
    revision: int
    parent: str = ""

    def view(self) -> dict[str, Any]:
        """The body with what the store knows added where the body lacks it: what filters look at."""
        return {
            "name": self.name,
            "etag": self.etag,
            "uid": self.uid,
            "createTime": self.create_time.isoformat(),
            "updateTime": self.update_time.isoformat(),
            **self.body,
        }


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list; ``next_page_token`` is empty on the last one."""

    records: list[Record]
    next_page_token: str
    _count: Callable[[], int] = field(repr=False, compare=False)

    @property
    def total_size(self) -> int:
        """How many records the whole list has now; counted when asked."""
        return self._count()

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the journal: ``change`` is created, updated, deleted, or the word that was appended."""

    position: int
    time: datetime
    kind: str
    name: str
    change: str
    detail: dict[str, Any]


class _Thread(threading.local):
    """What a thread is in the middle of."""

    connection: sa.Connection | None = None
    callbacks: list[Callable[[], None]]


class Records:
    """Records by resource name, with etags, masks, filters, order, pages and transactions. Safe to use from any thread.

    Reads inside a transaction see its writes; reads elsewhere see committed states only. Each write appends an entry to
    the journal in the same transaction. A change that changes nothing writes nothing and keeps the etag.
    """

    def __init__(self, url: str | sa.URL, clock: Clock) -> None:
        self._clock = clock
        self._url = sa.make_url(url)
        sqlite = self._url.get_backend_name() == "sqlite"
        if sqlite and self._url.database in (None, "", ":memory:"):
            raise InvalidArgument(
                "Records must be kept in a file or a server",
                given=str(url),
                do="give sqlite:///PATH or postgresql://...",
            )
        self._write_engine = sa.create_engine(self._url, pool_size=1, max_overflow=0)
        # A connection to a file costs little, and each thread that answers requests may read at the same time.
        self._read_engine = sa.create_engine(
            self._url,
            isolation_level="AUTOCOMMIT",
            pool_size=4,
            max_overflow=-1 if sqlite else 60,
            pool_reset_on_return=None,
        )
        if sqlite:
            sa.event.listen(self._write_engine, "connect", _prepare_sqlite)
            sa.event.listen(self._write_engine, "begin", lambda conn: conn.exec_driver_sql("BEGIN IMMEDIATE"))
            sa.event.listen(self._read_engine, "connect", _prepare_sqlite)
        else:
            # Two servers on one database take turns, as two threads of one server do.
            sa.event.listen(
                self._write_engine,
                "begin",
                lambda conn: conn.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})"),
            )
        self._writing = threading.RLock()
        self._thread = _Thread()
        self._listeners: tuple[Callable[[], None], ...] = ()
        self.create_tables(METADATA)
        if sqlite:
            # The file's own name too must survive a power cut; what is in it, SQLite sees to.
            sync_folder(Path(self._url.database or "").absolute().parent)

    @property
    def clock(self) -> Clock:
        return self._clock

    def close(self) -> None:
        """Close every connection; idempotent. Transactions in progress on other threads fail."""
        self._write_engine.dispose()
        self._read_engine.dispose()

    # -- transactions

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """All writes inside become visible and durable together, or not at all when an error leaves the block.

        Re-entrant on a thread: an error that leaves an inner block undoes the inner block only. Other threads that
        want to write wait, so do slow work before.
        """
        thread = self._thread
        if thread.connection is not None:
            kept = len(thread.callbacks)
            try:
                with thread.connection.begin_nested():
                    yield thread.connection
            except BaseException:
                del thread.callbacks[kept:]
                raise
            return
        callbacks: list[Callable[[], None]] = []
        with _explained(), self._writing, self._write_engine.connect() as connection, connection.begin():
            thread.connection, thread.callbacks = connection, callbacks
            try:
                yield connection
            finally:
                thread.connection = None
        for callback in (*callbacks, *self._listeners):
            try:
                callback()
            except Exception:
                # The commit stands; its caller must not be told otherwise.
                _LOG.exception("An action after a commit failed")

    @property
    def in_transaction(self) -> bool:
        """Whether this thread is inside a transaction."""
        return self._thread.connection is not None

    def after_commit(self, action: Callable[[], None]) -> None:
        """Run ``action`` once the current transaction is durable, never if it fails; at once outside of one."""
        if self._thread.connection is None:
            action()
        else:
            self._thread.callbacks.append(action)

    def on_commit(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` after every commit, on the thread that committed; it must be quick."""
        self._listeners = (*self._listeners, listener)

    @contextmanager
    def _write(self) -> Iterator[sa.Connection]:
        """The current transaction, or one for this call alone; cheaper than ``transaction``, which can undo in part."""
        if self._thread.connection is not None:
            yield self._thread.connection
        else:
            with self.transaction() as connection:
                yield connection

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection for reads: the current transaction's where there is one."""
        if self._thread.connection is not None:
            yield self._thread.connection
        else:
            with _explained(), self._read_engine.connect() as connection:
                yield connection

    def create_tables(self, metadata: sa.MetaData) -> None:
        """Make further tables beside the records, for what is too many and too small to be one."""
        with self.transaction() as connection:
            metadata.create_all(connection)

    # -- single records

    def create(self, kind: str, name: str, body: dict[str, Any], *, parent: str | None = None) -> Record:
        """Store a new record; raises AlreadyExists. The parent is the name less its last two segments unless given."""
        _check_name(name)
        text = _text(body)
        with self._write() as connection:
            if self._row(connection, name) is not None:
                raise _taken(name)
            row = _new_row(kind, name, parent_of(name) if parent is None else parent, text, self._clock.now())
            connection.execute(_INSERT, row)
            self._note(connection, kind, name, "created", {"etag": row["etag"]})
        return _record(row)

    def create_all(self, kind: str, bodies: Sequence[tuple[str, dict[str, Any], datetime]]) -> None:
        """Store many new records (name, body, when it was made) at the price of one; AlreadyExists when a name is taken."""
        rows = [_new_row(kind, name, parent_of(name), _text(body), made) for name, body, made in bodies]
        with self._write() as connection:
            for start in range(0, len(rows), _CHUNK):
                names = [row["name"] for row in rows[start : start + _CHUNK]]
                taken = connection.execute(sa.select(RECORDS.c.name).where(RECORDS.c.name.in_(names)).limit(1)).scalar()
                if taken is not None:
                    raise _taken(taken)
            if rows:
                connection.execute(_INSERT, rows)
                moment = to_microseconds(self._clock.now())
                notes = [_entry(moment, kind, row["name"], "created", {"etag": row["etag"]}) for row in rows]
                connection.execute(_NOTE, notes)

    def find(self, name: str) -> Record | None:
        """The record of this name, None when there is none."""
        with self.reading() as connection:
            row = self._row(connection, name)
        return None if row is None else _record(row)

    def find_all(self, names: Iterable[str]) -> dict[str, Record]:
        """The records of these names by name; those that are not there are left out."""
        every, found = sorted(set(names)), {}
        with self.reading() as connection:
            for start in range(0, len(every), _CHUNK):
                query = sa.select(RECORDS).where(RECORDS.c.name.in_(every[start : start + _CHUNK]))
                found.update({row["name"]: _record(dict(row)) for row in connection.execute(query).mappings()})
        return found

    def get(self, name: str) -> Record:
        """The record of this name; raises NotFound."""
        record = self.find(name)
        if record is None:
            raise NotFound("The resource must exist", given=name)
        return record

    def update(
        self, name: str, change: Change, *, etag: str | None = None, mask: Sequence[str] | None = None
    ) -> Record:
        """Change a record; raises NotFound, and Aborted when ``etag`` is given and is not the present one.

        A ``change`` that is a function gets the present body and returns the new one. A dict with a ``mask`` gives the
        masked fields (``apply_mask``); without one its own top-level fields, where None clears.
        """
        with self._write() as connection:
            old = self._row(connection, name)
            if old is None:
                raise NotFound("The resource must exist", given=name)
            _check_etag(name, old["etag"], etag)
            before = json.loads(old["body"])
            after = _changed(before, change, mask)
            text = _text(after)
            if text == old["body"]:
                return _record(old)
            revision = old["revision"] + 1
            row = {
                **old,
                "revision": revision,
                "etag": _etag(old["uid"], revision, text),
                "update_us": max(to_microseconds(self._clock.now()), old["update_us"]),
                "body": text,
            }
            connection.execute(
                _UPDATE,
                {"at": name, **{key: row[key] for key in ("revision", "etag", "update_us", "body")}},
            )
            before = json.loads(old["body"])  # the change may have edited its argument
            touched = sorted(key for key in {*before, *after} if before.get(key) != after.get(key))
            self._note(connection, old["kind"], name, "updated", {"etag": row["etag"], "fields": touched})
        return _record(row)

    def put(self, kind: str, name: str, body: dict[str, Any], *, parent: str | None = None) -> Record:
        """Store a record under a name whether or not there is one; the body is replaced whole."""
        with self._write() as connection:
            if self._row(connection, name) is None:
                return self.create(kind, name, body, parent=parent)
            return self.update(name, lambda _: body)

    def delete(self, name: str, *, etag: str | None = None) -> Record:
        """Remove a record and return its last state; raises NotFound, and Aborted for a stale ``etag``."""
        with self._write() as connection:
            row = self._row(connection, name)
            if row is None:
                raise NotFound("The resource must exist", given=name)
            _check_etag(name, row["etag"], etag)
            connection.execute(_DELETE, {"at": name})
            self._note(connection, row["kind"], name, "deleted", {"uid": row["uid"]})
        return _record(row)

    def delete_under(self, prefix: str) -> list[Record]:
        """Remove every record whose name begins with ``prefix/`` (not ``prefix`` itself); returns their last states."""
        low, high = _below(prefix)
        with self._write() as connection:
            inside = (RECORDS.c.name >= low) & (RECORDS.c.name < high)
            rows = connection.execute(sa.select(RECORDS).where(inside).order_by(RECORDS.c.name)).mappings().all()
            if rows:
                connection.execute(sa.delete(RECORDS).where(inside))
            for row in rows:
                self._note(connection, row["kind"], row["name"], "deleted", {"uid": row["uid"]})
        return [_record(dict(row)) for row in rows]

    def first_under(self, prefix: str, *, besides: Sequence[str] = ()) -> Record | None:
        """The first record whose name begins with ``prefix/``, those of the kinds ``besides`` not counted."""
        low, high = _below(prefix)
        inside = (RECORDS.c.name >= low) & (RECORDS.c.name < high) & RECORDS.c.kind.not_in(besides)
        with self.reading() as connection:
            row = (
                connection.execute(sa.select(RECORDS).where(inside).order_by(RECORDS.c.name).limit(1))
                .mappings()
                .first()
            )
        return None if row is None else _record(dict(row))

    def size_under(self, prefix: str) -> int:
        """The bytes of the bodies of all records whose names begin with ``prefix/``."""
        low, high = _below(prefix)
        inside = (RECORDS.c.name >= low) & (RECORDS.c.name < high)
        query = sa.select(sa.func.coalesce(sa.func.sum(sa.func.length(RECORDS.c.body)), 0)).where(inside)
        with self.reading() as connection:
            return int(connection.execute(query).scalar_one())

    @staticmethod
    def _row(connection: sa.Connection, name: str) -> dict[str, Any] | None:
        row = connection.execute(_SELECT, {"at": name}).mappings().first()
        return None if row is None else dict(row)

    # -- lists

    def list(
        self,
        kind: str,
        parent: str | None = None,
        *,
        filter: str | Filter = "",
        order_by: str = "",
        page_size: int = 0,
        page_token: str = "",
    ) -> Page:
        """The records of a kind under a parent (None: anywhere; ``-`` for any one segment), by name unless ordered.

        ``page_size`` 0 means all. ``filter`` is a ``Filter`` where the kind has words of its own. Raises
        InvalidArgument for a wrong filter, order, size or token.
        """
        if page_size < 0:
            raise InvalidArgument("A page size must not be negative", given=page_size)
        fields = ordering.parse(order_by)
        wanted = filter if isinstance(filter, Filter) else Filter(filter)
        request = (kind, parent or "" if parent != "" else "/", wanted.text, order_by)
        after = pages.key_of(request, page_token) if page_token else None
        if after is not None and len(after) != len(fields):
            raise InvalidArgument("A page token must fit the order of the list", given=repr(page_token[:60]))
        where, in_parent = _where(kind, parent)
        if wanted.only is not None and len(wanted.only) <= _CHUNK:
            where &= RECORDS.c.name.in_(sorted(wanted.only))

        def fits(record: Record) -> bool:
            return in_parent(record) and (wanted.empty or wanted(record.view()))

        everything = wanted.empty and (parent is None or "-" not in parent.split("/"))
        if ordering.in_columns(fields):
            found = self._scan(where, fields, after, None if everything else fits, page_size)
        else:
            found = self._sort(where, fields, after, fits, page_size)
        more = bool(page_size) and len(found) > page_size
        found = found[:page_size] if more else found

        def count() -> int:
            if everything:
                with self.reading() as connection:
                    return int(connection.execute(sa.select(sa.func.count()).where(where)).scalar_one())
            return sum(fits(record) for record in self._all(where))

        return Page(list(found), pages.token(request, _key(found[-1], fields)) if more else "", count)

    def names_before(self, kind: str, before: datetime, *, filter: str = "") -> Sequence[str]:
        """The names of the records of a kind that were last changed before a moment, and that the filter wants."""
        wanted = Filter(filter)
        where = (RECORDS.c.kind == kind) & (RECORDS.c.update_us < to_microseconds(before))
        return [record.name for record in self._all(where) if wanted.empty or wanted(record.view())]

    def _all(self, where: sa.ColumnElement[bool]) -> Sequence[Record]:
        with self.reading() as connection:
            return [_record(dict(row)) for row in connection.execute(sa.select(RECORDS).where(where)).mappings()]

    def _scan(
        self,
        where: sa.ColumnElement[bool],
        fields: Sequence[ordering.Field],
        after: Sequence[Any] | None,
        fits: Callable[[Record], bool] | None,
        page_size: int,
    ) -> Sequence[Record]:
        """Records in an order the database gives, read in pieces until there is one more than a page."""
        columns = [RECORDS.c[field.column or ""] for field in fields]
        query = sa.select(RECORDS).where(where)
        query = query.order_by(
            *(column.desc() if field.descending else column for column, field in zip(columns, fields, strict=True))
        )
        need = page_size + 1 if page_size else 0
        limit = 0 if not need else need if fits is None else max(need, _CHUNK)
        found: list[Record] = []
        while True:
            piece = query if after is None else query.where(_past(columns, fields, after))
            with self.reading() as connection:
                rows = connection.execute(piece.limit(limit) if limit else piece).mappings().all()
            for row in rows:
                record = _record(dict(row))
                if fits is None or fits(record):
                    found.append(record)
                    if len(found) == need:
                        return found
            if not limit or len(rows) < limit:
                return found
            after = [rows[-1][column.name] for column in columns]

    def _sort(
        self,
        where: sa.ColumnElement[bool],
        fields: Sequence[ordering.Field],
        after: Sequence[Any] | None,
        fits: Callable[[Record], bool],
        page_size: int,
    ) -> Sequence[Record]:
        """Records ordered by fields of their bodies: read and sorted whole."""
        keyed = [(_key(record, fields), record) for record in self._all(where) if fits(record)]
        if after is not None:
            keyed = [pair for pair in keyed if ordering.compare(pair[0], after, fields) > 0]
        for index in range(len(fields) - 1, -1, -1):
            keyed.sort(key=lambda pair: pair[0][index], reverse=fields[index].descending)
        return [record for _, record in keyed[: page_size + 1 if page_size else None]]

    # -- the journal's table; ``tule.kernel.journal`` is its front

    def _note(self, connection: sa.Connection, kind: str, name: str, change: str, detail: dict[str, Any]) -> None:
        connection.execute(_NOTE, _entry(to_microseconds(self._clock.now()), kind, name, change, detail))

    def note(self, kind: str, name: str, change: str, detail: dict[str, Any]) -> None:
        """Append an entry to the journal in the current transaction."""
        with self._write() as connection:
            self._note(connection, kind, name, change, detail)

    def entries(self, after: int, limit: int) -> Sequence[Entry]:
        """The entries of the journal behind a position, oldest first."""
        query = sa.select(JOURNAL).where(JOURNAL.c.position > after).order_by(JOURNAL.c.position).limit(limit)
        with self.reading() as connection:
            rows = connection.execute(query).mappings().all()
        return [
            Entry(
                position=row["position"],
                time=from_microseconds(row["time_us"]),
                kind=row["kind"],
                name=row["name"],
                change=row["change"],
                detail=json.loads(row["detail"]),
            )
            for row in rows
        ]

    def last_entry(self) -> int:
        """The position of the newest entry of the journal, 0 for none."""
        with self.reading() as connection:
            return connection.execute(sa.select(sa.func.max(JOURNAL.c.position))).scalar_one() or 0

    def trim_entries(self, before: datetime) -> int:
        """Remove the entries of the journal that are older; returns how many."""
        with self._write() as connection:
            return connection.execute(sa.delete(JOURNAL).where(JOURNAL.c.time_us < to_microseconds(before))).rowcount


_INSERT = sa.insert(RECORDS)
_SELECT = sa.select(RECORDS).where(RECORDS.c.name == sa.bindparam("at"))
_UPDATE = (
    sa.update(RECORDS)
    .where(RECORDS.c.name == sa.bindparam("at"))
    .values({key: sa.bindparam(key) for key in ("revision", "etag", "update_us", "body")})
)
_DELETE = sa.delete(RECORDS).where(RECORDS.c.name == sa.bindparam("at"))
_NOTE = sa.insert(JOURNAL)


def _prepare_sqlite(connection: Any, _: object) -> None:
    # SQLAlchemy sends BEGIN by itself (see the listeners): the module's own handling starts transactions too late.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "busy_timeout = 15000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


# Words of a database's own errors, and what they mean here; the first that fits counts.
_TROUBLES: Final[tuple[tuple[tuple[str, ...], type[TuleError], str, str], ...]] = (
    (("disk is full", "diskfull", "disk full", "no space left"), ResourceExhausted,
     "There must be room on the disk of the data directory", "free some, then repeat the call"),
    (("not a database", "malformed", "corrupt"), DataLoss,
     "The database of records must be intact", "restore it from a copy, or start with another data directory"),
    (("locked", "unable to open", "readonly", "read-only", "disk i/o error"), Unavailable,
     "The database of records must be readable and writable", "look at what else uses the data directory"),
    (("connection", "server closed", "terminating"), Unavailable,
     "The database server must be reachable", "start it, then repeat the call"),
)  # fmt: skip


@contextmanager
def _explained() -> Iterator[None]:
    """Troubles of the database itself as errors of ours; a wrong statement stays what it is, a bug."""
    try:
        yield
    except sa.exc.TimeoutError as error:
        raise Unavailable(
            "A connection to the database must become free in time", given=str(error), do="repeat the call"
        ) from error
    except sa.exc.DatabaseError as error:
        if isinstance(error, sa.exc.IntegrityError | sa.exc.ProgrammingError | sa.exc.DataError):
            raise
        text = str(error.orig)
        for words, kind, rule, advice in _TROUBLES:
            if any(word in text.lower() for word in words):
                raise kind(rule, given=text, do=advice) from error
        raise


def to_microseconds(moment: datetime) -> int:
    """Microseconds since 1970, exactly."""
    return (moment - _EPOCH) // _MICROSECOND


def from_microseconds(moment: int) -> datetime:
    return _EPOCH + moment * _MICROSECOND


def parent_of(name: str) -> str:
    """
    >>> parent_of("projects/p/datasets/d"), parent_of("projects/p")
    ('projects/p', '')
    """
    return "/".join(name.split("/")[:-2])


def _check_name(name: str) -> None:
    if not name or len(name) > _LONGEST_NAME or _CONTROL.search(name):
        raise InvalidArgument(
            f"A resource name must be 1 to {_LONGEST_NAME} characters, none of them a control character",
            given=repr(name[:80]),
        )
    try:
        name.encode()
    except UnicodeEncodeError:
        raise InvalidArgument("A resource name must be valid Unicode", given=repr(name[:80])) from None


def _text(body: dict[str, Any]) -> str:
    try:
        return json.dumps(body, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidArgument(
            "A record must be JSON: texts, finite numbers, lists, objects", given=str(error)
        ) from error


def _etag(uid: str, revision: int, text: str) -> str:
    digest = hashlib.blake2b(f"{uid}/{revision}/{text}".encode(), digest_size=12).digest()
    return base64.urlsafe_b64encode(digest).decode()


def _check_etag(name: str, present: str, given: str | None) -> None:
    if given and given != present:
        raise Aborted(
            f"The etag of {name} must be the present one: it was changed since it was read",
            given=repr(given),
            do="read it again and repeat the change",
        )


def _new_row(kind: str, name: str, parent: str, text: str, made: datetime) -> dict[str, Any]:
    _check_name(name)
    uid, moment = secrets.token_hex(16), to_microseconds(made)
    return {
        "name": name,
        "kind": kind,
        "parent": parent,
        "uid": uid,
        "revision": 1,
        "etag": _etag(uid, 1, text),
        "create_us": moment,
        "update_us": moment,
        "body": text,
    }


def _entry(moment: int, kind: str, name: str, change: str, detail: dict[str, Any]) -> dict[str, Any]:
    return {"time_us": moment, "kind": kind, "name": name, "change": change, "detail": _text(detail)}


def _taken(name: str) -> AlreadyExists:
    return AlreadyExists("The name must be free", given=name, do="choose another, or get or update this one")


def _changed(before: dict[str, Any], change: Change, mask: Sequence[str] | None) -> dict[str, Any]:
    if callable(change):
        if mask is not None:
            raise TypeError("A mask goes with a dict, not with a function")
        after = change(before)
        if not isinstance(after, dict):
            raise TypeError(f"A change must return the new body; returned: {after!r}")
        return after
    if mask is not None:
        return apply_mask(before, change, mask)
    merged = {**before, **change}
    return {key: value for key, value in merged.items() if value is not None or key not in change}


def _record(row: dict[str, Any]) -> Record:
    return Record(
        kind=row["kind"],
        name=row["name"],
        body=json.loads(row["body"]),
        etag=row["etag"],
        uid=row["uid"],
        create_time=from_microseconds(row["create_us"]),
        update_time=from_microseconds(row["update_us"]),
        revision=row["revision"],
        parent=row["parent"],
    )


def _below(prefix: str) -> tuple[str, str]:
    """The range of names that begin with ``prefix/``: "0" is the character after "/"."""
    return prefix + "/", prefix + "0"


def _where(kind: str, parent: str | None) -> tuple[sa.ColumnElement[bool], Callable[[Record], bool]]:
    """The condition the database checks, and the rest of it where the parent has wildcards."""
    where: sa.ColumnElement[bool] = RECORDS.c.kind == kind
    if parent is None:
        return where, lambda record: True
    segments = parent.split("/")
    if "-" not in segments:
        return where & (RECORDS.c.parent == parent), lambda record: True
    fixed = segments[: segments.index("-")]
    if fixed:
        low, high = _below("/".join(fixed))
        where &= (RECORDS.c.parent >= low) & (RECORDS.c.parent < high)

    def fits(record: Record) -> bool:
        given = record.parent.split("/")
        return len(given) == len(segments) and all(
            want in ("-", part) for want, part in zip(segments, given, strict=True)
        )

    return where, fits


def _key(record: Record, fields: Sequence[ordering.Field]) -> list[Any]:
    if ordering.in_columns(fields):
        columns = {
            "name": record.name,
            "create_us": to_microseconds(record.create_time),
            "update_us": to_microseconds(record.update_time),
        }
        return [columns[field.column or ""] for field in fields]
    view = record.view()
    view["name"] = record.name
    return [ordering.rank(ordering.value(view, field)) for field in fields]


def _past(
    columns: Sequence[sa.ColumnElement[Any]], fields: Sequence[ordering.Field], key: Sequence[Any]
) -> sa.ColumnElement[bool]:
    """The condition of standing after ``key``: equal in the first columns and beyond it in the next."""
    options = []
    for index, (column, by) in enumerate(zip(columns, fields, strict=True)):
        equal = [columns[before] == key[before] for before in range(index)]
        options.append(sa.and_(*equal, column < key[index] if by.descending else column > key[index]))
    return sa.or_(*options)
