"""Durable jobs over a real runner: states, order, cancel, explanations, and a true end after a crash."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tule.engines.local import LocalRunner
from tule.kernel.clock import RealClock, VirtualClock
from tule.kernel.errors import FailedPrecondition, InvalidArgument, NotFound
from tule.kernel.jobs import Exit, Job, Jobs, JobSpec, JobState, Reason
from tule.kernel.records import Records

OWNER = "projects/p/locations/l/customJobs/7"
SLEEP = JobSpec(argv=("sleep", "60"))


def sh(script: str, **more: Any) -> JobSpec:
    return JobSpec(argv=("sh", "-c", script), **more)


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[LocalRunner]:
    made = LocalRunner(tmp_path / "jobs", RealClock())
    yield made
    made.close(grace=0)


@pytest.fixture
def jobs(records: Records, runner: LocalRunner, clock: VirtualClock) -> Iterator[Jobs]:
    made = Jobs(records, runner, clock, slots=2)
    yield made
    made.close(grace=0)


def ended(jobs: Jobs, job: Job) -> Job:
    found = jobs.wait(job.name, timeout=30)
    assert found.state.final
    return found


def running(jobs: Jobs, job: Job) -> Job:
    deadline = time.monotonic() + 30
    while (found := jobs.get(job.name)).state is JobState.QUEUED or not found.handle:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return found


# -- specs


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ({"argv": ()}, "must name a program"),
        ({"argv": ("",)}, "must name a program"),
        ({"argv": ("a\x00",)}, "texts without NUL"),
        ({"argv": ("a", 1)}, "texts without NUL"),
        ({"env": {"A": "x\x00"}}, "texts without NUL"),
        ({"env": {"A=B": "x"}}, "nor hold ="),
        ({"memory_bytes": 0}, "memory_bytes must be more than 0"),
        ({"wall_seconds": -1.0}, "wall_seconds must be more than 0"),
        ({"cpu_seconds": float("nan")}, "cpu_seconds must be more than 0"),
    ],
)
def test_a_wrong_spec_is_refused(wrong: dict[str, Any], rule: str) -> None:
    with pytest.raises(InvalidArgument, match=rule):
        JobSpec(**{"argv": ("true",), **wrong})


def test_specs_and_ends_survive_json() -> None:
    spec = JobSpec(argv=["a", "b"], env={"A": "1"}, memory_bytes=5, inherit_env=["X"], network=False)  # type: ignore[arg-type]
    assert JobSpec.from_json(spec.to_json()) == spec
    end = Exit(reason=Reason.OUT_OF_MEMORY, code=1, detail="x", cpu_seconds=0.5)
    assert Exit.from_json(end.to_json()) == end


# -- states


def test_success(jobs: Jobs, records: Records) -> None:
    made = jobs.submit(OWNER, sh("echo hello"))
    assert made.name.startswith(f"{OWNER}/processes/") and made.owner == OWNER
    found = ended(jobs, made)
    assert (found.state, found.error) == (JobState.SUCCEEDED, "")
    assert found.exit is not None and found.exit.succeeded
    assert found.start_time is not None and found.end_time is not None
    assert jobs.logs(made.name) == b"hello\n"
    assert [each.name for each in jobs.list(OWNER, filter="state = SUCCEEDED")] == [made.name]


def test_a_failure_says_what_happened_the_evidence_and_what_to_do(jobs: Jobs) -> None:
    found = ended(jobs, jobs.submit(OWNER, sh("echo out; echo 'no such column: price' >&2; exit 3")))
    assert found.state is JobState.FAILED and found.exit is not None and found.exit.code == 3
    assert found.error == (
        "The process failed: it ended with code 3; it last wrote:\nno such column: price\nNext: read its logs"
    )


def test_a_failure_shows_only_the_last_lines(jobs: Jobs) -> None:
    found = ended(jobs, jobs.submit(OWNER, sh("for i in $(seq 100); do echo line $i; done; exit 1")))
    lines = found.error.splitlines()
    assert lines[1] == "line 89" and lines[-2] == "line 100"


def test_each_limit_has_its_advice(jobs: Jobs) -> None:
    found = ended(jobs, jobs.submit(OWNER, sh("sleep 60", wall_seconds=0.1)))
    assert found.error == "The process failed: it ran longer than its limit of 0.1 s. Next: raise its time limit"
    program = "x = bytearray(b'x' * (200 << 20)); import time; time.sleep(60)"
    spec = JobSpec(argv=(sys.executable, "-c", program), memory_bytes=50 << 20)
    assert "Next: raise its memory limit" in ended(jobs, jobs.submit(OWNER, spec)).error


def test_what_the_runner_refuses_fails_with_its_words(records: Records, clock: VirtualClock) -> None:
    class Refusing(LocalRunner):
        def start(self, spec: JobSpec, *, handle: str = "") -> str:
            raise FailedPrecondition("The cluster must be up", do="start it")

    jobs = Jobs(records, Refusing(Path(records._url.database or "").parent / "none", RealClock()), clock)
    found = ended(jobs, jobs.submit(OWNER, SLEEP))
    assert found.state is JobState.FAILED
    assert "it could not be started: The cluster must be up. Next: start it" in found.error


def test_at_most_so_many_at_a_time_first_come_first_served(jobs: Jobs, tmp_path: Path) -> None:
    script = f"echo $N >> {tmp_path}/order; while ! test -e {tmp_path}/go$N; do sleep 0.01; done"
    made = [jobs.submit(OWNER, sh(script, env={"N": str(number)})) for number in range(4)]
    running(jobs, made[0])
    running(jobs, made[1])
    assert [jobs.get(each.name).state for each in made[2:]] == [JobState.QUEUED] * 2
    (tmp_path / "go1").touch()
    ended(jobs, made[1])
    running(jobs, made[2])
    assert jobs.get(made[3].name).state is JobState.QUEUED
    for number in range(4):
        (tmp_path / f"go{number}").touch()
    assert all(ended(jobs, each).state is JobState.SUCCEEDED for each in made)
    assert sorted((tmp_path / "order").read_text().split()[:2]) == ["0", "1"]


def test_the_end_is_told_once(jobs: Jobs) -> None:
    told: list[JobState] = []
    done = threading.Event()

    def on_end(job: Job) -> None:
        told.append(job.state)
        done.set()
        raise ZeroDivisionError

    ended(jobs, jobs.submit(OWNER, sh("exit 0"), on_end=on_end))
    assert done.wait(10)
    ended(jobs, jobs.submit(OWNER, sh("exit 0")))
    assert told == [JobState.SUCCEEDED]


# -- cancel


def test_cancel(jobs: Jobs) -> None:
    job = running(jobs, jobs.submit(OWNER, SLEEP))
    assert jobs.cancel(job.name).cancel_requested
    found = ended(jobs, job)
    assert (found.state, found.error) == (JobState.CANCELLED, "")
    assert jobs.cancel(job.name) == found


def test_cancel_of_a_queued_job_never_starts_it(jobs: Jobs, tmp_path: Path) -> None:
    blockers = [running(jobs, jobs.submit(OWNER, SLEEP)) for _ in range(2)]
    queued = jobs.submit(OWNER, sh(f"touch {tmp_path}/ran"))
    found = jobs.cancel(queued.name)
    assert found.state is JobState.CANCELLED and found.start_time is None
    assert jobs.logs(queued.name) == b""
    for each in blockers:
        jobs.cancel(each.name)
        ended(jobs, each)
    ended(jobs, jobs.submit(OWNER, sh("exit 0")))
    assert not (tmp_path / "ran").exists()


def test_cancel_at_any_moment_ends_the_job(jobs: Jobs) -> None:
    for pause in (0, 0.001, 0.003, 0.01, 0.03):
        job = jobs.submit(OWNER, SLEEP)
        time.sleep(pause)
        jobs.cancel(job.name)
        assert ended(jobs, job).state is JobState.CANCELLED


# -- transactions and records


def test_a_job_is_queued_with_the_commit(jobs: Jobs, records: Records) -> None:
    with records.transaction():
        job = jobs.submit(OWNER, sh("exit 0"))
    assert ended(jobs, job).state is JobState.SUCCEEDED
    with pytest.raises(ZeroDivisionError), records.transaction():
        lost = jobs.submit(OWNER, sh("exit 0"))
        raise ZeroDivisionError
    with pytest.raises(NotFound, match=f"The job must exist; given: {lost.name}"):
        jobs.get(lost.name)
    with pytest.raises(RuntimeError, match="inside a transaction"), records.transaction():
        jobs.wait(job.name)


def test_delete_takes_the_logs_along(jobs: Jobs, runner: LocalRunner) -> None:
    job = running(jobs, jobs.submit(OWNER, SLEEP))
    with pytest.raises(FailedPrecondition, match="must have ended to be deleted"):
        jobs.delete(job.name)
    jobs.cancel(job.name)
    ended(jobs, job)
    jobs.delete(job.name)
    for action in (jobs.get, jobs.delete, jobs.cancel, jobs.logs):
        with pytest.raises(NotFound):
            action(job.name)
    with pytest.raises(NotFound):
        runner.poll(job.handle)


def test_a_record_of_another_kind_is_no_job(jobs: Jobs, records: Records) -> None:
    records.create("model", "projects/p/models/7", {})
    with pytest.raises(NotFound, match="The job must exist"):
        jobs.get("projects/p/models/7")


# -- the server's life


def test_closing_tells_why_its_jobs_ended(records: Records, tmp_path: Path, clock: VirtualClock) -> None:
    runner = LocalRunner(tmp_path / "jobs", RealClock())
    jobs = Jobs(records, runner, clock, slots=1)
    job, queued = jobs.submit(OWNER, SLEEP), jobs.submit(OWNER, sh("echo later"))
    running(jobs, job)
    jobs.close(grace=1)
    found = jobs.get(job.name)
    assert (found.state, found.exit and found.exit.reason) == (JobState.FAILED, Reason.LOST)
    assert "the server was stopped while it was running" in found.error and "Next: start it again" in found.error
    with pytest.raises(FailedPrecondition, match="server must be running"):
        jobs.submit(OWNER, SLEEP)
    assert jobs.get(queued.name).state is JobState.QUEUED
    again = Jobs(records, runner, clock)
    assert again.recover() == []
    assert ended(again, queued).state is JobState.SUCCEEDED


def test_a_crash_before_the_start_puts_the_job_back(jobs: Jobs, records: Records) -> None:
    """The record says RUNNING with a handle that the runner never saw."""
    names = []
    for number, cancelled in ((1, False), (2, True)):
        name = f"{OWNER}/processes/{number}"
        body = {"owner": OWNER, "spec": sh("echo ran").to_json(), "state": "RUNNING", "handle": f"never-{number}"}
        records.create("process", name, {**body, "cancelRequested": cancelled}, parent=OWNER)
        names.append(name)
    jobs.recover()
    assert ended(jobs, jobs.get(names[0])).state is JobState.SUCCEEDED
    assert jobs.logs(names[0]) == b"ran\n"
    assert ended(jobs, jobs.get(names[1])).state is JobState.CANCELLED


SERVER = """
import sys, time
from pathlib import Path
from tule.engines.local import LocalRunner
from tule.kernel.clock import RealClock
from tule.kernel.jobs import Jobs, JobSpec
from tule.kernel.records import Records
home, clock = Path(sys.argv[1]), RealClock()
jobs = Jobs(Records(f"sqlite:///{home}/records.db", clock), LocalRunner(home / "jobs", clock), clock, slots=1)
def sh(script):
    return JobSpec(argv=("sh", "-c", script))
