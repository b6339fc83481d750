"""Tuning as Google's own clients see it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tule.kernel.clock import RealClock
from tule.testing.process import ServerProcess

pytestmark = pytest.mark.clients

PROGRAMS = Path(__file__).parent / "programs"


def test_studies_by_the_client_and_by_the_sdk(server: ServerProcess) -> None:
    assert server.exec([sys.executable, str(PROGRAMS / "studies.py")]).stdout.endswith("done\n")


def test_a_tuning_job_by_the_sdk(server: ServerProcess) -> None:
    assert server.exec([sys.executable, str(PROGRAMS / "tuning.py")], timeout=200).stdout.endswith("done\n")


def test_suggestions_and_jobs_survive_a_kill(fresh_server: ServerProcess, tmp_path: Path) -> None:
    program = [sys.executable, str(PROGRAMS / "cut_off_jobs.py")]
    study, suggested, job = fresh_server.exec([*program, "begin", str(tmp_path)]).stdout.splitlines()[-3:]
    while not (tmp_path / "begun").exists():
        RealClock().sleep(0.01)
    fresh_server.kill9()
    (tmp_path / "go").touch()
    fresh_server.start()
    assert fresh_server.exec([*program, "end", study, job]).stdout.splitlines()[-2:] == [
        suggested,
        "JOB_STATE_SUCCEEDED",
    ]
    assert (tmp_path / "begun").read_text() == "xx"
    logs = fresh_server.exec([sys.executable, "-m", "tule.cli", "logs", "-f", job, "--home", str(fresh_server.home)])
    assert "it goes on" in logs.stdout.splitlines()
    unknown = [sys.executable, "-m", "tule.cli", "logs", "123", "--home", str(fresh_server.home)]
    refused = fresh_server.exec(unknown, check=False)
    assert refused.returncode == 1
    assert "A job of this number must exist in the project; given: 123 in test-project" in refused.stderr
