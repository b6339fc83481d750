"""Explanations as Vertex AI words them: attributions of one output to the features of one instance.

Models trained by Tule are explained exactly, as ML.EXPLAIN_PREDICT explains them. Any other model is explained by
sampled Shapley values, which need nothing but its predictions: along ``path_count`` random orders the features of a
baseline are replaced one by one with the instance's, and a feature's attribution is its mean effect.
https://cloud.google.com/vertex-ai/docs/explainable-ai/overview
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tule.kernel.errors import FailedPrecondition, InvalidArgument, Unimplemented

Predict = Callable[[Sequence[Any]], list[Any]]

_INPUT_FIELDS = {
    "inputBaselines", "encoding", "indexFeatureMapping", "inputTensorName", "modality", "featureValueDomain",
}  # fmt: skip
_ENCODINGS = {None, "ENCODING_UNSPECIFIED", "IDENTITY", "BAG_OF_FEATURES"}
_MOST_PATHS = 50


def merged(model: Mapping[str, Any], deployed: Mapping[str, Any]) -> dict[str, Any]:
    """The model's explanation spec with the deployment's fields over it."""
    return {**model, **deployed}


def check_spec(spec: Mapping[str, Any]) -> None:
    """Refuse, by name, what of an ExplanationSpec is not done."""
    if not spec:
        return
    method = spec.get("parameters", {})
    if method and "sampledShapleyAttribution" not in method:
        raise Unimplemented(
            "Explanations are done by sampled Shapley values",
            given=", ".join(sorted(method)) or "no method",
            do="set parameters.sampled_shapley_attribution.path_count",
        )
    if method:
        paths = method["sampledShapleyAttribution"].get("pathCount", 0)
        if not 1 <= paths <= _MOST_PATHS:
            raise InvalidArgument(f"path_count must lie between 1 and {_MOST_PATHS}", given=paths)
    for name, about in spec.get("metadata", {}).get("inputs", {}).items():
        wrong = sorted(set(about) - _INPUT_FIELDS)
        if about.get("encoding") not in _ENCODINGS:
            wrong.append(f"encoding {about['encoding']}")
        if wrong:
            raise Unimplemented(
                f"Tule does not do {', '.join(wrong)} of explanation metadata", given=f"input {name}", do="leave it out"
            )
        if about.get("encoding") == "BAG_OF_FEATURES" and not about.get("indexFeatureMapping"):
            raise InvalidArgument(
                "An input encoded as BAG_OF_FEATURES must name its features", given=f"input {name}",
                do="set index_feature_mapping",
            )  # fmt: skip


def exact(found: Sequence[Mapping[str, Any]], output: str) -> list[dict[str, Any]]:
    """Google's Explanation messages from the exact attributions of ``learn.runtime``."""
    explanations = []
    for each in found:
        attribution = {
            "baselineOutputValue": each["baseline"],
            "instanceOutputValue": each["prediction"],
            "featureAttributions": dict(each["attributions"]),
            "approximationError": each["error"],
            "outputName": output,
        }
        if each.get("label") is not None:
            attribution["outputDisplayName"] = str(each["label"])
        explanations.append({"attributions": [attribution]})
    return explanations


@dataclass(frozen=True)
class _Slot:
    """One thing that is attributed to: a value of the instance, by the keys that lead to it."""

    input: str
    path: tuple[Any, ...]
    baselines: tuple[Any, ...]


