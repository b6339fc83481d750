"""Tensorboards, their experiments, runs and time series, over records. Safe to use from any thread."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tule.kernel.errors import InvalidArgument, NotFound
from tule.kernel.labels import check_labels
from tule.kernel.names import numeric_id
from tule.kernel.records import Record, Records, apply_mask
from tule.vertex.tensorboards.blobs import Blobs
from tule.vertex.tensorboards.levels import EXPERIMENT, RUN, SERIES, TENSORBOARD, Level
from tule.vertex.tensorboards.series import SeriesPoints

_TYPES = ("SCALAR", "TENSOR", "BLOB_SEQUENCE")
_LONGEST_NAME = 128
_MOST_CREATED = 1000
_USAGE = "tensorboardUsage"


class Tensorboards:
    """The tensorboards of a server and what is in them. ``points`` are those of the time series."""

    def __init__(self, records: Records, blobs: Blobs) -> None:
        self._records = records
        self.blobs = blobs
        self.points = SeriesPoints(records)

    # -- reading

    def get(self, level: Level, name: str) -> dict[str, Any]:
        """A resource's message; raises NotFound."""
        return self._messages(level, [self._find(level, name)])[0]

    def page(
        self, level: Level, parent: str, *, filter: str, order_by: str, page_size: int, page_token: str
    ) -> tuple[list[dict[str, Any]], str]:
        """The resources of a level in a parent, and the token of the next page."""
        above = level.pattern.parent
        assert above is not None
        above.parse(parent)
        page = self._records.list(
            level.kind, parent, filter=filter, order_by=order_by, page_size=page_size, page_token=page_token
        )
        return self._messages(level, page.records), page.next_page_token

    def _messages(self, level: Level, found: Sequence[Record]) -> list[dict[str, Any]]:
        extents = self.points.extents([record.name for record in found]) if level is SERIES else {}
        made = []
        for record in found:
            message = {
                **{key: value for key, value in record.body.items() if not key.startswith("_")},
                "name": record.name,
                "createTime": _timestamp(record.create_time),
                "updateTime": _timestamp(record.update_time),
                "etag": record.etag,
            }
            if level is TENSORBOARD:
                runs = self._records.list(RUN.kind, f"{record.name}/experiments/-", page_size=1).total_size
                message |= {"blobStoragePathPrefix": self.blobs.bucket(record.name.split("/")[1]), "runCount": runs}
            if record.name in extents:
                message["metadata"] = extents[record.name]
            made.append(message)
        return made

    # -- creating

    def create(self, level: Level, parent: str, id: str, message: Mapping[str, Any]) -> dict[str, Any]:
        """Add a resource; raises NotFound for its parent, AlreadyExists for its id."""
        return self.create_all([(level, parent, id, message)])[0]

    def create_all(self, wanted: Sequence[tuple[Level, str, str, Mapping[str, Any]]]) -> list[dict[str, Any]]:
        """Add several resources of one level, all or none."""
        if len(wanted) > _MOST_CREATED:
            raise InvalidArgument(f"A batch must create at most {_MOST_CREATED}", given=len(wanted))
        made: list[Record] = []
        with self._records.transaction():
            taken: dict[str, set[str]] = {}
            for level, parent, id, message in wanted:
                self._check_parent(level, parent)
                body = _body(level, message)
                if level.named:
                    if parent not in taken:
                        siblings = self._records.list(level.kind, parent)
                        taken[parent] = {record.body.get("displayName", "") for record in siblings}
                    _take(level, parent, taken[parent], body["displayName"])
                name = f"{parent}/{level.pattern.collection}/{level.check_id(id) if id else numeric_id()}"
                if body.get("isDefault"):
                    self._only_default(parent)
                made.append(self._records.create(level.kind, name, body))
        return self._messages(wanted[0][0], made) if wanted else []

    def _check_parent(self, level: Level, parent: str) -> None:
        above = level.pattern.parent
        assert above is not None
        above.parse(parent)
        if level is not TENSORBOARD and self._records.find(parent) is None:
            raise NotFound(f"The parent of a {level.word} must exist", given=parent, do="create it first")

    def _only_default(self, parent: str) -> None:
        for record in self._records.list(TENSORBOARD.kind, parent):
            if record.body.get("isDefault"):
                self._records.update(record.name, {"isDefault": None})

    # -- changing and deleting

    def update(self, level: Level, message: Mapping[str, Any], mask: Sequence[str]) -> dict[str, Any]:
        """Set the fields that ``mask`` names, without one those that are set; Aborted for a stale etag."""
        name = message.get("name", "")
        body = {key: value for key, value in message.items() if key in level.fields}
        check_labels(body.get("labels", {}))

        def change(old: dict[str, Any]) -> dict[str, Any]:
            new = {**old, **body} if not mask else apply_mask(old, body, [each for each in mask if each != "*"])
            if mask == ["*"]:
                new = {**{key: old[key] for key in level.fields - level.updatable if key in old}, **body}
            fixed = [key for key in level.fields - level.updatable if new.get(key) != old.get(key)]
            if fixed:
                raise InvalidArgument(f"These of a {level.word} must stay as they are", given=", ".join(sorted(fixed)))
            _check_name(level, new)
            return new

        with self._records.transaction():
            record = self._find(level, name)
            parent = name.rsplit("/", 2)[0]
            if level.named and body.get("displayName") not in (None, record.body.get("displayName")):
                siblings = {each.body.get("displayName", "") for each in self._records.list(level.kind, parent)}
                _take(level, parent, siblings, body["displayName"])
            if body.get("isDefault") and not record.body.get("isDefault"):
                self._only_default(parent)
            record = self._records.update(name, change, etag=message.get("etag") or None)
        return self._messages(level, [record])[0]

    def delete(self, level: Level, name: str, *, finish: Callable[[], None] = lambda: None) -> None:
        """Remove a resource with everything in it; ``finish`` runs inside the transaction."""
        self._find(level, name)
        # Objects are removed first: points without their blobs can be deleted once more, blobs without points cannot.
        self.blobs.forget(name)
        with self._records.transaction():
            self._find(level, name)
            self._records.delete_under(name)
            self.points.forget(name)
            self._records.delete(name)
            finish()

    # -- sizes and usage

    def size(self, name: str) -> int:
        """The bytes that a tensorboard's points and blobs take."""
        self._find(TENSORBOARD, name)
        return self.points.size(name) + self.blobs.size(name)

    def viewed(self, name: str, who: str) -> None:
        """Count that somebody has read data of a tensorboard."""
        month = self._records.clock.now().strftime("%Y%m")

        def count(body: dict[str, Any]) -> dict[str, Any]:
            views = body.setdefault(month, {})
            views[who] = views.get(who, 0) + 1
            return body

        with self._records.transaction():
            usage = f"{name}/usage/views"
            if self._records.find(usage) is None:
                self._records.create(_USAGE, usage, {})
            self._records.update(usage, count)

    def usage(self, name: str) -> dict[str, dict[str, int]]:
        """How often each user has read data of a tensorboard, by month (YYYYMM)."""
        self._find(TENSORBOARD, name)
        record = self._records.find(f"{name}/usage/views")
        return record.body if record is not None else {}

    def _find(self, level: Level, name: str) -> Record:
        level.pattern.parse(name)
        record = self._records.find(name)
        if record is None or record.kind != level.kind:
            raise NotFound(f"The {level.word} must exist", given=name)
        return record


