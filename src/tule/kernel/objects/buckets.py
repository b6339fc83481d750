"""Buckets: records under their projects, found by their own names."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from tule.kernel.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound
from tule.kernel.objects.conditions import ANY, Conditions
from tule.kernel.objects.schema import BUCKETS, OBJECTS
from tule.kernel.objects.values import check_bucket_name
from tule.kernel.records import Page, Record, Records

KIND = "storage#bucket"


@dataclass(frozen=True, slots=True)
class _Version:
    """A bucket as conditions see it: it has metagenerations only."""

    metageneration: int
    generation: int = 0


class Buckets:
    """The buckets of one store; each is a record ``projects/<project>/buckets/<bucket>``. Its revision is its
    metageneration."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def create(self, project: str, bucket: str, body: dict[str, Any] | None = None) -> Record:
        """Make an empty bucket; raises AlreadyExists, whoever's it is."""
        check_bucket_name(bucket)
        name = f"projects/{project}/buckets/{bucket}"
        with self._records.transaction() as connection:
            if self.find(bucket) is not None:
                raise AlreadyExists(
                    "A bucket name must be free in all projects", given=bucket, do="choose another", reason="conflict"
                )
            connection.execute(sa.insert(BUCKETS), {"bucket": bucket, "record": name})
            return self._records.create(KIND, name, body or {}, parent=f"projects/{project}")

    def find(self, bucket: str) -> Record | None:
        """The bucket's record, None when there is none."""
        with self._records.reading() as connection:
            name = connection.execute(sa.select(BUCKETS.c.record).where(BUCKETS.c.bucket == bucket)).scalar()
        return None if name is None else self._records.find(name)

    def get(self, bucket: str, conditions: Conditions = ANY) -> Record:
        """The bucket's record; raises NotFound and ConditionNotMet."""
        record = self.find(bucket)
        if record is None:
            raise NotFound("The specified bucket does not exist", given=bucket, do="create it first")
        conditions.check(_Version(record.revision))
        return record

    def list(self, project: str, *, prefix: str = "", page_size: int = 0, page_token: str = "") -> Page:
        """The buckets of a project by name."""
        # A star in the prefix would be the filter's own; no bucket's name has one.
        wanted = f"name = {_quoted(f'projects/{project}/buckets/{prefix}*')}" if prefix else ""
        if "*" in prefix:
            raise InvalidArgument("A prefix of bucket names must be letters they may have", given=repr(prefix[:100]))
        return self._records.list(
            KIND, f"projects/{project}", filter=wanted, page_size=page_size, page_token=page_token
        )

    def update(
        self, bucket: str, change: Callable[[dict[str, Any]], dict[str, Any]], conditions: Conditions = ANY
    ) -> Record:
        """Change what is said of a bucket: ``change`` gets the present body and returns the new one."""
        with self._records.transaction():
            record = self.get(bucket, conditions)
            return self._records.update(record.name, lambda body: change(copy.deepcopy(body)))

    def delete(self, bucket: str, conditions: Conditions = ANY) -> None:
        """Remove an empty bucket; one with objects, also noncurrent ones, is FailedPrecondition."""
        with self._records.transaction() as connection:
            record = self.get(bucket, conditions)
            if connection.execute(sa.select(OBJECTS.c.key).where(OBJECTS.c.bucket == bucket).limit(1)).first():
                raise FailedPrecondition(
                    "The bucket you tried to delete is not empty",
                    given=bucket,
                    do="delete its objects first, noncurrent versions included",
                    reason="conflict",
                )
            connection.execute(sa.delete(BUCKETS).where(BUCKETS.c.bucket == bucket))
            self._records.delete(record.name)


def name_of(record: Record) -> str:
    """The bucket's own name."""
    return record.name.rsplit("/", 1)[1]


def project_of(record: Record) -> str:
    """The id of the project that a bucket is in."""
    return record.name.split("/")[1]


def versioned(record: Record) -> bool:
    """Whether a bucket keeps the generations that are replaced or deleted."""
    return bool((record.body.get("versioning") or {}).get("enabled"))


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
