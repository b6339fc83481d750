"""Metadata stores over a real record store: nodes, how they stand to each other, filters, lineage."""

from __future__ import annotations

from typing import Any

import pytest

from tule.kernel.errors import Aborted, AlreadyExists, FailedPrecondition, InvalidArgument, NotFound, Unimplemented
from tule.kernel.records import Records
from tule.vertex.experiments import ARTIFACT, CONTEXT, EXECUTION, Metadata

PARENT = "projects/p/locations/us-central1"
STORE = f"{PARENT}/metadataStores/default"


@pytest.fixture
def metadata(records: Records) -> Metadata:
    return Metadata(records)


@pytest.fixture
def chain(metadata: Metadata) -> dict[str, str]:
    """raw -> clean (execution) -> table -> train (execution) -> model, with a second model beside it."""
    store = metadata.ensure_store(PARENT)
    names = {
        id: metadata.put_artifact(store, id, schema="system.Artifact", display_name=id, metadata={"size": size})
        for size, id in enumerate(("raw", "table", "model", "other"))
    }
    for id in ("clean", "train"):
        names[id] = metadata.put_execution(store, id, schema="system.Run", state="COMPLETE", display_name=id)
    metadata.add_events(names["clean"], inputs=[names["raw"]], outputs=[names["table"]])
    metadata.add_events(names["train"], inputs=[names["table"]], outputs=[names["model"], names["other"]])
    return names


def _ids(found: Any) -> list[str]:
    return [each["name"].rpartition("/")[2] for each in found]


def test_the_default_store_is_there_with_its_schemas(metadata: Metadata) -> None:
    assert metadata.store(STORE)["name"] == STORE
    with pytest.raises(NotFound, match="metadata store must exist"):
        metadata.store(f"{PARENT}/metadataStores/other")
    schemas, _ = metadata.list_schemas(STORE, filter="", page_size=0, page_token="")
    assert f"{STORE}/metadataSchemas/system-experiment-run-v0-0-1" in [each["name"] for each in schemas]
    model = metadata.schema(f"{STORE}/metadataSchemas/google-vertex-model-v0-0-1")
    assert model["schemaType"] == "ARTIFACT_TYPE" and "resourceName" in model["schema"]
    assert int(metadata.store(STORE)["state"]["diskUtilizationBytes"]) > 1000
    assert _ids(metadata.list_stores(PARENT, page_size=0, page_token="")[0]) == ["default"]


def test_a_store_goes_with_everything_in_it(metadata: Metadata, chain: dict[str, str], records: Records) -> None:
    with pytest.raises(AlreadyExists):
        metadata.create_store(PARENT, "default", {})
    metadata.delete_store(STORE)
    assert records.first_under(STORE) is None
    metadata.ensure_store(PARENT)
    name = metadata.put_artifact(STORE, "model", schema="system.Model")
    assert metadata.lineage(name).events == []


def test_nodes_are_created_changed_and_deleted(metadata: Metadata) -> None:
    made = metadata.create(ARTIFACT, STORE, "a-1", {"schemaTitle": "system.Dataset", "metadata": {" rows ": 3.0}})
    assert made["schemaVersion"] == "0.0.1" and made["metadata"] == {"rows": 3.0}
    with pytest.raises(AlreadyExists):
        metadata.create(ARTIFACT, STORE, "a-1", {})
    changed = metadata.update(
        ARTIFACT, {"name": made["name"], "metadata": {"more": "x"}}, mask=["metadata.more"], allow_missing=False
    )
    assert changed["metadata"] == {"rows": 3.0, "more": "x"} and changed["etag"] != made["etag"]
    with pytest.raises(Aborted, match="etag"):
        metadata.update(
            ARTIFACT, {"name": made["name"], "etag": made["etag"], "uri": "u"}, mask=[], allow_missing=False
        )
    with pytest.raises(FailedPrecondition, match="etag"):
        metadata.delete(ARTIFACT, made["name"], made["etag"])
    metadata.delete(ARTIFACT, made["name"], changed["etag"])
    with pytest.raises(NotFound, match=r"artifact must exist.*list the artifacts"):
        metadata.get(ARTIFACT, made["name"])
    with pytest.raises(NotFound):
        metadata.update(ARTIFACT, {"name": made["name"], "uri": "u"}, mask=[], allow_missing=False)
    again = metadata.update(ARTIFACT, {"name": made["name"], "uri": "u"}, mask=[], allow_missing=True)
    assert again["uri"] == "u"