class SampledShapley:
    """Explains any model from its predictions. Deterministic: the same request gives the same numbers."""

    def __init__(self, spec: Mapping[str, Any]) -> None:
        parameters = spec.get("parameters", {})
        self._paths = int(parameters.get("sampledShapleyAttribution", {}).get("pathCount", 0))
        if not self._paths:
            raise FailedPrecondition(
                "A model must have an explanation method to be explained",
                given="no explanation_spec.parameters",
                do="upload or deploy it with explanation_parameters (sampled Shapley) and explanation_metadata",
            )
        self._top = int(parameters.get("topK", 0))
        self._wanted = parameters.get("outputIndices")
        metadata = spec.get("metadata", {})
        self._inputs: Mapping[str, Mapping[str, Any]] = metadata.get("inputs", {})
        self._outputs: Mapping[str, Mapping[str, Any]] = metadata.get("outputs", {})

    def explain(self, instances: Sequence[Any], predict: Predict) -> list[dict[str, Any]]:
        """One Explanation message per instance."""
        return [self._explain(instance, predict) for instance in instances]

    def _explain(self, instance: Any, predict: Predict) -> dict[str, Any]:
        slots = self._slots(instance)
        orders = _orders(len(slots), self._paths)
        rounds = max(len(slot.baselines) for slot in slots)
        rows: list[Any] = []
        for which in range(rounds):
            start = _copy(instance)
            for slot in slots:
                _put(start, slot.path, slot.baselines[which % len(slot.baselines)])
            for order in orders:
                row = _copy(start)
                rows.append(row)
                for place in order:
                    row = _copy(row)
                    _put(row, slots[place].path, _get(instance, slots[place].path))
                    rows.append(row)
        outputs = _matrix(predict([*rows, instance]), self._output_name)
        steps = outputs[:-1].reshape(rounds, len(orders), len(slots) + 1, -1)
        effects = np.empty((rounds, len(orders), len(slots), outputs.shape[1]))
        for place, order in enumerate(orders):
            effects[:, place, list(order)] = np.diff(steps[:, place], axis=1)
        every = effects.reshape(-1, len(slots), outputs.shape[1])
        means, spread = every.mean(axis=0), every.std(axis=0)
        complete = len(orders) == math.factorial(len(slots)) if len(slots) < 6 else False
        base, present = steps[:, :, 0].mean(axis=(0, 1)), outputs[-1]
        attributions = []
        for index in self._indices(present):
            error = 0.0 if complete and rounds == 1 else _error(means[:, index], spread[:, index], len(every))
            attribution: dict[str, Any] = {
                "baselineOutputValue": float(base[index]),
                "instanceOutputValue": float(present[index]),
                "featureAttributions": self._named(slots, means[:, index], instance),
                "approximationError": error,
                "outputName": self._output_name,
            }
            if outputs.shape[1] > 1:
                attribution["outputIndex"] = [index]
                display = self._display(index)
                if display is not None:
                    attribution["outputDisplayName"] = display
            attributions.append(attribution)
        return {"attributions": attributions}

    @property
    def _output_name(self) -> str:
        return next(iter(self._outputs), "predictions")

    def _display(self, index: int) -> str | None:
        mapping = next(iter(self._outputs.values()), {}).get("indexDisplayNameMapping")
        return str(mapping[index]) if isinstance(mapping, list) and index < len(mapping) else None

    def _indices(self, present: np.ndarray) -> list[int]:
        if self._wanted:
            return [int(index) for index in self._wanted]
        ranked = [int(index) for index in np.argsort(-present, kind="stable")]
        return ranked if self._top == -1 else ranked[: max(1, self._top)]

    def _slots(self, instance: Any) -> list[_Slot]:
        """What the instance's values are called and where they lie."""
        if isinstance(instance, Mapping):
            inputs = self._inputs or {name: {} for name in instance}
            missing = [name for name in inputs if name not in instance]
            if missing:
                raise InvalidArgument(
                    "An instance must have the inputs of the explanation metadata",
                    given=f"none for {', '.join(missing)}",
                )
            return [slot for name, about in inputs.items() for slot in _within(name, (name,), instance[name], about)]
        if not isinstance(instance, list) or not instance:
            raise InvalidArgument("An instance must be a list or an object to be explained", given=repr(instance)[:100])
        if len(self._inputs) == len(instance) > 1:
            return [
                slot
                for place, (name, about) in enumerate(self._inputs.items())
                for slot in _within(name, (place,), instance[place], about)
            ]
        if len(self._inputs) > 1:
            raise InvalidArgument(
                "A list instance must have one value per input of the explanation metadata",
                given=f"{len(instance)} values, {len(self._inputs)} inputs",
                do="name one input with index_feature_mapping, or send objects",
            )
        name, about = next(iter(self._inputs.items()), ("features", {}))
        return _within(name, (), instance, about)

    def _named(self, slots: Sequence[_Slot], values: np.ndarray, instance: Any) -> dict[str, Any]:
        """The attributions by input name: a number, a list of the input's shape, or numbers by feature name."""
        found: dict[str, Any] = {}
        for slot, value in zip(slots, values, strict=True):
            about = self._inputs.get(slot.input, {})
            inner = slot.path[-1] if slot.path and isinstance(slot.path[-1], int) else None
            if about.get("encoding") == "BAG_OF_FEATURES":
                found[about["indexFeatureMapping"][inner]] = float(value)
            elif sum(each.input == slot.input for each in slots) > 1:
                found.setdefault(slot.input, []).append(float(value))
            else:
                found[slot.input] = float(value)
        return found


