"""ML.CONFUSION_MATRIX: a row per class met, a count per class predicted."""

from __future__ import annotations

import re

import pyarrow as pa

from tule.bigquery.ml.functions.function import THRESHOLD, Answer, Call, TableFunction
from tule.bigquery.ml.options.model_types import CLASSIFIERS
from tule.bigquery.ml.resource import label_text

_NOT_ALLOWED = re.compile(r"[^\w \-]")


def column_name(label: str) -> str:
    """A class's text as a column name.

    >>> column_name("Adelie Penguin (Pygoscelis adeliae)"), column_name("0")
    ('Adelie Penguin _Pygoscelis adeliae_', '_0')
    """
    name = _NOT_ALLOWED.sub("_", label)
    return f"_{name}" if not name or name[0].isdigit() else name


def answer(call: Call) -> Answer:
    model = call.trained.model
    assert model.classes is not None and model.signature.label is not None
    names = [column_name(label_text(each)) for each in model.classes]
    schema = pa.schema(
        [pa.field("expected_label", model.signature.label.type), *(pa.field(name, pa.int64()) for name in names)]
    )

    def table() -> pa.Table:
        from tule.learn import metrics

        found = metrics.confusion_matrix(model, call.evaluation(), threshold=call.arguments["threshold"])
        return pa.Table.from_arrays(found.columns, schema=schema)

    return Answer.computed(schema, table)


FORMS = (
    TableFunction(
        name="CONFUSION_MATRIX",
        model_types=CLASSIFIERS,
        data="optional",
        arguments={"threshold": THRESHOLD},
        answer=answer,
    ),
)
