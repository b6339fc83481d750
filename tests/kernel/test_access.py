"""Credentials, hosts and permissions: closed unless proven otherwise."""

from __future__ import annotations

import base64
import json
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tule.kernel import tokens
from tule.kernel.access import TOKEN_ENDPOINT, Access, Principal
from tule.kernel.clock import VirtualClock
from tule.kernel.errors import (
    FailedPrecondition,
    InvalidArgument,
    PermissionDenied,
    TuleError,
    Unauthenticated,
    Unimplemented,
)
from tule.kernel.home import Home
from tule.kernel.iam import Policies
from tule.kernel.records import Records
from tule.kernel.settings import Settings

SCOPE = "https://www.googleapis.com/auth/cloud-platform"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """One for all tests: making its key takes a while."""
    home = Home.open(Settings(home=tmp_path_factory.mktemp("home")))
    yield home
    home.close()


@pytest.fixture
def access(home: Home, clock: VirtualClock, records: Records) -> Access:
    return Access(home, clock, "my-project", policies=Policies(records), hosts=["tule.example"])


def who(access: Access, **headers: str) -> Principal:
    lower = {name.replace("_", "-"): value for name, value in headers.items()}
    return access.principal_for(lower, {}, method="GET", host="localhost", path="/v1/x")


def claims(access: Access, clock: VirtualClock, **change: Any) -> dict[str, Any]:
    now = int(clock.now().timestamp())
    made = {"iss": access.email, "sub": access.email, "iat": now, "exp": now + 3600, "aud": TOKEN_ENDPOINT}
    return {key: value for key, value in {**made, **change}.items() if value is not None}


def jwt(access: Access, payload: object, header: dict[str, Any] | None = None) -> str:
    head = tokens.encode(json.dumps(header or {"alg": "RS256", "typ": "JWT"}).encode())
    signed = f"{head}.{tokens.encode(json.dumps(payload).encode())}"
    return f"{signed}.{tokens.encode(access.sign(signed.encode()))}"


# -- the token


def test_the_token_is_made_once_and_private(access: Access, home: Home, clock: VirtualClock) -> None:
    assert len(access.token) == 64 and int(access.token, 16) >= 0
    path = home.path("credentials", "token")
    assert path.read_text().strip() == access.token
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Access(home, clock, "other").token == access.token


def test_the_token_is_the_owner(access: Access) -> None:
    assert who(access, authorization=f"Bearer {access.token}") == Principal(access.email, owner=True)
    assert who(access, authorization=f"bearer  {access.token} ").owner
    principal = access.principal_for({"Authorization": f"Bearer {access.token}"}, {}, method="GET", host="x", path="/")
    assert principal.owner


@pytest.mark.parametrize(
    "given",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Bearer " + "0" * 64,
        "Basic {basic}",
        "{token}",
        "Bearer {token}x",
        "Bearer é",
        "Bearer a.b.c",
        "Bearer ..",
        "Bearer ya29.tule-x",
        "Bearer ya29.tule-e30.e30",
        "Bearer ya29.real-google-token",
    ],
)
def test_anything_else_is_nobody_and_told_what_to_do(access: Access, given: str) -> None:
    basic = base64.b64encode(f"tule:{access.token}".encode()).decode()
    with pytest.raises(Unauthenticated, match="tule env") as refused:
        who(access, authorization=given.format(token=access.token, basic=basic))
    assert access.token not in refused.value.message


@pytest.mark.parametrize("content", [b"short\n", b"x" * 64])
def test_a_broken_token_file_is_refused(tmp_path: Path, clock: VirtualClock, content: bytes) -> None:
    path = tmp_path / "credentials" / "token"
    path.parent.mkdir(mode=0o700)
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(FailedPrecondition, match=r"64 hexadecimal digits.*delete .*token"):
        _ = Access(Home(tmp_path), clock, "p").token


def test_a_token_file_that_others_may_read_is_refused(tmp_path: Path, clock: VirtualClock) -> None:
    _ = Access(Home(tmp_path), clock, "p").token
    (tmp_path / "credentials" / "token").chmod(0o644)
    with pytest.raises(FailedPrecondition, match=r"only its owner can read; given: .*mode 0644"):
        _ = Access(Home(tmp_path), clock, "p").token


def test_the_proxy_takes_user_and_token(access: Access) -> None:
    def basic(text: str) -> str:
        return "Basic " + base64.b64encode(text.encode()).decode()

    assert who(access, proxy_authorization=basic(f"tule:{access.token}")).owner
    for wrong in (
        basic(f"other:{access.token}"),
        basic("tule:x"),
        basic("tule"),
        "Basic %%%",
        f"Bearer {access.token}",
    ):
        with pytest.raises(Unauthenticated, match="The proxy wants the user tule"):
            who(access, proxy_authorization=wrong)


