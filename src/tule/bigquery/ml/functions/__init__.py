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

_LANGUAGE = "it asks a large language model through a remote model, and Tule serves none"
_EMBEDDINGS = "it asks a text embedding model through a remote model, and Tule serves none"
_SERVICE = "it asks {} through a remote model, and Tule has no such service behind remote models"
REFUSED: dict[str, str] = {
    "ML.GENERATE_TEXT": _LANGUAGE,
    "ML.GENERATE_TABLE": _LANGUAGE,
    "AI.GENERATE_TEXT": _LANGUAGE,
    "AI.GENERATE_TABLE": _LANGUAGE,
    "ML.GENERATE_TEXT_EMBEDDING": _EMBEDDINGS,
    "AI.SEARCH": "it searches a column whose embeddings AI.EMBED generates, which needs a text embedding model; "
    "VECTOR_SEARCH searches vectors of one's own",
    "ML.UNDERSTAND_TEXT": _SERVICE.format("the Natural Language API"),
    "ML.TRANSLATE": _SERVICE.format("the Translation API"),
    "ML.TRANSCRIBE": _SERVICE.format("Speech-to-Text, over an object table,"),
    "ML.ANNOTATE_IMAGE": _SERVICE.format("the Vision API, over an object table,"),
    "ML.PROCESS_DOCUMENT": _SERVICE.format("Document AI, over an object table,"),
}
"""Table functions of the reference that this Tule does not do, and what each would need."""

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
