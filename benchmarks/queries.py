"""Queries through Google's client, beside what that client costs on a server with a canned answer.

    python benchmarks/queries.py            10,000 queries, 2,000,000 rows
    python benchmarks/queries.py --quick    500 queries, 200,000 rows

``SELECT 1`` by ``query_and_wait``: both servers run at once and take turns in blocks, so that each ratio is of one moment;
growth compares the last tenth of the run with the second, both as multiples of that moment's floor. A linear
``ML.PREDICT`` is compared with the same formula written by hand as SQL, on the same server.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import bench

from tule.testing.process import ServerProcess

CLIENT = """
import json, sys, time
from google.cloud import bigquery
from google.oauth2.credentials import Credentials
clients = {
    name: bigquery.Client(project="bench", credentials=Credentials(token), client_options={"api_endpoint": url})
    for name, (url, token) in json.loads(sys.argv[1]).items()
}
# Each query is run: an answer out of the query cache would cost less.
config = bigquery.QueryJobConfig(use_query_cache=False)
for line in sys.stdin:
    name, count = line.split()
    times = []
    for _ in range(int(count)):
        began = time.perf_counter()
        rows = list(clients[name].query_and_wait("SELECT 1", job_config=config))
        times.append(time.perf_counter() - began)
        assert rows[0][0] == 1
    print(json.dumps(times), flush=True)
"""


class Client:
    """The stock client in a process of its own, told how often to ask whom."""

    def __init__(self, servers: dict[str, tuple[str, str]]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", CLIENT, json.dumps(servers)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, name: str, count: int) -> list[float]:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(f"{name} {count}\n")
        self._process.stdin.flush()
        times: list[float] = json.loads(self._process.stdout.readline())
        return times

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(10)


def select_one(server: ServerProcess, count: int) -> None:
    port = bench.free_port()
    with bench.canned_server(port) as canned:
        client = Client({"tule": (server.url, server.token), "canned": (f"http://127.0.0.1:{port}", "x")})
        client.ask("tule", 100)
        client.ask("canned", 100)
        block = max(count // 20, 25)
        tule: list[float] = []
        floor: list[float] = []
        memory = []
        while len(tule) < count:
            tule += client.ask("tule", block)
            floor += client.ask("canned", block)
            memory.append(bench.memory_mb(server.pid))
        client.close()
        assert canned.poll() is None
    against = "the same client on a canned server"
    name = f"SELECT 1 by query_and_wait, {count:,} times"
    bench.row(
        f"{name}: median", "ms", bench.median(tule) * 1e3, bench.median(floor) * 1e3, goal="<= 2", against=against
    )
    p99 = [bench.percentile(each, 0.99) * 1e3 for each in (tule, floor)]
    bench.row(f"{name}: p99", "ms", p99[0], p99[1], against=against)
    tenth = max(count // 10, 1)
    # In terms of the floor at the same moment: the machine itself is not equally fast all the time.
    late, early = (
        bench.median(tule[part]) / bench.median(floor[part]) for part in (slice(-tenth, None), slice(tenth, 2 * tenth))
    )
    bench.row(
        "SELECT 1: last tenth of the run, in floors",
        "x",
        late,
        early,
        goal="about 1",
        against="second tenth, in floors",
    )
    bench.row(
        "SELECT 1: server memory at the end", "MB", memory[-1], memory[len(memory) // 10], goal="about 1",
        against="after a tenth of the run",
    )  # fmt: skip


PREDICT = """
import json, sys, time
from google.cloud import bigquery
client = bigquery.Client()
rows = int(sys.argv[1])
client.create_dataset("bench", exists_ok=True)
terms = ", ".join(f"SIN(i * {0.37 + n / 10}) * {n % 3 + 1} AS x{n}" for n in range(20))
formula = " + ".join(f"{(n * 7) % 11 - 5} * x{n}" for n in range(20))
client.query_and_wait(f"CREATE OR REPLACE TABLE bench.points AS SELECT *, IF({formula} > 0, 1, 0) AS label FROM "
                      f"(SELECT {terms} FROM UNNEST(GENERATE_ARRAY(1, {rows})) AS i)")
client.query_and_wait("CREATE OR REPLACE MODEL bench.linear OPTIONS (MODEL_TYPE = 'LOGISTIC_REG', L2_REG = 0.1) AS "
                      "SELECT * FROM bench.points LIMIT 20000")
weights = {row["processed_input"]: row["weight"]
           for row in client.query_and_wait("SELECT * FROM ML.WEIGHTS(MODEL bench.linear)")}
score = " + ".join(f"{weight!r} * {name}" for name, weight in weights.items() if name != "__INTERCEPT__")
model = ("SELECT SUM(p.prob) FROM ML.PREDICT(MODEL bench.linear, TABLE bench.points), UNNEST(predicted_label_probs) AS p "
         "WHERE p.label = 1")
bare = ("SELECT SUM(p.prob) FROM (SELECT *, IF(q >= 0.5, 1, 0) AS predicted, "
        "[STRUCT(1 AS label, q AS prob), STRUCT(0 AS label, 1 - q AS prob)] AS probs FROM "
        f"(SELECT *, 1 / (1 + EXP(-({score} + {weights['__INTERCEPT__']!r}))) AS q FROM bench.points)), "
        "UNNEST(probs) AS p WHERE p.label = 1")
config = bigquery.QueryJobConfig(use_query_cache=False)
times = {"model": [], "bare": []}
sums = {}
for _ in range(5):
    for name, sql in (("model", model), ("bare", bare)):
        began = time.perf_counter()
        sums[name] = list(client.query_and_wait(sql, job_config=config))[0][0]
        times[name].append(time.perf_counter() - began)
assert abs(sums["model"] - sums["bare"]) < 1e-6 * abs(sums["bare"]), sums
print(json.dumps(times))
"""


def predict(server: ServerProcess, rows: int) -> None:
    done = server.exec([sys.executable, "-c", PREDICT, str(rows)], timeout=600)
    times: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    # Speed: reference seconds over ours.
    speed = [rows / bench.median(times[name]) / 1e6 for name in ("model", "bare")]
    bench.row(
        f"linear ML.PREDICT in a query, {rows:,} rows", "M rows/s", speed[0], speed[1], goal=">= 0.9",
        against="the formula written as SQL",
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory() as folder:
        server = ServerProcess(Path(folder) / "home", project="bench", threads=2).start()
        try:
            select_one(server, 500 if quick else 10_000)
            predict(server, 200_000 if quick else 2_000_000)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
