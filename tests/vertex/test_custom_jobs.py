"""Custom jobs over real processes of this machine: queues, replicas, restarts, ends and crashes."""

from __future__ import annotations

import itertools
import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.vertex.house import PARENT, House, pool

from tule.kernel.errors import FailedPrecondition, InvalidArgument, NotFound
from tule.kernel.records import Records
from tule.vertex.training import Capacity, Resources
from tule.vertex.training.capacity import Ticket

GIB = 2**30


# Says where it is and waits for a file.
WAITS = """
import os, time
from pathlib import Path
Path(f"pid-{os.environ.get('RANK', '0')}").write_text(str(os.getpid()))
while not Path("go").exists(): time.sleep(0.01)
"""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path, Resources(4.0, 16 * GIB))
    yield made
    made.close()


def test_a_job_runs_with_true_times_and_states(house: House) -> None:
    name = house.create("print('hello')")
    ended = house.end(name)
    assert ended["state"] == "JOB_STATE_SUCCEEDED"
    assert ended["createTime"] <= ended["startTime"] <= ended["endTime"]
    assert "error" not in ended
    (process,) = house.processes.list(name)
    assert (process.label, house.processes.logs(process.name)) == ("workerpool0-0", b"hello\n")
    assert len(house.containers.finished) == 1
    house.drained()


def test_a_failure_has_its_cause_evidence_and_next_step(house: House) -> None:
    ended = house.end(house.create("import sys; print('about to'); import nowhere"))
    assert ended["state"] == "JOB_STATE_FAILED"
    message = ended["error"]["message"]
    assert message.startswith("The replica workerpool0-0 exited with a non-zero status of 1. Import error: ")
    assert "the module nowhere is not installed" in message
    assert "Next: add the distribution of nowhere" in message
    assert ended["error"]["code"] == 9


def test_replicas_find_each_other_and_train_together(house: House) -> None:
    code = """
import json, os, sys
from datetime import timedelta
spec, tf = json.loads(os.environ["CLUSTER_SPEC"]), json.loads(os.environ["TF_CONFIG"])
told = {"task": spec["task"], "tf": tf["task"], "cluster": sorted(spec["cluster"]), "rank": os.environ.get("RANK")}
print(json.dumps(told))
if "RANK" not in os.environ:
    import socket
    host, port = spec["cluster"]["workerpool2"][0].split(":")
    server = socket.create_server((host, int(port)))
    print(server.accept()[0].recv(5).decode(), flush=True)
    __import__("time").sleep(60)
if os.environ["RANK"] == "0":
    import socket, time
    host, port = spec["cluster"]["workerpool2"][0].split(":")
    while True:
        try:
            socket.create_connection((host, int(port))).send(b"hello")
            break
        except ConnectionRefusedError:
            time.sleep(0.05)
import torch, torch.distributed as dist
torch.manual_seed(0)
dist.init_process_group("gloo", timeout=timedelta(seconds=60))
model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(1, 1))
step = torch.optim.SGD(model.parameters(), 0.1)
x = torch.full((4, 1), float(dist.get_rank() + 1))
for _ in range(50):
    step.zero_grad()
    ((model(x) - 3 * x) ** 2).mean().backward()
    step.step()
print("weight", round(float(model.module.weight), 3), "of", dist.get_world_size(), flush=True)
"""
    name = house.create(code, pool(code), pool(code))
    ended = house.end(name)
    said = {each.label: house.processes.logs(each.name).decode() for each in house.processes.list(name)}
    errors = {each.label: house.processes.logs(each.name, "stderr").decode() for each in house.processes.list(name)}
    assert ended["state"] == "JOB_STATE_SUCCEEDED", (ended, said, errors)
    lines = {label: text.splitlines() for label, text in said.items()}
    # Each sees other rows, and both come to the same weights: gradients were shared.
    assert lines["workerpool0-0"][-1] == lines["workerpool1-0"][-1] != ""
    assert lines["workerpool0-0"][-1].endswith("of 2")
    assert lines["workerpool2-0"][-1] == "hello"
    told = {label: json.loads(each[0]) for label, each in lines.items()}
    assert [told[f"workerpool{at}-0"]["rank"] for at in range(3)] == ["0", "1", None]
    assert [told[f"workerpool{at}-0"]["tf"]["type"] for at in range(3)] == ["chief", "worker", "ps"]
    assert told["workerpool1-0"]["cluster"] == ["workerpool0", "workerpool1", "workerpool2"]


