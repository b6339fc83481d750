"""The intermediate representation of Kubeflow Pipelines 2 as values: what ``PipelineSpec`` says, read strictly.

https://github.com/kubeflow/pipelines/blob/master/api/v2alpha1/pipeline_spec.proto. A field that Tule does not carry out is
refused by name, one that the representation does not have is a mistake.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tule.kernel.errors import InvalidArgument, Unimplemented
from tule.vertex.pipelines.ir import values
from tule.vertex.pipelines.ir.node import Node

ROOT = "root"


class _None:
    """No default: None itself may be one."""

    def __repr__(self) -> str:
        return "none"


NONE = _None()


@dataclass(frozen=True)
class Parameter:
    """A parameter that a component takes or gives."""

    type: str
    default: Any = NONE
    optional: bool = False


@dataclass(frozen=True)
class Artifact:
    """A kind of artifact that a component takes or gives: its schema's title and version."""

    title: str
    version: str = ""
    list: bool = False
    optional: bool = False
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Interface:
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    artifacts: Mapping[str, Artifact] = field(default_factory=dict)


@dataclass(frozen=True)
class Source:
    """Where an input of a task comes from: one of ``constant``, an ``input`` of the component around it, an output
    (``task``, ``output``) or the final status (``status``) of another task of it."""

    constant: Any = NONE
    input: str = ""
    task: str = ""
    output: str = ""
    status: str = ""
    selector: str = ""
    """What of a text in JSON is taken: ``parseJson(string_value)["a"]``."""

    @property
    def upstream(self) -> str:
        return self.task or self.status


@dataclass(frozen=True)
class Iterator:
    """The items that a task runs for: a list in JSON, or one of its inputs."""

    item: str
    raw: str = ""
    input: str = ""
    artifacts: bool = False
    parallel: int = 0
    """The most iterations at a time; 0 is no limit."""


@dataclass(frozen=True)
class Retry:
    """How often a task is tried again, and after how many seconds."""

    count: int = 0
    first: float = 0.0
    factor: float = 2.0
    longest: float = 3600.0

    def pause(self, failures: int) -> float:
        """Seconds before the next try, after ``failures`` of them.

        >>> [Retry(3, 10.0).pause(failures) for failures in (1, 2, 3)]
        [10.0, 20.0, 40.0]
        """
        return min(self.first * self.factor ** (failures - 1), self.longest)


@dataclass(frozen=True)
class Task:
    name: str
    display_name: str
    component: str
    parameters: Mapping[str, Source]
    artifacts: Mapping[str, Source]
    after: tuple[str, ...] = ()
    cached: bool = False
    cache_key: str = ""
    condition: str = ""
    whatever_happened: bool = False
    """It runs once all upstream tasks are over, however they ended."""
    iterator: Iterator | None = None
    retry: Retry = Retry()

    @property
    def upstream(self) -> frozenset[str]:
        """The tasks that must be over before this one."""
        sources = (*self.parameters.values(), *self.artifacts.values())
        return frozenset((*self.after, *(each.upstream for each in sources if each.upstream)))


@dataclass(frozen=True)
class Dag:
    """Tasks, and which of their outputs are its own: the first of several that was produced."""

    tasks: Mapping[str, Task]
    parameters: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    artifacts: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Resources:
    """Limits of a container as they were written: numbers, or texts with placeholders."""

    cpu: str = ""
    memory: str = ""
    accelerator: str = ""
    accelerators: str = ""


@dataclass(frozen=True)
class Container:
    image: str
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    resources: Resources = Resources()


@dataclass(frozen=True)
class Importer:
    """An artifact that is there already; ``reimport`` makes a new one of a URI that is known."""

    uri: Source
    parameter: str
    title: str
    version: str
    metadata: Mapping[str, Any]
    reimport: bool


@dataclass(frozen=True)
class Component:
    name: str
    inputs: Interface
    outputs: Interface
    dag: Dag | None = None
    executor: Container | Importer | None = None


@dataclass(frozen=True)
class Pipeline:
    name: str
    root: Component
    components: Mapping[str, Component]
    default_root: str = ""

    def component_of(self, task: Task) -> Component:
        return self.components[task.component]


def read(spec: Mapping[str, Any]) -> Pipeline:
    """A pipeline from its specification, not yet checked as a whole; raises InvalidArgument and Unimplemented."""
    top = Node(spec)
    top.only(
        "pipelineInfo", "deploymentSpec", "sdkVersion", "schemaVersion", "components", "root", "defaultPipelineRoot"
    )
    version = top.text("schemaVersion")
    if not version.startswith("2.1"):
        raise Unimplemented(
            "Tule runs pipelines of schema version 2.1",
            given=version or "none",
            do="compile the pipeline with the KFP SDK 2.x",
        )
    info = top.object("pipelineInfo")
    info.only("name", "displayName", "description")
    if "root" not in top:
        raise InvalidArgument("pipeline_spec.root must be given", given="none", location="pipeline_spec.root")
    executors = {name: _executor(node) for name, node in top.object("deploymentSpec").objects("executors")}
    components = {name: _component(name, node, executors) for name, node in top.objects("components")}
    root = _component(ROOT, top.object("root"), executors)
    return Pipeline(info.required("name"), root, components, top.text("defaultPipelineRoot"))


