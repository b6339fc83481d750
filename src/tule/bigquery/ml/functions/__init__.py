"""The ML.* table functions: one file each, one line each in ``FUNCTIONS``."""

from __future__ import annotations

from tule.bigquery.ml.functions import (
    advanced_weights,
    centroids,
    confusion_matrix,
    detect_anomalies,
    evaluate,
    explain_predict,
    feature_importance,
    feature_info,
    global_explain,
    predict,
    roc_curve,
    training_info,
    weights,
)
from tule.bigquery.ml.functions.function import Answer, Call, Function, RowFunction, TableFunction, Trained

FUNCTIONS: dict[str, Function] = {
    module.FUNCTION.name: module.FUNCTION
    for module in (
        predict,
        evaluate,
        explain_predict,
        global_explain,
        weights,
        advanced_weights,
        feature_info,
        training_info,
        confusion_matrix,
        roc_curve,
        feature_importance,
        centroids,
        detect_anomalies,
    )
}

# Table functions of the reference that this Tule does not do: refused by name.
REFUSED = (
    "FORECAST",
    "EXPLAIN_FORECAST",
    "ARIMA_EVALUATE",
    "ARIMA_COEFFICIENTS",
    "HOLIDAY_INFO",
    "RECOMMEND",
    "RECONSTRUCTION_LOSS",
    "TRANSFORM",
    "PRINCIPAL_COMPONENTS",
    "PRINCIPAL_COMPONENT_INFO",
    "TRIAL_INFO",
    "GET_INSIGHTS",
    "DESCRIBE_DATA",
    "TFDV_DESCRIBE",
    "TFDV_VALIDATE",
    "VALIDATE_DATA_SKEW",
    "VALIDATE_DATA_DRIFT",
    "FEATURES_AT_TIME",
    "ENTITY_FEATURES_AT_TIME",
    "CORRELATION",
    "TREND",
    "SEASONALITY",
    "DETECT_CHANGE_POINTS",
    "GENERATE_EMBEDDING",
    "GENERATE_TEXT_EMBEDDING",
    "GENERATE_TEXT",
    "GENERATE_TABLE",
    "UNDERSTAND_TEXT",
    "TRANSLATE",
    "TRANSCRIBE",
    "ANNOTATE_IMAGE",
    "PROCESS_DOCUMENT",
)

__all__ = ["FUNCTIONS", "REFUSED", "Answer", "Call", "Function", "RowFunction", "TableFunction", "Trained"]
