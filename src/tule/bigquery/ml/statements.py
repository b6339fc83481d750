"""Model statements and model functions for queries: ``bigquery.model_statements.ModelStatements``."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tule.bigquery.connections.connections import Connections, connection_name
from tule.bigquery.datasets import Datasets
from tule.bigquery.errors import already_exists, invalid_query
from tule.bigquery.jobs import Job, Outcome
from tule.bigquery.labels import checked_labels
from tule.bigquery.ml.bundles import Bundles
from tule.bigquery.ml.imports.ports import Endpoints, ForeignModels
from tule.bigquery.ml.options import ModelOptions, read_options
from tule.bigquery.ml.options.model_types import ANSWERING, REGISTERED, REMOTE, TRANSFORM_ONLY, TRANSFORMED
from tule.bigquery.ml.registration import Registry, Story, evaluation, is_model_id, region, registered_id
from tule.bigquery.ml.vectors.indexes import States, VectorIndexes
from tule.bigquery.model_statements import Run, reference
from tule.bigquery.models import KIND, Models
from tule.bigquery.references import ModelReference, TableReference
from tule.bigquery.source_files import ObjectFiles
from tule.kernel.clock import Clock
from tule.kernel.errors import InvalidArgument, NotFound, Unimplemented
from tule.kernel.home import Home
from tule.kernel.records import Record, Records

if TYPE_CHECKING:
    from sqlglot import exp

    from tule.bigquery.ml.functions import Trained
    from tule.bigquery.ml.training import Finished
    from tule.bigquery.ml.trials import TunedTrial
    from tule.bigquery.sql import Context
    from tule.bigquery.sql.statements import AlterModelOptions, CreateModel, ExportModelTo
    from tule.bigquery.sql.table_definitions import CreateVectorIndex, DropVectorIndex

_LOG = logging.getLogger(__name__)
_PRIVATE = "_tule"
_REGISTERED = ("vertexAiModelId", "vertexAiModelVersion")
"""What a training run says of its version in the registry."""


class MachineLearning:
    """Trains, keeps and uses the models of all datasets. ``registry`` is asked for when a model is to be registered."""

    def __init__(
        self,
        *,
        records: Records,
        datasets: Datasets,
        models: Models,
        home: Home,
        clock: Clock,
        objects: ObjectFiles,
        registry: Callable[[], Registry],
        location: str,
        foreign: Callable[[], ForeignModels],
        endpoints: Callable[[], Endpoints],
        connections: Connections,
        states: States,
        automl_hour: float = 3600.0,
        story: Callable[[], Story] | None = None,
    ) -> None:
        """``automl_hour``: seconds that an hour of BUDGET_HOURS lasts.

        ``location``: the server's own region, where models of the multi-region US are registered. ``foreign``,
        ``endpoints`` and ``connections``: what models that were not trained here are answered by and reached through."""
        self._records = records
        self._datasets = datasets
        self._models = models
        self._clock = clock
        self._objects = objects
        self._registry = registry
        self._story = story
        self._location = location
        self._automl_hour = automl_hour
        self._foreign = foreign
        self._endpoints = endpoints
        self._connections = connections
        self.bundles = Bundles(home, foreign, endpoints)
        self.indexes = VectorIndexes(records, home, clock, states)

    def sweep(self) -> None:
        """Remove bundles that no model names, and indexes of tables that are gone; called once at start."""
        self.indexes.sweep()
        used = {record.body[_PRIVATE]["bundle"] for record in self._records.list(KIND).records}
        if gone := self.bundles.sweep(used):
            _LOG.info("%d bundles that no model named were removed", gone)

    # -- reading

    def open(self, target: ModelReference) -> Trained:
        """The model of a name; raises NotFound in BigQuery's words."""
        name = f"{target.project}.{target.dataset}.{target.model}"
        while True:
            record = self._models.record(target)
            bundle = record.body[_PRIVATE]["bundle"]
            try:
                opened = self.bundles.open(bundle, name)
                if opened.options.model_type == REMOTE:
                    self._connections.check_resource(opened.model.connection)  # type: ignore[attr-defined]
                return opened
            except NotFound:
                again = self._models.find(target)
                if again is not None and again.body[_PRIVATE]["bundle"] == bundle:
                    raise
                # It was replaced or dropped between the two looks.

    def expand(self, node: exp.Expression, context: Context, run: Run) -> exp.Expression:
        from tule.bigquery.ml.expand import expand

        return expand(node, context, run, self.open, self.indexes)

    # -- vector indexes

    def create_index(self, statement: CreateVectorIndex, run: Run) -> Outcome:
        return self.indexes.create(statement, run)

    def drop_index(self, statement: DropVectorIndex) -> Outcome:
        return self.indexes.drop(statement)

    # -- CREATE MODEL

    def create(self, statement: CreateModel, run: Run) -> Outcome:
        from tule.bigquery.ml.training import Training

        target = reference(statement.target).checked()
        remote = statement.connection is not None
        if remote:
            from tule.bigquery.ml.imports.creation import check_service

            check_service(statement.options)
        options = read_options(statement.options, remote=remote)
        if statement.transform is not None and options.model_type not in TRANSFORMED | ANSWERING:
            raise invalid_query(f"TRANSFORM is not supported for model type {options.model_type}")
        if statement.transform is None and options.model_type == TRANSFORM_ONLY:
            raise invalid_query("Model type TRANSFORM_ONLY needs a TRANSFORM clause")
        existing = self._models.find(target)
        if existing is not None and not statement.replace:
            if statement.if_not_exists:
                return Outcome({"query": {"ddlOperationPerformed": "SKIP"}})
            raise already_exists("Model", target)
        self._check_free(target)
        if options.model_type in ANSWERING:
            return self._foreign_model(target, statement, options, existing, run)
        if statement.inputs is not None or statement.outputs is not None:
            raise invalid_query(f"INPUT and OUTPUT are not supported for model type {options.model_type}")
        if options.get("model_registry"):
            self._check_registration(target, options, run)
        earlier = self._earlier(target, options, existing)
        report = _Report(run.job, options)
        training = Training(
            statement, options, run, self.bundles, self._clock,
            earlier=earlier, report=report, told=report.trials, automl_hour=self._automl_hour,
        )  # fmt: skip
        done = training.train()
        body = self._body(target, options, done, existing if earlier is not None else None)
        told = self._told(target, options, run)
        statistics = report.final(done)
        statistics["query"]["ddlOperationPerformed"] = "CREATE" if existing is None else "REPLACE"
        return Outcome(
            statistics,
            commit=lambda: self._put(target, statement.replace, options, done.bundle, done.metrics, body, told),
            undo=lambda: self.bundles.remove(done.bundle),
            stopped=done.tuned.stopped if done.tuned is not None else None,
        )

    def _foreign_model(
        self, target: ModelReference, statement: CreateModel, options: ModelOptions, existing: Record | None, run: Run
    ) -> Outcome:
        """A model that was not trained here: an imported file, or an endpoint."""
        from tule.bigquery.ml.imports.creation import connect, import_model

        if options.get("model_registry"):
            self._check_registration(target, options, run)
        draft = self.bundles.draft()
        try:
            if statement.connection is None:
                model = import_model(statement, options, run, draft, self._objects, self._foreign)
            else:
                connection = self._connection(statement.connection, target, run)
                model = connect(statement, options, run, draft, connection, self._endpoints)
            draft.appear()
        except BaseException:
            draft.discard()
            raise
        body = self._foreign_body(target, options, model)
        told = self._told(target, options, run)
        operation = "CREATE" if existing is None else "REPLACE"
        return Outcome(
            {"query": {"ddlOperationPerformed": operation}},
            commit=lambda: self._put(target, statement.replace, options, draft.bundle, {}, body, told),
            undo=lambda: self.bundles.remove(draft.bundle),
        )

    def _connection(self, written: str, target: ModelReference, run: Run) -> str:
        """The resource name of a connection of Cloud resources that the caller may delegate."""
        if written.upper() == "DEFAULT":
            raise InvalidArgument(
                "Tule has no default connection", do="create one of Cloud resources and name it: WITH CONNECTION "
                "`project.region.connection`", reason="invalidQuery", location="query",
            )  # fmt: skip
        name = connection_name(written, target.project)
        run.guard("bigquery.connections.delegate", name)
        self._connections.check_resource(name)
        return name

    def _foreign_body(self, target: ModelReference, options: ModelOptions, model: Any) -> dict[str, Any]:
        from tule.bigquery.ml import resource

        signature = model.signature
        inputs, outputs = (
            resource.columns([pa.field(each.name, each.type) for each in fields])
            for fields in (signature.inputs, signature.outputs)
        )
        body = {
            "modelReference": target.json(),
            "modelType": options.type.rest,
            "location": self._datasets.location(target.parent),
            "trainingRuns": [],
            "featureColumns": inputs,
            "labelColumns": outputs,
        }
        if options.model_type == REMOTE:
            return {**body, "remoteModelInfo": {"endpoint": model.path, "connection": _dotted(model.connection)}}
        run = {"startTime": resource.timestamp(self._clock.now()), "trainingOptions": {"modelUri": model.path}}
        return {**body, "trainingRuns": [run]}

    def _check_free(self, target: ModelReference) -> None:
        """Tables, views and models share one namespace."""
        table = TableReference(target.project, target.dataset, target.model)
        if self._records.find(table.name) is not None:
            raise already_exists("Table", table)

    def _earlier(self, target: ModelReference, options: ModelOptions, existing: Record | None) -> Trained | None:
        """The model that a warm start goes on from."""
        if not options.get("warm_start"):
            return None
        if existing is None:
            raise InvalidArgument(
                "WARM_START = TRUE needs a model to go on from", given=f"no model {target}",
                do="train it once without WARM_START", reason="invalidQuery", location="query",
            )  # fmt: skip
        found = self.open(target)
        if found.options.model_type != options.model_type:
            raise InvalidArgument(
                f"WARM_START = TRUE needs a model of the same type, {options.model_type}",
                given=f"{target} of type {found.options.model_type}", do="leave WARM_START out",
                reason="invalidQuery", location="query",
            )  # fmt: skip
        return found

    def _body(
        self, target: ModelReference, options: ModelOptions, done: Finished, earlier: Record | None
    ) -> dict[str, Any]:
        from tule.bigquery.ml import resource
        from tule.bigquery.ml.functions.evaluate import measured

        training_run = {
            "startTime": resource.timestamp(done.started),
            "trainingOptions": resource.training_options(options, done.model.options),
            # The iterations of trials are not part of the resource.
            "results": resource.results(done.model) if done.tuned is None else [],
            "evaluationMetrics": resource.evaluation_metrics(measured(options), done.metrics, done.model.classes),
        }
        columns = []
        if done.transform is not None:
            columns = [
                {
                    "name": item.name,
                    "type": resource.standard_type(done.transformed.field(item.name).type),
                    "transformSql": item.sql,
                }
                for item in done.transform.items
                if item.name.lower() not in options.non_features
            ]
        return resource.model_body(
            reference=target.json(),
            options=options,
            location=self._datasets.location(target.parent),
            features=done.inputs,
            label=done.label,
            training_run=training_run,
            earlier_runs=earlier.body["trainingRuns"] if earlier is not None else (),
            transform_columns=columns,
            tuning=resource.tuning(options, done.tuned.tuning, done.model.classes) if done.tuned is not None else None,
        )

    def _put(
        self,
        target: ModelReference,
        replace: bool,
        options: ModelOptions,
        bundle: str,
        metrics: Mapping[str, Any],
        body: dict[str, Any],
        told: Mapping[str, Any] | None,
    ) -> None:
        """Make the record visible; inside the transaction that ends the job."""
        old = self._check_place(target, replace)
        registered = list(old.body[_PRIVATE].get("registered", ())) if old is not None else []
        if options.get("model_registry"):
            about = self._register(target, options, bundle, metrics, body, options.get("vertex_ai_model_id"))
            body["trainingRuns"][-1] |= {
                "vertexAiModelId": about["model"],
                "vertexAiModelVersion": about["version"],
            }
            registered.append(about)
            if told is not None and self._story is not None:
                model = f"projects/{target.project}/locations/{about['location']}/models/{about['model']}"
                self._story().trained(model, about["version"], **told)
        self._place(target, old, {**body, _PRIVATE: {"bundle": bundle, "registered": registered}})

    def _told(self, target: ModelReference, options: ModelOptions, run: Run) -> dict[str, Any] | None:
        """What is to be told of a model that enters the registry: its statement, and the tables that this read."""
        if self._story is None or not options.get("model_registry"):
            return None
        found = self._records.find_all(table.name for table in run.tables())
        tables = [
            (table.dotted, found[table.name].update_time.isoformat() if table.name in found else "")
            for table in run.tables()
        ]
        job = run.job
        return {
            "statement": f"{target.project}.{target.dataset}.{target.model}",
            "job": str(job.reference) if job is not None else "",
            "query": job.configuration.get("query", {}).get("query", "") if job is not None else "",
            "tables": tables,
        }

    def _check_place(self, target: ModelReference, replace: bool) -> Record | None:
        """The record that a model would take the place of; raises where it may not."""
        old = self._records.find(target.name)
        if old is not None and not replace and self._models.find(target) is not None:
            raise already_exists("Model", target)
        self._check_free(target)
        self._datasets.check(target.parent)
        return old

    def _place(self, target: ModelReference, old: Record | None, body: dict[str, Any]) -> None:
        """Put a record in the place of another one, whose bundle goes."""
        if old is not None:
            self._records.delete(target.name)
            bundle = old.body[_PRIVATE]["bundle"]
            self._records.after_commit(lambda: self.bundles.remove(bundle))
        self._records.create(KIND, target.name, body)

    # -- copies

    def copy(self, source: ModelReference, target: ModelReference, replace: bool) -> Outcome:
        """The copy has the model's runs and texts, but is in no registry and does not expire."""
        if source.name == target.name:
            raise invalid_query(f"A model cannot be copied onto itself: {source}")
        record = self._models.record(source)
        self._check_place(target, replace)
        bundle = self.bundles.copy(record.body[_PRIVATE]["bundle"])
        runs = [{key: run[key] for key in run if key not in _REGISTERED} for run in record.body["trainingRuns"]]
        body = {**record.body, "modelReference": target.json(), "trainingRuns": runs}
        body.pop("expirationTime", None)

        def commit() -> None:
            old = self._check_place(target, replace)
            registered = list(old.body[_PRIVATE].get("registered", ())) if old is not None else []
            self._place(target, old, {**body, _PRIVATE: {"bundle": bundle, "registered": registered}})

        return Outcome(commit=commit, undo=lambda: self.bundles.remove(bundle))

    # -- the registry

    def _check_registration(self, target: ModelReference, options: ModelOptions, run: Run) -> None:
        """What would go wrong after the training is told before it."""
        written = options.get("vertex_ai_model_id")
        if written and not is_model_id(written):
            raise _wrong_id(written)
        place = region(self._datasets.location(target.parent), self._location)
        run.guard("aiplatform.models.upload", f"projects/{target.project}/locations/{place}")

    def _register(
        self,
        target: ModelReference,
        options: ModelOptions,
        bundle: str,
        metrics: Mapping[str, Any],
        body: Mapping[str, Any],
        written: str | None,
    ) -> dict[str, str]:
        place = region(self._datasets.location(target.parent), self._location)
        model = registered_id(written, target.model)
        _, version = self._registry().register(
            target.project,
            place,
            model,
            self.bundles.files(bundle),
            target.model[:128],
            options.get("vertex_ai_model_version_aliases") or (),
            body.get("labels"),
            evaluation(options, metrics),
            description=str(body.get("description") or ""),
        )
        return {"model": model, "version": version, "location": place}

    def forget(self, record: Record) -> None:
        private = record.body[_PRIVATE]
        project = ModelReference(**_parts(record)).project
        for each in private.get("registered", ()):
            self._registry().remove(project, each["location"], each["model"], each["version"])
        self._records.after_commit(lambda: self.bundles.remove(private["bundle"]))

    # -- ALTER MODEL

    def alter(self, statement: AlterModelOptions, run: Run) -> Outcome:
        target = reference(statement.target)
        if self._models.find(target) is None and statement.if_exists:
            return Outcome({"query": {"ddlOperationPerformed": "SKIP"}})
        self._models.record(target)
        change = _changes(statement.options)
        new_id = change.pop(_VERTEX, None)
        if new_id is not None:
            if not is_model_id(new_id):
                raise _wrong_id(new_id)
            trained = self.open(target)
            if trained.options.model_type not in REGISTERED:
                raise invalid_query(f"A remote model cannot be registered: {target}. Next: its endpoint's model is")
            place = region(self._datasets.location(target.parent), self._location)
            run.guard("aiplatform.models.upload", f"projects/{target.project}/locations/{place}")

        def commit() -> None:
            record = self._models.record(target)
            body = {key: value for key, value in {**record.body, **change}.items() if value is not None}
            if new_id is not None:
                bundle = body[_PRIVATE]["bundle"]
                about = self._register(target, trained.options, bundle, self._metrics(bundle), body, new_id)
                body["trainingRuns"][-1] |= {
                    "vertexAiModelId": about["model"],
                    "vertexAiModelVersion": about["version"],
                }
                body[_PRIVATE] = {**body[_PRIVATE], "registered": [*body[_PRIVATE].get("registered", ()), about]}
            self._records.update(target.name, lambda _: body)

        return Outcome({"query": {"ddlOperationPerformed": "ALTER"}}, commit=commit)

    def _metrics(self, bundle: str) -> Mapping[str, Any]:
        from tule.learn import bundle as files

        directory = self.bundles.directory(bundle)
        return files.read(directory).metrics if files.is_bundle(directory) else {}

    # -- EXPORT MODEL

    def export(self, statement: ExportModelTo, run: Run) -> Outcome:
        from tule.bigquery.ml.export import export_model
        from tule.bigquery.ml.trials import trial_of

        options = {name.lower(): value for name, value in statement.options.items()}
        uri = options.pop("uri", None)
        trial = options.pop("trial_id", None)
        if options:
            raise invalid_query(f"Unsupported option {', '.join(options).upper()} of EXPORT MODEL. Next: set URI")
        if not isinstance(uri, str):
            raise invalid_query("EXPORT MODEL needs OPTIONS(URI = 'gs://bucket/directory')")
        trained = self.open(reference(statement.target))
        if trial is not None:
            _, trained = trial_of(trained, trial)
        export_model(trained, uri, None, self._objects, run.check)
        return Outcome()

    def extract(
        self, reference: ModelReference, uri: str, format: str, trial: str | None, check: Callable[[], None]
    ) -> int:
        from tule.bigquery.ml.export import export_model
        from tule.bigquery.ml.trials import trial_of

        trained = self.open(reference)
        if trial is not None:
            _, trained = trial_of(trained, int(trial))
        return export_model(trained, uri, format, self._objects, check)


