"""The SDK's generation before 2.0 drives training and tuning as the present one does."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tule.testing.process import ServerProcess

pytestmark = pytest.mark.ecosystem

ROOT = Path(__file__).parents[2]
SDK = ROOT / ".venv-clients" / "aiplatform-1"


@pytest.mark.parametrize("program", ["training", "tuning"])
def test_a_program(server: ServerProcess, program: str) -> None:
    assert SDK.exists(), f"the SDK must be installed; given: no {SDK}. Next: make clients"
    version = "from google.cloud import aiplatform; print(aiplatform.__version__)"
    assert server.exec(version, PYTHONPATH=str(SDK)).stdout.startswith("1.")
    path = ROOT / "tests" / "vertex" / "programs" / f"{program}.py"
    done = server.exec([sys.executable, str(path)], timeout=280, PYTHONPATH=str(SDK))
    assert done.stdout.endswith("done\n")
