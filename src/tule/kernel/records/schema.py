"""The tables of the record store, valid on SQLite and PostgreSQL.

Times are microseconds since 1970 so that order and equality mean the same on both.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

# Names order by code point on both: PostgreSQL would otherwise sort by the language of its cluster.
_NAME: Final = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
# SQLite numbers rows by itself only where the type is exactly INTEGER.
_SERIAL: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

METADATA: Final = sa.MetaData()

RECORDS: Final = sa.Table(
    "records",
    METADATA,
    sa.Column("name", _NAME, primary_key=True),
    sa.Column("kind", _NAME, nullable=False),
    sa.Column("parent", _NAME, nullable=False),
    sa.Column("uid", sa.Text, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("etag", sa.Text, nullable=False),
    sa.Column("create_us", sa.BigInteger, nullable=False),
    sa.Column("update_us", sa.BigInteger, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Index("records_by_parent", "kind", "parent", "name"),
    sa.Index("records_by_creation", "kind", "parent", "create_us", "name"),
)

JOURNAL: Final = sa.Table(
    "journal",
    METADATA,
    sa.Column("position", _SERIAL, primary_key=True, autoincrement=True),
    sa.Column("time_us", sa.BigInteger, nullable=False),
    sa.Column("kind", _NAME, nullable=False),
    sa.Column("name", _NAME, nullable=False),
    sa.Column("change", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    # Positions are never used twice, also after old entries were trimmed: readers keep the last one they saw.
    sqlite_autoincrement=True,
)

# Both ends are found by an index: the primary key's own, and one from the other side.
LINKS: Final = sa.Table(
    "links",
    METADATA,
    sa.Column("source", _NAME, primary_key=True),
    sa.Column("relation", _NAME, primary_key=True),
    sa.Column("target", _NAME, primary_key=True),
    sa.Column("time_us", sa.BigInteger, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Index("links_by_target", "target", "relation"),
)

SERIES: Final = sa.Table(
    "series",
    METADATA,
    sa.Column("number", _SERIAL, primary_key=True, autoincrement=True),
    sa.Column("name", _NAME, nullable=False, unique=True),
    # Numbers are never used twice: points of a series that is being removed cannot come back in another.
    sqlite_autoincrement=True,
)

POINTS: Final = sa.Table(
    "points",
    METADATA,
    sa.Column("position", _SERIAL, primary_key=True, autoincrement=True),
    sa.Column("series", sa.BigInteger, nullable=False),
    sa.Column("step", sa.BigInteger, nullable=False),
    sa.Column("time_us", sa.BigInteger, nullable=False),
    # NULL without a payload is "not a number": SQLite has no other way to say it.
    sa.Column("value", sa.Float, nullable=True),
    sa.Column("payload", sa.LargeBinary, nullable=True),
    sa.Index("points_by_step", "series", "step"),
)
