"""The pytest plugin: a fixture ``tule`` whose server the Google clients of the test process land on.

def test_it(tule):
    from google.cloud import bigquery
    bigquery.Client().query_and_wait("SELECT 1")
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tule.testing.session import Session


@pytest.fixture(scope="session")
def tule() -> Iterator[Session]:
    """One server for the test session, on a data directory that is removed at its end."""
    from tule.testing.session import start

    with start(temporary=True, project="test-project") as session:
        yield session
