"""Models, versions and aliases over a real record store."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from tule.kernel.errors import Aborted, AlreadyExists, FailedPrecondition, InvalidArgument, NotFound
from tule.kernel.records import Records
from tule.vertex.registry import Models, Version

Message = dict[str, Any]
Upload = Callable[..., Version]
PARENT = "projects/p/locations/us-central1"


@pytest.fixture
def upload(files: Any) -> Callable[..., Version]:
    def upload(models: Models, message: Message, content: bytes = b"x", **more: Any) -> Version:
        return models.upload(PARENT, message, files({"model.joblib": content}), **more)

    return upload


def test_versions_and_the_default_alias(upload: Upload, models: Models, sklearn_message: Message) -> None:
    first = upload(models, sklearn_message, b"1", model_id="m")
    assert (first.id, first.message["versionAliases"]) == ("1", ["default"])
    second = upload(models, {**sklearn_message, "versionAliases": ["golden"]}, b"2", parent_model=first.model)
    assert (second.id, second.message["versionAliases"]) == ("2", ["golden"])
    assert models.get(first.model).id == "1" and models.get(f"{first.model}@golden").id == "2"
    third = upload(models, {**sklearn_message, "versionAliases": ["default", "golden"]}, b"3", parent_model=first.model)
    assert third.message["versionAliases"] == ["default", "golden"]
    assert models.get(f"{first.model}@2").message["versionAliases"] == []
    assert models.message(f"{first.model}@golden")["name"] == f"{first.model}@3"
    assert models.message(first.model)["name"] == first.model
    assert first.artifact != second.artifact


def test_lists_show_default_versions(upload: Upload, models: Models, sklearn_message: Message) -> None:
    one = upload(models, {**sklearn_message, "displayName": "one", "labels": {"team": "red"}}, model_id="one")
    upload(models, {**sklearn_message, "displayName": "two"}, model_id="two")
    upload(models, {**sklearn_message, "displayName": "one", "labels": {"kind": "b"}}, parent_model=one.model)

    def names(filter: str = "", **more: Any) -> list[str]:
        return [each["displayName"] for each in models.list_models(PARENT, filter=filter, **more)[0]]

    assert sorted(names()) == ["one", "two"]
    assert names('display_name="one"') == ["one"] and names("labels.team=red") == ["one"]
    assert names("labels.kind=b") == []
    models.merge_aliases(f"{one.model}@2", ["default"])
    assert names("labels.kind=b AND labels.team=red") == ["one"]
    assert names("model=two") == ["two"] and names("model!=two") == ["one"]
    assert names(order_by="display_name desc") == ["two", "one"]
    found, token = models.list_models(PARENT, page_size=1)
    assert len(found) == 1 and token
    assert len(models.list_models(PARENT, page_size=1, page_token=token)[0]) == 1
    versions, _ = models.list_versions(one.model)
    assert [each["name"].rpartition("@")[2] for each in versions] == ["1", "2"]
    assert [each["versionId"] for each in models.list_versions(one.model, filter="labels.kind:*")[0]] == ["2"]


def test_aliases_move_and_the_default_stays(upload: Upload, models: Models, sklearn_message: Message) -> None:
    name = upload(models, sklearn_message, model_id="m").model
    upload(models, sklearn_message, parent_model=name)
    models.merge_aliases(f"{name}@1", ["prod", "blue"])
    assert models.merge_aliases(f"{name}@2", ["prod"])["versionAliases"] == ["prod"]
    assert models.message(f"{name}@1")["versionAliases"] == ["blue", "default"]
    assert models.merge_aliases(f"{name}@1", ["-blue"])["versionAliases"] == ["default"]
    with pytest.raises(FailedPrecondition, match="exactly one default version"):
        models.merge_aliases(f"{name}@1", ["-default"])
    assert models.merge_aliases(f"{name}@2", ["default"])["versionAliases"] == ["default", "prod"]
    assert models.get(name).id == "2"
    with pytest.raises(InvalidArgument, match="given: '9'"):
        models.merge_aliases(f"{name}@1", ["9"])
    with pytest.raises(InvalidArgument, match="given to a version"):
        models.merge_aliases(name, ["x1"])
    with pytest.raises(NotFound, match=r"m@nothere.*default \(2\), prod \(2\)"):
        models.get(f"{name}@nothere")


def test_updates_of_models_and_of_versions(upload: Upload, models: Models, sklearn_message: Message) -> None:
    name = upload(models, {**sklearn_message, "labels": {"a": "1"}}, model_id="m").model
    upload(models, {**sklearn_message, "labels": {"b": "2"}}, parent_model=name)
    assert models.message(f"{name}@2")["labels"] == {"a": "1", "b": "2"}
    changed = models.update(name, {"displayName": "new", "labels": {"a": "9"}}, {"displayName", "labels"})
    assert (changed["displayName"], changed["labels"]) == ("new", {"a": "9"})
    assert models.message(f"{name}@2")["displayName"] == "new"
    changed = models.update(
        f"{name}@2", {"versionDescription": "best", "labels": {"b": "3"}}, {"versionDescription", "labels"}
    )
    assert (changed["versionDescription"], changed["labels"]) == ("best", {"a": "9", "b": "3"})
    assert "versionDescription" not in models.message(f"{name}@1")
    with pytest.raises(InvalidArgument, match="given: versionDescription"):
        models.update(name, {"versionDescription": "x"}, {"versionDescription"})
    with pytest.raises(InvalidArgument, match="given: artifactUri"):
        models.update(name, {"artifactUri": "gs://other/"}, {"artifactUri"})


def test_etags(upload: Upload, models: Models, sklearn_message: Message) -> None:
    name = upload(models, sklearn_message, model_id="m").model
    etag = models.message(f"{name}@1")["etag"]
    upload(models, sklearn_message, parent_model=name)
    models.note_deployed(f"{name}@1", f"{PARENT}/endpoints/1", "2")
    assert models.update(name, {"description": "d"}, {"description"}, etag)["description"] == "d"
    with pytest.raises(Aborted, match="changed the model since it was read"):
        models.update(name, {"description": "e"}, {"description"}, etag)


def test_what_may_be_deleted(upload: Upload, models: Models, sklearn_message: Message) -> None:
    first = upload(models, sklearn_message, model_id="m")
    name = first.model
    assert first.artifact is not None
    with pytest.raises(FailedPrecondition, match="only version"):
        models.delete_version(f"{name}@1")
    upload(models, sklearn_message, parent_model=name)
    with pytest.raises(FailedPrecondition, match="default version cannot be deleted"):
        models.delete_version(f"{name}@1")
    models.note_deployed(f"{name}@2", f"{PARENT}/endpoints/7", "9")
    with pytest.raises(FailedPrecondition, match=r"endpoints/7 \(deployed model 9\)"):
        models.delete_version(f"{name}@2")
    with pytest.raises(FailedPrecondition, match=r"endpoints/7 \(deployed model 9\)"):
        models.delete(name)
    assert models.message(f"{name}@2")["deployedModels"] == [
        {"endpoint": f"{PARENT}/endpoints/7", "deployedModelId": "9"}
    ]
    models.note_undeployed(f"{name}@2", f"{PARENT}/endpoints/7", "9")
    models.delete_version(f"{name}@2")
    with pytest.raises(NotFound):
        models.get(f"{name}@2")
    with pytest.raises(InvalidArgument, match="without a version"):
        models.delete(f"{name}@1")
    models.delete(name)
    with pytest.raises(NotFound):
        models.get(name)
    assert not models.artifacts.directory(first.artifact.id).exists()


def test_a_refused_upload_leaves_nothing(
    upload: Upload, models: Models, records: Records, files: Any, sklearn_message: Message
) -> None:
    with pytest.raises(InvalidArgument, match=r"model\.joblib"):
        models.upload(PARENT, sklearn_message, files({"other.txt": b""}))
    with pytest.raises(InvalidArgument, match="display name"):
        upload(models, {"containerSpec": sklearn_message["containerSpec"]})
    with pytest.raises(InvalidArgument, match="1 to 63 characters"):
        upload(models, sklearn_message, model_id="9bad")
    with pytest.raises(NotFound, match="nothere"):
        upload(models, sklearn_message, parent_model=f"{PARENT}/models/nothere")
    assert not list(records.list("Model")) and not list(models.artifacts.directory("").iterdir())
    upload(models, sklearn_message, model_id="m")
    with pytest.raises(AlreadyExists, match="parent_model"):
        upload(models, sklearn_message, model_id="m")


def test_a_failing_end_takes_the_version_back(
    upload: Upload, models: Models, records: Records, sklearn_message: Message
) -> None:
    def finish(version: Version) -> None:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        upload(models, sklearn_message, finish=finish)
    assert not list(records.list("Model")) and not list(records.list("ModelVersion"))
    assert not list(models.artifacts.directory("").iterdir())


def test_uploads_at_once_number_their_versions(upload: Upload, models: Models, sklearn_message: Message) -> None:
    name = upload(models, sklearn_message, model_id="m").model
    made: list[str] = []
    threads = [
        threading.Thread(target=lambda: made.append(upload(models, sklearn_message, parent_model=name).id))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made, key=int) == [str(number) for number in range(2, 10)]


def test_copies_live_on_their_own(upload: Upload, models: Models, sklearn_message: Message) -> None:
    source = upload(models, {**sklearn_message, "labels": {"a": "1"}}, b"content", model_id="m")
    other = "projects/p/locations/europe-west4"
    copy = models.copy(source.name, other, model_id="n")
    models.delete(source.model)
    assert copy.model == f"{other}/models/n" and copy.artifact is not None
    assert (models.artifacts.verify(copy.artifact) / "model.joblib").read_bytes() == b"content"
    assert models.message(copy.model)["labels"] == {"a": "1"}


def test_evaluations_belong_to_versions(upload: Upload, models: Models, sklearn_message: Message) -> None:
    name = upload(models, sklearn_message, model_id="m").model
    upload(models, sklearn_message, parent_model=name)
    made = models.add_evaluation(f"{name}@2", {"metrics": {"auRoc": 0.5}})
    assert made["name"].startswith(f"{name}/evaluations/")
    assert models.evaluation(made["name"])["metrics"] == {"auRoc": 0.5}
    assert len(models.list_evaluations(f"{name}@2")[0]) == 1 and models.list_evaluations(name)[0] == []
    models.delete_version(f"{name}@2")
    with pytest.raises(NotFound):
        models.evaluation(made["name"])
