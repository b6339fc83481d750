"""BigQuery ML: models trained, kept and used in SQL, and served elsewhere with the same preprocessing.

The front is read lazily: libraries of learning are loaded when a model is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tule.bigquery.ml.registration import Registry
    from tule.bigquery.ml.serving import Transforms
    from tule.bigquery.ml.statements import MachineLearning

_PLACES = {"MachineLearning": "statements", "Registry": "registration", "Transforms": "serving"}

__all__ = ["MachineLearning", "Registry", "Transforms"]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
