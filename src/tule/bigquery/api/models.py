"""Routes of models. https://cloud.google.com/bigquery/docs/reference/rest/v2/models"""

from __future__ import annotations

from typing import Any

from tule.bigquery.api.routes import etag, page, served
from tule.bigquery.api.shapes import MODEL
from tule.bigquery.references import DatasetReference, ModelReference
from tule.bigquery.warehouse import Warehouse
from tule.wire.door import Reply, Request

_MODELS = "/projects/{project}/datasets/{dataset}/models"
_MODEL = _MODELS + "/{model}"


def reference(request: Request) -> ModelReference:
    return ModelReference(request.params["project"], request.params["dataset"], request.params["model"]).checked()


class ModelRoutes:
    """models.*"""

    warehouse: Warehouse

    @served("GET", _MODELS, permission="bigquery.models.list", executes=("maxResults", "pageToken"))
    def list_models(self, request: Request) -> dict[str, Any]:
        found, token = self.warehouse.models.list(
            DatasetReference(request.params["project"], request.params["dataset"]).checked(), **page(request)
        )
        return {"models": list(found)} | ({"nextPageToken": token} if token else {})

    @served("GET", _MODEL, permission="bigquery.models.getMetadata")
    def get_model(self, request: Request) -> dict[str, Any]:
        return self.warehouse.models.get(reference(request))

    @served(
        "PATCH",
        _MODEL,
        permission="bigquery.models.updateMetadata",
        body=MODEL,
        executes=("modelReference.*", "labels.*", "expirationTime"),
        stores=("friendlyName", "description"),
    )
    def patch_model(self, request: Request) -> dict[str, Any]:
        return self.warehouse.models.patch(reference(request), request.json(), etag=etag(request))

    @served("DELETE", _MODEL, permission="bigquery.models.delete")
    def delete_model(self, request: Request) -> Reply:
        self.warehouse.models.delete(reference(request))
        return Reply(204)
