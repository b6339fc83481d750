"""The registry and endpoints as Google's own SDK sees them, over both of its transports."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tule.testing.process import ServerProcess

pytestmark = pytest.mark.clients

PROGRAMS = Path(__file__).parent / "programs"
Run = Callable[..., str]


@pytest.fixture
def run(server: ServerProcess) -> Run:
    """Run a client program under interception; answers what it printed."""

    def run(name: str, *arguments: str) -> str:
        done: CompletedProcess[str] = server.exec(
            [sys.executable, str(PROGRAMS / f"{name}.py"), *arguments], timeout=280
        )
        return done.stdout

    return run


@pytest.mark.parametrize("transport", ["grpc", "rest"])
def test_models_versions_and_aliases(run: Run, transport: str) -> None:
    run("models", transport)


@pytest.mark.parametrize("transport", ["grpc", "rest"])
def test_endpoints_traffic_and_predictions(run: Run, transport: str) -> None:
    run("endpoints", transport)


@pytest.mark.parametrize("transport", ["grpc", "rest"])
def test_experiments_runs_metrics_and_artifacts(run: Run, transport: str) -> None:
    run("experiments", transport)


@pytest.mark.parametrize("transport", ["grpc", "rest"])
def test_what_is_refused_and_what_is_left(run: Run, transport: str) -> None:
    run("refusals", transport)


def test_models_of_every_framework_answer_as_their_library(run: Run) -> None:
    run("frameworks")


def test_models_trained_in_sql_are_registered_served_and_explained(run: Run) -> None:
    run("from_sql")
