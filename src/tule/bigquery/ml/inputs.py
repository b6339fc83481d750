"""From rows as a query gives them to the columns that a model was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from tule.bigquery.ml import nodes
from tule.bigquery.ml.batches import actual
from tule.bigquery.ml.functions import Trained
from tule.bigquery.ml.options.model_types import ANSWERING
from tule.kernel.errors import InvalidArgument, TuleError

if TYPE_CHECKING:
    from sqlglot import exp


def input_items(
    trained: Trained, given: pa.Schema, wanted: Sequence[str] | None = None
) -> list[tuple[str, exp.Expression]]:
    """(name, expression over the given rows) of each input of the model, or of the columns ``wanted``.

    InvalidArgument names a column that the rows lack; what they have more is of no concern.
    """
    names = trained.model.signature.input_names if wanted is None else wanted
    return [(name, _item(trained, name, given)) for name in names]


def _item(trained: Trained, name: str, given: pa.Schema) -> exp.Expression:
    from tule.learn.data import missing_column

    item = trained.transform.item(name) if trained.transform is not None else None
    for needed in item.inputs() if item is not None else [name]:
        if actual(given.names, needed) is None:
            error = missing_column(needed, given.names)
            raise InvalidArgument(error.message, reason="invalidQuery", location="query")
    if item is not None:
        made: exp.Expression = item.node()
        return made
    return nodes.column(str(actual(given.names, name)))


def check_types(trained: Trained, given: pa.Schema) -> None:
    """InvalidArgument where an input of the model (``given`` names them as it does) has a type that it cannot read."""
    if trained.options.model_type in ANSWERING:
        trained.model.check_inputs(given)  # type: ignore[attr-defined]
        return
    for field in trained.model.signature.inputs:
        if field.name in given.names and not _fits(field.type, given.field(field.name).type):
            raise InvalidArgument(
                f"The column {field.name} must be of the type it was trained with, {words(field.type)}",
                given=words(given.field(field.name).type),
                do=f"cast it in the query, or train {trained.name} again",
                reason="invalidQuery",
                location="query",
            )


def _fits(wanted: pa.DataType, given: pa.DataType) -> bool:
    from tule.learn.schema import plain_type
    from tule.learn.transforms.features import is_number

    wanted, given = plain_type(wanted), plain_type(given)
    if is_number(wanted) or is_number(given):
        return is_number(wanted) and is_number(given)
    if pa.types.is_list(wanted) and pa.types.is_list(given):
        return _fits(wanted.value_type, given.value_type)
    if pa.types.is_struct(wanted) and pa.types.is_struct(given):
        names = {field.name for field in given}
        return all(field.name in names and _fits(field.type, given.field(field.name).type) for field in wanted)
    return bool(wanted == given)


def words(kind: pa.DataType) -> str:
    """A type as GoogleSQL writes it, as far as it has a name there."""
    from tule.bigquery.catalog import type_text
    from tule.bigquery.types import Field

    try:
        return type_text(Field.from_arrow(pa.field("x", kind)))
    except TuleError:
        return str(kind)
