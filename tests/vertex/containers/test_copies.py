"""Where a process cannot be given ``/gcs``: what it names there is copied and written back, honestly."""

from __future__ import annotations

import pytest
from tests.vertex.containers.conftest import Bench

from tule.kernel.errors import PermissionDenied


@pytest.fixture
def bucket(bench: Bench) -> str:
    bench.objects.buckets.create("p", "copies")
    for key in ("in/a", "in/sub/b", "in/sub//odd", "other"):
        bench.objects.put("copies", key, [key.encode()])
    return "copies"


def keys(bench: Bench) -> list[str]:
    return [each.key for each in bench.objects.list("copies").objects]


def content(bench: Bench, key: str) -> bytes:
    with bench.objects.open("copies", key) as file:
        return file.read()


def test_what_a_command_names_is_there_and_what_it_wrote_comes_back(bench: Bench, bucket: str) -> None:
    script = (
        "cat /gcs/copies/in/a $X; ls /gcs/copies; echo new > /gcs/copies/out/made; echo more >> /gcs/copies/in/a; rm $X"
    )
    prepared = bench.prepare("sh", "-ec", script, env={"X": "/gcs/copies/in/sub/b"})
    [note] = prepared.notes
    assert note.startswith("this machine permits no /gcs")
    job = bench.run(prepared)
    assert bench.output(job) == "in/ain/sub/bin\nother\nout\n", bench.output(job, "stderr")
    prepared.finish()
    assert keys(bench) == ["in/a", "in/sub//odd", "other", "out/made"]
    assert (content(bench, "in/a"), content(bench, "out/made")) == (b"in/amore\n", b"new\n")
    assert not prepared.folder.exists()


def test_what_did_not_change_is_not_written(bench: Bench, bucket: str) -> None:
    before = bench.objects.get("copies", "in/a").generation
    prepared = bench.prepare("cat", "/gcs/copies/in/a")
    bench.run(prepared)
    prepared.sync()
    prepared.finish()
    prepared.finish()
    assert bench.objects.get("copies", "in/a").generation == before


def test_while_it_runs_only_what_rests_is_written(bench: Bench, bucket: str) -> None:
    prepared = bench.prepare("true", "/gcs/copies/out/x")
    assert prepared.copies is not None
    path = prepared.copies.folder / "copies/out/x"
    path.write_bytes(b"half")
    prepared.sync()
    assert "out/x" not in keys(bench)
    path.write_bytes(b"half and half")
    prepared.sync()
    assert "out/x" not in keys(bench)
    prepared.sync()
    assert content(bench, "out/x") == b"half and half"


def test_who_wrote_meanwhile_is_not_undone_by_a_removal(bench: Bench, bucket: str) -> None:
    prepared = bench.prepare("true", "/gcs/copies/in/a")
    assert prepared.copies is not None
    (prepared.copies.folder / "copies/in/a").unlink()
    bench.objects.put("copies", "in/a", [b"theirs"])
    prepared.finish()
    assert content(bench, "in/a") == b"theirs"


def test_a_link_out_of_the_folder_is_not_followed(bench: Bench, bucket: str) -> None:
    prepared = bench.prepare("true", "/gcs/copies/out/")
    assert prepared.copies is not None
    (prepared.copies.folder / "copies" / "secret").symlink_to("/etc/hostname")
    prepared.finish()
    assert "secret" not in keys(bench)


@pytest.mark.parametrize("role", [None, "roles/storage.objectViewer"])
def test_its_account_must_be_allowed_to(bench: Bench, bucket: str, role: str | None) -> None:
    email = "poor@p.iam.gserviceaccount.com"
    if role is None:
        with pytest.raises(PermissionDenied, match=r"poor@.*storage\.objects\.list"):
            bench.prepare("cat", "/gcs/copies/in/a", service_account=email)
        assert not list((bench.home.root / "containers").iterdir())
        return
    bench.policies.set("projects/p", {"bindings": [{"role": role, "members": [f"serviceAccount:{email}"]}]})
    prepared = bench.prepare("cp", "/gcs/copies/in/a", "/gcs/copies/in/c", service_account=email)
    assert bench.output(bench.run(prepared), "stderr") == ""
    with pytest.raises(PermissionDenied, match=r"storage\.objects\.create"):
        prepared.finish()
    assert "in/c" not in keys(bench) and not prepared.folder.exists()
