"""Durable long-running operations (https://google.aip.dev/151): progress, cancel, wait, and a true end after a crash.

An operation is a record whose body is Google's message, so lists, filters and pages are those of every resource. What
the message has no room for (how far the work is, what resumes it) stands beside it under ``_tule``.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tule.kernel.clock import Clock
from tule.kernel.errors import (
    NUMBERS,
    Aborted,
    Cancelled,
    FailedPrecondition,
    Internal,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
    TuleError,
)
from tule.kernel.journal import Journal
from tule.kernel.names import numeric_id
from tule.kernel.records import Record, Records

_LOG = logging.getLogger(__name__)
_KIND = "operation"
_PRIVATE = "_tule"
# A report reaches the disk at once when its stage is new, otherwise at most this often (seconds).
_REPORT_EVERY = 0.5

Work = Callable[["Progress"], dict[str, Any] | None]


@dataclass(frozen=True, slots=True)
class Operation:
    """A state of an operation. ``body`` is Google's message: name, done, metadata, and response or error at the end."""

    name: str
    body: dict[str, Any]
    kind: str
    response_type: str
    target: str
    percent: int
    stage: str
    cancel_requested: bool
    create_time: datetime
    update_time: datetime

    @property
    def done(self) -> bool:
        return bool(self.body.get("done"))

    @property
    def metadata(self) -> dict[str, Any]:
        found: dict[str, Any] = self.body.get("metadata") or {}
        return found

    @property
    def response(self) -> dict[str, Any] | None:
        return self.body.get("response")

    @property
    def error(self) -> dict[str, Any] | None:
        """``{"code": number, "message": text, "details": [...]}`` of a failed operation."""
        return self.body.get("error")


class Progress:
    """The work's view of its operation. Safe to use from any thread of the work."""

    def __init__(self, operations: Operations, name: str) -> None:
        self._operations = operations
        self.name = name
        self._cancelled = threading.Event()
        self._actions: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        self._written = -_REPORT_EVERY
        self._stage: str | None = None

    @property
    def operation(self) -> Operation:
        return self._operations.get(self.name)

    @property
    def cancelled(self) -> bool:
        """Whether a cancel was asked for."""
        return self._cancelled.is_set()

    def check(self) -> None:
        """Raises Cancelled once a cancel was asked for; work calls it often."""
        if self.cancelled:
            raise Cancelled("The operation was cancelled")

    def on_cancel(self, action: Callable[[], None]) -> None:
        """Run ``action`` when a cancel is asked for (at once if it was): interrupt a query, kill a job."""
        with self._lock:
            if not self.cancelled:
                self._actions.append(action)
                return
        action()

    def report(self, percent: int, stage: str = "", **metadata: Any) -> None:
        """Tell how far the work is (0 to 100) and what it is doing; ``metadata`` goes into the operation's metadata.

        Raises Cancelled as ``check`` does, so that work that reports needs no more.
        """
        self.check()
        now = self._operations.monotonic()
        if stage == self._stage and not metadata and percent < 100 and now - self._written < _REPORT_EVERY:
            return
        self._stage, self._written = stage, now
        self._operations._report(self.name, percent, stage, metadata)

    def complete(self, response: dict[str, Any] | None = None) -> None:
        """End the operation in the current transaction: its effect and its end become visible together.

        What the work returns afterwards is ignored.
        """
        self._operations._finish(self.name, {"response": response or {}})

    def _cancel(self) -> None:
        with self._lock:
            if self._cancelled.is_set():
                return
            self._cancelled.set()
            actions, self._actions = self._actions, []
        for action in actions:
            try:
                action()
            except Exception:
                _LOG.exception("An action on cancel failed: %s", self.name)


