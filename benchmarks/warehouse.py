"""The warehouse beside DuckDB itself: analytic queries, small queries, results by REST and by Arrow, loads.

    python benchmarks/warehouse.py            TPC-H-like at scale 1 (6 million lines), 5 million rows out, 1 GB files
    python benchmarks/warehouse.py --quick    a twentieth of it

Queries are GoogleSQL through Google's client on Tule, and the same query written by hand in DuckDB's SQL on a database file
of the same rows, with the same threads and memory, in turn. The client's own cost is measured on a server that gives back
recorded answers.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import bench

from tule.testing.process import ServerProcess

MEMORY, THREADS = "2GB", 2
DUCKDB = "DuckDB in process"

TABLES = {
    "customer": "SELECT i AS c_custkey, 'Customer#' || i AS c_name, (hash(i) % 25)::BIGINT AS c_nationkey, "
    "['BUILDING','AUTOMOBILE','MACHINERY','HOUSEHOLD','FURNITURE'][(hash(i * 7) % 5)::INT + 1] AS c_mktsegment "
    "FROM range(1, {customers} + 1) AS t(i)",
    "orders": "SELECT i AS o_orderkey, (hash(i * 3) % {customers})::BIGINT + 1 AS o_custkey, "
    "DATE '1992-01-01' + (hash(i * 5) % 2400)::INT AS o_orderdate, (hash(i * 11) % 5)::BIGINT AS o_shippriority, "
    "(hash(i * 13) % 50000000 / 100.0)::DOUBLE AS o_totalprice FROM range(1, {orders} + 1) AS t(i)",
    "lineitem": "SELECT (i // 4) + 1 AS l_orderkey, i % 4 + 1 AS l_linenumber, (hash(i) % 50 + 1)::DOUBLE AS l_quantity, "
    "(hash(i * 3) % 10000000 / 100.0)::DOUBLE AS l_extendedprice, (hash(i * 5) % 11 / 100.0)::DOUBLE AS l_discount, "
    "(hash(i * 7) % 9 / 100.0)::DOUBLE AS l_tax, ['A','N','R'][(hash(i * 11) % 3)::INT + 1] AS l_returnflag, "
    "['O','F'][(hash(i * 13) % 2)::INT + 1] AS l_linestatus, "
    "DATE '1992-01-02' + (hash(i * 17) % 2500)::INT AS l_shipdate FROM range({lines}) AS t(i)",
}

# name -> (GoogleSQL, DuckDB's SQL)
QUERIES = {
    "pricing summary (Q1)": (
        "SELECT l_returnflag, l_linestatus, SUM(l_quantity) AS sum_qty, SUM(l_extendedprice * (1 - l_discount)) AS disc, "
        "SUM(l_extendedprice * (1 - l_discount) * (1 + l_tax)) AS charge, AVG(l_discount) AS avg_disc, COUNT(*) AS n "
        "FROM h.lineitem WHERE l_shipdate <= DATE_SUB(DATE '1998-12-01', INTERVAL 90 DAY) GROUP BY 1, 2 ORDER BY 1, 2",
        "SELECT l_returnflag, l_linestatus, sum(l_quantity), sum(l_extendedprice * (1 - l_discount)), "
        "sum(l_extendedprice * (1 - l_discount) * (1 + l_tax)), avg(l_discount), count(*) FROM lineitem "
        "WHERE l_shipdate <= DATE '1998-12-01' - INTERVAL 90 DAY GROUP BY 1, 2 ORDER BY 1, 2",
    ),
    "shipping priority (Q3)": (
        "SELECT l_orderkey, SUM(l_extendedprice * (1 - l_discount)) AS revenue, o_orderdate, o_shippriority FROM h.customer "
        "JOIN h.orders ON c_custkey = o_custkey JOIN h.lineitem ON l_orderkey = o_orderkey WHERE c_mktsegment = 'BUILDING' "
        "AND o_orderdate < DATE '1995-03-15' AND l_shipdate > DATE '1995-03-15' "
        "GROUP BY l_orderkey, o_orderdate, o_shippriority ORDER BY revenue DESC, o_orderdate LIMIT 10",
        "SELECT l_orderkey, sum(l_extendedprice * (1 - l_discount)) AS revenue, o_orderdate, o_shippriority FROM customer "
        "JOIN orders ON c_custkey = o_custkey JOIN lineitem ON l_orderkey = o_orderkey WHERE c_mktsegment = 'BUILDING' "
        "AND o_orderdate < DATE '1995-03-15' AND l_shipdate > DATE '1995-03-15' "
        "GROUP BY l_orderkey, o_orderdate, o_shippriority ORDER BY revenue DESC, o_orderdate LIMIT 10",
    ),
    "revenue change (Q6)": (
        "SELECT SUM(l_extendedprice * l_discount) AS revenue FROM h.lineitem WHERE l_shipdate >= DATE '1994-01-01' "
        "AND l_shipdate < DATE_ADD(DATE '1994-01-01', INTERVAL 1 YEAR) AND l_discount BETWEEN 0.05 AND 0.07 "
        "AND l_quantity < 24",
        "SELECT sum(l_extendedprice * l_discount) FROM lineitem WHERE l_shipdate >= DATE '1994-01-01' "
        "AND l_shipdate < DATE '1995-01-01' AND l_discount BETWEEN 0.05::DOUBLE AND 0.07::DOUBLE AND l_quantity < 24",
    ),
    "customers by rank (window)": (
        "SELECT COUNT(*) AS n FROM (SELECT o_custkey, ROW_NUMBER() OVER (PARTITION BY o_custkey ORDER BY o_totalprice DESC) "
        "AS place FROM h.orders QUALIFY place <= 2)",
        "SELECT count(*) FROM (SELECT o_custkey, row_number() OVER (PARTITION BY o_custkey ORDER BY o_totalprice DESC) "
        "AS place FROM orders QUALIFY place <= 2)",
    ),
}

CLIENT = """
import json, sys, time
from google.cloud import bigquery
client = bigquery.Client()
config = bigquery.QueryJobConfig(use_query_cache=False)
for line in sys.stdin:
    query = json.loads(line)
    began = time.perf_counter()
    rows = [list(row.values()) for row in client.query_and_wait(query, job_config=config)]
    print(json.dumps({"seconds": time.perf_counter() - began, "rows": len(rows)}), flush=True)
