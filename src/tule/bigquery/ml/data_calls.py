"""Calls of table functions over given rows, without a model: ``ML.F({TABLE t | (query)}, ..., STRUCT(...))`` and
``ML.F({TABLE t | (query)}, ..., key => value)``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from sqlglot import exp

from tule.bigquery.ml import nodes, scans
from tule.bigquery.ml.arguments import query_of, structure
from tule.bigquery.ml.functions.function import Argument, read_values
from tule.bigquery.ml.mistakes import wrong
from tule.bigquery.sql import printed
from tule.bigquery.sql.parse import ModelRef, TableRef
from tule.bigquery.sql.rules.resolve_tables import relation as relation_node
from tule.kernel.errors import InvalidArgument

if TYPE_CHECKING:
    from tule.bigquery.ml.batches import Relation
    from tule.bigquery.model_statements import Run
    from tule.bigquery.sql import Context


@dataclass(frozen=True)
class Rows:
    """The rows of one argument. ``query`` stands in the call's tree: it may move into what replaces the call."""

    query: exp.Expression
    place: exp.Expression
    run: Run

    @cached_property
    def schema(self) -> pa.Schema:
        found: pa.Schema = scans.schema_of(nodes.standalone(self.query, self.place), self.run)
        return found

    def check(self) -> None:
        """Raise the errors of the query, if it has any."""
        assert self.schema is not None

    def readable(self) -> Relation:
        """The same to be read several times with the same answer."""
        return scans.readable(nodes.standalone(self.query, self.place), self.run)


@dataclass(frozen=True)
class DataCall:
    """The arguments as written: rows, values of a STRUCT by key, expressions by ``key =>``, a model."""

    name: str
    rows: tuple[Rows, ...]
    values: Mapping[str, Any]
    named: Mapping[str, exp.Expression]
    model: exp.Expression | None
    run: Run

    def answer(self, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> exp.Expression:
        """What stands in the place of the call."""
        return relation_node(self.run.session.temporary(schema, iter(batches)))


def read_call(
    call: Any,
    name: str,
    context: Context,
    run: Run,
    *,
    tables: int = 1,
    arguments: Mapping[str, Argument] | None = None,
    named: Iterable[str] | None = None,
    model: bool = False,
) -> DataCall:
    """Check the form of a call. ``arguments``: the keys of its STRUCT, ``named``: those of ``key => value``."""
    run = replace(run, context=context.beside)
    rows: list[Rows] = []
    values: Mapping[str, Any] | None = None
    found: dict[str, exp.Expression] = {}
    chosen: exp.Expression | None = None
    form = _form(name, tables, arguments, named, model)
    for node in call.this.expressions:
        match node:
            case TableRef() | exp.Subquery() if len(rows) < tables and values is None and not found:
                rows.append(Rows(query_of(node), call, run))
            case exp.Struct() | exp.Cast() if arguments is not None and values is None and len(rows) == tables:
                if isinstance(node, exp.Cast) and not isinstance(node.this, exp.Struct):
                    raise form(printed(node))
                values = structure(node, name, arguments, context)
            case exp.Kwarg() if named is not None and len(rows) == tables:
                key = node.this.name.lower()
                if key not in named:
                    raise wrong(f"ML.{name} has no argument {key}", do=f"use one of {', '.join(named)}")
                if key in found:
                    raise wrong(f"Duplicate argument: {key}", given=f"ML.{name}")
                found[key] = node.expression
            case ModelRef() if model and chosen is None and len(rows) == tables:
                chosen = node
            case _:
                raise form(printed(node))
    if len(rows) < tables:
        raise form(f"{len(rows)} tables" if tables > 1 else "no rows to read")
    return DataCall(name, tuple(rows), read_values(name, arguments or {}, values or {}), found, chosen, run)


def _form(name: str, tables: int, arguments: Any, named: Any, model: bool) -> Any:
    parts = ["TABLE name or (query)"] * tables
    if arguments is not None:
        parts.append("[STRUCT(value AS key, ...)]")
    if named is not None:
        parts.append("arguments by name (key => value)")
    if model:
        parts.append("[MODEL name]")

    def made(given: str) -> InvalidArgument:
        return wrong(
            f"ML.{name} takes {', '.join(parts)}, in this order", given=given[:100],
            do="put a query in parentheses and TABLE before a name",
        )  # fmt: skip

    return made
