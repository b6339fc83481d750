"""NET.HOST, NET.PUBLIC_SUFFIX and NET.REG_DOMAIN, by the list of https://publicsuffix.org without its private part."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tule.engines.duckdb.functions.udfs import Row

_URL = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.\-]*:)?//(?P<authority>[^/?#]*)")
_AUTHORITY = re.compile(r"(?:.*@)?(?P<host>\[[^\]]*\]|[^:]*)")


def _host(url: str) -> str | None:
    """The host of a URL; what has no scheme begins with its host."""
    text = url.strip()
    found = _URL.match(text)
    authority = found["authority"] if found is not None else re.split(r"[/?#]", text, maxsplit=1)[0]
    host = _AUTHORITY.match(authority)
    return (host["host"] or None) if host is not None else None


@cache
def _suffixes() -> Any:
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList(accept_unknown=False, only_icann=True)


def _labels(url: str, more: int) -> str | None:
    """The public suffix of a URL's host with so many labels before it, as they are written."""
    host = _host(url)
    labels = [each for each in (host or "").split(".") if each]
    if not labels or labels[0].startswith("["):
        return None
    suffix = _suffixes().publicsuffix(".".join(labels).lower())
    if suffix is None:
        return None
    count = len(suffix.split(".")) + more
    return ".".join(labels[-count:]) if count <= len(labels) else None


FUNCTIONS: tuple[Row, ...] = (
    ("tule_net_host", _host, "VARCHAR", "VARCHAR"),
    ("tule_net_public_suffix", lambda url: _labels(url, 0), "VARCHAR", "VARCHAR"),
    ("tule_net_reg_domain", lambda url: _labels(url, 1), "VARCHAR", "VARCHAR"),
)
