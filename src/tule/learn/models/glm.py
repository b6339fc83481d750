"""Linear and logistic models once fitted: one weight per encoded column and score.

Symbols: D encoded columns, K scores (1 for regression and binary, one a class otherwise). Weights are kept for
standardised columns (``coef`` (D, K), ``intercept`` (K,)); those in the units of the data follow from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa

from tule.kernel.errors import FailedPrecondition
from tule.learn.explain.linear import attributions
from tule.learn.metrics import Classification, Evaluator, Regression
from tule.learn.models.base import AdvancedWeight, Parts, Rows, Weight, batches_of
from tule.learn.models.expression import LinearExpression, LinearOutput, Term
from tule.learn.models.supervised import Explained, Supervised, choose, classified
from tule.learn.transforms import Block, Encoding, Kind
from tule.learn.transforms.encoding import NULL_CATEGORY
from tule.learn.transforms.features import value_of

INTERCEPT = "__INTERCEPT__"


class GeneralizedLinearModel(Supervised):
    """What linear and logistic regression share."""

    link: ClassVar[str] = "identity"

    def __init__(
        self,
        common: Mapping[str, Any],
        encoding: Encoding,
        coef: np.ndarray,
        intercept: np.ndarray,
        errors: np.ndarray | None = None,
        degrees: float | None = None,
    ) -> None:
        super().__init__(common)
        self.encoding = encoding
        self.coef = coef
        self.intercept = intercept
        self.errors = errors
        """Standard errors of standardised weights then intercept, (D + 1,), NaN for dropped columns; None without."""
        self.degrees = degrees
        """Residual degrees of freedom of the t distribution of a linear model's p-values; None: normal."""
        self.raw_coef = coef.copy()
        numbers = len(encoding.numbers)
        self.raw_coef[:numbers] /= encoding.scales[:, None]
        self.raw_intercept = intercept - encoding.centers @ self.raw_coef[:numbers]
        self._owners = encoding.owners()
        self._means = encoding.column_means(self.num_rows, scaled=False)

    def block(self, batch: pa.RecordBatch) -> Block:
        """Encoded rows of a batch, numbers in their own units."""
        return self.encoding.encode(batch, scaled=False)

    def scores(self, block: Block) -> np.ndarray:
        """(n, K) scores of encoded rows."""
        return block.times(self.raw_coef) + self.raw_intercept

    def weights(self, *, standardize: bool = False) -> list[Weight]:
        coef, intercept = (self.coef, self.intercept) if standardize else (self.raw_coef, self.raw_intercept)
        found: list[Weight] = []
        for score in range(coef.shape[1]):
            label = self.classes[score] if self.classes is not None and coef.shape[1] > 1 else None
            own: dict[int, list[Weight]] = {}
            for name, feature, column, texts in self._columns():
                values = coef[column, score]
                if texts is None:
                    weight = Weight(name, float(values[0]), (), label)
                else:
                    pairs = zip(texts, values.tolist(), strict=True)
                    weight = Weight(name, None, tuple(pairs), label)
                own.setdefault(feature, []).append(weight)
            for feature in sorted(own):
                found += own[feature]
            found.append(Weight(INTERCEPT, float(intercept[score]), (), label))
        return found

    def _columns(self) -> list[tuple[str, int, slice, list[str] | None]]:
        """(name, feature, encoded columns, category texts or None for a number) of each derived column."""
        encoding = self.encoding
        found: list[tuple[str, int, slice, list[str] | None]] = []
        at = 0
        for number in encoding.numbers:
            found.append((number.name, number.feature, slice(at, at + 1), None))
            at += 1
        for vector in encoding.vectors:
            size = len(vector.means)
            found.append((vector.name, vector.feature, slice(at, at + size), [str(place) for place in range(size)]))
            at += size
        for category in encoding.categories:
            texts = [NULL_CATEGORY if text is None else text for text in category.labels()]
            found.append((category.name, category.feature, slice(at, at + len(texts)), texts))
            at += len(texts)
        for multi in encoding.multis:
            found.append((multi.name, multi.feature, slice(at, at + len(multi.texts)), list(multi.texts)))
            at += len(multi.texts)
        for sparse in encoding.sparses:
            size = len(sparse.means)
            found.append((sparse.name, sparse.feature, slice(at, at + size), [str(place) for place in range(size)]))
            at += size
        return found

    def advanced_weights(self, *, standardize: bool = False) -> list[AdvancedWeight]:
        if self.errors is None:
            raise FailedPrecondition(
                "p-values exist only for a model trained with CALCULATE_P_VALUES",
                given=self.family,
                do="train it again with CALCULATE_P_VALUES = TRUE and CATEGORY_ENCODING_METHOD = 'DUMMY_ENCODING'",
            )
        from scipy.special import ndtr, stdtr

        coef = self.coef if standardize else self.raw_coef
        scales = np.ones(len(coef))
        if not standardize:
            scales[: len(self.encoding.numbers)] = self.encoding.scales

        def p_value(weight: float, error: float) -> float:
            if not error > 0.0:
                return float("nan")
            size = -abs(weight / error)
            return float(2.0 * (ndtr(size) if self.degrees is None else stdtr(self.degrees, size)))

        found: list[AdvancedWeight] = []
        order = sorted(self._columns(), key=lambda item: item[1])
        for name, _, columns, texts in order:
            for place in range(columns.start, columns.stop):
                weight, error = float(coef[place, 0]), float(self.errors[place] / scales[place])
                category = None if texts is None else texts[place - columns.start]
                if np.isnan(error):
                    weight = float("nan") if texts is not None else weight
                found.append(AdvancedWeight(name, category, weight, error, p_value(weight, error)))
        if standardize:
            weight, error = float(self.intercept[0]), float(self.errors[-1])
            found.append(AdvancedWeight(INTERCEPT, None, weight, error, p_value(weight, error)))
        else:
            found.append(AdvancedWeight(INTERCEPT, None, float(self.raw_intercept[0]), None, None))
        return found

    def linear_expression(self) -> LinearExpression:
        outputs = []
        for score in range(self.raw_coef.shape[1]):
            weights = self.raw_coef[:, score]
            terms: list[tuple[int, Term]] = []
            at = 0
            encoding = self.encoding
            for number in encoding.numbers:
                feature = encoding.features[number.feature]
                part = "UNIX_SECONDS" if feature.kind is Kind.TIMESTAMP else None
                terms.append(
                    (
                        number.feature,
                        Term(feature.name, feature.path, part, "numeric", float(weights[at]), number.mean),
                    )
                )
                at += 1
            for vector in encoding.vectors:
                feature, size = encoding.features[vector.feature], len(vector.means)
                values, means = tuple(weights[at : at + size].tolist()), tuple(vector.means.tolist())
                terms.append(
                    (
                        vector.feature,
                        Term(feature.name, feature.path, None, "vector", vector=values, vector_mean=means),
                    )
                )
                at += size
            for category in encoding.categories:
                feature = encoding.features[category.feature]
                table: dict[Any, float] = {}
                for text in category.labels():
                    if text is None:
                        key: Any = None
                    else:
                        key = int(text) if category.part else value_of(text, feature.type)
                    table[key] = float(weights[at])
                    at += 1
                term = Term(feature.name, feature.path, category.part, "category", weights=table)
                terms.append((category.feature, term))
            for multi in encoding.multis:
                feature = encoding.features[multi.feature]
                table = {}
                for text in multi.texts:
                    table[value_of(text, feature.type.value_type)] = float(weights[at])
                    at += 1
                terms.append((multi.feature, Term(feature.name, feature.path, None, "multi", weights=table)))
            for sparse in encoding.sparses:
                feature, size = encoding.features[sparse.feature], len(sparse.means)
                values = tuple(weights[at : at + size].tolist())
                terms.append((sparse.feature, Term(feature.name, feature.path, None, "sparse", vector=values)))
                at += size
            terms.sort(key=lambda item: item[0])
            label = None
            if self.classes is not None:
                label = self.classes[score] if self.raw_coef.shape[1] > 1 else self.classes[1]
            outputs.append(LinearOutput(label, float(self.raw_intercept[score]), tuple(term for _, term in terms)))
        link: Any = "identity"
        if self.classes is not None:
            link = "softmax" if self.raw_coef.shape[1] > 1 else "logistic"
        return LinearExpression(link, tuple(self.classes or ()), tuple(outputs))

    def _attributions(self, block: Block, score: int) -> np.ndarray:
        return attributions(block, self.raw_coef[:, score], self._means, self._owners, len(self.features))

    def baselines(self) -> np.ndarray:
        """(K,) scores at the training means."""
        return np.asarray(self.raw_intercept + self._means @ self.raw_coef)

    def to_parts(self) -> Parts:
        state, arrays = self.encoding.to_parts()
        arrays |= {"coef": self.coef, "intercept": self.intercept}
        if self.errors is not None:
            arrays["errors"] = self.errors
        return Parts({"encoding": state, "degrees": self.degrees}, arrays)

    @classmethod
    def from_parts(cls, common: Mapping[str, Any], parts: Parts) -> Self:
        arrays, state = parts.arrays, parts.state
        encoding = Encoding.from_parts(state["encoding"], arrays)
        return cls(common, encoding, arrays["coef"], arrays["intercept"], arrays.get("errors"), state["degrees"])


