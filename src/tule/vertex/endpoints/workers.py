"""Jailed worker processes, as the server sees them: started, asked, timed, restarted, ended.

The server believes nothing a worker says about itself beyond its answers: what comes back is JSON and plain arrays,
sizes and times are limited, and a worker that breaks the protocol is killed.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tule.engines.jail import frames
from tule.kernel.clock import Clock
from tule.kernel.errors import (
    CODES,
    DeadlineExceeded,
    FailedPrecondition,
    Internal,
    InvalidArgument,
    TuleError,
    Unavailable,
)

Answer = TypeVar("Answer")

_LOG_TAIL = 2000
# How long a request waits for a worker to be free, which may be starting again; seconds.
_PATIENCE = 60.0


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one worker may take."""

    memory: int = 4 * 2**30
    """Address space, bytes."""
    start_seconds: float = 60
    """Time to start the interpreter and lock it in."""
    load_seconds: float = 120
    """Time to import the libraries and open the model; a model that spins is killed then."""
    predict_seconds: float = 60
    """Time for one request."""
    threads: int = 1
    """Threads of each native pool inside a worker."""


@dataclass(frozen=True)
class Task:
    """What a worker opens: ``loader`` is a key of the worker's LOADERS, ``path`` lies in ``directory``."""

    loader: str
    directory: Path
    path: Path


@dataclass(frozen=True)
class Loaded:
    """What a worker says about the model it opened."""

    kind: str
    num_features: int | None
    feature_names: list[str] | None
    warnings: list[str]
    versions: dict[str, str]
    layers: list[str]


class Launcher:
    """Starts worker processes from one thread that lives as long as the server.

    A worker dies with the thread that started it (the kernel's parent-death signal is tied to the thread, not to the
    process), so that not even ``kill -9`` of the server leaves one behind.
    """

    def __init__(self, clock: Clock, limits: Limits | None = None) -> None:
        self.clock = clock
        self.limits = limits or Limits()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="worker-launcher")

    def start(self, task: Task, log: Path | None) -> Worker:
        """A new worker that has opened the model of ``task``; raises what ``Worker`` raises. It prints to ``log``."""
        worker: Worker = self._thread.submit(self._spawn, task, log).result()
        try:
            worker.open()
        except BaseException:
            worker.close()
            raise
        return worker

    def _spawn(self, task: Task, log: Path | None) -> Worker:
        return Worker(task, log, self.clock, self.limits)

    def close(self) -> None:
        self._thread.shutdown(wait=False)


