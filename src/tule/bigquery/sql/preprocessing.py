"""The preprocessing functions of BigQuery ML: what each computes from constants of its column, and those constants.

An analytic function is two things: *statistics* of its column (one aggregate query over the training rows) and a *formula*
of one value and those statistics. In a plain SELECT the statistics are window aggregates over all rows; in TRANSFORM they
are computed once, kept with the model as constants, and replayed wherever the model is asked.
https://cloud.google.com/bigquery/docs/reference/standard-sql/bigqueryml-preprocessing-functions
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from sqlglot import exp

from tule.kernel.errors import InvalidArgument, Unimplemented

Node = Any


def function_of(node: Node) -> str | None:
    """The upper-case name of ``ML.<name>(...)``, None for any other node."""
    if not isinstance(node, exp.Dot) or not isinstance(node.expression, exp.Anonymous | exp.Func):
        return None
    if not isinstance(node.this, exp.Identifier | exp.Column) or node.this.name.upper() != "ML":
        return None
    inner = node.expression
    return (inner.name if isinstance(inner, exp.Anonymous) else inner.sql_name()).upper()


def _call(name: str, *arguments: Node) -> Node:
    made = exp.Anonymous(this=name, expressions=[each for each in arguments if each is not None])
    made.meta["tule_engine"] = True
    return made


def number(value: float) -> Node:
    literal = exp.Literal.number(f"{abs(value):.16e}")
    literal.meta["tule_typed"] = True
    return exp.Neg(this=literal) if value < 0 else literal


def _double(node: Node) -> Node:
    made = exp.cast(node.copy(), exp.DataType.Type.DOUBLE)
    made.meta["tule_done"] = True
    return made


def _plain_division(a: Node, b: Node) -> Node:
    made = exp.Div(this=exp.Paren(this=a), expression=exp.Paren(this=b))
    made.meta["tule_ieee"] = True
    return exp.Paren(this=made)


# -- analytic functions


@dataclass(frozen=True)
class Analytic:
    """``statistics(column, arguments)`` names aggregates; ``formula(column, arguments, statistics)`` uses them.

    A statistic is an aggregate expression over the column; in the formula it is a window aggregate or a constant.
    """

    statistics: Callable[[Node, list[Node]], dict[str, Node]]
    formula: Callable[[Node, list[Node], Mapping[str, Node]], Node]
    fewest: int = 1
    most: int = 1


def _aggregate(name: str, *arguments: Node) -> Node:
    return _call(name, *arguments)


def _scaled(numerator: Node, denominator: Node) -> Node:
    """A quotient whose zero denominator gives 0 for any value: a column that never varies."""
    zero = exp.EQ(this=denominator.copy(), expression=number(0))
    null = exp.Is(this=numerator.copy(), expression=exp.Null())
    case = exp.Case(default=_plain_division(numerator, denominator))
    case = case.when(null, exp.Null()).when(zero, number(0))
    return exp.Paren(this=case)


def _text_values(column: Node) -> Node:
    """``CAST(column AS STRING)``, for the rules to put into the engine's words."""
    return exp.cast(column.copy(), exp.DataType.Type.TEXT)


def _constant(node: Node, what: str) -> Any:
    if isinstance(node, exp.Literal):
        return node.this if node.is_string else float(node.this) if not node.this.isdigit() else int(node.this)
    raise InvalidArgument(f"{what} must be a constant", given=node.sql("bigquery"), reason="invalidQuery")


def _quantile_splits(column: Node, arguments: list[Node]) -> dict[str, Node]:
    count = _constant(arguments[1], "The number of buckets of ML.QUANTILE_BUCKETIZE")
    if not isinstance(count, int) or count < 2:
        raise InvalidArgument("ML.QUANTILE_BUCKETIZE needs 2 buckets or more", given=count, reason="invalidQuery")
    shares = exp.Array(expressions=[number(index / count) for index in range(1, count)])
    return {"splits": _aggregate("quantile_disc", _double(column), shares)}


