"""One server per data directory, whoever started it: shared by commands, gone with the last, true after a crash."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import httpx
import pytest

from tule.cli import running
from tule.kernel.clock import RealClock
from tule.kernel.settings import Settings

pytestmark = pytest.mark.clients
Command = Callable[..., CompletedProcess[str]]

# Says who serves it, waits for a line, and asks the server for its health.
ASK = """
import os, sys, urllib.request
print(os.environ["TULE_URL"], flush=True)
sys.stdin.readline()
print(urllib.request.build_opener(urllib.request.ProxyHandler({})).open(os.environ["TULE_URL"] + "/healthz").read().decode())
"""


def using(home: Path) -> subprocess.Popen[str]:
    """A ``tule exec`` that uses the server of ``home`` until it gets a line."""
    return subprocess.Popen(
        [sys.executable, "-m", "tule.cli", "exec", "--home", str(home), "--", sys.executable, "-c", ASK],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, _ = process.communicate("\n", timeout=60)
    return process.returncode, out.strip()


def wait_until_free(home: Path) -> None:
    clock, settings = RealClock(), Settings(home=home)
    deadline = clock.monotonic() + 30
    while running.find_holder(settings) is not None:
        assert clock.monotonic() < deadline, "the server goes on"
        clock.sleep(0.02)


def test_exec_starts_a_server_for_the_command(command: Command, tmp_path: Path) -> None:
    home = tmp_path / "home"
    process = using(home)
    url = first_line(process)
    status = command("status", home=home)
    assert (
        status.returncode == 0 and url in status.stdout and "with the command that it was started for" in status.stdout
    )
    refused = command("up", "--detach", home=home)
    assert refused.returncode == 1 and "started for a command, with which it ends" in refused.stderr
    assert ended(process) == (0, '{"status":"ready"}')
    assert running.find_holder(Settings(home=home)) is None


def test_two_that_start_at_once_share_one_server(tmp_path: Path) -> None:
    home = tmp_path / "home"
    first, second = using(home), using(home)
    assert first_line(first) == first_line(second)
    assert ended(first) == (0, '{"status":"ready"}')
    # Whichever of them started it, the other one still has it.
    assert ended(second) == (0, '{"status":"ready"}')
    wait_until_free(home)


def test_who_joins_keeps_the_server_when_its_starter_is_killed(command: Command, tmp_path: Path) -> None:
    home = tmp_path / "home"
    starter = using(home)
    url = first_line(starter)
    joined = using(home)
    assert first_line(joined) == url
    os.kill(starter.pid, signal.SIGKILL)
    starter.communicate(timeout=60)
    assert command("status", home=home).returncode == 0
    assert ended(joined) == (0, '{"status":"ready"}')
    wait_until_free(home)


def test_a_killed_exec_leaves_no_server(tmp_path: Path) -> None:
    home = tmp_path / "home"
    process = using(home)
    first_line(process)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    wait_until_free(home)


def test_a_server_that_was_killed_is_started_again_as_it_was(command: Command, tmp_path: Path) -> None:
    home = tmp_path / "home"
    command("up", "--detach", home=home)
    before = json.loads(command("status", "--json", home=home).stdout)
    made = command("sql", "CREATE SCHEMA zoo; CREATE TABLE zoo.birds AS SELECT 'owl' AS name", home=home)
    assert made.returncode == 0, made.stderr
    os.kill(before["pid"], signal.SIGKILL)
    wait_until_free(home)
    # The file that it left names a server that is not there, and its socket leads nowhere.
    assert (home / "server.json").exists() and (home / "sockets" / "grpc").is_socket()
    status = command("status", home=home)
    assert status.returncode == 3 and status.stdout == f"No server is running on {home}. Next: tule up --detach\n"
    assert command("env", home=home).returncode == 1
    try:
        assert command("up", "--detach", home=home).returncode == 0
        after = json.loads(command("status", "--json", home=home).stdout)
        assert (after["port"], after["tls_port"]) == (before["port"], before["tls_port"])
        assert after["pid"] != before["pid"]
        kept = command("sql", "--format", "csv", "SELECT name FROM zoo.birds", home=home)
        assert kept.stdout == "name\nowl\n"
        assert list((home / "sockets").iterdir()) == [home / "sockets" / "grpc"]
    finally:
        command("down", home=home)
    assert list((home / "sockets").iterdir()) == []


def test_a_port_of_the_last_time_that_is_taken_now_is_left(command: Command, tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    command("up", "--detach", home=one)
    try:
        other.mkdir(mode=0o700)
        (other / "lock").touch()
        (other / "ports").write_text((one / "ports").read_text())
        up = command("up", "--detach", home=other)
        assert up.returncode == 0, up.stderr
        ports = [json.loads(command("status", "--json", home=home).stdout)["port"] for home in (one, other)]
        assert ports[0] != ports[1]
        assert [httpx.get(f"http://127.0.0.1:{port}/healthz").status_code for port in ports] == [200, 200]
    finally:
        for home in (one, other):
            command("down", home=home)


def test_a_server_that_cannot_start_tells_why(command: Command, tmp_path: Path) -> None:
    home = tmp_path / "home"
    command("exec", "--", "true", home=home)
    (home / "tule.db").write_bytes(b"this is no database" * 100)
    for arguments in (("up", "--detach"), ("exec", "--", "true")):
        done = command(*arguments, home=home)
        assert done.returncode == 1, done.stdout
        assert done.stderr.startswith("tule: The server could not start; given: ") and "database" in done.stderr
    assert command("status", home=home).returncode == 3