def _body(level: Level, message: Mapping[str, Any]) -> dict[str, Any]:
    body = {key: value for key, value in message.items() if key in level.fields}
    check_labels(body.get("labels", {}))
    _check_name(level, body)
    if level is SERIES and body.get("valueType") not in _TYPES:
        raise InvalidArgument(
            f"A time series must be of a type, {', '.join(_TYPES)}", given=body.get("valueType", "none")
        )
    return body


def _check_name(level: Level, body: Mapping[str, Any]) -> None:
    name = body.get("displayName", "")
    if not name and level is not EXPERIMENT:
        raise InvalidArgument(f"A {level.word} must have a display name", given="none")
    # The tags of event files become display names of time series, and may be long.
    if level is not SERIES and len(name) > _LONGEST_NAME:
        raise InvalidArgument(f"A display name must have at most {_LONGEST_NAME} characters", given=len(name))


def _take(level: Level, parent: str, taken: set[str], name: str) -> None:
    if name in taken:
        # Google's uploader looks for the words "already exist" under this code, then uses the one that is there.
        raise InvalidArgument(
            f"The display name of a {level.word} must not already exist in its parent", given=f"{name!r} in {parent}"
        )
    taken.add(name)


def _timestamp(moment: Any) -> str:
    return str(moment.isoformat().replace("+00:00", "Z"))
