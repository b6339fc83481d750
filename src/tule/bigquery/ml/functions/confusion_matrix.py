"""ML.CONFUSION_MATRIX: a row per class met, a count per class predicted."""

from __future__ import annotations

import re

from tule.bigquery.ml.functions.function import THRESHOLD, Answer, Call, Function
from tule.bigquery.ml.options import CLASSIFIERS

_NOT_ALLOWED = re.compile(r"[^\w \-]")


def column_name(label: str) -> str:
    """A class's text as a column name.

    >>> column_name("Adelie Penguin (Pygoscelis adeliae)"), column_name("0")
    ('Adelie Penguin _Pygoscelis adeliae_', '_0')
    """
    name = _NOT_ALLOWED.sub("_", label)
    return f"_{name}" if not name or name[0].isdigit() else name


def answer(call: Call) -> Answer:
    from tule.learn import metrics

    table = metrics.confusion_matrix(call.trained.model, call.evaluation(), threshold=call.arguments["threshold"])
    first, *classes = table.column_names
    return Answer.of(table.rename_columns([first, *(column_name(each) for each in classes)]))


FUNCTION = Function("CONFUSION_MATRIX", answer, CLASSIFIERS, "optional", {"threshold": THRESHOLD})
