"""Query jobs as they will run: what the text and the configuration alone tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tule.bigquery import decorators, parameters
from tule.bigquery.catalog import Guard
from tule.bigquery.destinations import check_dispositions
from tule.bigquery.errors import invalid, not_implemented
from tule.bigquery.references import DatasetReference, TableReference
from tule.bigquery.sql import LONGEST_KEPT, Parameter, Parsed, Scope, Temporary, statements
from tule.bigquery.sql.routine_statements import RoutineDefinition
from tule.bigquery.sql.script import Script, check_script, temporary_function
from tule.bigquery.sql.script.nodes import Assert, Call, Sql, Transaction
from tule.bigquery.sql.statements import Query, Statement
from tule.kernel.errors import TuleError

if TYPE_CHECKING:
    from tule.bigquery.scripts.sessions import Session, Sessions
    from tule.bigquery.scripts.transactions import Transaction as OpenTransaction

# Texts whose one statement is kept.
_KEPT = 256


@dataclass(frozen=True)
class QueryPlan:
    """A query job, checked as far as its text tells; a statement of a script has a plan of its own.

    ``statement`` is None for a script, ``script`` None for a statement. ``scope`` tells what names mean beside the
    catalog, None for a statement that is in no script and no session; ``transaction`` is the open one that the statement
    belongs to, ``session`` the one that the job joins, ``new_session`` whether it begins one. ``names_project`` is the
    project of names that have none, where it is not the job's.
    """

    project: str
    text: str
    statement: Statement | None
    config: Mapping[str, Any]
    dataset: str | None
    parameters: Mapping[str, Parameter]
    destination: TableReference | None
    guard: Guard
    maximum_bytes: int | None = None
    script: Script | None = None
    scope: Scope | None = None
    transaction: OpenTransaction | None = None
    session: Session | None = None
    new_session: bool = False
    labels: Mapping[str, str] | None = None
    names_project: str = ""
    partition: str = ""
    """The id of the partition of ``destination`` that is written, "" for the table."""

    @property
    def changes_something(self) -> bool:
        """Whether the job must be on record before it runs."""
        return self.destination is not None or not isinstance(self.statement, Query)

    @property
    def type(self) -> str:
        """BigQuery's statementType."""
        if self.statement is not None:
            return self.statement.kind
        assert self.script is not None
        if len(self.script.statements) == 1:
            only = self.script.statements[0]
            if isinstance(only, Call):
                return "CALL"
            if isinstance(only, Assert):
                return "ASSERT"
            if isinstance(only, Transaction):
                return f"{only.verb}_TRANSACTION"
        return "SCRIPT"


