"""Running a text: one job, waited for with progress, its rows written, what it did said in a line."""

from __future__ import annotations

import sys
from typing import Any

from tule.cli.sql import faults, scanner
from tule.cli.sql.client import Client, QueryJob
from tule.cli.sql.formats import FORMATS, rows_of
from tule.cli.sql.progress import Waiting
from tule.kernel.clock import Clock, RealClock
from tule.kernel.errors import TuleError

# How many rows a table shows unless more are wanted; programs that read JSON or CSV get all.
TABLE_ROWS = 100
_LOOK = 0.25

FAILED = 1
INTERRUPTED = 130

_DONE = {"CREATE": "Created", "REPLACE": "Replaced", "DROP": "Dropped", "ALTER": "Altered"}
_CHANGED = {
    "INSERT": "inserted",
    "UPDATE": "updated",
    "DELETE": "deleted",
    "MERGE": "merged",
    "TRUNCATE_TABLE": "deleted",
}
# Part of a statement's type -> what it defines.
_KINDS = {"MODEL": "model ", "VIEW": "view ", "SCHEMA": "dataset ", "TABLE": "table "}


class Runs:
    """Runs texts one after the other. Rows go to standard output, words about them to standard error."""

    def __init__(self, client: Client, format: str, rows: int | None = None, clock: Clock | None = None) -> None:
        """``rows``: the most to write of a result, 0 for all, None for what suits the format."""
        self.client = client
        self.format = format
        self.rows = rows
        self._clock = clock or RealClock()

    def run(self, text: str) -> int:
        """The exit code: 0, FAILED or INTERRUPTED."""
        began = self._clock.monotonic()
        try:
            job = self.client.start(text)
            try:
                self._follow(job, text, began)
            except KeyboardInterrupt:
                job.cancel()
                raise
        except TuleError as error:
            say(*faults.shown(error, text))
            return FAILED
        except KeyboardInterrupt:
            say("Cancelled")
            return INTERRUPTED
        return 0

    def _follow(self, job: QueryJob, text: str, began: float) -> None:
        """Wait for the end; the statements of a script are told of as they are done."""
        of = scanner.statements(text)
        told = 0
        with Waiting(text, self._clock) as waiting:
            while True:
                runs = job
                try:
                    ended = job.wait(_LOOK)
                finally:
                    if of > 1 or job.statement == "SCRIPT":
                        told, runs = self._tell_of_script(job, told, waiting)
                if ended:
                    break
                if runs is job:
                    job.refresh()
                waiting.show(runs, told, of)
        if job.statement != "SCRIPT":
            self._tell(job, self._clock.monotonic() - began)

    def _tell_of_script(self, job: QueryJob, told: int, waiting: Waiting) -> tuple[int, QueryJob]:
        """How many statements were told of by now, and the one that runs."""
        for child in job.children()[told:]:
            if not child.done or child.failed:
                return told, child
            waiting.hide()
            self._tell(child, child.seconds)
            told += 1
        return told, job

    def _tell(self, job: QueryJob, seconds: float) -> None:
        fields = job.schema
        if job.statement != "SELECT" or not fields:
            say(f"{_what(job)} in {seconds:.2f} s")
            return
        most = self.rows if self.rows is not None else (TABLE_ROWS if self.format == "table" else 0)
        written = FORMATS[self.format](fields, rows_of(job.rows(most or None)), sys.stdout)
        sys.stdout.flush()
        count = job.count() if written == most and most else written
        if count > written:
            more = f"--rows 0 {'shows' if self.format == 'table' else 'writes'} all"
            say(f"{written:,} of {row_count(count)} in {seconds:.2f} s; {more}")
        else:
            say(f"{row_count(count)} in {seconds:.2f} s")


def say(*lines: str) -> None:
    for line in lines:
        print(line, file=sys.stderr, flush=True)


def row_count(count: int) -> str:
    """``1 row``, ``2,000 rows``"""
    return f"{count:,} row" + ("" if count == 1 else "s")


def _what(job: QueryJob) -> str:
    """What a statement without rows did."""
    if job.affected is not None:
        return f"{row_count(job.affected)} {_CHANGED.get(job.statement, 'changed')}"
    verb, name = job.performed
    kind = next((noun for word, noun in _KINDS.items() if word in job.statement), "")
    if verb == "SKIP":
        return f"Nothing to do for {kind}{name}"
    words = f"{_DONE[verb]} {kind}{name}" if verb in _DONE else f"{job.statement.replace('_', ' ')} done"
    if job.written is not None:
        words += f" with {row_count(job.written)}"
    return words + _training(job.training)


def _training(told: dict[str, Any]) -> str:
    iterations = told.get("iterationResults") or []
    if trials := told.get("hparamTrials"):
        return f", {len(trials)} trial" + ("" if len(trials) == 1 else "s")
    if not iterations:
        return ""
    loss = iterations[-1].get("trainingLoss")
    count = f"{len(iterations)} iteration" + ("" if len(iterations) == 1 else "s")
    return f", {count}" + ("" if loss is None else f", loss {loss:.4g}")
