"""Default deny: each route and RPC of the whole server declares a permission and a receipt, and its gates hold."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tule.app import App, build
from tule.kernel.settings import Settings
from tule.wire.door import BoundRoute, Door
from tule.wire.service import Handler
from tule.wire.surfaces import pb_class

# Routes that need no credential; each for a reason.
PUBLIC = {
    ("oauth2", "token"),  # the signature inside is the credential
    ("oauth2", "tokeninfo"),  # the token asked about is
    ("storage", "continue_upload"),  # the address of an upload is, as Google has it
    ("storage", "cancel_upload"),
    ("storage-xml", "refused"),  # a signed policy inside a form would be; it is refused
    ("storage-hosted", "refused"),
}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    made = build(Settings(home=tmp_path_factory.mktemp("gates") / "home"))
    made.start()
    yield made
    made.stop()


def routes(app: App) -> list[tuple[frozenset[str], Door, BoundRoute]]:
    return [(hosts, door, bound) for hosts, _, door in app.table.doors() for bound in door.routes()]


def handlers(app: App) -> list[Handler]:
    found = app.table.shared_handlers()
    for api in app.table.apis:
        for package in api.packages:
            for of_service in app.table.services_of(package).values():
                found += of_service.values()
    return found


def test_there_is_something_to_walk(app: App) -> None:
    assert len(routes(app)) > 80 and len(handlers(app)) > 60


def test_each_route_declares_a_permission_or_is_known_to_be_public(app: App) -> None:
    for _, door, bound in routes(app):
        route = bound.route
        if route.public:
            assert route.permission is None and (door.name, route.method) in PUBLIC, (door.name, route)
        else:
            assert re.fullmatch(r"[a-z]+(\.[A-Za-z]+)+", route.permission or ""), (door.name, route)


def test_each_rpc_declares_a_permission(app: App) -> None:
    for handler in handlers(app):
        # A star stands for the product whose operations and locations are asked for.
        assert re.fullmatch(r"([a-z]+|\*)(\.[A-Za-z]+)+", handler.permission), handler.method.full_name


def test_each_receipt_names_fields_that_there_are(app: App) -> None:
    """A misspelled path would refuse the field that was meant."""
    wrong = []
    for handler in handlers(app):
        descriptor = pb_class(handler.method.request).DESCRIPTOR
        for path in (*handler.receipt.executes, *handler.receipt.stores):
            if path != "*" and not _leads_somewhere(descriptor, path.removesuffix(".*")):
                wrong.append(f"{handler.method.full_name}: {path}")
    assert not _in_no_version(app, wrong)


def _leads_somewhere(descriptor: Any, path: str) -> bool:
    for name in path.split("."):
        field = descriptor.fields_by_name.get(name) if descriptor is not None else None
        if field is None:
            return False
        descriptor = field.message_type
    return True


def _in_no_version(app: App, wrong: list[str]) -> set[str]:
    """Those of the complaints that hold in every version of an API: one door serves several."""

    def plain(text: str) -> str:
        return re.sub(r"\.v\d+\w*\.", ".", text)

    versions = {plain(handler.method.full_name): 0 for handler in handlers(app)}
    for handler in handlers(app):
        versions[plain(handler.method.full_name)] += 1
    told = [plain(each) for each in wrong]
    return {each for each in told if told.count(each) == versions[each.partition(": ")[0]]}


def test_each_declared_method_is_one_of_its_api(app: App) -> None:
    """A misspelled name would answer UNIMPLEMENTED for ever."""
    served = {(type(handler.service), handler.method.python) for handler in handlers(app)}
    for kind in {kind for kind, _ in served}:
        declared = {name for name, function in inspect.getmembers(kind) if hasattr(function, "rpc")}
        assert declared <= {name for each, name in served if each is kind}, kind


def _path(template: str) -> str:
    return re.sub(r"\{\w+(:path)?\}", "x", template)


def test_nobody_gets_past_a_gate(app: App) -> None:
    """Each route and each RPC, asked without a credential and by somebody without permission."""
    eve = {"authorization": f"Bearer {app.access.issue('eve@example.com')}"}
    with httpx.Client(base_url=f"http://127.0.0.1:{app.server.port}", timeout=30) as client:
        for hosts, door, bound in routes(app):
            if bound.route.public:
                continue
            # A door without hosts is known by its paths on loopback names.
            host = {"host": sorted(hosts)[0].replace("*", "bucket")} if hosts else {}
            for headers, status in ((host, 401), (host | eve, 403)):
                answer = client.request(bound.route.verb, _path(bound.route.template), headers=headers)
                # Whether a bucket exists is no secret in Cloud Storage.
                no_bucket = status == 403 and answer.status_code == 404 and door.name.startswith("storage")
                assert no_bucket or answer.status_code == status, (door.name, bound.route, answer.text)
        for handler in handlers(app):
            for rule in handler.method.http[:1]:
                path = re.sub(
                    r"\{[\w.]+=?([^}]*)\}", lambda found: (found.group(1) or "x").replace("*", "x"), rule.template
                )
                for headers, status in (({}, 401), (eve, 403)):
                    answer = client.request(rule.verb, path, headers=headers)
                    assert answer.status_code == status, (handler.method.full_name, path, answer.text)


def test_what_was_only_asked_for_leaves_nothing_behind(app: App, tmp_path: Path) -> None:
    """The walks above changed nothing: no project, no record, no job of theirs."""
    assert [record.name for record in app.records.list("project")] == []
