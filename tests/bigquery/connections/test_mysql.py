"""EXTERNAL_QUERY on a real MariaDB server, as a MySQL connection: types, streams, errors and cancels."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pymysql
import pytest
from tests.bigquery.conftest import PROJECT
from tests.bigquery.connections.conftest import MYSQL, PASSWORD, connect, connection

if TYPE_CHECKING:
    from tests.bigquery.conftest import BigQueryApi
    from tests.bigquery.connections.conftest import DatabaseServer

DATABASES = ("mysql",)


@pytest.fixture(scope="module", autouse=True)
def my(federated: BigQueryApi) -> BigQueryApi:
    connect(federated, "my", connection("MYSQL", MYSQL, "shop", "reader"))
    return federated


def test_rows_of_another_database_join_ours(my: BigQueryApi) -> None:
    my.query("CREATE TABLE d.names AS SELECT 'Ana' AS customer, 'Lima' AS city")
    sql = (
        "SELECT o.id, n.city, o.total FROM EXTERNAL_QUERY('us.my', 'SELECT * FROM orders') AS o "
        "LEFT JOIN d.names AS n USING (customer) ORDER BY id"
    )
    assert my.rows(sql) == [["1", "Lima", "10.5"], ["2", None, "20"], ["3", None, None]]


TYPES = [
    ("TINYINT", "-5", "INTEGER", "-5"),
    ("BOOL", "1", "INTEGER", "1"),
    ("MEDIUMINT UNSIGNED", "7", "INTEGER", "7"),
    ("BIGINT", "-9223372036854775808", "INTEGER", "-9223372036854775808"),
    ("BIGINT UNSIGNED", "18446744073709551615", "NUMERIC", "18446744073709551615"),
    ("DECIMAL(20,10)", "1.0000000005", "NUMERIC", "1.000000001"),
    ("FLOAT", "1.5", "FLOAT", "1.5"),
    ("DOUBLE", "2.25", "FLOAT", "2.25"),
    ("TIMESTAMP", "'2026-01-02 03:04:05'", "TIMESTAMP", "1767323045.0"),
    ("DATETIME(6)", "'2026-01-02 03:04:05.000006'", "DATETIME", "2026-01-02T03:04:05.000006"),
    ("DATE", "'2026-02-28'", "DATE", "2026-02-28"),
    ("TIME", "'12:34:56'", "TIME", "12:34:56"),
    ("YEAR", "2026", "INTEGER", "2026"),
    ("ENUM('a','b')", "'b'", "STRING", "b"),
    ("SET('a','b')", "'a,b'", "STRING", "a,b"),
    ("CHAR(4)", "'ab'", "STRING", "ab"),
    ("VARCHAR(9)", "'é'", "STRING", "é"),
    ("LONGTEXT", "'text'", "STRING", "text"),
    ("BLOB", "X'00ff'", "BYTES", "AP8="),
    ("BINARY(2)", "X'00ff'", "BYTES", "AP8="),
    ("VARBINARY(9)", "X'00ff'", "BYTES", "AP8="),
]


@pytest.fixture(scope="module")
def typed(mysql: DatabaseServer) -> None:
    """A table with a column of each type; timestamps are written in a zone that is not UTC's."""
    columns = ", ".join(f"c{index} {each[0]}" for index, each in enumerate(TYPES))
    values = ", ".join(each[1] for each in TYPES)
    with pymysql.connect(host="127.0.0.1", port=mysql.port, user="reader", password=PASSWORD, database="shop") as made:
        cursor = made.cursor()
        cursor.execute("SET time_zone = '+00:00'")
        cursor.execute(f"CREATE TABLE typed ({columns}, g GEOMETRY, b BIT(8), big TIME, zero DATE)")
        cursor.execute(f"INSERT INTO typed VALUES ({values}, POINT(1, 1), b'1', '100:00:00', NULL)")
        made.commit()


@pytest.mark.parametrize("index", range(len(TYPES)), ids=[each[0] for each in TYPES])
@pytest.mark.usefixtures("typed")
def test_types_are_those_of_the_reference(my: BigQueryApi, index: int) -> None:
    _, _, kind, expected = TYPES[index]
    made = my.query(f"SELECT * FROM EXTERNAL_QUERY('us.my', 'SELECT c{index} AS v FROM typed')")
    assert (made["schema"]["fields"][0]["type"], my.cells(made)) == (kind, [[expected]])


