"""The program of a process that runs JavaScript: evaluates sources once, then answers requests until the server hangs up.

Run as ``python -m tule.engines.javascript.worker PARENT READ WRITE MEMORY``: the server's process id, two pipe handles,
bytes of address space. The process is locked in before it sees any source. A request for which the function answers
an empty text is waiting for a promise: pending jobs run until there are none, then the empty text asks again.
"""

from __future__ import annotations

import sys
from typing import Any

import quickjs

from tule.engines.jail import frames
from tule.engines.jail.confine import JailUnavailable, confine, tie_to_parent

_STACK = 1 << 20


class Refused(Exception):
    """What the server is told: its kind and its words."""

    def __init__(self, kind: str, words: str) -> None:
        super().__init__(words)
        self.kind = kind


class Script:
    """A context of the engine with a program in it."""

    def __init__(self, sources: list[str], memory: int, seconds: float) -> None:
        self._context = quickjs.Context()
        self._context.set_memory_limit(memory)
        self._context.set_max_stack_size(_STACK)
        self._seconds = seconds
        self._function: Any = None
        for each in sources:
            self._function = self._timed(self._context.eval, each)

    def answer(self, request: str) -> str:
        found = self._timed(self._function, request)
        if found == "":
            while self._timed(self._context.execute_pending_job):
                pass
            found = self._timed(self._function, "")
        return str(found)

    def _timed(self, action: Any, *arguments: Any) -> Any:
        self._context.set_time_limit(self._seconds)
        try:
            return action(*arguments)
        except quickjs.StackOverflow as error:
            raise Refused("source", "RangeError: Maximum call stack size exceeded") from error
        except quickjs.JSException as error:
            raise _refusal(str(error)) from error


def _refusal(words: str) -> Refused:
    first = words.split("\n", 1)[0].strip()
    if first == "InternalError: interrupted":
        return Refused("time", first)
    # An error that could not even be made is null.
    if first in ("InternalError: out of memory", "null", ""):
        return Refused("memory", first)
    return Refused("source", first)


def main() -> None:
    parent, reader, writer, memory = map(int, sys.argv[1:5])
    tie_to_parent(parent)
    try:
        confine(readable=[], memory=memory)
    except (JailUnavailable, OSError) as error:
        frames.write(writer, {"ok": False, "kind": "jail", "error": str(error)})
        return
    script: Script | None = None
    while True:
        try:
            message, _ = frames.read(reader)
            try:
                if script is None:
                    script = Script(message["sources"], message["memory"], message["seconds"])
                    answers = []
                else:
                    answers = [script.answer(each) for each in message["requests"]]
            except Refused as refused:
                frames.write(writer, {"ok": False, "kind": refused.kind, "error": str(refused)})
                return
            except MemoryError:
                frames.write(writer, {"ok": False, "kind": "memory", "error": "MemoryError"})
                return
            frames.write(writer, {"ok": True, "answers": answers})
        except frames.Closed:
            return


if __name__ == "__main__":
    main()
