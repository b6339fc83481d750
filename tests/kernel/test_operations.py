"""Long-running operations: progress, cancel, wait, delete, and a true end after a crash."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tule.kernel.clock import RealClock, VirtualClock
from tule.kernel.errors import FailedPrecondition, InvalidArgument, NotFound
from tule.kernel.journal import Journal
from tule.kernel.operations import Operation, Operations, Progress
from tule.kernel.records import Records

PARENT = "projects/p/locations/l"


@pytest.fixture
def operations(records: Records, journal: Journal, clock: VirtualClock) -> Iterator[Operations]:
    made = Operations(records, journal, clock, threads=2)
    yield made
    made.close()


class Gate:
    """Work that stands still until it is let through."""

    def __init__(self) -> None:
        self.entered, self.open = threading.Event(), threading.Event()

    def __call__(self, progress: Progress) -> dict[str, Any]:
        self.entered.set()
        while not self.open.wait(0.005):
            progress.check()
        return {"through": True}


def start(operations: Operations, work: Any, **about: Any) -> Operation:
    return operations.start(PARENT, work, kind="test", **about)


def test_work_runs_and_its_response_is_kept(operations: Operations) -> None:
    gate = Gate()
    began = start(operations, gate, metadata={"step": 1}, response_type="x.Model", target=f"{PARENT}/models/7")
    assert began.name.startswith(f"{PARENT}/operations/") and began.name.rpartition("/")[2].isdigit()
    assert began.body == {"name": began.name, "done": False, "metadata": {"step": 1}}
    gate.open.set()
    ended = operations.wait(began.name, timeout=10)
    assert ended.body == {"name": began.name, "done": True, "metadata": {"step": 1}, "response": {"through": True}}
    assert (ended.kind, ended.response_type, ended.target) == ("test", "x.Model", f"{PARENT}/models/7")
    assert (ended.percent, ended.error) == (100, None)


def test_progress_is_seen_while_it_works(operations: Operations) -> None:
    gate = Gate()

    def work(progress: Progress) -> dict[str, Any]:
        progress.report(40, "fitting", rows=5)
        return gate(progress)

    began = start(operations, work, metadata={"step": 1})
    gate.entered.wait(10)
    now = operations.get(began.name)
    assert (now.percent, now.stage, now.metadata, now.done) == (40, "fitting", {"step": 1, "rows": 5}, False)
    gate.open.set()
    assert operations.wait(began.name).metadata == {"step": 1, "rows": 5}


def test_frequent_reports_do_not_fill_the_journal(operations: Operations, journal: Journal) -> None:
    def work(progress: Progress) -> None:
        for number in range(1000):
            progress.report(number // 10, "fitting")

    start(operations, work)
    ended = operations.run(PARENT, work, kind="test")
    assert ended.percent == 100
    assert sum(each.name == ended.name for each in journal.read(0)) < 50


def test_an_error_of_ours_keeps_its_code_and_message(operations: Operations) -> None:
    def work(progress: Progress) -> None:
        raise NotFound("The table must exist", given="t", details=[{"@type": "x"}])

    ended = operations.run(PARENT, work, kind="test")
    assert ended.error == {"code": 5, "message": "The table must exist; given: t", "details": [{"@type": "x"}]}
    assert ended.done and ended.response is None


def test_a_bug_is_internal_with_an_incident_and_its_trace_only_in_the_log(
    operations: Operations, caplog: pytest.LogCaptureFixture
) -> None:
    def work(progress: Progress) -> None:
        raise KeyError("secret detail")

    error = operations.run(PARENT, work, kind="test").error
    assert error is not None and error["code"] == 13
    assert "secret" not in error["message"] and "KeyError" in error["message"]
    incident = error["message"].partition("incident ")[2].partition(".")[0]
    assert incident and incident in caplog.text and "secret detail" in caplog.text


def test_a_response_that_cannot_be_stored_fails_the_operation(operations: Operations) -> None:
    error = operations.run(PARENT, lambda progress: {"x": b"bytes"}, kind="test").error
    assert error is not None and "A record must be JSON" in error["message"]


def test_memory_that_ran_out_is_named(operations: Operations) -> None:
    def work(progress: Progress) -> None:
        raise MemoryError

    error = operations.run(PARENT, work, kind="test").error
    assert error is not None and error["code"] == 8 and "more memory" in error["message"]


def test_progress_must_be_a_percentage(operations: Operations) -> None:
    ended = operations.run(PARENT, lambda progress: progress.report(101), kind="test")
    assert ended.error is not None and "0 to 100 percent; given: 101" in ended.error["message"]


# -- cancel


def test_cancel_stops_the_work(operations: Operations) -> None:
    gate, stopped = Gate(), threading.Event()

    def work(progress: Progress) -> dict[str, Any]:
        progress.on_cancel(stopped.set)
        progress.on_cancel(lambda: 1 / 0)
        return gate(progress)

    began = start(operations, work)
    gate.entered.wait(10)
    assert operations.cancel(began.name).cancel_requested
    ended = operations.wait(began.name, timeout=10)
    assert ended.error == {"code": 1, "message": "The operation was cancelled"}
    assert stopped.is_set()
    assert operations.cancel(began.name) == ended


def test_queued_work_that_is_cancelled_never_begins(operations: Operations) -> None:
    gates = [Gate(), Gate()]
    for gate in gates:
        start(operations, gate)
    ran = threading.Event()
    queued = start(operations, lambda progress: ran.set())
    for gate in gates:
        assert gate.entered.wait(10)
    ended = operations.cancel(queued.name)
    assert ended.error == {"code": 1, "message": "The operation was cancelled before it began"}
    for gate in gates:
        gate.open.set()
    operations.run(PARENT, lambda progress: None, kind="test")
    assert not ran.is_set()


def test_work_that_came_first_keeps_its_response(operations: Operations) -> None:
    gate = Gate()

    def work(progress: Progress) -> dict[str, Any]:
        gate.entered.set()
        gate.open.wait(10)
        assert progress.cancelled
        return {"late": True}

    began = start(operations, work)
    gate.entered.wait(10)
    operations.cancel(began.name)
    gate.open.set()
    assert operations.wait(began.name).response == {"late": True}


def test_an_action_added_after_the_cancel_runs_at_once(operations: Operations) -> None:
    ran: list[str] = []

    def work(progress: Progress) -> None:
        operations.cancel(progress.name)
        progress.on_cancel(lambda: ran.append("ran"))
        progress.report(50)

    assert (operations.run(PARENT, work, kind="test").error or {})["code"] == 1
    assert ran == ["ran"]


# -- transactions


def test_work_starts_with_the_commit(operations: Operations, records: Records) -> None:
    def work(progress: Progress) -> dict[str, Any]:
        return records.get(f"{PARENT}/models/7").body

    with records.transaction():
        began = start(operations, work)
        records.create("model", f"{PARENT}/models/7", {"a": 1})
    assert operations.wait(began.name).response == {"a": 1}


def test_work_of_a_failed_transaction_never_starts(operations: Operations, records: Records) -> None:
    ran = threading.Event()
    with pytest.raises(ZeroDivisionError), records.transaction():
        began = start(operations, lambda progress: ran.set())
        raise ZeroDivisionError
    with pytest.raises(NotFound):
        operations.get(began.name)
    operations.run(PARENT, lambda progress: None, kind="test")
    assert not ran.is_set()


def test_an_effect_and_its_end_are_one(operations: Operations, records: Records) -> None:
    seen: list[tuple[bool, bool]] = []

    def work(progress: Progress) -> dict[str, Any]:
        with records.transaction():
            records.create("model", f"{PARENT}/models/7", {})
            progress.complete({"model": "7"})
            seen.append((records.find(f"{PARENT}/models/7") is not None, operations.get(progress.name).done))
        return {"ignored": True}

    assert operations.run(PARENT, work, kind="test").response == {"model": "7"}
    assert seen == [(True, True)]


def test_waiting_inside_a_transaction_would_never_end(operations: Operations, records: Records) -> None:
    began = start(operations, lambda progress: None)
    with pytest.raises(RuntimeError, match="inside a transaction"), records.transaction():
        operations.wait(began.name)


# -- Google's methods


def test_wait_gives_the_state_when_its_time_is_over(operations: Operations) -> None:
    gate = Gate()
    began = start(operations, gate)
    assert not operations.wait(began.name, timeout=0.02).done
    gate.open.set()
    assert operations.wait(began.name).done


def test_list_and_delete(operations: Operations) -> None:
    gate = Gate()
    done = [operations.run(PARENT, lambda progress: None, kind="test").name for _ in range(3)]
    running = start(operations, gate).name
    operations.run("projects/q", lambda progress: None, kind="test")
    found, token = operations.list(PARENT, page_size=3)
    rest, end = operations.list(PARENT, page_size=3, page_token=token)
    assert {each.name for each in (*found, *rest)} == {*done, running} and end == ""
    assert [each.name for each in operations.list(PARENT, filter="done = false")[0]] == [running]
    with pytest.raises(FailedPrecondition, match=f"must be done to be deleted; given: {running}"):
        operations.delete(running)
    operations.delete(done[0])
    with pytest.raises(NotFound, match="operation must exist"):
        operations.get(done[0])
    gate.open.set()


@pytest.mark.parametrize("method", ["get", "wait", "cancel", "delete"])
def test_what_is_no_operation_is_not_found(operations: Operations, records: Records, method: str) -> None:
    records.create("model", f"{PARENT}/operations/7", {})
    for name in (f"{PARENT}/operations/7", f"{PARENT}/operations/8"):
        with pytest.raises(NotFound, match=f"given: {name}"):
            getattr(operations, method)(name)


def test_a_wrong_filter_is_refused(operations: Operations) -> None:
    with pytest.raises(InvalidArgument):
        operations.list(PARENT, filter="done =")


# -- the server's life


def again(records: Records, journal: Journal, clock: VirtualClock) -> Operations:
    """The operations as the next server sees them."""
    return Operations(records, journal, clock)


def test_closing_asks_the_work_to_stop(records: Records, journal: Journal, clock: VirtualClock) -> None:
    first = Operations(records, journal, clock, threads=1)
    gate = Gate()
    began, queued = start(first, gate), start(first, lambda progress: None)
    gate.entered.wait(10)
    first.close()
    assert (first.get(began.name).error or {})["code"] == 1
    with pytest.raises(FailedPrecondition, match="server must be running"):
        start(first, gate)
    assert not first.get(queued.name).done
    assert [each.name for each in again(records, journal, clock).recover()] == [queued.name]


def test_work_that_does_not_stop_is_settled_by_the_next_start(
    records: Records, journal: Journal, clock: VirtualClock
) -> None:
    first, release = Operations(records, journal, clock), threading.Event()

    def stubborn(progress: Progress) -> dict[str, Any]:
        progress.report(70, "fitting")
        release.wait(20)
        return {"too": "late"}

    began = start(first, stubborn)
    while first.get(began.name).percent < 70:
        threading.Event().wait(0.005)
    first.close(timeout=0.01)
    ended = again(records, journal, clock).recover()[0]
    assert ended.error is not None and ended.error["code"] == 10
    assert "The server stopped while the operation was running at 70 % (fitting)" in ended.error["message"]
    assert "Next: " in ended.error["message"]
    release.set()
    first.close()
    assert first.get(began.name) == ended  # an end, once told, stays


def test_work_that_knows_how_goes_on(records: Records, journal: Journal, clock: VirtualClock) -> None:
    body = {"name": f"{PARENT}/operations/1", "done": False, "metadata": {"rows": 3}}
    about = {"kind": "load", "responseType": "", "target": "t", "percent": 10, "stage": "copying"}
    records.create("operation", body["name"], {**body, "_tule": about}, parent=PARENT)
    records.create(
        "operation",
        f"{PARENT}/operations/2",
        {**body, "name": f"{PARENT}/operations/2", "_tule": {**about, "cancelRequested": True}},
        parent=PARENT,
    )
    second = again(records, journal, clock)

    def resume(operation: Operation, progress: Progress) -> dict[str, Any]:
        assert (operation.target, operation.stage) == ("t", "copying")
        return {"rows": operation.metadata["rows"]}

    second.resume["load"] = resume
    ended = second.recover()
    assert [(each.name, (each.error or {})["code"]) for each in ended] == [(f"{PARENT}/operations/2", 1)]
    assert second.wait(f"{PARENT}/operations/1", timeout=10).response == {"rows": 3}


SERVER = """
import sys, threading
from tule.kernel.clock import RealClock
from tule.kernel.journal import Journal
from tule.kernel.operations import Operations
from tule.kernel.records import Records
records = Records("sqlite:///" + sys.argv[1], RealClock())
operations = Operations(records, Journal(records), RealClock())
print(operations.run("projects/p", lambda progress: {"n": 1}, kind="quick").name, flush=True)
def slow(progress):
    progress.report(5, "loading")
    print(progress.name, flush=True)
    threading.Event().wait(60)
operations.start("projects/p", slow, kind="slow")
threading.Event().wait(60)
"""


def test_after_kill_9_each_operation_ends_truthfully(tmp_path: Path) -> None:
    path = tmp_path / "records.db"
    server = subprocess.Popen([sys.executable, "-c", SERVER, str(path)], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    quick, slow = server.stdout.readline().strip(), server.stdout.readline().strip()
    os.kill(server.pid, signal.SIGKILL)
    server.wait()
    server.stdout.close()
    records = Records(f"sqlite:///{path}", RealClock())
    operations = Operations(records, Journal(records), RealClock())
    assert [each.name for each in operations.recover()] == [slow]
    assert operations.get(quick).response == {"n": 1}
    error = operations.get(slow).error
    assert error is not None and error["code"] == 10 and "(loading)" in error["message"]
    assert operations.recover() == []
    records.close()
