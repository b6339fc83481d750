"""Numbers that the service published for the public penguins table, from the same data."""

from __future__ import annotations

import csv
from pathlib import Path

import palmerpenguins
import pyarrow as pa
import pytest

from tule.learn.data import ArrowBatches
from tule.learn.metrics import evaluate
from tule.learn.models import FAMILIES


def penguins() -> pa.Table:
    """The public table: one Gentoo of 4875 g has a dot for its sex there, which the package reads as missing."""
    file = Path(palmerpenguins.__file__).parent / "data" / "penguins.csv"
    rows = []
    with file.open(newline="") as lines:
        for line in csv.DictReader(lines):
            row: dict[str, str | float | None] = {
                "species": line["species"],
                "island": line["island"],
                "sex": None if line["sex"] in ("", "NA") else line["sex"].upper(),
            }
            for name in ("bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"):
                row[name] = None if line[name] in ("", "NA") else float(line[name])
            if row["species"] == "Gentoo" and row["body_mass_g"] == 4875.0 and row["sex"] is None:
                row["sex"] = "."
            rows.append(row)
    return pa.Table.from_pylist(rows)


def test_the_linear_regression_tutorial() -> None:
    table = penguins()
    table = table.filter(table["body_mass_g"].is_valid())
    model = FAMILIES["linear_regression"].fit(ArrowBatches(table), label="body_mass_g")
    assert model.options["optimize_strategy"] == "NORMAL_EQUATION" and model.num_rows == 342
    assert evaluate(model, ArrowBatches(table)) == pytest.approx(
        {
            "mean_absolute_error": 227.01223115137774,
            "mean_squared_error": 81838.1598975635,
            "mean_squared_log_error": 0.0050704049984503835,
            "median_absolute_error": 173.08081641661738,
            "r2_score": 0.8723772534253441,
            "explained_variance": 0.8723772534253441,
        },
        rel=1e-5,
    )


def test_classifying_species_is_nearly_perfect() -> None:
    table = penguins()
    model = FAMILIES["logistic_regression"].fit(ArrowBatches(table), label="species")
    assert model.classes == ["Adelie", "Chinstrap", "Gentoo"]
    found = evaluate(model, ArrowBatches(table))
    assert found["accuracy"] > 0.99 and found["roc_auc"] > 0.999
