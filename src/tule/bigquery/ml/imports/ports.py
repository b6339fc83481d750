"""What this room needs of rooms above it for models that it does not run itself; passed in by the wiring."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa


class ForeignModels(Protocol):
    """Runs model files of other frameworks in jailed workers (``vertex.endpoints``). ``format``: onnx, saved_model,
    tflite or booster. Files that can run code are opened nowhere else."""

    def describe(self, format: str, directory: Path, path: Path) -> tuple[Sequence[Any], Sequence[Any]]:
        """The inputs and the outputs: [name, GoogleSQL type, shape without rows (None: any size)] of each.

        FailedPrecondition where the file does not open, or names the package that is missing."""

    def try_booster(self, directory: Path, path: Path) -> None:
        """Open and ask an XGBoost file where a crash does no harm; FailedPrecondition where it does not open."""

    def predict(self, format: str, directory: Path, path: Path, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The outputs of a batch that has a column for each input. InvalidArgument names a value that does not fit."""

    def forget(self, directory: Path) -> None:
        """Give up what was started for a model that is gone."""


class Endpoints(Protocol):
    """Online prediction (``vertex.endpoints.router``). Endpoints are called by their resource names."""

    def get(self, name: str) -> Any:
        """NotFound where there is no such endpoint."""

    def predict(self, name: str, instances: Any) -> tuple[list[Any], Any]:
        """One JSON value per instance, and who made them. Any TuleError: the reason in words."""