class Operations:
    """The operations of one server; work runs on up to ``threads`` threads, in the order it was started."""

    def __init__(self, records: Records, journal: Journal, clock: Clock, threads: int = 32) -> None:
        self._records = records
        self._journal = journal
        self._clock = clock
        self._threads = threads
        # How to go on after a restart with unfinished work of a kind; without an entry it ends as ABORTED.
        self.resume: dict[str, Callable[[Operation, Progress], dict[str, Any] | None]] = {}
        self._changed = threading.Condition()
        self._waiting: deque[tuple[Progress, Work]] = deque()
        self._running: dict[str, Progress] = {}
        self._busy = 0
        self._closed = False

    def monotonic(self) -> float:
        return self._clock.monotonic()

    # -- starting

    def start(
        self,
        parent: str,
        work: Work,
        *,
        kind: str,
        metadata: dict[str, Any] | None = None,
        response_type: str = "",
        target: str = "",
    ) -> Operation:
        """Store a new operation ``<parent>/operations/<id>`` and run ``work`` on a thread.

        Inside a transaction the work starts when that commits, never if it fails. ``work`` gets a Progress, returns the
        response, and fails by raising. ``kind`` names it for ``resume``, ``target`` the resource it is about.
        """
        if self._closed:
            raise FailedPrecondition("The server must be running to start an operation", do="start it again")
        name = f"{parent}/operations/{numeric_id()}" if parent else f"operations/{numeric_id()}"
        body = {
            "name": name,
            "done": False,
            "metadata": metadata or {},
            _PRIVATE: {"kind": kind, "responseType": response_type, "target": target, "percent": 0, "stage": ""},
        }
        record = self._records.create(_KIND, name, body, parent=parent)
        self._records.after_commit(lambda: self._enqueue(record.name, work))
        return _operation(record)

    def run(self, parent: str, work: Work, *, kind: str, **about: Any) -> Operation:
        """As ``start``, and wait for the end: for work that is quick."""
        return self.wait(self.start(parent, work, kind=kind, **about).name)

    def _enqueue(self, name: str, work: Work) -> None:
        progress = Progress(self, name)
        with self._changed:
            self._running[name] = progress
            self._waiting.append((progress, work))
            if self._busy >= self._threads:
                return
            self._busy += 1
        # Daemon threads: a work that never ends must not keep the process from ending; recovery tells the truth later.
        threading.Thread(target=self._serve, name="operation", daemon=True).start()

    def _serve(self) -> None:
        while True:
            with self._changed:
                if not self._waiting or self._closed:
                    self._busy -= 1
                    self._changed.notify_all()
                    return
                progress, work = self._waiting.popleft()
            self._work(progress, work)

    def _work(self, progress: Progress, work: Work) -> None:
        name = progress.name
        try:
            try:
                progress.check()
                self._finish(name, {"response": work(progress) or {}})
            except BaseException as error:
                self._finish(name, {"error": _failure(name, error)})
        except NotFound:
            _LOG.info("Operation %s was deleted before it ended", name)
        except Exception:
            # The disk is full, or the store is closed: the next start ends it as ABORTED.
            _LOG.exception("The end of operation %s could not be stored", name)
        finally:
            with self._changed:
                self._running.pop(name, None)
                self._changed.notify_all()

    # -- changes

    def _report(self, name: str, percent: int, stage: str, metadata: dict[str, Any]) -> None:
        if not 0 <= percent <= 100:
            raise InvalidArgument("Progress must be 0 to 100 percent", given=percent)

        def change(body: dict[str, Any]) -> dict[str, Any]:
            if body["done"]:
                return body
            private = {**body[_PRIVATE], "percent": percent, "stage": stage}
            return {**body, "metadata": {**body["metadata"], **metadata}, _PRIVATE: private}

        self._records.update(name, change)

    def _finish(self, name: str, outcome: dict[str, Any]) -> None:
        def change(body: dict[str, Any]) -> dict[str, Any]:
            if body["done"]:
                return body
            private = {**body[_PRIVATE], **({"percent": 100} if "response" in outcome else {})}
            return {**body, "done": True, **outcome, _PRIVATE: private}

        with self._records.transaction():
            self._records.update(name, change)
            self._records.after_commit(self._notify)

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()

    # -- Google's methods

    def get(self, name: str) -> Operation:
        """The operation; raises NotFound."""
        record = self._records.find(name)
        if record is None or record.kind != _KIND:
            raise NotFound("The operation must exist", given=name)
        return _operation(record)

    def list(
        self, parent: str | None, *, filter: str = "", page_size: int = 0, page_token: str = ""
    ) -> tuple[list[Operation], str]:
        """The operations under a parent, oldest first, and the token of the next page."""
        page = self._records.list(
            _KIND, parent, filter=filter, order_by="create_time", page_size=page_size, page_token=page_token
        )
        return [_operation(record) for record in page.records], page.next_page_token

    def cancel(self, name: str) -> Operation:
        """Ask the work to stop; it ends with code CANCELLED, or with its response when that came first. Idempotent."""
        with self._records.transaction():
            if self.get(name).done:
                return self.get(name)
            self._records.update(name, lambda body: {**body, _PRIVATE: {**body[_PRIVATE], "cancelRequested": True}})
        with self._changed:
            progress = self._running.get(name)
            queued = next((pair for pair in self._waiting if pair[0] is progress), None)
            if queued is not None:
                self._waiting.remove(queued)
                self._running.pop(name, None)
        if queued is not None:
            self._finish(name, {"error": status(Cancelled("The operation was cancelled before it began"))})
        elif progress is not None:
            progress._cancel()
        return self.get(name)

    def delete(self, name: str) -> None:
        """Forget an operation that is done; raises FailedPrecondition for one that is not."""
        with self._records.transaction():
            if not self.get(name).done:
                raise FailedPrecondition(
                    "An operation must be done to be deleted", given=name, do="cancel it, then wait"
                )
            self._records.delete(name)

    def purge(self, before: datetime) -> int:
        """Forget the operations that were done before a moment; returns how many."""
        names = self._records.names_before(_KIND, before, filter="done = true")
        for name in names:
            with contextlib.suppress(NotFound):
                self._records.delete(name)
        return len(names)

    def wait(self, name: str, timeout: float | None = None) -> Operation:
        """The operation once it is done, or as it stands after ``timeout`` real seconds."""
        if self._records.in_transaction:
            # The work needs the transaction that this thread would hold while it waits.
            raise RuntimeError("An operation must not be waited for inside a transaction")
        deadline = None if timeout is None else self.monotonic() + timeout
        with self._changed:
            while True:
                # Looked at under the condition: an end in between cannot slip past.
                operation = self.get(name)
                left = None if deadline is None else deadline - self.monotonic()
                if operation.done or (left is not None and left <= 0):
                    return operation
                self._changed.wait(left)

    # -- the server's life

    def recover(self) -> Sequence[Operation]:
        """At the start: go on with unfinished operations that know how, end the others; returns the ended ones."""
        ended = []
        for record in self._records.list(_KIND, filter="done = false"):
            operation = _operation(record)
            resume = self.resume.get(operation.kind)
            error: TuleError
            if operation.cancel_requested:
                error = Cancelled("The operation was cancelled")
            elif resume is not None:
                self._enqueue(operation.name, _resumed(resume, operation))
                continue
            else:
                stage = f" at {operation.percent} %" + (f" ({operation.stage})" if operation.stage else "")
                error = Aborted(
                    f"The server stopped while the operation was running{stage}; its work ended there",
                    do="look at the resource, then call the method again",
                )
            self._finish(operation.name, {"error": status(error)})
            ended.append(self.get(operation.name))
        return ended

    def close(self, timeout: float = 5.0) -> None:
        """Take no more work, ask the running work to stop, and wait for it up to ``timeout`` real seconds.

        What did not end by then stays unfinished in the store and is settled by ``recover`` at the next start.
        """
        deadline = self.monotonic() + timeout
        with self._changed:
            self._closed = True
            running = list(self._running.values())
        for progress in running:
            progress._cancel()
        with self._changed:
            while self._busy and (left := deadline - self.monotonic()) > 0:
                self._changed.wait(left)


