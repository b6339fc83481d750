"""A place in a document: values with the path to them, so that what is wrong is named where it stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tule.kernel.errors import InvalidArgument, Unimplemented

_ROOT = "pipeline_spec"


class Node:
    """An object of a document and where it stands; a missing one is empty."""

    def __init__(self, value: Any, path: str = _ROOT) -> None:
        if value is None:
            value = {}
        if not isinstance(value, Mapping):
            raise InvalidArgument(f"{path} must be an object", given=_shown(value), location=path)
        self.value: Mapping[str, Any] = value
        self.path = path

    def __contains__(self, key: str) -> bool:
        return self.value.get(key) is not None

    def __bool__(self) -> bool:
        return bool(self.value)

    def only(self, *keys: str, refused: tuple[str, ...] = ()) -> None:
        """Raise for fields that nobody reads: ``refused`` are known ones, any other is a mistake."""
        for key, value in self.value.items():
            if key in keys or value in (None, [], {}, ""):
                continue
            where = f"{self.path}.{key}"
            if key in refused:
                raise Unimplemented(f"Tule does not do {where}", do="leave it out", location=where)
            raise InvalidArgument(
                f"{self.path} has fields of a pipeline's intermediate representation only",
                given=key,
                do="compile the pipeline with the KFP SDK 2.x",
                location=where,
            )

    def object(self, key: str) -> Node:
        return Node(self.value.get(key), f"{self.path}.{key}")

    def objects(self, key: str) -> Iterator[tuple[str, Node]]:
        """The entries of a map of objects, in order."""
        found = self.object(key)
        for name, value in found.value.items():
            yield name, Node(value, f"{found.path}.{name}")

    def items(self, key: str) -> Iterator[Node]:
        """The elements of a list of objects."""
        for place, value in enumerate(self._list(key)):
            yield Node(value, f"{self.path}.{key}[{place}]")

    def texts(self, key: str) -> tuple[str, ...]:
        found = self._list(key)
        for value in found:
            if not isinstance(value, str):
                raise self._wrong(key, "a list of texts", value)
        return tuple(found)

    def text(self, key: str, default: str = "") -> str:
        found = self.value.get(key)
        if found is None:
            return default
        if not isinstance(found, str):
            raise self._wrong(key, "a text", found)
        return found

    def required(self, key: str) -> str:
        found = self.text(key)
        if not found:
            raise InvalidArgument(f"{self.path}.{key} must be given", given="none", location=f"{self.path}.{key}")
        return found

    def flag(self, key: str) -> bool:
        found = self.value.get(key)
        if found is None:
            return False
        if not isinstance(found, bool):
            raise self._wrong(key, "true or false", found)
        return found

    def number(self, key: str, default: float = 0.0) -> float:
        found = self.value.get(key)
        if found is None:
            return default
        try:
            if isinstance(found, bool):
                raise ValueError
            return float(found)
        except (TypeError, ValueError):
            raise self._wrong(key, "a number", found) from None

    def whole(self, key: str, default: int = 0) -> int:
        found = self.number(key, default)
        if found != int(found):
            raise self._wrong(key, "a whole number", found)
        return int(found)

    def seconds(self, key: str, default: float = 0.0) -> float:
        """A duration as JSON writes it: ``30s``."""
        found = self.text(key)
        if not found:
            return default
        try:
            if not found.endswith("s"):
                raise ValueError
            return float(found[:-1])
        except ValueError:
            raise self._wrong(key, "a duration such as 30s", found) from None

    def _list(self, key: str) -> list[Any]:
        found = self.value.get(key)
        if found is None:
            return []
        if not isinstance(found, list):
            raise self._wrong(key, "a list", found)
        return found

    def _wrong(self, key: str, wanted: str, given: Any) -> InvalidArgument:
        where = f"{self.path}.{key}"
        return InvalidArgument(f"{where} must be {wanted}", given=_shown(given), location=where)


def _shown(value: Any) -> str:
    return repr(value)[:100]
