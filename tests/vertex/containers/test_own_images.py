"""Images of one's own: the command of Docker or Podman, and the refusal where neither works."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.vertex.containers.conftest import Bench

from tule.engines.docker import ContainerEngine, Order
from tule.kernel.clock import RealClock
from tule.kernel.errors import FailedPrecondition, Unimplemented
from tule.vertex.containers import Container

IMAGE = "us-docker.pkg.dev/p/repo/trainer:1"


def engine(folder: Path, program: str, script: str) -> ContainerEngine:
    """An engine over a program of our own; its other programs are the machine's."""
    folder.mkdir(exist_ok=True)
    path = folder / program
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)
    return ContainerEngine(RealClock(), {"PATH": f"{folder}", "DOCKER_HOST": "unix:///somewhere"})


def recorder(folder: Path) -> ContainerEngine:
    """A Docker that writes down what it is asked, an argument a line, and answers well."""
    return engine(folder, "docker", f'printf "%s\\n" "$@" >> {folder}/asked; printf "\\n" >> {folder}/asked')


def asked(folder: Path) -> list[list[str]]:
    return [each.split("\n") for each in (folder / "asked").read_text().strip().split("\n\n")]


def test_the_command(tmp_path: Path) -> None:
    order = Order(
        image=IMAGE, name="tule-1", command=["python", "-m"], args=["task", "--x"], variables=["A", "B"],
        volumes={"/gcs": tmp_path / "gcs"}, read_only={"/key.json": tmp_path / "key.json"}, cpus=1.5,
        memory_bytes=2**30, gpus=2,
    )  # fmt: skip
    assert " ".join(recorder(tmp_path / "bin").argv(order)) == (
        f"{tmp_path}/bin/docker run --rm --init --name tule-1 --network host --env A --env B"
        f" --volume {tmp_path}/gcs:/gcs --volume {tmp_path}/key.json:/key.json:ro --cpus 1.5 --memory 1073741824b"
        f" --gpus 2 --entrypoint python {IMAGE} -m task --x"
    )


def test_an_image_with_a_command_of_its_own(tmp_path: Path) -> None:
    argv = recorder(tmp_path / "bin").argv(Order(image=IMAGE, name="n", args=["--epochs", "3"]))
    assert "--entrypoint" not in argv and argv[-3:] == (IMAGE, "--epochs", "3")


def test_podman_where_there_is_no_docker(tmp_path: Path) -> None:
    found = engine(tmp_path / "bin", "podman", "exit 0")
    assert found.trouble == "" and found.argv(Order(image=IMAGE, name="n"))[0].endswith("/podman")


@pytest.mark.parametrize(
    ("script", "says"),
    [("echo 'Cannot connect to the Docker daemon' >&2; exit 1", "Cannot connect to the Docker daemon"),
     ("exit 1", "it does not answer")],
)  # fmt: skip
def test_an_engine_that_does_not_work_is_told(tmp_path: Path, bench: Bench, script: str, says: str) -> None:
    of = bench.make(engine=engine(tmp_path / "bin", "docker", script))
    with pytest.raises(FailedPrecondition, match="needs a working Docker or Podman on this machine") as no:
        of.check(Container(image=IMAGE))
    assert IMAGE in no.value.message and says in no.value.message and "podman is not installed" in no.value.message
    with pytest.raises(FailedPrecondition):
        of.prepare(Container(image=IMAGE), project="p", name="x")
    assert not (bench.home.root / "containers").exists()


def test_a_container_sees_gcs_its_key_and_the_services_variables(tmp_path: Path, bench: Bench) -> None:
    bench.objects.buckets.create("p", "own-images")
    bench.objects.put("own-images", "in/x", [b"x"])
    of = bench.make(engine=recorder(tmp_path / "bin"))
    prepared = bench.prepare(
        "train", image=IMAGE, of=of, args=("/gcs/own-images/in/",), env={"A": "1"}, memory_bytes=2**28
    )
    assert prepared.copies is not None and (prepared.copies.folder / "own-images/in/x").read_bytes() == b"x"
    argv = " ".join(prepared.spec.argv)
    key = prepared.spec.env["GOOGLE_APPLICATION_CREDENTIALS"]
    assert f"--volume {prepared.copies.folder}:/gcs" in argv and f"--volume {key}:{key}:ro" in argv
    assert "--env A " in argv and "--env GOOGLE_CLOUD_PROJECT " in argv and "--env PATH" not in argv
    assert "--memory 268435456b" in argv and prepared.spec.memory_bytes is None
    assert prepared.spec.env["DOCKER_HOST"] == "unix:///somewhere" and "--env DOCKER_HOST" not in argv
    (prepared.copies.folder / "own-images/in/y").write_bytes(b"y")
    prepared.finish()
    with bench.objects.open("own-images", "in/y") as file:
        assert file.read() == b"y"
    name = f"tule-{prepared.folder.name}"
    assert asked(tmp_path / "bin")[-1] == ["rm", "--force", name]


def test_what_a_killed_server_left_running_is_ended(tmp_path: Path, bench: Bench) -> None:
    of = bench.make(engine=recorder(tmp_path / "bin"))
    left = bench.prepare("train", image=IMAGE, of=of)
    (tmp_path / "bin" / "asked").unlink()
    assert of.sweep(()) == 1
    assert asked(tmp_path / "bin") == [["rm", "--force", f"tule-{left.folder.name}"]]


def test_packages_belong_into_the_image(tmp_path: Path, bench: Bench) -> None:
    of = bench.make(engine=recorder(tmp_path / "bin"))
    with pytest.raises(Unimplemented, match=r"Packages are installed.*pandas.*install them in the image"):
        of.check(Container(image=IMAGE, requirements=("pandas",)))
