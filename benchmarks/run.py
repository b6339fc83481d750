"""Run every benchmark in a process of its own and write one table to docs/benchmarks.md.

``make bench`` runs all; ``python benchmarks/run.py startup queries`` runs some and renews their sections; ``--quick`` uses
smaller sizes and writes nothing. A benchmark prints one JSON object a line: what, unit, tule, reference, ratio, goal,
against. Ratios compare figures of one run on one machine; single figures move with whatever else the machine does.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
SUITES = (
    "startup",
    "queries",
    "warehouse",
    "training",
    "prediction",
    "forecasting",
    "recommendation",
    "serving",
    "jobs",
    "tracking",
    "pipelines",
)
PAGE = HERE.parent / "docs" / "benchmarks.md"


def run(suite: str, quick: bool) -> list[dict[str, object]]:
    command = [sys.executable, str(HERE / f"{suite}.py"), *(["--quick"] if quick else [])]
    rows = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            if line.startswith("{"):
                rows.append({"suite": suite, **json.loads(line)})
                print(format_row(rows[-1]), flush=True)
            else:
                print(line, end="", file=sys.stderr, flush=True)
    if process.returncode:
        sys.exit(f"benchmarks/{suite}.py must end with 0; it ended with {process.returncode}. Next: run it alone")
    return rows


def figure(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return "-" if value is None else str(value)


def format_row(row: dict[str, object]) -> str:
    cells = [
        str(row["what"]),
        str(row.get("unit", "")),
        *(figure(row.get(key)) for key in ("tule", "reference", "ratio")),
    ]
    return "| " + " | ".join([*cells, str(row.get("goal", "")), str(row.get("against", ""))]) + " |"


HEADER = "| what | unit | Tule | reference | ratio | goal | reference is |\n|---|---|---|---|---|---|---|"


def page(rows: list[dict[str, object]], before: str = "") -> str:
    """The page; sections of suites that did not run stay as they were ``before``."""
    kept = {part.partition("\n")[0]: part for part in before.split("\n## ")[1:]}
    parts = [
        "# Benchmarks\n",
        "Made by `make bench`. Each ratio compares two figures of one run, side by side on one machine; a lone figure",
        "says little, because it moves with the machine and its company. Ratio is Tule divided by the reference.\n",
        f"Machine: {os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}.\n",
    ]
    for suite in SUITES:
        mine = [row for row in rows if row["suite"] == suite]
        if mine:
            parts += [f"## {suite}\n", f"`python benchmarks/{suite}.py`\n", HEADER, *map(format_row, mine), ""]
        elif suite in kept:
            parts.append("## " + kept[suite].rstrip("\n") + "\n")
    return "\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suites", nargs="*", default=list(SUITES))
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    print(HEADER, flush=True)
    rows = [row for suite in options.suites for row in run(suite, options.quick)]
    if not options.quick:
        PAGE.write_text(page(rows, PAGE.read_text() if PAGE.exists() else ""))
        print(f"wrote {PAGE}", file=sys.stderr)


if __name__ == "__main__":
    main()
