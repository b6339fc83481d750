"""Google's token endpoint: clients exchange what they signed with the key of ``tule env`` for an access token."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

from tule.kernel.access import Access
from tule.kernel.errors import InvalidArgument, TuleError, Unimplemented
from tule.wire.door import Door, Reply, Request, route
from tule.wire.errors import http_status

# Anybody may ask, so nobody is listened to for long.
_LONGEST = 64 * 1024
_JWT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class TokenEndpoint(Door):
    """oauth2.googleapis.com and the older names of the same thing. Open to all: the signature is the credential."""

    name = "oauth2"
    hosts = ("oauth2.googleapis.com", "accounts.google.com", "www.googleapis.com")

    def __init__(self, access: Access) -> None:
        self._access = access

    @route("POST", "/token", public=True, streams=True)
    @route("POST", "/o/oauth2/token", public=True, streams=True)
    @route("POST", "/oauth2/v4/token", public=True, streams=True)
    def token(self, request: Request) -> Reply:
        body = request.body()
        if len(body) > _LONGEST:
            raise InvalidArgument(f"A token request must be at most {_LONGEST} bytes", given=len(body))
        form = {key: values[-1] for key, values in parse_qs(body.decode("utf-8", "replace")).items()}
        grant = form.get("grant_type", "")
        if grant != _JWT:
            raise Unimplemented(
                "The token endpoint exchanges signed assertions", given=f"grant_type {grant or '(none)'}",
                do="use the credentials file of `tule env`",
            )  # fmt: skip
        if not form.get("assertion"):
            raise InvalidArgument("A token request must carry an assertion")
        token, seconds = self._access.exchange(form["assertion"])
        return Reply(200, {"access_token": token, "expires_in": seconds, "token_type": "Bearer"})

    @route("GET", "/tokeninfo", public=True, executes=("access_token",))
    @route("GET", "/oauth2/v3/tokeninfo", public=True, executes=("access_token",))
    def tokeninfo(self, request: Request) -> Reply:
        given = request.query.get("access_token", "")
        principal = self._access.principal_for(
            {"authorization": f"Bearer {given}"}, {}, method="GET", host=request.host, path=request.path
        )
        scope = "https://www.googleapis.com/auth/cloud-platform"
        about: dict[str, Any] = {"email": principal.email, "email_verified": "true", "scope": scope}
        seconds = self._access.seconds_left(given)
        return Reply(200, about if seconds is None else {**about, "expires_in": str(seconds)})

    def error_reply(self, error: TuleError) -> Reply:
        """Errors as OAuth words them (RFC 6749, section 5.2)."""
        status = http_status(error)
        return Reply(400 if status < 500 else status, {"error": "invalid_grant", "error_description": error.message})
