"""The data directory: private, held by one server, its secrets durable."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tule.kernel.errors import FailedPrecondition, InvalidArgument
from tule.kernel.home import Home, read_private, write_private
from tule.kernel.settings import Settings

HOLD = """
import sys
from pathlib import Path
from tule.kernel.home import Home
from tule.kernel.settings import Settings
home = Home.open(Settings(home=Path(sys.argv[1])))
print("held", flush=True)
sys.stdin.read()
"""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_it_is_made_private_and_so_are_its_folders(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        home = Home.open(Settings(home=tmp_path / "a" / "b"))
        assert mode(home.root) == 0o700
        assert mode(home.path("credentials", "token").parent) == 0o700
        assert mode(home.folder("objects")) == 0o700
        assert not home.path("credentials", "token").exists()
    finally:
        os.umask(old)
    home.close()


def test_one_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir(mode=0o755)
    Home.open(Settings(home=tmp_path / "home")).close()
    assert mode(tmp_path / "home") == 0o700


def test_a_second_server_is_refused_and_told_who_has_it(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None and holder.stdin is not None
    assert holder.stdout.readline() == "held\n"
    settings = Settings(home=tmp_path)
    with pytest.raises(
        FailedPrecondition, match=f"one server at a time; given: .* held by process {holder.pid}.*tule down"
    ):
        Home.open(settings)
    assert Home.attach(settings).holder() == holder.pid
    # A killed server leaves no lock behind.
    holder.kill()
    holder.wait()
    holder.stdin.close()
    holder.stdout.close()
    assert Home.attach(settings).holder() is None
    home = Home.open(settings)
    assert home.held and Home.attach(settings).holder() == os.getpid()
    home.close()
    home.close()
    assert not home.held


def test_a_look_at_the_holder_is_never_in_the_way_of_one_who_takes_it(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    Home.open(settings).close()
    stop = threading.Event()
    looking = threading.Thread(target=lambda: [Home.attach(settings).holder() for _ in iter(stop.is_set, True)])
    looking.start()
    try:
        for _ in range(300):
            Home.open(settings).close()
    finally:
        stop.set()
        looking.join()


def test_a_directory_of_other_things_is_left_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    folder.chmod(0o755)
    for name in ("a.jpg", "b.jpg", "c.jpg", "d.jpg"):
        (folder / name).touch()
    for look in (Home.open, Home.attach):
        with pytest.raises(
            FailedPrecondition, match=r"made by Tule; given: .*holds a.jpg, b.jpg, c.jpg and 1 more\. Next"
        ):
            look(Settings(home=folder))
    assert mode(folder) == 0o755 and len(list(folder.iterdir())) == 4


def test_the_same_process_cannot_have_it_twice(home: Home) -> None:
    with pytest.raises(FailedPrecondition, match=f"held by process {os.getpid()}"):
        Home.open(Settings(home=home.root))


@pytest.mark.parametrize("part", ["../x", "/etc", "a/../../b", "..", "a\x00b"])
def test_a_path_stays_inside(home: Home, part: str) -> None:
    with pytest.raises(InvalidArgument, match="inside the data directory"):
        home.path(part)


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(FailedPrecondition, match="must be a directory"):
        Home.open(Settings(home=tmp_path / "home"))


@pytest.mark.skipif(os.getuid() != 0, reason="needs the right to give files away")
def test_one_of_another_user_is_refused(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    os.chown(tmp_path / "home", 12345, 12345)
    with pytest.raises(FailedPrecondition, match=r"must belong to the user.*uid 12345"):
        Home.open(Settings(home=tmp_path / "home"))


def test_private_files_appear_whole_once_and_closed(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    old = os.umask(0)
    try:
        assert write_private(path, b"one")
    finally:
        os.umask(old)
    assert mode(path) == 0o600
    assert not write_private(path, b"two")
    assert read_private(path) == b"one"
    assert write_private(path, b"three", replace=True)
    assert read_private(path) == b"three"
    assert [each.name for each in tmp_path.iterdir()] == ["secret"]


@pytest.mark.parametrize("wider", [0o644, 0o640, 0o604])
def test_a_secret_that_others_may_read_is_refused(tmp_path: Path, wider: int) -> None:
    path = tmp_path / "secret"
    write_private(path, b"x")
    path.chmod(wider)
    with pytest.raises(FailedPrecondition, match=f"given: .*mode {wider:04o}.*chmod 600"):
        read_private(path)


def test_a_secret_behind_a_link_is_refused(tmp_path: Path) -> None:
    write_private(tmp_path / "real", b"x")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(OSError, match="symbolic links"):
        read_private(tmp_path / "link")


def test_a_pipe_in_the_place_of_a_secret_is_refused_at_once(home: Home) -> None:
    os.mkfifo(home.path("credentials", "token"), 0o600)
    with pytest.raises(FailedPrecondition, match="A secret must be a plain file"):
        read_private(home.path("credentials", "token"))
