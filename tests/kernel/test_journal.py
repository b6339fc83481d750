"""The journal: every committed change in order, none that was undone."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from tule.kernel.clock import VirtualClock
from tule.kernel.errors import Aborted
from tule.kernel.journal import Journal
from tule.kernel.records import Records

MODEL = "projects/p/models/7"


def test_writes_of_records_are_journaled_with_what_changed(
    records: Records, journal: Journal, clock: VirtualClock
) -> None:
    made = records.create("model", MODEL, {"a": 1, "b": 2})
    clock.advance(timedelta(seconds=1))
    changed = records.update(MODEL, {"b": 3, "c": 4})
    records.update(MODEL, {"b": 3})
    records.delete(MODEL)
    entries = journal.read(0)
    assert [(each.kind, each.name, each.change) for each in entries] == [
        ("model", MODEL, "created"),
        ("model", MODEL, "updated"),
        ("model", MODEL, "deleted"),
    ]
    assert entries[0].detail == {"etag": made.etag}
    assert entries[1].detail == {"etag": changed.etag, "fields": ["b", "c"]}
    assert entries[1].time == clock.now() == entries[0].time + timedelta(seconds=1)
    assert journal.last() == entries[-1].position


def test_what_was_undone_is_not_there(records: Records, journal: Journal) -> None:
    made = records.create("model", MODEL, {"a": 1})
    with pytest.raises(Aborted), records.transaction():
        records.update(MODEL, {"a": 2})
        journal.append("model", MODEL, "trained", {"loss": 0.5})
        records.update(MODEL, {"a": 3}, etag=made.etag)
    assert [each.change for each in journal.read(0)] == ["created"]


def test_own_entries_go_with_the_transaction(records: Records, journal: Journal) -> None:
    with records.transaction():
        records.create("model", MODEL, {})
        journal.append("model", MODEL, "trained", {"loss": 0.5})
    journal.append("server", "", "started")
    assert [(each.change, each.detail.get("loss")) for each in journal.read(0)] == [
        ("created", None),
        ("trained", 0.5),
        ("started", None),
    ]


def test_a_reader_goes_on_where_it_was(records: Records, journal: Journal) -> None:
    for number in range(10):
        records.create("model", f"projects/p/models/{number}", {})
    seen, position = [], 0
    while entries := journal.read(position, limit=3):
        seen += [each.name for each in entries]
        position = entries[-1].position
    assert seen == [f"projects/p/models/{number}" for number in range(10)]


def test_positions_are_never_used_twice(records: Records, journal: Journal, clock: VirtualClock) -> None:
    records.create("model", MODEL, {})
    last = journal.last()
    clock.advance(timedelta(days=1))
    assert journal.trim(before=clock.now()) == 1
    assert journal.read(0) == [] and journal.last() == 0
    records.delete(MODEL)
    assert journal.last() > last


def test_waiting_ends_with_the_commit(records: Records, journal: Journal) -> None:
    found: list[str] = []
    waiting = threading.Thread(target=lambda: found.extend(each.change for each in journal.wait(0, timeout=20)))
    waiting.start()
    with records.transaction():
        records.create("model", MODEL, {})
        records.update(MODEL, {"a": 1})
    waiting.join(10)
    assert found == ["created", "updated"]


def test_waiting_ends_with_its_time(journal: Journal) -> None:
    assert journal.wait(0, timeout=0.01) == []
