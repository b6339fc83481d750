"""Keys, numbers and times of MLflow as they are in its JSON: what may be given, and how it is written back."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from tule.kernel.errors import InvalidArgument

_KEY = re.compile(r"[/\w.\- :]+")
_LONGEST_KEY, _LONGEST_PARAM, _LONGEST_TAG = 250, 6000, 8000
_BATCH: Final = {"metrics": 1000, "params": 100, "tags": 100}
_WHOLE_BATCH = 1000

ACTIVE, DELETED = "active", "deleted"
_VIEWS: Final = {"ACTIVE_ONLY": (ACTIVE,), "DELETED_ONLY": (DELETED,), "ALL": (ACTIVE, DELETED)}
# The states of executions by MLflow's words.
STATES: Final = {
    "RUNNING": "RUNNING", "SCHEDULED": "NEW", "FINISHED": "COMPLETE", "FAILED": "FAILED", "KILLED": "CANCELLED",
}  # fmt: skip
STATUSES: Final = {state: status for status, state in STATES.items()} | {"CACHED": "FINISHED"}


def key(text: Any, what: str) -> str:
    """A key as it may be; raises InvalidArgument."""
    if not isinstance(text, str) or _KEY.fullmatch(text) is None or len(text) > _LONGEST_KEY or ".." in text:
        raise InvalidArgument(
            f"The key of a {what} must be 1 to {_LONGEST_KEY} letters, digits, _ - . : / and blanks",
            given=repr(text)[:100],
        )
    return text


def param(value: Any) -> str:
    return _text(value, "param", _LONGEST_PARAM)


def tag(value: Any) -> str:
    return _text(value, "tag", _LONGEST_TAG)


def _text(value: Any, what: str, longest: int) -> str:
    text = "" if value is None else str(value)
    if len(text) > longest:
        raise InvalidArgument(f"The value of a {what} must have at most {longest} characters", given=len(text))
    return text


def number(value: Any, what: str) -> float:
    """A metric's value: JSON writes what is no number as text."""
    try:
        return float(value)
    except (TypeError, ValueError):
        raise InvalidArgument(f"{what} must be a number", given=repr(value)[:100]) from None


def whole(value: Any, what: str, default: int = 0) -> int:
    """A 64-bit number, which JSON may write as text."""
    if value in (None, ""):
        return default
    try:
        return int(value)
    except (TypeError, ValueError):
        raise InvalidArgument(f"{what} must be a whole number", given=repr(value)[:100]) from None


def written(value: float) -> float | str:
    """
    >>> written(0.5), written(float("nan")), written(float("-inf"))
    (0.5, 'NaN', '-Infinity')
    """
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def check_batch(given: Mapping[str, Sequence[Any]]) -> None:
    """Raise InvalidArgument for more than one request may log."""
    for what, most in _BATCH.items():
        if len(given[what]) > most:
            raise InvalidArgument(f"A batch must have at most {most} {what}", given=len(given[what]))
    size = sum(len(each) for each in given.values())
    if size > _WHOLE_BATCH:
        raise InvalidArgument(f"A batch must have at most {_WHOLE_BATCH} entries", given=size)


def pairs(found: Mapping[str, Any]) -> list[dict[str, str]]:
    """A mapping as MLflow writes it."""
    return [{"key": name, "value": str(value)} for name, value in found.items()]


def tags(given: Iterable[Mapping[str, Any]] | None) -> dict[str, str]:
    return {key(each.get("key"), "tag"): tag(each.get("value")) for each in given or ()}


def stages(view: str) -> tuple[str, ...]:
    """The stages of life that a view shows."""
    if view and view not in _VIEWS:
        raise InvalidArgument(f"A view must be one of {', '.join(_VIEWS)}", given=view)
    return _VIEWS[view or "ACTIVE_ONLY"]


def milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
