"""ML.RECOMMEND: ratings of pairs of users and items, of those given or of all that training saw."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from tule.bigquery.ml.batches import actual
from tule.bigquery.ml.functions.function import Answer, Call, RowFunction, TableFunction, Trained, flat
from tule.bigquery.ml.options.model_types import FACTORIZATION
from tule.kernel.errors import InvalidArgument

_TYPES = frozenset({FACTORIZATION})


def _sides(trained: Trained) -> list[str]:
    return list(trained.model.signature.input_names)


def _present(trained: Trained, names: Sequence[str]) -> list[str]:
    """The columns of users and items among ``names``, as the model calls them."""
    return [name for name in _sides(trained) if actual(names, name) is not None]


def _both(trained: Trained, names: Sequence[str] | None) -> bool:
    return names is not None and len(_present(trained, names)) == 2


def _name(trained: Trained) -> str:
    implicit = trained.options["feedback_type"] == "IMPLICIT"
    return f"predicted_{trained.label}{'_confidence' if implicit else ''}"


def pairs(call: Call) -> Answer:
    """Every pair of the users and the items: those of the rows given on one side, all that training saw on the other."""
    trained, model = call.trained, call.trained.model
    kinds = {field.name: field.type for field in model.signature.inputs}
    user, item = _sides(trained)
    schema = pa.schema([(_name(trained), pa.float64()), (user, kinds[user]), (item, kinds[item])])

    def batches() -> Iterator[pa.RecordBatch]:
        recommend: Any = model.recommend  # type: ignore[attr-defined]
        # Read before the first pair is asked for: the engine reads and writes one after the other.
        chosen = _distinct(call, kinds)
        return (_typed(batch, schema) for batch in recommend(chosen.get(user), chosen.get(item)))

    return Answer(schema, batches)


def _typed(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    columns = [column.cast(field.type) for column, field in zip(batch.columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _distinct(call: Call, kinds: dict[str, pa.DataType]) -> dict[str, pa.Array]:
    """The users or items of the rows given, each once, in the order of their first rows."""
    if call.rows is None:
        return {}
    names = [name for name in call.rows.schema.names if name in kinds]
    if not names:
        raise InvalidArgument(
            "The rows of ML.RECOMMEND must have the column of users, of items, or both",
            given=", ".join(call.rows.schema.names) or "neither",
            do=f"select {' or '.join(kinds)}",
            reason="invalidQuery",
            location="query",
        )
    table = pa.Table.from_batches(list(call.rows.scan(names)), pa.schema([call.rows.schema.field(names[0])]))
    return {names[0]: table.column(0).cast(kinds[names[0]]).unique()}


def reads(trained: Trained, names: Sequence[str]) -> list[str]:
    return _present(trained, names) or list(names[:1])


def rated(call: Call, features: pa.RecordBatch) -> list[Any]:
    return [flat(call.trained.model.predict(features).column("prediction"))]


FORMS = (
    RowFunction(
        name="RECOMMEND",
        model_types=_TYPES,
        data="optional",
        fits=_both,
        fields=lambda call: [pa.field(_name(call.trained), pa.float64())],
        columns=rated,
    ),
    TableFunction(
        name="RECOMMEND",
        model_types=_TYPES,
        data="optional",
        fits=lambda trained, columns: not _both(trained, columns),
        answer=pairs,
        reads=reads,
    ),
)
