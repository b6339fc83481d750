"""Training as Google's own SDK drives it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tule.testing.process import ServerProcess

pytestmark = pytest.mark.clients

PROGRAMS = Path(__file__).parent / "programs"


def test_scripts_packages_and_pipelines_by_the_sdk(server: ServerProcess) -> None:
    assert server.exec([sys.executable, str(PROGRAMS / "training.py")], timeout=280).stdout.endswith("done\n")
