"""GAP_FILL and RANGE_SESSIONIZE in FROM: each becomes a query over its input.

https://cloud.google.com/bigquery/docs/reference/standard-sql/time-series-functions#gap_fill
https://cloud.google.com/bigquery/docs/reference/standard-sql/range-functions#range_sessionize
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from tule.bigquery.sql.analysis.scopes import Columns, Scope, wrong
from tule.bigquery.sql.kinds import Kind
from tule.bigquery.sql.series_names import NAMES

if TYPE_CHECKING:
    from tule.bigquery.sql.analysis.walk import Walk

_INPUT = "tule_input"
_METHODS = ("null", "linear", "locf")
_ORIGIN = "1950-01-01"


def name_of(node: Any) -> str:
    """The name of such a function that a table is a call of, else ""."""
    call = node.this if isinstance(node, exp.Table) and node.args.get("db") is None else None
    name = call.name.upper() if isinstance(call, exp.Anonymous) else ""
    return name if name in NAMES else ""


def expanded(walk: Walk, node: Any, scope: Scope) -> Any:
    """The subquery that a call stands for, put in its place."""
    name = name_of(node)
    given = _Arguments(name, node)
    source = given.relation()
    probe = source.copy()
    exp.Paren(this=probe)
    from tule.bigquery.sql.analysis.walk import Walk as Probe

    columns = Probe(walk.context).query(probe, Scope(scope.outer, [], scope.tables))
    if columns is None:
        raise wrong(f"Tule does not do {name} over columns that it does not know", node)
    text, nodes = (_filled if name == "GAP_FILL" else _sessions)(given, columns)
    made = exp.Subquery(this=_query(text, source, nodes))
    alias = node.args.get("alias") or exp.TableAlias(this=exp.to_identifier(name.lower(), quoted=True))
    made.set("alias", alias)
    for key in ("joins", "pivots"):
        if node.args.get(key):
            made.set(key, node.args[key])
    node.replace(made)
    return made


class _Arguments:
    """What a call was given."""

    def __init__(self, name: str, node: Any) -> None:
        self.name = name
        self.node = node
        wanted = NAMES[name]
        self._found: dict[str, Any] = {}
        for index, each in enumerate(node.this.expressions):
            key = (
                each.this.name.lower() if isinstance(each, exp.Kwarg) else wanted[index] if index < len(wanted) else ""
            )
            if key not in wanted or key in self._found:
                raise self.wrong(f"{name} does not take the argument {key or index + 1}; it takes {', '.join(wanted)}")
            self._found[key] = each.expression if isinstance(each, exp.Kwarg) else each

    def wrong(self, message: str) -> Exception:
        return wrong(message, self.node)

    def relation(self) -> Any:
        """The input as a query."""
        value = self._found.get("input")
        if value is not None and type(value).__name__ == "TableRef":
            return exp.select(exp.Star()).from_(value.this.copy())
        inner = value.unnest() if value is not None else None
        if isinstance(inner, exp.Query):
            return inner.copy()
        raise self.wrong(f"The first argument of {self.name} must be TABLE name or (query)")

    def value(self, key: str) -> Any:
        return self._found.get(key)

    def text(self, key: str, default: str | None = None) -> str:
        value = self._found.get(key)
        if value is None and default is not None:
            return default
        if not isinstance(value, exp.Literal) or not value.is_string:
            raise self.wrong(f"{key} of {self.name} must be a STRING literal")
        return str(value.this)

    def texts(self, key: str) -> list[str]:
        value = self._found.get(key)
        if value is None:
            return []
        if not isinstance(value, exp.Array) or not all(
            isinstance(each, exp.Literal) and each.is_string for each in value.expressions
        ):
            raise self.wrong(f"{key} of {self.name} must be an array of STRING literals")
        return [str(each.this) for each in value.expressions]

    def pairs(self, key: str) -> list[tuple[str, str]] | None:
        value = self._found.get(key)
        if value is None:
            return None
        found = []
        for each in value.expressions if isinstance(value, exp.Array) else [None]:
            parts = [part.unalias() for part in each.expressions] if isinstance(each, exp.Struct | exp.Tuple) else []
            if len(parts) != 2 or not all(isinstance(part, exp.Literal) and part.is_string for part in parts):
                raise self.wrong(f"{key} of {self.name} must be an array of pairs of STRING literals")
            found.append((str(parts[0].this), str(parts[1].this)))
        return found

    def flag(self, key: str, default: bool) -> bool:
        value = self._found.get(key)
        if value is None:
            return default
        if not isinstance(value, exp.Boolean):
            raise self.wrong(f"{key} of {self.name} must be TRUE or FALSE")
        return bool(value.this)

    def column(self, name: str, columns: Columns) -> tuple[str, Kind | None]:
        for each, kind in columns:
            if each.lower() == name.lower():
                return each, kind
        raise self.wrong(f"Column {name} of {self.name} is not in its input")


def _query(text: str, source: Any, nodes: Mapping[str, Any]) -> Any:
    """A query of text over the input, with nodes in the places of columns of their names."""
    from tule.bigquery.sql.parse import parse

    made: Any = parse(text)
    for column in list(made.find_all(exp.Column)):
        if column.name in nodes:
            column.replace(nodes[column.name].copy())
    for each in made.walk():
        for key in ("line", "col", "start", "end"):
            each.meta.pop(key, None)
    first = exp.CTE(this=source, alias=exp.TableAlias(this=exp.to_identifier(_INPUT, quoted=True)))
    clause = made.args["with_"]
    clause.set("expressions", [first, *clause.expressions])
    return made


def _list(names: list[str], prefix: str = "") -> str:
    """``, `a`, `b```."""
    return "".join(f", {prefix}`{each}`" for each in names)


# -- GAP_FILL


def _filled(given: _Arguments, columns: Columns) -> tuple[str, dict[str, Any]]:
    time, kind = given.column(given.text("ts_column"), columns)
    if kind is None or kind.name not in ("DATE", "DATETIME", "TIMESTAMP"):
        raise given.wrong(f"ts_column of GAP_FILL must be of type DATE, DATETIME or TIMESTAMP; {time} is of {kind}")
    width = given.value("bucket_width")
    if width is None:
        raise given.wrong("GAP_FILL must have a bucket_width")
    parts = [given.column(each, columns)[0] for each in given.texts("partitioning_columns")]
    chosen = _chosen(given, columns, {time.lower(), *(each.lower() for each in parts)})
    nodes = {"tule_width": width}
    origin = f"{kind.name} '{_ORIGIN}'"
    if (node := given.value("origin")) is not None:
        nodes["tule_origin"], origin = node, "tule_origin"
    skip = given.flag("ignore_null_values", True)
    names = [name for name, _, _ in chosen]
    by = f"PARTITION BY {_list(parts)[2:]} " if parts else ""
    here = f"`{time}`"
    once = (
        f"IF(COUNT(*) OVER (PARTITION BY {here}{_list(parts)}) > 1, ERROR('GAP_FILL: Tule does not fill gaps where rows of "
        f"one time have different values'), {here})"
    )
    before, after = (
        "".join(
            f", {function}(IF(tule_point{unknown(name)}, NULL, STRUCT(tule_time AS t, `{name}` AS v)) IGNORE NULLS) OVER "
            f"({by}ORDER BY tule_time, tule_point {frame}) AS `{label}{index}`"
            for index, name in enumerate(names)
        )
        for function, frame, label, unknown in (
            ("LAST_VALUE", "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW", "tule_before_", _unknown(chosen, skip)),
            ("FIRST_VALUE", "ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING", "tule_after_", _unknown(chosen, skip)),
        )
    )
    values = "".join(
        f", {_value(index, method, of, kind)} AS `{name}`" for index, (name, method, of) in enumerate(chosen)
    )
    bucket = f"{kind.name}_BUCKET"
    group = f" GROUP BY {_list(parts)[2:]}" if parts else ""
    text = f"""
        WITH tule_rows AS (
          SELECT {once} AS tule_time, FALSE AS tule_point{_list(parts)}{_list(names)}
          FROM (SELECT DISTINCT {here}{_list(parts)}{_list(names)} FROM {_INPUT} WHERE {here} IS NOT NULL)),
        tule_bounds AS (
          SELECT MIN(tule_time) AS lo, {bucket}(MIN(tule_time), tule_width, {origin}) AS first,
            {bucket}(MAX(tule_time), tule_width, {origin}) AS last{_list(parts)} FROM tule_rows{group}),
        tule_points AS (
          SELECT tule_time{_list(parts)} FROM tule_bounds, UNNEST({_range(kind)}) AS tule_time WHERE tule_time >= lo),
        tule_events AS (
          SELECT tule_time, tule_point{_list(parts)}{_list(names)} FROM tule_rows UNION ALL
          SELECT tule_time, TRUE{_list(parts)}{", NULL" * len(names)} FROM tule_points),
        tule_windows AS (SELECT *{before}{after} FROM tule_events)
        SELECT tule_time AS {here}{_list(parts)}{values} FROM tule_windows WHERE tule_point"""
    return text, nodes


def _chosen(given: _Arguments, columns: Columns, taken: set[str]) -> list[tuple[str, str, Kind | None]]:
    """The columns to fill: (name, method, type)."""
    pairs = given.pairs("value_columns")
    if pairs is None:
        pairs = [(name, "null") for name, _ in columns if name.lower() not in taken]
    found: list[tuple[str, str, Kind | None]] = []
    for name, method in pairs:
        column, kind = given.column(name, columns)
        if column.lower() in taken:
            raise given.wrong(f"Column {name} of value_columns of GAP_FILL is given twice or is not a value")
        if method.lower() not in _METHODS:
            raise given.wrong(f"Invalid gap filling method: {method}; it is one of {', '.join(_METHODS)}")
        if method.lower() == "linear" and (kind is None or kind.name not in ("INT64", "NUMERIC", "FLOAT64")):
            raise given.wrong(f"The method linear of GAP_FILL takes INT64, NUMERIC or FLOAT64; {column} is of {kind}")
        taken.add(column.lower())
        found.append((column, method.lower(), kind))
    return found


def _unknown(chosen: list[tuple[str, str, Kind | None]], skip: bool) -> Callable[[str], str]:
    """The further condition on which a row says nothing about a column."""
    exact = {name for name, method, _ in chosen if method == "null"}
    return lambda name: f" OR `{name}` IS NULL" if skip and name not in exact else ""


def _range(kind: Kind) -> str:
    if kind.name == "DATE":
        return "GENERATE_DATE_ARRAY(first, last, tule_width)"
    if kind.name == "TIMESTAMP":
        return "GENERATE_TIMESTAMP_ARRAY(first, last, tule_width)"
    moments = "GENERATE_TIMESTAMP_ARRAY(TIMESTAMP(first), TIMESTAMP(last), tule_width)"
    return f"ARRAY(SELECT DATETIME(t) FROM UNNEST({moments}) AS t)"


def _value(index: int, method: str, of: Kind | None, kind: Kind) -> str:
    before, after = f"`tule_before_{index}`", f"`tule_after_{index}`"
    if method == "null":
        return f"IF({before}.t = tule_time, {before}.v, NULL)"
    if method == "locf":
        return f"{before}.v"
    unit = "DAY" if kind.name == "DATE" else "MICROSECOND"
    share = " / ".join(f"{kind.name}_DIFF({moment}, {before}.t, {unit})" for moment in ("tule_time", f"{after}.t"))
    name = of.name if of is not None else "FLOAT64"
    number = "NUMERIC" if name == "NUMERIC" else "FLOAT64"
    step = f"CAST({after}.v - {before}.v AS {number}) * CAST({share} AS {number})"
    return f"IF({before}.t = tule_time, {before}.v, CAST(CAST({before}.v AS {number}) + {step} AS {name}))"


# -- RANGE_SESSIONIZE


def _sessions(given: _Arguments, columns: Columns) -> tuple[str, dict[str, Any]]:
    column, kind = given.column(given.text("range_column"), columns)
    if kind is None or kind.name != "RANGE" or kind.element is None:
        raise given.wrong(f"range_column of RANGE_SESSIONIZE must be of type RANGE; {column} is of {kind}")
    parts = [given.column(each, columns)[0] for each in given.texts("partitioning_columns")]
    option = given.text("sessionize_option", "MEETS").upper()
    if option not in ("MEETS", "OVERLAPS"):
        raise given.wrong(f"Invalid sessionize_option: {option}; it is MEETS or OVERLAPS")
    if any(name.lower() == "session_range" for name, _ in columns):
        raise given.wrong("The input of RANGE_SESSIONIZE must not have a column session_range")
    by = f"PARTITION BY {_list(parts)[2:]} " if parts else ""
    first, last = f"{kind.element} '0001-01-01'", f"{kind.element} '9999-12-31'"
    apart = ">" if option == "MEETS" else ">="
    names = _list([name for name, _ in columns])
    session = f"OVER (PARTITION BY tule_session{_list(parts)})"
    text = f"""
        WITH tule_ends AS (
          SELECT *, IFNULL(RANGE_START(`{column}`), {first}) AS tule_start,
            IFNULL(RANGE_END(`{column}`), {last}) AS tule_end FROM {_INPUT}),
        tule_before AS (
          SELECT *, MAX(tule_end) OVER ({by}ORDER BY tule_start, tule_end
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS tule_last FROM tule_ends),
        tule_sessions AS (
          SELECT *, SUM(IF(tule_last IS NULL OR tule_start {apart} tule_last, 1, 0)) OVER ({by}ORDER BY tule_start, tule_end)
            AS tule_session FROM tule_before WHERE `{column}` IS NOT NULL)
        SELECT {names[2:]}, RANGE(
          IF(LOGICAL_OR(RANGE_START(`{column}`) IS NULL) {session}, NULL, MIN(tule_start) {session}),
          IF(LOGICAL_OR(RANGE_END(`{column}`) IS NULL) {session}, NULL, MAX(tule_end) {session})) AS session_range
        FROM tule_sessions"""
    return text, {}


__all__ = ["expanded", "name_of"]
