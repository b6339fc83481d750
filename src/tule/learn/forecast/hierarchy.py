"""Sums of series: what a parent of a hierarchy is forecast to be, bottom-up, as the sum of its children."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Ids = tuple[Any, ...]


def parents(ids: Sequence[Ids], names: Sequence[str], levels: Sequence[str]) -> list[tuple[Ids, list[int]]]:
    """(ids of a rolled-up series, places of its children), from the top down.

    ``levels``: the id columns of the hierarchy, parents first. Each rolled-up series has None in the columns below its
    level; at the top all of ``levels`` are None. Other id columns keep apart.
    """
    found: list[tuple[Ids, list[int]]] = []
    for depth in range(len(levels)):
        hidden = set(levels[depth:])
        groups: dict[Ids, list[int]] = {}
        for at, own in enumerate(ids):
            key = tuple(None if name in hidden else value for name, value in zip(names, own, strict=True))
            groups.setdefault(key, []).append(at)
        found.extend(groups.items())
    return found
