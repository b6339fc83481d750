"""Random forests: xgboost's own, from batches; their options."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tule.kernel.errors import InvalidArgument
from tule.learn import metrics
from tule.learn.data import ArrowBatches
from tule.learn.models import FAMILIES


def fit(table: pa.Table, family: str = "random_forest_regressor", label: str = "y", **options: Any) -> Any:
    return FAMILIES[family].fit(
        ArrowBatches(table), label=label, features=["a", "b", "city", "on"], options=options, seed=3
    )


def test_one_round_of_many_trees(table: pa.Table) -> None:
    model = fit(table, num_parallel_tree=20)
    assert [each.number for each in model.iterations] == [1]
    assert model.booster.num_boosted_rounds() == 1
    assert len(model.booster.get_dump()) == 20
    assert (model.options["subsample"], model.options["colsample_bynode"], model.options["learn_rate"]) == (
        0.8,
        0.8,
        1.0,
    )
    assert metrics.evaluate(model, ArrowBatches(table))["r2_score"] > 0.8


def test_it_is_about_as_good_as_scikit_learns(table: pa.Table) -> None:
    from sklearn.ensemble import RandomForestRegressor

    train, test = table.slice(0, 2000), table.slice(2000)

    def numbers(rows: pa.Table) -> Any:
        frame = rows.select(["a", "b", "city", "on"]).to_pandas()
        frame["city"] = frame["city"].astype("category").cat.codes
        frame["on"] = frame["on"].astype("float")
        return frame.astype(float).fillna(frame.astype(float).mean())

    theirs = RandomForestRegressor(60, max_depth=15, random_state=0).fit(numbers(train), train["y"].to_numpy())
    reference = theirs.score(numbers(test), test["y"].to_numpy())
    assert metrics.evaluate(fit(train, num_parallel_tree=60), ArrowBatches(test))["r2_score"] > reference - 0.05


@pytest.mark.parametrize(("label", "classes"), [("flag", 2), ("label", 3)], ids=["two classes", "three classes"])
def test_a_classifier_gives_shares_of_its_trees(table: pa.Table, label: str, classes: int) -> None:
    model = fit(table, "random_forest_classifier", label, num_parallel_tree=15)
    shares = metrics.matrix(model.predict(table).column("probabilities"), classes)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, atol=1e-6)
    assert metrics.evaluate(model, ArrowBatches(table))["accuracy"] > 0.7
    explained = model.explain(table.slice(0, 5))
    sums = metrics.matrix(explained.column("attributions"), 4).sum(axis=1) + explained.column("baseline").to_numpy()
    np.testing.assert_allclose(sums, explained.column("prediction_value").to_numpy(), atol=1e-4)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"subsample": 1.0}, "SUBSAMPLE of a random forest must be below 1"),
        ({"colsample_bynode": 1.0}, "COLSAMPLE_BYNODE below 1"),
        ({"num_parallel_tree": 1}, "NUM_PARALLEL_TREE must be between 2"),
        ({"max_iterations": 5}, "MAX_ITERATIONS must be between 1 and 1"),
    ],
    ids=["all rows", "all columns", "one tree", "several rounds"],
)
def test_what_is_no_forest_is_refused(table: pa.Table, options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        fit(table, **options)
