"""``kill -9`` at every transition of a run: it goes on from the last finished step, and each step is done once."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.vertex.pipelines.conftest import Room, outputs, states
from tests.vertex.pipelines.documents import chain, component, pipeline, shell, task

from tule.kernel.records import Records

STEPS = 3
# More than a run of three steps commits.
_MOST_COMMITS = 60


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _in_a_process(folder: Path, spec: dict[str, Any], arrange: Callable[[Room], None]) -> bool:
    """Run a pipeline in a process of its own; True when it was killed, False when it came to its end."""
    pid = os.fork()
    if pid == 0:
        try:
            room = Room(folder)
            arrange(room)
            room.wait(room.submit(spec, job_id="killed"))
        except BaseException:
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def _killing(room: Room, commit: int, *, before: bool) -> None:
    """Let the process end at a commit of the store, counted from now on."""
    seen = 0
    whole = Records.transaction

    @contextmanager
    def transaction(records: Records) -> Iterator[Any]:
        nonlocal seen
        outer = not records.in_transaction
        with whole(records) as connection:
            yield connection
            if outer:
                seen += 1
                if before and seen == commit:
                    _die()
        if outer and not before and seen >= commit:
            _die()

    room.records.transaction = transaction.__get__(room.records)  # type: ignore[method-assign]


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_every_commit(tmp_path: Path, before: bool) -> None:
    killed = 0
    for commit in range(1, _MOST_COMMITS):
        folder, log = tmp_path / f"{commit}", tmp_path / f"{commit}.log"
        spec = chain(STEPS, str(log))
        if not _in_a_process(folder, spec, lambda room, at=commit: _killing(room, at, before=before)):  # type: ignore[misc]
            break
        killed += 1
        room = Room(folder)
        try:
            room.jobs.recover()
            if room.jobs.state(_NAME) is None:
                # It was killed before the job was there: the caller was told nothing.
                assert before and commit == 1 and not log.exists()
                continue
            job = room.wait(_NAME)
            assert job["state"] == "PIPELINE_STATE_SUCCEEDED" and outputs(job) == {"out": STEPS}, commit
            done = log.read_text().split()
            # A step that was under way may begin again; what had ended does not, and none is left out.
            assert list(dict.fromkeys(done)) == [f"step-{number}" for number in range(STEPS)]
            assert len(done) <= STEPS + 1, (commit, done)
            assert len(room.records.list("pipelineTask").records) == STEPS + 1
            assert not list(room.home.folder("steps").iterdir()), "workspaces are removed"
        finally:
            room.close()
    else:
        pytest.fail("the run has more commits than were looked at")
    assert killed > 3 * STEPS


_NAME = "projects/p/locations/us-central1/pipelineJobs/killed"


def test_a_step_that_had_ended_is_not_run_again(tmp_path: Path) -> None:
    """The server goes down when the process is over and before that is noted."""
    log = tmp_path / "log"

    def arrange(room: Room) -> None:
        room.processes._finish = lambda *_: _die()  # type: ignore[method-assign]

    assert _in_a_process(tmp_path / "home", chain(2, str(log)), arrange)
    assert log.read_text().split() == ["step-0"]
    room = Room(tmp_path / "home")
    try:
        room.jobs.recover()
        assert room.wait(_NAME)["state"] == "PIPELINE_STATE_SUCCEEDED"
    finally:
        room.close()
    assert log.read_text().split() == ["step-0", "step-1"]


def test_a_step_under_which_the_server_went_down_runs_again(tmp_path: Path) -> None:
    log, gate = tmp_path / "log", tmp_path / "gate"
    spec = pipeline(
        "gate", {"work": task("work"), "after": task("after", after=["work"])},
        {"work": component("work"), "after": component("after")},
        {
            "work": shell(f"echo work >> {log}; if [ ! -e {gate} ]; then touch {gate}; sleep 600; fi"),
            "after": shell(f"echo after >> {log}"),
        },
    )  # fmt: skip

    def arrange(room: Room) -> None:
        def watch() -> None:
            while not gate.exists():
                room.runs.clock.sleep(0.005)
            _die()

        import threading

        threading.Thread(target=watch, daemon=True).start()

    assert _in_a_process(tmp_path / "home", spec, arrange)
    room = Room(tmp_path / "home")
    try:
        room.jobs.recover()
        job = room.wait(_NAME)
    finally:
        room.close()
    assert states(job) == {"": "SUCCEEDED", "work": "SUCCEEDED", "after": "SUCCEEDED"}
    assert log.read_text().split() == ["work", "work", "after"]


def test_a_cancel_is_not_forgotten(tmp_path: Path) -> None:
    """The server goes down between a cancel and the end of what is cancelled."""
    begun = tmp_path / "begun"
    spec = pipeline(
        "slow", {"work": task("work"), "after": task("after", "work", after=["work"])}, {"work": component("work")},
        {"work": shell(f"touch {begun}; sleep 600")},
    )  # fmt: skip

    def arrange(room: Room) -> None:
        def cancel() -> None:
            while not begun.exists():
                room.runs.clock.sleep(0.005)
            room.runs.cancel = lambda name: _die()  # type: ignore[method-assign]
            room.jobs.cancel(_NAME)

        import threading

        threading.Thread(target=cancel, daemon=True).start()

    assert _in_a_process(tmp_path / "home", spec, arrange)
    room = Room(tmp_path / "home")
    try:
        room.jobs.recover()
        job = room.wait(_NAME)
    finally:
        room.close()
    assert job["state"] == "PIPELINE_STATE_CANCELLED" and "after" not in states(job)


def test_a_store_that_fails_for_a_while(room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step forward that cannot be stored is not lost: the run goes on when the store does."""
    from tule.kernel.errors import ResourceExhausted
    from tule.vertex.pipelines import runs

    monkeypatch.setattr(runs, "_AGAIN", 0.05)
    changed, failures = room.runs.lineage.changed, iter([True, False, True, True, False])

    def failing(run: Any, task: Any) -> None:
        if next(failures, False):
            raise ResourceExhausted("There must be room on the disk of the data directory")
        changed(run, task)

    monkeypatch.setattr(room.runs.lineage, "changed", failing)
    job = room.run(chain(2, str(tmp_path / "log")))
    assert job["state"] == "PIPELINE_STATE_SUCCEEDED" and outputs(job) == {"out": 2}