# -- access tokens and JWTs


def test_googles_client_exchanges_an_assertion(access: Access, clock: VirtualClock) -> None:
    assertion = jwt(access, claims(access, clock, scope=SCOPE))
    token, seconds = access.exchange(assertion)
    assert seconds == 3600 and who(access, authorization=f"Bearer {token}") == Principal(access.email, owner=True)
    clock.advance(timedelta(seconds=3600 + 59))
    assert who(access, authorization=f"Bearer {token}").owner
    clock.advance(timedelta(seconds=2))
    with pytest.raises(Unauthenticated, match="must not be expired; given: one that expired 61 s ago"):
        who(access, authorization=f"Bearer {token}")
    with pytest.raises(Unauthenticated, match="must not be expired"):
        access.exchange(assertion)


def test_the_key_file_works_in_googles_own_library(home: Home, records: Records) -> None:
    from google.oauth2 import service_account

    from tule.kernel.clock import RealClock

    access = Access(home, RealClock(), "my-project")
    made = service_account.Credentials.from_service_account_info(access.adc(), scopes=[SCOPE])
    assertion = made._make_authorization_grant_assertion()
    token, _ = access.exchange(assertion.decode() if isinstance(assertion, bytes) else assertion)
    assert who(access, authorization=f"Bearer {token}").owner

    for options in ({"scopes": [SCOPE]}, {}):
        itself = service_account.Credentials.from_service_account_info(
            access.adc(), always_use_jwt_access=True, **options
        )
        itself._create_self_signed_jwt("https://aiplatform.googleapis.com/")
        itself.refresh(None)
        assert who(access, authorization=f"Bearer {itself.token}").owner
        assert who(access, authorization=f"Bearer {itself.token}").owner  # remembered


def test_the_key_file_names_what_clients_read(access: Access, home: Home) -> None:
    found = access.adc()
    assert found["type"] == "service_account" and found["project_id"] == "my-project"
    assert found["client_email"] == "tule@my-project.iam.gserviceaccount.com"
    assert found["token_uri"] == "https://oauth2.googleapis.com/token"
    assert found == access.adc() == Access(home, access._clock, "my-project").adc()
    assert stat.S_IMODE(home.path("credentials", "service-account.pem").stat().st_mode) == 0o600


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("expired", {"exp": 1}, "must not be expired"),
    ("from the future", {"iat": 2**33}, "come from the future"),
    ("without an end", {"exp": None}, "when it expires"),
    ("an end that is no number", {"exp": "soon"}, "when it expires"),
    ("of another issuer", {"iss": "other@x.iam.gserviceaccount.com"}, "must be issued by tule@my-project"),
    ("for another place", {"aud": "https://evil.example/"}, "audience"),
    ("for a place that ends alike", {"aud": "https://evil-googleapis.com/"}, "audience"),
    ("for a place without TLS", {"aud": "http://aiplatform.googleapis.com/"}, "audience"),
    ("for several places", {"aud": ["https://aiplatform.googleapis.com/"]}, "audience"),
    ("for nothing", {"aud": None}, "audience"),
]


@pytest.mark.parametrize(("change", "rule"), [pytest.param(*rest, id=name) for name, *rest in WRONG])
def test_a_signed_token_must_hold(access: Access, clock: VirtualClock, change: dict[str, Any], rule: str) -> None:
    with pytest.raises(Unauthenticated, match=rule):
        who(access, authorization="Bearer " + jwt(access, claims(access, clock, **change)))


def test_a_signed_token_for_a_service_or_for_scopes(access: Access, clock: VirtualClock) -> None:
    for good in ({"aud": "https://aiplatform.googleapis.com/"}, {"aud": None, "scope": SCOPE}):
        assert who(access, authorization="Bearer " + jwt(access, claims(access, clock, **good))).owner


def test_a_clock_a_little_off_is_no_reason(access: Access, clock: VirtualClock) -> None:
    ahead = claims(access, clock, iat=int(clock.now().timestamp()) + 50)
    assert access.exchange(jwt(access, ahead))


def forged_none(access: Access, payload: dict[str, Any]) -> str:
    return jwt(access, payload, {"alg": "none"})


def forged_hmac(access: Access, payload: dict[str, Any]) -> str:
    return jwt(access, payload, {"alg": "HS256"})


def forged_key(access: Access, payload: dict[str, Any]) -> str:
    from cryptography.hazmat.primitives.asymmetric import padding, rsa
    from cryptography.hazmat.primitives.hashes import SHA256

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    signed = jwt(access, payload).rpartition(".")[0]
    return f"{signed}.{tokens.encode(key.sign(signed.encode(), padding.PKCS1v15(), SHA256()))}"


