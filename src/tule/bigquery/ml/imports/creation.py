"""CREATE MODEL of an imported file or of an endpoint: from the statement to a bundle that only has to appear."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tule.bigquery.ml.bundles import Draft
from tule.bigquery.ml.imports.files import FOLDER, copy_files
from tule.bigquery.ml.imports.foreign import (
    FORMATS,
    BoosterModel,
    Column,
    ForeignModel,
    GraphModel,
    RemoteModel,
    manifest_of,
)
from tule.bigquery.ml.imports.ports import Endpoints, ForeignModels
from tule.bigquery.ml.mistakes import users_errors, wrong
from tule.bigquery.ml.options import ModelOptions
from tule.bigquery.ml.options.model_types import TENSORFLOW, XGBOOST
from tule.bigquery.source_files import ObjectFiles
from tule.kernel.errors import Unimplemented

if TYPE_CHECKING:
    from tule.bigquery.model_statements import Run
    from tule.bigquery.sql.statements import CreateModel
    from tule.bigquery.types import Field

_ENDPOINT = re.compile(
    r"https://(?P<region>[a-z0-9-]+)-aiplatform\.googleapis\.com/v1(?:beta1)?/"
    r"(?P<name>projects/[^/]+/locations/(?P<location>[^/]+)/endpoints/[^/:?]+)(?::predict)?/?"
)
_OPEN = "an open model that the service deploys"
_TUNED = "a language model that is tuned"
SERVICES = {
    "REMOTE_SERVICE_TYPE": "a Cloud AI service",
    "DOCUMENT_PROCESSOR": "Document AI",
    "SPEECH_RECOGNIZER": "Speech-to-Text",
    "HUGGING_FACE_MODEL_ID": "an open model of Hugging Face",
    "HUGGING_FACE_TOKEN": "an open model of Hugging Face",
    "MODEL_GARDEN_MODEL_NAME": "an open model of the Model Garden",
    "MACHINE_TYPE": _OPEN,
    "MIN_REPLICA_COUNT": _OPEN,
    "MAX_REPLICA_COUNT": _OPEN,
    "RESERVATION_AFFINITY_TYPE": _OPEN,
    "RESERVATION_AFFINITY_KEY": _OPEN,
    "RESERVATION_AFFINITY_VALUES": _OPEN,
    "ENDPOINT_IDLE_TTL": _OPEN,
    "PROMPT_COL": _TUNED,
    "LEARNING_RATE_MULTIPLIER": _TUNED,
    "ACCELERATOR_TYPE": _TUNED,
    "EVALUATION_TASK": _TUNED,
}
"""Options of remote models over what Tule has not: they say which."""
_TYPES = {"INT64", "FLOAT64", "BOOL", "STRING"}
_OF_BOOSTERS = {"float": "FLOAT64", "q": "FLOAT64", "int": "INT64", "i": "BOOL"}


def import_model(
    statement: CreateModel,
    options: ModelOptions,
    run: Run,
    draft: Draft,
    objects: ObjectFiles,
    foreign: Callable[[], ForeignModels],
) -> ForeignModel:
    """Copy the files of MODEL_PATH into the draft and read what the model takes and answers."""
    _check_clauses(statement, options)
    path = options.get("model_path")
    if path is None:
        raise wrong(f"A model of type {options.model_type} needs MODEL_PATH", do="set it to gs://bucket/directory/*")
    with users_errors():
        folder = draft.folder / "model" / FOLDER
        folder.mkdir(parents=True, mode=0o700)
        _, file = copy_files(options.model_type, path, objects, folder, run.check)
        if options.model_type == XGBOOST:
            model: ForeignModel = _booster(statement, path, folder, file, foreign())
        else:
            model = _graph(options.model_type, path, folder, file, foreign)
        draft.import_(manifest_of(model, options, file))
    return model


def _check_clauses(statement: CreateModel, options: ModelOptions) -> None:
    if statement.query is not None or statement.transform is not None:
        clause = "AS" if statement.query is not None else "TRANSFORM"
        raise wrong(f"{clause} is not supported for model type {options.model_type}", do="leave it out")
    if (statement.inputs or statement.outputs) and options.model_type != XGBOOST:
        raise wrong(
            f"INPUT and OUTPUT are not supported for model type {options.model_type}: the file tells them",
            do="leave them out",
        )


def _graph(model_type: str, path: str, folder: Path, file: str, foreign: Callable[[], ForeignModels]) -> ForeignModel:
    opened = folder if model_type == TENSORFLOW else folder / file
    inputs, outputs = foreign().describe(FORMATS[model_type], folder, opened)
    made = [Column.of_input(*each) for each in inputs], [Column.of_output(*each) for each in outputs]
    for columns in made:
        _check_names([each.name for each in columns])
    return GraphModel(*made, path, FORMATS[model_type], folder, opened, foreign)


def _booster(statement: CreateModel, path: str, folder: Path, file: str, foreign: ForeignModels) -> ForeignModel:
    if (statement.inputs is None) != (statement.outputs is None):
        raise wrong("INPUT and OUTPUT go together", do="write both, or neither")
    inputs = _columns("INPUT", statement.inputs) if statement.inputs is not None else []
    outputs = _columns("OUTPUT", statement.outputs) if statement.outputs is not None else []
    for each in inputs:
        if each.kind == "STRING" or each.size is not None:
            raise wrong("The INPUT of an XGBoost model must be numbers", given=f"{each.name} {each.words}")
    foreign.try_booster(folder, folder / file)
    told = BoosterModel(inputs, outputs, path, folder / file)
    booster = told.booster
    if statement.inputs is None:
        inputs = _told_inputs(booster)
        outputs = [Column("predicted_label", "FLOAT64", None if booster.outputs is None else 0)]
    _check_booster(booster, inputs, outputs)
    return BoosterModel(inputs, outputs, path, folder / file)


def _told_inputs(booster: Any) -> list[Column]:
    """The features as the file names and types them."""
    if not booster.feature_names or not booster.feature_types:
        raise wrong(
            "An XGBoost model needs INPUT and OUTPUT unless its file has feature_names and feature_types",
            given="a file without them", do="write INPUT(name type, ...) OUTPUT(predicted_label FLOAT64)",
        )  # fmt: skip
    strange = [kind for kind in booster.feature_types if kind not in _OF_BOOSTERS]
    if strange:
        raise wrong(
            f"The feature_types of an XGBoost file must be of {', '.join(_OF_BOOSTERS)}", given=strange[0],
            do="train it with numbers",
        )  # fmt: skip
    pairs = zip(booster.feature_names, booster.feature_types, strict=True)
    return [Column(name, _OF_BOOSTERS[kind]) for name, kind in pairs]


def _check_booster(booster: Any, inputs: Sequence[Column], outputs: Sequence[Column]) -> None:
    if len(inputs) != booster.num_features:
        raise wrong(
            f"INPUT must name each feature of the XGBoost file: {booster.num_features}", given=len(inputs),
            do="write them in the order of training",
        )  # fmt: skip
    names = [each.name for each in inputs]
    if booster.feature_names and names != booster.feature_names:
        raise wrong(
            f"INPUT must name the features as the file does: {', '.join(booster.feature_names)}",
            given=", ".join(names), do="write them so, in this order",
        )  # fmt: skip
    if len(outputs) != 1:
        raise wrong("An XGBoost model has one OUTPUT", given=len(outputs))
    (output,) = outputs
    wanted = "a number" if booster.outputs is None else f"an array of {booster.outputs} numbers"
    if output.kind not in ("INT64", "FLOAT64") or (output.size is None and booster.outputs is not None):
        raise wrong(
            f"The OUTPUT of this XGBoost file is {wanted}", given=f"{output.name} {output.words}",
            do="write OUTPUT(predicted_label "
            + ("FLOAT64)" if booster.outputs is None else "ARRAY<FLOAT64>)"),
        )  # fmt: skip


def connect(
    statement: CreateModel,
    options: ModelOptions,
    run: Run,
    draft: Draft,
    connection: str,
    endpoints: Callable[[], Endpoints],
) -> RemoteModel:
    """A model that an endpoint answers for. ``connection``: the resource name, already checked."""
    with users_errors():
        endpoint = endpoint_of(options.get("endpoint"))
        if statement.query is not None or statement.transform is not None:
            raise wrong("A remote model over an endpoint takes no query and no TRANSFORM", do="leave them out")
        if not statement.inputs or not statement.outputs:
            raise wrong(
                "A remote model over an endpoint needs INPUT and OUTPUT",
                do="write the fields of the endpoint's instances and predictions: INPUT(x FLOAT64) OUTPUT(y FLOAT64)",
            )
        run.guard("aiplatform.endpoints.predict", endpoint)
        endpoints().get(endpoint)
        inputs, outputs = _columns("INPUT", statement.inputs), _columns("OUTPUT", statement.outputs)
        model = RemoteModel(inputs, outputs, options["endpoint"], endpoint, connection, endpoints)
        _check_names([each.name for each in model.signature.outputs])
        (draft.folder / "model").mkdir(mode=0o700)
        draft.import_(manifest_of(model, options))
    return model


def check_service(written: Mapping[str, Any]) -> None:
    """Refuse remote models over what is not an endpoint, by the option that says so."""
    for name, value in written.items():
        if name.upper() in SERVICES:
            raise Unimplemented(
                f"Tule does not do remote models over {SERVICES[name.upper()]}", given=f"{name.upper()} = {value!r}",
                do="deploy a model to an endpoint and set ENDPOINT to its https address",
                reason="notImplemented", location="query",
            )  # fmt: skip


def endpoint_of(written: str | None) -> str:
    """The resource name in an endpoint's address.

    >>> endpoint_of("https://us-east1-aiplatform.googleapis.com/v1/projects/p/locations/us-east1/endpoints/7")
    'projects/p/locations/us-east1/endpoints/7'
    """
    example = "https://REGION-aiplatform.googleapis.com/v1/projects/PROJECT/locations/REGION/endpoints/ID"
    if written is None:
        raise wrong("A remote model needs ENDPOINT", do=f"set it to {example}")
    found = _ENDPOINT.fullmatch(written)
    if found is None and "://" not in written:
        raise Unimplemented(
            "Tule does not do remote models over large language models", given=f"ENDPOINT = {written!r}",
            do=f"set ENDPOINT to {example}", reason="notImplemented", location="query",
        )  # fmt: skip
    if found is None or found["region"] != found["location"]:
        raise wrong(f"ENDPOINT must be {example}", given=repr(written[:300]), do="take it from the endpoint's page")
    return found["name"]


def _columns(clause: str, fields: Sequence[Field] | None) -> list[Column]:
    made = []
    for each in fields or ():
        if each.type not in _TYPES:
            raise wrong(
                f"The types of {clause} must be BOOL, STRING, INT64, FLOAT64 or arrays of them",
                given=f"{each.name} {each.type}", do="choose one of these",
            )  # fmt: skip
        made.append(Column(each.name, each.type, 0 if each.repeated else None))
    _check_names([each.name for each in made])
    return made


def _check_names(names: Sequence[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name.lower() in seen:
            raise wrong("The columns of a model must have different names", given=name, do="rename one of them")
        seen.add(name.lower())
