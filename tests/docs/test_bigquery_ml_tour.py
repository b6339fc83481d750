"""The tour of docs/bigquery-ml.md is run: each statement works, and answers what the page says."""

from __future__ import annotations

import re
from pathlib import Path

from tests.bigquery.conftest import opened
from tests.bigquery.ml.conftest import Models

PAGE = Path(__file__).parents[2] / "docs" / "bigquery-ml.md"


def test_the_tour(tmp_path: Path) -> None:
    steps = re.findall(r"```sql\n(.*?)```(?:\n```text\n(.*?)```)?", PAGE.read_text(), re.DOTALL)
    assert len(steps) > 8
    with opened(tmp_path / "home") as api:
        models = Models(api)
        for sql, expected in steps:
            if not expected:
                api.query(sql)
                continue
            rows = models.ask(sql)
            shown = [" | ".join(rows[0]), *(" | ".join(str(value) for value in row.values()) for row in rows)]
            assert shown == expected.splitlines(), sql
