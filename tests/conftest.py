"""Fixtures: servers in processes of their own, and stock clients that reach them under interception."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tule.testing.process import ServerProcess


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One running server for the tests of a worker; use names of your own in it."""
    process = ServerProcess(tmp_path_factory.mktemp("server") / "home").start()
    yield process
    process.stop()


@pytest.fixture
def tule_exec(server: ServerProcess) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run Python source in its own process against the shared server; see ``ServerProcess.exec``."""
    return server.exec


@pytest.fixture
def fresh_server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server of this test alone, to be killed and started again."""
    process = ServerProcess(tmp_path / "home").start()
    yield process
    process.stop()
