"""Threads that run requests for an event loop.

``loop.run_in_executor`` does the same through two futures, a condition and a work item for each call, which cost more
than most requests; here a call is one queue entry and one wake-up.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any

Work = Callable[[], Any]


class Threads:
    """Up to ``most`` threads, made as they are needed. To be used from one event loop."""

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = name
        self._queue: queue.SimpleQueue[tuple[Work, asyncio.Future[Any]] | None] = queue.SimpleQueue()
        self._made = 0
        # Counted in the event loop only, so without a lock.
        self._busy = 0

    def run(self, work: Work) -> asyncio.Future[Any]:
        """``work`` on a thread, in turn; the future has what it returned or raised."""
        done = asyncio.get_running_loop().create_future()
        self._busy += 1
        if self._busy > self._made < self._most:
            self._made += 1
            # Daemons: a request that hangs must not keep the process from ending.
            threading.Thread(target=self._serve, name=self._name, daemon=True).start()
        self._queue.put((work, done))
        return done

    def close(self) -> None:
        """Let the threads go when they are done with what was asked for."""
        for _ in range(self._made):
            self._queue.put(None)

    def _serve(self) -> None:
        while (entry := self._queue.get()) is not None:
            work, done = entry
            if done.cancelled():
                outcome: tuple[Any, BaseException | None] = (None, None)
            else:
                try:
                    outcome = (work(), None)
                except BaseException as error:
                    outcome = (None, error)
            try:
                done.get_loop().call_soon_threadsafe(self._end, done, *outcome)
            except RuntimeError:
                return  # the loop is closed: nobody waits any more
            del entry, work, done, outcome

    def _end(self, done: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
        self._busy -= 1
        if done.done():
            return  # nobody waits any more, or somebody else answered
        if error is None:
            done.set_result(result)
        else:
            done.set_exception(error)
