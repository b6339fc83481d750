"""One typed table of settings, read once.

Each setting is an environment variable ``TULE_<NAME>``; ``tule up --help`` and the docs print this table. Nothing else
in the package reads the environment for configuration.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from tule.kernel.errors import InvalidArgument


def _setting(default: Any, help: str) -> Any:
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one server. ``Settings.read()`` takes them from the environment; arguments win over it."""

    home: Path = _setting(Path("~/.tule"), "data directory: records, objects, tables, keys, logs")  # noqa: RUF009 (a Path is immutable)
    project: str = _setting("local-project", "project id that credentials made by Tule name")
    location: str = _setting("us-central1", "location used where a client names none")
    host: str = _setting("127.0.0.1", "address to listen on")
    port: int = _setting(0, "port of the plain and proxy listener; 0 takes a free one, and the same at later starts")
    tls_port: int = _setting(0, "port of the TLS listener (ALPN: h2 and http/1.1); 0 takes a free one")
    threads: int = _setting(0, "threads of each native pool (BLAS, OpenMP, DuckDB); 0 means one per core")
    memory: str = _setting("1GB", "memory limit of the SQL engine, as DuckDB writes sizes")
    max_body: int = _setting(100 * 2**20, "largest JSON or protobuf request body, bytes; uploads stream, unlimited")
    model_memory: int = _setting(4 * 2**30, "address space of one process that serves a user's model, bytes")
    model_load_seconds: int = _setting(120, "seconds in which a user's model must open when it is deployed")
    model_predict_seconds: int = _setting(60, "seconds that one prediction of a user's model may take")
    keep_days: int = _setting(30, "days that ended operations, processes and journal entries are remembered")
    sql: str = _setting(
        "duckdb", "SQL engine: duckdb, bigquery://PROJECT[/DATASET], spark, sc://HOST:PORT; see docs/engines.md"
    )
    compute: str = _setting("local", "where jobs run: local")
    scale_machines: bool = _setting(
        False, "run work that asks for more processors, memory or GPUs than this machine has on what it has"
    )
    job_disk: int = _setting(
        100 * 2**30, "bytes that one job or step may have on disk; never more than leaves a GiB of the disk free"
    )
    job_network: str = _setting(
        "open", "what jobs and steps may reach: open (what this machine does), closed (this server and nothing else)"
    )
    hang_seconds: int = _setting(
        3600, "seconds after which a job that neither writes to its log nor computes counts as hung; 0: never"
    )
    image_python: str = _setting(
        "match",
        "which Python an image's name stands for: match (one of its version if there is one, else the server's), exact "
        "(refused if there is none), server (always the server's)",
    )
    warm_steps: bool = _setting(
        True, "run light steps of pipelines in processes forked from an interpreter that has imported the executor"
    )
    automl_hour: int = _setting(60, "seconds that an hour of AutoML's BUDGET_HOURS lasts; 3600 makes it a real one")
    folders: str = _setting("", "folders beside Cloud Storage that queries may read: hdfs://HOST/PATH,file:///PATH")
    cloud_sql: str = _setting("", "where Cloud SQL instances of connections are: PROJECT:REGION:INSTANCE=HOST:PORT,...")
    spanner: str = _setting("", "where the Spanner of connections is, an emulator for instance: HOST:PORT")
    offline: bool = _setting(False, "refuse every outbound connection of intercepted commands that is not for Tule")
    log_level: str = _setting("info", "debug, info, warning or error")

    @classmethod
    def read(cls, environ: Mapping[str, str] | None = None, **given: Any) -> Settings:
        """Settings from ``environ`` (default: the process's), overridden by the ``given`` values that are not None."""
        environ = os.environ if environ is None else environ
        values: dict[str, Any] = {}
        for each in fields(cls):
            raw = environ.get(f"TULE_{each.name.upper()}")
            if raw is not None:
                values[each.name] = _parse(each.name, raw, type(each.default))
        values.update({name: value for name, value in given.items() if value is not None})
        home = Path(values.get("home", cls.home)).expanduser().resolve()
        return cls(**{**values, "home": home})


def _parse(name: str, raw: str, kind: type) -> Any:
    if kind is bool:
        if raw.lower() in ("1", "true", "yes", "on"):
            return True
        if raw.lower() in ("0", "false", "no", "off", ""):
            return False
        raise InvalidArgument(f"TULE_{name.upper()} must be true or false", given=repr(raw))
    if kind is int:
        try:
            return int(raw)
        except ValueError:
            raise InvalidArgument(f"TULE_{name.upper()} must be a whole number", given=repr(raw)) from None
    return Path(raw) if issubclass(kind, Path) else raw