def _component(name: str, node: Node, executors: Mapping[str, Container | Importer]) -> Component:
    node.only(
        "inputDefinitions", "outputDefinitions", "dag", "executorLabel",
        refused=("singlePlatformSpecs", "taskConfigPassthroughs"),
    )  # fmt: skip
    inputs, outputs = _interface(node.object("inputDefinitions")), _interface(node.object("outputDefinitions"))
    if "dag" in node:
        return Component(name, inputs, outputs, dag=_dag(node.object("dag")))
    label = node.required("executorLabel")
    if label not in executors:
        raise InvalidArgument(
            f"{node.path}.executorLabel must name an executor of deploymentSpec",
            given=label,
            do=f"the executors are {', '.join(sorted(executors)) or 'none'}",
            location=node.path,
        )
    return Component(name, inputs, outputs, executor=executors[label])


def _interface(node: Node) -> Interface:
    node.only("parameters", "artifacts")
    return Interface(
        {name: _parameter(each) for name, each in node.objects("parameters")},
        {name: _artifact(each) for name, each in node.objects("artifacts")},
    )


def _parameter(node: Node) -> Parameter:
    node.only("type", "parameterType", "defaultValue", "isOptional", "description", "literals")
    kind = values.named(node.text("parameterType") or node.text("type"), node.path)
    default = node.value.get("defaultValue", NONE)
    if default is not NONE and default is not None:
        default = values.converted(kind, default, f"{node.path}.defaultValue")
    return Parameter(kind, default, node.flag("isOptional"))


def _artifact(node: Node) -> Artifact:
    node.only("artifactType", "isArtifactList", "isOptional", "description", "metadata")
    kind = node.object("artifactType")
    kind.only("schemaTitle", "schemaVersion", "instanceSchema", refused=("schemaUri",))
    metadata = values.whole(dict(node.object("metadata").value))
    title = kind.text("schemaTitle") or "system.Artifact"
    version = kind.text("schemaVersion")
    return Artifact(title, version, node.flag("isArtifactList"), node.flag("isOptional"), metadata)


def _dag(node: Node) -> Dag:
    node.only("tasks", "outputs")
    tasks = {name: _task(name, each) for name, each in node.objects("tasks")}
    outputs = node.object("outputs")
    outputs.only("parameters", "artifacts")
    return Dag(
        tasks,
        {name: _parameter_selectors(each) for name, each in outputs.objects("parameters")},
        {
            name: tuple(_selected(each, "outputArtifactKey") for each in item.items("artifactSelectors"))
            for name, item in outputs.objects("artifacts")
        },
    )


def _parameter_selectors(node: Node) -> tuple[tuple[str, str], ...]:
    node.only("valueFromParameter", "valueFromOneof")
    if "valueFromParameter" in node:
        return (_selected(node.object("valueFromParameter"), "outputParameterKey"),)
    several = node.object("valueFromOneof").items("parameterSelectors")
    return tuple(_selected(each, "outputParameterKey") for each in several)


def _selected(node: Node, key: str) -> tuple[str, str]:
    node.only("producerSubtask", key)
    return node.required("producerSubtask"), node.required(key)


def _task(name: str, node: Node) -> Task:
    node.only(
        "taskInfo", "inputs", "dependentTasks", "cachingOptions", "componentRef", "triggerPolicy", "artifactIterator",
        "parameterIterator", "retryPolicy", "iteratorPolicy",
    )  # fmt: skip
    inputs = node.object("inputs")
    inputs.only("parameters", "artifacts")
    caching, trigger = node.object("cachingOptions"), node.object("triggerPolicy")
    caching.only("enableCache", "cacheKey")
    trigger.only("condition", "strategy")
    strategy = trigger.text("strategy")
    if strategy not in (
        "", "TRIGGER_STRATEGY_UNSPECIFIED", "ALL_UPSTREAM_TASKS_SUCCEEDED", "ALL_UPSTREAM_TASKS_COMPLETED"
    ):  # fmt: skip
        raise InvalidArgument(f"{trigger.path}.strategy must be a trigger strategy", given=strategy)
    return Task(
        name=name,
        display_name=node.object("taskInfo").text("name") or name,
        component=node.object("componentRef").required("name"),
        parameters={key: _parameter_source(each) for key, each in inputs.objects("parameters")},
        artifacts={key: _artifact_source(each) for key, each in inputs.objects("artifacts")},
        after=node.texts("dependentTasks"),
        cached=caching.flag("enableCache"),
        cache_key=caching.text("cacheKey"),
        condition=trigger.text("condition"),
        whatever_happened=strategy == "ALL_UPSTREAM_TASKS_COMPLETED",
        iterator=_iterator(node),
        retry=_retry(node.object("retryPolicy")),
    )


