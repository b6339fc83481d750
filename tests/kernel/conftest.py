"""What the tests of the kernel share: a clock that stands still, and stores in a temporary folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tule.kernel.clock import VirtualClock
from tule.kernel.home import Home
from tule.kernel.journal import Journal
from tule.kernel.records import Records
from tule.kernel.records.schema import METADATA
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
def records(request: pytest.FixtureRequest, tmp_path: Path, clock: VirtualClock) -> Iterator[Records]:
    """An empty store; on PostgreSQL too where TULE_TEST_POSTGRES names a database for it (postgresql+psycopg://...)."""
    postgresql = getattr(request, "param", "sqlite") == "postgresql"
    opened = Records(os.environ["TULE_TEST_POSTGRES"] if postgresql else f"sqlite:///{tmp_path}/records.db", clock)
    yield opened
    if postgresql:
        with opened.transaction() as connection:
            METADATA.drop_all(connection)
    opened.close()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each test of a store runs on every database there is; a skip for each absent one would say nothing new."""
    if "records" in metafunc.fixturenames and "TULE_TEST_POSTGRES" in os.environ:
        only_sqlite = "on_sqlite" in metafunc.fixturenames
        metafunc.parametrize("records", ["sqlite"] if only_sqlite else ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def on_sqlite() -> None:
    """Asked for by tests that look into SQLite itself; they run on nothing else."""


@pytest.fixture
def journal(records: Records) -> Journal:
    return Journal(records)
