"""Pipelines: compiled Kubeflow pipelines, run step by step as processes of this machine, and durable.

The front is read lazily: rooms that name a job must stay small.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tule.vertex.pipelines.cache import Cache
    from tule.vertex.pipelines.jobs import EXECUTES, STORES, PipelineJobs
    from tule.vertex.pipelines.launches import LocalLaunches
    from tule.vertex.pipelines.lineage import MetadataLineage
    from tule.vertex.pipelines.runs import Runs

_PLACES = {
    "EXECUTES": "jobs",
    "STORES": "jobs",
    "Cache": "cache",
    "LocalLaunches": "launches",
    "MetadataLineage": "lineage",
    "PipelineJobs": "jobs",
    "Runs": "runs",
}

__all__ = ["EXECUTES", "STORES", "Cache", "LocalLaunches", "MetadataLineage", "PipelineJobs", "Runs"]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
