"""What a container's process sees and gets, and what is refused before anything is stored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.vertex.containers.conftest import IMAGE, Bench

from tule.kernel.errors import FailedPrecondition, InvalidArgument
from tule.kernel.jobs import Reason
from tule.vertex.containers import Container
from tule.vertex.containers.resources import Resources

GB = 2**30
SMALL = Resources(cpus=2, memory_bytes=4 * GB, gpus=0)


# -- what it sees


def test_its_variables(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_SERVER", "x")
    env = {"MODEL": "m", "WHERE": "$(MODEL)/$(GOOGLE_CLOUD_PROJECT)", "PRICE": "$$(MODEL)"}
    _, output = bench.python("import json, os; print(json.dumps(dict(os.environ)))", env=env)
    seen = json.loads(output)
    assert (seen["MODEL"], seen["WHERE"], seen["PRICE"]) == ("m", "m/p", "$(MODEL)")
    assert seen["GOOGLE_CLOUD_PROJECT"] == "p" and seen["CLOUD_ML_PROJECT_ID"].isdigit()
    assert "SECRET_OF_THE_SERVER" not in seen and "PYTHONPATH" not in seen
    assert bench.access.token not in output


def test_it_writes_into_a_folder_of_its_own_that_goes_with_it(bench: Bench) -> None:
    code = """
import os, pathlib, tempfile
for folder in (os.getcwd(), tempfile.gettempdir(), pathlib.Path.home()):
    print(folder)
    pathlib.Path(folder, "x").write_text("x")
