"""Scripts and sessions from their beginning to their end: what they hold is let go of, however they end."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from tule.bigquery.jobs import Job, Jobs, Outcome
from tule.bigquery.plans import QueryPlan, single
from tule.bigquery.scripts.interpreter import Executor, Interpreter
from tule.bigquery.scripts.procedures import Procedures
from tule.bigquery.scripts.sessions import Sessions, script_dataset, temporary_of
from tule.bigquery.scripts.state import State
from tule.bigquery.scripts.system import of_statement
from tule.bigquery.scripts.transactions import Transactions
from tule.bigquery.sql import Parsed, Scope, Temporary
from tule.bigquery.sql.script.nodes import Sql
from tule.bigquery.sql.statements import Dml
from tule.bigquery.tables import Tables
from tule.kernel.errors import InvalidArgument, TuleError

_LOG = logging.getLogger(__name__)
_OUTSIDE = "Transaction control statements are supported only in scripts or sessions"


class Runs:
    """Runs query jobs: a statement by the executor, a script by an interpreter, both inside a session where one is named."""

    def __init__(
        self, executor: Executor, jobs: Jobs, parsed: Parsed, tables: Tables, procedures: Procedures,
        transactions: Transactions, sessions: Sessions,
    ) -> None:  # fmt: skip
        self._executor = executor
        self._jobs = jobs
        self._parsed = parsed
        self._tables = tables
        self._procedures = procedures
        self._transactions = transactions
        self._sessions = sessions

    def run(self, job: Job, plan: QueryPlan) -> Outcome:
        """Run a query job."""
        if plan.new_session:
            created = self._sessions.create(plan.project, job.user, job.reference.location)
            plan = replace(plan, session=created)
        if (session := plan.session) is not None:
            job.statistics["sessionInfo"] = {"sessionId": session.id}
            with self._sessions.joined(session, job) as state:
                if plan.dataset:
                    state.dataset = plan.dataset
                if plan.names_project:
                    state.project = plan.names_project
                if plan.script is not None:
                    # What names mean is known now that it is its turn.
                    project = state.project or plan.project
                    statement, _ = single(plan.script, project, state.dataset, session.temporary)
                    plan = replace(plan, statement=statement)
                return self._in_state(job, plan, state, session.temporary)
        if plan.type.endswith("_TRANSACTION"):
            raise InvalidArgument(_OUTSIDE, reason="invalidQuery", location="query")
        if plan.statement is not None:
            return self._statement(job, plan, None, None)
        with self._own_state(job, plan) as (state, temporary):
            return self._in_state(job, plan, state, temporary)

    @contextmanager
    def _own_state(self, job: Job, plan: QueryPlan) -> Iterator[tuple[State, Temporary]]:
        """The state of a script that is in no session."""
        dataset = script_dataset(plan.project, job.reference.name)
        state = State(dataset, dataset=plan.dataset, project=plan.names_project or None, labels=plan.labels)
        temporary = temporary_of(dataset, self._tables)
        try:
            yield state, temporary
        finally:
            if state.transaction is not None:
                self._quietly(state.transaction.rollback)
            self._quietly(lambda: self._tables.delete_under(dataset))

    @staticmethod
    def _quietly(action: Callable[[], None]) -> None:
        """Clean up; what cannot be removed now is removed at the next start."""
        try:
            action()
        except Exception:
            _LOG.exception("A script's temporary things could not be removed")

    def _in_state(self, job: Job, plan: QueryPlan, state: State, temporary: Temporary) -> Outcome:
        plan = replace(plan, guard=_trusting(plan, state))
        if plan.statement is not None:
            outcome = self._statement(job, plan, state, temporary)
            affected = outcome.statistics.get("query", {}).get("numDmlAffectedRows")
            state.row_count = int(affected) if isinstance(plan.statement, Dml) and affected is not None else None
            state.last_job = job.reference.job
            return outcome
        return Interpreter(
            job, plan, state, self._executor, self._jobs, self._parsed, self._procedures, self._transactions, temporary
        ).run()

    def _statement(self, job: Job, plan: QueryPlan, state: State | None, temporary: Temporary | None) -> Outcome:
        """Run a job's one statement; positions in errors are those in its text."""
        script = plan.script
        assert script is not None
        node = script.statements[-1]
        assert isinstance(node, Sql)
        scope = Scope(
            system=of_statement(plan, job, state),
            functions=plan.scope.functions if plan.scope else {},
            first_position=node.positions,
        )
        if state is not None:
            scope = replace(
                scope,
                variables={name: each.value.parameter for name, each in state.variables.items()},
                functions=state.functions,
                temporary=temporary,
            )
            if state.transaction is not None:
                job.statistics["transactionInfo"] = {"transactionId": state.transaction.id}
            plan = replace(
                plan, dataset=state.dataset, names_project=state.project or "", transaction=state.transaction
            )
        try:
            return self._executor.execute(job, replace(plan, scope=scope))
        except TuleError as error:
            raise script.text.shifted(error, node.start) from None


def _trusting(plan: QueryPlan, state: State) -> Callable[[str, str], None]:
    """The caller's permissions, with all of them on the temporary tables that are its own."""
    own = state.temporary.name + "/"

    def guard(permission: str, resource: str) -> None:
        if not resource.startswith(own):
            plan.guard(permission, resource)

    return guard
