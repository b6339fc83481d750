"""Routes of functions and procedures. https://cloud.google.com/bigquery/docs/reference/rest/v2/routines"""

from __future__ import annotations

from typing import Any

from tule.bigquery.api.datasets import reference as dataset_reference
from tule.bigquery.api.routes import etag, page, served
from tule.bigquery.api.shapes import ROUTINE
from tule.bigquery.references import RoutineReference
from tule.bigquery.warehouse import Warehouse
from tule.wire.door import Reply, Request

_ROUTINES = "/projects/{project}/datasets/{dataset}/routines"
_ROUTINE = _ROUTINES + "/{routine}"
_EXECUTED = (
    "routineReference.*",
    "routineType",
    "language",
    "arguments.*",
    "returnType.*",
    "returnTableType.*",
    "importedLibraries",
    "definitionBody",
    "determinismLevel",
    "strictMode",
    # Sent back by clients from an earlier answer.
    "etag",
    "creationTime",
    "lastModifiedTime",
)
_STORED = ("description",)


def reference(request: Request) -> RoutineReference:
    params = request.params
    return RoutineReference(params["project"], params["dataset"], params["routine"]).checked()


class RoutineRoutes:
    """routines.*"""

    warehouse: Warehouse

    @served(
        "GET",
        _ROUTINES,
        permission="bigquery.routines.list",
        executes=("maxResults", "pageToken", "filter", "readMask"),
    )
    def list_routines(self, request: Request) -> dict[str, Any]:
        found, token = self.warehouse.routines.list(
            dataset_reference(request),
            filter=request.query.get("filter", ""),
            mask=request.query.get("readMask", ""),
            **page(request),
        )
        return {"routines": list(found)} | ({"nextPageToken": token} if token else {})

    @served(
        "POST",
        _ROUTINES,
        permission="bigquery.routines.create",
        body=ROUTINE,
        executes=_EXECUTED,
        stores=_STORED,
    )
    def insert_routine(self, request: Request) -> dict[str, Any]:
        return self.warehouse.routines.insert(dataset_reference(request), request.json())

    @served("GET", _ROUTINE, permission="bigquery.routines.get", executes=("readMask",))
    def get_routine(self, request: Request) -> dict[str, Any]:
        return self.warehouse.routines.get(reference(request), mask=request.query.get("readMask", ""))

    @served(
        "PUT",
        _ROUTINE,
        permission="bigquery.routines.update",
        body=ROUTINE,
        executes=_EXECUTED,
        stores=_STORED,
    )
    def update_routine(self, request: Request) -> dict[str, Any]:
        return self.warehouse.routines.update(reference(request), request.json(), etag=etag(request))

    @served("DELETE", _ROUTINE, permission="bigquery.routines.delete")
    def delete_routine(self, request: Request) -> Reply:
        self.warehouse.routines.delete(reference(request))
        return Reply(204)
