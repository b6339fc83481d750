"""The environment under which a command's Google clients land here; what ``tule exec`` sets and ``tule env`` prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from tule.wire.intercept.names import is_google
from tule.wire.intercept.routes import Route

# Removed from what the command inherits: they would lead a client around the proxy, or to another emulator.
UNSET = (
    "GRPC_PROXY",
    "ALL_PROXY",
    "all_proxy",
    "BIGQUERY_EMULATOR_HOST",
    "STORAGE_EMULATOR_HOST",
    "GOOGLE_CLOUD_QUOTA_PROJECT",
    "GOOGLE_API_USE_MTLS_ENDPOINT",
    "GOOGLE_API_USE_CLIENT_CERTIFICATE",
    "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE",
    "SSL_CERT_DIR",
    "NO_GCE_CHECK",
    "MLFLOW_TRACKING_USERNAME",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_REGISTRY_URI",
)


@dataclass(frozen=True)
class Target:
    """A running server as a command needs to know it."""

    port: int
    token: str
    project: str
    location: str
    bundle: Path
    credentials: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def route_of(inherited: Mapping[str, str], *, offline: bool) -> Route:
    """How the command's connections to other hosts would have left without us."""
    if offline:
        return Route(offline=True)
    given = next(
        (inherited[name] for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy") if inherited.get(name)),
        "",
    )
    if not given:
        return Route()
    parts = urlsplit(given if "://" in given else "http://" + given)
    credential = f"{parts.username}:{parts.password or ''}" if parts.username else None
    bypass = [each.strip() for each in _no_proxy(inherited).split(",") if each.strip()]
    return Route(upstream=f"{parts.hostname}:{parts.port or 80}", upstream_credential=credential, bypass=tuple(bypass))


def variables(target: Target, inherited: Mapping[str, str], *, offline: bool = False) -> dict[str, str]:
    """The variables to set over ``inherited``; those in ``UNSET`` are to be removed."""
    user = "tule+" + route_of(inherited, offline=offline).encode()
    proxy = f"http://{quote(user)}:{target.token}@127.0.0.1:{target.port}"
    direct = [
        each.strip()
        for each in _no_proxy(inherited).split(",")
        if each.strip() and each.strip() != "*" and not _hides_google(each)
    ]
    no_proxy = ",".join(dict.fromkeys(["localhost", "127.0.0.1", "::1", *direct]))
    bundle = str(target.bundle)
    made = {
        "HTTPS_PROXY": proxy,
        "HTTP_PROXY": proxy,
        "NO_PROXY": no_proxy,
        "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": bundle,
        "REQUESTS_CA_BUNDLE": bundle,
        "CURL_CA_BUNDLE": bundle,
        "SSL_CERT_FILE": bundle,
        "PIP_CERT": bundle,
        "NODE_EXTRA_CA_CERTS": bundle,
        "HTTPLIB2_CA_CERTS": bundle,
        "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE": bundle,
        "GOOGLE_APPLICATION_CREDENTIALS": str(target.credentials),
        "GOOGLE_CLOUD_PROJECT": target.project,
        "GCLOUD_PROJECT": target.project,
        "CLOUDSDK_CORE_PROJECT": target.project,
        "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE": str(target.credentials),
        "GOOGLE_CLOUD_LOCATION": target.location,
        "GOOGLE_CLOUD_REGION": target.location,
        "TULE_URL": target.url,
        "TULE_TOKEN": target.token,
        "MLFLOW_TRACKING_URI": target.url,
        "MLFLOW_TRACKING_TOKEN": target.token,
    }
    made |= {name.lower(): made[name] for name in ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")}
    made["no_grpc_proxy"] = no_proxy
    made["grpc_proxy"] = proxy
    return made


def environment(target: Target, inherited: Mapping[str, str], *, offline: bool = False) -> dict[str, str]:
    """The whole environment of a command."""
    kept = {name: value for name, value in inherited.items() if name not in UNSET}
    return kept | variables(target, inherited, offline=offline)


def _no_proxy(inherited: Mapping[str, str]) -> str:
    return inherited.get("NO_PROXY") or inherited.get("no_proxy") or ""


def _hides_google(entry: str) -> bool:
    name = entry.strip().lstrip("*.").lower()
    return is_google(name) or is_google(f"x.{name}") or name in ("google", "com", "internal")
