"""INFORMATION_SCHEMA: what is told of datasets, tables, routines, jobs and sessions, as tables.

A view is of one dataset, or of all datasets of a project where it is asked for by region
(``region-us.INFORMATION_SCHEMA.TABLES``). https://cloud.google.com/bigquery/docs/information-schema-intro
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from tule.bigquery import job_views, routine_views, table_views, vector_index_views
from tule.bigquery.datasets import KIND as DATASET_KIND
from tule.bigquery.datasets import Datasets
from tule.bigquery.errors import not_found, not_implemented
from tule.bigquery.jobs import Jobs
from tule.bigquery.references import DatasetReference
from tule.bigquery.table_views import View
from tule.bigquery.tables import KIND as TABLE_KIND
from tule.bigquery.tables import Tables
from tule.kernel.iam import Policies
from tule.kernel.records import Record, Records

Guard = Callable[[str, str], None]
REGION = "region-"
# Views of what there is none of here: nobody else's projects, no reservations, no capacity.
_ELSEWHERE = (
    "JOBS_BY_ORGANIZATION", "JOBS_BY_FOLDER", "RESERVATIONS", "RESERVATION_CHANGES", "ASSIGNMENTS", "ASSIGNMENT_CHANGES",
    "CAPACITY_COMMITMENTS", "CAPACITY_COMMITMENT_CHANGES", "BI_CAPACITIES", "BI_CAPACITY_CHANGES", "JOBS_TIMELINE",
    "STREAMING_TIMELINE", "WRITE_API_TIMELINE", "SEARCH_INDEXES", "SHARED_DATASET_USAGE",
)  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """One view that somebody asks for."""

    project: str
    dataset: str | None
    user: str
    guard: Guard


class InformationSchema:
    """Makes the views of the records as they are now."""

    def __init__(self, records: Records, datasets: Datasets, tables: Tables, jobs: Jobs, policies: Policies) -> None:
        self._records = records
        self._datasets = datasets
        self._tables = tables
        self._jobs = jobs
        self._policies = policies
        by_table: dict[str, Callable[[list[Record]], View]] = {
            "TABLES": table_views.tables,
            "VIEWS": table_views.views,
            "COLUMNS": table_views.columns,
            "COLUMN_FIELD_PATHS": table_views.field_paths,
            "TABLE_OPTIONS": table_views.options,
            "MATERIALIZED_VIEWS": table_views.materialized,
            "TABLE_SNAPSHOTS": table_views.snapshots,
            "TABLE_CONSTRAINTS": table_views.constraints,
            "KEY_COLUMN_USAGE": table_views.key_columns,
            "CONSTRAINT_COLUMN_USAGE": table_views.constraint_columns,
            "TABLE_STORAGE": lambda found: table_views.storage(found, tables),
            "PARTITIONS": lambda found: table_views.partitions(found, tables),
            "__TABLES__": lambda found: table_views.meta(found, tables),
        }
        by_routine: dict[str, Callable[[list[Record]], View]] = {
            "ROUTINES": routine_views.routines,
            "PARAMETERS": routine_views.parameters,
            "ROUTINE_OPTIONS": routine_views.options,
        }
        by_index: dict[str, Callable[[list[Record]], View]] = {
            "VECTOR_INDEXES": vector_index_views.indexes,
            "VECTOR_INDEX_COLUMNS": vector_index_views.columns,
            "VECTOR_INDEX_OPTIONS": vector_index_views.options,
        }
        self._views: dict[str, Callable[[Asked], View]] = {
            **{name: self._over(self._records_of, make) for name, make in by_table.items()},
            **{name: self._over(self._routines_of, make) for name, make in by_routine.items()},
            **{name: self._over(self._indexes_of, make) for name, make in by_index.items()},
            "SCHEMATA": lambda asked: table_views.schemata(self._datasets_of(asked)),
            "SCHEMATA_OPTIONS": lambda asked: table_views.schemata_options(self._datasets_of(asked)),
            "OBJECT_PRIVILEGES": self._privileges,
            "JOBS": lambda asked: self._job_rows(asked, own=False),
            "JOBS_BY_PROJECT": lambda asked: self._job_rows(asked, own=False),
            "JOBS_BY_USER": lambda asked: self._job_rows(asked, own=True),
            "SESSIONS": lambda asked: self._session_rows(asked, own=False),
            "SESSIONS_BY_PROJECT": lambda asked: self._session_rows(asked, own=False),
            "SESSIONS_BY_USER": lambda asked: self._session_rows(asked, own=True),
        }
        self._of_dataset = frozenset(by_table) | frozenset(by_routine) | frozenset(by_index)

    def view(self, name: str, asked: Asked) -> View:
        """The columns and rows of a view; raises in BigQuery's words for one there is not."""
        if name in _ELSEWHERE:
            raise not_implemented(f"INFORMATION_SCHEMA.{name}", do="see docs/bigquery.md for the views there are")
        make = self._views.get(name)
        if make is None or (asked.dataset is None and name in self._of_dataset):
            where = f"{asked.project}.{asked.dataset}" if asked.dataset else asked.project
            raise not_found("Table", f"{where}.INFORMATION_SCHEMA.{name}", location="US")
        if name not in self._of_dataset and asked.dataset and not asked.dataset.lower().startswith(REGION):
            # ``project.INFORMATION_SCHEMA.SCHEMATA``: no dataset has this view.
            asked = replace(asked, project=asked.dataset, dataset=None)
        return make(asked)

    @staticmethod
    def _over(find: Callable[[Asked], list[Record]], make: Callable[[list[Record]], View]) -> Callable[[Asked], View]:
        return lambda asked: make(find(asked))

    def _references(self, asked: Asked) -> Iterator[DatasetReference]:
        assert asked.dataset is not None
        if asked.dataset.lower().startswith(REGION):
            location = asked.dataset[len(REGION) :].lower()
            for record in self._datasets_of(asked):
                if str(record.body.get("location", "US")).lower() == location:
                    yield DatasetReference(asked.project, record.name.rsplit("/", 1)[1])
            return
        reference = DatasetReference(asked.project, asked.dataset)
        self._datasets.check(reference)
        yield reference

    def _records_of(self, asked: Asked) -> list[Record]:
        found: list[Record] = []
        for reference in self._references(asked):
            asked.guard("bigquery.tables.list", reference.name)
            listed = self._records.list(TABLE_KIND, reference.name).records
            found += [self._tables.settled(record) for record in listed if not self._tables.expired(record)]
        return found

    def _indexes_of(self, asked: Asked) -> list[Record]:
        """The vector indexes of tables as they are: one of a table that is gone, or another now, is none."""
        tables = {record.name: record.uid for record in self._records_of(asked)}
        found: list[Record] = []
        for name, uid in tables.items():
            listed = self._records.list(vector_index_views.KIND, name).records
            found += [record for record in listed if record.body["table"] == uid]
        return found

    def _routines_of(self, asked: Asked) -> list[Record]:
        found: list[Record] = []
        for reference in self._references(asked):
            asked.guard("bigquery.routines.list", reference.name)
            found += self._records.list("bigquery#routine", reference.name).records
        return found

    def _datasets_of(self, asked: Asked) -> list[Record]:
        asked.guard("bigquery.datasets.list", f"projects/{asked.project}")
        return list(self._records.list(DATASET_KIND, f"projects/{asked.project}").records)

    def _privileges(self, asked: Asked) -> View:
        """Who was given which role on a dataset, a table or a view."""
        records = [*self._datasets_of(asked)]
        for record in list(records):
            records += self._records.list(TABLE_KIND, record.name).records
        return table_views.privileges(records, self._policies)

    def _job_rows(self, asked: Asked, *, own: bool) -> View:
        permission = "bigquery.jobs.list" if own else "bigquery.jobs.listAll"
        asked.guard(permission, f"projects/{asked.project}")
        found = self._jobs.records(asked.project)
        return job_views.jobs([each for each in found if not own or each.body["user_email"] == asked.user])

    def _session_rows(self, asked: Asked, *, own: bool) -> View:
        asked.guard("bigquery.jobs.list" if own else "bigquery.jobs.listAll", f"projects/{asked.project}")
        own_project = f"projects/{asked.project}/"
        found = [each for each in self._records.list("bigquery#session").records if each.name.startswith(own_project)]
        return job_views.sessions([each for each in found if not own or each.body["user"] == asked.user])
