"""What ended long ago is forgotten, and nothing else."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tule.engines.local import LocalRunner
from tule.kernel.clock import VirtualClock
from tule.kernel.errors import InvalidArgument, NotFound
from tule.kernel.jobs import Jobs, JobSpec
from tule.kernel.journal import Journal
from tule.kernel.operations import Operations
from tule.kernel.records import Records
from tule.kernel.retention import Retention


@pytest.fixture
def operations(records: Records, journal: Journal, clock: VirtualClock) -> Iterator[Operations]:
    made = Operations(records, journal, clock)
    yield made
    made.close()


@pytest.fixture
def jobs(records: Records, clock: VirtualClock, tmp_path: Path) -> Iterator[Jobs]:
    made = Jobs(records, LocalRunner(tmp_path / "jobs", clock), clock)
    yield made
    made.close(grace=0.0)


@pytest.fixture
def retention(journal: Journal, operations: Operations, jobs: Jobs, clock: VirtualClock) -> Iterator[Retention]:
    made = Retention(journal, operations, jobs, clock, days=30)
    yield made
    made.close()


def days(count: float) -> timedelta:
    return timedelta(days=count)


def test_done_operations_are_forgotten_after_their_time(
    retention: Retention, operations: Operations, clock: VirtualClock
) -> None:
    old = operations.run("projects/p", lambda _: {}, kind="k")
    clock.advance(days(20))
    young = operations.run("projects/p", lambda _: {}, kind="k")
    clock.advance(days(10.5))
    retention.sweep()
    assert [each.name for each in operations.list(None)[0]] == [young.name]
    with pytest.raises(NotFound):
        operations.get(old.name)


def test_what_still_runs_is_kept_however_old(
    retention: Retention, operations: Operations, jobs: Jobs, clock: VirtualClock
) -> None:
    import threading

    gate = threading.Event()
    running = operations.start("projects/p", lambda _: {"waited": gate.wait(30)}, kind="k")
    job = jobs.submit("projects/p", JobSpec(argv=(sys.executable, "-c", "import time; time.sleep(100)")))
    clock.advance(days(400))
    retention.sweep()
    assert not operations.get(running.name).done and not jobs.get(job.name).state.final
    gate.set()
    jobs.cancel(job.name, grace=0.0)
    assert operations.wait(running.name, 30).done and jobs.wait(job.name, 30).state.final
    # Its end is young, whatever its beginning.
    retention.sweep()
    assert operations.get(running.name).done and jobs.get(job.name).state.final


def test_ended_processes_go_with_their_logs(
    retention: Retention, jobs: Jobs, clock: VirtualClock, tmp_path: Path
) -> None:
    job = jobs.submit("projects/p", JobSpec(argv=("/bin/echo", "hi")))
    assert jobs.wait(job.name, 30).state.final and jobs.logs(job.name) == b"hi\n"
    assert len(list((tmp_path / "jobs").iterdir())) == 1
    clock.advance(days(31))
    retention.sweep()
    assert jobs.list() == [] and list((tmp_path / "jobs").iterdir()) == []


def test_the_journal_is_trimmed_and_its_positions_go_on(
    retention: Retention, journal: Journal, records: Records, clock: VirtualClock
) -> None:
    for number in range(3):
        records.create("k", f"k/{number}", {})
    last = journal.last()
    clock.advance(days(31))
    records.create("k", "k/new", {})
    retention.sweep()
    assert [(each.position, each.name) for each in journal.read()] == [(last + 1, "k/new")]
    assert [record.name for record in records.list("k")] == ["k/0", "k/1", "k/2", "k/new"]


def test_it_sweeps_by_itself_every_day_until_it_is_closed(
    retention: Retention, operations: Operations, clock: VirtualClock
) -> None:
    retention.start()
    operations.run("projects/p", lambda _: {}, kind="k")
    clock.advance(days(29))
    assert len(operations.list(None)[0]) == 1
    clock.advance(days(3))
    assert operations.list(None)[0] == []
    retention.close()
    operations.run("projects/p", lambda _: {}, kind="k")
    clock.advance(days(100))
    assert len(operations.list(None)[0]) == 1


def test_a_sweep_that_fails_is_tried_again(
    retention: Retention, operations: Operations, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(before: object) -> int:
        raise OSError("the disk is gone")

    operations.run("projects/p", lambda _: {}, kind="k")
    retention.start()
    with monkeypatch.context() as patch:
        patch.setattr(operations, "purge", fail)
        clock.advance(days(40))
    clock.advance(days(1))
    assert operations.list(None)[0] == []


def test_forgetting_at_once_is_refused(
    journal: Journal, operations: Operations, jobs: Jobs, clock: VirtualClock
) -> None:
    with pytest.raises(InvalidArgument, match="must be remembered for a day or more; given: 0 days"):
        Retention(journal, operations, jobs, clock, days=0)
