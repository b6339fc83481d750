"""Method tables derived from client packages: every package of the generation says the same things in the same places."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache

import pytest
from google.api_core import path_template
from google.protobuf import empty_pb2

from tule.kernel.errors import InvalidArgument, NotFound, Unimplemented
from tule.wire.surfaces import BOTH_STREAM, CLIENT_STREAM, SERVER_STREAM, UNARY, HttpRule, Method, Surface, pb_class

# Package -> services, methods, HTTP rules (additional bindings counted), long-running methods: at least so many.
SIZES = {
    "google.cloud.aiplatform_v1": (34, 345, 369, 116),
    "google.cloud.aiplatform_v1beta1": (40, 424, 474, 149),
    "google.cloud.bigquery_storage_v1": (2, 9, 0, 0),
    "google.cloud.language_v1": (1, 7, 7, 0),
    "google.cloud.language_v2": (1, 5, 5, 0),
    "google.cloud.resourcemanager_v3": (7, 52, 52, 20),
    "google.cloud.vision_v1": (2, 23, 31, 4),
}


@cache
def surface(package: str) -> Surface:
    return Surface(package)


def methods(package: str) -> list[Method]:
    found = surface(package)
    return [method for name in found.services for method in found.service(name).methods.values()]


def method(package: str, service: str, name: str) -> Method:
    return surface(f"google.cloud.{package}").service(service).methods[name]


@pytest.mark.parametrize("package", SIZES)
def test_a_package_is_read_whole(package: str) -> None:
    services, rpcs, rules, long_running = SIZES[package]
    found = methods(package)
    assert len(surface(package).services) >= services
    assert len(found) >= rpcs
    assert sum(len(each.http) for each in found) >= rules
    assert sum(each.operation is not None for each in found) >= long_running


@pytest.mark.parametrize("package", SIZES)
def test_each_method_has_paths_messages_and_a_kind(package: str) -> None:
    for each in methods(package):
        assert each.path == f"/{surface(package).proto_package}.{each.service.rpartition('.')[2]}/{each.name}"
        assert each.streaming in (UNARY, SERVER_STREAM, CLIENT_STREAM, BOTH_STREAM)
        request, response = pb_class(each.request).DESCRIPTOR, pb_class(each.response).DESCRIPTOR
        assert request.full_name and response.full_name
        long_running = response.full_name == "google.longrunning.Operation"
        # What ends in an operation says of which type its response is; only Get methods of operations could not.
        assert long_running == (each.operation is not None), each.full_name
        for rule in each.http:
            for field in re.findall(r"\{([\w.]+)", rule.template):
                assert _leads_to_text(request, field), f"{each.full_name}: {field}"
            assert rule.body in (None, "*") or rule.body in request.fields_by_name


def _leads_to_text(descriptor: object, path: str) -> bool:
    field = None
    for name in path.split("."):
        field = descriptor.fields_by_name[name]  # type: ignore[attr-defined]
        descriptor = field.message_type
    return field is not None and field.type == field.TYPE_STRING


@pytest.mark.parametrize("package", [each for each in SIZES if SIZES[each][2]])
def test_what_the_client_sends_is_matched_and_read_back(package: str) -> None:
    """The client's own transcoding of a request, for every rule, gives a path that leads back to the same fields."""
    for each in methods(package):
        for rule in each.http:
            fields = {
                name: _sample(shape or "*") for name, shape in re.findall(r"\{([\w.]+)(?:=([^}]+))?\}", rule.template)
            }
            path = path_template.expand(rule.template, **fields)
            assert path_template.validate(rule.template, path)
            assert rule.match(rule.verb, path) == fields, f"{each.full_name} {path}"
            assert rule.match("TRACE", path) is None
            assert rule.match(rule.verb, path + "/more") is None or "**" in rule.template


def _sample(shape: str) -> str:
    return "/".join("a-1.b_c~" if part == "*" else "x/y" if part == "**" else part for part in shape.split("/"))


@pytest.mark.parametrize("package", ["google.cloud.aiplatform_v1", "google.cloud.resourcemanager_v3"])
def test_each_path_leads_to_its_own_method(package: str) -> None:
    """Also where a more general rule of another method fits it too (``tagKeys/namespaced``, ``tagKeys/*``)."""
    for each, rule in ((method, rule) for method in methods(package) for rule in method.http):
        path = re.sub(
            r"\{[\w.]+(?:=([^}]+))?\}",
            lambda found: _sample(found.group(1) or "*").replace("a-1.b_c~", "id"),
            rule.template,
        )
        assert surface(package).method_at(rule.verb, path) == each, path


