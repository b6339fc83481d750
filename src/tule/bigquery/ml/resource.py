"""The REST Model resource: what ``models.get`` answers about a trained model.

Field names and spellings follow the BigQuery v2 reference; BigQuery DataFrames rebuilds estimators from
``trainingRuns[-1].trainingOptions``, so those carry effective values, defaults included.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tule.bigquery.ml.options import ModelOptions
from tule.bigquery.ml.options.model_types import CLASSIFIERS, GLM, SPLIT, TREES
from tule.bigquery.ml.options.tuning import objective

if TYPE_CHECKING:
    from tule.bigquery.ml.trials import TunedTrial, Tuning
    from tule.learn.search import Domain

# SQL option -> the field of trainingOptions, where it is not the plain camelCase of the name.
_TRAINING_OPTION = {
    "input_label_cols": "inputLabelColumns",
    "l1_reg": "l1Regularization",
    "l2_reg": "l2Regularization",
    "min_rel_progress": "minRelativeProgress",
    "data_split_col": "dataSplitColumn",
    "optimize_strategy": "optimizationStrategy",
    "ls_init_learn_rate": "initialLearnRate",
    "class_weights": "labelClassWeights",
    "instance_weight_col": "instanceWeightColumn",
    "kmeans_init_method": "kmeansInitializationMethod",
    "kmeans_init_col": "kmeansInitializationColumn",
    "min_tree_child_weight": "minTreeChildWeight",
    "colsample_bytree": "colsampleBytree",
    "colsample_bylevel": "colsampleBylevel",
    "colsample_bynode": "colsampleBynode",
    "num_parallel_tree": "numParallelTree",
    "vertex_ai_model_version_aliases": "vertexAiModelVersionAliases",
    "user_col": "userColumn",
    "item_col": "itemColumn",
    "rating_col": "inputLabelColumns",
    "time_series_timestamp_col": "timeSeriesTimestampColumn",
    "time_series_data_col": "timeSeriesDataColumn",
    "time_series_id_col": "timeSeriesIdColumns",
    "hierarchical_time_series_cols": "hierarchicalTimeSeriesColumns",
    "holiday_region": "holidayRegions",
    "is_test_col": "isTestColumn",
    "dimension_id_cols": "dimensionIdColumns",
}
_INT64 = frozenset(
    {
        "max_iterations",
        "max_tree_depth",
        "num_clusters",
        "num_parallel_tree",
        "min_tree_child_weight",
        "num_principal_components",
        "num_factors",
        "batch_size",
        "integrated_gradients_num_steps",
        "horizon",
        "auto_arima_max_order",
        "auto_arima_min_order",
        "trend_smoothing_window_size",
        "min_time_series_length",
        "max_time_series_length",
        "top_k_insights_by_apriori_support",
        "num_trials",
        "max_parallel_trials",
    }
)
_RENAMED_VALUES = {
    ("data_split_method", "SEQ"): "SEQUENTIAL",
    ("kmeans_init_method", "KMEANS++"): "KMEANS_PLUS_PLUS",
}
# A resource shows at most so many series.
_SERIES = 100
_UNSAID = frozenset({"model_registry", "vertex_ai_model_id", "vertex_ai_model_version_aliases"})
_OF_TUNING = frozenset(
    {"num_trials", "max_parallel_trials", "hparam_tuning_algorithm", "hparam_tuning_objectives",
     "data_split_test_fraction"}
)  # fmt: skip


def milliseconds(moment: datetime) -> str:
    """Milliseconds since 1970 as a decimal string: how the REST API writes times of resources."""
    return str(int(moment.timestamp() * 1000))


def timestamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


def training_options(options: ModelOptions, effective: Mapping[str, Any]) -> dict[str, Any]:
    """``trainingOptions`` of one run: ``effective`` are the fitted model's options, which win over the written ones."""
    body: dict[str, Any] = {}
    for key, written in options.values.items():
        value = effective.get(key, written) if key not in ("class_weights", "input_label_cols") else written
        if value is None or key in _UNSAID or (key in _OF_TUNING and not options.tuned):
            continue
        if isinstance(value, str):
            value = _RENAMED_VALUES.get((key, value), value)
        elif key == "class_weights":
            value = dict(value)
        elif key in _INT64:
            value = str(int(value))
        elif key == "non_seasonal_order":
            value = {name: str(each) for name, each in zip("pdq", value, strict=True)}
        elif key == "hidden_units":
            value = [str(each) for each in value]
        if key == "rating_col":
            value = [value]
        body[_TRAINING_OPTION.get(key, _camel(key))] = value
    if options.tuned:
        body["hparamTuningObjectives"] = [objective(options)]
    if options.model_type in SPLIT:
        body["lossType"] = "MEAN_LOG_LOSS" if options.model_type in CLASSIFIERS else "MEAN_SQUARED_LOSS"
    if options.model_type in GLM and "optimizationStrategy" in body:
        body["optimizationStrategy"] = str(effective.get("optimize_strategy", body["optimizationStrategy"]))
    if options.model_type in TREES and body.get("treeMethod") == "AUTO":
        body["treeMethod"] = "HIST"
    return body


