"""EXTERNAL_QUERY: a query that another database runs, its rows as a relation of the statement.

https://cloud.google.com/bigquery/docs/reference/standard-sql/federated_query_functions
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyarrow as pa

from tule.bigquery.connections.connections import Connections, Target, connection_name
from tule.bigquery.engine import Session
from tule.bigquery.errors import invalid_query
from tule.bigquery.schemas import checked
from tule.bigquery.types import fields_of
from tule.kernel.errors import InvalidArgument

_DECIMALS = ("float64", "numeric", "bignumeric", "string")
_PRIORITIES = ("low", "medium", "high")
_SETTINGS = {"POSTGRES": "TULE_CLOUD_SQL", "MYSQL": "TULE_CLOUD_SQL", "SPANNER": "TULE_SPANNER"}


@dataclass(frozen=True)
class Login:
    """Where a database is and who connects; ``role`` is a database role of Spanner."""

    host: str
    port: int
    database: str
    username: str = ""
    password: str = field(default="", repr=False)
    role: str = ""


class ExternalRows(Protocol):
    """A query of another database: connected, and not sent before ``start``."""

    def start(self) -> pa.Schema:
        """Send the query; its columns, before a row is read."""

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows, once. Raises Cancelled after ``cancel``, InvalidArgument for what the database says is wrong."""

    def cancel(self) -> None:
        """Stop the query: from any thread, at any time, more than once."""

    def close(self) -> None:
        """Give the connection back; idempotent."""


class ExternalDatabase(Protocol):
    """A kind of database (``engines.federation``)."""

    def open(self, login: Any, sql: str, *, decimals: str = "", priority: str = "") -> ExternalRows:
        """Connect for one query, which may only read. ``decimals``: what DECIMAL becomes (a word of the option
        ``default_type_for_decimal_columns``); ``priority``: how urgent it is, for a database that knows that.

        Raises InvalidArgument with BigQuery's words where the database cannot be reached, refuses the caller, or does not
        take the query or a type of its columns; and where the library is not installed.
        """


class Federation:
    """Sends queries through connections. ``cloud_sql`` and ``spanner`` tell the addresses, as the settings write them."""

    def __init__(
        self, connections: Connections, databases: Mapping[str, ExternalDatabase], cloud_sql: str, spanner: str
    ) -> None:
        self._connections = connections
        self._databases = databases
        self._instances = _addresses(cloud_sql)
        self._spanner = _address(spanner, "TULE_SPANNER") if spanner else None

    def open(self, name: str, sql: str, options: str) -> ExternalRows:
        """Connect for a query; ``options`` as the function's third argument writes them."""
        given = _options(options)
        target = self._connections.target(name)
        login = self._login(target)
        return self._databases[target.kind].open(
            login,
            sql,
            decimals=given.get("default_type_for_decimal_columns", ""),
            priority=given.get("query_execution_priority", ""),
        )

    def _login(self, target: Target) -> Login:
        properties = target.properties
        if target.kind == "SPANNER":
            if self._spanner is None:
                raise _no_address(target, properties["database"])
            return Login(*self._spanner, properties["database"], role=properties.get("databaseRole", ""))
        address = self._instances.get(properties["instanceId"])
        if address is None:
            raise _no_address(target, properties["instanceId"])
        assert target.credential is not None
        return Login(*address, properties["database"], target.credential.username, target.credential.password)


def _no_address(target: Target, instance: str) -> InvalidArgument:
    setting = _SETTINGS[target.kind]
    example = "HOST:PORT" if target.kind == "SPANNER" else f"{instance}=HOST:PORT"
    return invalid_query(
        f"Tule must know the address of {instance} (connection {target.name}). Next: start the server with "
        f"{setting}={example}"
    )


def _addresses(text: str) -> dict[str, tuple[str, int]]:
    """``project:region:instance=host:port,...``"""
    found = {}
    for each in text.split(","):
        if each.strip():
            instance, _, address = each.strip().partition("=")
            found[instance.strip()] = _address(address.strip(), "TULE_CLOUD_SQL")
    return found


def _address(text: str, setting: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise InvalidArgument(f"{setting} must tell addresses as HOST:PORT", given=repr(text))
    return host.strip("[]"), int(port)


def _options(text: str) -> dict[str, str]:
    if not text:
        return {}
    try:
        given = json.loads(text)
    except ValueError:
        given = None
    if not isinstance(given, dict) or not all(isinstance(each, str) for each in given.values()):
        raise invalid_query(f"The options of EXTERNAL_QUERY must be a JSON object of texts; given: {text[:200]!r}")
    known = {"default_type_for_decimal_columns": _DECIMALS, "query_execution_priority": _PRIORITIES}
    for key, value in given.items():
        if key not in known:
            raise invalid_query(f"The options of EXTERNAL_QUERY must be of {', '.join(known)}; given: {key!r}")
        if value not in known[key]:
            raise invalid_query(f"{key} must be one of {', '.join(known[key])}; given: {value!r}")
    return given


class ExternalQueries:
    """The external queries of one statement. What is ``looking`` reads no rows. ``on_cancel`` has a
    query stopped when the job is, and answers what forgets it again."""

    def __init__(
        self,
        federation: Federation,
        session: Session,
        guard: Callable[[str, str], None],
        on_cancel: Callable[[Callable[[], None]], Callable[[], None]],
        *,
        looking: bool,
    ) -> None:
        self._federation = federation
        self._session = session
        self._guard = guard
        self._on_cancel = on_cancel
        self._looking = looking

    def relation(self, connection: str, sql: str, options: str, project: str) -> str:
        """Run a query elsewhere; its rows as a temporary table."""
        name = connection_name(connection, project)
        self._guard("bigquery.connections.use", name)
        rows = self._federation.open(name, sql, options)
        with ExitStack() as running:
            running.callback(rows.close)
            running.callback(self._on_cancel(rows.cancel))
            schema = rows.start()
            # Names that a table cannot have are told before a row is read.
            checked([each.rest() for each in fields_of(schema)])
            return self._session.temporary(schema, iter(()) if self._looking else rows.batches())
