"""The doors of Cloud Storage: the JSON API, a file per resource, and the XML API's addresses of objects."""

from __future__ import annotations

from tule.storage.api.buckets import BucketRoutes
from tule.storage.api.objects import ObjectRoutes
from tule.storage.api.refused import RefusedRoutes
from tule.storage.api.routes import StorageDoor
from tule.storage.api.uploads import UploadRoutes
from tule.storage.api.xml import StorageHosted, StorageXml

__all__ = ["Storage", "StorageHosted", "StorageXml"]


class Storage(BucketRoutes, ObjectRoutes, UploadRoutes, RefusedRoutes, StorageDoor):
    """storage.googleapis.com: the JSON API"""

    name = "storage"
    hosts = ("storage.googleapis.com", "www.googleapis.com", "storage.mtls.googleapis.com")
