"""Models in the model registry: what this room needs of it, and how a model of SQL is called there."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tule.bigquery.ml.options import ModelOptions
from tule.bigquery.ml.options.model_types import CLASSIFIERS, LABELLED

_MODEL_ID = re.compile(r"[a-z_][a-z0-9_-]{0,62}")
# Locations of BigQuery that are no region of Vertex AI.
_REGIONS = {"EU": "europe-west4"}


@dataclass(frozen=True)
class RegisteredFiles:
    """What a model is in the registry: a folder, how it is opened (bundle, onnx, booster, ...), and the file to open."""

    directory: Path
    format: str
    file: str


class Registry(Protocol):
    """The model registry (``vertex.registry``), passed in by the wiring. Both may be called inside a transaction."""

    def register(
        self,
        project: str,
        location: str,
        model_id: str,
        files: RegisteredFiles,
        display_name: str,
        version_aliases: Sequence[str] = (),
        labels: Mapping[str, str] | None = None,
        evaluation: Mapping[str, Any] | None = None,
        *,
        description: str = "",
    ) -> tuple[str, str]:
        """Add the files as a model or its next version: (resource name, version)."""

    def remove(self, project: str, location: str, model_id: str, version: str | None = None) -> None:
        """Take a version out again; FailedPrecondition while it is deployed, nothing where it is gone."""


class Story(Protocol):
    """What is told of models that enter the registry (``vertex.experiments``), passed in by the wiring."""

    def trained(
        self,
        model: str,
        version: str,
        *,
        statement: str,
        job: str,
        query: str,
        tables: Sequence[tuple[str, str]],
    ) -> None:
        """A statement made a version of a registered model: the model's name in SQL, and the tables that were read with
        their versions. Called inside the transaction that makes it."""


def region(location: str, default: str) -> str:
    """The Vertex AI location of models in a dataset of this location; the multi-region US is the server's own."""
    return default if location.upper() == "US" else _REGIONS.get(location.upper(), location.lower())


def registered_id(written: str | None, model: str) -> str:
    """The id in the registry: as written, else the model's name in the letters that an id may have.

    >>> registered_id(None, "Delays 2"), registered_id("other", "m")
    ('delays_2', 'other')
    """
    if written:
        return written
    made = re.sub(r"[^a-z0-9_-]", "_", model.lower())[:63]
    return made if _MODEL_ID.fullmatch(made) else f"m_{made}"[:63]


def is_model_id(text: str) -> bool:
    return _MODEL_ID.fullmatch(text) is not None


def evaluation(options: ModelOptions, metrics: Mapping[str, Any]) -> dict[str, Any] | None:
    """The metrics of a training as the registry keeps them; None for a model without a label."""
    if options.model_type not in LABELLED:
        return None
    names = (
        {"precision": "precision", "recall": "recall", "f1_score": "f1Score", "log_loss": "logLoss", "roc_auc": "auRoc"}
        if options.model_type in CLASSIFIERS
        else {
            "mean_absolute_error": "meanAbsoluteError",
            "mean_squared_error": "meanSquaredError",
            "r2_score": "rSquared",
        }
    )
    found = {key: metrics[name] for name, key in names.items() if metrics[name] == metrics[name]}
    return {"problem": "classification" if options.model_type in CLASSIFIERS else "regression", "metrics": found}
