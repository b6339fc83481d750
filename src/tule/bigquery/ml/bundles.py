"""Trained models on disk: ``bundles/<id>`` in the data directory, written once, never changed.

    model/              what ``learn.bundle`` writes, with the TRANSFORM beside it: all that serving needs
    trials/<id>/        of a tuned model: the same of each trial that succeeded; model/ is the optimal one's
    evaluation.arrow    the rows that evaluation functions take when a query gives them none
    distributions.json  how the values of each feature column of the training rows are distributed, before any TRANSFORM

Of a model that was not trained here, ``model/`` holds ``import.json`` and the files that it came from.

A bundle appears whole or not at all; a model's record names it, and what no record names is swept at the next start.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tule.bigquery.ml import transform as transforms
from tule.bigquery.ml.batches import FileBatches, write_file
from tule.bigquery.ml.functions import Trained
from tule.bigquery.ml.imports.files import FOLDER
from tule.bigquery.ml.imports.ports import Endpoints, ForeignModels
from tule.bigquery.ml.options import ModelOptions
from tule.bigquery.ml.registration import RegisteredFiles
from tule.bigquery.ml.transform import Transform
from tule.bigquery.ml.trials import Tuning
from tule.kernel.errors import NotFound
from tule.kernel.home import Home, sync_folder, write_private

if TYPE_CHECKING:
    from tule.learn.drift import Distribution
    from tule.learn.models import FeatureStatistics, Iteration, Model

_OPEN = 32
EVALUATION, IMPORTED = "evaluation.arrow", "import.json"
DISTRIBUTIONS = "distributions.json"
TRIALS = "trials"
_SCRATCH = ".scratch"


def _no_rows() -> FileBatches:
    raise NotFound("A model that was not trained here keeps no rows")


class Bundles:
    """The bundles of one data directory. Safe to use from any thread; the latest opened stay in memory."""

    def __init__(self, home: Home, foreign: Callable[[], ForeignModels], endpoints: Callable[[], Endpoints]) -> None:
        """``foreign`` and ``endpoints`` answer for models that were not trained here."""
        self._root = home.folder("bundles")
        self._foreign = foreign
        self._endpoints = endpoints
        self._lock = threading.Lock()
        self._open: OrderedDict[str, Trained] = OrderedDict()

    def directory(self, bundle: str) -> Path:
        """The folder that serving needs."""
        return self._root / bundle / "model"

    def files(self, bundle: str) -> RegisteredFiles:
        """What the model registry keeps of a bundle: of an imported model the files that it came from."""
        from tule.bigquery.ml.imports.foreign import FORMATS
        from tule.learn import bundle as files

        directory = self.directory(bundle)
        if not (directory / IMPORTED).exists():
            return RegisteredFiles(directory, "bundle", files.MANIFEST)
        about = json.loads((directory / IMPORTED).read_bytes())
        return RegisteredFiles(directory / FOLDER, FORMATS[about["options"]["model_type"]], about["file"])

    def draft(self) -> Draft:
        """A place for a bundle that is being made."""
        bundle = secrets.token_hex(16)
        folder = self._root / f".{bundle}"
        folder.mkdir(mode=0o700)
        return Draft(self._root, bundle, folder)

    def open(self, bundle: str, name: str) -> Trained:
        """The model of a bundle; NotFound once it was removed. ``name`` is what messages call it."""
        with self._lock:
            found = self._open.get(bundle)
            if found is not None:
                self._open.move_to_end(bundle)
                return found
        opened = self._read(bundle, name)
        with self._lock:
            self._open[bundle] = opened
            while len(self._open) > _OPEN:
                self._open.popitem(last=False)
        return opened

    def _read(self, bundle: str, name: str) -> Trained:
        from tule.learn import bundle as files

        directory = self.directory(bundle)
        if (directory / IMPORTED).exists():
            return self._read_import(directory, name)
        told = files.read(directory).provenance.get("tuning")
        tuning = None if told is None else Tuning.from_json(told)
        return self._opened(bundle, name, directory, tuning)

    def _trial(self, bundle: str, name: str, trial: int, tuning: Tuning) -> Trained:
        """The model of a trial that succeeded."""
        key = f"{bundle}/{trial}"
        with self._lock:
            found = self._open.get(key)
        if found is None:
            found = self._opened(bundle, name, self._root / bundle / TRIALS / str(trial), tuning)
            with self._lock:
                self._open[key] = found
        return found

    def _opened(self, bundle: str, name: str, directory: Path, tuning: Tuning | None) -> Trained:
        from tule.learn import bundle as files
        from tule.learn.models import Cluster, FeatureStatistics, Iteration

        about = files.read(directory).provenance
        options = about["options"]
        values = {**options["values"]}
        if values.get("class_weights"):
            values["class_weights"] = [tuple(each) for each in values["class_weights"]]
        runs = [
            [Iteration(**{**each, "clusters": tuple(Cluster(**one) for one in each["clusters"])}) for each in run]
            for run in about["earlier_runs"]
        ]
        kept = self._root / bundle / EVALUATION
        return Trained(
            name=name,
            options=ModelOptions(options["model_type"], values, frozenset(options["given"])),
            model=files.load(directory),
            kept=lambda: FileBatches(kept),
            statistics=[FeatureStatistics(**each) for each in about["statistics"]],
            earlier_runs=runs,
            transform=transforms.read(directory),
            tuning=tuning,
            of_trial=None if tuning is None else lambda trial: self._trial(bundle, name, trial, tuning),
            distributions=lambda: self._distributions(bundle),
        )

    def _distributions(self, bundle: str) -> dict[str, Distribution] | None:
        from tule.learn.drift import distribution_of

        path = self._root / bundle / DISTRIBUTIONS
        if not path.exists():
            return None
        return {name: distribution_of(each) for name, each in json.loads(path.read_bytes()).items()}

    def _read_import(self, directory: Path, name: str) -> Trained:
        from tule.bigquery.ml.imports.foreign import opened

        about = json.loads((directory / IMPORTED).read_bytes())
        written = about["options"]
        options = ModelOptions(written["model_type"], written["values"], frozenset(written["given"]))
        model = opened(about, options, directory, self._foreign, self._endpoints)
        return Trained(name=name, options=options, model=model, kept=_no_rows, statistics=())

    def copy(self, bundle: str) -> str:
        """Another bundle of the same contents; NotFound once the first was removed. Files are shared: none ever changes."""
        draft = self.draft()
        try:
            shutil.copytree(self._root / bundle, draft.folder, copy_function=os.link, dirs_exist_ok=True)
        except (FileNotFoundError, shutil.Error):
            draft.discard()
            raise NotFound(f"The bundle {bundle} was removed") from None
        for folder, _, _ in os.walk(draft.folder):
            sync_folder(Path(folder))
        draft.appear()
        return draft.bundle

    def remove(self, bundle: str) -> None:
        with self._lock:
            for key in [key for key in self._open if key.partition("/")[0] == bundle]:
                del self._open[key]
        if (files := self.directory(bundle) / FOLDER).exists():
            self._foreign().forget(files)
        shutil.rmtree(self._root / bundle, ignore_errors=True)

    def sweep(self, used: set[str]) -> int:
        """Remove what no model names: trainings that a crash cut off. Their number."""
        left = [path for path in self._root.iterdir() if path.name not in used]
        for path in left:
            shutil.rmtree(path, ignore_errors=True)
        return len(left)


class Draft:
    """A bundle while it is made: nothing of it is seen before ``publish``."""

    def __init__(self, root: Path, bundle: str, folder: Path) -> None:
        self._root = root
        self.folder = folder
        self.bundle = bundle

    @property
    def evaluation(self) -> Path:
        """Where the kept rows go; training may read held-out rows from here."""
        return self.folder / EVALUATION

    def keep(self, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> FileBatches:
        """Write the evaluation rows; they can be read at once."""
        write_file(self.evaluation, schema, batches)
        return FileBatches(self.evaluation)

    def scratch(self, name: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> FileBatches:
        """Write rows that training reads and that are no part of the bundle."""
        path = self.folder / f"{name}{_SCRATCH}"
        write_file(path, schema, batches)
        return FileBatches(path)

    def keep_trial(
        self,
        trial: int,
        model: Model,
        options: ModelOptions,
        transform: Transform | None,
        statistics: Sequence[FeatureStatistics],
    ) -> None:
        """Write the model of a trial."""
        self._write(self.folder / TRIALS / str(trial), model, options, transform, statistics)

    def trial(self, trial: int) -> Model:
        from tule.learn import bundle as files

        return files.load(self.folder / TRIALS / str(trial))

    def publish(
        self,
        model: Model,
        options: ModelOptions,
        *,
        transform: Transform | None,
        statistics: Sequence[FeatureStatistics],
        earlier_runs: Sequence[Sequence[Iteration]],
        metrics: Mapping[str, Any],
        tuning: Tuning | None = None,
        distributions: Mapping[str, Distribution] | None = None,
    ) -> None:
        """Write the rest and make the bundle appear; durable when this returns."""
        more: dict[str, Any] = {"earlier_runs": [[asdict(each) for each in run] for run in earlier_runs]}
        if tuning is not None:
            more["tuning"] = tuning.to_json()
        self._write(self.folder / "model", model, options, transform, statistics, metrics, more)
        for path in self.folder.glob(f"*{_SCRATCH}"):
            path.unlink()
        if distributions is not None:
            content = {name: each.to_json() for name, each in distributions.items()}
            write_private(self.folder / DISTRIBUTIONS, json.dumps(content).encode())
        descriptor = os.open(self.evaluation, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        sync_folder(self.folder)
        self.appear()

    def import_(self, manifest: Mapping[str, Any]) -> None:
        """Write what is known of a model whose files are in place; the bundle is whole, and durable, after this."""
        write_private(self.folder / "model" / IMPORTED, json.dumps(manifest).encode())
        sync_folder(self.folder / "model")
        sync_folder(self.folder)

    @staticmethod
    def _write(
        directory: Path,
        model: Model,
        options: ModelOptions,
        transform: Transform | None,
        statistics: Sequence[FeatureStatistics],
        metrics: Mapping[str, Any] | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        from tule.learn import bundle as files

        about = {
            "options": {
                "model_type": options.model_type,
                "values": dict(options.values),
                "given": sorted(options.given),
            },
            "statistics": [asdict(each) for each in statistics],
            "earlier_runs": [],
            **(more or {}),
        }
        files.save(model, directory, metrics=metrics, provenance=about)
        if transform is not None:
            write_private(directory / transforms.FILE, json.dumps(transform.to_json()).encode())

    def appear(self) -> None:
        """Give the bundle its name; what is in it is durable."""
        self.folder.rename(self._root / self.bundle)
        sync_folder(self._root)

    def discard(self) -> None:
        """Remove what was written, where it was not published."""
        shutil.rmtree(self.folder, ignore_errors=True)
