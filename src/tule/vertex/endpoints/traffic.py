"""The traffic split of an endpoint: checked when it is set, obeyed by every request.

Requests are dealt by a low-discrepancy sequence (multiples of the golden ratio modulo 1) instead of by chance: of any
n requests in a row each deployed model gets its share to within a few requests, so a 90/10 split is 90/10 after a
hundred requests, and the same sequence of requests is dealt the same way.

>>> split = Split({"1": 90, "2": 10})
>>> sum(split.choose() == "2" for _ in range(1000))
100
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Collection, Mapping

from tule.kernel.errors import FailedPrecondition, InvalidArgument

NEW = "0"
"""The key that stands for the model being deployed, before it has an id."""

_GOLDEN = (5**0.5 - 1) / 2


def check(split: Mapping[str, int], deployed: Collection[str]) -> dict[str, int]:
    """``split`` without its zero shares; raises InvalidArgument unless it adds up to 100 over ``deployed`` ids.

    An empty split is right: such an endpoint takes no traffic.
    """
    unknown = [key for key in split if key not in deployed]
    if unknown:
        raise InvalidArgument(
            "A traffic split must name models that are deployed to the endpoint",
            given=", ".join(unknown),
            do=f"use these ids: {', '.join(sorted(deployed)) or 'none is deployed'}",
        )
    wrong = [f"{key}: {share}" for key, share in split.items() if not 0 <= share <= 100]
    if wrong:
        raise InvalidArgument("A share of the traffic must lie between 0 and 100", given=", ".join(wrong))
    if split and sum(split.values()) != 100:
        raise InvalidArgument(
            "The shares of a traffic split must add up to 100",
            given=f"{sum(split.values())} ({', '.join(f'{key}: {share}' for key, share in split.items())})",
            do="change the shares, or send an empty split to stop the traffic",
        )
    return {key: share for key, share in split.items() if share}


def with_new(split: Mapping[str, int], new: str, deployed: Collection[str]) -> dict[str, int]:
    """The split of a deployment: ``"0"`` replaced by the ``new`` id, then checked."""
    return check({new if key == NEW else key: share for key, share in split.items()}, {*deployed, new})


def without(split: Mapping[str, int], gone: str, given: Mapping[str, int], rest: Collection[str]) -> dict[str, int]:
    """The split after ``gone`` is undeployed, ``rest`` being what stays; ``given`` overwrites the present ``split``.

    Raises FailedPrecondition when ``gone`` still has traffic that ``given`` does not take away.
    """
    if not rest:
        return {}
    if given:
        return check({key: share for key, share in given.items() if key != gone or share}, rest)
    if split.get(gone, 0):
        raise FailedPrecondition(
            "A deployed model must have no traffic when it is undeployed while others stay",
            given=f"{gone} has {split[gone]} %",
            do="send a traffic_split over the models that stay",
        )
    return check(split, rest) if split else {}


class Split:
    """Deals requests to deployed models. Immutable; ``choose`` may be called from any thread."""

    def __init__(self, shares: Mapping[str, int]) -> None:
        self.shares = {key: share for key, share in sorted(shares.items()) if share}
        self._ids = list(self.shares)
        self._bounds = [total / 100 for total in itertools.accumulate(self.shares.values())][:-1]
        self._turns = itertools.count(1)
        self._only = self._ids[0] if len(self._ids) == 1 else None

    def choose(self) -> str | None:
        """The deployed model for the next request, None when the endpoint takes no traffic."""
        if self._only is not None or not self._ids:
            return self._only
        return self._ids[bisect_right(self._bounds, next(self._turns) * _GOLDEN % 1.0)]
