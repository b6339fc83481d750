"""REST and gRPC over one handler table: the same answers, the same errors, by Google's own client over both."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import httpx
import pytest
from google.api_core import exceptions
from google.cloud import aiplatform_v1
from google.rpc import error_details_pb2, status_pb2
from tests.wire.conftest import BOARD, LOCATION, MAX_BODY, Example

Client = aiplatform_v1.TensorboardServiceClient
RUN = BOARD.format(tensorboard="7") + "/experiments/e/runs/{run}"
SERIES = RUN.format(run="r") + "/timeSeries/t"
SERVICE = "google.cloud.aiplatform.v1.TensorboardService"


@pytest.fixture(params=["rest", "grpc"])
def client(request: pytest.FixtureRequest, example: Example) -> Client:
    return example.client(request.param)


def write(client: Client, run: str) -> Any:
    data = [aiplatform_v1.TimeSeriesData(tensorboard_time_series_id="t", value_type="SCALAR")]
    return client.write_tensorboard_run_data(tensorboard_run=RUN.format(run=run), time_series_data=data, timeout=20)


def both(example: Example, call: Callable[[Client], Any]) -> list[exceptions.GoogleAPICallError]:
    """The errors of a call over both carriers."""
    found = []
    for transport in ("rest", "grpc"):
        with pytest.raises(exceptions.GoogleAPICallError) as refused:
            call(example.client(transport))
        found.append(refused.value)
    return found


def message_of(error: exceptions.GoogleAPICallError) -> str:
    """Its message; over REST Google's client puts the address in front."""
    text = error.message
    return text.partition("enum-encoding%3Dint: ")[2] or text


# -- errors


@pytest.mark.parametrize(
    ("run", "http", "code", "said"),
    [
        ("missing", 404, "NOT_FOUND", "The run must exist; given: {run}. Next: create it first"),
        ("detailed", 400, "INVALID_ARGUMENT", "The run must be simple"),
    ],
)
def test_errors_are_the_same_over_both(example: Example, run: str, http: int, code: str, said: str) -> None:
    for error in both(example, lambda client: write(client, run)):
        assert error.code == http
        assert message_of(error) == said.format(run=RUN.format(run=run))
        assert error.grpc_status_code in (None, grpc.StatusCode[code])


def test_details_come_along(example: Example) -> None:
    rest, over_grpc = both(example, lambda client: write(client, "detailed"))
    assert rest.details == [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "TEST", "domain": "tule"}]
    assert over_grpc.details == [error_details_pb2.ErrorInfo(reason="TEST", domain="tule")]


def test_a_bug_is_internal_and_its_trace_stays_in_the_log(example: Example, caplog: pytest.LogCaptureFixture) -> None:
    for error in both(example, lambda client: write(client, "bug")):
        assert isinstance(error, exceptions.InternalServerError)
        text = str(error)
        assert "Tule met an error of its own; given: incident " in text
        assert "secret" not in text and "Traceback" not in text and "conftest" not in text
        incident = text.partition("incident ")[2][:12]
        logged = next(each for each in caplog.records if incident in each.message)
        assert logged.exc_info is not None and "a secret of the server" in str(logged.exc_info[1])


def test_a_very_long_message_arrives_over_both(example: Example) -> None:
    rest, over_grpc = both(example, lambda client: write(client, "long"))
    assert len(message_of(rest)) > 100_000
    # Trailers have a limit, beyond which a client would show an error of the transport.
    assert over_grpc.message.startswith("The run must be short; given: xxx") and len(over_grpc.message) == 2048
    assert isinstance(over_grpc, exceptions.InvalidArgument)


