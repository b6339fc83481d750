"""What a trial reports: the file that ``cloudml-hypertune`` writes, as measurements.

The package writes its last hundred reports anew at each report, one JSON object a line; what was read before is kept, so
that longer curves are whole.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

# What stands in a report beside its metric.
_BESIDE = ("timestamp", "trial", "global_step", "checkpoint_path")


class Reports:
    """The reports of one trial, as far as they were read. ``metrics``: the names that count."""

    def __init__(self, path: Path, metrics: Sequence[str]) -> None:
        self._path = path
        self._metrics = metrics
        self._seen: set[tuple[float, str, str]] = set()
        self._first: float | None = None
        self.measurements: list[dict[str, Any]] = []
        self.not_finite = ""
        """The last metric that was reported as something else than a finite number."""

    def read(self) -> bool:
        """Read what is new; whether there was anything."""
        new = False
        for moment, step, name, value in self._lines():
            key = (moment, step, name)
            if key in self._seen or name not in self._metrics:
                continue
            self._seen.add(key)
            if math.isfinite(value):
                self._add(moment, step, name, value)
                new = True
            else:
                self.not_finite = name
        return new

    def _lines(self) -> Iterator[tuple[float, str, str, float]]:
        try:
            text = self._path.read_text(errors="replace")
        except OSError:
            return
        for line in text.splitlines():
            try:
                found = json.loads(line)
                name = next(key for key in found if key not in _BESIDE)
                yield float(found["timestamp"]), str(found.get("global_step", "0")), name, float(found[name])
            except (ValueError, TypeError, KeyError, StopIteration, AttributeError):
                # It is being written, or somebody else's: the next look sees it whole.
                continue

    def _add(self, moment: float, step: str, name: str, value: float) -> None:
        self._first = moment if self._first is None else self._first
        metric = {"metricId": name, "value": value}
        last = self.measurements[-1] if self.measurements else None
        if last is not None and last["stepCount"] == step and all(each["metricId"] != name for each in last["metrics"]):
            last["metrics"].append(metric)
            return
        elapsed = f"{max(0.0, moment - self._first):.6f}s"
        self.measurements.append({"stepCount": step, "elapsedDuration": elapsed, "metrics": [metric]})
