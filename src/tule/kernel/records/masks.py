"""Field masks: which part of a message a change touches (https://google.aip.dev/134, https://google.aip.dev/161)."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from tule.kernel.errors import InvalidArgument
from tule.kernel.records import paths as field_paths


def apply_mask(old: dict[str, Any], new: dict[str, Any], paths: Sequence[str]) -> dict[str, Any]:
    """``old`` with the fields at ``paths`` as they are in ``new``; a field that ``new`` lacks is cleared.

    Paths are snake_case or camelCase; ``*`` means all fields. Neither argument is changed.

    >>> apply_mask({"displayName": "a", "labels": {"x": "1"}}, {"labels": {"y_z": "2"}}, ["labels.y_z", "display_name"])
    {'labels': {'x': '1', 'y_z': '2'}}
    """
    if any(path.strip() == "*" for path in paths):
        if len(paths) > 1:
            raise InvalidArgument("The mask * must stand alone", given=list(paths))
        return copy.deepcopy(new)
    result = copy.deepcopy(old)
    for path in paths:
        _apply(result, new, field_paths.parse(path), path)
    return result


def _apply(old: dict[str, Any], new: Any, path: field_paths.Path, text: str) -> None:
    head, rest = path[0], path[1:]
    new = new if isinstance(new, dict) else {}
    source, target = field_paths.key_in(new, head), field_paths.key_in(old, head)
    if not rest:
        if target is not None:
            del old[target]
        if source is not None and new[source] is not None:
            old[source] = copy.deepcopy(new[source])
        return
    inner_new = new[source] if source is not None else {}
    inner_old = old[target] if target is not None else {}
    if isinstance(inner_new, list) or isinstance(inner_old, list):
        raise InvalidArgument(
            f"A mask must name a repeated field whole ({head})", given=repr(text), do=f"use the path {head}"
        )
    inner = dict(inner_old) if isinstance(inner_old, dict) else {}
    _apply(inner, inner_new, rest, text)
    if inner or target is not None or source is not None:
        if target is not None:
            old[target] = inner
        else:
            old[source or field_paths.camel(head)] = inner