def test_status_is_google_rpc_status_in_both(example: Example) -> None:
    path = f"/v1/{RUN.format(run='missing')}:write"
    answer = example.http.post(path, json={"timeSeriesData": [{"tensorboardTimeSeriesId": "t", "valueType": "SCALAR"}]})
    error = example.error(answer)
    assert (answer.status_code, error["code"], error["status"]) == (404, 404, "NOT_FOUND")
    call = example.channel.unary_unary(f"/{SERVICE}/WriteTensorboardRunData")
    request = aiplatform_v1.WriteTensorboardRunDataRequest(
        tensorboard_run=RUN.format(run="missing"),
        time_series_data=[{"tensorboard_time_series_id": "t", "value_type": "SCALAR"}],
    )
    with pytest.raises(grpc.RpcError) as refused:
        call(type(request).serialize(request))
    trailers = dict(refused.value.trailing_metadata())
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    assert (status.code, status.message) == (5, error["message"]) == (5, refused.value.details())


# -- what is not served


def test_a_method_that_is_not_done_answers_with_its_own_name(client: Client) -> None:
    with pytest.raises(
        exceptions.MethodNotImplemented, match=r"Tule does not do TensorboardService\.ListTensorboardRuns yet"
    ):
        client.list_tensorboard_runs(parent=RUN.format(run="r").rpartition("/runs/")[0])


def test_a_service_that_is_not_done_answers_with_its_own_name(example: Example) -> None:
    answer = example.http.get(f"/v1/{LOCATION}/pipelineJobs/x")
    assert answer.status_code == 501
    assert example.error(answer)["message"].startswith("Tule does not do PipelineService.GetPipelineJob yet")


@pytest.mark.parametrize("kind", ["unary_unary", "unary_stream", "stream_unary", "stream_stream"])
@pytest.mark.parametrize(
    ("path", "said"),
    [
        (
            "/google.cloud.aiplatform.v1.PipelineService/GetPipelineJob",
            "does not do PipelineService.GetPipelineJob yet",
        ),
        (f"/{SERVICE}/Nonsense", "does not do TensorboardService.Nonsense yet"),
        ("/google.spanner.v1.Spanner/Read", "does not serve google.spanner.v1.Spanner"),
        ("/x", "does not serve"),
    ],
)
def test_an_unknown_grpc_path_is_unimplemented_whatever_its_kind(
    example: Example, kind: str, path: str, said: str
) -> None:
    call = getattr(example.channel, kind)(path)
    with pytest.raises(grpc.RpcError) as refused:
        answer = call(iter([b""]) if kind.startswith("stream") else b"", timeout=20)
        list(answer)
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert said in refused.value.details()


@pytest.mark.parametrize(
    ("verb", "path"),
    [("GET", "/v1/nonsense"), ("DELETE", f"/v1/{LOCATION}"), ("GET", "/"), ("PUT", "/v2/x"), ("GET", "/v1beta1/x")],
)
def test_a_path_that_no_api_has_is_not_found(example: Example, verb: str, path: str) -> None:
    answer = example.http.request(verb, path)
    assert answer.status_code == 404
    assert example.error(answer)["message"].startswith(f"There is no method at {verb} {path}")


# -- who calls


def test_both_want_the_credential(example: Example) -> None:
    answer = httpx.get(f"http://{example.address}/v1/{LOCATION}/tensorboards")
    assert (answer.status_code, example.error(answer)["status"]) == (401, "UNAUTHENTICATED")
    assert answer.headers["www-authenticate"] == "Bearer"
    with pytest.raises(grpc.RpcError) as refused:
        example.stranger.unary_unary(f"/{SERVICE}/ListTensorboards")(b"", timeout=20)
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert "tule env" in refused.value.details()


def stranger(example: Example, email: str = "eve@example.com") -> dict[str, str]:
    return {"authorization": f"Bearer {example.access.issue(email)}"}


