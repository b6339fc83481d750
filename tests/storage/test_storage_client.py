"""The stock google-cloud-storage client against a running server: what it does, and what it is told when it may not."""

from __future__ import annotations

from collections.abc import Callable
from subprocess import CompletedProcess

import pytest

Exec = Callable[..., CompletedProcess[str]]
pytestmark = pytest.mark.clients

HEAD = """
import base64, contextlib, datetime, hashlib, io, json, os, random, re
from google.api_core import exceptions
from google.cloud import storage

client = storage.Client()

@contextlib.contextmanager
def raises(kind, *words):
    try:
        yield
    except kind as error:
        assert all(word in error.message for word in words), error.message
    else:
        raise AssertionError(f"no {kind.__name__}")
"""


@pytest.fixture
def run(tule_exec: Exec) -> Callable[[str], CompletedProcess[str]]:
    return lambda code: tule_exec(HEAD + code)


def test_buckets(run: Callable[[str], object]) -> None:
    run("""
bucket = storage.Bucket(client, "client-buckets")
bucket.storage_class = "NEARLINE"
bucket.labels = {"team": "one", "old": "x"}
made = client.create_bucket(bucket, location="europe-west4")
assert (made.location, made.location_type, made.storage_class) == ("EUROPE-WEST4", "region", "NEARLINE")
assert (made.metageneration, made.versioning_enabled) == (1, False)
assert made.iam_configuration.uniform_bucket_level_access_enabled and made.etag == "CAE="
assert abs(made.time_created - datetime.datetime.now(datetime.timezone.utc)) < datetime.timedelta(minutes=5)

with raises(exceptions.Conflict, "must be free in all projects", "client-buckets"):
    client.create_bucket("client-buckets")
with raises(exceptions.BadRequest, "Invalid bucket name"):
    client.create_bucket("Client_Upper")
with raises(exceptions.BadRequest, "location"):
    client.create_bucket("client-elsewhere", location="the moon")

found = client.get_bucket("client-buckets")
found.labels = {"team": "two"}
found.versioning_enabled = True
found.patch()
assert (found.labels, found.versioning_enabled, found.metageneration) == ({"team": "two"}, True, 2)
found.update()
assert (found.labels, found.storage_class) == ({"team": "two"}, "NEARLINE")

found.location_before = found.location
with raises(exceptions.PreconditionFailed, "ifMetagenerationMatch 1"):
    found.patch(if_metageneration_match=1)
found.add_lifecycle_delete_rule(age=1)
with raises(exceptions.MethodNotImplemented, "lifecycle.rule", "of patch_bucket"):
    found.patch()
found.reload()
found.requester_pays = True
with raises(exceptions.MethodNotImplemented, "billing.requesterPays", "nobody pays"):
    found.patch()
with raises(exceptions.MethodNotImplemented, "predefinedAcl"):
    client.create_bucket("client-acl", predefined_acl="publicRead")
with raises(exceptions.MethodNotImplemented, "notificationConfigs"):
    list(found.list_notifications())
found.reload()
assert found.metageneration == 2 and client.lookup_bucket("client-acl") is None

client.create_bucket("client-buckets-2")
names = [each.name for each in client.list_buckets(prefix="client-buckets", page_size=1)]
assert names == ["client-buckets", "client-buckets-2"]
blob = found.blob("a")
blob.upload_from_string("x")
with raises(exceptions.Conflict, "not empty"):
    client.get_bucket("client-buckets").delete()
found.delete(force=True)
with raises(exceptions.NotFound, "bucket does not exist", "client-buckets"):
    client.get_bucket("client-buckets")
assert not storage.Bucket(client, "client-buckets").exists()
assert client.get_service_account_email().startswith(f"service-{made.project_number}@")
""")


