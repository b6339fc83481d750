"""Types of every kind through the stock client: schemas, rows in and out, parameters, Arrow and Avro."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.clients

_COLUMNS = """
    import datetime, decimal, io
    from google.cloud import bigquery
    from google.cloud.bigquery import SchemaField

    client = bigquery.Client()
    client.create_dataset(f"types_{NAME}", exists_ok=True)
    path = f"{client.project}.types_{NAME}.t"
    fields = [
        SchemaField("id", "INT64", mode="REQUIRED"),
        SchemaField("big", "BIGNUMERIC"),
        SchemaField("span", "INTERVAL"),
        SchemaField("days", "RANGE", range_element_type="DATE"),
        SchemaField("moments", "RANGE", range_element_type="TIMESTAMP"),
        SchemaField("short", "STRING", max_length=3),
        SchemaField("price", "NUMERIC", precision=5, scale=2),
        SchemaField("kind", "STRING", default_value_expression="'plain'"),
    ]
    client.delete_table(path, not_found_ok=True)
    client.create_table(bigquery.Table(path, schema=fields))
    big = decimal.Decimal("12345678901234567890123456789012345678.00000000000000000000000000000000000001")
    row = {
        "id": 1, "big": big, "span": "1-2 3 4:5:6.5", "days": {"start": datetime.date(2024, 1, 1), "end": None},
        "moments": {"start": datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc),
                    "end": datetime.datetime(2024, 2, 1, tzinfo=datetime.timezone.utc)},
        "short": "abc", "price": decimal.Decimal("1.25"),
    }
"""


def _script(name: str, body: str) -> str:
    return f"NAME = {name!r}\n" + textwrap.dedent(_COLUMNS) + textwrap.dedent(body)


def test_schemas_and_streamed_rows(tule_exec: Callable[..., Any]) -> None:
    tule_exec(
        _script(
            "streamed",
            """
            again = {each.name: each for each in client.get_table(path).schema}
            assert again["days"].range_element_type.element_type == "DATE"
            assert (again["short"].max_length, again["price"].precision, again["price"].scale) == (3, 5, 2)
            assert again["kind"].default_value_expression == "'plain'"
            assert client.insert_rows(client.get_table(path), [row]) == []
            errors = client.insert_rows_json(path, [{"id": 2, "short": "abcd"}, {"id": 3, "price": 1000}, {"id": 4}])
            assert [each["errors"][0]["message"] for each in errors] == [
                "Field short: STRING(3) has maximum length 3 but got a value with length 4",
                "Field price: NUMERIC(5, 2) has precision 5 and scale 2 but got a value that is not in its range",
                "",
            ], errors
            (found,) = [dict(each.items()) for each in client.list_rows(path)]
            assert str(found.pop("span")).startswith("relativedelta(years=+1, months=+2, days=+3, hours=+4")
            assert found == {**{key: value for key, value in row.items() if key != "span"}, "kind": "plain"}, found
            made = client.query_and_wait(f"SELECT big * 2 AS b, RANGE_CONTAINS(days, DATE '2024-06-01') AS c FROM `{path}`")
            assert made.to_dataframe().to_dict("records") == [
                {"b": decimal.Decimal("24691357802469135780246913578024691356.00000000000000000000000000000000000002"),
                 "c": True}]
            """,
        )
    )


def test_parameters(tule_exec: Callable[..., Any]) -> None:
    tule_exec(
        _script(
            "parameters",
            """
            from google.cloud.bigquery import QueryJobConfig, RangeQueryParameter, ScalarQueryParameter

            config = QueryJobConfig(query_parameters=[
                ScalarQueryParameter("b", "BIGNUMERIC", big),
                RangeQueryParameter("DATE", start=datetime.date(2024, 1, 1), name="r"),
                ScalarQueryParameter("i", "INTERVAL", "1-0 0 0:0:0"),
            ])
            text = "SELECT @b AS b, @r AS r, CAST(@i + INTERVAL 1 DAY AS STRING) AS i, RANGE_START(@r) AS s"
            (found,) = client.query_and_wait(text, job_config=config)
            assert dict(found.items()) == {
                "b": big, "r": {"start": datetime.date(2024, 1, 1), "end": None}, "i": "1-0 1 0:0:0",
                "s": datetime.date(2024, 1, 1),
            }, found
            config = QueryJobConfig(query_parameters=[
                RangeQueryParameter("DATE", start=datetime.date(2024, 2, 1), end=datetime.date(2024, 1, 1), name="r")])
            try:
                client.query_and_wait("SELECT @r", job_config=config)
            except Exception as error:
                assert "the start of a range must be smaller than its end" in error.message, error
            else:
                raise AssertionError("a range that ends before it starts was taken")
            """,
        )
    )


def test_dataframes_and_loads(tule_exec: Callable[..., Any]) -> None:
    tule_exec(
        _script(
            "frames",
            """
            client.query_and_wait(
                f"INSERT INTO `{path}` (id, big, days, short, price) "
                "VALUES (1, 1.5, RANGE(DATE '2024-01-01', NULL), 'abc', 1.239)"
            )
            table = client.list_rows(path).to_arrow()
            assert [str(table.schema.field(name).type) for name in ("big", "days", "span")] == [
                "decimal256(76, 38)", "struct<start: date32[day], end: date32[day]>", "month_day_nano_interval"]
            assert table.select(["big", "days", "price", "kind"]).to_pylist() == [{
                "big": decimal.Decimal("1.5"), "days": {"start": datetime.date(2024, 1, 1), "end": None},
                "price": decimal.Decimal("1.24"), "kind": "plain"}]
            some = [each for each in fields if each.name in ("id", "big", "short")]
            frame = client.list_rows(path, selected_fields=some).to_dataframe()
            frame["short"] = "zz"
            client.load_table_from_dataframe(frame, path, job_config=bigquery.LoadJobConfig(schema=some)).result()
            config = bigquery.LoadJobConfig(source_format="NEWLINE_DELIMITED_JSON", schema=fields)
            line = b'{"id": 3, "span": "0-0 1 0:0:0", "days": {"start": "2024-01-01", "end": "2024-02-01"}, "big": "0.5"}'
            client.load_table_from_file(io.BytesIO(line), path, job_config=config).result()
            try:
                client.load_table_from_file(io.BytesIO(b'{"id": 4, "short": "abcd"}'), path, job_config=config).result()
            except Exception as error:
                assert "Field short: STRING(3) has maximum length 3 but got a value with length 4; row 1" in error.message
            else:
                raise AssertionError("a text that is too long was loaded")
            text = f"SELECT id, big, CAST(span AS STRING) AS span, CAST(days AS STRING) AS days, short, kind FROM `{path}`"
            rows = [tuple(each.values()) for each in client.query_and_wait(text + " ORDER BY id, short")]
            assert rows == [
                (1, decimal.Decimal("1.5"), None, "[2024-01-01, UNBOUNDED)", "abc", "plain"),
                (1, decimal.Decimal("1.5"), None, None, "zz", "plain"),
                (3, decimal.Decimal("0.5"), "0-0 1 0:0:0", "[2024-01-01, 2024-02-01)", None, None),
            ], rows
            """,
        )
    )