class Worker:
    """One jailed process with one model. ``predict`` serves one caller at a time; others wait for the lock.

    Every failure is an error that names its cause: FailedPrecondition when the model cannot be opened, InvalidArgument
    when the model refuses the instances, DeadlineExceeded and Unavailable when the process hangs or dies. After the
    last two the process is gone (``alive`` is false).
    """

    def __init__(self, task: Task, log: Path | None, clock: Clock, limits: Limits) -> None:
        self._task = task
        self._log = log
        self._clock = clock
        self._limits = limits
        self._lock = threading.Lock()
        self.loaded: Loaded | None = None
        self._folder = Path(tempfile.mkdtemp(prefix="tule-worker-"))
        their_read, self._write = os.pipe2(os.O_CLOEXEC)
        self._read, their_write = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._write, False)
        os.set_blocking(self._read, False)
        output: Any = subprocess.DEVNULL
        try:
            if log is not None:
                log.parent.mkdir(parents=True, exist_ok=True)
                log.unlink(missing_ok=True)
                output = log.open("wb")
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-P", "-m", "tule.vertex.endpoints.jail.worker"),
                    *map(str, (os.getpid(), their_read, their_write, limits.memory, task.directory)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._folder,
                env=_environment(limits.threads),
                pass_fds=(their_read, their_write),
                start_new_session=True,
            )
        except BaseException:
            os.close(self._read)
            os.close(self._write)
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        finally:
            os.close(their_read)
            os.close(their_write)
            if output is not subprocess.DEVNULL:
                output.close()
        self._open = True

    @property
    def alive(self) -> bool:
        return self._open and self.process.poll() is None

    def open(self) -> Loaded:
        """Lock the process in and open the model."""
        with self._lock:
            message, _ = self._receive(self._limits.start_seconds, "start")
            if not message.get("ok"):
                raise FailedPrecondition(
                    "A model file that can hold code needs a jail to be opened in",
                    given=message.get("error"),
                    do="run Tule on Linux with seccomp (x86_64 or aarch64), or serve a data-only format: "
                    "an XGBoost .json or .ubj file, or a model trained in SQL",
                )
            request = {"op": "load", "loader": self._task.loader, "path": str(self._task.path)}
            message, _ = self._ask(request, self._limits.load_seconds, "load")
        if not message.get("ok"):
            raise self._load_failure(message)
        try:
            self.loaded = Loaded(
                kind=str(message["kind"]),
                num_features=message["num_features"],
                feature_names=message["feature_names"],
                warnings=[str(item) for item in message["warnings"]],
                versions={str(key): str(value) for key, value in message["versions"].items()},
                layers=[str(item) for item in message["layers"]],
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise self._broken(f"its description of the model lacks {error}") from error
        return self.loaded

    def predict(self, instances: Sequence[Any], seconds: float | None = None) -> list[Any]:
        """One answer per instance."""
        within = min(seconds or self._limits.predict_seconds, self._limits.predict_seconds)
        with self._lock:
            message, _ = self._ask({"op": "predict", "instances": instances}, within, "predict")
        answers = message.get("predictions")
        if message.get("ok") and isinstance(answers, list) and len(answers) == len(instances):
            return answers
        if message.get("ok"):
            raise self._broken("its answer is not one prediction per instance")
        raise self._predict_failure(message)

    def describe(self) -> tuple[list[Any], list[Any]]:
        """The inputs and the outputs of the model for columns: [name, type, shape] of each."""
        with self._lock:
            message, _ = self._ask({"op": "describe"}, self._limits.load_seconds, "load")
        if not message.get("ok"):
            raise self._load_failure(message)
        found = message.get("inputs"), message.get("outputs")
        for each in found:
            if not isinstance(each, list) or not all(_is_tensor(item) for item in each):
                raise self._broken("its description of the inputs and outputs is none")
        return found  # type: ignore[return-value]

    def columns(self, batch: bytes) -> bytes:
        """The Arrow stream of the outputs for one of the inputs, a batch each; not to be believed."""
        with self._lock:
            message, data = self._ask({"op": "columns"}, self._limits.predict_seconds, "predict", batch)
        if not message.get("ok"):
            raise self._predict_failure(message)
        return data

    def plan(self) -> tuple[dict[str, Any], dict[str, Any]] | bytes | str:
        """The model as a description and arrays, or as xgboost's own file; or why it has no such form."""
        import numpy

        with self._lock:
            message, data = self._ask({"op": "plan"}, self._limits.load_seconds, "compile")
        if not message.get("ok"):
            return str(message.get("error", "unknown"))
        if message.get("booster"):
            return data
        try:
            with numpy.load(io.BytesIO(data), allow_pickle=False) as packed:
                return dict(message["plan"]), {name: packed[name] for name in packed.files}
        except (ValueError, KeyError, TypeError, OSError, EOFError) as error:
            raise self._broken(f"its compiled form cannot be read: {error}") from error

    def close(self) -> None:
        """End the process and everything it holds; idempotent."""
        if not self._open:
            return
        self._open = False
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self._read)
        os.close(self._write)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _ask(
        self, request: Mapping[str, Any], seconds: float, what: str, data: bytes = b""
    ) -> tuple[dict[str, Any], bytes]:
        if not self._open:
            raise Unavailable("The worker of this model must be running", given="it has ended", do="try again")
        remaining = self._countdown(seconds)
        try:
            frames.write(self._write, dict(request), data, remaining=remaining)
        except frames.Closed as error:
            raise self._died(what) from error
        except frames.TooLate as error:
            raise self._late(seconds, what) from error
        return self._receive(seconds, what, remaining)

    def _receive(
        self, seconds: float, what: str, remaining: frames.Remaining | None = None
    ) -> tuple[dict[str, Any], bytes]:
        try:
            return frames.read(self._read, remaining or self._countdown(seconds))
        except frames.Closed as error:
            raise self._died(what) from error
        except frames.TooLate as error:
            raise self._late(seconds, what) from error
        except frames.BrokenFrame as error:
            raise self._broken(str(error)) from error

    def _countdown(self, seconds: float) -> frames.Remaining:
        end = self._clock.monotonic() + seconds
        return lambda: end - self._clock.monotonic()

    def _tail(self) -> str:
        """The end of what the process printed."""
        if self._log is None or not self._log.exists():
            return ""
        with self._log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _LOG_TAIL))
            return file.read().decode(errors="replace").strip()

    def _died(self, what: str) -> TuleError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        code = self.process.poll()
        how = "hung up" if code is None else f"ended with {signal.Signals(-code).name if code < 0 else code}"
        tail = self._tail()
        self.close()
        given = f"its process {how} during {what}" + (f"; it printed: {tail}" if tail else "")
        if what in ("start", "load", "compile"):
            return FailedPrecondition(
                "The model must open in its worker",
                given=given,
                do=f"check that it fits {self._limits.memory >> 20} MiB",
            )
        return Unavailable("The worker of this model must stay alive", given=given, do="try again; it is restarted")

    def _late(self, seconds: float, what: str) -> TuleError:
        self.close()
        if what in ("start", "load", "compile"):
            return FailedPrecondition(
                f"The model must open within {seconds:g} s",
                given=f"its worker was still busy with {what} and was killed",
                do="save a fitted model without code that runs when it is opened",
            )
        return DeadlineExceeded(
            f"A prediction must take at most {seconds:g} s",
            given="the worker was still busy and was killed; it is restarted",
            do="send fewer instances",
        )

    def _broken(self, how: str) -> TuleError:
        self.close()
        return Internal("A worker must keep to the protocol", given=how, do="upload a model that you trust")

    def _load_failure(self, message: Mapping[str, Any]) -> TuleError:
        name = self._task.path.name
        # Libraries name the file with its place in the data directory, which says nothing to a client.
        error = str(message.get("error")).replace(f"{self._task.directory}{os.sep}", "")
        trace = str(message.get("trace", ""))
        tried = [item for item in message.get("tried") or [] if isinstance(item, dict)]
        details = [{"@type": "type.googleapis.com/google.rpc.DebugInfo", "detail": trace}] if trace else []
        if tried:
            what = " and ".join(dict.fromkeys(str(item.get("what")) for item in tried))
            return FailedPrecondition(
                f"A model must open without trying to {what}",
                given=f"{name} tried {'; '.join(str(item.get('evidence')) for item in tried[:3])} ({error})",
                do="save the fitted model alone, with no code that runs when it is opened",
                details=details,
            )
        if message.get("code"):
            return FailedPrecondition(f"{name}: {error}", details=details)
        if error.startswith(("ModuleNotFoundError", "ImportError")):
            do = "install that package where Tule runs, in the version that trained the model"
        elif error.startswith("MemoryError"):
            do = f"a worker has {self._limits.memory >> 20} MiB; save a smaller model"
        else:
            do = "open the file in a fresh interpreter with the same package versions, and save it again"
        return FailedPrecondition(
            "The model file must open", given=f"{name} raised {error}{_where(trace)}", do=do, details=details
        )

    def _predict_failure(self, message: Mapping[str, Any]) -> TuleError:
        error = str(message.get("error"))
        if code := message.get("code"):
            return CODES.get(str(code), InvalidArgument)(error)
        tried = [item for item in message.get("tried") or [] if isinstance(item, dict)]
        evidence = f" after trying {tried[0].get('evidence')}" if tried else ""
        return InvalidArgument(
            "The model must accept the instances",
            given=f"its predict raised {error}{evidence}{_where(str(message.get('trace', '')))}",
            do="send instances as the model was trained on",
        )


