"""Serving: a model compiled into a plan that goes straight from parsed JSON to numbers and back to JSON values.

``load`` compiles a bundle. ``compile_xgboost`` reads a booster file that somebody else wrote (data only).
``plan_from_arrays`` builds a plan from the arrays that ``estimators.sklearn_plan`` took out of a scikit-learn object;
that object is never unpickled here: the jailed worker does it and calls ``sklearn_plan`` there.
All plans may be called from several threads at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from tule.learn.schema import Signature

Instance = Mapping[str, Any] | Sequence[Any]


class Runtime(Protocol):
    """A bundle ready to serve."""

    family: str
    signature: Signature

    def predict(self, instances: Sequence[Instance]) -> list[dict[str, Any]]:
        """One answer per instance, as exported BigQuery ML models answer.

        An instance is an object by input column, or a list in the signature's order. Values: numbers, strings,
        booleans, null, lists, objects for structs; dates and times as ISO text; BYTES as base64 text or
        ``{"b64": text}``; numeric text is taken as a number; every value may be wrapped in a list of one. A missing
        key is an InvalidArgument naming column and row.

        Regression: ``{"predicted_<label>": [x]}``. Classification: ``{"predicted_<label>": [value], "<label>_probs":
        [...], "<label>_values": [...]}``, classes descending as ML.PREDICT lists them; values as JSON. K-means:
        ``{"NEAREST_CENTROID_ID": [id], "CENTROID_IDS": [...], "CENTROID_DISTANCES": [...]}``, all clusters,
        nearest first.
        """

    def explain(self, instances: Sequence[Instance]) -> list[dict[str, Any]]:
        """``{"baseline": float, "prediction": float, "attributions": {feature: float}, "error": 0.0, "label": value}``
        per instance; ``label`` (the predicted class) for classifiers only; numbers as ``Model.explain`` says."""


class Plan(Protocol):
    """A foreign model ready to serve."""

    num_features: int
    feature_names: list[str] | None
    """Names in order, when the file or estimator knows them: then instances may be objects too."""

    def predict(self, instances: Sequence[Instance]) -> list[Any]:
        """What the framework's own ``predict`` gives for these rows (bit for bit), as JSON values."""


def load(directory: Path) -> Runtime:
    """Compile the bundle in ``directory`` (checksums verified)."""
    from tule.learn.runtime.bundles import compile_bundle

    return compile_bundle(directory)


def compile_xgboost(path: Path) -> Plan:
    """A plan for a booster saved as ``.bst``, ``.json``, ``.ubj`` or ``.model``: equal to ``Booster.predict``.

    null and NaN are missing values. Raises InvalidArgument for a file that xgboost cannot read, and for xgboost's old
    pickled forms.
    """
    from tule.learn.runtime.boosters import compile_booster

    return compile_booster(path)


def plan_from_arrays(plan: Mapping[str, Any]) -> Plan:
    """The plan that ``estimators.sklearn_plan`` described: ``{"steps": [...], "arrays": {name: ndarray}, ...}``."""
    from tule.learn.runtime.estimators import compile_steps

    return compile_steps(plan)
