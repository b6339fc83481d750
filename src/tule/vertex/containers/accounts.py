"""The accounts that containers run as: credentials of their own, and what those may do."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from tule.kernel.access import Access, Principal
from tule.kernel.errors import InvalidArgument
from tule.kernel.iam import Policies
from tule.kernel.projects import Projects
from tule.kernel.records import Records

_EMAIL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
_KIND = "defaultServiceAccount"
_EDITOR = "roles/editor"
# Longer than any job: Vertex AI ends one after seven days, unless it is asked for more.
_PROXY_SECONDS = 60 * 86400


class Accounts:
    """Service accounts as processes need them.

    The default one of a project is that of Compute Engine, ``NUMBER-compute@developer.gserviceaccount.com``. As Google
    does, it is made an editor of its project when it is first used; whoever takes that away has taken it away.
    """

    def __init__(self, access: Access, policies: Policies, projects: Projects, records: Records) -> None:
        self._access = access
        self._policies = policies
        self._projects = projects
        self._records = records

    @staticmethod
    def check(service_account: str) -> None:
        """Raise InvalidArgument for what is no account's address."""
        if service_account and _EMAIL.fullmatch(service_account) is None:
            raise InvalidArgument(
                "A service account must be given by its address",
                given=repr(service_account[:100]),
                do="give NAME@PROJECT.iam.gserviceaccount.com, or leave it out for the project's default account",
            )

    def resolve(self, service_account: str, project: str) -> str:
        """The account that is meant: the one given, or the project's default one."""
        return service_account or f"{self.number(project)}-compute@developer.gserviceaccount.com"

    def number(self, project: str) -> int:
        """The number of a project."""
        return self._projects.number(project)

    def write_key(self, email: str, project: str, path: Path) -> None:
        """Write the account's key as a file of application-default credentials, mode 0600."""
        body = self._access.credentials(email, project)
        if email == self.resolve("", project):
            self._make_editor(email, project)
        # Not made durable: it is a process's own, and is written anew for the next.
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(json.dumps(body, indent=2).encode())

    def permit(self, email: str, permission: str, resource: str) -> None:
        """Raise PermissionDenied unless the account has a permission on a resource."""
        self._access.check(Principal(email, owner=email == self._access.email), permission, resource)

    def proxy_credential(self, email: str) -> str:
        """What lets a process of the account use the proxy."""
        return self._access.issue(email, seconds=_PROXY_SECONDS)

    def _make_editor(self, email: str, project: str) -> None:
        resource, member = f"projects/{project}", f"serviceAccount:{email}"
        mark = f"{resource}/defaultServiceAccount"
        if self._records.find(mark) is not None:
            return
        with self._records.transaction():
            if self._records.find(mark) is not None:
                return  # by another thread, meanwhile
            self._records.create(_KIND, mark, {"email": email}, parent=resource)
            policy = self._policies.get(resource)
            binding = {"role": _EDITOR, "members": [member]}
            self._policies.set(resource, {**policy, "bindings": [*policy["bindings"], binding]})
