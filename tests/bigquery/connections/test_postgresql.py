"""EXTERNAL_QUERY on a real PostgreSQL server: types, streams, errors and cancels."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from tests.bigquery.conftest import PROJECT
from tests.bigquery.connections.conftest import CONNECTIONS, PASSWORD, POSTGRES, connect, connection

if TYPE_CHECKING:
    from tests.bigquery.conftest import BigQueryApi
    from tests.bigquery.connections.conftest import DatabaseServer

DATABASES = ("postgres",)


@pytest.fixture(scope="module", autouse=True)
def pg(federated: BigQueryApi) -> BigQueryApi:
    connect(federated, "pg", connection("POSTGRES", POSTGRES, "postgres", "postgres"))
    return federated


def test_rows_of_another_database_join_ours(pg: BigQueryApi) -> None:
    pg.query("CREATE TABLE d.names AS SELECT 'Ana' AS customer, 'Lima' AS city")
    sql = (
        "SELECT o.id, n.city, o.total FROM EXTERNAL_QUERY('us.pg', 'SELECT * FROM orders') AS o "
        "LEFT JOIN d.names AS n USING (customer) ORDER BY id"
    )
    assert pg.rows(sql) == [["1", "Lima", "10.5"], ["2", None, "20"], ["3", None, None]]


@pytest.mark.parametrize(
    "written", ["us.pg", "US.pg", f"{PROJECT}.us.pg", f"projects/{PROJECT}/locations/us/connections/pg"]
)
def test_connections_are_written_in_four_ways(pg: BigQueryApi, written: str) -> None:
    assert pg.rows(f"SELECT * FROM EXTERNAL_QUERY('{written}', '''SELECT count(*) AS n FROM orders''')") == [["3"]]


TYPES = [
    ("1::smallint", "INTEGER", "1"),
    ("2::int", "INTEGER", "2"),
    ("(-9223372036854775808)::bigint", "INTEGER", "-9223372036854775808"),
    ("1.5::real", "FLOAT", "1.5"),
    ("'NaN'::float8", "FLOAT", "NaN"),
    ("12.3456789015::numeric", "NUMERIC", "12.345678902"),
    ("true", "BOOLEAN", "true"),
    ("'é'::text", "STRING", "é"),
    ("'ab'::char(4)", "STRING", "ab  "),
    ("'v'::varchar(9)", "STRING", "v"),
    ("'n'::name", "STRING", "n"),
    ("'\\x00ff'::bytea", "BYTES", "AP8="),
    ("B'1010'", "BYTES", "oA=="),
    ("DATE '2026-02-28'", "DATE", "2026-02-28"),
    ("TIME '12:34:56.789'", "TIME", "12:34:56.789000"),
    ("TIMESTAMP '2026-01-02 03:04:05.000006'", "DATETIME", "2026-01-02T03:04:05.000006"),
    ("TIMESTAMPTZ '2026-01-02 03:04:05+02'", "TIMESTAMP", "1767315845.0"),
    ("'{\"a\": 1}'::json", "STRING", '{"a": 1}'),
]


@pytest.mark.parametrize(("value", "kind", "expected"), TYPES, ids=[each[0] for each in TYPES])
def test_types_are_those_of_the_reference(pg: BigQueryApi, value: str, kind: str, expected: str) -> None:
    made = pg.query(f'''SELECT * FROM EXTERNAL_QUERY("us.pg", r"""SELECT {value} AS v, {value} AS n LIMIT 1""")''')
    assert [each["type"] for each in made["schema"]["fields"]] == [kind, kind]
    assert pg.cells(made) == [[expected, expected]]


@pytest.mark.parametrize(
    "value",
    ["'1'::money", "gen_random_uuid()", "'{}'::jsonb", "now()::timetz", "inet '::1'", "interval '1 day'", "point '(1,1)'",
     "ARRAY[1]"],
)  # fmt: skip
def test_types_that_bigquery_does_not_take(pg: BigQueryApi, value: str) -> None:
    error = pg.query_error(f'SELECT * FROM EXTERNAL_QUERY("us.pg", "SELECT {value} AS v")')
    assert "Invalid table-valued function external_query Postgres type (OID = " in error["message"]
    assert "isn't supported now (column v). Next: cast it to text" in error["message"]


@pytest.mark.parametrize(
    ("word", "kind", "expected"),
    [
        ("numeric", "NUMERIC", "0.1"),
        ("bignumeric", "BIGNUMERIC", "0.1"),
        ("float64", "FLOAT", "0.1"),
        ("string", "STRING", "0.10"),
    ],
)
def test_decimals_become_what_the_option_says(pg: BigQueryApi, word: str, kind: str, expected: str) -> None:
    options = f'\'{{"default_type_for_decimal_columns": "{word}"}}\''
    made = pg.query(f"SELECT * FROM EXTERNAL_QUERY('us.pg', 'SELECT 0.10 AS v', {options})")
    assert (made["schema"]["fields"][0]["type"], pg.cells(made)) == (kind, [[expected]])


def test_many_rows_stream_through(pg: BigQueryApi) -> None:
    there = "SELECT n, repeat('x', 20) AS s FROM generate_series(1, 200000) AS n"
    sql = f"SELECT COUNT(*), SUM(n), COUNT(s) FROM EXTERNAL_QUERY('us.pg', \"{there}\")"
    assert pg.rows(sql) == [["200000", "20000100000", "200000"]]
    assert pg.rows("SELECT * FROM EXTERNAL_QUERY('us.pg', 'SELECT 1 AS a WHERE false')") == []


def test_metadata_of_the_database(pg: BigQueryApi) -> None:
    there = "SELECT column_name, ordinal_position AS p FROM information_schema.columns WHERE table_name = 'orders'"
    sql = f"SELECT column_name FROM EXTERNAL_QUERY('us.pg', \"{there}\") ORDER BY p"
    assert pg.rows(sql) == [["id"], ["customer"], ["total"]]


def test_a_view_and_a_dry_run_ask_for_columns_alone(pg: BigQueryApi) -> None:
    # The sequence would show that the query was run.
    with_effect = "SELECT 1 / (id - id) AS broken, id FROM orders"
    pg.query(f"CREATE VIEW d.elsewhere AS SELECT id FROM EXTERNAL_QUERY('us.pg', '{with_effect}')")
    query = {"query": f"SELECT * FROM EXTERNAL_QUERY('us.pg', '{with_effect}')"}
    made = pg.ok("POST", "jobs", {"configuration": {"query": query, "dryRun": True}})
    assert [each["name"] for each in made["statistics"]["query"]["schema"]["fields"]] == ["broken", "id"]
    assert "division by zero" in pg.query_error("SELECT * FROM d.elsewhere")["message"]


def test_rows_are_written_into_tables_here(pg: BigQueryApi) -> None:
    pg.query("CREATE TABLE d.copied AS SELECT * FROM EXTERNAL_QUERY('us.pg', 'SELECT * FROM orders')")
    pg.query(
        "INSERT INTO d.copied SELECT id + 10, customer, total FROM EXTERNAL_QUERY('us.pg', 'SELECT * FROM orders')"
    )
    assert pg.rows("SELECT COUNT(*), SUM(total) FROM d.copied") == [["6", "61"]]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        (
            "SELECT * FROM nothing",
            'Failed to get query schema from PostgreSQL server. Error: relation "nothing" does not exist',
        ),
        ("SELEC 1", "syntax error at or near"),
        ("SELECT 1 AS a; DROP TABLE orders", "cannot insert multiple commands into a prepared statement"),
        ("DELETE FROM orders", "The query must answer rows"),
        ("DELETE FROM orders RETURNING id", "cannot execute DELETE in a read-only transaction"),
        ("COMMIT", "The query must answer rows"),
        ("SELECT 1", 'Invalid field name "?column?"'),
        ("SELECT 1 / (id - id) AS a FROM orders", "Failed to fetch row from PostgreSQL server: division by zero"),
        ("SELECT 1e30::numeric AS a", "Invalid NUMERIC value: 1000000000000000000000000000000"),
        ("SELECT 'NaN'::numeric AS a", "Invalid NUMERIC value: NaN"),
        ("SELECT 'infinity'::timestamp AS a", "timestamp too large"),
    ],
)
def test_what_the_database_says_is_told(pg: BigQueryApi, sql: str, message: str, postgres: DatabaseServer) -> None:
    error = pg.query_error(f'SELECT * FROM EXTERNAL_QUERY("us.pg", "{sql}")')
    assert message in error["message"]
    assert error["reason"] in ("invalidQuery", "invalid")
    assert PASSWORD not in str(error)
    assert pg.rows("SELECT * FROM EXTERNAL_QUERY('us.pg', 'SELECT count(*) AS n FROM orders')") == [["3"]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            "EXTERNAL_QUERY('us.missing', 'SELECT 1 AS a')",
            f"Not found: Connection projects/{PROJECT}/locations/us/connections/missing",
        ),
        ("EXTERNAL_QUERY('pg', 'SELECT 1 AS a')", "must be written projects/PROJECT/locations"),
        ("EXTERNAL_QUERY('us.pg')", "it takes 2 or 3 arguments, given: 1"),
        ("EXTERNAL_QUERY('us.pg', CONCAT('SELECT', ' 1'))", "must be string literals"),
        ("EXTERNAL_QUERY('us.pg', 'SELECT 1 AS a', '[]')", "must be a JSON object of texts"),
        ("EXTERNAL_QUERY('us.pg', 'SELECT 1 AS a', '{\"speed\": \"high\"}')", "given: 'speed'"),
        (
            "EXTERNAL_QUERY('us.pg', 'SELECT 1 AS a', '{\"query_execution_priority\": \"high\"}')",
            "only supported in Spanner",
        ),
        (
            "EXTERNAL_QUERY('us.pg', 'SELECT 1 AS a', '{\"default_type_for_decimal_columns\": \"int\"}')",
            "must be one of float64",
        ),
    ],
)
def test_calls_that_cannot_be(pg: BigQueryApi, call: str, message: str) -> None:
    assert message in pg.query_error(f"SELECT * FROM {call}")["message"]


def test_credentials_that_are_wrong_and_servers_that_are_not_there(pg: BigQueryApi) -> None:
    connect(pg, "wrong", connection("POSTGRES", POSTGRES, "postgres", "postgres", "guess"))
    connect(pg, "closed", connection("POSTGRES", f"{PROJECT}:us:closed", "postgres", "postgres"))
    connect(pg, "nowhere", connection("POSTGRES", f"{PROJECT}:us:elsewhere", "postgres", "postgres"))
    expected = {
        "wrong": "Connect to PostgreSQL server failed: connection failed",
        "closed": "Connection refused",
        "nowhere": f"TULE_CLOUD_SQL={PROJECT}:us:elsewhere=HOST:PORT",
    }
    for id, message in expected.items():
        error = pg.query_error(f"SELECT * FROM EXTERNAL_QUERY('us.{id}', 'SELECT 1 AS a')")
        assert message in error["message"] and "guess" not in error["message"]
    assert (
        "password authentication failed"
        in pg.query_error("SELECT * FROM EXTERNAL_QUERY('us.wrong', 'SELECT 1 AS a')")["message"]
    )
    # A credential set anew is used from then on.
    body = connection("POSTGRES", POSTGRES, "postgres", "postgres")
    pg.ok("PATCH", f"{CONNECTIONS}/wrong?updateMask=cloudSql.credential", body)
    assert pg.rows("SELECT * FROM EXTERNAL_QUERY('us.wrong', 'SELECT 1 AS a')") == [["1"]]


def test_who_may_not_use_a_connection(pg: BigQueryApi) -> None:
    policy = {"bindings": [{"role": "permissions/bigquery.jobs", "members": ["user:eve@example.com"]}]}
    pg.app.policies.set(f"projects/{PROJECT}", policy)
    with pg.caller("eve@example.com") as eve:
        sql = "SELECT * FROM EXTERNAL_QUERY('us.pg', 'SELECT 1 AS a')"
        error = eve.query_error(sql)
        assert error["code"] == 403 and "bigquery.connections.use" in error["message"]
        member = {"role": "roles/bigquery.connectionUser", "members": ["user:eve@example.com"]}
        pg.ok("POST", f"{CONNECTIONS}/pg:setIamPolicy", {"policy": {"bindings": [member]}})
        assert eve.rows(sql) == [["1"]]


def test_a_cancel_stops_the_query_there(pg: BigQueryApi, postgres: DatabaseServer) -> None:
    sql = "SELECT * FROM EXTERNAL_QUERY('us.pg', 'SELECT count(*) AS n FROM (SELECT pg_sleep(600)) AS s')"
    made: dict[str, Any] = pg.ok("POST", "jobs", {"configuration": {"query": {"query": sql}}})
    job = made["jobReference"]["jobId"]
    with psycopg.connect(
        host="127.0.0.1", port=postgres.port, dbname="postgres", user="postgres", password=PASSWORD, autocommit=True
    ) as look:
        busy = (
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tule' AND query LIKE 'EXECUTE%' "
            "AND state = 'active'"
        )
        started = threading.Event()
        while not started.is_set():
            if look.execute(busy).fetchone() == (1,):
                started.set()
        pg.ok("POST", f"jobs/{job}/cancel")
        ended = pg.ended(job)
        assert ended["status"]["errorResult"]["reason"] == "stopped"
        assert look.execute(busy).fetchone() == (0,)
