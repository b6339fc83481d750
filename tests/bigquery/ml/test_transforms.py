"""TRANSFORM: statistics taken once, replayed in every function and online, and clauses that cannot be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.bigquery.ml.conftest import PENGUINS

from tule.bigquery.ml import Transforms
from tule.bigquery.ml.transform import FILE
from tule.kernel.errors import InvalidArgument
from tule.learn import runtime

if TYPE_CHECKING:
    from tests.bigquery.ml.conftest import Models

CLAUSE = """
    ML.STANDARD_SCALER(body_mass_g) OVER () AS mass, ML.QUANTILE_BUCKETIZE(flipper_length_mm, 4) OVER () AS flipper,
    ML.MIN_MAX_SCALER(culmen_length_mm) OVER () AS length, ML.IMPUTER(culmen_depth_mm, 'median') OVER () AS depth,
    ML.LABEL_ENCODER(island) OVER () AS place, ML.FEATURE_CROSS(STRUCT(island, sex)) AS crossed,
    ML.ROBUST_SCALER(ML.MAX_ABS_SCALER(body_mass_g) OVER ()) OVER () AS nested,
    IF(sex = 'MALE', 1, 0) AS male, EXTRACT(YEAR FROM DATE '2026-05-01') + body_mass_g / 1000 AS year, species"""
SPECIES = "INPUT_LABEL_COLS=['species']"
TYPES = {
    "t_logistic": f"MODEL_TYPE='LOGISTIC_REG', {SPECIES}, L2_REG=0.01, ENABLE_GLOBAL_EXPLAIN=TRUE",
    "t_trees": f"MODEL_TYPE='BOOSTED_TREE_CLASSIFIER', {SPECIES}, MAX_ITERATIONS=5",
}


@pytest.fixture(scope="module", autouse=True)
def trained(models: Models) -> Iterator[None]:
    for name, options in TYPES.items():
        models.train(name, options, f"SELECT * FROM {PENGUINS}", transform=CLAUSE)
    models.train(
        "t_clusters",
        "MODEL_TYPE='KMEANS', NUM_CLUSTERS=3",
        f"SELECT * FROM {PENGUINS}",
        transform=CLAUSE.replace(", species", ""),
    )
    yield


def bundle(models: Models, name: str) -> Path:
    record = models.api.app.records.get(f"projects/test-project/datasets/d/models/{name}")
    learning: Any = models.api.warehouse.queries.models
    found: Path = learning.bundles.directory(record.body["_tule"]["bundle"])
    return found


def online(models: Models, name: str, instances: list[Any]) -> list[dict[str, Any]]:
    """What an endpoint answers: the kept transform before the compiled model."""
    transform = Transforms(lambda: models.api.warehouse.physical.engine)(bundle(models, name))
    assert transform is not None
    return runtime.load(bundle(models, name)).predict(transform(instances))


def birds(models: Models) -> list[dict[str, Any]]:
    return models.ask(f"SELECT * FROM {PENGUINS} ORDER BY body_mass_g, culmen_length_mm, culmen_depth_mm, island")


# -- one answer everywhere


@pytest.mark.parametrize("name", TYPES)
def test_sql_and_online_answer_the_same(models: Models, name: str) -> None:
    rows = birds(models)
    found = models.ask(
        f"SELECT * FROM ML.PREDICT(MODEL d.{name}, (SELECT * FROM {PENGUINS})) ORDER BY body_mass_g, "
        f"culmen_length_mm, culmen_depth_mm, island"
    )
    answers = online(models, name, rows)
    for at in range(0, len(rows), 40):
        (alone,) = online(models, name, [rows[at]])
        assert alone["species_probs"] == pytest.approx(answers[at]["species_probs"], rel=1e-12)
    for row, answer in zip(found, answers, strict=True):
        assert answer["predicted_species"] == [row["predicted_species"]]
        assert answer["species_values"] == [each["label"] for each in row["predicted_species_probs"]]
        assert answer["species_probs"] == pytest.approx(
            [each["prob"] for each in row["predicted_species_probs"]], rel=1e-9
        )


def test_clusters_with_a_transform(models: Models) -> None:
    rows = birds(models)[5:50]
    found = models.ask(
        f"SELECT CENTROID_ID FROM ML.PREDICT(MODEL d.t_clusters, TABLE {PENGUINS}) ORDER BY body_mass_g, "
        f"culmen_length_mm, culmen_depth_mm, island"
    )
    assert [answer["NEAREST_CENTROID_ID"][0] for answer in online(models, "t_clusters", rows)] == [
        row["CENTROID_ID"] for row in found[5:50]
    ]
    anomalies = models.ask(
        f"SELECT COUNTIF(is_anomaly) AS n FROM ML.DETECT_ANOMALIES(MODEL d.t_clusters, STRUCT(0.1 AS "
        f"contamination), TABLE {PENGUINS})"
    )
    assert anomalies[0]["n"] == pytest.approx(34, abs=1)


def test_statistics_are_those_of_training(models: Models) -> None:
    """One row alone: statistics of the rows asked about would make nonsense of it."""
    one = models.ask(f"SELECT * FROM {PENGUINS} WHERE body_mass_g > 6000 LIMIT 1")[0]
    transform = Transforms(lambda: models.api.warehouse.physical.engine)(bundle(models, "t_trees"))
    assert transform is not None
    (mass, flipper, length, depth, place, crossed, nested, male, year) = transform([one])[0]
    (known,) = models.ask(
        f"SELECT AVG(body_mass_g) AS mean, STDDEV_POP(body_mass_g) AS deviation, MIN(culmen_length_mm) AS low, "
        f"MAX(culmen_length_mm) AS high FROM {PENGUINS}"
    )
    assert mass == pytest.approx((one["body_mass_g"] - known["mean"]) / known["deviation"], rel=1e-12)
    assert length == pytest.approx((one["culmen_length_mm"] - known["low"]) / (known["high"] - known["low"]), rel=1e-12)
    assert (flipper, place, crossed, male) == ("bin_4", 1, {"island_sex": "Biscoe_MALE"}, 1)
    assert depth == one["culmen_depth_mm"] and year == 2026 + one["body_mass_g"] / 1000 and nested > 1


def test_every_function_replays_it(models: Models) -> None:
    for name in TYPES:
        whole = models.ask(f"SELECT * FROM ML.EVALUATE(MODEL d.{name}, TABLE {PENGUINS})")
        assert whole == models.ask(f"SELECT * FROM ML.EVALUATE(MODEL d.{name})"), "all rows were kept"
        few = models.ask(
            f"SELECT accuracy FROM ML.EVALUATE(MODEL d.{name}, (SELECT * FROM {PENGUINS} WHERE body_mass_g > 5500))"
        )
        assert few[0]["accuracy"] > 0.9
        explained = models.ask(
            f"SELECT * FROM ML.EXPLAIN_PREDICT(MODEL d.{name}, (SELECT * FROM {PENGUINS} LIMIT 1), STRUCT(20 AS "
            f"top_k_features))"
        )
        names = {each["feature"] for each in explained[0]["top_feature_attributions"]}
        assert names == {"mass", "flipper", "length", "depth", "place", "crossed_island_sex", "nested", "male", "year"}
    info = {row["input"]: row for row in models.ask("SELECT * FROM ML.FEATURE_INFO(MODEL d.t_trees)")}
    assert list(info) == ["body_mass_g", "flipper_length_mm", "culmen_length_mm", "culmen_depth_mm", "island", "sex"]
    assert (info["body_mass_g"]["min"], info["body_mass_g"]["max"], info["body_mass_g"]["null_count"]) == (
        2700,
        6300,
        2,
    )
    assert (info["island"]["category_count"], info["sex"]["null_count"]) == (3, 10)
    assert "mass" in {row["processed_input"] for row in models.ask("SELECT * FROM ML.WEIGHTS(MODEL d.t_logistic)")}


def test_callers_give_the_columns_before_it(models: Models) -> None:
    given = "SELECT body_mass_g, flipper_length_mm, culmen_length_mm, culmen_depth_mm, Island, sex, 'kept' AS note"
    rows = models.ask(f"SELECT * FROM ML.PREDICT(MODEL d.t_trees, ({given} FROM {PENGUINS} LIMIT 2))")
    assert list(rows[0])[2:] == [
        "body_mass_g",
        "flipper_length_mm",
        "culmen_length_mm",
        "culmen_depth_mm",
        "Island",
        "sex",
        "note",
    ]
    error = models.api.query_error(
        f"SELECT * FROM ML.PREDICT(MODEL d.t_trees, (SELECT * EXCEPT (sex) FROM {PENGUINS}))"
    )
    assert error["message"].startswith("The data must have the column sex; given: species, island")
    with pytest.raises(InvalidArgument, match="Instance 1: The data must have the column sex"):
        bird = birds(models)[9]
        online(models, "t_trees", [bird, {name: value for name, value in bird.items() if name != "sex"}])


def test_the_resource_tells_it(models: Models) -> None:
    body = models.resource("t_trees")
    assert [each["name"] for each in body["featureColumns"]] == [
        "body_mass_g", "flipper_length_mm", "culmen_length_mm", "culmen_depth_mm", "island", "sex"
    ]  # fmt: skip
    columns = {each["name"]: each for each in body["transformColumns"]}
    assert "species" not in columns and columns["mass"] == {
        "name": "mass", "type": {"typeKind": "FLOAT64"}, "transformSql": "ML.STANDARD_SCALER(body_mass_g) OVER ()"
    }  # fmt: skip
    assert columns["crossed"]["type"]["typeKind"] == "STRUCT"


def test_what_is_kept_is_data(models: Models) -> None:
    kept = json.loads((bundle(models, "t_trees") / FILE).read_text())
    items = {each["name"]: each for each in kept["items"]}
    assert items["mass"]["statistics"][0]["values"].keys() == {"mean", "deviation"}
    assert [each["function"] for each in items["nested"]["statistics"]] == ["MAX_ABS_SCALER", "ROBUST_SCALER"]


# -- forms of the clause


def test_stars(models: Models) -> None:
    query = (
        "SELECT x, x * 2 AS y, STRUCT(x AS a, 'k' AS b) AS s, CAST(x AS STRING) AS word FROM "
        "UNNEST(GENERATE_ARRAY(1, 50)) AS x"
    )
    cases = {
        "*": ["x", "s", "word"],
        "* EXCEPT (word, s)": ["x"],
        "* EXCEPT (s) REPLACE (CONCAT(word, '!') AS word)": ["x", "word"],
        "s.*, y": ["a", "b"],
        "X, y, s.a AS inner_a": ["X", "inner_a"],
    }
    for number, (clause, features) in enumerate(cases.items()):
        name = f"star{number}"
        models.train(name, "MODEL_TYPE='LINEAR_REG', INPUT_LABEL_COLS=['y'], L2_REG=0.01", query, transform=clause)
        assert models.opened(name).model.signature.input_names == features
        rows = models.ask(f"SELECT predicted_y, z FROM ML.PREDICT(MODEL d.{name}, (SELECT *, 1 AS z FROM ({query})))")
        assert len(rows) == 50 and all(row["z"] == 1 for row in rows)


def test_a_split_column_passes_through(models: Models) -> None:
    query = "SELECT x, x AS y, x > 40 AS held FROM UNNEST(GENERATE_ARRAY(1, 50)) AS x"
    options = "MODEL_TYPE='LINEAR_REG', INPUT_LABEL_COLS=['y'], DATA_SPLIT_METHOD='CUSTOM', DATA_SPLIT_COL='held'"
    models.train("split_through", options, query, transform="ML.STANDARD_SCALER(x) OVER () AS x, held, y")
    opened = models.opened("split_through")
    assert (opened.model.num_rows, opened.kept().num_rows, opened.model.signature.input_names) == (40, 10, ["x"])
    (row,) = models.ask("SELECT * FROM ML.PREDICT(MODEL d.split_through, (SELECT 45 AS x))")
    assert row["predicted_y"] == pytest.approx(45)


def test_numbers_of_any_size_survive_being_kept(models: Models) -> None:
    query = (
        "SELECT x * 1e-300 AS tiny, x * 1e300 / 3 AS huge, CONCAT('it\\'s \\\\ \"', CAST(x AS STRING)) AS word, "
        "x AS y FROM UNNEST(GENERATE_ARRAY(1, 20)) AS x"
    )
    clause = (
        "ML.MIN_MAX_SCALER(tiny) OVER () AS tiny, ML.MAX_ABS_SCALER(huge) OVER () AS huge, "
        "ML.LABEL_ENCODER(word, 100, 1) OVER () AS word, y"
    )
    models.train("sizes", "MODEL_TYPE='LINEAR_REG', INPUT_LABEL_COLS=['y'], L2_REG=0.001", query, transform=clause)
    transform = Transforms(lambda: models.api.warehouse.physical.engine)(bundle(models, "sizes"))
    assert transform is not None
    instance = {"tiny": 20e-300, "huge": 20 * 1e300 / 3, "word": "it's \\ \"1"}
    assert transform([instance]) == [[pytest.approx(1, rel=1e-12), 1.0, 1]]


@pytest.mark.parametrize(
    ("clause", "message"),
    [
        ("x + 1, y", "must be a column, *, struct.* or an expression with a name; given: x + 1. Next: write "
            "expression AS name"),
        ("SUM(x) AS s, y", "TRANSFORM must not hold an aggregate function; given: SUM(x)"),
        ("(SELECT 1) AS s, y", "TRANSFORM must not hold a subquery"),
        ("x + @p AS s, y", "TRANSFORM must not hold a query parameter"),
        ("ROW_NUMBER() OVER () AS s, y", "must be one of BigQuery ML's; given: ROW_NUMBER() OVER ()"),
        ("ML.STANDARD_SCALER(x) AS s, y", "ML.STANDARD_SCALER must be called with an empty OVER ()"),
        ("ML.STANDARD_SCALER(x) OVER (PARTITION BY x) AS s, "
            "y", "ML.STANDARD_SCALER must be called with an empty OVER ()"),
        ("x, x AS X, y", "must have different names; given: X"),
        ("x", "TRANSFORM must list the column y; given: x"),
        ("x, y + 1 AS y", "The column y must pass through TRANSFORM as it is; given: y + 1"),
        ("x, y, z", "Unrecognized name: z"),
        ("* EXCEPT (z)", "must name columns of the query; given: z"),
        ("x.*, y", "x.* of TRANSFORM needs a STRUCT column; given: int64"),
        ("NO_SUCH_FUNCTION(x) AS s, y", "Function not found: NO_SUCH_FUNCTION"),
        ("RANK() OVER () AS s, y", "must be one of BigQuery ML's"),
        ("ML.TF_IDF([word]) AS s, y", "ML.TF_IDF must be called with an empty OVER ()"),
        ("ML.STANDARD_SCALER(word) OVER () AS s, y", "Bad double value"),
    ],
)  # fmt: skip
def test_clauses_that_cannot_be(models: Models, clause: str, message: str) -> None:
    query = "SELECT x, x AS y, 'w' AS word FROM UNNEST(GENERATE_ARRAY(1, 50)) AS x"
    bundles = models.bundles()
    error = models.error("unmade", "MODEL_TYPE='LINEAR_REG', INPUT_LABEL_COLS=['y']", query, transform=clause)
    assert message in error["message"] and error["reason"] in ("invalidQuery", "notImplemented")
    assert not models.exists("unmade") and models.bundles() == bundles


# -- raw instances


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        ({"day": "2026-03-01", "at": "2026-03-01T10:00:00Z", "flag": True, "n": 3, "f": 1.5, "tags": ["a",
         "b"], "s": {"k": 7}, "d": "1.25"},
         [3, 10, 1, 4, 3.0, 2, 8, 1.25]),
        ({"day": ["2026-03-01"], "at": 1772359200, "flag": "true", "n": "3", "f": "1.5", "tags": [],
         "s": {"k": None}, "d": 1.25},
         [3, 10, 1, 4, 3.0, 0, None, 1.25]),
        (dict.fromkeys(("day", "at", "flag", "n", "f", "tags", "s", "d")), [None] * 2 + [0] + [None] * 5),
    ],
    ids=["typed", "loose", "null"],
)  # fmt: skip
def test_instances_of_every_type(models: Models, value: dict[str, Any], answer: list[Any]) -> None:
    query = """SELECT DATE_ADD(DATE '2026-01-01', INTERVAL x DAY) AS day,
    TIMESTAMP_ADD(TIMESTAMP '2026-01-01 00:00:00+00', INTERVAL x HOUR) AS at,
        x > 5 AS flag, x AS n, x / 2 AS f, ['a', CAST(x AS STRING)] AS tags, STRUCT(x AS k) AS s,
        NUMERIC '1.5' * x AS d, x AS y
        FROM UNNEST(GENERATE_ARRAY(1, 50)) AS x"""
    clause = """EXTRACT(MONTH FROM day) AS month, EXTRACT(HOUR FROM at) AS hour, IF(flag, 1, 0) AS flag,
    n + 1 AS n, f * 2 AS f,
        ARRAY_LENGTH(tags) AS tags, s.k + 1 AS k, d AS d, y"""
    if not models.exists("kinds"):
        models.train("kinds", "MODEL_TYPE='LINEAR_REG', INPUT_LABEL_COLS=['y'], L2_REG=0.1", query, transform=clause)
    transform = Transforms(lambda: models.api.warehouse.physical.engine)(bundle(models, "kinds"))
    assert transform is not None
    assert transform([value]) == [answer]
    names = ["day", "at", "flag", "n", "f", "tags", "s", "d"]
    assert transform([[value[name] for name in names]]) == [answer], "a list in the order of the columns"
    assert len(runtime.load(bundle(models, "kinds")).predict(transform([value]))) == 1


@pytest.mark.parametrize(
    ("instance", "message"),
    [
        ({"x": "much"}, "Instance 0: x must be a FLOAT64; given: 'much'"),
        ({"x": True}, "Instance 0: x must be a FLOAT64; given: True"),
        ({"x": [1, 2]}, "Instance 0: x must be a FLOAT64; given: [1, 2]"),
        ({"z": 1}, "Instance 0: The data must have the column x; given: z"),
        ([1, 2], "Instance 0 must be an object by input column, or a list of the values of x; given: 2 values"),
        ("x", "given: str"),
    ],
    ids=["text", "boolean", "list", "missing", "longer", "no-object"],
)  # fmt: skip
def test_instances_that_cannot_be(models: Models, instance: Any, message: str) -> None:
    if not models.exists("plainly"):
        query = "SELECT x / 2 AS x, x AS y FROM UNNEST(GENERATE_ARRAY(1, 50)) AS x"
        models.train("plainly", "MODEL_TYPE='LINEAR_REG', INPUT_LABEL_COLS=['y']", query, transform="x * 2 AS x2, y")
    transform = Transforms(lambda: models.api.warehouse.physical.engine)(bundle(models, "plainly"))
    assert transform is not None
    with pytest.raises(InvalidArgument) as caught:
        transform([instance])
    assert message in str(caught.value)


def test_a_model_without_a_transform_has_none(models: Models) -> None:
    models.train(
        "bare", "MODEL_TYPE='LINEAR_REG', INPUT_LABEL_COLS=['y']", "SELECT 1 AS x, 2 AS y UNION ALL SELECT 2, 3"
    )
    assert Transforms(lambda: models.api.warehouse.physical.engine)(bundle(models, "bare")) is None


# -- ML.TRANSFORM


def test_a_clause_alone_is_a_model(models: Models) -> None:
    models.train(
        "prepared",
        "MODEL_TYPE='TRANSFORM_ONLY'",
        f"SELECT * FROM {PENGUINS}",
        transform="ML.STANDARD_SCALER(body_mass_g) OVER () AS mass, ML.LABEL_ENCODER(species) OVER () AS kind, island",
    )
    found = models.ask(
        f"""SELECT AVG(mass) AS mean, STDDEV_POP(mass) AS deviation, MAX(kind) AS kinds, COUNT(island) AS islands
        FROM ML.TRANSFORM(MODEL d.prepared, TABLE {PENGUINS})"""
    )[0]
    assert found["mean"] == pytest.approx(0, abs=1e-12) and found["deviation"] == pytest.approx(1)
    assert (found["kinds"], found["islands"]) == (3, 344)
    one = "(SELECT 4000.0 AS body_mass_g, 'Gentoo penguin (Pygoscelis papua)' AS species, 'Dream' AS island, 7 AS id)"
    assert models.columns(f"SELECT * FROM ML.TRANSFORM(MODEL d.prepared, {one})") == [
        ("mass", "FLOAT"), ("kind", "INTEGER"), ("island", "STRING"), ("id", "INTEGER")
    ]  # fmt: skip
    info = models.ask("SELECT * FROM ML.FEATURE_INFO(MODEL d.prepared)")
    assert {row["input"] for row in info} == {"body_mass_g", "species", "island"}


def test_the_clause_of_a_trained_model_needs_no_label(models: Models) -> None:
    names = [name for name, _ in models.columns(f"SELECT * FROM ML.TRANSFORM(MODEL d.t_logistic, TABLE {PENGUINS})")]
    without = f"(SELECT * EXCEPT (species) FROM {PENGUINS})"
    left = [name for name, _ in models.columns(f"SELECT * FROM ML.TRANSFORM(MODEL d.t_logistic, {without})")]
    assert "species" in names and left == [name for name in names if name != "species"]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("CREATE MODEL d.bad OPTIONS(MODEL_TYPE='TRANSFORM_ONLY') AS SELECT 1 AS x", "needs a TRANSFORM clause"),
        (
            "CREATE MODEL d.bad TRANSFORM(x) OPTIONS(MODEL_TYPE='TRANSFORM_ONLY', L2_REG=1.0) AS SELECT 1 AS x",
            "L2_REG is not supported for model type TRANSFORM_ONLY",
        ),
        (
            "CREATE MODEL d.bad TRANSFORM(x) OPTIONS(MODEL_TYPE='TRANSFORM_ONLY', MODEL_REGISTRY='VERTEX_AI') "
            "AS SELECT 1 AS x",
            "MODEL_REGISTRY is not supported",
        ),
        ("SELECT * FROM ML.PREDICT(MODEL d.prepared, (SELECT 1 AS x))", "ML.PREDICT is not supported for model type"),
        ("SELECT * FROM ML.TRANSFORM(MODEL d.prepared, (SELECT 1 AS x))", "The data must have the column body_mass_g"),
        ("SELECT * FROM ML.TRANSFORM(MODEL d.plain, (SELECT 1 AS x))", "ML.TRANSFORM needs a model with a TRANSFORM"),
    ],
)  # fmt: skip
def test_transforms_that_cannot_be(models: Models, sql: str, message: str) -> None:
    if not models.exists("plain"):
        models.train("plain", "MODEL_TYPE='KMEANS'", f"SELECT body_mass_g FROM {PENGUINS}")
    assert message in models.api.query_error(sql)["message"]
    assert not models.exists("bad")
