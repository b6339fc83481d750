"""Where the connections of an intercepted command go that are not for Google: carried in the proxy's user name."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Route:
    """How a command's other connections leave. ``upstream``: the proxy it had (``host:port``), None for directly."""

    offline: bool = False
    upstream: str | None = None
    upstream_credential: str | None = None
    bypass: tuple[str, ...] = ()

    def encode(self) -> str:
        """As part of a user name: no character that a URL would have to escape."""
        text = json.dumps([self.offline, self.upstream, self.upstream_credential, list(self.bypass)])
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> Route:
        padded = text + "=" * (-len(text) % 4)
        offline, upstream, credential, bypass = json.loads(base64.urlsafe_b64decode(padded))
        return cls(bool(offline), upstream and str(upstream), credential and str(credential), tuple(map(str, bypass)))

    def goes_upstream(self, host: str) -> bool:
        return self.upstream is not None and not any(
            each == "*" or host == each or host.endswith("." + each.lstrip(".")) for each in self.bypass
        )
