"""Bodies of uploads: multipart/related as a stream in any pieces, and byte ranges."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tule.kernel.errors import InvalidArgument, OutOfRange
from tule.wire import multipart
from tule.wire.ranges import ContentRange, byte_range, content_range

KIND = 'multipart/related; boundary="==b=="'


def body(content: bytes, described: bytes = b'{"name": "a"}') -> bytes:
    return (
        b"--==b==\r\ncontent-type: application/json\r\n\r\n" + described
        + b"\r\n--==b==\r\nContent-Type: text/x\r\n\r\n" + content + b"\r\n--==b==--"
    )  # fmt: skip


def pieces(whole: bytes, size: int) -> Iterator[bytes]:
    for at in range(0, len(whole), size):
        yield whole[at : at + size]


@given(
    content=st.binary(max_size=60) | st.sampled_from([b"\r\n--==b=", b"--==b==", b"\r\n\r\n--"]),
    size=st.integers(1, 70),
)
def test_a_body_is_the_same_in_any_pieces(content: bytes, size: int) -> None:
    described, media = multipart.related(KIND, pieces(body(content), size))
    assert described == {"name": "a"}
    assert media.headers == {"content-type": "text/x"}
    assert b"".join(media.chunks) == content


@given(cut=st.integers(1, 60))
def test_a_body_that_was_cut_off_raises_at_its_end(cut: int) -> None:
    with pytest.raises(InvalidArgument, match=r"cut off. Next: send it again"):
        _, media = multipart.related(KIND, [body(b"content" * 10)[:-cut]])
        b"".join(media.chunks)


@pytest.mark.parametrize(
    ("kind", "raw", "message"),
    [
        ("application/json", b"{}", "must have the content type multipart/related"),
        ("multipart/related", body(b""), "with a boundary"),
        (KIND, body(b"", b"{"), "must be JSON"),
        (KIND, body(b"", b"[]"), "must be a JSON object; given: list"),
        (KIND, b"--==b==\r\n\r\n{}\r\n--==b==--", "must have two parts"),
        (KIND, b"nothing of this kind", "cut off"),
    ],
    ids=["kind", "boundary", "json", "object", "one-part", "no-part"],
)
def test_a_body_of_another_shape_is_refused(kind: str, raw: bytes, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        multipart.related(kind, [raw])


def test_three_parts_are_one_too_many() -> None:
    raw = body(b"content").removesuffix(b"--") + b"\r\n\r\nmore\r\n--==b==--"
    _, media = multipart.related(KIND, [raw])
    with pytest.raises(InvalidArgument, match="must end after two parts"):
        list(media.chunks)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("bytes=0-0", (0, 0)),
        ("bytes=3-", (3, 9)),
        ("bytes=3-99", (3, 9)),
        ("bytes=-99", (0, 9)),
        ("bytes=-1", (9, 9)),
        ("", None),
        ("bytes=-", None),
        ("bytes=5-3", None),
        ("bytes=0-1,3-4", None),
        ("lines=0-1", None),
    ],
)
def test_a_range_of_ten_bytes(text: str, found: tuple[int, int] | None) -> None:
    assert byte_range(text, 10) == found


@pytest.mark.parametrize(("text", "size"), [("bytes=10-", 10), ("bytes=-0", 10), ("bytes=0-", 0), ("bytes=-5", 0)])
def test_a_range_with_no_byte_in_it_is_refused(text: str, size: int) -> None:
    with pytest.raises(OutOfRange, match=f"of {size} bytes"):
        byte_range(text, size)


def test_content_ranges() -> None:
    assert content_range("bytes 0-99/*") == ContentRange(0, 99, None)
    assert content_range("bytes 5-9/10").length == 5
    assert content_range("bytes */10") == ContentRange(None, None, 10)


@pytest.mark.parametrize("text", ["0-9/10", "bytes 9-0/10", "bytes 0-10/10", "bytes 0-9", "bytes a-b/c", "bytes -1/2"])
def test_a_content_range_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="Content-Range must"):
        content_range(text)
