"""Runs a script: one statement is one child job, whose effects stand when it is done.

https://cloud.google.com/bigquery/docs/reference/standard-sql/procedural-language
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any, Protocol

from tule.bigquery.catalog import Guard
from tule.bigquery.errors import not_implemented
from tule.bigquery.jobs import Job, Jobs, Outcome
from tule.bigquery.plans import QueryPlan
from tule.bigquery.references import JobReference
from tule.bigquery.results import Rows
from tule.bigquery.scripts.evaluation import Evaluator, Line, Misfit
from tule.bigquery.scripts.frames import Failure, Frame
from tule.bigquery.scripts.procedures import Procedures
from tule.bigquery.scripts.state import State
from tule.bigquery.scripts.system import SystemVariables
from tule.bigquery.scripts.transactions import Transactions
from tule.bigquery.scripts.values import Value, of_column
from tule.bigquery.sql import Parameter, Parsed, Scope, Temporary, statements
from tule.bigquery.sql.routine_statements import RoutineDefinition
from tule.bigquery.sql.script import Expression, Node
from tule.bigquery.sql.script import nodes as n
from tule.bigquery.sql.statements import CreateRoutineNamed, Dml, Query, Statement, field_of
from tule.bigquery.types import Field
from tule.kernel.errors import Internal, InvalidArgument, TuleError

DEEPEST = 50


class Executor(Protocol):
    """Runs single statements (``queries.Queries``)."""

    def execute(self, job: Job, plan: QueryPlan) -> Outcome:
        """Run one statement as a job."""

    def line(
        self,
        project: str,
        dataset: str | None,
        values: Mapping[str, Parameter],
        guard: Guard,
        job: Job | None = None,
        *,
        looking: bool = False,
        scope: Scope = ...,
    ) -> AbstractContextManager[Line]:
        """A line of work with the engine."""  # fmt: skip

    def check_function(self, definition: RoutineDefinition, plan: QueryPlan) -> None:
        """Raise for a temporary function whose body cannot run."""


class _Jump(Exception):
    """BREAK or CONTINUE on its way to its loop or block."""

    def __init__(self, node: n.Jump) -> None:
        self.node = node


class _Return(Exception):
    """RETURN on its way out of a script or procedure."""


class Interpreter:
    """One run of a script."""

    def __init__(
        self, job: Job, plan: QueryPlan, state: State, executor: Executor, jobs: Jobs, parsed: Parsed,
        procedures: Procedures, transactions: Transactions, temporary: Temporary,
    ) -> None:  # fmt: skip
        self.job = job
        self.plan = plan
        self.state = state
        self._executor = executor
        self._jobs = jobs
        self._parsed = parsed
        self._procedures = procedures
        self._transactions = transactions
        self._temporary = temporary
        self.frames: list[Frame] = []
        self.failures: list[Failure] = []
        """The errors that are being handled, the latest last."""
        self.system = SystemVariables(self)
        self.children = 0
        self.bytes = 0
        self.billed = 0
        self._seal = hashlib.md5(job.reference.name.encode(), usedforsecurity=False).hexdigest()
        self._child: Job | None = None
        self._last: Job | None = None
        self._evaluator = Evaluator(self._lines, self._run_expression, self.scope)

    # -- the whole

    def run(self) -> Outcome:
        """Run the script to its end. Raises the error of a statement that no handler caught."""
        script = self.plan.script
        assert script is not None
        self.job.on_cancel(self._cancel_child)
        frame = Frame(script, parameters=self.plan.parameters)
        frame.outermost.update(self.state.variables)
        try:
            self._script(frame)
        except Failure as failure:
            raise failure.error from None
        except RecursionError:
            raise InvalidArgument(
                "Out of stack space due to deeply-nested statements", reason="invalidQuery", location="query"
            ) from None
        finally:
            self.state.variables.update(frame.outermost)
            self._evaluator.close()
            self.job.statistics.update(self._statistics())
        return self._outcome()

    def _statistics(self) -> dict[str, Any]:
        """What the script has done until now."""
        query = {"statementType": self.plan.type, "totalBytesProcessed": str(self.bytes)}
        query["totalBytesBilled"] = str(self.billed)
        return {"numChildJobs": str(self.children), "totalBytesProcessed": str(self.bytes), "query": query}

    def _outcome(self) -> Outcome:
        """What the script came to: its result is that of the last statement."""
        outcome = Outcome(self._statistics())
        query = outcome.statistics["query"]
        last = self._last
        if last is None:
            return outcome
        about = last.statistics.get("query", {})
        for key in ("numDmlAffectedRows", "dmlStats", "ddlTargetTable", "ddlTargetRoutine", "ddlOperationPerformed"):
            if key in about:
                query[key] = about[key]
        if "result" in last.private:
            outcome.private["result"] = last.private["result"]
            outcome.result = last.result
            query["schema"] = about["schema"]
            outcome.configuration = {"query": {"destinationTable": last.configuration["query"]["destinationTable"]}}
        return outcome

    def _cancel_child(self) -> None:
        child, reason = self._child, self.job.cancelled
        if child is not None and reason is not None:
            child.cancel(reason)

    def _script(self, frame: Frame) -> None:
        """Run a frame to its end or to its RETURN."""
        self.frames.append(frame)
        try:
            self._list(frame, frame.script.statements)
        except _Return:
            pass
        finally:
            self.frames.pop()

    # -- statements

    def _list(self, frame: Frame, nodes: Sequence[Node]) -> None:
        for node in nodes:
            self._statement(frame, node)

    def _statement(self, frame: Frame, node: Node) -> None:
        self.job.check()
        before, frame.node = frame.node, node
        try:
            _RUN[type(node)](self, frame, node)
        except TuleError as error:
            raise self._failure(error, frame) from None
        finally:
            frame.node = before

    def _failure(self, error: TuleError, frame: Frame) -> Failure:
        """An error of a statement, as handlers and the end of the script see it."""
        if self.job.cancelled is not None:
            raise self.job.cancelled
        if isinstance(error, Internal):
            raise error
        node = frame.node
        frame.script.text.placed(error, node.start, frame.name, always=isinstance(error, _Raised))
        message = error.message
        trace = [(*each.script.text.position(each.node.start), each.name or None) for each in reversed(self.frames)]
        kept = f"Query error: {message}"
        failure = Failure(_again(error, kept), kept, shown(frame, node), trace)
        if isinstance(error, _Raised):
            failure.message = error.words
        return failure

    def _sql(self, frame: Frame, node: n.Sql) -> None:
        statement = self._read(frame, node)
        if isinstance(statement, CreateRoutineNamed) and statement.target is None:
            self._temporary_function(frame, node, statement)
            return
        child = self.run_child(frame, node, statement)
        affected = child.statistics.get("query", {}).get("numDmlAffectedRows")
        self.state.row_count = int(affected) if isinstance(statement, Dml) and affected is not None else None

    def _read(self, frame: Frame, node: n.Sql) -> Statement:
        try:
            (statement,) = statements([node.tree.copy()], self.project, self.state.dataset, self._temporary)
        except TuleError as error:
            raise frame.script.text.shifted(error, node.start) from None
        return statement

    def _temporary_function(self, frame: Frame, node: n.Sql, statement: CreateRoutineNamed) -> None:
        definition = statement.definition
        name = definition.path[0]
        exists = name.lower() in self.state.functions

        def work(_: Job) -> Outcome:
            if exists and not definition.replace and not definition.if_not_exists:
                raise InvalidArgument(f"Already Exists: Function {name}", reason="duplicate")
            operation = "SKIP" if exists and definition.if_not_exists else "REPLACE" if exists else "CREATE"
            if operation != "SKIP":
                self._executor.check_function(definition, self._plan(frame, node, statement))
                self.state.functions[name.lower()] = definition
            about = {"statementType": statement.kind, "ddlOperationPerformed": operation}
            return Outcome({"query": {**about, "ddlTargetRoutine": {"routineId": name}}})

        self.run_child(frame, node, statement, work)

    # -- child jobs

    def run_child(
        self, frame: Frame, node: Any, statement: Statement, work: Callable[[Job], Outcome] | None = None, *,
        kind: str = "STATEMENT", text: str = "",
    ) -> Job:  # fmt: skip
        """Run a statement as a job of its own; raises its error."""
        child = self._made(frame, node, kind, text or frame.script.source(node))
        child.statistics["query"] = {"statementType": statement.kind}
        plan = self._plan(frame, node, statement, child)

        def placed_work(running: Job) -> Outcome:
            try:
                return work(running) if work is not None else self._executor.execute(running, plan)
            except TuleError as error:
                if isinstance(node, n.Sql | Expression):
                    # What was run begins where the node does; an expression one line below its SELECT.
                    frame.script.text.shifted(error, node.start, lines=int(isinstance(node, Expression)))
                raise frame.script.text.placed(error, node.start, frame.name) from None

        self._child = child
        try:
            self.job.check()
            self._jobs.run_here(child, placed_work, record=plan.changes_something)
        finally:
            self._child = None
        self.state.last_job = child.reference.job
        self.bytes += int(child.statistics.get("totalBytesProcessed", "0"))
        self.billed += int((child.statistics.get("query") or {}).get("totalBytesBilled", "0"))
        if child.failure is not None:
            if self.job.cancelled is not None:
                raise self.job.cancelled
            raise child.failure
        if kind == "STATEMENT":
            self._last = child
        return child

    def _made(self, frame: Frame, node: Any, kind: str, text: str) -> Job:
        mine = self.job.configuration["query"]
        query: dict[str, Any] = {"query": text, "useLegacySql": False, "priority": mine.get("priority", "INTERACTIVE")}
        if self.state.dataset:
            project, _, dataset = self.state.dataset.rpartition(".")
            query["defaultDataset"] = {"projectId": project, "datasetId": dataset}
        configuration: dict[str, Any] = {"jobType": "QUERY", "query": query}
        labels = self.state.labels if self.state.labels is not None else self.job.configuration.get("labels")
        if labels:
            configuration["labels"] = dict(labels)
        reference = self.job.reference
        child = Job(
            JobReference(reference.project, f"script_job_{self._seal}_{self.children}", reference.location),
            configuration,
            self.job.user,
            self._jobs.now(),
            parent=reference.job,
        )
        self.children += 1
        frames = [frame.json(node)]
        frames += [each.json(each.node) for each in reversed(self.frames) if each is not frame]
        child.statistics["scriptStatistics"] = {"evaluationKind": kind, "stackFrames": frames}
        if self.plan.session is not None:
            child.statistics["sessionInfo"] = {"sessionId": self.plan.session.id}
        if self.state.transaction is not None:
            child.statistics["transactionInfo"] = {"transactionId": self.state.transaction.id}
        return child

    def _plan(self, frame: Frame, node: Any, statement: Statement, child: Job | None = None) -> QueryPlan:
        return replace(
            self.plan,
            statement=statement,
            script=None,
            dataset=self.state.dataset,
            names_project=self.project,
            parameters=frame.parameters,
            destination=None,
            scope=self.scope(frame, node, child),
            transaction=self.state.transaction,
        )

    @property
    def project(self) -> str:
        """The project of names that have none."""
        return self.state.project or self.plan.project

    def scope(self, frame: Frame, node: Any, child: Job | None = None) -> Scope:
        """What names mean to a statement or an expression of a frame now."""
        return Scope(
            variables=frame.variables(),
            system=self.system.reader(child),
            functions=self.state.functions,
            temporary=self._temporary,
            first_position=getattr(node, "positions", 0),
        )

    # -- expressions

    @contextmanager
    def _lines(self, parameters: Mapping[str, Parameter], scope: Scope) -> Iterator[Line]:
        with self._executor.line(
            self.project, self.state.dataset, parameters, self.plan.guard, self.job, scope=scope
        ) as line:
            yield line

    def _run_expression(self, frame: Frame, node: Expression) -> tuple[Any, Any]:
        """An expression with a query inside, as a job."""
        statement = Query("SELECT", node.tree)
        text = f"SELECT ({frame.script.source(node)})"
        child = self.run_child(frame, node, statement, kind="EXPRESSION", text=text)
        table = _rows(child).table()
        return table.schema, table

    def evaluate(self, frame: Frame, node: Expression) -> Value:
        return self._evaluator.evaluate(frame, node)

    def coerced(self, frame: Frame, node: Expression, wanted: Field) -> Value:
        return self._evaluator.coerced(frame, node, wanted)

    def convert(self, value: Value, wanted: Field, *, literal: bool = False) -> Value:
        return self._evaluator.convert(value, wanted, literal=literal)

    # -- variables

    def _declare(self, frame: Frame, node: n.Declare) -> None:
        kind = None if node.type is None else self._type(frame, node)
        if node.default is None:
            assert kind is not None
            value = Value(kind)
        elif kind is None:
            value = self.evaluate(frame, node.default)
            kind = value.field
        else:
            value = self.coerced(frame, node.default, kind)
        for name in node.names:
            frame.declare(name, kind, value)

    @staticmethod
    def _type(frame: Frame, node: n.Declare) -> Field:
        try:
            return field_of("", node.type)  # type: ignore[arg-type]
        except TuleError as error:
            raise frame.script.text.shifted(error, node.start) from None

    def _assign(self, frame: Frame, node: n.Assign) -> None:
        variable = frame.variable(node.name, node.place)
        frame.assign(variable, self.coerced(frame, node.value, variable.field))

    def _assign_struct(self, frame: Frame, node: n.AssignStruct) -> None:
        seen: set[str] = set()
        for name, place in zip(node.names, node.places, strict=True):
            if name.lower() in seen:
                raise frame.script.text.error(f"Assigning multiple values to variable: {name}", place)
            seen.add(name.lower())
        variables = [frame.variable(name, place) for name, place in zip(node.names, node.places, strict=True)]
        wanted = Field(
            "", "STRUCT", fields=tuple(replace(each.field, name=f"_{at}") for at, each in enumerate(variables))
        )
        if len(variables) == 1:
            frame.assign(variables[0], self.coerced(frame, node.value, variables[0].field))
            return
        made = self.coerced(frame, node.value, wanted)
        for at, variable in enumerate(variables):
            field = variable.field
            value = None if made.value is None else made.value[f"_{at}"]
            frame.assign(variable, Value(field, value, made.size))

    def _assign_system(self, frame: Frame, node: n.AssignSystem) -> None:
        self.system.assign(frame, node, self.evaluate(frame, node.value))

    # -- control

    def _block(self, frame: Frame, node: n.Block) -> None:
        try:
            if node.handler is None:
                with frame.block():
                    self._list(frame, node.body)
                return
            try:
                with frame.block():
                    self._list(frame, node.body)
            except Failure as failure:
                self._handle(frame, node.handler, failure)
        except _Jump as jump:
            if not node.label or jump.node.label.lower() != node.label.lower():
                raise

    def _handle(self, frame: Frame, handler: Sequence[Node], failure: Failure) -> None:
        self.failures.append(failure)
        try:
            with frame.block():
                self._list(frame, handler)
        finally:
            self.failures.pop()

    def _if(self, frame: Frame, node: n.If) -> None:
        for branch in node.branches:
            if self._evaluator.condition(frame, branch.condition):
                self._list(frame, branch.body)
                return
        self._list(frame, node.otherwise)

    def _case(self, frame: Frame, node: n.Case) -> None:
        operand = None if node.operand is None else self.evaluate(frame, node.operand)
        for branch in node.branches:
            if operand is None:
                chosen = self._evaluator.condition(frame, branch.condition)
            else:
                chosen = self._evaluator.equal(frame, operand, branch.condition)
            if chosen:
                self._list(frame, branch.body)
                return
        self._list(frame, node.otherwise)

    def _round(self, frame: Frame, node: n.Labelled) -> bool:
        """One round of a loop; whether it goes on."""
        try:
            self._list(frame, node.body)
        except _Jump as jump:
            if jump.node.label and jump.node.label.lower() != node.label.lower():
                raise
            return jump.node.continues
        return True

    def _loop(self, frame: Frame, node: n.Loop) -> None:
        while self._round(frame, node):
            self.job.check()

    def _while(self, frame: Frame, node: n.While) -> None:
        while self._evaluator.condition(frame, node.condition) and self._round(frame, node):
            self.job.check()

    def _repeat(self, frame: Frame, node: n.Repeat) -> None:
        while self._round(frame, node) and not self._evaluator.condition(frame, node.until):
            self.job.check()

    def _for(self, frame: Frame, node: n.ForIn) -> None:
        statement = self._read(frame, node.query)
        child = self.run_child(frame, node.query, statement, kind="EXPRESSION")
        rows = _rows(child)
        with frame.block():
            for batch in rows.scan():
                for index in range(batch.num_rows):
                    self.job.check()
                    record = _record(batch, rows.schema, index)
                    frame.declare(node.variable, record.field, record)
                    if not self._round(frame, node):
                        return

    def _jump(self, frame: Frame, node: n.Jump) -> None:
        raise _Jump(node)

    def _return(self, frame: Frame, node: n.Return) -> None:
        raise _Return

    def _raise(self, frame: Frame, node: n.Raise) -> None:
        if node.message is None:
            raise self.failures[-1]
        words = self.coerced(frame, node.message, Field("", "STRING")).value
        text = "NULL" if words is None else words
        raise _Raised(text)

    # -- EXECUTE IMMEDIATE

    def _execute(self, frame: Frame, node: n.Execute) -> None:
        text = frame.script.text
        if len(self.frames) >= DEEPEST:
            raise text.error("Out of stack space due to deeply-nested execute immediate call", node.start)
        variables = [frame.variable(name, place) for name, place in zip(node.into, node.places, strict=True)]
        sql = self.coerced(frame, node.text, Field("", "STRING")).value
        if sql is None:
            raise text.error("EXECUTE IMMEDIATE sql string cannot be NULL", node.text.start)
        parameters = self._using(frame, node)
        if len({name.lower() for name in node.into}) < len(node.into):
            raise text.error(
                "EXECUTE IMMEDIATE with INTO clause cannot assign to the same variable multiple times", node.places[0]
            )
        inner = self._dynamic(frame, node, sql, parameters)
        (only,) = inner.script.statements
        self.frames.append(inner)
        try:
            inner.node = only
            if not node.into:
                self._statement(inner, only)
                return
            try:
                self._into(frame, inner, only, variables)
            except TuleError as error:
                raise self._failure(error, inner) from None
        finally:
            self.frames.pop()

    def _using(self, frame: Frame, node: n.Execute) -> dict[str, Parameter]:
        found: dict[str, Parameter] = {}
        for index, each in enumerate(node.using):
            name = each.name.lower() or str(index)
            if name in found:
                raise frame.script.text.error(
                    "EXECUTE IMMEDIATE USING parameters must have unique names, found duplicate name: " + each.name,
                    each.place,
                )
            found[name] = self.evaluate(frame, each.value).parameter
        return found

    def _dynamic(self, frame: Frame, node: n.Execute, sql: str, parameters: dict[str, Parameter]) -> Frame:
        text, place = frame.script.text, node.text.start
        if not sql.strip():
            raise text.error("Empty EXECUTE IMMEDIATE sql string cannot be executed", place)
        try:
            script = self._parsed.script(sql)
        except TuleError as error:
            raise text.error(f"Invalid EXECUTE IMMEDIATE sql string `{sql}`, {error.message}", place) from None
        if len(script.statements) != 1:
            raise text.error("EXECUTE IMMEDIATE sql string must contain exactly one statement", place)
        (only,) = script.statements
        if not isinstance(only, n.PLAIN):
            raise text.error(
                f"SQL created by EXECUTE IMMEDIATE contains unsupported statement type: {_named(only)}", place
            )
        given = sum(name.isdigit() for name in parameters)
        if script.positions > given:
            raise text.error(
                f"Script has {script.positions} positional parameters but only {given} were supplied", place
            )
        for name in sorted(script.parameters - parameters.keys()):
            raise text.error(f"Unknown named query parameter: {name}", place)
        return Frame(script, frame.name, parameters, dynamic=True)

    def _into(self, frame: Frame, inner: Frame, only: Node, variables: Sequence[Any]) -> None:
        if not isinstance(only, n.Sql) or not isinstance(statement := self._read(inner, only), Query):
            raise inner.script.text.error("EXECUTE IMMEDIATE with INTO clause must use a query statement", only.start)
        rows = _rows(self.run_child(inner, only, statement))
        columns = rows.schema
        if len(columns) != len(variables):
            raise inner.script.text.error(
                "Variables returned by Dynamic SQL do not match number of variables in INTO clause, expected "
                f"{len(variables)} columns, but got {len(columns)}",
                only.start,
            )
        if rows.num_rows > 1:
            raise inner.script.text.error("DynamicSQL may only return 0 or 1 rows with INTO clause", only.start)
        table = rows.table()
        for at, variable in enumerate(variables):
            field = variable.field
            if not rows.num_rows:
                frame.assign(variable, Value(field))
                continue
            value = of_column(table.column(at), columns.field(at))
            try:
                frame.assign(variable, self.convert(value, field))
            except Misfit:
                raise inner.script.text.error(
                    f"Value returned by Dynamic SQL has type {value.type} which is not assignable to variable "
                    f"{variable.name} of type {variable.value.type}",
                    only.start,
                ) from None

    # -- CALL, ASSERT, transactions

    def _call(self, frame: Frame, node: n.Call) -> None:
        self._procedures.call(self, frame, node, self._script)

    def _assert(self, frame: Frame, node: n.Assert) -> None:
        statement = Query("ASSERT", node.condition.tree)
        plan = replace(self._plan(frame, node.condition, statement), statement=Query("SELECT", node.condition.tree))

        def work(running: Job) -> Outcome:
            try:
                outcome = self._executor.execute(running, plan)
            except TuleError as error:
                raise frame.script.text.shifted(error, node.condition.start, lines=1) from None
            column = of_column(outcome.result.table().column(0), outcome.result.schema.field(0))
            outcome.undo()
            if column.type != "BOOL" and not (node.condition.literal and column.value is None):
                raise frame.script.text.error(
                    f"ASSERT expression should return type BOOL, but returns type {column.type}", node.condition.start
                )
            if column.value is not True:
                words = f"Assertion failed: {node.description}" if node.description else "Assertion failed"
                raise InvalidArgument(words, reason="invalidQuery", location="query")
            about = {**outcome.statistics["query"], "statementType": "ASSERT"}
            about.pop("schema", None)
            return Outcome({**outcome.statistics, "query": about})

        self.run_child(frame, node, statement, work)

    def _transaction(self, frame: Frame, node: n.Transaction) -> None:
        statement = Statement(f"{node.verb}_TRANSACTION", None)  # type: ignore[arg-type]
        self.run_child(frame, node, statement, self._transactions.work(self.state, node.verb, self.plan))


_RUN: dict[type[Node], Callable[[Interpreter, Frame, Any], None]] = {
    n.Sql: Interpreter._sql,
    n.Declare: Interpreter._declare,
    n.Assign: Interpreter._assign,
    n.AssignStruct: Interpreter._assign_struct,
    n.AssignSystem: Interpreter._assign_system,
    n.Block: Interpreter._block,
    n.If: Interpreter._if,
    n.Case: Interpreter._case,
    n.Loop: Interpreter._loop,
    n.While: Interpreter._while,
    n.Repeat: Interpreter._repeat,
    n.ForIn: Interpreter._for,
    n.Jump: Interpreter._jump,
    n.Return: Interpreter._return,
    n.Raise: Interpreter._raise,
    n.Execute: Interpreter._execute,
    n.Call: Interpreter._call,
    n.Assert: Interpreter._assert,
    n.Transaction: Interpreter._transaction,
}


class _Raised(InvalidArgument):
    """What RAISE USING MESSAGE says."""

    def __init__(self, words: str) -> None:
        super().__init__(words, reason="invalidQuery", location="query")
        self.words = words


_NAMES: dict[type[Node], str] = {
    n.Declare: "VariableDeclaration",
    n.Assign: "SingleAssignment",
    n.AssignStruct: "AssignmentFromStruct",
    n.AssignSystem: "SystemVariableAssignment",
    n.Block: "BeginEndBlock",
    n.Loop: "WhileStatement",
    n.ForIn: "ForInStatement",
    n.Execute: "ExecuteImmediateStatement",
}


def _named(node: Node) -> str:
    """A statement's kind as GoogleSQL's parser names it."""
    return _NAMES.get(type(node), f"{type(node).__name__}Statement")


def _rows(job: Job) -> Rows:
    """The rows of a child that was a query."""
    rows = job.result
    if rows is None:
        raise not_implemented("A query without a result here")
    return rows


def _record(batch: Any, schema: Any, index: int) -> Value:
    """A row as a struct."""
    cells = [of_column(batch.column(at), schema.field(at), index) for at in range(len(schema))]
    fields = tuple(replace(cell.field, name=schema.field(at).name) for at, cell in enumerate(cells))
    values = {field.name: cell.value for field, cell in zip(fields, cells, strict=True)}
    return Value(Field("", "STRUCT", fields=fields), values, sum(cell.size for cell in cells))


def _again(error: TuleError, message: str) -> TuleError:
    """The same kind of error with other words."""
    made = type(error)(message) if not isinstance(error, _Raised) else InvalidArgument(message)
    made.message, made.args = message, (message,)
    made.reason, made.location, made.details = error.reason, error.location, error.details
    return made


def shown(frame: Frame, node: Any) -> str:
    """``@@error.statement_text``: of a statement with others inside only its head."""
    if isinstance(node, n.If):
        end = node.branches[0].condition.end
    elif isinstance(node, n.While):
        end = node.condition.end
    elif isinstance(node, n.ForIn):
        end = node.query.end
    else:
        return frame.script.source(node)
    return f"{frame.script.text.text[node.start : end]}..."