"""


def connect(path: str) -> Any:
    import duckdb

    return duckdb.connect(path, config={"memory_limit": MEMORY, "threads": THREADS})


class Conversation:
    """The stock client in a process of its own, under interception: a line in, a line out."""

    def __init__(self, server: ServerProcess, code: str) -> None:
        from tule.wire.intercept.environment import environment

        self._process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=environment(server.target, os.environ, offline=True),
        )  # fmt: skip

    def ask(self, question: Any) -> dict[str, Any]:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"the client ended with {self._process.wait()}")
        found: dict[str, Any] = json.loads(line)
        return found

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(30)


LOAD = """
import sys
from google.cloud import bigquery
client = bigquery.Client()
client.create_dataset("h", exists_ok=True)
table, path, form = sys.argv[1:]
with open(path, "rb") as file:
    job = client.load_table_from_file(file, f"h.{table}", job_config=bigquery.LoadJobConfig(
        source_format=form, autodetect=form == "CSV", write_disposition="WRITE_TRUNCATE"))
job.result()
print((job.ended - job.started).total_seconds())
"""


def load(server: ServerProcess, table: str, path: str, form: str) -> float:
    """Seconds of a load job, as the job tells them: the upload is not counted."""
    return float(server.exec([sys.executable, "-c", LOAD, table, path, form], timeout=900).stdout.split()[-1])


def queries(server: ServerProcess, database: Any, rounds: int) -> None:
    talk = Conversation(server, CLIENT)
    try:
        for name, (google, own) in QUERIES.items():
            ours, theirs = [], []
            for turn in range(rounds + 1):
                seconds = talk.ask(google)["seconds"]
                began = time.perf_counter()
                database.execute(own).fetchall()
                elapsed = time.perf_counter() - began
                if turn:
                    ours.append(seconds)
                    theirs.append(elapsed)
            bench.row(
                name, "ms", bench.median(ours) * 1e3, bench.median(theirs) * 1e3,
                goal="<= 1.1 + 5 ms", against=f"{DUCKDB}, SQL by hand",
            )  # fmt: skip
        small = [talk.ask("SELECT COUNT(*) AS n FROM h.customer WHERE c_nationkey = 7")["seconds"] for _ in range(100)]
        floor = []
        for _ in range(100):
            began = time.perf_counter()
            database.execute("SELECT count(*) FROM customer WHERE c_nationkey = 7").fetchall()
            floor.append(time.perf_counter() - began)
        bench.row(
            "small query, through client and server", "ms", bench.median(small) * 1e3, bench.median(floor) * 1e3,
            goal="5 ms + client's 2.2", against=DUCKDB,
        )  # fmt: skip
    finally:
        talk.close()


FRAME = """
import sys, time
import pandas
from google.cloud import bigquery, bigquery_storage
client = bigquery.Client()
table = client.get_table("h.wide")
began = time.perf_counter()
frame = client.list_rows(table).to_dataframe()
seconds = time.perf_counter() - began
assert frame.shape == (int(sys.argv[1]), 10), frame.shape
print(seconds)
"""


def frames(server: ServerProcess, database: Any, rows: int) -> None:
    import pandas  # noqa: F401  its import is not counted on either side

    done = server.exec([sys.executable, "-c", FRAME, str(rows)], timeout=900)
    began = time.perf_counter()
    frame = database.execute("SELECT * FROM wide").df()
    elapsed = time.perf_counter() - began
    assert len(frame) == rows
    bench.row(
        f"to_dataframe() of {rows:,} rows x 10 by the Storage Read API", "s", float(done.stdout.split()[-1]), elapsed,
        goal="<= 2", against=f"{DUCKDB} to pandas",
    )  # fmt: skip


LIST = """
import json, sys, time
from google.cloud import bigquery
from google.oauth2.credentials import Credentials
servers = json.loads(sys.argv[1])
times = {name: [] for name in servers}
for turn in range(4):
    for name, (url, token) in servers.items():
        client = bigquery.Client(project="bench", credentials=Credentials(token), client_options={"api_endpoint": url})
        table = client.get_table("bench.h.narrow")
        began = time.perf_counter()
        count = sum(1 for _ in client.list_rows(table))
        times[name].append(time.perf_counter() - began)
        assert count == int(sys.argv[2]), count