class _Report:
    """The progress of a training as the statistics of its job, renewed after each iteration."""

    def __init__(self, job: Job | None, options: ModelOptions) -> None:
        self._job = job
        self._about = {
            "modelType": options.type.rest,
            "maxIterations": str(options.get("max_iterations") or 1),
            "trainingType": "HPARAM_TUNING" if options.tuned else "SINGLE_TRAINING",
        }
        self._options = options
        self._results: list[dict[str, Any]] = []

    def __call__(self, number: int, loss: float, eval_loss: float | None) -> None:
        from tule.bigquery.ml.resource import number as json_number

        if self._job is None or (self._results and self._results[-1]["index"] == number):
            return
        result = {"index": number, "trainingLoss": json_number(loss)}
        if eval_loss is not None:
            result["evalLoss"] = json_number(eval_loss)
        self._results.append(result)
        self._tell({"iterationResults": list(self._results)})

    def trials(self, trials: Sequence[TunedTrial]) -> None:
        """The trials of a tuning as they stand."""
        from tule.bigquery.ml.resource import trial

        if self._job is not None:
            self._tell({"hparamTrials": [trial(self._options, each) for each in trials]})

    def _tell(self, about: Mapping[str, Any]) -> None:
        assert self._job is not None
        # A new object each time: whoever reads the old one is not disturbed.
        query = {**self._job.statistics.get("query", {})}
        query["mlStatistics"] = {**self._about, **about}
        self._job.statistics["query"] = query

    def final(self, done: Finished) -> dict[str, Any]:
        from tule.bigquery.ml.resource import iteration_results, trial

        if done.tuned is not None:
            about = {"hparamTrials": [trial(self._options, each) for each in done.tuned.tuning.trials]}
        else:
            about = {"iterationResults": iteration_results(done.model.iterations)}
        return {"query": {"mlStatistics": {**self._about, **about}}}


