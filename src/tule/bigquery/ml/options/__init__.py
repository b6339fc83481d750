"""The OPTIONS of CREATE MODEL as one statement gives them: read, completed with defaults, checked together.

Names, types and defaults follow the CREATE MODEL pages of the BigQuery ML reference. An option is executed, or it is
refused by name: with ``InvalidArgument`` where BigQuery itself would refuse it, with ``Unimplemented`` where Tule does
not do it.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tule.bigquery.ml.options.model_types import ALIASES, LINEAR, REMOTE, TYPES, ModelType
from tule.bigquery.ml.options.option import Option
from tule.bigquery.ml.options.rules import CONTRADICTIONS
from tule.bigquery.ml.options.table import OPTIONS, REFUSED
from tule.bigquery.ml.options.tuning import read_range
from tule.bigquery.sql.statements import HparamCandidates, HparamRange
from tule.kernel.errors import InvalidArgument, Unimplemented

if TYPE_CHECKING:
    from tule.learn.search import Domain

STEERING = ("input_label_cols", "data_split_col", "instance_weight_col", "kmeans_init_col")
"""Options that name columns which are no features."""
COLUMNS = (
    *STEERING,
    "user_col",
    "item_col",
    "rating_col",
    "time_series_timestamp_col",
    "time_series_data_col",
    "time_series_id_col",
    "hierarchical_time_series_cols",
    "is_test_col",
    "dimension_id_cols",
)


@dataclass(frozen=True)
class ModelOptions:
    """The options of one CREATE MODEL: ``values`` by lower-case name with defaults filled, ``given`` as written.

    ``ranges``: what the options that are to be tuned are searched in, by lower-case name; ``values`` has their defaults.
    """

    model_type: str
    values: Mapping[str, Any]
    given: frozenset[str] = field(default_factory=frozenset)
    ranges: Mapping[str, Domain] = field(default_factory=dict)

    def __getitem__(self, key: str) -> Any:
        return self.values[key]

    def get(self, key: str) -> Any:
        return self.values.get(key)

    def changed(self, name: str) -> bool:
        """Whether an option was given another value than its default: clients write defaults out."""
        if name.upper() not in self.given:
            return False
        option = next(each for each in OPTIONS if each.name == name.upper() and self.model_type in each.types)
        return bool(self.values[option.key] != option.default)

    @property
    def tuned(self) -> bool:
        """Whether several trials are trained."""
        return self.values.get("num_trials") is not None

    def trial(self, values: Mapping[str, Any]) -> ModelOptions:
        """The options of one trial, with these values of what is tuned."""
        given = self.given | {key.upper() for key in values}
        return replace(self, values={**self.values, **values}, given=given, ranges={})

    @property
    def type(self) -> ModelType:
        return TYPES[self.model_type]

    @property
    def label(self) -> str | None:
        names = self.values.get("input_label_cols")
        return names[0] if names else None

    @property
    def columns(self) -> dict[str, list[str]]:
        """The columns that options name, by the option's lower-case name, as written."""
        found: dict[str, list[str]] = {}
        for key in COLUMNS:
            if written := self.get(key):
                found[key] = [written] if isinstance(written, str) else list(written)
        return found

    @property
    def non_features(self) -> frozenset[str]:
        """Lower-case names of the columns that steer training: label, split, weight, initial centroid."""
        found = self.columns
        return frozenset(name.lower() for key in STEERING for name in found.get(key, ()))


_WRITTEN = tuple(name for name in TYPES if name != REMOTE)


def read_options(written: Mapping[str, Any], *, remote: bool = False) -> ModelOptions:
    """Check and complete the options of one CREATE MODEL, a ``remote`` one or any other.

    ``written`` maps option names in any letter case to values: str, bool, int, float, list, tuple (a struct).
    Raises InvalidArgument (reason ``invalidQuery``) for wrong or contradictory options, Unimplemented for those that
    Tule does not do.
    """
    names = {name.upper(): value for name, value in written.items()}
    if len(names) < len(written):
        raise InvalidArgument("An option must be given once", given=", ".join(written), reason="invalidQuery")
    model_type = REMOTE if remote else _model_type(names.pop("MODEL_TYPE", None))
    table = {option.name: option for option in OPTIONS if model_type in option.types}
    values = {option.key: option.default for option in table.values()}
    ranges: dict[str, Domain] = {}
    for name, value in names.items():
        if name not in table:
            raise _unknown(name, model_type, table)
        if isinstance(value, HparamRange | HparamCandidates):
            ranges[name.lower()] = read_range(table[name], value, model_type)
        else:
            values[name.lower()] = table[name].read(table[name], value)
    given = frozenset(name for name in names if name.lower() not in ranges)
    options = ModelOptions(model_type, values, given, ranges)
    for rule in CONTRADICTIONS:
        rule(options)
    return options


def _model_type(written: Any) -> str:
    if written is None:
        raise InvalidArgument(
            "CREATE MODEL must name a MODEL_TYPE", do=f"add OPTIONS(MODEL_TYPE = '{LINEAR}')", reason="invalidQuery"
        )
    if not isinstance(written, str):
        raise InvalidArgument("MODEL_TYPE must be a string", given=repr(written), reason="invalidQuery")
    name = ALIASES.get(written.upper(), written.upper())
    if name not in _WRITTEN:
        raise InvalidArgument(
            "MODEL_TYPE must be one of " + ", ".join(_WRITTEN), given=repr(written), reason="invalidQuery"
        )
    return name


def _unknown(name: str, model_type: str, table: Mapping[str, Option]) -> Exception:
    if name in REFUSED:
        return Unimplemented(
            f"Tule does not do option {name} ({REFUSED[name]})", do="leave the option out", reason="notImplemented"
        )
    if any(option.name == name for option in OPTIONS):
        return InvalidArgument(f"Option {name} is not supported for model type {model_type}", reason="invalidQuery")
    near = difflib.get_close_matches(name, table, n=3)
    return InvalidArgument(
        f"Unsupported option {name} for model type {model_type}",
        do=f"did you mean {' or '.join(near)}?" if near else "see the table of options in docs/bigquery-ml-options.md",
        reason="invalidQuery",
    )
