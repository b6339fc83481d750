"""The XML API as far as the stock client and signed URLs need it: objects by their addresses, uploads in parts."""

from __future__ import annotations

from dataclasses import replace

from tule.storage.api.xml.objects import ObjectPaths
from tule.storage.api.xml.requests import OBJECT
from tule.wire.door import BoundRoute, Request

__all__ = ["StorageHosted", "StorageXml"]

_SUFFIX = ".storage.googleapis.com"


class StorageXml(ObjectPaths):
    """storage.googleapis.com/BUCKET/OBJECT"""

    name = "storage-xml"
    hosts = ("storage.googleapis.com",)


class StorageHosted(ObjectPaths):
    """BUCKET.storage.googleapis.com/OBJECT"""

    name = "storage-hosted"
    hosts = ("*" + _SUFFIX,)

    def routes(self) -> list[BoundRoute]:
        """Those of objects, without the bucket that stands in the name of the host."""
        own = [
            replace(each.route, template="/{object:path}") for each in super().routes() if each.route.template == OBJECT
        ]
        return [BoundRoute(each, each.pattern(), getattr(self, each.method)) for each in own]

    def bucket_of(self, request: Request) -> str:
        return request.host.removesuffix(_SUFFIX)
