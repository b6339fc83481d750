"""MERGE as queries: the table's rows beside those of the source that fit them, and the source's rows that fit none.

Each row of the table has a number of its own while the statement runs; that more than one row of the source is for it, where
one of them would change it, is a mistake of the user.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlglot import exp

from tule.engines.spark.changes import Change, Find, sql_of
from tule.engines.spark.columns import quoted

_MANY = "UPDATE/MERGE must match at most one source row for each target row"


def merge(tree: Any, find: Find) -> Change:
    key, fields = find(tree.this.name)
    target, using = sql_of(tree.this), sql_of(tree.args["using"])
    alias, other = quoted(tree.this.alias or tree.this.name), quoted(tree.args["using"].alias_or_name)
    on = f"({sql_of(tree.args['on'])})"
    whens = tree.args["whens"].expressions
    matched = [each for each in whens if each.args.get("matched")]
    alone = [each for each in whens if not each.args.get("matched") and each.args.get("source")]
    new = [each for each in whens if not each.args.get("matched") and not each.args.get("source")]
    numbered = f"(SELECT *, monotonically_increasing_id() AS _tule_row FROM {quoted(tree.this.name)}) AS {alias}"
    source = f"(SELECT *, TRUE AS _tule_source FROM {using}) AS {other}"
    joined = f"{numbered} LEFT JOIN {source} ON {on}"
    kept = _rows(fields, alias, other, matched, alone)
    # A row of the table that nothing changes is there once, however many rows of the source fit it.
    rows = (
        f"SELECT {_names(fields)} FROM (SELECT {kept.items}, {kept.gone} AS _tule_gone, ROW_NUMBER() OVER"
        f" (PARTITION BY {alias}._tule_row ORDER BY {kept.action} DESC) AS _tule_place FROM {joined})"
        " WHERE _tule_place = 1 AND NOT _tule_gone"
    )
    added = [_added(each, fields, other, new[:at]) for at, each in enumerate(new)]
    unmatched = f"{source} WHERE NOT EXISTS (SELECT 1 FROM {target} WHERE {on})"
    rows += "".join(f" UNION ALL SELECT {items} FROM {unmatched} AND {condition}" for items, condition in added)
    changed = f"SELECT COUNT(DISTINCT {alias}._tule_row) AS n FROM {joined} WHERE {kept.action} > 0"
    inserted = "".join(f" UNION ALL SELECT COUNT(*) AS n FROM {unmatched} AND {condition}" for _, condition in added)
    many = (
        f"SELECT COUNT(*) FROM (SELECT {alias}._tule_row FROM {joined} WHERE {other}._tule_source AND {kept.action} > 0"
        f" GROUP BY {alias}._tule_row HAVING COUNT(*) > 1)"
    )
    return Change(
        key, rows, count=f"SELECT SUM(n) FROM ({changed}{inserted})", checks=((many, _MANY),) if matched else ()
    )


class _Kept:
    def __init__(self, items: str, gone: str, action: str) -> None:
        self.items, self.gone, self.action = items, gone, action


def _rows(fields: Sequence[Any], alias: str, other: str, matched: Sequence[Any], alone: Sequence[Any]) -> _Kept:
    """What becomes of a row of the table: ``action`` is the number of the clause that is for it, 0 for none."""
    fits = f"COALESCE({other}._tule_source, FALSE)"
    clauses = [(when, fits) for when in matched] + [(when, f"NOT {fits}") for when in alone]
    tests = []
    for number, (when, test) in enumerate(clauses, 1):
        condition = when.args.get("condition")
        also = f" AND ({sql_of(condition)})" if condition is not None else ""
        tests.append(f"WHEN {test}{also} THEN {number}")
    action = f"CASE {' '.join(tests)} ELSE 0 END" if tests else "0"
    deletes = [str(n) for n, (when, _) in enumerate(clauses, 1) if not isinstance(when.args["then"], exp.Update)]
    gone = f"({action}) IN ({', '.join(deletes)})" if deletes else "FALSE"
    items = []
    for each in fields:
        sets = []
        for number, (when, _) in enumerate(clauses, 1):
            then = when.args["then"]
            for item in then.expressions if isinstance(then, exp.Update) else ():
                if item.this.name.lower() == each.name.lower():
                    sets.append(f"WHEN {number} THEN {sql_of(item.expression)}")
        name = quoted(each.name)
        items.append(f"CASE {action} {' '.join(sets)} ELSE {alias}.{name} END AS {name}" if sets else f"{alias}.{name}")
    return _Kept(", ".join(items), gone, action)


def _added(when: Any, fields: Sequence[Any], other: str, before: Sequence[Any]) -> tuple[str, str]:
    """The columns of the rows that a clause adds, and when it is for a row."""
    then = when.args["then"]
    named = then.this.expressions if isinstance(then.this, exp.Tuple) else []
    names = [each.name for each in named] or [each.name for each in fields]
    values = then.expression.expressions if isinstance(then.expression, exp.Tuple) else [then.expression]
    given = {name.lower(): sql_of(value) for name, value in zip(names, values, strict=True)}
    items = ", ".join(f"{given.get(each.name.lower(), 'NULL')} AS {quoted(each.name)}" for each in fields)
    return items, " AND ".join([_condition(when), *(f"NOT COALESCE({_condition(each)}, FALSE)" for each in before)])


def _condition(when: Any) -> str:
    condition = when.args.get("condition")
    return f"({sql_of(condition)})" if condition is not None else "TRUE"


def _names(fields: Sequence[Any]) -> str:
    return ", ".join(quoted(each.name) for each in fields)


__all__ = ["merge"]
