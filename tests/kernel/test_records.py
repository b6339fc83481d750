"""The record store: single records, etags, masks, transactions, durability."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tule.kernel.clock import VirtualClock
from tule.kernel.errors import (
    Aborted,
    AlreadyExists,
    DataLoss,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
    Unavailable,
)
from tule.kernel.records import Records, apply_mask

LOCATION = "projects/p/locations/l"
MODEL = f"{LOCATION}/models/7"


def test_a_record_is_what_was_stored_and_what_the_store_knows(records: Records, clock: VirtualClock) -> None:
    made = records.create("model", MODEL, {"displayName": "é ✓ \u0000", "labels": {"a": "b"}})
    assert made == records.get(MODEL) == records.find(MODEL)
    assert (made.kind, made.parent, made.revision) == ("model", LOCATION, 1)
    assert made.create_time == made.update_time == clock.now()
    assert made.etag and len(made.uid) == 32


def test_a_top_level_record_has_no_parent_and_a_parent_may_be_given(records: Records) -> None:
    assert records.create("project", "projects/p", {}).parent == ""
    key = "projects/_/buckets/b/objects/a/b/c"
    assert records.create("object", key, {}, parent="projects/_/buckets/b").parent == "projects/_/buckets/b"
    assert [each.name for each in records.list("object", "projects/_/buckets/b")] == [key]


def test_what_a_reader_does_to_a_body_stays_with_the_reader(records: Records) -> None:
    body: dict[str, Any] = {"labels": {"a": "b"}}
    made = records.create("model", MODEL, body)
    body["labels"]["a"] = "changed"
    made.body["labels"]["a"] = "changed"
    assert records.get(MODEL).body == {"labels": {"a": "b"}}


def test_names_are_free_once(records: Records) -> None:
    records.create("model", MODEL, {"displayName": "first"})
    with pytest.raises(AlreadyExists, match=f"given: {MODEL}"):
        records.create("model", MODEL, {"displayName": "second"})
    assert records.get(MODEL).body == {"displayName": "first"}


def test_what_is_not_there_is_named(records: Records) -> None:
    assert records.find(MODEL) is None
    for action in (records.get, records.delete, lambda name: records.update(name, {"a": 1})):
        with pytest.raises(NotFound, match=f"must exist; given: {MODEL}"):
            action(MODEL)


@pytest.mark.parametrize("name", ["", "a\nb", "a\x00", "x" * 5000, "a\ud800"])
def test_a_name_that_cannot_be_is_refused(records: Records, name: str) -> None:
    with pytest.raises(InvalidArgument, match="A resource name must be"):
        records.create("model", name, {})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), b"bytes", {1, 2}], ids=["nan", "inf", "bytes", "set"])
def test_a_body_that_is_not_json_is_refused(records: Records, value: object) -> None:
    with pytest.raises(InvalidArgument, match="A record must be JSON"):
        records.create("model", MODEL, {"x": value})
    assert records.find(MODEL) is None


# -- updates


def test_a_dict_changes_the_fields_it_has_and_none_clears(records: Records, clock: VirtualClock) -> None:
    made = records.create("model", MODEL, {"a": 1, "b": {"c": 2}, "d": 3})
    clock.advance(timedelta(seconds=5))
    changed = records.update(MODEL, {"b": {"e": 4}, "d": None, "never": None})
    assert changed.body == {"a": 1, "b": {"e": 4}}
    assert changed == records.get(MODEL)
    assert (changed.revision, changed.uid, changed.create_time) == (2, made.uid, made.create_time)
    assert changed.update_time == clock.now() and changed.etag != made.etag


def test_a_function_gives_the_new_body(records: Records) -> None:
    records.create("model", MODEL, {"n": 1})
    assert records.update(MODEL, lambda body: {"n": body["n"] + 1}).body == {"n": 2}
    with pytest.raises(TypeError, match="must return the new body"):
        records.update(MODEL, lambda body: body.update(n=9))  # type: ignore[arg-type, return-value]
    assert records.get(MODEL).body == {"n": 2}


def test_a_change_of_nothing_keeps_the_etag(records: Records, clock: VirtualClock) -> None:
    made = records.create("model", MODEL, {"a": 1})
    clock.advance(timedelta(seconds=5))
    assert records.update(MODEL, {"a": 1}, etag=made.etag) == made


def test_a_stale_etag_is_refused(records: Records) -> None:
    made = records.create("model", MODEL, {"a": 1})
    changed = records.update(MODEL, {"a": 2}, etag=made.etag)
    with pytest.raises(Aborted, match=r"changed since it was read; given: .* Next: read it again"):
        records.update(MODEL, {"a": 3}, etag=made.etag)
    with pytest.raises(Aborted):
        records.delete(MODEL, etag=made.etag)
    assert records.get(MODEL) == changed
    assert records.delete(MODEL, etag=changed.etag) == changed
    assert records.find(MODEL) is None


def test_an_etag_does_not_outlive_its_record(records: Records) -> None:
    old = records.create("model", MODEL, {"a": 1})
    records.delete(MODEL)
    assert records.create("model", MODEL, {"a": 1}).etag != old.etag


def test_put_creates_or_replaces(records: Records) -> None:
    records.put("model", MODEL, {"a": 1, "b": 2})
    assert records.put("model", MODEL, {"a": 3}).body == {"a": 3}
    assert records.get(MODEL).revision == 2


# -- masks

OLD = {"displayName": "old", "labels": {"a": "1", "b_c": "2"}, "spec": {"machine": {"type": "x"}, "count": 1}}


@pytest.mark.parametrize(
    ("new", "paths", "expected"),
    [
        ({"displayName": "new", "labels": {}}, ["display_name"], {**OLD, "displayName": "new"}),
        ({"displayName": "new"}, ["displayName"], {**OLD, "displayName": "new"}),
        ({}, ["display_name"], {key: OLD[key] for key in ("labels", "spec")}),
        ({"labels": {"a": "9"}}, ["labels"], {**OLD, "labels": {"a": "9"}}),
        ({"labels": {"a": "9"}}, ["labels.a"], {**OLD, "labels": {"a": "9", "b_c": "2"}}),
        ({"labels": {"b_c": "9"}}, ["labels.b_c"], {**OLD, "labels": {"a": "1", "b_c": "9"}}),
        ({"labels": {"a.b": "9"}}, ["labels.`a.b`"], {**OLD, "labels": {"a": "1", "b_c": "2", "a.b": "9"}}),
        ({}, ["labels.a"], {**OLD, "labels": {"b_c": "2"}}),
        (
            {"spec": {"machine": {"type": "y"}, "count": 5}},
            ["spec.machine.type"],
            {**OLD, "spec": {"machine": {"type": "y"}, "count": 1}},
        ),
        ({"newPart": {"x": 1}}, ["new_part.x"], {**OLD, "newPart": {"x": 1}}),
        ({}, ["absent.x"], OLD),
        ({"displayName": None}, ["display_name"], {key: OLD[key] for key in ("labels", "spec")}),
        ({"displayName": "only"}, ["*"], {"displayName": "only"}),
        ({"displayName": "ignored"}, [], OLD),
    ],
)
def test_a_mask_touches_its_paths_only(new: dict[str, Any], paths: list[str], expected: dict[str, Any]) -> None:
    before = json.dumps([OLD, new])
    assert apply_mask(OLD, new, paths) == expected
    assert json.dumps([OLD, new]) == before


@pytest.mark.parametrize("path", ["", "a.", ".a", "a..b", "labels.`x", "a`b`"])
def test_a_mask_that_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(InvalidArgument, match="field path"):
        apply_mask(OLD, {}, [path])


def test_a_mask_does_not_reach_into_lists_nor_mix_with_the_star() -> None:
    with pytest.raises(InvalidArgument, match=r"repeated field whole \(models\)"):
        apply_mask({"models": [{"id": 1}]}, {"models": [{"id": 2}]}, ["models.id"])
    with pytest.raises(InvalidArgument, match="must stand alone"):
        apply_mask(OLD, {}, ["*", "labels"])


def test_an_update_with_a_mask(records: Records) -> None:
    records.create("model", MODEL, OLD)
    changed = records.update(MODEL, {"displayName": "new", "spec": {}}, mask=["display_name"])
    assert changed.body == {**OLD, "displayName": "new"}


# -- transactions


def test_readers_see_all_of_a_transaction_or_nothing(records: Records) -> None:
    seen: list[int] = []
    started, go_on = threading.Event(), threading.Event()

    def write() -> None:
        with records.transaction():
            records.create("model", f"{LOCATION}/models/1", {})
            started.set()
            go_on.wait(10)
            records.create("model", f"{LOCATION}/models/2", {})
            seen.append(len(records.list("model").records))

    writer = threading.Thread(target=write)
    writer.start()
    started.wait(10)
    outside = len(records.list("model").records)
    go_on.set()
    writer.join(10)
    assert (outside, seen, len(records.list("model").records)) == (0, [2], 2)


def test_an_error_undoes_everything(records: Records) -> None:
    records.create("model", MODEL, {"n": 1})
    with pytest.raises(ZeroDivisionError), records.transaction():
        records.update(MODEL, {"n": 2})
        records.create("model", f"{LOCATION}/models/8", {})
        raise ZeroDivisionError
    assert records.get(MODEL).body == {"n": 1}
    assert [each.name for each in records.list("model")] == [MODEL]


def test_an_inner_error_undoes_the_inner_part(records: Records) -> None:
    ran: list[str] = []
    with records.transaction():
        records.create("model", MODEL, {"n": 1})
        with pytest.raises(AlreadyExists), records.transaction():
            records.update(MODEL, {"n": 2})
            records.after_commit(lambda: ran.append("inner"))
            records.create("model", MODEL, {})
        records.after_commit(lambda: ran.append("outer"))
        assert records.get(MODEL).body == {"n": 1} and not ran
    assert records.get(MODEL).body == {"n": 1}
    assert ran == ["outer"]


def test_actions_after_a_commit_run_then_and_only_then(records: Records) -> None:
    ran: list[str] = []
    records.after_commit(lambda: ran.append("at once"))
    with pytest.raises(KeyError), records.transaction():
        records.after_commit(lambda: ran.append("never"))
        raise KeyError
    with records.transaction():
        records.create("model", MODEL, {})
        records.after_commit(lambda: 1 / 0)
        # The commit is visible to whoever the action wakes.
        records.after_commit(lambda: ran.append(records.get(MODEL).name))
    assert ran == ["at once", MODEL]


def test_writers_take_turns(records: Records) -> None:
    records.create("counter", "counters/1", {"n": 0})

    def count() -> None:
        for _ in range(25):
            records.update("counters/1", lambda body: {"n": body["n"] + 1})

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert records.get("counters/1").body == {"n": 200}
    assert records.get("counters/1").revision == 201


def test_a_cascade_takes_what_is_below_and_nothing_beside(records: Records) -> None:
    names = ["p/a", "p/a/x/1", "p/a/x/1/y/2", "p/a-b/x/1", "p/ab/x/1", "p/a0", "p/A/x/1"]
    for name in names:
        records.create("thing", name, {"n": name})
    gone = records.delete_under("p/a")
    assert [(each.name, each.body["n"]) for each in gone] == [("p/a/x/1", "p/a/x/1"), ("p/a/x/1/y/2", "p/a/x/1/y/2")]
    assert {each.name for each in records.list("thing")} == {"p/a", "p/a-b/x/1", "p/ab/x/1", "p/a0", "p/A/x/1"}


# -- durability

WRITE = """
import sys
from tule.kernel.clock import RealClock
from tule.kernel.records import Records
records = Records("sqlite:///" + sys.argv[1], RealClock())
number = 0
while True:
    with records.transaction():
        records.create("pair", f"pairs/{number}/left/1", {})
        records.create("pair", f"pairs/{number}/right/1", {})
    print(number, flush=True)
    number += 1
