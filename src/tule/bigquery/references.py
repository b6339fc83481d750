"""References to datasets, tables, models and jobs: REST JSON, record names and the spellings BigQuery prints.

>>> table = TableReference("p", "sales", "orders")
>>> table.name, str(table), table.dotted
('projects/p/datasets/sales/tables/orders', 'p:sales.orders', 'p.sales.orders')
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tule.bigquery.errors import invalid

_PROJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:\-]{0,99}")
_DATASET = re.compile(r"\w{1,1024}", re.ASCII)
_TABLE = re.compile(r"[\w \-]{1,1024}")
_MODEL = re.compile(r"[\w \-]{1,1024}")
_JOB = re.compile(r"[A-Za-z0-9_\-]{1,1024}")
_ROUTINE = re.compile(r"\w{1,256}", re.ASCII)
HIDDEN = "_"


def check_project(project: str) -> None:
    """Raise where a text could not be a project's id."""
    if _PROJECT.fullmatch(project) is None:
        raise invalid(f"Invalid project ID {project[:100]!r}. Project IDs must be letters, digits and dashes.")


@dataclass(frozen=True, slots=True)
class DatasetReference:
    """One dataset; ``str`` is the spelling of error messages (``p:d``)."""

    project: str
    dataset: str

    def __str__(self) -> str:
        return f"{self.project}:{self.dataset}"

    @property
    def dotted(self) -> str:
        return f"{self.project}.{self.dataset}"

    @property
    def name(self) -> str:
        return f"projects/{self.project}/datasets/{self.dataset}"

    @property
    def parent(self) -> str:
        return f"projects/{self.project}"

    @property
    def hidden(self) -> bool:
        """Hidden datasets hold query results; they exist without having been created."""
        return self.dataset.startswith(HIDDEN)

    def checked(self) -> DatasetReference:
        """Itself; raises where the id could not be a dataset's."""
        check_project(self.project)
        if _DATASET.fullmatch(self.dataset) is None:
            raise invalid(
                f'Invalid dataset ID "{self.dataset}". Dataset IDs must be alphanumeric (plus underscores) and must be '
                "at most 1024 characters long."
            )
        return self

    def json(self) -> dict[str, str]:
        return {"projectId": self.project, "datasetId": self.dataset}

    @classmethod
    def read(cls, body: Any, project: str, what: str = "datasetReference") -> DatasetReference:
        """From a REST reference; its project may be left out and then is ``project``."""
        if not isinstance(body, Mapping) or not isinstance(body.get("datasetId"), str) or not body["datasetId"]:
            raise invalid(f"Required parameter is missing: {what}.datasetId")
        return cls(str(body.get("projectId") or project), body["datasetId"]).checked()


@dataclass(frozen=True, slots=True)
class TableReference:
    """One table or view."""

    project: str
    dataset: str
    table: str

    def __str__(self) -> str:
        return f"{self.project}:{self.dataset}.{self.table}"

    @property
    def dotted(self) -> str:
        return f"{self.project}.{self.dataset}.{self.table}"

    @property
    def name(self) -> str:
        return f"projects/{self.project}/datasets/{self.dataset}/tables/{self.table}"

    @property
    def parent(self) -> DatasetReference:
        return DatasetReference(self.project, self.dataset)

    def checked(self) -> TableReference:
        """Itself; raises where the id could not be a table's or names a partition."""
        if "$" in self.table:
            raise invalid(
                f'Table "{self.dataset}.{self.table}" cannot include decorator. Next: filter on the partitioning column'
            )
        if _TABLE.fullmatch(self.table) is None or len(self.table.encode()) > 1024:
            raise invalid(
                f'Invalid table ID "{self.table}". Table IDs must be alphanumeric (plus underscores) and must be at '
                "most 1024 characters long. Also, Table decorators cannot be used."
            )
        self.parent.checked()
        return self

    def json(self) -> dict[str, str]:
        return {"projectId": self.project, "datasetId": self.dataset, "tableId": self.table}

    @classmethod
    def read(cls, body: Any, project: str, what: str = "tableReference") -> TableReference:
        """From a REST reference; its project may be left out and then is ``project``."""
        for key in ("datasetId", "tableId"):
            if not isinstance(body, Mapping) or not isinstance(body.get(key), str) or not body[key]:
                raise invalid(f"Required parameter is missing: {what}.{key}")
        return cls(str(body.get("projectId") or project), body["datasetId"], body["tableId"]).checked()

    @classmethod
    def of(cls, name: str) -> TableReference:
        """From a record name."""
        _, project, _, dataset, _, table = name.split("/")
        return cls(project, dataset, table)


@dataclass(frozen=True, slots=True)
class ModelReference:
    """One model."""

    project: str
    dataset: str
    model: str

    def __str__(self) -> str:
        return f"{self.project}:{self.dataset}.{self.model}"

    @property
    def name(self) -> str:
        return f"projects/{self.project}/datasets/{self.dataset}/models/{self.model}"

    @property
    def parent(self) -> DatasetReference:
        return DatasetReference(self.project, self.dataset)

    def checked(self) -> ModelReference:
        """Itself; raises where the id could not be a model's."""
        if _MODEL.fullmatch(self.model) is None:
            raise invalid(
                f'Invalid model ID "{self.model}". Model IDs must be alphanumeric (plus underscores and dashes) and must '
                "be at most 1024 characters long."
            )
        self.parent.checked()
        return self

    def json(self) -> dict[str, str]:
        return {"projectId": self.project, "datasetId": self.dataset, "modelId": self.model}


@dataclass(frozen=True, slots=True)
class RoutineReference:
    """One function, table function or procedure."""

    project: str
    dataset: str
    routine: str

    def __str__(self) -> str:
        return f"{self.project}:{self.dataset}.{self.routine}"

    @property
    def dotted(self) -> str:
        return f"{self.project}.{self.dataset}.{self.routine}"

    @property
    def name(self) -> str:
        return f"projects/{self.project}/datasets/{self.dataset}/routines/{self.routine}"

    @property
    def parent(self) -> DatasetReference:
        return DatasetReference(self.project, self.dataset)

    def checked(self) -> RoutineReference:
        """Itself; raises where the id could not be a routine's."""
        if _ROUTINE.fullmatch(self.routine) is None:
            raise invalid(
                f'Invalid routine ID "{self.routine}". Routine IDs must be alphanumeric (plus underscores) and must be at '
                "most 256 characters long."
            )
        self.parent.checked()
        return self

    def json(self) -> dict[str, str]:
        return {"projectId": self.project, "datasetId": self.dataset, "routineId": self.routine}

    @classmethod
    def of(cls, name: str) -> RoutineReference:
        """From a record name."""
        _, project, _, dataset, _, routine = name.split("/")
        return cls(project, dataset, routine)


@dataclass(frozen=True, slots=True)
class JobReference:
    """One job. ``location`` is what the caller named or the default; it does not identify the job."""

    project: str
    job: str
    location: str = "US"

    def __str__(self) -> str:
        return f"{self.project}:{self.location}.{self.job}"

    @property
    def name(self) -> str:
        return f"projects/{self.project}/jobs/{self.job}"

    @property
    def parent(self) -> str:
        return f"projects/{self.project}"

    def checked(self) -> JobReference:
        check_project(self.project)
        if _JOB.fullmatch(self.job) is None:
            raise invalid(
                f'Invalid job ID "{self.job}". Job IDs must be alphanumeric (plus underscores and dashes) and must be '
                "at most 1024 characters long."
            )
        return self

    def json(self) -> dict[str, str]:
        return {"projectId": self.project, "jobId": self.job, "location": self.location}
