"""A StudySpec of Google's (its JSON) as what ``learn.search`` searches: space, objectives, algorithm, when to stop.

https://cloud.google.com/vertex-ai/docs/reference/rest/v1/StudySpec
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tule.kernel.errors import InvalidArgument, Unimplemented
from tule.learn.search import (
    Algorithm,
    Categories,
    Condition,
    Discrete,
    Domain,
    Objective,
    Parameter,
    Reals,
    Scale,
    Space,
    Wholes,
)

Spec = Mapping[str, Any]

# What of a StudySpec is executed, as the receipts of a door name it; what is missing is refused by name.
_VALUES = {
    "double_value_spec": ("min_value", "max_value", "default_value"),
    "integer_value_spec": ("min_value", "max_value", "default_value"),
    "categorical_value_spec": ("values", "default_value"),
    "discrete_value_spec": ("values", "default_value"),
}
_STOPPING = ("median_automated_stopping_spec", "decay_curve_stopping_spec")
_STUDY_STOPPING = (
    "should_stop_asap", "min_num_trials", "max_num_trials", "max_num_trials_no_progress", "max_duration_no_progress",
    "minimum_runtime_constraint.*", "maximum_runtime_constraint.*",
)  # fmt: skip


def executed(below: str, *, defaults: bool = True) -> tuple[str, ...]:
    """The fields of a StudySpec at the path ``below`` that are executed; ``defaults``: also where a search may begin."""
    values = [
        f"{kind}.{field}"
        for kind, fields in _VALUES.items()
        for field in fields
        if defaults or field != "default_value"
    ]
    parameter = ("parameter_id", "scale_type", "conditional_parameter_specs.*", *values)
    return tuple(
        f"{below}.{each}"
        for each in (
            "metrics.metric_id", "metrics.goal", "algorithm", "observation_noise", "measurement_selection_type",
            *(f"parameters.{each}" for each in parameter),
            *(f"{each}.use_elapsed_duration" for each in _STOPPING),
            *(f"study_stopping_config.{each}" for each in _STUDY_STOPPING),
            "transfer_learning_config.disable_transfer_learning",
        )
    )  # fmt: skip


_SCALES = {
    "SCALE_TYPE_UNSPECIFIED": Scale.LINEAR,
    "UNIT_LINEAR_SCALE": Scale.LINEAR,
    "UNIT_LOG_SCALE": Scale.LOG,
    "UNIT_REVERSE_LOG_SCALE": Scale.REVERSE_LOG,
}
_ALGORITHMS = {
    "ALGORITHM_UNSPECIFIED": Algorithm.BAYESIAN,
    "GRID_SEARCH": Algorithm.GRID,
    "RANDOM_SEARCH": Algorithm.RANDOM,
}
_PARENT_VALUES = ("parentDiscreteValues", "parentIntValues", "parentCategoricalValues")
_PARENTS = {"parentDiscreteValues": Discrete, "parentIntValues": Wholes, "parentCategoricalValues": Categories}
_SPACE = re.compile(r"\s")


def check(spec: Spec, where: str = "study_spec") -> None:
    """Raise what is wrong with a StudySpec, by the name of the field."""
    objectives(spec)
    found = space(spec)
    algorithm(spec)
    if algorithm(spec) is Algorithm.GRID and found.points() is None:
        real = next(each.name for each in found.parameters if each.domain.values() is None)
        raise InvalidArgument(
            "A grid search needs parameters with finitely many values", given=f"the DOUBLE parameter {real}",
            do="make it DISCRETE, or leave algorithm out",
        )  # fmt: skip
    if stopping(spec) is not None and len(spec.get("metrics", [])) > 1:
        raise InvalidArgument(
            "Automated stopping needs a study with one metric", given=f"{len(spec['metrics'])} metrics in {where}"
        )


def objectives(spec: Spec) -> tuple[Objective, ...]:
    """What is to become large or small, in the order of the metrics."""
    metrics = spec.get("metrics", [])
    if not metrics:
        raise InvalidArgument("A study must have at least one metric", given="none", do="set study_spec.metrics")
    names = [each.get("metricId", "") for each in metrics]
    for name in names:
        if not name or _SPACE.search(name) or names.count(name) > 1:
            raise InvalidArgument("A metric id must be set, without white space, and differ", given=repr(name))
    return tuple(Objective(each["metricId"], each.get("goal", "") != "MINIMIZE") for each in metrics)


def algorithm(spec: Spec) -> Algorithm:
    return _ALGORITHMS[spec.get("algorithm", "ALGORITHM_UNSPECIFIED")]


def noisy(spec: Spec) -> bool:
    return bool(spec.get("observationNoise") == "HIGH")


def stopping(spec: Spec) -> tuple[str, bool] | None:
    """``median`` or ``curve`` and whether steps are elapsed seconds; None where trials are never given up."""
    for field, rule in (("medianAutomatedStoppingSpec", "median"), ("decayCurveStoppingSpec", "curve")):
        if field in spec:
            return rule, bool(spec[field].get("useElapsedDuration"))
    return None


def seed(text: str) -> int:
    """The seed of a search: studies of one display name make the same suggestions."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big")


