"""Rooms of the registry and of endpoints over a real store, without a server."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import pytest

from tule.kernel.clock import RealClock
from tule.kernel.home import Home
from tule.kernel.records import Records
from tule.kernel.settings import Settings
from tule.vertex.registry import Artifacts, Models

PARENT = "projects/p/locations/us-central1"
SKLEARN = "us-docker.pkg.dev/vertex-ai/prediction/sklearn-cpu.1-5:latest"
XGBOOST = "us-docker.pkg.dev/vertex-ai/prediction/xgboost-cpu.2-1:latest"


class Files:
    """An artifact directory in memory."""

    def __init__(self, files: Mapping[str, bytes], uri: str = "gs://bucket/model/") -> None:
        self.files = dict(files)
        self.uri = uri

    def names(self) -> list[str]:
        return list(self.files)

    def open(self, name: str) -> BinaryIO:
        return io.BytesIO(self.files[name])


@pytest.fixture
def files() -> type[Files]:
    """Artifact directories: ``files({"model.joblib": b"..."})``."""
    return Files


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home.open(Settings(home=tmp_path / "home"))
    yield home
    home.close()


@pytest.fixture
def records(home: Home) -> Iterator[Records]:
    records = Records(f"sqlite:///{home.path('records.db')}", RealClock())
    yield records
    records.close()


@pytest.fixture
def models(home: Home, records: Records) -> Models:
    return Models(records, Artifacts(home), RealClock())


@pytest.fixture
def sklearn_message() -> dict[str, object]:
    return {"displayName": "m", "containerSpec": {"imageUri": SKLEARN}, "artifactUri": "gs://bucket/model/"}
