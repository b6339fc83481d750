"""The command line as a person meets it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from tule.testing.process import ServerProcess

pytestmark = pytest.mark.clients
Command = Callable[..., CompletedProcess[str]]


def test_up_detached_status_and_down(command: Command, tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert command("status", home=home).returncode == 3
    assert not home.exists()
    up = command("up", "--detach", "--project", "zoo", home=home)
    try:
        assert up.returncode == 0 and "Tule is ready at http://127.0.0.1:" in up.stdout
        status = command("status", "--json", home=home)
        told = json.loads(status.stdout)
        assert status.returncode == 0 and (told["ready"], told["project"], told["temporary"]) == (True, "zoo", False)
        read = command("status", home=home).stdout
        assert read.startswith("Tule is ready\n") and f"http://127.0.0.1:{told['port']}" in read and str(home) in read

        again = command("up", "--detach", home=home)
        assert again.returncode == 0 and f"Tule runs already at http://127.0.0.1:{told['port']}" in again.stdout
        other = command("up", "--detach", "--project", "park", home=home)
        assert other.returncode == 1
        assert other.stderr.endswith("given: project zoo, not park. Next: stop it with `tule down` first\n")
        second = command("up", home=home)
        assert second.returncode == 1
        assert f"belongs to one server at a time; given: {home}, held by process {told['pid']}" in second.stderr
        assert "tule down" in second.stderr and "Traceback" not in second.stderr
    finally:
        down = command("down", home=home)
    assert down.stdout == f"Stopped the server on {home}\n"
    assert command("status", home=home).returncode == 3
    assert command("down", home=home).stdout == f"No server is running on {home}\n"

    third = command("up", "--detach", home=home)
    try:
        assert f"http://127.0.0.1:{told['port']} (TLS: https://127.0.0.1:{told['tls_port']})" in third.stdout
    finally:
        command("down", home=home)


def test_up_in_a_terminal_says_how_to_go_on_and_stops_by_ctrl_c(
    terminal: Callable[..., Any], command: Command, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    shown = terminal("up", home=home)
    shown.expect(r"Tule is ready at http://127.0.0.1:\d+")
    shown.expect("Ctrl-C stops it. Elsewhere: tule exec")
    assert command("exec", "--", "true", home=home).returncode == 0
    assert command("status", home=home).returncode == 0
    shown.type("\x03")
    shown.expect("Tule has stopped")
    assert shown.exit_code() == 0
    assert command("status", home=home).returncode == 3


@pytest.mark.parametrize("arguments", [("up",), ("up", "--detach"), ("exec", "--", "true")], ids=" ".join)
def test_a_folder_of_other_things_is_no_data_directory(
    command: Command, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    (tmp_path / "thesis.tex").touch()
    tmp_path.chmod(0o755)
    done = command(*arguments, home=tmp_path)
    assert done.returncode == 1
    assert "must be new, empty or made by Tule" in done.stderr and "holds thesis.tex" in done.stderr
    assert tmp_path.stat().st_mode & 0o777 == 0o755 and [each.name for each in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_port_that_is_taken_is_named(command: Command, server: ServerProcess, tmp_path: Path) -> None:
    done = command("up", "--detach", "--port", str(server.runtime.port), home=tmp_path / "home")
    assert done.returncode == 1
    assert f"The port {server.runtime.port} of 127.0.0.1 must be free" in done.stderr and "--port" in done.stderr
    assert command("status", home=tmp_path / "home").returncode == 3


def test_exec_passes_what_the_command_says(command: Command, server: ServerProcess) -> None:
    code = "import os, sys; print(os.environ['GOOGLE_CLOUD_PROJECT'], sys.argv[1:], sys.stdin.read()); sys.exit(7)"
    done = command(
        "exec", "--project", "zoo", "--", sys.executable, "-c", code, "--home", "x", home=server.home, stdin="in"
    )
    assert (done.returncode, done.stdout) == (7, "zoo ['--home', 'x'] in\n")
    killed = command("exec", "--", "sh", "-c", "kill -9 $$", home=server.home)
    assert killed.returncode == 128 + signal.SIGKILL


def test_exec_says_when_the_command_is_no_program(command: Command, server: ServerProcess, tmp_path: Path) -> None:
    done = command("exec", "--", "no-such-program", home=server.home)
    assert done.returncode == 127 and "no-such-program must be a program" in done.stderr
    text = tmp_path / "text"
    text.touch()
    done = command("exec", "--", str(text), home=server.home)
    assert done.returncode == 126 and "must be executable (Permission denied)" in done.stderr
    empty = command("exec", home=server.home)
    assert empty.returncode == 2 and "exec needs a command. Next: tule exec -- python train.py" in empty.stderr


def test_signals_reach_the_command_once(command: Command, server: ServerProcess, terminal: Callable[..., Any]) -> None:
    code = """