def _bucket(value: Node, splits: Node) -> Node:
    """``bin_<i>``: 1 + the number of splits that are not above the value."""
    return _call("tule_bucket", value, splits)


def _imputer_statistics(column: Node, arguments: list[Node]) -> dict[str, Node]:
    strategy = str(_constant(arguments[1], "The strategy of ML.IMPUTER"))
    if strategy == "mean":
        return {"value": _aggregate("avg", _double(column))}
    if strategy == "median":
        return {"value": _aggregate("quantile_disc", _double(column), number(0.5))}
    if strategy == "most_frequent":
        return {"value": _aggregate("mode", column.copy())}
    raise InvalidArgument(
        "The strategy of ML.IMPUTER must be mean, median or most_frequent", given=repr(strategy), reason="invalidQuery"
    )


def _imputer(column: Node, arguments: list[Node], known: Mapping[str, Node]) -> Node:
    strategy = str(_constant(arguments[1], "The strategy of ML.IMPUTER"))
    value = column.copy() if strategy == "most_frequent" else _double(column)
    return exp.Coalesce(this=value, expressions=[known["value"].copy()])


def _vocabulary_of(words: Node, arguments: list[Node]) -> Node:
    """The ``top`` most frequent words that come ``threshold`` times or more, in alphabetical order."""
    top = arguments[0] if arguments else exp.Literal.number(32000)
    threshold = arguments[1] if len(arguments) > 1 else exp.Literal.number(5)
    return _aggregate("tule_vocabulary", words, top.copy(), threshold.copy())


def _vocabulary(column: Node, arguments: list[Node]) -> dict[str, Node]:
    return {"words": _vocabulary_of(_aggregate("list", _text_values(column)), arguments[1:])}


def _position(value: Node, words: Node) -> Node:
    """The number of a text in a vocabulary, from 1; 0 for NULL and for one that is not in it."""
    made = exp.cast(_call("list_position", words.copy(), value), exp.DataType.Type.BIGINT)
    made.meta["tule_done"] = True
    return exp.Coalesce(this=made, expressions=[exp.Literal.number(0)])


def _label_encoder(column: Node, arguments: list[Node], known: Mapping[str, Node]) -> Node:
    return _position(_text_values(column), known["words"])


_DROPS = ("none", "most_frequent")


def _drop(arguments: list[Node]) -> str:
    drop = str(_constant(arguments[1], "The drop of ML.ONE_HOT_ENCODER")).lower() if len(arguments) > 1 else "none"
    if drop not in _DROPS:
        raise InvalidArgument(
            "The drop of ML.ONE_HOT_ENCODER must be none or most_frequent", given=repr(drop), reason="invalidQuery"
        )
    return drop


def _one_hot_statistics(column: Node, arguments: list[Node]) -> dict[str, Node]:
    found = {"words": _vocabulary_of(_aggregate("list", _text_values(column)), arguments[2:])}
    if _drop(arguments) == "most_frequent":
        found["dropped"] = _aggregate("mode", _text_values(column))
    return found


def _one_hot_encoder(column: Node, arguments: list[Node], known: Mapping[str, Node]) -> Node:
    value: Node = number(1)
    if _drop(arguments) == "most_frequent":
        is_dropped = exp.EQ(this=_text_values(column), expression=known["dropped"].copy())
        value = exp.Case(default=number(1)).when(is_dropped, number(0))
    return exp.Array(expressions=[_entry(_position(_text_values(column), known["words"]), value)])


def _entry(index: Node, value: Node) -> Node:
    return exp.Struct(
        expressions=[
            exp.PropertyEQ(this=exp.to_identifier("index", quoted=True), expression=index),
            exp.PropertyEQ(this=exp.to_identifier("value", quoted=True), expression=value),
        ]
    )


def _entries(node: Node) -> Node:
    """A list of entries of the engine with the type that it has."""
    made = exp.Cast(this=node, to=exp.DataType.build("ARRAY<STRUCT<index INT64, value FLOAT64>>", dialect="bigquery"))
    made.meta["tule_done"] = True
    return made


