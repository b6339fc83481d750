"""URLs signed by Google's own storage client are accepted for exactly the request they were signed for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from tule.kernel.access import Access
from tule.kernel.clock import VirtualClock
from tule.kernel.errors import Unauthenticated
from tule.kernel.home import Home
from tule.kernel.settings import Settings


@pytest.fixture
def clock() -> VirtualClock:
    # The client signs with the machine's time.
    return VirtualClock(datetime.now(UTC))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """One for all tests: making its key takes a while."""
    home = Home.open(Settings(home=tmp_path_factory.mktemp("home")))
    yield home
    home.close()


@pytest.fixture
def access(home: Home, clock: VirtualClock) -> Access:
    return Access(home, clock, "my-project")


def signed(access: Access, name: str = "dir/a file+ü.txt", **options: Any) -> str:
    from google.cloud import storage
    from google.oauth2 import service_account

    credentials = service_account.Credentials.from_service_account_info(access.adc())
    client = storage.Client(project="my-project", credentials=credentials)
    url: str = client.bucket("my-bucket").blob(name).generate_signed_url(**options)
    return url


def check(access: Access, url: str, method: str = "GET", **headers: str) -> str:
    parts = urlsplit(url)
    lower = {name.replace("_", "-"): value for name, value in headers.items()}
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    return access.principal_for(lower, query, method=method, host=parts.netloc, path=parts.path).email


@pytest.mark.parametrize("version", ["v2", "v4"])
def test_a_signed_get_is_the_owner(access: Access, version: str) -> None:
    assert check(access, signed(access, version=version, expiration=timedelta(hours=1))) == access.email


@pytest.mark.parametrize("version", ["v2", "v4"])
def test_method_headers_and_parameters_are_part_of_it(access: Access, version: str) -> None:
    url = signed(
        access,
        version=version,
        method="PUT",
        expiration=timedelta(hours=1),
        content_type="text/csv",
        headers={"x-goog-meta-who": "me"},
        query_parameters={"upload_id": "7"},
    )
    right = {"content_type": "text/csv", "x_goog_meta_who": "me"}
    assert check(access, url, "PUT", **right) == access.email
    with pytest.raises(Unauthenticated, match="for this very request"):
        check(access, url, "DELETE", **right)
    with pytest.raises(Unauthenticated, match="for this very request"):
        check(access, url, "PUT", **{**right, "content_type": "text/html"})
    with pytest.raises(Unauthenticated, match="for this very request"):
        check(access, url, "PUT", **{**right, "x_goog_meta_who": "you"})


@pytest.mark.parametrize("version", ["v2", "v4"])
def test_resumable_uploads_and_answers_in_another_type(access: Access, version: str) -> None:
    url = signed(access, version=version, method="RESUMABLE", expiration=timedelta(minutes=5), response_type="text/csv")
    assert check(access, url, "POST", x_goog_resumable="start") == access.email
    with pytest.raises(Unauthenticated):
        check(access, url, "POST")


@pytest.mark.parametrize("version", ["v2", "v4"])
def test_another_object_is_another_request(access: Access, version: str) -> None:
    url = signed(access, "one", version=version, expiration=timedelta(hours=1))
    with pytest.raises(Unauthenticated, match="for this very request"):
        check(access, url.replace("/my-bucket/one", "/my-bucket/two"))


@pytest.mark.parametrize("version", ["v2", "v4"])
def test_an_expired_one_is_refused(access: Access, clock: VirtualClock, version: str) -> None:
    url = signed(access, version=version, expiration=timedelta(minutes=5))
    clock.advance(timedelta(minutes=6))
    with pytest.raises(Unauthenticated, match="before it expires; given: one that expired"):
        check(access, url)


def test_a_longer_life_needs_another_signature(access: Access) -> None:
    url = signed(access, version="v4", expiration=timedelta(minutes=5))
    with pytest.raises(Unauthenticated, match="for this very request"):
        check(access, url.replace("X-Goog-Expires=300", "X-Goog-Expires=3000"))
    with pytest.raises(Unauthenticated, match="1 to 604800 seconds"):
        check(access, url.replace("X-Goog-Expires=300", "X-Goog-Expires=30000000"))


def test_the_key_of_another_data_directory_does_not_count(access: Access, tmp_path: Path, clock: VirtualClock) -> None:
    home = Home.open(Settings(home=tmp_path / "other"))
    other = Access(home, clock, "my-project")
    url = signed(other, version="v4", expiration=timedelta(minutes=5))
    with pytest.raises(Unauthenticated, match="signed by tule@my-project"):
        check(access, url)
    home.close()


@pytest.mark.parametrize(
    "change",
    [
        ("X-Goog-Algorithm=GOOG4-RSA-SHA256", "X-Goog-Algorithm=GOOG4-HMAC-SHA256"),
        ("X-Goog-Date=2", "X-Goog-Date=x"),
        ("X-Goog-SignedHeaders=host", "X-Goog-SignedHeaders=date"),
        ("&X-Goog-Signature=", "&X-Goog-Signature=zz"),
    ],
    ids=["algorithm", "date", "host not signed", "signature"],
)
def test_nonsense_is_refused_with_a_reason(access: Access, change: tuple[str, str]) -> None:
    url = signed(access, version="v4", expiration=timedelta(minutes=5))
    with pytest.raises(Unauthenticated, match=r"A signed URL must|The Host of a signed URL"):
        check(access, url.replace(*change))
