"""The environment of an intercepted command: what is set, what is taken away, how other hosts are left alone."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tule.wire.intercept.environment import UNSET, Target, environment, route_of
from tule.wire.intercept.names import is_google
from tule.wire.intercept.routes import Route

TARGET = Target(4321, "secret", "zoo", "us-central1", Path("/h/ca-bundle.pem"), Path("/h/adc.json"))


def route_in(environ: dict[str, str], name: str = "HTTPS_PROXY") -> Route:
    """The route that the proxy is told in a variable."""
    parts = urlsplit(environ[name])
    assert (parts.hostname, parts.port, parts.password) == ("127.0.0.1", 4321, "secret")
    user, _, encoded = unquote(parts.username or "").partition("+")
    assert user == "tule"
    return Route.decode(encoded)


def test_clients_are_led_here_with_credentials_and_roots() -> None:
    made = environment(TARGET, {"PATH": "/bin", "GOOGLE_CLOUD_PROJECT": "real"})
    assert made["PATH"] == "/bin" and made["GOOGLE_CLOUD_PROJECT"] == "zoo"
    assert made["GOOGLE_APPLICATION_CREDENTIALS"] == "/h/adc.json"
    for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"):
        assert made[name] == "/h/ca-bundle.pem"
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "grpc_proxy"):
        assert route_in(made, name) == Route()


@pytest.mark.parametrize("name", UNSET)
def test_what_would_lead_around_is_taken_away(name: str) -> None:
    assert name not in environment(TARGET, {name: "elsewhere"})


@pytest.mark.parametrize(
    "entry", ["*", "googleapis.com", ".googleapis.com", "*.googleapis.com", "bigquery.googleapis.com", "com", ".google",
              "metadata.google.internal", "169.254.169.254", " googleapis.com ", "GOOGLEAPIS.COM"],
)  # fmt: skip
def test_no_proxy_does_not_hide_google(entry: str) -> None:
    made = environment(TARGET, {"NO_PROXY": f"a.example,{entry},b.example"})
    for name in ("NO_PROXY", "no_proxy", "no_grpc_proxy"):
        assert made[name] == "localhost,127.0.0.1,::1,a.example,b.example"


def test_other_hosts_go_as_they_went_before() -> None:
    before = {"https_proxy": "http://me:pw@proxy.example:8080", "no_proxy": "intern.example, 10.0.0.1"}
    route = route_in(environment(TARGET, before))
    assert route == Route(False, "proxy.example:8080", "me:pw", ("intern.example", "10.0.0.1"))
    assert route.goes_upstream("pypi.org") and not route.goes_upstream("intern.example")
    assert not route.goes_upstream("x.intern.example") and route.goes_upstream("notintern.example")
    assert not route_of({"HTTP_PROXY": "proxy:1", "NO_PROXY": "*"}, offline=False).goes_upstream("pypi.org")
    assert route_of({"HTTP_PROXY": "proxy"}, offline=False).upstream == "proxy:80"


def test_offline_leaves_no_way_out() -> None:
    assert route_in(environment(TARGET, {"HTTPS_PROXY": "http://proxy:1"}, offline=True)) == Route(offline=True)


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("bigquery.googleapis.com", True),
        ("us-central1-aiplatform.googleapis.com", True),
        ("BigQuery.GoogleAPIs.com.", True),
        ("oauth2.googleapis.com", True),
        ("metadata.google.internal", True),
        ("169.254.169.254", True),
        ("us-docker.pkg.dev", True),
        ("notgoogleapis.com", False),
        ("googleapis.com.evil.example", False),
        ("pypi.org", False),
        ("google.com.evil.example", False),
    ],
)
def test_which_names_are_googles(host: str, ours: bool) -> None:
    assert is_google(host) is ours


def test_a_route_is_part_of_a_user_name_whatever_it_holds() -> None:
    route = Route(True, "präxy.example:80", "user:p@ss/w%rd+", ("*", "a.b"))
    assert route.encode().replace("-", "").replace("_", "").isalnum()
    assert Route.decode(route.encode()) == route
