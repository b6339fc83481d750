"""Physical tables as lists of Parquet files, in a catalogue of SQLite: what makes transactions of files that never change.

A table is its columns and its files in order. A change writes new files and then, in one transaction of the catalogue, the
new lists; whoever reads goes by the lists of a moment. Files that no list names any more are removed when nobody reads.
"""

from __future__ import annotations

import json
import secrets
import shutil
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tule.kernel.errors import Aborted, FailedPrecondition

_SCHEMA = """
CREATE TABLE IF NOT EXISTS projects (id TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS tables (
    project TEXT, name TEXT, version TEXT NOT NULL, fields TEXT NOT NULL, files TEXT NOT NULL, PRIMARY KEY (project, name)
);
CREATE TABLE IF NOT EXISTS marks (project TEXT, job TEXT, note TEXT NOT NULL, PRIMARY KEY (project, job));
"""


@dataclass(frozen=True)
class File:
    """One Parquet file, by its path under the lake's folder, and its number of rows."""

    path: str
    rows: int


@dataclass(frozen=True)
class Table:
    """A table at one moment. ``grown_from`` is the version to which the last files were only added, inside a transaction."""

    version: str
    fields: tuple[Any, ...]
    files: tuple[File, ...]
    grown_from: str = ""
    added: tuple[File, ...] = ()

    @property
    def rows(self) -> int:
        return sum(each.rows for each in self.files)

    def grown(self, files: Iterable[File]) -> Table:
        new = tuple(files)
        alone = self.grown_from or (self.version if not self.added else "")
        return Table(new_version(), self.fields, self.files + new, alone, self.added + new)

    def replaced(self, files: Iterable[File]) -> Table:
        return Table(new_version(), self.fields, tuple(files))


def new_version() -> str:
    return secrets.token_hex(12)


Key = tuple[str, str]


class Lake:
    """The tables of one folder. Safe to use from any thread. ``field`` is the class of the port's columns."""

    def __init__(self, folder: Path, field: Any) -> None:
        self.folder = folder
        self._field = field
        self._lock = threading.RLock()
        self._readers = 0
        self._garbage: list[Path] = []
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._connection = sqlite3.connect(folder / "catalogue.db", check_same_thread=False, isolation_level=None)
        for each in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL"):
            self._connection.execute(each)
        self._connection.executescript(_SCHEMA)
        self._sweep()

    def _sweep(self) -> None:
        """Remove files that no table names: of a crash, and of statements."""
        named = {each.path for table in self._all().values() for each in table.files}
        for made in self.folder.glob("files/*"):
            if not any(path.startswith(f"files/{made.name}/") or path == f"files/{made.name}" for path in named):
                shutil.rmtree(made, ignore_errors=True)
        shutil.rmtree(self.folder / "answers", ignore_errors=True)

    def _all(self, project: str | None = None) -> dict[Key, Table]:
        where, given = ("WHERE project = ?", [project]) if project is not None else ("", [])
        with self._lock:
            rows = self._connection.execute(f"SELECT project, name, version, fields, files FROM tables {where}", given)
            return {(row[0], row[1]): self._table(*row[2:]) for row in rows.fetchall()}

    def _table(self, version: str, fields: str, files: str) -> Table:
        columns = tuple(self._field.from_rest(each) for each in json.loads(fields))
        return Table(version, columns, tuple(File(*each) for each in json.loads(files)))

    # -- reading

    def tables(self, project: str) -> dict[str, Table]:
        return {name: table for (_, name), table in self._all(project).items()}

    def projects(self) -> set[str]:
        with self._lock:
            return {str(row[0]) for row in self._connection.execute("SELECT id FROM projects").fetchall()}

    def marked(self, project: str, job: str) -> str | None:
        with self._lock:
            row = self._connection.execute(
                "SELECT note FROM marks WHERE project = ? AND job = ?", [project, job]
            ).fetchone()
        return str(row[0]) if row else None

    def marks(self, project: str) -> set[str]:
        with self._lock:
            rows = self._connection.execute("SELECT job FROM marks WHERE project = ?", [project]).fetchall()
        return {str(row[0]) for row in rows}

    def forget(self, project: str, jobs: Iterable[str]) -> None:
        with self._lock:
            self._connection.executemany(
                "DELETE FROM marks WHERE project = ? AND job = ?", [(project, each) for each in jobs]
            )

    @contextmanager
    def reading(self) -> Iterator[None]:
        """No file is removed during the block."""
        with self._lock:
            self._readers += 1
        try:
            yield
        finally:
            with self._lock:
                self._readers -= 1
                self._collect()

    def _collect(self) -> None:
        if self._readers:
            return
        while self._garbage:
            path = self._garbage.pop()
            path.unlink(missing_ok=True)
            if path.parent.parent == self.folder / "files" and not any(path.parent.glob("*.parquet")):
                shutil.rmtree(path.parent, ignore_errors=True)

    # -- writing

    def new_folder(self, kind: str = "files") -> Path:
        """The path of a new folder, for files of a table (``files``) or of a statement (``answers``)."""
        path = self.folder / kind / secrets.token_hex(12)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        return path

    def commit(
        self,
        before: Mapping[Key, Table | None],
        after: Mapping[Key, Table | None],
        marks: Mapping[Key, str],
        projects: Iterable[str],
    ) -> None:
        """Bring the changes of a transaction. A table that another one changed meanwhile raises Aborted, unless rows were
        only added to it."""
        with self._lock:
            run = self._connection.execute
            run("BEGIN IMMEDIATE")
            try:
                dropped: list[File] = []
                for (project, name), table in after.items():
                    found = self._all(project).get((project, name))
                    made = self._settled(before.get((project, name)), table, found)
                    kept = {each.path for each in made.files} if made else set()
                    dropped += [each for each in (found.files if found else ()) if each.path not in kept]
                    run("DELETE FROM tables WHERE project = ? AND name = ?", [project, name])
                    if made is not None:
                        fields = json.dumps([each.rest() for each in made.fields])
                        files = json.dumps([[each.path, each.rows] for each in made.files])
                        run("INSERT INTO tables VALUES (?, ?, ?, ?, ?)", [project, name, made.version, fields, files])
                for (project, job), note in marks.items():
                    run("INSERT OR REPLACE INTO marks VALUES (?, ?, ?)", [project, job, note])
                for project in projects:
                    run("INSERT OR IGNORE INTO projects VALUES (?)", [project])
                run("COMMIT")
            except BaseException:
                run("ROLLBACK")
                raise
            self._garbage += [self.folder / each.path for each in dropped]
            self._collect()

    @staticmethod
    def _settled(before: Table | None, after: Table | None, found: Table | None) -> Table | None:
        if (found.version if found else None) == (before.version if before else None):
            return after
        if after is not None and found is not None and before is not None and after.grown_from == before.version:
            return found.grown(after.added)
        raise Aborted("Transaction is aborted due to concurrent update against the table", reason="invalidQuery")

    def checkpoint(self) -> None:
        with self._lock:
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        with self._lock:
            self._connection.close()


def missing(table: str) -> FailedPrecondition:
    return FailedPrecondition("The physical table must exist", given=table)


__all__ = ["File", "Key", "Lake", "Table", "missing", "new_version"]
