"""The hook by which a model with a TRANSFORM clause is served: its expressions are SQL, which this room cannot see.

``app`` passes a ``Transforms``: given a bundle's folder it returns the function that turns raw instances (objects by
input column) into the rows the model was trained on, or None for a bundle without a TRANSFORM. A function whose
``by_rows`` is true only computes, so quickly that the event loop may call it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

RowTransform = Callable[[Sequence[Any]], Sequence[Any]]
Transforms = Callable[[Path], RowTransform | None]
