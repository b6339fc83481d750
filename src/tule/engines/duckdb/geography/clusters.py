"""ST_CLUSTERDBSCAN. M. Ester et al., A density-based algorithm for discovering clusters, 1996."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from tule.engines.duckdb.geography import operations, shapes
from tule.engines.duckdb.geography.shapes import Shape


def cluster_of(given: Sequence[Shape | None], shape: Shape, epsilon: float, least: int) -> int | None:
    """The number of the cluster of a shape among others, None for noise."""
    values = tuple(sorted({shapes.write(each) for each in given if each is not None}))
    weights = tuple(sum(1 for each in given if each is not None and shapes.write(each) == value) for value in values)
    return _clusters(values, weights, epsilon, least).get(shapes.write(shape))


@lru_cache(maxsize=8)
def _clusters(values: tuple[bytes, ...], weights: tuple[int, ...], epsilon: float, least: int) -> dict[bytes, int]:
    near = [_neighbours(values, index, epsilon) for index in range(len(values))]
    core = [sum(weights[other] for other in each) >= least for each in near]
    found: dict[bytes, int] = {}
    number = -1
    for index, value in enumerate(values):
        if value in found or not core[index]:
            continue
        number += 1
        waiting = [index]
        while waiting:
            at = waiting.pop()
            if values[at] in found:
                continue
            found[values[at]] = number
            if core[at]:
                waiting += near[at]
    return found


def _neighbours(values: tuple[bytes, ...], index: int, epsilon: float) -> list[int]:
    found = operations.distance([values[index]] * len(values), values)
    return [other for other, each in enumerate(found) if each is not None and each <= epsilon]
