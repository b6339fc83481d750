"""A linear model as a GoogleSQL expression: ML.PREDICT that never leaves the query engine.

The formula is ``learn``'s neutral one (``tule.learn.models.expression``); built as syntax nodes, never as text, so that
no category value can be read as SQL. A model that has no good expression (arrays, very many categories, more than
``MOST_CLASSES`` classes) gives None and is predicted batch by batch instead.
"""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from tule.bigquery.ml.options import CLASSIFIERS

if TYPE_CHECKING:
    from tule.bigquery.ml.functions import Trained
    from tule.learn.models import LinearExpression, LinearOutput, Term

# A longer CASE costs more than predicting in batches.
MOST_CATEGORIES = 64
MOST_CLASSES = 10
# EXP overflows beyond 709; a probability of 1e-304 is 0 for every use.
_STEEPEST = 700

SCORE = "_tule_score_"


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
    node: exp.Expression = source[head].copy() if head in source else exp.column(exp.to_identifier(head, quoted=True))
    for name in rest:
        node = exp.Dot(this=node, expression=exp.to_identifier(name, quoted=True))
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
        double = exp.cast(value, exp.DataType.Type.DOUBLE)
        filled = exp.Coalesce(this=double, expressions=[number(term.mean)])
        return exp.Mul(this=number(term.weight), expression=filled)
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
        total = exp.Add(this=total, expression=term)
    return total


def _logistic(score: exp.Expression) -> exp.Expression:
    bounded = exp.Least(this=exp.Neg(this=score), expressions=[number(_STEEPEST)])
    below = exp.Paren(this=exp.Add(this=number(1.0), expression=exp.Exp(this=bounded)))
    return exp.Div(this=number(1.0), expression=below)


def prediction(
    trained: Trained, formula: LinearExpression, threshold: float, source: dict[str, exp.Expression]
) -> tuple[dict[str, exp.Expression], dict[str, exp.Expression]] | None:
    """(helper columns, output columns) by name, or None when the model has no good expression.

    ``source`` maps input columns of the model to what computes them (the outputs of a TRANSFORM); others are columns of
    the same name. Output columns refer to helper columns, which stand one query deeper.
    """
    if len(formula.classes) > MOST_CLASSES:
        return None
    scores: dict[str, exp.Expression] = {}
    for number_, output in enumerate(formula.outputs):
        made = _score(output, source)
        if made is None:
            return None
        scores[f"{SCORE}{number_}"] = made
    name = f"predicted_{trained.label}"
    if trained.options.model_type not in CLASSIFIERS:
        return scores, {name: exp.column(f"{SCORE}0")}
    labels = [made for each in formula.classes if (made := literal(each)) is not None]
    if len(labels) < len(formula.classes):
        return None
    if formula.link == "logistic":
        positive = _logistic(exp.column(f"{SCORE}0"))
        probabilities = [exp.Sub(this=number(1.0), expression=positive), positive]
        chosen: exp.Expression = exp.If(
            this=exp.GTE(this=positive.copy(), expression=number(threshold)), true=labels[1], false=labels[0]
        )
    else:
        columns = [exp.column(each) for each in scores]
        highest = exp.Greatest(this=columns[0].copy(), expressions=[each.copy() for each in columns[1:]])
        powers: list[exp.Expression] = [
            exp.Exp(this=exp.Paren(this=exp.Sub(this=each.copy(), expression=highest.copy()))) for each in columns
        ]
        total = exp.Paren(this=_sum([each.copy() for each in powers]))
        probabilities = [exp.Div(this=each, expression=total.copy()) for each in powers]
        case = exp.Case(default=labels[-1])
        for column, label in zip(columns[:-1], labels[:-1], strict=True):
            case = case.when(exp.EQ(this=column.copy(), expression=highest.copy()), label)
        chosen = case
    pairs = [
        exp.Struct(
            expressions=[
                exp.PropertyEQ(this=exp.to_identifier("label"), expression=label.copy()),
                exp.PropertyEQ(this=exp.to_identifier("prob"), expression=probability.copy()),
            ]
        )
        for label, probability in reversed(list(zip(labels, probabilities, strict=True)))
    ]
    return scores, {name: chosen, f"{name}_probs": exp.Array(expressions=pairs)}


def query(
    helpers: dict[str, exp.Expression], outputs: dict[str, exp.Expression], rows: exp.Expression, hidden: list[str]
) -> exp.Select:
    """``SELECT outputs, * EXCEPT (helpers, hidden) FROM (SELECT *, helpers FROM (rows))``."""
    inner = exp.select(exp.Star(), *(exp.alias_(node, name, quoted=True) for name, node in helpers.items())).from_(
        exp.Subquery(this=rows, alias=exp.TableAlias(this=exp.to_identifier("_tule_rows_")))
    )
    drop = [exp.column(name) for name in (*helpers, *hidden)]
    return exp.select(
        *(exp.alias_(node, name, quoted=True) for name, node in outputs.items()), exp.Star(except_=drop)
    ).from_(exp.Subquery(this=inner, alias=exp.TableAlias(this=exp.to_identifier("_tule_scored_"))))