# -- the space


def space(spec: Spec) -> Space:
    """The parameters and their conditions, each after its parent."""
    parameters = spec.get("parameters", [])
    if not parameters:
        raise InvalidArgument("A study must have at least one parameter", given="none", do="set study_spec.parameters")
    return Space([each for given in parameters for each in _flat(given, None)])


def start(spec: Spec) -> dict[str, Any] | None:
    """The point that the defaults name, completed by the middles of the others; None without any default."""
    found = dict(_defaults(spec.get("parameters", [])))
    return space(spec).nearest(found) if found else None


def point(space: Space, parameters: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The parameters of a trial as values of their domains; InvalidArgument names a wrong one."""
    given = {each.get("parameterId", ""): each.get("value") for each in parameters}
    known = {each.name: each.domain for each in space.parameters}
    values = {name: _value(known[name], value) if name in known else value for name, value in given.items()}
    space.check(values)
    return values


def _value(domain: Domain, value: Any) -> Any:
    """A number of protobuf is a float; whole parameters have whole values."""
    return int(value) if isinstance(domain, Wholes) and isinstance(value, float) and value.is_integer() else value


def _flat(given: Spec, when: Condition | None) -> Iterator[Parameter]:
    name = given.get("parameterId", "")
    if not name or _SPACE.search(name):
        raise InvalidArgument("A parameter id must be set, without white space", given=repr(name))
    domain = _domain(name, given)
    yield Parameter(name, domain, when)
    for each in given.get("conditionalParameterSpecs", []):
        yield from _flat(each.get("parameterSpec", {}), _condition(name, domain, each))


def _condition(parent: str, domain: Domain, given: Spec) -> Condition:
    kind = next((each for each in _PARENT_VALUES if each in given), None)
    if kind is None:
        raise InvalidArgument(f"A conditional parameter of {parent} must name values of its parent", given="none")
    if not isinstance(domain, _PARENTS[kind]):
        raise InvalidArgument(
            f"The condition must be of the kind of its parent {parent}, which is {type(domain).__name__}", given=kind
        )
    values = [_parent_value(domain, each) for each in given[kind].get("values", [])]
    for value in values:
        if not domain.contains(value):
            raise InvalidArgument(f"A condition must name values of {parent}", given=repr(value))
    if not values:
        raise InvalidArgument(f"A condition on {parent} must name at least one value", given="none")
    return Condition(parent, tuple(values))


def _parent_value(domain: Domain, value: Any) -> Any:
    if isinstance(domain, Wholes):
        return int(value)
    # Google matches discrete values within 1e-10.
    if isinstance(domain, Discrete) and abs(domain.nearest(value) - value) <= 1e-10:
        return domain.nearest(value)
    return value


def _domain(name: str, given: Spec) -> Domain:
    scale = _SCALES[given.get("scaleType", "SCALE_TYPE_UNSPECIFIED")]
    if "doubleValueSpec" in given:
        low, high = (_number(given["doubleValueSpec"].get(each, 0)) for each in ("minValue", "maxValue"))
        return Reals(low, high, scale)
    if "integerValueSpec" in given:
        low, high = (int(given["integerValueSpec"].get(each, 0)) for each in ("minValue", "maxValue"))
        return Wholes(low, high, scale)
    if "discreteValueSpec" in given:
        # Neighbours are a step apart, whatever the scale.
        return Discrete(tuple(_number(each) for each in given["discreteValueSpec"].get("values", [])))
    if "categoricalValueSpec" in given:
        if given.get("scaleType", "SCALE_TYPE_UNSPECIFIED") != "SCALE_TYPE_UNSPECIFIED":
            raise InvalidArgument(f"Categories have no scale; parameter: {name}", given=given["scaleType"])
        return Categories(tuple(given["categoricalValueSpec"].get("values", [])))
    raise InvalidArgument(
        f"The parameter {name} must have a double, integer, categorical or discrete value spec", given="none"
    )


def _number(value: Any) -> float:
    return float(value)


def _defaults(parameters: Sequence[Spec]) -> Iterator[tuple[str, Any]]:
    for each in parameters:
        for kind in ("doubleValueSpec", "integerValueSpec", "categoricalValueSpec", "discreteValueSpec"):
            value = each.get(kind, {}).get("defaultValue")
            if value is not None:
                yield each["parameterId"], int(value) if kind == "integerValueSpec" else value
        yield from _defaults([inner.get("parameterSpec", {}) for inner in each.get("conditionalParameterSpecs", [])])


def refuse_defaults(spec: Spec) -> None:
    """Google's tuning jobs know no default values: raise Unimplemented for the first one, as the service does."""
    for name, _ in _defaults(spec.get("parameters", [])):
        raise Unimplemented(
            "A default value is read by studies alone, not by tuning jobs", given=f"parameter {name}",
            do="leave default_value out",
        )  # fmt: skip
