"""Tables and views: records, schema changes, expiration and what is true of their rows.

Rows are in a physical table with a random name (``physical.py``), which the record's private part names. Whatever replaces
rows writes a new physical table first and then flips the record; the old one is dropped after that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tule.bigquery import collations, schemas
from tule.bigquery.datasets import Datasets, milliseconds
from tule.bigquery.errors import already_exists, invalid, not_found, stale
from tule.bigquery.history import DROP, History, State
from tule.bigquery.history import TABLE_KIND as KIND
from tule.bigquery.labels import checked_labels
from tule.bigquery.partitioning import Partitioning, cut, partitioning_of, stored_fields
from tule.bigquery.physical import Physical
from tule.bigquery.references import DatasetReference, ModelReference, TableReference
from tule.bigquery.schemas import JsonField
from tule.kernel.clock import Clock
from tule.kernel.errors import Aborted
from tule.kernel.records import Record, Records

TABLE, VIEW, EXTERNAL = "TABLE", "VIEW", "EXTERNAL"
SNAPSHOT, MATERIALIZED_VIEW = "SNAPSHOT", "MATERIALIZED_VIEW"
_OWN_ROWS = (TABLE, SNAPSHOT, MATERIALIZED_VIEW)
# What clients send back from an earlier answer: taken, never stored.
OUTPUT_FIELDS = (
    "kind", "etag", "id", "selfLink", "creationTime", "lastModifiedTime", "type", "location", "numBytes", "numRows",
    "numLongTermBytes", "numTotalLogicalBytes", "numActiveLogicalBytes", "numLongTermLogicalBytes",
    "numPartitions",
)  # fmt: skip
_LONGEST_TEXT = 16_384
_LONG_TERM = timedelta(days=90)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DEFINITIONS = ("snapshotDefinition", "cloneDefinition")

Views = Callable[[TableReference, str], list[JsonField]]
Materialize = Callable[[TableReference, Mapping[str, Any]], Record]
Anonymous = Callable[[TableReference], dict[str, Any] | None]
ExternalSchema = Callable[[Mapping[str, Any], Any], list[JsonField]]


class Tables:
    """The tables of all projects. Answers are REST resources; safe to use from any thread.

    ``view_schema`` tells the columns of a view's query (and raises for one that cannot run); ``anonymous`` the resource of
    a query's result; ``external_schema`` the columns of an external table, of its configuration and those given. They are
    set by the warehouse, which is built after this.
    """

    def __init__(
        self,
        records: Records,
        datasets: Datasets,
        physical: Physical,
        clock: Clock,
        base_url: str = "https://bigquery.googleapis.com/bigquery/v2",
    ) -> None:
        self._records = records
        self._datasets = datasets
        self._physical = physical
        self._clock = clock
        self.history = History(records, datasets, physical, clock)
        self._base_url = base_url
        self.view_schema: Views = lambda reference, query: []
        self.anonymous: Anonymous = lambda reference: None
        self.materialize: Materialize
        """Makes a materialized view; set by the warehouse."""
        self.settle: Callable[[Record], bool] = lambda record: False
        """Removes the partitions of a table whose time is over; set by the warehouse."""
        self.external_schema: ExternalSchema = lambda external, fields: schemas.checked(fields or [])

    # -- reading

    def find(self, reference: TableReference) -> Record | None:
        """The record; None where there is none or its time is over."""
        record = self._records.find(reference.name)
        return None if record is None or self.expired(record) else record

    def current(self, reference: TableReference) -> Record | None:
        """The same of a table that is looked at: without partitions whose time is over."""
        record = self.find(reference)
        return record if record is None else self.settled(record)

    def settled(self, record: Record) -> Record:
        """The record of a table after partitions are gone whose time is over."""
        if "expirationMs" in (record.body.get("timePartitioning") or {}) and self.settle(record):
            return self._records.get(record.name)
        return record

    def record(self, reference: TableReference) -> Record:
        found = self.find(reference)
        if found is None:
            raise self.missing(reference)
        return found

    def at(self, reference: TableReference, moment: int) -> State:
        """A table as it was at a moment (microseconds since 1970); raises for one that is not remembered."""
        found = self.history.at(reference, self.find(reference), moment)
        if found is None:
            raise self.missing(reference)
        return found

    def check_dataset(self, reference: TableReference) -> None:
        """Raise NotFound where the table's dataset is not there."""
        self._datasets.check(reference.parent)

    def missing(self, reference: TableReference) -> Exception:
        """The error for a table that is not there: it names the dataset when that is missing too."""
        self._datasets.check(reference.parent)
        return not_found("Table", reference)

    def get(
        self, reference: TableReference, *, selected: str = "", statistics: bool = True, partition: str = ""
    ) -> dict[str, Any]:
        """The REST Table; with the numbers of one ``partition`` where it is named."""
        record = self.current(reference)
        if record is None:
            anonymous = self.anonymous(reference)
            if anonymous is None:
                raise self.missing(reference)
            return anonymous
        made = self.resource(record, statistics=statistics)
        if partition:
            made |= self._of_partition(record, partition) if statistics else {}
        if selected and "schema" in made:
            made["schema"] = {"fields": schemas.selected(made["schema"]["fields"], selected)}
        return made

    def list(
        self, dataset: DatasetReference, *, page_size: int = 0, page_token: str = ""
    ) -> tuple[Sequence[dict[str, Any]], str, int]:
        """Short resources by name, the token of the next page and the number of all tables."""
        self._datasets.check(dataset)
        page = self._records.list(KIND, dataset.name, page_size=page_size, page_token=page_token)
        keys = (
            "kind", "id", "tableReference", "friendlyName", "type", "labels", "creationTime", "expirationTime",
            "timePartitioning", "rangePartitioning", "clustering", "view", "materializedView", "snapshotDefinition",
            "cloneDefinition", "requirePartitionFilter",
        )  # fmt: skip
        found = []
        for record in page:
            if not self.expired(record):
                whole = self.resource(record, statistics=False)
                short = {key: whole[key] for key in keys if key in whole}
                if "view" in short:
                    short["view"] = {"useLegacySql": False}
                found.append(short)
        return found, page.next_page_token, page.total_size

    def resource(self, record: Record, *, statistics: bool = True) -> dict[str, Any]:
        """The REST Table."""
        body = record.body
        reference = TableReference.of(record.name)
        made = {
            "kind": KIND,
            "etag": record.etag,
            "id": str(reference),
            "selfLink": f"{self._base_url}/{record.name}",
            **{key: value for key, value in body.items() if key not in ("_tule", "enableChangeHistory")},
            "creationTime": milliseconds(record.create_time),
            "lastModifiedTime": milliseconds(record.update_time),
            "location": self._datasets.location(reference.parent),
        }
        if body["type"] in _OWN_ROWS and statistics:
            rows, size = self.measure(record)
            old = size if self.is_long_term(record) else 0
            made |= {
                "numRows": str(rows),
                "numBytes": str(size),
                "numLongTermBytes": str(old),
                "numTotalLogicalBytes": str(size),
                "numActiveLogicalBytes": str(size - old),
                "numLongTermLogicalBytes": str(old),
            }
            if (partitioning := Partitioning.of(body)) is not None:
                made["numPartitions"] = str(len(self.distinct(record, partitioning.id)))
        elif statistics:
            made |= {"numRows": "0", "numBytes": "0", "numLongTermBytes": "0"}
        return made

    def _of_partition(self, record: Record, id: str) -> dict[str, Any]:
        reference = TableReference.of(record.name)
        partitioning = partitioning_of(record.body, reference)
        rows, size = self.measure(record, partitioning.holds(partitioning.checked(id, reference)))
        made = {key: str(size) for key in ("numBytes", "numTotalLogicalBytes", "numActiveLogicalBytes")}
        named = {**reference.json(), "tableId": f"{reference.table}${id}"}
        return {"id": f"{reference}${id}", "tableReference": named, "numRows": str(rows), **made}

    def is_long_term(self, record: Record) -> bool:
        """Whether the rows of a table have not changed for ninety days: their storage then counts as long-term."""
        points = record.body["_tule"].get("points")
        changed = _EPOCH + timedelta(microseconds=points[-1][0]) if points else record.update_time
        return self._clock.now() - changed >= _LONG_TERM

    def distinct(self, record: Record, expression: str) -> Sequence[Any]:
        """The values of an expression of the engine over the rows of a table."""
        changes = record.body["_tule"].get("changes", 0)
        return self._physical.distinct(TableReference.of(record.name).project, physical_of(record), changes, expression)

    def measure(self, record: Record, where: str = "") -> tuple[int, int]:
        """Rows and logical bytes of a table as it is now, of the rows for which a condition of the engine holds."""
        project, name = TableReference.of(record.name).project, physical_of(record)
        changes = record.body["_tule"].get("changes", 0)
        columns = tuple(str(each["name"]) for each in record.body["schema"]["fields"])
        return self._physical.rows(project, name, where), self._physical.size(project, name, changes, columns, where)

    def counted(self, record: Record, physical: str, expression: str) -> Sequence[tuple[str | None, int]]:
        """How many rows of a table have each value of an expression of the engine, in its order."""
        relation = self._physical.relation(TableReference.of(record.name).project, physical)
        sql = f"SELECT {self._physical.said(expression)} AS id, count(*) AS n FROM {relation} GROUP BY 1 ORDER BY 1"
        with self._physical.session() as session:
            found = session.query(sql).table()
        return list(zip(found.column(0).to_pylist(), found.column(1).to_pylist(), strict=True))

    def least(self, record: Record, expression: str) -> datetime | None:
        """An aggregate of the engine over all rows, which is a DATETIME, as a moment of UTC."""
        relation = self._physical.relation(TableReference.of(record.name).project, physical_of(record))
        with self._physical.session() as session:
            found = (
                session.query(f"SELECT {self._physical.said(expression)} AS least FROM {relation}")
                .table()
                .column(0)[0]
                .as_py()
            )
        return None if found is None else found.replace(tzinfo=UTC)

    # -- writing

    def insert(self, dataset: DatasetReference, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create an empty table, a view or an external table."""
        reference = TableReference.read({**dataset.json(), **(body.get("tableReference") or {})}, dataset.project)
        if reference.parent != dataset:
            raise invalid(f"tableReference must name a table of {dataset}; given: {reference}")
        self._datasets.check(dataset)
        if self.find(reference) is not None:
            raise already_exists("Table", reference)
        if body.get("view"):
            return self.resource(self.create(reference, self.view_body(reference, body)))
        if body.get("materializedView"):
            return self.resource(self.materialize(reference, body))
        if body.get("externalDataConfiguration"):
            return self.resource(self.create(reference, self.external_body(reference, body)))
        stored = self.table_body(reference, body, (body.get("schema") or {}).get("fields") or [])
        physical = self._physical.create(reference.project, stored_fields(stored))
        try:
            record = self.create(reference, stored, physical)
        except BaseException:
            self._physical.drop(reference.project, physical)
            raise
        return self.resource(record)

    def table_body(
        self, reference: TableReference, body: Mapping[str, Any], fields: Any, *, defaults: bool = True
    ) -> dict[str, Any]:
        """The record body of a table: ``body`` checked, with what its dataset gives by default."""
        body = {
            **self._collation(reference, defaults),
            **{key: value for key, value in body.items() if value is not None},
        }
        checked = collations.inherited(schemas.checked(fields), body.get("defaultCollation") or "")
        made: dict[str, Any] = {"tableReference": reference.json(), "type": TABLE, "schema": {"fields": checked}}
        made |= self._described(body) | schemas.layout(body, checked)
        kept = self._partitions_kept(reference) if defaults and "timePartitioning" in made else None
        if kept is not None:
            # Partitions then go one by one, and the table stays.
            made["timePartitioning"].setdefault("expirationMs", kept)
        return made | self._expiration(reference, body, defaults and kept is None)

    def view_body(self, reference: TableReference, body: Mapping[str, Any]) -> dict[str, Any]:
        """The record body of a view, with the columns that its query gives now."""
        view = body["view"]
        query = view.get("query")
        if not isinstance(query, str) or not query.strip():
            raise invalid("Required parameter is missing: view.query")
        if view.get("useLegacySql"):
            raise invalid("view.useLegacySql must be false: only GoogleSQL is executed")
        fields = self.view_schema(reference, query)
        given = (body.get("schema") or {}).get("fields")
        described = {each["name"].lower(): each["description"] for each in given or [] if each.get("description")}
        for each in fields:
            if each["name"].lower() in described:
                each["description"] = described[each["name"].lower()]
        made = {
            "tableReference": reference.json(),
            "type": VIEW,
            "schema": {"fields": fields},
            "view": {"query": query, "useLegacySql": False},
        }
        return made | self._described(body) | self._expiration(reference, body, True)

    def external_body(self, reference: TableReference, body: Mapping[str, Any]) -> dict[str, Any]:
        """The record body of an external table: with the columns given, or those that its files show now."""
        if laid := [key for key in ("timePartitioning", "rangePartitioning", "clustering") if body.get(key)]:
            raise invalid(
                f"An external table must not have {laid[0]}: files are partitioned by hivePartitioningOptions"
            )
        external = {key: value for key, value in body["externalDataConfiguration"].items() if value is not None}
        given = (external.pop("schema", None) or body.get("schema") or {}).get("fields")
        made = {
            "tableReference": reference.json(),
            "type": EXTERNAL,
            "schema": {"fields": self.external_schema(external, given)},
            "externalDataConfiguration": external,
        }
        return made | self._described(body) | self._expiration(reference, body, True)

    def _described(self, body: Mapping[str, Any]) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for key in ("friendlyName", "description"):
            if body.get(key) is not None:
                if not isinstance(body[key], str) or len(body[key]) > _LONGEST_TEXT:
                    raise invalid(f"{key} must be a text of at most {_LONGEST_TEXT} characters")
                made[key] = body[key]
        if body.get("labels"):
            made["labels"] = checked_labels(body["labels"])
        if body.get("enableChangeHistory"):
            made["enableChangeHistory"] = True
        if body.get("defaultCollation") and collations.checked(body["defaultCollation"], "a table's new columns"):
            made["defaultCollation"] = body["defaultCollation"]
        if body.get("tableConstraints"):
            made["tableConstraints"] = body["tableConstraints"]
        if body.get("requirePartitionFilter") or (body.get("timePartitioning") or {}).get("requirePartitionFilter"):
            if not (body.get("timePartitioning") or body.get("rangePartitioning")):
                raise invalid("requirePartitionFilter must be of a partitioned table")
            made["requirePartitionFilter"] = True
        return made

    def _collation(self, reference: TableReference, defaults: bool) -> dict[str, Any]:
        """The default collation that a new table has from its dataset."""
        dataset = self._datasets.find(reference.parent) if defaults else None
        found = dataset.body.get("defaultCollation") if dataset is not None else None
        return {"defaultCollation": found} if found else {}

    def _partitions_kept(self, reference: TableReference) -> str | None:
        dataset = self._datasets.find(reference.parent)
        return dataset.body.get("defaultPartitionExpirationMs") if dataset is not None else None

    def _expiration(self, reference: TableReference, body: Mapping[str, Any], defaults: bool) -> dict[str, Any]:
        given = body.get("expirationTime")
        if given is not None:
            return {"expirationTime": str(self._moment(given))}
        dataset = self._datasets.find(reference.parent) if defaults else None
        lifetime = dataset.body.get("defaultTableExpirationMs") if dataset else None
        if lifetime is None:
            return {}
        return {"expirationTime": str(int(self._clock.now().timestamp() * 1000) + int(lifetime))}

    def _moment(self, given: Any) -> int:
        try:
            moment = int(given)
        except (TypeError, ValueError):
            raise invalid(f"expirationTime must be milliseconds since 1970; given: {given!r}") from None
        if moment <= self._clock.now().timestamp() * 1000:
            raise invalid(f"Invalid value for: expirationTime must be in the future; given: {moment}")
        return moment

    def create(self, reference: TableReference, body: dict[str, Any], physical: str | None = None) -> Record:
        """Store a new record; part of the current transaction where there is one."""
        if physical is not None:
            body = {**body, "_tule": {**body.get("_tule", {}), **self.history.begun(reference, physical)}}
        with self._records.transaction():
            self._datasets.check(reference.parent)
            old = self._records.find(reference.name)
            if old is not None:
                if not self.expired(old):
                    raise already_exists("Table", reference)
                self._remove(old)
            # Tables, views and models share one namespace.
            model = ModelReference(reference.project, reference.dataset, reference.table)
            if self._records.find(model.name) is not None:
                raise already_exists("Model", model)
            return self._records.create(KIND, reference.name, body)

    def replace(self, reference: TableReference, body: dict[str, Any], physical: str | None) -> Record:
        """Put a table or view in the place of what has this name; the old rows are dropped once that is durable."""
        with self._records.transaction():
            old = self._records.find(reference.name)
            if old is not None:
                self._remove(old)
            return self.create(reference, body, physical)

    def flip(
        self,
        reference: TableReference,
        physical: str,
        change: Mapping[str, Any] | None = None,
        *,
        private: Mapping[str, Any] | None = None,
        how: str = "REPLACE",
    ) -> Record:
        """Give a table new rows, and the changed fields of its body and its private part; it stays the same resource.
        ``how``: what that is to its history."""

        def flipped(body: dict[str, Any]) -> dict[str, Any]:
            old = {key: value for key, value in body["_tule"].items() if key != "lost"}
            return {**body, **(change or {}), "_tule": {**old, **(private or {}), **begun}}

        with self._records.transaction():
            self.history.keep(self._records.get(reference.name), change=how)
            begun = self.history.begun(reference, physical)
            return self._records.update(reference.name, flipped)

    def touch(self, reference: TableReference, before: str | None = None, *, grown: bool = True, how: str = "") -> None:
        """Note that rows of a table changed in place: that it has ``grown``, or that other rows changed, of which the
        physical table ``before`` is a copy if there is one. ``how``: what that is to its history, as far as it is known."""
        with self._records.transaction():
            record = self._records.find(reference.name)
            if record is None:
                return
            if before is not None:
                self.history.keep(record, before, how)
            private = record.body["_tule"]
            if grown:
                points = self.history.grown(reference, private)
            else:
                points = self.history.begun(reference, private["physical"]).get("points", [])
            changed = {**private, "changes": private.get("changes", 0) + 1} | ({"points": points} if points else {})
            if not grown:
                changed.pop("lost", None)
                changed |= {"lost": True} if before is None else {}
            self._records.update(reference.name, lambda body: {**body, "_tule": changed})

    def _remove(self, record: Record) -> None:
        self._records.delete(record.name)
        for policy in self._records.list("bigquery#rowAccessPolicy", record.name).records:
            self._records.delete(policy.name)
        self.history.keep(record, change=DROP)

    def delete(self, reference: TableReference) -> None:
        """Remove a table or view and its rows."""
        with self._records.transaction():
            self._remove(self.record(reference))

    def delete_under(self, dataset: DatasetReference) -> None:
        """Remove every table of a dataset."""
        with self._records.transaction():
            for record in self._records.list(KIND, dataset.name).records:
                self._remove(record)

    def patch(self, reference: TableReference, body: Mapping[str, Any], *, etag: str | None = None) -> dict[str, Any]:
        """Change the given fields; null clears one."""
        record = self.record(reference)
        change = {key: value for key, value in body.items() if key not in OUTPUT_FIELDS and key != "tableReference"}
        new = {key: value for key, value in record.body.items() if key != "_tule"}
        for key, value in change.items():
            if value is None:
                if key in ("schema", "view"):
                    raise invalid(f"{key} cannot be removed from a table")
                new.pop(key, None)
            elif key == "labels":
                merged = {**new.get("labels", {}), **value}
                new["labels"] = {name: text for name, text in merged.items() if text is not None}
            else:
                new[key] = value
        return self._store(record, new, change, etag)

    def update(self, reference: TableReference, body: Mapping[str, Any], *, etag: str | None = None) -> dict[str, Any]:
        """Replace the description of a table; what makes it a table stays."""
        record = self.record(reference)
        given = {
            key: value
            for key, value in body.items()
            if value is not None and key not in OUTPUT_FIELDS and key != "tableReference"
        }
        keys = ("tableReference", "type", "schema", "view", "materializedView", "externalDataConfiguration")
        kept: dict[str, Any] = {key: record.body[key] for key in keys if key in record.body}
        return self._store(record, {**kept, **given}, given, etag)

    def _store(
        self, record: Record, new: dict[str, Any], change: Mapping[str, Any], etag: str | None
    ) -> dict[str, Any]:
        reference = TableReference.of(record.name)
        if etag is not None and etag != record.etag:
            raise stale()
        if record.body["type"] == VIEW:
            if "view" not in change and "schema" in change:
                new["view"] = record.body["view"]
            stored, physical = self.view_body(reference, new), None
        elif record.body["type"] == MATERIALIZED_VIEW:
            stored, physical = self._materialized_body(record, reference, new), None
        elif record.body["type"] == EXTERNAL:
            if "externalDataConfiguration" in change and "schema" not in change:
                # Other files may show other columns.
                new.pop("schema", None)
            stored, physical = self.external_body(reference, new), None
        else:
            if new.get("view") or new.get("externalDataConfiguration"):
                raise invalid(f"A table cannot become a view or an external table: {reference}")
            fields = schemas.checked((new.get("schema") or {}).get("fields") or [])
            schema = schemas.updated(
                reference, record.body["schema"]["fields"], fields, new.get("defaultCollation") or ""
            )
            self._same_partitioning(record.body, new)
            if new.get("expirationTime") == record.body.get("expirationTime"):
                expiration = {key: new[key] for key in ("expirationTime",) if key in new}
            else:
                expiration = self._expiration(reference, new, False)
            base: dict[str, Any] = {
                "tableReference": reference.json(),
                "type": record.body["type"],
                "schema": {"fields": schema.fields},
                **{key: record.body[key] for key in _DEFINITIONS if key in record.body},
            }
            stored = base | self._described(new) | schemas.layout(new, schema.fields) | expiration
            physical = None
            if schema.rows_change:
                physical = self._physical.rewrite(reference.project, physical_of(record), stored_fields(stored))
        return self.resource(self._commit_store(record, reference, stored, physical))

    def _materialized_body(self, record: Record, reference: TableReference, new: dict[str, Any]) -> dict[str, Any]:
        """The body of a materialized view after a change of what is not its query."""
        from tule.bigquery.materialized_views import definition

        old = record.body["materializedView"]
        about = definition({**old, **{k: v for k, v in new.get("materializedView", {}).items() if v is not None}})
        for key, value in new.get("materializedView", {}).items():
            if value is None:
                about.pop(key, None)
        if about["query"] != old["query"]:
            raise invalid("The query of a materialized view cannot be changed. Next: create or replace the view")
        base = {"tableReference": reference.json(), "type": MATERIALIZED_VIEW, "schema": record.body["schema"]}
        if new.get("expirationTime") == record.body.get("expirationTime"):
            expiration = {key: new[key] for key in ("expirationTime",) if key in new}
        else:
            expiration = self._expiration(reference, new, False)
        layout = schemas.layout(new, record.body["schema"]["fields"])
        return base | {"materializedView": about} | self._described(new) | layout | expiration

    def _commit_store(
        self, record: Record, reference: TableReference, stored: dict[str, Any], physical: str | None
    ) -> Record:
        try:
            with self._records.transaction():
                begun: dict[str, Any] = {}
                if physical is not None:
                    self.history.keep(self._records.get(record.name), change="ALTER")
                    begun = self.history.begun(reference, physical)

                def changed(body: dict[str, Any]) -> dict[str, Any]:
                    private = body.get("_tule")
                    if private is None:
                        return stored
                    return {**stored, "_tule": {**private, **begun}}

                # The etag is the one the change was made from: rows added meanwhile are not lost.
                return self._records.update(record.name, changed, etag=record.etag)
        except BaseException as error:
            if physical is not None:
                self._physical.drop(reference.project, physical)
            if isinstance(error, Aborted):
                raise stale() from error
            raise

    @staticmethod
    def _same_partitioning(old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        for key in ("timePartitioning", "rangePartitioning"):
            if cut(old.get(key)) != cut(new.get(key)):
                raise invalid("Cannot change partitioning/clustering spec for a partitioned/clustered table")

    # -- time

    def expired(self, record: Record) -> bool:
        at = record.body.get("expirationTime")
        return at is not None and int(at) <= self._clock.now().timestamp() * 1000

    def expire(self) -> int | None:
        """Remove what is over; returns when the next one is (milliseconds since 1970)."""
        upcoming: int | None = None
        for record in self._records.list(KIND, filter="expirationTime:*").records:
            if self.expired(record):
                with self._records.transaction():
                    # Looked at again: it may have been prolonged.
                    current = self._records.find(record.name)
                    if current is not None and self.expired(current):
                        self._remove(current)
            else:
                at = int(record.body["expirationTime"])
                upcoming = at if upcoming is None else min(upcoming, at)
        return upcoming

    def physical_names(self, project: str) -> set[str]:
        """The physical tables that records of a project name: all others are orphans."""
        named = {
            record.body["_tule"]["physical"]
            for record in self._records.list(KIND, f"projects/{project}/datasets/-").records
            if "physical" in record.body.get("_tule", {})
        }
        return named | self.history.physical_names(project)


def not_a_table(reference: TableReference, kind: str) -> Exception:
    """The error of an operation that needs a table's own rows."""
    word = "an EXTERNAL" if kind == EXTERNAL else f"a {kind}"
    return invalid(f"{reference} is not allowed for this operation because it is currently {word}.")


def physical_of(record: Record) -> str:
    """The physical table that holds the rows of a table, snapshot or materialized view, to be read."""
    if record.body["type"] not in _OWN_ROWS:
        raise not_a_table(TableReference.of(record.name), record.body["type"])
    return str(record.body["_tule"]["physical"])


def writable(record: Record) -> str:
    """The same of a table whose rows may be changed."""
    if record.body["type"] != TABLE:
        raise not_a_table(TableReference.of(record.name), record.body["type"])
    return physical_of(record)
