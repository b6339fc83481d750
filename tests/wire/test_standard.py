"""The standard methods over records, and the methods that all APIs share: operations, locations, policies."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud import aiplatform_v1
from google.cloud.location import locations_pb2
from google.iam.v1 import iam_policy_pb2, policy_pb2
from google.longrunning import operations_pb2
from google.protobuf import field_mask_pb2
from tests.wire.conftest import Example

Client = aiplatform_v1.TensorboardServiceClient
Board, Experiment = aiplatform_v1.Tensorboard, aiplatform_v1.TensorboardExperiment


@pytest.fixture(params=["rest", "grpc"])
def client(request: pytest.FixtureRequest, example: Example) -> Client:
    return example.client(request.param)


@pytest.fixture
def parent(request: pytest.FixtureRequest) -> str:
    """A location that no other test uses."""
    return f"projects/p/locations/l{abs(hash(request.node.nodeid))}"


@pytest.fixture
def board(client: Client, parent: str) -> Board:
    return client.create_tensorboard(parent=parent, tensorboard=Board(display_name="b"), timeout=20).result(20)


def experiment(client: Client, board: Board, identity: str, /, **fields: Any) -> Experiment:
    return client.create_tensorboard_experiment(
        parent=board.name,
        tensorboard_experiment=Experiment(**fields),
        tensorboard_experiment_id=identity,
        timeout=20,
    )


def patch(client: Client, changed: Experiment, *paths: str) -> Experiment:
    mask = field_mask_pb2.FieldMask(paths=paths)
    return client.update_tensorboard_experiment(tensorboard_experiment=changed, update_mask=mask, timeout=20)


def wait(client: Client, request: operations_pb2.WaitOperationRequest) -> operations_pb2.Operation:
    answer = client.wait_operation(request)
    # Over gRPC the client leaves this one answer as it came.
    return operations_pb2.Operation.FromString(answer) if isinstance(answer, bytes) else answer


# -- create and get


def test_what_is_created_can_be_got(client: Client, board: Board) -> None:
    made = experiment(client, board, "e", display_name="x", description="d", labels={"team": "a"}, source="s")
    assert made.name == f"{board.name}/experiments/e"
    assert (made.display_name, made.description, dict(made.labels), made.source) == ("x", "d", {"team": "a"}, "s")
    assert made.etag and made.create_time == made.update_time
    assert client.get_tensorboard_experiment(name=made.name, timeout=20) == made


def test_an_id_is_made_where_none_is_given(client: Client, board: Board) -> None:
    assert board.name.rpartition("/")[2].isdigit() and len(board.name.rpartition("/")[2]) == 19


def test_what_the_api_fills_in_is_not_taken_from_the_caller(client: Client, board: Board) -> None:
    made = experiment(client, board, "e", name="other", etag="mine", create_time={"seconds": 1}, display_name="x")
    assert made.name == f"{board.name}/experiments/e"
    assert made.etag != "mine" and made.create_time.timestamp() > 1e9


def test_a_second_of_the_same_name_is_refused(client: Client, board: Board) -> None:
    made = experiment(client, board, "e", display_name="first")
    with pytest.raises(exceptions.Conflict, match=f"The name must be free; given: {made.name}"):
        experiment(client, board, "e", display_name="second")
    assert client.get_tensorboard_experiment(name=made.name, timeout=20).display_name == "first"


def test_a_parent_must_exist(client: Client, parent: str) -> None:
    nowhere = Board(name=f"{parent}/tensorboards/7")
    with pytest.raises(exceptions.NotFound, match=r"The parent of a TensorboardExperiment must exist; given: .*/7\."):
        experiment(client, nowhere, "e")


@pytest.mark.parametrize("wrong", ["projects/p", "locations/l", "projects/p/locations/l/tensorboards", "x" * 10])
def test_a_parent_of_another_form_is_refused(example: Example, wrong: str) -> None:
    with pytest.raises(exceptions.InvalidArgument, match=r"must have the form projects/\{project\}/locations"):
        example.client("grpc").create_tensorboard(parent=wrong, tensorboard=Board(display_name="x"), timeout=20)


@pytest.mark.parametrize("wrong", ["a/b", "..", "a\nb", "\x00"])
def test_an_id_that_is_no_segment_is_refused(example: Example, board: Board, wrong: str) -> None:
    with pytest.raises(exceptions.InvalidArgument, match="A resource name must"):
        experiment(example.client("grpc"), board, wrong)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ({"Team": "a"}, "A label's key must be"),
        ({"1a": "a"}, "A label's key must be"),
        ({"team": "A B"}, "The value of the label team must be"),
        ({"k" * 64: "a"}, "A label's key must be"),
        ({f"k{number}": "" for number in range(65)}, "at most 64 labels; given: 65"),
    ],
    ids=["upper case", "digit first", "space", "long", "many"],
)
def test_labels_are_checked(client: Client, board: Board, labels: dict[str, str], said: str) -> None:
    with pytest.raises(exceptions.BadRequest, match=said):
        experiment(client, board, "e", labels=labels)
    with pytest.raises(exceptions.NotFound):
        client.get_tensorboard_experiment(name=f"{board.name}/experiments/e", timeout=20)


def test_what_is_missing_is_named(client: Client, parent: str) -> None:
    with pytest.raises(exceptions.BadRequest, match=r"CreateTensorboard must be given tensorboard\.display_name"):
        client.create_tensorboard(parent=parent, tensorboard=Board(description="x"), timeout=20)


def test_a_record_of_another_kind_is_not_found(client: Client, example: Example, parent: str) -> None:
    example.records.put("other", f"{parent}/tensorboards/7", {})
    with pytest.raises(exceptions.NotFound, match="The Tensorboard must exist"):
        client.get_tensorboard(name=f"{parent}/tensorboards/7", timeout=20)


# -- update


def test_a_mask_says_what_changes(client: Client, board: Board) -> None:
    made = experiment(client, board, "e", display_name="x", description="d", labels={"a": "1", "b": "2"})
    changed = Experiment(name=made.name, display_name="y", description="ignored", labels={"a": "3"})
    after = patch(client, changed, "display_name", "labels.a")
    assert (after.display_name, after.description, dict(after.labels)) == ("y", "d", {"a": "3", "b": "2"})
    assert after.etag != made.etag and after.update_time > made.update_time and after.create_time == made.create_time
    cleared = patch(client, Experiment(name=made.name), "description", "labels")
    assert (cleared.display_name, cleared.description, dict(cleared.labels)) == ("y", "", {})


def test_without_a_mask_what_is_set_changes(client: Client, board: Board) -> None:
    made = experiment(client, board, "e", display_name="x", description="d")
    after = patch(client, Experiment(name=made.name, display_name="y"))
    assert (after.display_name, after.description) == ("y", "d")


def test_the_mask_of_everything_keeps_what_is_not_the_callers(client: Client, example: Example, board: Board) -> None:
    made = experiment(client, board, "e", display_name="x", description="d")
    example.records.update(made.name, {"_tule": {"kept": True}})
    after = patch(client, Experiment(name=made.name, display_name="y"), "*")
    assert (after.display_name, after.description, after.name) == ("y", "", made.name)
    assert example.records.get(made.name).body["_tule"] == {"kept": True}


@pytest.mark.parametrize(
    ("paths", "kind", "said"),
    [
        (["nonsense"], exceptions.BadRequest, "update_mask must name fields of TensorboardExperiment; given: nonsense"),
        (["display_name.x"], exceptions.BadRequest, "update_mask must name fields"),
        (["name"], exceptions.BadRequest, "update_mask must name a field to change; given: name"),
        (["create_time"], exceptions.MethodNotImplemented, "Tule does not change create_time"),
        (["*", "display_name"], exceptions.BadRequest, r"update_mask must name fields .* given: \*"),
        ([], exceptions.BadRequest, "update_mask must name a field to change"),
    ],
)
def test_a_wrong_mask_changes_nothing(
    client: Client, board: Board, paths: list[str], kind: type[Exception], said: str
) -> None:
    made = experiment(client, board, "e", display_name="x")
    with pytest.raises(kind, match=said):
        patch(client, Experiment(name=made.name), *paths)
    assert client.get_tensorboard_experiment(name=made.name, timeout=20) == made


def test_an_etag_that_is_not_the_present_one_is_refused(client: Client, board: Board) -> None:
    made = experiment(client, board, "e", display_name="x")
    fresh = patch(client, Experiment(name=made.name, display_name="y", etag=made.etag), "display_name")
    with pytest.raises((exceptions.Aborted, exceptions.Conflict), match="was changed since it was read"):
        patch(client, Experiment(name=made.name, display_name="z", etag=made.etag), "display_name")
    assert client.get_tensorboard_experiment(name=made.name, timeout=20) == fresh


def test_what_is_not_there_cannot_be_updated(client: Client, board: Board) -> None:
    with pytest.raises(exceptions.NotFound, match="The TensorboardExperiment must exist"):
        patch(client, Experiment(name=f"{board.name}/experiments/no", display_name="x"), "display_name")


# -- list


@pytest.fixture
def many(client: Client, board: Board) -> Board:
    for number in range(7):
        experiment(client, board, f"e{number}", display_name=f"x{6 - number}", labels={"odd": str(number % 2)})
    return board


def ids(found: Any) -> list[str]:
    return [each.name.rpartition("/")[2] for each in found]


def listed(client: Client, parent: str, **about: Any) -> Any:
    return client.list_tensorboard_experiments(request={"parent": parent, **about}, timeout=20)


@pytest.mark.parametrize(
    ("about", "expected"),
    [
        ({}, "e0 e1 e2 e3 e4 e5 e6"),
        ({"filter": 'labels.odd="1"'}, "e1 e3 e5"),
        ({"filter": 'display_name="x2" OR display_name="x3"'}, "e3 e4"),
        ({"order_by": "display_name"}, "e6 e5 e4 e3 e2 e1 e0"),
        ({"order_by": "display_name desc", "filter": 'labels.odd="0"'}, "e0 e2 e4 e6"),
        ({"filter": 'display_name="none"'}, ""),
    ],
)
def test_lists_filter_order_and_page(client: Client, many: Board, about: dict[str, Any], expected: str) -> None:
    assert ids(listed(client, many.name, **about)) == expected.split()
    pages = listed(client, many.name, page_size=2, **about).pages
    assert [ids(page.tensorboard_experiments) for page in pages] == [
        expected.split()[start : start + 2] for start in range(0, max(1, len(expected.split())), 2)
    ]


def test_a_list_over_all_parents(client: Client, many: Board, parent: str) -> None:
    assert ids(listed(client, f"{parent}/tensorboards/-")) == [f"e{number}" for number in range(7)]


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({"filter": "display_name="}, "filter"),
        ({"order_by": "display_name sideways"}, "order"),
        ({"page_size": -1}, "A page size must not be negative"),
        ({"page_token": "nonsense"}, "A page token must come from the last answer to the same request"),
        ({"read_mask": {"paths": ["name"]}}, "Tule does not do read_mask of ListTensorboardExperiments"),
    ],
)
def test_a_wrong_list_is_refused(client: Client, many: Board, about: dict[str, Any], said: str) -> None:
    with pytest.raises((exceptions.BadRequest, exceptions.MethodNotImplemented), match=said):
        list(listed(client, many.name, **about))


def test_a_page_token_belongs_to_its_request(client: Client, many: Board) -> None:
    token = listed(client, many.name, page_size=2).next_page_token
    with pytest.raises(exceptions.BadRequest, match="A page token must come from"):
        listed(client, many.name, page_size=2, page_token=token, filter='labels.odd="1"')


# -- delete, and the operations that some methods are


def test_what_is_deleted_is_gone_with_its_policy(client: Client, example: Example, board: Board) -> None:
    made = experiment(client, board, "e", display_name="x")
    example.policies.set(made.name, {"bindings": [{"role": "roles/viewer", "members": ["user:a@b"]}]})
    operation = client.delete_tensorboard_experiment(name=made.name, timeout=20)
    operation.result(20)
    with pytest.raises(exceptions.NotFound):
        client.get_tensorboard_experiment(name=made.name, timeout=20)
    with pytest.raises(exceptions.NotFound):
        client.delete_tensorboard_experiment(name=made.name, timeout=20)
    assert example.records.find(made.name + "/iamPolicy") is None


def test_what_has_something_inside_is_not_deleted(client: Client, board: Board) -> None:
    made = experiment(client, board, "e")
    with pytest.raises(exceptions.GoogleAPICallError, match=f"must be empty to be deleted.*which has {made.name}"):
        client.delete_tensorboard(name=board.name, timeout=20).result(20)
    assert client.get_tensorboard(name=board.name, timeout=20) == board


def test_an_operation_tells_its_end_and_is_found_by_everybody(client: Client, parent: str) -> None:
    operation = client.create_tensorboard(parent=parent, tensorboard=Board(display_name="b"), timeout=20)
    made = operation.result(20)
    name = operation.operation.name
    assert name.startswith(f"{parent}/operations/")
    found = client.get_operation(operations_pb2.GetOperationRequest(name=name))
    assert found.done and Board.deserialize(found.response.value).name == made.name
    assert wait(client, operations_pb2.WaitOperationRequest(name=name)) == found
    listed = client.list_operations(operations_pb2.ListOperationsRequest(name=parent))
    assert [each.name for each in listed.operations] == [name]
    client.delete_operation(operations_pb2.DeleteOperationRequest(name=name))
    for method in (client.get_operation, client.cancel_operation, client.delete_operation):
        with pytest.raises(exceptions.NotFound, match="The operation must exist"):
            method({"name": name})


@pytest.fixture
def running(example: Example, parent: str) -> tuple[str, threading.Event]:
    """An operation that goes on until it is cancelled, or the event is set."""
    gate = threading.Event()

    def work(progress: Any) -> dict[str, Any]:
        progress.on_cancel(gate.set)
        gate.wait(30)
        progress.check()
        return {"@type": "type.googleapis.com/google.cloud.aiplatform.v1.Tensorboard", "displayName": "done"}

    return example.operations.start(parent, work, kind="test").name, gate


def test_waiting_ends_with_its_time(client: Client, running: tuple[str, threading.Event]) -> None:
    name, gate = running
    request = operations_pb2.WaitOperationRequest(name=name)
    request.timeout.FromMilliseconds(50)
    assert not wait(client, request).done
    with pytest.raises(exceptions.GoogleAPICallError, match="An operation must be done to be deleted"):
        client.delete_operation({"name": name})
    gate.set()
    assert wait(client, operations_pb2.WaitOperationRequest(name=name)).done


def test_an_operation_that_is_cancelled_says_so(client: Client, running: tuple[str, threading.Event]) -> None:
    name, _ = running
    client.cancel_operation({"name": name})
    ended = wait(client, operations_pb2.WaitOperationRequest(name=name))
    assert (ended.done, ended.error.code, ended.WhichOneof("result")) == (True, 1, "error")


def test_operations_are_found_at_any_version_of_the_path(
    example: Example, running: tuple[str, threading.Event]
) -> None:
    name, gate = running
    gate.set()
    for version in ("v1", "ui"):
        assert example.http.get(f"/{version}/{name}").json()["name"] == name
    assert example.http.get(f"/v7/{name}").status_code == 404


# -- locations and policies


def test_locations(client: Client) -> None:
    found = client.get_location(locations_pb2.GetLocationRequest(name="projects/p/locations/europe-west4"))
    assert found.location_id == "europe-west4"
    everywhere = client.list_locations(locations_pb2.ListLocationsRequest(name="projects/p"))
    assert "us-central1" in [each.location_id for each in everywhere.locations]


def policy(*members: str, etag: bytes = b"") -> policy_pb2.Policy:
    return policy_pb2.Policy(etag=etag, bindings=[policy_pb2.Binding(role="roles/viewer", members=members)])


@pytest.fixture
def resource(example: Example, parent: str) -> str:
    """A resource of a kind whose policies the client asks for over REST too."""
    return example.records.put("model", f"{parent}/models/7", {}).name


def test_policies_of_what_exists(client: Client, resource: str) -> None:
    empty = client.get_iam_policy(iam_policy_pb2.GetIamPolicyRequest(resource=resource))
    assert not empty.bindings and empty.version == 1
    request = iam_policy_pb2.SetIamPolicyRequest(resource=resource, policy=policy("user:a@b.c"))
    made = client.set_iam_policy(request)
    options = {"requested_policy_version": 3}
    assert client.get_iam_policy({"resource": resource, "options": options}) == made
    stale = iam_policy_pb2.SetIamPolicyRequest(resource=resource, policy=policy("user:d@e.f", etag=b"stale"))
    with pytest.raises((exceptions.Aborted, exceptions.Conflict)):
        client.set_iam_policy(stale)
    assert client.get_iam_policy({"resource": resource}) == made
    allowed = client.test_iam_permissions({"resource": resource, "permissions": ["aiplatform.models.get"]})
    assert list(allowed.permissions) == ["aiplatform.models.get"]


def conditional() -> policy_pb2.Policy:
    made = policy("user:a@b.c")
    made.bindings[0].condition.expression = "true"
    return made


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (conditional, r"Tule does not do policy\.bindings\.condition\.expression of SetIamPolicy"),
        (lambda: policy("nobody"), "A member must be one of"),
        (lambda: policy_pb2.Policy(bindings=[policy_pb2.Binding(role="viewer")]), "A role must be roles/NAME"),
    ],
    ids=["condition", "member", "role"],
)
def test_a_wrong_policy_is_not_set(
    client: Client, resource: str, make: Callable[[], policy_pb2.Policy], said: str
) -> None:
    with pytest.raises((exceptions.BadRequest, exceptions.MethodNotImplemented), match=said):
        client.set_iam_policy(iam_policy_pb2.SetIamPolicyRequest(resource=resource, policy=make()))
    assert not client.get_iam_policy({"resource": resource}).bindings


def test_what_does_not_exist_has_no_policy(client: Client, parent: str) -> None:
    for method in (client.get_iam_policy, client.set_iam_policy):
        request = {"resource": f"{parent}/models/8", **({"policy": policy()} if "set" in method.__name__ else {})}
        with pytest.raises(exceptions.NotFound, match="The resource of a policy must exist"):
            method(request)
