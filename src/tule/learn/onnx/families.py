"""A fitted model as an ONNX graph that answers what ML.PREDICT does: one input a feature, one output a column.

    regression          predicted_<label> float64
    classification      predicted_<label> (the label's type, or its text) and predicted_<label>_probs (classes descending)
    k-means             CENTROID_ID, NEAREST_CENTROIDS, NEAREST_CENTROIDS_DISTANCE: the nearest, ascending
    PCA, autoencoder    a column each, as they are called in SQL
    factorization       predicted_<rating>
    a blend             as its parts do: their weighted mean

Arithmetic is float64, but trees, which are float32 in XGBoost. Features, classes and the family stand in the metadata.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson

from tule.learn.models.base import Model
from tule.learn.models.blend import LARGEST_LOG, BlendModel, Part
from tule.learn.models.factorization import FactorizationModel, Side
from tule.learn.models.glm import GeneralizedLinearModel
from tule.learn.models.kmeans import NEAREST, KMeansModel
from tule.learn.models.neural import AutoencoderModel, NeuralModel
from tule.learn.models.pca import PcaModel
from tule.learn.models.trees import TreeModel
from tule.learn.neural import Network
from tule.learn.onnx.builder import ML, Graph
from tule.learn.onnx.preprocessing import Encoded, no_form
from tule.learn.transforms.features import text_of

_FLOAT, _INT64, _BOOL, _DOUBLE = 1, 7, 9, 11
_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805


def graph_of(model: Model, before: Callable[[Graph], None] = lambda graph: None) -> Graph:
    """The graph of a model; Unimplemented names what of it has no exact form. ``before``: puts in what makes its inputs."""
    for kind, build in _FAMILIES:
        if isinstance(model, kind):
            graph = Graph(model.family)
            graph.metadata = {"family": model.family, "features": _text(model.features)}
            if model.classes is not None:
                graph.metadata["classes"] = _text([_label(each) for each in model.classes])
            before(graph)
            build(graph, model)
            return graph
    raise no_form("A model of this family", model.family)


def _text(values: Any) -> str:
    return orjson.dumps(values).decode()


# -- what learns from a label


def _supervised(graph: Graph, model: Model) -> None:
    values = _values(graph, model)
    if model.classes is None:
        _number(graph, model, values)
    else:
        _classes(graph, model, values)


def _values(graph: Graph, model: Model) -> str:
    """Predictions (n,) of a regression, or probabilities (n, classes)."""
    for kind, build in _SCORES:
        if isinstance(model, kind):
            scores = build(graph, model)
            return _squeezed(graph, scores) if model.classes is None else _chances(graph, scores, len(model.classes))
    raise no_form("A model of this family", model.family)


def _linear(graph: Graph, model: GeneralizedLinearModel) -> str:
    encoded = Encoded(graph, model.encoding, scaled=False)
    return graph.node("Add", encoded.times(model.raw_coef), graph.constant(model.raw_intercept))


def _neural(graph: Graph, model: NeuralModel) -> str:
    inputs = Encoded(graph, model.encoding, scaled=True).matrix()
    return _layers(graph, model.network, inputs, len(model.network.layers))


def _blend(graph: Graph, model: BlendModel) -> None:
    """The weighted mean of the parts: each reads the same inputs."""
    parts = [graph.node("Mul", _part(graph, model, each), graph.constant(each.weight)) for each in model.parts]
    mean = parts[0] if len(parts) == 1 else graph.node("Sum", *parts)
    if model.classes is None:
        _number(graph, model, mean)
    else:
        _classes(graph, model, mean)


def _part(graph: Graph, model: BlendModel, part: Part) -> str:
    """A part's predictions in units of the label, or its probabilities in the order of the blend's classes."""
    values = _values(graph, part.model)
    if model.classes is None:
        if not part.logarithm:
            return values
        power = graph.node("Exp", graph.node("Min", values, graph.constant(LARGEST_LOG)))
        return graph.node("Sub", power, graph.constant(1.0))
    order = part.in_order(np.eye(len(part.model.classes or ())), model.classes)
    return (
        values
        if np.array_equal(order, np.eye(len(model.classes)))
        else graph.node("MatMul", values, graph.constant(order))
    )


def _autoencoder(graph: Graph, model: AutoencoderModel) -> None:
    inputs = Encoded(graph, model.encoding, scaled=True).matrix()
    middle = (len(model.network.layers) - 2) // 2
    latent = _activated(graph, model.network.activation, _layers(graph, model.network, inputs, middle + 1))
    _columns(graph, latent, [field.name for field in model.signature.outputs])


def _layers(graph: Graph, network: Network, inputs: str, count: int) -> str:
    """The first layers of a network, the last without its activation."""
    found = inputs
    for at, (weights, biases) in enumerate(network.layers[:count]):
        if at:
            found = _activated(graph, network.activation, found)
        found = graph.node("Add", graph.node("MatMul", found, graph.constant(weights)), graph.constant(biases))
    if network.wide is not None and count == len(network.layers):
        found = graph.node("Add", found, graph.node("MatMul", inputs, graph.constant(network.wide)))
    return found


def _activated(graph: Graph, activation: str, x: str) -> str:
    if activation == "SIGMOID":
        return _sigmoid(graph, x)
    if activation == "TANH":
        return graph.node("Tanh", x)
    zero = graph.constant(0.0)

    def elu(alpha: float) -> str:
        power = graph.node("Sub", graph.node("Exp", graph.node("Min", x, zero)), graph.constant(1.0))
        below = graph.node("Mul", power, graph.constant(alpha))
        return graph.node("Where", graph.node("Greater", x, zero), x, below)

    match activation:
        case "RELU":
            return graph.node("Max", x, zero)
        case "RELU6":
            return graph.node("Min", graph.node("Max", x, zero), graph.constant(6.0))
        case "CRELU":
            negative = graph.node("Max", graph.node("Neg", x), zero)
            return graph.node("Concat", graph.node("Max", x, zero), negative, axis=1)
        case "ELU":
            return elu(1.0)
        case "SELU":
            return graph.node("Mul", elu(_SELU_ALPHA), graph.constant(_SELU_SCALE))
    raise no_form("The activation of this network", activation)


def _clusters(graph: Graph, model: KMeansModel) -> None:
    rows = Encoded(graph, model.encoding, scaled=True).matrix()
    centers, axes = model.centers, graph.constant([1], "int64")
    if model.cosine:
        norms = np.linalg.norm(centers, axis=1)
        unit = centers / np.where(norms > 0.0, norms, 1.0)[:, None]
        squares = graph.node("ReduceSum", graph.node("Mul", rows, rows), axes, keepdims=1)
        length = graph.node("Sqrt", squares)
        none = graph.node("Equal", length, graph.constant(0.0))
        products = graph.node("MatMul", rows, graph.constant(np.ascontiguousarray(unit.T)))
        share = graph.node("Div", products, graph.node("Where", none, graph.constant(1.0), length))
        distances = graph.node("Sub", graph.constant(1.0), share)
    else:
        wide = graph.node("Unsqueeze", rows, axes)
        apart = graph.node("Sub", wide, graph.constant(centers[None]))
        squares = graph.node("ReduceSum", graph.node("Mul", apart, apart), graph.constant([2], "int64"), keepdims=0)
        distances = graph.node("Sqrt", squares)
    count = min(NEAREST, len(centers))
    k = graph.constant([count], "int64")
    values, places = graph.several("TopK", (distances, k), 2, {"axis": 1, "largest": 0, "sorted": 1})
    ids = graph.node("Add", places, graph.constant(1, "int64"))
    first = graph.node("Gather", ids, graph.constant(0, "int64"), axis=1)
    graph.output("CENTROID_ID", first, "int64")
    graph.output("NEAREST_CENTROIDS", ids, "int64", (count,))
    graph.output("NEAREST_CENTROIDS_DISTANCE", values, "float64", (count,))


def _components(graph: Graph, model: PcaModel) -> None:
    encoded = Encoded(graph, model.encoding, scaled=True)
    _columns(graph, encoded.times(np.ascontiguousarray(model.loadings.T)), model.names)


def _columns(graph: Graph, values: str, names: list[str]) -> None:
    for at, name in enumerate(names):
        graph.output(name, graph.node("Gather", values, graph.constant(at, "int64"), axis=1), "float64")


def _ratings(graph: Graph, model: FactorizationModel) -> None:
    parts = [_side(graph, name, side) for name, side in zip(model.features, (model.users, model.items), strict=True)]
    (left, left_own), (right, right_own) = parts
    axes = graph.constant([1], "int64")
    product = graph.node("ReduceSum", graph.node("Mul", left, right), axes, keepdims=0)
    found = graph.node("Sum", product, left_own, right_own, graph.constant(model.mean))
    name = f"predicted_{model.rating_name}{'_confidence' if model.implicit else ''}"
    graph.output(name, found, "float64")


def _side(graph: Graph, name: str, side: Side) -> tuple[str, str]:
    """The factors and the intercept of each row's user or item; nothing for one that is not known."""
    import pyarrow as pa

    count = len(side.ids)
    whole = pa.types.is_integer(side.ids.type)
    if not whole and not pa.types.is_string(side.ids.type):
        raise no_form("A column of ids that are neither whole numbers nor texts", name)
    given = graph.input(name, "int64" if whole else "str")
    keys = {"keys_int64s" if whole else "keys_strings": side.ids.to_pylist()}
    code = graph.node(
        "LabelEncoder", given, domain=ML, **keys, values_int64s=list(range(count)), default_int64=count
    )  # fmt: skip
    factors = np.concatenate([side.factors, np.zeros((1, side.factors.shape[1]))])
    intercepts = np.append(side.intercepts, 0.0)
    return (
        graph.node("Gather", graph.constant(factors), code, axis=0),
        graph.node("Gather", graph.constant(intercepts), code, axis=0),
    )


