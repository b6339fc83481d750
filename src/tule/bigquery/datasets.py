"""Datasets: the records, their rules of deletion and the defaults that new tables take from them.

Hidden datasets (an id beginning with ``_``) hold results of queries. They exist for every project without being created,
are left out of lists unless ``all`` is asked for, and cannot be created, changed or deleted by name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tule.bigquery import collations, dataset_access
from tule.bigquery.errors import already_exists, in_use, invalid, not_found, stale
from tule.bigquery.labels import LabelFilter, checked_labels
from tule.bigquery.references import DatasetReference
from tule.bigquery.schemas import partition_lifetime
from tule.kernel.errors import Aborted
from tule.kernel.iam import Policies
from tule.kernel.records import Record, Records

KIND = "bigquery#dataset"
DEFAULT_LOCATION = "US"
_SHORTEST_EXPIRATION_MS = 3_600_000
_LONGEST_TEXT = 16_384

DropContents = Callable[[DatasetReference], None]


class Datasets:
    """The datasets of all projects. Answers are REST resources; safe to use from any thread."""

    def __init__(
        self, records: Records, policies: Policies, base_url: str = "https://bigquery.googleapis.com/bigquery/v2"
    ) -> None:
        self._records = records
        self._policies = policies
        self.remember: Callable[[DatasetReference], None] = lambda reference: None
        """Called before a dataset is deleted; set by the warehouse."""
        self._base_url = base_url

    def insert(self, project: str, body: dict[str, Any]) -> dict[str, Any]:
        """Create a dataset; raises AlreadyExists in BigQuery's words."""
        reference = DatasetReference.read(body.get("datasetReference"), project)
        if reference.hidden:
            raise invalid(
                f'Invalid dataset ID "{reference.dataset}". Dataset IDs that begin with an underscore are hidden'
            )
        stored = self._checked({**body, "datasetReference": reference.json()})
        stored.setdefault("location", DEFAULT_LOCATION)
        with self._records.transaction():
            if self._records.find(reference.name) is not None:
                raise already_exists("Dataset", reference)
            record = self._records.create(KIND, reference.name, stored)
            self._grant(record)
        return self.resource(record)

    def restore(self, reference: DatasetReference, body: dict[str, Any]) -> None:
        """Make a dataset again of its record's body; part of the current transaction."""
        self._grant(self._records.create(KIND, reference.name, body))

    def _grant(self, record: Record) -> None:
        """Make the access list of a dataset its policy, which is what calls are checked against."""
        entries = record.body.get("access", dataset_access.DEFAULT)
        project = record.body["datasetReference"]["projectId"]
        self._policies.set(record.name, dataset_access.policy(entries, project))

    def find(self, reference: DatasetReference) -> Record | None:
        return self._records.find(reference.name)

    def record(self, reference: DatasetReference) -> Record:
        """The stored record; raises NotFound for one that was not created."""
        found = self._records.find(reference.name)
        if found is None:
            raise not_found("Dataset", reference)
        return found

    def get(self, reference: DatasetReference) -> dict[str, Any]:
        if reference.hidden and self._records.find(reference.name) is None:
            return self._hidden(reference)
        return self.resource(self.record(reference))

    def exists(self, reference: DatasetReference) -> bool:
        return reference.hidden or self._records.find(reference.name) is not None

    def check(self, reference: DatasetReference) -> None:
        """Raise NotFound unless tables can be in it."""
        if not self.exists(reference):
            raise not_found("Dataset", reference)

    def location(self, reference: DatasetReference) -> str:
        found = self._records.find(reference.name)
        return str(found.body.get("location", DEFAULT_LOCATION)) if found else DEFAULT_LOCATION

    def patch(self, reference: DatasetReference, body: dict[str, Any], *, etag: str | None = None) -> dict[str, Any]:
        """Change the given fields; null clears one."""
        self.record(reference)
        change = {key: value for key, value in body.items() if key != "datasetReference"}
        return self._change(reference, lambda old: _merged(old, change), etag)

    def update(self, reference: DatasetReference, body: dict[str, Any], *, etag: str | None = None) -> dict[str, Any]:
        """Replace the whole description; the name and location stay."""
        self.record(reference)

        def replaced(old: dict[str, Any]) -> dict[str, Any]:
            kept: dict[str, Any] = {key: old[key] for key in ("datasetReference", "location", "access") if key in old}
            given = {key: value for key, value in body.items() if value is not None and key != "datasetReference"}
            return {**kept, **given}

        return self._change(reference, replaced, etag)

    def _change(
        self, reference: DatasetReference, change: Callable[[dict[str, Any]], dict[str, Any]], etag: str | None
    ) -> dict[str, Any]:
        def checked(old: dict[str, Any]) -> dict[str, Any]:
            new = self._checked(change(dict(old)))
            if new.get("location", DEFAULT_LOCATION) != old.get("location", DEFAULT_LOCATION):
                raise invalid("The location of a dataset cannot be changed after it was created")
            return new

        try:
            with self._records.transaction():
                record = self._records.update(reference.name, checked, etag=etag)
                self._grant(record)
        except Aborted as error:
            raise stale() from error
        return self.resource(record)

    def delete(self, reference: DatasetReference, *, contents: bool, drop: DropContents) -> None:
        """Remove a dataset. With ``contents`` its tables, models and routines go first, through ``drop``.

        Raises "still in use" where something is inside and ``contents`` is false.
        """
        self.record(reference)
        # In one transaction: a table cannot slip in between.
        with self._records.transaction():
            self.remember(reference)
            if contents:
                drop(reference)
            for kind in ("bigquery#table", "bigquery#model", "bigquery#routine"):
                if self._records.list(kind, reference.name, page_size=1).records:
                    raise in_use(reference)
            self._records.delete(reference.name)

    def list(
        self, project: str, *, filter: str = "", all: bool = False, page_size: int = 0, page_token: str = ""
    ) -> tuple[Sequence[dict[str, Any]], str]:
        """Short resources of a project's datasets by name, and the token of the next page."""
        wanted = LabelFilter(filter)
        page = self._records.list(
            KIND, f"projects/{project}", filter=wanted.aip, page_size=page_size, page_token=page_token
        )
        keys = ("datasetReference", "labels", "friendlyName", "location")
        return [
            {"kind": KIND, "id": _id(each.body), **{key: each.body[key] for key in keys if key in each.body}}
            for each in page
        ], page.next_page_token

    def resource(self, record: Record) -> dict[str, Any]:
        """The REST Dataset."""
        reference = record.body["datasetReference"]
        return {
            "kind": KIND,
            "etag": record.etag,
            "id": _id(record.body),
            "selfLink": f"{self._base_url}/{record.name}",
            "type": "DEFAULT",
            "access": dataset_access.DEFAULT,
            "maxTimeTravelHours": str(LONGEST_TIME_TRAVEL),
            **{key: value for key, value in record.body.items() if key != "_tule"},
            "datasetReference": {"projectId": reference["projectId"], "datasetId": reference["datasetId"]},
            "creationTime": milliseconds(record.create_time),
            "lastModifiedTime": milliseconds(record.update_time),
        }

    def _hidden(self, reference: DatasetReference) -> dict[str, Any]:
        return {
            "kind": KIND,
            "etag": "hidden",
            "id": str(reference),
            "selfLink": f"{self._base_url}/{reference.name}",
            "type": "DEFAULT",
            "access": dataset_access.DEFAULT,
            "datasetReference": reference.json(),
            "location": DEFAULT_LOCATION,
            "defaultTableExpirationMs": str(24 * 3_600_000),
            "creationTime": "0",
            "lastModifiedTime": "0",
        }

    def _checked(self, body: dict[str, Any]) -> dict[str, Any]:
        """The body to store, its values in the form that is answered; None removed."""
        body = {key: value for key, value in body.items() if value is not None and key not in OUTPUT_FIELDS}
        if "labels" in body:
            body["labels"] = checked_labels(body["labels"])
        for key in ("friendlyName", "description"):
            if key in body and (not isinstance(body[key], str) or len(body[key]) > _LONGEST_TEXT):
                raise invalid(f"{key} must be a text of at most {_LONGEST_TEXT} characters")
        if "defaultTableExpirationMs" in body:
            body["defaultTableExpirationMs"] = str(expiration(body["defaultTableExpirationMs"]))
        if "defaultPartitionExpirationMs" in body:
            lifetime = partition_lifetime(body.pop("defaultPartitionExpirationMs"), "defaultPartitionExpirationMs")
            body |= {"defaultPartitionExpirationMs": str(lifetime)} if lifetime else {}
        if "maxTimeTravelHours" in body:
            body["maxTimeTravelHours"] = checked_hours(body["maxTimeTravelHours"])
            if body["maxTimeTravelHours"] == str(LONGEST_TIME_TRAVEL):
                del body["maxTimeTravelHours"]
        if "defaultCollation" in body and not collations.checked(body["defaultCollation"], "a dataset's new tables"):
            del body["defaultCollation"]
        if "access" in body:
            body["access"] = dataset_access.checked(body["access"])
            if body["access"] == dataset_access.DEFAULT:
                del body["access"]
        if "location" in body and not isinstance(body["location"], str):
            raise invalid(f"location must be a text; given: {body['location']!r}")
        # In one order, so that the same description is the same record.
        return dict(sorted(body.items()))


