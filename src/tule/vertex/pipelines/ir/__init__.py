"""The intermediate representation of pipelines, read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tule.vertex.pipelines.ir.checks import check, items
from tule.vertex.pipelines.ir.expressions import condition, selected
from tule.vertex.pipelines.ir.spec import (
    NONE,
    ROOT,
    Artifact,
    Component,
    Container,
    Dag,
    Importer,
    Interface,
    Iterator,
    Parameter,
    Pipeline,
    Resources,
    Retry,
    Source,
    Task,
    read,
)
from tule.vertex.pipelines.ir.values import TASK_FINAL_STATUS, converted, text_of, whole

__all__ = [
    "NONE", "ROOT", "TASK_FINAL_STATUS", "Artifact", "Component", "Container", "Dag", "Importer", "Interface",
    "Iterator", "Parameter", "Pipeline", "Resources", "Retry", "Source", "Task", "checked", "condition", "converted",
    "items", "read", "selected", "text_of", "whole",
]  # fmt: skip


def checked(spec: Mapping[str, Any]) -> Pipeline:
    """A pipeline from its specification, ready to run; raises InvalidArgument and Unimplemented."""
    pipeline = read(spec)
    check(pipeline)
    return pipeline