def test_uploads_of_all_kinds(run: Callable[[str], object]) -> None:
    run("""
bucket = client.create_bucket("client-uploads")
data = random.Random(7).randbytes(30 * 2**20)

small = bucket.blob("dir/ñ #1?.txt")
small.metadata = {"Key": "Wert ü", "n": "1"}
small.cache_control = "no-store"
small.custom_time = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
small.upload_from_string("hello", content_type="text/plain", checksum="md5")
again = bucket.get_blob("dir/ñ #1?.txt")
assert (again.size, again.md5_hash, again.crc32c) == (5, "XUFAKrxLKna5cZ2REBfFkg==", "mnG7TA==")
assert (again.content_type, again.cache_control, again.storage_class) == ("text/plain", "no-store", "STANDARD")
assert again.metadata == {"Key": "Wert ü", "n": "1"} and again.custom_time == small.custom_time

empty = bucket.blob("empty")
empty.upload_from_string(b"")
assert empty.download_as_bytes() == b"" and bucket.get_blob("empty").size == 0

big = bucket.blob("big", chunk_size=5 * 2**20)
big.upload_from_file(io.BytesIO(data), size=len(data), checksum="crc32c")
assert bucket.get_blob("big").md5_hash == base64.b64encode(hashlib.md5(data).digest()).decode()
assert bucket.blob("big").download_as_bytes() == data

# Of a size that the client learns only at the end; a multiple of the chunk, so that the last request is empty.
unknown = bucket.blob("unknown", chunk_size=2**20)
unknown.upload_from_file(io.BytesIO(data[: 3 * 2**20]))
assert bucket.get_blob("unknown").size == 3 * 2**20
with bucket.blob("written").open("wb", chunk_size=256 * 2**10) as file:
    for at in range(0, 2**20, 1000):
        file.write(data[at : at + 1000])
assert bucket.blob("written").download_as_bytes()[: 2**20] == data[: 2**20]
nothing = bucket.blob("nothing", chunk_size=2**20)
nothing.upload_from_file(io.BytesIO(b""))
assert bucket.get_blob("nothing").size == 0

with raises(exceptions.NotFound, "bucket does not exist"):
    client.bucket("client-no-such").blob("a").upload_from_string("x")
with raises(exceptions.NotFound, "bucket does not exist"):
    client.bucket("client-no-such").blob("a", chunk_size=2**20).upload_from_file(io.BytesIO(data))
with raises(exceptions.BadRequest, "1 to 1024 bytes"):
    bucket.blob("ü" * 513).upload_from_string("x")
with raises(exceptions.MethodNotImplemented, "predefinedAcl"):
    bucket.blob("a").upload_from_string("x", predefined_acl="publicRead")
with raises(exceptions.MethodNotImplemented, "encrypts no object with a key of yours"):
    bucket.blob("a", encryption_key=os.urandom(32)).upload_from_string("x")
assert not bucket.blob("a").exists()
""")


def test_a_content_with_a_wrong_checksum_is_not_stored(run: Callable[[str], object]) -> None:
    run("""
bucket = client.create_bucket("client-checksums")
bucket.blob("a").upload_from_string("before")
for kind, value in (("md5_hash", "XUFAKrxLKna5cZ2REBfFkg=="), ("crc32c", "mnG7TA==")):
    wrong = bucket.blob("a")
    setattr(wrong, kind, value)
    with raises(exceptions.BadRequest, "that was declared for it", "nothing was stored"):
        wrong.upload_from_string("other", checksum=None)
wrong = bucket.blob("a")
wrong.md5_hash = "short"
with raises(exceptions.BadRequest, "must be 16 bytes in base64"):
    wrong.upload_from_string("other", checksum=None)
big = bucket.blob("a", chunk_size=2**18)
with raises(exceptions.BadRequest, "CRC32C that was declared"):
    big.upload_from_file(io.BytesIO(b"x" * 9 * 2**20), size=9 * 2**20, crc32c_checksum_value="mnG7TA==", checksum=None)
assert bucket.blob("a").download_as_bytes() == b"before"
""")


