"""Vector indexes: CREATE and DROP VECTOR INDEX, and the rows that VECTOR_SEARCH looks at instead of all.

An index is of one table as it was; the first search after the table changed makes it anew, with the same centres unless
the table has grown to twice its rows, which costs about what looking at all vectors would.
https://cloud.google.com/bigquery/docs/vector-index
"""

from __future__ import annotations

import json
import logging
import math
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from sqlglot import exp

from tule.bigquery.errors import already_exists, not_found
from tule.bigquery.jobs import Outcome
from tule.bigquery.ml import nodes
from tule.bigquery.ml.batches import actual
from tule.bigquery.ml.mistakes import wrong
from tule.bigquery.ml.vectors.files import IndexFiles
from tule.bigquery.references import TableReference
from tule.bigquery.row_policies import KIND as POLICY
from tule.bigquery.vector_index_views import KIND
from tule.kernel.clock import Clock
from tule.kernel.home import Home
from tule.kernel.records import Record, Records

if TYPE_CHECKING:
    from tule.bigquery.model_statements import Run
    from tule.bigquery.sql.table_definitions import CreateVectorIndex, DropVectorIndex

_LOG = logging.getLogger(__name__)
_DISTANCES = ("EUCLIDEAN", "COSINE", "DOT_PRODUCT")
_TYPES = ("IVF", "TREE_AH")
_OPTIONS = {"index_type", "distance_type", "ivf_options", "tree_ah_options"}
_NORMALS = ("NONE", "L2")
_MOST_LISTS = 5000
# Of the lists that are looked at where a query does not say.
_FRACTION, _LEAST = 0.05, 8

States = Callable[[Iterable[TableReference]], Mapping[str, Any]]


