"""``/gcs/BUCKET/KEY`` inside a container: real files of any program, objects as soon as they are closed."""

from __future__ import annotations

import hashlib
import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.vertex.containers.conftest import IMAGE, make_bucket

from tule.app import App
from tule.engines.mount.files import BucketFiles
from tule.kernel.errors import FailedPrecondition, NotFound
from tule.kernel.jobs import Job, Reason
from tule.vertex.containers import Container, cause

pytestmark = pytest.mark.skipif(
    bool(BucketFiles(lambda: 1).trouble), reason=f"no /gcs on this machine: {BucketFiles(lambda: 1).trouble}"
)
_COUNT = itertools.count(1)


class Space:
    """A bucket of a test, and containers that see it at ``/gcs/$B``."""

    def __init__(self, app: App, bucket: str) -> None:
        self.app = app
        self.bucket = bucket

    def start(self, *command: str, **more: Any) -> Job:
        container = Container(image=IMAGE, command=command, env={"B": self.bucket, "D": f"/gcs/{self.bucket}"}, **more)
        prepared = self.app.containers.prepare(container, project="p", name=f"{self.bucket}-{next(_COUNT)}")
        return self.app.jobs.submit("projects/p/customJobs/1", prepared.spec)

    def end(self, job: Job) -> Job:
        return self.app.jobs.wait(job.name, 60)

    def logs(self, job: Job, stream: Any = "stdout") -> str:
        return self.app.jobs.logs(job.name, stream).decode()

    def shell(self, script: str) -> str:
        """What a script writes; it must succeed."""
        return self._said(self.start("sh", "-euc", script))

    def python(self, code: str) -> str:
        return self._said(self.start("python", "-c", f"import os\nd = os.environ['D']\n{code}"))

    def _said(self, job: Job) -> str:
        ended = self.end(job)
        assert ended.exit is not None and ended.exit.succeeded, self.logs(ended, "stderr") or ended.error
        return self.logs(ended)

    def put(self, key: str, content: bytes) -> None:
        self.app.objects.put(self.bucket, key, [content])

    def get(self, key: str) -> bytes:
        with self.app.objects.open(self.bucket, key) as file:
            return file.read()

    def names(self) -> list[str]:
        return [each.key for each in self.app.objects.list(self.bucket).objects]

    def wait_for(self, happened: Callable[[], object]) -> None:
        deadline = time.monotonic() + 60
        while not happened():
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(0.01)


@pytest.fixture
def space(app: App) -> Iterator[Space]:
    yield Space(app, make_bucket(app, "p", f"files-{next(_COUNT)}", versioning={"enabled": True}))


# -- files


def test_what_is_there_is_read(space: Space) -> None:
    space.put("in/a.txt", b"alpha\n")
    space.put("in/deep/er/b", b"beta\n")
    script = "cat $D/in/a.txt $D/in/deep/er/b; ls -F $D $D/in; test ! -e $D/nope; stat -c '%s %F' $D/in/a.txt"
    assert space.shell(script).split("\n") == [
        "alpha", "beta", f"/gcs/{space.bucket}:", "in/", "", f"/gcs/{space.bucket}/in:", "a.txt", "deep/",
        "6 regular file", "",
    ]  # fmt: skip


def test_what_is_written_is_an_object_at_each_close_and_once(space: Space) -> None:
    space.shell("echo one > $D/x; echo two >> $D/x; mkdir -p $D/new/folder; printf '' > $D/new/folder/empty")
    assert space.get("x") == b"one\ntwo\n" and space.get("new/folder/empty") == b""
    generations = [each for each in space.app.objects.list(space.bucket, versions=True).objects if each.key == "x"]
    assert [each.size for each in generations] == [4, 8]
    assert space.names() == ["new/", "new/folder/", "new/folder/empty", "x"]


def test_parts_of_files_are_written_and_cut(space: Space) -> None:
    space.put("x", b"0123456789")
    space.python("""
with open(f"{d}/x", "r+b") as file:
    file.seek(3); file.write(b"abc"); file.seek(0); print(file.read())
    file.truncate(8)
os.truncate(f"{d}/x", 7)
""")
    assert space.get("x") == b"012abc6"


def test_memory_that_is_mapped_onto_a_file(space: Space) -> None:
    space.put("x", b"x" * 5000)
    said = space.python("""
import mmap
with open(f"{d}/x", "r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
    print(mapped[4998:5000]); mapped[0:3] = b"abc"; mapped.flush()
""")
    assert said == "b'xx'\n" and space.get("x") == b"abc" + b"x" * 4997


def test_large_files_go_both_ways(space: Space) -> None:
    content = bytes(range(256)) * (17 << 12)
    space.put("big", content)
    space.shell("cp $D/big copy && cmp copy $D/big && cp copy $D/again")
    assert space.get("again") == content


