"""Jobs that wait: a long queue is listed in one page by the stock client.

    python benchmarks/jobs.py            1,000 queued custom jobs
    python benchmarks/jobs.py --quick    100

One job holds the machine, so that all others stay queued. The list is asked over gRPC; the median of seven.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import bench

from tule.testing.process import ServerProcess

LIST = """
import json, statistics, sys, time
from google.cloud import aiplatform_v1 as api
count = int(sys.argv[1])
client = api.JobServiceClient(client_options={"api_endpoint": "us-central1-aiplatform.googleapis.com"})
parent = "projects/bench/locations/us-central1"
pool = {
    "machine_spec": {"machine_type": "n1-standard-64"}, "replica_count": 1,
    "container_spec": {"image_uri": "python:3.11", "command": ["python3", "-c", "import time; time.sleep(3600)"]},
}
created = time.perf_counter()
for at in range(count + 1):
    client.create_custom_job(parent=parent, custom_job={"display_name": f"j{at}", "job_spec": {"worker_pool_specs": [pool]}})
created = time.perf_counter() - created
queued = {"parent": parent, "page_size": count, "filter": 'state="JOB_STATE_QUEUED"'}
plain = {"parent": parent, "page_size": count}
found = {}
for name, request in (("all", plain), ("queued", queued)):
    times = []
    for _ in range(7):
        began = time.perf_counter()
        page = next(iter(client.list_custom_jobs(request).pages))
        times.append((time.perf_counter() - began) * 1000)
        assert len(page.custom_jobs) == count, len(page.custom_jobs)
    found[name] = statistics.median(times)
print(json.dumps({**found, "created": created * 1000 / (count + 1)}))
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    count = 100 if parser.parse_args().quick else 1000
    with tempfile.TemporaryDirectory() as folder:
        server = ServerProcess(Path(folder) / "home", project="bench", scale_machines=True).start()
        try:
            done = server.exec([sys.executable, "-c", LIST, str(count)], timeout=170)
        finally:
            server.stop()
    found = json.loads(done.stdout.splitlines()[-1])
    bench.row(f"list of {count:,} jobs, one page", "ms", found["all"], None, goal="< 100")
    bench.row(f"list of {count:,} queued jobs by a filter", "ms", found["queued"], None, goal="< 100")
    bench.row("one more job queued", "ms", found["created"], None)


if __name__ == "__main__":
    main()
