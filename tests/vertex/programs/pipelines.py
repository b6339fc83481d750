"""Compiled pipelines by the stock SDK: submitted, followed, listed, cancelled, deleted, scheduled."""

from __future__ import annotations

import itertools
import sys
import time
from pathlib import Path

from google.cloud import aiplatform, storage
from google.cloud.aiplatform import pipeline_jobs

PROJECT, LOCATION = "test-project", "us-central1"
COMPILED = Path(sys.argv[1])
# The SDK looks every five seconds; the steps here take milliseconds.
pipeline_jobs._JOB_WAIT_TIME = 0.02

aiplatform.init(project=PROJECT, location=LOCATION, staging_bucket="gs://pipelines-by-sdk")
bucket = storage.Client(project=PROJECT).create_bucket("pipelines-by-sdk")
bucket.blob("text.txt").upload_from_string("imported")
# One importer of the samples has a constant URI.
storage.Client(project=PROJECT).create_bucket("samples").blob("text.txt").upload_from_string("imported")


# The SDK's own ids have the second in which they were made.
numbers = itertools.count()


def job(name: str, parameters: dict | None = None, **more: object) -> aiplatform.PipelineJob:
    more.setdefault("job_id", f"{name}-by-sdk-{next(numbers)}")
    return aiplatform.PipelineJob(
        display_name=name, template_path=str(COMPILED / f"{name}.yaml"), parameter_values=parameters, **more
    )


def run(name: str, parameters: dict | None = None, **more: object) -> aiplatform.PipelineJob:
    made = job(name, parameters, **more)
    made.run()
    return made


def outputs(made: aiplatform.PipelineJob, task: str) -> dict:
    (detail,) = [each for each in made.task_details if each.task_name == task]
    metadata = dict(detail.execution.metadata)
    return {key.removeprefix("output:"): value for key, value in metadata.items() if key.startswith("output:")}


def states(made: aiplatform.PipelineJob) -> dict:
    return {each.task_unique_name.partition(".")[2]: each.state.name for each in made.task_details}


# -- the samples of the KFP documentation

assert outputs(run("hello-world", {"recipient": "there"}), "hello") == {"Output": "Hello, there"}
assert outputs(run("add-pipeline", {"a": 2.5}), "add-pipeline") == {"Output": 13.5}
run("types", {"i": 4, "l": [1, {"x": 2}], "d": {"k": [1.5]}})

made = run("artifacts", {"n": 5})
assert outputs(made, "artifacts") == {"Output": 10}
(train,) = [each for each in made.task_details if each.task_name == "train"]
assert {name: each.artifacts[0].schema_title for name, each in train.outputs.items()} == {
    "model": "system.Model", "metrics": "system.Metrics", "report": "system.Markdown", "page": "system.HTML",
    "cm": "system.ClassificationMetrics",
}  # fmt: skip
assert dict(train.outputs["metrics"].artifacts[0].metadata) == {"accuracy": 0.5, "rows": 5}
key = train.outputs["model"].artifacts[0].uri.removeprefix("gs://pipelines-by-sdk/")
assert bucket.blob(f"{key}/weights").download_as_text() == "10"

made = run("conditions", {"side": "tails", "n": 3})
assert outputs(made, "conditions") == {"Output": "it was tails"}
assert states(made)["condition-branches-1.condition-2"] == "NOT_TRIGGERED"
assert outputs(run("loops", {"ns": [1, 2, 3, 4]}), "loops") == {"Output": 20}
assert outputs(run("nested", {"x": 1.0}), "nested") == {"Output": 13}
assert outputs(run("importer", {"uri": "gs://pipelines-by-sdk/text.txt"}), "read") == {"Output": "imported"}
assert outputs(run("collected-artifacts"), "collected-artifacts") == {"Output": "a,b,c"}
made = run("containers", {"t": "hi"})
assert outputs(made, "shell-2") == {"out": "hi++more"}
words = outputs(made, "placeholders")["Output"].split()
assert words[0] == made.name and words[1] == made.resource_name and words[3:] == ["placeholders", "hi-hi+"]
assert outputs(run("direct-files", {"bucket": "pipelines-by-sdk"}), "both") == {"Output": "imported"}
assert bucket.blob("direct/copy.txt").download_as_text() == "imported"
assert outputs(run("retries", {"marker": f"{sys.argv[2]}/marker"}), "retries") == {"Output": "after 2"}