# What clients send back from an earlier answer: taken, never stored.
OUTPUT_FIELDS = ("kind", "etag", "id", "selfLink", "creationTime", "lastModifiedTime", "type", "satisfiesPzs")


LONGEST_TIME_TRAVEL = 168


def checked_hours(given: Any) -> str:
    """``maxTimeTravelHours``: whole days from two to seven."""
    try:
        hours = int(given)
    except (TypeError, ValueError):
        hours = 0
    if not 48 <= hours <= LONGEST_TIME_TRAVEL or hours % 24:
        raise invalid(
            f"maxTimeTravelHours must be a multiple of 24 between 48 and {LONGEST_TIME_TRAVEL}; given: {given!r}"
        )
    return str(hours)


def expiration(value: Any) -> int:
    """A default lifetime in milliseconds, at least one hour as BigQuery demands."""
    try:
        number = int(value)
    except (TypeError, ValueError):
        raise invalid(f"defaultTableExpirationMs must be a number of milliseconds; given: {value!r}") from None
    if number < _SHORTEST_EXPIRATION_MS:
        raise invalid(
            f"Invalid value for: defaultTableExpirationMs must be at least {_SHORTEST_EXPIRATION_MS}; given: {number}"
        )
    return number


def milliseconds(moment: Any) -> str:
    """Milliseconds since 1970 as a decimal string."""
    return str(int(moment.timestamp() * 1000))


def _id(body: dict[str, Any]) -> str:
    reference = body["datasetReference"]
    return f"{reference['projectId']}:{reference['datasetId']}"


def _merged(old: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """A JSON merge patch (RFC 7396) of the top level and of maps: null clears, labels merge key by key."""
    merged = dict(old)
    for key, value in change.items():
        if value is None:
            merged.pop(key, None)
        elif key == "labels" and isinstance(value, dict):
            labels = {**(merged.get("labels") or {}), **value}
            merged["labels"] = {name: text for name, text in labels.items() if text is not None}
        else:
            merged[key] = value
    return merged