done = jobs.submit("projects/p", sh("echo done"))
jobs.wait(done.name)
runs = jobs.submit("projects/p", sh("echo half; sleep 60"))
queued = jobs.submit("projects/p", sh("echo later"))
while jobs.logs(runs.name) != b"half\\n":
    time.sleep(0.01)
print(done.name, runs.name, queued.name, flush=True)
time.sleep(60)
"""


def test_after_kill_9_each_job_reaches_a_true_end(tmp_path: Path) -> None:
    server = subprocess.Popen([sys.executable, "-c", SERVER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    done, runs, queued = server.stdout.readline().split()
    os.kill(server.pid, signal.SIGKILL)
    server.wait()
    server.stdout.close()
    clock = RealClock()
    records = Records(f"sqlite:///{tmp_path}/records.db", clock)
    runner = LocalRunner(tmp_path / "jobs", clock)
    jobs = Jobs(records, runner, clock)
    jobs.recover()
    assert jobs.get(done).state is JobState.SUCCEEDED
    lost = ended(jobs, jobs.get(runs))
    assert (lost.state, lost.exit and lost.exit.reason) == (JobState.FAILED, Reason.LOST)
    assert "the server stopped while it was running" in lost.error and "half" in lost.error
    assert ended(jobs, jobs.get(queued)).state is JobState.SUCCEEDED
    assert jobs.logs(queued) == b"later\n"
    jobs.close(grace=0)
    records.close()
