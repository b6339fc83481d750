"""Pipelines by stock clients: the aiplatform SDK on what the KFP SDK compiled (``compiled``, by ``samples.py``)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tule.testing.process import ServerProcess

pytestmark = pytest.mark.clients

HERE = Path(__file__).parent
PROGRAMS = HERE.parent / "programs"


def test_compiled_pipelines_by_the_sdk(server: ServerProcess, tmp_path: Path) -> None:
    done = server.exec(
        [sys.executable, str(PROGRAMS / "pipelines.py"), str(HERE / "compiled"), str(tmp_path)],
        timeout=240,
        offline=False,
    )
    assert done.stdout.strip().endswith("ok")