def number(value: float | None) -> float | str | None:
    """A JSON number; what JSON cannot say is written as Google's APIs do."""
    if value is None or math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def iteration_results(iterations: Iterable[Any]) -> list[dict[str, Any]]:
    """``results`` of a training run from the model's history."""
    rows = []
    for each in iterations:
        row: dict[str, Any] = {
            "index": each.number,
            "durationMs": str(each.duration_ms),
            "trainingLoss": number(each.loss),
            "evalLoss": number(each.eval_loss),
            "learnRate": number(each.learn_rate),
        }
        if each.clusters:
            row["clusterInfos"] = [
                {"centroidId": str(c.centroid_id), "clusterRadius": number(c.radius), "clusterSize": str(c.size)}
                for c in each.clusters
            ]
        rows.append({key: value for key, value in row.items() if value is not None})
    return rows


def results(model: Any) -> list[dict[str, Any]]:
    """``results`` of a training run, with what a PCA or a time series model found."""
    rows = iteration_results(model.iterations)
    if model.family == "pca":
        rows[-1]["principalComponentInfos"] = [
            {
                "principalComponentId": str(each.component_id),
                "explainedVariance": number(each.eigenvalue),
                "explainedVarianceRatio": number(each.explained_variance_ratio),
                "cumulativeExplainedVarianceRatio": number(each.cumulative_explained_variance_ratio),
            }
            for each in model.component_info()
        ]
    elif model.family in ("arima_plus", "arima_plus_xreg"):
        del rows[-1]["trainingLoss"]
        rows[-1]["arimaResult"] = {"arimaModelInfo": _series(model)}
    return rows


def _series(model: Any) -> list[dict[str, Any]]:
    """The first series of a time series model, as ML.ARIMA_EVALUATE and ML.ARIMA_COEFFICIENTS tell them."""
    coefficients = {
        tuple(line[name] for name in model.id_columns): line
        for line in model.arima_coefficients().to_pylist()
        if line.get("processed_input") is None
    }
    found = []
    for line in model.arima_evaluate().slice(0, _SERIES).to_pylist():
        ids = tuple(line[name] for name in model.id_columns)
        about: dict[str, Any] = {"timeSeriesIds": [str(each) for each in ids]}
        if len(ids) == 1:
            about["timeSeriesId"] = about["timeSeriesIds"][0]
        found.append(about)
        if (own := coefficients.get(ids)) is None:
            continue
        about |= {
            "nonSeasonalOrder": {name: str(line[f"non_seasonal_{name}"]) for name in "pdq"},
            "arimaCoefficients": {
                "autoRegressiveCoefficients": own["ar_coefficients"],
                "movingAverageCoefficients": own["ma_coefficients"],
                "interceptCoefficient": number(own["intercept_or_drift"]),
            },
            "arimaFittingMetrics": {
                "logLikelihood": number(line["log_likelihood"]),
                "aic": number(line["AIC"]),
                "variance": number(line["variance"]),
            },
            "hasDrift": line["has_drift"],
            "seasonalPeriods": line["seasonal_periods"],
            "hasHolidayEffect": line["has_holiday_effect"],
            "hasSpikesAndDips": line["has_spikes_and_dips"],
            "hasStepChanges": line["has_step_changes"],
        }
    return found