def test_a_killed_worker_starts_again_and_one_that_fails_ends_the_job(house: House) -> None:
    name = house.create(WAITS, pool(WAITS))
    while len(house.pids()) < 2:
        threading.Event().wait(0.01)
    (killed,) = house.pids("1")
    os.kill(killed, signal.SIGKILL)
    while house.pids("1") in ([killed], []):
        threading.Event().wait(0.01)
    (house.folder / "go").touch()
    assert house.end(name)["state"] == "JOB_STATE_SUCCEEDED"
    assert [each.label for each in house.processes.list(name)].count("workerpool1-0") == 2
    (house.folder / "go").unlink()
    failed = house.end(house.create(WAITS, pool("raise SystemExit(3)")))
    assert failed["error"]["message"].startswith("The replica workerpool1-0 exited with a non-zero status of 3.")
    house.drained()


def test_the_whole_job_starts_again_where_it_says_so_and_not_where_retries_are_off(house: House) -> None:
    code = WAITS + "\nprint('done')"
    again = house.create(code, scheduling={"restartJobOnWorkerRestart": True})
    while not house.pids():
        threading.Event().wait(0.01)
    os.kill(house.pids()[0], signal.SIGKILL)
    (house.folder / "go").touch()
    assert house.end(again)["state"] == "JOB_STATE_SUCCEEDED"
    (house.folder / "go").unlink()
    (house.folder / "pid-0").unlink()
    never = house.create(code, scheduling={"disableRetries": True})
    while not house.pids():
        threading.Event().wait(0.01)
    os.kill(house.pids()[0], signal.SIGKILL)
    ended = house.end(never)
    assert ended["state"] == "JOB_STATE_FAILED"
    assert "signal 9" in ended["error"]["message"]


def test_jobs_queue_for_room_and_nobody_passes_by(house: House) -> None:
    first = house.create(WAITS)
    house.until(first, "RUNNING")
    rest = pool("print(2)", 3)
    spot = house.create("print(1)", rest, scheduling={"strategy": "SPOT"})
    usual = house.create("print(1)", rest)
    small = house.create("print(3)", scheduling={"strategy": "SPOT"})
    assert [house.jobs.get(each)["state"] for each in (spot, usual, small)] == ["JOB_STATE_QUEUED"] * 3
    (house.folder / "go").touch()
    ends = [house.end(each) for each in (first, usual, spot, small)]
    for before, after in itertools.pairwise(ends):
        assert after["startTime"] >= before["endTime"]


def test_projects_share_a_machine_fairly() -> None:
    room = Capacity(Resources(2.0, 2 * GIB))
    order: list[str] = []
    for name in ("a1", "a2", "a3", "b1", "b2"):
        room.ask(Ticket(name, name[0], Resources(1.0, GIB), lambda name=name: order.append(name)))  # type: ignore[misc]
    for name in ("a1", "b1", "a2", "b2"):
        room.leave(name)
    assert order == ["a1", "a2", "b1", "b2", "a3"]
    assert room.leave("a3")
    assert not room.leave("nobody")
    assert room.idle


def test_a_cancel_ends_what_runs_and_what_waits(house: House) -> None:
    running = house.create(WAITS, pool(WAITS, 3))
    house.until(running, "RUNNING")
    waiting = house.create("print(1)")
    house.jobs.cancel(waiting)
    assert house.jobs.get(waiting)["state"] == "JOB_STATE_CANCELLED"
    house.jobs.cancel(running)
    assert house.end(running)["state"] == "JOB_STATE_CANCELLED"
    assert all(each.state.final for each in house.processes.list(running))
    for pid in house.pids():
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    house.jobs.cancel(running)
    house.jobs.delete(running)
    with pytest.raises(NotFound, match="custom job must exist"):
        house.jobs.get(running)


def test_a_job_that_takes_too_long_fails(house: House) -> None:
    ended = house.end(house.create(WAITS, scheduling={"timeout": "0.5s"}))
    assert (ended["state"], ended["error"]["code"]) == ("JOB_STATE_FAILED", 4)
    assert "a timeout of 0.5 s" in ended["error"]["message"]
    assert all(each.state.final for each in house.processes.list(ended["name"]))


def test_a_flexible_start_waits_only_so_long(house: House) -> None:
    first = house.create(WAITS, pool(WAITS, 3))
    house.until(first, "RUNNING")
    flexible = {"strategy": "FLEX_START", "maxWaitDuration": "0.3s"}
    ended = house.end(house.create("print(1)", scheduling=flexible))
    assert (ended["state"], ended["error"]["code"]) == ("JOB_STATE_FAILED", 4)
    assert house.jobs.get(first)["state"] == "JOB_STATE_RUNNING"
    house.jobs.cancel(first)
    house.end(first)


