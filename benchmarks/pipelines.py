"""Pipelines beside KFP's own local runner: a chain and a fan-out of 20 light Python components, a step.

    python benchmarks/pipelines.py            fresh processes and warm ones
    python benchmarks/pipelines.py --quick    one round

Both run in turns on one machine. KFP's runner (`kfp.local`, its pip step switched off) records nothing; here every step
is recorded durably. The KFP SDK is in the environment of the clients (`make clients`).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import bench

HERE = Path(__file__).parent
PYTHON = HERE.parent / ".venv-clients" / "bin" / "python"
STEPS = 20

KFP = """
import json, logging, sys, time, warnings
warnings.simplefilter("ignore")
from kfp import compiler, dsl, local

@dsl.component(base_image="python:3.11", install_kfp_package=sys.argv[1] != "run")
def add(n: int) -> int:
    return n + 1

@dsl.pipeline(name="chain")
def chain(n: int = 1):
    last = add(n=n).set_caching_options(False)
    for _ in range(19):
        last = add(n=last.output).set_caching_options(False)

@dsl.pipeline(name="fan-out")
def fan_out(n: int = 1):
    for _ in range(20):
        add(n=n).set_caching_options(False)

if sys.argv[1] == "run":
    local.init(runner=local.SubprocessRunner(use_venv=False), raise_on_error=True)
    logging.disable(logging.CRITICAL)
    for name, pipeline in (("chain", chain), ("fan-out", fan_out)):
        start = time.monotonic()
        pipeline(n=1)
        print(json.dumps([name, time.monotonic() - start]), file=sys.stderr)
else:
    for pipeline in (chain, fan_out):
        compiler.Compiler().compile(pipeline, f"{sys.argv[1]}/{pipeline.name}.yaml")
"""


def kfp_local(folder: Path) -> dict[str, float]:
    """Seconds of each pipeline by KFP's own runner."""
    environment = {"PATH": f"{PYTHON.parent}:/usr/bin:/bin", "HOME": str(folder)}
    done = subprocess.run(
        [str(PYTHON), str(folder / "program.py"), "run"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(json.loads(line) for line in done.stderr.splitlines() if line.startswith('["'))


class Here:
    """Our own runner, in this process, on a data directory of its own."""

    def __init__(self, folder: Path, *, warm: bool) -> None:
        from tule.app import build
        from tule.kernel.settings import Settings

        self.app = build(Settings(home=folder, project="bench", warm_steps=warm))
        self.app.start()
        self.app.objects.buckets.create("bench", "bench-runs")
        self._changed = threading.Condition()
        self._ended: set[str] = set()
        self.app.pipelines.on_end(self._end)

    def _end(self, name: str) -> None:
        with self._changed:
            self._ended.add(name)
            self._changed.notify_all()

    def run(self, spec: dict[str, Any]) -> float:
        """Seconds of a run, from the request to its end."""
        clock = self.app.clock
        start = clock.monotonic()
        config = {"gcsOutputDirectory": "gs://bench-runs/root"}
        name = self.app.pipelines.create(
            "projects/bench/locations/us-central1", {"pipelineSpec": spec, "runtimeConfig": config}
        )["name"]
        with self._changed:
            self._changed.wait_for(lambda: name in self._ended, 120)
        state = self.app.pipelines.get(name)["state"]
        assert state == "PIPELINE_STATE_SUCCEEDED", state
        return float(clock.monotonic() - start)


def main() -> None:
    import yaml

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    rounds = 1 if parser.parse_args().quick else 3
    if not PYTHON.exists():
        sys.exit(f"The KFP SDK must be installed; given: no {PYTHON}. Next: make clients")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # A file, because the SDK reads the source of components.
        (folder / "program.py").write_text(KFP)
        subprocess.run([str(PYTHON), str(folder / "program.py"), name], check=True, capture_output=True)
        specs = {each: yaml.safe_load((folder / f"{each}.yaml").read_text()) for each in ("chain", "fan-out")}
        runners = {kind: Here(folder / kind, warm=kind == "warm") for kind in ("fresh", "warm")}
        seconds: dict[tuple[str, str], list[float]] = {}
        try:
            for runner in runners.values():
                # The environment is installed, and the interpreter warm.
                runner.run(specs["fan-out"])
            for _ in range(rounds):
                for each, taken in kfp_local(folder).items():
                    seconds.setdefault(("kfp", each), []).append(taken)
                for kind, runner in runners.items():
                    for each, spec in specs.items():
                        seconds.setdefault((kind, each), []).append(runner.run(spec))
        finally:
            for runner in runners.values():
                runner.app.stop()
    step = {key: statistics.median(found) / STEPS * 1000 for key, found in seconds.items()}
    for kind, goal in (("fresh", "<= 0.4"), ("warm", "<= 0.1")):
        for each in specs:
            wanted = goal if each == "chain" else "<= 0.4"
            what = f"{each} of {STEPS} light components, a step, {kind} processes"
            bench.row(what, "ms", step[kind, each], step["kfp", each], goal=wanted, against="kfp.local, no pip step")


if __name__ == "__main__":
    main()
