"""The token endpoint and the metadata server, as clients of every kind ask them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from google.oauth2 import service_account
from tests.wire.conftest import LOCATION, Example

from tule.kernel import tokens

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
TOKEN = "https://oauth2.googleapis.com/token"


def ask(example: Example, form: dict[str, str], path: str = "/token") -> httpx.Response:
    headers = {"content-type": "application/x-www-form-urlencoded", "host": "oauth2.googleapis.com"}
    return httpx.post(f"http://{example.address}{path}", content=urlencode(form), headers=headers)


def jwt(example: Example, **change: Any) -> str:
    now = int(time.time())
    email = example.access.email
    claims = {"iss": email, "sub": email, "aud": TOKEN, "iat": now, "exp": now + 3600, **change}
    body = {key: value for key, value in claims.items() if value is not None}
    head = tokens.encode(b'{"alg":"RS256","typ":"JWT"}')
    signed = f"{head}.{tokens.encode(json.dumps(body).encode())}"
    return f"{signed}.{tokens.encode(example.access.sign(signed.encode()))}"


def listed(example: Example, token: str) -> int:
    headers = {"authorization": f"Bearer {token}"}
    return httpx.get(f"http://{example.address}/v1/{LOCATION}/tensorboards", headers=headers).status_code


@pytest.mark.parametrize("path", ["/token", "/o/oauth2/token", "/oauth2/v4/token"])
def test_an_assertion_becomes_a_token_that_opens(example: Example, path: str) -> None:
    answer = ask(example, {"grant_type": GRANT, "assertion": jwt(example)}, path).json()
    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 3600)
    assert listed(example, answer["access_token"]) == 200


def test_googles_library_signs_what_is_taken(example: Example) -> None:
    credentials = service_account.Credentials.from_service_account_info(
        example.access.adc(), scopes=["https://www.googleapis.com/auth/cloud-platform"]
    )
    assertion = credentials._make_authorization_grant_assertion().decode()
    assert ask(example, {"grant_type": GRANT, "assertion": assertion}).status_code == 200
    # Without the endpoint, for a service of Google's: what its libraries do where they can.
    own = credentials.with_always_use_jwt_access(True)
    own._create_self_signed_jwt("https://aiplatform.googleapis.com/")
    own._jwt_credentials.refresh(None)
    assert listed(example, own._jwt_credentials.token.decode()) == 200


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({}, "The token endpoint exchanges signed assertions; given: grant_type (none)"),
        ({"grant_type": "refresh_token"}, "given: grant_type refresh_token"),
        ({"grant_type": GRANT}, "A token request must carry an assertion"),
        ({"grant_type": GRANT, "assertion": "a.b.c"}, "A signed token must be an RS256 JWT"),
        ({"grant_type": GRANT, "assertion": "x" * 70_000}, "A token request must be at most 65536 bytes"),
    ],
    ids=["nothing", "refresh", "no assertion", "garbage", "huge"],
)
def test_what_is_no_assertion_is_refused_in_the_words_of_oauth(
    example: Example, form: dict[str, str], said: str
) -> None:
    answer = ask(example, form)
    assert answer.status_code in (400, 501)
    assert answer.json()["error"] == "invalid_grant" and said in answer.json()["error_description"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"exp": lambda now: now - 3600, "iat": lambda now: now - 7200}, "A token must not be expired"),
        ({"iat": lambda now: now + 600}, "A token must not come from the future"),
        ({"exp": lambda now: now + 7200}, "A signed token must be good for at most an hour; given: one for 7200 s"),
        ({"exp": lambda now: now + 36_000, "iat": None}, "good for at most an hour"),
        ({"exp": None}, "A token must say when it was issued and when it expires"),
        ({"exp": float("nan")}, "A token must say when it was issued and when it expires"),
        ({"exp": True}, "A token must say when it was issued and when it expires"),
        ({"iss": "eve@example.com"}, "A signed token must be issued by"),
        ({"aud": "https://evil.example/"}, "The audience of an assertion must be"),
        ({"aud": "https://[bad"}, "The audience of an assertion must be"),
        ({"sub": "boss@example.com"}, "The service account acts for itself only"),
    ],
    ids=[
        "expired",
        "future",
        "long",
        "long without iat",
        "no end",
        "nan",
        "bool",
        "issuer",
        "audience",
        "no url",
        "subject",
    ],
)
def test_a_wrong_assertion_is_refused(example: Example, change: dict[str, Any], said: str) -> None:
    now = int(time.time())
    made = jwt(example, **{key: value(now) if isinstance(value, Callable) else value for key, value in change.items()})
    answer = ask(example, {"grant_type": GRANT, "assertion": made})
    assert answer.status_code in (400, 501) and said in answer.json()["error_description"]
    # Nor does it open anything by itself.
    assert listed(example, made) == 401


def test_a_token_tells_about_itself(example: Example) -> None:
    issued = example.access.issue("eve@example.com", seconds=100)
    answer = ask_about(example, issued).json()
    assert answer["email"] == "eve@example.com" and 95 <= int(answer["expires_in"]) <= 100
    assert "expires_in" not in ask_about(example, example.access.token).json()
    assert ask_about(example, "wrong").status_code == 400


def ask_about(example: Example, token: str) -> httpx.Response:
    headers = {"host": "oauth2.googleapis.com"}
    return httpx.get(f"http://{example.address}/tokeninfo", params={"access_token": token}, headers=headers)


METADATA = {"host": "metadata.google.internal", "metadata-flavor": "Google"}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("project/project-id", "p"),
        ("universe/universe-domain", "googleapis.com"),
        ("instance/service-accounts/default/email", "tule@p.iam.gserviceaccount.com"),
        ("instance/service-accounts/default/scopes", "https://www.googleapis.com/auth/cloud-platform\n"),
    ],
)
def test_the_metadata_server_answers(example: Example, path: str, text: str) -> None:
    answer = example.http.get(f"/computeMetadata/v1/{path}", headers=METADATA)
    assert (answer.status_code, answer.text, answer.headers["metadata-flavor"]) == (200, text, "Google")


def test_a_machine_is_recognized(example: Example) -> None:
    for host in ("metadata.google.internal", "metadata", "169.254.169.254"):
        answer = example.http.get("/", headers={"host": host})
        assert (answer.status_code, answer.headers["metadata-flavor"]) == (200, "Google")


def test_its_token_opens(example: Example) -> None:
    path = "/computeMetadata/v1/instance/service-accounts/default/token"
    assert listed(example, example.http.get(path, headers=METADATA).json()["access_token"]) == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"metadata-flavor": ""}, 403), ({"metadata-flavor": "google"}, 403), ({"authorization": ""}, 401)],
)
def test_pages_and_strangers_get_no_token_from_it(example: Example, headers: dict[str, str], status: int) -> None:
    path = "/computeMetadata/v1/instance/service-accounts/default/token"
    answer = httpx.get(f"http://{example.address}{path}", headers={**METADATA, **example.headers, **headers})
    assert answer.status_code == status


def test_a_signed_address_says_each_thing_once(example: Example) -> None:
    signed = "X-Goog-Signature=00&X-Goog-Algorithm=GOOG4-RSA-SHA256"
    for query, said in ((f"{signed}&a=1&a=2", "must have each parameter once"), (signed, "A signed URL must have")):
        answer = httpx.get(f"http://{example.address}/notes/v1/projects/p/notes/n?{query}")
        assert answer.status_code in (400, 401) and said in answer.json()["error"]["message"]