def status(error: TuleError) -> dict[str, Any]:
    """An error as google.rpc.Status in JSON."""
    found: dict[str, Any] = {"code": NUMBERS.get(error.code, NUMBERS["UNKNOWN"]), "message": error.message}
    if error.details:
        found["details"] = error.details
    return found


def _failure(name: str, error: BaseException) -> dict[str, Any]:
    """What ended the work, as google.rpc.Status; the trace of a bug goes to the log only."""
    if isinstance(error, TuleError):
        return status(error)
    if isinstance(error, MemoryError):
        _LOG.exception("Operation %s ran out of memory", name)
        return status(ResourceExhausted("The operation needs more memory than there is", do="work on less data"))
    incident = secrets.token_hex(6)
    _LOG.exception("Operation %s failed inside Tule, incident %s", name, incident)
    return status(
        Internal(
            f"The operation failed inside Tule ({type(error).__name__}), incident {incident}",
            do="look for the incident in the server's log (`tule logs`)",
        )
    )


def _resumed(resume: Callable[[Operation, Progress], dict[str, Any] | None], operation: Operation) -> Work:
    return lambda progress: resume(operation, progress)


def _operation(record: Record) -> Operation:
    private = record.body.get(_PRIVATE, {})
    return Operation(
        name=record.name,
        body={key: value for key, value in record.body.items() if key != _PRIVATE},
        kind=private.get("kind", ""),
        response_type=private.get("responseType", ""),
        target=private.get("target", ""),
        percent=private.get("percent", 0),
        stage=private.get("stage", ""),
        cancel_requested=private.get("cancelRequested", False),
        create_time=record.create_time,
        update_time=record.update_time,
    )
