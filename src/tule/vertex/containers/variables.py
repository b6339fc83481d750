"""The variables of a container's process: its own, the service's, and those by which clients reach Google's APIs here."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from tule.kernel.errors import InvalidArgument
from tule.vertex.containers.container import Container

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# How a process reaches Google's APIs here: it would lead elsewhere, or speak as somebody else.
_OURS = frozenset(
    ("https_proxy", "http_proxy", "no_proxy", "grpc_proxy", "no_grpc_proxy", "all_proxy", "tule_url", "tule_token",
     "google_application_credentials", "grpc_default_ssl_roots_file_path")
)  # fmt: skip


class Interception(Protocol):
    """The variables under which a process reaches Google's APIs here; ``tule exec`` sets the same."""

    def __call__(self, *, project: str, credential: str, credentials: Path) -> dict[str, str]:
        """For a project, with a credential for the proxy and the file of an account's key."""


def check_variables(container: Container) -> None:
    """Raise InvalidArgument for variables that are the service's."""
    taken = sorted(name for name in container.env if name.lower() in _OURS)
    if taken:
        raise InvalidArgument(
            "A container must not set the variables by which its clients reach Google's APIs here",
            given=", ".join(taken),
            do="leave them out; a service account is named in its own field",
        )


def of_folder(folder: Path, programs: str) -> dict[str, str]:
    """What a process of this machine sees of itself."""
    return {"PATH": f"{programs}:{PATH}", "HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp")}


def of_pip(environ: Mapping[str, str]) -> dict[str, str]:
    """What tells pip where the server's user has packages from, for processes that install some."""
    found = {name: value for name, value in environ.items() if name.startswith(("PIP_", "UV_"))}
    home = Path(environ.get("HOME") or os.path.expanduser("~"))  # noqa: PTH111 (there may be none)
    cache = Path(environ.get("XDG_CACHE_HOME") or home / ".cache") / "pip"
    found.setdefault("PIP_CACHE_DIR", str(cache))
    for place in (home / ".config" / "pip" / "pip.conf", home / ".pip" / "pip.conf"):
        if place.exists():
            found.setdefault("PIP_CONFIG_FILE", str(place))
    return {**found, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore"}
