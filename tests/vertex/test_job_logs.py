"""What jobs write, as entries of Cloud Logging."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.vertex.house import House, pool

from tule.kernel.errors import InvalidArgument, NotFound
from tule.vertex.training import JobLogs, Resources, specs

GIB = 2**30
TALKS = """
import sys, time
from pathlib import Path
print("one"); print("two", end="", flush=True)
while not Path("go").exists(): time.sleep(0.01)
print(" ends"); print("worse", file=sys.stderr)
"""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path, Resources(4.0, 16 * GIB))
    yield made
    made.close()


def test_lines_are_read_once_as_they_come(house: House) -> None:
    logs = JobLogs(house.records, house.processes)
    name = house.create(TALKS)
    number = name.rpartition("/")[2]
    token, seen = "", []
    while not seen:
        entries, token = logs.entries("p", number, page_token=token)
        seen += entries
        threading.Event().wait(0.01)
    # The line that is not whole yet waits.
    assert [each["textPayload"] for each in seen] == ["one"]
    assert seen[0]["resource"]["labels"] == {"job_id": number, "project_id": "p", "task_name": "workerpool0-0"}
    (house.folder / "go").touch()
    house.end(name)
    entries, token = logs.entries("p", number, page_token=token)
    assert [(each["severity"], each["textPayload"]) for each in entries] == [("INFO", "two ends"), ("ERROR", "worse")]
    assert token == ""


def test_a_long_log_comes_in_pages(house: House) -> None:
    name = house.create("for at in range(25): print(at)", pool("print('w')"))
    house.end(name)
    logs = JobLogs(house.records, house.processes)
    found, token = [], ""
    for _ in range(4):
        entries, token = logs.entries("p", name.rpartition("/")[2], page_size=10, page_token=token)
        found.append(len(entries))
        if not token:
            break
    assert found == [10, 10, 6]
    with pytest.raises(InvalidArgument, match="pageToken must be one that an answer gave"):
        logs.entries("p", name.rpartition("/")[2], page_token="?")
    with pytest.raises(NotFound, match="A job of this number must exist"):
        logs.entries("other", name.rpartition("/")[2])


def test_what_is_made_smaller_is_said() -> None:
    spec = {"workerPoolSpecs": [pool("", machine="n1-standard-4")]}
    found = specs.replicas(spec, Resources(2.0, 30 * GIB), scale=True)
    (note,) = specs.notes(spec, found)
    assert note.startswith("workerpool0-0: it gets 2 CPUs and 7.5 GiB of 4 CPUs and 15.0 GiB")
