"""A graph as the files of a SavedModel: written by a process of its own, for TensorFlow is large and slow to import.

The graph goes there as JSON and arrays; nothing but files comes back.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from tule.kernel.errors import Internal, Unimplemented
from tule.learn.onnx.builder import Graph

GRAPH, ARRAYS = "graph.json", "arrays.npz"
_SECONDS = 300


def is_installed() -> bool:
    """Whether there is TensorFlow to write with."""
    return importlib.util.find_spec("tensorflow") is not None


def saved_model(graph: Graph) -> dict[str, bytes]:
    """The files by relative name. Unimplemented for a graph with an operator that TensorFlow has not."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        write_graph(graph, place)
        done = subprocess.run(
            [sys.executable, "-m", "tule.learn.tensorflow.writer", folder],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"},
        )
        if done.returncode:
            raise Internal("TensorFlow must write the SavedModel", given=done.stderr.strip()[-300:])
        made = place / "saved"
        return {
            path.relative_to(made).as_posix(): path.read_bytes() for path in sorted(made.rglob("*")) if path.is_file()
        }


def write_graph(graph: Graph, folder: Path) -> None:
    """The graph as JSON and arrays; texts stand in the JSON."""
    raw = [node.operator for node in graph.nodes if node.raw]
    if raw:
        raise Unimplemented(
            "TensorFlow has no operator for a graph's trees", given=f"{graph.name} with {raw[0]}",
            do="export it as ML_XGBOOST_BOOSTER or ML_ONNX", reason="notImplemented",
        )  # fmt: skip
    texts = {name: values for name, values in graph.constants.items() if values.dtype == object}
    told: dict[str, Any] = {
        "nodes": [
            {
                "operator": node.operator,
                "inputs": list(node.inputs),
                "outputs": list(node.outputs),
                "attributes": {name: _plain(value) for name, value in node.attributes.items()},
            }
            for node in graph.nodes
        ],
        "inputs": graph.inputs,
        "outputs": graph.outputs,
        "texts": {name: [list(values.shape), values.ravel().tolist()] for name, values in texts.items()},
    }
    (folder / GRAPH).write_bytes(orjson.dumps(told))
    with (folder / ARRAYS).open("wb") as file:
        arrays = {name: values for name, values in graph.constants.items() if name not in texts}
        np.savez(file, allow_pickle=False, **arrays)


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else list(value) if isinstance(value, tuple) else value
