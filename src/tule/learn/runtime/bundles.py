"""A bundle compiled for serving."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tule.kernel.errors import InvalidArgument, Unimplemented
from tule.learn import bundle
from tule.learn.models.base import Model
from tule.learn.models.blend import BlendModel
from tule.learn.models.factorization import FactorizationModel
from tule.learn.models.glm import GeneralizedLinearModel
from tule.learn.models.kmeans import KMeansModel, exact_distances
from tule.learn.models.neural import AutoencoderModel, NeuralModel
from tule.learn.models.pca import PcaModel
from tule.learn.models.supervised import Supervised
from tule.learn.models.timeseries import TimeSeriesModel
from tule.learn.models.trees import TreeModel, class_probabilities
from tule.learn.runtime.boosters import BoosterPredictor
from tule.learn.runtime.instances import InstanceReader
from tule.learn.runtime.linear import scores_of, softmax
from tule.learn.transforms import Block, Encoding
from tule.learn.transforms.features import text_of


def compile_bundle(directory: Path) -> BundleRuntime:
    """Load and verify a bundle, and compile its model."""
    return BundleRuntime(bundle.load(directory))


class BundleRuntime:
    """A fitted model ready to serve; see ``tule.learn.runtime.Runtime``."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.family = model.family
        self.signature = model.signature
        self._answer: Callable[[Any], list[dict[str, Any]]]
        self._read: Callable[[Sequence[Any]], Any]
        if isinstance(model, TimeSeriesModel):
            raise Unimplemented(
                "A time series model cannot be deployed: its answers do not depend on an instance",
                given=model.family.upper(),
                do="ask it in SQL, with ML.FORECAST",
            )
        if isinstance(model, BlendModel):
            self._answer, self._read = _blend(model), _each(model)
        elif isinstance(model, FactorizationModel):
            self._answer, self._read = _ratings(model), _pairs(model)
        else:
            self._answer = _compile(model)
            self._read = InstanceReader(model.signature, model.encoding).block  # type: ignore[attr-defined]

    def predict(self, instances: Sequence[Any]) -> list[dict[str, Any]]:
        """One answer per instance. Lists inside answers are shared between rows: do not change them."""
        return self._answer(self._read(instances)) if instances else []

    def explain(self, instances: Sequence[Any]) -> list[dict[str, Any]]:
        """Attributions per instance."""
        model = self.model
        if not isinstance(model, Supervised):
            raise Unimplemented(f"A {self.family} model has no feature attributions", do="explain a supervised model")
        if not instances:
            return []
        found = model.explain_block(self._read(instances))
        names = model.features
        answers: list[dict[str, Any]] = []
        for at in range(len(found.values)):
            answer: dict[str, Any] = {
                "baseline": float(found.baseline[at]),
                "prediction": float(found.totals[at]),
                "attributions": dict(zip(names, found.shares[at].tolist(), strict=True)),
                "error": 0.0,
            }
            if found.chosen is not None and model.classes is not None:
                answer["label"] = json_value(model.classes[found.chosen[at]])
            answers.append(answer)
        return answers


def json_value(value: Any) -> Any:
    """A label as JSON: numbers, booleans and strings are themselves, all else its text."""
    return value if isinstance(value, (bool, int, float, str)) else text_of(value)


def _compile(model: Model) -> Callable[[Block], list[dict[str, Any]]]:
    label = model.signature.label.name if model.signature.label is not None else ""
    if isinstance(model, GeneralizedLinearModel):
        scores = scores_of(model)
        if model.classes is None:
            return lambda block: _numbers(scores(block)[:, 0], label)
        if len(model.classes) == 2:
            binary = _binary(model.classes, label)
            return lambda block: binary(scores(block)[:, 0])
        several = _several(model.classes, label)
        return lambda block: several(softmax(scores(block)))
    if isinstance(model, TreeModel):
        predict, matrix = _trees(model), model.columns.matrix
        if model.classes is None:
            return lambda block: _numbers(predict(matrix(block)).astype(np.float64), label)
        several = _several(model.classes, label)
        return lambda block: several(class_probabilities(predict(matrix(block))))
    if isinstance(model, NeuralModel):
        if model.classes is None:
            return lambda block: _numbers(model.values(block), label)
        several = _several(model.classes, label)
        return lambda block: several(model.probabilities(block))
    if isinstance(model, PcaModel):
        return _components(model)
    if isinstance(model, AutoencoderModel):
        return lambda block: [{"latent_cols": row} for row in model.latent_block(block).tolist()]
    assert isinstance(model, KMeansModel)
    return _clusters(model)


def _numbers(values: np.ndarray, label: str) -> list[dict[str, Any]]:
    name = f"predicted_{label}"
    return [{name: [value]} for value in values.tolist()]


def _binary(classes: list[Any], label: str) -> Callable[[np.ndarray], list[dict[str, Any]]]:
    """Answers from log-odds of the second class."""
    predicted, probs, values = f"predicted_{label}", f"{label}_probs", f"{label}_values"
    lower, upper = json_value(classes[0]), json_value(classes[1])
    both, low, high = [upper, lower], [lower], [upper]
    exp = math.exp

    def answer(scores: np.ndarray) -> list[dict[str, Any]]:
        found = []
        for score in scores.tolist():
            # Beyond that the exponential is infinite, and the probability 0, as it is in SQL.
            positive = 1.0 / (1.0 + exp(-score)) if score >= -709.782712893384 else 0.0 if score == score else score
            found.append(
                {
                    predicted: high if positive >= 0.5 else low,
                    probs: [positive, 1.0 - positive],
                    values: both,
                }
            )
        return found

    return answer