def test_names_are_removed_and_changed(space: Space) -> None:
    for key in ("a", "b", "tree/1", "tree/sub/2", "keep"):
        space.put(key, key.encode())
    space.shell("rm $D/a; mv $D/b $D/keep; mv $D/tree $D/moved; mkdir $D/e; rmdir $D/e; ls -R $D/moved > $D/list")
    assert space.names() == ["keep", "list", "moved/1", "moved/sub/2"]
    assert (space.get("keep"), space.get("moved/sub/2")) == (b"b", b"tree/sub/2")


def test_a_file_is_written_aside_and_put_in_place(space: Space) -> None:
    space.put("model", b"old")
    space.python("""
import json, shutil, tempfile
handle, path = tempfile.mkstemp(dir=d)
os.write(handle, b"new"); os.fsync(handle); os.close(handle)
os.replace(path, f"{d}/model")
shutil.copytree(os.path.dirname(json.__file__), f"{d}/json", ignore=shutil.ignore_patterns("__pycache__"))
assert sorted(os.listdir(f"{d}/json")) == ["__init__.py", "decoder.py", "encoder.py", "scanner.py", "tool.py"]
""")
    assert space.get("model") == b"new" and len(space.names()) == 7


def test_who_reads_a_file_keeps_what_it_was(space: Space) -> None:
    space.put("x", b"before")
    said = space.python("""
with open(f"{d}/x") as file:
    print(file.read(3), end="")
    with open(f"{d}/x.new", "w") as other: other.write("after!")
    os.replace(f"{d}/x.new", f"{d}/x")
    print(file.read())
print(open(f"{d}/x").read())
""")
    assert said == "before\nafter!\n"


def test_a_file_that_is_open_goes_on_under_its_new_name(space: Space) -> None:
    content = bytes(range(256)) * (40 << 10)
    space.put("x", content)
    said = space.python("""
import hashlib
with open(f"{d}/x", "rb") as file:
    first = file.read(10)
    os.rename(f"{d}/x", f"{d}/y")
    print(hashlib.sha256(first + file.read()).hexdigest())
""")
    assert said.strip() == hashlib.sha256(content).hexdigest()


def test_contents_that_objects_share_stay_as_they_are(space: Space) -> None:
    space.put("one", b"same")
    space.app.objects.copy((space.bucket, "one"), (space.bucket, "two"))
    space.shell("printf other > $D/one; chmod 777 $D/two; rm -f $D/one")
    assert space.get("two") == b"same"


def test_an_object_that_is_made_meanwhile_is_seen(space: Space) -> None:
    job = space.start("sh", "-c", "until test -e $D/signal; do :; done; ls $D; cat $D/signal")
    space.wait_for(lambda: space.app.jobs.get(job.name).state == "RUNNING")
    space.put("signal", b"go")
    ended = space.end(job)
    assert space.logs(ended) == "signal\ngo"


def test_it_needs_no_files_to_be_imported_from(space: Space) -> None:
    space.put("code/helper.py", b"def answer(): return 42\n")
    assert space.python("import sys; sys.path.insert(0, f'{d}/code'); import helper; print(helper.answer())") == "42\n"


# -- ends


def test_a_kill_keeps_what_was_closed_and_nothing_else(space: Space) -> None:
    job = space.start("python", "-c", f"""
import time
with open("/gcs/{space.bucket}/closed", "w") as file: file.write("whole")
half = open("/gcs/{space.bucket}/half", "w")
half.write("ha"); half.flush()
open("/gcs/{space.bucket}/ready", "w").close()
time.sleep(600)
""")  # fmt: skip
    space.wait_for(lambda: "ready" in space.names())
    space.app.jobs.cancel(job.name, grace=0)
    assert space.end(job).state == "CANCELLED"
    assert space.names() == ["closed", "ready"] and space.get("closed") == b"whole"


def test_a_request_to_end_leaves_time_to_close(space: Space) -> None:
    job = space.start("python", "-c", f"""
import signal, sys, time
file = open("/gcs/{space.bucket}/checkpoint", "w")
def stop(*_):
    file.write("saved"); file.close(); sys.exit(0)
signal.signal(signal.SIGTERM, stop)
open("/gcs/{space.bucket}/ready", "w").close()
time.sleep(600)
""")  # fmt: skip
    space.wait_for(lambda: "ready" in space.names())
    space.app.jobs.cancel(job.name, grace=30)
    assert space.end(job).state == "CANCELLED" and space.get("checkpoint") == b"saved"


