"""Who is calling, and may they: principals, credentials, permissions. Closed by default, on loopback too.

A data directory has one secret token and one service account with an RSA key; whoever can read the directory is its
owner. Work that runs under an account of its own gets that account's key (``credentials``) and may what policies say.
Credentials that are understood:

- ``Authorization: Bearer`` with the token, an access token that ``exchange`` or ``issue`` made, or a JWT that an
  account's key signed for a Google API (what Google's clients send without asking the token endpoint);
- an address that an account signed (``signed_urls``), for the one request it names;
- ``Proxy-Authorization: Basic`` with user ``tule`` and the token or an access token as its password, for the proxy.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import hmac
import ipaddress
import math
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard
from urllib.parse import urlsplit

from tule.kernel import signed_urls, tokens
from tule.kernel.clock import Clock
from tule.kernel.errors import FailedPrecondition, InvalidArgument, PermissionDenied, Unauthenticated, Unimplemented
from tule.kernel.home import Home, read_private, write_private
from tule.kernel.iam import Policies
from tule.kernel.service_keys import ServiceKey

TOKEN_ENDPOINT = "https://oauth2.googleapis.com/token"
_TOKEN_AUDIENCES = (
    TOKEN_ENDPOINT,
    "https://www.googleapis.com/oauth2/v4/token",
    "https://accounts.google.com/o/oauth2/token",
)
_ISSUED = "ya29.tule-"
_LIFETIME = 3600
_SKEW = 60
_METADATA_HOSTS = ("metadata.google.internal", "metadata", "169.254.169.254", "fd20:ce::254")
_ALSO_GOOGLE = ("accounts.google.com",)
_REMEMBERED = 512


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is calling. The owner is whoever holds the data directory's own credentials."""

    email: str
    owner: bool