def _parameter_source(node: Node) -> Source:
    node.only(
        "taskOutputParameter", "runtimeValue", "componentInputParameter", "taskFinalStatus",
        "parameterExpressionSelector",
    )  # fmt: skip
    selector = node.text("parameterExpressionSelector")
    if "taskOutputParameter" in node:
        output = node.object("taskOutputParameter")
        return Source(
            task=output.required("producerTask"), output=output.required("outputParameterKey"), selector=selector
        )
    if "taskFinalStatus" in node:
        return Source(status=node.object("taskFinalStatus").required("producerTask"), selector=selector)
    if "componentInputParameter" in node:
        return Source(input=node.required("componentInputParameter"), selector=selector)
    return _runtime(node.object("runtimeValue"), selector)


def _runtime(node: Node, selector: str = "") -> Source:
    node.only("constant", "runtimeParameter", refused=("constantValue",))
    if "runtimeParameter" in node:
        return Source(input=node.required("runtimeParameter"), selector=selector)
    if "constant" not in node.value:
        raise InvalidArgument(f"{node.path} must have a constant or a runtimeParameter", given="neither")
    return Source(constant=values.whole(node.value["constant"]), selector=selector)


def _artifact_source(node: Node) -> Source:
    node.only("taskOutputArtifact", "componentInputArtifact")
    if "taskOutputArtifact" in node:
        output = node.object("taskOutputArtifact")
        return Source(task=output.required("producerTask"), output=output.required("outputArtifactKey"))
    return Source(input=node.required("componentInputArtifact"))


def _iterator(node: Node) -> Iterator | None:
    policy = node.object("iteratorPolicy")
    policy.only("parallelismLimit")
    parallel = policy.whole("parallelismLimit")
    if "parameterIterator" in node:
        found = node.object("parameterIterator")
        items = found.object("items")
        items.only("raw", "inputParameter")
        if "raw" not in items and "inputParameter" not in items:
            raise InvalidArgument(f"{items.path} must have raw or inputParameter", given="neither")
        return Iterator(found.required("itemInput"), items.text("raw"), items.text("inputParameter"), parallel=parallel)
    if "artifactIterator" in node:
        found = node.object("artifactIterator")
        items = found.object("items")
        source = items.required("inputArtifact")
        return Iterator(found.required("itemInput"), input=source, artifacts=True, parallel=parallel)
    return None


def _retry(node: Node) -> Retry:
    node.only("maxRetryCount", "backoffDuration", "backoffFactor", "backoffMaxDuration")
    longest = min(node.seconds("backoffMaxDuration", 3600.0), 3600.0)
    return Retry(
        node.whole("maxRetryCount"), node.seconds("backoffDuration"), node.number("backoffFactor") or 2.0, longest
    )


def _executor(node: Node) -> Container | Importer:
    node.only("container", "importer", refused=("resolver", "customJob"))
    if "importer" in node:
        return _importer(node.object("importer"))
    found = node.object("container")
    found.only("image", "command", "args", "resources", "env", "imagePullPolicy", refused=("lifecycle",))
    env = {each.required("name"): each.text("value") for each in found.items("env")}
    resources = _resources(found.object("resources"))
    return Container(found.required("image"), found.texts("command"), found.texts("args"), env, resources)


def _resources(node: Node) -> Resources:
    node.only(
        "cpuLimit", "memoryLimit", "cpuRequest", "memoryRequest", "resourceCpuLimit", "resourceMemoryLimit",
        "resourceCpuRequest", "resourceMemoryRequest", "accelerator",
    )  # fmt: skip
    gpu = node.object("accelerator")
    gpu.only("type", "count", "resourceType", "resourceCount")

    def either(place: Node, new: str, old: str) -> str:
        found = place.value.get(new) or place.value.get(old) or ""
        return f"{found:g}" if isinstance(found, float) else str(found)

    return Resources(
        cpu=either(node, "resourceCpuLimit", "cpuLimit") or either(node, "resourceCpuRequest", "cpuRequest"),
        memory=either(node, "resourceMemoryLimit", "memoryLimit")
        or either(node, "resourceMemoryRequest", "memoryRequest"),
        accelerator=either(gpu, "resourceType", "type"),
        accelerators=either(gpu, "resourceCount", "count"),
    )


def _importer(node: Node) -> Importer:
    node.only("artifactUri", "typeSchema", "metadata", "reimport", refused=("properties", "customProperties",
              "downloadToWorkspace"))  # fmt: skip
    uri = node.object("artifactUri")
    kind = node.object("typeSchema")
    kind.only("schemaTitle", "schemaVersion", "instanceSchema")
    return Importer(
        uri=_runtime(uri),
        parameter=uri.text("runtimeParameter"),
        title=kind.text("schemaTitle") or "system.Artifact",
        version=kind.text("schemaVersion"),
        metadata=values.whole(dict(node.object("metadata").value)),
        reimport=node.flag("reimport"),
    )
