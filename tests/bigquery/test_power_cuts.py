"""What a power cut leaves, at each step of a change: copies of the data directory, taken while the step is done, are opened
by a new server. The change has happened or it has not, its job says which, and nothing lies around."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tule.engines.duckdb.adapter import DuckDBSession

if TYPE_CHECKING:
    from tests.bigquery.conftest import BigQueryApi

pytestmark = pytest.mark.slow

A = {"fields": [{"name": "a", "type": "INTEGER"}]}
BEFORE = [["1"], ["2"]]
TABLES = "/projects/test-project/datasets/d/tables"


def _load(api: BigQueryApi, **load: Any) -> None:
    api.load("3\n4\n", schema=A, **load)


def _sql(text: str) -> Callable[[BigQueryApi], Any]:
    return lambda api: api.job(query={"query": text, "useLegacySql": False})


def _to(table: str, disposition: str) -> Callable[[BigQueryApi], Any]:
    return lambda api: api.job(
        query={
            "query": "SELECT 3 AS a", "useLegacySql": False, "destinationTable": api.reference(table),
            "writeDisposition": disposition,
        }
    )  # fmt: skip


# What is done to ``t`` with the rows 1 and 2, and its rows afterwards (None: it is not there).
CHANGES: dict[str, tuple[Callable[[BigQueryApi], Any], list[list[str]] | None]] = {
    "load-append": (lambda api: _load(api), [*BEFORE, ["3"], ["4"]]),
    "load-truncate": (lambda api: _load(api, writeDisposition="WRITE_TRUNCATE"), [["3"], ["4"]]),
    "load-new-column": (
        lambda api: api.load(
            "3,x\n", schema={"fields": [*A["fields"], {"name": "b", "type": "STRING"}]}, writeDisposition="WRITE_APPEND",
            schemaUpdateOptions=["ALLOW_FIELD_ADDITION"],
        ),
        [["1"], ["2"], ["3"]],
    ),
    "insert": (_sql("INSERT INTO d.t VALUES (3)"), [*BEFORE, ["3"]]),
    "update": (_sql("UPDATE d.t SET a = a + 1 WHERE TRUE"), [["2"], ["3"]]),
    "delete": (_sql("DELETE FROM d.t WHERE a = 1"), [["2"]]),
    "merge": (
        _sql(
            "MERGE d.t USING (SELECT 2 AS a UNION ALL SELECT 3) AS s ON t.a = s.a WHEN MATCHED THEN UPDATE SET a = 20 "
            "WHEN NOT MATCHED THEN INSERT (a) VALUES (s.a)"
        ),
        [["1"], ["20"], ["3"]],
    ),
    "truncate": (_sql("TRUNCATE TABLE d.t"), []),
    "create-or-replace": (_sql("CREATE OR REPLACE TABLE d.t AS SELECT a + 10 AS a FROM d.t"), [["11"], ["12"]]),
    "alter": (_sql("ALTER TABLE d.t ADD COLUMN b STRING"), BEFORE),
    "drop": (_sql("DROP TABLE d.t"), None),
    "query-append": (_to("t", "WRITE_APPEND"), [*BEFORE, ["3"]]),
    "query-truncate": (_to("t", "WRITE_TRUNCATE"), [["3"]]),
    "copy": (
        lambda api: api.job(
            copy={
                "sourceTable": api.reference("other"), "destinationTable": api.reference("t"),
                "writeDisposition": "WRITE_APPEND",
            }
        ),
        [*BEFORE, ["7"]],
    ),
    "insert-all": (
        lambda api: api.ok("POST", "datasets/d/tables/t/insertAll", {"rows": [{"json": {"a": 3}}]}),
        [*BEFORE, ["3"]],
    ),
    "patch-schema": (
        lambda api: api.ok(
            "PATCH", "datasets/d/tables/t", {"schema": {"fields": [*A["fields"], {"name": "b", "type": "STRING"}]}}
        ),
        BEFORE,
    ),
    "partition-truncate": (_to("t$0", "WRITE_TRUNCATE"), [["3"]]),
    "partition-append": (_to("t$0", "WRITE_APPEND"), [*BEFORE, ["3"]]),
    "delete-partition": (lambda api: api.request("DELETE", f"{TABLES}/t$0"), []),
    "clone": (_sql("CREATE OR REPLACE TABLE d.t CLONE d.other"), [["7"]]),
    "restore": (
        lambda api: api.job(
            copy={
                "sourceTable": api.reference("kept"), "destinationTable": api.reference("t"),
                "operationType": "RESTORE", "writeDisposition": "WRITE_TRUNCATE",
            }
        ),
        [["7"]],
    ),
    "delete-dataset": (lambda api: api.request("DELETE", "/projects/test-project/datasets/d?deleteContents=true"), None),
}  # fmt: skip


class Photographer:
    """Copies the data directory at the steps of a change."""

    def __init__(self, api: BigQueryApi, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._home = api.app.home.root
        self._folder = folder
        self.taken: list[Path] = []
        self._last: list[Any] = []
        records, jobs = api.app.records, api.warehouse.jobs
        end, execute = jobs._end, DuckDBSession.execute

        def executed(session: DuckDBSession, sql: str, *arguments: Any) -> int:
            if sql == "COMMIT":
                self.take("before the engine commits")
            rows = execute(session, sql, *arguments)
            if sql == "COMMIT":
                self.take("after the engine committed")
            return rows

        def ended(*arguments: Any) -> None:
            self.take("before the job's end is recorded")
            end(*arguments)
            self.take("after the job's end was recorded")

        def recorded() -> None:
            self.take("after records were committed")

        monkeypatch.setattr(DuckDBSession, "execute", executed)
        monkeypatch.setattr(jobs, "_end", ended)
        records.on_commit(recorded)
        self._undo = lambda: setattr(records, "_listeners", ())

    def stop(self) -> None:
        self._undo()

    def _files(self) -> list[Path]:
        places = [self._home / "tables", self._home / "uploads", *self._home.glob("tule.db*")]
        return sorted(each for place in places for each in (place.rglob("*") if place.is_dir() else [place]))

    def take(self, step: str) -> None:
        state = [(each, each.stat().st_size, each.stat().st_mtime_ns) for each in self._files()]
        if state == self._last:
            return
        self._last = state
        path = self._folder / f"{len(self.taken):02d} {step}"
        shutil.copytree(self._home, path, ignore=shutil.ignore_patterns("logs", "sockets"))
        self.taken.append(path)


@pytest.fixture
def prepared(tmp_path: Path) -> Iterator[BigQueryApi]:
    from tests.bigquery.conftest import opened

    with opened(tmp_path / "home") as api:
        api.dataset("d")
        api.query(
            "CREATE TABLE d.t PARTITION BY RANGE_BUCKET(a, GENERATE_ARRAY(0, 100, 10)) AS SELECT a FROM UNNEST([1, 2]) AS a"
        )
        api.query("CREATE TABLE d.other AS SELECT 7 AS a")
        api.query("CREATE SNAPSHOT TABLE d.kept CLONE d.other")
        yield api


def rows(api: BigQueryApi, table: str = "t") -> list[list[str]] | None:
    status, answer = api.call("POST", "queries", {"query": f"SELECT a FROM d.{table} ORDER BY CAST(a AS STRING)"})
    if status == 404:
        return None
    assert status == 200, answer
    return api.cells(answer)


def check_tidy(api: BigQueryApi) -> None:
    """No physical table without a name, no mark of a finished job, no job that seems to run."""
    assert api.physical() == api.warehouse.tables.physical_names("test-project")
    assert api.warehouse.physical.engine.marks("test-project") == set()
    assert api.ok("GET", "jobs", params={"stateFilter": ["running", "pending"]})["jobs"] == []
    assert [each for each in (api.app.home.root / "uploads").rglob("*") if each.is_file()] == []


@pytest.mark.parametrize("name", CHANGES)
def test_a_power_cut_at_each_step(
    prepared: BigQueryApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    from tests.bigquery.conftest import opened

    change, after = CHANGES[name]
    known = {each["jobReference"]["jobId"] for each in prepared.ok("GET", "jobs")["jobs"]}
    photographer = Photographer(prepared, tmp_path, monkeypatch)
    change(prepared)
    photographer.stop()
    monkeypatch.undo()
    assert rows(prepared) == after
    # A deletion is one commit of the records: what its tables were stays in the engine.
    assert len(photographer.taken) >= (1 if name.startswith("delete") else 2)
    seen = []
    for copy in photographer.taken:
        with opened(copy) as api:
            check_tidy(api)
            jobs = [each for each in api.ok("GET", "jobs")["jobs"] if each["jobReference"]["jobId"] not in known]
            found = rows(api)
            assert found in (BEFORE, after), copy.name
            happened = found == after if after != BEFORE else "b" in _columns(api)
            seen.append(happened)
            for job in jobs:
                error = job.get("errorResult")
                assert (error is None) == happened, (copy.name, job)
                if error is not None:
                    assert error["reason"] == "jobInternalError"
                    assert "nothing was changed" in error["message"]
            if found is not None:
                api.query("INSERT INTO d.t (a) VALUES (99)")
                assert rows(api) == sorted([*found, ["99"]])
    # A state that has come does not go again.
    assert seen == sorted(seen) and seen[-1], list(zip(seen, photographer.taken, strict=True))


def _columns(api: BigQueryApi) -> set[str]:
    return {each["name"] for each in api.ok("GET", "datasets/d/tables/t")["schema"]["fields"]}


def test_a_schema_that_is_had_back(prepared: BigQueryApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.bigquery.conftest import opened

    prepared.query("DROP SCHEMA d CASCADE")
    photographer = Photographer(prepared, tmp_path, monkeypatch)
    prepared.done(query={"query": "UNDROP SCHEMA d", "useLegacySql": False})
    photographer.stop()
    monkeypatch.undo()
    seen = []
    for copy in photographer.taken:
        with opened(copy) as api:
            check_tidy(api)
            found = [rows(api), rows(api, "other"), rows(api, "kept")]
            seen.append(found[0] is not None)
            assert found in ([None, None, None], [BEFORE, [["7"]], [["7"]]]), copy.name
            if not seen[-1]:
                api.query("UNDROP SCHEMA d")
                assert rows(api) == BEFORE
    assert seen == sorted(seen) and seen[-1]


def test_a_materialized_view_that_is_refreshed(
    prepared: BigQueryApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.bigquery.conftest import opened

    prepared.query("CREATE MATERIALIZED VIEW d.m AS SELECT SUM(a) AS a FROM d.t")
    prepared.query("INSERT INTO d.t VALUES (10)")
    old = prepared.ok("GET", "datasets/d/tables/m")["materializedView"]["lastRefreshTime"]
    photographer = Photographer(prepared, tmp_path, monkeypatch)
    prepared.done(query={"query": "CALL BQ.REFRESH_MATERIALIZED_VIEW('test-project.d.m')", "useLegacySql": False})
    photographer.stop()
    monkeypatch.undo()
    seen = []
    for copy in photographer.taken:
        with opened(copy) as api:
            check_tidy(api)
            kept = api.cells(api.ok("GET", "datasets/d/tables/m/data"))
            seen.append(api.ok("GET", "datasets/d/tables/m")["materializedView"]["lastRefreshTime"] != old)
            assert kept == ([["13"]] if seen[-1] else [["3"]]), copy.name
            # Whatever it keeps, it answers as its tables are.
            assert rows(api, "m") == [["13"]]
    assert seen == sorted(seen) and seen[-1]


def test_a_script_is_told_how_far_it_came(
    prepared: BigQueryApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.bigquery.conftest import opened

    photographer = Photographer(prepared, tmp_path, monkeypatch)
    job = prepared.done(
        query={
            "query": "INSERT INTO d.t VALUES (3); INSERT INTO d.t VALUES (4); INSERT INTO d.t VALUES (5)",
            "useLegacySql": False,
        }
    )["jobReference"]["jobId"]
    photographer.stop()
    monkeypatch.undo()
    done = []
    for copy in photographer.taken:
        with opened(copy) as api:
            check_tidy(api)
            count = len(rows(api) or []) - 2
            done.append(count)
            found = api.call("GET", f"jobs/{job}")[1]
            error = found.get("status", {}).get("errorResult")
            if error is None:
                assert count == 3 or "error" in found
            elif count == 0:
                assert (error["reason"], "nothing was changed" in error["message"]) == ("jobInternalError", True)
            else:
                # Not a reason for which clients would run it again.
                assert error["reason"] == "stopped"
                assert f"what its first {count} statements did stays" in error["message"]
    assert done == sorted(done) and {0, 1, 2, 3} == set(done)


def test_a_stopped_server_tells_the_same(tmp_path: Path) -> None:
    from tests.bigquery.conftest import opened

    with opened(tmp_path / "home") as api:
        api.dataset("d")
        api.query("CREATE TABLE d.numbers AS SELECT x FROM UNNEST(GENERATE_ARRAY(1, 100000)) AS x")
        endless = "SELECT COUNT(*) AS n FROM d.numbers AS a, d.numbers AS b, d.numbers AS c WHERE a.x * b.x * c.x = 7"
        made = []
        for sql in (f"CREATE TABLE d.made AS {endless}", f"INSERT INTO d.numbers VALUES (0); {endless}"):
            body = {"configuration": {"query": {"query": sql, "useLegacySql": False}}}
            made.append(api.ok("POST", "jobs", body)["jobReference"]["jobId"])
        while not api.ok("GET", "jobs", params={"parentJobId": made[1], "stateFilter": "done"})["jobs"]:
            pass
    with opened(tmp_path / "home") as api:
        check_tidy(api)
        create, script = (api.ok("GET", f"jobs/{each}")["status"] for each in made)
        assert (create["state"], create["errorResult"]["reason"]) == ("DONE", "jobInternalError")
        assert "nothing was changed" in create["errorResult"]["message"]
        assert script["errorResult"]["reason"] == "stopped"
        assert "what its first 1 statements did stays" in script["errorResult"]["message"]
        assert api.rows("SELECT COUNT(*) FROM d.numbers") == [["100001"]]
