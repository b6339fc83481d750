"""ML.FEATURES_AT_TIME and ML.ENTITY_FEATURES_AT_TIME: features as they were known at one time, or at a time for each entity.

The call becomes a query: it may stand wherever a table may, and rows stream through the engine.

https://cloud.google.com/bigquery/docs/reference/standard-sql/bigqueryml-syntax-feature-time
https://cloud.google.com/bigquery/docs/reference/standard-sql/bigqueryml-syntax-entity-feature-time
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from tule.bigquery.catalog import type_text
from tule.bigquery.ml import nodes
from tule.bigquery.ml.arguments import constant
from tule.bigquery.ml.batches import actual
from tule.bigquery.ml.data_calls import DataCall, Rows, read_call
from tule.bigquery.ml.functions.function import Argument
from tule.bigquery.ml.mistakes import wrong
from tule.bigquery.sql import printed
from tule.bigquery.sql.parse import parse
from tule.bigquery.types import Field

if TYPE_CHECKING:
    from tule.bigquery.model_statements import Run
    from tule.bigquery.sql import Context

AT_TIME, ENTITY_AT_TIME = "FEATURES_AT_TIME", "ENTITY_FEATURES_AT_TIME"
_OPTIONS = {"num_rows": Argument(1, int, 1), "ignore_feature_nulls": Argument(False, bool)}
_NEEDED = {"entity_id": "STRING", "feature_timestamp": "TIMESTAMP"}
_TIMES = {"entity_id": "STRING", "time": "TIMESTAMP"}


def at_time(call: exp.Expression, context: Context, run: Run) -> exp.Expression:
    """The query that stands in the place of ML.FEATURES_AT_TIME."""
    read = read_call(call, AT_TIME, context, run, named=("time", *_OPTIONS))
    values = _values(read, context)
    time: Any = read.named.get("time") or exp.CurrentTimestamp()
    if time.find(exp.Column, exp.Query):
        raise wrong(
            f"The argument time of ML.{AT_TIME} must not depend on rows", given=printed(time)[:100],
            do=f"use ML.{ENTITY_AT_TIME} for a time of each entity",
        )  # fmt: skip
    (rows,) = read.rows
    return _query(rows, values, "SELECT *, _time_ AS cutoff, 0 AS asked FROM _known_", {"_time_": _moment(time)}, {})


def entity_at_time(call: exp.Expression, context: Context, run: Run) -> exp.Expression:
    """The query that stands in the place of ML.ENTITY_FEATURES_AT_TIME."""
    read = read_call(call, ENTITY_AT_TIME, context, run, tables=2, named=_OPTIONS)
    values = _values(read, context)
    rows, times = read.rows
    entity, time = _columns(times, ENTITY_AT_TIME, _TIMES, "second")
    asked = parse("SELECT _entity_ AS entity, _time_ AS cutoff, ROW_NUMBER() OVER () AS asked FROM _times_")
    _put(asked, {"_entity_": nodes.column(entity), "_time_": nodes.column(time)}, {"_times_": times.query})
    text = "SELECT k.*, t.cutoff, t.asked FROM _asked_ AS t JOIN _known_ AS k ON k.entity = t.entity"
    return _query(rows, values, text, {}, {"_asked_": asked}, ENTITY_AT_TIME)


def _values(read: DataCall, context: Context) -> dict[str, Any]:
    found = {}
    for key, argument in _OPTIONS.items():
        found[key] = argument.default
        if key in read.named:
            written = constant(read.named[key], context, f"The argument {key} of ML.{read.name}")
            found[key] = argument.read(read.name, key, written)
    return found


def _moment(node: exp.Expression) -> exp.Expression:
    return exp.cast(node.copy(), "TIMESTAMP", dialect="bigquery")


def _columns(rows: Rows, function: str, needed: Mapping[str, str], which: str) -> list[str]:
    """The columns of these names, in the letters of the rows; InvalidArgument where one is not there or of another type."""
    found = []
    for name, kind in needed.items():
        own = actual(rows.schema.names, name)
        given = ", ".join(rows.schema.names)
        if own is not None:
            field = Field.from_arrow(rows.schema.field(own))
            if (field.type, field.repeated) == (kind, False):
                found.append(own)
                continue
            given = f"{own} of type {type_text(field)}"
        raise wrong(
            f"The {which} table of ML.{function} must have the column {name} of type {kind}", given=given,
            do=f"select an expression AS {name}",
        )  # fmt: skip
    return found


def _query(
    rows: Rows,
    values: Mapping[str, Any],
    text: str,
    columns: Mapping[str, exp.Expression],
    tables: Mapping[str, exp.Expression],
    function: str = AT_TIME,
) -> exp.Expression:
    """The newest rows that are known at a cutoff; ``text`` joins the features with cutoffs."""
    names = rows.schema.names
    entity, moment = _columns(rows, function, _NEEDED, "feature" if function == AT_TIME else "first")
    if len(names) < 3:
        raise wrong(f"The feature table of ML.{function} must have a feature column", given=", ".join(names))
    # Columns under names of our own: theirs may be anything.
    own = {name: f"c{at}" for at, name in enumerate(names)} | {entity: "entity", moment: "moment"}
    plain = nodes.select([nodes.named(nodes.column(name), own[name]) for name in names], nodes.subquery(rows.query))
    known: exp.Expression = plain
    if values["ignore_feature_nulls"]:
        window = "OVER (PARTITION BY entity ORDER BY moment ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)"
        texts = [
            each if each in ("entity", "moment") else f"LAST_VALUE({each} IGNORE NULLS) {window} AS {each}"
            for each in own.values()
        ]
        known = parse(f"SELECT {', '.join(texts)} FROM _plain_")
        _put(known, {}, {"_plain_": plain})
    made = parse(text)
    _put(made, columns, {**tables, "_known_": known})
    ranked = parse(
        "SELECT *, ROW_NUMBER() OVER (PARTITION BY entity, asked ORDER BY moment DESC) AS place FROM _made_ "
        "WHERE moment <= cutoff"
    )
    _put(ranked, {}, {"_made_": made})
    items = [nodes.named(nodes.column("cutoff" if name == moment else own[name]), name) for name in names]
    where = exp.LTE(this=nodes.column("place"), expression=exp.Literal.number(values["num_rows"]))
    return nodes.select(items, nodes.subquery(ranked), where)


def _put(tree: Any, columns: Mapping[str, exp.Expression], tables: Mapping[str, exp.Expression]) -> None:
    """Put expressions and queries where the tree names them."""
    for node in list(tree.find_all(exp.Column)):
        if node.name in columns:
            node.replace(columns[node.name].copy())
    for table in list(tree.find_all(exp.Table)):
        if table.name in tables:
            table.replace(nodes.subquery(tables[table.name].copy(), table.alias or table.name))