@pytest.mark.parametrize("retries", [True, False], ids=["again", "fails"])
def test_a_job_that_was_cut_off_is_brought_to_a_true_end(house: House, retries: bool) -> None:
    scheduling = {} if retries else {"disableRetries": True}
    running = house.create(WAITS, scheduling=scheduling)
    house.until(running, "RUNNING")
    while not house.pids():
        threading.Event().wait(0.01)
    filler = pool("print(1)", 3)
    queued = house.create("print(1)", filler)
    assert house.jobs.get(queued)["state"] == "JOB_STATE_QUEUED"
    (before,) = house.pids()
    house.close()
    with pytest.raises(ProcessLookupError):
        os.kill(before, 0)
    (house.folder / "go").touch()
    house.open()
    ended = house.end(running)
    if retries:
        assert ended["state"] == "JOB_STATE_SUCCEEDED"
    else:
        assert (ended["state"], ended["error"]["code"]) == ("JOB_STATE_FAILED", 10)
        assert "disable_retries is set" in ended["error"]["message"]
    assert house.end(queued)["state"] == "JOB_STATE_SUCCEEDED"


@pytest.mark.parametrize(("left", "end"), [("PENDING", "SUCCEEDED"), ("CANCELLING", "CANCELLED")])
def test_a_job_left_between_two_states_is_taken_up(house: House, left: str, end: str) -> None:
    running = house.create(WAITS, pool(WAITS, 3))
    house.until(running, "RUNNING")
    name = house.create("print(1)")
    house.close()
    records = Records(f"sqlite:///{house.folder / 'r.db'}", house.clock)
    # As the server had left it when it was killed right after the change.
    records.update(name, {"state": f"JOB_STATE_{left}"})
    records.close()
    (house.folder / "go").touch()
    house.open()
    assert house.end(name)["state"] == f"JOB_STATE_{end}"
    assert house.end(running)["state"] == "JOB_STATE_SUCCEEDED"


WRONG: dict[str, tuple[list[dict[str, Any]], dict[str, Any], type[Exception], str]] = {
    "no pool": ([], {}, InvalidArgument, "must have a replica_count of 1; given: no pool"),
    "two primaries": ([pool("", 2)], {}, InvalidArgument, "must have a replica_count of 1; given: 2"),
    "five pools": ([pool("")] * 5, {}, InvalidArgument, "at most 4 worker pools"),
    "no task": ([{"replicaCount": "1", "machineSpec": {"machineType": "n1-standard-1"}}], {}, InvalidArgument,
                "must have a container_spec or a python_package_spec"),
    "no machine": ([{**pool(""), "machineSpec": {}}], {}, InvalidArgument, "machine type must be one of"),
    "a large machine": ([pool("", machine="n1-standard-8")], {}, FailedPrecondition, "TULE_SCALE_MACHINES=1"),
    "a folder of no bucket": ([pool("")], {"baseOutputDirectory": {"outputUriPrefix": "/tmp/x"}}, InvalidArgument,
                              "must be a folder gs://BUCKET"),
    "a wait without its strategy": ([pool("")], {"scheduling": {"maxWaitDuration": "5s"}}, InvalidArgument,
                                    "must come with the strategy FLEX_START"),
    "an image of one's own": ([{**pool(""), "containerSpec": {"imageUri": "mine"}}], {}, FailedPrecondition,
                              "needs Docker or Podman"),
    "a persistent resource that is not there": ([pool("")], {"persistentResourceId": "r"}, NotFound,
                                                "persistent resource must exist"),
}  # fmt: skip


@pytest.mark.parametrize(("pools", "more", "kind", "message"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_job_is_refused_and_not_stored(
    house: House, pools: list[dict[str, Any]], more: dict[str, Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        house.jobs.create(PARENT, {"displayName": "j", "jobSpec": {"workerPoolSpecs": pools, **more}})
    assert house.jobs.list(PARENT) == ([], "")


def test_a_running_job_is_not_deleted(house: House) -> None:
    name = house.create(WAITS)
    with pytest.raises(FailedPrecondition, match="must have ended to be deleted"):
        house.jobs.delete(name)
    house.jobs.cancel(name)
    house.end(name)


def test_replicas_are_made_smaller_together_where_that_is_allowed(tmp_path: Path) -> None:
    from tule.vertex.training import specs

    spec = {"workerPoolSpecs": [pool("", machine="n1-standard-4"), pool("", 3, machine="n1-standard-4")]}
    found = specs.replicas(spec, Resources(8.0, 30 * GIB), scale=True)
    assert {(each.container.cpus, each.container.memory_bytes) for each in found} == {(2.0, int(7.5 * GIB))}


def test_replicas_that_cannot_reach_each_other_are_refused(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(house.containers, "closed", True)
    with pytest.raises(FailedPrecondition, match=r"Replicas of a job must reach each other.*TULE_JOB_NETWORK=open"):
        house.create("1", pool("2"))
    assert house.end(house.create("1"))["state"] == "JOB_STATE_SUCCEEDED"
