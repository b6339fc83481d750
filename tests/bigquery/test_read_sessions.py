"""Rows of read sessions stay what they were when the session was made, whatever happens to their table."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.bigquery.conftest import PROJECT, opened

from tule.bigquery.read_sessions import ReadSession
from tule.bigquery.references import TableReference
from tule.kernel.clock import VirtualClock
from tule.kernel.errors import InvalidArgument, NotFound

if TYPE_CHECKING:
    from tests.bigquery.conftest import BigQueryApi

ROWS = 250_000


def _table(api: BigQueryApi, name: str, rows: int = ROWS) -> None:
    api.query(
        f"CREATE OR REPLACE TABLE d.{name} AS SELECT i, CONCAT('row ', i) AS s FROM UNNEST(GENERATE_ARRAY(1, {rows})) AS i"
    )


def _session(api: BigQueryApi, name: str, **options: Any) -> ReadSession:
    return api.warehouse.read_sessions.create(
        PROJECT, TableReference(PROJECT, "d", name), user="", **{"most_streams": 8, **options}
    )


def _read(api: BigQueryApi, session: ReadSession, stream: int = 0, offset: int = 0) -> list[int]:
    found = api.warehouse.read_sessions.read(session.streams[stream], offset)
    return [value for batch in found.batches for value in batch.column("i").to_pylist()]


def _all(api: BigQueryApi, session: ReadSession) -> list[int]:
    return [value for stream in range(len(session.streams)) for value in _read(api, session, stream)]


def _copies(api: BigQueryApi) -> list[str]:
    return sorted(each.name for each in api.app.home.path("readsessions").iterdir())


def _sql(text: str) -> Callable[[BigQueryApi, str], Any]:
    return lambda api, name: api.query(text.format(t=f"d.{name}"))


ADDED: dict[str, Callable[[BigQueryApi, str], Any]] = {
    "insert": _sql("INSERT INTO {t} VALUES (0, 'new')"),
    "insert-all": lambda api, name: api.ok(
        "POST", f"datasets/d/tables/{name}/insertAll", {"rows": [{"json": {"i": 0, "s": "new"}}]}
    ),
    "load": lambda api, name: api.load("0,new\n", name, schema={"fields": [
        {"name": "i", "type": "INTEGER"}, {"name": "s", "type": "STRING"}]}),
    "replace": _sql("CREATE OR REPLACE TABLE {t} AS SELECT 0 AS i, 'new' AS s"),
    "drop": _sql("DROP TABLE {t}"),
    "add-column": _sql("ALTER TABLE {t} ADD COLUMN more INT64"),
}  # fmt: skip

CHANGED: dict[str, Callable[[BigQueryApi, str], Any]] = {
    "update": _sql("UPDATE {t} SET i = -i WHERE TRUE"),
    "delete": _sql("DELETE FROM {t} WHERE MOD(i, 2) = 0"),
    "merge": _sql("MERGE {t} AS t USING (SELECT 1 AS i) AS s ON t.i = s.i WHEN MATCHED THEN DELETE"),
    "truncate": _sql("TRUNCATE TABLE {t}"),
    "script": _sql(
        "BEGIN TRANSACTION; DELETE FROM {t} WHERE i < 1000; UPDATE {t} SET i = 0 WHERE TRUE; COMMIT TRANSACTION;"
    ),
}


@pytest.mark.parametrize("change", ADDED)
def test_rows_that_are_added_or_replaced_need_no_copy(api: BigQueryApi, change: str) -> None:
    name = "added_" + change.replace("-", "_")
    _table(api, name)
    session, before = _session(api, name), _copies(api)
    ADDED[change](api, name)
    assert len(session.streams) == 3
    assert _all(api, session) == list(range(1, ROWS + 1))
    assert _copies(api) == before


@pytest.mark.parametrize("change", CHANGED)
def test_rows_that_change_are_copied_before(api: BigQueryApi, change: str) -> None:
    name = f"changed_{change}"
    _table(api, name)
    session, before = _session(api, name, selected=["i"]), _copies(api)
    CHANGED[change](api, name)
    assert _all(api, session) == list(range(1, ROWS + 1))
    assert len(_copies(api)) == len(before) + 1
    assert _read(api, session, 1, 1000) == _read(api, session, 1)[1000:]


def test_a_stream_that_is_being_read_goes_on_over_a_change(api: BigQueryApi) -> None:
    _table(api, "going")
    session = _session(api, "going")
    batches = api.warehouse.read_sessions.read(session.streams[2], 0).batches
    first = next(batches)
    api.query("DELETE FROM d.going WHERE TRUE")
    rest = [value for batch in batches for value in batch.column("i").to_pylist()]
    assert first.column("i").to_pylist() + rest == list(range(ROWS * 2 // 3 + 1, ROWS + 1))


def test_rows_are_found_by_their_place_where_some_were_deleted(api: BigQueryApi) -> None:
    _table(api, "gaps")
    api.query("DELETE FROM d.gaps WHERE MOD(i, 5) = 0")
    left = [i for i in range(1, ROWS + 1) if i % 5]
    session = _session(api, "gaps", most_streams=2)
    assert _all(api, session) == left
    assert _read(api, session, 1, 777) == left[len(left) // 2 + 777 :]
    assert [row[0] for row in api.cells(api.ok("GET", "datasets/d/tables/gaps/data?startIndex=150000&maxResults=2"))] == [
        str(left[150_000]), str(left[150_001]),
    ]  # fmt: skip


def test_a_change_that_fails_leaves_the_rows_to_their_sessions(api: BigQueryApi) -> None:
    _table(api, "failed", 1000)
    session = _session(api, "failed")
    assert "division by zero" in api.query_error("UPDATE d.failed SET i = DIV(1, i - 500) WHERE TRUE")["message"]
    assert _all(api, session) == list(range(1, 1001))
    later = _session(api, "failed")
    assert _all(api, later) == list(range(1, 1001))


def test_a_session_made_during_a_change_has_the_rows_before_it(api: BigQueryApi) -> None:
    _table(api, "during", 1000)
    session = api.ok("POST", "queries", {"query": "SELECT 1", "useLegacySql": False, "createSession": True})
    inside = {"connectionProperties": [{"key": "session_id", "value": session["sessionInfo"]["sessionId"]}]}
    api.query("BEGIN TRANSACTION; DELETE FROM d.during WHERE i > 10;", **inside)
    made = _session(api, "during")
    api.query("COMMIT TRANSACTION;", **inside)
    assert _all(api, made) == list(range(1, 1001))
    assert _all(api, _session(api, "during")) == list(range(1, 11))


def test_a_table_without_rows_has_no_stream(api: BigQueryApi) -> None:
    _table(api, "empty", 0)
    assert _session(api, "empty").streams == ()


def test_an_offset_beyond_the_stream_is_refused(api: BigQueryApi) -> None:
    _table(api, "short", 10)
    session = _session(api, "short")
    assert _read(api, session, 0, 10) == []
    with pytest.raises(InvalidArgument, match="within the stream's 10 rows; given: 11"):
        api.warehouse.read_sessions.read(session.streams[0], 11)
    for stream in (session.streams[0][:-1] + "1", session.name + "x/streams/0", "projects/p/locations/us/x"):
        with pytest.raises(NotFound):
            api.warehouse.read_sessions.read(stream, 0)


def test_readers_and_writers_at_once_never_mix_rows(api: BigQueryApi) -> None:
    _table(api, "busy", 5000)
    wrong: list[str] = []
    over = threading.Event()

    def write() -> None:
        for turn in range(15):
            api.query(f"UPDATE d.busy SET s = '{turn}' WHERE TRUE")
        over.set()

    def read() -> None:
        while not over.is_set():
            found = api.warehouse.read_sessions.read(_session(api, "busy").streams[0], 0)
            seen = {value for batch in found.batches for value in batch.column("s").to_pylist()}
            if len(seen) not in (1, 5000):
                wrong.append(f"{len(seen)} states")

    threads = [threading.Thread(target=each) for each in (write, read, read)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert wrong == []


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def test_sessions_outlive_the_server_and_end_with_their_time(home: Path, clock: VirtualClock) -> None:
    with opened(home, clock) as api:
        api.dataset("d")
        _table(api, "kept", 1000)
        _table(api, "gone", 1000)
        kept, gone = _session(api, "kept"), _session(api, "gone")
        api.query("DROP TABLE d.gone")
        held = api.physical()
    with opened(home, clock) as api:
        assert api.physical() == held
        api.query("UPDATE d.kept SET i = 0 WHERE TRUE")
        assert _all(api, kept) == _all(api, gone) == list(range(1, 1001))
        assert _copies(api) == [kept.name.rsplit("/", 1)[1]]
    clock.advance(timedelta(days=8))
    with opened(home, clock) as api:
        for session in (kept, gone):
            with pytest.raises(NotFound):
                _read(api, session)
        assert len(api.physical()) == 1
        assert _copies(api) == []
