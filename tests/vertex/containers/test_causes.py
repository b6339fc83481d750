"""Causes of failed processes: named, shown and answered; each of a real process where one is cheap."""

from __future__ import annotations

from typing import Any

import pytest
from tests.vertex.containers.conftest import Bench

from tule.kernel.jobs import Exit, Reason
from tule.vertex.containers import Cause, cause

BAD = Exit(reason=Reason.EXITED, code=1, detail="it ended with code 1")


def of(text: str, exit: Exit = BAD) -> Cause:
    found = cause(exit, b"", text.encode())
    assert found is not None
    return found


def trace(error: str, before: str = "") -> str:
    return f'{before}\nTraceback (most recent call last):\n  File "task.py", line 3, in <module>\n    run()\n{error}\n'


@pytest.mark.parametrize(
    ("error", "kind", "what"),
    [
        (
            "ModuleNotFoundError: No module named 'pandas.core'",
            "import error",
            "the module pandas.core is not installed",
        ),
        ("ImportError: cannot import name 'Trial' from 'optuna' (/x.py)", "import error", "optuna has no Trial"),
        ("ImportError: libGL.so.1: cannot open shared object file", "import error", "libGL.so.1"),
        ("MemoryError", "out of memory", "an allocation failed"),
        ("numpy._core._exceptions._ArrayMemoryError: Unable to allocate 8 GiB", "out of memory", "8 GiB"),
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate", "out of memory", "CUDA"),
        ("RuntimeError: [enforce fail] DefaultCPUAllocator: can't allocate memory", "out of memory", "allocate"),
        ("FileNotFoundError: [Errno 2] No such file or directory: '/gcs/b/x'", "missing file", "'/gcs/b/x'"),
        ("google.api_core.exceptions.NotFound: 404 GET https://storage.googleapis.com/x", "missing file", "GET https"),
        ("PermissionError: [Errno 13] Permission denied: '/etc/shadow'", "permission", "/etc/shadow"),
        (
            "google.api_core.exceptions.Forbidden: 403 GET x: a@b must have the permission y",
            "permission",
            "permission y",
        ),
        ("OSError: [Errno 98] Address already in use", "port taken", "a port is in use"),
        ("RuntimeError: EADDRINUSE, message: address already in use (port: 29500)", "port taken", "port 29500"),
        ("OSError: [Errno 28] No space left on device", "disk", "no room"),
        ("socket.gaierror: [Errno -3] Temporary failure in name resolution", "network", "could not be reached"),
        ("ValueError: Input contains NaN", "non-finite loss", "contains NaN"),
        ("ValueError: wrong shape", "bad exit", "it ended with code 1: ValueError: wrong shape"),
        ("trainer.Diverged: gave up", "bad exit", "trainer.Diverged: gave up"),
    ],
)
def test_what_a_program_ends_with(error: str, kind: str, what: str) -> None:
    found = of(trace(error))
    assert found.kind == kind and what.lower() in found.what.lower()
    assert error in found.evidence
    assert '  File "task.py", line 3, in <module>' in found.evidence or kind == "non-finite loss"
    assert found.text.startswith(kind.capitalize()) and found.text.endswith(f"Next: {found.next}")


@pytest.mark.parametrize(
    "line",
    [
        "epoch 3 loss: nan",
        "Epoch 3: train_loss=nan val_loss=0.4",
        "{'loss': nan, 'step': 40}",
        '{"val/loss": NaN}',
        "step 7 | loss = inf",
        "loss: tensor(nan, grad_fn=<NllLossBackward>)",
        "grad_norm: inf",
        "the objective is not finite",
    ],
)
def test_a_loss_that_is_no_number(line: str) -> None:
    for text in (
        f"epoch 1 loss: 0.7\n{line}\n",
        trace("RuntimeError: stopped", before=line.replace("the objective", "loss")),
    ):
        found = cause(BAD, text.encode(), b"")
        assert found is not None and (found.kind == "non-finite loss" or "objective" in line)
    shown = cause(BAD, f"epoch 1 loss: 0.7\n{line}\n".encode(), b"")
    assert shown is not None and shown.kind == "non-finite loss" and line in shown.evidence


@pytest.mark.parametrize(
    "line",
    ["loss: 0.31", "information: 4", "final loss: 12 nanoseconds", "nano loss 3", "inference: done", "loss: infected"],
)
def test_a_loss_that_is_one(line: str) -> None:
    assert of(line).kind == "bad exit"


def test_the_last_exception_counts_and_not_what_was_said_on_the_way() -> None:
    before = "ImportError: No module named 'tensorrt' (optional)\nPermissionError: [Errno 13] ignored\nloss: 0.2"
    assert of(trace("ValueError: bad", before)).kind == "bad exit"


