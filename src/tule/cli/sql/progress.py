"""What a person sees while a job runs: nothing for half a second, then a line that tells how far it is."""

from __future__ import annotations

import re
import sys
from types import TracebackType
from typing import TYPE_CHECKING, Any

from tule.cli.sql.client import QueryJob
from tule.kernel.clock import Clock, RealClock

if TYPE_CHECKING:
    from rich.progress import Progress

_QUIET = 0.5
# States of a trial that has not ended.
_OPEN = (None, "NOT_STARTED", "RUNNING")


class Waiting:
    """A line on standard error, gone when the job is done; none where that is no terminal."""

    def __init__(self, text: str, clock: Clock | None = None) -> None:
        self._title = _title(text)
        self._clock = clock or RealClock()
        self._since = self._clock.monotonic()
        self._bar: Progress | None = None
        self._visible = sys.stderr.isatty()

    def __enter__(self) -> Waiting:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.hide()

    def show(self, job: QueryJob, done: int, of: int) -> None:
        """Show ``job`` as it was last looked at: the statement after the ``done`` ones of a script of ``of``."""
        if not self._visible or self._clock.monotonic() - self._since < _QUIET:
            return
        text = self._title
        completed: float | None = None
        total: float | None = None
        if of > 1:
            text, completed, total = f"statement {min(done + 1, of)} of {of}", done, of
        if told := progress_of(job):
            text, completed, total = f"{text}: {told[0]}", told[1], told[2]
        if self._bar is None:
            self._bar = _bar()
            self._bar.start()
            self._bar.add_task(text, total=None)
        self._bar.update(self._bar.task_ids[0], description=text, completed=completed, total=total)

    def hide(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def progress_of(job: QueryJob) -> tuple[str, float, float] | None:
    """(words, how much is done, of how much) of a job that tells."""
    if trials := job.training.get("hparamTrials"):
        done = sum(each.get("status") not in _OPEN for each in trials)
        running = [int(each["trialId"]) for each in trials if each.get("status") == "RUNNING"]
        return f"trial {max(running, default=done) or 1} of {len(trials)}", done, len(trials)
    iterations = job.training.get("iterationResults") or []
    if iterations:
        last, most = iterations[-1], int(job.training.get("maxIterations", 0))
        loss = last.get("trainingLoss")
        words = f"iteration {len(iterations)}" + (f" of {most}" if most else "")
        return words + ("" if loss is None else f", loss {loss:.4g}"), len(iterations), most or len(iterations)
    ratio = job.statistics.get("completionRatio")
    return None if ratio is None else (f"{100 * ratio:.0f} %", ratio, 1.0)


def _title(text: str) -> str:
    """What runs, in few words."""
    found = re.search(
        r"\bCREATE\s+(?:OR\s+REPLACE\s+)?MODEL\s+(?:IF\s+NOT\s+EXISTS\s+)?(?P<name>\S+)", text, re.IGNORECASE
    )
    return f"training {found['name']}" if found else "running"


def _bar() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        TimeElapsedColumn(),
        TextColumn("left", style="dim"),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("Ctrl-C cancels", style="dim"),
        console=Console(stderr=True),
        transient=True,
    )
