"""Routes of tables, their rows and their policies. https://cloud.google.com/bigquery/docs/reference/rest/v2/tables"""

from __future__ import annotations

from typing import Any

from tule.bigquery import decorators
from tule.bigquery.api.routes import etag, flag, number, page, served
from tule.bigquery.api.shapes import INSERT_ALL, POLICY_ACTION, TABLE
from tule.bigquery.decorators import Decorated, partition
from tule.bigquery.errors import invalid
from tule.bigquery.references import DatasetReference, TableReference
from tule.bigquery.rows import RowFormat
from tule.bigquery.tables import OUTPUT_FIELDS
from tule.bigquery.warehouse import Warehouse
from tule.wire.door import Reply, Request
from tule.wire.receipts import Receipt

_EXECUTED = (
    "tableReference.*",
    # Which attributes of a field are done is the schema's own check (bigquery/schemas.py).
    "schema.*",
    "expirationTime",
    "labels.*",
    "view.query",
    "view.useLegacySql",
    "materializedView.*",
    "snapshotDefinition.*",
    "cloneDefinition.*",
    "timePartitioning.type",
    "timePartitioning.field",
    "timePartitioning.expirationMs",
    "timePartitioning.requirePartitionFilter",
    "rangePartitioning.*",
    "clustering.fields",
    "requirePartitionFilter",
    "defaultCollation",
    "externalDataConfiguration.*",
    *OUTPUT_FIELDS,
)
# Keys are never enforced by BigQuery either.
_STORED = ("friendlyName", "description", "tableConstraints.*")
_INSERT_ALL = Receipt(("kind", "rows.*", "skipInvalidRows", "ignoreUnknownValues", "traceId"))
_TABLES = "/projects/{project}/datasets/{dataset}/tables"
_TABLE = _TABLES + "/{table}"
_FORMAT = ("formatOptions.useInt64Timestamp", "formatOptions.timestampOutputFormat")


def reference(request: Request) -> TableReference:
    return TableReference(request.params["project"], request.params["dataset"], request.params["table"]).checked()


def decorated(request: Request) -> Decorated:
    """The table of a path that may name one partition of it."""
    named = {"datasetId": request.params["dataset"], "tableId": request.params["table"]}
    return partition(named, request.params["project"], "tableId")


def dataset_reference(request: Request) -> DatasetReference:
    return DatasetReference(request.params["project"], request.params["dataset"]).checked()


def row_format(request: Request) -> RowFormat:
    """How timestamps are to be written."""
    return RowFormat.read(
        flag(request, "formatOptions.useInt64Timestamp"), request.query.get("formatOptions.timestampOutputFormat")
    )


class TableRoutes:
    """tables.* and tabledata.*"""

    warehouse: Warehouse

    @served("GET", _TABLES, permission="bigquery.tables.list", executes=("maxResults", "pageToken"))
    def list_tables(self, request: Request) -> dict[str, Any]:
        found, token, total = self.warehouse.tables.list(dataset_reference(request), **page(request))
        made: dict[str, Any] = {"kind": "bigquery#tableList", "tables": list(found), "totalItems": total}
        return made | ({"nextPageToken": token} if token else {})

    @served("POST", _TABLES, permission="bigquery.tables.create", body=TABLE, executes=_EXECUTED, stores=_STORED)
    def insert_table(self, request: Request) -> dict[str, Any]:
        return self.warehouse.tables.insert(dataset_reference(request), request.json())

    @served("GET", _TABLE, permission="bigquery.tables.get", executes=("selectedFields", "view"))
    def get_table(self, request: Request) -> dict[str, Any]:
        view = request.query.get("view", "TABLE_METADATA_VIEW_UNSPECIFIED")
        if view not in ("TABLE_METADATA_VIEW_UNSPECIFIED", "BASIC", "STORAGE_STATS", "FULL"):
            raise invalid(f"view must be BASIC, STORAGE_STATS or FULL; given: {view!r}", location="view")
        table = decorated(request)
        return self.warehouse.tables.get(
            table.reference, selected=request.query.get("selectedFields", ""), statistics=view != "BASIC",
            partition=table.partition,
        )  # fmt: skip

    @served("PATCH", _TABLE, permission="bigquery.tables.update", body=TABLE, executes=_EXECUTED, stores=_STORED)
    def patch_table(self, request: Request) -> dict[str, Any]:
        return self.warehouse.tables.patch(reference(request), request.json(), etag=etag(request))

    @served("PUT", _TABLE, permission="bigquery.tables.update", body=TABLE, executes=_EXECUTED, stores=_STORED)
    def update_table(self, request: Request) -> dict[str, Any]:
        return self.warehouse.tables.update(reference(request), request.json(), etag=etag(request))

    @served("DELETE", _TABLE, permission="bigquery.tables.delete")
    def delete_table(self, request: Request) -> Reply:
        table = decorated(request)
        if table.partition:
            self.warehouse.partitions.delete(table.reference, table.partition)
        else:
            self.warehouse.tables.delete(table.reference)
        return Reply(204)

    # -- rows

    @served(
        "GET",
        _TABLE + "/data",
        permission="bigquery.tables.getData",
        executes=("maxResults", "pageToken", "startIndex", "selectedFields", *_FORMAT),
    )
    def list_rows(self, request: Request) -> dict[str, Any]:
        named = {"datasetId": request.params["dataset"], "tableId": request.params["table"]}
        return self.warehouse.rows.list(
            decorators.decorated(named, request.params["project"], "tableId"),
            start=number(request, "startIndex"),
            count=number(request, "maxResults"),
            page_token=request.query.get("pageToken", ""),
            selected=request.query.get("selectedFields", ""),
            format=row_format(request),
            user=request.principal.email,
        )

    @served(
        "POST",
        _TABLE + "/insertAll",
        permission="bigquery.tables.updateData",
        body=INSERT_ALL,
        executes=_INSERT_ALL.executes,
        streams=True,
    )
    def insert_all(self, request: Request) -> dict[str, Any]:
        # ``streams``: the rows may be many, and are not walked for the receipt.
        body = request.json()
        _INSERT_ALL.check("insert_all", (key for key, value in body.items() if value not in (None, "", [], {})))
        table = decorated(request)
        return self.warehouse.rows.insert_all(table.reference, body, table.partition)

    # -- policies

    @served(
        "POST",
        _TABLES + "/{table_action}",
        permission="bigquery.tables.getIamPolicy",
        body=POLICY_ACTION,
        executes=("*",),
    )
    def table_action(self, request: Request) -> dict[str, Any]:
        """``{table}:getIamPolicy``, ``:setIamPolicy`` and ``:testIamPermissions``."""
        table, _, action = request.params["table_action"].rpartition(":")
        where = TableReference(request.params["project"], request.params["dataset"], table).checked()
        return self.warehouse.table_policy(where, action, request.json(), request.principal)
