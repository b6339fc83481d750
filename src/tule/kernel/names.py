"""Resource names and their patterns: parse, print, match (https://google.aip.dev/122).

>>> endpoint = Pattern("projects/{project}/locations/{location}/endpoints/{endpoint}")
>>> endpoint.match("projects/p/locations/us-central1/endpoints/7")["endpoint"]
'7'
>>> endpoint.name(project="p", location="us-central1", endpoint="7")
'projects/p/locations/us-central1/endpoints/7'
>>> endpoint.parent_of("projects/p/locations/us-central1/endpoints/7")
'projects/p/locations/us-central1'
"""

from __future__ import annotations

import hashlib
import re
import secrets
from functools import cached_property

from tule.kernel.errors import InvalidArgument

_VARIABLE = re.compile(r"\{(\w+)\}")
_SEGMENT = re.compile(r"[^/\x00-\x1f\x7f]+")


class Pattern:
    """The shape of one kind of resource name: literal segments and ``{variable}`` segments in turn."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._segments = text.split("/")

    def __repr__(self) -> str:
        return f"Pattern({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pattern) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    @cached_property
    def variables(self) -> tuple[str, ...]:
        return tuple(_VARIABLE.findall(self.text))

    @cached_property
    def collection(self) -> str:
        """The plural word before the last variable: ``endpoints``."""
        return self._segments[-2]

    @cached_property
    def parent(self) -> Pattern | None:
        """The pattern of the parent, None for a top-level resource."""
        return Pattern("/".join(self._segments[:-2])) if len(self._segments) > 2 else None

    def match(self, name: str) -> dict[str, str] | None:
        """The variables of ``name``, or None when it is not of this pattern."""
        parts = name.split("/")
        if len(parts) != len(self._segments):
            return None
        found: dict[str, str] = {}
        for want, part in zip(self._segments, parts, strict=True):
            variable = _VARIABLE.fullmatch(want)
            if variable is None:
                if want != part:
                    return None
            elif _SEGMENT.fullmatch(part) is None or part in (".", ".."):
                return None
            else:
                found[variable.group(1)] = part
        return found

    def parse(self, name: str) -> dict[str, str]:
        """As ``match``, but raises InvalidArgument naming the pattern."""
        found = self.match(name)
        if found is None:
            raise InvalidArgument(f"A resource name must have the form {self.text}", given=repr(name))
        return found

    def name(self, **variables: str) -> str:
        """The name made of ``variables``; raises InvalidArgument if one cannot be a segment."""
        made = _VARIABLE.sub(lambda found: variables[found.group(1)], self.text)
        self.parse(made)
        return made

    def parent_of(self, name: str) -> str:
        self.parse(name)
        return "/".join(name.split("/")[:-2])


def project_number(project_id: str) -> int:
    """The 12-digit number of a project, the same on every machine: derived from its id."""
    digest = int.from_bytes(hashlib.sha256(project_id.encode()).digest()[:8], "big")
    return 100_000_000_000 + digest % 900_000_000_000


def numeric_id() -> str:
    """A fresh 19-digit resource id, as Vertex AI assigns them."""
    return str(secrets.randbelow(9_000_000_000_000_000_000 - 10**18) + 10**18)