class VectorIndexes:
    """The vector indexes of all tables. ``states`` tells the state of tables, which differs once their rows do."""

    def __init__(self, records: Records, home: Home, clock: Clock, states: States) -> None:
        self._records = records
        self._files = IndexFiles(home)
        self._clock = clock
        self._states = states
        self._building = threading.Lock()

    def sweep(self) -> None:
        """Remove what no index of a table names; called once at start."""
        used: set[str] = set()
        for record in self._records.list(KIND).records:
            if self._table(record) is None:
                self._records.delete(record.name)
            else:
                used.add(record.body["files"])
        self._files.sweep(used)

    # -- statements

    def create(self, statement: CreateVectorIndex, run: Run) -> Outcome:
        target = _table(statement.target)
        options = _options(statement.options)
        record = self._records.find(target.name)
        if record is None:
            raise not_found("Table", target)
        if record.body.get("type") != "TABLE":
            raise wrong("A vector index must be of a table", given=f"{target}, a {record.body.get('type')}")
        existing = self._find(target)
        if existing is not None and not statement.replace:
            if statement.if_not_exists:
                return _outcome("SKIP", target)
            if existing.body["name"].lower() == statement.index.lower():
                raise already_exists("Vector index", f"{statement.index} on table {target}")
            raise wrong("A table may have one vector index", given=existing.body["name"], do="drop it first")
        if self._records.list(POLICY, target.name, page_size=1).records:
            raise wrong("A table with row access policies may have no vector index", given=str(target))
        state = self._state(target)
        body: dict[str, Any] = {
            "name": statement.index,
            "column": statement.column,
            "stored": list(statement.stored),
            "options": options,
            "ddl": statement.text,
            "table": record.uid,
            "modified": self._now(),
        }
        body |= self._built(target, body, None, run) | {"state": state}
        name = f"{target.name}/vectorIndexes/{statement.index}"

        def commit() -> None:
            if existing is not None:
                self._forget(existing)
            if (stale := self._records.find(name)) is not None:
                self._forget(stale)
            self._records.create(KIND, name, body)

        done = _outcome("REPLACE" if existing is not None else "CREATE", target)
        done.commit, done.undo = commit, lambda: self._files.remove(body["files"])
        return done

    def drop(self, statement: DropVectorIndex) -> Outcome:
        target = _table(statement.target)
        found = self._find(target)
        if found is None or found.body["name"].lower() != statement.index.lower():
            if statement.if_exists:
                return _outcome("SKIP", target)
            raise not_found("Vector index", f"{statement.index} on table {target}")
        done = _outcome("DROP", target)
        done.commit = lambda: self._forget(found)
        return done

    def _forget(self, record: Record) -> None:
        self._records.delete(record.name)
        files = record.body["files"]
        self._records.after_commit(lambda: self._files.remove(files))

    # -- searching

    def may_have(self, target: TableReference) -> bool:
        """Whether there is an index of the table."""
        return self._find(target) is not None

    def candidates(
        self, target: TableReference, column: str, kind: str, queries: np.ndarray, fraction: float | None, run: Run
    ) -> str | None:
        """A relation with the rows of the lists nearest to the queries; None where no index is of use."""
        record = self._find(target)
        if record is None or run.transaction or self._records.list(POLICY, target.name, page_size=1).records:
            return None
        body = record.body
        if body["column"].lower() != column.lower() or body["options"]["distance_type"] != kind:
            return None
        record = self._current(target, record, run)
        centers = self._files.centers(record.body["files"])
        if not len(queries) or queries.shape[1] != centers.shape[1] or not len(centers):
            return None
        from tule.learn.lists import probed

        wanted = max(_LEAST, math.ceil(_FRACTION * len(centers)))
        if fraction is not None:
            wanted = max(1, math.ceil(fraction * len(centers)))
        lists = probed(queries, centers, wanted, kind)
        schema, batches = self._files.rows(record.body["files"], lists.tolist())
        return run.session.temporary(schema, iter(batches))

    def _current(self, target: TableReference, record: Record, run: Run) -> Record:
        """The index with the rows of now."""
        if record.body["state"] == self._state(target):
            return record
        with self._building:
            record = self._records.find(record.name) or record
            state = self._state(target)
            if record.body["state"] == state:
                return record
            old = record.body
            made = self._built(target, old, old, run)
            changed = self._records.update(record.name, lambda body: {**body, **made, "state": state})
            self._files.remove(old["files"])
            return changed

    def _built(
        self, target: TableReference, body: Mapping[str, Any], old: Mapping[str, Any] | None, run: Run
    ) -> dict[str, Any]:
        """The lists of a table as it is."""
        from tule.learn.lists import assigned, centroids

        source = exp.Table(
            this=exp.to_identifier(target.table, quoted=True), db=exp.to_identifier(target.dataset, quoted=True),
            catalog=exp.to_identifier(target.project, quoted=True),
        )  # fmt: skip
        table = run.batches(nodes.select([exp.Star()], source)).table()
        column = actual(table.schema.names, body["column"])
        if column is None:
            raise wrong(f"The column of a vector index must be one of {target}", given=body["column"])
        vectors, rows = matrix(table.column(column), column)
        table = table.take(pa.array(np.flatnonzero(rows)))
        options, cosine = body["options"], body["options"]["distance_type"] == "COSINE"
        if old is not None and len(vectors) < 2 * max(1, old["rows"]):
            centers = self._files.centers(old["files"])
            if centers.shape[1:] != vectors.shape[1:] or not len(centers):
                centers = centroids(vectors, _count(options, len(vectors)), cosine=cosine)
        else:
            centers = centroids(vectors, _count(options, len(vectors)), cosine=cosine)
        run.check()
        files = self._files.write(table, assigned(vectors, centers, cosine=cosine), centers)
        return {
            "files": files, "rows": len(vectors), "bytes": self._files.size(files), "refreshed": self._now(),
        }  # fmt: skip

    def _find(self, target: TableReference) -> Record | None:
        """The index of the table that there is now."""
        for record in self._records.list(KIND, target.name).records:
            if self._table(record) is not None:
                return record
        return None

    def _table(self, record: Record) -> Record | None:
        found = self._records.find(record.name.rpartition("/vectorIndexes/")[0])
        return found if found is not None and found.uid == record.body["table"] else None

    def _state(self, target: TableReference) -> Any:
        return dict(self._states([target]))

    def _now(self) -> str:
        return str(int(self._clock.now().timestamp() * 1_000_000))


