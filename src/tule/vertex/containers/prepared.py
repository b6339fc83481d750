"""A process that may be started, and what is left to do when it has ended."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tule.kernel.jobs import JobSpec
from tule.vertex.containers.copies import Copies


@dataclass(frozen=True)
class Prepared:
    """A process that may be started: ``Jobs.submit(owner, prepared.spec)``.

    ``notes`` are for its reader: where it gets less, or other, than its image says. ``finish`` once it has ended.
    """

    spec: JobSpec
    folder: Path
    notes: tuple[str, ...] = ()
    python: Path | None = None
    """The interpreter of its environment, which others run too; None for an image of one's own."""
    copies: Copies | None = field(default=None, repr=False)
    """Where the machine permits no ``/gcs``: the copies that stand for it."""
    end: Callable[[], None] | None = field(default=None, repr=False)
    """Ends what is not a child of the process (a container of Docker)."""

    def sync(self) -> None:
        """Write what changed below ``/gcs`` to its objects, while the process runs; real files need no help."""
        if self.copies is not None:
            self.copies.sync()

    def finish(self) -> None:
        """Write what is left, and remove the folder. Idempotent; what fails is raised once the folder is gone."""
        if not self.folder.exists():
            return
        try:
            if self.end is not None:
                self.end()
            if self.copies is not None:
                self.copies.sync(last=True)
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)
