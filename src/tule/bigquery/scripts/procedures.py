"""CALL: procedures of datasets with their arguments, and the few that the service has itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tule.bigquery.errors import invalid_query, not_implemented
from tule.bigquery.references import JobReference, RoutineReference, TableReference
from tule.bigquery.routines import Routines
from tule.bigquery.scripts.evaluation import Misfit
from tule.bigquery.scripts.frames import Frame, Variable
from tule.bigquery.scripts.values import Value, fits
from tule.bigquery.sql import Parsed
from tule.bigquery.sql.routine_statements import ANY_TYPE, PROCEDURE, RoutineArgument, RoutineDefinition
from tule.bigquery.sql.script.nodes import Argument, Call
from tule.bigquery.sql.statements import field_of_text, routine_name
from tule.bigquery.types import Field

if TYPE_CHECKING:
    from tule.bigquery.jobs import Job, Jobs
    from tule.bigquery.scripts.interpreter import Interpreter
    from tule.bigquery.scripts.sessions import Sessions

DEEPEST = 50
RunFrame = Callable[[Frame], None]


class Procedures:
    """Runs CALL statements."""

    def __init__(self, routines: Routines, parsed: Parsed, jobs: Jobs, sessions: Sessions) -> None:
        self._routines = routines
        self._parsed = parsed
        self._jobs = jobs
        self._sessions = sessions
        self.refresh: Callable[[TableReference, Job], None]
        """Refreshes a materialized view; set by the warehouse."""

    def call(self, script: Interpreter, frame: Frame, node: Call, run: RunFrame) -> None:
        """Run a procedure; its OUT arguments are assigned when it ends well."""
        path = node.procedure
        if path[0].upper() == "BQ":
            self._own(script, frame, node)
            return
        if len(script.frames) >= DEEPEST:
            raise frame.script.text.error(
                f"Out of stack space due to deeply-nested procedure call to {'.'.join(path)}", node.start
            )
        name = routine_name(path, script.project, script.state.dataset)
        reference = RoutineReference(name.project, name.dataset, name.table)
        definition = self._routines.definition(reference)
        if definition is None or definition.kind != PROCEDURE:
            raise frame.script.text.error(f"Procedure is not found: {'.'.join(path)}", node.place)
        script.plan.guard("bigquery.routines.get", reference.name)
        matched = _matched(frame, node, definition)
        body = self._parsed.script(definition.body, arguments=tuple(each.name for each in definition.arguments))
        inner = Frame(body, reference.dotted)
        outputs = [self._pass(script, frame, inner, wanted, given) for wanted, given in matched]
        run(inner)
        for output in outputs:
            if output is not None:
                self._give_back(script, frame, node, inner, *output)

    @staticmethod
    def _pass(
        script: Interpreter, frame: Frame, inner: Frame, wanted: RoutineArgument, given: Argument
    ) -> tuple[str, Variable] | None:
        """Declare an argument in the procedure's frame; its variable outside where it is one that gives back."""
        text, place = frame.script.text, given.value.start
        kind = None if wanted.type == ANY_TYPE else field_of_text(wanted.name, wanted.type)
        if wanted.mode == "IN":
            value = script.evaluate(frame, given.value) if kind is None else script.coerced(frame, given.value, kind)
            inner.declare(wanted.name, value.field, value)
            return None
        if not given.variable:
            raise text.error("Procedure OUT/INOUT argument must be a variable", place)
        variable = frame.variable(given.variable, place)
        if kind is not None and not fits(kind, variable.field, literal=False):
            raise text.error(
                f"Variable {variable.name} cannot be passed as output argument {wanted.name}, for argument type "
                f"{Value(kind).type} cannot be coerced to variable type {variable.value.type} when procedure exits",
                place,
            )
        kind = kind or variable.field
        value = Value(kind)
        if wanted.mode == "INOUT":
            value = script.coerced(frame, given.value, kind)
        inner.declare(wanted.name, kind, value)
        return wanted.name, variable

    @staticmethod
    def _give_back(script: Interpreter, frame: Frame, node: Call, inner: Frame, name: str, variable: Variable) -> None:
        found = inner.find(name)
        assert found is not None
        try:
            frame.assign(variable, script.convert(found.value, variable.field))
        except Misfit:
            raise frame.script.text.error(
                f"The value of {name}, of type {found.value.type}, cannot be assigned to {variable.name}", node.start
            ) from None

    # -- procedures of the service

    def _own(self, script: Interpreter, frame: Frame, node: Call) -> None:
        name = ".".join(node.procedure).upper()
        values = [script.coerced(frame, each.value, Field("", "STRING")).value for each in node.arguments]
        if name == "BQ.ABORT_SESSION":
            self._abort(script, frame, node, values)
        elif name == "BQ.JOBS.CANCEL":
            if len(values) != 1 or not values[0]:
                raise frame.script.text.error("BQ.JOBS.CANCEL must be given the id of a job", node.start)
            project, _, job = values[0].rpartition(".")
            reference = JobReference(project or script.plan.project, job, script.job.reference.location)
            script.plan.guard("bigquery.jobs.update", reference.name)
            self._jobs.cancel(reference)
        elif name == "BQ.REFRESH_MATERIALIZED_VIEW":
            self._refresh(script, frame, node, values)
        elif name in (
            "BQ.REFRESH_EXTERNAL_METADATA_CACHE",
            "BQ.CANCEL_INDEX_ALTERATION",
        ):
            raise not_implemented(f"The procedure {name}", do="leave the call out")
        else:
            raise frame.script.text.error(f"Procedure is not found: {'.'.join(node.procedure)}", node.place)

    def _refresh(self, script: Interpreter, frame: Frame, node: Call, values: list[Any]) -> None:
        if len(values) != 1 or not values[0]:
            raise frame.script.text.error("BQ.REFRESH_MATERIALIZED_VIEW must be given the name of a view", node.start)
        named = str(values[0]).strip("`").split(".")
        if len(named) == 2:
            named = [script.project, *named]
        if len(named) != 3:
            raise frame.script.text.error("The name of a materialized view must be dataset.view", node.start)
        target = TableReference(*named).checked()
        script.plan.guard("bigquery.tables.updateData", target.name)
        self.refresh(target, script.job)

    def _abort(self, script: Interpreter, frame: Frame, node: Call, values: list[Any]) -> None:
        if len(values) > 1:
            raise frame.script.text.error("BQ.ABORT_SESSION takes the id of a session, or nothing", node.start)
        if values and values[0] is not None:
            self._sessions.abort(script.plan.project, values[0], script.job.user, within=script.plan.session)
        elif script.plan.session is None:
            raise invalid_query("BQ.ABORT_SESSION() must be called inside a session, or with the id of one")
        else:
            script.plan.session.end_after_job()


