"""The command line as a person meets it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tule.testing.process import ServerProcess

pytestmark = pytest.mark.clients


def tule(*arguments: str, home: Path, timeout: float = 60, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tule.cli", *arguments],
        capture_output=True, text=True, timeout=timeout, check=False,
        env={**os.environ, "TULE_HOME": str(home), **variables},
    )  # fmt: skip


def test_up_detached_status_and_down(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert tule("status", home=home).returncode == 3
    up = tule("up", "--detach", "--project", "zoo", home=home)
    try:
        assert up.returncode == 0 and "Tule is ready at http://127.0.0.1:" in up.stdout
        status = tule("status", "--json", home=home)
        assert status.returncode == 0 and json.loads(status.stdout)["project"] == "zoo"
        again = tule("up", home=home)
        assert again.returncode == 1
        assert "belongs to one server at a time" in again.stderr and "tule down" in again.stderr
        assert "Traceback" not in again.stderr
    finally:
        down = tule("down", home=home)
    assert "Stopped" in down.stdout
    assert tule("status", home=home).returncode == 3


def test_exec_starts_a_server_for_the_command_and_passes_its_exit_code(tmp_path: Path) -> None:
    home = tmp_path / "home"
    code = "import os, sys; print(os.environ['GOOGLE_CLOUD_PROJECT']); sys.exit(7)"
    done = tule("exec", "--project", "zoo", "--", sys.executable, "-c", code, home=home)
    assert (done.returncode, done.stdout.strip()) == (7, "zoo")
    assert tule("status", home=home).returncode == 3


def test_exec_says_when_the_command_is_no_program(server: ServerProcess) -> None:
    done = tule("exec", "--", "no-such-program", home=server.home)
    assert done.returncode == 127 and "must be a program" in done.stderr
    assert tule("exec", home=server.home).returncode == 2


def test_a_killed_exec_leaves_no_server(tmp_path: Path) -> None:
    home = tmp_path / "home"
    process = subprocess.Popen(
        [sys.executable, "-m", "tule.cli", "exec", "--home", str(home), "--", "sleep", "60"], start_new_session=True
    )
    deadline = time.monotonic() + 20
    while tule("status", home=home).returncode != 0:
        assert time.monotonic() < deadline
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    while tule("status", home=home).returncode != 3:
        assert time.monotonic() < deadline
    os.killpg(process.pid, signal.SIGKILL)


def test_env_prints_exports_and_wants_a_server(server: ServerProcess, tmp_path: Path) -> None:
    done = tule("env", home=server.home)
    assert "export GOOGLE_APPLICATION_CREDENTIALS=" in done.stdout and "unset " in done.stdout
    missing = tule("env", home=tmp_path / "nobody")
    assert missing.returncode == 1 and "tule up" in missing.stderr


def test_help_is_quick_and_lists_the_commands(tmp_path: Path) -> None:
    done = tule("--help", home=tmp_path)
    for name in ("up", "down", "status", "exec", "env", "sql", "logs", "demo"):
        assert name in done.stdout


def test_secrets_are_private(server: ServerProcess) -> None:
    for path in (server.home / "credentials").iterdir():
        assert path.stat().st_mode & 0o077 == 0, path
    assert server.home.stat().st_mode & 0o077 == 0
