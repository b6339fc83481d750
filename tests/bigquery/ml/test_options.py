"""OPTIONS of CREATE MODEL: defaults, reading, contradictions, refusals by name."""

from __future__ import annotations

from typing import Any

import pytest

from tule.bigquery.ml.options import OPTIONS, REFUSED, read_options
from tule.bigquery.ml.options.model_types import TYPES
from tule.bigquery.ml.training import learn_options
from tule.kernel.errors import InvalidArgument, Unimplemented


def test_defaults_are_the_documented_ones() -> None:
    options = read_options({"model_type": "boosted_tree_classifier"})
    assert options.model_type == "BOOSTED_TREE_CLASSIFIER"
    assert (options["max_iterations"], options["max_tree_depth"], options["learn_rate"], options["l2_reg"]) == (
        20,
        6,
        0.3,
        1.0,
    )
    assert options.label == "label"


def test_names_and_enumerated_values_ignore_case() -> None:
    options = read_options(
        {"Model_Type": "linear_reg", "Optimize_Strategy": "normal_equation", "input_label_cols": ["Y"]}
    )
    assert options["optimize_strategy"] == "NORMAL_EQUATION"
    assert options.non_features == {"y"}


def test_class_weights_are_read_from_structs() -> None:
    options = read_options({"MODEL_TYPE": "LOGISTIC_REG", "CLASS_WEIGHTS": [("a", 0.25), {"label": "b", "weight": 1}]})
    assert options["class_weights"] == [("a", 0.25), ("b", 1.0)]


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_options_not_done_are_refused_by_name(name: str) -> None:
    with pytest.raises(Unimplemented, match=name):
        read_options({"MODEL_TYPE": "LINEAR_REG", name: 1})


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({}, "must name a MODEL_TYPE"),
        ({"MODEL_TYPE": "LINEAR_REGG"}, "must be one of LINEAR_REG"),
        ({"MODEL_TYPE": "LINEAR_REG", "MAX_ITERATION": 3}, "did you mean MAX_ITERATIONS"),
        ({"MODEL_TYPE": "LINEAR_REG", "NUM_CLUSTERS": 3}, "NUM_CLUSTERS is not supported for model type LINEAR_REG"),
        ({"MODEL_TYPE": "LINEAR_REG", "MAX_ITERATIONS": 0}, r"in \[1, 10000\]; given: 0"),
        ({"MODEL_TYPE": "LINEAR_REG", "MAX_ITERATIONS": "5"}, "a whole number; given: '5'"),
        ({"MODEL_TYPE": "LINEAR_REG", "EARLY_STOP": "yes"}, "TRUE or FALSE"),
        ({"MODEL_TYPE": "LINEAR_REG", "LEARN_RATE": 0.1}, "needs LEARN_RATE_STRATEGY"),
        ({"MODEL_TYPE": "LINEAR_REG", "INPUT_LABEL_COLS": ["a", "b"]}, "exactly one"),
        ({"MODEL_TYPE": "LOGISTIC_REG", "OPTIMIZE_STRATEGY": "NORMAL_EQUATION"}, "for LINEAR_REG only"),
        (
            {"MODEL_TYPE": "LINEAR_REG", "OPTIMIZE_STRATEGY": "NORMAL_EQUATION", "L1_REG": 1.0},
            "L1_REG cannot be used",
        ),
        ({"MODEL_TYPE": "LOGISTIC_REG", "AUTO_CLASS_WEIGHTS": True, "CLASS_WEIGHTS": [("a", 1)]}, "exclude each other"),
        ({"MODEL_TYPE": "LOGISTIC_REG", "CLASS_WEIGHTS": [("a", -1)]}, "no weight below 0"),
        ({"MODEL_TYPE": "LOGISTIC_REG", "CLASS_WEIGHTS": [("a", 1), ("a", 2)]}, "names each label once"),
        ({"MODEL_TYPE": "LINEAR_REG", "DATA_SPLIT_METHOD": "SEQ"}, "needs DATA_SPLIT_COL"),
        ({"MODEL_TYPE": "LINEAR_REG", "DATA_SPLIT_COL": "c"}, "needs DATA_SPLIT_METHOD"),
        ({"MODEL_TYPE": "KMEANS", "KMEANS_INIT_METHOD": "CUSTOM"}, "needs KMEANS_INIT_COL"),
        ({"MODEL_TYPE": "KMEANS", "NUM_CLUSTERS": 101}, r"in \[2, 100\]"),
        ({"MODEL_TYPE": "BOOSTED_TREE_REGRESSOR", "DROPOUT": 0.5}, "needs BOOSTER_TYPE = 'DART'"),
        ({"MODEL_TYPE": "LINEAR_REG", "CALCULATE_P_VALUES": True}, "needs CATEGORY_ENCODING_METHOD"),
        ({"MODEL_TYPE": "LINEAR_REG", "VERTEX_AI_MODEL_ID": "m"}, "needs MODEL_REGISTRY"),
    ],
)
def test_wrong_options_say_what_must_hold(written: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message) as caught:
        read_options(written)
    assert caught.value.reason == "invalidQuery"


def test_defaults_that_clients_write_out_say_nothing() -> None:
    """BigQuery DataFrames names every option of an estimator."""
    options = read_options(
        {
            "MODEL_TYPE": "LINEAR_REG", "OPTIMIZE_STRATEGY": "normal_equation", "LEARN_RATE_STRATEGY": "line_search",
            "L1_REG": 0, "WARM_START": False, "MIN_REL_PROGRESS": 0.01,
        }
    )  # fmt: skip
    assert learn_options(options) == {"optimize_strategy": "NORMAL_EQUATION"}
    trees = read_options(
        {"MODEL_TYPE": "BOOSTED_TREE_REGRESSOR", "XGBOOST_VERSION": "0.9", "DART_NORMALIZE_TYPE": "tree"}
    )
    assert trees["xgboost_version"] == "0.9" and learn_options(trees) == {}
    with pytest.raises(InvalidArgument, match=r"XGBOOST_VERSION must be one of 0\.9, 1\.1"):
        read_options({"MODEL_TYPE": "BOOSTED_TREE_REGRESSOR", "XGBOOST_VERSION": "2.0"})


def test_each_model_type_has_one_meaning_per_option() -> None:
    for model_type in TYPES:
        names = [option.name for option in OPTIONS if model_type in option.types]
        assert len(names) == len(set(names))
