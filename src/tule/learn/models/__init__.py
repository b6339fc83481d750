"""The model families: one file each, one line each in ``FAMILIES``.

    model = FAMILIES["logistic_regression"].fit(data, label="species", options={"l2_reg": 0.1})
    answers = model.predict(table)

Names in the table: linear_regression, logistic_regression, boosted_tree_regressor, boosted_tree_classifier,
random_forest_regressor, random_forest_classifier, dnn_regressor, dnn_classifier, dnn_linear_combined_regressor,
dnn_linear_combined_classifier, automl_regressor, automl_classifier, autoencoder, kmeans, pca, matrix_factorization,
arima_plus, arima_plus_xreg, transform_only, contribution_analysis.
"""

from tule.learn.models.arima import ArimaModel, ArimaOptions, ArimaXregModel, XregOptions, fit_arima
from tule.learn.models.base import (
    AdvancedWeight,
    CentroidValue,
    Cluster,
    ComponentInfo,
    ComponentValue,
    Diverged,
    FactorWeight,
    Family,
    FeatureStatistics,
    Importance,
    Iteration,
    Model,
    Options,
    Progress,
    Weight,
)
from tule.learn.models.blend import AutomlOptions, BlendClassifier, BlendRegressor, fit_automl
from tule.learn.models.contribution import ContributionModel, ContributionOptions, fit_contribution
from tule.learn.models.expression import LinearExpression, LinearOutput, Term
from tule.learn.models.factorization import FactorizationModel, FactorizationOptions, fit_factorization
from tule.learn.models.glm import LinearModel, LogisticModel
from tule.learn.models.kmeans import KMeansModel, KMeansOptions, fit_kmeans
from tule.learn.models.linear import LinearOptions, fit_linear
from tule.learn.models.logistic import LogisticOptions, fit_logistic
from tule.learn.models.neural import (
    AutoencoderModel,
    AutoencoderOptions,
    DnnClassifier,
    DnnClassifierOptions,
    DnnOptions,
    DnnRegressor,
    WideClassifier,
    WideClassifierOptions,
    WideOptions,
    WideRegressor,
    fit_autoencoder,
    fit_dnn,
)
from tule.learn.models.pca import PcaModel, PcaOptions, fit_pca
from tule.learn.models.transform_only import TransformOnlyModel, TransformOnlyOptions, fit_transform_only
from tule.learn.models.trees import (
    ForestClassifier,
    ForestClassifierOptions,
    ForestOptions,
    ForestRegressor,
    TreeClassifier,
    TreeClassifierOptions,
    TreeOptions,
    TreeRegressor,
    fit_trees,
)

FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family("linear_regression", "regression", LinearOptions, LinearModel, fit_linear),
        Family("logistic_regression", "classification", LogisticOptions, LogisticModel, fit_logistic),
        Family("boosted_tree_regressor", "regression", TreeOptions, TreeRegressor, fit_trees, weighted=True),
        Family(
            "boosted_tree_classifier", "classification", TreeClassifierOptions, TreeClassifier, fit_trees, weighted=True
        ),
        Family("random_forest_regressor", "regression", ForestOptions, ForestRegressor, fit_trees, weighted=True),
        Family(
            "random_forest_classifier",
            "classification",
            ForestClassifierOptions,
            ForestClassifier,
            fit_trees,
            weighted=True,
        ),
        Family("dnn_regressor", "regression", DnnOptions, DnnRegressor, fit_dnn),
        Family("dnn_classifier", "classification", DnnClassifierOptions, DnnClassifier, fit_dnn),
        Family("dnn_linear_combined_regressor", "regression", WideOptions, WideRegressor, fit_dnn),
        Family("dnn_linear_combined_classifier", "classification", WideClassifierOptions, WideClassifier, fit_dnn),
        Family("automl_regressor", "regression", AutomlOptions, BlendRegressor, fit_automl),
        Family("automl_classifier", "classification", AutomlOptions, BlendClassifier, fit_automl),
        Family("autoencoder", "reduction", AutoencoderOptions, AutoencoderModel, fit_autoencoder),
        Family("kmeans", "clustering", KMeansOptions, KMeansModel, fit_kmeans),
        Family("pca", "reduction", PcaOptions, PcaModel, fit_pca),
        Family("matrix_factorization", "recommendation", FactorizationOptions, FactorizationModel, fit_factorization),
        Family("arima_plus", "forecasting", ArimaOptions, ArimaModel, fit_arima),
        Family("transform_only", "preparation", TransformOnlyOptions, TransformOnlyModel, fit_transform_only),
        Family("arima_plus_xreg", "forecasting", XregOptions, ArimaXregModel, fit_arima),
        Family("contribution_analysis", "insights", ContributionOptions, ContributionModel, fit_contribution),
    )
}

__all__ = [
    "FAMILIES",
    "AdvancedWeight",
    "CentroidValue",
    "Cluster",
    "ComponentInfo",
    "ComponentValue",
    "Diverged",
    "FactorWeight",
    "Family",
    "FeatureStatistics",
    "Importance",
    "Iteration",
    "LinearExpression",
    "LinearOutput",
    "Model",
    "Options",
    "Progress",
    "Term",
    "Weight",
]
