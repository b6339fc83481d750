"""Pipelines written by hand in their intermediate representation: small, of shell steps that need no Python."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TYPES = {int: "NUMBER_INTEGER", float: "NUMBER_DOUBLE", str: "STRING", bool: "BOOLEAN", list: "LIST", dict: "STRUCT"}


def shell(script: str, **container: Any) -> dict[str, Any]:
    """An executor that runs a script; its placeholders are ``$1``, ``$2``, ... where given as ``args``."""
    args = container.pop("args", [])
    return {"container": {"image": "alpine", "command": ["sh", "-ec", script, "step"], "args": args, **container}}


def component(
    label: str = "", dag: Mapping[str, Any] | None = None, inputs: Mapping[str, Any] | None = None,
    outputs: Mapping[str, Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """A component; inputs and outputs are types by name, or definitions."""
    made: dict[str, Any] = {"dag": dag} if dag is not None else {"executorLabel": label}
    for field, given in (("inputDefinitions", inputs), ("outputDefinitions", outputs)):
        parameters = {name: _parameter(each) for name, each in (given or {}).items() if not _is_artifact(each)}
        artifacts = {name: _artifact(each) for name, each in (given or {}).items() if _is_artifact(each)}
        if given:
            made[field] = {"parameters": parameters, "artifacts": artifacts}
    return made


def task(name: str, component: str = "", **inputs: Any) -> dict[str, Any]:
    """A task. An input is a constant, ``"<name"`` of the component around it, or ``"task.output"`` as a tuple."""
    more = {key: inputs.pop(key) for key in list(inputs) if key[0].islower() and key in _TASK_FIELDS}
    parameters, artifacts = {}, {}
    for key, value in inputs.items():
        if isinstance(value, tuple) and value[0] == "artifact":
            artifacts[key] = {"taskOutputArtifact": {"producerTask": value[1], "outputArtifactKey": value[2]}}
        elif isinstance(value, tuple):
            parameters[key] = {"taskOutputParameter": {"producerTask": value[0], "outputParameterKey": value[1]}}
        elif isinstance(value, str) and value.startswith("<"):
            parameters[key] = {"componentInputParameter": value[1:]}
        else:
            parameters[key] = {"runtimeValue": {"constant": value}}
    upstream = {value[-2] for value in inputs.values() if isinstance(value, tuple)}
    made = {
        "taskInfo": {"name": name},
        "componentRef": {"name": component or name},
        "inputs": {"parameters": parameters, "artifacts": artifacts},
        "dependentTasks": sorted({*upstream, *more.pop("after", ())}),
    }
    return made | more


def pipeline(
    name: str, tasks: Mapping[str, Any], components: Mapping[str, Any], executors: Mapping[str, Any], **root: Any
) -> dict[str, Any]:
    return {
        "pipelineInfo": {"name": name},
        "schemaVersion": "2.1.0",
        "sdkVersion": "kfp-2.17.3",
        "root": component(dag={"tasks": tasks, "outputs": root.pop("select", {})}, **root),
        "components": dict(components),
        "deploymentSpec": {"executors": dict(executors)},
    }


def chain(count: int, log: str, **container: Any) -> dict[str, Any]:
    """``count`` steps one after the other; each adds its number to a file outside and to its input."""
    script = f'echo "$3" >> {log}; mkdir -p "$(dirname "$2")"; printf "%s" "$(($1 + 1))" > "$2"'
    args = ["{{$.inputs.parameters['n']}}", "{{$.outputs.parameters['out'].output_file}}", "{{$.pipeline_task_name}}"]
    tasks: dict[str, Any] = {}
    for number in range(count):
        given = 0 if number == 0 else (f"step-{number - 1}", "out")
        tasks[f"step-{number}"] = task(f"step-{number}", "count", n=given)
    select = {"parameters": {"out": {"valueFromParameter": {
        "producerSubtask": f"step-{count - 1}", "outputParameterKey": "out"
    }}}}  # fmt: skip
    return pipeline(
        "chain", tasks, {"count": component("count", inputs={"n": int}, outputs={"out": int})},
        {"count": shell(script, args=args, **container)}, outputs={"out": int}, select=select,
    )  # fmt: skip


_TASK_FIELDS = (
    "after", "cachingOptions", "triggerPolicy", "retryPolicy", "parameterIterator", "artifactIterator",
    "iteratorPolicy",
)  # fmt: skip


def _is_artifact(given: Any) -> bool:
    return given == "artifact" or (isinstance(given, dict) and "artifactType" in given)


def _parameter(given: Any) -> dict[str, Any]:
    return dict(given) if isinstance(given, dict) else {"parameterType": TYPES[given]}


def _artifact(given: Any) -> dict[str, Any]:
    kind = {"artifactType": {"schemaTitle": "system.Artifact", "schemaVersion": "0.0.1"}}
    return dict(given) if isinstance(given, dict) else kind
