"""The credentials of connections: files that only the server's user can read, never in a record, an answer or a log."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field

from tule.kernel.errors import DataLoss
from tule.kernel.home import Home, read_private, write_private

_FOLDER = ("credentials", "connections")


@dataclass(frozen=True)
class Credential:
    """Who connects. The password is no part of what is printed."""

    username: str
    password: str = field(repr=False)


class Credentials:
    """Kept under ids of their own: a connection's record names the one it has now."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def keep(self, credential: Credential) -> str:
        """Write a credential durably; its id."""
        key = secrets.token_hex(16)
        content = json.dumps({"username": credential.username, "password": credential.password}).encode()
        write_private(self._home.path(*_FOLDER, f"{key}.json"), content)
        return key

    def read(self, key: str) -> Credential:
        try:
            found = json.loads(read_private(self._home.path(*_FOLDER, f"{key}.json")))
        except FileNotFoundError:
            raise DataLoss(
                "The credential of a connection must be in the data directory", given="it is gone", do="set it again"
            ) from None
        return Credential(found["username"], found["password"])

    def forget(self, key: str) -> None:
        """Remove a credential if it is there."""
        self._home.path(*_FOLDER, f"{key}.json").unlink(missing_ok=True)

    def sweep(self, known: set[str]) -> None:
        """Remove what no connection names: a crash left it between a file and its record."""
        for path in self._home.folder(*_FOLDER).iterdir():
            if path.stem not in known:
                path.unlink(missing_ok=True)
