"""Models of every framework through the SDK's own upload helpers, deployed at once, answering as the library does."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import samples
import xgboost
from google.cloud import aiplatform
from sklearn.compose import make_column_transformer
from sklearn.ensemble import GradientBoostingClassifier, RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

samples.start()
rows, labels = samples.ROWS, samples.LABELS
folder = Path(tempfile.mkdtemp())
instances = rows[:60].tolist()
Case = tuple[aiplatform.Model, list[Any], list[Any]]
cases: dict[str, Case] = {}


def scikit_learn(name: str, estimator: Any, suffix: str, asked: list[Any], answers: list[Any]) -> None:
    path = folder / f"{name}.{suffix}"
    path.write_bytes(samples.dumped(estimator) if suffix == "joblib" else samples.pickled(estimator))
    model = aiplatform.Model.upload_scikit_learn_model_file(model_file_path=str(path), display_name=name)
    cases[name] = (model, asked, answers)


def plain(name: str, estimator: Any, suffix: str = "joblib") -> None:
    scikit_learn(name, estimator, suffix, instances, estimator.predict(rows[:60]).tolist())


def booster_file(name: str, booster: xgboost.Booster, saved_as: str, answers: list[Any]) -> None:
    path = folder / saved_as
    booster.save_model(path)
    if path.suffix == ".ubj":
        path = path.rename(path.with_suffix(".bst"))
    model = aiplatform.Model.upload_xgboost_model_file(model_file_path=str(path), display_name=name)
    cases[name] = (model, instances, answers)


plain("linear", LinearRegression().fit(rows, rows @ np.arange(30.0)))
plain("logistic", make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, labels), "pkl")
plain("forest", RandomForestRegressor(25, random_state=0).fit(rows, rows[:, 0]))
plain("boosting", GradientBoostingClassifier(n_estimators=15).fit(rows, np.where(labels, "benign", "malignant")))
plain("neighbours", KNeighborsClassifier().fit(rows, labels))

frame = pandas.DataFrame({"radius": rows[:, 0], "shade": np.where(rows[:, 1] > 19, "dark", "light")})
encoder = make_column_transformer((OneHotEncoder(), ["shade"]), remainder="passthrough")
named = make_pipeline(encoder, LogisticRegression()).fit(frame, labels)
scikit_learn("named", named, "joblib", frame[:60].to_dict("records"), named.predict(frame[:60]).tolist())

classifier = xgboost.XGBClassifier(n_estimators=40).fit(rows, labels)
booster = classifier.get_booster()
scores = booster.predict(xgboost.DMatrix(rows[:60])).tolist()
booster_file("booster", booster, "model.ubj", scores)
several = xgboost.train(
    {"objective": "multi:softprob", "num_class": 3, "max_depth": 4},
    xgboost.DMatrix(rows, label=np.digitize(rows[:, 0], [12, 16])),
    20,
)
booster_file("several", several, "several.ubj", several.predict(xgboost.DMatrix(rows[:60])).tolist())
pickle_path = folder / "wrapped.pkl"
pickle_path.write_bytes(samples.pickled(classifier))
cases["wrapped"] = (
    aiplatform.Model.upload_xgboost_model_file(model_file_path=str(pickle_path), display_name="wrapped"),
    instances,
    classifier.predict(rows[:60]).tolist(),
)


def from_bucket(name: str, image: str, files: dict[str, bytes], answers: list[Any]) -> None:
    address = samples.put(f"frameworks-{name}", files)
    model = aiplatform.Model.upload(display_name=name, artifact_uri=address, serving_container_image_uri=image)
    cases[name] = (model, instances, answers)


from_bucket("json", samples.XGBOOST, {"model.json": bytes(booster.save_raw("json"))}, scores)
try:
    import onnxruntime
except ImportError:
    pass
else:
    from skl2onnx import to_onnx

    graph = to_onnx(LinearRegression().fit(rows, labels), rows[:1]).SerializeToString()
    session = onnxruntime.InferenceSession(graph)
    from_bucket("graph", samples.PYTORCH, {"model.onnx": graph}, session.run(None, {"X": rows[:60]})[0].tolist())

# All are deployed at once; the SDK waits in threads of its own.
endpoints = {name: model.deploy(sync=False) for name, (model, _, _) in cases.items()}
for endpoint in endpoints.values():
    endpoint.wait()


def same(name: str, found: list[Any], wanted: list[Any]) -> None:
    assert found == wanted, f"{name}: {found[:3]} instead of {wanted[:3]}"


Ask = Callable[[aiplatform.Endpoint, list[Any]], aiplatform.models.Prediction]
ways: dict[str, Ask] = {
    "predict": lambda endpoint, asked: endpoint.predict(asked),
    "raw": lambda endpoint, asked: endpoint.predict(asked, use_raw_predict=True),
}
for transport in ("grpc", "rest"):
    aiplatform.init(api_transport=None if transport == "grpc" else transport)
    for name, (_, asked, wanted) in cases.items():
        endpoint = aiplatform.Endpoint(endpoints[name].resource_name)
        for way, ask in ways.items():
            same(f"{name} by {transport} {way}", ask(endpoint, asked).predictions, wanted)
            # One row at a time too, where the library itself answers a row alike in any company.
            if name not in ("linear", "graph"):
                same(f"{name} by {transport} {way}, alone", ask(endpoint, asked[:1]).predictions, wanted[:1])

for name, endpoint in endpoints.items():
    endpoint.delete(force=True)
    cases[name][0].delete()
