"""Objects: contents and what is said of them, whole or not at all, whoever writes at the same time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tule.kernel.clock import VirtualClock
from tule.kernel.errors import (
    AlreadyExists,
    DataLoss,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
)
from tule.kernel.home import Home
from tule.kernel.journal import Journal
from tule.kernel.objects import Checksums, ConditionNotMet, Conditions, Object, Objects, Piece, globs
from tule.kernel.objects.schema import METADATA
from tule.kernel.records import Records

BUCKET = "bucket"
NEW = Conditions(generation_match=0)


@pytest.fixture
def objects(home: Home, records: Records, clock: VirtualClock) -> Iterator[Objects]:
    made = Objects(home, records, clock)
    made.buckets.create("p", BUCKET)
    yield made
    with records.transaction() as connection:
        METADATA.drop_all(connection)


def put(objects: Objects, key: str, content: bytes = b"x", **more: object) -> Object:
    return objects.put(BUCKET, key, [content], **more)  # type: ignore[arg-type]


def read(objects: Objects, key: str) -> bytes:
    with objects.open(BUCKET, key) as file:
        return file.read()


def files(home: Home) -> list[Path]:
    """Every file of the object store."""
    return sorted(path for path in home.folder("objects").rglob("*") if path.is_file())


# -- contents


def test_what_is_put_can_be_read_with_its_checksums(objects: Objects) -> None:
    made = objects.put(BUCKET, "a/b.txt", [b"hel", b"", b"lo"], content_type="text/plain")
    assert objects.get(BUCKET, "a/b.txt") == made
    assert read(objects, "a/b.txt") == objects.path(BUCKET, "a/b.txt").read_bytes() == b"hello"
    assert (made.size, made.crc32c, made.md5) == (5, "mnG7TA==", "XUFAKrxLKna5cZ2REBfFkg==")
    assert (made.content_type, made.metageneration, made.live) == ("text/plain", 1, True)


def test_one_content_is_one_file_until_its_last_object_is_gone(objects: Objects, home: Home) -> None:
    put(objects, "one", b"same")
    put(objects, "two", b"same")
    assert len(files(home)) == 1
    objects.delete(BUCKET, "one")
    assert read(objects, "two") == b"same"
    put(objects, "two", b"other")
    assert [path.read_bytes() for path in files(home)] == [b"other"]
    objects.delete(BUCKET, "two")
    assert files(home) == []


def test_a_stream_that_breaks_leaves_everything_as_it_was(objects: Objects, home: Home) -> None:
    put(objects, "a", b"before")

    def broken() -> Iterator[bytes]:
        yield b"half"
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        objects.put(BUCKET, "a", broken())
    assert read(objects, "a") == b"before"
    assert len(files(home)) == 1


@pytest.mark.parametrize(
    ("said", "word"),
    [
        (Checksums(md5="XUFAKrxLKna5cZ2REBfFkg=="), "MD5 hash"),
        (Checksums(crc32c="mnG7TA=="), "CRC32C"),
        (Checksums(size=4), "size"),
    ],
    ids=["md5", "crc32c", "size"],
)
def test_a_content_that_is_not_the_declared_one_is_refused(
    objects: Objects, home: Home, said: Checksums, word: str
) -> None:
    with pytest.raises(InvalidArgument, match=rf"must have the {word} that was declared.*declared .*, received .*Next"):
        put(objects, "a", b"hullo", checksums=said)
    assert objects.find(BUCKET, "a") is None
    assert files(home) == []


def test_a_reader_keeps_the_content_it_opened(objects: Objects) -> None:
    put(objects, "a", b"before")
    with objects.open(BUCKET, "a") as file:
        put(objects, "a", b"after")
        assert file.read() == b"before"


def test_a_path_that_was_handed_out_stays_for_a_day(objects: Objects, clock: VirtualClock) -> None:
    put(objects, "a", b"before")
    path = objects.path(BUCKET, "a")
    put(objects, "a", b"after")
    assert path.read_bytes() == b"before"
    clock.advance(timedelta(hours=25))
    put(objects, "b", b"b")
    objects.delete(BUCKET, "b")
    assert not path.exists()


def test_a_missing_file_is_told_as_what_it_is(objects: Objects) -> None:
    put(objects, "a")
    objects.path(BUCKET, "a").unlink()
    with pytest.raises(DataLoss, match="must be there; given: bucket/a"):
        objects.open(BUCKET, "a")


def test_the_next_start_removes_what_no_object_names(
    objects: Objects, home: Home, records: Records, clock: VirtualClock
) -> None:
    put(objects, "a", b"kept")
    path = objects.path(BUCKET, "a")
    # What a crash leaves behind: a content whose transaction never came, and one that was cut off on its way in.
    orphan = path.parent.parent / "ff" / ("f" * 64)
    orphan.parent.mkdir(exist_ok=True)
    orphan.write_bytes(b"orphan")
    (home.folder("objects", "incoming") / "half").write_bytes(b"half")
    assert read(Objects(home, records, clock), "a") == b"kept"
    assert files(home) == [path]


def test_a_content_is_not_written_inside_a_callers_transaction(objects: Objects, records: Records) -> None:
    with pytest.raises(RuntimeError, match="inside a transaction"), records.transaction():
        put(objects, "a")
    assert objects.find(BUCKET, "a") is None


# -- names


@pytest.mark.parametrize(
    "key",
    ["../../../etc/passwd", "/", "//a//", "a/./b", "…/ñ/日本語.txt", "C:\\x", "a b%20c#?&", "~", "ü" * 512],
    ids=["up", "slash", "empty-parts", "dot", "unicode", "backslash", "reserved", "tilde", "1024-bytes"],
)
def test_no_name_becomes_a_path(objects: Objects, home: Home, key: str) -> None:
    put(objects, key, key.encode())
    assert read(objects, key) == key.encode()
    assert [each.key for each in objects.list(BUCKET).objects] == [key]
    (path,) = files(home)
    assert path.parent.parent == home.folder("objects")
    assert path.name == objects.get(BUCKET, key).sha256


@pytest.mark.parametrize(
    "key",
    ["", "a\nb", "a\rb", "\x00", ".", "..", "ü" * 513, "\ud800", ".well-known/acme-challenge/x"],
    ids=["empty", "newline", "return", "nul", "dot", "dots", "1026-bytes", "surrogate", "acme"],
)
def test_a_name_that_cloud_storage_refuses_is_refused(objects: Objects, key: str) -> None:
    with pytest.raises(InvalidArgument, match="An object name must"):
        put(objects, key)
    assert objects.list(BUCKET).objects == []


@pytest.mark.parametrize(
    "bucket", ["ab", "a" * 64, "Upper", "under score", "-a-", "a..b", "192.168.0.1", "goog-x", "..", "a/b", "ü" * 4]
)
def test_a_bucket_name_that_cloud_storage_refuses_is_refused(objects: Objects, bucket: str) -> None:
    with pytest.raises(InvalidArgument, match="Invalid bucket name"):
        objects.buckets.create("p", bucket)


def test_what_is_not_there_is_named(objects: Objects) -> None:
    with pytest.raises(NotFound, match="No such object: bucket/nope"):
        objects.open(BUCKET, "nope")
    with pytest.raises(NotFound, match="The specified bucket does not exist; given: nope"):
        objects.put("nope", "a", [b"x"])
    with pytest.raises(NotFound, match="bucket does not exist"):
        objects.list("nope")


# -- buckets


def test_a_bucket_name_belongs_to_one_project(objects: Objects) -> None:
    with pytest.raises(AlreadyExists, match="must be free in all projects; given: bucket"):
        objects.buckets.create("other", BUCKET)
    assert [record.name for record in objects.buckets.list("other")] == []
    assert [record.name for record in objects.buckets.list("p", prefix="bu")] == ["projects/p/buckets/bucket"]
    assert objects.buckets.list("p", prefix="x").records == []


def test_a_bucket_with_objects_stays(objects: Objects) -> None:
    put(objects, "a")
    with pytest.raises(FailedPrecondition, match="not empty; given: bucket"):
        objects.buckets.delete(BUCKET)
    objects.delete(BUCKET, "a")
    objects.buckets.delete(BUCKET)
    assert objects.buckets.find(BUCKET) is None


def test_conditions_on_buckets_look_at_their_metageneration(objects: Objects) -> None:
    objects.buckets.update(BUCKET, lambda body: {**body, "labels": {"a": "b"}}, Conditions(metageneration_match=1))
    with pytest.raises(ConditionNotMet, match="ifMetagenerationMatch 1"):
        objects.buckets.delete(BUCKET, Conditions(metageneration_match=1))
    assert objects.buckets.get(BUCKET).body == {"labels": {"a": "b"}}


# -- generations and conditions


def test_generations_rise_although_the_clock_stands_still(objects: Objects) -> None:
    first = put(objects, "a")
    second = put(objects, "a")
    objects.delete(BUCKET, "a")
    third = put(objects, "a", conditions=NEW)
    assert first.generation < second.generation < third.generation


def test_generations_rise_over_a_restart_with_the_clock_set_back(
    objects: Objects, home: Home, records: Records, clock: VirtualClock
) -> None:
    clock.advance(timedelta(hours=1))
    before = put(objects, "a")
    from datetime import UTC, datetime

    again = Objects(home, records, VirtualClock(datetime(2020, 1, 1, tzinfo=UTC)))
    assert put(again, "a").generation > before.generation


@pytest.mark.parametrize(
    ("wanted", "unchanged"),
    [
        (Conditions(generation_match=0), False),
        (Conditions(generation_match=1), False),
        (Conditions(metageneration_match=2), False),
        (Conditions(metageneration_not_match=1), True),
    ],
    ids=["new", "other", "metageneration", "not-metageneration"],
)
def test_a_condition_that_does_not_hold_stops_every_change(
    objects: Objects, wanted: Conditions, unchanged: bool
) -> None:
    made = put(objects, "a", b"before")
    for change in (
        lambda: put(objects, "a", b"after", conditions=wanted),
        lambda: objects.update(BUCKET, "a", lambda _: {}, conditions=wanted),
        lambda: objects.delete(BUCKET, "a", conditions=wanted),
        lambda: objects.compose(BUCKET, "a", [Piece("a")], conditions=wanted),
        lambda: objects.copy((BUCKET, "a"), (BUCKET, "b"), source_conditions=wanted),
        lambda: objects.get(BUCKET, "a", conditions=wanted),
    ):
        with pytest.raises(ConditionNotMet, match=r"pre-conditions.*given: generation") as caught:
            change()
        assert caught.value.unchanged is unchanged
    assert objects.get(BUCKET, "a") == made
    assert objects.find(BUCKET, "b") is None


def test_a_condition_on_nothing(objects: Objects) -> None:
    with pytest.raises(ConditionNotMet, match="ifGenerationMatch 7; given: no object"):
        put(objects, "a", conditions=Conditions(generation_match=7))
    with pytest.raises(ConditionNotMet, match="ifGenerationNotMatch 0"):
        put(objects, "a", conditions=Conditions(generation_not_match=0))
    assert put(objects, "a", conditions=NEW).size == 1


def test_of_many_writers_that_want_to_be_the_first_one_is(objects: Objects) -> None:
    barrier = threading.Barrier(8)

    def write(number: int) -> int | None:
        barrier.wait()
        try:
            put(objects, "a", b"%d" % number, conditions=NEW)
        except ConditionNotMet:
            return None
        return number

    with ThreadPoolExecutor(8) as pool:
        won = [each for each in pool.map(write, range(1, 9)) if each is not None]
    assert len(won) == 1
    assert read(objects, "a") == b"%d" % won[0]


def test_writers_and_removers_of_one_content_never_lose_it(objects: Objects, home: Home) -> None:
    def work(number: int) -> None:
        for _ in range(12):
            put(objects, f"own/{number}", b"same")
            assert read(objects, f"own/{number}") == b"same"
            objects.delete(BUCKET, f"own/{number}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert files(home) == []


def test_a_change_raises_the_metageneration_and_nothing_else(objects: Objects, clock: VirtualClock) -> None:
    before = put(objects, "a")
    clock.advance(timedelta(minutes=1))
    after = objects.update(BUCKET, "a", lambda body: {**body, "metadata": {"k": "v"}})
    assert (after.generation, after.metageneration) == (before.generation, 2)
    assert (after.create_time, after.update_time) == (before.create_time, clock.now())
    assert after.body == {"metadata": {"k": "v"}}


# -- versions


def test_a_bucket_with_versioning_keeps_what_was_replaced_and_deleted(
    objects: Objects, home: Home, clock: VirtualClock
) -> None:
    objects.buckets.update(BUCKET, lambda body: {**body, "versioning": {"enabled": True}})
    one = put(objects, "a", b"one")
    two = put(objects, "a", b"two")
    objects.delete(BUCKET, "a")
    assert objects.find(BUCKET, "a") is None
    assert objects.list(BUCKET).objects == []
    kept = objects.list(BUCKET, versions=True).objects
    assert [(each.generation, each.live, each.delete_time) for each in kept] == [
        (one.generation, False, clock.now()),
        (two.generation, False, clock.now()),
    ]
    with objects.open(BUCKET, "a", generation=one.generation) as file:
        assert file.read() == b"one"
    with pytest.raises(FailedPrecondition, match="noncurrent versions included"):
        objects.buckets.delete(BUCKET)
    for each in kept:
        objects.delete(BUCKET, "a", generation=each.generation)
    assert files(home) == []


def test_an_object_under_hold_stays(objects: Objects) -> None:
    put(objects, "a", b"before", body={"temporaryHold": True})
    with pytest.raises(PermissionDenied, match=r"under hold.*Next: set temporaryHold to false"):
        objects.delete(BUCKET, "a")
    with pytest.raises(PermissionDenied, match="under hold"):
        put(objects, "a", b"after")
    objects.update(BUCKET, "a", lambda _: {})
    assert put(objects, "a", b"after").size == 5


# -- copies


def test_a_composition_is_its_pieces_in_order(objects: Objects) -> None:
    put(objects, "a", b"hel")
    put(objects, "b", b"lo")
    made = objects.compose(BUCKET, "whole", [Piece("a"), Piece("b"), Piece("a")], body={"contentType": "text/x"})
    assert read(objects, "whole") == b"hellohel"
    assert (made.components, made.md5, made.content_type) == (3, None, "text/x")
    again = objects.compose(BUCKET, "whole", [Piece("whole"), Piece("b")], remove=True)
    assert (again.components, read(objects, "whole")) == (4, b"hellohello")
    assert [each.key for each in objects.list(BUCKET).objects] == ["a", "whole"]


def test_a_composition_of_what_is_not_there_changes_nothing(objects: Objects) -> None:
    made = put(objects, "a")
    for pieces, error in (
        ([Piece("a"), Piece("nope")], NotFound),
        ([Piece("a", generation_match=made.generation + 1)], ConditionNotMet),
        ([], InvalidArgument),
        ([Piece("a")] * 33, InvalidArgument),
    ):
        with pytest.raises(error):
            objects.compose(BUCKET, "whole", pieces)
    assert objects.find(BUCKET, "whole") is None


def test_a_copy_shares_the_content_and_a_move_leaves_nothing(objects: Objects, home: Home) -> None:
    objects.buckets.create("p", "other")
    made = put(objects, "a", b"content", body={"contentType": "text/x"})
    copied = objects.copy((BUCKET, "a"), ("other", "b"))
    assert (copied.sha256, copied.body, copied.md5) == (made.sha256, made.body, made.md5)
    assert len(files(home)) == 1
    moved = objects.move(BUCKET, "a", "c")
    assert (moved.key, objects.find(BUCKET, "a"), read(objects, "c")) == ("c", None, b"content")
    with pytest.raises(InvalidArgument, match="to another name"):
        objects.move(BUCKET, "c", "c")


def test_changes_are_journaled(objects: Objects, journal: Journal) -> None:
    before = journal.last()
    put(objects, "a")
    objects.update(BUCKET, "a", lambda _: {"metadata": {}})
    objects.delete(BUCKET, "a")
    seen = [(each.kind, each.name, each.change) for each in journal.read(before)]
    name = "projects/_/buckets/bucket/objects/a"
    assert seen == [("storage#object", name, change) for change in ("created", "updated", "deleted")]


# -- lists

KEYS = st.text(alphabet="ab/\U0010ffff", min_size=1, max_size=5)


def _expected(keys: set[str], prefix: str, delimiter: str, start: str, end: str) -> tuple[list[str], list[str]]:
    found, folded = [], set()
    for key in sorted(keys):
        if not key.startswith(prefix) or key < start or (end and key >= end):
            continue
        at = key.find(delimiter, len(prefix)) if delimiter else -1
        if at < 0:
            found.append(key)
        else:
            folded.add(key[: at + len(delimiter)])
    return found, sorted(folded)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    keys=st.sets(KEYS, max_size=12),
    prefix=st.text(alphabet="ab/\U0010ffff", max_size=2),
    delimiter=st.sampled_from(["", "/", "b", "/a"]),
    start=st.text(alphabet="ab/", max_size=2),
    end=st.text(alphabet="ab/", max_size=2),
    page=st.integers(1, 4),
)
def test_lists_hold_what_they_should_on_any_pages(
    objects: Objects, keys: set[str], prefix: str, delimiter: str, start: str, end: str, page: int
) -> None:
    keys -= {".", ".."}
    for each in objects.list(BUCKET).objects:
        objects.delete(BUCKET, each.key)
    for key in keys:
        put(objects, key)
    question: dict[str, Any] = {"prefix": prefix, "delimiter": delimiter, "start": start, "end": end}
    whole = objects.list(BUCKET, **question)
    wanted = _expected(keys, prefix, delimiter, start, end)
    assert ([each.key for each in whole.objects], whole.prefixes) == wanted
    found: tuple[list[str], list[str]] = ([], [])
    token = ""
    while True:
        part = objects.list(BUCKET, **question, page_size=page, page_token=token)
        assert len(part.objects) + len(part.prefixes) <= page
        found[0].extend(each.key for each in part.objects)
        found[1].extend(part.prefixes)
        token = part.next_page_token
        if not token:
            break
    assert found == wanted


def test_folders_are_skipped_not_read(objects: Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    from tule.kernel.objects import listing

    monkeypatch.setattr(listing, "_FIRST_PIECE", 3)
    for number in range(8):
        put(objects, f"a/{number}")
    put(objects, "b")
    found = objects.list(BUCKET, delimiter="/")
    assert ([each.key for each in found.objects], found.prefixes) == (["b"], ["a/"])


def test_a_name_that_ends_with_the_delimiter_can_be_listed_as_an_object_too(objects: Objects) -> None:
    for key in ("a/", "a/b", "c/d"):
        put(objects, key)
    found = objects.list(BUCKET, delimiter="/", trailing_delimiter=True)
    assert ([each.key for each in found.objects], found.prefixes) == (["a/"], ["a/", "c/"])


def test_versions_are_listed_in_order_on_any_pages(objects: Objects) -> None:
    objects.buckets.update(BUCKET, lambda body: {**body, "versioning": {"enabled": True}})
    made = [(key, put(objects, key).generation) for key in ("a", "a", "b", "a")]
    token, seen = "", []
    while True:
        part = objects.list(BUCKET, versions=True, page_size=1, page_token=token)
        seen += [(each.key, each.generation) for each in part.objects]
        token = part.next_page_token
        if not token:
            break
    assert seen == sorted(made)


def test_a_page_token_fits_its_own_list_only(objects: Objects) -> None:
    put(objects, "a")
    put(objects, "b")
    token = objects.list(BUCKET, page_size=1).next_page_token
    with pytest.raises(InvalidArgument, match="A page token must come from the last answer to the same request"):
        objects.list(BUCKET, prefix="a", page_size=1, page_token=token)
    objects.delete(BUCKET, "a")
    assert [each.key for each in objects.list(BUCKET, page_size=1, page_token=token).objects] == ["b"]


def test_a_uri_with_one_star_names_objects(objects: Objects) -> None:
    for key in ("2026/a.csv", "2026/b/c.csv", "2026/.csv", "2025/a.csv"):
        put(objects, key)
    found = [each.key for each in objects.glob("gs://bucket/2026/*.csv")]
    assert found == ["2026/.csv", "2026/a.csv", "2026/b/c.csv"]
    assert [each.key for each in objects.glob("gs://bucket/2025/a.csv")] == ["2025/a.csv"]
    assert objects.glob("gs://bucket/nope") == objects.glob("gs://nope/*") == []
    for wrong in ("gs://bucket/*/*", "s3://bucket/a", "gs:///a"):
        with pytest.raises(InvalidArgument):
            objects.glob(wrong)


@pytest.mark.parametrize(
    ("glob", "key", "fits"),
    [
        ("*.csv", "a.csv", True),
        ("*.csv", "a/b.csv", False),
        ("**.csv", "a/b.csv", True),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("[!a]b", "cb", True),
        ("[!a]b", "ab", False),
        ("[a-c]/x", "b/x", True),
        ("{one,two}/*", "two/x", True),
        ("{one,two}/*", "three/x", False),
        ("a.c", "abc", False),
        ("a\\*", "a*", True),
    ],
)
def test_globs_mean_what_cloud_storage_says(glob: str, key: str, fits: bool) -> None:
    assert (globs.compiled(glob).fullmatch(key) is not None) is fits


@pytest.mark.parametrize("glob", ["[a", "{a", "[z-a]"])
def test_a_broken_glob_is_refused(objects: Objects, glob: str) -> None:
    with pytest.raises(InvalidArgument, match="A glob must be well formed"):
        objects.list(BUCKET, glob=glob)
