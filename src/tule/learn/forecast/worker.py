"""The worker process of ``pool``: series from standard input, fitted ones to standard output, until it closes."""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np

from tule.kernel.errors import TuleError
from tule.learn.forecast.pool import Task, attempt, receive, send
from tule.learn.forecast.series import Plan


def main() -> None:
    """Serve until the parent closes the pipe."""
    # Whatever prints must not get between the messages.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    first = receive(sys.stdin.buffer)
    if first is None:
        return
    given = first[0]["plan"]
    plan = Plan(**{name: _tuples(value) for name, value in given.items()})
    while (message := receive(sys.stdin.buffer)) is not None:
        head, arrays = message
        states: list[object] = []
        packed: dict[str, np.ndarray] = {}
        for at, columns in enumerate(head["columns"]):
            outcome = attempt(Task(arrays[f"{at}/times"], arrays[f"{at}/values"], columns), plan)
            if isinstance(outcome, TuleError):
                states.append({"error": told(outcome)})
                continue
            state, own = outcome.to_parts()
            states.append(state)
            packed |= {f"{at}/{name}": np.ascontiguousarray(array) for name, array in own.items()}
        send(answers, states, packed)


def told(error: TuleError) -> dict[str, str | None]:
    """An error as plain values."""
    return {"kind": type(error).__name__, "message": error.message, "location": error.location}


def _tuples(value: Any) -> Any:
    return tuple(_tuples(each) for each in value) if isinstance(value, list) else value


if __name__ == "__main__":
    main()
