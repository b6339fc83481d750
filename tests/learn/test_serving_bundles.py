"""Online answers equal the answers over Arrow; instances of every shape; wrong ones are named."""

from __future__ import annotations

import base64
import datetime
import threading
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest

from tule.kernel.errors import InvalidArgument, Unimplemented
from tule.learn import bundle, runtime
from tule.learn.data import ArrowBatches
from tule.learn.metrics import matrix
from tule.learn.models import FAMILIES

FEATURES = ["a", "b", "city", "on"]


def served(directory: Path, family: str, table: pa.Table, label: str | None, **more: Any) -> tuple[Any, Any]:
    more.setdefault("features", FEATURES)
    model = FAMILIES[family].fit(ArrowBatches(table), label=label, **more)
    bundle.save(model, directory / family)
    return model, runtime.load(directory / family)


def instances(table: pa.Table, names: list[str]) -> list[dict[str, Any]]:
    return orjson.loads(orjson.dumps(table.select(names).to_pylist()))


@pytest.mark.parametrize("family", ["linear_regression", "boosted_tree_regressor"])
@pytest.mark.parametrize("features", [["a", "b"], FEATURES], ids=["numbers", "mixed"])
def test_regressions(family: str, features: list[str], table: pa.Table, tmp_path: Path) -> None:
    model, runner = served(tmp_path, family, table, "y", features=features)
    rows = instances(table, features)
    answers = runner.predict(rows)
    wanted = model.predict(table)["prediction"].to_numpy()
    np.testing.assert_allclose([answer["predicted_y"][0] for answer in answers], wanted, rtol=1e-13, atol=1e-13)
    assert answers[:3] == [runner.predict([row])[0] for row in rows[:3]]
    assert runner.predict([list(row.values()) for row in rows]) == answers
    assert runner.predict([{name: [value] for name, value in row.items()} for row in rows]) == answers
    assert runner.predict([]) == []


@pytest.mark.parametrize("family", ["logistic_regression", "boosted_tree_classifier"])
@pytest.mark.parametrize("label", ["flag", "label"])
def test_classifiers(family: str, label: str, table: pa.Table, tmp_path: Path) -> None:
    model, runner = served(tmp_path, family, table, label)
    answers = runner.predict(instances(table, FEATURES))
    wanted = model.predict(table)
    probabilities = matrix(wanted["probabilities"], len(model.classes))
    assert set(answers[0]) == {f"predicted_{label}", f"{label}_probs", f"{label}_values"}
    assert [answer[f"predicted_{label}"] for answer in answers] == [[value] for value in wanted["label"].to_pylist()]
    assert all(answer[f"{label}_values"] == model.classes[::-1] for answer in answers)
    found = np.array([answer[f"{label}_probs"] for answer in answers])
    np.testing.assert_allclose(found, probabilities[:, ::-1], rtol=1e-12, atol=1e-14)
    assert orjson.loads(orjson.dumps(answers)) == answers


def test_clusters(table: pa.Table, tmp_path: Path) -> None:
    model, runner = served(tmp_path, "kmeans", table, None, options={"num_clusters": 3})
    answers = runner.predict(instances(table, FEATURES))
    wanted = model.predict(table).to_pylist()
    for answer, row in zip(answers, wanted, strict=True):
        assert answer["NEAREST_CENTROID_ID"] == [row["centroid_id"]]
        assert answer["CENTROID_IDS"] == [item["centroid_id"] for item in row["distances"]]
        assert answer["CENTROID_DISTANCES"] == pytest.approx([item["distance"] for item in row["distances"]])
    with pytest.raises(Unimplemented, match="no feature attributions"):
        runner.explain(instances(table.slice(0, 1), FEATURES))


@pytest.mark.parametrize(
    ("family", "label"),
    [("linear_regression", "y"), ("logistic_regression", "label"), ("boosted_tree_classifier", "flag")],
)
def test_explanations(family: str, label: str, table: pa.Table, tmp_path: Path) -> None:
    model, runner = served(tmp_path, family, table, label)
    rows = table.slice(0, 50)
    wanted = model.explain(rows).to_pylist()
    answers = runner.explain(instances(rows, FEATURES))
    for answer, row in zip(answers, wanted, strict=True):
        assert list(answer["attributions"]) == FEATURES
        assert list(answer["attributions"].values()) == pytest.approx(row["attributions"], rel=1e-6, abs=1e-9)
        assert answer["baseline"] + sum(answer["attributions"].values()) == pytest.approx(answer["prediction"])
        assert answer.get("label") == row.get("label")
    assert runner.explain([]) == []


