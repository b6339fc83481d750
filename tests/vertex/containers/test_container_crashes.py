"""A server that is killed while a container runs: nothing stays, what was closed is there, the job has a true end."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx
import psutil
import pytest
from tests.vertex.containers.conftest import IMAGE

from tule.engines.mount.files import BucketFiles
from tule.testing.process import ServerProcess

pytestmark = pytest.mark.skipif(bool(BucketFiles(lambda: 1).trouble), reason="no /gcs on this machine")
PARENT = "/v1/projects/test-project/locations/us-central1"
CODE = """
import os, time
mark = os.environ["MARK"]
with open("/gcs/crash-bucket/closed", "w") as file: file.write("whole")
half = open("/gcs/crash-bucket/half", "w"); half.write("ha"); half.flush()
if os.fork() == 0:
    os.setsid()
open("/gcs/crash-bucket/ready", "a").close()
time.sleep(600)
"""


def eventually(happened: Callable[[], Any], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := happened()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return found


def marked(mark: str) -> list[int]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("MARK") == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except (psutil.Error, OSError):
            continue
    return found


def test_kill_9_of_the_server(fresh_server: ServerProcess) -> None:
    server = fresh_server

    def call(verb: str, path: str, **more: Any) -> Any:
        with httpx.Client(base_url=server.url, headers=server.headers, trust_env=False, timeout=60) as client:
            return client.request(verb, path, **more)

    def names() -> list[str]:
        listed = call("GET", "/storage/v1/b/crash-bucket/o").json()
        return [each["name"] for each in listed.get("items", [])]

    call("POST", "/storage/v1/b?project=test-project", json={"name": "crash-bucket"}).raise_for_status()
    mark = str(server.pid)
    container = {"imageUri": IMAGE, "command": ["python", "-c", CODE], "env": [{"name": "MARK", "value": mark}]}
    pool = {"containerSpec": container, "replicaCount": 1, "machineSpec": {"machineType": "n1-standard-1"}}
    body = {"displayName": "crash", "jobSpec": {"workerPoolSpecs": [pool]}}
    made = call("POST", f"{PARENT}/customJobs", json=body)
    made.raise_for_status()
    eventually(lambda: "ready" in names())
    assert len(marked(mark)) >= 3
    server.kill9()
    eventually(lambda: not marked(mark))
    server.start()
    assert names() == ["closed", "ready"]
    assert call("GET", "/storage/v1/b/crash-bucket/o/closed?alt=media").text == "whole"
    name = made.json()["name"]

    def state() -> str:
        return str(call("GET", f"/v1/{name}").json()["state"])

    # It is run anew, or has failed as lost: whichever, it is not said to have succeeded.
    assert eventually(lambda: state() if state() not in ("JOB_STATE_QUEUED", "JOB_STATE_PENDING") else "") in (
        "JOB_STATE_RUNNING",
        "JOB_STATE_FAILED",
    )
    call("POST", f"/v1/{name}:cancel")
    eventually(lambda: state() in ("JOB_STATE_CANCELLED", "JOB_STATE_FAILED"))
    folders = server.home / "containers"
    eventually(lambda: not list(folders.iterdir()) and not marked(mark))
