"""The ML.* table functions: one file each, one line each in the table; a function may have several forms."""

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
    forecast,
    generate_embedding,
    get_insights,
    global_explain,
    predict,
    principal_components,
    recommend,
    reconstruction_loss,
    roc_curve,
    training_info,
    transform,
    trial_info,
    validate_data_skew,
    weights,
)
from tule.bigquery.ml.functions.function import (
    Answer,
    Call,
    ExpressionFunction,
    Function,
    QueryFunction,
    RowFunction,
    TableFunction,
    Trained,
    form,
)

_FORMS: tuple[Function, ...] = tuple(
    each
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
        principal_components,
        recommend,
        reconstruction_loss,
        generate_embedding,
        forecast,
        transform,
        trial_info,
        get_insights,
        validate_data_skew,
    )
    for each in module.FORMS
)
FUNCTIONS: dict[str, tuple[Function, ...]] = {
    name: tuple(each for each in _FORMS if each.name == name) for name in dict.fromkeys(each.name for each in _FORMS)
}
"""The forms of each function."""

# Table functions of the reference that this Tule does not do: refused by name.
REFUSED = (
    "CORRELATION",
    "TREND",
    "SEASONALITY",
    "DETECT_CHANGE_POINTS",
    "GENERATE_TEXT_EMBEDDING",
    "GENERATE_TEXT",
    "GENERATE_TABLE",
    "UNDERSTAND_TEXT",
    "TRANSLATE",
    "TRANSCRIBE",
    "ANNOTATE_IMAGE",
    "PROCESS_DOCUMENT",
)

__all__ = [
    "FUNCTIONS",
    "REFUSED",
    "Answer",
    "Call",
    "ExpressionFunction",
    "Function",
    "QueryFunction",
    "RowFunction",
    "TableFunction",
    "Trained",
    "form",
]