def _matched(frame: Frame, node: Call, definition: RoutineDefinition) -> list[tuple[RoutineArgument, Argument]]:
    """The arguments of a procedure with those that are given."""
    text = frame.script.text
    wanted, given = definition.arguments, node.arguments
    shown = ".".join(node.procedure)
    if len(wanted) != len(given):
        raise text.error(
            f"Number of arguments does not match for procedure {shown}; it has {len(wanted)}, {len(given)} given",
            node.place,
        )
    by_name: dict[str, Argument] = {}
    found: list[tuple[RoutineArgument, Argument]] = []
    known = {each.name.lower(): each for each in wanted}
    outputs: set[str] = set()
    for index, each in enumerate(given):
        if not each.name and by_name:
            raise text.error("Positional arguments must appear before named arguments", each.value.start)
        argument = known.get(each.name.lower()) if each.name else wanted[index]
        if argument is None:
            raise text.error(f"Unrecognized procedure argument: {each.name}", each.value.start)
        if argument.name.lower() in (one.name.lower() for one, _ in found):
            raise text.error(f"Duplicate procedure argument: {argument.name}", each.value.start)
        if each.name:
            by_name[each.name.lower()] = each
        if argument.mode in ("OUT", "INOUT") and each.variable:
            if each.variable.lower() in outputs:
                raise text.error(
                    f"A variable cannot be passed in multiple times as OUT/INOUT arguments: {each.variable}",
                    each.value.start,
                )
            outputs.add(each.variable.lower())
        found.append((argument, each))
    return found