def _trees(graph: Graph, model: TreeModel) -> str:
    from tule.learn.runtime.forests import ensemble_of
    from tule.learn.runtime.graphs import tree_attributes

    found = ensemble_of(model.booster)
    if found is None:
        raise no_form("This ensemble of trees", model.family)
    encoded = Encoded(graph, model.encoding, scaled=False)
    rows = graph.node("Cast", _tree_matrix(graph, model, encoded), to=_FLOAT)
    attributes = tree_attributes(found.trees, found.width, found.targets, kind="float32", or_equal=False)
    margins = graph.node("TreeEnsemble", rows, raw=attributes, domain=ML)
    return graph.node("Cast", margins, to=_DOUBLE)


def _tree_matrix(graph: Graph, model: TreeModel, encoded: Encoded) -> str:
    """The columns that XGBoost sees, float64."""
    method = model.columns.method
    if method == "ONE_HOT_ENCODING" or not model.encoding.categories:
        # In a wide matrix what is absent is missing, and not 0.
        return encoded.matrix(absent=math.nan if model.columns.sparse else 0.0)
    parts = [encoded.dense] if encoded.dense is not None else []
    for at, category in enumerate(model.encoding.categories):
        if method == "LABEL_ENCODING":
            # Known texts from 1, NULL and unknown ones 0.
            known = len(category.texts)
            table = np.append(np.where(np.arange(category.width) < known, np.arange(category.width) + 1.0, 0.0), 0.0)
            parts.append(encoded.looked_up(at, table[:, None]))
        else:
            parts.append(encoded.looked_up(at, model.columns.targets[at]))
    parts += encoded.sparse(0.0)
    return parts[0] if len(parts) == 1 else graph.node("Concat", *parts, axis=1)


