"""``kill -9`` of the server: uploads and deployments are done or not, operations say so, deployed models answer again."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tule.kernel.clock import RealClock
from tule.testing.process import ServerProcess

pytestmark = pytest.mark.clients

PROGRAMS = Path(__file__).parent / "programs"
PARENT = "projects/test-project/locations/us-central1"
ABORTED = 10


@pytest.fixture(scope="module")
def crashing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server of these tests, killed by each and started again."""
    process = ServerProcess(tmp_path_factory.mktemp("crashing") / "home").start()
    yield process
    process.stop()


@pytest.fixture(scope="module")
def deployed(crashing: ServerProcess) -> dict[str, Any]:
    """What the program ``deployed`` says of its two endpoints."""
    done = crashing.exec([sys.executable, str(PROGRAMS / "deployed.py")])
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def get(server: ServerProcess, path: str) -> dict[str, Any]:
    answer = httpx.get(f"{server.url}/v1/{path}", headers=server.headers, timeout=30)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def check_predictions(server: ServerProcess, deployed: dict[str, Any]) -> None:
    for about in deployed.values():
        answer = httpx.post(
            f"{server.url}/v1/{about['endpoint']}:predict",
            headers=server.headers, json={"instances": about["instances"]}, timeout=60,
        )  # fmt: skip
        assert answer.status_code == 200, answer.text
        assert answer.json()["predictions"] == about["predictions"]
        assert answer.json()["deployedModelId"] == about["deployed"]


def wait_until(found: Callable[[], Any]) -> Any:
    clock = RealClock()
    end = clock.monotonic() + 60
    while not (seen := found()):
        assert clock.monotonic() < end, "it did not come to this within a minute"
        clock.sleep(0.002)
    return seen


def workers(server: ServerProcess) -> list[psutil.Process]:
    """The processes of models."""
    children = psutil.Process(server.pid).children(recursive=True)
    return [each for each in children if "jail.worker" in " ".join(each.cmdline())]


def folders(server: ServerProcess, name: str) -> set[str]:
    return {each.name for each in (server.home / name).iterdir()}


def test_deployed_models_answer_at_once_after_a_restart(crashing: ServerProcess, deployed: dict[str, Any]) -> None:
    check_predictions(crashing, deployed)
    before = {about["endpoint"]: get(crashing, about["endpoint"]) for about in deployed.values()}
    old = workers(crashing)
    crashing.kill9()
    assert not psutil.wait_procs(old, timeout=10)[1], "processes of models outlived the server"
    crashing.start()
    check_predictions(crashing, deployed)
    assert {name: get(crashing, name) for name in before} == before
    crashing.stop()
    crashing.start()
    check_predictions(crashing, deployed)
    assert {name: get(crashing, name) for name in before} == before


def test_an_upload_that_was_cut_off_left_nothing(crashing: ServerProcess, deployed: dict[str, Any]) -> None:
    models = get(crashing, f"{PARENT}/models")
    kept = folders(crashing, "models")
    program = [sys.executable, str(PROGRAMS / "cut_off.py"), "grpc", "upload"]
    client = threading.Thread(target=lambda: crashing.exec(program, check=False))
    client.start()
    # The copy is in the making under a name that begins with a dot.
    wait_until(lambda: any(each.startswith(".") for each in folders(crashing, "models")))
    crashing.kill9()
    client.join()
    crashing.start()
    (operation,) = [
        each for each in get(crashing, f"{PARENT}/operations")["operations"] if each.get("error") is not None
    ]
    assert operation["done"] and operation["error"]["code"] == ABORTED
    assert "The server stopped while the operation was running" in operation["error"]["message"]
    assert "copying the artifact files" in operation["error"]["message"]
    assert get(crashing, f"{PARENT}/models") == models
    assert folders(crashing, "models") == kept
    check_predictions(crashing, deployed)
    done = crashing.exec(program)
    name = json.loads(done.stdout.splitlines()[-1])["operation"]
    answer = httpx.post(f"{crashing.url}/v1/{name}:wait", headers=crashing.headers, json={}, timeout=90)
    assert answer.json()["response"]["model"].startswith(f"{PARENT}/models/")
    assert len(folders(crashing, "models")) == len(kept) + 1


def test_a_deployment_that_was_cut_off_left_the_endpoint_as_it_was(
    crashing: ServerProcess, deployed: dict[str, Any]
) -> None:
    about = deployed["arrays"]
    before, kept, running = get(crashing, about["endpoint"]), folders(crashing, "deployments"), workers(crashing)
    done = crashing.exec(
        [sys.executable, str(PROGRAMS / "cut_off.py"), "grpc", "deploy", about["endpoint"], about["deployed"]]
    )
    name = json.loads(done.stdout.splitlines()[-1])["operation"]
    (opening,) = wait_until(lambda: [each for each in workers(crashing) if each not in running])
    crashing.kill9()
    assert not psutil.wait_procs([opening, *running], timeout=10)[1]
    crashing.start()
    operation = get(crashing, name)
    assert operation["done"] and operation["error"]["code"] == ABORTED
    assert "(opening the model)" in operation["error"]["message"]
    assert operation["metadata"]["deploymentStage"] == "STARTING_MODEL_SERVER"
    assert get(crashing, about["endpoint"]) == before
    check_predictions(crashing, deployed)
    assert folders(crashing, "deployments") == kept
