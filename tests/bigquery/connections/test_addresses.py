"""What the settings of connections say, and what is told where they say nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.bigquery.conftest import PROJECT
from tests.bigquery.connections.conftest import connect

from tule.bigquery.connections.federation import Federation
from tule.engines.federation import MySql, PostgreSql, Spanner
from tule.engines.federation.columns import missing
from tule.kernel.errors import InvalidArgument

if TYPE_CHECKING:
    from tests.bigquery.conftest import BigQueryApi


@pytest.mark.parametrize("text", ["p:us:i", "p:us:i=", "p:us:i=host", "p:us:i=:1", "p:us:i=host:port"])
def test_addresses_that_cannot_be(text: str) -> None:
    with pytest.raises(InvalidArgument, match="TULE_CLOUD_SQL must tell addresses as HOST:PORT"):
        Federation(None, {}, text, "")  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="TULE_SPANNER must tell addresses as HOST:PORT"):
        Federation(None, {}, "", "spanner")  # type: ignore[arg-type]


def test_a_spanner_without_an_address_is_told(api: BigQueryApi) -> None:
    connect(api, "spanner", {"cloudSpanner": {"database": "projects/p/instances/i/databases/s"}})
    error = api.query_error("SELECT * FROM EXTERNAL_QUERY('us.spanner', 'SELECT 1 AS a')")
    assert "Next: start the server with TULE_SPANNER=HOST:PORT" in error["message"]


def test_a_connection_of_cloud_resources_is_to_no_database(api: BigQueryApi) -> None:
    connect(api, "resource", {"cloudResource": {}})
    error = api.query_error("SELECT * FROM EXTERNAL_QUERY('us.resource', 'SELECT 1 AS a')")
    assert (
        f"The connection projects/{PROJECT}/locations/us/connections/resource is not one to a database"
        in error["message"]
    )


@pytest.mark.parametrize(
    ("database", "options", "message"),
    [
        (PostgreSql(), {"priority": "high"}, "only supported in Spanner"),
        (MySql(), {"priority": "high"}, "only supported in Spanner"),
        (Spanner(), {"decimals": "string"}, "default_type_for_decimal_columns is not of Spanner"),
    ],
    ids=["postgresql", "mysql", "spanner"],
)
def test_options_of_other_databases(database: PostgreSql, options: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        database.open(None, "SELECT 1", **options)


def test_a_library_that_is_missing_is_named() -> None:
    assert str(missing("psycopg", "cloudsql")).endswith("not installed. Next: run `pip install 'tule[cloudsql]'`")
