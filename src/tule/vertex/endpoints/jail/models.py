"""A user's model in the jail: what every loader gives, and how its answers become JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tule.vertex.endpoints.jail.tensors import Tensors


class Refused(Exception):
    """The model cannot be served; ``code`` is the canonical code the server answers with."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Model:
    """A loaded user model: what it is, and how it predicts.

    ``form`` says what may be taken out of it: ``estimator`` (perhaps arrays), ``booster`` (xgboost's own file), or
    ``graph`` (nothing: it runs here).
    """

    def __init__(self, loaded: Any, predict: Callable[[Any], Any], *, form: str = "estimator", kind: str = "") -> None:
        self.loaded = loaded
        self.form = form
        self.kind = kind or f"{type(loaded).__module__}.{type(loaded).__qualname__}"
        self._predict = predict
        self.tensors: Callable[[], Tensors] | None = None
        """The model for columns, where it has that form."""
        self.rows: Callable[[Sequence[Any]], list[Any]] = self._lists
        names = getattr(loaded, "feature_names_in_", None)
        self.feature_names = [str(name) for name in names] if names is not None else None
        number: Any = getattr(loaded, "n_features_in_", None)
        self.num_features: int | None = int(number) if hasattr(number, "__int__") else None

    def predict(self, instances: Sequence[Any]) -> list[Any]:
        answers = plain(self._predict(self.rows(instances)))
        if not isinstance(answers, list) or len(answers) != len(instances):
            raise Refused(
                "INTERNAL", f"{self.kind}.predict must answer one value a row; it answered {str(answers)[:200]}"
            )
        return answers

    def _lists(self, instances: Sequence[Any]) -> list[Any]:
        """The instances as lists in the order of the model's features, their number checked."""
        rows: list[Any] = []
        for place, instance in enumerate(instances):
            if isinstance(instance, Mapping):
                instance = self._ordered(instance, place)
            if isinstance(instance, list) and self.num_features is not None and len(instance) != self.num_features:
                raise Refused(
                    "INVALID_ARGUMENT",
                    f"Each instance must have {self.num_features} features; given: {len(instance)} in instance {place}",
                )
            rows.append(instance)
        return rows

    def _ordered(self, instance: Mapping[str, Any], place: int) -> list[Any]:
        if self.feature_names is None:
            raise Refused(
                "INVALID_ARGUMENT",
                "This model does not know its feature names, so an instance must be a list; given: an object in "
                f"instance {place}. Next: send the values in training order",
            )
        missing = [name for name in self.feature_names if name not in instance]
        unknown = [name for name in instance if name not in self.feature_names]
        if missing or unknown:
            raise Refused(
                "INVALID_ARGUMENT",
                f"An instance must have exactly the model's features; given: instance {place}"
                + (f" without {', '.join(missing)}" if missing else "")
                + (f" with unknown {', '.join(unknown)}" if unknown else ""),
            )
        return [instance[name] for name in self.feature_names]


def plain(value: Any) -> Any:
    """NumPy, pandas and sparse results as JSON values."""
    if hasattr(value, "toarray"):
        value = value.toarray()
    if hasattr(value, "to_numpy"):
        value = value.to_numpy()
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)
