"""The BigQuery door: REST v2, one method per RPC, a file per resource."""

from __future__ import annotations

from tule.bigquery.api.datasets import DatasetRoutes
from tule.bigquery.api.jobs import JobRoutes
from tule.bigquery.api.models import ModelRoutes
from tule.bigquery.api.routines import RoutineRoutes
from tule.bigquery.api.row_policies import RowPolicyRoutes
from tule.bigquery.api.tables import TableRoutes
from tule.bigquery.errors import STATUS, PreconditionFailed, reason_of
from tule.bigquery.warehouse import Warehouse
from tule.kernel.errors import TuleError
from tule.wire.door import Door, Reply, Request
from tule.wire.errors import discovery_body, http_status

__all__ = ["BigQuery"]


class BigQuery(DatasetRoutes, TableRoutes, RowPolicyRoutes, ModelRoutes, RoutineRoutes, JobRoutes, Door):
    """bigquery.googleapis.com"""

    name = "bigquery"
    hosts = ("bigquery.googleapis.com", "www.googleapis.com", "bigquery.mtls.googleapis.com")

    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse = warehouse

    def resource(self, request: Request) -> str:
        named = dict(request.params)
        if "project" in named:
            named["project"] = self.warehouse.projects.id_of(named["project"])
        if "table" in named:
            # A partition, and what a table was, are of the table.
            named["table"] = named["table"].partition("$")[0].partition("@")[0]
        parts = [f"{kind}s/{named[kind]}" for kind in _KINDS if kind in named]
        if action := request.params.get("table_action"):
            parts.append(f"tables/{action.rpartition(':')[0]}")
        return "/".join(parts)

    def error_reply(self, error: TuleError) -> Reply:
        error.reason = reason_of(error)
        status = 412 if isinstance(error, PreconditionFailed) else STATUS.get(error.reason, http_status(error))
        headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
        return Reply(status, discovery_body(error, http=status), headers)


# Variables of routes, from the outside in; jobs have no policies of their own.
_KINDS = ("project", "dataset", "table", "model", "routine")