def _is_tensor(item: Any) -> bool:
    return (
        isinstance(item, list)
        and len(item) == 3
        and isinstance(item[0], str)
        and item[1] in ("INT64", "FLOAT64", "BOOL", "STRING")
        and isinstance(item[2], list)
        and all(each is None or (isinstance(each, int) and each > 0) for each in item[2])
    )


def _where(trace: str) -> str:
    """The innermost line of a traceback: the evidence that fits in one line."""
    places = [line.strip() for line in trace.splitlines() if line.lstrip().startswith("File ")]
    return f" at {places[-1]}" if places else ""


# Which kernels numeric libraries choose: the same on both sides, or equal models round differently.
_KERNELS = ("OPENBLAS_CORETYPE", "MKL_CBWR", "NPY_DISABLE_CPU_FEATURES", "NPY_ENABLE_CPU_FEATURES")


def _environment(threads: int) -> dict[str, str]:
    """Nothing of the server's environment but where packages are installed and how they compute."""
    number = str(threads)
    return {
        **{name: os.environ[name] for name in _KERNELS if name in os.environ},
        "PATH": "/usr/bin:/bin",
        "LC_ALL": "C.UTF-8",
        "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry),
        "PYTHONNOUSERSITE": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONFAULTHANDLER": "1",
        "JOBLIB_MULTIPROCESSING": "0",
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "ORT_DISABLE_TELEMETRY": "1",
        "CUDA_VISIBLE_DEVICES": "",
        **dict.fromkeys(
            ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"), number
        ),
    }


