"""The OPTIONS of CREATE MODEL: one table of what each option means and which model types take it.

Names, types and defaults follow the CREATE MODEL pages of the BigQuery ML reference. An option is executed, or it is
refused by name: with ``InvalidArgument`` where BigQuery itself would refuse it, with ``Unimplemented`` where Tule does
not do it. ``docs/bigquery-ml-options.md`` is generated from these tables.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tule.kernel.errors import InvalidArgument, Unimplemented

LINEAR, LOGISTIC, KMEANS = "LINEAR_REG", "LOGISTIC_REG", "KMEANS"
TREE_REGRESSOR, TREE_CLASSIFIER = "BOOSTED_TREE_REGRESSOR", "BOOSTED_TREE_CLASSIFIER"

# SQL name -> the REST resource's modelType.
MODEL_TYPES: dict[str, str] = {
    LINEAR: "LINEAR_REGRESSION",
    LOGISTIC: "LOGISTIC_REGRESSION",
    TREE_REGRESSOR: TREE_REGRESSOR,
    TREE_CLASSIFIER: TREE_CLASSIFIER,
    KMEANS: KMEANS,
}
MODEL_TYPE_ALIASES = {"LINEAR_REGRESSION": LINEAR, "LOGISTIC_REGRESSION": LOGISTIC}
GLM = frozenset({LINEAR, LOGISTIC})
TREES = frozenset({TREE_REGRESSOR, TREE_CLASSIFIER})
CLASSIFIERS = frozenset({LOGISTIC, TREE_CLASSIFIER})
SUPERVISED = GLM | TREES
ALL = SUPERVISED | {KMEANS}

# Model types of the reference that this Tule does not train.
REFUSED_TYPES = (
    "RANDOM_FOREST_REGRESSOR",
    "RANDOM_FOREST_CLASSIFIER",
    "DNN_REGRESSOR",
    "DNN_CLASSIFIER",
    "DNN_LINEAR_COMBINED_REGRESSOR",
    "DNN_LINEAR_COMBINED_CLASSIFIER",
    "AUTOML_REGRESSOR",
    "AUTOML_CLASSIFIER",
    "PCA",
    "AUTOENCODER",
    "MATRIX_FACTORIZATION",
    "ARIMA_PLUS",
    "ARIMA",
    "ARIMA_PLUS_XREG",
    "TENSORFLOW",
    "TENSORFLOW_LITE",
    "ONNX",
    "XGBOOST",
    "TRANSFORM_ONLY",
    "CONTRIBUTION_ANALYSIS",
)


@dataclass(frozen=True)
class Option:
    """One option: its name in SQL, how a value is read, the model types that take it and its default there."""

    name: str
    read: Callable[[Option, Any], Any]
    types: frozenset[str]
    default: Any = None
    help: str = ""
    choices: tuple[str, ...] = ()
    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False

    @property
    def key(self) -> str:
        return self.name.lower()


def _wrong(option: Option, must: str, given: Any) -> InvalidArgument:
    return InvalidArgument(f"Option {option.name} must be {must}", given=repr(given), reason="invalidQuery")


def _boolean(option: Option, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _wrong(option, "TRUE or FALSE", value)
    return value


def _in_range(option: Option, value: float) -> None:
    below = value <= option.low if option.open_low else value < option.low
    if below or value > option.high or math.isnan(value):
        edge = "(" if option.open_low else "["
        raise _wrong(option, f"in {edge}{option.low:g}, {option.high:g}]", value)


def _integer(option: Option, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong(option, "a whole number", value)
    _in_range(option, value)
    return value


def _number(option: Option, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(option, "a number", value)
    _in_range(option, value)
    return float(value)


def _text(option: Option, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise _wrong(option, "a non-empty string", value)
    return value


def _choice(option: Option, value: Any) -> str:
    if not isinstance(value, str) or value.upper() not in option.choices:
        raise _wrong(option, "one of " + ", ".join(option.choices), value)
    return value.upper()


def _texts(option: Option, value: Any) -> list[str]:
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or not value or not all(isinstance(each, str) and each for each in value):
        raise _wrong(option, "an array of strings", value)
    return list(value)


def _label(option: Option, value: Any) -> list[str]:
    names = _texts(option, value)
    if len(names) != 1:
        raise _wrong(option, "an array with exactly one column name", value)
    return names


def _class_weights(option: Option, value: Any) -> list[tuple[str, float]]:
    pairs: list[tuple[str, float]] = []
    for each in value if isinstance(value, list) else [None]:
        pair = tuple(each.values()) if isinstance(each, dict) else each
        if not isinstance(pair, tuple) or len(pair) != 2 or isinstance(pair[1], bool):
            raise _wrong(option, "an array of STRUCT(label STRING, weight FLOAT64)", value)
        if not isinstance(pair[0], str) or not isinstance(pair[1], int | float) or pair[1] < 0:
            raise _wrong(option, "an array of STRUCT(label STRING, weight FLOAT64), no weight below 0", value)
        if pair[0] in (label for label, _ in pairs):
            raise _wrong(option, "an array that names each label once", value)
        pairs.append((pair[0], float(pair[1])))
    return pairs


def _set(*names: str) -> frozenset[str]:
    return frozenset(names)


OPTIONS: tuple[Option, ...] = (
    Option("INPUT_LABEL_COLS", _label, SUPERVISED, ["label"], "the label column"),
    Option(
        "DATA_SPLIT_METHOD",
        _choice,
        SUPERVISED,
        "AUTO_SPLIT",
        "how evaluation rows are chosen",
        ("AUTO_SPLIT", "RANDOM", "CUSTOM", "SEQ", "NO_SPLIT"),
    ),
    Option("DATA_SPLIT_EVAL_FRACTION", _number, SUPERVISED, 0.2, "share of evaluation rows", low=0, high=1),
    Option("DATA_SPLIT_COL", _text, SUPERVISED, None, "the column of CUSTOM and SEQ splits; never a feature"),
    Option("MAX_ITERATIONS", _integer, ALL, 20, "iterations; boosting rounds of trees", low=1, high=10_000),
    Option("EARLY_STOP", _boolean, ALL, True, "stop at the first iteration that improves too little"),
    Option("MIN_REL_PROGRESS", _number, ALL, 0.01, "the least relative improvement that goes on", low=0),
    Option("L1_REG", _number, SUPERVISED, 0.0, "L1 regularisation", low=0),
    Option("L2_REG", _number, GLM, 0.0, "L2 regularisation", low=0),
    Option("L2_REG", _number, TREES, 1.0, "L2 regularisation of leaf weights", low=0),
    Option("WARM_START", _boolean, GLM | {KMEANS}, False, "go on from the model of this name"),
    Option("AUTO_CLASS_WEIGHTS", _boolean, CLASSIFIERS, False, "weight = rows / (rows of the class x classes)"),
    Option("CLASS_WEIGHTS", _class_weights, CLASSIFIERS, None, "a weight for every class"),
    Option("INSTANCE_WEIGHT_COL", _text, TREES, None, "a column with row weights; never a feature"),
    Option("ENABLE_GLOBAL_EXPLAIN", _boolean, SUPERVISED, False, "needed by ML.GLOBAL_EXPLAIN"),
    Option(
        "CATEGORY_ENCODING_METHOD",
        _choice,
        GLM,
        "ONE_HOT_ENCODING",
        "how categories become numbers",
        ("ONE_HOT_ENCODING", "DUMMY_ENCODING"),
    ),
    Option(
        "CATEGORY_ENCODING_METHOD",
        _choice,
        TREES,
        "ONE_HOT_ENCODING",
        "how categories become numbers",
        ("ONE_HOT_ENCODING", "LABEL_ENCODING", "TARGET_ENCODING"),
    ),
    Option(
        "OPTIMIZE_STRATEGY",
        _choice,
        GLM,
        "AUTO_STRATEGY",
        "solver",
        ("AUTO_STRATEGY", "BATCH_GRADIENT_DESCENT", "NORMAL_EQUATION"),
    ),
    Option("LEARN_RATE_STRATEGY", _choice, GLM, "LINE_SEARCH", "step size", ("LINE_SEARCH", "CONSTANT")),
    Option("LEARN_RATE", _number, GLM, 0.1, "step size with LEARN_RATE_STRATEGY = 'CONSTANT'", low=0, open_low=True),
    Option("LEARN_RATE", _number, TREES, 0.3, "shrinkage of each round", low=0, high=1),
    Option("LS_INIT_LEARN_RATE", _number, GLM, 0.1, "first step of the line search", low=0, open_low=True),
    Option("CALCULATE_P_VALUES", _boolean, GLM, False, "standard errors and p-values"),
    Option("FIT_INTERCEPT", _boolean, GLM, True, "fit a constant"),
    Option("BOOSTER_TYPE", _choice, TREES, "GBTREE", "booster", ("GBTREE", "DART")),
    Option("DART_NORMALIZE_TYPE", _choice, TREES, "TREE", "normalisation of dropped trees", ("TREE", "FOREST")),
    Option("NUM_PARALLEL_TREE", _integer, TREES, 1, "trees grown per round", low=1, high=1000),
    Option("MAX_TREE_DEPTH", _integer, TREES, 6, "depth of a tree", low=1, high=30),
    Option("DROPOUT", _number, TREES, 0.0, "share of trees dropped, DART only", low=0, high=1),
    Option(
        "TREE_METHOD", _choice, TREES, "AUTO", "how splits are found; AUTO is HIST", ("AUTO", "EXACT", "APPROX", "HIST")
    ),
    Option("MIN_TREE_CHILD_WEIGHT", _integer, TREES, 1, "least weight of a leaf", low=0),
    Option("COLSAMPLE_BYTREE", _number, TREES, 1.0, "share of columns per tree", low=0, high=1, open_low=True),
    Option("COLSAMPLE_BYLEVEL", _number, TREES, 1.0, "share of columns per level", low=0, high=1, open_low=True),
    Option("COLSAMPLE_BYNODE", _number, TREES, 1.0, "share of columns per split", low=0, high=1, open_low=True),
    Option("MIN_SPLIT_LOSS", _number, TREES, 0.0, "least loss reduction of a split", low=0),
    Option("SUBSAMPLE", _number, TREES, 1.0, "share of rows per round", low=0, high=1, open_low=True),
    Option(
        "XGBOOST_VERSION",
        _choice,
        TREES,
        "0.9",
        "kept and told; the XGBoost that is installed trains, whatever the choice",
        ("0.9", "1.1"),
    ),
    Option(
        "NUM_CLUSTERS", _integer, _set(KMEANS), None, "clusters; by default log10(rows), 2 or more", low=2, high=100
    ),
    Option("KMEANS_INIT_METHOD", _choice, _set(KMEANS), "RANDOM", "first centroids", ("RANDOM", "KMEANS++", "CUSTOM")),
    Option("KMEANS_INIT_COL", _text, _set(KMEANS), None, "BOOL column that marks the first centroids"),
    Option("DISTANCE_TYPE", _choice, _set(KMEANS), "EUCLIDEAN", "distance", ("EUCLIDEAN", "COSINE")),
    Option("STANDARDIZE_FEATURES", _boolean, _set(KMEANS), True, "scale numeric features"),
    Option("MODEL_REGISTRY", _choice, ALL, None, "register the model", ("VERTEX_AI",)),
    Option("VERTEX_AI_MODEL_ID", _text, ALL, None, "id in the registry; by default the name of the model"),
    Option("VERTEX_AI_MODEL_VERSION_ALIASES", _texts, ALL, None, "aliases of the registered version"),
)

# Known to BigQuery ML, not done here: refused by name.
REFUSED: dict[str, str] = {
    "NUM_TRIALS": "hyperparameter tuning",
    "MAX_PARALLEL_TRIALS": "hyperparameter tuning",
    "HPARAM_TUNING_ALGORITHM": "hyperparameter tuning",
    "HPARAM_TUNING_OBJECTIVES": "hyperparameter tuning",
    "DATA_SPLIT_TEST_FRACTION": "hyperparameter tuning",
    "KMS_KEY_NAME": "customer-managed keys",
    "APPROX_GLOBAL_FEATURE_CONTRIB": "approximate contributions; Tule's are exact",
    "TF_VERSION": "TensorFlow training",
    "INTEGRATED_GRADIENTS_NUM_STEPS": "neural models",
}


@dataclass(frozen=True)
class ModelOptions:
    """The options of one CREATE MODEL: ``values`` by lower-case name with defaults filled, ``given`` as written."""

    model_type: str
    values: Mapping[str, Any]
    given: frozenset[str] = field(default_factory=frozenset)

    def __getitem__(self, key: str) -> Any:
        return self.values[key]

    def get(self, key: str) -> Any:
        return self.values.get(key)

    def changed(self, name: str) -> bool:
        """Whether an option was given another value than its default: clients write defaults out."""
        if name.upper() not in self.given:
            return False
        option = next(each for each in OPTIONS if each.name == name.upper() and self.model_type in each.types)
        return bool(self.values[option.key] != option.default)

    @property
    def label(self) -> str | None:
        names = self.values.get("input_label_cols")
        return names[0] if names else None

    @property
    def non_features(self) -> frozenset[str]:
        """Lower-case names of the columns that steer training: label, split, weight, initial centroid."""
        names = (self.label, *(self.get(key) for key in ("data_split_col", "instance_weight_col", "kmeans_init_col")))
        return frozenset(name.lower() for name in names if name)


def read_options(written: Mapping[str, Any]) -> ModelOptions:
    """Check and complete the options of one CREATE MODEL.

    ``written`` maps option names in any letter case to values: str, bool, int, float, list, tuple (a struct).
    Raises InvalidArgument (reason ``invalidQuery``) for wrong or contradictory options, Unimplemented for those that
    Tule does not do.
    """
    names = {name.upper(): value for name, value in written.items()}
    if len(names) < len(written):
        raise InvalidArgument("An option must be given once", given=", ".join(written), reason="invalidQuery")
    model_type = _model_type(names.pop("MODEL_TYPE", None))
    table = {option.name: option for option in OPTIONS if model_type in option.types}
    values = {option.key: option.default for option in table.values()}
    for name, value in names.items():
        if name not in table:
            raise _unknown(name, model_type, table)
        values[name.lower()] = table[name].read(table[name], value)
    options = ModelOptions(model_type, values, frozenset(names))
    for rule in CONTRADICTIONS:
        rule(options)
    return options


def _model_type(written: Any) -> str:
    if written is None:
        raise InvalidArgument(
            "CREATE MODEL must name a MODEL_TYPE", do=f"add OPTIONS(MODEL_TYPE = '{LINEAR}')", reason="invalidQuery"
        )
    if not isinstance(written, str):
        raise InvalidArgument("MODEL_TYPE must be a string", given=repr(written), reason="invalidQuery")
    name = MODEL_TYPE_ALIASES.get(written.upper(), written.upper())
    if name in REFUSED_TYPES:
        raise Unimplemented(
            f"Tule does not train MODEL_TYPE = '{name}'",
            do="use one of " + ", ".join(MODEL_TYPES),
            reason="notImplemented",
        )
    if name not in MODEL_TYPES:
        raise InvalidArgument(
            "MODEL_TYPE must be one of " + ", ".join(MODEL_TYPES), given=repr(written), reason="invalidQuery"
        )
    return name


def _unknown(name: str, model_type: str, table: Mapping[str, Option]) -> Exception:
    if name in REFUSED:
        return Unimplemented(
            f"Tule does not do option {name} ({REFUSED[name]})", do="leave the option out", reason="notImplemented"
        )
    if any(option.name == name for option in OPTIONS):
        return InvalidArgument(f"Option {name} is not supported for model type {model_type}", reason="invalidQuery")
    near = difflib.get_close_matches(name, table, n=3)
    return InvalidArgument(
        f"Unsupported option {name} for model type {model_type}",
        do=f"did you mean {' or '.join(near)}?" if near else "see the table of options in docs/bigquery-ml-options.md",
        reason="invalidQuery",
    )


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
    if method in ("CUSTOM", "SEQ") and not column:
        raise _refuse(f"DATA_SPLIT_METHOD = '{method}' needs DATA_SPLIT_COL", "name the column")
    if column and method not in ("CUSTOM", "SEQ"):
        raise _refuse("DATA_SPLIT_COL needs DATA_SPLIT_METHOD = 'CUSTOM' or 'SEQ'", "set the method")
    if "DATA_SPLIT_EVAL_FRACTION" in options.given and method not in ("RANDOM", "SEQ"):
        raise _refuse("DATA_SPLIT_EVAL_FRACTION needs DATA_SPLIT_METHOD = 'RANDOM' or 'SEQ'", "set the method")


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


CONTRADICTIONS: tuple[Callable[[ModelOptions], None], ...] = (
    _learn_rate_needs_constant,
    _one_kind_of_class_weights,
    _normal_equation_is_plain,
    _split_columns,
    _custom_centroids,
    _p_values,
    _dart_only,
    _registry,
)
