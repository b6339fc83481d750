"""One training: from a CREATE MODEL statement to a bundle on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from sqlglot import exp

from tule.bigquery.ml import nodes, scans
from tule.bigquery.ml.batches import FileBatches, QueryBatches, Relation, Watched, actual
from tule.bigquery.ml.bundles import Bundles, Draft
from tule.bigquery.ml.describe import describe
from tule.bigquery.ml.functions import Trained
from tule.bigquery.ml.mistakes import users_errors, wrong
from tule.bigquery.ml.options import STEERING, ModelOptions
from tule.bigquery.ml.options.model_types import AUTOML, CONTRIBUTION, FORECASTING, KMEANS, TRANSFORM_ONLY
from tule.bigquery.ml.remembered import distributions, is_remembered
from tule.bigquery.ml.split import KEY, Split, Splitter, key_of
from tule.bigquery.ml.transform import Transform, fit_transform
from tule.bigquery.ml.tuning import Sets, Told, Tuned, Tuner
from tule.kernel.clock import Clock

if TYPE_CHECKING:
    from tule.bigquery.model_statements import Run
    from tule.bigquery.sql.statements import CreateModel
    from tule.learn.data import Batches
    from tule.learn.drift import Distribution
    from tule.learn.models import FeatureStatistics, Model, Progress

# Of a training that holds nothing out, at most so many rows (an even sample) are kept for evaluation, and so many bytes.
KEPT_ROWS = 100_000
KEPT_BYTES = 64 << 20
# What an automatic search takes.
LEAST_ROWS, MOST_ROWS = 1_000, 200_000_000

Report = Callable[[int, float, float | None], None]
"""Called after each iteration: its number, its loss and its loss on the rows held out."""


@dataclass(frozen=True)
class _Prepared:
    """What a training reads: the rows of its query, and what a TRANSFORM makes of them.

    ``named``: the columns that options name, by lower-case option; ``special``: those of options that name one.
    """

    rows: Relation
    data: Relation
    transform: Transform | None
    raw: list[str]
    label: str | None
    features: list[str]
    named: Mapping[str, list[str]]
    special: Mapping[str, str]
    split: Split

    @property
    def seen(self) -> list[str]:
        """The columns of evaluation rows."""
        label = self.special.get("input_label_cols")
        return [*self.features, *([label] if label else [])]


@dataclass(frozen=True)
class Finished:
    """A training that is done, its bundle on disk."""

    bundle: str
    started: datetime
    model: Model
    metrics: dict[str, float]
    """As ML.EVALUATE answers without rows."""
    inputs: list[pa.Field]
    """The columns of the training query that are features, before any TRANSFORM."""
    label: pa.Field | None
    transform: Transform | None
    transformed: pa.Schema
    tuned: Tuned | None = None


class Training:
    """Trains one model. Everything it writes is a draft until it is whole."""

    def __init__(
        self,
        statement: CreateModel,
        options: ModelOptions,
        run: Run,
        bundles: Bundles,
        clock: Clock,
        *,
        earlier: Trained | None = None,
        report: Report = lambda number, loss, eval_loss: None,
        told: Told = lambda trials: None,
        automl_hour: float = 3600.0,
    ) -> None:
        """``earlier``: the model that a warm start goes on from; ``told``: called with the trials of a tuning;
        ``automl_hour``: seconds that an hour of BUDGET_HOURS lasts."""
        self._statement = statement
        self._options = options
        self._run = run
        self._bundles = bundles
        self._clock = clock
        self._earlier = earlier
        self._report = report
        self._told = told
        self._automl_hour = automl_hour

    def train(self) -> Finished:
        """Raises InvalidArgument (reason ``invalidQuery``) for data that cannot be learned from."""
        if self._statement.query is None:
            raise wrong("CREATE MODEL must have a training query", do="add AS SELECT ...")
        started = self._clock.now()
        draft = self._bundles.draft()
        try:
            with users_errors():
                return self._train(draft, self._statement.query, started)
        except BaseException:
            draft.discard()
            raise

    def _train(self, draft: Draft, query: exp.Expression, started: datetime) -> Finished:
        options = self._options
        # One snapshot for all passes over the rows.
        with self._run.session.transaction():
            found = self._prepared(query)
            statistics: Sequence[FeatureStatistics] | None = None
            remembered: Mapping[str, Distribution] | None = None
            if found.transform is not None:
                statistics = describe(found.rows, found.raw, self._run.batches)
            if options.tuned or options.model_type in AUTOML:
                sets, sample = self._sets(draft, found)
            else:
                model, evaluation, sample = self._fit(draft, found)
            # Without features there is nothing to remember; the fit will say so.
            if sample is not None and found.features:
                known = statistics if statistics is not None or options.tuned else model.statistics
                remembered = self._distributions(found, sample, known or ())
        tuned: Tuned | None = None
        if options.tuned:
            tuned, model, options = self._tuned(draft, found, sets, statistics)
            metrics = dict(tuned.tuning.trial(tuned.tuning.default).tested)
        elif options.model_type in AUTOML:
            model = self._searched(found, sets)
            metrics = _evaluated(model, sets.test or sets.evaluation or sets.training)
        else:
            metrics = _evaluated(model, evaluation)
        draft.publish(
            model,
            options,
            transform=found.transform,
            statistics=statistics or model.statistics,
            earlier_runs=self._earlier_runs(),
            metrics=metrics,
            tuning=tuned.tuning if tuned is not None else None,
            distributions=remembered,
        )
        raw = found.raw if found.transform is not None else model.signature.input_names
        return Finished(
            draft.bundle,
            started,
            model,
            metrics,
            [found.rows.schema.field(name) for name in raw],
            None if found.label is None else found.data.schema.field(found.label),
            found.transform,
            pa.schema([found.data.schema.field(name) for name in found.data.schema.names if name != KEY]),
            tuned,
        )

    def _prepared(self, query: exp.Expression) -> _Prepared:
        options, run = self._options, self._run
        rows = scans.readable(query, run)
        named = {key: self._named(key, rows.schema) for key in options.columns if key in STEERING}
        special = {key: names[0] for key, names in named.items()}
        data, key, transform = rows, key_of(rows.schema.names), None
        raw: list[str] = []
        if self._statement.transform is not None:
            transform = fit_transform(self._statement.transform, rows, special.values(), run.batches)
            data, key = self._transformed(rows, transform, key), nodes.column(KEY)
            raw = [each.name for each in transform.columns if each.name not in special.values()]
        named |= {key: self._named(key, data.schema) for key in options.columns if key not in STEERING}
        learned = named.get("input_label_cols") or named.get("rating_col")
        label = learned[0] if learned else None
        features = [name for name in data.schema.names if name != KEY and name not in special.values()]
        split = Split(data)
        given = bool(options.get("data_split_method")) and label is not None
        if given or (options.tuned and options.model_type != KMEANS) or options.model_type in AUTOML:
            splitter = Splitter(run, options, label, lambda tree: scans.kept(tree, run))
            split = splitter.split(data, key, special.get("data_split_col"))
        return _Prepared(rows, data, transform, raw, label, features, named, special, split)

    def _named(self, option: str, schema: pa.Schema) -> list[str]:
        """The columns of the query that an option names."""
        return [_column(option, written, schema) for written in self._options.columns[option]]

    def _transformed(self, rows: Relation, transform: Transform, key: exp.Expression) -> Relation:
        columns = [nodes.named(item.node(), item.name) for item in transform.items]
        if self._options.get("data_split_method") in ("AUTO_SPLIT", "RANDOM"):
            columns.append(nodes.named(key, KEY))
        return scans.kept(rows.select(columns), self._run)

    def _fit(self, draft: Draft, found: _Prepared) -> tuple[Model, FileBatches, Watched | None]:
        """The model, the rows that are kept to evaluate it, and a sample of its training rows where it is remembered."""
        run, split = self._run, found.split
        held: FileBatches | None = None
        if split.held_out is not None:
            held_out = QueryBatches(run.batches, split.relation, found.seen, split.held_out, check=run.check)
            held = draft.keep(held_out.schema, held_out.scan())
            held = held if held.num_rows else None
        rows = self._training_rows(found)
        watched = Watched(rows, rows=KEPT_ROWS, size=KEPT_BYTES)
        remembered = is_remembered(self._options)
        model = self._learn(self._options, found, watched if held is None or remembered else rows, held, self._progress)
        if held is None:
            # A forecast is measured on rows that come later.
            unmeasured = FORECASTING | {TRANSFORM_ONLY, CONTRIBUTION}
            sample = watched.sampled() if self._options.model_type not in unmeasured else []
            held = self._kept(draft, found, sample)
        return model, held, watched if remembered else None

    def _training_rows(self, found: _Prepared) -> QueryBatches:
        run, split = self._run, found.split
        special = [found.special[key] for key in ("instance_weight_col", "kmeans_init_col") if key in found.special]
        count = split.rows if split.training is not None else split.relation.rows
        columns = [*found.seen, *special]
        return QueryBatches(run.batches, split.relation, columns, split.training, rows=count, check=run.check)

    def _kept(self, draft: Draft, found: _Prepared, sample: Iterable[pa.RecordBatch]) -> FileBatches:
        """A sample of the training rows, kept for evaluation."""
        schema = pa.schema([found.split.relation.schema.field(name) for name in found.seen])
        return draft.keep(schema, (batch.select(found.seen) for batch in sample))

    def _learn(
        self, options: ModelOptions, found: _Prepared, rows: Batches, held: FileBatches | None, progress: Progress
    ) -> Model:
        from tule.learn.models import FAMILIES as KNOWN

        return KNOWN[options.type.family].fit(
            rows,
            label=found.special.get("input_label_cols"),
            options=learn_options(options, found.named) | self._holidays() | self._search_options(),
            features=found.features,
            evaluation=held,
            instance_weight=found.special.get("instance_weight_col"),
            initial_rows=found.special.get("kmeans_init_col"),
            warm_start=self._earlier.model if self._earlier is not None else None,
            progress=progress,
            clock=self._clock,
        )

    # -- tuning

    def _sets(self, draft: Draft, found: _Prepared) -> tuple[Sets, Watched | None]:
        """The rows of a tuning as files: trials read them again and again, several at once; a sample of them."""
        run, split = self._run, found.split
        rows = self._training_rows(found)
        training = draft.scratch("training", rows.schema, rows.scan())
        held: list[FileBatches | None] = []
        for name, condition in (("evaluation", split.held_out), ("test", split.test)):
            made = None
            if condition is not None:
                part = QueryBatches(run.batches, split.relation, found.seen, condition, check=run.check)
                made = draft.scratch(name, part.schema, part.scan())
            held.append(made if made is not None and made.num_rows else None)
        sets = Sets(training, *held)
        watched = Watched(training, rows=KEPT_ROWS, size=KEPT_BYTES)
        if (reported := sets.test or sets.evaluation) is not None:
            draft.keep(reported.schema, reported.scan())
        else:
            self._kept(draft, found, watched.sampled())
        return sets, watched if is_remembered(self._options) else None

    def _distributions(
        self, found: _Prepared, sample: Watched, statistics: Sequence[FeatureStatistics]
    ) -> Mapping[str, Distribution]:
        """What is remembered of the training rows."""
        if found.transform is None:
            return distributions(self._run, sample.schema, sample.sampled(), found.features, statistics)
        raw = QueryBatches(self._run.batches, found.rows, found.raw, rows=found.rows.rows, check=self._run.check)
        watched = Watched(raw, rows=KEPT_ROWS, size=KEPT_BYTES)
        return distributions(self._run, raw.schema, watched.sampled(), found.raw, statistics)

    def _searched(self, found: _Prepared, sets: Sets) -> Model:
        """The model of an automatic search."""
        rows = sum(each.num_rows for each in (sets.training, sets.evaluation, sets.test) if each is not None)
        if not LEAST_ROWS <= rows <= MOST_ROWS:
            raise wrong(
                f"The input data to AutoML must be between {LEAST_ROWS:,} and {MOST_ROWS:,} rows", given=f"{rows:,}",
                do="train one of the other model types",
            )  # fmt: skip
        if sets.training.num_rows == 0:
            raise wrong("AutoML needs rows to train on", given="no row of the split TRAIN", do="check DATA_SPLIT_COL")
        return self._learn(self._options, found, sets.training, sets.evaluation, self._progress)

    def _search_options(self) -> dict[str, Any]:
        """What an automatic search is told beside its rows."""
        if self._options.model_type not in AUTOML:
            return {}
        told: dict[str, Any] = {"budget_seconds": self._options["budget_hours"] * self._automl_hour}
        written = self._options["optimization_objective"]
        if isinstance(written, tuple):
            told["optimization_objective"], told["objective_value"] = written
        elif written is not None:
            told["optimization_objective"] = written
        return told

    def _tuned(
        self, draft: Draft, found: _Prepared, sets: Sets, statistics: Sequence[FeatureStatistics] | None
    ) -> tuple[Tuned, Model, ModelOptions]:
        """All trials, and the model of the optimal one with its options."""

        def fit(options: ModelOptions, sets: Sets, progress: Progress) -> Model:
            return self._learn(options, found, sets.training, sets.evaluation, progress)

        def save(number: int, model: Model, options: ModelOptions) -> None:
            draft.keep_trial(number, model, options, found.transform, statistics or model.statistics)

        def feasible(options: ModelOptions) -> None:
            from tule.learn.models import FAMILIES as KNOWN

            KNOWN[options.type.family].options.of(learn_options(options, found.named))

        tuner = Tuner(
            self._options, sets,
            feasible=feasible, fit=fit, save=save, check=self._run.check, clock=self._clock, told=self._told,
        )  # fmt: skip
        tuned = tuner.tune()
        best = tuned.tuning.trial(tuned.tuning.default)
        return tuned, draft.trial(best.id), self._options.trial(best.hyperparameters)

    def _holidays(self) -> dict[str, Any]:
        """The rows of custom_holiday as an option of learning."""
        query = self._statement.holidays
        if query is None:
            return {}
        if self._options.model_type not in FORECASTING:
            raise wrong(f"custom_holiday is not supported for model type {self._options.model_type}", do="leave it out")
        table = self._run.batches(query).table()
        columns = []
        for name in _HOLIDAY:
            found = actual(table.schema.names, name)
            if found is None and name in _HOLIDAY[:3]:
                raise wrong(
                    f"custom_holiday must have the columns {', '.join(_HOLIDAY[:3])}",
                    given=", ".join(table.schema.names),
                    do=f"select {name}",
                )
            columns.append([None] * table.num_rows if found is None else table.column(found).to_pylist())
        return {"custom_holidays": [list(row) for row in zip(*columns, strict=True)]}

    def _progress(self, iteration: int, loss: float, eval_loss: float | None, fraction: float) -> None:
        self._run.check()
        if iteration >= 0:
            self._report(iteration, loss, eval_loss)

    def _earlier_runs(self) -> list[Any]:
        if self._earlier is None:
            return []
        return [*self._earlier.earlier_runs, self._earlier.model.iterations]


_HOLIDAY = ("region", "holiday_name", "primary_date", "preholiday_days", "postholiday_days")


_OBJECTIVE = "OPTIMIZATION_OBJECTIVE"


def learn_options(options: ModelOptions, columns: Mapping[str, list[str]] | None = None) -> dict[str, Any]:
    """The options that differ from their defaults, as the family of ``learn`` takes them; its defaults are the same.

    ``columns``: the columns of the training query that options name, in its own letters.
    """
    from dataclasses import fields

    from tule.learn.models import FAMILIES as KNOWN

    known = {each.name for each in fields(KNOWN[options.type.family].options)}
    found = {
        name.lower(): options[name.lower()]
        for name in options.given
        if name.lower() in known and name != _OBJECTIVE and options.changed(name)
    }
    if found.get("class_weights"):
        found["class_weights"] = dict(found["class_weights"])
    for key in ("optimizer", "learn_rate"):
        if isinstance(parts := found.get(key), dict):
            # A wide and deep network has two.
            del found[key]
            found |= {key if part == "dnn" else f"linear_{key}": value for part, value in parts.items()}
    for key, names in (columns or {}).items():
        if key in known:
            found[key] = names if isinstance(options[key], list) else names[0]
    return found


def _column(option: str, written: str, schema: pa.Schema) -> str:
    """The column of the query that an option names."""
    found = actual(schema.names, written)
    if found is None:
        import difflib

        near = difflib.get_close_matches(written, schema.names, n=3, cutoff=0.5)
        what = "label column" if option == "input_label_cols" else f"column of {option.upper()}"
        raise wrong(
            f"The {what} must be one of the training query: {written}",
            given=", ".join(schema.names),
            do=f"did you mean {' or '.join(near)}?" if near else f"select it, or set {option.upper()}",
        )
    return found


def _evaluated(model: Model, rows: FileBatches) -> dict[str, float]:
    from tule.learn import metrics

    return metrics.evaluate(model, rows) if rows.num_rows else {}