def _several(classes: list[Any], label: str) -> Callable[[np.ndarray], list[dict[str, Any]]]:
    """Answers from probabilities (n, classes); classes are listed in descending order."""
    predicted, probs, values = f"predicted_{label}", f"{label}_probs", f"{label}_values"
    texts = [json_value(value) for value in classes]
    descending = texts[::-1]

    def answer(probabilities: np.ndarray) -> list[dict[str, Any]]:
        if len(texts) == 2:
            chosen = (probabilities[:, 1] >= 0.5).astype(int).tolist()
        else:
            chosen = probabilities.argmax(axis=1).tolist()
        return [
            {predicted: [texts[place]], probs: row, values: descending}
            for place, row in zip(chosen, probabilities[:, ::-1].tolist(), strict=True)
        ]

    return answer


def _trees(model: TreeModel) -> Callable[[Any], np.ndarray]:
    if model.columns.sparse:
        return lambda matrix: np.asarray(model.booster.inplace_predict(matrix, validate_features=False))
    import xgboost

    booster = xgboost.Booster()
    booster.load_model(bytearray(model.file))
    return BoosterPredictor(booster).predict


def _each(model: BlendModel) -> Callable[[Sequence[Any]], list[Block]]:
    """Reads instances as each part encodes them."""
    readers = [InstanceReader(model.signature, each.model.encoding) for each in model.parts]  # type: ignore[attr-defined]
    return lambda instances: [reader.block(instances) for reader in readers]


def _blend(model: BlendModel) -> Callable[[list[Block]], list[dict[str, Any]]]:
    """The weighted mean of the parts' answers."""
    label = model.signature.label.name if model.signature.label is not None else ""
    parts = [(each, _values(each.model)) for each in model.parts]
    if model.classes is None:

        def mean(blocks: list[Block]) -> list[dict[str, Any]]:
            found = [each.weight * each.outward(ask(block)) for (each, ask), block in zip(parts, blocks, strict=True)]
            return _numbers(np.sum(found, axis=0), label)

        return mean
    several, classes = _several(model.classes, label), model.classes

    def shares(blocks: list[Block]) -> list[dict[str, Any]]:
        found = [
            each.weight * each.in_order(ask(block), classes) for (each, ask), block in zip(parts, blocks, strict=True)
        ]
        return several(np.sum(found, axis=0))

    return shares


def _values(model: Model) -> Callable[[Block], np.ndarray]:
    """Predictions (n,) of a regression, or probabilities (n, classes)."""
    if isinstance(model, GeneralizedLinearModel):
        scores = scores_of(model)
        if model.classes is None:
            return lambda block: scores(block)[:, 0]
        if len(model.classes) > 2:
            return lambda block: softmax(scores(block))
        return lambda block: _two(scores(block)[:, 0])
    if isinstance(model, TreeModel):
        predict, matrix = _trees(model), model.columns.matrix
        if model.classes is None:
            return lambda block: predict(matrix(block)).astype(np.float64)
        return lambda block: class_probabilities(predict(matrix(block)))
    assert isinstance(model, NeuralModel)
    return model.values if model.classes is None else model.probabilities


def _two(scores: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        positive = 1.0 / (1.0 + np.exp(-scores))
    return np.column_stack([1.0 - positive, positive])


def _clusters(model: KMeansModel) -> Callable[[Block], list[dict[str, Any]]]:
    encoding, centers, cosine = model.encoding, model.centers, model.cosine

    def answer(block: Block) -> list[dict[str, Any]]:
        _scale(block, encoding)
        distances = exact_distances(block, centers, cosine)
        order = np.argsort(distances, axis=1, kind="stable")
        ordered = np.take_along_axis(distances, order, axis=1)
        return [
            {"NEAREST_CENTROID_ID": [ids[0]], "CENTROID_IDS": ids, "CENTROID_DISTANCES": values}
            for ids, values in zip((order + 1).tolist(), ordered.tolist(), strict=True)
        ]

    return answer


def _components(model: PcaModel) -> Callable[[Block], list[dict[str, Any]]]:
    encoding = model.encoding
    ids = list(range(1, len(model.loadings) + 1))

    def answer(block: Block) -> list[dict[str, Any]]:
        _scale(block, encoding)
        return [{"principal_component_ids": ids, "projections": row} for row in model.scores(block).tolist()]

    return answer


def _pairs(model: FactorizationModel) -> Callable[[Sequence[Any]], pa.RecordBatch]:
    """Reads instances that name a user and an item."""
    fields = [pa.field(field.name, field.type) for field in model.signature.inputs[:2]]

    def read(instances: Sequence[Any]) -> pa.RecordBatch:
        columns = []
        for field in fields:
            for at, each in enumerate(instances):
                if not isinstance(each, dict) or field.name not in each:
                    raise InvalidArgument(
                        f"An instance must be an object with {' and '.join(model.features)}",
                        given=f"instances[{at}] = {str(each)[:80]}",
                        location=f"instances[{at}]",
                    )
            try:
                columns.append(pa.array([each[field.name] for each in instances], field.type))
            except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
                raise InvalidArgument(f"{field.name} must be a value of type {field.type}", given=str(error)) from error
        return pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields))

    return read


def _ratings(model: FactorizationModel) -> Callable[[pa.RecordBatch], list[dict[str, Any]]]:
    name = f"predicted_{model.rating_name}{'_confidence' if model.implicit else ''}"
    return lambda rows: [{name: [value]} for value in model.predict(rows).column("prediction").to_pylist()]


def _scale(block: Block, encoding: Encoding) -> None:
    """Centre and scale the numbers of a block that is ours, in place."""
    numbers = block.dense[:, : len(encoding.numbers)]
    numbers -= encoding.centers
    numbers /= encoding.scales
