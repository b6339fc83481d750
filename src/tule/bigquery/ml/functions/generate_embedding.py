"""ML.GENERATE_EMBEDDING: rows as vectors by a model that makes some, or what a matrix factorization knows of each id.

https://cloud.google.com/bigquery/docs/reference/standard-sql/bigqueryml-syntax-generate-embedding
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from tule.bigquery.ml.functions.function import DATA, MODEL, STRUCT, Answer, Call, RowFunction, TableFunction, flat
from tule.bigquery.ml.options.model_types import AUTOENCODER, FACTORIZATION, PCA, TENSORFLOW
from tule.kernel.errors import InvalidArgument

RESULT = "ml_generate_embedding_result"
_VECTOR = pa.list_(pa.float64())
_AT_ONCE = 10_000


def vectors(call: Call, features: pa.RecordBatch) -> list[Any]:
    """The components or latent columns of each row as one array."""
    if call.trained.options.model_type == TENSORFLOW:
        return call.trained.model.answer(features)  # type: ignore[attr-defined]
    found = call.trained.model.predict(features)
    names = [each.name for each in call.trained.model.signature.outputs]
    matrix = np.column_stack([flat(found.column(name)).to_numpy() for name in names])
    offsets = pa.array(np.arange(len(matrix) + 1, dtype=np.int32) * len(names))
    return [pa.ListArray.from_arrays(offsets, pa.array(matrix.reshape(-1)))]


def fields(call: Call) -> list[pa.Field]:
    if call.trained.options.model_type == TENSORFLOW:
        outputs = call.trained.model.signature.outputs
        if [each.type for each in outputs] != [_VECTOR]:
            raise InvalidArgument(
                "ML.GENERATE_EMBEDDING needs a TensorFlow model with one output, an array of numbers",
                given=", ".join(each.name for each in outputs), do="use ML.PREDICT",
                reason="invalidQuery", location="query",
            )  # fmt: skip
    return [pa.field(RESULT, _VECTOR)]


_SCHEMA = pa.schema([(RESULT, _VECTOR), ("processed_input", pa.string()), ("feature", pa.string())])


def factors(call: Call) -> Answer:
    """The factors of each user and each item, the intercept behind them."""
    model: Any = call.trained.model

    def batches() -> Iterator[pa.RecordBatch]:
        rows = (row for row in model.factor_weights() if row.name is not None)
        while part := list(itertools.islice(rows, _AT_ONCE)):
            lines = [
                {RESULT: [*row.factors, row.intercept], "processed_input": row.name, "feature": row.feature}
                for row in part
            ]
            yield pa.RecordBatch.from_pylist(lines, schema=_SCHEMA)

    return Answer(_SCHEMA, batches)


FORMS = (
    RowFunction(
        name="GENERATE_EMBEDDING",
        model_types=frozenset({PCA, AUTOENCODER, TENSORFLOW}),
        data="required",
        order=(MODEL, DATA, STRUCT),
        fields=fields,
        columns=vectors,
    ),
    TableFunction(
        name="GENERATE_EMBEDDING", model_types=frozenset({FACTORIZATION}), order=(MODEL, STRUCT), answer=factors
    ),
)