def test_downloads(run: Callable[[str], object]) -> None:
    run("""
import gzip
bucket = client.create_bucket("client-downloads")
data = random.Random(3).randbytes(700_000)
blob = bucket.blob("data")
blob.upload_from_string(data)
fresh = bucket.blob("data")
assert fresh.download_as_bytes() == data and fresh.crc32c == blob.crc32c and fresh.generation == blob.generation
assert blob.download_as_bytes(start=5, end=9) == data[5:10]
assert blob.download_as_bytes(start=699_990) == data[-10:]
assert blob.download_as_bytes(start=-7) == data[-7:]
assert blob.download_as_bytes(end=0) == data[:1]
chunked = bucket.blob("data", chunk_size=256 * 2**10)
assert chunked.download_as_bytes() == data
with blob.open("rb", chunk_size=300_000) as file:
    file.seek(350_000)
    assert file.read(10) == data[350_000:350_010]
with raises(exceptions.RequestRangeNotSatisfiable):
    blob.download_as_bytes(start=700_000)
empty = bucket.blob("empty", chunk_size=256 * 2**10)
empty.upload_from_string(b"")
assert empty.download_as_bytes() == b""

old = blob.generation
blob.upload_from_string("new")
with raises(exceptions.NotFound, "No such object: client-downloads/data, generation"):
    bucket.blob("data", generation=old).download_as_bytes()
with raises(exceptions.PreconditionFailed, "ifGenerationMatch"):
    blob.download_as_bytes(if_generation_match=old)
with raises(exceptions.NotModified):
    blob.download_as_bytes(if_generation_not_match=blob.generation)
with raises(exceptions.NotModified):
    blob.download_as_bytes(if_etag_not_match=blob.etag)
with raises(exceptions.PreconditionFailed, "If-Match"):
    blob.reload(if_etag_match="CAE=")
with raises(exceptions.NotFound, "No such object: client-downloads/nope"):
    bucket.blob("nope").download_as_bytes()
assert bucket.get_blob("nope") is None and client.bucket("client-no-such").get_blob("nope") is None

packed = bucket.blob("packed.txt")
packed.content_encoding = "gzip"
packed.upload_from_string(gzip.compress(b"plain " * 1000), content_type="text/plain")
assert packed.download_as_bytes() == b"plain " * 1000
assert gzip.decompress(packed.download_as_bytes(raw_download=True)) == b"plain " * 1000
import google.auth.transport.requests
answer = client._http.get(packed.media_link, headers={"Accept-Encoding": "identity"})
assert answer.content == b"plain " * 1000 and "Content-Encoding" not in answer.headers
assert answer.headers["X-Goog-Stored-Content-Encoding"] == "gzip"
""")


def test_copies(run: Callable[[str], object]) -> None:
    run("""
bucket = client.create_bucket("client-copies")
other = client.create_bucket("client-copies-2")
one, two = bucket.blob("one"), bucket.blob("two")
one.metadata = {"k": "v"}
one.upload_from_string("hello ", content_type="text/plain")
two.upload_from_string("world")

whole = bucket.blob("whole")
whole.content_type = "text/x"
whole.compose([one, two])
assert whole.download_as_bytes() == b"hello world"
assert (whole.component_count, whole.md5_hash, whole.content_type) == (2, None, "text/x")
whole.compose([whole, two], if_source_generation_match=[whole.generation, two.generation])
assert whole.component_count == 3 and whole.size == 16
with raises(exceptions.PreconditionFailed, "ifGenerationMatch"):
    whole.compose([one, two], if_source_generation_match=[one.generation, 7])
with raises(exceptions.NotFound, "No such object: client-copies/three"):
    whole.compose([one, bucket.blob("three")])
with raises(exceptions.BadRequest, "1 to 32 sources"):
    whole.compose([one] * 33)

copied = bucket.copy_blob(one, other, "copied")
assert (copied.content_type, copied.metadata, copied.crc32c) == ("text/plain", {"k": "v"}, one.crc32c)
target = other.blob("rewritten")
target.content_type = "text/y"
assert target.rewrite(one) == (None, 6, 6)
assert (target.content_type, target.metadata) == ("text/y", {"k": "v"})
with raises(exceptions.BadRequest, "rewriteToken"):
    target.rewrite(one, token="made up")
with raises(exceptions.NotFound, "bucket does not exist"):
    bucket.copy_blob(one, client.bucket("client-no-such"))
with raises(exceptions.PreconditionFailed, "ifGenerationMatch 0"):
    bucket.copy_blob(one, other, "copied", if_generation_match=0)

one.update_storage_class("COLDLINE")
assert bucket.get_blob("one").storage_class == "COLDLINE" and one.download_as_bytes() == b"hello "
renamed = bucket.rename_blob(two, "renamed")
assert renamed.download_as_bytes() == b"world" and not two.exists()
moved = bucket.move_blob(renamed, "dir/moved")
assert moved.download_as_bytes() == b"world" and not bucket.blob("renamed").exists()
with raises(exceptions.NotFound, "No such object"):
    bucket.move_blob(bucket.blob("renamed"), "x")
assert sorted(each.name for each in bucket.list_blobs()) == ["dir/moved", "one", "whole"]
""")


