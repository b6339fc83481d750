"""GoogleSQL by pairs: each ``*.sql`` file beside this one holds statements and what they must answer.

    -- setup
    CREATE TABLE d.t AS SELECT 1 AS x;

    -- a title, if one helps
    SELECT x, 'a' AS y FROM d.t;
    --> x INT64 | y STRING
    --> 1 | "a"

    SELECT 1 / 0;
    --> error: division by zero: 1 / 0

The first line of an answer names the columns with their types, each other line is a row, in any order where the
statement does not order them. A statement that changes something answers ``rows: <number of changed rows>``. Parameters
stand before a statement, as JSON of the REST API's ``queryParameters``: ``-- parameters: [...]``. Statements run as
queries of the REST API do, without a socket. Expected values are those of the public reference.
https://cloud.google.com/bigquery/docs/reference/standard-sql/functions-all
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tule.bigquery import warehouse
from tule.bigquery.connections.connections import Connections
from tule.bigquery.connections.federation import Federation
from tule.bigquery.ml import MachineLearning
from tule.bigquery.public import PublicTables
from tule.bigquery.types import Field
from tule.engines.duckdb import DuckDBEngine
from tule.engines.filesystems import Folders
from tule.kernel.access import Access, Principal
from tule.kernel.clock import VirtualClock
from tule.kernel.errors import TuleError
from tule.kernel.home import Home
from tule.kernel.iam import Policies
from tule.kernel.objects import Objects
from tule.kernel.projects import Projects
from tule.kernel.records import Records
from tule.kernel.settings import Settings

PROJECT = "test-project"
NOW = datetime(2026, 11, 24, 12, 30, 15, 123456, tzinfo=UTC)
_FOLDER = Path(__file__).parent
_STANDARD = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL", "RECORD": "STRUCT"}


@dataclass(frozen=True)
class Pair:
    """One statement with its answer; ``setup`` for a statement that others need."""

    file: str
    line: int
    sql: str
    expected: tuple[str, ...]
    parameters: list[dict[str, Any]] | None = None
    setup: bool = False

    @property
    def name(self) -> str:
        return f"{self.file}:{self.line}"


def pairs_of(path: Path) -> Iterator[Pair]:
    for number, block in _blocks(path.read_text()):
        lines = block.splitlines()
        comments = [line for line in lines if line.startswith("-- ")]
        expected = tuple(line[4:].rstrip() for line in lines if line.startswith("--> "))
        sql = "\n".join(line for line in lines if not line.startswith(("-- ", "--> "))).strip()
        if not sql:
            continue
        parameters = next((json.loads(each[15:]) for each in comments if each.startswith("-- parameters: ")), None)
        setup = "-- setup" in comments
        assert setup or expected, f"{path.name}:{number} has no answer"
        at = number + next(index for index, line in enumerate(lines) if not line.startswith("-- "))
        yield Pair(path.stem, at, sql, expected, parameters, setup)


def _blocks(text: str) -> Iterator[tuple[int, str]]:
    number = 1
    for block in re.split(r"(\n\s*\n)", text):
        if block.strip():
            yield number + (len(block) - len(block.lstrip("\n"))), block.strip("\n")
        number += block.count("\n")


_FILES = sorted(_FOLDER.glob("*.sql"))
_PAIRS = [pair for path in _FILES for pair in pairs_of(path)]


def _groups() -> Iterator[list[Pair]]:
    """Pairs that are a test together: those of a file that changes its tables, in their order; others alone."""
    for path in _FILES:
        pairs = [pair for pair in _PAIRS if pair.file == path.stem and not pair.setup]
        if any(line.startswith("rows: ") for pair in pairs for line in pair.expected):
            yield pairs
        else:
            yield from ([pair] for pair in pairs)


def _name(pairs: list[Pair]) -> str:
    return pairs[0].name if len(pairs) == 1 else pairs[0].file


def _elsewhere() -> Any:
    raise AssertionError("no pair reaches the registry, endpoints or models trained elsewhere")


class Warehouse:
    """A warehouse as ``app.py`` builds it, without a server around it."""

    def __init__(self, folder: Path) -> None:
        settings, clock = Settings.read({}, home=folder, project=PROJECT), VirtualClock(NOW)
        self._home = Home.open(settings)
        self._records = Records(f"sqlite:///{self._home.path('tule.db')}", clock)
        policies = Policies(self._records)
        access = Access(self._home, clock, PROJECT, policies=policies)
        engine = DuckDBEngine(self._home.folder("tables"), threads=2, memory="2GB", field=Field)
        connections = Connections(self._records, self._home, policies, Projects(self._records))
        self._warehouse = warehouse.Warehouse(
            records=self._records, clock=clock, home=self._home, engine=engine, policies=policies, access=access,
            objects=Objects(self._home, self._records, clock), folders=Folders(""), public=PublicTables(),
            projects=Projects(self._records), connections=connections, federation=Federation(connections, {}, "", ""),
        )  # fmt: skip
        self._warehouse.use_models(
            MachineLearning(
                records=self._records, datasets=self._warehouse.datasets, models=self._warehouse.models,
                home=self._home, clock=clock, objects=Objects(self._home, self._records, clock), registry=_elsewhere,
                location=settings.location, foreign=_elsewhere, endpoints=_elsewhere, connections=connections,
                states=self._warehouse.states,
            )
        )  # fmt: skip
        self._warehouse.start()
        self._principal = Principal(access.email, owner=True)
        self._ready: set[str] = set()

    def close(self) -> None:
        self._warehouse.stop()
        self._records.close()
        self._home.close()

    def run(self, pair: Pair) -> dict[str, Any]:
        # The file's own dataset is the one that its statements call d.
        body: dict[str, Any] = {
            "query": self._named(pair), "useLegacySql": False, "formatOptions": {"useInt64Timestamp": True},
            "timeoutMs": 60_000,
        }  # fmt: skip
        if pair.parameters is not None:
            body["queryParameters"] = pair.parameters
            body["parameterMode"] = "NAMED" if any("name" in each for each in pair.parameters) else "POSITIONAL"
        found: dict[str, Any] = self._warehouse.requests.query(PROJECT, body, self._principal)
        assert found["jobComplete"]
        return found

    @staticmethod
    def _named(pair: Pair) -> str:
        return re.sub(r"\bd\.(?=[a-z_])", f"{pair.file}.", pair.sql)

    def prepare(self, file: str) -> None:
        """Run the setup of a file, once."""
        if file in self._ready:
            return
        self._ready.add(file)
        self.run(Pair(file, 0, f"CREATE SCHEMA {file}", ()))
        for pair in _PAIRS:
            if pair.file == file and pair.setup:
                self.run(pair)


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    made = Warehouse(tmp_path_factory.mktemp("sql") / "home")
    yield made
    made.close()


@pytest.mark.parametrize("pairs", _groups(), ids=_name)
def test_pair(pairs: list[Pair], house: Warehouse) -> None:
    for pair in pairs:
        check(pair, house)


def check(pair: Pair, house: Warehouse) -> None:
    house.prepare(pair.file)
    try:
        answer = house.run(pair)
    except TuleError as error:
        found = [f"error: {error.message}"]
    else:
        found = shown(answer)
    expected = list(pair.expected)
    if "order by" not in pair.sql.lower():
        found[1:], expected[1:] = sorted(found[1:]), sorted(expected[1:])
    assert found == expected, pair.sql


def shown(answer: dict[str, Any]) -> list[str]:
    """An answer as lines."""
    fields = answer.get("schema", {}).get("fields", [])
    if not fields:
        return [f"rows: {answer.get('numDmlAffectedRows', '0')}"]
    header = " | ".join(f"{each['name']} {_type(each)}" for each in fields)
    rows = [
        " | ".join(_value(cell["v"], each) for cell, each in zip(row["f"], fields, strict=True))
        for row in answer.get("rows", [])
    ]
    return [header, *rows]


def _type(field: dict[str, Any]) -> str:
    name = _STANDARD.get(field["type"], field["type"])
    if name == "STRUCT":
        name = "STRUCT<" + ", ".join(f"{each['name']} {_type(each)}" for each in field["fields"]) + ">"
    return f"ARRAY<{name}>" if field["mode"] == "REPEATED" else name


def _value(value: Any, field: dict[str, Any]) -> str:
    if field["mode"] == "REPEATED":
        one = {**field, "mode": "NULLABLE"}
        return "[" + ", ".join(_value(each["v"], one) for each in value) + "]"
    if value is None:
        return "NULL"
    match field["type"]:
        case "STRING":
            return json.dumps(value, ensure_ascii=False)
        case "BYTES":
            return "b" + repr(base64.b64decode(value))[1:].replace("'", '"')
        case "TIMESTAMP":
            moment = datetime(1970, 1, 1) + timedelta(microseconds=int(value))
            return moment.isoformat(sep=" ") + "+00"
        case "RECORD":
            inner = zip(field["fields"], value["f"], strict=True)
            return "{" + ", ".join(f"{each['name']}: {_value(cell['v'], each)}" for each, cell in inner) + "}"
    return str(value)
