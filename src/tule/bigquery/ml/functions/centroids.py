"""ML.CENTROIDS: the middle of each cluster, feature by feature."""

from __future__ import annotations

from tule.bigquery.ml.functions.function import MODEL, STRUCT, Answer, Argument, Call, TableFunction, by_feature
from tule.bigquery.ml.options.model_types import KMEANS


def answer(call: Call) -> Answer:
    rows = call.trained.model.centroids(standardize=call.arguments["standardize"])
    return Answer.of(by_feature(rows, "centroid_id"))


FORMS = (
    TableFunction(
        name="CENTROIDS",
        model_types=frozenset({KMEANS}),
        arguments={"standardize": Argument(False, bool)},
        order=(MODEL, STRUCT),
        for_each_trial=True,
        answer=answer,
    ),
)
