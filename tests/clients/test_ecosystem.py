"""Clients and tools that people use on BigQuery, stock versions, each in its own process and environment (make clients)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tule.testing.process import ServerProcess

pytestmark = pytest.mark.ecosystem

HERE = Path(__file__).parent
PYTHON = HERE.parents[1] / ".venv-clients" / "bin" / "python"
# Some of them start processes and wait for many jobs one after the other: a busy machine takes its time.
_PATIENCE = 600


@pytest.mark.parametrize("program", sorted(each.stem for each in (HERE / "programs").glob("*.py")))
def test_a_program(server: ServerProcess, program: str) -> None:
    assert PYTHON.exists(), f"the clients must be installed; given: no {PYTHON}. Next: make clients"
    done = server.exec([str(PYTHON), str(HERE / "programs" / f"{program}.py")], timeout=_PATIENCE)
    assert done.stdout.strip().endswith("ok"), done.stdout[-2000:]
