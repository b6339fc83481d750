"""The automatic search: blends that beat their parts, budgets, seeds, bundles, explanation, bad rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tule.kernel.errors import Cancelled, InvalidArgument
from tule.learn import bundle, metrics
from tule.learn.data import ArrowBatches
from tule.learn.explain import global_explain
from tule.learn.metrics import matrix
from tule.learn.models import FAMILIES
from tule.learn.models.blend import BlendModel
from tule.learn.runtime.bundles import BundleRuntime
from tule.learn.search import automl
from tule.learn.search.portfolio import Candidate, Problem, portfolio
from tule.learn.search.scores import greedy, missed_area, missed_precision, missed_recall, rmse, score_of

ROWS = 1200


def rows(count: int = ROWS, seed: int = 0) -> pa.Table:
    """Noisy rows with a label of two classes, one of three and a number with a long tail."""
    random = np.random.default_rng(seed)
    a, b = random.normal(size=count), random.uniform(size=count)
    c = random.choice(["x", "y", "z"], count)
    signal = a + (c == "x") * b * 2 + random.normal(size=count)
    return pa.table(
        {
            "a": a,
            "b": pa.array(b, mask=random.uniform(size=count) < 0.05),
            "c": c,
            "two": np.where(signal > 0.3, "yes", "no"),
            "three": np.digitize(signal, [-0.5, 1.0]),
            "number": np.exp(signal),
        }
    )


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few and quick candidates."""
    monkeypatch.setattr(automl, "FOLDS", 2)

    def short(problem: Problem) -> list[Candidate]:
        few: list[Candidate] = []
        for each in portfolio(problem):
            small = {"max_iterations": 40} if "max_iterations" in each.options else {}
            if each.family not in [one.family for one in few] and "dnn" not in each.family:
                few.append(Candidate(each.family, {**each.options, **small}, each.logarithm))
        return few

    monkeypatch.setattr(automl, "portfolio", short)


def fitted(label: str, task: str, *, data: Any = None, most: int = 2, **options: Any) -> BlendModel:
    family = FAMILIES[f"automl_{task}"]
    more = {key: options.pop(key) for key in ("seed", "progress", "clock", "evaluation") if key in options}
    model = family.fit(
        ArrowBatches(data if data is not None else rows()), label=label, features=["a", "b", "c"],
        options={"budget_seconds": 300.0, "most_candidates": most, **options}, **more,
    )  # fmt: skip
    assert isinstance(model, BlendModel)
    return model


@pytest.mark.parametrize(
    ("label", "task", "better"),
    [("two", "classifier", ("roc_auc", 0.8)),
     ("three", "classifier", ("accuracy", 0.5)),
     ("number", "regressor", ("r2_score", 0.2))],
    ids=["two classes", "three classes", "a number"],
)  # fmt: skip
def test_a_blend_predicts_alike_before_and_after_it_is_kept(
    tmp_path: Path, label: str, task: str, better: tuple[str, float]
) -> None:
    model = fitted(label, task)
    test = rows(600, seed=1)
    measured = metrics.evaluate(model, ArrowBatches(test))
    assert measured[better[0]] > better[1]
    assert sum(part.weight for part in model.parts) == pytest.approx(1.0)
    bundle.save(model, tmp_path / "kept")
    again = bundle.load(tmp_path / "kept")
    assert again.predict(test).equals(model.predict(test))
    assert isinstance(again, BlendModel) and len(again.parts) == len(model.parts)
    # An endpoint answers what SQL answers.
    instances = [{name: row[name] for name in ("a", "b", "c")} for row in test.slice(0, 20).to_pylist()]
    served = BundleRuntime(again).predict(instances)
    asked = model.predict(test.slice(0, 20))
    if model.classes is None:
        values = [row["predicted_number"][0] for row in served]
        assert values == pytest.approx(asked.column("prediction").to_pylist(), rel=1e-6)
    else:
        own = matrix(asked.column("probabilities"), len(model.classes))[:, ::-1]
        assert np.allclose([row[f"{label}_probs"] for row in served], own, atol=1e-6)