print(json.dumps({name: sorted(each[1:])[1] for name, each in times.items()}))
"""


def list_rows(server: ServerProcess, rows: int, folder: Path) -> None:
    """Rows by REST, against the same answers from a server that has them ready."""
    import httpx

    port = bench.free_port()
    recorded: dict[str, Any] = {}
    with httpx.Client(base_url=server.url, headers=server.headers, timeout=120) as http:
        base = "/bigquery/v2/projects/bench/datasets/h/tables/narrow"
        recorded[base] = http.get(base).json()
        token = ""
        while True:
            page = http.get(
                f"{base}/data", params={"formatOptions.useInt64Timestamp": "True", "pageToken": token}
            ).json()
            recorded[f"{base}/data#{token}"] = page
            token = page.get("pageToken", "")
            if not token:
                break
    path = folder / "recorded.json"
    path.write_text(json.dumps(recorded))
    with subprocess.Popen([sys.executable, str(bench.HERE / "canned.py"), str(port), str(path)]) as canned:
        try:
            bench.wait_for(port)
            servers = {"tule": (server.url, server.token), "canned": (f"http://127.0.0.1:{port}", "x")}
            done = subprocess.run(
                [sys.executable, "-c", LIST, json.dumps(servers), str(rows)], capture_output=True, text=True, check=True
            )
        finally:
            canned.terminate()
    times = json.loads(done.stdout)
    bench.row(
        f"list_rows of {rows:,} rows x 8 by REST", "s", times["tule"], times["canned"], goal="<= 1.15",
        against="the same client on recorded answers",
    )  # fmt: skip


def big_files(database: Any, folder: Path, times: int) -> None:
    """Files of a gigabyte at full size, out of the tables that are there."""
    source = f"range({times}) AS again(turn)"
    database.execute(f"COPY (SELECT * FROM lineitem, {source}) TO '{folder}/big.csv' (FORMAT csv, HEADER)")
    database.execute(
        f"COPY (SELECT * FROM wide, {source}) TO '{folder}/big.parquet' (FORMAT parquet, COMPRESSION uncompressed)"
    )


def loads(server: ServerProcess, folder: Path, rounds: int) -> None:
    for form in ("parquet", "csv"):
        path = folder / f"big.{form}"
        ours, theirs = [], []
        for turn in range(rounds):
            ours.append(load(server, f"loaded_{form}_{turn}", str(path), form.upper()))
            database = connect(str(folder / f"load_{form}_{turn}.duckdb"))
            began = time.perf_counter()
            database.execute(f"CREATE TABLE t AS SELECT * FROM read_{form}('{path}')")
            database.execute("CHECKPOINT")
            theirs.append(time.perf_counter() - began)
            database.close()
            (folder / f"load_{form}_{turn}.duckdb").unlink()
        size = path.stat().st_size / 1e9
        path.unlink()
        bench.row(
            f"load of {size:.2f} GB of {form.upper()}", "s", min(ours), min(theirs), goal="<= 1.2",
            against="CREATE TABLE AS and CHECKPOINT in DuckDB",
        )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="queries,frames,list,loads")
    options = parser.parse_args()
    scale = 20 if options.quick else 1
    sizes = {"customers": 150_000 // scale, "orders": 1_500_000 // scale, "lines": 6_000_000 // scale}
    wide, narrow = 5_000_000 // scale, 100_000 // scale
    wanted = options.only.split(",")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        database = connect(str(folder / "bench.duckdb"))
        for table, sql in TABLES.items():
            database.execute(f"CREATE TABLE {table} AS {sql.format(**sizes)}")
        columns = ", ".join(f"hash(i * {at + 3}) / 1e12 AS x{at}" for at in range(8))
        database.execute(
            f"CREATE TABLE wide AS SELECT i, 'row ' || (i % 1000) AS s, {columns} FROM range({wide}) AS t(i)"
        )
        database.execute(
            "CREATE TABLE narrow AS SELECT i, i * 1.5 AS f, 'text ' || i AS s, i % 2 = 0 AS b, "
            "DATE '2020-01-01' + (i % 999)::INT AS d, TIMESTAMPTZ '2020-01-01 00:00:00+00' + to_seconds(i) AS t, "
            f"i % 7 AS k, 'x' AS c FROM range({narrow}) AS t(i)"
        )
        for table in (*TABLES, "wide", "narrow"):
            database.execute(f"COPY {table} TO '{folder}/{table}.parquet' (FORMAT parquet, COMPRESSION uncompressed)")
        server = ServerProcess(folder / "home", project="bench", memory=MEMORY, threads=THREADS).start()
        try:
            for table in (*TABLES, "wide", "narrow"):
                load(server, table, f"{folder}/{table}.parquet", "PARQUET")
            if "queries" in wanted:
                queries(server, database, 2 if options.quick else 5)
            if "frames" in wanted:
                frames(server, database, wide)
            if "list" in wanted:
                list_rows(server, narrow, folder)
            if "loads" in wanted:
                big_files(database, folder, 1 if options.quick else 3)
                loads(server, folder, 1)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
