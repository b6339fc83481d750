"""Labels of resources: what keys and values may be (https://cloud.google.com/resource-manager/docs/labels-overview)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tule.kernel.errors import InvalidArgument

MOST = 64
# Lowercase letters of any script, digits, dashes and underscores; a key begins with a letter.
KEY = re.compile(r"(?![\d_-])[\w-]{1,63}")
VALUE = re.compile(r"[\w-]{0,63}")


def check_labels(labels: Mapping[str, Any]) -> None:
    """Raises InvalidArgument naming the label that cannot be.

    >>> check_labels({"team": "ads-1"})
    """
    if len(labels) > MOST:
        raise InvalidArgument(f"A resource may have at most {MOST} labels", given=len(labels))
    for key, value in labels.items():
        if KEY.fullmatch(key) is None or key != key.lower():
            raise InvalidArgument(
                "A label's key must be 1 to 63 lower case letters, digits, - and _, a letter first",
                given=repr(key[:80]),
            )
        if not isinstance(value, str) or VALUE.fullmatch(value) is None or value != value.lower():
            raise InvalidArgument(
                f"The value of the label {key} must be at most 63 lower case letters, digits, - and _",
                given=repr(value)[:100],
            )