# -- answers


def _squeezed(graph: Graph, values: str) -> str:
    return graph.node("Squeeze", values, graph.constant([1], "int64"))


def _number(graph: Graph, model: Model, values: str) -> None:
    assert model.signature.label is not None
    graph.output(f"predicted_{model.signature.label.name}", values, "float64")


def _sigmoid(graph: Graph, x: str) -> str:
    one = graph.constant(1.0)
    return graph.node("Div", one, graph.node("Add", one, graph.node("Exp", graph.node("Neg", x))))


def _chances(graph: Graph, scores: str, classes: int) -> str:
    """(n, classes) from scores (n, 1) of two classes, or (n, classes)."""
    if classes == 2:
        positive = _sigmoid(graph, scores)
        return graph.node("Concat", graph.node("Sub", graph.constant(1.0), positive), positive, axis=1)
    highest = graph.node("ReduceMax", scores, graph.constant([1], "int64"), keepdims=1)
    powers = graph.node("Exp", graph.node("Sub", scores, highest))
    total = graph.node("ReduceSum", powers, graph.constant([1], "int64"), keepdims=1)
    return graph.node("Div", powers, total)


def _classes(graph: Graph, model: Model, chances: str) -> None:
    """The label of each row and the probabilities, the greatest label first."""
    classes, label = model.classes, model.signature.label
    assert classes is not None and label is not None
    if len(classes) == 2:
        positive = graph.node("Gather", chances, graph.constant(1, "int64"), axis=1)
        place = graph.node("Cast", graph.node("GreaterOrEqual", positive, graph.constant(0.5)), to=_INT64)
    else:
        place = graph.node("ArgMax", chances, axis=1, keepdims=0)
    values = [_label(each) for each in classes]
    kind = _kind(values)
    name = f"predicted_{label.name}"
    graph.output(name, graph.node("Gather", graph.constant(values, kind), place, axis=0), kind)
    descending = graph.constant(range(len(classes) - 1, -1, -1), "int64")
    graph.output(f"{name}_probs", graph.node("Gather", chances, descending, axis=1), "float64", (len(classes),))


def _label(value: Any) -> Any:
    """A label as a tensor holds it: what is no number, boolean or text becomes its text."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, bool | int | float | str) else text_of(value)


def _kind(values: list[Any]) -> str:
    kinds = {type(each) for each in values}
    return {bool: "bool", int: "int64", float: "float64"}.get(kinds.pop(), "str") if len(kinds) == 1 else "str"


_SCORES: tuple[tuple[type[Model], Callable[[Graph, Any], str]], ...] = (
    (GeneralizedLinearModel, _linear),
    (TreeModel, _trees),
    (NeuralModel, _neural),
)
"""Families that learn from a label: scores (n, 1) or (n, classes)."""

_FAMILIES: tuple[tuple[type[Model], Callable[[Graph, Any], None]], ...] = (
    *((kind, _supervised) for kind, _ in _SCORES),
    (BlendModel, _blend),
    (AutoencoderModel, _autoencoder),
    (KMeansModel, _clusters),
    (PcaModel, _components),
    (FactorizationModel, _ratings),
)
