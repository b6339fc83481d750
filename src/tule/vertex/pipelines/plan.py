"""What a run does next: which tasks begin, which are over, and with what. Pure: tasks in, tasks out.

A task begins when all tasks that it waits for are over and its trigger policy holds. A DAG is over when all of its tasks
are, a loop when all of its iterations are; their outputs are those that the pipeline selects.
https://cloud.google.com/vertex-ai/docs/pipelines/configure-retries, .../configure-failure-policy
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tule.kernel.errors import InvalidArgument, TuleError
from tule.kernel.operations import status
from tule.vertex.pipelines import ir
from tule.vertex.pipelines.placeholders import Placeholders
from tule.vertex.pipelines.tasks import Artifacts, Run, Shape, State, TaskRun

_NOT_MET = 9
_CANCELLED = 1
_MOST_NAMED = 10
_ABSENT = object()
# What separates a cause from the lines that show it.
_EVIDENCE = "; it last wrote:"


class Plan:
    """One step forward of a run. ``changed`` are the tasks that are new or other than before."""

    def __init__(self, run: Run, now: str, new_id: Callable[[], str], about: Mapping[str, str]) -> None:
        self.run = run
        self.changed: dict[str, TaskRun] = {}
        self._now = now
        self._new_id = new_id
        self._about = about

    # -- what happened

    def begin(self, parameters: dict[str, Any], artifacts: Artifacts) -> None:
        """The first step: the pipeline's own task, with the inputs of the run."""
        root = self._new("", self.run.pipeline.name, ir.ROOT, Shape.DAG)
        root.parameters, root.artifacts = parameters, artifacts
        self.mark(root, State.RUNNING)

    def mark(self, task: TaskRun, state: State, error: dict[str, Any] | None = None) -> None:
        """Let a task be in a state, and note when it came to it."""
        task.state, task.error = state, error if state.final else None
        if state is State.RUNNING and not task.started:
            task.started = self._now
        if state.final:
            task.ended = self._now
        noted = {"updateTime": self._now, "state": state.value, **({"error": error} if error else {})}
        task.history = [*task.history, noted]
        self.changed[task.id] = task

    def settle(self) -> None:
        """Begin and end tasks until nothing more follows from what is known."""
        if self.run.root is not None:
            self._settle(self.run.root)

    # -- tasks that hold others

    def _settle(self, task: TaskRun) -> None:
        if task.state.final or task.shape is Shape.STEP:
            return
        if task.shape is Shape.LOOP:
            self._settle_loop(task)
        else:
            self._settle_dag(task)

    def _settle_dag(self, task: TaskRun) -> None:
        dag = self.run.component(task).dag
        assert dag is not None
        moved = True
        while moved:
            moved = False
            for spec in dag.tasks.values():
                child = self.run.children(task).get(spec.name)
                if child is None:
                    child = self._begun(task, spec)
                    moved = moved or child is not None
                if child is not None and not child.state.final:
                    self._settle(child)
                    moved = moved or child.state.final
        children = self.run.children(task)
        if all(each.state.final for each in children.values()) and (
            len(children) == len(dag.tasks) or self._holds or not self._may_begin(task, dag)
        ):
            self._end(task, children, complete=len(children) == len(dag.tasks))

    def _may_begin(self, task: TaskRun, dag: ir.Dag) -> bool:
        """Whether a task that did not begin can still do so."""
        children = self.run.children(task)
        return any(spec.name not in children and self._ready(children, spec) for spec in dag.tasks.values())

    def _settle_loop(self, task: TaskRun) -> None:
        spec = self.run.specification(task)
        assert spec is not None and spec.iterator is not None
        limit = spec.iterator.parallel or len(task.items)
        moved = True
        while moved:
            moved = False
            for child in list(self.run.children(task).values()):
                if not child.state.final:
                    self._settle(child)
            children = self.run.children(task)
            running = sum(not each.state.final for each in children.values())
            while len(children) < len(task.items) and running < limit and not self._holds:
                child = self._iteration(task, spec.iterator, len(children))
                self._settle(child)
                moved, running = True, running + (not child.state.final)
                children = self.run.children(task)
        if all(each.state.final for each in children.values()) and (len(children) == len(task.items) or self._holds):
            self._end(task, children, complete=len(children) == len(task.items))

    @property
    def _holds(self) -> bool:
        """Whether no further task begins: the run is being cancelled, or one failed and that is to end it."""
        if self.run.cancelling:
            return True
        return self.run.fails_fast and any(each.state is State.FAILED for each in self.run.tasks.values())

    # -- beginnings

    @staticmethod
    def _ready(children: Mapping[str | int, TaskRun], spec: ir.Task) -> bool:
        return all(name in children and children[name].state.final for name in spec.upstream)

    def _begun(self, parent: TaskRun, spec: ir.Task) -> TaskRun | None:
        """The task if it begins, or will not be triggered; None while it has to wait."""
        children = self.run.children(parent)
        if not self._ready(children, spec) or self.run.cancelling:
            return None
        # What has to run however others ended runs also when a failure ends the run.
        if self._holds and not spec.whatever_happened:
            return None
        component = self.run.pipeline.components[spec.component]
        shape = Shape.LOOP if spec.iterator else Shape.DAG if component.dag else Shape.STEP
        task = self._new(parent.id, spec.name, spec.component, shape)
        if not spec.whatever_happened and not all(children[name].state.good for name in spec.upstream):
            self.mark(task, State.NOT_TRIGGERED)
            return task
        try:
            self._give_inputs(parent, task, spec, component)
            if spec.condition and not ir.condition(spec.condition, task.parameters):
                self.mark(task, State.NOT_TRIGGERED)
                return task
            if spec.iterator is not None:
                task.items = self._items(task, spec.iterator)
        except TuleError as error:
            self.mark(task, State.FAILED, status(error))
            return task
        self.mark(task, State.PENDING if shape is Shape.STEP else State.RUNNING)
        return task

    def _new(self, parent: str, name: str, component: str, shape: Shape, iteration: int | None = None) -> TaskRun:
        task = TaskRun(
            id=self._new_id(), number=len(self.run.tasks), parent=parent, name=name, component=component, shape=shape,
            iteration=iteration, created=self._now,
        )  # fmt: skip
        self.run.add(task)
        self.changed[task.id] = task
        return task

    def _items(self, task: TaskRun, iterator: ir.Iterator) -> list[Any]:
        if iterator.raw:
            return ir.whole(ir.items(iterator.raw, task.name))
        if iterator.artifacts:
            return list(task.artifacts.get(iterator.input, []))
        found = task.parameters[iterator.input]
        if isinstance(found, str):
            found = ir.items(found, task.name)
        if not isinstance(found, list):
            raise InvalidArgument(f"The items of {task.name} must be a list", given=repr(found)[:200])
        return found

    def _iteration(self, loop: TaskRun, iterator: ir.Iterator, number: int) -> TaskRun:
        component = self.run.pipeline.components[loop.component]
        shape = Shape.DAG if component.dag else Shape.STEP
        task = self._new(loop.id, f"{loop.name}-{number}", loop.component, shape, number)
        task.parameters, task.artifacts = dict(loop.parameters), dict(loop.artifacts)
        item = loop.items[number]
        if iterator.artifacts:
            task.artifacts[iterator.item] = [item]
        else:
            wanted = component.inputs.parameters[iterator.item].type
            try:
                given = ir.text_of(item) if wanted == "STRING" else item
                task.parameters[iterator.item] = ir.converted(wanted, given, f"Item {number} of {loop.name}")
            except InvalidArgument as error:
                self.mark(task, State.FAILED, status(error))
                return task
        self.mark(task, State.PENDING if shape is Shape.STEP else State.RUNNING)
        return task

    # -- inputs

    def _give_inputs(self, parent: TaskRun, task: TaskRun, spec: ir.Task, component: ir.Component) -> None:
        children = self.run.children(parent)
        for name, source in spec.artifacts.items():
            found = (
                parent.artifacts.get(source.input) if source.input
                else children[source.task].output_artifacts.get(source.output)
            )  # fmt: skip
            if found:
                task.artifacts[name] = found
        for name, definition in component.inputs.artifacts.items():
            if name not in task.artifacts and not definition.optional and not _is_item(spec, name):
                self._lacks(task, name, spec.artifacts.get(name), children)
        constants = {}
        for name, source in spec.parameters.items():
            if source.constant is not ir.NONE:
                constants[name] = source.constant
                continue
            value = self._parameter(parent, source, children)
            if value is not _ABSENT:
                task.parameters[name] = value
        self._fill_in(task, constants)
        for name, wanted in component.inputs.parameters.items():
            if _is_item(spec, name):
                continue
            if name in task.parameters:
                task.parameters[name] = ir.converted(wanted.type, task.parameters[name], f"{task.name}: input {name}")
            elif wanted.default is not ir.NONE:
                task.parameters[name] = wanted.default
            elif not wanted.optional:
                self._lacks(task, name, spec.parameters.get(name), children)

    def _parameter(self, parent: TaskRun, source: ir.Source, children: Mapping[str | int, TaskRun]) -> Any:
        if source.status:
            return self._final_status(children[source.status])
        if source.input:
            found = parent.parameters.get(source.input, _ABSENT)
        else:
            found = children[source.task].output_parameters.get(source.output, _ABSENT)
        if found is None:
            return _ABSENT
        return ir.selected(source.selector, found) if source.selector and found is not _ABSENT else found

    def _fill_in(self, task: TaskRun, constants: Mapping[str, Any]) -> None:
        inputs = {"parameterValues": task.parameters, "artifacts": _listed(task.artifacts)}
        about = {**self._about, "pipeline_task_name": task.name, "pipeline_task_uuid": task.id}
        placeholders = Placeholders({"inputs": inputs, "outputs": {}}, about)
        filled = {name: placeholders.value(constant) for name, constant in constants.items()}
        task.parameters.update({name: value for name, value in filled.items() if value is not None})

    @staticmethod
    def _lacks(task: TaskRun, name: str, source: ir.Source | None, children: Mapping[str | int, TaskRun]) -> None:
        given = "nothing"
        if source is not None and source.task:
            given = f"{source.task}, which is {children[source.task].state}, gave no {source.output}"
        raise InvalidArgument(f"The input {name} of {task.name} must be there", given=given, do="give it a default")

    def _final_status(self, task: TaskRun) -> dict[str, Any]:
        """https://cloud.google.com/vertex-ai/docs/pipelines/email-notifications#final-status"""
        state = State.SUCCEEDED if task.state is State.SKIPPED else task.state
        error = task.error or {}
        return {
            "state": state.value,
            "pipelineJobResourceName": self.run.name,
            "pipelineTaskName": task.name,
            "error": {key: error[key] for key in ("code", "message") if key in error},
        }

    # -- ends

    def _end(self, task: TaskRun, children: Mapping[str | int, TaskRun], *, complete: bool) -> None:
        failed = [each for each in children.values() if each.state is State.FAILED]
        if failed:
            self.mark(task, State.FAILED, self._failure(task, failed))
        elif not complete or any(each.state is State.CANCELLED for each in children.values()):
            why = "the run was cancelled" if self.run.cancelling else "another task failed, which ends the run"
            self.mark(task, State.CANCELLED, {"code": _CANCELLED, "message": f"{task.name} was not finished: {why}"})
        else:
            if task.shape is Shape.LOOP:
                self._collect(task, [children[number] for number in range(len(task.items))])
            else:
                self._select(task, children)
            self.mark(task, State.SUCCEEDED)

    def _failure(self, task: TaskRun, failed: Sequence[TaskRun]) -> dict[str, Any]:
        """Why a DAG or a loop failed: the names of its tasks that did, and the cause of the first."""
        names = ", ".join(each.name for each in failed[:_MOST_NAMED])
        more = f" and {len(failed) - _MOST_NAMED} more" if len(failed) > _MOST_NAMED else ""
        first = failed[0]
        while inner := [each for each in self.run.children(first).values() if each.state is State.FAILED]:
            first = inner[0]
        cause = str((first.error or {}).get("message", ""))
        if task.parent:
            # The evidence is told once, with the step and with the run.
            cause = cause.partition(_EVIDENCE)[0]
        message = f"The DAG failed because some tasks failed. The failed tasks are: [{names}{more}]."
        return {"code": _NOT_MET, "message": f"{message} {cause}"}

    def _collect(self, loop: TaskRun, iterations: Sequence[TaskRun]) -> None:
        """The outputs of all iterations: parameters as a list, artifacts one after the other."""
        outputs = self.run.component(loop).outputs
        for name in outputs.parameters:
            values = [each.output_parameters[name] for each in iterations if name in each.output_parameters]
            loop.output_parameters[name] = values
        for name in outputs.artifacts:
            loop.output_artifacts[name] = [one for each in iterations for one in each.output_artifacts.get(name, [])]

    def _select(self, task: TaskRun, children: Mapping[str | int, TaskRun]) -> None:
        dag = self.run.component(task).dag
        assert dag is not None
        for name, sources in dag.parameters.items():
            for producer, output in sources:
                if output in children[producer].output_parameters:
                    task.output_parameters[name] = children[producer].output_parameters[output]
                    break
        for name, sources in dag.artifacts.items():
            found = [one for producer, output in sources for one in children[producer].output_artifacts.get(output, [])]
            if found:
                task.output_artifacts[name] = found


def _is_item(spec: ir.Task, name: str) -> bool:
    return spec.iterator is not None and spec.iterator.item == name


def _listed(artifacts: Artifacts) -> dict[str, Any]:
    return {name: {"artifacts": found} for name, found in artifacts.items()}