def test_what_a_node_may_not_be(metadata: Metadata) -> None:
    def create(message: dict[str, Any], id: str = "", kind: Any = ARTIFACT) -> None:
        metadata.create(kind, STORE, id, message)

    with pytest.raises(InvalidArgument, match=r"registered.*system.Model"):
        create({"schemaTitle": "system.Modell"})
    with pytest.raises(InvalidArgument, match="must be one for contexts"):
        create({"schemaTitle": "system.Model"}, kind=CONTEXT)
    with pytest.raises(InvalidArgument, match=r"version of system.Model.*0.0.1"):
        create({"schemaTitle": "system.Model", "schemaVersion": "9.9.9"})
    with pytest.raises(InvalidArgument, match=r"metadata.accuracy .*number"):
        create({"schemaTitle": "google.ClassificationMetrics", "metadata": {"accuracy": "high"}})
    with pytest.raises(InvalidArgument, match="must match"):
        create({}, "Upper")
    with pytest.raises(InvalidArgument, match="204800 bytes"):
        create({"metadata": {"text": "x" * 210_000}})
    made = metadata.create(ARTIFACT, STORE, "a", {"schemaTitle": "system.Model"})
    with pytest.raises(InvalidArgument, match="schemaTitle of a node must stay"):
        metadata.update(
            ARTIFACT,
            {"name": made["name"], "schemaTitle": "system.Dataset"},
            mask=["schema_title"],
            allow_missing=False,
        )
    assert _ids(metadata.page(ARTIFACT, STORE)[0]) == ["a"]


def test_schemas_of_ones_own(metadata: Metadata) -> None:
    text = "title: shop.Basket\ntype: object\nproperties:\n  items:\n    type: integer\n"
    body = {"schema": text, "schemaType": "ARTIFACT_TYPE", "schemaVersion": "0.1.0"}
    metadata.create_schema(STORE, "basket", body)
    with pytest.raises(AlreadyExists, match="title and version"):
        metadata.create_schema(STORE, "", body)
    metadata.create_schema(STORE, "", {**body, "schemaVersion": "0.0.9"})
    made = metadata.create(ARTIFACT, STORE, "b", {"schemaTitle": "shop.Basket", "metadata": {"items": 2.0}})
    assert made["schemaVersion"] == "0.1.0"
    with pytest.raises(InvalidArgument, match="integer"):
        metadata.create(ARTIFACT, STORE, "c", {"schemaTitle": "shop.Basket", "metadata": {"items": 2.5}})
    for wrong in ("{", "type: object", "title: [1]"):
        with pytest.raises(InvalidArgument, match="schema must be"):
            metadata.create_schema(STORE, "", {**body, "schema": wrong})


def test_filters_know_contexts_and_types(metadata: Metadata, chain: dict[str, str]) -> None:
    parent = metadata.put_context(STORE, "all", schema="system.Experiment")
    child = metadata.put_context(STORE, "one", schema="system.ExperimentRun", parents=[parent])
    metadata.add_to_context(child, artifacts=[chain["raw"], chain["model"]], executions=[chain["train"]])

    def artifacts(filter: str, kind: Any = ARTIFACT, **more: Any) -> list[str]:
        return _ids(metadata.page(kind, STORE, filter=filter, **more)[0])

    assert artifacts(f'in_context("{child}")') == ["model", "raw"]
    assert artifacts(f'in_context("{child}") AND display_name = "raw"') == ["raw"]
    assert artifacts(f'in_context("{child}") OR display_name = "other"') == ["model", "other", "raw"]
    assert artifacts(f'NOT in_context("{child}")', order_by="display_name desc") == ["table", "other"]
    assert artifacts(f'in_context("{child}")', EXECUTION) == ["train"]
    assert artifacts(f'in_context("{parent}")') == []
    assert artifacts("metadata.size.number_value >= 2") == ["model", "other"]
    assert artifacts('metadata.size.string_value = "2"') == []
    assert artifacts("metadata.size.number_value != 2") == ["other", "raw", "table"]
    assert artifacts(f'parent_contexts:"{parent}"', CONTEXT) == ["one"]
    assert artifacts(f'child_contexts:"{child}"', CONTEXT) == ["all"]
    assert metadata.get(CONTEXT, child)["parentContexts"] == [parent]
    with pytest.raises(Unimplemented, match=r"no functions but in_context.*near\(\.\.\.\)"):
        artifacts('near("x")')
    with pytest.raises(InvalidArgument, match="closing parenthesis"):
        artifacts('in_context("a"')
    page, token = metadata.page(ARTIFACT, STORE, filter=f'in_context("{child}")', page_size=1)
    assert _ids(page) == ["model"]
    assert _ids(metadata.page(ARTIFACT, STORE, filter=f'in_context("{child}")', page_size=1, page_token=token)[0]) == [
        "raw"
    ]


def test_children_make_no_circle(metadata: Metadata) -> None:
    metadata.ensure_store(PARENT)
    names = [metadata.put_context(STORE, f"c-{each}", schema="system.Pipeline") for each in range(12)]
    metadata.add_children(names[0], names[1:2])
    metadata.add_children(names[1], names[2:3])
    metadata.add_children(names[1], names[2:3])
    with pytest.raises(InvalidArgument, match="own descendants"):
        metadata.add_children(names[2], [names[0]])
    for parent in names[2:11]:
        metadata.add_children(parent, [names[11]])
    metadata.add_children(names[0], [names[11]])
    with pytest.raises(InvalidArgument, match="at most 10 parents"):
        metadata.add_children(names[1], [names[11]])
    metadata.remove_children(names[0], [names[11], names[5]])
    assert len(metadata.get(CONTEXT, names[11])["parentContexts"]) == 9
    with pytest.raises(NotFound):
        metadata.add_children(names[0], [f"{STORE}/contexts/nowhere"])
    with pytest.raises(InvalidArgument, match="one metadata store"):
        metadata.add_children(names[0], [names[1].replace("default", "elsewhere")])