def test_the_same_seed_gives_the_same_bundle_where_the_budget_does_not_cut(tmp_path: Path) -> None:
    for name in ("one", "two"):
        bundle.save(fitted("two", "classifier", most=3, seed=4), tmp_path / name)
    for file in (tmp_path / "one").iterdir():
        if file.name != bundle.TIMINGS:
            assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes(), file.name


def test_the_budget_ends_the_search_and_something_is_trained_all_the_same() -> None:
    model = fitted("number", "regressor", most=40, budget_seconds=0.0)
    assert len(model.iterations) == 1 and len(model.parts) >= 1
    assert metrics.evaluate(model, ArrowBatches(rows(300, seed=2)))["r2_score"] > 0


def test_rows_given_to_validate_judge_the_candidates() -> None:
    model = fitted("two", "classifier", evaluation=ArrowBatches(rows(300, seed=3)))
    assert all(part.model.num_rows == ROWS for part in model.parts), "one fold: all training rows, judged by others"


def test_cancelling_stops_a_search() -> None:
    def stop(*told: Any) -> None:
        raise Cancelled("no more")

    with pytest.raises(Cancelled, match="no more"):
        fitted("two", "classifier", progress=stop)


def test_a_blend_is_explained_by_its_parts() -> None:
    for label, task in (("two", "classifier"), ("number", "regressor")):
        found = global_explain(fitted(label, task), ArrowBatches(rows(200)))
        assert {each.feature for each in found} == {"a", "b", "c"} and found[0].feature == "a"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (rows().set_column(3, "two", pa.array(["yes"] * ROWS)), "at least two distinct labels"),
        (rows().set_column(3, "two", pa.array([None] * ROWS, pa.string())), "Training needs rows with a label"),
    ],
    ids=["one class", "no label"],
)
def test_labels_that_cannot_be_learned(data: pa.Table, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        fitted("two", "classifier", data=data)


@pytest.mark.parametrize(("label", "objective"), [("two", "MAXIMIZE_FUN"), ("three", "MAXIMIZE_AU_ROC")])
def test_an_objective_that_is_none_here_is_refused(label: str, objective: str) -> None:
    with pytest.raises(InvalidArgument, match="OPTIMIZATION_OBJECTIVE"):
        fitted(label, "classifier", optimization_objective=objective)


# -- scores and weights


def test_objectives_score_what_they_name() -> None:
    actual = np.array([0, 0, 1, 1])
    good = np.array([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3], [0.1, 0.9]])
    assert missed_area(actual, good) == pytest.approx(0.25, abs=0.01)
    assert missed_precision(1.0)(actual, good) == pytest.approx(1 - 2 / 3, abs=0.01)
    assert missed_recall(1.0)(actual, good) == pytest.approx(0.5, abs=0.01)
    numbers = np.array([1.0, 2.0, 4.0])
    assert score_of("MINIMIZE_MAE", None, 0)(numbers, np.array([2.0, 1.0, 5.0])) == 1.0
    assert score_of(None, None, 0) is rmse and score_of(None, None, 2) is missed_area


def test_a_blend_is_no_worse_than_its_best_part() -> None:
    random = np.random.default_rng(0)
    actual = random.normal(size=500)
    parts = [actual + random.normal(size=500) * scale for scale in (1.0, 1.1, 3.0)]
    weights = greedy(parts, actual, rmse)
    mixed = sum(w * part for w, part in zip(weights, parts, strict=True))
    assert weights.sum() == pytest.approx(1.0) and weights[2] < 0.2
    assert rmse(actual, mixed) < min(rmse(actual, part) for part in parts)


def test_the_portfolio_suits_the_problem() -> None:
    assert any(each.logarithm for each in portfolio(Problem(1000, 0, skewed=True)))
    assert not any(each.logarithm for each in portfolio(Problem(1000, 0)))
    assert {each.family for each in portfolio(Problem(1000, 100))} == {"boosted_tree_classifier"}
