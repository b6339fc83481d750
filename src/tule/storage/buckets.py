"""What the JSON API does with buckets. https://cloud.google.com/storage/docs/json_api/v1/buckets"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tule.kernel.errors import InvalidArgument
from tule.kernel.objects import ANY, Buckets, Conditions
from tule.kernel.objects.buckets import project_of
from tule.kernel.projects import Projects
from tule.kernel.records import Record
from tule.storage.fields import bucket_body, merged
from tule.storage.resources import bucket_resource

_MOST = 1000


class BucketResources:
    """Buckets by their descriptions. ``base`` is the address under which the caller found this server."""

    def __init__(self, buckets: Buckets, projects: Projects) -> None:
        self._buckets = buckets
        self._projects = projects

    def insert(self, project: str, given: Mapping[str, Any], base: str) -> dict[str, Any]:
        name = given.get("name")
        if not isinstance(name, str) or not name:
            raise InvalidArgument("A bucket must have a name", given=repr(name), reason="required", location="name")
        return self._resource(self._buckets.create(self._projects.resolve(project), name, bucket_body(given)), base)

    def get(self, bucket: str, base: str, conditions: Conditions = ANY) -> dict[str, Any]:
        return self._resource(self._buckets.get(bucket, conditions), base)

    def list(self, project: str, base: str, *, prefix: str, page_size: int | None, page_token: str) -> dict[str, Any]:
        page = self._buckets.list(
            self._projects.resolve(project),
            prefix=prefix,
            page_size=min(page_size or _MOST, _MOST),
            page_token=page_token,
        )
        made: dict[str, Any] = {"kind": "storage#buckets", "items": [self._resource(each, base) for each in page]}
        return made | ({"nextPageToken": page.next_page_token} if page.next_page_token else {})

    def change(
        self, bucket: str, given: Mapping[str, Any], base: str, conditions: Conditions = ANY, *, replace: bool = False
    ) -> dict[str, Any]:
        """Merge what is given into the description, or let it take the description's place (``replace``)."""

        def changed(present: dict[str, Any]) -> dict[str, Any]:
            kept = {"location": present["location"]} if replace else _described(present)
            made = bucket_body(merged(kept, given))
            if made["location"] != present["location"]:
                raise InvalidArgument(
                    "A bucket stays where it is", given=f"location {made['location']}", do="make another bucket there"
                )
            return made

        return self._resource(self._buckets.update(bucket, changed, conditions), base)

    def delete(self, bucket: str, conditions: Conditions = ANY) -> None:
        self._buckets.delete(bucket, conditions)

    def _resource(self, record: Record, base: str) -> dict[str, Any]:
        return bucket_resource(record, self._projects.number(project_of(record)), base)


def _described(body: Mapping[str, Any]) -> dict[str, Any]:
    """A kept body in the shape of the description it came from."""
    made = dict(body)
    if prevention := made.pop("publicAccessPrevention", None):
        made["iamConfiguration"] = {"publicAccessPrevention": prevention}
    return made
