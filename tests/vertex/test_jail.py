"""User models in jailed processes: what they may not do, what is said about it, and that nothing is left behind."""

from __future__ import annotations

import contextlib
import os
import pickle
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tule.engines.jail.syscalls import MACHINES, program
from tule.kernel.clock import RealClock
from tule.kernel.errors import DeadlineExceeded, FailedPrecondition, InvalidArgument, TuleError, Unavailable
from tule.vertex.endpoints.workers import Launcher, Limits, Pool, Task, Worker


class Does:
    """A pickle that calls ``function(*arguments)`` when it is opened."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.fixture
def launcher() -> Iterator[Launcher]:
    launcher = Launcher(RealClock(), Limits(load_seconds=15, predict_seconds=5))
    yield launcher
    launcher.close()


@pytest.fixture
def sklearn_file(tmp_path: Path) -> Path:
    import joblib
    from sklearn.linear_model import LogisticRegression

    rows = np.random.default_rng(0).normal(size=(200, 3))
    joblib.dump(LogisticRegression().fit(rows, rows[:, 0] > 0), tmp_path / "model.joblib")
    return tmp_path / "model.joblib"


def opened(launcher: Launcher, path: Path) -> Worker:
    return launcher.start(Task("pickle", path.parent, path), path.parent / "worker.log")


def opening(launcher: Launcher, folder: Path, thing: Any) -> str:
    """The error of opening a pickle of ``thing``."""
    path = folder / "model.pkl"
    path.write_bytes(pickle.dumps(thing))
    with pytest.raises(FailedPrecondition) as caught:
        opened(launcher, path).close()
    return caught.value.message


def test_a_model_predicts_and_is_described(launcher: Launcher, sklearn_file: Path) -> None:
    worker = opened(launcher, sklearn_file)
    with contextlib.closing(worker):
        assert worker.loaded is not None
        assert worker.loaded.kind == "sklearn.linear_model._logistic.LogisticRegression"
        assert worker.loaded.num_features == 3 and "seccomp" in worker.loaded.layers
        assert worker.predict([[1, 0, 0], [-1.0, 0, 0]]) == [True, False]
        with pytest.raises(InvalidArgument, match="must have 3 features; given: 2 in instance 1"):
            worker.predict([[1, 2, 3], [1, 2]])
        with pytest.raises(InvalidArgument, match="does not know its feature names"):
            worker.predict([{"a": 1}])
        with pytest.raises(InvalidArgument, match="its predict raised ValueError"):
            worker.predict([["x", "y", "z"]])
        assert worker.predict([[1, 0, 0]]) == [True]


@pytest.mark.parametrize(
    ("what", "thing", "evidence"),
    [
        ("open a socket", Does(__import__("socket").create_connection, ("127.0.0.1", 9)), "socket."),
        ("start a process", Does(os.fork), "os.fork()"),
        ("start a process", Does(os.system, "touch /tmp/tule-was-here"), "touch /tmp/tule-was-here"),
        ("start a process", Does(subprocess.run, ["id"]), "subprocess.Popen('id'"),
        ("write a file", Does(open, "/tmp/tule-was-here", "w"), "open('/tmp/tule-was-here', 'w'"),
        ("change files", Does(os.remove, "/tmp/tule-was-here"), "os.remove('/tmp/tule-was-here'"),
        ("signal a process", Does(os.kill, os.getpid(), signal.SIGKILL), f"os.kill({os.getpid()}, "),
    ],
    ids=["socket", "fork", "system", "subprocess", "write", "remove", "kill"],
)  # fmt: skip
def test_what_a_pickle_tries_is_refused_and_named(
    launcher: Launcher, tmp_path: Path, what: str, thing: Any, evidence: str
) -> None:
    message = opening(launcher, tmp_path, thing)
    assert f"must open without trying to {what}" in message or f"and {what}" in message
    assert evidence in message and "model.pkl" in message
    assert not Path("/tmp/tule-was-here").exists()


@pytest.mark.parametrize(
    ("code", "evidence"),
    [
        ("1/0", "ZeroDivisionError: division by zero"),
        ("open('/etc/passwd').read()", "Permission"),
        ("__import__('sys').exit(3)", "SystemExit: 3"),
        ("bytearray(1 << 40)", "MemoryError"),
        ("__import__('no_such_package')", "Next: install that package where Tule runs"),
        ("[1, 2]", "must hold an object with a predict method; given: builtins.list"),
        ("__import__('os')._exit(7)", "its process ended with 7 during load"),
        ("__import__('os').abort()", "SIGABRT during load"),
        ("__import__('os').close(int(__import__('sys').argv[3]))", "its process"),
    ],
)
def test_a_pickle_that_fails_says_why(launcher: Launcher, tmp_path: Path, code: str, evidence: str) -> None:
    assert evidence in opening(launcher, tmp_path, Does(eval, code))


def test_the_system_call_filter_holds_below_python(launcher: Launcher, tmp_path: Path) -> None:
    # Straight to the C library, where no audit hook sees it: each must answer -1.
    calls = "socket(2,1,0) fork() creat(b'/tmp/tule-was-here',438) execve(b'/bin/id',0,0) kill(1,0) ptrace(0,0,0,0)"
    tried = ",".join(f"c.{each}" for each in calls.split())
    code = f"(lambda c: 1/0 if [{tried}] == [-1]*6 else 'open')(__import__('ctypes').CDLL(None))"
    assert "ZeroDivisionError" in opening(launcher, tmp_path, Does(eval, code))
    assert not Path("/tmp/tule-was-here").exists()


def test_a_pickle_that_swallows_the_refusal_is_refused_too(launcher: Launcher, tmp_path: Path) -> None:
    code = "__import__('concurrent.futures').futures.Future.__new__ and __import__('os').system('id')"
    assert "start a process" in opening(launcher, tmp_path, Does(eval, code))


def test_a_pickle_that_spins_is_killed_in_time(tmp_path: Path) -> None:
    launcher = Launcher(RealClock(), Limits(load_seconds=2))
    began = time.monotonic()
    message = opening(launcher, tmp_path, Does(eval, "[0 for _ in iter(int, 1)]"))
    assert "must open within 2 s" in message and time.monotonic() - began < 8
    launcher.close()


class Slow:
    """Sleeps when it predicts, or dies."""

    def __reduce__(self) -> Any:
        code = (
            "type('Slow', (), {'predict': lambda self, rows: [__import__('os')._exit(9) if row[0] < 0 else "
            "__import__('time').sleep(row[0]) or 1 for row in rows]})()"
        )
        return eval, (code,)


def test_a_slow_prediction_ends_and_its_worker_is_replaced(tmp_path: Path) -> None:
    launcher = Launcher(RealClock(), Limits(predict_seconds=1))
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(Slow()))
    pool = Pool(launcher, Task("pickle", tmp_path, path), lambda number: tmp_path / f"{number}.log")
    pool.start()
    assert pool.predict([[0.0]]) == [1]
    with pytest.raises(DeadlineExceeded, match="at most 1 s"):
        pool.predict([[30.0]])
    assert pool.predict([[0.0]]) == [1]
    with pytest.raises(Unavailable, match="ended with 9 during predict"):
        pool.predict([[-1.0]])
    assert pool.predict([[0.0]]) == [1] and pool.restarts == 2
    pool.close()
    with pytest.raises(Unavailable, match="undeployed"):
        pool.predict([[0.0]])
    launcher.close()


def test_more_callers_than_workers_bring_more_workers(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    launcher = Launcher(RealClock(), Limits())
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(Slow()))
    pool = Pool(launcher, Task("pickle", tmp_path, path), lambda number: None, least=1, most=3)
    pool.start()
    with ThreadPoolExecutor(6) as callers:
        assert list(callers.map(pool.predict, [[[0.3]]] * 6)) == [[1]] * 6
    assert 1 < pool.available <= 3
    pool.close()
    launcher.close()


def test_a_pool_whose_model_is_gone_says_so(tmp_path: Path) -> None:
    launcher = Launcher(RealClock(), Limits())
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(Slow()))
    pool = Pool(launcher, Task("pickle", tmp_path, path), lambda number: None)
    pool.start()
    path.unlink()
    with pytest.raises(TuleError):
        pool.predict([[-1.0]])
    with pytest.raises(Unavailable, match=r"restarting it failed 1 times: .*FileNotFoundError"):
        for _ in range(50):
            pool.predict([[0.0]], seconds=1)
    pool.close()
    launcher.close()


def test_workers_die_with_a_killed_server(tmp_path: Path, sklearn_file: Path) -> None:
    code = f"""
