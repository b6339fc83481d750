"""The BigQuery door: REST v2, one method per RPC, a file per resource."""

from __future__ import annotations

from tule.bigquery.api.datasets import DatasetRoutes
from tule.bigquery.api.jobs import JobRoutes
from tule.bigquery.api.models import ModelRoutes
from tule.bigquery.api.tables import TableRoutes
from tule.bigquery.warehouse import Warehouse
from tule.wire.door import Door

__all__ = ["BigQuery"]


class BigQuery(DatasetRoutes, TableRoutes, ModelRoutes, JobRoutes, Door):
    """bigquery.googleapis.com"""

    name = "bigquery"
    hosts = ("bigquery.googleapis.com", "www.googleapis.com", "bigquery.mtls.googleapis.com")

    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse = warehouse
