"""The BigQuery engine on a second Tule, which it reaches as the stock client does."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tule.testing.process import ServerProcess

pytestmark = pytest.mark.clients

HERE = Path(__file__).parent


def test_the_contract(server: ServerProcess) -> None:
    done = server.exec(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:xdist",
            "-p",
            "no:cacheprovider",
            str(HERE / "on_bigquery.py"),
        ],
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-12000:]
