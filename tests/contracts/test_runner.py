"""The contract of ``tule.kernel.jobs.Runner``: every engine that runs processes passes this suite.

An engine inherits ``RunnerContract`` and gives the fixture ``runner``; one whose processes end with the server also
inherits ``LocalContract``.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from tule.engines.local import LocalRunner
from tule.kernel.clock import RealClock
from tule.kernel.errors import FailedPrecondition, InvalidArgument, NotFound
from tule.kernel.jobs import Exit, JobSpec, Reason, Runner

MIB = 2**20
LONG = 30.0


def python(code: str, *arguments: str, **limits: Any) -> JobSpec:
    return JobSpec(argv=(sys.executable, "-c", code, *arguments), **limits)


def ended(runner: Runner, spec: JobSpec) -> Exit:
    return wait(runner, runner.start(spec))


def wait(runner: Runner, handle: str) -> Exit:
    state = runner.wait(handle, timeout=LONG)
    assert state.exit is not None, "the process did not end in time"
    return state.exit


def output(runner: Runner, handle: str) -> str:
    return runner.logs(handle).decode()


def eventually(happened: Callable[[], object], seconds: float = LONG) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class RunnerContract:
    """What ``Runner`` promises, for any engine."""

    @pytest.fixture
    def runner(self) -> Runner:
        raise NotImplementedError("the engine's test gives its runner")

    # -- ends

    @pytest.mark.parametrize("code", [0, 1, 7, 255])
    def test_an_exit_code_is_told(self, runner: Runner, code: int) -> None:
        found = ended(runner, python(f"raise SystemExit({code})"))
        assert (found.reason, found.code, found.signal) == (Reason.EXITED, code, None)
        assert found.succeeded is (code == 0)

    def test_a_running_process_runs(self, runner: Runner) -> None:
        handle = runner.start(python("import time; time.sleep(60)"))
        assert runner.poll(handle).running
        assert runner.wait(handle, timeout=0.05).running
        runner.kill(handle, grace=0)
        assert not runner.wait(handle, timeout=LONG).running

    def test_a_crash_names_its_signal(self, runner: Runner) -> None:
        found = ended(runner, python("import os; os.abort()"))
        assert (found.reason, found.signal, found.code) == (Reason.SIGNALLED, signal.SIGABRT, None)
        assert "SIGABRT" in found.detail

    @pytest.mark.parametrize(
        ("program", "code"), [("no-such-program", 127), ("/no/such/program", 127), ("/etc/passwd", 126), ("/", 126)]
    )
    def test_a_program_that_cannot_be_run_is_named(self, runner: Runner, program: str, code: int) -> None:
        found = ended(runner, JobSpec(argv=(program,)))
        assert (found.reason, found.code) == (Reason.EXITED, code)
        assert program in found.detail

    def test_a_folder_that_is_not_there_is_named(self, runner: Runner) -> None:
        found = ended(runner, JobSpec(argv=("true",), cwd="/no/such/folder"))
        assert not found.succeeded and "/no/such/folder" in found.detail

    def test_use_is_measured(self, runner: Runner) -> None:
        found = ended(runner, python("x = bytearray(60 << 20)\nfor i in range(3_000_000): pass"))
        assert found.peak_memory_bytes > 60 * MIB
        assert found.cpu_seconds > 0 and 0 < found.wall_seconds < LONG

    def test_an_end_does_not_change(self, runner: Runner) -> None:
        handle = runner.start(python("raise SystemExit(3)"))
        first = wait(runner, handle)
        runner.kill(handle)
        assert runner.poll(handle).exit == first == runner.wait(handle).exit

    # -- what the process sees

    def test_its_environment_is_what_the_spec_names(self, runner: Runner) -> None:
        code = "import os; print(sorted(name for name in os.environ if not name.startswith(('TULE_JOB', 'LC_'))))"
        handle = runner.start(python(code, env={"A": "1"}))
        assert wait(runner, handle).succeeded
        assert output(runner, handle) == "['A', 'PATH']\n"

    def test_arguments_and_variables_arrive_as_they_are(self, runner: Runner) -> None:
        odd = "é $HOME `x` \"'\n*"
        handle = runner.start(python("import os, sys; print(sys.argv[1] == os.environ['ODD'])", odd, env={"ODD": odd}))
        assert wait(runner, handle).succeeded and output(runner, handle) == "True\n"

    def test_without_a_folder_it_gets_an_empty_one(self, runner: Runner) -> None:
        handle = runner.start(python("import os; open('file', 'w'); print(os.listdir())"))
        assert wait(runner, handle).succeeded and output(runner, handle) == "['file']\n"

    def test_a_folder_may_be_given(self, runner: Runner, tmp_path: Path) -> None:
        assert ended(runner, python("open('made', 'w')", cwd=str(tmp_path))).succeeded
        assert (tmp_path / "made").exists()

    def test_its_input_is_empty(self, runner: Runner) -> None:
        handle = runner.start(python("import sys; print(repr(sys.stdin.read()))"))
        assert wait(runner, handle).succeeded and output(runner, handle) == "''\n"

    # -- limits

    def test_memory(self, runner: Runner) -> None:
        code = "import time\nkept = []\nfor _ in range(4000):\n    kept.append(b'x' * (1 << 20))\n    time.sleep(0.001)"
        found = ended(runner, python(code, memory_bytes=100 * MIB))
        assert found.reason is Reason.OUT_OF_MEMORY
        assert "more than its limit of 100 MiB" in found.detail

    def test_memory_of_all_descendants_together(self, runner: Runner) -> None:
        code = (
            "import subprocess, sys\n"
            "one = 'x = bytearray(b\"x\" * (60 << 20)); import time; time.sleep(60)'\n"
            "for child in [subprocess.Popen([sys.executable, '-c', one]) for _ in range(3)]: child.wait()"
        )
        assert ended(runner, python(code, memory_bytes=120 * MIB)).reason is Reason.OUT_OF_MEMORY

    def test_one_huge_allocation(self, runner: Runner) -> None:
        found = ended(runner, python("bytearray(1 << 40)", memory_bytes=100 * MIB))
        assert found.reason is Reason.OUT_OF_MEMORY

    def test_pages_shared_by_forks_count_once(self, runner: Runner) -> None:
        code = (
            "import os, time\n"
            "x = bytearray(b'x' * (60 << 20))\n"
            "children = []\n"
            "for _ in range(4):\n"
            "    pid = os.fork()\n"
            "    if pid == 0:\n"
            "        time.sleep(0.4); os._exit(0)\n"
            "    children.append(pid)\n"
            "for pid in children: os.waitpid(pid, 0)"
        )
        assert ended(runner, python(code, memory_bytes=150 * MIB)).succeeded

    def test_time(self, runner: Runner) -> None:
        found = ended(runner, python("import time; time.sleep(60)", wall_seconds=0.3))
        assert found.reason is Reason.TIMEOUT
        assert "limit of 0.3 s" in found.detail and found.wall_seconds < 20

    def test_time_of_one_that_does_not_listen(self, runner: Runner) -> None:
        code = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: time.sleep(1)"
        assert ended(runner, python(code, wall_seconds=0.3)).reason is Reason.TIMEOUT

    def test_processor_time(self, runner: Runner) -> None:
        found = ended(runner, python("while True: pass", cpu_seconds=0.5, wall_seconds=LONG))
        assert found.reason is Reason.CPU_LIMIT and "processor time" in found.detail

    def test_processor_time_of_all_descendants_together(self, runner: Runner) -> None:
        code = (
            "import subprocess, sys\n"
            "while True: subprocess.run([sys.executable, '-c', 'for i in range(1_000_000): pass'])"
        )
        assert ended(runner, python(code, cpu_seconds=0.5, wall_seconds=LONG)).reason is Reason.CPU_LIMIT

    def test_file_size(self, runner: Runner) -> None:
        handle = runner.start(python("open('big', 'wb').write(bytes(100_000))", file_bytes=50_000))
        assert not wait(runner, handle).succeeded
        assert b"File too large" in runner.logs(handle, "stderr")

    def test_disk(self, runner: Runner) -> None:
        code = "file = open('x', 'wb')\nwhile True: file.write(bytes(1 << 20))"
        found = ended(runner, python(code, disk_bytes=64 * MIB))
        assert found.reason is Reason.DISK_LIMIT and "64 MiB" in found.detail

    def test_disk_of_a_folder_that_is_named(self, runner: Runner, tmp_path: Path) -> None:
        code = f"import time; open({str(tmp_path / 'x')!r}, 'wb').write(bytes(32 << 20)); time.sleep(60)"
        found = ended(runner, python(code, disk_bytes=16 * MIB, scratch=str(tmp_path)))
        assert found.reason is Reason.DISK_LIMIT

    @pytest.mark.parametrize("ignore", ["", "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);"])
    def test_no_progress(self, runner: Runner, ignore: str) -> None:
        found = ended(runner, python(f"{ignore}import time; time.sleep(60)", idle_seconds=0.3))
        assert found.reason is Reason.HANG and "for 0.3 s" in found.detail

    def test_progress_is_output_or_computing(self, runner: Runner) -> None:
        code = """
