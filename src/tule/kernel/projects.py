"""Projects by id and by number. A project exists once its id was used; its number is the same on every machine.

Clients learn numbers from answers (a bucket's ``projectNumber``) and send them back in names, so both must lead to one
project.
"""

from __future__ import annotations

import re

from tule.kernel.errors import InvalidArgument, NotFound
from tule.kernel.names import project_number
from tule.kernel.records import Records

_KIND = "project"
# Wider than Google's rule (6 to 30 characters), so that a test may use "p"; domain-scoped ids have a colon.
_ID = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._:-]{0,98}[A-Za-z0-9])?")
# Cloud Storage's "any project", and the wildcard of lists.
_PLACEHOLDERS = ("_", "-")


class Projects:
    """The projects that were seen, each a record ``projects/<id>``. Safe to use from any thread."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._numbers: dict[str, int] = {}
        self._ids: dict[int, str] = {}
        for record in records.list(_KIND):
            self._remember(record.body["projectId"], int(record.body["projectNumber"]))

    def _remember(self, project: str, number: int) -> None:
        self._numbers[project] = number
        self._ids[number] = project

    def resolve(self, id_or_number: str) -> str:
        """The id of a project given by id or number; an id that is new is recorded.

        Raises NotFound for a number of no project seen, InvalidArgument for what cannot be an id.
        """
        if id_or_number in self._numbers or id_or_number in _PLACEHOLDERS:
            return id_or_number
        if id_or_number.isascii() and id_or_number.isdigit():
            # More digits than a number of Google's has would not even be read.
            found = self._ids.get(int(id_or_number)) if len(id_or_number) < 20 else None
            if found is None:
                raise NotFound(
                    "A project number must be that of a project used here before",
                    given=id_or_number[:40],
                    do="use its id",
                )
            return found
        if _ID.fullmatch(id_or_number) is None:
            raise InvalidArgument(
                "A project id must be letters, digits and hyphens (with dots and a colon when it has a domain)",
                given=repr(id_or_number[:100]),
            )
        self._record(id_or_number)
        return id_or_number

    def id_of(self, id_or_number: str) -> str:
        """The id that is meant, without recording a new one: permissions are checked before anything is written."""
        if id_or_number.isascii() and id_or_number.isdigit() and len(id_or_number) < 20:
            return self._ids.get(int(id_or_number), id_or_number)
        return id_or_number

    def find(self, number: int) -> str | None:
        """The id of a project number, None for one of no project seen."""
        return self._ids.get(number)

    def number(self, project: str) -> int:
        """The number of a project given by id (or number)."""
        project = self.resolve(project)
        if project in _PLACEHOLDERS:
            raise InvalidArgument("A number belongs to one project", given=repr(project), do="name the project")
        return self._numbers.get(project) or self._record(project)

    def _record(self, project: str) -> int:
        """The number of a project that this object does not know yet, recorded where the store does not know it either.

        It is remembered once the transaction around is durable: one that fails must leave nothing behind.
        """
        name = f"projects/{project}"
        with self._records.transaction():
            present = self._records.find(name)
            if present is not None:
                number = int(present.body["projectNumber"])
            else:
                number = project_number(project)
                while number in self._ids:
                    number += 1
                body = {"projectId": project, "projectNumber": str(number), "state": "ACTIVE"}
                self._records.create(_KIND, name, body, parent="")
            self._records.after_commit(lambda: self._remember(project, number))
        return number