def _dotted(name: str) -> str:
    """A connection's resource name as SQL writes it."""
    _, project, _, location, _, connection = name.split("/")
    return f"{project}.{location}.{connection}"


_VERTEX = "vertex_ai_model_id"
_TEXTS = {"description": "description", "friendly_name": "friendlyName"}


def _changes(options: Mapping[str, Any]) -> dict[str, Any]:
    """SET OPTIONS as fields of the resource; None clears one."""
    if not options:
        raise invalid_query("ALTER MODEL needs SET OPTIONS(name = value)")
    made: dict[str, Any] = {}
    for written, value in options.items():
        name = written.lower()
        if name in _TEXTS:
            if value is not None and not isinstance(value, str):
                raise invalid_query(f"Option {name} must be a string; given: {value!r}")
            made[_TEXTS[name]] = value
        elif name == "labels":
            made["labels"] = None if value is None else _labels(value)
        elif name == "expiration_timestamp":
            made["expirationTime"] = None if value is None else str(_milliseconds(value))
        elif name == _VERTEX:
            if not isinstance(value, str):
                raise invalid_query(f"Option {name} must be a string; given: {value!r}")
            made[_VERTEX] = value
        elif name == "kms_key_name":
            raise Unimplemented(
                "Tule does not do the option KMS_KEY_NAME (customer-managed keys)", do="leave it out",
                reason="notImplemented",
            )  # fmt: skip
        else:
            known = [*_TEXTS, "labels", "expiration_timestamp", _VERTEX]
            raise invalid_query(f"Unsupported option {written} of ALTER MODEL. Next: use one of {', '.join(known)}")
    return made


def _labels(value: Any) -> dict[str, str]:
    if not isinstance(value, list) or not all(isinstance(each, tuple) and len(each) == 2 for each in value):
        raise invalid_query(f"Option labels must be an array of ('key', 'value'); given: {value!r}")
    return checked_labels(dict(value))


def _milliseconds(value: Any) -> int:
    from tule.bigquery.formats.values import timestamp

    try:
        return timestamp(str(value)) // 1000
    except ValueError:
        raise invalid_query(f"expiration_timestamp must be a TIMESTAMP literal; given: {value!r}") from None


def _parts(record: Record) -> dict[str, str]:
    _, project, _, dataset, _, model = record.name.split("/")
    return {"project": project, "dataset": dataset, "model": model}


def _wrong_id(text: str) -> InvalidArgument:
    return InvalidArgument(
        "VERTEX_AI_MODEL_ID must have 1 to 63 of a-z, 0-9, _ and -, and begin with a letter or _",
        given=repr(text),
        do="choose another id",
        reason="invalidQuery",
        location="query",
    )
