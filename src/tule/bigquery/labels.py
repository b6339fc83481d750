"""Labels and the list filter over them (``labels.team:ads labels.env``)."""

from __future__ import annotations

import re
from typing import Any

from tule.bigquery.errors import invalid

# Lowercase letters of any script, digits, dashes and underscores.
_LABEL_KEY = re.compile(r"(?!\d)[\w-]{1,63}")
_LABEL_VALUE = re.compile(r"[\w-]{0,63}")
_TERM = re.compile(r"labels\.(?P<key>[\w-]+)(?::(?P<value>[\w-]*))?")
_MOST_LABELS = 64


def checked_labels(labels: Any) -> dict[str, str]:
    """The labels as they are stored; raises in BigQuery's words for keys and values that cannot be."""
    if not isinstance(labels, dict):
        raise invalid(f"labels must be an object of texts; given: {labels!r}")
    kept = {key: value for key, value in labels.items() if value is not None}
    if len(kept) > _MOST_LABELS:
        raise invalid(f"A resource may have at most {_MOST_LABELS} labels; given: {len(kept)}")
    for key, value in kept.items():
        if _LABEL_KEY.fullmatch(key) is None or key != key.lower():
            raise invalid(f'Label key "{key}" has invalid characters.')
        if not isinstance(value, str) or _LABEL_VALUE.fullmatch(value) is None or value != value.lower():
            raise invalid(f'Label value "{value}" has invalid characters.')
    return kept


class LabelFilter:
    """The ``filter`` of datasets.list as a filter of the record store.

    >>> LabelFilter("labels.team:ads labels.env").aip
    'labels."team" = "ads" AND labels."env":*'
    """

    def __init__(self, text: str) -> None:
        terms = text.split()
        found = [_TERM.fullmatch(term) for term in terms]
        if any(each is None for each in found):
            raise invalid(f"A filter must be labels.KEY or labels.KEY:VALUE, separated by spaces; given: {text!r}")
        self.aip = " AND ".join(
            f'labels."{each["key"]}" = "{each["value"]}"' if each["value"] else f'labels."{each["key"]}":*'
            for each in found
            if each is not None
        )
