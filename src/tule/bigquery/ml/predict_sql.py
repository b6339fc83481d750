"""A linear model as a GoogleSQL expression: ML.PREDICT that never leaves the query engine.

The formula is ``learn``'s neutral one (``tule.learn.models.expression``); built as syntax nodes, never as text, so that
no category value can be read as SQL. A model that has no good expression (arrays, very many categories, more than
``MOST_CLASSES`` classes) gives None and is predicted batch by batch instead.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from tule.bigquery.ml import nodes
from tule.bigquery.ml.options.model_types import CLASSIFIERS
from tule.bigquery.sql.analysis.floats import IEEE

if TYPE_CHECKING:
    from tule.bigquery.ml.functions import Trained
    from tule.learn.models import LinearExpression, LinearOutput, Term

# A longer CASE costs more than predicting in batches.
MOST_CATEGORIES = 64
MOST_CLASSES = 10

SCORE, CHANCE, HIGHEST, POWER, TOTAL = "_tule_score_", "_tule_chance_", "_tule_highest_", "_tule_power_", "_tule_total_"


def number(value: float) -> exp.Expression:
    """A FLOAT64 literal: 17 digits and an exponent, which every dialect reads as a double."""
    literal = exp.Literal.number(f"{abs(value):.16e}")
    return exp.Neg(this=literal) if value < 0 else literal


def literal(value: Any) -> exp.Expression | None:
    """A constant of a category's own type, None for types without a plain literal."""
    match value:
        case bool():
            return exp.Boolean(this=value)
        case int():
            return exp.Neg(this=exp.Literal.number(-value)) if value < 0 else exp.Literal.number(value)
        case str():
            return exp.Literal.string(value)
        case datetime.datetime():
            return None
        case datetime.date():
            return exp.cast(exp.Literal.string(value.isoformat()), exp.DataType.Type.DATE)
    return None


def _column(path: tuple[str, ...], source: dict[str, exp.Expression]) -> exp.Expression:
    head, *rest = path
    node = source[head].copy() if head in source else nodes.column(head)
    for name in rest:
        node = nodes.field(node, name)
    return node


_EXTRACTED = {"DAY", "DAYOFWEEK", "MONTH", "HOUR", "MINUTE", "WEEK", "YEAR"}


def _part(node: exp.Expression, part: str | None) -> exp.Expression:
    if part is None:
        return node
    if part == "UNIX_SECONDS":
        return exp.Anonymous(this="UNIX_SECONDS", expressions=[node])
    assert part in _EXTRACTED
    return exp.Extract(this=exp.var(part), expression=node)


def _term(term: Term, source: dict[str, exp.Expression]) -> exp.Expression | None:
    value = _part(_column(term.path, source), term.part)
    if term.kind == "numeric":
        # An engine that knows a column to have no NULL drops the COALESCE.
        double = exp.cast(value, exp.DataType.Type.DOUBLE)
        filled = exp.Coalesce(this=double, expressions=[number(term.mean)])
        return _plain(exp.Mul(this=number(term.weight), expression=filled))
    if term.kind != "category" or term.weights is None or len(term.weights) > MOST_CATEGORIES:
        return None
    case = exp.Case(default=number(0.0))
    for key, weight in term.weights.items():
        if key is None:
            condition: exp.Expression = exp.Is(this=value.copy(), expression=exp.Null())
        else:
            constant = literal(key)
            if constant is None:
                return None
            condition = exp.EQ(this=value.copy(), expression=constant)
        case = case.when(condition, number(weight))
    return exp.Paren(this=case)


def _score(output: LinearOutput, source: dict[str, exp.Expression]) -> exp.Expression | None:
    terms: list[exp.Expression] = [number(output.intercept)]
    for each in output.terms:
        made = _term(each, source)
        if made is None:
            return None
        terms.append(made)
    return _sum(terms)


def _sum(terms: list[exp.Expression]) -> exp.Expression:
    total, *rest = terms
    for term in rest:
        total = _plain(exp.Add(this=total, expression=term))
    return total


def _plain(node: exp.Expression) -> exp.Expression:
    """An operator of the machine, as in the model's own arithmetic."""
    node.meta[IEEE] = True
    return node