@pytest.mark.parametrize(
    ("script", "code", "signal"), [("exit 7", 7, None), ("kill -SEGV $$", None, 11), ("kill -KILL $$", None, 9)]
)
def test_it_ends_as_its_command_does(space: Space, script: str, code: int | None, signal: int | None) -> None:
    ended = space.end(space.start("bash", "-c", script)).exit
    assert ended is not None and (ended.code, ended.signal) == (code, signal)


def test_a_program_that_is_not_there(space: Space) -> None:
    job = space.end(space.start("no-such-program"))
    assert job.exit is not None and job.exit.code == 127
    found = cause(job.exit, b"", space.logs(job, "stderr").encode())
    assert found is not None and found.kind == "missing program" and "no-such-program" in found.what


def test_a_limit_ends_both(space: Space) -> None:
    job = space.end(space.start("sh", "-c", "trap '' TERM; cat /dev/zero > $D/zeros & wait", wall_seconds=0.5))
    assert job.exit is not None and job.exit.reason is Reason.TIMEOUT


# -- what fails


def test_a_bucket_of_another_project_is_closed(space: Space) -> None:
    other = make_bucket(space.app, "q", f"closed-{next(_COUNT)}")
    space.app.objects.put(other, "x", [b"x"])
    job = space.end(space.start("python", "-c", f"print(open('/gcs/{other}/x').read())"))
    found = job.exit and cause(job.exit, b"", space.logs(job, "stderr").encode())
    assert found and found.kind == "permission" and f"/gcs/{other}/x" in found.text


def test_a_write_that_is_refused_is_said(space: Space) -> None:
    email = "reader@p.iam.gserviceaccount.com"
    binding = {"role": "roles/storage.objectViewer", "members": [f"serviceAccount:{email}"]}
    space.app.policies.set(f"projects/p/buckets/{space.bucket}", {"bindings": [binding]})
    space.put("x", b"x")
    job = space.end(space.start("sh", "-c", "cat $D/x; echo y > $D/y", service_account=email))
    assert space.logs(job) == "x" and "y" not in space.names()
    assert f"/gcs/{space.bucket}/y could not be written: {email} must have the permission" in space.logs(job, "stderr")


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("echo x > /gcs/no-such-bucket/x", "nonexistent"),
        ("echo x > /gcs/x", "not permitted"),
        ("mkdir /gcs/x", "not permitted"),
        ("rmdir $D/full", "not empty"),
        ("ln -s a $D/b", "not implemented"),
        ("cat $D/full", "Is a directory"),
        ("mv $D/full $D/full/inside", "subdirectory of itself"),
    ],
)
def test_what_objects_cannot_be_is_an_error(space: Space, script: str, says: str) -> None:
    space.put("full/x", b"x")
    job = space.end(space.start("sh", "-c", script))
    assert job.state == "FAILED" and says.lower() in space.logs(job, "stderr").lower()
    assert space.names() == ["full/x"]


def test_a_bucket_that_is_deleted_meanwhile(space: Space) -> None:
    bucket = make_bucket(space.app, "p", f"short-{next(_COUNT)}")
    code = f"""
import time, os
file = open("/gcs/{bucket}/x", "w"); file.write("x"); file.flush()
open("/gcs/{space.bucket}/ready", "w").close()
while not os.path.exists("/gcs/{space.bucket}/go"): time.sleep(0.01)
file.close()
"""
    job = space.start("python", "-c", code)
    space.wait_for(lambda: "ready" in space.names())
    space.app.objects.buckets.delete(bucket)
    space.put("go", b"")
    ended = space.end(job)
    assert ended.state == "FAILED" and f"/gcs/{bucket}/x could not be written" in space.logs(ended, "stderr")
    with pytest.raises(NotFound):
        space.app.objects.get(bucket, "x")


# -- the network


def test_a_closed_network_has_the_server_in_it_and_nothing_else(space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    files = space.app.containers._files
    monkeypatch.setattr(files, "closed", True)
    with socket.create_server(("127.0.0.1", 0)) as other:
        said = space.python(f"""
import socket, urllib.request
for place in (("127.0.0.1", {other.getsockname()[1]}), ("192.0.2.1", 80)):
    try: socket.create_connection(place, timeout=5)
    except OSError as error: print(type(error).__name__)
from google.cloud import storage
storage.Client().bucket({space.bucket!r}).blob("x").upload_from_string(b"x" * 300_000)
print(len(open(d + "/x").read()), [each[1] for each in socket.if_nameindex()])
""")
    assert said == "ConnectionRefusedError\nOSError\n300000 ['lo']\n"


def test_a_closed_network_that_cannot_be_is_refused(space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    files = space.app.containers._files
    monkeypatch.setattr(files, "closed", True)
    monkeypatch.setattr(files, "_trouble", "unshare: Operation not permitted")
    with pytest.raises(FailedPrecondition, match=r"must be kept from the network.*unshare: Operation not permitted"):
        space.start("true")
