"""``tule.start()`` in a process of one's own, and the pytest fixture in a project of one's own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tule.testing.process import ServerProcess

pytestmark = pytest.mark.clients


def python(code: str, **variables: str) -> CompletedProcess[str]:
    """Run a program that nobody intercepts; fails with its output unless it ends with 0."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env={**os.environ, **variables}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def test_clients_of_this_process_land_here_until_it_is_stopped(tmp_path: Path) -> None:
    done = python(
        """
import os, pathlib
before = dict(os.environ)
import tule
with tule.start(temporary=True, project="zoo") as session:
    from google.cloud import aiplatform_v1, bigquery
    from google.api_core.client_options import ClientOptions
    client = bigquery.Client()
    print(client.project, [row.x for row in client.query_and_wait("SELECT 6 * 7 AS x")])
    options = ClientOptions(api_endpoint="us-central1-aiplatform.googleapis.com")
    grpc = aiplatform_v1.ModelServiceClient(client_options=options)
    print(list(grpc.list_models(parent="projects/zoo/locations/us-central1")))
    print(session.project, session.url == session.env["TULE_URL"], bool(session.token))
    home = session.home
    pid = int((home / "lock").read_text())
print(dict(os.environ) == before, home.exists(), pathlib.Path(f"/proc/{pid}").exists())
session.stop()
""",
        NO_PROXY="a.example",
    )
    assert done.stdout.splitlines() == ["zoo [42]", "[]", "zoo True True", "True False False"]


def test_it_joins_the_server_that_runs_and_leaves_it_running(server: ServerProcess) -> None:
    done = python(
        """
import json, os, urllib.request
import tule
session = tule.start()
print(session.project, session.url)
session.stop()
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
print(json.loads(opener.open(session.url + "/healthz").read()))
""",
        TULE_HOME=str(server.home),
    )
    assert done.stdout.splitlines() == [f"{server.project} {server.url}", "{'status': 'ready'}"]


def test_offline_refuses_this_process_other_hosts(server: ServerProcess) -> None:
    done = python(
        """
import requests, tule
with tule.start(offline=True):
    try:
        requests.get("https://example.com/", timeout=30)
    except requests.exceptions.ProxyError as error:
        print("403" in str(error))
""",
        TULE_HOME=str(server.home),
    )
    assert done.stdout == "True\n"


def test_where_it_cannot_start_the_environment_stays(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").touch()
    done = python(
        """
import os, sys
before = dict(os.environ)
import tule
try:
    tule.start()
except Exception as error:
    print(type(error).__name__, error)
print(dict(os.environ) == before)
""",
        TULE_HOME=str(tmp_path),
    )
    first, second = done.stdout.splitlines()
    assert (
        first.startswith("FailedPrecondition A data directory must be new, empty or made by Tule") and second == "True"
    )
    assert [each.name for each in tmp_path.iterdir()] == ["photo.jpg"]


def test_a_process_that_is_killed_takes_its_server_along(tmp_path: Path) -> None:
    code = "import os, signal, tule; tule.start(); print(flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    home = tmp_path / "home"
    subprocess.run([sys.executable, "-c", code], env={**os.environ, "TULE_HOME": str(home)}, timeout=60, check=False)
    from tule.cli import running
    from tule.kernel.clock import RealClock
    from tule.kernel.settings import Settings

    clock = RealClock()
    deadline = clock.monotonic() + 30
    while running.find_holder(Settings(home=home)) is not None:
        assert clock.monotonic() < deadline, "the server goes on"
        clock.sleep(0.02)


PROJECT = {
    "test_zoo.py": """
import os, pathlib

def test_clients_land_here(tule):
    from google.cloud import bigquery
    client = bigquery.Client()
    assert client.project == tule.project == "test-project"
    client.create_dataset("zoo")
    client.query_and_wait("CREATE TABLE zoo.birds AS SELECT 'owl' AS name")
    pathlib.Path("home").write_text(str(tule.home))

def test_the_server_is_one_for_the_session(tule):
    from google.cloud import bigquery
    assert [row.name for row in bigquery.Client().query_and_wait("SELECT name FROM zoo.birds")] == ["owl"]

def test_a_failure_is_the_tests_own(tule):
    from google.cloud import bigquery
    bigquery.Client().query_and_wait("SELECT nonsense")
""",
    "test_without.py": """
import os

def test_nothing_is_set_without_the_fixture():
    assert "TULE_URL" not in os.environ
""",
}


def test_the_fixture_serves_a_project_that_has_nothing_but_tests(tmp_path: Path) -> None:
    for name, text in PROJECT.items():
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_without.py", "test_zoo.py"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "3 passed" in done.stdout and "1 failed" in done.stdout, done.stdout
    assert "Unrecognized name: nonsense" in done.stdout
    assert not Path((tmp_path / "home").read_text()).exists()