class Access:
    """The guard of one data directory. Safe to use from any thread."""

    def __init__(
        self,
        home: Home,
        clock: Clock,
        project: str,
        *,
        policies: Policies | None = None,
        hosts: Iterable[str] = (),
    ) -> None:
        """``policies`` say what principals other than the owner may do; without them, nothing.

        ``hosts`` are names of this server beside the loopback ones. One that stands for every address of the machine
        (``0.0.0.0``, ``::``) lets requests name the server by any address: no foreign name can be made to look like one.
        """
        self._home = home
        self._clock = clock
        self._policies = policies
        self._hosts = frozenset(host.lower() for host in hosts)
        self._by_address = not self._hosts.isdisjoint(("0.0.0.0", "::"))
        self.project = project
        self.email = f"tule@{project}.iam.gserviceaccount.com"
        self._owner = Principal(self.email, owner=True)
        self._key = ServiceKey(self.email, home.path("credentials", "service-account.pem"))
        self._accounts: dict[str, ServiceKey] = {}
        # Claims of tokens whose seal or signature was checked, by digest: clients send the same one for an hour.
        self._checked: dict[bytes, dict[str, Any]] = {}
        # Clients are few and send the same two headers with each request.
        self._good_hosts: set[tuple[str, str | None]] = set()

    # -- secrets

    @functools.cached_property
    def token(self) -> str:
        """The secret of this data directory, 64 hexadecimal digits; made at the first start."""
        path = self._home.path("credentials", "token")
        if not path.exists():
            write_private(path, secrets.token_hex(32).encode() + b"\n")
        text = read_private(path).decode(errors="replace").strip()
        if len(text) != 64 or any(letter not in "0123456789abcdef" for letter in text):
            raise FailedPrecondition(
                "The token file must hold 64 hexadecimal digits",
                given=f"{path} with {len(text)} characters",
                do=f"delete {path}; the next start makes a new token",
            )
        return text

    @functools.cached_property
    def _secret(self) -> bytes:
        """The key that seals access tokens: a new token makes the old ones void."""
        return hashlib.sha256(b"tule access tokens/" + self.token.encode()).digest()

    def adc(self) -> dict[str, str]:
        """The application-default credentials of this data directory, as a key file of a service account."""
        return self._key.credentials(self.project, TOKEN_ENDPOINT)

    def credentials(self, email: str, project: str) -> dict[str, str]:
        """The key file of any account, for work that runs as it; its key is made where there is none."""
        return self._key_of(email, make=True).credentials(project, TOKEN_ENDPOINT)

    def _key_of(self, email: str, *, make: bool = False) -> ServiceKey:
        """The key of an account; raises Unauthenticated for one that has none and shall get none."""
        if email == self.email:
            return self._key
        found = self._accounts.get(email)
        if found is None:
            digest = hashlib.sha256(email.encode()).hexdigest()[:32]
            path = self._home.path("credentials", "accounts", f"{digest}.pem")
            if not make and not path.exists():
                raise Unauthenticated(
                    f"A signed token must be issued by {self.email}, or an account that work ran as here",
                    given=repr(email[:100]),
                    do=tokens.RENEW,
                )
            found = self._accounts.setdefault(email, ServiceKey(email, path))
        return found

    # -- tokens

    def issue(self, email: str | None = None, *, seconds: int = _LIFETIME) -> str:
        """An access token for ``email`` (default: the owner's account) that is good for ``seconds``."""
        claims = {"email": email or self.email, "exp": int(self._clock.now().timestamp()) + seconds}
        return _ISSUED + tokens.seal(self._secret, claims)

    def seconds_left(self, credential: str) -> int | None:
        """How long a token that holds now is still good for; None for the data directory's own, which does not end."""
        if credential.startswith(_ISSUED):
            expires = tokens.unseal(self._secret, credential.removeprefix(_ISSUED))["exp"]
        elif credential.count(".") == 2:
            expires = self._jwt(credential)["exp"]
        else:
            return None
        return max(0, int(expires - self._clock.now().timestamp()))

    def exchange(self, assertion: str) -> tuple[str, int]:
        """The token endpoint: an access token, and its lifetime in seconds, for a JWT that an account's key signed."""
        claims = self._jwt(assertion)
        if claims.get("aud") not in _TOKEN_AUDIENCES:
            raise Unauthenticated(
                f"The audience of an assertion must be {TOKEN_ENDPOINT}", given=repr(claims.get("aud")), do=tokens.RENEW
            )
        if "target_audience" in claims:
            raise Unimplemented("The token endpoint gives access tokens, no identity tokens", given="target_audience")
        subject = claims.get("sub") or claims["iss"]
        if subject != claims["iss"]:
            raise Unimplemented(
                "The service account acts for itself only (no domain-wide delegation)", given=f"sub {subject!r}"
            )
        return self.issue(claims["iss"]), _LIFETIME

    def verify_signature(self, email: str, message: bytes, signature: bytes) -> bool:
        """Whether the account ``email`` signed ``message`` (RSA PKCS#1 v1.5, SHA-256): for signed URLs."""
        try:
            return self._key_of(email).signed(message, signature)
        except Unauthenticated:
            return False

    def sign(self, message: bytes) -> bytes:
        """The owner's signature of ``message`` (RSA PKCS#1 v1.5, SHA-256)."""
        return self._key.sign(message)

    def _jwt(self, text: str) -> dict[str, Any]:
        """The claims of a JWT of ours that holds now."""
        claims = self._remembered(text, self._signed_jwt)
        self._check_times(claims)
        now = self._clock.now().timestamp()
        if claims["exp"] - claims.get("iat", now) > _LIFETIME + _SKEW:
            raise Unauthenticated(
                "A signed token must be good for at most an hour",
                given=f"one for {claims['exp'] - claims.get('iat', now):.0f} s",
                do="sign one with a later iat or an earlier exp",
            )
        return claims

    def _remembered(self, credential: str, read: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
        """The claims of a credential whose seal or signature holds; what it says of times is for the caller."""
        digest = hashlib.sha256(credential.encode()).digest()
        claims = self._checked.get(digest)
        if claims is None:
            claims = read(credential)
            if len(self._checked) >= _REMEMBERED:
                self._checked.clear()
            self._checked[digest] = claims
        return claims

    def _unsealed(self, credential: str) -> dict[str, Any]:
        return tokens.unseal(self._secret, credential.removeprefix(_ISSUED))

    def _signed_jwt(self, text: str) -> dict[str, Any]:
        return tokens.read_jwt(text, self._key_of)

    def _check_times(self, claims: dict[str, Any]) -> None:
        now = self._clock.now().timestamp()
        expires, issued = claims.get("exp"), claims.get("iat", now)
        # NaN is a number that is neither before nor after any other.
        if not _is_time(expires) or not _is_time(issued):
            raise Unauthenticated("A token must say when it was issued and when it expires (iat, exp)", do=tokens.RENEW)
        if now > expires + _SKEW:
            raise Unauthenticated(
                "A token must not be expired",
                given=f"one that expired {now - expires:.0f} s ago",
                do="ask for a new one",
            )
        if issued > now + _SKEW:
            raise Unauthenticated(
                "A token must not come from the future",
                given=f"one issued {issued - now:.0f} s ahead of this server",
                do="set the clocks alike",
            )

    # -- requests

    def principal_for(
        self, headers: Mapping[str, str], query: Mapping[str, str], *, method: str, host: str, path: str
    ) -> Principal:
        """Who sent a request; raises Unauthenticated. Header names are expected in lower case."""
        given = _header(headers, "authorization")
        if given:
            return self._bearer(given)
        if signed_urls.is_signed(query):
            return self._signed(headers, query, method=method, host=host, path=path)
        proxy = _header(headers, "proxy-authorization")
        if proxy:
            return self._proxy(proxy)
        raise Unauthenticated(
            "A request must carry a credential of this data directory",
            given=f"{method} {host}{path} without one",
            do=tokens.RENEW,
        )

    def _bearer(self, given: str) -> Principal:
        scheme, _, credential = given.partition(" ")
        credential = credential.strip()
        if scheme.lower() != "bearer" or not credential or not credential.isascii():
            raise Unauthenticated("The Authorization header must be of the form Bearer TOKEN", do=tokens.RENEW)
        if hmac.compare_digest(credential.encode(), self.token.encode()):
            return self._owner
        if credential.startswith(_ISSUED):
            claims = self._remembered(credential, self._unsealed)
            self._check_times(claims)
            return self._principal(claims["email"])
        if credential.count(".") == 2:
            claims = self._jwt(credential)
            if claims.get("sub") not in (None, claims["iss"]):
                raise Unauthenticated(
                    "The service account acts for itself only", given=f"sub {claims['sub']!r}", do=tokens.RENEW
                )
            audience = claims.get("aud")
            # With scopes and no audience a client speaks to any Google API.
            if audience is None and claims.get("scope"):
                return self._principal(claims["iss"])
            if not _google_audience(audience):
                raise Unauthenticated(
                    "The audience of a signed token must be a Google API (https://SERVICE.googleapis.com/)",
                    given=repr(audience),
                    do=tokens.RENEW,
                )
            return self._principal(claims["iss"])
        raise Unauthenticated("The token must be one of this data directory", given="another one", do=tokens.RENEW)

    def _principal(self, email: str) -> Principal:
        return self._owner if email == self.email else Principal(email, owner=False)

    def _signed(
        self, headers: Mapping[str, str], query: Mapping[str, str], *, method: str, host: str, path: str
    ) -> Principal:
        claim = signed_urls.read(headers, query, method=method, host=host, path=path, now=self._clock.now())
        if any(self.verify_signature(claim.email, message, claim.signature) for message in claim.messages):
            return self._principal(claim.email)
        raise Unauthenticated(
            f"A signed URL must be signed by {self.email} for this very request",
            given=f"{method} {path} signed as {claim.email[:100]}",
            do="use the method, headers and parameters that were signed, with the credentials of this data directory",
            reason="SignatureDoesNotMatch",
        )

    def _proxy(self, given: str) -> Principal:
        scheme, _, credential = given.partition(" ")
        try:
            user, _, password = base64.b64decode(credential.strip(), validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            user, password = "", ""
        if scheme.lower() != "basic" or user.partition("+")[0] != "tule":
            password = ""
        if hmac.compare_digest(password.encode(), self.token.encode()):
            return self._owner
        if password.startswith(_ISSUED):
            claims = self._remembered(password, self._unsealed)
            self._check_times(claims)
            return self._principal(claims["email"])
        raise Unauthenticated("The proxy wants the user tule and the token of this data directory", do=tokens.RENEW)

    def check(self, principal: Principal, permission: str, resource: str) -> None:
        """Raises PermissionDenied unless the principal has the permission on the resource or above it."""
        if principal.owner:
            return
        if self._policies is not None and self._policies.test(principal.email, resource, [permission]):
            return
        raise PermissionDenied(
            f"{principal.email} must have the permission {permission}",
            given=resource or "the whole server",
            do="let the owner grant a role with setIamPolicy, or use the owner's credentials (`tule env`)",
        )

    def check_host(self, host: str, origin: str | None) -> None:
        """Raises PermissionDenied for a Host or Origin of no client of ours: DNS rebinding, pages of other sites."""
        if (host, origin) in self._good_hosts:
            return
        self._check_host(host, origin)
        if len(self._good_hosts) >= _REMEMBERED:
            self._good_hosts.clear()
        self._good_hosts.add((host, origin))

    def _check_host(self, host: str, origin: str | None) -> None:
        name, port = split_host(host)
        ours = _loopback(name) or name in self._hosts or (self._by_address and _is_address(name))
        if not (ours or name in _METADATA_HOSTS or _google(name)):
            raise PermissionDenied(
                "The Host of a request must be a loopback name, a Google API or a name of this server",
                given=repr(host[:100]),
                do="reach the server by 127.0.0.1, or under `tule exec`",
            )
        if origin:
            try:
                parts = urlsplit(origin)
                page = parts.hostname or ""
                same = parts.scheme in ("http", "https") and parts.port == port and (_loopback(page) or page == name)
            except ValueError:
                same = False
            if not same or not ours:
                raise PermissionDenied(
                    "A page may call this server only from its own address", given=f"Origin {origin[:100]!r}"
                )


def _is_time(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _header(headers: Mapping[str, str], name: str) -> str | None:
    return headers.get(name) or headers.get(name.title())


def split_host(host: str) -> tuple[str, int | None]:
    """The name and the port of a Host header; raises InvalidArgument.

    >>> split_host("[::1]:8080"), split_host("LocalHost.")
    (('::1', 8080), ('localhost', None))
    """
    try:
        parts = urlsplit("//" + host)
        name, port = parts.hostname, parts.port
    except ValueError:
        name, port = None, None
    if not name or parts.path or parts.query or parts.fragment or parts.username is not None:
        raise InvalidArgument("A request must name its Host as NAME or NAME:PORT", given=repr(host[:100]))
    return name.rstrip("."), port


def _loopback(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _google(name: str) -> bool:
    return name.endswith(".googleapis.com") or name in _ALSO_GOOGLE


def _google_audience(audience: object) -> bool:
    if not isinstance(audience, str):
        return False
    try:
        parts = urlsplit(audience)
    except ValueError:
        return False
    return parts.scheme == "https" and _google(parts.hostname or "")