"""
    prepared = bench.prepare("python", "-c", code)
    job = bench.run(prepared)
    folders = bench.output(job).split()
    assert len(folders) == 3 and all(Path(each).parent == prepared.folder for each in folders)
    prepared.finish()
    assert not prepared.folder.exists()
    prepared.finish()


def test_the_same_name_begins_anew(bench: Bench) -> None:
    container = Container(image=IMAGE, command=("sh", "-c", "ls; touch left"))
    for _ in range(2):
        job = bench.run(bench.containers.prepare(container, project="p", name="same"))
        assert bench.output(job) == ""


def test_commands_run_as_they_are_written(bench: Bench) -> None:
    job = bench.run(bench.prepare("sh", "-ec", 'echo "$0" "$1"', args=("a b", "$(X) ü")))
    assert bench.output(job) == "a b $(X) ü\n"


def test_a_folder_that_a_killed_server_left_is_removed(bench: Bench) -> None:
    left, used = bench.prepare("true"), bench.prepare("true")
    assert used.spec.cwd is not None
    assert bench.containers.sweep({used.spec.cwd}) == 1
    assert not left.folder.exists() and used.folder.exists()


# -- whom it is


def credentials(bench: Bench, **more: Any) -> dict[str, str]:
    prepared = bench.prepare("true", **more)
    path = Path(prepared.spec.env["GOOGLE_APPLICATION_CREDENTIALS"])
    assert path.stat().st_mode & 0o077 == 0
    found: dict[str, str] = json.loads(path.read_text())
    return found


def test_it_runs_as_the_projects_default_account_which_edits_the_project(bench: Bench) -> None:
    email = credentials(bench)["client_email"]
    assert email.endswith("-compute@developer.gserviceaccount.com")
    assert bench.policies.test(email, "projects/p/buckets/b", ["storage.objects.create"])
    assert not bench.policies.test(email, "projects/other/buckets/b", ["storage.objects.get"])
    assert not bench.policies.test(email, "projects/p", ["resourcemanager.projects.setIamPolicy"])


def test_a_role_that_was_taken_away_stays_away(bench: Bench) -> None:
    email = credentials(bench)["client_email"]
    bench.policies.set("projects/p", {"bindings": []})
    assert credentials(bench)["client_email"] == email
    assert not bench.policies.test(email, "projects/p", ["storage.objects.get"])


def test_a_given_account_has_what_it_was_granted(bench: Bench) -> None:
    email = "trainer@p.iam.gserviceaccount.com"
    found = credentials(bench, service_account=email)
    assert found["client_email"] == email and found["project_id"] == "p"
    assert not bench.policies.test(email, "projects/p", ["storage.objects.get"])


def test_its_key_is_good_for_its_account_alone(bench: Bench) -> None:
    from google.oauth2 import service_account

    found = credentials(bench, service_account="trainer@p.iam.gserviceaccount.com")
    scopes = ["https://www.googleapis.com/auth/cloud-platform"]
    for claimed, right in ((found["client_email"], True), (bench.access.email, False)):
        made = service_account.Credentials.from_service_account_info({**found, "client_email": claimed}, scopes=scopes)
        assertion = made._make_authorization_grant_assertion().decode()
        if right:
            token, _ = bench.access.exchange(assertion)
            who = bench.access.principal_for({"authorization": f"Bearer {token}"}, {}, method="GET", host="", path="")
            assert (who.email, who.owner) == (claimed, False)
        else:
            with pytest.raises(Exception, match="signed by another key"):
                bench.access.exchange(assertion)


# -- what it gets


def test_memory_is_a_limit(bench: Bench) -> None:
    job = bench.run(bench.prepare("python", "-c", "x = bytearray(300 << 20)", memory_bytes=64 << 20))
    assert job.exit is not None and job.exit.reason is Reason.OUT_OF_MEMORY


def test_time_is_a_limit_also_for_who_ignores_a_request_to_end(bench: Bench) -> None:
    script = "trap '' TERM; while :; do sleep 0.1; done"
    job = bench.run(bench.prepare("sh", "-c", script, wall_seconds=0.3))
    assert job.exit is not None and job.exit.reason is Reason.TIMEOUT


@pytest.mark.parametrize(
    ("more", "given"),
    [
        ({"cpus": 4}, "it asks for 4 processors, this machine has 2"),
        ({"memory_bytes": 15 * GB}, "it asks for 15.0 Gi bytes of memory, this machine has 4.0 Gi"),
        ({"accelerators": 1}, "it asks for 1 GPUs, this machine has none"),
        (
            {"image": "us-docker.pkg.dev/vertex-ai/training/tf-gpu.2-17.py310"},
            "the GPUs of the image us-docker.pkg.dev",
        ),
    ],
    ids=["processors", "memory", "accelerators", "image"],
)
def test_a_machine_that_is_too_small_is_refused_unless_it_may_be_scaled(
    bench: Bench, more: dict[str, Any], given: str
) -> None:
    container = Container(**{"image": IMAGE, "command": ("true",), **more})
    with pytest.raises(FailedPrecondition, match="This machine must have what a container asks for") as no:
        bench.make(resources=SMALL).check(container)
    assert given in no.value.message and "TULE_SCALE_MACHINES=1" in no.value.message
    scaled = bench.make(resources=SMALL, scale=True)
    scaled.check(container)
    if "image" not in more:
        prepared = scaled.prepare(container, project="p", name="scaled")
        assert given in prepared.notes[0] and prepared.spec.env["CUDA_VISIBLE_DEVICES"] == ""
        assert prepared.spec.memory_bytes == (4 * GB if "memory_bytes" in more else None)


# -- what is refused


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"command": ()}, "must have a command"),
        ({"image": "not an image"}, "must be named as REGISTRY/PATH:TAG"),
        ({"packages": ("/etc/passwd",)}, "must be an object in Cloud Storage"),
        ({"packages": ("gs://bucket/folder/",)}, "must be an object in Cloud Storage"),
        ({"requirements": ("--target=/",)}, "A requirement must name one distribution"),
        ({"service_account": "me"}, "A service account must be given by its address"),
        ({"env": {"https_proxy": "http://evil"}}, "must not set the variables by which"),
        ({"env": {"GOOGLE_APPLICATION_CREDENTIALS": "x"}}, "must not set the variables by which"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_made(bench: Bench, change: dict[str, Any], rule: str) -> None:
    container = Container(**{"image": IMAGE, "command": ("true",), **change})
    with pytest.raises(InvalidArgument, match=rule):
        bench.containers.check(container)
    with pytest.raises(InvalidArgument, match=rule):
        bench.containers.prepare(container, project="p", name="x")
    assert not (bench.home.root / "containers").exists()


@pytest.mark.parametrize("change", [{"cpus": 0}, {"memory_bytes": -1}, {"wall_seconds": 0}, {"accelerators": -1}])
def test_a_container_with_nothing_is_none(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument, match=f"{next(iter(change))}|accelerators"):
        Container(image=IMAGE, **change)
