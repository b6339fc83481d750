"""The model types of CREATE MODEL: one line each, and the sets of them that options and functions are for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelType:
    """``rest``: the resource's modelType. ``family``: the key of ``learn.models.FAMILIES``. ``task``: as there."""

    name: str
    rest: str
    family: str
    task: str


LINEAR, LOGISTIC, KMEANS, PCA = "LINEAR_REG", "LOGISTIC_REG", "KMEANS", "PCA"
TREE_REGRESSOR, TREE_CLASSIFIER = "BOOSTED_TREE_REGRESSOR", "BOOSTED_TREE_CLASSIFIER"
FOREST_REGRESSOR, FOREST_CLASSIFIER = "RANDOM_FOREST_REGRESSOR", "RANDOM_FOREST_CLASSIFIER"
DNN_REGRESSOR, DNN_CLASSIFIER, AUTOENCODER = "DNN_REGRESSOR", "DNN_CLASSIFIER", "AUTOENCODER"
WIDE_REGRESSOR, WIDE_CLASSIFIER = "DNN_LINEAR_COMBINED_REGRESSOR", "DNN_LINEAR_COMBINED_CLASSIFIER"
FACTORIZATION, ARIMA, ARIMA_XREG = "MATRIX_FACTORIZATION", "ARIMA_PLUS", "ARIMA_PLUS_XREG"
TRANSFORM_ONLY, CONTRIBUTION = "TRANSFORM_ONLY", "CONTRIBUTION_ANALYSIS"
AUTOML_REGRESSOR, AUTOML_CLASSIFIER = "AUTOML_REGRESSOR", "AUTOML_CLASSIFIER"
ONNX, XGBOOST, TENSORFLOW, TENSORFLOW_LITE = "ONNX", "XGBOOST", "TENSORFLOW", "TENSORFLOW_LITE"
REMOTE = "REMOTE MODEL"
"""A model that has no MODEL_TYPE: one REMOTE WITH CONNECTION."""

TYPES: dict[str, ModelType] = {
    each.name: each
    for each in (
        ModelType(LINEAR, "LINEAR_REGRESSION", "linear_regression", "regression"),
        ModelType(LOGISTIC, "LOGISTIC_REGRESSION", "logistic_regression", "classification"),
        ModelType(TREE_REGRESSOR, TREE_REGRESSOR, "boosted_tree_regressor", "regression"),
        ModelType(TREE_CLASSIFIER, TREE_CLASSIFIER, "boosted_tree_classifier", "classification"),
        ModelType(FOREST_REGRESSOR, FOREST_REGRESSOR, "random_forest_regressor", "regression"),
        ModelType(FOREST_CLASSIFIER, FOREST_CLASSIFIER, "random_forest_classifier", "classification"),
        ModelType(DNN_REGRESSOR, DNN_REGRESSOR, "dnn_regressor", "regression"),
        ModelType(DNN_CLASSIFIER, DNN_CLASSIFIER, "dnn_classifier", "classification"),
        ModelType(WIDE_REGRESSOR, WIDE_REGRESSOR, "dnn_linear_combined_regressor", "regression"),
        ModelType(WIDE_CLASSIFIER, WIDE_CLASSIFIER, "dnn_linear_combined_classifier", "classification"),
        ModelType(AUTOML_REGRESSOR, AUTOML_REGRESSOR, "automl_regressor", "regression"),
        ModelType(AUTOML_CLASSIFIER, AUTOML_CLASSIFIER, "automl_classifier", "classification"),
        ModelType(AUTOENCODER, AUTOENCODER, "autoencoder", "reduction"),
        ModelType(KMEANS, KMEANS, "kmeans", "clustering"),
        ModelType(PCA, PCA, "pca", "reduction"),
        ModelType(FACTORIZATION, FACTORIZATION, "matrix_factorization", "recommendation"),
        ModelType(ARIMA, ARIMA, "arima_plus", "forecasting"),
        ModelType(ARIMA_XREG, ARIMA_XREG, "arima_plus_xreg", "forecasting"),
        ModelType(TRANSFORM_ONLY, TRANSFORM_ONLY, "transform_only", "preparation"),
        ModelType(CONTRIBUTION, CONTRIBUTION, "contribution_analysis", "insights"),
        ModelType(ONNX, ONNX, "imported", "import"),
        ModelType(XGBOOST, XGBOOST, "imported", "import"),
        ModelType(TENSORFLOW, TENSORFLOW, "imported", "import"),
        ModelType(TENSORFLOW_LITE, TENSORFLOW_LITE, "imported", "import"),
        ModelType(REMOTE, "MODEL_TYPE_UNSPECIFIED", "remote", "remote"),
    )
}
ALIASES = {"LINEAR_REGRESSION": LINEAR, "LOGISTIC_REGRESSION": LOGISTIC, "ARIMA": ARIMA}


def of_tasks(*tasks: str) -> frozenset[str]:
    """The names of the types of these tasks."""
    return frozenset(each.name for each in TYPES.values() if each.task in tasks)


IMPORTED = of_tasks("import")
ANSWERING = IMPORTED | {REMOTE}
"""Those that nothing was trained for: they answer columns of their own."""
ALL = frozenset(TYPES) - ANSWERING
"""Those that are trained."""
REGISTERED = ALL | IMPORTED
"""Those that can enter the model registry."""
CLASSIFIERS = of_tasks("classification")
AUTOML = frozenset({AUTOML_REGRESSOR, AUTOML_CLASSIFIER})
LABELLED = of_tasks("classification", "regression")
"""Those that learn from a label."""
SUPERVISED = LABELLED - AUTOML
"""Of these, those whose training the options steer."""
FORECASTING = of_tasks("forecasting")
GLM = frozenset({LINEAR, LOGISTIC})
BOOSTED = frozenset({TREE_REGRESSOR, TREE_CLASSIFIER})
FORESTS = frozenset({FOREST_REGRESSOR, FOREST_CLASSIFIER})
TREES = BOOSTED | FORESTS
WIDE = frozenset({WIDE_REGRESSOR, WIDE_CLASSIFIER})
DNN = WIDE | {DNN_REGRESSOR, DNN_CLASSIFIER}
NEURAL = DNN | {AUTOENCODER}
EXPORTED = ALL - FORECASTING - {TRANSFORM_ONLY, CONTRIBUTION}
"""Those that EXPORT MODEL writes."""
TRANSFORMED = ALL - FORECASTING - AUTOML - {CONTRIBUTION}
"""Those that take a TRANSFORM clause."""
LEARNED = ALL - {TRANSFORM_ONLY, CONTRIBUTION}
SPLIT = SUPERVISED | {FACTORIZATION}
"""Those that may hold rows out for evaluation."""
