"""``tule sql`` with a query: rows, words about them, exit codes, long results, scripts, interruption."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import httpx
import pytest

from tule.kernel.clock import RealClock
from tule.testing.process import ServerProcess

pytestmark = pytest.mark.clients
Command = Callable[..., CompletedProcess[str]]

ENDLESS = "SELECT MAX(MOD(a * b, 7)) FROM UNNEST(GENERATE_ARRAY(1, 1000000)) a, UNNEST(GENERATE_ARRAY(1, 1000000)) b"


@pytest.fixture
def sql(command: Command, server: ServerProcess) -> Command:
    return lambda *arguments, **more: command("sql", *arguments, home=server.home, **more)


def test_rows_go_to_standard_output_and_words_about_them_to_standard_error(sql: Command) -> None:
    done = sql("SELECT 1 AS n, 'owl' AS bird UNION ALL SELECT 20, NULL ORDER BY n")
    assert (done.returncode, done.stdout) == (0, " n  bird\n──  ────\n 1  owl\n20  NULL\n")
    assert done.stderr.startswith("2 rows in ")


def test_every_type_as_json(sql: Command) -> None:
    done = sql(
        "--format", "json",
        """SELECT 1 AS i, 0.5 AS f, NUMERIC '1.25' AS n, TRUE AS b, 'x' AS s, b'abc' AS y, DATE '2024-02-29' AS d,
           TIMESTAMP '2024-02-29 12:30:00+00' AS t, [STRUCT('a' AS label, 0.25 AS prob)] AS probs, NULL AS z""",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [
        {
            "i": 1, "f": 0.5, "n": 1.25, "b": True, "s": "x", "y": "YWJj", "d": "2024-02-29", "t": "2024-02-29T12:30:00Z",
            "probs": [{"label": "a", "prob": 0.25}], "z": None,
        }
    ]  # fmt: skip


def test_a_long_result_comes_whole_and_a_table_says_what_it_leaves_out(sql: Command) -> None:
    numbers = "SELECT n, REPEAT('x', 20) AS pad FROM UNNEST(GENERATE_ARRAY(1, 45000)) AS n ORDER BY n"
    done = sql("--format", "csv", numbers)
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [int(row["n"]) for row in rows] == list(range(1, 45001))
    assert done.stderr.startswith("45,000 rows in ")
    read = sql(numbers)
    assert len(read.stdout.splitlines()) == 102
    assert read.stderr.startswith("100 of 45,000 rows in ") and read.stderr.endswith("--rows 0 shows all\n")
    assert len(sql("--rows", "20001", numbers).stdout.splitlines()) == 20003
    few = sql("--format", "json", "--rows", "2", numbers)
    assert [row["n"] for row in json.loads(few.stdout)] == [1, 2] and few.stderr.startswith("2 of 45,000 rows")


def test_the_statements_of_a_file_are_told_of_one_by_one(sql: Command, tmp_path: Path) -> None:
    path = tmp_path / "zoo.sql"
    path.write_text("""
        -- a zoo
        CREATE SCHEMA cli_zoo;
        CREATE TABLE cli_zoo.birds AS SELECT 'owl' AS name, 2 AS legs UNION ALL SELECT 'emu; or so', 2;
        INSERT INTO cli_zoo.birds VALUES ('kiwi', 2);
        UPDATE cli_zoo.birds SET legs = 1 WHERE name = 'kiwi';
        SELECT name FROM cli_zoo.birds ORDER BY name;
        CREATE VIEW cli_zoo.names AS SELECT name FROM cli_zoo.birds;
        DROP TABLE IF EXISTS cli_zoo.fish;
        SELECT COUNT(*) AS birds FROM cli_zoo.names;
        DROP SCHEMA cli_zoo CASCADE
    """)
    done = sql("-f", str(path))
    assert done.returncode == 0, done.stderr
    assert done.stdout == "name\n──────────\nemu; or so\nkiwi\nowl\nbirds\n─────\n    3\n"
    assert [line.rpartition(" in ")[0] for line in done.stderr.splitlines()] == [
        "Created dataset cli_zoo",
        "Created table cli_zoo.birds with 2 rows",
        "1 row inserted",
        "1 row updated",
        "3 rows",
        "Created view cli_zoo.names",
        "Nothing to do for table cli_zoo.fish",
        "1 row",
        "Dropped dataset cli_zoo",
    ]
    piped = sql("--format", "csv", stdin="SELECT 1 AS one")
    assert piped.stdout == "one\n1\n"


def test_a_query_that_is_wrong_ends_with_1_and_points_at_the_place(sql: Command) -> None:
    done = sql("SELECT 1;\nSELEC 2")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == ('Error: Syntax error: Unexpected identifier "SELEC" at [2:1]\n   2 | SELEC 2\n       ^\n')
    done = sql("SELECT 'é' AS e,\n       nonsense FROM (SELECT 1 AS x)")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: Unrecognized name: nonsense")
    assert done.stderr.endswith("\n   2 |        nonsense FROM (SELECT 1 AS x)\n              ^\n")
    missing = sql("SELECT * FROM nowhere.nothing")
    assert missing.returncode == 1 and "Not found: Dataset test-project:nowhere" in missing.stderr


def test_a_script_that_fails_shows_what_was_done_before(sql: Command) -> None:
    done = sql("SELECT 1 AS one; SELECT 1 / 0; SELECT 3 AS three")
    assert (done.returncode, done.stdout) == (1, "one\n───\n  1\n")
    assert done.stderr.startswith("1 row in ")
    assert done.stderr.splitlines()[1:] == [
        "Error: Query error: division by zero: 1 / 0 at [1:18]",
        "   1 | SELECT 1 AS one; SELECT 1 / 0; SELECT 3 AS three",
        "                        ^",
    ]


def test_a_script_with_a_loop_shows_each_turn(sql: Command) -> None:
    done = sql(
        "--format", "csv", "DECLARE n INT64 DEFAULT 2; WHILE n > 0 DO SELECT n; SET n = n - 1; END WHILE; SELECT 'done' AS x"
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "n\n2\nn\n1\nx\ndone\n"), done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--format", "xml", "SELECT 1"), "tule: --format must be one of table, json, csv; given: xml"),
        (
            ("-f", "no-such-file.sql"),
            "tule: --file must be a file to read; given: no-such-file.sql (No such file or dir",
        ),
        (("SELECT 1", "-f", "x.sql"), "tule: sql takes a query or --file; given: both"),
        (("  -- nothing\n;",), "tule: sql needs a statement; given: none"),
        ((), "tule: sql needs a statement; given: none"),
        (("--rows", "-1", "SELECT 1"), "--rows"),
    ],
    ids=["format", "no file", "both", "comment", "empty", "rows"],
)
def test_wrong_usage_ends_with_2(sql: Command, arguments: tuple[str, ...], message: str) -> None:
    done = sql(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr and "Traceback" not in done.stderr


def test_a_text_that_is_none_is_refused(sql: Command, tmp_path: Path) -> None:
    (tmp_path / "x.sql").write_bytes(b"SELECT '\xff'")
    done = sql("-f", str(tmp_path / "x.sql"))
    assert done.returncode == 2 and "must be text in UTF-8; given: " in done.stderr


def test_it_starts_a_server_where_none_runs(command: Command, tmp_path: Path) -> None:
    home = tmp_path / "home"
    done = command("sql", "--project", "zoo", "--format", "csv", "CREATE SCHEMA pens; SELECT 1 AS x", home=home)
    assert (done.returncode, done.stdout) == (0, "x\n1\n"), done.stderr
    assert command("status", home=home).returncode == 3
    missing = command("sql", "--project", "park", "DROP SCHEMA pens", home=home)
    assert missing.returncode == 1 and "Not found: Dataset park:pens" in missing.stderr


def test_a_closed_pipe_ends_it_quietly(server: ServerProcess) -> None:
    long = "SELECT n FROM UNNEST(GENERATE_ARRAY(1, 500000)) AS n"
    with subprocess.Popen(
        [sys.executable, "-m", "tule.cli", "sql", "--format", "csv", "--home", str(server.home), long],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == "n\n"
        process.stdout.close()
        assert "Traceback" not in process.stderr.read()
    assert process.returncode == 1


def jobs_that_run(server: ServerProcess) -> list[dict[str, Any]]:
    answer = httpx.get(
        f"{server.url}/bigquery/v2/projects/{server.project}/jobs?stateFilter=running", headers=server.headers
    )
    found: list[dict[str, Any]] = answer.json()["jobs"]
    return found


def until_none_runs(server: ServerProcess) -> None:
    clock = RealClock()
    deadline = clock.monotonic() + 60
    while jobs_that_run(server):
        assert clock.monotonic() < deadline, "the job goes on"
        clock.sleep(0.05)


def test_ctrl_c_cancels_the_job(server: ServerProcess, terminal: Callable[..., Any]) -> None:
    shown = terminal("sql", ENDLESS, home=server.home)
    shown.expect(r"running .*Ctrl-C cancels")
    assert len(jobs_that_run(server)) == 1
    shown.type("\x03")
    shown.expect("Cancelled")
    assert shown.exit_code() == 130
    until_none_runs(server)


def test_an_interrupt_without_a_terminal_cancels_too(server: ServerProcess) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "tule.cli", "sql", "--home", str(server.home), ENDLESS],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    clock = RealClock()
    deadline = clock.monotonic() + 60
    while not jobs_that_run(server):
        assert clock.monotonic() < deadline and process.poll() is None
        clock.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "Cancelled\n")
    until_none_runs(server)
