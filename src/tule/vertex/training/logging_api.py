"""The door of logs: ``entries.list`` of Cloud Logging, for the jobs of training and tuning."""

from __future__ import annotations

import re
from typing import Any

from tule.kernel.errors import InvalidArgument
from tule.kernel.records import Filter
from tule.vertex.training.logs import JobLogs
from tule.wire.door import Door, Request, route

_JOB = re.compile(r'resource\.labels\."?job_id"?\s*=\s*"?(?P<id>\d+)"?')
_MOST = 1000


class Logging(Door):
    """logging.googleapis.com"""

    name = "logging"
    hosts = ("logging.googleapis.com",)
    error_style = "google"

    def __init__(self, logs: JobLogs) -> None:
        self._logs = logs

    def resource(self, request: Request) -> str:
        try:
            return f"projects/{_project(request)}"
        except InvalidArgument:
            # Who may do nothing here is not told what was wrong.
            return ""

    @route(
        "POST",
        "/v2/entries:list",
        permission="logging.logEntries.list",
        executes=("resourceNames", "filter", "pageSize", "pageToken", "orderBy"),
    )
    def list_entries(self, request: Request) -> dict[str, Any]:
        body = request.json()
        text = str(body.get("filter", ""))
        found = _JOB.search(text)
        if found is None:
            raise InvalidArgument(
                'filter must name a job: resource.labels.job_id="NUMBER"', given=repr(text),
                do="take the number of a custom job, a training pipeline or a tuning job",
            )  # fmt: skip
        if body.get("orderBy", "timestamp asc") != "timestamp asc":
            raise InvalidArgument('orderBy must be "timestamp asc"', given=repr(body["orderBy"]))
        entries, token = self._logs.entries(
            _project(request),
            found["id"],
            page_size=min(int(body.get("pageSize") or _MOST), _MOST),
            page_token=str(body.get("pageToken", "")),
        )
        wanted = Filter(text)
        return {"entries": [each for each in entries if wanted(each)], **({"nextPageToken": token} if token else {})}


def _project(request: Request) -> str:
    names = request.json().get("resourceNames") or []
    if len(names) != 1 or not str(names[0]).startswith("projects/") or str(names[0]).count("/") != 1:
        raise InvalidArgument("resourceNames must be one project, as projects/ID", given=repr(names)[:200])
    return str(names[0]).removeprefix("projects/")