def matrix(column: pa.ChunkedArray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """(n, d) float32 vectors of one length, and which rows have one (bool); NULL and empty arrays are none."""
    values = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if not pa.types.is_list(values.type) or not (
        pa.types.is_floating(values.type.value_type) or pa.types.is_integer(values.type.value_type)
    ):
        raise wrong("A vector index must be of a column of type ARRAY<FLOAT64>", given=f"{name}, {values.type}")
    lengths = values.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    rows = lengths > 0
    sizes = np.unique(lengths[rows])
    if len(sizes) > 1:
        raise wrong("The vectors of an index must have one length", given=f"{sizes[0]} and {sizes[1]} in {name}")
    flat = values.filter(pa.array(rows)).flatten()
    if flat.null_count:
        raise wrong("The vectors of an index must have no NULL", given=name)
    width = int(sizes[0]) if len(sizes) else 0
    return flat.to_numpy(zero_copy_only=False).astype(np.float32).reshape(int(rows.sum()), width), rows


def _count(options: Mapping[str, Any], rows: int) -> int:
    """How many lists."""
    if options["index_type"] == "TREE_AH":
        made = math.ceil(rows / options["leaf_node_embedding_count"])
    else:
        made = options["num_lists"] or round(math.sqrt(rows))
    return max(1, min(made, _MOST_LISTS, rows or 1))


def _options(written: Mapping[str, Any]) -> dict[str, Any]:
    unknown = [name for name in written if name not in _OPTIONS]
    if unknown:
        raise wrong(f"The options of a vector index must be of {', '.join(sorted(_OPTIONS))}", given=unknown[0])
    kind = str(written.get("index_type", "")).upper()
    if kind not in _TYPES:
        raise wrong("index_type must be IVF or TREE_AH", given=repr(written.get("index_type")), do="set it")
    distance = str(written.get("distance_type", "EUCLIDEAN")).upper()
    if distance not in _DISTANCES:
        raise wrong(f"distance_type must be one of {', '.join(_DISTANCES)}", given=repr(written["distance_type"]))
    other = "tree_ah_options" if kind == "IVF" else "ivf_options"
    if other in written:
        raise wrong(f"{other} is not an option of an index of type {kind}", do="leave it out")
    made: dict[str, Any] = {"index_type": kind, "distance_type": distance, "num_lists": None}
    if kind == "IVF":
        given = _json(written, "ivf_options", {"num_lists"})
        made["num_lists"] = _whole(given, "num_lists", 1, _MOST_LISTS, None)
        return made
    given = _json(written, "tree_ah_options", {"leaf_node_embedding_count", "normalization_type"})
    made["leaf_node_embedding_count"] = _whole(given, "leaf_node_embedding_count", 500, 1 << 31, 1000)
    normal = str(given.get("normalization_type", "NONE")).upper()
    if normal not in _NORMALS:
        raise wrong("normalization_type must be NONE or L2", given=repr(given["normalization_type"]))
    made["normalization_type"] = normal
    return made


def _json(written: Mapping[str, Any], name: str, known: set[str]) -> dict[str, Any]:
    try:
        given = json.loads(written.get(name, "{}"))
        unknown = [key for key in given if key not in known]
    except (TypeError, ValueError, AttributeError):
        raise wrong(f"{name} must be a JSON object", given=repr(written[name])[:100]) from None
    if not isinstance(given, dict) or unknown:
        raise wrong(f"{name} must be an object with {', '.join(sorted(known))}", given=str(written[name])[:100])
    return given


def _whole(given: Mapping[str, Any], name: str, low: int, high: int, default: int | None) -> int | None:
    value = given.get(name, default)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise wrong(f"{name} must be a whole number from {low} to {high}", given=repr(value))
    return value


def _outcome(operation: str, target: TableReference) -> Outcome:
    reference = {"projectId": target.project, "datasetId": target.dataset, "tableId": target.table}
    return Outcome({"query": {"ddlOperationPerformed": operation, "ddlTargetTable": reference}})


def _table(name: Any) -> TableReference:
    return TableReference(name.project, name.dataset, name.table)