def forged_claims(access: Access, payload: dict[str, Any]) -> str:
    head, _, signature = jwt(access, payload).split(".")
    return f"{head}.{tokens.encode(json.dumps({**payload, 'exp': 2**33}).encode())}.{signature}"


def another_kid(access: Access, payload: dict[str, Any]) -> str:
    return jwt(access, payload, {"alg": "RS256", "kid": "x"})


def not_objects(access: Access, payload: dict[str, Any]) -> str:
    return jwt(access, [payload])


def very_deep(access: Access, payload: dict[str, Any]) -> str:
    return "e30." + tokens.encode(b"[" * 9000) + ".e30"


def very_long(access: Access, payload: dict[str, Any]) -> str:
    return jwt(access, {**payload, "more": "x" * 20_000})


@pytest.mark.parametrize(
    "forge",
    [forged_none, forged_hmac, forged_key, forged_claims, another_kid, not_objects, very_deep, very_long],
    ids=lambda forge: forge.__name__,
)
def test_a_forged_assertion_is_refused(
    access: Access, clock: VirtualClock, forge: Callable[[Access, dict[str, Any]], str]
) -> None:
    token = forge(access, claims(access, clock))
    with pytest.raises(Unauthenticated, match="must be an RS256 JWT of the service account"):
        access.exchange(token)
    with pytest.raises(Unauthenticated):
        who(access, authorization=f"Bearer {token}")


def test_the_token_endpoint_refuses_what_it_does_not_do(access: Access, clock: VirtualClock) -> None:
    with pytest.raises(Unauthenticated, match="audience of an assertion must be"):
        access.exchange(jwt(access, claims(access, clock, aud="https://aiplatform.googleapis.com/")))
    with pytest.raises(Unimplemented, match="target_audience"):
        access.exchange(jwt(access, claims(access, clock, target_audience="x")))
    with pytest.raises(Unimplemented, match="domain-wide delegation"):
        access.exchange(jwt(access, claims(access, clock, sub="someone@else.example")))


def test_an_account_of_its_own_proves_itself_and_nobody_else(access: Access, clock: VirtualClock) -> None:
    email = "trainer@p.iam.gserviceaccount.com"
    key = access.credentials(email, "p")
    assert key == access.credentials(email, "p") and key["client_email"] == email != access.email
    assert key["private_key"] != access.adc()["private_key"]
    signer = access._key_of(email)
    for issuer, right in ((email, True), (access.email, False), ("nobody@p.iam.gserviceaccount.com", False)):
        head = tokens.encode(b'{"alg": "RS256"}')
        signed = f"{head}.{tokens.encode(json.dumps(claims(access, clock, iss=issuer, sub=issuer)).encode())}"
        assertion = f"{signed}.{tokens.encode(signer.sign(signed.encode()))}"
        if not right:
            with pytest.raises(Unauthenticated):
                access.exchange(assertion)
            continue
        token, _ = access.exchange(assertion)
        assert who(access, authorization=f"Bearer {token}") == Principal(email, owner=False)
    assert not access.verify_signature("nobody@p.iam.gserviceaccount.com", b"x", b"y")


def test_the_proxy_takes_an_access_token_for_its_account(access: Access) -> None:
    for password, email in ((access.token, access.email), (access.issue("a@b.example"), "a@b.example")):
        basic = base64.b64encode(f"tule:{password}".encode()).decode()
        found = who(access, proxy_authorization=f"Basic {basic}")
        assert (found.email, found.owner) == (email, email == access.email)
    for password in (access.issue("a@b.example", seconds=-3600), access.issue("a@b.example") + "x", ""):
        basic = base64.b64encode(f"tule:{password}".encode()).decode()
        with pytest.raises(Unauthenticated):
            who(access, proxy_authorization=f"Basic {basic}")


def test_a_new_token_makes_old_access_tokens_void(tmp_path: Path, clock: VirtualClock) -> None:
    old = Access(Home(tmp_path), clock, "p").issue()
    (tmp_path / "credentials" / "token").unlink()
    with pytest.raises(Unauthenticated, match="one that this server issued"):
        who(Access(Home(tmp_path), clock, "p"), authorization=f"Bearer {old}")


def test_a_sealed_token_cannot_be_changed(access: Access) -> None:
    token = access.issue("someone@example.com")
    prefix, _, sealed = token.partition("-")
    payload, _, mac = sealed.partition(".")
    changed = tokens.encode(tokens.decode(payload).replace(b"someone@example.com", access.email.encode()))
    with pytest.raises(Unauthenticated, match="this server issued"):
        who(access, authorization=f"Bearer {prefix}-{changed}.{mac}")


# -- permissions

DATASET = "projects/p/datasets/d"