def _multi_hot_statistics(column: Node, arguments: list[Node]) -> dict[str, Node]:
    return {"words": _vocabulary_of(_call("flatten", _aggregate("list", column.copy())), arguments[1:])}


def _terms(column: Node) -> Node:
    """The terms of all documents, each once for a document that has it."""
    return _call("flatten", _aggregate("list", _call("list_distinct", column.copy())))


def _bag_statistics(column: Node, arguments: list[Node]) -> dict[str, Node]:
    return {"words": _vocabulary_of(_terms(column), arguments[1:])}


def _tf_idf_statistics(column: Node, arguments: list[Node]) -> dict[str, Node]:
    """The dictionary, and of each term ``ln(1 + documents / (1 + documents with it))``."""
    words = _vocabulary_of(_terms(column), arguments[1:])
    return {
        "words": words,
        "idf": _aggregate("tule_idf", *(each.copy() for each in words.expressions), _aggregate("count", column.copy())),
    }


def _robust_statistics(column: Node, arguments: list[Node]) -> dict[str, Node]:
    low, high = 25.0, 75.0
    if len(arguments) > 1:
        if not isinstance(arguments[1], exp.Array) or len(arguments[1].expressions) != 2:
            raise InvalidArgument(
                "The range of ML.ROBUST_SCALER must be an array of two numbers", reason="invalidQuery"
            )
        low, high = (float(_constant(each, "A quantile")) for each in arguments[1].expressions)
    shares = exp.Array(expressions=[number(low / 100), number(0.5), number(high / 100)])
    return {"quantiles": _aggregate("quantile_cont", _double(column), shares)}


def _flag(arguments: list[Node], at: int) -> bool:
    return not (len(arguments) > at and isinstance(arguments[at], exp.Boolean) and not arguments[at].this)


def _robust(column: Node, arguments: list[Node], known: Mapping[str, Node]) -> Node:
    def quantile(index: int) -> Node:
        return _call("list_extract", known["quantiles"].copy(), exp.Literal.number(index))

    value: Node = _double(column)
    if _flag(arguments, 2):
        value = exp.Paren(this=exp.Sub(this=value, expression=quantile(2)))
    if not _flag(arguments, 3):
        return value
    return _scaled(value, exp.Paren(this=exp.Sub(this=quantile(3), expression=quantile(1))))


def _min_max(column: Node, arguments: list[Node], known: Mapping[str, Node]) -> Node:
    low, high = known["low"], known["high"]
    inside = _call("least", _call("greatest", _double(column), low.copy()), high.copy())
    null = exp.Is(this=column.copy(), expression=exp.Null())
    scaled = _scaled(
        exp.Paren(this=exp.Sub(this=inside, expression=low.copy())),
        exp.Paren(this=exp.Sub(this=high.copy(), expression=low.copy())),
    )
    return exp.Paren(this=exp.Case(default=scaled).when(null, exp.Null()))


ANALYTIC: dict[str, Analytic] = {
    "STANDARD_SCALER": Analytic(
        lambda column, _: {
            "mean": _aggregate("avg", _double(column)),
            "deviation": _aggregate("stddev_pop", _double(column)),
        },
        lambda column, _, known: _scaled(
            exp.Paren(this=exp.Sub(this=_double(column), expression=known["mean"].copy())), known["deviation"].copy()
        ),
    ),
    "MAX_ABS_SCALER": Analytic(
        lambda column, _: {"largest": _aggregate("max", _call("abs", _double(column)))},
        lambda column, _, known: _scaled(_double(column), known["largest"].copy()),
    ),
    "MIN_MAX_SCALER": Analytic(
        lambda column, _: {"low": _aggregate("min", _double(column)), "high": _aggregate("max", _double(column))},
        _min_max,
    ),
    "ROBUST_SCALER": Analytic(_robust_statistics, _robust, 1, 4),
    "QUANTILE_BUCKETIZE": Analytic(
        _quantile_splits, lambda column, _, known: _bucket(_double(column), known["splits"].copy()), 2, 2
    ),
    "IMPUTER": Analytic(_imputer_statistics, _imputer, 2, 2),
    "LABEL_ENCODER": Analytic(_vocabulary, _label_encoder, 1, 3),
    "ONE_HOT_ENCODER": Analytic(_one_hot_statistics, _one_hot_encoder, 1, 4),
    "MULTI_HOT_ENCODER": Analytic(
        _multi_hot_statistics,
        lambda column, _, known: _entries(_call("tule_multi_hot", column.copy(), known["words"].copy())),
        1,
        3,
    ),
    "BAG_OF_WORDS": Analytic(
        _bag_statistics,
        lambda column, _, known: _entries(_call("tule_counted_words", column.copy(), known["words"].copy())),
        1,
        3,
    ),
    "TF_IDF": Analytic(
        _tf_idf_statistics,
        lambda column, _, known: _entries(
            _call("tule_tf_idf", column.copy(), known["words"].copy(), known["idf"].copy())
        ),
        1,
        3,
    ),
}