def everything() -> pa.Table:
    rng = np.random.default_rng(0)
    rows = 400
    days = rng.integers(0, 20_000, rows)
    moment = pa.array(days * 86_400_000_000 + rng.integers(0, 86_400_000_000, rows), pa.int64())
    blank = rng.random(rows) < 0.1
    sparse = pa.list_(pa.struct([("i", pa.int64()), ("v", pa.float64())]))

    def gappy(values: list[Any], kind: pa.DataType) -> pa.Array:
        return pa.array([None if hole else value for value, hole in zip(values, blank, strict=True)], kind)

    return pa.table(
        {
            "number": gappy(rng.normal(size=rows).tolist(), pa.float64()),
            "whole": gappy(rng.integers(0, 9, rows).tolist(), pa.int64()),
            "text": gappy([f"t{at % 5}" for at in range(rows)], pa.string()),
            "flag": gappy([bool(at % 2) for at in range(rows)], pa.bool_()),
            "raw": gappy([bytes([at % 3]) for at in range(rows)], pa.binary()),
            "day": gappy(pa.array(days % 4, pa.int32()).cast(pa.date32()).to_pylist(), pa.date32()),
            "clock": gappy([datetime.time(at % 3, 30) for at in range(rows)], pa.time64("us")),
            "local": gappy([datetime.datetime(2026, 1, 1 + at % 3, 4) for at in range(rows)], pa.timestamp("us")),
            "moment": gappy(moment.cast(pa.timestamp("us", tz="UTC")).to_pylist(), pa.timestamp("us", tz="UTC")),
            "tags": gappy([[f"g{at % 3}", f"g{at % 4}"] for at in range(rows)], pa.list_(pa.string())),
            "vector": gappy(rng.normal(size=(rows, 3)).tolist(), pa.list_(pa.float64())),
            "sparse": gappy([[{"i": at % 4, "v": 1.5}] for at in range(rows)], sparse),
            "pair": gappy(
                [{"x": float(at), "kind": f"k{at % 2}"} for at in range(rows)],
                pa.struct([("x", pa.float64()), ("kind", pa.string())]),
            ),
            "y": rng.normal(size=rows),
        }
    )


def as_json(row: dict[str, Any]) -> dict[str, Any]:
    def one(value: Any) -> Any:
        if isinstance(value, bytes):
            return base64.b64encode(value).decode()
        if isinstance(value, (datetime.date, datetime.time)):
            return value.isoformat()
        return value

    return {name: one(value) for name, value in row.items() if name != "y"}