failed = job("exit-handler", {"msg": "no luck"})
try:
    failed.run()
except RuntimeError as error:
    assert "ValueError: no luck" in str(error), error
else:
    raise AssertionError("a pipeline that failed must be told of")
assert failed.has_failed
assert outputs(failed, "notify")["Output"].startswith("me: FAILED exit-handler-1 9 The DAG failed")
try:
    run("ignoring")
except RuntimeError as error:
    assert "gone wrong" in str(error)

# -- caching, and its switches

first = run("hello-world", {"recipient": "cache"})
assert states(run("hello-world", {"recipient": "cache"}))["hello"] == "SKIPPED"
assert states(run("hello-world", {"recipient": "cache"}, enable_caching=False))["hello"] == "SUCCEEDED"

# -- lists, copies, experiments

named = job("hello-world", {"recipient": "listed"}, job_id="listed-by-sdk", labels={"team": "ads"})
named.submit()
named.wait()
assert [each.name for each in aiplatform.PipelineJob.list(filter='labels.team="ads"')] == ["listed-by-sdk"]
simple = aiplatform.PipelineJob.list(filter='labels.team="ads"', enable_simple_view=True)
assert [each.name for each in simple] == ["listed-by-sdk"]
assert aiplatform.PipelineJob.get("listed-by-sdk").state.name == "PIPELINE_STATE_SUCCEEDED"
clone = named.clone(job_id="cloned-by-sdk")
clone.run()
assert outputs(clone, "hello") == {"Output": "Hello, listed"}

aiplatform.init(experiment="experiment-of-pipelines")
tracked = job("artifacts", {"n": 4})
tracked.submit(experiment="experiment-of-pipelines")
tracked.wait()
assert tracked.get_associated_experiment().name == "experiment-of-pipelines"
frame = aiplatform.get_experiment_df("experiment-of-pipelines")
row = frame[frame["run_name"] == tracked.name].iloc[0]
assert row["param.n"] == 4 and row["metric.accuracy"] == 0.5, row
frame = aiplatform.get_pipeline_df("artifacts")
(column,) = [each for each in frame.columns if each in ("param.n", "param.input:n")]
assert set(frame[column]) == {5, 4}, frame

# -- schedules

schedule = job("hello-world").create_schedule(
    cron="TZ=Europe/Berlin 0 6 1 1 *", display_name="new year", max_concurrent_run_count=2, max_run_count=3
)
assert schedule.state.name == "ACTIVE"
schedule.pause()
assert schedule.state.name == "PAUSED"
schedule.resume()
schedule.update(cron="30 6 * * *", max_run_count=5)
assert schedule.cron == "30 6 * * *" and schedule.max_run_count == 5
assert [each.name for each in aiplatform.PipelineJobSchedule.list()] == [schedule.name]
assert schedule.list_jobs() == []
schedule.delete()
assert aiplatform.PipelineJobSchedule.list() == []
try:
    job("hello-world").create_schedule(cron="never", display_name="wrong")
except Exception as error:
    assert "cron must have five fields" in str(error), error
else:
    raise AssertionError("a wrong cron must be refused")

# -- ends

slow = job("hello-world", {"recipient": "x"}, enable_caching=False)
slow.submit()
slow.cancel()
slow.wait() if slow.state.name == "PIPELINE_STATE_SUCCEEDED" else None
while slow.state.name not in ("PIPELINE_STATE_CANCELLED", "PIPELINE_STATE_SUCCEEDED"):
    time.sleep(0.02)
slow.delete()
gone = named.batch_delete(PROJECT, LOCATION, ["listed-by-sdk", "cloned-by-sdk"])
assert len(gone.pipeline_jobs) == 2
assert aiplatform.PipelineJob.list(filter='labels.team="ads"') == []
print("ok")
