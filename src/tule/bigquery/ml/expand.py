"""The ML.* table functions in FROM: each becomes a relation or a query, so that it may stand wherever a table may.

A function that answers a table of its own is computed at once and kept for the statement. One that puts columns before
those of given rows becomes a query over these rows: a linear prediction as an expression, any other as a function of the
engine's session, so that rows stream through it in constant memory and only those that the query needs.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from sqlglot import exp

from tule.bigquery.ml import (
    correlation,
    decompositions,
    key_drivers,
    nodes,
    predict_sql,
    series_functions,
    vector_search,
)
from tule.bigquery.ml.arguments import Arguments, model_of, read_arguments
from tule.bigquery.ml.batches import QueryBatches, Relation, actual
from tule.bigquery.ml.data_calls import Rows
from tule.bigquery.ml.functions import (
    FUNCTIONS,
    REFUSED,
    Call,
    ExpressionFunction,
    Function,
    QueryFunction,
    RowFunction,
    TableFunction,
    Trained,
    describe_data,
    features_at_time,
    form,
    generate_embedding,
    tfdv_describe,
    validate_data_drift,
)
from tule.bigquery.ml.inputs import check_types, input_items
from tule.bigquery.ml.mistakes import users_errors
from tule.bigquery.ml.options.model_types import GLM, REMOTE
from tule.bigquery.ml.trials import TRIAL, trial_of
from tule.bigquery.ml.vectors.indexes import VectorIndexes
from tule.bigquery.model_statements import Run
from tule.bigquery.references import ModelReference
from tule.bigquery.sql import Context, compile_query
from tule.bigquery.sql.rules.expand_model_functions import function_name
from tule.bigquery.sql.rules.resolve_tables import relation as relation_node
from tule.bigquery.types import Field, fields_of
from tule.kernel.errors import InvalidArgument, Unimplemented

if TYPE_CHECKING:
    from tule.learn.data import Batches

AI_EMBEDDING = "AI.GENERATE_EMBEDDING"
ANSWER = "_tule_answer_"
INPUT = "_tule_input_{}_"

WITHOUT_MODEL: dict[str, Callable[[exp.Expression, Context, Run], exp.Expression]] = {
    key_drivers.NAME: key_drivers.expand,
    correlation.NAME: correlation.expand,
    **{
        name: partial(module.expand, name) for module in (series_functions, decompositions) for name in module.FUNCTIONS
    },
    **{f"ML.{module.NAME}": module.expand for module in (describe_data, tfdv_describe, validate_data_drift)},
    f"ML.{features_at_time.AT_TIME}": features_at_time.at_time,
    f"ML.{features_at_time.ENTITY_AT_TIME}": features_at_time.entity_at_time,
}
"""Functions that take no model: what stands in the place of a call."""

Open = Callable[[ModelReference], Trained]


def expand(call: exp.Expression, context: Context, run: Run, open: Open, indexes: VectorIndexes) -> exp.Expression:
    """What stands in the place of a table function. ``open`` gives the model of a name, or raises NotFound."""
    name = function_name(call)  # type: ignore[arg-type]
    if name == vector_search.NAME:
        return vector_search.expand(call, context, run, indexes)
    if name in WITHOUT_MODEL:
        return WITHOUT_MODEL[name](call, context, run)
    forms = _function(name)
    model = model_of(call, forms[0], context)
    run.guard("bigquery.models.getData", model.name)
    trained = open(model)
    if trained.options.model_type == REMOTE:
        run.guard("bigquery.connections.use", trained.model.connection)  # type: ignore[attr-defined]
    function, arguments = _form(call, forms, trained, context, run)
    if trained.tuning is not None and function.by_trial:
        made = _by_trial(call, function, arguments, context, run, trained)
    else:
        values = function.read_arguments(arguments.values, trained)
        made = _expanded(_Expansion(call, context, run, trained, arguments, values), function)
    return _with_simple_names(made, trained) if name == AI_EMBEDDING else made


def _with_simple_names(made: exp.Expression, trained: Trained) -> exp.Expression:
    """The answer of ML.GENERATE_EMBEDDING with the column names of AI.GENERATE_EMBEDDING."""
    first = [nodes.column(TRIAL)] if trained.tuning is not None else []
    vector = nodes.named(nodes.column(generate_embedding.RESULT), "embedding")
    rest = exp.Star(except_=[*(each.copy() for each in first), nodes.column(generate_embedding.RESULT)])
    source = nodes.subquery(made) if isinstance(made, exp.Query) else made
    return nodes.select([*first, vector, rest], source)


def _by_trial(
    call: exp.Expression, function: Function, arguments: Arguments, context: Context, run: Run, trained: Trained
) -> exp.Expression:
    """The answer for one trial, or of what describes the model for each, with ``trial_id`` before its columns."""
    written = {name: value for name, value in arguments.values.items() if name.lower() != TRIAL}
    named = next((value for name, value in arguments.values.items() if name.lower() == TRIAL), None)
    values = function.read_arguments(written, trained)
    if isinstance(function, TableFunction) and arguments.data is None and named is None and function.for_each_trial:
        assert trained.tuning is not None
        every = [trial_of(trained, number) for number in trained.tuning.usable]
        return _Expansion(call, context, run, trained, arguments, values).tables(function, every)
    number, chosen = trial_of(trained, named)
    expansion = _Expansion(call, context, run, chosen, arguments, values)
    if isinstance(function, TableFunction):
        return expansion.tables(function, [(number, chosen)])
    literal = predict_sql.typed(exp.Literal.number(number), "INT64")
    return nodes.select([nodes.named(literal, TRIAL), exp.Star()], nodes.subquery(_expanded(expansion, function)))


def _expanded(expansion: _Expansion, function: Function) -> exp.Expression:
    if isinstance(function, RowFunction):
        return expansion.beside_rows(function)
    if isinstance(function, ExpressionFunction):
        return expansion.expressions(function)
    if isinstance(function, QueryFunction):
        return expansion.asked(function)
    assert isinstance(function, TableFunction)
    return expansion.table(function)


def _form(
    call: exp.Expression, forms: Sequence[Function], trained: Trained, context: Context, run: Run
) -> tuple[Function, Arguments]:
    """The form of the function that the model and the rows given ask for, and the arguments as it reads them."""
    function = form(forms[0].name, forms, trained, None)
    arguments = read_arguments(call, function, context)
    if len(forms) > 1 and arguments.data is not None:
        made = compile_query(nodes.standalone(arguments.data, call), context.beside())
        columns = run.session.schema(made.sql, made.parameters).names
        function = form(function.name, forms, trained, columns)
    return function, arguments


def _function(name: str) -> Sequence[Function]:
    head, _, last = name.rpartition(".")
    if (head == "ML" and last in FUNCTIONS) or name == AI_EMBEDDING:
        return FUNCTIONS[last]
    if name in REFUSED or head == "AI":
        raise Unimplemented(
            f"Tule does not do {name}",
            given=REFUSED.get(name),
            do="deploy a model to an endpoint and ask it by ML.PREDICT of a remote model, or see docs/bigquery-ml.md",
            reason="notImplemented",
        )
    near = difflib.get_close_matches(last, FUNCTIONS, n=2) if head == "ML" else []
    raise InvalidArgument(
        f"Table-valued function not found: {name}",
        do=f"did you mean {' or '.join(f'ML.{each}' for each in near)}?" if near else None,
        reason="invalidQuery",
        location="query",
    )


class _Expansion:
    """One call while it is expanded."""

    def __init__(
        self,
        place: exp.Expression,
        context: Context,
        run: Run,
        trained: Trained,
        arguments: Arguments,
        values: dict[str, Any],
    ) -> None:
        self._place = place
        self._context = context
        self._run = run
        self._trained = trained
        self._arguments = arguments
        self._values = values

    # -- queries of parts of the tree

    def _compiled(self, tree: exp.Expression) -> Any:
        return compile_query(tree, self._context.beside())

    def _schema(self, tree: exp.Expression) -> pa.Schema:
        made = self._compiled(tree)
        found: pa.Schema = self._run.session.schema(made.sql, made.parameters)
        return found

    def _result(self, tree: exp.Expression) -> Any:
        made = self._compiled(tree)
        return self._run.session.query(made.sql, made.parameters)

    def _rows(self) -> exp.Expression:
        """A copy of the data argument that can be run alone."""
        assert self._arguments.data is not None
        return nodes.standalone(self._arguments.data, self._place)

    def _inputs(
        self, rows: pa.Schema, wanted: Sequence[str] | None = None
    ) -> tuple[list[tuple[str, exp.Expression]], pa.Schema]:
        """The model's inputs (or other columns) over the rows, and their types."""
        items = input_items(self._trained, rows, wanted)
        columns = [nodes.named(node.copy(), name) for name, node in items]
        found = self._schema(nodes.select(columns, nodes.subquery(self._rows())))
        check_types(self._trained, found)
        return items, found

    # -- functions with a table of their own

    def table(self, function: TableFunction) -> exp.Expression:
        data = self._given(function) if self._arguments.data is not None else None
        with users_errors():
            answer = function.answer(Call(self._trained, self._values, data, self._arguments.array))
            batches = () if self._run.looking else answer.batches()
        return relation_node(self._run.session.temporary(answer.schema, iter(batches)))

    def tables(self, function: TableFunction, trials: Sequence[tuple[int, Trained]]) -> exp.Expression:
        """The answers for these trials one after the other, each row with its trial's id first."""
        data = self._given(function) if self._arguments.data is not None else None
        with users_errors():
            answers = [
                (number, function.answer(Call(trained, self._values, data, self._arguments.array)))
                for number, trained in trials
            ]
            schema = answers[0][1].schema.insert(0, pa.field(TRIAL, pa.int64()))
            rows = [] if self._run.looking else [(number, answer.batches()) for number, answer in answers]
        batches = (
            pa.RecordBatch.from_arrays([pa.array([number] * len(batch), pa.int64()), *batch.columns], schema=schema)
            for number, found in rows
            for batch in found
        )
        return relation_node(self._run.session.temporary(schema, batches))

    def _given(self, function: TableFunction) -> Batches:
        """The rows of the data argument as the columns that the function reads."""
        rows = self._schema(self._rows())
        items, schema = self._inputs(rows, function.reads(self._trained, rows.names))
        columns = [nodes.named(node, name) for name, node in items]
        query = nodes.select(columns, nodes.subquery(self._rows()))
        relation = Relation(nodes.subquery(query), schema)
        return QueryBatches(self._result, relation, schema.names, check=self._run.check)

    # -- functions that ask of rows

    def asked(self, function: QueryFunction) -> exp.Expression:
        assert self._arguments.data is not None
        call = Call(self._trained, self._values)
        with users_errors():
            function.check(call)
        rows = Rows(self._arguments.data, self._place, replace(self._run, context=self._context.beside))
        batches: list[pa.RecordBatch] = []
        with users_errors():
            if self._run.looking:
                rows.check()
            else:
                batches = function.answer(call, rows.readable(), rows.run.batches).to_batches()
        return relation_node(self._run.session.temporary(function.schema, iter(batches)))

    # -- functions that are expressions

    def expressions(self, function: ExpressionFunction) -> exp.Expression:
        assert self._arguments.data is not None
        rows = self._schema(self._rows())
        items, left_out = function.items(self._trained, rows)
        columns = [nodes.named(node, name) for name, node in items]
        if len(left_out) < len(rows.names):
            columns.append(exp.Star(except_=[nodes.column(name) for name in left_out] or None))
        return nodes.select(columns, nodes.subquery(self._arguments.data))

    # -- functions of rows

    def beside_rows(self, function: RowFunction) -> exp.Expression:
        assert self._arguments.data is not None
        call = Call(self._trained, self._values)
        own = function.fields(call)
        rows = self._schema(self._rows())
        items, inputs = self._inputs(rows)
        dropped = [name for name in (actual(rows.names, each) for each in function.drops(call)) if name is not None]
        _check_names([each.name for each in own], [name for name in rows.names if name not in dropped])
        # The argument itself moves into the query that stands in the call's place, where its names mean what they did.
        data = self._arguments.data
        if function.name == "PREDICT" and self._trained.options.model_type in GLM:
            expression = self._linear(items, data)
            if expression is not None:
                return expression
        name = self._run.session.function(
            fields_of(inputs),
            fields_of(pa.schema(own)),
            self._computing(function, call),
            pure=self._trained.options.model_type != REMOTE,
        )
        answer = nodes.engine_call(name, nodes.structure(items))
        inner = nodes.select([exp.Star(), nodes.named(answer, ANSWER)], nodes.subquery(data))
        columns = [
            nodes.named(predict_sql.typed(nodes.field(nodes.column(ANSWER), each.name), _type_text(each)), each.name)
            for each in own
        ]
        if len(dropped) < len(rows.names):
            columns.append(exp.Star(except_=[nodes.column(name) for name in (ANSWER, *dropped)]))
        return nodes.select(columns, nodes.subquery(inner))

    def _computing(self, function: RowFunction, call: Call) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
        schema = pa.schema([_outward(each) for each in function.fields(call)])
        check = self._run.check

        def compute(batch: pa.RecordBatch) -> pa.RecordBatch:
            check()
            return pa.RecordBatch.from_arrays(function.columns(call, batch), schema=schema)

        return compute

    def _linear(self, items: list[tuple[str, exp.Expression]], data: exp.Expression) -> exp.Expression | None:
        """A linear model's prediction as expressions; None where it has no good one."""
        formula = self._trained.model.linear_expression()
        source: dict[str, exp.Expression] = {}
        computed: dict[str, exp.Expression] = {}
        for at, (name, node) in enumerate(items):
            if isinstance(node, exp.Column):
                source[name] = node
            else:
                # A column of its own: the formula may name it many times.
                computed[INPUT.format(at)] = node
                source[name] = nodes.column(INPUT.format(at))
        found = predict_sql.prediction(self._trained, formula, self._values["threshold"], source)
        if found is None:
            return None
        if computed:
            columns = [nodes.named(node, name) for name, node in computed.items()]
            data = nodes.select([exp.Star(), *columns], nodes.subquery(data))
        return predict_sql.query(found, data, list(computed))


def _type_text(field: pa.Field) -> str:
    from tule.bigquery.catalog import type_text

    return type_text(Field.from_arrow(field))


def _outward(field: pa.Field) -> pa.Field:
    """The field as columns of the engine are typed."""
    return Field.from_arrow(field).arrow


def _check_names(own: list[str], given: list[str]) -> None:
    """Refuse an own column that the input has already, as BigQuery does."""
    taken = {name.lower(): name for name in given}
    for name in own:
        if name.lower() in taken:
            raise InvalidArgument(
                f"Duplicate column name {taken[name.lower()]} in the result",
                given="a column of that name in the input",
                do="rename it in the query, or leave it out with SELECT * EXCEPT",
                reason="invalidQuery",
                location="query",
            )
