"""A pipeline looked at as a whole before anything of it runs: names that lead somewhere, types that fit, no cycles."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from tule.kernel.errors import InvalidArgument
from tule.vertex.pipelines.ir import expressions, values
from tule.vertex.pipelines.ir.spec import NONE, Component, Dag, Interface, Pipeline, Source, Task

_DEEPEST = 64


def check(pipeline: Pipeline) -> None:
    """Raise InvalidArgument naming the component, the task and the field that is wrong."""
    for component in (pipeline.root, *pipeline.components.values()):
        if component.dag is not None:
            _check_dag(pipeline, component, component.dag)
    if pipeline.root.dag is None:
        raise InvalidArgument("pipeline_spec.root must be a dag", given="an executor")
    _check_nesting(pipeline, pipeline.root, ())


def _check_nesting(pipeline: Pipeline, component: Component, around: tuple[str, ...]) -> None:
    if component.name in around or len(around) > _DEEPEST:
        raise InvalidArgument(
            "A component must not contain itself", given=" > ".join((*around, component.name)), do="break the circle"
        )
    if component.dag is not None:
        for name in sorted({task.component for task in component.dag.tasks.values()}):
            _check_nesting(pipeline, pipeline.components[name], (*around, component.name))


def _check_dag(pipeline: Pipeline, component: Component, dag: Dag) -> None:
    where = f"Component {component.name}"
    if not dag.tasks:
        raise InvalidArgument(f"{where} must have tasks", given="none")
    for task in dag.tasks.values():
        if task.component not in pipeline.components:
            raise InvalidArgument(
                f"{where}, task {task.name}: componentRef must name a component",
                given=task.component,
                do=f"the components are {', '.join(sorted(pipeline.components)) or 'none'}",
            )
    for task in dag.tasks.values():
        _check_task(pipeline, component, dag, task)
    _check_cycles(where, dag)
    _check_outputs(pipeline, component, dag)


def _check_task(pipeline: Pipeline, around: Component, dag: Dag, task: Task) -> None:
    where = f"Component {around.name}, task {task.name}"
    wanted = pipeline.component_of(task)
    for upstream in task.upstream:
        if upstream not in dag.tasks:
            raise InvalidArgument(
                f"{where} must depend on tasks of the same component",
                given=upstream,
                do=f"its tasks are {', '.join(sorted(dag.tasks))}",
            )
    for name, source in task.parameters.items():
        _check_parameter(pipeline, around, dag, wanted, name, source, f"{where}, parameter {name}")
    for name, source in task.artifacts.items():
        _check_artifact(pipeline, around, dag, wanted, name, source, f"{where}, artifact {name}")
    _check_given(task, wanted.inputs, where)
    if task.condition:
        expressions.check_condition(task.condition)
    if task.retry.count and wanted.dag is not None:
        raise InvalidArgument(f"{where} may have a retryPolicy where it runs a container only", given=wanted.name)
    _check_iterator(task, wanted, where)


def _check_parameter(
    pipeline: Pipeline, around: Component, dag: Dag, wanted: Component, name: str, source: Source, where: str
) -> None:
    given = ""
    if source.input:
        if source.input not in around.inputs.parameters:
            raise _unknown(where, "an input parameter", source.input, around.inputs.parameters)
        given = around.inputs.parameters[source.input].type
    elif source.task:
        producer = pipeline.component_of(dag.tasks[source.task])
        if source.output not in producer.outputs.parameters:
            raise _unknown(
                f"{where}, task {source.task}", "an output parameter", source.output, producer.outputs.parameters
            )
        given = producer.outputs.parameters[source.output].type
        if dag.tasks[source.task].iterator is not None:
            given = "LIST"
    if source.selector:
        expressions.check_selector(source.selector)
        return
    definition = wanted.inputs.parameters.get(name)
    if definition is None:
        # An input that only placeholders of constants read.
        return
    if given and not values.fits(given, definition.type):
        raise InvalidArgument(
            f"{where} must be {definition.type}", given=f"{given} of {source.input or f'{source.task}.{source.output}'}"
        )
    if source.constant is not NONE and not _has_placeholder(source.constant):
        values.converted(definition.type, source.constant, where)


def _check_artifact(
    pipeline: Pipeline, around: Component, dag: Dag, wanted: Component, name: str, source: Source, where: str
) -> None:
    if source.input and source.input not in around.inputs.artifacts:
        raise _unknown(where, "an input artifact", source.input, around.inputs.artifacts)
    if source.task:
        producer = pipeline.component_of(dag.tasks[source.task])
        if source.output not in producer.outputs.artifacts:
            raise _unknown(
                f"{where}, task {source.task}", "an output artifact", source.output, producer.outputs.artifacts
            )
    if name not in wanted.inputs.artifacts:
        raise _unknown(where, f"an input artifact of {wanted.name}", name, wanted.inputs.artifacts)


def _check_given(task: Task, wanted: Interface, where: str) -> None:
    given = {*task.parameters, *task.artifacts}
    if task.iterator is not None:
        given.add(task.iterator.item)
    lacking = [
        name for name, each in wanted.parameters.items()
        if name not in given and each.default is NONE and not each.optional and each.type != values.TASK_FINAL_STATUS
    ]  # fmt: skip
    lacking += [name for name, each in wanted.artifacts.items() if name not in given and not each.optional]
    if lacking:
        raise InvalidArgument(f"{where} must be given the input {lacking[0]}", given="none", do="pass it to the task")


def _check_iterator(task: Task, wanted: Component, where: str) -> None:
    found = task.iterator
    if found is None:
        return
    inputs = wanted.inputs.artifacts if found.artifacts else wanted.inputs.parameters
    if found.item not in inputs:
        raise _unknown(where, f"an input of {wanted.name}", found.item, inputs)
    if found.raw:
        items(found.raw, where)
    elif found.input not in (task.artifacts if found.artifacts else task.parameters):
        raise _unknown(
            where, "an input of the task", found.input, task.artifacts if found.artifacts else task.parameters
        )


def items(raw: str, where: str) -> list[object]:
    """The items of a loop that were written into the pipeline."""
    try:
        found = json.loads(raw)
    except json.JSONDecodeError:
        found = None
    if not isinstance(found, list):
        raise InvalidArgument(f"{where}: items.raw must be a list in JSON", given=raw[:100])
    return found


def _check_cycles(where: str, dag: Dag) -> None:
    """Kahn's order: what is left when no task is free of others has a circle in it."""
    waiting = {name: set(task.upstream) for name, task in dag.tasks.items()}
    while free := [name for name, upstream in waiting.items() if not upstream & waiting.keys()]:
        for name in free:
            del waiting[name]
    if waiting:
        raise InvalidArgument(
            f"{where}: tasks must not wait for each other in a circle",
            given=" > ".join(_circle(waiting)),
            do="break the circle",
        )


def _circle(waiting: Mapping[str, set[str]]) -> Iterator[str]:
    name, seen = min(waiting), []
    while name not in seen:
        seen.append(name)
        name = min(waiting[name] & waiting.keys())
    yield from (*seen[seen.index(name) :], name)


def _check_outputs(pipeline: Pipeline, component: Component, dag: Dag) -> None:
    for kind, selections in (("parameters", dag.parameters), ("artifacts", dag.artifacts)):
        for name, sources in selections.items():
            where = f"Component {component.name}, output {name}"
            for task, output in sources:
                if task not in dag.tasks:
                    raise _unknown(where, "one of its tasks", task, dag.tasks)
                known = getattr(pipeline.component_of(dag.tasks[task]).outputs, kind)
                if output not in known:
                    raise _unknown(where, f"an output of task {task}", output, known)


def _has_placeholder(value: object) -> bool:
    return isinstance(value, str) and "{{$" in value


def _unknown(where: str, what: str, given: str, known: Mapping[str, object]) -> InvalidArgument:
    return InvalidArgument(
        f"{where} must name {what}",
        given=given,
        do=f"there are {', '.join(sorted(known))}" if known else "there is none",
    )