def test_both_deny_by_default_and_grant_by_policy(example: Example) -> None:
    headers = stranger(example, "mallory@example.com")
    path = "projects/granted/locations/us-central1"

    def ask() -> tuple[int, str]:
        answer = httpx.get(f"http://{example.address}/v1/{path}/tensorboards", headers=headers)
        request = aiplatform_v1.ListTensorboardsRequest(parent=path)
        call = example.stranger.unary_unary(f"/{SERVICE}/ListTensorboards")
        try:
            call(type(request).serialize(request), metadata=list(headers.items()), timeout=20)
        except grpc.RpcError as error:
            return answer.status_code, error.code().name
        return answer.status_code, "OK"

    assert ask() == (403, "PERMISSION_DENIED")
    example.projects.resolve("granted")
    policy = {"bindings": [{"role": "roles/viewer", "members": ["user:mallory@example.com"]}]}
    example.policies.set("projects/granted", policy)
    assert ask() == (200, "OK")


def granted(example: Example, project: str, role: str) -> httpx.Client:
    """A client of somebody who has one role on a project."""
    email = f"{role}@{project}.example"
    example.projects.resolve(project)
    bindings = example.policies.get(f"projects/{project}")["bindings"]
    binding = {"role": f"roles/{role}", "members": [f"user:{email}"]}
    example.policies.set(f"projects/{project}", {"bindings": [*bindings, binding]})
    return httpx.Client(base_url=f"http://{example.address}/v1", headers=stranger(example, email))


def test_a_role_of_a_product_reaches_to_its_operations(example: Example) -> None:
    place = "projects/polled/locations/us-central1"
    other = example.operations.run(place, lambda _: {}, kind="google.cloud.resourcemanager.v3.Projects.CreateProject")
    with granted(example, "polled", "aiplatform.user") as client:
        made = client.post(f"/{place}/tensorboards", json={"displayName": "x"}).json()["name"]
        assert client.get(f"/{made}").json()["done"] is True
        assert client.post(f"/{made}:wait").status_code == 200
        assert [each["name"] for each in client.get(f"/{place}/operations").json()["operations"]] == [made]
        assert client.get(f"/{place}").json()["locationId"] == "us-central1"
        denied = client.get(f"/{other.name}")
        assert denied.status_code == 403
        assert "must have the permission resourcemanager.operations.get" in example.error(denied)["message"]
        assert client.get(f"/{place}/operations/1").status_code == 404
    with granted(example, "polled", "aiplatform.viewer") as client:
        assert client.get(f"/{made}").status_code == 200
        assert (client.post(f"/{made}:cancel").status_code, client.delete(f"/{made}").status_code) == (403, 403)
    with granted(example, "polled", "bigquery.admin") as client:
        assert [client.get(f"/{made}").status_code, client.get(f"/{place}/operations").status_code] == [403, 403]
    assert example.operations.get(made).done


def test_who_is_denied_leaves_no_project_behind(example: Example) -> None:
    answer = httpx.get(
        f"http://{example.address}/v1/projects/unseen/locations/l/tensorboards", headers=stranger(example)
    )
    assert answer.status_code == 403
    assert example.records.find("projects/unseen") is None


