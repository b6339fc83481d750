"""Models of one server in this process: shorter ways to train, to ask and to look inside."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from tests.bigquery.conftest import PROJECT

from tule.bigquery.ml.functions import Trained
from tule.bigquery.references import ModelReference

if TYPE_CHECKING:
    from tests.bigquery.conftest import BigQueryApi

PENGUINS = "`bigquery-public-data.ml_datasets.penguins`"


class Models:
    """Trains and asks through SQL; ``opened`` looks at a model as the functions see it."""

    def __init__(self, api: BigQueryApi) -> None:
        self.api = api

    def train(
        self, name: str, options: str, query: str, *, transform: str = "", verb: str = "CREATE"
    ) -> dict[str, Any]:
        """Run a CREATE MODEL in the dataset ``d`` to its end; the Job."""
        clause = f" TRANSFORM({transform})" if transform else ""
        sql = f"{verb} MODEL d.{name}{clause} OPTIONS({options}) AS {query}"
        return self.api.done(query={"query": sql, "useLegacySql": False})

    def error(
        self, name: str, options: str, query: str, *, transform: str = "", verb: str = "CREATE"
    ) -> dict[str, Any]:
        """The error of a CREATE MODEL that must fail: code, reason and message."""
        clause = f" TRANSFORM({transform})" if transform else ""
        return self.api.query_error(f"{verb} MODEL d.{name}{clause} OPTIONS({options}) AS {query}")

    def opened(self, name: str) -> Trained:
        return self.api.warehouse.queries.models.open(ModelReference(PROJECT, "d", name))  # type: ignore[union-attr]

    def resource(self, name: str) -> dict[str, Any]:
        return self.api.ok("GET", f"datasets/d/models/{name}")

    def exists(self, name: str) -> bool:
        return self.api.call("GET", f"datasets/d/models/{name}")[0] == 200

    def ask(self, sql: str, **more: Any) -> list[dict[str, Any]]:
        """The rows of a query by column; numbers as Python's."""
        answer = self.api.query(sql, **more)
        fields = answer["schema"]["fields"]
        rows = self.api.cells(answer)
        return [{f["name"]: _value(f, cell) for f, cell in zip(fields, row, strict=True)} for row in rows]

    def columns(self, sql: str, **more: Any) -> list[tuple[str, str]]:
        """(name, type) of the columns of a query; REPEATED ones with [] behind."""
        answer = self.api.query(sql, **more)
        return [(f["name"], f["type"] + ("[]" if f["mode"] == "REPEATED" else "")) for f in answer["schema"]["fields"]]

    def bundles(self) -> set[str]:
        """The names in the folder of bundles, drafts too."""
        return {path.name for path in (self.api.app.home.root / "bundles").iterdir()}

    def deploy(self, name: str) -> str:
        """A new endpoint with the registered model of this name; its resource name."""
        place = "projects/test-project/locations/us-central1"
        endpoints = self.api.app.endpoints
        endpoint = str(endpoints.create(place, {"displayName": name})["name"])
        endpoints.deploy(endpoint, {"model": f"{place}/models/{name}"}, {"0": 100}, _Quiet(), lambda _: None)
        return endpoint


class _Quiet:
    """Progress that nobody watches."""

    def report(self, percent: int, stage: str, **more: Any) -> None: ...


def _value(field: dict[str, Any], cell: Any) -> Any:
    if cell is None:
        return None
    if field["mode"] == "REPEATED":
        return [_value({**field, "mode": "NULLABLE"}, each) for each in cell]
    if field["type"] == "RECORD":
        return {f["name"]: _value(f, each) for f, each in zip(field["fields"], cell, strict=True)}
    convert = {"INTEGER": int, "FLOAT": float, "BOOLEAN": lambda text: text == "true"}.get(field["type"], str)
    return convert(cell)


@pytest.fixture(scope="module")
def models(api: BigQueryApi) -> Iterator[Models]:
    """The models of the file's server; each test uses names of its own."""
    yield Models(api)
