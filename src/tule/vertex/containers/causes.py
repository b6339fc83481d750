"""Why a process failed: a cause with a name, the lines that show it, and what to do next.

The runner knows about limits and signals; what a program itself says is read off the end of what it wrote.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tule.kernel.jobs import Exit, Reason

_MOST_EVIDENCE = 8
_LONGEST_LINE = 400


class Kind(StrEnum):
    """The names of causes."""

    OUT_OF_MEMORY = "out of memory"
    TIMEOUT = "timeout"
    CPU_LIMIT = "processor time"
    HANG = "hang"
    DISK = "disk"
    IMPORT = "import error"
    MISSING_FILE = "missing file"
    MISSING_PROGRAM = "missing program"
    PERMISSION = "permission"
    PORT_TAKEN = "port taken"
    NETWORK = "network"
    NON_FINITE = "non-finite loss"
    LOST = "lost"
    SIGNAL = "signal"
    EXIT = "bad exit"


# What a cause is among Google's codes.
_CODES = {
    Kind.OUT_OF_MEMORY: "RESOURCE_EXHAUSTED",
    Kind.DISK: "RESOURCE_EXHAUSTED",
    Kind.CPU_LIMIT: "RESOURCE_EXHAUSTED",
    Kind.TIMEOUT: "DEADLINE_EXCEEDED",
    Kind.HANG: "DEADLINE_EXCEEDED",
    Kind.PERMISSION: "PERMISSION_DENIED",
    Kind.MISSING_FILE: "NOT_FOUND",
    Kind.NETWORK: "UNAVAILABLE",
    Kind.LOST: "ABORTED",
}


@dataclass(frozen=True, slots=True)
class Cause:
    """A named cause. ``what`` is a sentence, ``evidence`` the lines that show it, ``next`` what to do."""

    kind: Kind
    what: str
    evidence: tuple[str, ...]
    next: str

    @property
    def code(self) -> str:
        """The canonical error code: ``RESOURCE_EXHAUSTED``, ``INTERNAL``, ..."""
        return _CODES.get(self.kind, "FAILED_PRECONDITION")

    @property
    def text(self) -> str:
        """Cause, evidence and next step in one message."""
        shown = "; it last wrote:\n" + "\n".join(self.evidence) + "\n" if self.evidence else ". "
        return f"{self.kind.capitalize()}: {self.what}{shown}Next: {self.next}"


def cause(exit: Exit, stdout_tail: bytes, stderr_tail: bytes) -> Cause | None:
    """The cause of an end, None for one that succeeded or was cancelled. The tails are the last of what it wrote."""
    if exit.succeeded or exit.reason is Reason.CANCELLED:
        return None
    said = _Said([*_lines(stdout_tail), *_lines(stderr_tail)])
    if exit.reason in _LIMITS:
        kind, next = _LIMITS[exit.reason]
        return Cause(kind, exit.detail or str(exit.reason), said.last(), next)
    if exit.code in (126, 127) and (found := _not_run(exit, said)):
        return found
    for reader in _READERS:
        if found := reader(said):
            return found
    if exit.reason is Reason.SIGNALLED:
        what = exit.detail or f"signal {exit.signal} ended it"
        return Cause(Kind.SIGNAL, what, said.last(), "read its logs; a native library may have crashed")
    what = exit.detail or f"it ended with code {exit.code}"
    if said.error:
        what = f"{what}: {said.error}"
    return Cause(Kind.EXIT, what, said.last(), "read its logs: the error above, and what led to it")


class _Said:
    """What a program wrote at its end.

    Where it ended with an exception, that one tells the cause: an earlier line that looks like another (an optional
    library that was not there) is none. Errors that only say that a process below failed are looked through.
    """

    def __init__(self, lines: Sequence[str]) -> None:
        self.lines = lines
        start = 0
        if any(line.startswith("Traceback (most recent call last)") for line in lines):
            ends = [at for at, line in enumerate(lines) if _EXCEPTION.match(line)]
            start = ends[-1] if ends and not _WRAPPER.match(lines[ends[-1]]) else 0
        self.error = lines[start] if start else ""
        self._start = start

    def find(self, pattern: re.Pattern[str], *, anywhere: bool = False) -> re.Match[str] | None:
        """The last line that fits, of those that tell the cause or of all."""
        lines = self.lines if anywhere else self.lines[self._start :]
        return next((found for line in reversed(lines) if (found := pattern.search(line))), None)

    def around(self, line: str) -> tuple[str, ...]:
        """A line and what leads to it: where in the program it happened."""
        at = len(self.lines) - 1 - list(reversed(self.lines)).index(line)
        return tuple(self.lines[max(0, at - _MOST_EVIDENCE + 1) : at + 1])

    def last(self) -> tuple[str, ...]:
        return tuple(self.lines[-_MOST_EVIDENCE:])


_EXCEPTION = re.compile(r"(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:: |$)")
_WRAPPER = re.compile(r"(?:\w+\.)*(?:ChildFailedError|CalledProcessError|RayTaskError|ProcessRaisedException)\b")

_LIMITS: dict[Reason, tuple[Kind, str]] = {
    Reason.OUT_OF_MEMORY: (Kind.OUT_OF_MEMORY, "use a larger machine type, or work on less data at a time"),
    Reason.TIMEOUT: (Kind.TIMEOUT, "raise its timeout"),
    Reason.CPU_LIMIT: (Kind.CPU_LIMIT, "raise its limit of processor time"),
    Reason.DISK_LIMIT: (Kind.DISK, "write less to its own folder, or raise TULE_JOB_DISK"),
    Reason.HANG: (Kind.HANG, "look at what it waited for in the last lines; raise TULE_HANG_SECONDS if it may wait"),
    Reason.LOST: (Kind.LOST, "start it again"),
}

Reader = Callable[[_Said], Cause | None]

_MODULE = re.compile(r"^(?:ModuleNotFoundError|ImportError): No module named '([\w.]+)'")
_NAME = re.compile(r"^ImportError: cannot import name '(\w+)' from (?:partially initialized module )?'([\w.]+)'")
_IMPORT = re.compile(r"^ImportError: (.+)")
_RUN_MODULE = re.compile(r"python[\w.]*: No module named ([\w.]+)")
_MEMORY = re.compile(
    r"^(?:\w+\.)*(?:MemoryError|_ArrayMemoryError)\b|std::bad_alloc|Cannot allocate memory|CUDA out of memory"
    r"|DefaultCPUAllocator: (?:can't|not enough)|\bOOM\b.*alloc"
)
_PORT = re.compile(r"\[Errno 98\]|EADDRINUSE|[Aa]ddress already in use")
_PORT_NUMBER = re.compile(r"\bport:? (\d{2,5})\b|:(\d{2,5})\b")
_DISK = re.compile(r"\[Errno 28\]|No space left on device|Disk quota exceeded|\[Errno 27\] File too large")
_NO_FILE = re.compile(
    r"^(?:\w+\.)*FileNotFoundError: (?:\[Errno 2\] )?(?:No such file or directory: )?(?P<path>.+)"
    r"|can't open file (?P<script>'[^']+')|(?P<shell>\S+): No such file or directory$"
    r"|^(?:\w+\.)*NotFound: 404 (?P<object>.*)"
)
_PERMISSION = re.compile(
    r"^(?:\w+\.)*PermissionError: (?:\[Errno 13\] )?(?P<path>.+)|^(?:\w+\.)*(?:Forbidden|PermissionDenied): (?P<api>.+)"
    r"|(?P<shell>\S+): Permission denied$"
)
_UNREACHED = re.compile(
    r"Temporary failure in name resolution|Name or service not known|Network is unreachable"
    r"|Tule is offline|Failed to establish a new connection|No route to host"
)
_NON_FINITE = re.compile(
    r"""(?ix) \b(?:[\w/-]*loss|objective|perplexity|rmse|mse|mae|grad[\w-]*norm|cost|error)["']?\s*[:=]\s*
        (?:tensor\()?["']?[-+]?(?:nan|inf(?:inity)?)\b"""
)
_SAYS_NON_FINITE = re.compile(r"(?i)\b(?:contains? (?:nan|inf)|(?:is|became|was) (?:nan|inf|not finite)|non-?finite)\b")


def _not_run(exit: Exit, said: _Said) -> Cause | None:
    told = (exit.detail, *(line.removeprefix("tule: ") for line in said.lines if line.startswith("tule: ")))
    if trouble := next((line for line in told if line.startswith("it could not run")), None):
        return Cause(Kind.MISSING_PROGRAM, trouble, (), "name a program that is in the image, or install it")
    found = next((line for line in reversed(said.lines) if line.endswith((": not found", ": command not found"))), None)
    if found is None:
        return None
    return Cause(Kind.MISSING_PROGRAM, f"a program was not found: {found}", (found,), "install it, or name another")


def _memory(said: _Said) -> Cause | None:
    return _simple(
        said, _MEMORY, Kind.OUT_OF_MEMORY, "an allocation failed",
        "use a larger machine type, or work on less data at a time",
    )  # fmt: skip


def _disk(said: _Said) -> Cause | None:
    return _simple(said, _DISK, Kind.DISK, "there was no room to write", "free some, or raise TULE_JOB_DISK")


def _port(said: _Said) -> Cause | None:
    found = said.find(_PORT)
    if found is None:
        return None
    line = found.string
    number = next((each for pair in _PORT_NUMBER.findall(line) for each in pair if each), "")
    what = f"port {number} is in use by another process" if number else "a port is in use by another process"
    return Cause(
        Kind.PORT_TAKEN, what, said.around(line), "listen on port 0, or on the port that its environment names"
    )


def _import(said: _Said) -> Cause | None:
    for pattern in (_MODULE, _RUN_MODULE):
        if found := said.find(pattern):
            module = found[1]
            top = module.partition(".")[0]
            return Cause(
                Kind.IMPORT,
                f"the module {module} is not installed",
                said.around(found.string),
                f"add the distribution of {top} to the requirements (packages_to_install of a component), "
                "or use an image that has it",
            )
    if found := said.find(_NAME):
        what = f"{found[2]} has no {found[1]}; another version of it is installed, or a file of the same name hides it"
        return Cause(Kind.IMPORT, what, said.around(found.string), "pin the version that the program needs")
    if found := said.find(_IMPORT):
        return Cause(Kind.IMPORT, found[1], said.around(found.string), "install what it names")
    return None


def _missing_file(said: _Said) -> Cause | None:
    found = said.find(_NO_FILE)
    if found is None:
        return None
    what = found["object"] or found["path"] or found["script"] or found["shell"]
    return Cause(
        Kind.MISSING_FILE,
        f"it needs what is not there: {what[:_LONGEST_LINE]}",
        said.around(found.string),
        "check the path: inputs are under /gcs/BUCKET/ or gs://BUCKET/, the working folder starts empty",
    )


def _permission(said: _Said) -> Cause | None:
    found = said.find(_PERMISSION)
    if found is None:
        return None
    api = found["api"]
    next = "grant its service account a role with setIamPolicy, or run it as another one"
    if api is None:
        next = "write below its working folder, /tmp or /gcs/BUCKET/"
    what = api or found["path"] or found["shell"]
    return Cause(Kind.PERMISSION, f"it may not: {what[:_LONGEST_LINE]}", said.around(found.string), next)


def _network(said: _Said) -> Cause | None:
    return _simple(
        said, _UNREACHED, Kind.NETWORK, "another machine could not be reached",
        "check the network, and TULE_OFFLINE",
    )  # fmt: skip


def _non_finite(said: _Said) -> Cause | None:
    found = said.find(_NON_FINITE, anywhere=True) or said.find(_SAYS_NON_FINITE)
    if found is None:
        return None
    shown = [line for line in said.lines if _NON_FINITE.search(line) or _SAYS_NON_FINITE.search(line)]
    return Cause(
        Kind.NON_FINITE,
        f"a value is not a finite number: {found[0].strip()[:_LONGEST_LINE]}",
        tuple(shown[:2] + shown[2:][-2:]),
        "lower the learning rate, clip gradients, and look for missing values in the data",
    )


# In this order: the first that fits is the cause. What a traceback ends with comes before what was printed on the way.
_READERS: tuple[Reader, ...] = (
    _memory, _disk, _port, _import, _permission, _missing_file, _non_finite, _network,
)  # fmt: skip


def _simple(said: _Said, pattern: re.Pattern[str], kind: Kind, what: str, next: str) -> Cause | None:
    found = said.find(pattern)
    if found is None:
        return None
    return Cause(kind, f"{what}: {found.string.strip()[:_LONGEST_LINE]}", said.around(found.string), next)


def _lines(tail: bytes) -> list[str]:
    text = tail.decode(errors="replace").replace("\r", "\n")
    return [line.rstrip()[:_LONGEST_LINE] for line in text.splitlines() if line.strip()]