def _within(name: str, path: tuple[Any, ...], value: Any, about: Mapping[str, Any]) -> list[_Slot]:
    """The slots of one input: one for a scalar, one per element of a list."""
    baselines = about.get("inputBaselines") or []
    if not isinstance(value, list):
        _check_number(name, value)
        return [_Slot(name, path, tuple(baselines) or (0.0,))]
    names = about.get("indexFeatureMapping")
    if names and len(names) != len(value):
        raise InvalidArgument(
            f"Input {name} must have one value per name in index_feature_mapping",
            given=f"{len(value)} values, {len(names)} names",
        )
    for each in value:
        _check_number(name, each)
    for baseline in baselines:
        if isinstance(baseline, list) and len(baseline) != len(value):
            raise InvalidArgument(
                f"A baseline of input {name} must have its shape", given=f"{len(baseline)} for {len(value)} values"
            )
    slots = []
    for place in range(len(value)):
        mine = tuple(baseline[place] if isinstance(baseline, list) else baseline for baseline in baselines)
        slots.append(_Slot(name, (*path, place), mine or (0.0,)))
    return slots


def _check_number(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidArgument(
            "A feature must be a number to be explained by sampled Shapley values",
            given=f"{value!r} of input {name}",
            do="encode it in numbers, or train the model in SQL, where categories are explained exactly",
        )


def _orders(features: int, paths: int) -> list[tuple[int, ...]]:
    """``paths`` random orders of the features; all orders where there are no more than that."""
    if features < 6 and math.factorial(features) <= paths:
        return list(itertools.permutations(range(features)))
    random = np.random.default_rng(0)
    return [tuple(int(place) for place in random.permutation(features)) for _ in range(paths)]


def _error(means: np.ndarray, spread: np.ndarray, paths: int) -> float:
    """The standard error of the attributions beside their size."""
    size = float(np.linalg.norm(means))
    return float(np.linalg.norm(spread)) / math.sqrt(paths) / size if size else 0.0


def _matrix(answers: Sequence[Any], name: str) -> np.ndarray:
    """Predictions as numbers, one row each."""
    try:
        picked = [each[name] if isinstance(each, Mapping) and name in each else each for each in answers]
        found = np.asarray(picked, dtype=np.float64)
    except (TypeError, ValueError):
        found = np.empty(0)
    if found.ndim not in (1, 2) or not found.size:
        raise FailedPrecondition(
            "A model must predict numbers to be explained",
            given=f"it predicts {str(answers[-1])[:100]}",
            do="deploy a model that answers scores or probabilities",
        )
    return found.reshape(len(answers), -1)


def _copy(value: Any) -> Any:
    """A copy of the containers of an instance."""
    if isinstance(value, list):
        return [_copy(each) for each in value]
    return {key: _copy(each) for key, each in value.items()} if isinstance(value, dict) else value


def _get(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def _put(value: Any, path: tuple[Any, ...], new: Any) -> None:
    for key in path[:-1]:
        value = value[key]
    value[path[-1]] = new
