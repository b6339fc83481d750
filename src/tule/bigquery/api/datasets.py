"""Routes of projects and datasets. https://cloud.google.com/bigquery/docs/reference/rest/v2/datasets"""

from __future__ import annotations

from typing import Any

from tule.bigquery.api.routes import etag, flag, page, served
from tule.bigquery.api.shapes import DATASET, UNDELETE
from tule.bigquery.datasets import OUTPUT_FIELDS
from tule.bigquery.references import DatasetReference
from tule.bigquery.warehouse import Warehouse
from tule.wire.door import Reply, Request

_EXECUTED = (
    "datasetReference.*",
    "labels.*",
    "location",
    "defaultTableExpirationMs",
    "defaultPartitionExpirationMs",
    "maxTimeTravelHours",
    "defaultCollation",
    "access.*",
    *OUTPUT_FIELDS,
)
_STORED = ("friendlyName", "description", "storageBillingModel")
_DATASET = "/projects/{project}/datasets/{dataset}"


def reference(request: Request) -> DatasetReference:
    return DatasetReference(request.params["project"], request.params["dataset"]).checked()


class DatasetRoutes:
    """projects.* and datasets.*"""

    warehouse: Warehouse

    @served("GET", "/projects", permission="bigquery.projects.list", executes=("maxResults", "pageToken"))
    def list_projects(self, request: Request) -> dict[str, Any]:
        projects, token = self.warehouse.list_projects(**page(request))
        made: dict[str, Any] = {"kind": "bigquery#projectList", "projects": projects, "totalItems": len(projects)}
        return made | ({"nextPageToken": token} if token else {})

    @served("GET", "/projects/{project}/serviceAccount", permission="bigquery.projects.get")
    def get_service_account(self, request: Request) -> dict[str, Any]:
        return {
            "kind": "bigquery#getServiceAccountResponse",
            "email": self.warehouse.service_account(request.params["project"]),
        }

    @served(
        "GET",
        "/projects/{project}/datasets",
        permission="bigquery.datasets.list",
        executes=("all", "filter", "maxResults", "pageToken"),
    )
    def list_datasets(self, request: Request) -> dict[str, Any]:
        found, token = self.warehouse.datasets.list(
            request.params["project"],
            filter=request.query.get("filter", ""),
            all=flag(request, "all"),
            **page(request),
        )
        made: dict[str, Any] = {"kind": "bigquery#datasetList", "datasets": list(found)}
        return made | ({"nextPageToken": token} if token else {})

    @served(
        "POST",
        "/projects/{project}/datasets",
        permission="bigquery.datasets.create",
        body=DATASET,
        executes=_EXECUTED,
        stores=_STORED,
    )
    def insert_dataset(self, request: Request) -> dict[str, Any]:
        return self.warehouse.datasets.insert(request.params["project"], request.json())

    @served("GET", _DATASET, permission="bigquery.datasets.get", executes=("datasetView",))
    def get_dataset(self, request: Request) -> dict[str, Any]:
        found = self.warehouse.datasets.get(reference(request))
        if request.query.get("datasetView") == "METADATA":
            found.pop("access", None)
        return found

    @served("PATCH", _DATASET, permission="bigquery.datasets.update", body=DATASET, executes=_EXECUTED, stores=_STORED)
    def patch_dataset(self, request: Request) -> dict[str, Any]:
        return self.warehouse.datasets.patch(reference(request), request.json(), etag=etag(request))

    @served("PUT", _DATASET, permission="bigquery.datasets.update", body=DATASET, executes=_EXECUTED, stores=_STORED)
    def update_dataset(self, request: Request) -> dict[str, Any]:
        return self.warehouse.datasets.update(reference(request), request.json(), etag=etag(request))

    @served("POST", _DATASET + ":undelete", permission="bigquery.datasets.create", body=UNDELETE)
    def undelete_dataset(self, request: Request) -> dict[str, Any]:
        self.warehouse.deleted_datasets.restore(reference(request))
        return self.warehouse.datasets.get(reference(request))

    @served("DELETE", _DATASET, permission="bigquery.datasets.delete", executes=("deleteContents",))
    def delete_dataset(self, request: Request) -> Reply:
        self.warehouse.delete_dataset(reference(request), contents=flag(request, "deleteContents"))
        return Reply(204)
