"""The port through which queries reach machine learning: model statements and the ML.* table functions.

``bigquery.ml`` implements it; the warehouse runs without it and then refuses both by name. Model resources are records
``projects/{p}/datasets/{d}/models/{m}`` of kind ``bigquery#model`` (see ``models.py``): the REST Model, and what else the
implementation needs under ``_tule``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from tule.bigquery.engine import Session
from tule.bigquery.jobs import Job, Outcome
from tule.bigquery.references import ModelReference, TableReference
from tule.bigquery.sql.catalog import Name
from tule.kernel.records import Record

if TYPE_CHECKING:
    from sqlglot import exp

    from tule.bigquery.sql import Compiled, Context
    from tule.bigquery.sql.statements import AlterModelOptions, CreateModel, ExportModelTo
    from tule.bigquery.sql.table_definitions import CreateVectorIndex, DropVectorIndex


@dataclass(frozen=True)
class Run:
    """One statement while it runs.

    ``session`` is its line of work with the engine: temporary tables made in it are seen by its SQL and vanish with it.
    ``check`` raises once the job is cancelled; long work calls it between its steps. ``context`` gives a fresh context
    for compiling a tree of this statement's project, dataset and parameters.
    """

    job: Job | None
    """None where a query runs for no job (a restricted read of a view)."""
    project: str
    session: Session
    context: Callable[[], Context]
    check: Callable[[], None]
    guard: Callable[[str, str], None]
    """``guard(permission, record name)`` raises where the caller lacks the permission."""
    looking: bool = False
    """Whether only the schema of the query is asked for: nothing is computed."""
    transaction: bool = False
    """Whether it sees what its transaction wrote, and others do not yet."""
    tables: Callable[[], Sequence[TableReference]] = tuple
    """The tables that its queries have read so far."""

    def compile(self, tree: exp.Expression) -> Compiled:
        """A copy of a GoogleSQL tree as SQL of the engine, with the values to bind."""
        from tule.bigquery.sql import compile_query

        return compile_query(tree.copy(), self.context())

    def batches(self, tree: exp.Expression) -> Any:
        """Run a GoogleSQL query: the engine's ``Result``, to be read once."""
        made = self.compile(tree)
        return self.session.query(made.sql, made.parameters)

    def temporary(self, tree: exp.Expression) -> str:
        """Keep the rows of a GoogleSQL query for this statement: a relation for the engine's SQL, to be read often."""
        made = self.compile(tree)
        return self.session.temporary_as(made.sql, made.parameters)


class ModelStatements(Protocol):
    """What ``bigquery.ml`` does for queries. Called on the job's thread; errors are words for the user."""

    def create(self, statement: CreateModel, run: Run) -> Outcome:
        """Train. The returned ``commit`` makes the model's record visible, inside the transaction that ends the job;
        ``undo`` removes what was written for it. ``statistics`` may carry ``{"query": {"mlStatistics": ...}}``."""

    def alter(self, statement: AlterModelOptions, run: Run) -> Outcome:
        """ALTER MODEL ... SET OPTIONS."""

    def export(self, statement: ExportModelTo, run: Run) -> Outcome:
        """EXPORT MODEL."""

    def create_index(self, statement: CreateVectorIndex, run: Run) -> Outcome:
        """CREATE VECTOR INDEX."""

    def drop_index(self, statement: DropVectorIndex) -> Outcome:
        """DROP VECTOR INDEX."""

    def expand(self, node: exp.Expression, context: Context, run: Run) -> exp.Expression:
        """A table function over a model as a relation or a subquery of GoogleSQL (``Context.expand``)."""

    def extract(
        self, reference: ModelReference, uri: str, format: str, trial: str | None, check: Callable[[], None]
    ) -> int:
        """Write a model, or the one of a trial, for an extract job; the number of files."""

    def copy(self, source: ModelReference, target: ModelReference, replace: bool) -> Outcome:
        """A copy of a model under another name, for a copy job."""

    def forget(self, record: Record) -> None:
        """Give up what a model owned, inside the transaction that removes its record; raise to keep the model."""


def reference(name: Name) -> ModelReference:
    return ModelReference(name.project, name.dataset, name.table)


__all__ = ["ModelStatements", "Run", "reference"]
