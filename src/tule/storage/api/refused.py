"""The rest of the JSON API, refused by name."""

from __future__ import annotations

from tule.kernel.errors import Unimplemented
from tule.storage.api.routes import StorageDoor, served
from tule.wire.door import Reply, Request


class RefusedRoutes(StorageDoor):
    """Notifications, HMAC keys, folders, retention locks, soft deletion, channels."""

    @served("GET", "/{rest:path}", permission="storage.objects.get", executes=("*",))
    @served("POST", "/{rest:path}", permission="storage.objects.get", executes=("*",), streams=True)
    @served("PUT", "/{rest:path}", permission="storage.objects.get", executes=("*",), streams=True)
    @served("PATCH", "/{rest:path}", permission="storage.objects.get", executes=("*",), streams=True)
    @served("DELETE", "/{rest:path}", permission="storage.objects.get", executes=("*",), streams=True)
    def refused(self, request: Request) -> Reply:
        raise Unimplemented(
            f"Tule does not do {request.method} /{request.params['rest']} of Cloud Storage",
            do="see docs/storage.md for what it does",
            reason="notImplemented",
        )