def test_the_owner_may_do_everything_and_others_nothing(access: Access) -> None:
    access.check(Principal(access.email, owner=True), "bigquery.tables.delete", DATASET)
    stranger = who(access, authorization=f"Bearer {access.issue('ann@example.com')}")
    assert stranger == Principal("ann@example.com", owner=False)
    with pytest.raises(PermissionDenied, match=r"ann@example.com must have the permission x.y.get; .*setIam"):
        access.check(stranger, "x.y.get", DATASET)


def test_a_binding_holds_below_its_resource(access: Access, records: Records) -> None:
    Policies(records).set(
        "projects/p", {"bindings": [{"role": "roles/bigquery.dataViewer", "members": ["user:ann@example.com"]}]}
    )
    ann = Principal("ann@example.com", owner=False)
    access.check(ann, "bigquery.tables.getData", f"{DATASET}/tables/t")
    for permission, resource in (
        ("bigquery.tables.updateData", DATASET),
        ("storage.objects.get", DATASET),
        ("bigquery.tables.getData", "projects/q/datasets/d"),
        ("bigquery.tables.getData", ""),
    ):
        with pytest.raises(PermissionDenied):
            access.check(ann, permission, resource)


def test_without_policies_only_the_owner_may(home: Home, clock: VirtualClock) -> None:
    with pytest.raises(PermissionDenied):
        Access(home, clock, "p").check(Principal("ann@example.com", owner=False), "a.b.get", "projects/p")


# -- hosts


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:8080",
        "127.0.0.1:8080",
        "127.1.2.3",
        "[::1]:8080",
        "tule.localhost",
        "bigquery.googleapis.com",
        "us-central1-aiplatform.googleapis.com:443",
        "metadata.google.internal",
        "169.254.169.254",
        "TULE.example:1",
    ],
)
def test_hosts_of_ours(access: Access, host: str) -> None:
    access.check_host(host, None)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "googleapis.com.evil.example",
        "evilgoogleapis.com",
        "10.0.0.1",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "",
        "a b",
        "user@localhost",
        "localhost/path",
        "localhost:port",
        "[::1",
        "0.0.0.0",
    ],
)
def test_hosts_of_others(access: Access, host: str) -> None:
    with pytest.raises((PermissionDenied, InvalidArgument), match="Host"):
        access.check_host(host, None)


@pytest.mark.parametrize("origin", ["http://localhost:8080", "http://127.0.0.1:8080", "https://[::1]:8080"])
def test_a_page_of_this_server_may_call_it(access: Access, origin: str) -> None:
    access.check_host("127.0.0.1:8080", origin)


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "http://localhost:9090", "http://localhost", "file://", "http://localhost:x", "x"],
)
def test_pages_of_others_may_not(access: Access, origin: str) -> None:
    with pytest.raises(PermissionDenied, match="only from its own address; given: Origin"):
        access.check_host("127.0.0.1:8080", origin)


def test_no_page_calls_a_google_api_through_us(access: Access) -> None:
    with pytest.raises(PermissionDenied):
        access.check_host("bigquery.googleapis.com:8080", "http://localhost:8080")


def test_cryptography_is_imported_when_it_is_needed() -> None:
    code = "import sys, tule.kernel.access; print([each for each in ('cryptography', 'psutil') if each in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_errors_are_of_our_tree(access: Access) -> None:
    for given in ("\x00", "Bearer \ud800", "Bearer " + "." * 50_000):
        with pytest.raises(TuleError):
            who(access, authorization=given)


@pytest.mark.parametrize("origin", ["http://[bad", "http://a:b", "//", "null", "http://localhost:99999", "file:///x"])
def test_an_origin_that_is_none_is_refused(access: Access, origin: str) -> None:
    with pytest.raises(PermissionDenied, match="A page may call this server only from its own address"):
        access.check_host("localhost:80", origin)


@pytest.mark.parametrize("address", ["0.0.0.0", "::"])
def test_a_server_on_every_address_may_be_named_by_any_and_by_no_foreign_name(
    home: Home, clock: VirtualClock, address: str
) -> None:
    access = Access(home, clock, "p", hosts=[address])
    for host in ("192.168.1.5:8080", "[fd00::1]:8080", "localhost", "10.0.0.1"):
        access.check_host(host, None)
    access.check_host("192.168.1.5:8080", "http://192.168.1.5:8080")
    for host, origin in (
        ("evil.example", None),
        ("192.168.1.5.evil.example", None),
        ("192.168.1.5:8080", "http://192.168.1.6:8080"),
        ("192.168.1.5:8080", "http://evil.example:8080"),
        ("bigquery.googleapis.com", "http://bigquery.googleapis.com"),
    ):
        with pytest.raises(PermissionDenied):
            access.check_host(host, origin)