def test_lists(run: Callable[[str], object]) -> None:
    run("""
bucket = client.create_bucket("client-lists")
for name in ("a.txt", "dir/", "dir/a.txt", "dir/sub/b.csv", "dir2/c", "z/ü"):
    bucket.blob(name).upload_from_string(name)
def names(**query):
    return [each.name for each in client.list_blobs(bucket, **query)]
assert names() == ["a.txt", "dir/", "dir/a.txt", "dir/sub/b.csv", "dir2/c", "z/ü"]
assert names(page_size=2) == names() and names(max_results=2) == names()[:2]
assert names(prefix="dir/") == ["dir/", "dir/a.txt", "dir/sub/b.csv"]
folders = client.list_blobs(bucket, delimiter="/", page_size=1)
assert ([each.name for each in folders], folders.prefixes) == (["a.txt"], {"dir/", "dir2/", "z/"})
assert names(delimiter="/", include_trailing_delimiter=True) == ["a.txt", "dir/"]
assert names(start_offset="dir/a", end_offset="dir2") == ["dir/a.txt", "dir/sub/b.csv"]
assert names(match_glob="**/*.{txt,csv}") == ["dir/a.txt", "dir/sub/b.csv"]
assert names(match_glob="*.txt") == ["a.txt"]
sizes = [(each.name, each.size) for each in client.list_blobs(bucket, fields="items(name,size),nextPageToken")]
assert sizes[0] == ("a.txt", 5)
pages = client.list_blobs(bucket, page_size=4)
first = next(pages.pages)
token = pages.next_page_token
assert [each.name for each in client.list_blobs(bucket, page_token=token)] == ["dir2/c", "z/ü"]
with raises(exceptions.BadRequest, "page token must come from the last answer to the same request"):
    names(page_token=token, prefix="d")
with raises(exceptions.BadRequest, "A glob must be well formed"):
    names(match_glob="{a")
with raises(exceptions.MethodNotImplemented, "softDeleted"):
    names(soft_deleted=True)
with raises(exceptions.MethodNotImplemented, "filter"):
    names(filter_='contexts."a"="b"')
with raises(exceptions.NotFound, "bucket does not exist"):
    list(client.list_blobs("client-no-such"))

bucket.versioning_enabled = True
bucket.patch()
bucket.blob("a.txt").upload_from_string("newer")
bucket.blob("a.txt").delete()
versions = list(client.list_blobs(bucket, prefix="a.txt", versions=True))
assert [(each.size, each.time_deleted is None) for each in versions] == [(5, False), (5, False)]
assert versions[0].download_as_bytes() == b"a.txt" and versions[1].download_as_bytes() == b"newer"
assert not bucket.blob("a.txt").exists()
bucket.copy_blob(bucket.blob("a.txt"), bucket, source_generation=versions[0].generation)
assert bucket.blob("a.txt").download_as_bytes() == b"a.txt"
bucket.delete_blob("a.txt", generation=versions[0].generation)
assert len(list(client.list_blobs(bucket, prefix="a.txt", versions=True))) == 2
""")


def test_preconditions(run: Callable[[str], object]) -> None:
    run("""
bucket = client.create_bucket("client-conditions")
blob = bucket.blob("a")
blob.upload_from_string("one", if_generation_match=0)
with raises(exceptions.PreconditionFailed, "ifGenerationMatch 0", "generation"):
    bucket.blob("a").upload_from_string("two", if_generation_match=0)
with raises(exceptions.PreconditionFailed, "ifGenerationMatch 0"):
    bucket.blob("a", chunk_size=2**18).upload_from_file(io.BytesIO(b"x" * 2**19), if_generation_match=0)
with raises(exceptions.PreconditionFailed, "ifMetagenerationNotMatch 1"):
    bucket.blob("a").upload_from_string("two", if_metageneration_not_match=1)
with raises(exceptions.PreconditionFailed, "ifMetagenerationMatch 2"):
    blob.patch(if_metageneration_match=2)
with raises(exceptions.PreconditionFailed, "ifGenerationMatch"):
    blob.delete(if_generation_match=blob.generation - 1)
with raises(exceptions.PreconditionFailed, "ifGenerationNotMatch"):
    blob.delete(if_generation_not_match=blob.generation)
with raises(exceptions.BadRequest, "ifGenerationMatch must be a whole number"):
    blob.reload(if_generation_match="x")
assert blob.download_as_bytes() == b"one"
blob.upload_from_string("two", if_generation_match=blob.generation)
blob.delete(if_generation_match=blob.generation)
with raises(exceptions.NotFound, "No such object"):
    blob.delete()

import threading
won = []
def write(number):
    try:
        storage.Client().bucket("client-conditions").blob("race").upload_from_string(str(number), if_generation_match=0)
        won.append(number)
    except exceptions.PreconditionFailed:
        pass
threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
[each.start() for each in threads]
[each.join() for each in threads]
assert len(won) == 1 and bucket.blob("race").download_as_text() == str(won[0])
""")