import time
from pathlib import Path
from tule.kernel.clock import RealClock
from tule.vertex.endpoints.workers import Launcher, Task
path = Path({str(sklearn_file)!r})
worker = Launcher(RealClock()).start(Task("pickle", path.parent, path), None)
print(worker.process.pid, flush=True)
time.sleep(60)
"""
    server = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    worker = int(server.stdout.readline())
    os.kill(worker, 0)
    server.kill()
    server.wait()
    server.stdout.close()
    for _ in range(100):
        status = Path(f"/proc/{worker}/status")
        if not status.exists() or "Z (zombie)" in status.read_text():
            return
        time.sleep(0.05)
    pytest.fail(f"worker {worker} outlived its server")


def test_a_worker_sees_nothing_of_the_servers_environment(
    launcher: Launcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TULE_SECRET", "hunter2")
    message = opening(launcher, tmp_path, Does(eval, "int(repr(dict(__import__('os').environ)))"))
    assert "PYTHONPATH" in message and "hunter2" not in message


def test_version_skew_is_noted(launcher: Launcher, tmp_path: Path) -> None:
    from sklearn.linear_model import LinearRegression

    model = LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0])
    path = tmp_path / "model.pkl"
    content = pickle.dumps(model)
    import sklearn

    old = "0" * len(sklearn.__version__)
    path.write_bytes(content.replace(sklearn.__version__.encode(), old.encode()))
    worker = opened(launcher, path)
    with contextlib.closing(worker):
        assert worker.loaded is not None
        assert any("InconsistentVersionWarning" in each and old in each for each in worker.loaded.warnings)


def test_the_filter_is_made_for_both_machines() -> None:
    for machine in MACHINES.values():
        code = program(machine, 4242)
        assert len(code) % 8 == 0 and len(code) // 8 < 4096
    assert platform.machine() in MACHINES
