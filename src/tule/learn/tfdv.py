"""Statistics and anomalies as messages of TensorFlow Data Validation, in JSON with the names of their fields.

``DatasetFeatureStatisticsList`` in, ``Anomalies`` out: measurements of drift or skew of each feature that both sets of
statistics have, and an anomaly where one is beyond its threshold.
https://github.com/tensorflow/metadata/blob/master/tensorflow_metadata/proto/v0/statistics.proto
https://github.com/tensorflow/metadata/blob/master/tensorflow_metadata/proto/v0/anomalies.proto
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tule.kernel.errors import InvalidArgument
from tule.learn.drift import L_INFINITY, Comparison, Criteria, Distribution, Frequencies, Histogram, compare

Message = Mapping[str, Any]
_SIDES = {"SKEW": ("training", "serving"), "DRIFT": ("current", "previous")}
KINDS = tuple(_SIDES)


def validate(base: Any, study: Any, kind: str, criteria: Criteria) -> dict[str, Any]:
    """The anomalies of ``study`` beside ``base``, both of them statistics; ``kind`` is SKEW or DRIFT."""
    known, asked = _features(base, "base"), _features(study, "study")
    found = compare(_distributions(known), _distributions(asked), criteria)
    made: dict[str, Any] = {
        "baseline": {"feature": [_schema(known[each.name], each, kind) for each in found]},
        "anomaly_name_format": "SERIALIZED_PATH",
    }
    anomalies = {each.name: _anomaly(each, kind) for each in found if each.is_anomaly}
    if anomalies:
        made["anomaly_info"] = anomalies
    if not _examples(study):
        made["data_missing"] = True
    if found:
        made["drift_skew_info"] = [_measured(each, kind) for each in found]
    return made


# -- statistics


def _wrong(which: str, given: str) -> InvalidArgument:
    return InvalidArgument(
        f"The {which} statistics must be a DatasetFeatureStatisticsList of one dataset, as JSON", given=given,
        do="make them with ML.TFDV_DESCRIBE",
    )  # fmt: skip


def _features(statistics: Any, which: str) -> dict[str, Message]:
    """The statistics of each feature, by its name."""
    datasets = statistics.get("datasets") if isinstance(statistics, Mapping) else None
    if not isinstance(datasets, list) or len(datasets) != 1 or not isinstance(datasets[0], Mapping):
        raise _wrong(which, f"{len(datasets)} datasets" if isinstance(datasets, list) else "no datasets")
    found: dict[str, Message] = {}
    for each in datasets[0].get("features", []):
        name = ".".join(_steps(each)) if isinstance(each, Mapping) else ""
        if not name:
            raise _wrong(which, "a feature without a name")
        found[name] = each
    return found


def _steps(feature: Message) -> Sequence[str]:
    steps: Sequence[str] = feature.get("path", {}).get("step", []) or [feature.get("name", "")]
    return steps


def _examples(statistics: Message) -> int:
    return int(statistics["datasets"][0].get("num_examples", 0))


def _distributions(features: Mapping[str, Message]) -> dict[str, Distribution]:
    return {name: _distribution(each) for name, each in features.items()}


def _distribution(feature: Message) -> Distribution:
    numbers = feature.get("num_stats")
    if numbers is None:
        buckets = feature.get("string_stats", {}).get("rank_histogram", {}).get("buckets", [])
        return Frequencies({each.get("label", ""): float(each.get("sample_count", 0)) for each in buckets})
    standard = (each for each in numbers.get("histograms", []) if each.get("type", "STANDARD") == "STANDARD")
    return _histogram(next(standard, {}))


def _histogram(message: Message) -> Histogram:
    """Ranges without a gap between finite ends; what lies in ranges with infinite ends is counted apart."""
    infinite, finite = 0.0, []
    for each in message.get("buckets", []):
        low, high = (float(each.get(key, 0.0)) for key in ("low_value", "high_value"))
        if abs(low) == float("inf") or abs(high) == float("inf"):
            infinite += float(each.get("sample_count", 0))
        else:
            finite.append((low, high, float(each.get("sample_count", 0))))
    edges = [*(low for low, _, _ in finite), *(high for _, high, _ in finite[-1:])]
    counts = tuple(count for _, _, count in finite)
    return Histogram(tuple(edges), counts, infinite, float(message.get("num_nan", 0)))


# -- anomalies


def _schema(feature: Message, found: Comparison, kind: str) -> dict[str, Any]:
    types = {"STRING": "BYTES"}
    measure = "infinity_norm" if found.metric == L_INFINITY else "jensen_shannon_divergence"
    own = feature.get("type", "INT")
    return {
        "name": found.name,
        "type": types.get(own, own),
        f"{kind.lower()}_comparator": {measure: {"threshold": found.threshold}},
    }


def _path(name: str) -> dict[str, Any]:
    return {"step": name.split(".")}


def _measured(found: Comparison, kind: str) -> dict[str, Any]:
    measurement = {"type": found.metric, "value": found.value, "threshold": found.threshold}
    return {"path": _path(found.name), f"{kind.lower()}_measurements": [measurement]}


def _anomaly(found: Comparison, kind: str) -> dict[str, Any]:
    sides = " and ".join(_SIDES[kind])
    what = "Linfty distance" if found.metric == L_INFINITY else "approximate Jensen-Shannon divergence"
    short = f"High {what} between {sides}"
    description = (
        f"The {what} between {sides} is {found.value:.6g} (up to six significant digits), above the threshold "
        f"{found.threshold:.6g}."
    )
    if found.metric == L_INFINITY:
        description += f" The feature value with maximum difference is: {found.most}"
    reason = {
        "type": f"COMPARATOR_{found.metric}_HIGH", "short_description": short, "description": description
    }  # fmt: skip
    return {
        "path": _path(found.name), "severity": "ERROR", "description": description, "short_description": short,
        "reason": [reason],
    }  # fmt: skip
