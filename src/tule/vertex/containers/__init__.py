"""Containers: what an image, a command and resources become on this machine.

The front is read lazily: rooms that name a container must stay small.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tule.vertex.containers.accounts import Accounts
    from tule.vertex.containers.causes import Cause, cause
    from tule.vertex.containers.container import Container, expand
    from tule.vertex.containers.containers import Containers
    from tule.vertex.containers.machines import Machine, machine_of
    from tule.vertex.containers.prepared import Prepared
    from tule.vertex.containers.resources import Resources

_PLACES = {
    "Accounts": "accounts",
    "Cause": "causes",
    "Container": "container",
    "Containers": "containers",
    "Machine": "machines",
    "Prepared": "prepared",
    "Resources": "resources",
    "cause": "causes",
    "expand": "container",
    "machine_of": "machines",
}

__all__ = [
    "Accounts",
    "Cause",
    "Container",
    "Containers",
    "Machine",
    "Prepared",
    "Resources",
    "cause",
    "expand",
    "machine_of",
]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