@pytest.mark.parametrize("family", ["linear_regression", "boosted_tree_regressor", "kmeans"])
def test_every_type_means_the_same_as_in_training(family: str, tmp_path: Path) -> None:
    table = everything()
    label = None if family == "kmeans" else "y"
    names = [name for name in table.column_names if name != "y"]
    model, runner = served(tmp_path, family, table, label, features=names)
    rows = [as_json(row) for row in table.to_pylist()]
    answers = runner.predict(rows)
    wanted = model.predict(table)
    if label:
        found = [answer["predicted_y"][0] for answer in answers]
        np.testing.assert_allclose(found, wanted["prediction"].to_numpy(), rtol=1e-9, atol=1e-9)
    else:
        assert [answer["NEAREST_CENTROID_ID"][0] for answer in answers] == wanted["centroid_id"].to_pylist()
    other = {
        "whole": str(rows[1]["whole"]),
        "local": rows[1]["local"] and rows[1]["local"].replace("T", " "),
        "moment": rows[1]["moment"] and rows[1]["moment"].replace("+00:00", "Z"),
        "raw": rows[1]["raw"] and {"b64": rows[1]["raw"]},
        "flag": (rows[1]["flag"] is not None and str(rows[1]["flag"]).lower()) or None,
        "sparse": rows[1]["sparse"] and [[item["i"], item["v"]] for item in rows[1]["sparse"]],
    }
    assert runner.predict([rows[1] | other]) == runner.predict([rows[1]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"number": "many"}, "Instance 1: number must be a number; given: 'many'"),
        ({"number": {"x": 1}}, "Instance 1: number must be a number"),
        ({"text": 5}, "Instance 1: text must be a string value"),
        ({"flag": "perhaps"}, "Instance 1: flag must be a bool value"),
        ({"raw": "%%"}, "Instance 1: raw must be a binary value"),
        ({"day": "yesterday"}, "Instance 1: day must be a date32"),
        ({"local": "2026-01-01T00:00:00Z"}, "DATETIME without a zone"),
        ({"moment": "noon"}, "Instance 1: moment must be a timestamp"),
        ({"tags": "g1"}, "Instance 1: tags must be a list"),
        ({"vector": [1.0]}, "Instance 1: vector must be a list of 3 numbers"),
        ({"sparse": [[1]]}, "Instance 1: sparse must be a list of index and value"),
        ({"pair": 3}, "Instance 1: pair must be an object"),
        ({"pair": {"x": 1.0}}, r"Instance 1: .*must have the column pair\.kind"),
    ],
)
def test_wrong_values_name_the_column_and_the_row(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    table = everything()
    names = [name for name in table.column_names if name != "y"]
    _, runner = served(tmp_path, "linear_regression", table, "y", features=names)
    good = as_json(next(row for row in table.to_pylist() if row["number"] is not None))
    with pytest.raises(InvalidArgument, match=message):
        runner.predict([good, good | change])


@pytest.mark.parametrize("features", [["a", "b"], FEATURES], ids=["numbers", "mixed"])
def test_wrong_shapes(features: list[str], table: pa.Table, tmp_path: Path) -> None:
    _, runner = served(tmp_path, "linear_regression", table, "y", features=features)
    good = instances(table.slice(0, 1), features)[0]
    with pytest.raises(InvalidArgument, match="Instance 1: The data must have the column b"):
        runner.predict([good, {name: value for name, value in good.items() if name != "b"}])
    with pytest.raises(InvalidArgument, match=f"Instance 0 must have {len(features)} values"):
        runner.predict([[1.0]])
    with pytest.raises(InvalidArgument, match="must be an object by input name or a list"):
        runner.predict([3.0])
    with pytest.raises(InvalidArgument, match="a must be a number"):
        runner.predict([good | {"a": "x"}])
    extra = runner.predict([good | {"unrelated": "field"}])
    assert extra == runner.predict([good])


def test_null_is_filled_as_in_training(table: pa.Table, tmp_path: Path) -> None:
    model, runner = served(tmp_path, "linear_regression", table, "y", features=["a", "b"])
    means = {item.name: item.mean for item in model.statistics}
    (empty,), (filled,) = runner.predict([{"a": None, "b": None}]), runner.predict([means])
    assert empty["predicted_y"][0] == pytest.approx(filled["predicted_y"][0])


def test_one_input_may_come_bare(tmp_path: Path) -> None:
    table = pa.table({"x": np.arange(100.0), "y": 2 * np.arange(100.0)})
    _, runner = served(tmp_path, "linear_regression", table, "y", features=["x"])
    for instance in (5, 5.0, "5", [5], {"x": 5}):
        assert runner.predict([instance])[0]["predicted_y"][0] == pytest.approx(10.0)


def test_extreme_scores_do_not_overflow(tmp_path: Path) -> None:
    x = np.linspace(-1, 1, 200)
    table = pa.table({"x": x, "y": (x + np.sin(50 * x) / 3 > 0).astype(int)})
    _, runner = served(tmp_path, "logistic_regression", table, "y", features=["x"])
    low, high = runner.predict([[-1e9], [1e9]])
    assert low["y_probs"] == [0.0, 1.0] and high["y_probs"] == [1.0, 0.0]


def test_several_threads_get_their_own_answers(table: pa.Table, tmp_path: Path) -> None:
    _, runner = served(tmp_path, "boosted_tree_classifier", table, "label")
    rows = instances(table, FEATURES)
    wanted = [runner.predict([row]) for row in rows[:40]]
    wrong: list[int] = []

    def ask(start: int) -> None:
        for _ in range(20):
            for at in range(start, 40, 4):
                if runner.predict([rows[at]]) != wanted[at]:
                    wrong.append(at)

    threads = [threading.Thread(target=ask, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
