"""Contribution analysis: every figure against a plain count of the rows, and those of the reference's examples.

https://cloud.google.com/bigquery/docs/reference/standard-sql/bigqueryml-syntax-get-insights
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tule.learn.models.contribution import Metric

if TYPE_CHECKING:
    from tests.bigquery.ml.conftest import Models

Row = dict[str, Any]
DIMENSIONS = ("city", "item", "online")


def sales() -> list[Row]:
    chance = random.Random(7)
    return [
        {
            "city": chance.choice(("Bern", "Genf", "Chur")),
            "item": chance.choice((1, 2, 3, 4)),
            "online": chance.random() < 0.4,
            "amount": float(chance.randrange(1, 200)),
            "clicks": chance.randrange(1, 9),
            "month": chance.choice(("May", "June", "July", None)),
            "is_test": chance.random() < 0.5,
        }
        for _ in range(400)
    ]


ROWS = sales()


def literal(value: Any) -> str:
    if isinstance(value, str):
        return repr(value)
    return "NULL" if value is None else str(value).upper() if isinstance(value, bool) else str(value)


@pytest.fixture(scope="module", autouse=True)
def table(models: Models) -> Iterator[None]:
    rows = ", ".join(f"({', '.join(literal(value) for value in row.values())})" for row in ROWS)
    models.api.query(
        "CREATE TABLE d.sales (city STRING, item INT64, online BOOL, amount FLOAT64, clicks INT64, month STRING, "
        "is_test BOOL)"
    )
    # A dimension or a side that is not known is no part of the analysis.
    models.api.query(
        f"INSERT INTO d.sales VALUES {rows}, (NULL, 1, TRUE, 1e6, 1, 'May', TRUE), ('Bern', 1, TRUE, 1e6, 1, 'May', NULL)"
    )
    yield


def options(metric: str, **more: Any) -> str:
    written = {"MODEL_TYPE": "CONTRIBUTION_ANALYSIS", "CONTRIBUTION_METRIC": metric, "IS_TEST_COL": "is_test", **more}
    return ", ".join(f"{name} = {value!r}" for name, value in written.items())


def segments() -> Iterator[tuple[list[str], list[Row], list[Row]]]:
    """(contributors, test rows, control rows) of every segment that has rows."""
    for count in range(len(DIMENSIONS) + 1):
        for names in itertools.combinations(DIMENSIONS, count):
            for values in sorted({tuple(row[name] for name in names) for row in ROWS}):
                inside = [row for row in ROWS if tuple(row[name] for name in names) == values]
                shown = [
                    f"{n}={str(v).lower() if isinstance(v, bool) else v}" for n, v in zip(names, values, strict=True)
                ]
                yield (
                    shown or ["all"],
                    [row for row in inside if row["is_test"]],
                    [row for row in inside if not row["is_test"]],
                )


def total(rows: list[Row], name: str = "amount") -> float:
    return sum(row[name] for row in rows)


def support(test: list[Row], control: list[Row]) -> float:
    everywhere = next(segments())
    return max(total(test) / total(everywhere[1]), total(control) / total(everywhere[2]))


def test_sums(models: Models) -> None:
    models.train(
        "sums", options("SUM(amount)", MIN_APRIORI_SUPPORT=0.05), "SELECT * EXCEPT (clicks, month) FROM d.sales"
    )
    found = models.ask("SELECT * FROM ML.GET_INSIGHTS(MODEL d.sums)")
    _, every_test, every_control = next(segments())
    wanted = {}
    for contributors, test, control in segments():
        if support(test, control) < 0.05:
            continue
        a, b = total(test), total(control)
        left, before = total(every_test) - a, total(every_control) - b
        expected = b * left / before if before else None
        wanted[tuple(contributors)] = {
            "metric_test": a,
            "metric_control": b,
            "difference": a - b,
            "relative_difference": (a - b) / b,
            "unexpected_difference": None if expected is None else a - expected,
            "relative_unexpected_difference": None if expected is None else (a - expected) / expected,
            "apriori_support": support(test, control),
            "contribution": abs(a - b),
        }
    assert len(wanted) > 40 and len(found) == len(wanted)
    for row in found:
        for name, value in wanted[tuple(row["contributors"])].items():
            assert row[name] == (None if value is None else pytest.approx(value, rel=1e-9)), (row, name)
        named = dict(each.split("=") for each in row["contributors"] if "=" in each)
        assert {name: row[name] is not None for name in DIMENSIONS} == {name: name in named for name in DIMENSIONS}
    order = [row["contribution"] for row in found]
    assert order == sorted(order, reverse=True)
    columns = models.columns("SELECT * FROM ML.GET_INSIGHTS(MODEL d.sums)")
    assert columns[:4] == [("contributors", "STRING[]"), ("city", "STRING"), ("item", "INTEGER"), ("online", "BOOLEAN")]
    assert [name for name, _ in columns[4:]] == list(wanted[("all",)])


def test_ratios_as_the_reference_computes_them(models: Models) -> None:
    rows = "STRUCT(1 AS dim1, 10 AS dim2, 20 AS dim3, 50 AS a, 100 AS b), (1, 15, 30, 75, 200), (5, 20, 40, 1, 10)"
    query = f"SELECT r.*, is_test FROM UNNEST([{rows}]) AS r, UNNEST([TRUE, FALSE]) AS is_test"
    models.train("published", options("SUM(a)/SUM(b)", MIN_APRIORI_SUPPORT=0), query)
    found = {
        tuple(row["contributors"]): row["metric_test_over_complement"]
        for row in models.ask("SELECT * FROM ML.GET_INSIGHTS(MODEL d.published)")
    }
    assert found["dim1=1", "dim2=10", "dim3=20"] == pytest.approx(0.5 / (76 / 210))
    assert found["dim1=5", "dim2=20", "dim3=40"] == pytest.approx(0.1 / (125 / 300))
    assert found["all",] is None


def test_ratios(models: Models) -> None:
    models.train(
        "ratios",
        options("sum(AMOUNT) / sum( `clicks` )", MIN_APRIORI_SUPPORT=0.1),
        "SELECT * EXCEPT (month) FROM d.sales",
    )
    found = models.ask("SELECT * FROM ML.GET_INSIGHTS(MODEL d.ratios)")
    _, every_test, every_control = next(segments())
    ends = [(total(part), total(part, "clicks")) for part in (every_control, every_test)]

    def attribution(test: list[Row], control: list[Row]) -> float:
        """The integral along the straight way, by the midpoint rule."""
        n, d = total(test) - total(control), total(test, "clicks") - total(control, "clicks")
        steps = 20_000
        sums = 0.0
        for step in range(steps):
            share = (step + 0.5) / steps
            above, below = (a + share * (b - a) for a, b in zip(*ends, strict=True))
            sums += n / below - d * above / below**2
        return sums / steps

    wanted = {tuple(names): (test, control) for names, test, control in segments() if support(test, control) >= 0.1}
    assert {tuple(row["contributors"]) for row in found} == set(wanted)
    for row in found:
        test, control = wanted[tuple(row["contributors"])]
        ratio, before = (total(part) / total(part, "clicks") for part in (test, control))
        assert (row["metric_test"], row["metric_control"]) == pytest.approx((ratio, before), rel=1e-12)
        assert row["metric_test_over_metric_control"] == pytest.approx(ratio / before, rel=1e-12)
        assert row["aumann_shapley_attribution"] == pytest.approx(attribution(test, control), rel=1e-6, abs=1e-9)
        assert row["contribution"] == abs(row["aumann_shapley_attribution"])
    every = next(row for row in found if row["contributors"] == ["all"])
    assert every["aumann_shapley_attribution"] == pytest.approx(
        every["metric_test"] - every["metric_control"], rel=1e-9
    )
    # The parts of one dimension add up to the whole.
    cities = [row for row in found if len(row["contributors"]) == 1 and row["city"]]
    assert len(cities) == 3
    assert math.fsum(row["aumann_shapley_attribution"] for row in cities) == pytest.approx(
        every["aumann_shapley_attribution"], rel=1e-9
    )


def test_by_category(models: Models) -> None:
    dimensions = ["city", "online"]
    models.train(
        "monthly",
        options("SUM(amount)/COUNT(DISTINCT month)", DIMENSION_ID_COLS=dimensions),
        "SELECT city, online, amount, month, is_test FROM d.sales",
    )
    found = models.ask("SELECT * FROM ML.GET_INSIGHTS(MODEL d.monthly)")

    def monthly(rows: list[Row]) -> float:
        return total(rows) / len({row["month"] for row in rows} - {None})

    _, every_test, every_control = next(segments())
    for row in found:
        inside = [
            each for each in ROWS if all(row[name] is None or each[name] == _typed(row[name]) for name in dimensions)
        ]
        test = monthly([each for each in inside if each["is_test"]])
        control = monthly([each for each in inside if not each["is_test"]])
        assert (row["metric_test"], row["metric_control"]) == pytest.approx((test, control), rel=1e-12)
        assert row["relative_difference"] == pytest.approx((test - control) / control, rel=1e-12)
        assert row["metric_test_over_population"] == pytest.approx(test / monthly(every_test), rel=1e-12)
        assert row["metric_control_over_population"] == pytest.approx(control / monthly(every_control), rel=1e-12)
    assert len(found) == 1 + 3 + 2 + 6


def _typed(value: Any) -> Any:
    return value if not isinstance(value, str) or value not in ("true", "false") else value == "true"


def test_the_largest_segments_and_those_that_say_no_more_than_others(models: Models) -> None:
    query = (
        "SELECT * FROM UNNEST([STRUCT('x' AS a, 'one' AS b, 10 AS n, TRUE AS is_test), ('x', 'one', 4, FALSE), "
        "('y', 'two', 6, TRUE), ('y', 'two', 5, FALSE), ('y', 'three', 1, FALSE)])"
    )

    def contributors(name: str) -> set[tuple[str, ...]]:
        return {
            tuple(row["contributors"])
            for row in models.ask(f"SELECT contributors FROM ML.GET_INSIGHTS(MODEL d.{name})")
        }

    models.train("all_of", options("SUM(n)", MIN_APRIORI_SUPPORT=0), query)
    every = {("all",), ("a=x",), ("b=one",), ("a=x", "b=one"), ("a=y",), ("b=two",), ("a=y", "b=two"), ("b=three",),
             ("a=y", "b=three")}  # fmt: skip
    assert contributors("all_of") == every
    models.train("telling", options("SUM(n)", MIN_APRIORI_SUPPORT=0, PRUNING_METHOD="PRUNE_REDUNDANT_INSIGHTS"), query)
    assert contributors("telling") == {("all",), ("a=x", "b=one"), ("a=y",), ("a=y", "b=two"), ("a=y", "b=three")}
    models.train("three", options("SUM(n)", TOP_K_INSIGHTS_BY_APRIORI_SUPPORT=3), query)
    assert len(contributors("three")) == 3 and {("all",), } < contributors("three")  # fmt: skip
    pruned = options("SUM(n)", TOP_K_INSIGHTS_BY_APRIORI_SUPPORT=3, PRUNING_METHOD="PRUNE_REDUNDANT_INSIGHTS")
    models.train("best", pruned, query)
    assert contributors("best") == {("all",), ("a=x", "b=one"), ("a=y",)}


def test_the_resource_tells_the_options(models: Models) -> None:
    body = models.resource("monthly")
    assert body["modelType"] == "CONTRIBUTION_ANALYSIS"
    told = body["trainingRuns"][-1]["trainingOptions"]
    assert told["contributionMetric"] == "SUM(amount)/COUNT(DISTINCT month)"
    assert (told["isTestColumn"], told["dimensionIdColumns"]) == ("is_test", ["city", "online"])


@pytest.mark.parametrize(
    "text", ["AVG(a)", "SUM(a + b)", "SUM(a)/COUNT(b)", "SUM(AVG(a))", "SUM(a)/SUM(b)/SUM(c)", "sum"]
)
def test_other_metrics_are_refused(models: Models, text: str) -> None:
    error = models.error("wrong", options(text), "SELECT 1 AS a, TRUE AS is_test")
    assert error["reason"] == "invalidQuery" and "CONTRIBUTION_METRIC must be SUM(column)" in error["message"]
    assert repr(text) in error["message"] and not models.exists("wrong")


WRONG = {
    "no metric": (
        "MODEL_TYPE='CONTRIBUTION_ANALYSIS', IS_TEST_COL='t'", "SELECT 1 AS a, TRUE AS t", "needs CONTRIBUTION_METRIC",
    ),
    "both limits": (
        options("SUM(a)", MIN_APRIORI_SUPPORT=0.2, TOP_K_INSIGHTS_BY_APRIORI_SUPPORT=5),
        "SELECT 1 AS a, 'x' AS b, TRUE AS is_test",
        "exclude each other",
    ),
    "no such column": (options("SUM(z)"), "SELECT 1 AS a, 'x' AS b, TRUE AS is_test", "z"),
    "text as a number": (options("SUM(b)"), "SELECT 1 AS a, 'x' AS b, TRUE AS is_test", "must be a number"),
    "number as a side": (
        options("SUM(a)", IS_TEST_COL="b"), "SELECT 1 AS a, 2 AS b, 'x' AS c", "IS_TEST_COL must be a BOOL column",
    ),
    "fraction as a dimension": (
        options("SUM(a)"), "SELECT 1 AS a, 2.5 AS b, TRUE AS is_test", "A dimension must be INT64, BOOL or STRING",
    ),
    "a column too many": (
        options("SUM(a)", DIMENSION_ID_COLS=["b"]), "SELECT 1 AS a, 'x' AS b, 'y' AS c, TRUE AS is_test", "also c",
    ),
    "no dimension": (options("SUM(a)"), "SELECT 1 AS a, TRUE AS is_test", "1 to 50 dimensions"),
    "one side": (options("SUM(a)"), "SELECT 1 AS a, 'x' AS b, TRUE AS is_test", "no control rows"),
    "no rows": (options("SUM(a)"), "SELECT 1 AS a, 'x' AS b, TRUE AS is_test LIMIT 0", "no rows"),
    "negative": (
        options("SUM(a)"), "SELECT -1 AS a, 'x' AS b, t AS is_test FROM UNNEST([TRUE, FALSE]) AS t", "must not be negative",
    ),
    "infinite": (
        options("SUM(a)"),
        "SELECT CAST('inf' AS FLOAT64) AS a, 'x' AS b, t AS is_test FROM UNNEST([TRUE, FALSE]) AS t",
        "must be finite",
    ),
    "registered": (
        options("SUM(a)", MODEL_REGISTRY="VERTEX_AI"), "SELECT 1 AS a", "MODEL_REGISTRY is not supported",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_wrong_analyses_are_refused_by_name(models: Models, case: str) -> None:
    written, query, message = WRONG[case]
    error = models.error("wrong", written, query)
    assert error["reason"] == "invalidQuery" and message in error["message"]
    assert not models.exists("wrong")


def test_negative_numbers_where_every_segment_is_told(models: Models) -> None:
    query = "SELECT * FROM UNNEST([STRUCT(-5 AS n, 'x' AS b, TRUE AS is_test), (2, 'y', TRUE), (1, 'x', FALSE)])"
    models.train("signed", options("SUM(n)", MIN_APRIORI_SUPPORT=0), query)
    rows = models.ask("SELECT contributors, difference FROM ML.GET_INSIGHTS(MODEL d.signed)")
    assert {tuple(row["contributors"]): row["difference"] for row in rows} == {("all",): -4, ("b=x",): -6, ("b=y",): 2}


def test_other_functions_refuse_the_model(models: Models) -> None:
    for call in (
        "ML.PREDICT(MODEL d.sums, TABLE d.sales)",
        "ML.EVALUATE(MODEL d.sums)",
        "ML.FEATURE_INFO(MODEL d.sums)",
    ):
        assert "CONTRIBUTION_ANALYSIS" in models.api.query_error(f"SELECT * FROM {call}")["message"]
    models.train("line", "MODEL_TYPE='LINEAR_REG', INPUT_LABEL_COLS=['amount']", "SELECT amount, clicks FROM d.sales")
    assert (
        "not supported for model type LINEAR_REG"
        in models.api.query_error("SELECT * FROM ML.GET_INSIGHTS(MODEL d.line)")["message"]
    )


# -- AI.KEY_DRIVERS


def drivers(*, table: str = "TABLE d.sales", select: str = "*", **more: Any) -> str:
    given = {"metric_col": "amount", "dimension_cols": ["city", "item"], "interest_label_col": "is_test", **more}
    return f"SELECT {select} FROM AI.KEY_DRIVERS({table}, {', '.join(f'{k} => {v!r}' for k, v in given.items())})"


def test_key_drivers_are_the_insights_of_a_model(models: Models) -> None:
    query = "SELECT city, item, amount, is_test FROM d.sales"
    models.train("same", options("SUM(amount)", PRUNING_METHOD="PRUNE_REDUNDANT_INSIGHTS"), query)
    insights = models.ask("SELECT * FROM ML.GET_INSIGHTS(MODEL d.same)")
    found = models.ask(drivers())
    assert [row["drivers"] for row in found] == [row["contributors"] for row in insights] and len(found) > 5
    assert found[0]["metric_interest"] == insights[0]["metric_test"]
    assert [row["unexpected_difference"] for row in found] == [row["unexpected_difference"] for row in insights]
    assert models.columns(drivers())[:4] == [
        ("drivers", "STRING[]"), ("city", "STRING"), ("item", "INTEGER"), ("metric_interest", "FLOAT"),
    ]  # fmt: skip
    few = models.ask(drivers(table="(SELECT amount, city, item, is_test AS Was FROM d.sales)", top_k=4,
                             interest_label_col="was"))  # fmt: skip
    assert len(few) == 4
    # A function that stands anywhere a table may.
    assert models.ask(f"SELECT COUNT(*) AS n FROM ({drivers(min_apriori_support=1)})") == [{"n": 1}]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"metric_col": "absent"}, "must be among those of its table; given: absent"),
        ({"metric_col": "city", "dimension_cols": ["item"]}, "must be a number"),
        ({"dimension_cols": ["city", "amount"]}, "must be different"),
        ({"dimension_cols": [f"c{at}" for at in range(13)]}, "takes 1 to 12 dimensions"),
        ({"dimension_cols": []}, "must be a string or an array of strings"),
        ({"interest_label_col": "item", "dimension_cols": ["city"]}, "must be a BOOL column"),
        ({"top_k": 0}, "must be a whole number between 1 and"),
        ({"min_apriori_support": 2}, "must be a number between 0 and 1"),
        ({"top_k": 3, "min_apriori_support": 0.1}, "exclude each other"),
        ({"depth": 2}, "has no argument depth"),
    ],
)
def test_wrong_key_drivers_are_refused_by_name(models: Models, more: dict[str, Any], message: str) -> None:
    error = models.api.query_error(drivers(**more))
    assert error["reason"] == "invalidQuery" and message in error["message"]


def test_key_drivers_need_their_arguments(models: Models) -> None:
    for call, message in (
        ("AI.KEY_DRIVERS(TABLE d.sales, metric_col => 'amount')", "needs the argument dimension_cols"),
        ("AI.KEY_DRIVERS(metric_col => 'amount')", "given: 0 tables"),
        ("AI.KEY_DRIVERS(TABLE d.sales, 5)", "takes TABLE name or (query), then arguments by name"),
    ):
        assert message in models.api.query_error(f"SELECT * FROM {call}")["message"]


def test_the_forms_of_a_metric() -> None:
    assert Metric.parse(" sum( A ) ") == Metric("A")
    assert Metric.parse("SUM(`a b`)/SUM(c)") == Metric("a b", "c")
    assert Metric.parse("SUM(a) / count(distinct c)") == Metric("a", None, "c")
