"""Lineage as ``tule lineage`` tells it: from an endpoint back to tables and objects, and forward again."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tule.testing.process import ServerProcess

pytestmark = pytest.mark.clients

PROGRAM = Path(__file__).parent / "programs" / "lineage.py"


@pytest.fixture(scope="module")
def made(server: ServerProcess) -> list[str]:
    """The id of the endpoint, and the address of the uploaded files."""
    return server.exec([sys.executable, str(PROGRAM), "grpc"]).stdout.split("\n")[-2].split()


@pytest.fixture
def told(server: ServerProcess) -> Callable[..., str]:
    def told(name: str) -> str:
        command = [sys.executable, "-m", "tule.cli", "lineage", name, "--home", str(server.home)]
        done = server.exec(command, check=False)
        return done.stdout + done.stderr

    return told


def test_an_endpoint_back_to_its_table_and_objects(made: list[str], told: Callable[..., str]) -> None:
    endpoint, files = made
    text = told(f"endpoints/{endpoint}")
    lines = text.splitlines()
    assert lines[0].startswith(f"endpoint {endpoint}  google.VertexEndpoint") and lines[1] == "came from"
    assert re.search(r"── deployment \d+  system.ModelDeployExecution", text), text
    assert "── model story_line@1  google.VertexModel" in text
    assert "── CREATE MODEL test-project.story.line  google.BQMLJob" in text
    assert re.search(r"── test-project\.story\.points  google\.BQTable  as of 20\d\d-", text), text
    assert "── upload of story_uploaded@1  system.ModelUploadExecution" in text
    assert files.rstrip("/") in text and re.search(r"model\.joblib generation \d+", text), text


def test_a_table_forward_to_its_endpoint(made: list[str], told: Callable[..., str]) -> None:
    text = told("test-project.story.points")
    before, _, after = text.partition("led to")
    assert "came from" not in before
    assert after.index("CREATE MODEL") < after.index("model story_line@1") < after.index(f"endpoint {made[0]}")
    assert "uploaded" not in text


def test_what_is_not_there_is_said(made: list[str], told: Callable[..., str]) -> None:
    assert "There must be an artifact of this name in the metadata store; given: nowhere" in told("nowhere")
