"""GoogleSQL in Spark's words, and what is refused there by name. That Spark answers rightly is told where it runs."""

from __future__ import annotations

import pytest

from tule.bigquery.sql import Context, Parameter, compile_query
from tule.bigquery.sql.dialects.spark.call_functions import functions
from tule.bigquery.sql.parse import parse
from tule.kernel.errors import Unimplemented


def spark(text: str, **parameters: Parameter) -> str:
    context = Context(catalog=None, project="p", parameters=parameters, dialect="spark")  # type: ignore[arg-type]
    return compile_query(parse(text), context).sql


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("SELECT 1 + 2", "SELECT CAST(1 AS BIGINT) + CAST(2 AS BIGINT) AS `f0_`"),
        ("SELECT DATETIME '2020-01-01 00:00:00'", "TIMESTAMP_NTZ"),
        ("SELECT x FROM UNNEST([1, 2]) AS x", "EXPLODE(ARRAY(CAST(1 AS BIGINT), CAST(2 AS BIGINT))) AS `x`"),
        ("SELECT STRUCT(1 AS a)", "NAMED_STRUCT('a', CAST(1 AS BIGINT))"),
        ("SELECT CAST(NUMERIC '2.5' AS INT64)", "ELSE ROUND("),
        ("SELECT LENGTH('x')", "CAST(LENGTH(('x')) AS BIGINT)"),
        ("SELECT ARRAY_AGG(x) FROM UNNEST([1]) AS x", "TRANSFORM(COLLECT_LIST(NAMED_STRUCT('v', (`x`)))"),
        ("SELECT SUM(x) OVER (ORDER BY x ROWS 1 PRECEDING) FROM UNNEST([1]) AS x", "ROWS BETWEEN 1 PRECEDING AND"),
    ],
    ids=["integers", "moments", "arrays", "structs", "rounding", "lengths", "nulls in arrays", "frames"],
)
def test_a_query_is_said_in_sparks_words(text: str, said: str) -> None:
    assert said.lower() in spark(text).lower()


def test_values_are_bound_by_names_with_a_colon() -> None:
    assert "CAST(:p_0 AS BIGINT)" in spark("SELECT @a", a=Parameter("INT64", 1))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("SELECT REGEXP_CONTAINS('a', 'b')", "Regular expressions"),
        ("SELECT FARM_FINGERPRINT('a')", "FARM_FINGERPRINT"),
        ("SELECT CAST('1' AS BIGNUMERIC)", "embedded engine"),
        ("SELECT SAFE_CAST('a' AS INT64)", "embedded engine"),
        ("SELECT 3 IN UNNEST([1, NULL])", "IN of a subquery or an array"),
        ("SELECT ARRAY(SELECT 1)", "ARRAY of a subquery"),
        ("SELECT x, o FROM UNNEST([1]) AS x WITH OFFSET AS o", "UNNEST WITH OFFSET"),
        ("SELECT ARRAY_AGG(x ORDER BY x) FROM UNNEST([1]) AS x", "ARRAY_AGG"),
        ("SELECT TIME '12:00:00'", "TIME"),
    ],
    ids=["pattern", "hash", "bignumeric", "safe", "in", "array", "offset", "order", "time"],
)
def test_what_spark_lacks_is_refused_by_name(text: str, name: str) -> None:
    with pytest.raises(Unimplemented, match=name) as caught:
        spark(text)
    assert "TULE_SQL" in str(caught.value)


def test_every_definition_can_be_read_and_calls_only_what_there_is() -> None:
    from sqlglot import exp

    for name, function in functions().items():
        for node in function.body.find_all(exp.Anonymous):
            called = node.name.lower()
            assert not called.startswith("tule_") or called in functions(), f"{name} calls {called}"
