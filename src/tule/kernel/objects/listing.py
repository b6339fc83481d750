"""Lists of objects: by prefix, folded at a delimiter, between two names, in pages.

https://cloud.google.com/storage/docs/json_api/v1/objects/list
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from tule.kernel.errors import InvalidArgument
from tule.kernel.objects import globs
from tule.kernel.objects.schema import OBJECTS
from tule.kernel.objects.values import Object, from_row
from tule.kernel.records import Records, pages

_PIECE = 1000
# What is read behind a folder at first: the next row may begin another one.
_FIRST_PIECE = 16
_NAMES = tuple(column.name for column in OBJECTS.c)
_LAST = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class Listing:
    """A part of a list: objects and folded prefixes, each in order; ``next_page_token`` is empty on the last one."""

    objects: list[Object]
    prefixes: list[str]
    next_page_token: str = ""


@dataclass(frozen=True, slots=True)
class Query:
    """What a list asks for. Names from ``start`` on and before ``end``; ``glob`` as ``globs.compiled`` reads it."""

    bucket: str
    prefix: str = ""
    delimiter: str = ""
    start: str = ""
    end: str = ""
    glob: str = ""
    versions: bool = False
    trailing_delimiter: bool = False

    @property
    def identity(self) -> tuple[str, ...]:
        """What a page token is bound to."""
        flags = f"{self.versions:d}{self.trailing_delimiter:d}"
        return ("objects", self.bucket, self.prefix, self.delimiter, self.start, self.end, self.glob, flags)


@dataclass
class _Position:
    """Where a scan goes on: behind a generation of a key, or at a key and everything after it."""

    key: str
    generation: int | None = None

    def condition(self, versions: bool) -> sa.ColumnElement[bool]:
        columns = OBJECTS.c
        if self.generation is None:
            return columns.key >= self.key
        if not versions:
            return columns.key > self.key
        same = sa.and_(columns.key == self.key, columns.generation > self.generation)
        return sa.or_(columns.key > self.key, same)


@dataclass
class _Found:
    """An entry of a list, and where the scan goes on behind it."""

    after: _Position
    object: Object | None = None
    prefix: str | None = None


def read(records: Records, query: Query, *, page_size: int = 0, page_token: str = "") -> Listing:
    """The objects and prefixes of a query; ``page_size`` 0 gives all, else at most that many of both together."""
    if page_size < 0:
        raise InvalidArgument("A page size must not be negative", given=page_size)
    position = _Position(max(query.prefix, query.start))
    if page_token:
        key, generation = pages.key_of(query.identity, page_token)
        position = _Position(key, generation)
    entries: list[_Found] = []
    more = False
    for entry in _entries(records, query, position):
        if page_size and len(entries) == page_size:
            more = True
            break
        entries.append(entry)
    token = ""
    if more:
        last = entries[-1].after
        token = pages.token(query.identity, [last.key, last.generation])
    return Listing(
        [each.object for each in entries if each.object is not None],
        [each.prefix for each in entries if each.prefix is not None],
        token,
    )


def _entries(records: Records, query: Query, position: _Position) -> Iterator[_Found]:
    """Objects and prefixes in order. Behind each prefix the scan jumps to what is past it, so that a list of a few
    folders does not read all that is in them."""
    ends = [end for end in (query.end, _past(query.prefix)) if end]
    upper = min(ends) if ends else None
    fits = globs.compiled(query.glob) if query.glob else None
    folded: str | None = None
    size = _FIRST_PIECE if query.delimiter else _PIECE
    while True:
        rows = _rows(records, query, position, upper, size)
        for row in rows:
            key = row["key"]
            if folded is not None and key.startswith(folded):
                continue
            if fits is not None and fits.fullmatch(key) is None:
                continue
            folded = _fold(query, key)
            if folded is None:
                yield _Found(_Position(key, row["generation"]), object=from_row(row))
                continue
            beyond = _past(folded)
            if query.trailing_delimiter and key == folded:
                yield _Found(_Position(key), object=from_row(row))
            yield _Found(_Position(beyond) if beyond is not None else _Position(_LAST, 0), prefix=folded)
        if len(rows) < size:
            return
        last, size = rows[-1], min(2 * size, _PIECE)
        position = _Position(last["key"], last["generation"])
        if folded is not None and last["key"].startswith(folded):
            beyond = _past(folded)
            if beyond is None:
                return
            position, size = _Position(beyond), _FIRST_PIECE


def _rows(records: Records, query: Query, position: _Position, upper: str | None, size: int) -> list[dict[str, Any]]:
    columns = OBJECTS.c
    wanted = [columns.bucket == query.bucket, position.condition(query.versions)]
    if not query.versions:
        wanted.append(columns.live.is_(True))
    if upper is not None:
        wanted.append(columns.key < upper)
    select = sa.select(OBJECTS).where(*wanted).order_by(columns.key, columns.generation).limit(size)
    with records.reading() as connection:
        # Mappings of SQLAlchemy's own would take half of the time.
        return [dict(zip(_NAMES, row, strict=True)) for row in connection.execute(select)]


def _fold(query: Query, key: str) -> str | None:
    """The prefix that a key is folded into: up to and with the first delimiter behind the query's prefix."""
    if not query.delimiter:
        return None
    at = key.find(query.delimiter, len(query.prefix))
    return None if at < 0 else key[: at + len(query.delimiter)]


def _past(prefix: str) -> str | None:
    """The first text behind all that begin with ``prefix``; None when there is none.

    >>> _past("ab"), _past(""), _past("a" + chr(0x10FFFF))
    ('ac', None, 'b')
    """
    kept = prefix.rstrip(_LAST)
    if not kept:
        return None
    following = ord(kept[-1]) + 1
    # Between the two lie the surrogates, which no text in UTF-8 has.
    return kept[:-1] + chr(0xE000 if following == 0xD800 else following)