"""


def test_a_killed_writer_loses_nothing_it_was_told_of(tmp_path: Path, clock: VirtualClock) -> None:
    path = tmp_path / "records.db"
    writer = subprocess.Popen([sys.executable, "-c", WRITE, str(path)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    told = [int(writer.stdout.readline()) for _ in range(60)]
    os.kill(writer.pid, signal.SIGKILL)
    told += [int(line) for line in writer.stdout.read().splitlines() if line]
    writer.wait()
    writer.stdout.close()
    records = Records(f"sqlite:///{path}", clock)
    names = {each.name for each in records.list("pair")}
    assert all(f"pairs/{number}/{side}/1" in names for number in told for side in ("left", "right"))
    assert all(name.replace("left", "right") in names for name in names)
    records.close()


def test_commits_are_synced_and_written_ahead(on_sqlite: None, records: Records) -> None:
    with records.transaction() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2


def test_a_full_disk_is_named_and_nothing_is_half_written(on_sqlite: None, records: Records) -> None:
    made = records.create("model", MODEL, {"n": 1})
    with records.transaction() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")
    with pytest.raises(ResourceExhausted, match=r"room on the disk.*Next: free some"), records.transaction():
        records.update(MODEL, {"n": 2})
        records.create("model", f"{LOCATION}/models/8", {"x": "x" * 1_000_000})
    assert records.get(MODEL) == made and len(records.list("model").records) == 1
    with records.transaction() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
    assert records.update(MODEL, {"n": 3}).body == {"n": 3}


def test_a_file_that_is_no_database_is_named(tmp_path: Path, clock: VirtualClock) -> None:
    (tmp_path / "records.db").write_bytes(b"no database at all" * 1000)
    with pytest.raises(DataLoss, match="must be intact; given: file is not a database"):
        Records(f"sqlite:///{tmp_path}/records.db", clock)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path, clock: VirtualClock) -> None:
    with pytest.raises(Unavailable, match="readable and writable; given: unable to open"):
        Records(f"sqlite:///{tmp_path}/none/records.db", clock)


def test_a_store_in_memory_is_refused(clock: VirtualClock) -> None:
    with pytest.raises(InvalidArgument, match="in a file or a server"):
        Records("sqlite://", clock)


def test_many_records_at_once(records: Records, clock: VirtualClock) -> None:
    made = clock.now() - timedelta(hours=1)
    records.create_all("thing", [(f"things/t{index}", {"n": index}, made) for index in range(1200)])
    found = records.list("thing").records
    assert len(found) == 1200
    assert {each.create_time for each in found} == {made}
    assert records.get("things/t7").etag == records.update("things/t7", {"n": 7}).etag
    assert [each.change for each in records.entries(records.last_entry() - 2, 10)] == ["created"] * 2
    with pytest.raises(AlreadyExists, match="things/t3"):
        records.create_all("thing", [("things/new", {}, made), ("things/t3", {}, made)])
    assert records.find("things/new") is None
    records.create_all("thing", [])
