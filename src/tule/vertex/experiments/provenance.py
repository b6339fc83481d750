"""Provenance: what other rooms make, as nodes and events of the default metadata store of its location.

    table, bucket ──▶ training statement, upload ──▶ model version ──▶ deployment ──▶ endpoint

It is written inside the transaction that has the effect, so that there is no model without its story. Nodes stay when
what they stand for goes: a story is told of the past.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from tule.vertex.experiments.metadata import Metadata

_MOST_FILES = 100
_LONGEST_QUERY = 10_000


class Provenance:
    """The story of models and endpoints. Each method joins the open transaction of its caller."""

    def __init__(self, metadata: Metadata, objects: Any) -> None:
        self._metadata = metadata
        self._objects = objects

    def trained(
        self,
        model: str,
        version: str,
        *,
        statement: str,
        job: str,
        query: str,
        tables: Sequence[tuple[str, str]],
    ) -> None:
        """A statement of SQL made a version of a registered model.

        ``statement``: the model's name in SQL, ``project.dataset.model``. ``tables``: what it read, each as
        ``project.dataset.table`` and the version that it had, in words.
        """
        store = self._store(model)
        inputs = [self._table(store, name, at) for name, at in tables]
        project, dataset, own = statement.rsplit(".", 2)
        sql_model = self._metadata.put_artifact(
            store,
            _id("bqml-model", f"{statement}@{version}@{job}"),
            schema="google.BQMLModel",
            uri=f"https://bigquery.googleapis.com/bigquery/v2/projects/{project}/datasets/{dataset}/models/{own}",
            display_name=statement[:128],
            metadata={"projectId": project, "datasetId": dataset, "modelId": own},
        )
        done = self._metadata.put_execution(
            store,
            _id("bqml-job", f"{job}@{model}@{version}"),
            schema="google.BQMLJob",
            state="COMPLETE",
            display_name=f"CREATE MODEL {statement}"[:128],
            metadata={"jobId": job, "query": query[:_LONGEST_QUERY]},
        )
        self._metadata.add_events(done, inputs, [sql_model, self._version(store, f"{model}@{version}")])

    def uploaded(self, version: str, uri: str) -> None:
        """A model version was made of the files at an address."""
        store = self._store(version)
        files = self._files(store, uri)
        done = self._metadata.put_execution(
            store,
            _id("upload", version),
            schema="system.ModelUploadExecution",
            state="COMPLETE",
            display_name=f"upload of {version.rpartition('/')[2]}"[:128],
        )
        self._metadata.add_events(done, [files], [self._version(store, version)])

    def deployed(self, endpoint: str, version: str, deployed_id: str) -> None:
        """A model version began to answer behind an endpoint."""
        store = self._store(endpoint)
        target = self._metadata.put_artifact(
            store,
            _id("endpoint", endpoint),
            schema="google.VertexEndpoint",
            uri=_address(endpoint),
            display_name=f"endpoint {endpoint.rpartition('/')[2]}"[:128],
            metadata={"resourceName": endpoint},
        )
        done = self._metadata.put_execution(
            store,
            _id("deploy", f"{endpoint}@{deployed_id}"),
            schema="system.ModelDeployExecution",
            state="COMPLETE",
            display_name=f"deployment {deployed_id}",
            metadata={"deployedModelId": deployed_id},
        )
        self._metadata.add_events(done, [self._version(store, version)], [target])

    def _store(self, name: str) -> str:
        return self._metadata.ensure_store("/".join(name.split("/")[:4]))

    def _version(self, store: str, name: str) -> str:
        return self._metadata.put_artifact(
            store,
            _id("model", name),
            schema="google.VertexModel",
            uri=_address(name),
            display_name=f"model {name.rpartition('/')[2]}"[:128],
            metadata={"resourceName": name},
        )

    def _table(self, store: str, name: str, version: str) -> str:
        project, dataset, table = name.rsplit(".", 2)
        return self._metadata.put_artifact(
            store,
            _id("table", f"{name}@{version}"),
            schema="google.BQTable",
            uri=f"https://bigquery.googleapis.com/bigquery/v2/projects/{project}/datasets/{dataset}/tables/{table}",
            display_name=name[:128],
            metadata={"projectId": project, "datasetId": dataset, "tableId": table, "version": version},
        )

    def _files(self, store: str, uri: str) -> str:
        generations = self._generations(uri)
        return self._metadata.put_artifact(
            store,
            _id("files", f"{uri}@{sorted(generations.items())}"),
            schema="system.Artifact",
            uri=uri,
            display_name=uri[:128],
            metadata={"generations": generations} if generations else {},
        )

    def _generations(self, uri: str) -> Mapping[str, str]:
        """Of each object in a folder of a bucket the generation it has."""
        bucket, _, prefix = uri.removeprefix("gs://").partition("/")
        if not uri.startswith("gs://") or self._objects.buckets.find(bucket) is None:
            return {}
        prefix = prefix.rstrip("/") + "/"
        found = self._objects.list(bucket, prefix=prefix, page_size=_MOST_FILES).objects
        return {each.key.removeprefix(prefix): str(each.generation) for each in found}


def _id(kind: str, name: str) -> str:
    """The id of a node: the same for the same thing, so that what is told twice is one node."""
    return f"{kind}-{hashlib.sha256(name.encode()).hexdigest()[:24]}"


def _address(name: str) -> str:
    location = name.split("/")[3]
    return f"https://{location}-aiplatform.googleapis.com/v1/{name}"