def test_metadata(run: Callable[[str], object]) -> None:
    run("""
bucket = client.create_bucket("client-metadata")
blob = bucket.blob("a")
blob.metadata = {"keep": "1", "drop": "2"}
blob.upload_from_string("x", content_type="text/plain")
generation = blob.generation
blob.metadata = {"keep": "3", "drop": None, "new": "4"}
blob.content_language = "de"
blob.patch()
assert (blob.metadata, blob.content_language) == ({"keep": "3", "new": "4"}, "de")
assert (blob.generation, blob.metageneration, blob.content_type) == (generation, 2, "text/plain")
blob.content_language = None
blob.patch()
assert bucket.get_blob("a").content_language is None
blob.metadata = None
blob.update()
assert bucket.get_blob("a").metadata is None and blob.content_type == "text/plain"

blob.content_disposition = "x\\r\\nSet-Cookie: a"
with raises(exceptions.BadRequest, "contentDisposition must be a text without control characters"):
    blob.patch()
blob.reload()
blob.metadata = {"k": 5}
with raises(exceptions.BadRequest, "metadata.k must be a text"):
    client._connection.api_request("PATCH", blob.path, data={"metadata": {"k": 5}})
with raises(exceptions.MethodNotImplemented, "storageClass", "rewriting"):
    client._connection.api_request("PATCH", blob.path, data={"storageClass": "COLDLINE"})
with raises(exceptions.MethodNotImplemented, "retention.mode"):
    client._connection.api_request("PATCH", blob.path, data={"retention": {"mode": "Locked"}})
with raises(exceptions.BadRequest, "uniform bucket-level access is enabled"):
    blob.acl.reload()
with raises(exceptions.MethodNotImplemented, "Objects have no policies of their own"):
    blob.get_iam_policy()

blob.reload()
blob.temporary_hold = True
blob.patch()
with raises(exceptions.Forbidden, "under hold"):
    blob.delete()
with raises(exceptions.Forbidden, "under hold"):
    bucket.blob("a").upload_from_string("y")
blob.temporary_hold = False
blob.patch()
blob.delete()
""")


def test_batches(run: Callable[[str], object]) -> None:
    run("""
bucket = client.create_bucket("client-batches")
blobs = [bucket.blob(f"dir/{number} ü") for number in range(5)]
for each in blobs:
    each.upload_from_string("x")
with client.batch():
    for each in blobs[:3]:
        each.metadata = {"k": "v"}
        each.patch()
assert [each.metadata for each in blobs[:3]] == [{"k": "v"}] * 3
batch = client.batch(raise_exception=False)
with batch:
    bucket.delete_blob("dir/0 ü")
    bucket.delete_blob("dir/missing")
    bucket.delete_blob("dir/1 ü")
assert [each.status_code for each in batch._responses] == [204, 404, 204]
assert batch._responses[1].json()["error"]["errors"][0]["reason"] == "notFound"
with raises(exceptions.NotFound, "No such object: client-batches/dir/0 ü"):
    with client.batch():
        bucket.delete_blob("dir/0 ü")
        bucket.delete_blob("dir/2 ü")
assert [each.name for each in client.list_blobs(bucket)] == ["dir/3 ü", "dir/4 ü"]
""")


