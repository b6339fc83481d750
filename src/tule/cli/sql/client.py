"""BigQuery's REST API as ``tule sql`` uses it: jobs, their results page by page, and the names in the catalog.

https://cloud.google.com/bigquery/docs/reference/rest
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import httpx

from tule.kernel.clock import RealClock
from tule.kernel.errors import TuleError, Unavailable
from tule.wire.intercept.environment import Target

_PAGE = 20_000
_SECONDS = 60.0
_LOOKS_FOR_A_START = 20


class QueryError(TuleError):
    """What the server says is wrong with a query or a name."""

    code = "INVALID_ARGUMENT"


class Client:
    """One server and project. Raises QueryError for what the server refuses, Unavailable where there is no server."""

    def __init__(self, target: Target) -> None:
        self.project = target.project
        self._url = target.url
        # The environment's proxies are for what leaves the machine.
        self._http = httpx.Client(
            base_url=f"{target.url}/bigquery/v2/",
            headers={"Authorization": f"Bearer {target.token}"},
            timeout=_SECONDS,
            trust_env=False,
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def call(self, verb: str, path: str, body: Any = None, *, project: str = "", **query: Any) -> dict[str, Any]:
        """The answer of ``verb projects/{project}/{path}``."""
        try:
            answer = self._http.request(
                verb, f"projects/{project or self.project}/{path}", json=body, params=_given(query)
            )
        except httpx.TransportError as error:
            raise Unavailable(
                "The server must be reachable",
                given=f"{self._url}: {error}",
                do="look at `tule status` and `tule logs`",
            ) from None
        found: dict[str, Any] = answer.json() if answer.content else {}
        if answer.is_error:
            raise _error(found)
        return found

    def pages(self, path: str, items: str, **query: Any) -> Iterator[dict[str, Any]]:
        """The items of a list, over all its pages."""
        token: str | None = None
        while True:
            page = self.call("GET", path, pageToken=token, **query)
            yield from page.get(items, ())
            token = page.get("nextPageToken")
            if not token:
                return

    def start(self, text: str) -> QueryJob:
        """Start a query job; raises for what is wrong with the text itself."""
        configuration = {"query": {"query": text, "useLegacySql": False}}
        # An id of our own: a job whose start was interrupted can be cancelled all the same.
        job = f"tule_sql_{uuid.uuid4().hex}"
        body = {"jobReference": {"projectId": self.project, "jobId": job}, "configuration": configuration}
        try:
            return QueryJob(self, self.call("POST", "jobs", body))
        except KeyboardInterrupt:
            self._cancel_started(job)
            raise

    def _cancel_started(self, job: str) -> None:
        """Cancel a job that may be on its way to the server."""
        clock = RealClock()
        for _ in range(_LOOKS_FOR_A_START):
            try:
                self.call("POST", f"jobs/{job}/cancel")
                return
            except QueryError as error:
                if error.reason != "notFound":
                    return
                clock.sleep(0.1)

    # -- names

    def datasets(self) -> list[str]:
        return [each["datasetReference"]["datasetId"] for each in self.pages("datasets", "datasets")]

    def tables(self, dataset: str) -> list[tuple[str, str]]:
        """(name, TABLE, VIEW, ... or MODEL) of what is in a dataset, by name."""
        tables = [
            (each["tableReference"]["tableId"], each["type"])
            for each in self.pages(f"datasets/{dataset}/tables", "tables")
        ]
        models = [
            (each["modelReference"]["modelId"], "MODEL") for each in self.pages(f"datasets/{dataset}/models", "models")
        ]
        return sorted(tables + models)

    def table(self, dataset: str, name: str, project: str = "") -> dict[str, Any]:
        return self.call("GET", f"datasets/{dataset}/tables/{name}", project=project)

    def model(self, dataset: str, name: str, project: str = "") -> dict[str, Any]:
        return self.call("GET", f"datasets/{dataset}/models/{name}", project=project)


class QueryJob:
    """A query job of the server, as last looked at."""

    def __init__(self, client: Client, resource: dict[str, Any]) -> None:
        self._client = client
        self._resource = resource
        reference = resource["jobReference"]
        self.id: str = reference["jobId"]
        self._location: str = reference["location"]

    @property
    def done(self) -> bool:
        return bool(self._resource["status"]["state"] == "DONE")

    @property
    def failed(self) -> bool:
        return "errorResult" in self._resource["status"]

    @property
    def statement(self) -> str:
        """SELECT, CREATE_MODEL, SCRIPT, ...; empty until it is known."""
        return str(self._query.get("statementType", ""))

    @property
    def statistics(self) -> dict[str, Any]:
        found: dict[str, Any] = self._resource.get("statistics", {})
        return found

    @property
    def _query(self) -> dict[str, Any]:
        found: dict[str, Any] = self.statistics.get("query", {})
        return found

    @property
    def affected(self) -> int | None:
        """The rows that a DML statement changed."""
        rows = self._query.get("numDmlAffectedRows")
        return None if rows is None else int(rows)

    @property
    def written(self) -> int | None:
        """The rows that a statement wrote into a table of its own."""
        rows = self._query.get("outputRows")
        return None if rows is None else int(rows)

    @property
    def performed(self) -> tuple[str, str]:
        """(CREATE, REPLACE, SKIP, DROP or ALTER, the name it was done to) of a definition, else empty."""
        target = self._query.get("ddlTargetTable") or self._query.get("ddlTargetDataset") or {}
        names = [target[key] for key in ("datasetId", "tableId") if key in target]
        return str(self._query.get("ddlOperationPerformed", "")), ".".join(names)

    @property
    def seconds(self) -> float:
        """How long it ran, once it is done."""
        begin, end = (int(self.statistics.get(key, 0)) for key in ("startTime", "endTime"))
        return max(0, end - begin) / 1000

    @property
    def training(self) -> dict[str, Any]:
        """``mlStatistics`` of a job that trains, as far as it has come."""
        found: dict[str, Any] = self._query.get("mlStatistics", {})
        return found

    @property
    def schema(self) -> list[dict[str, Any]] | None:
        """The columns of its rows, None where the statement has none."""
        fields: list[dict[str, Any]] | None = self._query.get("schema", {}).get("fields")
        return fields

    def refresh(self) -> None:
        self._resource = self._client.call("GET", f"jobs/{self.id}", location=self._location)

    def wait(self, seconds: float) -> bool:
        """Wait for the end, at most so long; whether it has come. Raises the error of a job that failed."""
        if not self.done or self.failed:
            answer = self._results(maxResults=0, timeoutMs=int(1000 * seconds))
            if not answer["jobComplete"]:
                return False
            self.refresh()
        return True

    def rows(self, most: int | None = None) -> Iterator[list[list[Any]]]:
        """Pages of rows, each a list of cells, up to ``most`` rows in all."""
        token: str | None = None
        left = most
        while left is None or left > 0:
            count = _PAGE if left is None else min(_PAGE, left)
            page = self._results(maxResults=count, pageToken=token)
            found = [[cell["v"] for cell in row["f"]] for row in page.get("rows", ())]
            yield found
            token = page.get("pageToken")
            if not token:
                return
            left = None if left is None else left - len(found)

    def count(self) -> int:
        """The number of its rows."""
        return int(self._results(maxResults=0).get("totalRows", 0))

    def children(self) -> list[QueryJob]:
        """The jobs of a script's statements so far, in order."""
        found = self._client.pages("jobs", "jobs", parentJobId=self.id, projection="full", maxResults=1000)
        return [QueryJob(self._client, each) for each in found][::-1]

    def cancel(self) -> None:
        self._client.call("POST", f"jobs/{self.id}/cancel", location=self._location)

    def _results(self, **query: Any) -> dict[str, Any]:
        more = {"location": self._location, "formatOptions.useInt64Timestamp": "true"}
        return self._client.call("GET", f"queries/{self.id}", **more, **query)


def _given(query: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in query.items() if value is not None}


def _error(body: dict[str, Any]) -> QueryError:
    error = body.get("error", {})
    first = (error.get("errors") or [{}])[0]
    return QueryError(error.get("message", "the server gave no reason"), reason=first.get("reason"))
