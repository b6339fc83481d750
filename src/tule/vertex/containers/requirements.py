"""Whether what somebody requires is installed already, so that nothing has to be fetched."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from packaging.markers import default_environment
from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion

from tule.kernel.errors import InvalidArgument
from tule.vertex.containers.interpreters import Interpreter

# Options would lead pip to other indexes and files of this machine; a requirement is one distribution.
_FORBIDDEN_START = ("-", "/", ".", "file:")


def check_requirements(requirements: Iterable[str]) -> None:
    """Raise InvalidArgument for what is no requirement of one distribution."""
    for each in requirements:
        text = each.strip()
        if not text or text.startswith(_FORBIDDEN_START) or "\n" in text or "\x00" in text:
            raise InvalidArgument(
                "A requirement must name one distribution, as in pandas>=2 or NAME @ https://...",
                given=repr(each[:100]),
                do="leave out options of pip and paths",
            )


def missing(requirements: Iterable[str], interpreter: Interpreter) -> list[str]:
    """Those of ``requirements`` that an interpreter does not satisfy, or of which that cannot be told."""
    return [each for each in requirements if not _satisfied(each, interpreter, "", set())]


def _satisfied(text: str, interpreter: Interpreter, extra: str, seen: set[tuple[str, str]]) -> bool:
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        return False
    if requirement.marker is not None:
        place: dict[str, Any] = {
            **default_environment(),
            "python_version": "{}.{}".format(*interpreter.minor),
            "python_full_version": interpreter.label,
            "extra": extra,
        }
        if not requirement.marker.evaluate(place):
            return True
    if requirement.url is not None:
        return False
    found = interpreter.version_of(requirement.name)
    try:
        if found is None or not requirement.specifier.contains(found, prereleases=True):
            return False
    except InvalidVersion:
        return False
    return all(_has_extra(requirement.name, each, interpreter, seen) for each in requirement.extras)


def _has_extra(name: str, extra: str, interpreter: Interpreter, seen: set[tuple[str, str]]) -> bool:
    if (name, extra) in seen:
        return True
    seen.add((name, extra))
    required = interpreter.requirements_of(name)
    if required is None:
        return False
    return all(_satisfied(each, interpreter, extra, seen) for each in required if "extra" in each)
