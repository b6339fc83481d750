"""Studies: a search that clients run themselves, one trial after another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tule.kernel.errors import AlreadyExists, InvalidArgument, NotFound
from tule.kernel.names import Pattern, numeric_id
from tule.kernel.records import Record, Records
from tule.vertex.messages import timestamp
from tule.vertex.tuning import specs
from tule.vertex.tuning.trials import Trials

STUDY = Pattern("projects/{project}/locations/{location}/studies/{study}")
_KIND = "study"


class Studies:
    """The studies of the server. Safe to use from several threads."""

    def __init__(self, records: Records, trials: Trials) -> None:
        self._records = records
        self._trials = trials

    def create(self, parent: str, message: Mapping[str, Any]) -> dict[str, Any]:
        """Store a new study; AlreadyExists where the location has one of this display name."""
        name, spec = message.get("displayName", ""), message.get("studySpec", {})
        if not name:
            raise InvalidArgument("A study must have a display name", given="none", do="set study.display_name")
        specs.check(spec)
        with self._records.transaction():
            if self._named(parent, name) is not None:
                raise AlreadyExists(
                    "The display name of a study must be free in its location", given=name,
                    do="look the study up with LookupStudy, or choose another name",
                )  # fmt: skip
            body = {"displayName": name, "studySpec": spec, "state": "ACTIVE"}
            return self.message(self._records.create(_KIND, f"{parent}/studies/{numeric_id()}", body))

    def get(self, name: str) -> dict[str, Any]:
        return self.message(self.find(name))

    def lookup(self, parent: str, display_name: str) -> dict[str, Any]:
        """The study of a display name."""
        record = self._named(parent, display_name)
        if record is None:
            raise NotFound("A study of this display name must exist", given=display_name, do="create it")
        return self.message(record)

    def page(self, parent: str, *, page_size: int, page_token: str) -> tuple[list[dict[str, Any]], str]:
        found = self._records.list(
            _KIND, parent, order_by="create_time", page_size=page_size or 100, page_token=page_token
        )
        return [self.message(each) for each in found], found.next_page_token

    def delete(self, name: str) -> None:
        """Forget a study with its trials."""
        self.find(name)
        with self._records.transaction():
            self._records.delete_under(name)
            self._records.delete(name)

    def settle(self, name: str) -> str:
        """The study's state; it is written down when no more trials will be suggested."""
        record = self.find(name)
        if record.body["state"] == "ACTIVE":
            why = self._trials.ended(record, self._trials.all(name))
            if why:
                record = self._records.update(name, {"state": "COMPLETED", "inactiveReason": why})
        return str(record.body["state"])

    def exhaust(self, name: str) -> None:
        """Note that every point was tried."""
        self._records.update(name, {"state": "COMPLETED", "inactiveReason": "every point of its space was tried"})

    def find(self, name: str) -> Record:
        STUDY.parse(name)
        record = self._records.find(name)
        if record is None or record.kind != _KIND:
            raise NotFound("The study must exist", given=name, do="list the studies of the location")
        return record

    def _named(self, parent: str, display_name: str) -> Record | None:
        found = self._records.list(_KIND, parent)
        return next((each for each in found if each.body["displayName"] == display_name), None)

    @staticmethod
    def message(record: Record) -> dict[str, Any]:
        body = {key: value for key, value in record.body.items() if not key.startswith("_")}
        return {"name": record.name, **body, "createTime": timestamp(record.create_time)}
