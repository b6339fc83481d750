"""``WITH DEPTH`` behind a recursive query: a column that counts the rounds, and bounds of them.

``t AS (base UNION ALL step) WITH DEPTH AS d BETWEEN 1 AND 3`` becomes an ordinary query of the rounds: a recursive one that
counts them in a column of its own, which ``t`` shows as ``d``. The step does not see the column.
"""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from tule.kernel.errors import InvalidArgument

_ROUND = "_tule_round"


def counted(cte: Any, column: str, low: Any, high: Any) -> Any:
    """A recursive query of WITH that counts its rounds; ``low`` and ``high`` are bounds, None without one. Raises for
    one whose step is not of the form that has one reference to it in its FROM."""
    name, union = cte.alias, cte.this.unnest()
    if not isinstance(union, exp.Union) or union.args.get("distinct"):
        raise _wrong(f"WITH DEPTH must stand behind a recursive query of UNION ALL; {name} is none")
    if cte.args["alias"].columns:
        raise _wrong(f"WITH DEPTH cannot be used with a list of columns behind {name}")
    rounds = f"_tule_rounds_{name}"
    step = _counting(union.expression.unnest(), name, rounds, high)
    base = exp.select(exp.Star(), exp.alias_(exp.Literal.number(0), _ROUND, quoted=True))
    base = base.from_(exp.Subquery(this=union.this, alias=_alias("_tule_base")))
    inner = exp.CTE(this=exp.Union(this=base, expression=step, distinct=False), alias=_alias(rounds))
    shown = exp.column(exp.to_identifier(_ROUND, quoted=True))
    made = exp.select(
        exp.Star(except_=[exp.to_identifier(_ROUND, quoted=True)]), exp.alias_(shown.copy(), column, quoted=True)
    ).from_(exp.Table(this=exp.to_identifier(rounds, quoted=True)))
    if low is not None:
        made = made.where(exp.GTE(this=shown.copy(), expression=low.copy()))
    if high is not None:
        made = made.where(exp.LTE(this=shown.copy(), expression=high.copy()))
    made.set("with_", exp.With(expressions=[inner], recursive=True))
    cte.set("this", made)
    return cte


def _counting(step: Any, name: str, rounds: str, high: Any) -> Any:
    sources = []
    if isinstance(step, exp.Select) and step.args.get("from_") is not None:
        sources = [step.args["from_"].this, *(each.this for each in step.args.get("joins") or ())]
    own = [each for each in sources if _is(each, name)]
    everywhere = [each for each in step.find_all(exp.Table) if _is(each, name)]
    if len(own) != 1 or len(everywhere) != 1 or any(step.args.get(key) for key in ("group", "distinct", "having")):
        raise _wrong(
            f"WITH DEPTH needs a recursive part that reads {name} once, in its FROM, and groups nothing: write it so"
        )
    table = own[0]
    seen = table.alias or table.name
    table.set("this", exp.to_identifier(rounds, quoted=True))
    table.set("alias", _alias(seen))
    for item in step.expressions:
        star = item if isinstance(item, exp.Star) else item.this if isinstance(item, exp.Column) else None
        if isinstance(star, exp.Star) and (isinstance(item, exp.Star) or item.table.lower() == seen.lower()):
            star.set("except_", [*(star.args.get("except_") or ()), exp.to_identifier(_ROUND, quoted=True)])
    before = exp.column(exp.to_identifier(_ROUND, quoted=True), exp.to_identifier(seen, quoted=True))
    following = exp.Add(this=before.copy(), expression=exp.Literal.number(1))
    step.append("expressions", exp.alias_(following, _ROUND, quoted=True))
    if high is not None:
        step = step.where(exp.LT(this=before, expression=high.copy()), copy=False)
    return step


def _is(node: Any, name: str) -> bool:
    return isinstance(node, exp.Table) and not node.args.get("db") and node.name.lower() == name.lower()


def _alias(name: str) -> Any:
    return exp.TableAlias(this=exp.to_identifier(name, quoted=True))


def _wrong(message: str) -> InvalidArgument:
    return InvalidArgument(message, reason="invalidQuery", location="query")


__all__ = ["counted"]