import signal, sys, time
got = []
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda n, _: got.append(signal.Signals(n).name))
print("ready", flush=True)
while not got:
    time.sleep(0.01)
time.sleep(0.5)
print(got)
"""
    shown = terminal("exec", "--", sys.executable, "-c", code, home=server.home)
    shown.expect("ready")
    shown.type("\x03")
    shown.expect(r"\['SIGINT'\]")
    assert shown.exit_code() == 0

    process = subprocess.Popen(
        [sys.executable, "-m", "tule.cli", "exec", "--home", str(server.home), "--", sys.executable, "-c", code],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        os.kill(process.pid, signal.SIGTERM)
        assert process.stdout.read() == "['SIGTERM']\n"
    assert process.returncode == 0


def test_env_prints_exports_that_lead_here(command: Command, server: ServerProcess, tmp_path: Path) -> None:
    script = f"""
set -e
eval "$({sys.executable} -m tule.cli env)"
curl -sS "$TULE_URL/healthz"
echo " $GOOGLE_CLOUD_PROJECT ${{ALL_PROXY-none}}"
"""
    done = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, check=True,
        env={**os.environ, "TULE_HOME": str(server.home), "ALL_PROXY": "http://elsewhere:1"},
    )  # fmt: skip
    assert done.stdout == '{"status":"ready"} test-project none\n'
    told = json.loads(command("env", "--json", "--project", "zoo", home=server.home).stdout)
    assert told["GOOGLE_CLOUD_PROJECT"] == "zoo" and told["TULE_URL"] == server.url
    missing = command("env", home=tmp_path / "nobody")
    assert missing.returncode == 1
    assert missing.stderr.endswith("Next: start one with `tule up --detach`\n") and not missing.stdout


def test_help_lists_the_commands_and_the_settings(command: Command, tmp_path: Path) -> None:
    done = command("--help", home=tmp_path)
    for name in ("up", "down", "status", "exec", "env", "sql", "logs", "demo"):
        assert f"│ {name} " in done.stdout
    assert "TULE_MEMORY = 1GB: memory limit" in command("up", "--help", home=tmp_path).stdout
    assert command("--version", home=tmp_path).stdout.startswith("tule 0.")


def test_wrong_usage_ends_with_2_and_says_so(command: Command, tmp_path: Path) -> None:
    for word, *arguments in (("fly", "fly"), ("--wings", "up", "--wings"), ("--port", "up", "--port", "many")):
        done = command(*arguments, home=tmp_path)
        assert done.returncode == 2 and done.stderr.startswith("Usage: tule")
        assert word in done.stderr and "Traceback" not in done.stderr
    wrong = command("status", home=tmp_path, TULE_PORT="many")
    assert wrong.returncode == 1 and wrong.stderr == "tule: TULE_PORT must be a whole number; given: 'many'\n"


def test_secrets_are_private(server: ServerProcess) -> None:
    for path in (server.home / "credentials").iterdir():
        assert path.stat().st_mode & 0o077 == 0, path
    assert server.home.stat().st_mode & 0o077 == 0


def test_logs_print_the_end_and_follow(
    command: Command, fresh_server: ServerProcess, terminal: Callable[..., Any], tmp_path: Path
) -> None:
    missing = command("logs", home=tmp_path / "nobody")
    assert missing.returncode == 1 and "there is no log yet" in missing.stderr and "tule up" in missing.stderr
    log = fresh_server.home / "logs" / "server.log"
    with log.open("a") as file:
        file.write("one\ntwo\nthree\n")
    assert command("logs", "-n", "2", home=fresh_server.home).stdout == "two\nthree\n"
    shown = terminal("logs", "-f", "-n", "1", home=fresh_server.home)
    assert shown.expect("three\n") == "three\n"
    with log.open("a") as file:
        file.write("four\n")
    shown.expect("four\n")
    shown.type("\x03")
    assert shown.exit_code() == 130
