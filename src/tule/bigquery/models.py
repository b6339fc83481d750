"""Models as resources: what ``models.*`` answers. Their training and their use in SQL are ``bigquery.ml``'s."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from tule.bigquery.datasets import Datasets, milliseconds
from tule.bigquery.errors import invalid, not_found, stale
from tule.bigquery.labels import checked_labels
from tule.bigquery.references import DatasetReference, ModelReference
from tule.kernel.clock import Clock
from tule.kernel.errors import Aborted, FailedPrecondition
from tule.kernel.records import Record, Records

KIND = "bigquery#model"
_LOG = logging.getLogger(__name__)
_CHANGEABLE = ("friendlyName", "description", "labels", "expirationTime")

Forget = Callable[[Record], None]


def _keep(_: Record) -> None:
    return None


class Models:
    """The model records of all projects.

    ``forget`` is called inside the transaction that removes a record, to give up what the model owned; what it raises
    keeps the model.
    """

    def __init__(self, records: Records, datasets: Datasets, clock: Clock, forget: Forget = _keep) -> None:
        self._records = records
        self._datasets = datasets
        self._clock = clock
        self.forget = forget

    def find(self, reference: ModelReference) -> Record | None:
        """The record; None where there is none or its time is over."""
        record = self._records.find(reference.name)
        return None if record is None or self._expired(record) else record

    def record(self, reference: ModelReference) -> Record:
        found = self.find(reference)
        if found is None:
            self._datasets.check(reference.parent)
            raise not_found("Model", reference)
        return found

    def get(self, reference: ModelReference) -> dict[str, Any]:
        return self.resource(self.record(reference))

    def list(
        self, dataset: DatasetReference, *, page_size: int = 0, page_token: str = ""
    ) -> tuple[Sequence[dict[str, Any]], str]:
        """Short resources of a dataset's models by name, and the token of the next page."""
        self._datasets.check(dataset)
        page = self._records.list(KIND, dataset.name, page_size=page_size, page_token=page_token)
        keys = ("modelReference", "modelType", "creationTime", "lastModifiedTime", "labels", "expirationTime")
        resources = [self.resource(each) for each in page if not self._expired(each)]
        return [{key: each[key] for key in keys if key in each} for each in resources], page.next_page_token

    def patch(self, reference: ModelReference, body: dict[str, Any], *, etag: str | None = None) -> dict[str, Any]:
        """Change description, labels and expiration; null clears."""
        self.record(reference)
        change = {key: body[key] for key in _CHANGEABLE if key in body}
        if change.get("labels"):
            change["labels"] = {
                **checked_labels(change["labels"]),
                **{key: None for key, value in change["labels"].items() if value is None},
            }
        if change.get("expirationTime") is not None:
            change["expirationTime"] = str(_moment(change["expirationTime"]))

        def changed(old: dict[str, Any]) -> dict[str, Any]:
            labels = {**(old.get("labels") or {}), **(change.get("labels") or {})}
            new = {**old, **change}
            if "labels" in change:
                new["labels"] = {key: value for key, value in labels.items() if value is not None}
            return {key: value for key, value in new.items() if value is not None}

        try:
            return self.resource(self._records.update(reference.name, changed, etag=etag))
        except Aborted as error:
            raise stale() from error

    def delete(self, reference: ModelReference) -> None:
        self.remove(self.record(reference))

    def remove(self, record: Record) -> None:
        """Remove a record and what it owns; part of the current transaction where there is one."""
        with self._records.transaction():
            self._records.delete(record.name)
            self.forget(record)

    def expire(self) -> None:
        """Remove models whose time is over; one that is still served stays, unseen, until it is not."""
        for record in self._records.list(KIND, filter="expirationTime:*").records:
            if self._expired(record):
                try:
                    self.remove(record)
                except FailedPrecondition as error:
                    _LOG.info("The expired model %s stays: %s", record.name, error)

    def _expired(self, record: Record) -> bool:
        at = record.body.get("expirationTime")
        return at is not None and int(at) <= self._clock.now().timestamp() * 1000

    def resource(self, record: Record) -> dict[str, Any]:
        """The REST Model."""
        return {
            "etag": record.etag,
            **{key: value for key, value in record.body.items() if not key.startswith("_")},
            "creationTime": milliseconds(record.create_time),
            "lastModifiedTime": milliseconds(record.update_time),
            "location": self._datasets.location(_dataset(record)),
        }


def _dataset(record: Record) -> DatasetReference:
    _, project, _, dataset, *_ = record.name.split("/")
    return DatasetReference(project, dataset)


def _moment(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        raise invalid(f"expirationTime must be milliseconds since 1970; given: {value!r}") from None
