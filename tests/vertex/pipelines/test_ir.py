"""The intermediate representation: what is read, and what is refused before anything runs."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from tests.vertex.pipelines.documents import chain, component, pipeline, shell, task

from tule.kernel.errors import InvalidArgument, TuleError, Unimplemented
from tule.vertex.pipelines import ir
from tule.vertex.pipelines.ir import expressions
from tule.vertex.pipelines.placeholders import Placeholders
from tule.vertex.pipelines.programs import lightweight
from tule.vertex.pipelines.templates import parsed

COMPILED = sorted((Path(__file__).parent / "compiled").glob("*.yaml"))
BASE = pipeline(
    "base",
    {
        "first": task("first", "work", n=1),
        "second": task("second", "work", n=("first", "out")),
    },
    {"work": component("work", inputs={"n": int}, outputs={"out": int, "made": "artifact"})},
    {"work": shell("true")},
)


@pytest.mark.parametrize("path", COMPILED, ids=lambda each: each.stem)
def test_what_the_sdk_compiles_is_read(path: Path) -> None:
    found = ir.checked(parsed(path.read_bytes(), path.name))
    assert found.name == path.stem
    containers = [each.executor for each in found.components.values() if isinstance(each.executor, ir.Container)]
    python = [lightweight(each.command, each.args) for each in containers]
    assert all(found.name == "containers" or (each is not None and each.alone) for each in python)


def test_whole_numbers_of_a_struct_are_integers() -> None:
    spec = copy.deepcopy(BASE)
    spec["root"]["dag"]["tasks"]["first"]["inputs"]["parameters"]["n"]["runtimeValue"]["constant"] = 1.0
    root = ir.checked(spec).root
    assert root.dag is not None
    constant = root.dag.tasks["first"].parameters["n"].constant
    assert constant == 1 and isinstance(constant, int)


def _edited(path: str, value: Any) -> dict[str, Any]:
    spec = copy.deepcopy(BASE)
    *inner, last = path.split("/")
    place: Any = spec
    for step in inner:
        place = place[step]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return spec


_FIRST = "root/dag/tasks/first"
_SECOND = "root/dag/tasks/second"


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("root", None, "pipeline_spec.root must be given"),
        ("root/dag", "x", "pipeline_spec.root.dag must be an object; given: 'x'"),
        ("pipelineInfo", None, "pipeline_spec.pipelineInfo.name must be given"),
        ("wrong", {"a": 1}, "fields of a pipeline's intermediate representation only; given: wrong"),
        ("components/work/executorLabel", "none", "must name an executor of deploymentSpec; given: none"),
        (f"{_FIRST}/componentRef", {"name": "lost"}, "task first: componentRef must name a component; given: lost"),
        (f"{_FIRST}/dependentTasks", ["second"], "must not wait for each other in a circle; given: first > second > first"),
        (f"{_FIRST}/dependentTasks", ["third"], "must depend on tasks of the same component; given: third"),
        (f"{_FIRST}/inputs", {}, "task first must be given the input n; given: none"),
        (f"{_FIRST}/inputs/parameters/n", {"runtimeValue": {"constant": "x"}}, "n must be NUMBER_INTEGER; given: 'x'"),
        (f"{_FIRST}/inputs/parameters/n", {"componentInputParameter": "m"}, "must name an input parameter; given: m"),
        (f"{_FIRST}/inputs/parameters/n", {"runtimeValue": {}}, "must have a constant or a runtimeParameter"),
        (
            f"{_SECOND}/inputs/parameters/n",
            {"taskOutputParameter": {"producerTask": "first", "outputParameterKey": "lost"}},
            "must name an output parameter; given: lost. Next: there are out",
        ),
        (f"{_SECOND}/inputs/artifacts/a", {"componentInputArtifact": "x"}, "must name an input artifact; given: x"),
        (f"{_SECOND}/triggerPolicy", {"condition": "inputs.parameter_values['n'] =="}, "at 'its end'"),
        (f"{_SECOND}/triggerPolicy", {"strategy": "SOMETIMES"}, "must be a trigger strategy; given: SOMETIMES"),
        (f"{_SECOND}/parameterIterator", {"itemInput": "n", "items": {"raw": "3"}}, "raw must be a list in JSON; given: 3"),
        (f"{_SECOND}/parameterIterator", {"itemInput": "m", "items": {"raw": "[]"}}, "must name an input of work; given: m"),
        ("root/dag/outputs", {"parameters": {"x": {"valueFromParameter": {
            "producerSubtask": "third", "outputParameterKey": "out"}}}}, "must name one of its tasks; given: third"),
        ("components/work/inputDefinitions/parameters/n/parameterType", "DATE", "parameterType must be one of"),
        ("components/work/outputDefinitions/parameters/out/parameterType", "STRING",
         "parameter n must be NUMBER_INTEGER; given: STRING of first.out"),
        ("deploymentSpec/executors/work/container/image", None, "container.image must be given"),
        ("deploymentSpec/executors/work/container/args", [1], "must be a list of texts; given: 1"),
        ("components/work", component(dag={"tasks": {"again": task("again", "work", n=1)}}, inputs={"n": int},
         outputs={"out": int, "made": "artifact"}), "must not contain itself; given: root > work > work"),
        ("components/work", component(dag={"tasks": {}}, inputs={"n": int}, outputs={"out": int, "made": "artifact"}),
         "Component work must have tasks"),
    ],
)  # fmt: skip
def test_a_broken_pipeline_is_refused_by_name(path: str, value: Any, told: str) -> None:
    with pytest.raises(InvalidArgument) as error:
        ir.checked(_edited(path, value))
    assert told in error.value.message


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("schemaVersion", "2.0.0", "schema version 2.1; given: 2.0.0"),
        ("deploymentSpec/executors/work", {"customJob": {"customJob": {"jobSpec": {}}}}, "executors.work.customJob"),
        ("deploymentSpec/executors/work/container/lifecycle", {"preCacheCheck": {"command": ["x"]}}, "container.lifecycle"),
        ("components/work/singlePlatformSpecs", [{"platform": "kubernetes"}], "components.work.singlePlatformSpecs"),
    ],
)  # fmt: skip
def test_what_is_not_done_is_refused_by_name(path: str, value: Any, told: str) -> None:
    with pytest.raises(Unimplemented) as error:
        ir.checked(_edited(path, value))
    assert told in error.value.message


def test_templates() -> None:
    assert parsed(b'{"pipelineSpec": {"a": 1}}', "x") == {"a": 1}
    with pytest.raises(InvalidArgument, match="must be YAML or JSON"):
        parsed(b"a: [", "x")
    with pytest.raises(InvalidArgument, match="must be YAML or JSON"):
        parsed(b"\xff\xfe\x00", "x")
    with pytest.raises(Unimplemented, match="platform specifications"):
        parsed(b"a: 1\n---\nplatforms: {}\n", "x")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("inputs.parameter_values['x'] == 'heads'", True),
        ('inputs.parameter_values["x"] != "heads"', False),
        ("!(inputs.parameter_values['x'] == 'heads') && inputs.parameter_values['n'] > 1", False),
        ("int(inputs.parameter_values['n']) >= 5 || inputs.parameter_values['lost'] == 1", True),
        ("inputs.parameters['x'].string_value == 'heads'", True),
        ("inputs.parameter_values['d']['k'][0] + 1 == 4", True),
        ("inputs.parameter_values['b'] == true", True),
        ("inputs.parameter_values['b'] == 1", False),
        ("'k' in inputs.parameter_values['d'] ? size('ab') == 2 : false", True),
        ("-7 / 2 == -4 && 7.0 / 2 == 3.5", True),
        (r"inputs.parameter_values['q'] == 'it\'s \"so\"'", True),
    ],
)
def test_conditions(text: str, value: bool) -> None:
    names = {"x": "heads", "n": 5, "d": {"k": [3]}, "b": True, "q": 'it\'s "so"'}
    assert expressions.condition(text, names) is value


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("inputs.parameter_values['lost'] == 1", "no 'lost'"),
        ("inputs.parameter_values['x'] > 1", "'>' not supported"),
        ("inputs.parameter_values['x']", "A condition must be true or false"),
        ("__import__('os')", "at '__import__'"),
        ("1 == 1 and 2 == 2", "at 'and'"),
        ("(" * 80 + "1" + ")" * 80, "parentheses without end"),
    ],
)
def test_a_wrong_condition_says_where(text: str, told: str) -> None:
    with pytest.raises(InvalidArgument) as error:
        expressions.condition(text, {"x": "heads"})
    assert told in error.value.message


def test_selectors() -> None:
    assert ir.selected('parseJson(string_value)["a"][1]', {"a": [1, 2]}) == 2
    assert ir.selected('parseJson(string_value)["a"]', '{"a": "x"}') == "x"
    with pytest.raises(InvalidArgument, match="must fit the values"):
        ir.selected('parseJson(string_value)["b"]', {"a": 1})


_INPUT = {
    "inputs": {
        "parameterValues": {"n": 3, "s": "a b", "d": {"k": [1, 2]}, "f": 1.0, "b": True},
        "artifacts": {"m": {"artifacts": [{"name": "art", "uri": "gs://b/m", "metadata": {"acc": 0.5}}]}},
    },
    "outputs": {
        "parameters": {"y": {"outputFile": "/gcs/b/y"}},
        "artifacts": {"o": {"artifacts": [{"uri": "gs://b/o"}]}},
        "outputFile": "/gcs/b/executor_output.json",
    },
}


@pytest.mark.parametrize(
    ("template", "texts"),
    [
        ("n={{$.inputs.parameters['n']}}", ["n=3"]),
        ('{{$.inputs.parameters["s"]}}', ["a b"]),
        ("{{$.inputs.parameters['d']}}", ['{"k": [1, 2]}']),
        ("{{$.inputs.parameters['f']}} {{$.inputs.parameters['b']}}", ["1.0 true"]),
        ("{{$.inputs.artifacts['m'].uri}}", ["gs://b/m"]),
        ("{{$.inputs.artifacts['m'].path}}", ["/gcs/b/m"]),
        ("{{$.inputs.artifacts['m'].metadata['acc']}}", ["0.5"]),
        ("{{$.outputs.parameters['y'].output_file}}", ["/gcs/b/y"]),
        ("{{$.outputs.artifacts['o'].path}}", ["/gcs/b/o"]),
        ("{{$.pipeline_job_name}}", ["job"]),
        ("$HOME {{other}} {{$x}}", ["$HOME {{other}} {{$x}}"]),
        ('{"Concat": ["a-", "{{$.inputs.parameters[\'n\']}}", {"IfPresent": {"InputName": "z", "Then": "x", "Else": "y"}}]}',
         ["a-3y"]),
        ('{"IfPresent": {"InputName": "n", "Then": ["--n", "{{$.inputs.parameters[\'n\']}}"]}}', ["--n", "3"]),
        ('{"IfPresent": {"InputName": "z", "Then": ["--z"]}}', []),
        ('{"Concat": 1', ['{"Concat": 1']),
    ],
)  # fmt: skip
def test_placeholders(template: str, texts: list[str]) -> None:
    assert Placeholders(_INPUT, {"pipeline_job_name": "job"}).texts((template,)) == texts


def test_an_escaped_executor_input_is_json_inside_json() -> None:
    import json

    text = Placeholders(_INPUT, {}).text('{"outer": "{{$.json_escape[1]}}"}')
    assert json.loads(json.loads(text)["outer"]) == _INPUT
    assert json.loads(Placeholders(_INPUT, {}).text("{{$}}")) == _INPUT


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("{{$.inputs.parameters['lost']}}", "must name an input or an output of its task"),
        ("{{$.inputs.artifacts['m'].size}}", "must name an input or an output of its task"),
        ("{{$.workspace_path}}", "Tule does not fill in this placeholder; given: {{$.workspace_path}}"),
    ],
)
def test_a_placeholder_that_leads_nowhere_is_named(template: str, told: str) -> None:
    with pytest.raises(TuleError) as error:
        Placeholders(_INPUT, {}).text(template)
    assert told in error.value.message


@pytest.mark.parametrize(
    "command",
    [
        ["python3", "main.py"],
        ["sh", "-c", 'pip install x && "$0" "$@"', "sh", "-ec", "true", "source"],
        ["sh", "-c", 'python3 -m pip install --index-url http://x y && "$0" "$@"', "sh", "-ec", "true", "source"],
        ["sh", "-ec", "rm -rf /", "source"],
        ["sh", "-c", 'python3 -m pip install "unclosed && "$0" "$@"', "sh", "-ec", "true", "source"],
    ],
)
def test_other_commands_are_no_lightweight_components(command: list[str]) -> None:
    assert lightweight(command, []) is None


def test_a_chain_is_a_pipeline() -> None:
    assert len(ir.checked(chain(3, "/dev/null")).root.dag.tasks) == 3  # type: ignore[union-attr]
