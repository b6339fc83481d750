"""Matrix factorization: ratings that have factors, the equations of a half step, ranking, what is unknown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tule.kernel.errors import InvalidArgument
from tule.learn import bundle, metrics
from tule.learn.data import ArrowBatches
from tule.learn.models import FAMILIES
from tule.learn.runtime import load

USERS, ITEMS = 60, 40


def ratings(*, share: float = 0.6, noise: float = 0.05, seed: int = 0) -> pa.Table:
    """Ratings of rank 3 with intercepts; users are text, items numbers."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(USERS, 3)) @ rng.normal(size=(3, ITEMS)) * 0.5
    scores += rng.normal(size=(USERS, 1)) + rng.normal(size=(1, ITEMS)) + 3.5
    user, item = np.nonzero(rng.random((USERS, ITEMS)) < share)
    values = scores[user, item] + rng.normal(size=len(user)) * noise
    return pa.table({"user": [f"u{at:02d}" for at in user], "item": item * 10, "rating": values})


def fit(table: pa.Table, evaluation: pa.Table | None = None, **options: Any) -> Any:
    held = None if evaluation is None else ArrowBatches(evaluation)
    return FAMILIES["matrix_factorization"].fit(
        ArrowBatches(table, 500), label=None, options=options, evaluation=held, seed=1
    )


def split(table: pa.Table) -> tuple[pa.Table, pa.Table]:
    chosen = np.random.default_rng(5).random(table.num_rows) < 0.2
    return table.filter(pa.array(~chosen)), table.filter(pa.array(chosen))


def test_ratings_of_low_rank_are_found_again() -> None:
    train, test = split(ratings())
    model = fit(train, test, num_factors=3, l2_reg=0.1, max_iterations=40, early_stop=False)
    found = metrics.evaluate(model, ArrowBatches(test))
    assert list(found) == [
        "mean_absolute_error", "mean_squared_error", "mean_squared_log_error", "median_absolute_error", "r2_score",
        "explained_variance",
    ]  # fmt: skip
    assert found["r2_score"] > 0.97
    last = model.iterations[-1]
    assert last.eval_loss == pytest.approx(found["mean_squared_error"], rel=1e-9)
    assert last.loss < model.iterations[0].loss


def test_each_half_step_solves_its_ridge_regressions() -> None:
    table = ratings()
    model = fit(table, num_factors=3, l2_reg=2.0, max_iterations=60, early_stop=False)
    users, items = model.users, model.items
    item = items.codes(table.column("item").combine_chunks())
    user = users.codes(table.column("user").combine_chunks())
    values = table.column("rating").to_numpy().astype(np.float32).astype(float)
    for at in (0, 17, ITEMS - 1):
        own = item == at
        design = np.column_stack([users.factors[user[own]], np.ones(own.sum())])
        target = values[own] - model.mean - users.intercepts[user[own]]
        solved = np.linalg.solve(design.T @ design + 2.0 * np.eye(4), design.T @ target)
        np.testing.assert_allclose(solved, [*items.factors[at], items.intercepts[at]], atol=1e-9)


def test_implicit_feedback_solves_the_weighted_equations_over_all_pairs() -> None:
    table = ratings(share=0.2)
    counts = table.set_column(2, "rating", pa.array(np.abs(np.round(table.column("rating").to_numpy()))))
    model = fit(counts, feedback_type="IMPLICIT", num_factors=4, wals_alpha=3.0, l2_reg=0.5, max_iterations=5)
    matrix = np.zeros((USERS, ITEMS))
    user = model.users.codes(counts.column("user").combine_chunks())
    item = model.items.codes(counts.column("item").combine_chunks())
    matrix[user, item] = counts.column("rating").to_numpy()
    weights, wanted = 1.0 + 3.0 * matrix, (matrix > 0).astype(float)
    left = model.users.factors
    for at in (0, 11, ITEMS - 1):
        own = weights[:, at]
        solved = np.linalg.solve((left.T * own) @ left + 0.5 * np.eye(4), (left.T * own) @ wanted[:, at])
        np.testing.assert_allclose(solved, model.items.factors[at], atol=1e-8)
    loss = (weights * (wanted - left @ model.items.factors.T) ** 2).mean()
    assert model.iterations[-1].loss == pytest.approx(loss, rel=1e-6)


