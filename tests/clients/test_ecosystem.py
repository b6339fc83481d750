"""Clients and tools that people use on BigQuery, stock versions, each in its own process and environment (make clients)."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tule.testing.process import ServerProcess
from tule.wire.intercept.environment import environment

pytestmark = pytest.mark.ecosystem

HERE = Path(__file__).parent
BIN = HERE.parents[1] / ".venv-clients" / "bin"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(server: ServerProcess) -> Run:
    """Run a command of the clients' environment under interception; it must end with 0 unless ``check`` is False."""
    assert (BIN / "python").exists(), f"the clients must be installed in {BIN.parent}. Next: make clients"

    def run(*command: str, cwd: Path | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        environ = environment(server.target, os.environ, offline=True)
        done = subprocess.run(
            [str(BIN / command[0]), *command[1:]], env=environ, cwd=cwd, capture_output=True, text=True, timeout=280,
            check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, f"{done.stdout[-5000:]}\n{done.stderr[-3000:]}"
        return done

    return run


@pytest.mark.parametrize("program", sorted(each.stem for each in (HERE / "programs").glob("*.py")))
def test_a_program(run: Run, server: ServerProcess, program: str) -> None:
    for dataset in ("ibis_zoo", "frames_zoo"):
        server.exec(f"from google.cloud import bigquery; bigquery.Client().create_dataset('{dataset}', exists_ok=True)")
    assert run("python", str(HERE / "programs" / f"{program}.py")).stdout.strip().endswith("ok")


def test_a_dbt_project(run: Run, tmp_path: Path) -> None:
    """Seed, run (table, view, incremental), test, snapshot twice; a test that must fail fails."""
    project = shutil.copytree(HERE / "dbt_project", tmp_path / "project")

    def dbt(*arguments: str, check: bool = True) -> str:
        return run("dbt", "--no-use-colors", *arguments, "--profiles-dir", ".", cwd=project, check=check).stdout

    assert "PASS=1" in dbt("seed")
    assert "PASS=3" in dbt("run")
    assert "PASS=3" in dbt("test")
    assert "MERGE (2.0 rows" in dbt("run", "--select", "inc")
    assert "PASS=1" in dbt("snapshot")
    seeds = project / "seeds" / "animals.csv"
    seeds.write_text(seeds.read_text().replace("Rex", "Max") + "4,Eve,dog,\n")
    dbt("seed")
    assert "PASS=1" in dbt("snapshot")
    dbt("run")
    rows = dbt("show", "--inline", "select count(*) as n from {{ ref('animals_snapshot') }}")
    assert "| 5 |" in rows
    assert "PASS=3" in dbt("test")
    (project / "models" / "dogs.sql").write_text("select id, name, kind, born from {{ ref('animals') }}")
    dbt("run", "--select", "dogs")
    failed = dbt("test", check=False)
    assert "FAIL 1 accepted_values_dogs_kind__dog" in failed and "ERROR=1" in failed
