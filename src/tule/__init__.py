"""Tule: Google Cloud's machine-learning stack on machines you own.

``tule.start()`` points the stock Google clients of this Python process at a local Tule; see ``tule.wire.intercept``.
Importing ``tule`` loads nothing heavy: the server, the engines and the model libraries are imported where they are used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tule.testing.session import Session

__version__ = "0.1.0"

__all__ = ["__version__", "start"]


def start(**options: Any) -> Session:
    """Start (or join) a local server and send this process's Google clients to it; see ``tule.testing.session.start``."""
    from tule.testing.session import start as start_session

    return start_session(**options)
