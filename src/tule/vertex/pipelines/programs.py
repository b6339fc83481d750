"""The programs that the KFP SDK writes for Python components, recognised so that they can start quickly.

A lightweight component is a shell script that installs ``kfp`` and further packages, writes the component's source to a
file and runs ``kfp.dsl.executor_main`` on it. Where the packages are there already, only the last part is work. What is
not exactly of that form is run as it is written.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

_EXECUTORS = ("kfp.dsl.executor_main", "kfp.components.executor_main")
# The whole of the inner script, whatever its line breaks.
_INNER = re.compile(
    r'program_path=\$\(mktemp -d\) printf "%s" "\$0" > "\$program_path/ephemeral_component\.py" '
    r"(?:_KFP_RUNTIME=true )?python3 -m (?P<module>[\w.]+) --component_module_path "
    r'"\$program_path/ephemeral_component\.py" "\$@"'
)
_ENSURE_PIP = re.compile(
    r'if ! \[ -x "\$\(command -v pip\)" \]; then python3 -m ensurepip \|\| python3 -m ensurepip --user \|\| '
    r"apt-get install python3-pip fi "
)
_VARIABLES = re.compile(r"(?:[A-Z_]+=[\w.]+ )+")
# Switches of pip that change nothing of what is installed.
_QUIET = {"--quiet", "-q", "--no-warn-script-location", "--disable-pip-version-check"}


@dataclass(frozen=True)
class Lightweight:
    """A Python component: its source, the executor's module and arguments, and what has to be installed for it.

    ``requirements`` are in the order of installation; ``alone`` those whose own requirements are not installed.
    """

    source: str
    module: str
    args: tuple[str, ...]
    requirements: tuple[str, ...]
    alone: frozenset[str]


def lightweight(command: Sequence[str], args: Sequence[str]) -> Lightweight | None:
    """The Python component that a container's command runs, None for any other command.

    >>> lightweight(["sh", "-c", "echo hello"], []) is None
    True
    """
    requirements: list[str] = []
    alone: set[str] = set()
    words = list(command)
    if len(words) == 7 and words[:2] == ["sh", "-c"]:
        steps = _installations(words[2])
        if steps is None:
            return None
        for packages, without_theirs in steps:
            requirements += packages
            if without_theirs:
                alone |= set(packages)
        words = words[3:]
    if len(words) != 4 or words[:2] != ["sh", "-ec"]:
        return None
    inner = _INNER.fullmatch(" ".join(words[2].split()))
    if inner is None or inner["module"] not in _EXECUTORS:
        return None
    return Lightweight(words[3], inner["module"], tuple(args), tuple(dict.fromkeys(requirements)), frozenset(alone))


def _installations(script: str) -> list[tuple[list[str], bool]] | None:
    """What a script installs by pip before it goes on, step by step; None where it does anything else."""
    text = " ".join(script.split())
    text = _ENSURE_PIP.sub("", text, count=1)
    if not text.endswith('&& "$0" "$@"'):
        return None
    found = []
    for part in text.removesuffix('&& "$0" "$@"').split("&&"):
        step = _installation(part.strip())
        if step is None:
            return None
        found.append(step)
    return found


def _installation(command: str) -> tuple[list[str], bool] | None:
    command = _VARIABLES.sub("", command, count=1) if _VARIABLES.match(command) else command
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    if words[:4] != ["python3", "-m", "pip", "install"]:
        return None
    packages = [word for word in words[4:] if not word.startswith("-")]
    switches = {word for word in words[4:] if word.startswith("-")}
    if switches - _QUIET - {"--no-deps"}:
        return None
    return packages, "--no-deps" in switches
