"""Principal components from streamed sums: one pass for means and deviations, one for X'X, one for anomaly cutoffs.

X (n, D) are encoded rows: numbers centred (and divided by their sample deviation, unless ``scale_features`` is off), NULL
counting as the mean; categories one-hot, neither centred nor scaled. The components are the eigenvectors of X'X / (n - 1),
with no further centring, as BigQuery ML's published results show. A component's sign is arbitrary: here its largest loading
is positive.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa

from tule.kernel.errors import InvalidArgument, ResourceExhausted
from tule.learn.metrics import Evaluator
from tule.learn.models.base import ComponentInfo, ComponentValue, Model, Options, Parts, Rows, batches_of, option
from tule.learn.models.cutoffs import SAMPLE, cutoff_of, quantiles
from tule.learn.models.fitting import FitRequest, Source, feature_statistics
from tule.learn.models.fitting import Rows as EncodedRows
from tule.learn.sampling import RowSample
from tule.learn.schema import Field, Signature
from tule.learn.transforms import Block, Encoding

MOST_COLUMNS = 8192
"""X'X of more encoded columns would not fit beside the engine."""
_RANDOMIZED_FROM = 1024
_OVERSAMPLED = 10
_POWER_STEPS = 7


@dataclass
class PcaOptions(Options):
    """Options of PCA: exactly one of ``num_principal_components`` and ``pca_explained_variance_ratio``."""

    num_principal_components: int | None = option(None, low=1)
    pca_explained_variance_ratio: float | None = option(None, low=0.0, high=1.0)
    scale_features: bool = True
    pca_solver: str = option("AUTO", choices=("FULL", "RANDOMIZED", "AUTO"))

    def check(self, given: set[str]) -> None:
        ratio = self.pca_explained_variance_ratio
        if (self.num_principal_components is None) == (ratio is None):
            raise InvalidArgument(
                "PCA needs exactly one of NUM_PRINCIPAL_COMPONENTS and PCA_EXPLAINED_VARIANCE_RATIO",
                given="both" if ratio is not None else "neither",
                do="set one of them",
            )
        if ratio is not None and not 0.0 < ratio < 1.0:
            raise InvalidArgument("PCA_EXPLAINED_VARIANCE_RATIO must be between 0 and 1, both excluded", given=ratio)
        if ratio is not None and self.pca_solver == "RANDOMIZED":
            raise InvalidArgument(
                "PCA_SOLVER = 'RANDOMIZED' needs NUM_PRINCIPAL_COMPONENTS",
                given=f"PCA_EXPLAINED_VARIANCE_RATIO = {ratio}",
                do="use PCA_SOLVER = 'FULL'",
            )


class PcaModel(Model):
    """Fitted PCA. ``loadings`` (k, D): one component a row; ``eigenvalues`` (k,); ``total``: the sum of all D."""

    family = "pca"

    def __init__(
        self,
        common: Mapping[str, Any],
        encoding: Encoding,
        loadings: np.ndarray,
        eigenvalues: np.ndarray,
        total: float,
        cutoffs: np.ndarray,
    ) -> None:
        super().__init__(common)
        self.encoding = encoding
        self.loadings = loadings
        self.eigenvalues = eigenvalues
        self.total = total
        self.cutoffs = cutoffs
        """Reconstruction errors of the training rows, as ``cutoffs.quantiles`` keeps them."""

    @property
    def features(self) -> list[str]:
        return [feature.name for feature in self.encoding.features]

    @property
    def names(self) -> list[str]:
        """The columns of ``predict``."""
        return [field.name for field in self.signature.outputs]

    def scores(self, block: Block) -> np.ndarray:
        """(n, k) coordinates of encoded rows."""
        return block.times(np.ascontiguousarray(self.loadings.T))

    def predict(self, rows: Rows, *, threshold: float = 0.5) -> pa.Table:
        parts = [self.scores(self.encoding.encode(batch, scaled=True)) for batch in batches_of(rows)]
        return pa.table(
            {
                name: pa.chunked_array([np.ascontiguousarray(part[:, at]) for part in parts], pa.float64())
                for at, name in enumerate(self.names)
            }
        )

    def errors(self, block: Block) -> np.ndarray:
        """(n,) squared distance of encoded rows to their reconstruction, divided by the number of input columns."""
        return _lost(block, self.scores(block)) / len(self.signature.inputs)

    def detect_anomalies(self, rows: Rows, *, contamination: float) -> pa.Table:
        cutoff = cutoff_of(self.cutoffs, self.num_rows, contamination)
        found = [self.errors(self.encoding.encode(batch, scaled=True)) for batch in batches_of(rows)]
        return pa.table(
            {
                "is_anomaly": pa.chunked_array([part > cutoff for part in found], pa.bool_()),
                "mean_squared_error": pa.chunked_array(found, pa.float64()),
            }
        )

    def components(self) -> list[ComponentValue]:
        return [
            ComponentValue(at, name, value, pairs)
            for at, loading in enumerate(self.loadings)
            for name, value, pairs in self.encoding.lines(loading)
        ]

    def component_info(self) -> list[ComponentInfo]:
        shares = self.eigenvalues / self.total
        sums = np.cumsum(shares)
        return [
            ComponentInfo(at, float(value), float(shares[at]), float(sums[at]))
            for at, value in enumerate(self.eigenvalues)
        ]

    def evaluator(self, threshold: float) -> Evaluator:
        return Explained()

    def to_parts(self) -> Parts:
        state, arrays = self.encoding.to_parts()
        arrays |= {"loadings": self.loadings, "eigenvalues": self.eigenvalues, "cutoffs": self.cutoffs}
        return Parts({"encoding": state, "total": self.total}, arrays)

    @classmethod
    def from_parts(cls, common: Mapping[str, Any], parts: Parts) -> Self:
        arrays, state = parts.arrays, parts.state
        encoding = Encoding.from_parts(state["encoding"], arrays)
        return cls(common, encoding, arrays["loadings"], arrays["eigenvalues"], state["total"], arrays["cutoffs"])


