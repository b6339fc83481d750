"""Metadata schemas: the ones that every store begins with, those that callers add, and what they say of metadata.

A schema is OpenAPI in YAML with a title. Titles and versions name it: a node that gives a title must give one that its
store has, for its kind, and properties that the schema declares must have the declared types.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tule.kernel.errors import AlreadyExists, InvalidArgument, NotFound
from tule.kernel.records import Record, Records
from tule.vertex.experiments.nodes import Kind, new_id, timestamp

KIND = "metadataSchema"
FIRST = "0.0.1"
_VERSION = re.compile(r"[0-9]+[.][0-9]+[.][0-9]+")

_TEXT, _NUMBER, _INTEGER, _LIST, _OBJECT = "string", "number", "integer", "array", "object"
_RESOURCE = {"resourceName": _TEXT}
_REGRESSION = {
    "rootMeanSquaredError": _NUMBER, "meanAbsoluteError": _NUMBER, "meanAbsolutePercentageError": _NUMBER,
    "rSquared": _NUMBER, "rootMeanSquaredLogError": _NUMBER,
}  # fmt: skip

# kind of node -> title -> the types of its properties
SEEDED: Final[dict[str, dict[str, dict[str, str]]]] = {
    "ARTIFACT_TYPE": {
        "system.Artifact": {},
        "system.Dataset": {"payload_format": _TEXT, "container_format": _TEXT},
        "system.Model": {"framework": _TEXT, "framework_version": _TEXT, "payload_format": _TEXT},
        # Every key is a metric: none is declared, so that each may be of any type.
        "system.Metrics": {},
        "system.ClassificationMetrics": {"confidenceMetrics": _LIST, "confusionMatrix": _OBJECT},
        "system.SlicedClassificationMetrics": {"evaluationSlices": _LIST},
        "system.HTML": {},
        "system.Markdown": {},
        "google.VertexDataset": _RESOURCE,
        "google.VertexModel": _RESOURCE,
        "google.VertexEndpoint": _RESOURCE,
        "google.VertexBatchPredictionJob": {**_RESOURCE, "bigqueryOutputTable": _TEXT, "gcsOutputDirectory": _TEXT},
        "google.VertexTensorboardRun": _RESOURCE,
        "google.VertexHyperparameterTuningJob": _RESOURCE,
        "google.UnmanagedContainerModel": {"predictSchemata": _OBJECT, "containerSpec": _OBJECT},
        "google.BQMLModel": {"projectId": _TEXT, "datasetId": _TEXT, "modelId": _TEXT},
        "google.BQTable": {"projectId": _TEXT, "datasetId": _TEXT, "tableId": _TEXT},
        "google.ClassificationMetrics": {
            "aggregationType": _TEXT, "aggregationThreshold": _NUMBER, "recall": _NUMBER, "precision": _NUMBER,
            "f1Score": _NUMBER, "accuracy": _NUMBER, "auPrc": _NUMBER, "auRoc": _NUMBER, "logLoss": _NUMBER,
            "confusionMatrix": _OBJECT, "confidenceMetrics": _LIST,
        },
        "google.RegressionMetrics": _REGRESSION,
        "google.ForecastingMetrics": {
            **_REGRESSION, "weightedAbsolutePercentageError": _NUMBER, "rootMeanSquaredPercentageError": _NUMBER,
            "symmetricMeanAbsolutePercentageError": _NUMBER, "quantileMetrics": _LIST,
        },
        "google.ExperimentModel": {
            "frameworkName": _TEXT, "frameworkVersion": _TEXT, "modelFile": _TEXT, "modelClass": _TEXT,
            "predictSchemata": _OBJECT,
        },
    },
    "EXECUTION_TYPE": {
        "system.Run": {},
        "system.ContainerExecution": {},
        "system.DagExecution": {},
        "system.ImporterExecution": {},
        "system.ResolverExecution": {},
        "system.CustomJobExecution": {},
        "system.ModelUploadExecution": {},
        "system.ModelDeployExecution": {},
        "google.BQMLJob": {"jobId": _TEXT, "query": _TEXT},
    },
    "CONTEXT_TYPE": {
        "system.Experiment": {},
        "system.ExperimentRun": {},
        "system.Pipeline": {},
        "system.PipelineRun": {},
    },
}  # fmt: skip


def seeds(store: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The names and bodies of the schemas that a new store has."""
    for schema_type, titles in SEEDED.items():
        for title, properties in titles.items():
            name = f"{store}/metadataSchemas/{_slug(title)}-v{FIRST.replace('.', '-')}"
            yield name, _body(_yaml(title, properties), schema_type, FIRST, title, properties)


def _slug(title: str) -> str:
    """
    >>> _slug("system.ExperimentRun"), _slug("google.BQMLModel")
    ('system-experiment-run', 'google-bqml-model')
    """
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", title.replace(".", "-"))
    return words.lower()


def _yaml(title: str, properties: Mapping[str, str]) -> str:
    lines = [f"title: {title}", "type: object"]
    if properties:
        lines.append("properties:")
        for name, kind in properties.items():
            lines += [f"  {name}:", f"    type: {kind}"]
    return "\n".join(lines) + "\n"