class LinearModel(GeneralizedLinearModel):
    """A fitted linear regression."""

    family = "linear_regression"

    def predict(self, rows: Rows, *, threshold: float = 0.5) -> pa.Table:
        parts = [self.scores(self.block(batch))[:, 0] for batch in batches_of(rows)]
        return pa.table({"prediction": pa.chunked_array(parts, pa.float64())})

    def explain_block(self, block: Block, threshold: float = 0.5) -> Explained:
        baseline = np.full(block.rows, self.baselines()[0])
        shares = self._attributions(block, 0)
        values = baseline + shares.sum(axis=1)
        return Explained(values, None, shares, baseline, values)

    def evaluator(self, threshold: float) -> Evaluator:
        assert self.signature.label is not None
        return Regression(self.signature.label.name)


class LogisticModel(GeneralizedLinearModel):
    """A fitted logistic regression, binary (one score) or multinomial (one a class)."""

    family = "logistic_regression"

    def probabilities(self, block: Block) -> np.ndarray:
        """(n, number of classes)"""
        return probabilities_of(self.scores(block))

    def predict(self, rows: Rows, *, threshold: float = 0.5) -> pa.Table:
        parts = [self.probabilities(self.block(batch)) for batch in batches_of(rows)]
        return classified(parts, self.signature, self.classes or [], threshold)

    def explain_block(self, block: Block, threshold: float = 0.5) -> Explained:
        probabilities = self.probabilities(block)
        chosen = choose(probabilities, threshold)
        baselines = self.baselines()
        if len(baselines) == 1:
            sign = np.where(chosen == 1, 1.0, -1.0)
            shares, baseline = self._attributions(block, 0) * sign[:, None], sign * baselines[0]
        else:
            shares, baseline = np.empty((block.rows, len(self.features))), baselines[chosen]
            for score in np.unique(chosen):
                own = chosen == score
                shares[own] = self._attributions(block, int(score))[own]
        own_probability = probabilities[np.arange(len(chosen)), chosen]
        return Explained(own_probability, chosen, shares, baseline, baseline + shares.sum(axis=1))

    def evaluator(self, threshold: float) -> Evaluator:
        return Classification(self, threshold)


def probabilities_of(scores: np.ndarray) -> np.ndarray:
    """Scores (n, K) to probabilities: the logistic function for one score, softmax for several."""
    if scores.shape[1] == 1:
        with np.errstate(over="ignore"):
            positive = 1.0 / (1.0 + np.exp(-scores[:, 0]))
        return np.column_stack([1.0 - positive, positive])
    shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))
