"""Objects: put, read, change, copy, compose and delete, each change one transaction."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import sqlalchemy as sa

from tule.kernel.clock import Clock
from tule.kernel.errors import DataLoss, InvalidArgument, NotFound, PermissionDenied
from tule.kernel.home import Home
from tule.kernel.objects import globs, listing
from tule.kernel.objects.buckets import Buckets, versioned
from tule.kernel.objects.conditions import ANY, Conditions
from tule.kernel.objects.contents import Checksums, Content, Contents
from tule.kernel.objects.listing import Listing, Query
from tule.kernel.objects.schema import METADATA, OBJECTS
from tule.kernel.objects.values import Object, Piece, check_key, from_row
from tule.kernel.records import Records
from tule.kernel.records.store import to_microseconds

KIND = "storage#object"
_MOST_PIECES = 32
_PIECE = 2**20
_HOLDS = ("temporaryHold", "eventBasedHold")

Body = Mapping[str, Any]
Also = Callable[[Object], None]


class Objects:
    """The objects of one data directory. Safe to use from any thread; made once per process.

    A missing bucket or object raises NotFound, a condition that does not hold ConditionNotMet. What a call returned is
    durable. Opening removes the files that a crash left without an object.
    """

    def __init__(self, home: Home, records: Records, clock: Clock) -> None:
        self._records = records
        self._clock = clock
        self._contents = Contents(home, clock, self._named)
        self._generating = threading.Lock()
        records.create_tables(METADATA)
        with records.reading() as connection:
            self._generation = connection.execute(sa.select(sa.func.max(OBJECTS.c.generation))).scalar_one() or 0
            named = {row[0] for row in connection.execute(sa.select(OBJECTS.c.sha256).distinct())}
        self._contents.sweep(named)
        self.buckets = Buckets(records)

    # -- reading

    def find(self, bucket: str, key: str, *, generation: int | None = None) -> Object | None:
        """The live object, or the given generation of it; None when there is none."""
        columns = OBJECTS.c
        select = sa.select(OBJECTS).where(columns.bucket == bucket, columns.key == key)
        select = select.where(columns.live.is_(True) if generation is None else columns.generation == generation)
        with self._records.reading() as connection:
            row = connection.execute(select).mappings().first()
        return None if row is None else from_row(dict(row))

    def get(self, bucket: str, key: str, *, generation: int | None = None, conditions: Conditions = ANY) -> Object:
        """As ``find``; raises NotFound, and ConditionNotMet."""
        found = self.find(bucket, key, generation=generation)
        if found is None:
            self.buckets.get(bucket)
            shown = f"{bucket}/{key}" if generation is None else f"{bucket}/{key}, generation {generation}"
            raise NotFound(f"No such object: {shown}")
        conditions.check(found)
        return found

    def open(self, bucket: str, key: str, *, generation: int | None = None) -> BinaryIO:
        """The content of an object, for reading; it stays readable when the object is replaced meanwhile."""
        return self.opened(bucket, key, generation=generation)[1]

    def opened(
        self, bucket: str, key: str, *, generation: int | None = None, conditions: Conditions = ANY
    ) -> tuple[Object, BinaryIO]:
        """An object and its content, of one and the same generation."""
        while True:
            found = self.get(bucket, key, generation=generation, conditions=conditions)
            try:
                return found, self._contents.open(found.sha256)
            except FileNotFoundError:
                # Replaced between the two steps, unless the present state still names the file.
                if self.find(bucket, key, generation=found.generation) is not None:
                    raise DataLoss(
                        "The file of an object's content must be there",
                        given=f"{bucket}/{key}, SHA-256 {found.sha256}",
                        do="restore objects/ of the data directory from a copy",
                    ) from None

    def path(self, bucket: str, key: str) -> Path:
        """The file that holds an object's content, for reading only; it stays for a day when the object is replaced."""
        return self._contents.lend(self.get(bucket, key).sha256)

    def list(
        self,
        bucket: str,
        *,
        prefix: str = "",
        delimiter: str = "",
        start: str = "",
        end: str = "",
        glob: str = "",
        versions: bool = False,
        trailing_delimiter: bool = False,
        page_size: int = 0,
        page_token: str = "",
    ) -> Listing:
        """Objects in order of their names; ``page_size`` 0 means all, else it counts objects and prefixes together.

        Names from ``start`` on and before ``end``. With a delimiter, names that have it behind the prefix are folded
        into ``prefixes``; ``trailing_delimiter`` lists those that end with it as objects too.
        """
        self.buckets.get(bucket)
        query = Query(bucket, prefix, delimiter, start, end, glob, versions, trailing_delimiter)
        return listing.read(self._records, query, page_size=page_size, page_token=page_token)

    def glob(self, uri: str) -> Sequence[Object]:
        """The objects that ``gs://bucket/key`` names, where one ``*`` in the key stands for any text."""
        bucket, key = globs.split(uri)
        if self.buckets.find(bucket) is None:
            return []
        before, star, after = key.partition("*")
        if not star:
            found = self.find(bucket, key)
            return [] if found is None else [found]
        if "*" in after or "*" in bucket:
            raise InvalidArgument("A Cloud Storage URI may have one * in its key", given=repr(uri[:200]))
        least = len(before) + len(after)
        return [
            each
            for each in self.list(bucket, prefix=before).objects
            if each.key.endswith(after) and len(each.key) >= least
        ]

    # -- writing

    def put(
        self,
        bucket: str,
        key: str,
        chunks: Iterable[bytes],
        *,
        content_type: str | None = None,
        body: Body | None = None,
        conditions: Conditions = ANY,
        checksums: Checksums | None = None,
        also: Also | None = None,
    ) -> Object:
        """Store a content under a name, replacing what is there. A stream that raises leaves everything as it was.

        ``also`` is called with the new object inside its transaction.
        """
        self._must_be_outside()
        described = {**({"contentType": content_type} if content_type else {}), **(body or {})}
        self.check(bucket, key, conditions)
        with self._contents.written(chunks) as content:
            if checksums is not None:
                checksums.check(content)
            return self._commit(bucket, key, content, described, conditions, also=also)

    def adopt(
        self,
        bucket: str,
        key: str,
        path: Path,
        *,
        body: Body | None = None,
        conditions: Conditions = ANY,
        checksums: Checksums | None = None,
        also: Also | None = None,
    ) -> Object:
        """As ``put``, with a finished file of the data directory; the caller removes its old name."""
        self._must_be_outside()
        self.check(bucket, key, conditions)
        with self._contents.adopted(path) as content:
            if checksums is not None:
                checksums.check(content)
            return self._commit(bucket, key, content, dict(body or {}), conditions, also=also)

    def check(self, bucket: str, key: str, conditions: Conditions = ANY) -> None:
        """Raise now what a ``put`` would raise at its end, before a long content is sent."""
        check_key(key)
        self.buckets.get(bucket)
        present = self.find(bucket, key)
        conditions.check(present)
        _check_holds(present)

    def update(
        self,
        bucket: str,
        key: str,
        change: Callable[[dict[str, Any]], Body],
        *,
        generation: int | None = None,
        conditions: Conditions = ANY,
    ) -> Object:
        """Change what is said of an object: ``change`` gets the present body and returns the new one."""
        with self._records.transaction() as connection:
            found = self.get(bucket, key, generation=generation, conditions=conditions)
            values = {
                "body": _text(change(found.body)),
                "metageneration": found.metageneration + 1,
                "update_us": to_microseconds(self._clock.now()),
            }
            connection.execute(sa.update(OBJECTS).where(_is(found)).values(values))
            self._note(found, "updated")
            return self.get(bucket, key, generation=found.generation)

    def copy(
        self,
        source: tuple[str, str],
        target: tuple[str, str],
        *,
        generation: int | None = None,
        body: Body | None = None,
        conditions: Conditions = ANY,
        source_conditions: Conditions = ANY,
    ) -> Object:
        """Give a content a second name; no bytes move. ``body`` replaces what is said of the source."""
        bucket, key = target
        check_key(key)
        with self._records.transaction():
            found = self.get(*source, generation=generation, conditions=source_conditions)
            content = Content(found.sha256, found.size, found.crc32c, found.md5 or "")
            return self._commit(
                bucket, key, content, found.body if body is None else body, conditions, components=found.components
            )

    def compose(
        self,
        bucket: str,
        key: str,
        pieces: Sequence[Piece],
        *,
        body: Body | None = None,
        conditions: Conditions = ANY,
        remove: bool = False,
    ) -> Object:
        """Store the contents of up to 32 objects of a bucket, one behind the other, under a name.

        ``remove``: delete the sources in the same transaction; the new object itself stays where it was one of them.
        """
        self._must_be_outside()
        if not 1 <= len(pieces) <= _MOST_PIECES:
            raise InvalidArgument(f"A composition must have 1 to {_MOST_PIECES} sources", given=len(pieces))
        self.check(bucket, key, conditions)
        sources = [
            self.get(bucket, each.key, generation=each.generation, conditions=Conditions(each.generation_match))
            for each in pieces
        ]
        components = sum(each.components or 1 for each in sources)
        gone = {each.key: each for each in sources if each.key != key} if remove else {}

        def also(_: Object) -> None:
            for each in gone.values():
                self.delete(bucket, each.key, generation=None if each.live else each.generation)

        with self._contents.written(self._joined(sources)) as content:
            return self._commit(bucket, key, content, dict(body or {}), conditions, components=components, also=also)

    def move(
        self,
        bucket: str,
        source: str,
        key: str,
        *,
        conditions: Conditions = ANY,
        source_conditions: Conditions = ANY,
    ) -> Object:
        """Rename an object within its bucket, in one step."""
        if source == key:
            raise InvalidArgument("An object must be moved to another name", given=repr(key[:80]))
        with self._records.transaction():
            made = self.copy(
                (bucket, source), (bucket, key), conditions=conditions, source_conditions=source_conditions
            )
            self.delete(bucket, source)
        return made

    def delete(self, bucket: str, key: str, *, generation: int | None = None, conditions: Conditions = ANY) -> None:
        """Remove the live object (a bucket with versioning keeps it, noncurrent), or one generation for good."""
        with self._records.transaction():
            found = self.get(bucket, key, generation=generation, conditions=conditions)
            _check_holds(found)
            if generation is None:
                self._retire(found)
            else:
                self._drop(found)
            self._note(found, "deleted")

    # -- the steps of a change

    def _must_be_outside(self) -> None:
        """Contents are slow to write, and unpinned as soon as a call returns: no transaction may be around it."""
        if self._records.in_transaction:
            raise RuntimeError("A content must not be written inside a transaction of its caller")

    def _commit(
        self,
        bucket: str,
        key: str,
        content: Content,
        body: Body,
        conditions: Conditions,
        components: int | None = None,
        also: Also | None = None,
    ) -> Object:
        with self._records.transaction() as connection:
            self.buckets.get(bucket)
            present = self.find(bucket, key)
            conditions.check(present)
            if present is not None:
                _check_holds(present)
                self._retire(present)
            moment = to_microseconds(self._clock.now())
            row = {
                "bucket": bucket,
                "key": key,
                "generation": self._next_generation(moment),
                "live": True,
                "metageneration": 1,
                "sha256": content.sha256,
                "size": content.size,
                "crc32c": content.crc32c,
                "md5": None if components else content.md5,
                "components": components,
                "create_us": moment,
                "update_us": moment,
                "delete_us": None,
                "body": _text(body),
            }
            connection.execute(sa.insert(OBJECTS), row)
            made = from_row(row)
            self._note(made, "created")
            if also is not None:
                also(made)
        return made

    def _retire(self, found: Object) -> None:
        """Take the place of a live object: noncurrent where the bucket keeps versions, else gone."""
        if not versioned(self.buckets.get(found.bucket)):
            self._drop(found)
            return
        gone = {"live": False, "delete_us": to_microseconds(self._clock.now())}
        with self._records.transaction() as connection:
            connection.execute(sa.update(OBJECTS).where(_is(found)).values(gone))

    def _drop(self, found: Object) -> None:
        with self._records.transaction() as connection:
            connection.execute(sa.delete(OBJECTS).where(_is(found)))
        self._records.after_commit(lambda: self._contents.remove(found.sha256))

    def _named(self, sha256: str) -> bool:
        with self._records.reading() as connection:
            select = sa.select(OBJECTS.c.key).where(OBJECTS.c.sha256 == sha256).limit(1)
            return connection.execute(select).first() is not None

    def _next_generation(self, moment: int) -> int:
        """Microseconds of the clock, and yet never the same twice."""
        with self._generating:
            self._generation = max(moment, self._generation + 1)
            return self._generation

    def _joined(self, sources: Sequence[Object]) -> Iterator[bytes]:
        for each in sources:
            _, file = self.opened(each.bucket, each.key, generation=each.generation)
            with file:
                while chunk := file.read(_PIECE):
                    yield chunk

    def _note(self, found: Object, change: str) -> None:
        name = f"projects/_/buckets/{found.bucket}/objects/{found.key}"
        self._records.note(KIND, name, change, {"generation": str(found.generation)})


def _is(found: Object) -> sa.ColumnElement[bool]:
    columns = OBJECTS.c
    return sa.and_(columns.bucket == found.bucket, columns.key == found.key, columns.generation == found.generation)


def _check_holds(present: Object | None) -> None:
    if present is None:
        return
    held = [hold for hold in _HOLDS if present.body.get(hold)]
    if held:
        raise PermissionDenied(
            "An object under hold must not be replaced or deleted",
            given=f"{present.bucket}/{present.key}, with {held[0]}",
            do=f"set {held[0]} to false first",
            reason="forbidden",
        )


def _text(body: Body) -> str:
    return json.dumps(body, separators=(",", ":"))