def _body(
    text: str, schema_type: str, version: str, title: str, properties: Mapping[str, str], description: str = ""
) -> dict[str, Any]:
    body: dict[str, Any] = {"schema": text, "schemaType": schema_type, "schemaVersion": version}
    if description:
        body["description"] = description
    return {**body, "_tule": {"title": title, "properties": dict(properties)}}


class Schemas:
    """The schemas of metadata stores."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def create(self, store: str, id: str, message: Mapping[str, Any]) -> dict[str, Any]:
        """Add a schema that a caller wrote; AlreadyExists where its title has that version."""
        text = message.get("schema", "")
        title, properties = _parsed(text)
        version = message.get("schemaVersion") or FIRST
        if _VERSION.fullmatch(version) is None:
            raise InvalidArgument(f"A schema's version must match {_VERSION.pattern}", given=repr(version))
        schema_type = message.get("schemaType", "")
        if schema_type not in SEEDED:
            raise InvalidArgument(
                f"A schema must say which nodes it is for: {', '.join(SEEDED)}", given=schema_type or "none"
            )
        body = _body(text, schema_type, version, title, properties, message.get("description", ""))
        with self._records.transaction():
            for each in self._of_title(store, title):
                if each.body["schemaVersion"] == version:
                    raise AlreadyExists("A schema's title and version must be new", given=f"{title} {version}")
            name = f"{store}/metadataSchemas/{new_id(id, 'a metadata schema')}"
            return schema_message(self._records.create(KIND, name, body))

    def _of_title(self, store: str, title: str) -> list[Record]:
        return [each for each in self._records.list(KIND, store) if each.body["_tule"]["title"] == title]

    def checked(self, store: str, kind: Kind, message: Mapping[str, Any]) -> dict[str, Any]:
        """The schema fields of a node as they are stored: of a title without a version, the newest one's.

        InvalidArgument for a title that the store does not have, of another kind of node, or metadata against it.
        """
        title, version = message.get("schemaTitle", ""), message.get("schemaVersion", "")
        if not title:
            return {}
        found = self._of_title(store, title)
        if not found:
            raise InvalidArgument(
                "The schema must be registered in the metadata store",
                given=title,
                do=f"create it with CreateMetadataSchema{self._near(store, title)}",
            )
        if version and all(each.body["schemaVersion"] != version for each in found):
            known = ", ".join(sorted(each.body["schemaVersion"] for each in found))
            raise InvalidArgument(f"The version of {title} must be registered", given=version, do=f"use {known}")
        newest = max(found, key=lambda each: _order(each.body["schemaVersion"]))
        schema = next((each for each in found if each.body["schemaVersion"] == version), newest)
        if schema.body["schemaType"] != kind.schema_type:
            raise InvalidArgument(
                f"The schema must be one for {kind.collection}", given=f"{title}, which is {schema.body['schemaType']}"
            )
        _check_types(title, schema.body["_tule"]["properties"], message.get("metadata") or {})
        return {"schemaTitle": title, "schemaVersion": schema.body["schemaVersion"]}

    def _near(self, store: str, title: str) -> str:
        titles = {each.body["_tule"]["title"] for each in self._records.list(KIND, store)}
        near = difflib.get_close_matches(title, titles)
        return f", or use {', '.join(near)}" if near else ""


def schema_message(record: Record) -> dict[str, Any]:
    """A schema's message as JSON."""
    kept = {key: value for key, value in record.body.items() if not key.startswith("_")}
    return {**kept, "name": record.name, "createTime": timestamp(record.create_time)}


def find(records: Records, name: str) -> Record:
    record = records.find(name)
    if record is None or record.kind != KIND:
        raise NotFound("The metadata schema must exist", given=name, do="list the schemas of the store")
    return record


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _parsed(text: str) -> tuple[str, dict[str, str]]:
    """The title and the declared types of a schema; raises InvalidArgument."""
    import yaml

    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidArgument("A schema must be YAML", given=" ".join(str(error).split())[:300]) from None
    title = found.get("title") if isinstance(found, dict) else None
    if not isinstance(title, str) or not title:
        raise InvalidArgument("A schema must be an OpenAPI object with a title", given=text[:100] or "nothing")
    properties = found.get("properties") or {}
    if not isinstance(properties, dict):
        raise InvalidArgument("The properties of a schema must be an object", given=type(properties).__name__)
    types = {
        str(name): each["type"]
        for name, each in properties.items()
        if isinstance(each, dict) and each.get("type") in _PYTHON
    }
    return title, types


_PYTHON: Final[dict[str, tuple[type, ...]]] = {
    "string": (str,), "number": (int, float), "integer": (int, float), "boolean": (bool,), "array": (list,),
    "object": (dict,),
}  # fmt: skip


def _check_types(title: str, properties: Mapping[str, str], metadata: Mapping[str, Any]) -> None:
    for name, wanted in properties.items():
        value = metadata.get(name)
        if value is None:
            continue
        fits = isinstance(value, _PYTHON[wanted]) and (wanted == "boolean" or not isinstance(value, bool))
        if not fits or (wanted == "integer" and value != int(value)):
            raise InvalidArgument(f"metadata.{name} of {title} must be of type {wanted}", given=repr(value)[:100])
