"""Set operations that match columns by name, and the limit of recursion.

https://cloud.google.com/bigquery/docs/reference/standard-sql/query-syntax#set_operators
"""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from tule.bigquery.sql.analysis.scopes import Columns, wrong
from tule.bigquery.sql.kinds import NULL

_BRANCH = "_tule_branch"
_DEPTH = "tule_depth"


def by_names(node: Any, left: Columns, right: Columns) -> tuple[Columns, Columns]:
    """Rewrite ``UNION ALL BY NAME`` and its like so that columns match by position; the columns of both branches."""
    names = _names(node, left, right)
    made = []
    for key, columns in (("this", left), ("expression", right)):
        branch, found = _projected(node.args[key], columns, names)
        node.set(key, branch)
        made.append(found)
    for key in ("by_name", "side", "kind", "on"):
        node.set(key, None)
    return made[0], made[1]


def _names(node: Any, left: Columns, right: Columns) -> list[str]:
    """The columns of the whole, as the mode says: FULL, LEFT, INNER, or both branches the same."""
    for number, columns in ((1, left), (2, right)):
        seen = [name.lower() for name, _ in columns]
        if len(set(seen)) < len(seen):
            raise wrong(f"BY NAME needs columns of different names; query {number} has two of one name", node)
    first, second = [name for name, _ in left], [name for name, _ in right]
    here, there = {each.lower() for each in first}, {each.lower() for each in second}
    side, kind = str(node.args.get("side") or "").upper(), str(node.args.get("kind") or "").upper()
    if on := [each.name for each in node.args.get("on") or ()]:
        for name in on:
            lacks = [n for n, names in ((1, here), (2, there)) if name.lower() not in names]
            if len(lacks) == 2 or (lacks and side != "FULL" and not (side == "LEFT" and lacks == [2])):
                raise wrong(f"Column {name} of BY NAME ON is not in query {lacks[0]}", node)
        return on
    if side == "FULL":
        return first + [each for each in second if each.lower() not in here]
    if not here & there:
        raise wrong("Queries that are matched by name must have a column in common", node)
    if side == "LEFT":
        return first
    if kind == "INNER":
        return [each for each in first if each.lower() in there]
    if here != there:
        only = next(each for each in (*first, *second) if each.lower() not in here & there)
        raise wrong(f"BY NAME needs both queries to have the same columns; only one has {only}: write FULL, LEFT or INNER "
                    "before the operator", node)  # fmt: skip
    return first


def _projected(branch: Any, columns: Columns, names: list[str]) -> tuple[Any, Columns]:
    known = {name.lower(): (name, kind) for name, kind in columns}
    items, found = [], []
    for name in names:
        written, kind = known.get(name.lower(), ("", NULL))
        node: Any = exp.Null()
        if written:
            node = exp.column(exp.to_identifier(written, quoted=True), exp.to_identifier(_BRANCH, quoted=True))
        items.append(exp.alias_(node, name, quoted=True))
        found.append((name, kind))
    inner = branch.copy() if isinstance(branch, exp.Subquery) and not branch.alias else exp.Subquery(this=branch.copy())
    inner.set("alias", exp.TableAlias(this=exp.to_identifier(_BRANCH, quoted=True)))
    return exp.select(*items).from_(inner), list(found)


def limited(cte: Any) -> None:
    """Let a recursive query fail after 500 rounds: a hidden column counts them."""
    union = cte.this
    if not isinstance(union, exp.Union) or union.args.get("distinct") or cte.args["alias"].columns:
        return
    step = union.expression
    if not isinstance(step, exp.Select) or any(step.args.get(key) for key in ("group", "distinct", "having")):
        return
    sources = [step.args["from_"].this] if step.args.get("from_") is not None else []
    sources += [each.this for each in step.args.get("joins") or ()]
    name = cte.alias.lower()
    found = [
        each
        for each in sources
        if isinstance(each, exp.Table) and not each.args.get("db") and each.name.lower() == name
    ]
    if len(found) != 1:
        return
    from tule.bigquery.sql.analysis.calls import engine_call

    start = exp.Subquery(this=union.this, alias=exp.TableAlias(this=exp.to_identifier(_BRANCH, quoted=True)))
    zero = exp.alias_(exp.Literal.number(0), _DEPTH, quoted=True)
    union.set("this", exp.select(exp.Star(), zero).from_(start))
    depth = exp.column(exp.to_identifier(_DEPTH, quoted=True), exp.to_identifier(found[0].alias_or_name, quoted=True))
    following = exp.Add(this=depth.copy(), expression=exp.Literal.number(1))
    step.append("expressions", exp.alias_(following, _DEPTH, quoted=True))
    # Where it must be computed: the engine leaves out columns that nobody reads.
    step.where(engine_call("tule_round_within_limit", depth), copy=False)


__all__ = ["by_names", "limited"]
