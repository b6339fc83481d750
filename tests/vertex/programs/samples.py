"""What the client programs upload and ask: real data, fitted models, the stock SDK pointed at one transport."""

from __future__ import annotations

import json
import logging
import pickle
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from google.api_core.exceptions import Conflict, GoogleAPICallError
from google.cloud import aiplatform, storage
from sklearn.datasets import load_breast_cancer

LOCATION = "us-central1"
SKLEARN = "us-docker.pkg.dev/vertex-ai/prediction/sklearn-cpu.1-5:latest"
XGBOOST = "us-docker.pkg.dev/vertex-ai/prediction/xgboost-cpu.2-1:latest"
TENSORFLOW = "us-docker.pkg.dev/vertex-ai/prediction/tf2-cpu.2-15:latest"
PYTORCH = "us-docker.pkg.dev/vertex-ai/prediction/pytorch-cpu.2-3:latest"
BUCKET = "vertex-tests"
ROWS, LABELS = load_breast_cancer(return_X_y=True)

logging.disable(logging.INFO)


def start() -> str:
    """The transport this program was asked to use, the SDK ready for it, the bucket made."""
    transport = sys.argv[1] if len(sys.argv) > 1 else "grpc"
    aiplatform.init(
        project="test-project",
        location=LOCATION,
        staging_bucket=f"gs://{BUCKET}",
        api_transport=None if transport == "grpc" else transport,
    )
    with suppress(Conflict):
        storage.Client(project="test-project").create_bucket(BUCKET)
    return transport


def put(folder: str, files: dict[str, bytes]) -> str:
    """Objects under ``gs://BUCKET/folder``; answers that address."""
    bucket = storage.Client(project="test-project").bucket(BUCKET)
    for name, content in files.items():
        bucket.blob(f"{folder}/{name}").upload_from_string(content)
    return f"gs://{BUCKET}/{folder}"


@contextmanager
def directory(files: dict[str, bytes]) -> Iterator[str]:
    """A local directory with these files."""
    with tempfile.TemporaryDirectory() as name:
        for file, content in files.items():
            (Path(name) / file).write_bytes(content)
        yield name


def dumped(estimator: Any) -> bytes:
    """As joblib writes it."""
    with tempfile.NamedTemporaryFile(suffix=".joblib") as file:
        joblib.dump(estimator, file.name)
        return Path(file.name).read_bytes()


def pickled(thing: Any) -> bytes:
    return pickle.dumps(thing)


class Calls:
    """A pickle that calls ``eval`` with this expression when it is opened."""

    def __init__(self, code: str) -> None:
        self.code = code

    def __reduce__(self) -> Any:
        return eval, (self.code,)


def refused(call: Callable[[], Any], *words: str) -> str:
    """The message of the error that ``call`` must raise; it must contain the words."""
    try:
        answer = call()
    except GoogleAPICallError as error:
        message = str(error)
    else:
        raise AssertionError(f"accepted: {answer}")
    missing = [word for word in words if word not in message]
    assert not missing, f"{missing} not in: {message}"
    return message


def show(**found: Any) -> None:
    """Print what the test reads back."""
    print(json.dumps(found, default=np.ndarray.tolist))