def test_messages_streams_and_ends() -> None:
    deploy = method("aiplatform_v1", "EndpointService", "DeployModel")
    assert deploy.python == "deploy_model" and deploy.streaming == UNARY
    assert deploy.operation is not None
    assert [kind.__name__ for kind in deploy.operation] == ["DeployModelResponse", "DeployModelOperationMetadata"]
    delete = method("aiplatform_v1", "EndpointService", "DeleteEndpoint")
    assert delete.operation is not None and delete.operation[0] is empty_pb2.Empty
    assert method("aiplatform_v1", "PredictionService", "StreamRawPredict").streaming == SERVER_STREAM
    assert method("bigquery_storage_v1", "BigQueryRead", "ReadRows").streaming == SERVER_STREAM
    assert method("bigquery_storage_v1", "BigQueryWrite", "AppendRows").streaming == BOTH_STREAM
    assert method("bigquery_storage_v1", "BigQueryWrite", "AppendRows").http == ()
    policy = method("resourcemanager_v3", "Projects", "GetIamPolicy")
    assert policy.request.DESCRIPTOR.full_name == "google.iam.v1.GetIamPolicyRequest"
    raw = method("aiplatform_v1", "PredictionService", "RawPredict")
    assert raw.response.DESCRIPTOR.full_name == "google.api.HttpBody"


def test_additional_bindings_are_kept() -> None:
    annotate = method("vision_v1", "ImageAnnotator", "BatchAnnotateImages")
    assert [rule.template for rule in annotate.http] == [
        "/v1/images:annotate",
        "/v1/{parent=projects/*/locations/*}/images:annotate",
        "/v1/{parent=projects/*}/images:annotate",
    ]
    predict = method("aiplatform_v1", "PredictionService", "Predict")
    model = "projects/p/locations/l/publishers/google/models/m"
    assert [rule.match("POST", f"/v1/{model}:predict") for rule in predict.http] == [None, {"endpoint": model}]


@pytest.mark.parametrize(
    ("template", "path", "fields"),
    [
        ("/v1/{name=projects/*}", "/v1/projects/p", {"name": "projects/p"}),
        ("/v1/{name=projects/*}", "/v1/projects/p:verb", None),
        ("/v1/{name=projects/*}", "/v1/projects/", None),
        ("/v1/{name=projects/*}:verb", "/v1/projects/p:verb", {"name": "projects/p"}),
        ("/v1/{name=projects/*}:verb", "/v1/projects/p", None),
        # A colon begins a verb only in the last segment: projects of a domain have one in their id.
        ("/v1/{name=projects/*/jobs/*}", "/v1/projects/a.org:p/jobs/j", {"name": "projects/a.org:p/jobs/j"}),
        ("/v1/{name=projects/*}/jobs", "/v1/projects/a.org:p/jobs", {"name": "projects/a.org:p"}),
        ("/v1/{a.b=x/*}", "/v1/x/y", {"a.b": "x/y"}),
        ("/v1/{a}/{b}", "/v1/x/y", {"a": "x", "b": "y"}),
        ("/v1/{name=**}", "/v1/a/b/c", {"name": "a/b/c"}),
        ("/v1/{name=**}", "/v1/a/b:c", None),
        ("/v1/{name=**/operations/*}", "/v1/operations/7", {"name": "operations/7"}),
        ("/v1/{name=**/operations/*}", "/v1/a/b/operations/7", {"name": "a/b/operations/7"}),
        ("/v1/{name=**/operations/*}:wait", "/v1/a/b/operations/7:wait", {"name": "a/b/operations/7"}),
        ("/v1/{resource=**}:getIamPolicy", "/v1/projects/p:getIamPolicy", {"resource": "projects/p"}),
        # An encoded slash is one in a field of one segment, and stays as it is in longer ones.
        ("/v1/{id}", "/v1/a%2Fb%20c", {"id": "a/b c"}),
        ("/v1/{name=x/*}", "/v1/x/a%2fb%20c", {"name": "x/a%2Fb c"}),
        ("/v1/{id}", "/v1/a%252Fb", {"id": "a%2Fb"}),
        ("/v1/{name=x/*}", "/v1/x/%C3%A9", {"name": "x/é"}),
        ("/v1/literal.dot", "/v1/literalXdot", None),
    ],
)
def test_templates(template: str, path: str, fields: dict[str, str] | None) -> None:
    assert HttpRule("GET", template, None).match("GET", path) == fields


def test_a_path_that_is_no_utf8_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="must be UTF-8, percent-encoded; given: x/%ff"):
        HttpRule("GET", "/v1/{name=x/*}", None).match("GET", "/v1/x/%ff")


def test_a_service_that_is_not_there_is_named() -> None:
    with pytest.raises(NotFound, match="must have the service Nothing; given: LanguageService"):
        surface("google.cloud.language_v2").service("Nothing")


def test_a_package_that_is_not_installed_names_what_to_install() -> None:
    with pytest.raises(Unimplemented, match="Next: pip install google-cloud-nothing"):
        _ = Surface("google.cloud.nothing_v1").services


def test_a_package_is_imported_when_a_service_is_asked_for() -> None:
    code = """
import sys
from tule.wire.surfaces import Surface
surface = Surface("google.cloud.language_v2")
assert surface.services == ["LanguageService"], surface.services
assert surface.proto_package == "google.cloud.language.v2"
print([name for name in sys.modules if name.startswith("google.cloud.language")])
surface.service("LanguageService")
print("google.cloud.language_v2.types" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["[]", "True"]