def test_signed_urls(run: Callable[[str], object]) -> None:
    run("""
import requests
bucket = client.create_bucket("client-signed")
blob = bucket.blob("dir/a b~ü+&.txt")
blob.metadata = {"k": "v"}
blob.upload_from_string("hello", content_type="text/plain")
soon = datetime.timedelta(minutes=5)
for version in ("v2", "v4"):
    url = blob.generate_signed_url(expiration=soon, version=version)
    answer = requests.get(url)
    assert (answer.status_code, answer.text) == (200, "hello"), answer.text
    assert answer.headers["x-goog-meta-k"] == "v" and answer.headers["x-goog-hash"].startswith("crc32c=mnG7TA==")
    assert requests.get(url, headers={"Range": "bytes=1-2"}).content == b"el"
    assert requests.head(blob.generate_signed_url(expiration=soon, version=version, method="HEAD")).status_code == 200
    shown = blob.generate_signed_url(expiration=soon, version=version, response_type="text/x",
                                     response_disposition="attachment; filename=x")
    answer = requests.get(shown)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/x"), answer.text
    assert answer.headers["content-disposition"] == "attachment; filename=x"

    # For one method, one object, one time.
    for wrong in (url.replace("dir/", "dir2/"), re.sub(r"Expires=(.)", r"Expires=1\\1", url)):
        answer = requests.get(wrong)
        assert answer.status_code == 403 and "SignatureDoesNotMatch" in answer.text, answer.text
    assert requests.delete(url).status_code == 403
    assert requests.put(url, data=b"x").status_code == 403
    expired = blob.generate_signed_url(expiration=datetime.timedelta(seconds=-10) if version == "v2" else 1,
                                       version=version)
    if version == "v4":
        stamp = (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=2)).strftime("%Y%m%dT%H%M%SZ")
        from google.cloud.storage import _signing
        expired = _signing.generate_signed_url_v4(client._credentials, "/client-signed/a", 60, _request_timestamp=stamp)
    answer = requests.get(expired)
    assert answer.status_code == 400 and "ExpiredToken" in answer.text and "must be used before it expires" in answer.text

    new = bucket.blob("new " + version)
    put = new.generate_signed_url(expiration=soon, version=version, method="PUT", content_type="text/y",
                                  headers={"x-goog-meta-who": "me"})
    given = {"Content-Type": "text/y", "x-goog-meta-who": "me"}
    answer = requests.put(put, data=b"signed", headers=given)
    assert (answer.status_code, answer.headers["x-goog-hash"][:7]) == (200, "crc32c="), answer.text
    new.reload()
    assert (new.download_as_bytes(), new.content_type, new.metadata) == (b"signed", "text/y", {"who": "me"})
    assert requests.put(put, data=b"again", headers={"Content-Type": "text/z"}).status_code == 403
    answer = requests.put(put, data=b"again", headers={**given, "Content-MD5": "XUFAKrxLKna5cZ2REBfFkg=="})
    assert answer.status_code == (403 if version == "v2" else 400), answer.text
    assert new.download_as_bytes() == b"signed"

    if version == "v4":
        exact, hashed = bucket.blob("exact"), {"x-goog-content-sha256": hashlib.sha256(b"exact").hexdigest()}
        put = exact.generate_signed_url(expiration=soon, version=version, method="PUT", headers=hashed)
        answer = requests.put(put, data=b"other", headers=hashed)
        assert answer.status_code == 400 and "the SHA-256 hash that was declared" in answer.text, answer.text
        assert not exact.exists()
        assert requests.put(put, data=b"exact", headers=hashed).status_code == 200 and exact.exists()

    once = bucket.blob("once " + version)
    put = once.generate_signed_url(expiration=soon, version=version, method="PUT",
                                   headers={"x-goog-if-generation-match": "0", "x-goog-content-length-range": "2,4"})
    given = {"x-goog-if-generation-match": "0", "x-goog-content-length-range": "2,4"}
    assert "EntityTooLarge" in requests.put(put, data=b"12345", headers=given).text
    assert "EntityTooSmall" in requests.put(put, data=b"1", headers=given).text
    assert requests.put(put, data=b"123", headers=given).status_code == 200
    assert requests.put(put, data=b"124", headers=given).status_code == 412
    assert once.download_as_bytes() == b"123"

    begin = bucket.blob("resumed " + version).generate_signed_url(
        expiration=soon, version=version, method="RESUMABLE")
    started = requests.post(begin, headers={"x-goog-resumable": "start"})
    assert started.status_code == 201, started.text
    address = started.headers["Location"]
    assert requests.put(address, data=b"12", headers={"Content-Range": "bytes 0-1/5"}).status_code == 308
    assert requests.put(address, headers={"Content-Range": "bytes */5"}).headers["Range"] == "bytes=0-1"
    assert requests.put(address, data=b"345", headers={"Content-Range": "bytes 2-4/5"}).status_code == 200
    assert bucket.blob("resumed " + version).download_as_bytes() == b"12345"

    gone = bucket.blob("new " + version).generate_signed_url(expiration=soon, version=version, method="DELETE")
    assert requests.delete(gone).status_code == 204
    answer = requests.get(bucket.blob("new " + version).generate_signed_url(expiration=soon, version=version))
    assert answer.status_code == 404 and "<Code>NoSuchKey</Code>" in answer.text

hosted = blob.generate_signed_url(expiration=soon, version="v4", virtual_hosted_style=True)
assert hosted.startswith("https://client-signed.storage.googleapis.com/dir/")
assert requests.get(hosted).text == "hello"
assert requests.get(hosted.replace("client-signed.", "client-other.")).status_code == 403
assert requests.put(hosted, data=b"x").status_code == 403

assert requests.get("https://storage.googleapis.com/client-signed/dir/a").status_code == 401
listing = requests.get(bucket.generate_signed_url(expiration=soon, version="v4"))
assert listing.status_code == 501 and "use the JSON API" in listing.text
policy = client.generate_signed_post_policy_v4("client-signed", "x", expiration=soon)
answer = requests.post(policy["url"], data=policy["fields"], files={"file": b"x"})
assert answer.status_code == 501 and "does not do POST of a bucket" in answer.text
""")


