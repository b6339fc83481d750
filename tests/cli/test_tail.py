"""The end of a log, and what comes after: also when the log is set aside for a new one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from tule.cli.running import log_path, open_log
from tule.cli.tail import tail
from tule.kernel.clock import RealClock
from tule.kernel.home import Home
from tule.kernel.settings import Settings


class Meanwhile(RealClock):
    """A clock whose sleeps let the next of some things happen."""

    def __init__(self, *things: Callable[[], object]) -> None:
        self._things = list(things)

    def sleep(self, seconds: float) -> None:
        self._things.pop(0)()

    def now(self) -> datetime:
        raise AssertionError("nobody asks for the time of day here")


def append(path: Path, text: str) -> Callable[[], object]:
    def act() -> None:
        with path.open("a") as file:
            file.write(text)

    return act


def test_the_last_lines(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("one\ntwo\nthree")
    assert list(tail(path, 2)) == ["two\n", "three"]
    assert list(tail(path, 9)) == ["one\n", "two\n", "three"]
    assert list(tail(path, 0)) == []


def test_what_is_appended_follows_the_last_lines(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("one\n")
    lines = tail(path, 1, follow=True, clock=Meanwhile(append(path, "two\nthr"), append(path, "ee\n")))
    assert [next(lines) for _ in range(4)] == ["one\n", "two\n", "thr", "ee\n"]
    lines.close()


def test_a_file_that_is_replaced_is_read_to_its_end_and_the_new_one_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("old\n")

    def replace() -> None:
        append(path, "last of old\n")()
        path.rename(tmp_path / "log.1")

    lines = tail(path, 1, follow=True, clock=Meanwhile(replace, append(path, "new\n"), append(path, "newer\n")))
    assert [next(lines) for _ in range(4)] == ["old\n", "last of old\n", "new\n", "newer\n"]
    lines.close()


def test_a_large_log_is_set_aside_when_a_server_starts(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    home = Home.attach(settings)
    log = open_log(home)
    assert log == log_path(settings) and log.stat().st_mode & 0o777 == 0o600
    log.write_bytes(b"x" * 10 * 2**20)
    assert open_log(home).stat().st_size == 10 * 2**20
    append(log, "x")()
    assert open_log(home).stat().st_size == 0
    assert log.with_name("server.log.1").stat().st_size == 10 * 2**20 + 1
