"""The ML.* table functions: their columns in order, their arguments, and every place where a table may stand."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from tests.bigquery.ml.conftest import PENGUINS

if TYPE_CHECKING:
    from tests.bigquery.ml.conftest import Models

GIVEN = [
    ("species", "STRING"), ("island", "STRING"), ("culmen_length_mm", "FLOAT"), ("culmen_depth_mm", "FLOAT"),
    ("flipper_length_mm", "FLOAT"), ("body_mass_g", "FLOAT"), ("sex", "STRING"),
]  # fmt: skip
ADELIE = "Adelie Penguin (Pygoscelis adeliae)"
TRAINED = {
    "mass": "MODEL_TYPE='LINEAR_REG', INPUT_LABEL_COLS=['body_mass_g'], ENABLE_GLOBAL_EXPLAIN=TRUE",
    "errors": "MODEL_TYPE='LINEAR_REG', INPUT_LABEL_COLS=['body_mass_g'], CATEGORY_ENCODING_METHOD='DUMMY_ENCODING', "
    "CALCULATE_P_VALUES=TRUE",
    "species": "MODEL_TYPE='LOGISTIC_REG', INPUT_LABEL_COLS=['species'], ENABLE_GLOBAL_EXPLAIN=TRUE, L2_REG=0.01",
    "sexes": "MODEL_TYPE='LOGISTIC_REG', INPUT_LABEL_COLS=['sex'], L2_REG=0.001",
    "weights": "MODEL_TYPE='BOOSTED_TREE_REGRESSOR', INPUT_LABEL_COLS=['body_mass_g'], MAX_ITERATIONS=5",
    "trees": "MODEL_TYPE='BOOSTED_TREE_CLASSIFIER', INPUT_LABEL_COLS=['sex'], MAX_ITERATIONS=5, EARLY_STOP=FALSE",
    "clusters": "MODEL_TYPE='KMEANS', NUM_CLUSTERS=6",
}


@pytest.fixture(scope="module", autouse=True)
def trained(models: Models) -> Iterator[None]:
    """The models of this file, all on the penguins."""
    models.api.query(
        f"CREATE TABLE d.birds AS SELECT * FROM {PENGUINS} WHERE body_mass_g IS NOT NULL AND sex IN ('MALE', 'FEMALE')"
    )
    for name, options in TRAINED.items():
        models.train(name, options, "SELECT * FROM d.birds")
    yield


# -- columns


def test_predictions_stand_before_all_columns_of_the_input(models: Models) -> None:
    probabilities = [("predicted_species", "STRING"), ("predicted_species_probs", "RECORD[]")]
    assert models.columns("SELECT * FROM ML.PREDICT(MODEL d.mass, TABLE d.birds)") == [
        ("predicted_body_mass_g", "FLOAT"),
        *GIVEN,
    ]
    assert models.columns("SELECT * FROM ML.PREDICT(MODEL d.species, TABLE d.birds)") == [*probabilities, *GIVEN]
    assert models.columns("SELECT * FROM ML.PREDICT(MODEL d.weights, TABLE d.birds)") == [
        ("predicted_body_mass_g", "FLOAT"),
        *GIVEN,
    ]
    assert models.columns("SELECT * FROM ML.PREDICT(MODEL d.clusters, TABLE d.birds)") == [
        ("CENTROID_ID", "INTEGER"), ("NEAREST_CENTROIDS_DISTANCE", "RECORD[]"), *GIVEN
    ]  # fmt: skip


def test_classes_are_listed_in_descending_order(models: Models) -> None:
    for name in ("sexes", "trees"):
        (row,) = models.ask(f"SELECT * FROM ML.PREDICT(MODEL d.{name}, (SELECT * FROM d.birds LIMIT 1))")
        assert [each["label"] for each in row["predicted_sex_probs"]] == ["MALE", "FEMALE"]
        assert sum(each["prob"] for each in row["predicted_sex_probs"]) == pytest.approx(1)
    rows = models.ask("SELECT * FROM ML.PREDICT(MODEL d.clusters, (SELECT * FROM d.birds LIMIT 1))")
    near = rows[0]["NEAREST_CENTROIDS_DISTANCE"]
    assert [set(each) for each in near] == [{"CENTROID_ID", "DISTANCE"}] * 5
    assert near[0]["CENTROID_ID"] == rows[0]["CENTROID_ID"]
    assert [each["DISTANCE"] for each in near] == sorted(each["DISTANCE"] for each in near)


@pytest.mark.parametrize(
    ("kind", "columns"),
    [
        ("CAST(x > 5 AS INT64)", "INTEGER"),
        ("x > 5", "BOOLEAN"),
        ("IF(x > 5, 'b', 'a')", "STRING"),
        ("IF(x > 5, DATE '2026-01-02', DATE '2026-01-01')", "DATE"),
        ("IF(x > 5, 2.5, 1.5)", "FLOAT"),
    ],
    ids=["int64", "bool", "string", "date", "float64"],
)
def test_a_class_keeps_the_type_of_its_label(models: Models, kind: str, columns: str) -> None:
    query = f"SELECT x, {kind} AS y FROM UNNEST(GENERATE_ARRAY(1, 10)) AS x"
    for model_type in ("LOGISTIC_REG", "BOOSTED_TREE_CLASSIFIER"):
        models.train("typed", f"MODEL_TYPE='{model_type}', INPUT_LABEL_COLS=['y']", query, verb="CREATE OR REPLACE")
        answer = models.api.query("SELECT * FROM ML.PREDICT(MODEL d.typed, (SELECT 9 AS x))")
        first, second, *_ = answer["schema"]["fields"]
        assert (first["type"], second["fields"][0]["type"]) == (columns, columns)
        (expected,) = models.ask(f"SELECT {kind} AS y FROM UNNEST([9]) AS x")
        (row,) = models.ask("SELECT predicted_y AS y FROM ML.PREDICT(MODEL d.typed, (SELECT 9 AS x))")
        assert row == expected


def test_columns_of_evaluation(models: Models) -> None:
    regression = [
        "mean_absolute_error",
        "mean_squared_error",
        "mean_squared_log_error",
        "median_absolute_error",
        "r2_score",
        "explained_variance",
    ]
    classification = ["precision", "recall", "accuracy", "f1_score", "log_loss", "roc_auc"]
    expected = {
        "mass": regression, "weights": regression, "species": classification, "trees": classification,
        "clusters": ["davies_bouldin_index", "mean_squared_distance"],
    }  # fmt: skip
    for name, columns in expected.items():
        for data in ("", ", TABLE d.birds"):
            found = models.columns(f"SELECT * FROM ML.EVALUATE(MODEL d.{name}{data})")
            assert found == [(each, "FLOAT") for each in columns]


def test_columns_of_explanations(models: Models) -> None:
    numbers = [("baseline_prediction_value", "FLOAT"), ("prediction_value", "FLOAT"), ("approximation_error", "FLOAT")]
    top = ("top_feature_attributions", "RECORD[]")
    data = "TABLE d.birds, STRUCT(2 AS top_k_features)"
    for name in ("mass", "weights"):
        found = models.columns(f"SELECT * FROM ML.EXPLAIN_PREDICT(MODEL d.{name}, {data})")
        assert found == [("predicted_body_mass_g", "FLOAT"), top, *numbers, *GIVEN]
    for name in ("sexes", "trees"):
        found = models.columns(f"SELECT * FROM ML.EXPLAIN_PREDICT(MODEL d.{name}, {data})")
        assert found == [("predicted_sex", "STRING"), ("probability", "FLOAT"), top, *numbers, *GIVEN]
    assert models.columns("SELECT * FROM ML.GLOBAL_EXPLAIN(MODEL d.mass)") == [
        ("feature", "STRING"),
        ("attribution", "FLOAT"),
    ]
    by_class = "SELECT * FROM ML.GLOBAL_EXPLAIN(MODEL d.species, STRUCT(TRUE AS class_level_explain))"
    assert models.columns(by_class) == [("class_name", "STRING"), ("feature", "STRING"), ("attribution", "FLOAT")]
    assert len(models.ask(by_class)) == 3 * 6


def test_attributions_add_up(models: Models) -> None:
    for name in ("mass", "weights", "sexes", "trees"):
        data = "(SELECT * FROM d.birds LIMIT 20), STRUCT(10 AS top_k_features)"
        for row in models.ask(f"SELECT * FROM ML.EXPLAIN_PREDICT(MODEL d.{name}, {data})"):
            sizes = [each["attribution"] for each in row["top_feature_attributions"]]
            assert len(sizes) == 6 and [abs(each) for each in sizes] == sorted(
                (abs(each) for each in sizes), reverse=True
            )
            assert row["baseline_prediction_value"] + sum(sizes) == pytest.approx(
                row["prediction_value"], rel=1e-4, abs=1e-4
            )


def test_columns_of_inspection(models: Models) -> None:
    expected = {
        "ML.WEIGHTS(MODEL d.mass)": [("processed_input", "STRING"), ("weight", "FLOAT"), ("category_weights", "RECORD[]")],
        "ML.WEIGHTS(MODEL d.species)": [
            ("processed_input", "STRING"), ("weight", "FLOAT"), ("category_weights", "RECORD[]"), ("class_label", "STRING")
        ],
        "ML.ADVANCED_WEIGHTS(MODEL d.errors)": [
            ("processed_input", "STRING"), ("category", "STRING"), ("weight", "FLOAT"), ("standard_error",
            "FLOAT"), ("p_value", "FLOAT")
        ],
        "ML.FEATURE_INFO(MODEL d.mass)": [
            ("input", "STRING"), *((name, "FLOAT") for name in ("min", "max", "mean", "median", "stddev")),
            *((name, "INTEGER") for name in ("category_count", "null_count", "dimension")),
        ],
        "ML.TRAINING_INFO(MODEL d.trees)": [
            ("training_run", "INTEGER"), ("iteration", "INTEGER"), ("loss", "FLOAT"), ("eval_loss", "FLOAT"),
            ("learning_rate", "FLOAT"), ("duration_ms", "INTEGER"),
        ],
        "ML.TRAINING_INFO(MODEL d.clusters)": [
            ("training_run", "INTEGER"), ("iteration", "INTEGER"), ("loss", "FLOAT"), ("duration_ms",
            "INTEGER"), ("cluster_info", "RECORD[]")
        ],
        "ML.FEATURE_IMPORTANCE(MODEL d.trees)": [
            ("feature", "STRING"), ("importance_weight", "INTEGER"), ("importance_gain", "FLOAT"),
            ("importance_cover", "FLOAT")
        ],
        "ML.CENTROIDS(MODEL d.clusters)": [
            ("centroid_id", "INTEGER"), ("feature", "STRING"), ("numerical_value", "FLOAT"),
            ("categorical_value", "RECORD[]")
        ],
        "ML.ROC_CURVE(MODEL d.sexes)": [
            ("threshold", "FLOAT"), ("recall", "FLOAT"), ("false_positive_rate", "FLOAT"), ("true_positives", "INTEGER"),
            ("false_positives", "INTEGER"), ("true_negatives", "INTEGER"), ("false_negatives", "INTEGER"),
        ],
        "ML.CONFUSION_MATRIX(MODEL d.species)": [
            ("expected_label", "STRING"), ("Adelie Penguin _Pygoscelis adeliae_", "INTEGER"),
            ("Chinstrap penguin _Pygoscelis antarctica_", "INTEGER"), ("Gentoo penguin _Pygoscelis papua_", "INTEGER"),
        ],
        "ML.DETECT_ANOMALIES(MODEL d.clusters, STRUCT(0.1 AS contamination), TABLE d.birds)": [
            ("is_anomaly", "BOOLEAN"), ("normalized_distance", "FLOAT"), ("CENTROID_ID", "INTEGER"), *GIVEN
        ],
    }  # fmt: skip
    for call, columns in expected.items():
        assert models.columns(f"SELECT * FROM {call}") == columns, call


def test_what_inspection_says(models: Models) -> None:
    weights = {row["processed_input"]: row for row in models.ask("SELECT * FROM ML.WEIGHTS(MODEL d.mass)")}
    assert list(weights)[-1] == "__INTERCEPT__"
    assert weights["species"]["weight"] is None and len(weights["species"]["category_weights"]) == 3
    assert weights["culmen_depth_mm"]["category_weights"] == []
    standard = {
        r["processed_input"]: r["weight"]
        for r in models.ask("SELECT * FROM ML.WEIGHTS(MODEL d.mass, STRUCT(TRUE AS standardize))")
    }
    info = {row["input"]: row for row in models.ask("SELECT * FROM ML.FEATURE_INFO(MODEL d.mass)")}
    assert "body_mass_g" not in info and info["sex"]["category_count"] == 2
    name = "flipper_length_mm"
    assert standard[name] == pytest.approx(weights[name]["weight"] * info[name]["stddev"], rel=0.01)
    iterations = models.ask("SELECT iteration, loss FROM ML.TRAINING_INFO(MODEL d.trees) ORDER BY iteration")
    assert [row["iteration"] for row in iterations] == [1, 2, 3, 4, 5]
    assert [row["loss"] for row in iterations] == sorted((row["loss"] for row in iterations), reverse=True)
    clusters = models.ask("SELECT cluster_info FROM ML.TRAINING_INFO(MODEL d.clusters) ORDER BY iteration DESC LIMIT 1")
    assert sum(each["cluster_size"] for each in clusters[0]["cluster_info"]) == 333
    rows = models.ask("SELECT * FROM ML.ADVANCED_WEIGHTS(MODEL d.errors)")
    assert any(math.isnan(row["standard_error"]) for row in rows if row["category"]), "the dropped category"


# -- arguments


def test_thresholds(models: Models) -> None:
    low = models.ask(
        "SELECT COUNTIF(predicted_sex = 'MALE') AS n FROM ML.PREDICT(MODEL d.sexes, TABLE d.birds, STRUCT(0.01 AS "
        "threshold))"
    )
    high = models.ask(
        "SELECT COUNTIF(predicted_sex = 'MALE') AS n FROM ml.predict(model d.sexes, table d.birds, struct(0.99 as "
        "THRESHOLD))"
    )
    assert low[0]["n"] > 168 > high[0]["n"]
    recall = "SELECT recall FROM ML.EVALUATE(MODEL d.sexes, TABLE d.birds, STRUCT({} AS threshold))"
    assert models.ask(recall.format(0.01))[0]["recall"] > models.ask(recall.format(0.99))[0]["recall"]
    matrix = "SELECT MALE FROM ML.CONFUSION_MATRIX(MODEL d.trees, STRUCT(0.99 AS threshold))"
    assert [row["MALE"] for row in models.ask(matrix)] == [0, 0]
    rows = models.ask("SELECT * FROM ML.ROC_CURVE(MODEL d.sexes, TABLE d.birds, GENERATE_ARRAY(0.2, 0.8, 0.3))")
    assert [row["threshold"] for row in rows] == pytest.approx([0.2, 0.5, 0.8])
    rows = models.ask("SELECT * FROM ML.ROC_CURVE(MODEL d.sexes, TABLE d.birds, [0.0, 1.0])")
    assert [row["true_positives"] for row in rows] == [168, 0]


def test_arguments_may_be_query_parameters(models: Models) -> None:
    sql = (
        "SELECT COUNTIF(predicted_sex = 'MALE') AS n FROM ML.PREDICT(MODEL d.trees, (SELECT * FROM d.birds WHERE "
        "body_mass_g > {}), STRUCT({} AS threshold)) WHERE body_mass_g < {}"
    )
    values = [("FLOAT64", "3000"), ("FLOAT64", "0.01"), ("FLOAT64", "4000")]
    parameters = [{"parameterType": {"type": kind}, "parameterValue": {"value": value}} for kind, value in values]
    expected = models.ask(sql.format(3000, 0.01, 4000))
    assert expected[0]["n"] > 100
    assert models.ask(sql.format("?", "?", "?"), queryParameters=parameters, parameterMode="POSITIONAL") == expected
    named = [{**each, "name": name} for each, name in zip(parameters, "abc", strict=True)]
    assert models.ask(sql.format("@a", "@b", "@c"), queryParameters=named, parameterMode="NAMED") == expected


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("ML.PREDICT(MODEL d.mass)", "ML.PREDICT takes MODEL name, TABLE name or (query), [STRUCT(value AS key, "
            "...)], in this order; given: no rows"),
        ("ML.PREDICT(TABLE d.birds, MODEL d.mass)", "in this order; given: TABLE d.birds"),
        ("ML.PREDICT(MODEL d.mass, "
            "d.birds)", "given: d.birds. Next: put a query in parentheses and TABLE before a name"),
        ("ML.PREDICT(MODEL d.mass, STRUCT(0.5 AS threshold), TABLE d.birds)", "in this order; given: TABLE d.birds"),
        ("ML.DETECT_ANOMALIES(MODEL d.clusters, TABLE d.birds, STRUCT(0.1 AS contamination))", "in this order"),
        ("ML.DETECT_ANOMALIES(MODEL d.clusters, STRUCT(), TABLE "
            "d.birds)", "ML.DETECT_ANOMALIES needs the argument contamination"),
        ("ML.DETECT_ANOMALIES(MODEL d.clusters, STRUCT(0.6 AS contamination), TABLE "
            "d.birds)", "must be between 0 and 0.5; given: 0.6"),
        ("ML.WEIGHTS(MODEL d.mass, TABLE d.birds)", "ML.WEIGHTS takes MODEL name, [STRUCT(value AS key, ...)]"),
        ("ML.FEATURE_INFO(MODEL d.mass, STRUCT(TRUE AS "
            "standardize))", "ML.FEATURE_INFO takes MODEL name, in this order"),
        ("ML.PREDICT(MODEL d.mass, TABLE d.birds, STRUCT(0.5 AS "
            "treshold))", "ML.PREDICT has no argument treshold. Next: use threshold"),
        ("ML.PREDICT(MODEL d.sexes, TABLE d.birds, STRUCT(2 AS threshold))", "must be between 0 and 1; given: 2"),
        ("ML.PREDICT(MODEL d.sexes, TABLE d.birds, STRUCT('x' AS "
            "threshold))", "threshold of ML.PREDICT must be a number; given: 'x'"),
        ("ML.PREDICT(MODEL d.sexes, TABLE d.birds, "
            "STRUCT(0.5))", "Each value in the STRUCT of ML.PREDICT needs a name"),
        ("ML.PREDICT(MODEL d.sexes, TABLE d.birds, STRUCT(RAND() AS threshold))", "must be a constant; given: RAND()"),
        ("ML.PREDICT(MODEL d.sexes, TABLE d.birds, STRUCT(@t AS threshold))", "Query parameter 't' not found"),
        ("ML.ROC_CURVE(MODEL d.sexes, TABLE d.birds, ['a'])", "The array of ML.ROC_CURVE must hold numbers"),
        ("ML.ROC_CURVE(MODEL "
            "d.species)", "ML.ROC_CURVE needs a binary classifier; given: test-project.d.species, a model with 3 "
                "classes"),
        ("ML.ROC_CURVE(MODEL d.mass)", "ML.ROC_CURVE is not supported for model type LINEAR_REG"),
        ("ML.CENTROIDS(MODEL "
            "d.mass)", "ML.CENTROIDS is not supported for model type LINEAR_REG; given: model test-project.d.mass"),
        ("ML.EXPLAIN_PREDICT(MODEL d.clusters, TABLE "
            "d.birds)", "ML.EXPLAIN_PREDICT is not supported for model type KMEANS"),
        ("ML.EXPLAIN_PREDICT(MODEL d.mass, TABLE d.birds, STRUCT(TRUE AS "
            "approx_feature_contrib))", "does not approximate the attributions of trees"),
        ("ML.GLOBAL_EXPLAIN(MODEL d.trees)", "needs a model trained with ENABLE_GLOBAL_EXPLAIN = TRUE"),
        ("ML.ADVANCED_WEIGHTS(MODEL d.mass)", "needs a model trained with CALCULATE_P_VALUES = TRUE"),
        ("ML.EVALUATE(MODEL d.mass, STRUCT(0.3 AS "
            "threshold))", "threshold of ML.EVALUATE is not supported for model type LINEAR_REG"),
        ("ML.FORECAST(MODEL d.mass, STRUCT(3 AS horizon))", "ML.FORECAST is not supported for model type LINEAR_REG"),
        ("ML.TRIAL_INFO(MODEL d.mass)", "ML.TRIAL_INFO needs a model trained with NUM_TRIALS"),
        ("ML.PREDICTION(MODEL d.mass, TABLE "
            "d.birds)", "Table-valued function not found: ML.PREDICTION. Next: did you mean ML.PREDICT"),
        ("AI.SEARCH(TABLE d.birds, 'x', 'y')", "Tule does not do AI.SEARCH"),
        ("ML.PREDICT(MODEL d.nothing, TABLE d.birds)", "Not found: Model test-project:d.nothing"),
        ("ML.PREDICT(MODEL nowhere.m, TABLE d.birds)", "Not found: Dataset test-project:nowhere"),
        ("ML.PREDICT(MODEL d.mass, TABLE d.nothing)", "Not found: Table test-project:d.nothing"),
    ],
)  # fmt: skip
def test_calls_that_cannot_be(models: Models, call: str, message: str) -> None:
    error = models.api.query_error(f"SELECT * FROM {call}")
    assert message in error["message"]
    assert error["reason"] in ("invalidQuery", "notFound", "notImplemented")


def test_columns_that_are_missing_wrong_or_twice(models: Models) -> None:
    error = models.api.query_error("SELECT * FROM ML.PREDICT(MODEL d.mass, (SELECT * EXCEPT (island) FROM d.birds))")
    assert error["message"].startswith("The data must have the column island; given: species, ")
    error = models.api.query_error(
        "SELECT * FROM ML.EVALUATE(MODEL d.mass, (SELECT * EXCEPT (body_mass_g) FROM d.birds))"
    )
    assert error["message"].startswith("The data must have the column body_mass_g")
    wrong = "(SELECT * REPLACE (CAST(island AS BYTES) AS island) FROM d.birds)"
    for name in ("mass", "trees"):
        error = models.api.query_error(f"SELECT * FROM ML.PREDICT(MODEL d.{name}, {wrong})")
        assert "The column island must be of the type it was trained with, STRING; given: BYTES" in error["message"]
        assert error["reason"] == "invalidQuery"
    error = models.api.query_error(
        "SELECT * FROM ML.PREDICT(MODEL d.mass, (SELECT *, 1 AS PREDICTED_body_mass_g FROM d.birds))"
    )
    assert error["message"].startswith("Duplicate column name PREDICTED_body_mass_g in the result")


def test_numbers_of_other_types_and_columns_in_other_letters_are_read(models: Models) -> None:
    given = (
        "SELECT species, island, CAST(40 AS {}) AS CULMEN_length_mm, 18 AS culmen_depth_mm, NUMERIC '190' AS "
        "flipper_length_mm, 4000 AS body_mass_g, sex FROM d.birds LIMIT 1"
    )
    for name in ("mass", "species", "trees", "clusters"):
        answers = [
            models.ask(f"SELECT * FROM ML.PREDICT(MODEL d.{name}, ({given.format(kind)}))")[0]
            for kind in ("INT64", "FLOAT64")
        ]
        assert answers[0] == answers[1]


# -- every place where a table may stand


def test_nested_joined_and_named(models: Models) -> None:
    both = """
        WITH big AS (SELECT * FROM d.birds WHERE body_mass_g > 5000),
             judged AS (SELECT * FROM ML.PREDICT(MODEL d.trees, (SELECT * FROM big))),
             again AS (SELECT * FROM ML.PREDICT(MODEL d.mass, (SELECT * EXCEPT (predicted_sex_probs) FROM judged)))
        SELECT a.predicted_sex, COUNT(*) AS n, AVG(a.predicted_body_mass_g) AS mass
        FROM again AS a JOIN ML.PREDICT(MODEL d.mass, TABLE big) AS b
          ON a.culmen_length_mm = b.culmen_length_mm AND a.culmen_depth_mm = b.culmen_depth_mm
         AND a.predicted_body_mass_g = b.predicted_body_mass_g
        GROUP BY 1 ORDER BY 1"""
    rows = models.ask(both)
    (count,) = models.ask("SELECT COUNT(*) AS n FROM d.birds WHERE body_mass_g > 5000")
    assert sum(row["n"] for row in rows) == count["n"] and all(row["mass"] > 4500 for row in rows)


def test_scopes_keep_their_own_names(models: Models) -> None:
    rows = models.ask("""
        WITH a AS (SELECT * FROM d.birds WHERE sex = 'MALE')
        SELECT (SELECT COUNT(*) FROM (
                  WITH a AS (SELECT * FROM d.birds WHERE sex = 'FEMALE')
                  SELECT * FROM ML.PREDICT(MODEL d.trees, TABLE a))) AS inner_rows,
               (SELECT COUNT(*) FROM ML.PREDICT(MODEL d.trees, TABLE a)) AS outer_rows,
               (SELECT recall FROM ML.EVALUATE(MODEL d.trees, TABLE a)) AS recall""")
    assert (rows[0]["inner_rows"], rows[0]["outer_rows"]) == (165, 168) and 0.5 < rows[0]["recall"] <= 1


def test_arrays_unions_and_limits(models: Models) -> None:
    rows = models.ask("""
        SELECT p.label, AVG(p.prob) AS share
        FROM ML.PREDICT(MODEL d.trees, TABLE d.birds) AS t, UNNEST(t.predicted_sex_probs) AS p
        GROUP BY 1 ORDER BY 1""")
    assert [row["label"] for row in rows] == ["FEMALE", "MALE"] and sum(row["share"] for row in rows) == pytest.approx(
        1
    )
    union = " UNION ALL ".join(
        f"SELECT {n} AS model, * FROM ML.EVALUATE(MODEL d.{name})" for n, name in enumerate(("mass", "weights"))
    )
    assert len(models.ask(union)) == 2
    assert len(models.ask("SELECT predicted_sex FROM ML.PREDICT(MODEL d.trees, TABLE d.birds) LIMIT 3")) == 3
    square = models.ask("SELECT SQRT(loss) AS rmse FROM ML.TRAINING_INFO(MODEL d.mass)")
    assert 200 < square[0]["rmse"] < 400


def test_predictions_order_windows_and_filter(models: Models) -> None:
    rows = models.ask("""
        SELECT place, predicted_body_mass_g FROM (
          SELECT *, ROW_NUMBER() OVER (ORDER BY predicted_body_mass_g DESC) AS place
          FROM ML.PREDICT(MODEL d.weights, TABLE d.birds))
        WHERE place <= 3 AND predicted_body_mass_g > 0 ORDER BY place""")
    sizes = [row["predicted_body_mass_g"] for row in rows]
    assert len(sizes) == 3 and sizes == sorted(sizes, reverse=True)


def test_tables_views_and_other_models_are_made_of_them(models: Models) -> None:
    models.api.query("CREATE TABLE d.scored AS SELECT * FROM ML.PREDICT(MODEL d.trees, TABLE d.birds)")
    models.api.query(
        "CREATE VIEW d.seen AS SELECT predicted_sex, sex, island FROM ML.PREDICT(MODEL d.trees, TABLE d.birds)"
    )
    models.api.query("CREATE VIEW d.judged AS SELECT * FROM ML.EVALUATE(MODEL d.trees, TABLE d.birds)")
    models.api.query("INSERT INTO d.scored SELECT * FROM ML.PREDICT(MODEL d.trees, TABLE d.birds)")
    counted = models.ask("SELECT COUNT(*) AS n, COUNTIF(predicted_sex = sex) AS hits FROM d.scored")[0]
    seen = models.ask("SELECT COUNT(*) AS n, COUNTIF(predicted_sex = sex) AS hits FROM d.seen")[0]
    assert counted == {"n": 666, "hits": 2 * seen["hits"]} and seen["n"] == 333
    accuracy = models.ask("SELECT accuracy FROM d.judged")[0]["accuracy"]
    assert accuracy == pytest.approx(seen["hits"] / 333)
    models.train(
        "second",
        "MODEL_TYPE='LOGISTIC_REG', INPUT_LABEL_COLS=['sex'], L2_REG=0.1",
        """
        SELECT predicted_sex, CENTROID_ID, sex FROM ML.PREDICT(MODEL d.clusters,
          (SELECT * EXCEPT (predicted_sex_probs) FROM ML.PREDICT(MODEL d.trees, TABLE d.birds)))""",
    )
    assert models.opened("second").model.signature.input_names == ["predicted_sex", "CENTROID_ID"]


def test_what_is_only_looked_at_computes_nothing(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    def computed(*_: Any, **__: Any) -> None:
        raise AssertionError("nothing may be computed")

    from tule.learn import metrics

    monkeypatch.setattr(metrics, "evaluate", computed)
    monkeypatch.setattr(type(models.opened("trees").model), "predict", computed)
    for sql, first in [
        ("SELECT * FROM ML.EVALUATE(MODEL d.trees, TABLE d.birds)", "precision"),
        ("SELECT * FROM ML.PREDICT(MODEL d.trees, TABLE d.birds)", "predicted_sex"),
        ("SELECT * FROM ML.PREDICT(MODEL d.mass, TABLE d.birds)", "predicted_body_mass_g"),
    ]:
        answer = models.api.query(sql, dryRun=True)
        assert answer["schema"]["fields"][0]["name"] == first and int(answer["totalBytesProcessed"]) > 0
    error = models.api.query_error("SELECT * FROM ML.PREDICT(MODEL d.trees, (SELECT 1 AS x))", dryRun=True)
    assert "The data must have the column species" in error["message"]


def test_a_linear_prediction_is_the_same_as_an_expression_and_row_by_row(models: Models) -> None:
    """The SQL that a linear model becomes, against the model's own answers: every kind of column, NULL and unknown too."""
    models.api.query("""
        CREATE TABLE d.kinds AS
        SELECT IF(MOD(x, 11) = 0, NULL, x / 3) AS number, MOD(x, 4) AS whole, IF(MOD(x, 5) = 0, NULL, MOD(x, 3) = 0) AS flag,
               IF(MOD(x, 7) = 0, NULL, CONCAT("it's ", CAST(MOD(x, 3) AS STRING))) AS word,
               DATE_ADD(DATE '2026-01-01', INTERVAL MOD(x, 5) DAY) AS day,
               TIMESTAMP_ADD(TIMESTAMP '2026-01-31 22:30:00+00', INTERVAL x * 11 HOUR) AS moment,
               STRUCT(x * 0.5 AS inner_number, IF(MOD(x, 2) = 0, 'even', NULL) AS parity) AS pair,
               NUMERIC '1.5' * MOD(x, 6) AS exact,
               x + 3 * MOD(x, 4) + IF(MOD(x, 3) = 0, 5, 0) AS y, IF(x > 150, 'c', IF(x > 70, 'b', 'a')) AS z, x > 120 AS b
        FROM UNNEST(GENERATE_ARRAY(1, 200)) AS x""")
    from tests.bigquery.conftest import PROJECT

    from tule.bigquery.references import TableReference

    rows = list(models.api.warehouse.sources.open(TableReference(PROJECT, "d", "kinds")).scan())
    unknown = (
        "(SELECT * REPLACE ('new' AS word, DATE '1999-01-01' AS day, TIMESTAMP '1999-12-31 23:59:59.999+00' AS "
        "moment) FROM d.kinds)"
    )
    for label, model_type in (("y", "LINEAR_REG"), ("z", "LOGISTIC_REG"), ("b", "LOGISTIC_REG")):
        others = ", ".join(name for name in ("y", "z", "b") if name != label)
        models.train(
            "kindly",
            f"MODEL_TYPE='{model_type}', INPUT_LABEL_COLS=['{label}'], L2_REG=0.01",
            f"SELECT * EXCEPT ({others}) FROM d.kinds",
            verb="CREATE OR REPLACE",
        )
        model = models.opened("kindly").model
        assert "f_" not in str(models.api.warehouse.queries.models), "no function of rows is needed"
        found = models.ask("SELECT * FROM ML.PREDICT(MODEL d.kindly, TABLE d.kinds)")
        import pyarrow as pa

        answer = model.predict(pa.Table.from_batches(rows))
        if label == "y":
            assert [row["predicted_y"] for row in found] == pytest.approx(answer["prediction"].to_pylist(), rel=1e-11)
            continue
        assert [row[f"predicted_{label}"] for row in found] == answer["label"].to_pylist()
        probabilities = [[each["prob"] for each in row[f"predicted_{label}_probs"]][::-1] for row in found]
        for ours, own in zip(probabilities, answer["probabilities"].to_pylist(), strict=True):
            assert ours == pytest.approx(own, rel=1e-10, abs=1e-300)
        assert len(models.ask(f"SELECT * FROM ML.PREDICT(MODEL d.kindly, {unknown})")) == 200
