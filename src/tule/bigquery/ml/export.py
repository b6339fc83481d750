"""EXPORT MODEL and extract jobs of models.

    model.bst                   boosted trees: the booster (UBJSON), to be opened with ``xgboost.Booster(model_file=...)``
    assets/<n>.txt              the values of the n-th categorical feature, a line each, in the order of their numbers
    assets/model_metadata.json  features, classes and what each column of the booster's matrix is
    transform/transform.sql     of a model with a TRANSFORM: the clause with what it fitted, as a query
    saved_model.pb, variables/  all but trees: the graph as a SavedModel, where TensorFlow is installed to write it
    onnx/model.onnx             any family with an exact form, preprocessing included: Tule's own addition

EXPORT MODEL writes all that a type has, an extract job the one format that it names. The service also writes a Python
program that predicts; Tule exports no code. A TensorFlow model that was imported is exported as the files that it came from.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from tule.bigquery.ml.functions import Trained
from tule.bigquery.ml.graphwise import supply
from tule.bigquery.ml.options.model_types import AUTOML, CLASSIFIERS, EXPORTED, TENSORFLOW, TREES
from tule.bigquery.ml.resource import label_text
from tule.bigquery.source_files import ObjectFiles
from tule.kernel.errors import InvalidArgument, Unimplemented

if TYPE_CHECKING:
    from tule.learn.onnx.builder import Graph

BOOSTER, SAVED_MODEL, ONNX_GRAPH = "ML_XGBOOST_BOOSTER", "ML_TF_SAVED_MODEL", "ML_ONNX"
FORMATS = (SAVED_MODEL, BOOSTER, ONNX_GRAPH)
_URI = re.compile(r"gs://(?P<bucket>[^/*]+)/(?P<prefix>[^*]*)\*?")


def export_model(
    trained: Trained, uri: str, format: str | None, objects: ObjectFiles, check: Callable[[], None]
) -> int:
    """Write a model's files under ``uri``; their number. ``format`` None: all that its type has."""
    found = _URI.fullmatch(uri)
    if found is None:
        raise InvalidArgument(
            "A model is exported to a directory gs://BUCKET/DIRECTORY", given=repr(uri), do="name a directory",
            reason="invalid",
        )  # fmt: skip
    prefix = found["prefix"].rstrip("/")
    files = _files(trained, format)
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


def _files(trained: Trained, format: str | None) -> dict[str, bytes]:
    """The files of a format by name; raises where the model has none."""
    model_type = trained.options.model_type
    if format is not None and format not in FORMATS:
        raise InvalidArgument(
            f"The destinationFormat of a model must be {', '.join(FORMATS[:-1])} or {FORMATS[-1]}", given=repr(format),
            reason="invalid",
        )  # fmt: skip
    if model_type == TENSORFLOW:
        return _imported(trained, format)
    if model_type not in EXPORTED:
        raise InvalidArgument(
            f"A model of type {model_type} cannot be exported", given=trained.name,
            do=f"only {', '.join(sorted(EXPORTED))} and {TENSORFLOW} can", reason="invalid",
        )  # fmt: skip
    if format == SAVED_MODEL:
        return _saved_model(trained)
    if model_type in TREES:
        files = {} if format == ONNX_GRAPH else dict(_booster(trained))
        try:
            return files if format == BOOSTER else files | _graph(trained)
        except Unimplemented:
            # The booster is the documented form; a graph is only beside it.
            if format == ONNX_GRAPH:
                raise
            return files
    if format == BOOSTER:
        raise InvalidArgument(
            f"A model of type {model_type} cannot be exported as ML_XGBOOST_BOOSTER",
            given=trained.name,
            do=f"only {' and '.join(sorted(TREES))} can",
            reason="invalid",
        )
    graph = _graph(trained)
    if format == ONNX_GRAPH or not _writes_saved_models(trained):
        return graph
    return graph | _saved_model(trained)


def _writes_saved_models(trained: Trained) -> bool:
    """Whether TensorFlow is installed, and has operators for all of the model: it has none for trees."""
    from tule.learn.tensorflow.saving import is_installed

    return trained.options.model_type not in TREES | AUTOML and is_installed()


def _saved_model(trained: Trained) -> dict[str, bytes]:
    from tule.learn.tensorflow.saving import is_installed, saved_model

    if not is_installed():
        raise Unimplemented(
            f"{SAVED_MODEL} can only be written where TensorFlow is installed",
            given=f"{trained.name} of type {trained.options.model_type}",
            do="run `pip install 'tule[tensorflow]'` in Tule's environment, or set destinationFormat to "
            f"{BOOSTER if trained.options.model_type in TREES else ONNX_GRAPH}",
            reason="notImplemented",
        )
    return saved_model(_graph_of(trained))


def _graph(trained: Trained) -> dict[str, bytes]:
    return {"onnx/model.onnx": _graph_of(trained).to_bytes()}


def _graph_of(trained: Trained) -> Graph:
    from tule.learn.onnx.families import graph_of

    transform, signature = trained.transform, trained.model.signature
    if transform is None:
        return graph_of(trained.model)
    return graph_of(trained.model, lambda graph: supply(graph, transform, signature))


def _imported(trained: Trained, format: str | None) -> dict[str, bytes]:
    """The files that a TensorFlow model came from."""
    if format not in (None, SAVED_MODEL):
        raise InvalidArgument(
            f"A model of type {TENSORFLOW} cannot be exported as {format}", given=trained.name,
            do=f"set destinationFormat to {SAVED_MODEL}", reason="invalid",
        )  # fmt: skip
    folder = trained.model.folder  # type: ignore[attr-defined]
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def _booster(trained: Trained) -> Iterator[tuple[str, bytes]]:
    model: Any = trained.model
    yield "model.bst", bytes(model.file)
    for category in model.encoding.categories:
        lines = [text for text in category.texts if text is not None]
        yield f"assets/{category.feature}.txt", "".join(f"{text}\n" for text in lines).encode()
    yield "assets/model_metadata.json", json.dumps(_metadata(trained), indent=2).encode()
    if trained.transform is not None:
        yield "transform/transform.sql", _transform_query(trained).encode()


def _transform_query(trained: Trained) -> str:
    """The fitted clause as GoogleSQL over the raw columns."""
    from tule.bigquery.sql import printed

    assert trained.transform is not None
    wanted = set(trained.model.signature.input_names)
    items = [f"  {printed(item.node())} AS `{item.name}`" for item in trained.transform.items if item.name in wanted]
    return "SELECT\n" + ",\n".join(items) + "\nFROM input\n"


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
