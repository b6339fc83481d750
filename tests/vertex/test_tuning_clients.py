"""Tuning as Google's own clients see it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tule.testing.process import ServerProcess

pytestmark = pytest.mark.clients

PROGRAMS = Path(__file__).parent / "programs"


def test_studies_by_the_client_and_by_the_sdk(server: ServerProcess) -> None:
    assert server.exec([sys.executable, str(PROGRAMS / "studies.py")]).stdout.endswith("done\n")
