"""Uploads of objects in numbered parts, which may arrive in any order and at once, until a list of them makes the object."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tule.kernel.errors import InvalidArgument, NotFound
from tule.kernel.objects import Checksums, Conditions, Object, Objects, Sums
from tule.kernel.uploads import Uploads
from tule.storage.objects import ObjectResources

KIND = "storagePartUploads"
_MOST_PARTS = 10_000
_PIECE = 2**20

Name = tuple[str, str]


@dataclass(frozen=True)
class Part:
    """A part that is here; its checksums in base64."""

    upload: str
    size: int
    md5: str
    crc32c: str

    @property
    def etag(self) -> str:
        return base64.b64decode(self.md5).hex()


class PartUploads:
    """Each part is a session of its own, each upload one that keeps which parts it has."""

    def __init__(self, objects: Objects, resources: ObjectResources, sessions: Uploads) -> None:
        self._objects = objects
        self._resources = resources
        self._sessions = sessions

    def begin(self, bucket: str, key: str, given: Mapping[str, Any], conditions: Conditions) -> str:
        """Open an upload; raises now what would be wrong with the object at its end."""
        self._resources.check(bucket, key, given, conditions)
        return self._sessions.begin(
            {"bucket": bucket, "key": key, "object": dict(given), "conditions": asdict(conditions), "parts": {}}
        )

    def receive(self, upload: str, name: Name, number: int, chunks: Iterable[bytes], said: Checksums) -> Part:
        """Take a part; one that has the number of an earlier part takes its place."""
        self._body(upload, name)
        if not 1 <= number <= _MOST_PARTS:
            raise InvalidArgument(f"A part must have a number from 1 to {_MOST_PARTS}", given=number)
        sums, own = Sums(), self._sessions.begin({})
        try:
            self._sessions.receive(own, _counted(chunks, sums))
            content = sums.content()
            said.check(content)
            made = Part(own, content.size, content.md5, content.crc32c)
            before: list[str] = []

            def keep(body: dict[str, Any]) -> dict[str, Any]:
                if earlier := body["parts"].get(str(number)):
                    before.append(earlier["upload"])
                return {**body, "parts": {**body["parts"], str(number): asdict(made)}}

            self._sessions.amend(upload, keep)
        except BaseException:
            self._sessions.abandon(own)
            raise
        for each in before:
            self._sessions.abandon(each)
        return made

    def finish(self, upload: str, name: Name, listed: Sequence[tuple[int, str]]) -> Object:
        """Make the object of the listed parts, (number, etag), in their order. Parts that are not listed are dropped."""
        if (answer := self._sessions.answer(upload)) is not None:
            return self._objects.get(*name, generation=int(answer["generation"]))
        body = self._body(upload, name)
        parts = {int(number): Part(**part) for number, part in body["parts"].items()}
        wanted = _chosen(parts, listed)

        def also(made: Object) -> None:
            self._sessions.finish(upload, {"generation": str(made.generation)})
            for each in parts.values():
                self._sessions.abandon(each.upload)

        conditions = Conditions(**body["conditions"])
        return self._resources.insert(*name, body["object"], self._joined(wanted), conditions, also=also)

    def abandon(self, upload: str, name: Name) -> None:
        """Forget an upload and its parts."""
        body = self._body(upload, name)
        self._sessions.abandon(upload)
        for part in body["parts"].values():
            self._sessions.abandon(part["upload"])

    def _body(self, upload: str, name: Name) -> dict[str, Any]:
        body = self._sessions.body(upload)
        if (body.get("bucket"), body.get("key")) != name:
            raise NotFound("An upload must be of the object it is asked at", given="/".join(name), do="begin it there")
        return body

    def _joined(self, parts: Sequence[Part]) -> Iterator[bytes]:
        for each in parts:
            with self._sessions.whole(each.upload) as path, path.open("rb") as file:
                while piece := file.read(_PIECE):
                    yield piece


def _counted(chunks: Iterable[bytes], sums: Sums) -> Iterator[bytes]:
    for chunk in chunks:
        sums.add(chunk)
        yield chunk


def _chosen(parts: Mapping[int, Part], listed: Sequence[tuple[int, str]]) -> list[Part]:
    numbers = [number for number, _ in listed]
    if not numbers or numbers != sorted(set(numbers)):
        raise InvalidArgument(
            "The parts of an upload must be listed once each, in order", given=numbers[:20], reason="InvalidPartOrder"
        )
    for number, etag in listed:
        if number not in parts or parts[number].etag != etag:
            raise InvalidArgument(
                "A listed part must be here with the ETag it was answered with",
                given=f"part {number}, ETag {etag[:60]}",
                do="send the part again",
                reason="InvalidPart",
            )
    return [parts[number] for number in numbers]
