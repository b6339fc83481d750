"""Folders beside Cloud Storage, through fsspec: what the server's owner has named can be read, and nothing else."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pyarrow as pa
import pytest
from pyarrow import orc, parquet
from tests.bigquery.conftest import PROJECT, BigQueryApi

from tule.app import App
from tule.engines.filesystems import Folders
from tule.kernel.errors import FailedPrecondition, InvalidArgument, PermissionDenied
from tule.kernel.settings import Settings


@pytest.fixture(scope="module")
def open_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("open")


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory, open_folder: Path) -> Iterator[BigQueryApi]:
    """A server that may read a folder of this machine and one of fsspec's memory."""
    home = tmp_path_factory.mktemp("bigquery") / "home"
    folders = f"file://{open_folder}, memory://lake/data"
    app = App(Settings.read({}, home=home, project=PROJECT, folders=folders))
    app.start()
    api = BigQueryApi(app)
    api.dataset("d")
    yield api
    api.close()
    app.stop()


TABLE = pa.table({"n": pa.array([1, 2], pa.int64()), "s": pa.array(["a", "b"])})


def _content(format: str) -> bytes:
    sink = io.BytesIO()
    if format == "PARQUET":
        parquet.write_table(TABLE, sink)
    elif format == "ORC":
        orc.write_table(TABLE, sink)
    elif format == "JSON":
        sink.write(b'{"n":1,"s":"a"}\n{"n":2,"s":"b"}\n')
    else:
        sink.write(gzip.compress(b"n,s\n1,a\n2,b\n"))
    return sink.getvalue()


@pytest.mark.parametrize("format", ["PARQUET", "ORC", "JSON", "CSV"])
def test_each_format_of_another_file_system(lake: BigQueryApi, format: str) -> None:
    with fsspec.open(f"memory://lake/data/{format}/part-0", "wb") as file:
        file.write(_content(format))
    lake.query(
        f"CREATE EXTERNAL TABLE d.of_{format} OPTIONS (format = '{format}', uris = ['memory://lake/data/{format}/*'])"
    )
    assert lake.rows(f"SELECT n, s, _FILE_NAME AS f FROM d.of_{format} ORDER BY n") == [
        ["1", "a", f"memory://lake/data/{format}/part-0"],
        ["2", "b", f"memory://lake/data/{format}/part-0"],
    ]
    assert lake.rows(f"SELECT COUNT(*) FROM d.of_{format}") == [["2"]]


def test_partitioned_folders_of_this_machine(lake: BigQueryApi, open_folder: Path) -> None:
    for day in ("2026-01-02", "2026-01-03"):
        (open_folder / "sales" / f"day={day}").mkdir(parents=True)
        parquet.write_table(TABLE, open_folder / "sales" / f"day={day}" / "part.parquet")
    uri = f"file://{open_folder}/sales"
    lake.query(
        f"CREATE EXTERNAL TABLE d.sales WITH PARTITION COLUMNS OPTIONS (format = 'PARQUET', uris = ['{uri}/*'], "
        f"hive_partition_uri_prefix = '{uri}')"
    )
    assert lake.rows("SELECT day, SUM(n) FROM d.sales GROUP BY day ORDER BY day") == [
        ["2026-01-02", "3"],
        ["2026-01-03", "3"],
    ]
    lake.query(f"LOAD DATA INTO d.copied FROM FILES (format = 'PARQUET', uris = ['{uri}/day=2026-01-02/part.parquet'])")
    assert lake.rows("SELECT SUM(n) FROM d.copied") == [["3"]]


@pytest.mark.parametrize(
    ("uri", "code", "message"),
    [
        ("file:///etc/passwd", 403, "lie below a folder that TULE_FOLDERS names"),
        ("memory://lake/database/x", 403, "lie below a folder that TULE_FOLDERS names"),
        ("memory://lake/data/../secret", 400, "without . and .. in the path"),
        ("memory://lake/data/x::file:///etc/passwd", 400, "must be written SCHEME://PATH"),
        ("hdfs://name/data/x", 400, "must begin with gs:// or lie below a folder"),
        ("memory://lake/data/missing", 404, "Not found: URI memory://lake/data/missing"),
        ("memory://lake/data/missing/*", 404, "Not found: URI memory://lake/data/missing/*"),
    ],
)
def test_what_is_not_named_cannot_be_read(lake: BigQueryApi, uri: str, code: int, message: str) -> None:
    error = lake.query_error(f"LOAD DATA INTO d.no (n INT64) FROM FILES (format = 'CSV', uris = ['{uri}'])")
    assert (error["code"], message in error["message"]) == (code, True), error
    assert lake.error("GET", "datasets/d/tables/no")["code"] == 404


def test_a_link_leads_nowhere_else(lake: BigQueryApi, open_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("1\n")
    (open_folder / "link.csv").symlink_to(tmp_path / "secret.csv")
    for name in ("link.csv", "lin*"):
        error = lake.query_error(
            f"LOAD DATA INTO d.no (n INT64) FROM FILES (format = 'CSV', uris = ['file://{open_folder}/{name}'])"
        )
        assert "A link must not lead out of its folder" in error["message"]


def test_hdfs_without_hadoop_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        FailedPrecondition, match=r"The file system hdfs must be installed and answer.*pip install"
    ) as told:
        Folders("hdfs://127.0.0.1:1/data").glob("hdfs://127.0.0.1:1/data/x")
    assert "libhdfs" in str(told.value)


def test_a_scheme_that_there_is_not() -> None:
    with pytest.raises(FailedPrecondition, match="The file system nonsense must be installed and answer"):
        Folders("nonsense://x/y").glob("nonsense://x/y/z")


def test_folders_are_written_as_uris() -> None:
    with pytest.raises(InvalidArgument, match="A folder or file must be written SCHEME://PATH"):
        Folders("/srv/data")
    with pytest.raises(PermissionDenied):
        Folders("memory://a/b").check("memory://a/bc")
