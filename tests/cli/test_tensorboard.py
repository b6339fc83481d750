"""``tule tensorboard``: event files that the stock package reads back."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tule.testing.process import ServerProcess

pytestmark = pytest.mark.clients

CODE = """
from google.cloud import aiplatform
aiplatform.init(project="test-project", location="us-central1")
board = aiplatform.Tensorboard.create(display_name="shown")
experiment = aiplatform.TensorboardExperiment.create("e", tensorboard_name=board.resource_name)
run = aiplatform.TensorboardRun.create("r", tensorboard_experiment_name=experiment.resource_name, display_name="first")
run.create_tensorboard_time_series("loss")
for step in range(3):
    run.write_tensorboard_scalar_data({"loss": 1 / (step + 1)}, step=step)
"""


def _export(server: ServerProcess, name: str, folder: Path) -> str:
    command = [sys.executable, "-m", "tule.cli", "tensorboard", name, "--to", str(folder), "--home", str(server.home)]
    done = server.exec(command, check=False)
    return done.stdout + done.stderr


def test_points_are_event_files(server: ServerProcess, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    server.exec(CODE)
    assert _export(server, "shown", tmp_path).startswith("Wrote 3 points")
    events = EventAccumulator(str(tmp_path / "e" / "first")).Reload().Scalars("loss")
    assert [(each.step, round(each.value, 4)) for each in events] == [(0, 1.0), (1, 0.5), (2, 0.3333)]
    assert all(each.wall_time > 1.7e9 for each in events)


def test_a_tensorboard_that_is_not_there_is_said(server: ServerProcess, tmp_path: Path) -> None:
    assert "The tensorboard must exist; given: nowhere" in _export(server, "nowhere", tmp_path)
    assert list(tmp_path.iterdir()) == []