def test_errors_that_only_say_that_a_process_below_failed_are_looked_through() -> None:
    before = trace("ModuleNotFoundError: No module named 'apex'")
    found = of(trace("torch.distributed.elastic.multiprocessing.errors.ChildFailedError:", before))
    assert found.kind == "import error" and "apex" in found.what


def test_an_end_that_is_none() -> None:
    assert cause(Exit(reason=Reason.EXITED, code=0), b"", b"Error: x") is None
    assert cause(Exit(reason=Reason.CANCELLED), b"", b"") is None


@pytest.mark.parametrize(
    ("reason", "kind", "code"),
    [
        (Reason.OUT_OF_MEMORY, "out of memory", "RESOURCE_EXHAUSTED"),
        (Reason.TIMEOUT, "timeout", "DEADLINE_EXCEEDED"),
        (Reason.CPU_LIMIT, "processor time", "RESOURCE_EXHAUSTED"),
        (Reason.DISK_LIMIT, "disk", "RESOURCE_EXHAUSTED"),
        (Reason.HANG, "hang", "DEADLINE_EXCEEDED"),
        (Reason.LOST, "lost", "ABORTED"),
    ],
)
def test_what_the_runner_saw_comes_first(reason: Reason, kind: str, code: str) -> None:
    found = of(trace("ValueError: x"), Exit(reason=reason, detail="what it saw"))
    assert (found.kind, found.code, found.what) == (kind, code, "what it saw")
    assert found.evidence[-1] == "ValueError: x"


def test_a_signal(bench: Bench) -> None:
    found = bench.cause(bench.run(bench.prepare("sh", "-c", "echo said >&2; kill -SEGV $$")))
    assert found is not None and found.kind == "signal" and "SIGSEGV" in found.what and found.evidence == ("said",)


@pytest.mark.parametrize(
    ("command", "kind", "what"),
    [
        (("python", "-c", "import no_such_module"), "import error", "no_such_module"),
        (("python", "-m", "no_such_module"), "import error", "no_such_module"),
        (("python", "no_such.py"), "missing file", "no_such.py"),
        (("no-such-program",), "missing program", "no-such-program"),
        (("sh", "-c", "no-such-program"), "missing program", "no-such-program"),
        (("cat", "/no/such/file"), "missing file", "/no/such/file"),
        (("python", "-c", "raise SystemExit(3)"), "bad exit", "code 3"),
    ],
)
def test_real_processes(bench: Bench, command: tuple[str, ...], kind: str, what: str) -> None:
    found = bench.cause(bench.run(bench.prepare(*command)))
    assert found is not None and found.kind == kind and what in found.what, found


def test_a_port_that_is_taken(bench: Bench) -> None:
    code = "import socket; a = socket.socket(); a.bind(('', 0)); a.listen(); socket.socket().bind(a.getsockname())"
    found = bench.cause(bench.run(bench.prepare("python", "-c", code)))
    assert found is not None and found.kind == "port taken"


def test_a_disk_that_fills(bench: Bench) -> None:
    of = bench.make(disk_bytes=32 << 20)
    job = bench.run(bench.prepare("sh", "-c", "cat /dev/zero > $HOME/zeros", of=of))
    found = bench.cause(job)
    assert found is not None and found.kind == "disk" and "32 MiB" in found.what and "TULE_JOB_DISK" in found.next


def test_no_progress(bench: Bench) -> None:
    of = bench.make(hang_seconds=0.3)
    found = bench.cause(bench.run(bench.prepare("sh", "-c", "echo waiting for rank 1; sleep 60", of=of)))
    assert found is not None and found.kind == "hang" and found.evidence == ("waiting for rank 1",)


@pytest.mark.parametrize(
    ("script", "more"),
    [
        ("head -c 50000000 /dev/urandom; echo end >&2; exit 1", {}),
        ("printf '\\377\\376\\000bin'; echo end >&2; exit 1", {}),
        ("for i in 1 2 3 4 5 6 7 8; do (setsid sleep 300 &); done; echo end >&2; exit 1", {}),
    ],
    ids=["floods its log", "writes what is no text", "leaves children"],
)
def test_who_behaves_badly_ends_all_the_same(bench: Bench, script: str, more: dict[str, Any]) -> None:
    job = bench.run(bench.prepare("sh", "-c", script, **more))
    found = bench.cause(job)
    assert found is not None and found.kind == "bad exit" and found.evidence[-1] == "end"
    assert len(bench.jobs.logs(job.name, limit=2**30)) < 40 << 20