class Planner:
    """Makes plans of configurations."""

    def __init__(self, parsed: Parsed, sessions: Sessions) -> None:
        self._parsed = parsed
        self._sessions = sessions
        # Statements are never changed once they are made, so that jobs share them.
        self._alone = lru_cache(_KEPT)(self._statement_alone)

    def plan(self, project: str, config: Mapping[str, Any], guard: Guard, user: str) -> QueryPlan:
        """The job as it will run. Raises for what the text and the configuration alone show to be wrong."""
        if config.get("useLegacySql") is True:
            raise not_implemented("Legacy SQL (useLegacySql)", do="write GoogleSQL and set useLegacySql to false")
        text = config.get("query")
        if not isinstance(text, str) or not text.strip():
            raise invalid("Required parameter is missing: query")
        properties = _properties(config)
        dataset = _default_dataset(config, project, properties)
        destination = None
        if config.get("destinationTable"):
            destination = decorators.partition(config["destinationTable"], project, "destinationTable")
        session = self._session(project, config, properties, user)
        script = self._parsed.script(text)
        if session is not None:
            check_script(script, outer=session.state.variables)
        names_project = properties.get("dataset_project_id", "")
        new_session = bool(config.get("createSession"))
        if session is not None:
            state = session.state
            of_session = names_project or state.project or project, dataset or state.dataset, session.temporary
            statement, functions = single(script, *of_session, waits=not config.get("dryRun"))
        elif new_session or len(text) > LONGEST_KEPT:
            statement, functions = single(script, names_project or project, dataset, _FUTURE if new_session else None)
        else:
            statement, functions = self._alone(text, names_project or project, dataset)
        if destination is not None and statement is None:
            raise invalid("configuration.query.destinationTable cannot be set for scripts")
        if destination is not None and not isinstance(statement, Query):
            raise invalid(
                "A destination table can only be set on a SELECT statement; the statement names its own table"
            )
        check_dispositions(config)
        maximum = config.get("maximumBytesBilled")
        return QueryPlan(
            project,
            text,
            statement,
            config,
            dataset,
            parameters.read(config.get("queryParameters") or [], config.get("parameterMode")),
            destination.reference if destination is not None else None,
            guard,
            None if maximum is None else int(maximum),
            script=script,
            scope=Scope(functions=functions) if functions else None,
            session=session,
            new_session=new_session,
            labels=_labels(properties.get("query_label")),
            names_project=names_project,
            partition=destination.partition if destination is not None else "",
        )

    def _statement_alone(
        self, text: str, project: str, dataset: str | None
    ) -> tuple[Statement | None, dict[str, RoutineDefinition]]:
        return single(self._parsed.script(text), project, dataset, None)

    def _session(
        self, project: str, config: Mapping[str, Any], properties: Mapping[str, str], user: str
    ) -> Session | None:
        id = properties.get("session_id")
        if id is None:
            return None
        if config.get("createSession"):
            raise invalid("createSession cannot be set together with the connection property session_id")
        return self._sessions.find(project, id, user)


def _properties(config: Mapping[str, Any]) -> dict[str, str]:
    """The connection properties; one that is not done is refused by name."""
    found: dict[str, str] = {}
    for each in config.get("connectionProperties") or ():
        key, value = str(each.get("key")), str(each.get("value") or "")
        if key not in ("session_id", "query_label", "time_zone", "dataset_project_id"):
            raise not_implemented(f"The connection property {key}", do="leave it out")
        if key in found:
            raise invalid(f"Duplicate connection property: {key}")
        if key == "time_zone" and value.upper() not in ("", "UTC"):
            raise not_implemented(f"The time zone {value}", do="give the time zone to the functions that take one")
        found[key] = value
    return found


def _default_dataset(config: Mapping[str, Any], project: str, properties: Mapping[str, str]) -> str | None:
    given = config.get("defaultDataset")
    if not given:
        return None
    default_project = properties.get("dataset_project_id") or project
    return DatasetReference.read(given, default_project, "defaultDataset").dotted


def _labels(text: str | None) -> dict[str, str] | None:
    from tule.bigquery.scripts.system import labels_of

    return None if not text else labels_of(text)


# The temporary tables of a session that is yet to be made.
_FUTURE = Temporary("", "_session", lambda _: False)


def single(
    script: Script, project: str, dataset: str | None, temporary: Temporary | None, *, waits: bool = False
) -> tuple[Statement | None, dict[str, RoutineDefinition]]:
    """The one statement of a text that is no script, and the temporary functions that stand before it; ``temporary``
    where it runs in a session, which may come to know other names while it ``waits`` for its turn.

    Statements that make temporary functions with one query behind them are no script:
    https://cloud.google.com/bigquery/docs/multi-statement-queries
    """
    functions: dict[str, RoutineDefinition] = {}
    *before, last = script.statements
    for each in before:
        made = temporary_function(each)
        if made is None or temporary is not None:
            return None, {}
        functions[made.path[0].lower()] = made
    if not isinstance(last, Sql) or temporary_function(last) is not None:
        return None, {}
    try:
        (statement,) = statements([last.tree.copy()], project, dataset, temporary)
    except TuleError as error:
        if waits:
            return None, {}
        raise script.text.shifted(error, last.start) from None
    if before and not isinstance(statement, Query):
        return None, {}
    return statement, functions
