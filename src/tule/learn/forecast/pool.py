"""Many series fitted side by side: one worker process a core, data-only messages over pipes.

A message is a line of JSON with the lengths of what follows, and NumPy's archive of arrays (loaded without pickle).
"""

from __future__ import annotations

import io
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import IO, Any

import numpy as np
import orjson

from tule.kernel.errors import Internal, TuleError
from tule.learn.forecast.series import Fitted, Plan, fit_series

_CHUNK = 16
_WORTH = 48
"""So many series take longer than starting processes."""
_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Task:
    """One series to fit."""

    times: np.ndarray
    values: np.ndarray
    columns: Mapping[str, list[Any]] | None = None


Outcome = Fitted | TuleError
"""A fitted series, or why it could not be fitted."""


def fit_all(tasks: Sequence[Task], plan: Plan, tick: Callable[[int], None]) -> list[Outcome]:
    """Fit every series, in order. ``tick`` hears of rows done now and then, and may raise to stop everything."""
    workers = min(os.cpu_count() or 1, len(tasks) // _CHUNK)
    if len(tasks) < _WORTH or workers < 2 or not sys.executable:
        found = []
        for task in tasks:
            found.append(attempt(task, plan))
            tick(len(task.times))
        return found
    return _Pool(tasks, plan, workers).run(tick)


def attempt(task: Task, plan: Plan) -> Outcome:
    """One series."""
    try:
        return fit_series(task.times, task.values, plan, task.columns)
    except TuleError as error:
        return error


class _Pool:
    def __init__(self, tasks: Sequence[Task], plan: Plan, workers: int) -> None:
        self._tasks, self._plan = tasks, plan
        self._calendar = plan.calendar()
        self._chunks: queue.SimpleQueue[int] = queue.SimpleQueue()
        for first in range(0, len(tasks), _CHUNK):
            self._chunks.put(first)
        self._done: queue.SimpleQueue[tuple[int, list[Outcome]] | BaseException] = queue.SimpleQueue()
        command = [sys.executable, "-m", "tule.learn.forecast.worker"]
        threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        self._processes = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, **threads})
            for _ in range(workers)
        ]

    def run(self, tick: Callable[[int], None]) -> list[Outcome]:
        threads = [
            threading.Thread(target=self._feed, args=(process,), name="forecast-feed", daemon=True)
            for process in self._processes
        ]
        for thread in threads:
            thread.start()
        found: list[Outcome | None] = [None] * len(self._tasks)
        try:
            missing = len(self._tasks)
            while missing:
                try:
                    done = self._done.get(timeout=_POLL_SECONDS)
                except queue.Empty:
                    tick(0)
                    continue
                if isinstance(done, BaseException):
                    raise done
                first, outcomes = done
                found[first : first + len(outcomes)] = outcomes
                missing -= len(outcomes)
                tick(sum(len(task.times) for task in self._tasks[first : first + len(outcomes)]))
        finally:
            for process in self._processes:
                process.kill()
                process.wait()
            for thread in threads:
                thread.join()
            for process in self._processes:
                for pipe in (process.stdin, process.stdout):
                    if pipe is not None:
                        _close(pipe)
        return [outcome for outcome in found if outcome is not None]

    def _feed(self, process: subprocess.Popen[bytes]) -> None:
        """Give one worker chunks until there are none left."""
        assert process.stdin and process.stdout
        try:
            send(process.stdin, {"plan": asdict(self._plan)}, {})
            while True:
                try:
                    first = self._chunks.get_nowait()
                except queue.Empty:
                    return
                tasks = self._tasks[first : first + _CHUNK]
                arrays = {}
                for at, task in enumerate(tasks):
                    arrays[f"{at}/times"], arrays[f"{at}/values"] = task.times, task.values
                send(process.stdin, {"columns": [task.columns for task in tasks]}, arrays)
                answer = receive(process.stdout)
                if answer is None:
                    raise Internal(
                        "A forecasting worker must answer",
                        given=f"it ended with status {process.wait()}",
                        do="look whether memory is short, and try again",
                    )
                self._done.put((first, [self._outcome(each, answer[1], at) for at, each in enumerate(answer[0])]))
        except (OSError, ValueError, TuleError) as error:
            self._done.put(error)

    def _outcome(self, state: dict[str, Any], arrays: Mapping[str, np.ndarray], at: int) -> Outcome:
        if "error" in state:
            return rebuilt(state["error"])
        prefix = f"{at}/"
        own = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
        return Fitted.from_parts(state, own, self._calendar)


def rebuilt(text: Mapping[str, Any]) -> TuleError:
    """The error that a worker told of."""
    from tule.kernel import errors

    kind = getattr(errors, text["kind"])
    error: TuleError = kind(text["message"], location=text["location"])
    return error


def send(pipe: IO[bytes], head: Any, arrays: Mapping[str, np.ndarray]) -> None:
    """Write one message."""
    packed = io.BytesIO()
    np.savez(packed, allow_pickle=False, **arrays)
    text = orjson.dumps(head, option=orjson.OPT_SERIALIZE_NUMPY)
    pipe.write(b"%d %d\n" % (len(text), packed.tell()) + text)
    pipe.write(packed.getbuffer())
    pipe.flush()


def receive(pipe: IO[bytes]) -> tuple[Any, dict[str, np.ndarray]] | None:
    """Read one message; None at the end."""
    line = pipe.readline()
    if not line:
        return None
    size, packed = (int(each) for each in line.split())
    head = orjson.loads(pipe.read(size))
    with np.load(io.BytesIO(pipe.read(packed)), allow_pickle=False) as archive:
        return head, {name: archive[name] for name in archive.files}


def _close(pipe: IO[bytes]) -> None:
    try:
        pipe.close()
    except OSError:
        # What was still to be flushed went to a process that is gone.
        return
