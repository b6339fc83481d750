"""Online prediction on the wire itself: bad bodies, credentials, limits, and processes that are killed."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tule.testing.process import ServerProcess

pytestmark = pytest.mark.clients

PROGRAMS = Path(__file__).parent / "programs"
LARGEST = 300_000


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with small limits for its models and its bodies."""
    server = ServerProcess(
        tmp_path_factory.mktemp("limited") / "home",
        max_body=LARGEST, model_memory=2**30, model_load_seconds=8, model_predict_seconds=2,
    )  # fmt: skip
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def deployed(limited: ServerProcess) -> dict[str, Any]:
    """What the program ``deployed`` says of its two endpoints."""
    done = limited.exec([sys.executable, str(PROGRAMS / "deployed.py")])
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture
def ask(limited: ServerProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=limited.url, headers=limited.headers, timeout=30) as client:
        yield client


def predict(ask: httpx.Client, about: dict[str, Any], body: Any, **more: Any) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return ask.post(f"/v1/{about['endpoint']}:predict", content=content, **more)


def test_models_that_do_harm_are_stopped_at_their_limits(limited: ServerProcess) -> None:
    limited.exec([sys.executable, str(PROGRAMS / "harm.py")], timeout=200)


@pytest.mark.parametrize("name", ["arrays", "process"])
def test_both_ways_of_serving_answer_alike(ask: httpx.Client, deployed: dict[str, Any], name: str) -> None:
    about = deployed[name]
    answer = predict(ask, about, {"instances": about["instances"]})
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "predictions": about["predictions"],
        "deployedModelId": about["deployed"],
        "model": about["model"],
        "modelDisplayName": name,
        "modelVersionId": "1",
    }
    rows = [list(each.values()) for each in about["instances"]]
    assert predict(ask, about, {"instances": rows}).json()["predictions"] == about["predictions"]


@pytest.mark.parametrize("name", ["arrays", "process"])
@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "must be JSON"),
        (b'{"instances": [[NaN, 1, 2]]}', "must be JSON"),
        (b"[[1, 2, 3]]", "given: list"),
        ({}, "must have a list of instances; given: an object with nothing"),
        ({"instances": []}, "must have a list of instances; given: an empty list"),
        ({"instances": {"radius": 1}}, "must have a list of instances; given: dict"),
        ({"instances": [[1, 2, 3]], "instanceCount": 1}, "only known fields; given: instanceCount"),
        ({"instances": [[1, 2, 3]], "parameters": {"top": 3}}, "take no parameters"),
        ({"instances": [[1, 2, 3], [1, 2]]}, "1"),
        ({"instances": [{"radius": 1, "texture": 2}]}, "perimeter"),
        ({"instances": [[None, 1, 2]]}, "null|NaN"),
        ({"instances": [["x", 1, 2]]}, "x"),
        ({"instances": ["abc"]}, "."),
        ({"instances": [[[1], [2], [3]]]}, "."),
    ],
    ids=lambda value: None if isinstance(value, str) else "body",
)
def test_bad_bodies_are_named_and_nothing_breaks(
    ask: httpx.Client, deployed: dict[str, Any], name: str, body: Any, words: str
) -> None:
    about = deployed[name]
    answer = predict(ask, about, body)
    error = answer.json()["error"]
    assert answer.status_code == 400 and error["status"] == "INVALID_ARGUMENT", answer.text
    import re

    assert re.search(words, error["message"]), error["message"]
    assert predict(ask, about, {"instances": about["instances"]}).json()["predictions"] == about["predictions"]


def test_bodies_beyond_the_limit(ask: httpx.Client, deployed: dict[str, Any]) -> None:
    about = deployed["arrays"]
    fits = {"instances": [[1.0, 2.0, 3.0]] * 12_000}
    answer = predict(ask, about, fits)
    assert answer.status_code == 200 and len(answer.json()["predictions"]) == 12_000
    answer = predict(ask, about, b" " * (LARGEST + 1))
    assert answer.status_code == 400 and f"at most {LARGEST} bytes" in answer.json()["error"]["message"]
    answer = ask.post(f"/v1/{about['endpoint']}:rawPredict", content=b" " * (LARGEST + 1))
    assert answer.status_code == 400 and f"at most {LARGEST} bytes" in answer.json()["error"]["message"]
    assert predict(ask, about, {"instances": [[1, 2, 3]]}).status_code == 200


def test_raw_predictions_say_who_answered(ask: httpx.Client, deployed: dict[str, Any]) -> None:
    about = deployed["process"]
    path = f"/v1/{about['endpoint']}:rawPredict"
    answer = ask.post(path, json={"instances": about["instances"]})
    assert answer.json()["predictions"] == about["predictions"]
    assert answer.headers["x-vertex-ai-model"] == about["model"]
    assert answer.headers["x-vertex-ai-model-version-id"] == "1"
    for body, kind, words in (
        (b"{", "application/json", "must be JSON"),
        (b'{"instances": [], "more": 1}', "application/json", "given: more"),
        (b"a,b", "text/csv", "content type text/csv"),
    ):
        answer = ask.post(path, content=body, headers={"Content-Type": kind})
        assert answer.status_code == 400 and words in answer.json()["error"]["message"], answer.text


def test_predictions_need_credentials_and_an_endpoint(
    limited: ServerProcess, ask: httpx.Client, deployed: dict[str, Any]
) -> None:
    path = f"{limited.url}/v1/{deployed['arrays']['endpoint']}:predict"
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic x"}):
        answer = httpx.post(path, headers=headers, json={"instances": [[1, 2, 3]]})
        assert answer.status_code == 401 and answer.json()["error"]["status"] == "UNAUTHENTICATED"
    answer = httpx.post(path, headers={**limited.headers, "Origin": "https://example.com"}, json={})
    assert answer.status_code == 403
    parent = "projects/test-project/locations/us-central1"
    for place in (f"{parent}/endpoints/1", parent.replace("us-central1", "mars") + "/endpoints/1"):
        answer = ask.post(f"/v1/{place}:predict", json={"instances": [[1, 2, 3]]})
        assert answer.status_code == 404 and place in answer.json()["error"]["message"]
    answer = ask.post(f"/v1/{parent}/publishers/google/models/gemini:predict", json={"instances": [{}]})
    assert answer.status_code == 501 and "Publisher models are not served" in answer.json()["error"]["message"]


def workers(server: ServerProcess) -> list[psutil.Process]:
    """The processes of models."""
    return [
        each
        for each in psutil.Process(server.pid).children(recursive=True)
        if "jail.worker" in " ".join(each.cmdline())
    ]


def test_a_killed_process_is_replaced_and_the_request_answered(
    limited: ServerProcess, ask: httpx.Client, deployed: dict[str, Any]
) -> None:
    about = deployed["process"]
    (worker,) = workers(limited)
    os.kill(worker.pid, signal.SIGKILL)
    answer = predict(ask, about, {"instances": about["instances"]})
    # Where the death is noticed only while it is asked, the caller is told, and the next request is answered.
    if answer.status_code != 200:
        assert answer.status_code == 503 and "SIGKILL" in answer.json()["error"]["message"]
        answer = predict(ask, about, {"instances": about["instances"]})
    assert answer.json()["predictions"] == about["predictions"]
    (again,) = workers(limited)
    assert again.pid != worker.pid