class Pool:
    """Several workers with one model: as many as replicas were asked for, more up to a maximum while all are busy.

    A worker that dies is replaced; when replacing fails again and again the pauses grow (1, 2, 4 ... 60 s) and callers
    are told why.
    """

    def __init__(
        self, launcher: Launcher, task: Task, log: Callable[[int], Path | None], *, least: int = 1, most: int = 1
    ) -> None:
        self._launcher = launcher
        self._task = task
        self._log = log
        self._least = max(1, least)
        self._most = max(self._least, most)
        self._changed = threading.Condition()
        self._idle: list[Worker] = []
        self._total = 0
        self._starting = 0
        self._numbers = 0
        self._closed = False
        self._failures = 0
        self._not_before = 0.0
        self._failure: TuleError | None = None
        self.restarts = 0

    def start(self, first: Worker | None = None) -> None:
        """Bring the pool to its least size; ``first`` is a worker that is already open."""
        if first is not None:
            with self._changed:
                self._idle.append(first)
                self._total += 1
        while True:
            with self._changed:
                if self._total >= self._least or self._closed:
                    return
                self._total += 1
            self._fill()

    @property
    def available(self) -> int:
        """How many workers are up."""
        with self._changed:
            dead = sum(not worker.alive for worker in self._idle)
            return self._total - self._starting - dead

    def predict(self, instances: Sequence[Any], seconds: float | None = None) -> list[Any]:
        return self.use(lambda worker: worker.predict(instances, seconds), seconds)

    def use(self, ask: Callable[[Worker], Answer], seconds: float | None = None) -> Answer:
        """Ask a worker that is free, waited for if none is."""
        worker = self._take(seconds or _PATIENCE)
        try:
            return ask(worker)
        finally:
            self._give(worker)

    def resize(self, least: int, most: int) -> None:
        """Hold at least and at most so many workers from now on; missing ones start beside the caller."""
        with self._changed:
            self._least, self._most = max(1, least), max(1, least, most)
            surplus: list[Worker] = []
            while self._total > self._most and self._idle:
                surplus.append(self._idle.pop())
                self._total -= 1
            for _ in range(self._least - self._total):
                self._grow_quietly()
        for worker in surplus:
            worker.close()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            idle, self._idle = self._idle, []
            self._total -= len(idle)
            self._changed.notify_all()
        for worker in idle:
            worker.close()

    def _fill(self) -> None:
        """Start one worker whose place in ``_total`` is already taken."""
        with self._changed:
            self._starting += 1
            self._numbers += 1
            number = self._numbers
        try:
            worker = self._launcher.start(self._task, self._log(number))
        except TuleError as error:
            with self._changed:
                self._total -= 1
                self._failures += 1
                self._failure = error
                self._not_before = self._launcher.clock.monotonic() + min(60.0, 2.0 ** (self._failures - 1))
                self._changed.notify_all()
            raise
        finally:
            with self._changed:
                self._starting -= 1
        with self._changed:
            self._failures, self._failure = 0, None
            if not self._closed:
                self._idle.append(worker)
                self._changed.notify()
                return
            self._total -= 1
        worker.close()

    def _take(self, seconds: float) -> Worker:
        clock = self._launcher.clock
        end = clock.monotonic() + seconds
        with self._changed:
            while True:
                if self._closed:
                    raise Unavailable("The model must be deployed", given="it is being undeployed")
                while self._idle:
                    worker = self._idle.pop()
                    if worker.alive:
                        return worker
                    self._drop(worker)
                if self._total < self._most:
                    self._grow()
                left = end - clock.monotonic()
                if left <= 0:
                    raise Unavailable(
                        "A worker of this model must be free",
                        given=f"none of {self._total} was within {seconds:g} s",
                        do="send fewer requests at once, or deploy with more replicas",
                    )
                self._changed.wait(min(left, 1.0))

    def _grow(self) -> None:
        """Start one more worker beside the callers; they wait for whichever is free first. Holds the lock."""
        if self._failure is not None and self._launcher.clock.monotonic() < self._not_before:
            if self._total == 0:
                raise Unavailable(
                    "A worker of this model must be running",
                    given=f"restarting it failed {self._failures} times: {self._failure.message}",
                    do="try again shortly, or deploy the model again",
                )
            return
        self._total += 1

        def fill() -> None:
            with contextlib.suppress(TuleError):
                self._fill()

        threading.Thread(target=fill, name="worker-start", daemon=True).start()

    def _give(self, worker: Worker) -> None:
        with self._changed:
            if worker.alive and not self._closed and self._total <= self._most:
                self._idle.append(worker)
                self._changed.notify()
                return
            if self._closed or worker.alive:
                self._total -= 1
            else:
                self._drop(worker)
        worker.close()

    def _drop(self, worker: Worker) -> None:
        """Let a worker that has died go, and start another in its place. Holds the lock."""
        worker.close()
        self._total -= 1
        self.restarts += 1
        if self._total < self._least:
            self._grow_quietly()

    def _grow_quietly(self) -> None:
        with contextlib.suppress(TuleError):
            self._grow()
