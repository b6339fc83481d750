"""Materialized views: the rows of a query, kept, and never older than its tables or than ``max_staleness`` allows.

Rows are made when the view is, when it is refreshed by ``BQ.REFRESH_MATERIALIZED_VIEW``, and on the clock some time after
its tables changed. A view whose tables have changed since is answered by its query.
https://cloud.google.com/bigquery/docs/materialized-views-intro
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, ExitStack
from datetime import datetime, timedelta
from typing import Any, Protocol

from tule.bigquery import schemas
from tule.bigquery.datasets import milliseconds
from tule.bigquery.definitions import ddl, layout_of_text
from tule.bigquery.destinations import WriteLocks
from tule.bigquery.errors import already_exists, invalid, invalid_query
from tule.bigquery.jobs import Job, Outcome
from tule.bigquery.options import MATERIALIZED_VIEW as OPTIONS
from tule.bigquery.options import described, minutes
from tule.bigquery.partitioning import is_by_loading
from tule.bigquery.physical import Physical
from tule.bigquery.query_cache import QueryCache, States
from tule.bigquery.references import TableReference
from tule.bigquery.schemas import JsonField
from tule.bigquery.sql.table_definitions import AlterView, CreateMaterializedView
from tule.bigquery.tables import KIND, MATERIALIZED_VIEW, Tables, not_a_table
from tule.kernel.clock import Clock
from tule.kernel.errors import TuleError
from tule.kernel.records import Record, Records

_LOG = logging.getLogger(__name__)
_LOOK = timedelta(minutes=1)
_DEFAULT_INTERVAL_MS = "1800000"
_SHORTEST_INTERVAL_MS, _LONGEST_INTERVAL_MS = 60_000, 7 * 86_400_000


class Rows(Protocol):
    """The rows of a view's query, as they are now."""

    fields: list[JsonField]
    batches: Iterable[Any]
    tables: list[TableReference]


RunQuery = Callable[[str, str, Job | None], AbstractContextManager[Rows]]
"""(project, text, job)"""


