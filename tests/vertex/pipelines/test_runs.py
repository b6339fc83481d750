"""Runs of pipelines with real processes: what each construct does, and how failures end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.vertex.pipelines.conftest import PARENT, Room, outputs, states, tasks
from tests.vertex.pipelines.documents import chain, component, pipeline, shell, task

from tule.kernel.clock import RealClock, VirtualClock
from tule.kernel.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound, TuleError

WRITE = 'mkdir -p "$(dirname "$1")"; '
OUT = "{{$.outputs.parameters['out'].output_file}}"
MADE = "{{$.outputs.artifacts['made'].path}}"


def single(script: str, *, inputs: Any = None, outputs: Any = None, args: Any = (), **container: Any) -> dict[str, Any]:
    """A pipeline of one step named ``work``."""
    parameters = {name: f"<{name}" for name in inputs or {}}
    return pipeline(
        "single", {"work": task("work", **parameters)}, {"work": component("work", inputs=inputs, outputs=outputs)},
        {"work": shell(script, args=list(args), **container)}, inputs=inputs,
    )  # fmt: skip


def wait_until(found: Callable[[], Any]) -> Any:
    clock = RealClock()
    end = clock.monotonic() + 60
    while not (seen := found()):
        assert clock.monotonic() < end, "it did not come to this within a minute"
        clock.sleep(0.005)
    return seen


def error_of(job: dict[str, Any], name: str = "work") -> str:
    return str(tasks(job)[name]["error"]["message"])


def test_a_chain_passes_parameters_on(room: Room, tmp_path: Path) -> None:
    job = room.run(chain(3, str(tmp_path / "log")))
    assert job["state"] == "PIPELINE_STATE_SUCCEEDED" and "error" not in job, job.get("error")
    assert outputs(job) == {"out": 3}
    assert (tmp_path / "log").read_text().split() == ["step-0", "step-1", "step-2"]
    first = tasks(job)["step-0"]
    assert [each["state"] for each in first["pipelineTaskStatus"]] == ["PENDING", "RUNNING", "SUCCEEDED"]
    assert first["createTime"] <= first["startTime"] <= first["endTime"]
    assert first["parentTaskId"] == tasks(job)[""]["taskId"]


def test_artifacts_are_objects_with_metadata(room: Room) -> None:
    write = WRITE + 'printf "%s" hello > "$1"'
    read = 'test "$(cat "$1")" = hello; test "$2" = gs://runs/root/*/made; mkdir -p "$(dirname "$3")"; cat "$1" > "$3"'
    spec = pipeline(
        "artifacts",
        {"write": task("write"), "read": task("read", given=("artifact", "write", "made"))},
        {
            "write": component("write", outputs={"made": {
                "artifactType": {"schemaTitle": "system.Dataset"}, "metadata": {"rows": 1.0}}}),
            "read": component("read", inputs={"given": "artifact"}, outputs={"out": str}),
        },
        {
            "write": shell(write, args=[MADE]),
            "read": shell(
                read.replace("gs://runs/root/*/made", "$2"),
                args=["{{$.inputs.artifacts['given'].path}}", "{{$.inputs.artifacts['given'].uri}}", OUT],
            ),
        },
    )  # fmt: skip
    job = room.run(spec)
    assert states(job) == {"": "SUCCEEDED", "write": "SUCCEEDED", "read": "SUCCEEDED"}
    assert outputs(job, "read") == {"out": "hello"}
    (made,) = tasks(job)["write"]["outputs"]["made"]["artifacts"]
    assert made["schemaTitle"] == "system.Dataset" and made["metadata"] == {"rows": 1}
    bucket, _, key = made["uri"].removeprefix("gs://").partition("/")
    with room.objects.open(bucket, key) as file:
        assert file.read() == b"hello"
    lineage = room.metadata.lineage(made["name"])
    assert len(lineage.makers(made["name"])) == 1 and len(lineage.takers(made["name"])) == 1
    listed = [each.key for each in room.objects.list(bucket, prefix=key.rpartition("/")[0]).objects]
    assert listed == [key], "the files by which a step tells its parameters are no artifacts"


def test_a_command_sees_its_inputs_and_variables(room: Room) -> None:
    script = 'printf "%s|" "$1" "$2" "$WORD" "$KIND" > "$3"'
    spec = single(
        script, inputs={"n": int, "s": {"parameterType": "STRING", "defaultValue": "given"}}, outputs={"out": str},
        args=["--n={{$.inputs.parameters['n']}}", "{{$.inputs.parameters['s']}}", OUT],
        env=[{"name": "WORD", "value": "w-{{$.inputs.parameters['n']}}"}, {"name": "KIND", "value": "k"}],
    )  # fmt: skip
    assert outputs(room.run(spec, {"n": 3}), "work") == {"out": "--n=3|given|w-3|k|"}


def _branches(side: str) -> dict[str, Any]:
    say = component("say", inputs={"text": str}, outputs={"out": str})
    inner = {
        name: component(
            dag={
                "tasks": {"say": task("say", text=name)},
                "outputs": {"parameters": {"out": {"valueFromParameter": {
                    "producerSubtask": "say", "outputParameterKey": "out"}}}},
            },
            inputs={"side": str}, outputs={"out": str},
        )
        for name in ("heads", "other")
    }  # fmt: skip
    condition = "inputs.parameter_values['side'] == 'heads'"
    branches = component(
        dag={
            "tasks": {
                "heads": task("heads", side="<side", triggerPolicy={"condition": condition}),
                "other": task("other", side="<side", triggerPolicy={"condition": f"!({condition})"}),
            },
            "outputs": {"parameters": {"one": {"valueFromOneof": {"parameterSelectors": [
                {"producerSubtask": name, "outputParameterKey": "out"} for name in ("heads", "other")]}}}},
        },
        inputs={"side": str}, outputs={"one": str},
    )  # fmt: skip
    return pipeline(
        "branches",
        {"branches": task("branches", side=side), "after": task("after", "say", text=("branches", "one"))},
        {"branches": branches, "say": say, **inner},
        {"say": shell('printf "said %s" "$1" > "$2"', args=["{{$.inputs.parameters['text']}}", OUT])},
    )


@pytest.mark.parametrize(("side", "taken", "left"), [("heads", "heads", "other"), ("tails", "other", "heads")])
def test_one_of_several_branches_is_taken(room: Room, side: str, taken: str, left: str) -> None:
    job = room.run(_branches(side))
    found = states(job)
    assert found[f"branches.{taken}.say"] == "SUCCEEDED" and found[f"branches.{left}"] == "NOT_TRIGGERED"
    assert f"branches.{left}.say" not in found
    assert outputs(job, "after") == {"out": f"said said {taken}"}


def _loop(items: dict[str, Any], kind: type = int, **more: Any) -> dict[str, Any]:
    body = component(
        dag={
            "tasks": {"double": task("double", n="<item")},
            "outputs": {"parameters": {"out": {"valueFromParameter": {
                "producerSubtask": "double", "outputParameterKey": "out"}}}},
        },
        inputs={"item": kind, "ns": {"parameterType": "LIST", "isOptional": True}}, outputs={"out": list},
    )  # fmt: skip
    return pipeline(
        "loop",
        {
            "loop": task("loop", "body", ns="<ns", parameterIterator={"itemInput": "item", "items": items}, **more),
            "sum": task("sum", ns=("loop", "out")),
        },
        {
            "body": body,
            "double": component("double", inputs={"n": kind}, outputs={"out": kind}),
            "sum": component("sum", inputs={"ns": list}, outputs={"out": str}),
        },
        {
            "double": shell('printf "%s" "$(($1 * 2))" > "$2"', args=["{{$.inputs.parameters['n']}}", OUT]),
            "sum": shell('printf "%s" "$1" > "$2"', args=["{{$.inputs.parameters['ns']}}", OUT]),
        },
        inputs={"ns": {"parameterType": "LIST", "defaultValue": [5, 6]}},
    )


@pytest.mark.parametrize(
    ("items", "collected"),
    [({"raw": "[1, 2, 3]"}, "[2, 4, 6]"), ({"inputParameter": "ns"}, "[10, 12]"), ({"raw": "[]"}, "[]")],
)
def test_a_loop_collects_in_order(room: Room, items: dict[str, Any], collected: str) -> None:
    job = room.run(_loop(items, iteratorPolicy={"parallelismLimit": 2}))
    assert job["state"] == "PIPELINE_STATE_SUCCEEDED"
    assert outputs(job, "sum") == {"out": collected}


def test_an_item_of_a_wrong_type_fails_its_iteration(room: Room) -> None:
    job = room.run(_loop({"raw": '[1, "x"]'}))
    assert states(job)["loop.1"] == "FAILED" and states(job)["loop.0"] == "SUCCEEDED"
    assert "Item 1 of loop must be NUMBER_INTEGER; given: 'x'" in error_of(job, "loop.1")
    assert job["state"] == "PIPELINE_STATE_FAILED" and states(job)["sum"] == "NOT_TRIGGERED"


def test_parallelism_limits_a_loop(room: Room, tmp_path: Path) -> None:
    # Each iteration leaves a file while it runs, and counts those there are.
    script = f'touch {tmp_path}/run-$$; ls {tmp_path} | wc -l > "$2"; sleep 0.1; rm {tmp_path}/run-$$'
    spec = _loop({"raw": "[1, 2, 3, 4]"}, iteratorPolicy={"parallelismLimit": 1})
    spec["deploymentSpec"]["executors"]["double"]["container"]["command"][2] = script
    job = room.run(spec)
    assert outputs(job, "sum") == {"out": "[1, 1, 1, 1]"}


def _guarded(script: str) -> dict[str, Any]:
    policy = {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}
    exit_task = task("exit", after=["guarded"], triggerPolicy=policy)
    exit_task["inputs"]["parameters"]["status"] = {"taskFinalStatus": {"producerTask": "guarded"}}
    return pipeline(
        "exits",
        {"guarded": task("guarded"), "exit": exit_task, "after": task("after", "work", after=["guarded"])},
        {
            "guarded": component(dag={"tasks": {"work": task("work"), "next": task("next", "work", after=["work"])}}),
            "work": component("work"),
            "exit": component("exit", inputs={"status": {"parameterType": "TASK_FINAL_STATUS"}}, outputs={"out": str}),
        },
        {
            "work": shell(script),
            "exit": shell(
                'printf "%s %s %s" "$1" "$2" "$3" > "$4"',
                args=[
                    "{{$.inputs.parameters['status'].state}}", "{{$.inputs.parameters['status'].pipelineTaskName}}",
                    "{{$.inputs.parameters['status']}}", OUT,
                ],
            ),
        },
    )  # fmt: skip


def test_an_exit_task_runs_after_a_failure_and_is_told_of_it(room: Room) -> None:
    job = room.run(_guarded("exit 3"))
    assert states(job) == {
        "": "FAILED", "guarded": "FAILED", "guarded.work": "FAILED", "guarded.next": "NOT_TRIGGERED",
        "exit": "SUCCEEDED", "after": "NOT_TRIGGERED",
    }  # fmt: skip
    told = outputs(job, "exit")["out"]
    assert told.startswith("FAILED guarded ") and "ended with code 3" in told
    assert job["error"]["code"] == 9 and "The failed tasks are: [guarded]" in job["error"]["message"]


def test_an_exit_task_runs_after_success(room: Room) -> None:
    job = room.run(_guarded("true"))
    assert job["state"] == "PIPELINE_STATE_SUCCEEDED"
    assert outputs(job, "exit")["out"].startswith("SUCCEEDED guarded ")


def test_a_task_may_ignore_that_others_failed(room: Room) -> None:
    ignoring = {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}
    spec = pipeline(
        "ignoring",
        {
            "fail": task("fail"),
            "default": task("say", "say", text=("fail", "out"), triggerPolicy=ignoring),
            "lacking": task("lacking", "need", text=("fail", "out"), triggerPolicy=ignoring),
        },
        {
            "fail": component("fail", outputs={"out": str}),
            "say": component("say", inputs={"text": {"parameterType": "STRING", "defaultValue": "instead"}},
                             outputs={"out": str}),
            "need": component("say", inputs={"text": str}, outputs={"out": str}),
        },
        {"fail": shell("exit 1"), "say": shell('printf "%s" "$1" > "$2"', args=["{{$.inputs.parameters['text']}}", OUT])},
    )  # fmt: skip
    job = room.run(spec)
    assert outputs(job, "default") == {"out": "instead"}
    assert "The input text of lacking must be there; given: fail, which is FAILED, gave no out" in error_of(
        job, "lacking"
    )


def _two_branches(policy: str) -> dict[str, Any]:
    return pipeline(
        "policy",
        {"bad": task("bad"), "good": task("good"), "later": task("later", "good", after=["good"])},
        {"bad": component("bad"), "good": component("good")},
        {"bad": shell("exit 1"), "good": shell("sleep 0.5")},
    )


@pytest.mark.parametrize(("policy", "later"), [("SLOW", "SUCCEEDED"), ("FAST", None)])
def test_failure_policies(room: Room, policy: str, later: str | None) -> None:
    config = {"failurePolicy": f"PIPELINE_FAILURE_POLICY_FAIL_{policy}"}
    job = room.run(_two_branches(policy), config=config)
    assert job["state"] == "PIPELINE_STATE_FAILED"
    assert states(job).get("later") == later and states(job)["good"] == "SUCCEEDED"


def test_a_step_is_tried_again(room: Room, tmp_path: Path) -> None:
    count = f'echo x >> {tmp_path}/tries; test "$(wc -l < {tmp_path}/tries)" -ge 3'
    spec = single(count)
    spec["root"]["dag"]["tasks"]["work"]["retryPolicy"] = {"maxRetryCount": 4.0, "backoffDuration": "0s"}
    job = room.run(spec)
    assert job["state"] == "PIPELINE_STATE_SUCCEEDED"
    assert (tmp_path / "tries").read_text() == "x\n" * 3
    detail = tasks(job)["work"]
    assert len(detail["executorDetail"]["containerDetail"]["failedMainJobs"]) == 2
    assert [each["state"] for each in detail["pipelineTaskStatus"] if "error" in each] == ["PENDING", "PENDING"]


def test_retries_wait_as_they_are_told(open_room: Callable[..., Room], tmp_path: Path) -> None:
    clock = VirtualClock(datetime(2026, 1, 1, tzinfo=UTC))
    room = open_room(clock)
    spec = single(f"echo x >> {tmp_path}/tries; exit 1")
    spec["root"]["dag"]["tasks"]["work"]["retryPolicy"] = {
        "maxRetryCount": 2,
        "backoffDuration": "60s",
        "backoffFactor": 3,
    }
    name = room.submit(spec)

    def tries() -> int:
        return len((tmp_path / "tries").read_text().splitlines()) if (tmp_path / "tries").exists() else 0

    def waiting(count: int) -> bool:
        return tries() == count and tasks(room.jobs.get(name))["work"]["state"] == "PENDING"

    wait_until(lambda: waiting(1))
    clock.advance(timedelta(seconds=59))
    assert waiting(1)
    clock.advance(timedelta(seconds=1))
    wait_until(lambda: waiting(2))
    clock.advance(timedelta(seconds=179))
    assert waiting(2)
    clock.advance(timedelta(seconds=1))
    job = room.wait(name)
    assert job["state"] == "PIPELINE_STATE_FAILED" and tries() == 3


def _cached(log: Path, key: str = "") -> dict[str, Any]:
    options = {"enableCache": True, **({"cacheKey": key} if key else {})}
    spec = single(
        f'echo x >> {log}; printf "%s" "$1" > "$2"; mkdir -p "$(dirname "$3")"; echo content > "$3"', inputs={"n": int},
        outputs={"out": int, "made": "artifact"}, args=["{{$.inputs.parameters['n']}}", OUT, MADE],
    )  # fmt: skip
    spec["root"]["dag"]["tasks"]["work"]["cachingOptions"] = options
    return spec


def test_the_cache_knows_work_by_its_content(room: Room, tmp_path: Path) -> None:
    log = tmp_path / "log"
    first = room.run(_cached(log), {"n": 1})
    again = room.run(_cached(log), {"n": 1})
    assert states(first)["work"] == "SUCCEEDED" and states(again)["work"] == "SKIPPED"
    assert outputs(again, "work") == {"out": 1}
    assert tasks(again)["work"]["outputs"] == tasks(first)["work"]["outputs"]
    assert tasks(again)["work"]["execution"]["state"] == "CACHED"
    assert states(room.run(_cached(log), {"n": 2}))["work"] == "SUCCEEDED"
    other = _cached(log)
    other["pipelineInfo"]["name"] = "other"
    assert states(room.run(other, {"n": 1}))["work"] == "SUCCEEDED", "pipelines of other names share nothing"
    off = _cached(log)
    off["root"]["dag"]["tasks"]["work"]["cachingOptions"] = {"enableCache": False}
    assert states(room.run(off, {"n": 1}))["work"] == "SUCCEEDED"
    assert log.read_text() == "x\n" * 4
    # What the entry leads to is gone: it is done again.
    uri = tasks(first)["work"]["outputs"]["made"]["artifacts"][0]["uri"]
    room.objects.delete("runs", uri.removeprefix("gs://runs/"))
    assert states(room.run(_cached(log), {"n": 1}))["work"] == "SUCCEEDED"


def test_a_cache_key_stands_for_the_work(room: Room, tmp_path: Path) -> None:
    log = tmp_path / "log"
    room.run(_cached(log, "mine"), {"n": 7})
    assert outputs(room.run(_cached(log, "mine"), {"n": 8}), "work") == {"out": 7}
    assert log.read_text() == "x\n"


def test_an_importer_names_what_is_there(room: Room) -> None:
    room.objects.put("runs", "given/text", [b"given"])
    importer = {
        "importer": {
            "artifactUri": {"runtimeParameter": "uri"},
            "typeSchema": {"schemaTitle": "system.Dataset"},
            "metadata": {"from": "{{$.inputs.parameters['uri']}}", "n": 1.0},
            "reimport": False,
        }
    }
    spec = pipeline(
        "imports",
        {"import": task("import", uri="<uri"), "read": task("read", given=("artifact", "import", "artifact"))},
        {
            "import": component("import", inputs={"uri": str}, outputs={"artifact": "artifact"}),
            "read": component("read", inputs={"given": "artifact"}, outputs={"out": str}),
        },
        {"import": importer, "read": shell('cat "$1" > "$2"', args=["{{$.inputs.artifacts['given'].path}}", OUT])},
        inputs={"uri": str},
    )
    first, second = (room.run(spec, {"uri": "gs://runs/given/text"}) for _ in range(2))
    assert outputs(first, "read") == {"out": "given"}
    found = [tasks(each)["import"]["outputs"]["artifact"]["artifacts"][0] for each in (first, second)]
    assert found[0]["metadata"] == {"from": "gs://runs/given/text", "n": 1}
    assert found[0]["name"] == found[1]["name"]
    importer["importer"]["reimport"] = True
    third = tasks(room.run(spec, {"uri": "gs://runs/given/text"}))["import"]["outputs"]["artifact"]["artifacts"][0]
    assert third["name"] != found[0]["name"]
    lost = room.run(spec, {"uri": "gs://no-such-bucket/x"})
    assert "The bucket of an artifact must exist; given: gs://no-such-bucket/x" in error_of(lost, "read")


# -- what is refused before anything runs


@pytest.mark.parametrize(
    ("parameters", "message", "error", "told"),
    [
        ({}, {}, InvalidArgument, "parameter_values must have n; given: none. Next: give it a value of NUMBER_INTEGER"),
        ({"n": "x"}, {}, InvalidArgument, "parameter_values.n must be NUMBER_INTEGER; given: 'x'"),
        ({"n": 1, "m": 2}, {}, InvalidArgument, "must name inputs of the pipeline; given: m. Next: its inputs are n"),
        ({"n": 1}, {"config": {"gcsOutputDirectory": ""}}, InvalidArgument, "must be a folder in Cloud Storage"),
        ({"n": 1}, {"config": {"gcsOutputDirectory": "gs://nowhere/x"}}, NotFound, "must exist; given: gs://nowhere/x"),
        ({"n": 1}, {"job_id": "Bad_Id"}, InvalidArgument, "pipeline_job_id must match"),
        ({"n": 1}, {"labels": {"A": "b"}}, InvalidArgument, "A label's key must be"),
        ({"n": 1}, {"config": {"inputArtifacts": {"x": {"artifactId": "1"}}}}, InvalidArgument, "given: x"),
        ({"n": 1}, {"serviceAccount": "not an address"}, InvalidArgument, "A service account must be given by its address"),
    ],
)  # fmt: skip
def test_a_wrong_request_stores_nothing(
    room: Room, parameters: Any, message: Any, error: type[TuleError], told: str
) -> None:
    before = len(room.jobs.list(PARENT, filter="", order_by="", page_size=0, page_token="")[0])
    with pytest.raises(error) as found:
        room.submit(single("true", inputs={"n": int}), parameters, **message)
    assert told in found.value.message
    assert len(room.jobs.list(PARENT, filter="", order_by="", page_size=0, page_token="")[0]) == before


@pytest.mark.parametrize(
    ("container", "told"),
    [
        ({"image": "somebody/own:1"}, "Component work: An image of one's own needs"),
        ({"resources": {"memoryLimit": 1e6}}, "Component work: "),
        ({"resources": {"resourceMemoryLimit": "lots"}}, "A memory limit must be a number of gigabytes or have a unit"),
        ({"resources": {"accelerator": {"type": "NVIDIA_TESLA_T4", "count": "1"}}}, "Component work: "),
    ],
)
def test_a_container_that_cannot_run_here_is_refused(room: Room, container: dict[str, Any], told: str) -> None:
    with pytest.raises(TuleError) as error:
        room.submit(single("true", **container))
    assert told in error.value.message


def test_two_submissions_of_one_id(room: Room) -> None:
    name = room.submit(single("true"), job_id="twice")
    with pytest.raises(AlreadyExists, match="twice"):
        room.submit(single("true"), job_id="twice")
    assert room.wait(name)["state"] == "PIPELINE_STATE_SUCCEEDED"


def test_two_identical_submissions_are_two_runs(room: Room, tmp_path: Path) -> None:
    names = [room.submit(chain(2, str(tmp_path / "log"))) for _ in range(2)]
    jobs = [room.wait(each) for each in names]
    assert len({each["name"] for each in jobs}) == 2 and all(outputs(each) == {"out": 2} for each in jobs)
    assert sorted((tmp_path / "log").read_text().split()) == ["step-0", "step-0", "step-1", "step-1"]


# -- steps that misbehave


def test_a_component_that_writes_binary(room: Room) -> None:
    job = room.run(single('head -c 100 /dev/urandom; printf "\\377\\376" > "$1"', outputs={"out": str}, args=[OUT]))
    assert "An output parameter must be text in UTF-8; given: out, binary" in error_of(job)


def test_a_component_that_writes_a_wrong_output(room: Room) -> None:
    job = room.run(single('printf many > "$1"', outputs={"out": int}, args=[OUT]))
    assert "Output out of work must be NUMBER_INTEGER; given: 'many'" in error_of(job)
    output = "{{$.outputs.output_file}}"
    job = room.run(single('printf "[1" > "$1"', outputs={"out": int}, args=[output]))
    assert "A component's executor output must be JSON" in error_of(job)
    job = room.run(single('printf \'{"parameterValues": {"out": NaN}}\' > "$1"', outputs={"out": float}, args=[output]))
    assert "NaN is not a number that JSON has" in error_of(job)


def test_a_component_that_floods_its_logs(room: Room) -> None:
    job = room.run(single('yes line | head -c 40000000; printf "%s" done > "$1"', outputs={"out": str}, args=[OUT]))
    assert outputs(job, "work") == {"out": "done"}
    process = tasks(job)["work"]["executorDetail"]["containerDetail"]["mainJob"]
    assert b"bytes left out" in room.processes.logs(process, offset=32 * 2**20)


def _left(marker: str) -> list[psutil.Process]:
    found = []
    for each in psutil.process_iter():
        try:
            if marker in " ".join(each.cmdline()):
                found.append(each)
        except psutil.Error:
            continue
    return found


def test_children_of_a_component_end_with_it(room: Room, tmp_path: Path) -> None:
    job = room.run(single(f"setsid sh -c 'sleep 600; echo {tmp_path}' & sleep 0.1"))
    assert job["state"] == "PIPELINE_STATE_SUCCEEDED"
    assert not _left(f"echo {tmp_path}")


def test_cancel_ends_a_component_that_ignores_it(room: Room, tmp_path: Path) -> None:
    spec = single(f"trap '' TERM; touch {tmp_path}/begun; while :; do sleep 0.05; done")
    spec["root"]["dag"]["tasks"]["after"] = task("after", "work", after=["work"])
    name = room.submit(spec)
    wait_until(lambda: (tmp_path / "begun").exists())
    with pytest.raises(FailedPrecondition, match="must be over to be deleted"):
        room.jobs.delete(name)
    room.jobs.cancel(name)
    job = room.wait(name)
    assert job["state"] == "PIPELINE_STATE_CANCELLED" and job["error"]["code"] == 1
    assert states(job) == {"": "CANCELLED", "work": "CANCELLED"}
    assert not _left(f"{tmp_path}/begun")
    room.jobs.cancel(name)
    assert room.jobs.get(name) == job, "a job that is over stays as it is"
    room.jobs.delete(name)
    with pytest.raises(NotFound):
        room.jobs.get(name)


def test_a_bucket_that_goes_mid_run(open_room: Callable[..., Room], tmp_path: Path) -> None:
    room = open_room()
    room.objects.buckets.create("p", "going")
    wait = f'touch {tmp_path}/begun; while [ ! -e {tmp_path}/go ]; do sleep 0.01; done; echo x > "$1"'
    spec = single(wait, outputs={"made": "artifact"}, args=[MADE])
    name = room.submit(spec, config={"gcsOutputDirectory": "gs://going/root"})
    wait_until(lambda: (tmp_path / "begun").exists())
    room.objects.buckets.delete("going")
    (tmp_path / "go").touch()
    job = room.wait(name)
    assert job["state"] == "PIPELINE_STATE_FAILED"
    assert "The bucket of an output must exist; given: gs://going/root/" in error_of(job)


def test_a_step_within_its_memory(room: Room) -> None:
    hungry = "python3 -c 'x = bytearray(400 << 20); import time; time.sleep(5)'"
    job = room.run(single(hungry, image="python", resources={"resourceMemoryLimit": "100Mi"}))
    assert "Out of memory" in error_of(job) and tasks(job)["work"]["error"]["code"] == 8


def test_the_clock_may_jump(open_room: Callable[..., Room], tmp_path: Path) -> None:
    clock = VirtualClock(datetime(2026, 1, 1, tzinfo=UTC))
    room = open_room(clock)
    name = room.submit(chain(2, str(tmp_path / "log")))
    clock.advance(timedelta(days=400))
    job = room.wait(name)
    assert outputs(job) == {"out": 2} and job["startTime"] <= job["endTime"]


def test_lists_are_filtered(room: Room) -> None:
    first = room.run(single("true"), job_id="listed-one", labels={"team": "ads"})
    room.run(single("exit 1"), job_id="listed-two", labels={"team": "maps"})

    def names(filter: str) -> list[str]:
        found, _ = room.jobs.list(PARENT, filter=filter, order_by="name", page_size=0, page_token="")
        return [each["name"].rpartition("/")[2] for each in found if "/listed-" in each["name"]]

    assert names("") == ["listed-one", "listed-two"]
    assert names('labels.team="ads"') == ["listed-one"]
    assert names("state=PIPELINE_STATE_FAILED") == ["listed-two"]
    assert names('pipeline_name="single" AND labels.team:*') == ["listed-one", "listed-two"]
    assert names(f'create_time>="{first["createTime"]}"') == ["listed-one", "listed-two"]