def test_implicit_feedback_ranks_what_people_chose() -> None:
    rng = np.random.default_rng(2)
    group = rng.integers(0, 2, USERS)
    pairs = [(u, i) for u in range(USERS) for i in range(ITEMS) if i % 2 == group[u] and rng.random() < 0.5]
    table = pa.table({"user": [u for u, _ in pairs], "item": [i for _, i in pairs], "rating": [1.0] * len(pairs)})
    train, test = split(table)
    model = fit(train, feedback_type="IMPLICIT", num_factors=4)
    found = metrics.evaluate(model, ArrowBatches(test))
    assert list(found) == [
        "mean_average_precision", "mean_squared_error", "normalized_discounted_cumulative_gain", "average_rank",
    ]  # fmt: skip
    assert found["average_rank"] < 0.35
    assert 0.0 < found["mean_average_precision"] <= 1.0


def test_recommendations_are_the_predictions_of_all_pairs() -> None:
    table = ratings()
    model = fit(table, num_factors=3)
    whole = pa.Table.from_batches(list(model.recommend()))
    assert whole.num_rows == USERS * ITEMS and whole.column_names == ["prediction", "user", "item"]
    again = model.predict(whole.select(["user", "item"]))
    np.testing.assert_allclose(again.column("prediction").to_numpy(), whole.column("prediction").to_numpy())
    some = pa.Table.from_batches(list(model.recommend(users=pa.array(["u03", "nobody"]))))
    assert some.num_rows == 2 * ITEMS


def test_an_unknown_side_leaves_the_other_ones_intercept() -> None:
    model = fit(ratings(), num_factors=3)
    asked = pa.table({"user": ["u00", "nobody", "nobody"], "item": [-1, 10, -1]})
    found = model.predict(asked).column("prediction").to_pylist()
    assert found[0] == pytest.approx(model.mean + model.users.intercepts[0])
    assert found[1] == pytest.approx(model.mean + model.items.intercepts[1])
    assert found[2] == pytest.approx(model.mean)


def test_weights_and_the_bundle(tmp_path: Path) -> None:
    model = fit(ratings(), num_factors=2)
    lines = list(model.factor_weights())
    assert (lines[0].name, lines[0].feature, lines[0].intercept) == (None, "global__intercept__", model.mean)
    assert (lines[1].name, lines[1].feature, len(lines[1].factors)) == ("user", "u00", 2)
    assert [line.feature for line in lines[1 + USERS :]] == [str(at * 10) for at in range(ITEMS)]
    bundle.save(model, tmp_path / "m")
    assert list(bundle.load(tmp_path / "m").factor_weights()) == lines
    served = load(tmp_path / "m")
    expected = model.predict(pa.table({"user": ["u07"], "item": [30]})).column("prediction").to_pylist()
    assert served.predict([{"user": "u07", "item": 30}]) == [{"predicted_rating": expected}]
    with pytest.raises(InvalidArgument, match="user and item"):
        served.predict([{"user": "u07"}])
    with pytest.raises(InvalidArgument, match="item must be a value of type int64"):
        served.predict([{"user": "u07", "item": "thirty"}])


def test_null_ratings_are_left_out_and_few_or_wrong_ones_refused() -> None:
    table = ratings()
    holes = table.set_column(2, "rating", pa.array([None, *table.column("rating").to_pylist()[1:]]))
    model = fit(holes, num_factors=2)
    assert (model.num_rows, model.skipped_rows) == (table.num_rows - 1, 1)
    with pytest.raises(InvalidArgument, match="at least one rating"):
        fit(table.slice(0, 0), num_factors=2)
    wrong = table.set_column(2, "rating", pa.array([float("inf")] * table.num_rows))
    with pytest.raises(InvalidArgument, match="must be finite"):
        fit(wrong, num_factors=2)
    with pytest.raises(InvalidArgument, match="must have the column rating"):
        fit(table.drop_columns(["rating"]), num_factors=2)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"wals_alpha": 3.0}, "WALS_ALPHA needs FEEDBACK_TYPE"),
        ({"num_factors": 1}, "NUM_FACTORS must be between 2"),
        ({"user_col": "item"}, "must be three columns"),
        ({"feedback_type": "BOTH"}, "must be one of EXPLICIT, IMPLICIT"),
    ],
    ids=["alpha without implicit", "too few factors", "one column twice", "no such feedback"],
)
def test_wrong_options_are_named(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        fit(ratings(), **options)