def _checked(name: str, arguments: list[Node]) -> Analytic:
    found = ANALYTIC[name]
    if not found.fewest <= len(arguments) <= found.most:
        raise InvalidArgument(
            f"ML.{name} takes {found.fewest} to {found.most} arguments", given=len(arguments), reason="invalidQuery"
        )
    return found


def weighed_terms(arguments: list[Node]) -> Node:
    """``TF_IDF(terms) OVER ()``: what ML.TF_IDF tells by places in the dictionary, by the terms themselves."""
    _checked("TF_IDF", arguments)
    known = {key: _windowed(each) for key, each in _tf_idf_statistics(arguments[0], arguments).items()}
    return _call("tule_tf_idf_terms", arguments[0].copy(), known["words"], known["idf"])


def over_window(name: str, arguments: list[Node]) -> Node:
    """The function in a plain SELECT: statistics over all rows of the query."""
    found = _checked(name, arguments)
    known = {}
    for key, aggregate in found.statistics(arguments[0], arguments).items():
        known[key] = _windowed(aggregate)
    return found.formula(arguments[0], arguments, known)


_AROUND = ("tule_vocabulary", "tule_idf")
"""Functions that aggregates stand inside of."""


def _windowed(aggregate: Node) -> Node:
    if aggregate.name not in _AROUND:
        return exp.Window(this=aggregate, over="OVER")
    for inner in [node for node in aggregate.find_all(exp.Anonymous) if node.name in ("list", "count")]:
        inner.replace(exp.Window(this=inner.copy(), over="OVER"))
    return aggregate


def statistics_of(name: str, arguments: list[Node]) -> dict[str, Node]:
    """The aggregates that the function needs of its column, by name."""
    return _checked(name, arguments).statistics(arguments[0], arguments)


def replayed(name: str, arguments: list[Node], constants: Mapping[str, Any]) -> Node:
    """The function with its statistics as constants: Python numbers, text, or lists of them."""
    known = {key: constant(value) for key, value in constants.items()}
    return _checked(name, arguments).formula(arguments[0], arguments, known)


def constant(value: Any) -> Node:
    """A Python value as a literal."""
    match value:
        case None:
            return exp.cast(exp.Null(), exp.DataType.Type.DOUBLE)
        case bool():
            return exp.Boolean(this=value)
        case int():
            return exp.Literal.number(value) if value >= 0 else exp.Neg(this=exp.Literal.number(-value))
        case float():
            return number(value) if isfinite(value) else _double(exp.Literal.string(str(value)))
        case str():
            return exp.Literal.string(value)
        case list():
            return exp.Array(expressions=[constant(each) for each in value])
    raise Unimplemented(
        f"A statistic of type {type(value).__name__} cannot be kept with a model", reason="notImplemented"
    )


# -- scalar functions


