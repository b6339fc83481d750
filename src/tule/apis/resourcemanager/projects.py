"""Projects as Resource Manager describes them, over ``kernel.projects``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tule.kernel.errors import InvalidArgument, NotFound
from tule.kernel.projects import Projects
from tule.kernel.records import Filter, Record, Records, pages

_MOST = 1000


class ProjectResources:
    """The projects that were seen. A project exists once its id was used, so any id that can be one is found."""

    def __init__(self, records: Records, projects: Projects) -> None:
        self._records = records
        self._projects = projects

    def get(self, name: str) -> dict[str, Any]:
        """The project ``projects/ID`` or ``projects/NUMBER``."""
        collection, _, project = name.partition("/")
        if collection != "projects" or not project or "/" in project or project in ("_", "-"):
            raise InvalidArgument("A project must be named projects/ID or projects/NUMBER", given=repr(name[:100]))
        project = self._projects.resolve(project)
        self._projects.number(project)
        return _resource(self._records.get(f"projects/{project}"))

    def search(
        self, query: str, *, page_size: int, page_token: str, visible: Callable[[str], bool]
    ) -> tuple[Sequence[dict[str, Any]], str]:
        """Projects in order of their ids, of those that ``visible`` lets through, and the token of the next page.

        ``query`` asks for displayName (or name), projectId (or id), state, parent and labels: ``name:sales*``.
        """
        if page_size < 0:
            raise InvalidArgument("A page size must not be negative", given=page_size)
        request = ("projects", query)
        after = pages.key_of(request, page_token)[0] if page_token else ""
        wanted = Filter(query)
        found = []
        for record in self._records.list("project"):
            project = record.body["projectId"]
            if project > after and wanted(_asked(record)) and visible(record.name):
                found.append(record)
        size = min(page_size or _MOST, _MOST)
        token = pages.token(request, [found[size - 1].body["projectId"]]) if len(found) > size else ""
        return [_resource(each) for each in found[:size]], token

    def list(self, parent: str) -> Sequence[dict[str, Any]]:
        """The projects of a folder or an organization; there are none of those here."""
        kind, _, number = parent.partition("/")
        if kind not in ("folders", "organizations") or not number:
            raise InvalidArgument(
                "The parent of projects must be folders/NUMBER or organizations/NUMBER", given=repr(parent[:100])
            )
        raise NotFound(
            "The parent must exist: the projects here stand in no folder and no organization",
            given=parent,
            do="search them (SearchProjects)",
        )


def _resource(record: Record) -> dict[str, Any]:
    return {
        "name": f"projects/{record.body['projectNumber']}",
        "projectId": record.body["projectId"],
        "state": record.body["state"],
        "displayName": record.body["projectId"],
        "createTime": record.create_time.isoformat().replace("+00:00", "Z"),
        "updateTime": record.update_time.isoformat().replace("+00:00", "Z"),
        "etag": record.etag,
    }


def _asked(record: Record) -> dict[str, Any]:
    """A project as a query sees it."""
    project = record.body["projectId"]
    return {
        "displayName": project,
        "name": project,
        "projectId": project,
        "id": project,
        "projectNumber": record.body["projectNumber"],
        "state": record.body["state"],
        "lifecycleState": record.body["state"],
    }
