"""Running the trials of a study: several at once, within the processors there are, the same each time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, replace

from tule.kernel.errors import Cancelled
from tule.learn.models.fitting import limited_threads, one_blas_thread, thread_count
from tule.learn.search.study import Study
from tule.learn.search.trials import Status, Trial


@dataclass(frozen=True)
class Result:
    """What came of a trial. ``objectives``: of a succeeded one."""

    status: Status
    objectives: tuple[float, ...] | None = None
    curve: tuple[tuple[float, float], ...] = ()
    error: str | None = None


Evaluate = Callable[[Trial, Callable[[], None]], Result]
"""Tries a trial's values. It calls its second argument now and then, which raises once the search is to end."""


def run(
    study: Study,
    evaluate: Evaluate,
    *,
    count: int,
    parallel: int = 1,
    check: Callable[[], None] = lambda: None,
    done: Callable[[Trial], None] = lambda trial: None,
) -> None:
    """Try points until the study has ``count`` trials or none is left.

    ``parallel`` trials are suggested together and run together, each with its share of the processors; the next are
    suggested when all of them are done, so that what is suggested does not hang on which of them was the quickest.
    ``check`` raises to end the search: running trials end soon after it. ``done`` is called for each trial that ended,
    in the order of their numbers. What ``evaluate`` raises ends the search too.
    """
    ending = threading.Event()

    def still() -> None:
        check()
        if ending.is_set():
            raise Cancelled("The search ended")

    share = max(1, thread_count() // max(1, parallel))

    def one(trial: Trial) -> Result:
        with limited_threads(share):
            return evaluate(trial, still)

    # Around all of them: trials that end at different times would set the pools of BLAS back in the wrong order.
    with one_blas_thread(), ThreadPoolExecutor(max(1, parallel), thread_name_prefix="trial") as pool:
        while len(study.trials) < count:
            check()
            asked = min(parallel, count - len(study.trials))
            trials = [each for each in (study.suggest() for _ in range(asked)) if each is not None]
            if not trials:
                return
            futures: list[Future[Result]] = [pool.submit(copy_context().run, one, each) for each in trials]
            try:
                results = [future.result() for future in futures]
            except BaseException:
                ending.set()
                raise
            # Recorded together: a trial that runs sees the same finished ones, however quick its neighbours are.
            for trial, found in zip(trials, results, strict=True):
                done(study.record(replace(trial, **vars(found))))