def standard_type(kind: pa.DataType) -> dict[str, Any]:
    """A StandardSqlDataType for an Arrow type of the training query."""
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return {"typeKind": "ARRAY", "arrayElementType": standard_type(kind.value_type)}
    if pa.types.is_struct(kind):
        fields = [{"name": field.name, "type": standard_type(field.type)} for field in kind]
        return {"typeKind": "STRUCT", "structType": {"fields": fields}}
    tests = (
        (pa.types.is_integer, "INT64"),
        (pa.types.is_floating, "FLOAT64"),
        (pa.types.is_boolean, "BOOL"),
        (pa.types.is_date, "DATE"),
        (pa.types.is_time, "TIME"),
        (pa.types.is_binary, "BYTES"),
        (pa.types.is_large_binary, "BYTES"),
    )
    for fits, name in tests:
        if fits(kind):
            return {"typeKind": name}
    if pa.types.is_decimal(kind):
        return {"typeKind": "NUMERIC" if kind.scale <= 9 and kind.precision <= 38 else "BIGNUMERIC"}
    if pa.types.is_timestamp(kind):
        return {"typeKind": "TIMESTAMP" if kind.tz else "DATETIME"}
    return {"typeKind": "STRING"}


def columns(fields: Iterable[pa.Field]) -> list[dict[str, Any]]:
    """``featureColumns`` / ``labelColumns`` entries."""
    return [{"name": field.name, "type": standard_type(field.type)} for field in fields]


# What ML.EVALUATE measures -> the field of evaluationMetrics, and its fields.
_METRICS: dict[str, tuple[str, dict[str, str]]] = {
    "clustering": (
        "clusteringMetrics",
        {"daviesBouldinIndex": "davies_bouldin_index", "meanSquaredDistance": "mean_squared_distance"},
    ),
    "reduction": (
        "dimensionalityReductionMetrics",
        {"totalExplainedVarianceRatio": "total_explained_variance_ratio"},
    ),
    "reconstruction": (
        "regressionMetrics",
        {
            "meanAbsoluteError": "mean_absolute_error",
            "meanSquaredError": "mean_squared_error",
            "meanSquaredLogError": "mean_squared_log_error",
        },
    ),
    "ranking": (
        "rankingMetrics",
        {
            "meanAveragePrecision": "mean_average_precision",
            "meanSquaredError": "mean_squared_error",
            "normalizedDiscountedCumulativeGain": "normalized_discounted_cumulative_gain",
            "averageRank": "average_rank",
        },
    ),
    "regression": (
        "regressionMetrics",
        {
            "meanAbsoluteError": "mean_absolute_error",
            "meanSquaredError": "mean_squared_error",
            "meanSquaredLogError": "mean_squared_log_error",
            "medianAbsoluteError": "median_absolute_error",
            "rSquared": "r2_score",
        },
    ),
}


def evaluation_metrics(measured: str, row: Mapping[str, Any], classes: list[Any] | None) -> dict[str, Any]:
    """``evaluationMetrics`` of a run from the row that ML.EVALUATE gives (see ``functions/evaluate.py``)."""
    if not row:
        return {}
    if measured in _METRICS:
        field, names = _METRICS[measured]
        return {field: {key: number(row[name]) for key, name in names.items()}}
    names = {
        "precision": "precision",
        "recall": "recall",
        "accuracy": "accuracy",
        "f1Score": "f1_score",
        "logLoss": "log_loss",
        "rocAuc": "roc_auc",
    }
    aggregate: dict[str, Any] = {key: number(row[name]) for key, name in names.items()}
    if classes and len(classes) == 2:
        aggregate["threshold"] = 0.5
        return {
            "binaryClassificationMetrics": {
                "aggregateClassificationMetrics": aggregate,
                "positiveLabel": label_text(classes[1]),
                "negativeLabel": label_text(classes[0]),
            }
        }
    return {"multiClassClassificationMetrics": {"aggregateClassificationMetrics": aggregate}}