def _bucketize(arguments: list[Node]) -> Node:
    if len(arguments) not in (2, 3, 4):
        raise InvalidArgument("ML.BUCKETIZE takes 2 to 4 arguments", given=len(arguments), reason="invalidQuery")
    splits = arguments[1]
    format = str(_constant(arguments[3], "The output format of ML.BUCKETIZE")) if len(arguments) > 3 else "bucket_names"
    if len(arguments) > 2:
        if not isinstance(arguments[2], exp.Boolean):
            raise InvalidArgument("exclude_boundaries of ML.BUCKETIZE must be TRUE or FALSE", reason="invalidQuery")
        if arguments[2].this:
            splits = _call("list_slice", splits, exp.Literal.number(2), exp.Neg(this=exp.Literal.number(2)))
    if format == "bucket_ranges":
        return _call("tule_bucket_range", _double(arguments[0]), splits)
    if format != "bucket_names":
        raise Unimplemented(
            f"Tule does not do the output format {format} of ML.BUCKETIZE",
            do="use bucket_names or bucket_ranges",
            reason="notImplemented",
        )
    return _bucket(_double(arguments[0]), splits)


def _hash_bucketize(arguments: list[Node]) -> Node:
    return _call("tule_hash_bucketize", _text_values(arguments[0]), arguments[1])


def _struct_items(node: Node, function: str) -> list[tuple[str, Node]]:
    if not isinstance(node, exp.Struct):
        raise InvalidArgument(f"ML.{function} needs a STRUCT", given=node.sql("bigquery"), reason="invalidQuery")
    found = []
    for each in node.expressions:
        if isinstance(each, exp.PropertyEQ):
            found.append((each.this.name, each.expression))
        elif isinstance(each, exp.Alias):
            found.append((each.alias, each.this))
        elif isinstance(each, exp.Column):
            found.append((each.name, each))
        else:
            raise InvalidArgument(f"Each field of the STRUCT of ML.{function} needs a name", reason="invalidQuery")
    return found


def _degree(arguments: list[Node], function: str) -> int:
    degree = _constant(arguments[1], f"The degree of ML.{function}") if len(arguments) > 1 else 2
    if not isinstance(degree, int) or not 1 <= degree <= 4:
        raise InvalidArgument(f"The degree of ML.{function} must be 1 to 4", given=degree, reason="invalidQuery")
    return degree


def _structure(fields: list[tuple[str, Node]]) -> Node:
    return exp.Struct(
        expressions=[
            exp.PropertyEQ(this=exp.to_identifier(name, quoted=True), expression=node) for name, node in fields
        ]
    )


def _feature_cross(arguments: list[Node]) -> Node:
    from itertools import combinations

    items = _struct_items(arguments[0], "FEATURE_CROSS")
    fields = []
    for size in range(2, _degree(arguments, "FEATURE_CROSS") + 1):
        for chosen in combinations(items, size):
            text = _text_values(chosen[0][1])
            for _, node in chosen[1:]:
                text = exp.DPipe(
                    this=exp.DPipe(this=text, expression=exp.Literal.string("_")), expression=_text_values(node)
                )
            fields.append(("_".join(name for name, _ in chosen), text))
    return _structure(fields)


def _polynomial(arguments: list[Node]) -> Node:
    from itertools import combinations_with_replacement

    items = _struct_items(arguments[0], "POLYNOMIAL_EXPAND")
    fields = []
    for size in range(1, _degree(arguments, "POLYNOMIAL_EXPAND") + 1):
        for chosen in combinations_with_replacement(items, size):
            product: Node = _double(chosen[0][1])
            for _, node in chosen[1:]:
                product = exp.Mul(this=product, expression=_double(node))
            fields.append(("_".join(name for name, _ in chosen), product))
    return _structure(sorted(fields))


def _ngrams(arguments: list[Node]) -> Node:
    if len(arguments) not in (2, 3):
        raise InvalidArgument("ML.NGRAMS takes 2 or 3 arguments", given=len(arguments), reason="invalidQuery")
    words, lengths, *separator = arguments
    if isinstance(lengths, exp.Literal):
        lengths = exp.Array(expressions=[lengths])
    return _call("tule_ngrams", words, lengths, *(separator or [exp.Literal.string(" ")]))


