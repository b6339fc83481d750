"""What the tests of the kernel share: a clock that stands still, and stores in a temporary folder."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tule.kernel.clock import VirtualClock
from tule.kernel.home import Home
from tule.kernel.journal import Journal
from tule.kernel.records import Records
from tule.kernel.settings import Settings


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(datetime(2026, 3, 1, 12, tzinfo=UTC))


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    opened = Home.open(Settings(home=tmp_path / "home"))
    yield opened
    opened.close()


@pytest.fixture
def records(tmp_path: Path, clock: VirtualClock) -> Iterator[Records]:
    opened = Records(f"sqlite:///{tmp_path}/records.db", clock)
    yield opened
    opened.close()


@pytest.fixture
def journal(records: Records) -> Journal:
    return Journal(records)