import time
for i in range(17): time.sleep(0.1); print(i, flush=True)
while time.process_time() < 2: pass
"""
        assert ended(runner, python(code, idle_seconds=3)).succeeded

    def test_processors(self, runner: Runner) -> None:
        handle = runner.start(python("import os; print(len(os.sched_getaffinity(0)))", cpus=0.5))
        assert wait(runner, handle).succeeded and output(runner, handle) == "1\n"

    def test_network(self, runner: Runner) -> None:
        code = (
            "import socket, subprocess, sys\n"
            "socket.socket(socket.AF_UNIX)\n"
            "for family in (socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK):\n"
            "    try:\n"
            "        socket.socket(family)\n"
            "        print('open')\n"
            "    except PermissionError:\n"
            "        print('closed')\n"
            "if len(sys.argv) == 1:\n"
            "    subprocess.run([sys.executable, '-c', open('code').read(), 'inner'])"
        )
        program = f"open('code', 'w').write({code!r})\nexec(open('code').read())"
        handle = runner.start(python(program, network=False))
        assert wait(runner, handle).succeeded, runner.logs(handle, "stderr")
        assert set(output(runner, handle).split()) == {"closed"} and output(runner, handle).count("closed") >= 3
        assert ended(runner, python("import socket; socket.socket()")).succeeded

    # -- kill

    def test_kill_asks_first(self, runner: Runner) -> None:
        code = (
            "import signal, sys, time\n"
            "signal.signal(signal.SIGTERM, lambda *_: (print('goodbye', flush=True), sys.exit(0)))\n"
            "print('ready', flush=True)\n"
            "time.sleep(60)"
        )
        handle = runner.start(python(code))
        eventually(lambda: b"ready" in runner.logs(handle))
        runner.kill(handle, grace=20)
        found = wait(runner, handle)
        assert found.reason is Reason.CANCELLED and not found.succeeded
        assert output(runner, handle) == "ready\ngoodbye\n"

    def test_kill_ends_what_does_not_listen(self, runner: Runner) -> None:
        code = (
            "import signal, time\n"
            "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
            "print('ready', flush=True)\n"
            "while True: time.sleep(1)"
        )
        handle = runner.start(python(code))
        eventually(lambda: b"ready" in runner.logs(handle))
        runner.kill(handle, grace=0.1)
        assert wait(runner, handle).reason is Reason.CANCELLED

    def test_kill_right_after_the_start(self, runner: Runner) -> None:
        handle = runner.start(python("import time; time.sleep(60)"))
        runner.kill(handle)
        assert wait(runner, handle).reason is Reason.CANCELLED

    # -- logs

    def test_streams_are_kept_apart_and_read_in_parts(self, runner: Runner) -> None:
        handle = runner.start(python("import sys; print('out' * 3); print('err', file=sys.stderr)"))
        wait(runner, handle)
        assert runner.logs(handle, "stdout") == b"outoutout\n"
        assert runner.logs(handle, "stderr") == b"err\n"
        assert runner.logs(handle, "stdout", offset=3, limit=4) == b"outo"
        assert runner.logs(handle, "stdout", offset=10) == b""

    def test_logs_are_there_while_it_runs(self, runner: Runner) -> None:
        handle = runner.start(python("import time; print('early', flush=True); time.sleep(60)"))
        eventually(lambda: runner.logs(handle) == b"early\n")
        assert runner.poll(handle).running
        runner.kill(handle, grace=0)
        wait(runner, handle)

    # -- handles

    def test_starting_a_handle_twice_runs_one_process(self, runner: Runner, tmp_path: Path) -> None:
        spec = python(f"open({str(tmp_path / 'runs')!r}, 'a').write('x')")
        assert runner.start(spec, handle="my-handle-1") == "my-handle-1"
        wait(runner, "my-handle-1")
        assert runner.start(spec, handle="my-handle-1") == "my-handle-1"
        wait(runner, "my-handle-1")
        assert (tmp_path / "runs").read_text() == "x"

    @pytest.mark.parametrize("method", ["poll", "wait", "kill", "logs", "forget"])
    def test_a_handle_that_was_never_started_is_not_found(self, runner: Runner, method: str) -> None:
        with pytest.raises(NotFound, match="given: never-started"):
            getattr(runner, method)("never-started")

    @pytest.mark.parametrize("handle", ["../x", "a/b", "a b", ".", "x" * 200])
    def test_a_handle_is_no_path(self, runner: Runner, handle: str) -> None:
        with pytest.raises(InvalidArgument, match="A handle must be"):
            runner.start(python(""), handle=handle)

    def test_a_wrong_stream_is_refused(self, runner: Runner) -> None:
        handle = runner.start(python(""))
        wait(runner, handle)
        with pytest.raises(InvalidArgument, match=r"stdout or stderr; given: '../x'"):
            runner.logs(handle, "../x")  # type: ignore[arg-type]

    def test_what_ended_may_be_forgotten(self, runner: Runner) -> None:
        handle = runner.start(python("import time; time.sleep(60)"))
        with pytest.raises(FailedPrecondition, match="must have ended to be forgotten"):
            runner.forget(handle)
        runner.kill(handle, grace=0)
        wait(runner, handle)
        runner.forget(handle)
        with pytest.raises(NotFound):
            runner.poll(handle)

    def test_many_at_once_from_many_threads(self, runner: Runner) -> None:
        found: dict[int, int | None] = {}

        def run(number: int) -> None:
            found[number] = ended(runner, JobSpec(argv=("sh", "-c", f"exit {number}"))).code

        threads = [threading.Thread(target=run, args=(number,)) for number in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LONG)
        assert found == {number: number for number in range(12)}


class TestLocalRunner(RunnerContract):
    """Processes of this machine, which end with the server."""

    @pytest.fixture
    def runner(self, tmp_path: Path) -> Iterator[LocalRunner]:
        made = LocalRunner(tmp_path / "jobs", RealClock(), environ={"HOME": "/h", "SECRET": "s"}, log_bytes=100_000)
        yield made
        made.close(grace=0)

    def test_variables_may_be_inherited_by_name(self, runner: LocalRunner) -> None:
        handle = runner.start(python("import os; print(dict(os.environ))", inherit_env=("HOME", "NOT_SET")))
        wait(runner, handle)
        assert "'HOME': '/h'" in output(runner, handle) and "SECRET" not in output(runner, handle)

    @pytest.mark.parametrize("detach", ["", "setsid", "setsid nohup"])
    def test_descendants_end_with_it_however_they_detach(self, runner: LocalRunner, detach: str) -> None:
        handle = runner.start(JobSpec(argv=("sh", "-c", f"({detach} sleep 60 > /dev/null 2>&1 & echo $!) ; exit 0")))
        assert wait(runner, handle).succeeded
        # $! is the pid of the sleep itself where sh needs no process of its own for it.
        assert not alive(int(output(runner, handle)))

    def test_a_double_fork_does_not_escape(self, runner: LocalRunner, tmp_path: Path) -> None:
        code = (
            "import os, sys, time\n"
            "if os.fork() == 0:\n"
            "    os.setsid()\n"
            "    if os.fork() == 0:\n"
            f"        open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n"
            "        time.sleep(60)\n"
            "    os._exit(0)\n"
            "os.wait()\n"
            "time.sleep(0.2)"
        )
        assert ended(runner, python(code)).succeeded
        assert not alive(int((tmp_path / "pid").read_text()))

    def test_no_server_descriptor_leaks_in(self, runner: LocalRunner) -> None:
        handle = runner.start(python("import os; print(len(os.listdir('/proc/self/fd')))"))
        wait(runner, handle)
        assert output(runner, handle) == "4\n"  # three streams, and the one that reads the list

    def test_a_long_output_keeps_its_beginning_and_its_end(self, runner: LocalRunner) -> None:
        code = "import sys\nfor number in range(60_000): print(f'line {number:06}')"
        handle = runner.start(python(code))
        assert wait(runner, handle).succeeded
        text = output(runner, handle)
        assert text.startswith("line 000000\n") and text.endswith("line 059999\n")
        assert f"[... {60_000 * 12 - 100_000 - 65_536} bytes left out ...]" in text
        assert len(text) < 170_000

    def test_an_output_of_exactly_the_limit_is_whole(self, runner: LocalRunner) -> None:
        handle = runner.start(python("import sys; sys.stdout.write('x' * 100_000)"))
        assert wait(runner, handle).succeeded
        assert output(runner, handle) == "x" * 100_000

    def test_nothing_survives_a_killed_server_and_the_truth_does(self, tmp_path: Path) -> None:
        server = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(tmp_path / "jobs")], stdout=subprocess.PIPE, text=True
        )
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
        after = LocalRunner(tmp_path / "jobs", RealClock())
        pids = [int(after.logs(handle)) for handle in ("runs", "stubborn")]
        assert all(alive(pid) for pid in pids)
        os.kill(server.pid, signal.SIGKILL)
        server.wait()
        server.stdout.close()
        eventually(lambda: not any(alive(pid) for pid in pids), 10)
        assert wait(after, "done").code == 3
        for handle in ("runs", "stubborn"):
            found = wait(after, handle)
            assert found.reason is Reason.LOST and "server stopped" in found.detail
        eventually(lambda: not _launchers(tmp_path), 5)

    def test_a_killed_launcher_leaves_nothing_running(self, runner: LocalRunner, tmp_path: Path) -> None:
        handle = runner.start(JobSpec(argv=("sh", "-c", "setsid sleep 60 & echo $!; sleep 60")))
        eventually(lambda: runner.logs(handle))
        orphan = int(runner.logs(handle))
        (launcher,) = _launchers(tmp_path)
        launcher.kill()
        found = wait(runner, handle)
        assert found.reason is Reason.LOST and "launcher ended without a word" in found.detail
        eventually(lambda: not alive(orphan), 5)
        assert LocalRunner(tmp_path / "jobs", RealClock()).poll(handle).exit == found

    def test_an_end_is_the_same_for_the_next_server(self, runner: LocalRunner, tmp_path: Path) -> None:
        handle = runner.start(python("print('x'); raise SystemExit(4)"))
        found = wait(runner, handle)
        after = LocalRunner(tmp_path / "jobs", RealClock())
        assert after.poll(handle).exit == found and after.logs(handle) == b"x\n"

    def test_closing_ends_what_runs(self, runner: LocalRunner, tmp_path: Path) -> None:
        handles = [runner.start(JobSpec(argv=("sleep", "60"))) for _ in range(3)]
        runner.close(grace=1)
        assert [wait(runner, handle).reason for handle in handles] == [Reason.CANCELLED] * 3
        assert not _launchers(tmp_path)


class Forking(LocalRunner):
    """Runs ``python -c`` as a script of an interpreter that has imported things already."""

    def start(self, spec: JobSpec, *, handle: str = "") -> str:
        if spec.argv[:2] == (sys.executable, "-c"):
            script = self._folder.parent / f"{abs(hash(spec.argv[2]))}.py"
            script.write_text(spec.argv[2])
            spec = replace(spec, argv=(sys.executable, str(script), *spec.argv[3:]), preload=("json", "os"))
        return super().start(spec, handle=handle)


class TestForkingRunner(TestLocalRunner):
    """A process that is forked is held to the same contract."""

    @pytest.fixture
    def runner(self, tmp_path: Path) -> Iterator[LocalRunner]:
        made = Forking(tmp_path / "jobs", RealClock(), environ={"HOME": "/h", "SECRET": "s"}, log_bytes=100_000)
        yield made
        made.close(grace=0)

    def test_what_is_preloaded_is_there(self, runner: LocalRunner) -> None:
        handle = runner.start(python("import sys; print('json' in sys.modules, __name__, sys.argv[1:])", "a"))
        assert wait(runner, handle).succeeded
        assert output(runner, handle) == "True __main__ ['a']\n"

    def test_what_cannot_be_preloaded_runs_all_the_same(self, runner: LocalRunner, tmp_path: Path) -> None:
        (tmp_path / "script.py").write_text("print('ran')")
        argv = (sys.executable, str(tmp_path / "script.py"))
        handle = runner.start(JobSpec(argv=argv, preload=("no_such_module",)))
        assert wait(runner, handle).succeeded and output(runner, handle) == "ran\n"

    def test_a_killed_interpreter_is_started_again(self, runner: LocalRunner) -> None:
        code = "import os; print(os.getppid())"
        first = runner.start(python(code))
        wait(runner, first)
        for each in _zygotes():
            each.kill()
        eventually(lambda: not _zygotes())
        assert ended(runner, python(code)).succeeded

    def test_interpreters_end_with_the_runner(self, runner: LocalRunner) -> None:
        assert ended(runner, python("pass")).succeeded and _zygotes()
        runner.close(grace=0)
        assert not _zygotes()

    def test_random_numbers_differ(self, runner: LocalRunner) -> None:
        handles = [runner.start(python("import random; print(random.random())")) for _ in range(2)]
        for each in handles:
            wait(runner, each)
        assert output(runner, handles[0]) != output(runner, handles[1])


def _zygotes() -> list[psutil.Process]:
    found = []
    for process in psutil.Process().children():
        try:
            if any(word.endswith("zygote.py") for word in process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


SERVER = """
import sys
from pathlib import Path
from tule.engines.local import LocalRunner
from tule.kernel.clock import RealClock
from tule.kernel.jobs import JobSpec
runner = LocalRunner(Path(sys.argv[1]), RealClock())
runner.start(JobSpec(argv=("sh", "-c", "exit 3")), handle="done")
runner.wait("done")
runner.start(JobSpec(argv=("sh", "-c", "echo $$; exec sleep 60")), handle="runs")
deaf = "trap '' TERM; setsid sh -c 'echo $$; while :; do sleep 1; done'"  # an ignored signal stays ignored below
runner.start(JobSpec(argv=("sh", "-c", deaf)), handle="stubborn")
while not all(runner.logs(handle) for handle in ("runs", "stubborn")):
    pass
print("ready", flush=True)
runner.wait("runs")
"""


def _launchers(folder: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            line = process.cmdline()
        except psutil.Error:
            continue
        if any(word.endswith("launcher.py") for word in line) and any(str(folder) in word for word in line):
            found.append(process)
    return found
