"""A server killed -9 in the middle of much work: what was told is true afterwards, and everything reaches an end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tule.engines.local import LocalRunner
from tule.kernel.clock import RealClock
from tule.kernel.jobs import Jobs, JobState, Reason
from tule.kernel.journal import Journal
from tule.kernel.operations import Operations
from tule.kernel.records import Records

OPERATIONS = """
import sys
from tule.kernel.clock import RealClock
from tule.kernel.journal import Journal
from tule.kernel.operations import Operations
from tule.kernel.records import Records

records = Records(f"sqlite:///{sys.argv[1]}/records.db", RealClock())
operations = Operations(records, Journal(records), RealClock(), threads=4)

def work(number):
    def run(progress):
        progress.report(50, "half")
        with records.transaction():
            records.create("thing", f"things/{number}", {"n": number})
            records.create("thing", f"things/{number}/twin", {"n": number})
            progress.complete({"n": number})
        return None
    return run

for number in range(100_000):
    started = operations.start("things", work(number), kind="k", target=f"things/{number}")
    print("started", number, started.name, flush=True)
    if number >= 3:
        ended = operations.wait(waiting.pop(0)[1])
        print("ended", ended.target, ended.name, flush=True)
        waiting.append((number, started.name))
    else:
        waiting = [*(waiting if number else []), (number, started.name)]
"""


def cut(program: str, folder: Path, lines: int) -> list[list[str]]:
    """Run a server and kill it when it has said so many things; what it said, with what was still in the pipe."""
    server = subprocess.Popen([sys.executable, "-c", program, str(folder)], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    with server.stdout:
        said = [server.stdout.readline() for _ in range(lines)]
        os.kill(server.pid, signal.SIGKILL)
        server.wait()
        said += server.stdout.readlines()
    return [line.split() for line in said if line.endswith("\n")]


@pytest.mark.parametrize("lines", [1, 7, 30, 90])
def test_an_operation_and_its_effect_agree(tmp_path: Path, lines: int) -> None:
    said = cut(OPERATIONS, tmp_path, lines)
    records = Records(f"sqlite:///{tmp_path}/records.db", RealClock())
    operations = Operations(records, Journal(records), RealClock())
    operations.recover()
    found = operations.list("things")[0]
    # Everything that was told of is there, and what was told to have ended ended so.
    names = {each.name: each for each in found}
    assert all(name in names for _, _, name in said)
    assert all(names[name].response is not None for word, _, name in said if word == "ended")
    for each in found:
        assert each.done
        things = [records.find(each.target), records.find(each.target + "/twin")]
        if each.response is not None:
            assert [thing is not None for thing in things] == [True, True]
        else:
            assert things == [None, None]
            assert each.error is not None and each.error["code"] == 10
    records.close()


JOBS = """
import sys
from pathlib import Path
from tule.engines.local import LocalRunner
from tule.kernel.clock import RealClock
from tule.kernel.jobs import Jobs, JobSpec
from tule.kernel.records import Records

folder = Path(sys.argv[1])
records = Records(f"sqlite:///{folder}/records.db", RealClock())
jobs = Jobs(records, LocalRunner(folder / "jobs", RealClock()), RealClock(), slots=3)
CODE = '''
import os, subprocess, sys, time
print("began", flush=True)
if int(sys.argv[1]) % 3 == 2:
    # One that detaches and would live for ever.
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)", sys.argv[2]], start_new_session=True)
    time.sleep(1000)
open(sys.argv[2] + "/effect" + sys.argv[1], "w").write("x")
'''
for number in range(9):
    job = jobs.submit("projects/p", JobSpec(argv=(sys.executable, "-c", CODE, str(number), str(folder))))
    print("submitted", number, job.name, flush=True)
for name in (job.name for job in jobs.list()):
    print("ended", jobs.wait(name, 1.0).state, name, flush=True)
jobs.wait(name)
"""


@pytest.mark.parametrize("lines", [1, 9, 12])
def test_each_job_reaches_a_true_end_and_nothing_of_it_lives_on(tmp_path: Path, lines: int) -> None:
    said = cut(JOBS, tmp_path, lines)
    clock = RealClock()
    records = Records(f"sqlite:///{tmp_path}/records.db", clock)
    jobs = Jobs(records, LocalRunner(tmp_path / "jobs", clock), clock, slots=3)
    jobs.recover()
    for word, about, name in said:
        job = jobs.get(name)
        if word == "ended" and JobState(about).final:
            assert job.state == about
    for job in jobs.list():
        number = int(job.spec.argv[-2])
        endless = number % 3 == 2
        if endless and not job.state.final:
            jobs.cancel(job.name, grace=0.0)
        ended = jobs.wait(job.name, 30)
        assert ended.state.final
        if ended.state is JobState.SUCCEEDED:
            assert not endless and (tmp_path / f"effect{number}").exists()
        elif ended.state is JobState.FAILED:
            assert ended.exit is not None and ended.exit.reason is Reason.LOST and "Next: start it again" in ended.error
        else:
            assert endless and ended.state is JobState.CANCELLED
    jobs.close(grace=0.0)
    left = [each for each in psutil.process_iter(["cmdline"]) if str(tmp_path) in (each.info["cmdline"] or [])]
    _, alive = psutil.wait_procs(left, timeout=20)
    assert alive == []
    records.close()