def test_lineage_both_ways(metadata: Metadata, chain: dict[str, str]) -> None:
    whole = metadata.artifact_lineage(chain["table"], hops=None)
    assert _ids(whole.artifacts) == ["raw", "table", "model", "other"] and _ids(whole.executions) == ["clean", "train"]
    assert whole.makers(chain["model"]) == [chain["train"]] and whole.inputs(chain["train"]) == [chain["table"]]
    assert len(whole.events) == 5
    assert _ids(metadata.artifact_lineage(chain["raw"], hops=1).executions) == ["clean"]
    assert _ids(metadata.artifact_lineage(chain["raw"], hops=2).artifacts) == ["raw", "table"]
    kept = metadata.artifact_lineage(chain["table"], hops=None, filter='display_name != "model"')
    assert _ids(kept.artifacts) == ["raw", "table", "other"] and len(kept.events) == 4
    assert _ids(metadata.execution_lineage(chain["clean"]).artifacts) == ["raw", "table"]
    with pytest.raises(InvalidArgument, match="negative"):
        metadata.artifact_lineage(chain["raw"], hops=-1)
    context = metadata.put_context(STORE, "run", schema="system.PipelineRun")
    metadata.add_members(context, [chain["table"], chain["model"]], [chain["train"]])
    inside = metadata.context_lineage(context)
    assert _ids(inside.artifacts) == ["table", "model"] and len(inside.events) == 2


def test_events_of_clients(metadata: Metadata, chain: dict[str, str]) -> None:
    event = {"artifact": chain["raw"], "type": "INPUT", "labels": {"role": "seed"}}
    metadata.add_execution_events(chain["train"], [event])
    metadata.add_execution_events(chain["train"], [{**event, "labels": {}}])
    (found,) = [each for each in metadata.execution_lineage(chain["train"]).events if each["artifact"] == chain["raw"]]
    assert found["labels"] == {"role": "seed"}
    with pytest.raises(InvalidArgument, match="INPUT or OUTPUT"):
        metadata.add_execution_events(chain["train"], [{"artifact": chain["model"]}])
    with pytest.raises(NotFound):
        metadata.add_execution_events(chain["train"], [{"artifact": f"{STORE}/artifacts/none", "type": "INPUT"}])
    metadata.delete(EXECUTION, chain["train"])
    assert _ids(metadata.lineage(chain["model"]).executions) == []


def test_a_graph_beyond_the_limit_is_refused(metadata: Metadata, chain: dict[str, str], records: Records) -> None:
    with records.transaction():
        many = [metadata.put_artifact(STORE, f"x-{each}", schema="system.Artifact") for each in range(1001)]
    metadata.add_events(chain["train"], outputs=many)
    with pytest.raises(FailedPrecondition, match=r"1000 artifacts.*max_hops"):
        metadata.artifact_lineage(chain["raw"], hops=None)
    assert len(metadata.artifact_lineage(chain["raw"], hops=2).artifacts) == 2
    assert len(metadata.lineage(chain["raw"]).artifacts) == 1005


def test_purges_tell_before_they_delete(metadata: Metadata, chain: dict[str, str]) -> None:
    told = metadata.purge(ARTIFACT, STORE, "metadata.size.number_value > 1", force=False)
    assert told["purgeCount"] == "2" and _ids([{"name": each} for each in told["purgeSample"]]) == ["model", "other"]
    assert len(metadata.page(ARTIFACT, STORE)[0]) == 4
    assert metadata.purge(ARTIFACT, STORE, "metadata.size.number_value > 1", force=True) == {"purgeCount": "2"}
    assert _ids(metadata.page(ARTIFACT, STORE)[0]) == ["raw", "table"]
    with pytest.raises(InvalidArgument, match="given a filter"):
        metadata.purge(ARTIFACT, STORE, " ", force=True)


def test_writes_join_an_open_transaction(metadata: Metadata, records: Records) -> None:
    metadata.ensure_store(PARENT)
    with pytest.raises(RuntimeError), records.transaction():
        name = metadata.put_artifact(STORE, "a", schema="system.Model")
        metadata.add_events(metadata.put_execution(STORE, "e", schema="system.Run", state="NEW"), outputs=[name])
        raise RuntimeError
    assert metadata.page(ARTIFACT, STORE)[0] == [] and metadata.page(EXECUTION, STORE)[0] == []
    name = metadata.put_artifact(STORE, "a", schema="system.Model")
    assert metadata.lineage(name).events == []
