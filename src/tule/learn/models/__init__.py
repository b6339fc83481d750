"""The model families: one file each, one line each in ``FAMILIES``.

    model = FAMILIES["logistic_regression"].fit(data, label="species", options={"l2_reg": 0.1})
    answers = model.predict(table)

Names in the table: linear_regression, logistic_regression, boosted_tree_regressor, boosted_tree_classifier, kmeans.
"""

from tule.learn.models.base import (
    AdvancedWeight,
    CentroidValue,
    Cluster,
    Family,
    FeatureStatistics,
    Importance,
    Iteration,
    Model,
    Options,
    Progress,
    Weight,
)
from tule.learn.models.expression import LinearExpression, LinearOutput, Term

FAMILIES: dict[str, Family] = {}

__all__ = [
    "FAMILIES",
    "AdvancedWeight",
    "CentroidValue",
    "Cluster",
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
