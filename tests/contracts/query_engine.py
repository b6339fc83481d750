"""The contract of ``tule.bigquery.engine.QueryEngine``: every engine behind which tables live passes this suite.

An engine inherits ``QueryEngineContract`` and gives ``open_engine``. Statements are written in DuckDB's
SQL; for an engine of another dialect ``Translated`` says them in its own. ``numbers_10`` is a relation with
``n`` from 0 to 9.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tule.bigquery.engine import QueryEngine, Session
from tule.bigquery.types import Field, arrow_schema, fields_of
from tule.kernel.errors import Aborted, Cancelled, FailedPrecondition, InvalidArgument, TuleError, Unimplemented

P = "test-project"
FIELDS = [Field("n", "INT64"), Field("s", "STRING")]
LONG = 60.0


class QueryEngineContract:
    """What every engine promises."""

    opening: str
    """Python that makes ``engine`` of ``folder``: for children that are killed."""

    def open_engine(self, folder: Path) -> QueryEngine:
        raise NotImplementedError

    LARGE = 20_000_000
    """Rows of an answer that is too large for the memory that reading it may take."""
    MISMATCHED = "SELECT upper(n) FROM {relation}"
    """A function of a value of a type that it does not take."""
    FORBIDDEN: tuple[str, ...] = ()
    """Statements that reach for files, extensions or settings."""

    def numbers(self, count: int) -> str:
        """A relation with ``n`` from 0."""
        return f"numbers_{count}"

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        made = tmp_path / "tables"
        made.mkdir()
        return made

    @pytest.fixture
    def engine(self, folder: Path) -> Iterator[QueryEngine]:
        made = self.open_engine(folder)
        yield made
        made.close()

    @pytest.fixture
    def session(self, engine: QueryEngine) -> Iterator[Session]:
        made = engine.session()
        yield made
        made.close()

    @staticmethod
    def rows(session: Session, sql: str, parameters: Any = ()) -> list[tuple[Any, ...]]:
        return [tuple(row.values()) for row in session.query(sql, parameters).table().to_pylist()]

    def child(self, folder: Path, code: str) -> subprocess.Popen[str]:
        """A process with ``engine`` and ``session`` on the folder that runs the code and prints when it is there."""
        source = (
            f"from pathlib import Path\nimport os, sys, time\nfolder = Path({str(folder)!r})\n{self.opening}\n"
            f"session = engine.session()\n{textwrap.dedent(code)}\nprint('there', flush=True)\nsys.stdin.read()\n"
        )
        return subprocess.Popen(
            [sys.executable, "-c", source], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip

    def killed(self, folder: Path, code: str) -> None:
        """Run the code in a child and kill it with -9 where it stands."""
        process = self.child(folder, code)
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n"
        process.send_signal(signal.SIGKILL)
        process.wait(LONG)
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()

    # -- tables

    def test_a_table_is_made_filled_read_and_dropped(self, engine: QueryEngine, session: Session) -> None:
        session.create(P, "t_a1", FIELDS)
        batch = pa.RecordBatch.from_pylist([{"n": 1, "s": "x"}, {"n": 2, "s": None}], schema=arrow_schema(FIELDS))
        assert session.append(P, "t_a1", batch.schema, iter([batch])) == 2
        assert self.rows(session, f"SELECT * FROM {engine.relation(P, 't_a1')} ORDER BY n") == [(1, "x"), (2, None)]
        assert engine.fields(P, "t_a1") == FIELDS
        assert engine.tables(P) == {"t_a1"}
        assert engine.projects() == {P}
        session.drop(P, "t_a1")
        session.drop(P, "t_a1")
        assert engine.tables(P) == set()

    def test_a_scan_keeps_the_order_in_which_rows_were_stored(self, engine: QueryEngine, session: Session) -> None:
        if not engine.capabilities.ordered:
            pytest.skip("not declared")
        session.create(P, "t_a1", FIELDS)

        def scan(**part: Any) -> list[int]:
            with session.transaction():
                return [int(n) for n in session.scan(P, "t_a1", ["n"], **part).table().column("n").to_pylist()]

        def add(first: int, last: int) -> None:
            batch = pa.RecordBatch.from_pydict({"n": list(range(first, last))})
            session.append(P, "t_a1", batch.schema, iter([batch]))

        assert scan() == scan(start=5) == []
        add(0, 100_000)
        add(100_000, 300_000)
        assert scan() == list(range(300_000))
        assert scan(count=3) == [0, 1, 2]
        assert scan(start=99_998, count=4) == [99_998, 99_999, 100_000, 100_001]
        assert scan(start=299_999) == scan(start=299_999, count=7) == [299_999]
        assert scan(start=300_000, count=1) == scan(count=0) == []
        session.execute(f"DELETE FROM {engine.relation(P, 't_a1')} WHERE n % 3 = 0")
        # A change may put the rows that are left in another order, which then stays.
        left = scan()
        assert sorted(left) == [n for n in range(300_000) if n % 3]
        assert scan(start=120_000, count=70_000) == left[120_000:190_000]
        add(300_000, 300_002)
        assert scan(start=199_999) == [left[-1], 300_000, 300_001]
        assert session.scan(P, "t_a1").schema.names == ["n", "s"]

    def test_a_scan_gives_parts_that_make_the_whole(self, engine: QueryEngine, session: Session) -> None:
        session.create(P, "t_a1", FIELDS)
        batch = pa.RecordBatch.from_pydict({"n": list(range(100)), "s": ["x"] * 100})
        session.append(P, "t_a1", batch.schema, iter([batch]))
        parts = [session.scan(P, "t_a1", ["n"], start=at, count=30).table() for at in (0, 30, 60, 90)]
        assert [each.num_rows for each in parts] == [30, 30, 30, 10]
        assert sorted(n for each in parts for n in each.column("n").to_pylist()) == list(range(100))

    def test_rows_are_added_by_the_names_of_columns(self, engine: QueryEngine, session: Session) -> None:
        session.create(P, "t_a1", FIELDS)
        batch = pa.RecordBatch.from_pydict({"s": ["x"]})
        session.append(P, "t_a1", batch.schema, iter([batch]))
        assert self.rows(session, f"SELECT n, s FROM {engine.relation(P, 't_a1')}") == [(None, "x")]

    def test_a_query_becomes_a_table_with_the_types_of_its_columns(self, engine: QueryEngine, session: Session) -> None:
        assert session.create_as(P, "t_a1", "SELECT 1 AS a, 'x' AS b, [1, 2] AS c, {'d': TRUE} AS e") == 1
        assert engine.fields(P, "t_a1") == [
            Field("a", "INT64"), Field("b", "STRING"), Field("c", "INT64", "REPEATED"),
            Field("e", "STRUCT", fields=(Field("d", "BOOL"),)),
        ]  # fmt: skip

    def test_every_type_comes_back_as_it_went_in(self, engine: QueryEngine, session: Session) -> None:
        fields = [
            Field("i", "INT64"), Field("f", "FLOAT64"), Field("d", "NUMERIC"), Field("b", "BOOL"), Field("s", "STRING"),
            Field("y", "BYTES"), Field("day", "DATE"), Field("wall", "DATETIME"), Field("moment", "TIMESTAMP"),
            Field("j", "JSON"), Field("a", "STRING", "REPEATED"), Field("r", "STRUCT", fields=(Field("x", "INT64"),)),
        ]  # fmt: skip
        fields = [each for each in fields if each.type in engine.capabilities.types]
        whole = {
            "i": -(2**63), "f": float("inf"), "d": Decimal("12345678901234567890123456789.123456789"), "b": False,
            "s": "ä'\"\\\n\0"[:5], "y": b"\x00\xff", "day": date(9999, 12, 31), "wall": datetime(1, 1, 1, 0, 0, 0, 1),
            "moment": datetime(2020, 1, 1, 12, tzinfo=UTC), "j": '{"a":1}', "a": ["", "x"], "r": {"x": 1},
        }  # fmt: skip
        row = {each.name: whole[each.name] for each in fields}
        session.create(P, "t_a1", fields)
        batch = pa.RecordBatch.from_pylist([row, dict.fromkeys(row)], schema=arrow_schema(fields))
        session.append(P, "t_a1", batch.schema, iter([batch]))
        found = session.query(f"SELECT * FROM {engine.relation(P, 't_a1')}").table()
        assert found.schema.equals(arrow_schema(fields), check_metadata=True)
        first, empty = found.to_pylist()
        assert first == row
        # Where an array cannot be NULL, it is empty.
        assert {**empty, "a": empty["a"] or None} == dict.fromkeys(row)

    def test_statistics_count_bytes_as_bigquery_does(self, engine: QueryEngine, session: Session) -> None:
        session.create(P, "t_a1", FIELDS)
        batch = pa.RecordBatch.from_pylist([{"n": 1, "s": "abc"}, {"n": 2, "s": ""}], schema=arrow_schema(FIELDS))
        session.append(P, "t_a1", batch.schema, iter([batch]))
        assert engine.statistics(P, "t_a1") == (2, 2 * 8 + 3 + 2 + 0 + 2)

    def test_names_of_tables_come_from_nobody_else(self, engine: QueryEngine, session: Session) -> None:
        for name in ("people", 't_a"; DROP TABLE x', "../t_a1", ""):
            with pytest.raises(TuleError):
                engine.relation(P, name)
            with pytest.raises(TuleError):
                session.create(P, name, FIELDS)
        assert engine.tables(P) == set()

    def test_projects_are_told_apart_whatever_their_names(self, engine: QueryEngine, session: Session) -> None:
        for number, project in enumerate(("a-project", "A.project", "example.com:project")):
            session.create_as(project, "t_a1", f"SELECT {number} AS n")
        assert self.rows(session, f"SELECT n FROM {engine.relation('A.project', 't_a1')}") == [(1,)]
        assert engine.projects() == {"a-project", "A.project", "example.com:project"}

    def test_a_required_column_takes_no_null(self, engine: QueryEngine, session: Session) -> None:
        session.create(P, "t_a1", [Field("n", "INT64", "REQUIRED")])
        batch = pa.RecordBatch.from_pydict({"n": pa.array([1, None], pa.int64())})
        with pytest.raises(InvalidArgument, match="Required field n cannot be null"):
            session.append(P, "t_a1", batch.schema, iter([batch]))
        assert self.rows(session, f"SELECT count(*) FROM {engine.relation(P, 't_a1')}") == [(0,)]

    def test_an_error_in_making_rows_comes_out_as_itself(self, engine: QueryEngine, session: Session) -> None:
        def batches() -> Iterator[pa.RecordBatch]:
            yield pa.RecordBatch.from_pylist([{"n": 1, "s": "x"}], schema=arrow_schema(FIELDS))
            raise FailedPrecondition("The source must be there")

        session.create(P, "t_a1", FIELDS)
        with pytest.raises(FailedPrecondition, match="The source must be there"):
            session.append(P, "t_a1", arrow_schema(FIELDS), batches())
        assert self.rows(session, f"SELECT count(*) FROM {engine.relation(P, 't_a1')}") == [(0,)]

    # -- queries

    def test_parameters_are_bound_and_never_spliced(self, session: Session) -> None:
        evil = "x'); DROP TABLE y; --"
        assert self.rows(session, "SELECT $a AS v, $b AS w", {"a": evil, "b": 7}) == [(evil, 7)]
        assert self.rows(session, "SELECT ? AS v, ? AS w", [evil, [1, 2]]) == [(evil, [1, 2])]

    def test_the_schema_of_a_query_is_known_without_running_it(self, session: Session) -> None:
        endless = f"SELECT n, n / 2 AS half FROM {self.numbers(10**12)}"
        assert session.schema(endless).names == ["n", "half"]

    def test_rows_come_in_the_order_of_the_query(self, session: Session) -> None:
        found = self.rows(session, f"SELECT n FROM {self.numbers(300_000)} ORDER BY n % 1000, n DESC")
        assert found == [(n,) for n in sorted(range(300_000), key=lambda n: (n % 1000, -n))]

    def test_the_time_zone_is_utc_wherever_the_machine_stands(self, folder: Path, monkeypatch: Any) -> None:
        monkeypatch.setenv("TZ", "Asia/Tokyo")
        self.killed(
            folder,
            """
            session.create_as("p", "t_a1", "SELECT CAST(TIMESTAMPTZ '2020-01-01 23:00:00+00' AS DATE) AS d")
            """,
        )
        engine = self.open_engine(folder)
        session = engine.session()
        assert self.rows(session, f"SELECT d FROM {engine.relation('p', 't_a1')}") == [(date(2020, 1, 1),)]
        session.close()
        engine.close()

    def test_nulls_are_small(self, session: Session) -> None:
        values = "(SELECT 2 AS x UNION ALL SELECT NULL UNION ALL SELECT 1)"
        assert self.rows(session, f"SELECT x FROM {values} ORDER BY x") == [(None,), (1,), (2,)]
        assert self.rows(session, f"SELECT x FROM {values} ORDER BY x DESC") == [(2,), (1,), (None,)]

    def test_a_large_result_is_read_in_constant_memory(self, session: Session) -> None:
        result = session.query(f"SELECT n, repeat('x', 100) AS s FROM {self.numbers(self.LARGE)}")
        next(result.batches)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        rows = sum(batch.num_rows for _, batch in zip(range(60), result.batches, strict=False))
        assert rows > self.LARGE // 20
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024

    def test_a_result_that_is_left_unread_is_in_nobodys_way(self, session: Session) -> None:
        result = session.query(f"SELECT n FROM {self.numbers(1_000_000)}")
        next(result.batches)
        assert self.rows(session, "SELECT 1 AS n") == [(1,)]

    # -- temporary tables and functions

    def test_temporary_tables_are_seen_by_their_session_alone(self, engine: QueryEngine, session: Session) -> None:
        batch = pa.RecordBatch.from_pylist([{"n": 1, "s": "x"}], schema=arrow_schema(FIELDS))
        own = session.temporary(batch.schema, iter([batch]))
        made = session.temporary_as(f"SELECT n + 1 AS n FROM {own}")
        assert self.rows(session, f"SELECT n FROM {made}") == [(2,)]
        assert engine.tables(P) == set()
        other = engine.session()
        for relation in (own, made):
            with pytest.raises(InvalidArgument):
                other.query(f"SELECT * FROM {relation}")
        other.close()

    def test_temporary_tables_vanish_with_their_session(self, engine: QueryEngine) -> None:
        session = engine.session()
        relation = session.temporary_as("SELECT 1 AS n")
        session.close()
        session.close()
        again = engine.session()
        with pytest.raises(InvalidArgument):
            again.query(f"SELECT * FROM {relation}")
        again.close()

    def test_a_stream_is_made_anew_for_each_reading(self, session: Session) -> None:
        fields = [Field("n", "INT64"), Field("d", "DATE"), Field("j", "JSON"), Field("a", "STRING", "REPEATED")]
        scans = []

        def batches() -> Iterator[pa.RecordBatch]:
            scans.append(len(scans))
            for n in (1, 2):
                row = {"n": n, "d": date(2026, 1, n), "j": '{"a":1}', "a": ["x"]}
                yield pa.RecordBatch.from_pylist([row], schema=arrow_schema(fields))

        stream = session.stream(arrow_schema(fields), batches)
        assert [each.type for each in fields_of(session.schema(f"SELECT * FROM {stream}"))] == [
            each.type for each in fields
        ]
        assert scans == []
        assert self.rows(session, f"SELECT n, d FROM {stream} ORDER BY n") == [
            (1, date(2026, 1, 1)),
            (2, date(2026, 1, 2)),
        ]
        assert self.rows(session, f"SELECT count(*) FROM {stream} x, {stream} y") == [(4,)]
        # For a statement anew: at least once, once a mention where nothing is kept.
        assert scans in ([0, 1], [0, 1, 2])

    def test_an_error_in_a_stream_comes_out_as_itself(self, session: Session) -> None:
        def batches() -> Iterator[pa.RecordBatch]:
            yield pa.RecordBatch.from_pylist([{"n": 1}], schema=pa.schema([("n", pa.int64())]))
            raise FailedPrecondition("The file must be there")

        stream = session.stream(pa.schema([("n", pa.int64())]), batches)
        for _ in range(2):
            with pytest.raises(FailedPrecondition, match="The file must be there"):
                session.query(f"SELECT sum(n) FROM {stream}").table()
        assert self.rows(session, "SELECT 1 AS n") == [(1,)]

    def test_a_stream_vanishes_with_its_session(self, engine: QueryEngine) -> None:
        session = engine.session()
        stream = session.stream(pa.schema([("n", pa.int64())]), lambda: iter(()))
        assert session.query(f"SELECT n FROM {stream}").table().num_rows == 0
        session.close()
        again = engine.session()
        with pytest.raises(InvalidArgument):
            again.query(f"SELECT * FROM {stream}")
        again.close()

    def test_a_function_of_rows_is_called_with_arrow_and_its_errors_come_out(
        self, engine: QueryEngine, session: Session
    ) -> None:
        def doubled(batch: pa.RecordBatch) -> pa.RecordBatch:
            values = batch.column("n").to_pylist()
            if None in values:
                raise FailedPrecondition("A row must have a number")
            return pa.RecordBatch.from_pydict({"twice": pa.array([2 * each for each in values], pa.int64())})

        if not engine.capabilities.functions:
            with pytest.raises(Unimplemented, match="Functions that the server computes"):
                session.function([Field("n", "INT64")], [Field("twice", "INT64")], doubled)
            return
        name = session.function([Field("n", "INT64")], [Field("twice", "INT64")], doubled)
        sql = f"SELECT {name}({{'n': n}}).twice AS t FROM (SELECT $a AS n UNION ALL SELECT $b) AS v ORDER BY t"
        assert self.rows(session, sql, {"a": 1, "b": 2}) == [(2,), (4,)]
        with pytest.raises(FailedPrecondition, match="A row must have a number"):
            session.query(sql, {"a": 1, "b": None}).table()

    def test_a_pure_function_of_rows_may_order_a_window(self, engine: QueryEngine, session: Session) -> None:
        def negated(batch: pa.RecordBatch) -> pa.RecordBatch:
            return pa.RecordBatch.from_pydict({"minus": pa.array([-each for each in batch.column("n").to_pylist()])})

        if not engine.capabilities.functions:
            pytest.skip("not declared")
        name = session.function([Field("n", "INT64")], [Field("minus", "INT64")], negated, pure=True)
        sql = f"SELECT n, row_number() OVER (ORDER BY {name}({{'n': n}}).minus) AS place FROM {self.numbers(4)} ORDER BY n"
        assert self.rows(session, sql) == [(0, 4), (1, 3), (2, 2), (3, 1)]

    def test_an_interrupt_stops_a_function_of_rows(self, engine: QueryEngine, session: Session) -> None:
        inside, stopped = threading.Event(), threading.Event()

        def waiting(batch: pa.RecordBatch) -> pa.RecordBatch:
            inside.set()
            assert stopped.wait(LONG)
            raise Cancelled("The function was stopped")

        if not engine.capabilities.functions:
            pytest.skip("not declared")
        name = session.function([Field("n", "INT64")], [Field("m", "INT64")], waiting, stopped.set)

        def interrupt() -> None:
            assert inside.wait(LONG)
            session.interrupt()

        thread = threading.Thread(target=interrupt)
        thread.start()
        with pytest.raises(Cancelled):
            session.query(f"SELECT {name}({{'n': n}}).m FROM {self.numbers(3)}").table()
        thread.join(LONG)

    # -- threads and interruption

    def test_sessions_work_on_several_threads_at_once(self, engine: QueryEngine) -> None:
        meeting = threading.Barrier(4, timeout=LONG)

        def work(number: int) -> list[tuple[Any, ...]]:
            session = engine.session()
            try:
                meeting.wait()
                session.create_as(P, f"t_a{number}", f"SELECT n FROM {self.numbers(1000)} WHERE n % 4 = {number}")
                return self.rows(session, f"SELECT count(*) FROM {engine.relation(P, f't_a{number}')}")
            finally:
                session.close()

        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(work, range(4))) == [[(250,)]] * 4

    def test_an_interrupt_from_another_thread_cancels_the_statement(self, session: Session) -> None:
        stop = threading.Event()

        def interrupt() -> None:
            # The statement may not have begun yet: once more until it is over.
            while not stop.wait(0.05):
                session.interrupt()

        thread = threading.Thread(target=interrupt)
        thread.start()
        try:
            with pytest.raises(Cancelled):
                session.query(
                    f"SELECT sum(a.n * b.n) FROM {self.numbers(10**7)} AS a, {self.numbers(10**6)} AS b"
                ).table()
        finally:
            stop.set()
            thread.join(LONG)
        assert self.rows(session, "SELECT 1 AS n") == [(1,)]

    # -- transactions

    def test_a_transaction_appears_as_a_whole(self, engine: QueryEngine, session: Session) -> None:
        session.create_as(P, "t_a1", "SELECT 1 AS n")
        relation = engine.relation(P, "t_a1")
        other = engine.session()
        with session.transaction():
            assert session.execute(f"INSERT INTO {relation} VALUES (2), (3)") == 2
            session.create_as(P, "t_a2", "SELECT 1 AS n")
            assert self.rows(session, f"SELECT count(*) FROM {relation}") == [(3,)]
            assert self.rows(other, f"SELECT count(*) FROM {relation}") == [(1,)]
            assert engine.tables(P) == {"t_a1"}
        assert self.rows(other, f"SELECT count(*) FROM {relation}") == [(3,)]
        assert engine.tables(P) == {"t_a1", "t_a2"}
        other.close()

    def test_a_transaction_that_fails_leaves_nothing(self, engine: QueryEngine, session: Session) -> None:
        session.create_as(P, "t_a1", "SELECT 1 AS n")
        relation = engine.relation(P, "t_a1")
        with pytest.raises(InvalidArgument), session.transaction():
            session.execute(f"DELETE FROM {relation} WHERE TRUE")
            session.mark(P, "job", "note")
            session.execute(f"INSERT INTO {relation} SELECT CAST('x' AS BIGINT)")
        assert self.rows(session, f"SELECT n FROM {relation}") == [(1,)]
        assert engine.marked(P, "job") is None

    def test_a_transaction_goes_with_any_error_of_its_block(self, engine: QueryEngine, session: Session) -> None:
        with pytest.raises(ZeroDivisionError), session.transaction():
            session.create_as(P, "t_a1", "SELECT 1 AS n")
            _ = 1 / 0
        assert engine.tables(P) == set()

    def test_reads_of_a_transaction_see_one_snapshot(self, engine: QueryEngine, session: Session) -> None:
        session.create_as(P, "t_a1", "SELECT 1 AS n")
        relation = engine.relation(P, "t_a1")
        other = engine.session()
        with session.transaction():
            session.pin(P)
            other.execute(f"INSERT INTO {relation} VALUES (2)")
            assert self.rows(session, f"SELECT count(*) FROM {relation}") == [(1,)]
        assert self.rows(session, f"SELECT count(*) FROM {relation}") == [(2,)]
        other.close()

    def test_a_transaction_sees_its_own_numbers(self, engine: QueryEngine, session: Session) -> None:
        session.create_as(P, "t_a1", "SELECT 1 AS n")
        with session.transaction():
            session.execute(f"INSERT INTO {engine.relation(P, 't_a1')} VALUES (2), (3)")
            assert session.statistics(P, "t_a1") == (3, 24)
            assert engine.statistics(P, "t_a1") == (1, 8)
        assert engine.statistics(P, "t_a1") == (3, 24)

    def test_a_handled_error_aborts_a_transaction_all_the_same(self, engine: QueryEngine, session: Session) -> None:
        session.create_as(P, "t_a1", "SELECT 1 AS n")
        with pytest.raises(Aborted), session.transaction():
            session.execute(f"INSERT INTO {engine.relation(P, 't_a1')} VALUES (2)")
            assert not session.aborted
            with pytest.raises(InvalidArgument):
                session.query("SELECT CAST('x' AS BIGINT)").table()
            assert session.aborted
        assert not session.aborted
        assert self.rows(session, f"SELECT n FROM {engine.relation(P, 't_a1')}") == [(1,)]

    def test_a_change_that_lost_against_another_is_aborted(self, engine: QueryEngine, session: Session) -> None:
        session.create_as(P, "t_a1", "SELECT 1 AS n")
        relation = engine.relation(P, "t_a1")
        other = engine.session()
        with pytest.raises(Aborted), session.transaction():
            session.execute(f"UPDATE {relation} SET n = 2 WHERE TRUE")
            with other.transaction():
                other.execute(f"UPDATE {relation} SET n = 3 WHERE TRUE")
        other.close()
        assert self.rows(session, f"SELECT n FROM {relation}") in ([(1,)], [(3,)])

    # -- marks and crashes

    def test_marks_tell_what_was_committed(self, engine: QueryEngine, session: Session) -> None:
        with session.transaction():
            session.mark(P, "job-1", "first")
            session.mark(P, "job-1", "second")
            assert engine.marked(P, "job-1") is None
        session.mark(P, "job-2", "ä'\"")
        assert engine.marked(P, "job-1") == "second"
        assert engine.marks(P) == {"job-1", "job-2"}
        engine.forget(P, ["job-1", "nothing"])
        assert engine.marked(P, "job-1") is None
        assert engine.marked(P, "job-2") == "ä'\""

    def test_a_note_has_at_most_64_kib(self, engine: QueryEngine, session: Session) -> None:
        session.mark(P, "job", "x" * 64 * 1024)
        with pytest.raises(InvalidArgument, match="64 KiB"):
            session.mark(P, "job", "x" * (64 * 1024 + 1))
        assert len(engine.marked(P, "job") or "") == 64 * 1024

    def test_what_was_committed_survives_kill_9(self, folder: Path) -> None:
        self.killed(
            folder,
            """
            session.create_as("p", "t_a1", "SELECT 1 AS n")
            with session.transaction():
                session.execute(f"INSERT INTO {engine.relation('p', 't_a1')} VALUES (2)")
                session.mark("p", "job", "note")
            """,
        )
        engine = self.open_engine(folder)
        session = engine.session()
        assert engine.projects() == {"p"}
        assert engine.marked("p", "job") == "note"
        assert self.rows(session, f"SELECT n FROM {engine.relation('p', 't_a1')} ORDER BY n") == [(1,), (2,)]
        session.close()
        engine.close()

    def test_what_was_not_committed_is_gone_after_kill_9(self, folder: Path) -> None:
        self.killed(
            folder,
            """
            session.create_as("p", "t_a1", "SELECT 1 AS n")
            engine.checkpoint()
            block = session.transaction()
            block.__enter__()
            session.execute(f"DELETE FROM {engine.relation('p', 't_a1')} WHERE TRUE")
            session.create_as("p", "t_a2", "SELECT 1 AS n")
            session.mark("p", "job", "note")
            """,
        )
        engine = self.open_engine(folder)
        session = engine.session()
        assert engine.tables("p") == {"t_a1"}
        assert engine.marked("p", "job") is None
        assert self.rows(session, f"SELECT n FROM {engine.relation('p', 't_a1')}") == [(1,)]
        session.close()
        engine.close()

    def test_tables_are_there_when_the_engine_is_opened_again(self, folder: Path) -> None:
        engine = self.open_engine(folder)
        session = engine.session()
        session.create_as(P, "t_a1", "SELECT 1 AS n")
        session.close()
        engine.close()
        engine.close()
        again = self.open_engine(folder)
        assert again.tables(P) == {"t_a1"}
        assert again.statistics(P, "t_a1") == (1, 8)
        again.close()

    # -- errors

    @pytest.mark.parametrize(
        ("sql", "words"),
        [
            ("SELECT CAST('x' AS BIGINT)", "x"),
            ("SELECT 9223372036854775807 + n FROM (SELECT CAST(1 AS BIGINT) AS n)", "int64 overflow"),
            ("SELECT n // 0 FROM (SELECT CAST(1 AS BIGINT) AS n)", "division by zero"),
            ("SELECT 1.5e0 / n FROM (SELECT 0e0 AS n)", "division by zero"),
            ("SELECT nothing FROM {relation}", "Unrecognized name: nothing"),
            ("SELECT n, count(*) FROM {relation}", "neither grouped nor aggregated"),
            ("SELECT (SELECT 1 AS n UNION ALL SELECT 2) AS n", "Scalar subquery produced more than one element"),
            ("SELECT nothing(1)", "Function not found: NOTHING"),
            ("SELECT * FROM missing_table", ""),
            ("SELEC 1", ""),
            ("{mismatched}", "No matching signature for"),
        ],
        ids=["cast", "overflow", "division", "float division", "name", "group", "scalar", "function", "table", "syntax",
             "signature"],
    )  # fmt: skip
    def test_wrong_sql_is_told_in_bigquerys_words(
        self, engine: QueryEngine, session: Session, sql: str, words: str
    ) -> None:
        session.create_as(P, "t_0123456789abcdef", "SELECT 1 AS n")
        relation = engine.relation(P, "t_0123456789abcdef")
        with pytest.raises(InvalidArgument) as caught:
            session.query(sql.format(relation=relation, mismatched=self.MISMATCHED.format(relation=relation))).table()
        message = caught.value.message
        assert words in message
        assert caught.value.reason == "invalidQuery"
        for leak in (*relation.split("."), "duckdb", "DuckDB", "Candidate", "LINE 1", "TRY", "HINT"):
            assert leak not in message.replace("main", "") or leak == "main"

    def test_a_session_goes_on_after_an_error(self, session: Session) -> None:
        with pytest.raises(InvalidArgument):
            session.query("SELECT CAST('x' AS BIGINT)").table()
        assert self.rows(session, "SELECT 1 AS n") == [(1,)]

    # -- what SQL cannot do

    def test_sql_reaches_no_files_extensions_or_settings(
        self, engine: QueryEngine, session: Session, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        if not engine.capabilities.closed:
            pytest.skip("not declared: the rules of the dialect see to it")
        outside = tmp_path_factory.mktemp("outside")
        for statement in self.FORBIDDEN:
            with pytest.raises(TuleError):
                session.query(statement.format(outside=outside)).table()
            assert list(outside.iterdir()) == []
        assert self.rows(session, "SELECT current_setting('TimeZone')") == [("UTC",)]
