"""Tables that nobody made: results of queries under the names of their anonymous tables, and public data sets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tule.bigquery.catalog import PublicTables
from tule.bigquery.jobs import Job, Jobs
from tule.bigquery.references import JobReference, TableReference
from tule.bigquery.results import Results, Rows, anonymous_table, job_of
from tule.bigquery.types import fields_of


class AnonymousTables:
    """Their rows and their resources; they are read like tables and cannot be written."""

    def __init__(self, jobs: Jobs, results: Results, public: PublicTables | None) -> None:
        self._jobs = jobs
        self._results = results
        self._public = public

    def rows(self, reference: TableReference) -> Rows | None:
        """The rows behind a name, None where it is of no such table or its day is over."""
        if self._public is not None:
            found = self._public.find(reference.project, reference.dataset, reference.table)
            if found is not None:
                return found
        job, about = self._about(reference)
        if job is None or about is None or anonymous_table(job, about["user_email"]) != reference:
            return None
        result = about.get("_tule", {}).get("result")
        return self._results.open(result) if result and "table" not in result else None

    def _about(self, reference: TableReference) -> tuple[JobReference | None, Mapping[str, Any] | None]:
        """The job whose result a name leads to, and its record."""
        job = job_of(reference)
        found = self._jobs.find(job) if job is not None else None
        if found is None:
            return job, None
        return job, found.body() if isinstance(found, Job) else found.body

    def resource(self, reference: TableReference) -> dict[str, Any] | None:
        """The REST Table."""
        rows = self.rows(reference)
        if rows is None:
            return None
        made: dict[str, Any] = {
            "kind": "bigquery#table",
            "etag": reference.table,
            "id": str(reference),
            "selfLink": f"https://bigquery.googleapis.com/bigquery/v2/{reference.name}",
            "tableReference": reference.json(),
            "schema": {"fields": [each.rest() for each in fields_of(rows.schema)]},
            "numRows": str(rows.num_rows),
            "numBytes": str(sum(batch.nbytes for batch in rows.scan())),
            "type": "TABLE",
            "location": "US",
        }
        _, about = self._about(reference)
        if about is not None:
            made["creationTime"] = about["statistics"]["creationTime"]
            made["lastModifiedTime"] = about["statistics"]["endTime"]
            made["expirationTime"] = about["_tule"]["result"]["expires"]
        return made