def test_policies(run: Callable[[str], object]) -> None:
    run("""
bucket = client.create_bucket("client-policies")
policy = bucket.get_iam_policy(requested_policy_version=3)
assert policy.bindings == []
policy.bindings.append({"role": "roles/storage.objectViewer", "members": {"user:reader@example.com"}})
bucket.set_iam_policy(policy)
now = bucket.get_iam_policy(requested_policy_version=3)
assert now.bindings == [{"role": "roles/storage.objectViewer", "members": {"user:reader@example.com"}}]
with raises(exceptions.PreconditionFailed, "pre-conditions", "etag"):
    policy.etag = "c3RhbGU="
    bucket.set_iam_policy(policy)
with raises(exceptions.MethodNotImplemented, "Policy bindings have no conditions"):
    now.bindings.append({"role": "roles/viewer", "members": {"user:a@b.c"},
                         "condition": {"title": "t", "expression": "true"}})
    now.version = 3
    bucket.set_iam_policy(now)
asked = ["storage.objects.get", "storage.buckets.delete"]
assert bucket.test_iam_permissions(asked) == asked
assert len(bucket.get_iam_policy().bindings) == 1
with raises(exceptions.NotFound, "bucket does not exist"):
    client.bucket("client-no-such").get_iam_policy()
bucket.delete()
assert client.create_bucket("client-policies").get_iam_policy().bindings == []
""")


def test_many_transfers_at_once(run: Callable[[str], object]) -> None:
    run("""
import tempfile, pathlib
from google.cloud.storage import transfer_manager
bucket = client.create_bucket("client-transfers")
folder = pathlib.Path(tempfile.mkdtemp())
for number in range(12):
    (folder / f"{number}.bin").write_bytes(random.Random(number).randbytes(50_000))
names = [f"{number}.bin" for number in range(12)]
done = transfer_manager.upload_many_from_filenames(
    bucket, names, source_directory=str(folder), worker_type=transfer_manager.THREAD, max_workers=4)
assert done == [None] * 12
again = pathlib.Path(tempfile.mkdtemp())
done = transfer_manager.download_many_to_path(
    bucket, names, destination_directory=str(again), worker_type=transfer_manager.THREAD, max_workers=4)
assert done == [None] * 12
assert all((folder / name).read_bytes() == (again / name).read_bytes() for name in names)
big = random.Random(99).randbytes(5_000_000)
bucket.blob("big").upload_from_string(big)
transfer_manager.download_chunks_concurrently(
    bucket.blob("big"), str(again / "big"), chunk_size=10**6, worker_type=transfer_manager.THREAD)
assert (again / "big").read_bytes() == big

(folder / "big").write_bytes(big)
parts = bucket.blob("parts/ü b")
parts.metadata = {"k": "v"}
transfer_manager.upload_chunks_concurrently(
    str(folder / "big"), parts, content_type="text/x", chunk_size=10**6, worker_type=transfer_manager.THREAD)
parts.reload()
assert (parts.download_as_bytes() == big, parts.content_type, parts.metadata) == (True, "text/x", {"k": "v"})
with raises(exceptions.NotFound, "bucket does not exist"):
    try:
        transfer_manager.upload_chunks_concurrently(
            str(folder / "big"), client.bucket("client-no-such").blob("a"), worker_type=transfer_manager.THREAD)
    except storage.exceptions.InvalidResponse as error:
        raise exceptions.from_http_response(error.response)
""")