@pytest.mark.usefixtures("typed")
@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("g", "Found unsupported MySQL type in BigQuery (column g). Next: cast it to CHAR"),
        ("b", "Found unsupported MySQL type in BigQuery (column b)"),
        ("big", "Invalid TIME value: 4 days, 4:00:00"),
    ],
)
def test_values_that_bigquery_does_not_take(my: BigQueryApi, column: str, message: str) -> None:
    assert message in my.query_error(f"SELECT * FROM EXTERNAL_QUERY('us.my', 'SELECT {column} FROM typed')")["message"]


def test_decimals_become_what_the_option_says(my: BigQueryApi) -> None:
    for word, kind in (("float64", "FLOAT"), ("string", "STRING"), ("numeric", "NUMERIC")):
        options = f'\'{{"default_type_for_decimal_columns": "{word}"}}\''
        made = my.query(f"SELECT * FROM EXTERNAL_QUERY('us.my', 'SELECT total FROM orders WHERE id = 1', {options})")
        assert made["schema"]["fields"][0]["type"] == kind


def test_many_rows_stream_through(my: BigQueryApi) -> None:
    sql = "SELECT COUNT(*), SUM(n) FROM EXTERNAL_QUERY('us.my', 'SELECT seq AS n FROM seq_1_to_100000')"
    assert my.rows(sql) == [["100000", "5000050000"]]
    assert my.rows("SELECT * FROM EXTERNAL_QUERY('us.my', 'SELECT 1 AS a FROM orders WHERE false')") == []


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        (
            "SELECT * FROM nothing",
            "Failed to get query schema from MySQL server. Error: 1146 Table 'shop.nothing' doesn't exist",
        ),
        ("SELEC 1", "1064 You have an error in your SQL syntax"),
        ("SELECT 1 AS a; DROP TABLE orders", "1064 You have an error in your SQL syntax"),
        ("DELETE FROM orders", "1792 Cannot execute statement in a READ ONLY transaction"),
        ("SET @x = 1", "The query must answer rows"),
    ],
)
def test_what_the_database_says_is_told(my: BigQueryApi, sql: str, message: str) -> None:
    error = my.query_error(f'SELECT * FROM EXTERNAL_QUERY("us.my", "{sql}")')
    assert message in error["message"] and PASSWORD not in error["message"]
    assert my.rows("SELECT * FROM EXTERNAL_QUERY('us.my', 'SELECT count(*) AS n FROM orders')") == [["3"]]


def test_credentials_that_are_wrong_and_servers_that_are_not_there(my: BigQueryApi) -> None:
    connect(my, "wrong", connection("MYSQL", MYSQL, "shop", "reader", "guess"))
    connect(my, "closed", connection("MYSQL", f"{PROJECT}:us:closed", "shop", "reader"))
    for id, message in {
        "wrong": "1045 Access denied for user 'reader'",
        "closed": "Can't connect to MySQL server",
    }.items():
        error = my.query_error(f"SELECT * FROM EXTERNAL_QUERY('us.{id}', 'SELECT 1 AS a')")
        assert "Connect to MySQL server failed" in error["message"] and message in error["message"]


def test_a_cancel_stops_the_query_there(my: BigQueryApi, mysql: DatabaseServer) -> None:
    query = {"query": "SELECT * FROM EXTERNAL_QUERY('us.my', 'SELECT SLEEP(600) AS s')"}
    made: dict[str, Any] = my.ok("POST", "jobs", {"configuration": {"query": query}})
    job = made["jobReference"]["jobId"]
    look = pymysql.connect(
        host="127.0.0.1", port=mysql.port, user="reader", password=PASSWORD, database="shop", autocommit=True
    )
    busy = "SELECT count(*) FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP%'"
    with look, look.cursor() as cursor:
        started = threading.Event()
        while not started.is_set():
            cursor.execute(busy)
            if cursor.fetchone() == (1,):
                started.set()
        my.ok("POST", f"jobs/{job}/cancel")
        assert my.ended(job)["status"]["errorResult"]["reason"] == "stopped"
        cursor.execute(busy)
        assert cursor.fetchone() == (0,)
