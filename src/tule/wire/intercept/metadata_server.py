"""The metadata server of a Compute Engine machine, as clients look for it to find project and credentials.

Reached only through the proxy, whose credential is the caller's; answers want ``Metadata-Flavor: Google`` as the real one.
"""

from __future__ import annotations

import json

from tule.kernel.access import Access
from tule.kernel.errors import PermissionDenied
from tule.kernel.names import project_number
from tule.wire.door import Door, Reply, Request, route
from tule.wire.intercept.names import METADATA

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_PERMISSION = "compute.instances.get"


class MetadataServer(Door):
    """metadata.google.internal"""

    name = "metadata"
    hosts = METADATA
    error_style = "google"

    def __init__(self, access: Access, *, location: str) -> None:
        self._access = access
        self._location = location

    def resource(self, request: Request) -> str:
        return f"projects/{self._access.project}"

    def _text(self, request: Request, text: str, kind: str = "application/text") -> Reply:
        if request.headers.get("metadata-flavor") != "Google":
            raise PermissionDenied("A metadata request must carry the header Metadata-Flavor: Google")
        return Reply(200, text.encode(), {"Content-Type": kind, "Metadata-Flavor": "Google"})

    @route("GET", "/", permission=_PERMISSION)
    def ping(self, request: Request) -> Reply:
        return Reply(200, b"computeMetadata/\n", {"Content-Type": "application/text", "Metadata-Flavor": "Google"})

    @route("GET", "/computeMetadata/v1/project/project-id", permission=_PERMISSION)
    def project(self, request: Request) -> Reply:
        return self._text(request, self._access.project)

    @route("GET", "/computeMetadata/v1/project/numeric-project-id", permission=_PERMISSION)
    def number(self, request: Request) -> Reply:
        return self._text(request, str(project_number(self._access.project)))

    @route("GET", "/computeMetadata/v1/universe/universe-domain", permission=_PERMISSION)
    @route("GET", "/computeMetadata/v1/universe/universe_domain", permission=_PERMISSION)
    def universe(self, request: Request) -> Reply:
        return self._text(request, "googleapis.com")

    @route("GET", "/computeMetadata/v1/instance/zone", permission=_PERMISSION)
    def zone(self, request: Request) -> Reply:
        return self._text(request, f"projects/{project_number(self._access.project)}/zones/{self._location}-a")

    @route("GET", "/computeMetadata/v1/instance/region", permission=_PERMISSION)
    def region(self, request: Request) -> Reply:
        return self._text(request, f"projects/{project_number(self._access.project)}/regions/{self._location}")

    @route(
        "GET",
        "/computeMetadata/v1/instance/service-accounts/{account}/",
        permission=_PERMISSION,
        executes=("recursive",),
    )
    def account(self, request: Request) -> Reply:
        body = {"aliases": ["default"], "email": request.principal.email, "scopes": [_SCOPE]}
        return self._text(request, json.dumps(body), "application/json")

    @route("GET", "/computeMetadata/v1/instance/service-accounts/{account}/email", permission=_PERMISSION)
    def email(self, request: Request) -> Reply:
        return self._text(request, request.principal.email)

    @route("GET", "/computeMetadata/v1/instance/service-accounts/{account}/scopes", permission=_PERMISSION)
    def scopes(self, request: Request) -> Reply:
        return self._text(request, _SCOPE + "\n")

    @route(
        "GET",
        "/computeMetadata/v1/instance/service-accounts/{account}/token",
        permission=_PERMISSION,
        executes=("scopes",),
    )
    def token(self, request: Request) -> Reply:
        body = {"access_token": self._access.issue(request.principal.email), "expires_in": 3600, "token_type": "Bearer"}
        return self._text(request, json.dumps(body), "application/json")
