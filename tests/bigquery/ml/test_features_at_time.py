"""Features as they were at a time: the examples of the public reference, and what they leave open."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.bigquery.ml.conftest import Models


@pytest.fixture(scope="module", autouse=True)
def made(models: Models) -> Iterator[None]:
    models.api.query(
        """CREATE TABLE d.features AS SELECT * FROM UNNEST(ARRAY<STRUCT<Entity_ID STRING, f_1 FLOAT64, f_2 FLOAT64,
        feature_timestamp TIMESTAMP>>[
        ('id1', 1.0, 1.0, TIMESTAMP '2022-06-10 12:00:00+00'), ('id2', 12.0, 24.0, TIMESTAMP '2022-06-11 12:00:00+00'),
        ('id1', 11.0, NULL, TIMESTAMP '2022-06-11 12:00:00+00'), ('id1', 6.0, 12.0, TIMESTAMP '2022-06-11 10:00:00+00'),
        ('id2', 2.0, 4.0, TIMESTAMP '2022-06-10 12:00:00+00'), ('id2', 7.0, NULL, TIMESTAMP '2022-06-11 10:00:00+00')])"""
    )
    models.api.query(
        """CREATE TABLE d.times AS SELECT * FROM UNNEST(ARRAY<STRUCT<entity_id STRING, time TIMESTAMP>>[
        ('id1', TIMESTAMP '2022-06-12 12:00:00+00'), ('id2', TIMESTAMP '2022-06-11 10:00:00+00'),
        ('id1', TIMESTAMP '2022-06-10 13:00:00+00'), ('id3', TIMESTAMP '2022-06-12 12:00:00+00')])"""
    )
    yield


def rows(models: Models, call: str) -> list[tuple[object, ...]]:
    sql = f"SELECT * REPLACE (STRING(feature_timestamp) AS feature_timestamp) FROM ML.{call} ORDER BY 1, 4, 2"
    return [tuple(row.values()) for row in models.ask(sql)]


def test_one_time_for_all(models: Models) -> None:
    found = rows(models, "FEATURES_AT_TIME(TABLE d.features, time => '2022-06-12 10:00:00+00', num_rows => 1, "
                         "ignore_feature_nulls => TRUE)")  # fmt: skip
    assert found == [
        ("id1", 11.0, 12.0, "2022-06-12 10:00:00+00"),
        ("id2", 12.0, 24.0, "2022-06-12 10:00:00+00"),
    ]


def test_a_time_for_each_entity(models: Models) -> None:
    call = "ENTITY_FEATURES_AT_TIME(TABLE d.features, TABLE d.times, num_rows => 1, ignore_feature_nulls => TRUE)"
    assert rows(models, call) == [
        ("id1", 1.0, 1.0, "2022-06-10 13:00:00+00"),
        ("id1", 11.0, 12.0, "2022-06-12 12:00:00+00"),
        ("id2", 7.0, 4.0, "2022-06-11 10:00:00+00"),
    ]


def test_nulls_stay_and_several_rows_come(models: Models) -> None:
    call = "FEATURES_AT_TIME((SELECT * FROM d.features WHERE entity_id = 'id1'), num_rows => 2)"
    found = models.ask(f"SELECT f_1, f_2 FROM ML.{call} ORDER BY f_1")
    assert found == [{"f_1": 6.0, "f_2": 12.0}, {"f_1": 11.0, "f_2": None}]


def test_the_same_row_answers_two_times(models: Models) -> None:
    times = """(SELECT 'id2' AS ENTITY_ID, t AS time FROM UNNEST([TIMESTAMP '2022-06-13', '2022-06-14', '2022-06-09',
            '2022-06-14']) AS t)"""
    found = rows(models, f"ENTITY_FEATURES_AT_TIME(TABLE d.features, {times})")
    assert [(row[1], str(row[3])[:10]) for row in found] == [
        (12.0, "2022-06-13"),
        (12.0, "2022-06-14"),
        (12.0, "2022-06-14"),
    ]


def test_columns_are_those_of_the_features(models: Models) -> None:
    sql = "WITH f AS (SELECT * FROM d.features) SELECT * FROM ml.features_at_time(TABLE f, time => @t)"
    parameter = {
        "name": "t",
        "parameterType": {"type": "TIMESTAMP"},
        "parameterValue": {"value": "2022-06-10 12:00:00+00"},
    }
    more = {"parameterMode": "NAMED", "queryParameters": [parameter]}
    assert models.columns(sql, **more) == [
        ("Entity_ID", "STRING"), ("f_1", "FLOAT"), ("f_2", "FLOAT"), ("feature_timestamp", "TIMESTAMP")
    ]  # fmt: skip
    assert [row["f_1"] for row in models.ask(sql + " ORDER BY 2", **more)] == [1.0, 2.0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("FEATURES_AT_TIME(TABLE d.times)", "must have the column feature_timestamp of type TIMESTAMP"),
        ("FEATURES_AT_TIME((SELECT 1 AS entity_id, 2 AS f, CURRENT_TIMESTAMP() AS feature_timestamp))",
         "must have the column entity_id of type STRING; given: entity_id of type INT64"),
        ("FEATURES_AT_TIME((SELECT 'a' AS entity_id, CURRENT_TIMESTAMP() AS feature_timestamp))", "a feature column"),
        ("FEATURES_AT_TIME(TABLE d.features, num_rows => 0)", "Argument num_rows of ML.FEATURES_AT_TIME must be at least 1"),
        ("FEATURES_AT_TIME(TABLE d.features, ignore_nulls => TRUE)", "has no argument ignore_nulls"),
        ("FEATURES_AT_TIME(TABLE d.features, time => f_1)", "must not depend on rows"),
        ("FEATURES_AT_TIME(TABLE d.features, time => 'yesterday')", "yesterday"),
        ("ENTITY_FEATURES_AT_TIME(TABLE d.features, num_rows => 1)", "takes TABLE name or (query), TABLE name or (query)"),
        ("ENTITY_FEATURES_AT_TIME(TABLE d.features, TABLE d.features)", "second table of ML.ENTITY_FEATURES_AT_TIME"),
    ],
)  # fmt: skip
def test_what_cannot_be_looked_up(models: Models, call: str, message: str) -> None:
    error = models.api.query_error(f"SELECT * FROM ML.{call}")
    assert message in error["message"] and error["reason"] == "invalidQuery"