class Explained(Evaluator):
    """The share of the rows' squared length that their reconstruction keeps."""

    def __init__(self) -> None:
        self._lost = 0.0
        self._all = 0.0

    def add(self, model: Model, batch: pa.RecordBatch) -> None:
        assert isinstance(model, PcaModel)
        block = model.encoding.encode(batch, scaled=True)
        self._lost += float(_lost(block, model.scores(block)).sum())
        self._all += float(block.squares().sum())

    def result(self) -> dict[str, float]:
        share = 1.0 - self._lost / self._all if self._all else math.nan
        return {"total_explained_variance_ratio": share}


def _lost(block: Block, scores: np.ndarray) -> np.ndarray:
    """(n,) squared length of what the components leave out: |x|^2 - |s|^2, since they are orthonormal."""
    return np.asarray(np.maximum(block.squares() - np.einsum("ij,ij->i", scores, scores), 0.0))


def fit_pca(request: FitRequest) -> PcaModel:
    """Fit PCA."""
    options: PcaOptions = request.options
    names = [field.name for field in request.inputs]
    request.watch.expect(3)
    survey = request.survey()
    if survey.rows < 2:
        raise InvalidArgument("PCA needs at least two rows", given=survey.rows, do="check the training query")
    encoding = Encoding.fit(survey, standardize=True)
    if not options.scale_features:
        encoding = encoding.unscaled()
    if encoding.width > MOST_COLUMNS:
        raise ResourceExhausted(
            f"PCA takes at most {MOST_COLUMNS:,} encoded columns",
            given=f"{encoding.width:,}, each category of a text column being one",
            do="leave columns with many categories out, or hash them into buckets",
        )

    def encode(batch: pa.RecordBatch) -> EncodedRows:
        return EncodedRows(encoding.encode(batch, scaled=True), np.empty(0))

    source = Source(request.data, names, encode, label=None, tick=request.watch.tick)
    gram = np.zeros((encoding.width, encoding.width))
    for rows in source:
        gram += rows.block.gram()
    gram /= survey.rows - 1
    total = float(np.trace(gram))
    if total <= 0.0:
        raise InvalidArgument(
            "PCA needs a feature that varies", given="only constant numbers", do="check the training query"
        )
    values, loadings = _eigen(gram, options, request.seed)
    cutoffs = _errors(source, loadings, len(names), survey.rows, request.seed)
    kept = float(values.sum()) / total
    outputs = tuple(Field(f"principal_component_{at + 1}", pa.float64()) for at in range(len(values)))
    common = {
        "signature": Signature(request.inputs, None, outputs),
        "options": {**options.to_json(), "num_principal_components": len(values)},
        "classes": None,
        "iterations": [request.watch.iteration(0, 1.0 - kept, of=1)],
        "statistics": feature_statistics(survey),
        "num_rows": survey.rows,
        "skipped_rows": 0,
        "notes": [],
    }
    return PcaModel(common, encoding, loadings, values, total, cutoffs)


def _eigen(gram: np.ndarray, options: PcaOptions, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The largest eigenvalues, descending, and their eigenvectors as rows."""
    width = len(gram)
    wanted = options.num_principal_components
    if wanted is not None and wanted > width:
        raise InvalidArgument(
            f"NUM_PRINCIPAL_COMPONENTS must be at most the {width} encoded columns", given=wanted, do="lower it"
        )
    randomized = options.pca_solver == "RANDOMIZED" or (
        options.pca_solver == "AUTO" and wanted is not None and width > _RANDOMIZED_FROM and wanted * 10 < width
    )
    if randomized:
        assert wanted is not None
        values, vectors = _randomized(gram, wanted, seed)
    else:
        values, vectors = np.linalg.eigh(gram)
        values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
    if wanted is None:
        # The first sum that reaches the ratio; rounding must not ask for one component more.
        shares = np.cumsum(values) / values.sum()
        assert options.pca_explained_variance_ratio is not None
        wanted = int(np.searchsorted(shares, options.pca_explained_variance_ratio - 1e-12)) + 1
        wanted = min(wanted, width)
    loadings = np.ascontiguousarray(vectors[:, :wanted].T)
    largest = loadings[np.arange(wanted), np.abs(loadings).argmax(axis=1)]
    loadings *= np.where(largest < 0.0, -1.0, 1.0)[:, None]
    return np.ascontiguousarray(values[:wanted]), loadings


def _randomized(gram: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Subspace iteration from a random start (Halko, Martinsson, Tropp 2011, algorithm 4.4)."""
    rng = np.random.default_rng(seed)
    basis = rng.standard_normal((len(gram), min(len(gram), count + _OVERSAMPLED)))
    for _ in range(_POWER_STEPS):
        basis, _ = np.linalg.qr(gram @ basis)
    values, vectors = np.linalg.eigh(basis.T @ gram @ basis)
    return np.maximum(values[::-1], 0.0), (basis @ vectors)[:, ::-1]


def _errors(source: Source, loadings: np.ndarray, columns: int, rows: int, seed: int) -> np.ndarray:
    """A last pass: the reconstruction errors of the training rows."""
    turned = np.ascontiguousarray(loadings.T)
    sample = RowSample(SAMPLE, seed=seed)
    for each in source:
        sample.add(_lost(each.block, each.block.times(turned)) / columns)
    return quantiles(sample.values(), rows)