def test_a_permission_in_one_project_is_none_in_another_that_a_request_names(example: Example) -> None:
    example.projects.resolve("mine")
    policy = {"bindings": [{"role": "roles/owner", "members": ["user:trent@example.com"]}]}
    example.policies.set("projects/mine", policy)
    headers = stranger(example, "trent@example.com")
    address = f"http://{example.address}/v1/projects/mine/locations/l/tensorboards"
    fine = httpx.post(address, headers=headers, json={"displayName": "x", "description": "projects/theirs/x"})
    assert fine.status_code == 200
    key = {"kmsKeyName": "projects/theirs/locations/l/keyRings/k/cryptoKeys/c"}
    wrong = httpx.post(address, headers=headers, json={"displayName": "x", "encryptionSpec": key})
    assert wrong.status_code == 403
    assert "given: projects/theirs/locations/l/keyRings" in example.error(wrong)["message"]


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"host": "evil.example"}, "The Host of a request must be a loopback name"),
        ({"host": "127.0.0.1.evil.example"}, "The Host of a request must be a loopback name"),
        ({"host": "169.254.1.1"}, "The Host of a request must be a loopback name"),
        ({"origin": "https://evil.example"}, "A page may call this server only from its own address"),
        ({"origin": "null"}, "A page may call this server only from its own address"),
        ({"origin": "http://127.0.0.1:1"}, "A page may call this server only from its own address"),
    ],
)
@pytest.mark.parametrize("verb", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_foreign_hosts_and_origins_are_refused_on_every_method(
    example: Example, verb: str, headers: dict[str, str], said: str
) -> None:
    for path in (f"/v1/{LOCATION}/tensorboards", "/notes/v1/public", "/healthz", f"/v1/{LOCATION}/endpoints/1:predict"):
        answer = example.http.request(verb, path, headers=headers)
        assert answer.status_code == 403
        assert said in answer.json()["error"]["message"]


@pytest.mark.parametrize("host", ["", "[::1", "127.0.0.1:x", "user@localhost", "localhost/x"])
def test_a_host_that_is_none_is_refused(example: Example, host: str) -> None:
    answer = example.http.get("/healthz", headers={"host": host})
    assert answer.status_code == 400


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1", "[::1]:80", "localhost.", "x.localhost"])
def test_loopback_names_are_ours_with_any_port(example: Example, host: str) -> None:
    assert example.http.get("/healthz", headers={"host": host}).json() == {"status": "ready"}


def test_a_page_of_our_own_address_may_call(example: Example) -> None:
    answer = example.http.get("/healthz", headers={"origin": f"http://{example.address}"})
    assert answer.status_code == 200


def test_no_page_calls_over_grpc(example: Example) -> None:
    call = example.channel.unary_unary(f"/{SERVICE}/ListTensorboards")
    with pytest.raises(grpc.RpcError) as refused:
        call(b"", metadata=[("origin", "https://evil.example")], timeout=20)
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


# -- what requests are refused for


def test_both_refuse_fields_by_name(example: Example) -> None:
    key = {"kms_key_name": "projects/p/locations/l/keyRings/k/cryptoKeys/c"}
    board = aiplatform_v1.Tensorboard(display_name="x", encryption_spec=key, is_default=True)
    for error in both(example, lambda client: client.create_tensorboard(parent=LOCATION, tensorboard=board)):
        assert isinstance(error, exceptions.MethodNotImplemented)
        assert message_of(error).startswith(
            "Tule does not do tensorboard.encryption_spec.kms_key_name, tensorboard.is_default of CreateTensorboard"
        )


def test_both_want_what_is_required(example: Example) -> None:
    answer = example.http.post(f"/v1/{LOCATION}/tensorboards", content=b"")
    assert answer.status_code == 400
    assert example.error(answer)["message"] == "CreateTensorboard must be given tensorboard; given: none"
    call = example.channel.unary_unary(f"/{SERVICE}/CreateTensorboard")
    with pytest.raises(grpc.RpcError) as refused:
        call(b"", timeout=20)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.value.details() == "CreateTensorboard must be given parent; given: none"


@pytest.mark.parametrize("data", [b"\xff", b"\x0a\xff\xff\xff\xff\x0f", b"\x08", b"\x0a\x02\xc3\x28"])
def test_bytes_that_are_no_message_are_an_invalid_argument(example: Example, data: bytes) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        example.channel.unary_unary(f"/{SERVICE}/ListTensorboards")(data, timeout=20)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "must be a google.cloud.aiplatform.v1.ListTensorboardsRequest" in refused.value.details()


# -- streams


def test_a_stream_arrives_piece_by_piece(client: Client) -> None:
    names = [f"blob{number}" for number in range(50)]
    answers = client.read_tensorboard_blob_data(request={"time_series": SERIES, "blob_ids": names}, timeout=30)
    assert [blob.id for answer in answers for blob in answer.blobs] == names


def test_an_empty_stream_is_empty(client: Client) -> None:
    assert list(client.read_tensorboard_blob_data(time_series=SERIES, timeout=30)) == []


def test_a_stream_that_fails_at_once_is_the_error(example: Example) -> None:
    def read(client: Client) -> Any:
        return list(
            client.read_tensorboard_blob_data(request={"time_series": SERIES, "blob_ids": ["fail"]}, timeout=20)
        )

    for error in both(example, read):
        assert message_of(error) == "A blob must be whole; given: fail. Next: upload it again"


def test_a_stream_that_fails_midway_never_looks_whole(example: Example) -> None:
    request = {"time_series": SERIES, "blob_ids": ["a", "fail", "b"]}
    with pytest.raises(exceptions.FailedPrecondition, match="A blob must be whole"):
        list(example.client("grpc").read_tensorboard_blob_data(request=request, timeout=20))
    with pytest.raises(httpx.RemoteProtocolError):
        example.http.get(f"/v1/{SERIES}:readBlobData?blobIds=a&blobIds=fail")


def test_a_stream_begins_before_it_ends(example: Example) -> None:
    example.boards.gate.clear()
    with example.http.stream("GET", f"/v1/{SERIES}:readBlobData?blobIds=first&blobIds=wait&blobIds=last") as answer:
        pieces = answer.iter_bytes()
        assert b'"first"' in next(pieces)
        example.boards.gate.set()
        rest = b"".join(pieces)
    assert b'"last"' in rest and rest.endswith(b"]")


@pytest.mark.parametrize("ids", [["a"], ["a", "b", "c"], []])
def test_a_stream_as_events(example: Example, ids: list[str]) -> None:
    query = "&".join(["alt=sse", *(f"blobIds={each}" for each in ids)])
    answer = example.http.get(f"/v1/{SERIES}:readBlobData?{query}")
    assert answer.headers["content-type"] == "text/event-stream"
    events = [each.removeprefix("data: ") for each in answer.text.split("\r\n\r\n") if each]
    assert [json.loads(each)["blobs"][0]["id"] for each in events] == ids


def test_a_client_that_leaves_ends_the_stream(example: Example) -> None:
    boards = example.boards
    boards.gate.clear()
    boards.ended.clear()
    request = {"time_series": SERIES, "blob_ids": ["first", "wait", *(["more"] * 1000)]}
    answers = example.client("grpc").read_tensorboard_blob_data(request=request)
    assert next(answers).blobs[0].id == "first"
    answers.cancel()
    boards.gate.set()
    assert boards.ended.wait(20)
    boards.gate.clear()
    boards.ended.clear()
    path = f"/v1/{SERIES}:readBlobData?blobIds=first&blobIds=wait&" + "&".join(["blobIds=more"] * 1000)
    with example.http.stream("GET", path) as answer:
        next(answer.iter_bytes())
    boards.gate.set()
    assert boards.ended.wait(20)


def test_a_stream_in_has_one_answer(example: Example) -> None:
    call = example.channel.stream_unary(
        f"/{SERVICE}/BatchCreateTensorboardRuns",
        aiplatform_v1.BatchCreateTensorboardRunsRequest.serialize,
        aiplatform_v1.BatchCreateTensorboardRunsResponse.deserialize,
    )
    parents = [f"{BOARD.format(tensorboard=number)}/experiments/e" for number in range(5)]
    requests = (aiplatform_v1.BatchCreateTensorboardRunsRequest(parent=each, requests=[{}]) for each in parents)
    assert [run.name for run in call(requests, timeout=20).tensorboard_runs] == parents
    with pytest.raises(grpc.RpcError) as refused:
        call(iter([aiplatform_v1.BatchCreateTensorboardRunsRequest()]), timeout=20)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def conversation(example: Example) -> Any:
    return example.channel.stream_stream(
        "/google.cloud.aiplatform.v1.FeatureOnlineStoreService/FeatureViewDirectWrite",
        aiplatform_v1.FeatureViewDirectWriteRequest.serialize,
        aiplatform_v1.FeatureViewDirectWriteResponse.deserialize,
    )


def said(key: str, **more: Any) -> aiplatform_v1.FeatureViewDirectWriteRequest:
    view = "projects/p/locations/l/featureOnlineStores/s/featureViews/v"
    values = {"data_key": {"key": key}, **more}
    return aiplatform_v1.FeatureViewDirectWriteRequest(feature_view=view, data_key_and_feature_values=[values])


def test_a_conversation_answers_each_message(example: Example) -> None:
    answers = conversation(example)(iter([said("a"), said("b")]), timeout=20)
    assert [answer.write_responses[0].data_key.key for answer in answers] == ["a", "b"]


def test_every_message_of_a_conversation_is_checked(example: Example) -> None:
    wrong = said("b", features=[{"name": "f"}])
    answers = conversation(example)(iter([said("a"), wrong]), timeout=20)
    assert next(answers).write_responses[0].data_key.key == "a"
    with pytest.raises(grpc.RpcError) as refused:
        next(answers)
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert "data_key_and_feature_values.features.name of FeatureViewDirectWrite" in refused.value.details()


def test_a_method_without_http_rules_is_not_found_over_http(example: Example) -> None:
    path = "/v1/projects/p/locations/l/featureOnlineStores/s/featureViews/v:directWrite"
    answer = example.http.post(path, json={})
    assert answer.status_code in (404, 501)


# -- size, time, compression


def test_answers_may_be_big(example: Example) -> None:
    for transport in ("rest", "grpc"):
        found = example.client(transport).read_tensorboard_time_series_data(
            request={"tensorboard_time_series": SERIES, "max_data_points": 12_000_000}, timeout=60
        )
        assert len(found.time_series_data.values[0].blobs.values[0].id) == 12_000_000


def test_requests_may_be_as_big_as_allowed_and_no_bigger(example: Example) -> None:
    def create(client: Client, size: int) -> Any:
        board = aiplatform_v1.Tensorboard(display_name="big", description="d" * size)
        return client.create_tensorboard(parent=LOCATION, tensorboard=board, timeout=30).result()

    for transport in ("rest", "grpc"):
        assert len(create(example.client(transport), MAX_BODY - 10_000).description) == MAX_BODY - 10_000
    with pytest.raises(exceptions.BadRequest, match=f"at most {MAX_BODY} bytes"):
        create(example.client("rest"), MAX_BODY)
    with pytest.raises(exceptions.ResourceExhausted):
        create(example.client("grpc"), MAX_BODY)


def test_grpc_compression_is_understood(example: Example) -> None:
    request = aiplatform_v1.ListTensorboardsRequest(parent=LOCATION, filter='display_name="' + "x" * 100_000 + '"')
    call = example.channel.unary_unary(f"/{SERVICE}/ListTensorboards")
    with pytest.raises(grpc.RpcError) as refused:
        call(type(request).serialize(request), compression=grpc.Compression.Gzip, timeout=20)
    # It was read: what is refused is the filter itself.
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "filter" in refused.value.details().lower()


def test_a_deadline_ends_the_call_for_its_client(example: Example, side: ThreadPoolExecutor) -> None:
    example.boards.gate.clear()
    call = example.channel.unary_unary(f"/{SERVICE}/WriteTensorboardRunData")
    request = aiplatform_v1.WriteTensorboardRunDataRequest(
        tensorboard_run=RUN.format(run="wait"), time_series_data=[{"tensorboard_time_series_id": "t"}]
    )
    with pytest.raises(grpc.RpcError) as late:
        call(type(request).serialize(request), timeout=0.2)
    assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    example.boards.gate.set()
    assert call(type(request).serialize(request), timeout=20) == b""


def test_slow_calls_do_not_hold_up_others(example: Example, side: ThreadPoolExecutor) -> None:
    example.boards.gate.clear()
    slow = [side.submit(write, example.client(transport), "wait") for transport in ("rest", "grpc") for _ in range(8)]
    for transport in ("rest", "grpc"):
        write(example.client(transport), "quick")
    assert not any(each.done() for each in slow)
    example.boards.gate.set()
    assert [each.exception(30) for each in slow] == [None] * 16
