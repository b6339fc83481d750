"""The one-minute tour of the README, as it is written there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tule.testing.process import ServerProcess

pytestmark = pytest.mark.clients
README = (Path(__file__).parents[2] / "README.md").read_text()


def test_the_program_of_the_tour_runs(server: ServerProcess) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    done = server.exec(program)
    assert "mean_absolute_error" in done.stdout
    (weight,) = re.findall(r"\[\{'predicted_body_mass_g': \[([\d.]+)\]\}\]", done.stdout)
    assert 4000 < float(weight) < 6000


def test_the_commands_of_the_tour_are_those_that_there_are() -> None:
    (tour,) = re.findall(r"## One minute\n\n```\n(.*?)```", README, re.DOTALL)
    commands = re.findall(r"^tule (\w+)((?: --\w+)*)", tour, re.MULTILINE)
    assert [name for name, _ in commands] == ["up", "exec", "sql", "down"]
    for name, options in commands:
        done = subprocess.run(
            [sys.executable, "-m", "tule.cli", name, "--help"], capture_output=True, text=True, check=True
        )
        assert all(option in done.stdout for option in options.split())
