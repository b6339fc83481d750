"""What several options must be together."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tule.bigquery.ml.options.model_types import CONTRIBUTION, GLM, LOGISTIC, TRANSFORM_ONLY
from tule.bigquery.ml.options.tuning import objective, objectives, space
from tule.kernel.errors import InvalidArgument

if TYPE_CHECKING:
    from tule.bigquery.ml.options import ModelOptions


def _refuse(message: str, do: str | None = None) -> InvalidArgument:
    return InvalidArgument(message, do=do, reason="invalidQuery")


def _learn_rate_needs_constant(options: ModelOptions) -> None:
    if options.model_type in GLM and "LEARN_RATE" in options.given and options["learn_rate_strategy"] != "CONSTANT":
        raise _refuse("LEARN_RATE needs LEARN_RATE_STRATEGY = 'CONSTANT'", "set both, or use LS_INIT_LEARN_RATE")


def _one_kind_of_class_weights(options: ModelOptions) -> None:
    if options.get("class_weights") and options.get("auto_class_weights"):
        raise _refuse("CLASS_WEIGHTS and AUTO_CLASS_WEIGHTS exclude each other", "leave one out")
    if options.get("instance_weight_col") and (options.get("class_weights") or options.get("auto_class_weights")):
        raise _refuse("INSTANCE_WEIGHT_COL and class weights exclude each other", "leave one out")


def _normal_equation_is_plain(options: ModelOptions) -> None:
    if options.get("optimize_strategy") != "NORMAL_EQUATION":
        return
    if options.model_type == LOGISTIC:
        raise _refuse("OPTIMIZE_STRATEGY = 'NORMAL_EQUATION' is for LINEAR_REG only")
    gradient = {"L1_REG", "WARM_START", "LEARN_RATE", "LEARN_RATE_STRATEGY", "LS_INIT_LEARN_RATE"}
    if clash := sorted(name for name in gradient if options.changed(name)):
        raise _refuse(f"{', '.join(clash)} cannot be used with OPTIMIZE_STRATEGY = 'NORMAL_EQUATION'", "leave one out")


def _split_columns(options: ModelOptions) -> None:
    method, column = options.get("data_split_method"), options.get("data_split_col")
    if method is None:
        return
    if method in ("CUSTOM", "SEQ") and not column:
        raise _refuse(f"DATA_SPLIT_METHOD = '{method}' needs DATA_SPLIT_COL", "name the column")
    if column and method not in ("CUSTOM", "SEQ"):
        raise _refuse("DATA_SPLIT_COL needs DATA_SPLIT_METHOD = 'CUSTOM' or 'SEQ'", "set the method")
    fractions = {"DATA_SPLIT_EVAL_FRACTION", "DATA_SPLIT_TEST_FRACTION"} & options.given
    if fractions and method not in ("RANDOM", "SEQ"):
        names = ", ".join(sorted(fractions))
        raise _refuse(f"{names} needs DATA_SPLIT_METHOD = 'RANDOM' or 'SEQ'", "set the method")
    if options.tuned and len(fractions) == 1:
        raise _refuse(
            "With NUM_TRIALS, DATA_SPLIT_EVAL_FRACTION and DATA_SPLIT_TEST_FRACTION are given together",
            "give both, or neither",
        )
    if not options.tuned and options.changed("DATA_SPLIT_TEST_FRACTION"):
        raise _refuse("DATA_SPLIT_TEST_FRACTION needs NUM_TRIALS", "leave it out")
    if fractions and options["data_split_eval_fraction"] + options["data_split_test_fraction"] > 1:
        raise _refuse("The shares of evaluation and test rows must not exceed 1 together", "make them smaller")


def _custom_centroids(options: ModelOptions) -> None:
    custom = options.get("kmeans_init_method") == "CUSTOM"
    if custom and not options.get("kmeans_init_col"):
        raise _refuse("KMEANS_INIT_METHOD = 'CUSTOM' needs KMEANS_INIT_COL", "name a BOOL column")
    if options.get("kmeans_init_col") and not custom:
        raise _refuse("KMEANS_INIT_COL needs KMEANS_INIT_METHOD = 'CUSTOM'", "set the method")


def _p_values(options: ModelOptions) -> None:
    if not options.get("calculate_p_values"):
        return
    if options["category_encoding_method"] != "DUMMY_ENCODING" or options["l1_reg"]:
        raise _refuse(
            "CALCULATE_P_VALUES needs CATEGORY_ENCODING_METHOD = 'DUMMY_ENCODING' and no L1_REG", "change both options"
        )


def _dart_only(options: ModelOptions) -> None:
    clash = sorted(name for name in ("DROPOUT", "DART_NORMALIZE_TYPE") if options.changed(name))
    if clash and options["booster_type"] != "DART":
        raise _refuse(f"{', '.join(clash)} needs BOOSTER_TYPE = 'DART'", "set the booster type")


def _registry(options: ModelOptions) -> None:
    names = {"VERTEX_AI_MODEL_ID", "VERTEX_AI_MODEL_VERSION_ALIASES"} & options.given
    if names and not options.get("model_registry"):
        raise _refuse(f"{', '.join(sorted(names))} needs MODEL_REGISTRY = 'VERTEX_AI'", "set it")


def _steps_need_explanations(options: ModelOptions) -> None:
    if options.get("integrated_gradients_num_steps") and not options["enable_global_explain"]:
        raise _refuse("INTEGRATED_GRADIENTS_NUM_STEPS needs ENABLE_GLOBAL_EXPLAIN = TRUE", "set it")


def _what_predicts_nothing_is_not_registered(options: ModelOptions) -> None:
    if options.model_type in (TRANSFORM_ONLY, CONTRIBUTION) and options.get("model_registry"):
        raise _refuse(f"MODEL_REGISTRY is not supported for model type {options.model_type}", "leave it out")


def _trials(options: ModelOptions) -> None:
    names = {"MAX_PARALLEL_TRIALS", "HPARAM_TUNING_ALGORITHM", "HPARAM_TUNING_OBJECTIVES"} & options.given
    names |= {key.upper() for key in options.ranges}
    if names and not options.tuned:
        raise _refuse(f"{', '.join(sorted(names))} needs NUM_TRIALS", "set it")
    if not options.tuned:
        return
    if clash := sorted(name for name in ("WARM_START", "CALCULATE_P_VALUES") if options.changed(name)):
        raise _refuse(f"{', '.join(clash)} cannot be used with NUM_TRIALS", "leave one out")
    known = objectives(options.model_type, options.get("feedback_type"))
    if objective(options) not in known:
        raise InvalidArgument(
            f"HPARAM_TUNING_OBJECTIVES of model type {options.model_type} must be one of {', '.join(known)}",
            given=objective(options),
            reason="invalidQuery",
        )
    searched = space(options)
    if options["hparam_tuning_algorithm"] == "GRID_SEARCH":
        endless = [each.name.upper() for each in searched.parameters if each.domain.values() is None]
        if endless:
            raise InvalidArgument(
                "HPARAM_TUNING_ALGORITHM = 'GRID_SEARCH' needs hyperparameters with finitely many values",
                given=f"a range of {', '.join(endless)}",
                do="list the values with HPARAM_CANDIDATES, or choose another algorithm",
                reason="invalidQuery",
            )


CONTRADICTIONS: tuple[Callable[[ModelOptions], None], ...] = (
    _learn_rate_needs_constant,
    _one_kind_of_class_weights,
    _normal_equation_is_plain,
    _split_columns,
    _custom_centroids,
    _p_values,
    _dart_only,
    _registry,
    _steps_need_explanations,
    _what_predicts_nothing_is_not_registered,
    _trials,
)
