"""The tables of buckets and objects. An object is a row, not a record: there may be millions.

Times and generations are microseconds since 1970; names order by code point.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

_NAME: Final = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

METADATA: Final = sa.MetaData()

# Bucket names are unique in the whole store, while a bucket's record stands under its project.
BUCKETS: Final = sa.Table(
    "buckets",
    METADATA,
    sa.Column("bucket", _NAME, primary_key=True),
    sa.Column("record", _NAME, nullable=False),
)

OBJECTS: Final = sa.Table(
    "objects",
    METADATA,
    sa.Column("bucket", _NAME, primary_key=True),
    sa.Column("key", _NAME, primary_key=True),
    sa.Column("generation", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("live", sa.Boolean, nullable=False),
    sa.Column("metageneration", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("crc32c", sa.Text, nullable=False),
    sa.Column("md5", sa.Text),
    sa.Column("components", sa.BigInteger),
    sa.Column("create_us", sa.BigInteger, nullable=False),
    sa.Column("update_us", sa.BigInteger, nullable=False),
    sa.Column("delete_us", sa.BigInteger),
    sa.Column("body", sa.Text, nullable=False),
    sa.Index("objects_by_content", "sha256"),
)
