"""What a training job writes, printed line by line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx

from tule.kernel.clock import Clock, RealClock
from tule.kernel.errors import CODES, Internal

# Seconds between two looks at a job that runs.
_LOOK = 0.3


def job_lines(
    url: str, token: str, project: str, job: str, *, follow: bool, clock: Clock | None = None
) -> Iterator[str]:
    """The lines of a job by its number or its whole name; with ``follow`` until it has ended.

    Lines of jobs with several replicas begin with the replica's name. Raises the server's own error.
    """
    parts = job.split("/")
    project = parts[1] if len(parts) > 2 else project
    body: dict[str, Any] = {
        "resourceNames": [f"projects/{project}"],
        "filter": f'resource.labels.job_id="{parts[-1]}"',
    }
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, trust_env=False) as client:
        while True:
            found = _asked(client, body)
            entries = found.get("entries", [])
            for each in entries:
                task = each["resource"]["labels"]["task_name"]
                yield each["textPayload"] if task == "workerpool0-0" else f"[{task}] {each['textPayload']}"
            following = found.get("nextPageToken")
            if not following or not (entries or follow):
                return
            if not entries:
                (clock or RealClock()).sleep(_LOOK)
            body["pageToken"] = following


def _asked(client: httpx.Client, body: dict[str, Any]) -> dict[str, Any]:
    answer = client.post("/v2/entries:list", json=body, timeout=60.0)
    if answer.is_success:
        found: dict[str, Any] = answer.json()
        return found
    try:
        error = answer.json()["error"]
    except (ValueError, KeyError):
        raise Internal("The server must answer with entries", given=f"HTTP {answer.status_code}") from None
    raise CODES.get(error.get("status", ""), Internal)(error["message"])