class MaterializedViews:
    """``run`` runs a view's query; set by the warehouse."""

    def __init__(
        self, records: Records, tables: Tables, physical: Physical, locks: WriteLocks, cache: QueryCache, clock: Clock
    ) -> None:
        self._records = records
        self._tables = tables
        self._physical = physical
        self._locks = locks
        self._cache = cache
        self._clock = clock
        self._lock = threading.Lock()
        self._timer: Callable[[], None] | None = None
        self._stopped = False
        self.run: RunQuery

    # -- making

    def create(self, job: Job, statement: CreateMaterializedView) -> Outcome:
        """CREATE MATERIALIZED VIEW."""
        name = statement.target
        target = TableReference(name.project, name.dataset, name.table).checked()
        existing = self._tables.find(target)
        if existing is None:
            self._tables.check_dataset(target)
        elif not statement.replace:
            if statement.if_not_exists:
                return Outcome({"query": ddl("SKIP", target)})
            raise already_exists("Table", target)
        elif existing.body["type"] != MATERIALIZED_VIEW:
            raise not_a_table(target, existing.body["type"])
        given = described(statement.options, OPTIONS)
        given["materializedView"] = {**given.get("materializedView", {}), "query": statement.query}
        layout = layout_of_text(statement.partition_by, statement.cluster_by)
        body, physical = self._made(target, {**given, **layout}, job)

        def commit() -> None:
            self._tables.replace(target, body, physical)
            self._records.after_commit(self.start)

        operation = "REPLACE" if existing else "CREATE"
        return Outcome(
            {"query": ddl(operation, target)},
            commit=commit,
            undo=lambda: self._physical.drop(target.project, physical),
        )

    def insert(self, target: TableReference, body: Mapping[str, Any]) -> Record:
        """tables.insert of one."""
        made, physical = self._made(target, body, None)
        try:
            record = self._tables.create(target, made, physical)
        except BaseException:
            self._physical.drop(target.project, physical)
            raise
        self.start()
        return record

    def _made(self, target: TableReference, given: Mapping[str, Any], job: Job | None) -> tuple[dict[str, Any], str]:
        """The record's body, and the physical table with the rows of now."""
        about = definition(given["materializedView"])
        with self.run(target.project, about["query"], job) as rows:
            states = self._cache.states(rows.tables)
            layout = schemas.layout(given, rows.fields)
            if is_by_loading(layout) or "expirationMs" in layout.get("timePartitioning", {}):
                raise invalid_query(
                    "A materialized view must be partitioned by a column of its query, and its partitions are kept as long "
                    "as those of its tables"
                )
            physical, _ = self._physical.fill(target.project, rows.fields, rows.batches)
        base = self._tables.table_body(target, {"defaultCollation": "", **given, **layout}, rows.fields)
        about["lastRefreshTime"] = milliseconds(self._clock.now())
        body = base | {"type": MATERIALIZED_VIEW, "materializedView": about, "_tule": {"base": states}}
        return body, physical

    # -- reading

    def is_current(self, record: Record) -> bool:
        """Whether the rows that are kept may be answered: they are those of the tables now, or not too old."""
        about = record.body["materializedView"]
        if (allowed := about.get("maxStaleness")) is not None:
            age = self._clock.now().timestamp() * 1000 - int(about["lastRefreshTime"])
            if age <= minutes(allowed) * 60_000:
                return True
        return self._is_fresh(record)

    def _is_fresh(self, record: Record) -> bool:
        base: States = record.body["_tule"]["base"]
        return self._cache.states(TableReference.of(name) for name in base) == base

    # -- refreshing

    def refresh(self, target: TableReference, job: Job | None = None) -> None:
        """Make the rows anew."""
        with ExitStack() as held:
            held.enter_context(self._locks.hold(target.name, **({"check": job.check} if job is not None else {})))
            record = self._tables.record(target)
            if record.body["type"] != MATERIALIZED_VIEW:
                raise invalid_query(f"{target} is not a materialized view")
            body, physical = self._made(target, record.body, job)
            change = {
                "schema": body["schema"],
                "materializedView": {**body["materializedView"], "query": record.body["materializedView"]["query"]},
            }
            try:
                self._tables.flip(target, physical, change, private=body["_tule"])
            except BaseException:
                self._physical.drop(target.project, physical)
                raise

    def alter(self, statement: AlterView) -> Outcome:
        """ALTER MATERIALIZED VIEW SET OPTIONS."""
        name = statement.target
        target = TableReference(name.project, name.dataset, name.table)
        record = self._tables.find(target)
        if record is None:
            if statement.if_exists:
                return Outcome({"query": ddl("SKIP", target)})
            raise self._tables.missing(target)
        if record.body["type"] != MATERIALIZED_VIEW:
            raise not_a_table(target, record.body["type"])
        change = described(statement.options, OPTIONS, clears=True)
        return Outcome({"query": ddl("ALTER", target)}, commit=lambda: _ignore(self._tables.patch(target, change)))

    # -- the clock

    def start(self) -> None:
        """Look at the views on the clock, if there are any."""
        with self._lock:
            if self._timer is None and not self._stopped and any(self._all()):
                self._timer = self._clock.call_at(self._clock.now() + _LOOK, self._tick)

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            if self._timer is not None:
                self._timer()

    def _all(self) -> Iterable[Record]:
        for record in self._records.list(KIND, filter="materializedView:*").records:
            if record.body["type"] == MATERIALIZED_VIEW:
                yield record

    def _tick(self) -> None:
        with self._lock:
            self._timer = None
        for record in self._all():
            if self._is_due(record):
                try:
                    self.refresh(TableReference.of(record.name))
                except TuleError as error:
                    _LOG.warning("The materialized view %s could not be refreshed: %s", record.name, error.message)
        self.start()

    def _is_due(self, record: Record) -> bool:
        about = record.body["materializedView"]
        since = self._clock.now() - datetime.fromtimestamp(
            int(about["lastRefreshTime"]) / 1000, self._clock.now().tzinfo
        )
        interval = timedelta(milliseconds=int(about["refreshIntervalMs"]))
        return bool(about["enableRefresh"]) and since >= interval and not self._is_fresh(record)


def _interval(given: Any) -> int:
    if given in (None, ""):
        return int(_DEFAULT_INTERVAL_MS)
    try:
        if isinstance(given, bool):
            raise ValueError
        return int(given)
    except (ValueError, TypeError, OverflowError):
        raise invalid(f"refreshIntervalMs must be a number of milliseconds; given: {given!r}") from None


def definition(given: Mapping[str, Any]) -> dict[str, Any]:
    """``materializedView`` checked, with BigQuery's defaults."""
    query = given.get("query")
    if not isinstance(query, str) or not query.strip():
        raise invalid("Required parameter is missing: materializedView.query")
    for flag in ("enableRefresh", "allowNonIncrementalDefinition"):
        if given.get(flag) is not None and not isinstance(given[flag], bool):
            raise invalid(f"materializedView.{flag} must be a boolean; given: {given[flag]!r}")
    interval = _interval(given.get("refreshIntervalMs"))
    if not _SHORTEST_INTERVAL_MS <= interval <= _LONGEST_INTERVAL_MS:
        raise invalid(
            f"The refresh interval of a materialized view must be from 1 minute to 7 days; given: {interval} milliseconds"
        )
    made: dict[str, Any] = {
        "query": query,
        "enableRefresh": given.get("enableRefresh") is not False,
        "refreshIntervalMs": str(interval),
    }
    if staleness := given.get("maxStaleness"):
        made["maxStaleness"] = staleness
        try:
            minutes(staleness)
        except (AssertionError, TypeError):
            raise invalid(f"maxStaleness must be an INTERVAL; given: {staleness!r}") from None
    if given.get("allowNonIncrementalDefinition"):
        made["allowNonIncrementalDefinition"] = True
    if "lastRefreshTime" in given:
        made["lastRefreshTime"] = given["lastRefreshTime"]
    return made


def _ignore(_: Any) -> None:
    return None
