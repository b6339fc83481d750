"""Endpoints: deployed models behind a traffic split, predicted in process or in jailed workers.

The front is read lazily: a jailed worker imports this package and must stay small.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tule.vertex.endpoints.endpoints import Endpoints
    from tule.vertex.endpoints.explaining import Explainer
    from tule.vertex.endpoints.foreign import ForeignModels
    from tule.vertex.endpoints.replicas import LocalReplicas, Replica, Replicas, Serving
    from tule.vertex.endpoints.router import Router
    from tule.vertex.endpoints.transforms import RowTransform, Transforms
    from tule.vertex.endpoints.workers import Launcher, Limits

_PLACES = {
    "Endpoints": "endpoints",
    "Explainer": "explaining",
    "ForeignModels": "foreign",
    "Launcher": "workers",
    "Limits": "workers",
    "LocalReplicas": "replicas",
    "Replica": "replicas",
    "Replicas": "replicas",
    "Router": "router",
    "RowTransform": "transforms",
    "Serving": "replicas",
    "Transforms": "transforms",
}

__all__ = [
    "Endpoints",
    "Explainer",
    "ForeignModels",
    "Launcher",
    "Limits",
    "LocalReplicas",
    "Replica",
    "Replicas",
    "Router",
    "RowTransform",
    "Serving",
    "Transforms",
]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