def label_text(value: Any) -> str:
    """A label as the REST resource and prediction containers write it: ``true``, ``1``, ``Adelie``."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def model_body(
    *,
    reference: Mapping[str, str],
    options: ModelOptions,
    location: str,
    features: Iterable[pa.Field],
    label: pa.Field | None,
    training_run: Mapping[str, Any],
    earlier_runs: Iterable[Mapping[str, Any]] = (),
    transform_columns: Iterable[Mapping[str, Any]] = (),
    tuning: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The Model resource without the fields that the record store keeps (times, etag)."""
    body: dict[str, Any] = {
        "modelReference": dict(reference),
        "modelType": options.type.rest,
        "location": location,
        "trainingRuns": [*earlier_runs, dict(training_run)],
        "featureColumns": columns(features),
    }
    if label is not None:
        # The service lists the label under the name of the prediction.
        predicted = pa.field(f"predicted_{label.name}", label.type)
        if options.model_type not in CLASSIFIERS:
            predicted = predicted.with_type(pa.float64())
        body["labelColumns"] = columns([predicted])
    if written := [dict(each) for each in transform_columns]:
        body["transformColumns"] = written
    return {**body, **(tuning or {})}


# -- tuning


def tuning(options: ModelOptions, found: Tuning, classes: list[Any] | None) -> dict[str, Any]:
    """The fields of the resource that tell of the trials."""
    from tule.bigquery.ml.tuning import spaces

    return {
        "hparamSearchSpaces": {_camel(name): _searched(domain) for name, domain in spaces(options).items()},
        "hparamTrials": [trial(options, each, classes, measured=True) for each in found.trials],
        "optimalTrialIds": [str(each) for each in found.optimal],
        "defaultTrialId": str(found.default),
        "bestTrialId": str(found.default),
    }


def trial(
    options: ModelOptions, found: TunedTrial, classes: list[Any] | None = None, *, measured: bool = False
) -> dict[str, Any]:
    """One of ``hparamTrials``; with its metrics on the test rows if ``measured``: jobs do not tell those."""
    from tule.bigquery.ml.functions.evaluate import measured as kind_of

    kind = kind_of(options)
    evaluated = evaluation_metrics(kind, found.evaluated, classes)
    body: dict[str, Any] = {
        "trialId": str(found.id),
        "startTimeMs": None if found.started is None else str(found.started),
        "endTimeMs": None if found.ended is None else str(found.ended),
        "hparams": _hparams(found.hyperparameters) or None,
        "evaluationMetrics": (evaluation_metrics(kind, found.tested, classes) or None) if measured else None,
        "hparamTuningEvaluationMetrics": evaluated or None,
        "status": found.status,
        "errorMessage": found.error,
        "trainingLoss": found.training_loss,
        "evalLoss": found.eval_loss,
    }
    return {key: value for key, value in body.items() if value is not None}


def _hparams(values: Mapping[str, Any]) -> dict[str, Any]:
    """Hyperparameters as ``trainingOptions`` calls them."""
    return {_TRAINING_OPTION.get(key, _camel(key)): _hparam(value) for key, value in values.items()}


def _hparam(value: Any) -> Any:
    """A number, or a whole one as text; the widths of layers so too."""
    if isinstance(value, int):
        return str(value)
    return [str(each) for each in value] if isinstance(value, list) else value


def _searched(domain: Domain) -> dict[str, Any]:
    """A search space: a range, or the values to try."""
    from tule.learn.search import Discrete, Reals, Wholes

    match domain:
        case Reals(low, high) | Wholes(low, high):
            return {"range": {"min": _hparam(low), "max": _hparam(high)}}
        case Discrete(points):
            return {"candidates": {"candidates": [_hparam(each) for each in points]}}
    choices = domain.choices
    if isinstance(choices[0], list):
        return {"candidates": [{"elements": _hparam(each)} for each in choices]}
    return {"candidates": list(choices)}