_TFDV_ARGUMENTS: tuple[tuple[str, str, Any], ...] = (
    ("detection_type", "kind", "DRIFT"),
    ("categorical_default_threshold", "categorical_threshold", 0.3),
    ("categorical_metric_type", "categorical", "L_INFTY"),
    ("numerical_default_threshold", "numerical_threshold", 0.3),
    ("numerical_metric_type", "numerical", "JENSEN_SHANNON_DIVERGENCE"),
    ("thresholds", "thresholds", []),
)
_TFDV_CHOICES = {
    "kind": ("SKEW", "DRIFT"),
    "categorical": ("L_INFTY", "JENSEN_SHANNON_DIVERGENCE"),
    "numerical": ("JENSEN_SHANNON_DIVERGENCE",),
}


def _tfdv_validate(arguments: list[Node]) -> Node:
    """``ML.TFDV_VALIDATE(base, study [, detection_type [, ...]])``: the arguments after the statistics are constants."""
    from tule.bigquery.sql.statements import value

    if not 2 <= len(arguments) <= 2 + len(_TFDV_ARGUMENTS):
        raise InvalidArgument("ML.TFDV_VALIDATE takes 2 to 8 arguments", given=len(arguments), reason="invalidQuery")
    found: dict[str, Any] = {}
    for at, (name, key, default) in enumerate(_TFDV_ARGUMENTS, 2):
        found[key] = _tfdv_argument(name, key, default if len(arguments) <= at else value(arguments[at]))
    del found["numerical"]
    options = {"kind": found.pop("kind"), "criteria": found}
    texts = [exp.Anonymous(this="TO_JSON_STRING", expressions=[each]) for each in arguments[:2]]
    call = _call("tule_tfdv_validate", *texts, exp.Literal.string(json.dumps(options)))
    made = exp.Cast(this=call, to=exp.DataType.build("JSON", dialect="bigquery"))
    made.meta["tule_done"] = True
    return made


def _tfdv_argument(name: str, key: str, given: Any) -> Any:
    def wrong(must: str) -> InvalidArgument:
        return InvalidArgument(
            f"The argument {name} of ML.TFDV_VALIDATE must be {must}", given=repr(given)[:100], reason="invalidQuery"
        )

    def is_share(number: Any) -> bool:
        return isinstance(number, int | float) and not isinstance(number, bool) and 0 <= number < 1

    if key in _TFDV_CHOICES:
        if not isinstance(given, str) or given.upper() not in _TFDV_CHOICES[key]:
            raise wrong(" or ".join(_TFDV_CHOICES[key]))
        return given.upper()
    if key != "thresholds":
        if not is_share(given):
            raise wrong("at least 0 and below 1")
        return given
    for each in given if isinstance(given, list) else [None]:
        if not isinstance(each, tuple) or len(each) != 2 or not isinstance(each[0], str) or not is_share(each[1]):
            raise wrong("an array of columns with thresholds, [('column', 0.1), ...]")
    return {name.lower(): threshold for name, threshold in given}


SCALAR: dict[str, Callable[[list[Node]], Node]] = {
    "BUCKETIZE": _bucketize,
    "HASH_BUCKETIZE": _hash_bucketize,
    "FEATURE_CROSS": _feature_cross,
    "POLYNOMIAL_EXPAND": _polynomial,
    "LP_NORM": lambda arguments: _call("tule_lp_norm", *arguments),
    "NORMALIZER": lambda arguments: _call("tule_normalizer", arguments[0], *(arguments[1:] or [exp.Literal.number(2)])),
    "NGRAMS": _ngrams,
    "TFDV_VALIDATE": _tfdv_validate,
    "DISTANCE": lambda arguments: _call(
        "tule_distance", arguments[0], arguments[1], *(arguments[2:] or [exp.Literal.string("EUCLIDEAN")])
    ),
}


def scalar(name: str, arguments: list[Node]) -> Node:
    return SCALAR[name](arguments)