@dataclass(frozen=True)
class Prediction:
    """A prediction in steps: each step's columns are computed from those of the steps before, ``outputs`` from all."""

    steps: list[dict[str, exp.Expression]]
    outputs: dict[str, exp.Expression]


def prediction(
    trained: Trained, formula: LinearExpression, threshold: float, source: dict[str, exp.Expression]
) -> Prediction | None:
    """The steps of a model's prediction, or None when it has no good expression.

    ``source`` maps input columns of the model to what computes them (the outputs of a TRANSFORM); others are columns of
    the same name.
    """
    if len(formula.classes) > MOST_CLASSES:
        return None
    scores: dict[str, exp.Expression] = {}
    for place, output in enumerate(formula.outputs):
        made = _score(output, source)
        if made is None:
            return None
        scores[f"{SCORE}{place}"] = made
    name = f"predicted_{trained.label}"
    if trained.options.model_type not in CLASSIFIERS:
        return Prediction([scores], {name: nodes.column(f"{SCORE}0")})
    labels = [made for each in formula.classes if (made := literal(each)) is not None]
    if len(labels) < len(formula.classes):
        return None
    if formula.link == "logistic":
        # The engine's exponential is infinite beyond 709, and the probability 0 then, as it should be.
        power = nodes.engine_call("exp", exp.Neg(this=nodes.column(f"{SCORE}0")))
        positive = nodes.column(CHANCE)
        steps = [scores, {CHANCE: _quotient(number(1.0), exp.Add(this=number(1.0), expression=power))}]
        probabilities = [exp.Sub(this=number(1.0), expression=positive), positive]
        chosen: exp.Expression = exp.Case(default=labels[0]).when(
            exp.GTE(this=positive.copy(), expression=number(threshold)), labels[1]
        )
    else:
        columns = [nodes.column(each) for each in scores]
        highest = nodes.engine_call("greatest", *(each.copy() for each in columns))
        powers: dict[str, exp.Expression] = {
            f"{POWER}{place}": nodes.engine_call("exp", exp.Sub(this=each.copy(), expression=nodes.column(HIGHEST)))
            for place, each in enumerate(columns)
        }
        total = _sum([nodes.column(each) for each in powers])
        steps = [scores, {HIGHEST: highest}, powers, {TOTAL: total}]
        probabilities = [_quotient(nodes.column(each), nodes.column(TOTAL)) for each in powers]
        case = exp.Case(default=labels[-1])
        for column, label in zip(columns[:-1], labels[:-1], strict=True):
            case = case.when(exp.EQ(this=column.copy(), expression=nodes.column(HIGHEST)), label)
        chosen = case
    pairs = [
        nodes.structure([("label", label.copy()), ("prob", probability.copy())])
        for label, probability in reversed(list(zip(labels, probabilities, strict=True)))
    ]
    return Prediction(steps, {name: chosen, f"{name}_probs": exp.Array(expressions=pairs)})


def _quotient(a: exp.Expression, b: exp.Expression) -> exp.Expression:
    """A division of the machine: what is divided by is never 0 here."""
    made = exp.Div(this=a, expression=exp.Paren(this=b))
    made.meta["tule_engine"] = True
    return typed(made, "FLOAT64")


def typed(node: exp.Expression, kind: str) -> exp.Expression:
    """A value of the engine with the type that it has, for what is computed from it."""
    made = exp.Cast(this=node, to=exp.DataType.build(kind, dialect="bigquery"))
    made.meta["tule_done"] = True
    return made


def query(found: Prediction, rows: exp.Expression, hidden: list[str]) -> exp.Select:
    """``SELECT outputs, * EXCEPT (what was helped with) FROM (rows with each step's columns)``."""
    made = rows
    for step in found.steps:
        columns = [nodes.named(node, name) for name, node in step.items()]
        made = nodes.select([exp.Star(), *columns], nodes.subquery(made))
    drop = [nodes.column(name) for name in (*(name for step in found.steps for name in step), *hidden)]
    outputs = [nodes.named(node, name) for name, node in found.outputs.items()]
    return nodes.select([*outputs, exp.Star(except_=drop)], nodes.subquery(made))
