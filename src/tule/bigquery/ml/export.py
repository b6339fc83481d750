"""EXPORT MODEL and extract jobs of models: boosted trees as XGBoost's own file with what is needed to use it.

    model.bst                   the booster (UBJSON), to be opened with ``xgboost.Booster(model_file=...)``
    assets/<n>.txt              the values of the n-th categorical feature, a line each, in the order of their numbers
    assets/model_metadata.json  features, classes and what each column of the booster's matrix is

The service also writes a Python program that predicts; Tule exports no code. Every other kind of model is a TensorFlow
SavedModel there, which nothing but TensorFlow can write: it is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from tule.bigquery.ml.functions import Trained
from tule.bigquery.ml.options.model_types import CLASSIFIERS, TREES
from tule.bigquery.ml.resource import label_text
from tule.bigquery.source_files import ObjectFiles
from tule.kernel.errors import InvalidArgument, Unimplemented

BOOSTER, SAVED_MODEL = "ML_XGBOOST_BOOSTER", "ML_TF_SAVED_MODEL"
_URI = re.compile(r"gs://(?P<bucket>[^/*]+)/(?P<prefix>[^*]*)\*?")
_ELSEWHERE = "train it with MODEL_REGISTRY = 'VERTEX_AI' and export it from the registry as Tule's own bundle"


def export_model(
    trained: Trained, uri: str, format: str | None, objects: ObjectFiles, check: Callable[[], None]
) -> int:
    """Write a model's files under ``uri``; their number. ``format`` None: the one that its type has."""
    found = _URI.fullmatch(uri)
    if found is None:
        raise InvalidArgument(
            "A model is exported to a directory gs://BUCKET/DIRECTORY", given=repr(uri), do="name a directory",
            reason="invalid",
        )  # fmt: skip
    _check(trained, format)
    prefix = found["prefix"].rstrip("/")
    files = dict(_files(trained))
    for name, content in files.items():
        check()
        kind = "application/json" if name.endswith(".json") else "text/plain" if name.endswith(".txt") else None
        objects.put(
            found["bucket"],
            f"{prefix}/{name}" if prefix else name,
            iter([content]),
            content_type=kind or "application/octet-stream",
        )
    return len(files)


def _check(trained: Trained, format: str | None) -> None:
    model_type = trained.options.model_type
    wanted = format or (BOOSTER if model_type in TREES else SAVED_MODEL)
    if wanted not in (BOOSTER, SAVED_MODEL):
        raise InvalidArgument(
            "The destinationFormat of a model must be ML_TF_SAVED_MODEL or ML_XGBOOST_BOOSTER", given=repr(wanted),
            reason="invalid",
        )  # fmt: skip
    if model_type not in TREES and wanted == BOOSTER:
        raise InvalidArgument(
            f"A model of type {model_type} cannot be exported as ML_XGBOOST_BOOSTER",
            given=trained.name,
            do=f"only {' and '.join(sorted(TREES))} can",
            reason="invalid",
        )
    if wanted == SAVED_MODEL:
        raise Unimplemented(
            "Tule does not write ML_TF_SAVED_MODEL: a SavedModel can only be made by TensorFlow",
            given=f"{trained.name} of type {model_type}",
            do="set destinationFormat to ML_XGBOOST_BOOSTER" if model_type in TREES else _ELSEWHERE,
            reason="notImplemented",
        )
    if trained.transform is not None:
        raise Unimplemented(
            "Tule does not export a model with a TRANSFORM: the service adds it as a SavedModel, which only TensorFlow "
            "can make",
            given=trained.name,
            do=f"train without TRANSFORM, or {_ELSEWHERE}",
            reason="notImplemented",
        )


def _files(trained: Trained) -> Iterator[tuple[str, bytes]]:
    model: Any = trained.model
    yield "model.bst", bytes(model.file)
    for category in model.encoding.categories:
        lines = [text for text in category.texts if text is not None]
        yield f"assets/{category.feature}.txt", "".join(f"{text}\n" for text in lines).encode()
    yield "assets/model_metadata.json", json.dumps(_metadata(trained), indent=2).encode()


def _metadata(trained: Trained) -> dict[str, Any]:
    model: Any = trained.model
    made: dict[str, Any] = {
        "model_type": trained.options.model_type.lower(),
        "label_col": trained.label,
        "feature_names": list(model.features),
        "category_encoding_method": model.columns.method,
        # The feature behind each column of the matrix that the booster reads.
        "column_features": [model.features[at] for at in model.columns.owners()],
        "numeric_means": {model.features[number.feature]: number.mean for number in model.encoding.numbers},
    }
    if trained.options.model_type in CLASSIFIERS:
        made["class_names"] = [label_text(each) for each in model.classes]
    return made
