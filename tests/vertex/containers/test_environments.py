"""Environments: what is there is used, what is missing is installed once, what cannot be is said."""

from __future__ import annotations

import importlib.metadata
import io
import json
import sys
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.vertex.containers.conftest import IMAGE, PYTHON, Bench

from tule.kernel.errors import FailedPrecondition, InvalidArgument, NotFound
from tule.kernel.home import Home
from tule.vertex.containers import Container
from tule.vertex.containers.environments import Environments
from tule.vertex.containers.interpreters import Interpreters
from tule.vertex.containers.requirements import missing

SKLEARN = "us-docker.pkg.dev/vertex-ai/training/sklearn-cpu.1-0:latest"
Wheel = Callable[..., tuple[str, bytes]]


@pytest.fixture
def links(bench: Bench, tmp_path: Path, wheel: Wheel) -> Path:
    """A folder of wheels that is all that pip may look at."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    for name, content in (
        wheel("tulip", "1.0", "VALUE = 1"),
        wheel("tulip", "2.0", "VALUE = 2\ndef main():\n    print('tulip', VALUE)\n", program="tulip"),
        wheel("stem", "0.1", "import tulip", requires="tulip>=2"),
    ):
        (folder / name).write_bytes(content)
    bench.containers = bench.make(environ=offline_pip(folder))
    return folder


def offline_pip(links: Path) -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(links), "PIP_CONFIG_FILE": "/dev/null"}


def environments(home: Home) -> list[str]:
    return sorted(each.name for each in home.folder("environments").iterdir() if each.name != "incoming")


# -- what is there


def test_a_framework_of_the_server_is_used_as_it_is(bench: Bench) -> None:
    code = "import importlib.metadata, sys; print(importlib.metadata.version('scikit-learn'), sys.prefix != sys.base_prefix)"
    prepared = bench.prepare("python", "-c", code, image=SKLEARN)
    job, version = bench.run(prepared), importlib.metadata.version("scikit-learn")
    assert bench.output(job) == f"{version} True\n"
    assert prepared.notes == (f"the image sklearn-cpu.1-0 stands for sklearn 1.0; it runs with {version}",)
    [environment] = environments(bench.home)
    about = json.loads((bench.home.root / "environments" / environment / "ready").read_text())
    assert about["requirements"] == [] and not (bench.home.root / "environments" / environment / "build.log").exists()


def test_requirements_that_hold_need_no_pip(bench: Bench) -> None:
    refused = {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": "/dev/null"}
    of = bench.make(environ=refused)
    bench.python(
        "import numpy", of=of, requirements=("numpy>=2", "scikit_learn", "sqlalchemy[asyncio]; extra == 'never'")
    )


@pytest.mark.parametrize(
    ("requirement", "holds"),
    [
        ("numpy", True),
        ("Scikit_Learn>=1", True),
        ("numpy<2", False),
        ("no-such-distribution", False),
        ("httpx[no-such-extra]", True),
        ("numpy; python_version < '3'", True),
        ("no-such-distribution; python_version < '3'", True),
        ("numpy @ https://example.com/numpy.whl", False),
        ("git+https://example.com/x.git", False),
    ],
)
def test_whether_a_requirement_holds(requirement: str, holds: bool) -> None:
    assert (missing([requirement], Interpreters("").own) == []) is holds


def test_python_and_pip_are_those_of_the_environment(bench: Bench) -> None:
    script = (
        "command -v python; command -v python3; command -v pip; python -c 'import sys; print(sys.version_info[:2])';"
        " pip --version"
    )
    job = bench.run(bench.prepare("sh", "-c", script))
    assert job.exit is not None and job.exit.succeeded, bench.output(job, "stderr")
    python, python3, pip, version, about = bench.output(job).splitlines()
    assert python.endswith("/venv/bin/python") and python3.endswith("/venv/bin/python3") and pip.endswith("/pip")
    assert version == str(sys.version_info[:2]) and f"(python {PYTHON})" in about


# -- what is missing


def test_what_is_missing_is_installed_once(bench: Bench, links: Path) -> None:
    code = "import tulip, stem, numpy; print(tulip.VALUE)"
    _, output = bench.python(code, requirements=("stem",))
    assert output == "2\n"
    before = environments(bench.home)
    (links / "stem-0.1-py3-none-any.whl").unlink()
    bench.prepare("true", requirements=("stem",))
    assert environments(bench.home) == before


def test_a_program_that_was_installed_runs_in_the_processs_own_environment(bench: Bench, links: Path) -> None:
    job = bench.run(bench.prepare("sh", "-c", "tulip && head -1 $(command -v tulip)", requirements=("tulip",)))
    assert bench.output(job).splitlines() == ["tulip 2", "#!/usr/bin/env python3"]


def test_many_at_once_make_one(bench: Bench) -> None:
    prepared: list[Path] = []

    def prepare(name: str) -> None:
        container = Container(image=IMAGE, command=("true",))
        prepared.append(bench.containers.prepare(container, project="p", name=name).folder)

    threads = [threading.Thread(target=prepare, args=(f"job-{each}",)) for each in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(set(prepared)) == 4 and len(environments(bench.home)) == 1


def test_a_pip_install_of_a_process_is_its_own(bench: Bench, links: Path) -> None:
    script = "pip install -q tulip==1.0 && python -c 'import tulip; print(tulip.VALUE)'"
    job = bench.run(bench.prepare("sh", "-c", script, requirements=("tulip==2.0",)))
    assert bench.output(job) == "1\n", bench.output(job, "stderr")
    _, output = bench.python("import tulip; print(tulip.VALUE)", requirements=("tulip==2.0",))
    assert output == "2\n"


def test_what_a_crash_left_half_made_is_made_anew(bench: Bench) -> None:
    bench.prepare("true")
    [environment] = environments(bench.home)
    folder = bench.home.root / "environments" / environment
    (folder / "ready").unlink()
    (folder / "venv" / "pyvenv.cfg").unlink()
    bench.prepare("true")
    assert (folder / "ready").exists() and (folder / "venv" / "pyvenv.cfg").exists()


# -- packages


def test_a_package_of_a_bucket_is_installed(bench: Bench, links: Path, wheel: Wheel) -> None:
    bench.objects.buckets.create("p", "staging")
    name, content = wheel("trainer", "0.1", "import stem\nprint('trained')")
    bench.objects.put("staging", f"code/{name}", [content])
    job = bench.run(
        bench.prepare("python", "-m", "trainer", packages=(f"gs://staging/code/{name}",), requirements=("stem",))
    )
    assert bench.output(job) == "trained\n", bench.output(job, "stderr")
    assert not list(bench.home.folder("environments", "incoming").iterdir())


def test_a_source_distribution_needs_no_network_to_be_built(bench: Bench, links: Path) -> None:
    bench.objects.buckets.create("p", "staging")
    setup = "from setuptools import setup\nsetup(name='trainer', version='0.1', packages=['trainer'])\n"
    files = {"setup.py": setup, "trainer/__init__.py": "", "trainer/task.py": "print('trained')"}
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for name, text in files.items():
            about = tarfile.TarInfo(f"trainer-0.1/{name}")
            about.size = len(text)
            archive.addfile(about, io.BytesIO(text.encode()))
    bench.objects.put("staging", "trainer-0.1.tar.gz", [content.getvalue()])
    job = bench.run(bench.prepare("python", "-m", "trainer.task", packages=("gs://staging/trainer-0.1.tar.gz",)))
    assert bench.output(job) == "trained\n", bench.output(job, "stderr")


def test_a_package_that_is_not_there(bench: Bench) -> None:
    bench.objects.buckets.create("p", "staging")
    with pytest.raises(NotFound, match=r"The package of a container must exist.*gs://staging/x\.tar\.gz"):
        bench.prepare("true", packages=("gs://staging/x.tar.gz",))
    assert not list(bench.home.folder("environments", "incoming").iterdir())


# -- what cannot be


def test_pips_error_is_the_cause(bench: Bench, links: Path) -> None:
    with pytest.raises(
        FailedPrecondition, match=r"must be installable.*tulip==9.*No matching distribution found"
    ) as no:
        bench.prepare("true", requirements=("tulip==9",))
    assert "Next: correct the requirement" in no.value.message
    assert environments(bench.home) == []
    assert not list(bench.home.folder("containers").iterdir())


def test_a_package_that_is_none(bench: Bench, links: Path) -> None:
    bench.objects.buckets.create("p", "staging")
    bench.objects.put("staging", "trainer-0.1.tar.gz", [b"no archive"])
    with pytest.raises(FailedPrecondition, match=r"trainer-0.1.tar.gz could not be installed"):
        bench.prepare("true", packages=("gs://staging/trainer-0.1.tar.gz",))


@pytest.mark.parametrize("requirement", ["", "-r other.txt", "--index-url=x", "/etc", "./x", "file:///x", "a\nb"])
def test_what_is_no_requirement_is_refused(bench: Bench, requirement: str) -> None:
    with pytest.raises(InvalidArgument, match="A requirement must name one distribution"):
        bench.prepare("true", requirements=(requirement,))


# -- versions of Python


def fake_python(folder: Path, minor: str, **said: object) -> str:
    """A folder with a program that answers as the interpreter of a version would."""
    about = {
        "version": [*map(int, minor.split(".")), 7], "executable": sys.executable, "inside": False, "sites": [],
        "programs": str(folder), "modules": [], "installed": {"pip": "1"}, **said,
    }  # fmt: skip
    program = folder / f"python{minor}"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{json.dumps(about)}\nEND\n")
    program.chmod(0o700)
    return str(folder)


def test_an_interpreter_of_the_images_version_is_used(tmp_path: Path) -> None:
    found = Interpreters(fake_python(tmp_path, "3.8")).find((3, 8))
    assert found is not None and found.version == (3, 8, 7) and found.version_of("Pip") == "1"


def test_a_program_that_is_no_interpreter_is_passed_over(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "python3.8").write_text("#!/bin/sh\necho 'not found' >&2\nexit 127\n")
    (broken / "python3.8").chmod(0o700)
    good = tmp_path / "good"
    good.mkdir()
    assert Interpreters(str(broken)).find((3, 8)) is None
    both = Interpreters(f"{broken}:{fake_python(good, '3.8')}").find((3, 8))
    assert both is not None and both.version == (3, 8, 7)


def test_without_one_the_servers_own_runs_it_and_says_so(bench: Bench) -> None:
    of = bench.make(interpreters=Interpreters(""))
    prepared = bench.prepare("true", image="python:3.7", of=of)
    [note] = prepared.notes
    assert note.startswith("the image python:3.7 stands for Python 3.7; it runs in Python " + PYTHON)


def test_exact_refuses_it(bench: Bench) -> None:
    of = bench.make(interpreters=Interpreters(""), image_python="exact")
    with pytest.raises(FailedPrecondition, match=r"must be on this machine.*python3\.7"):
        bench.prepare("true", image="python:3.7", of=of)


def test_server_takes_the_servers_own(bench: Bench, tmp_path: Path) -> None:
    interpreters = Interpreters(fake_python(tmp_path, "3.7"))
    of = bench.make(interpreters=interpreters, image_python="server")
    assert "it runs in Python " + PYTHON in bench.prepare("true", image="python:3.7", of=of).notes[0]


def test_a_setting_that_there_is_not(bench: Bench) -> None:
    with pytest.raises(InvalidArgument, match="TULE_IMAGE_PYTHON must be one of match, exact, server"):
        bench.make(image_python="latest")


def test_an_environment_is_one_for_all_its_users(home: Home) -> None:
    own = Interpreters("").own
    made = Environments(home)
    assert made.get(own).folder == made.get(own, ["numpy"]).folder
