"""Batch requests of JSON APIs: many calls in one multipart/mixed body, answered through the same handlers."""

from __future__ import annotations

import email.parser
import email.policy
import secrets
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import orjson

from tule.kernel.errors import InvalidArgument
from tule.wire.door import Reply, Request

MOST = 1000
One = Callable[[str, str, dict[str, str], bytes, Request], Reply]


def is_batch(verb: str, path: str) -> bool:
    return verb == "POST" and (path == "/batch" or path.startswith("/batch/"))


def answer_batch(request: Request, one: One) -> Reply:
    """Answer each part by ``one``; a part that fails answers its own error and does not stop the others."""
    boundary = f"batch_{secrets.token_hex(12)}"
    parts = []
    for identity, verb, url, headers, body in _parts(request):
        reply = one(verb, url, headers, body, request)
        parts.append(_part(boundary, identity, reply))
    content = b"".join(parts) + f"--{boundary}--\r\n".encode()
    return Reply(200, content, {"Content-Type": f"multipart/mixed; boundary={boundary}"})


def _parts(request: Request) -> Iterator[tuple[str, str, str, dict[str, str], bytes]]:
    kind = request.headers.get("content-type", "")
    if not kind.lower().startswith("multipart/mixed"):
        raise InvalidArgument("A batch must be multipart/mixed", given=kind or "no content type")
    raw = b"Content-Type: " + kind.encode("latin-1") + b"\r\n\r\n" + request.body()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(raw)
    if not message.is_multipart():
        raise InvalidArgument("A batch must have parts between its boundaries", given=kind)
    parts = list(message.iter_parts())
    if len(parts) > MOST:
        raise InvalidArgument(f"A batch must have at most {MOST} parts", given=len(parts))
    for part in parts:
        content = part.get_payload(decode=True)
        if not isinstance(content, bytes):
            raise InvalidArgument("A part of a batch must hold an HTTP request", given=type(content).__name__)
        head, _, body = content.replace(b"\r\n", b"\n").partition(b"\n\n")
        first, *lines = head.decode("latin-1").split("\n")
        words = first.split(" ")
        if len(words) < 2:
            raise InvalidArgument("A part of a batch must begin with METHOD PATH HTTP/1.1", given=first[:80])
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        target = urlsplit(words[1])
        url = target.path + (f"?{target.query}" if target.query else "")
        yield str(part.get("Content-ID", "")), words[0].upper(), url, headers, body


def _part(boundary: str, identity: str, reply: Reply) -> bytes:
    body = reply.body
    if isinstance(body, dict | list):
        content, kind = orjson.dumps(body), "application/json; charset=UTF-8"
    elif isinstance(body, bytes):
        content, kind = body, "application/octet-stream"
    elif isinstance(body, Path):
        content, kind = body.read_bytes(), "application/octet-stream"
    else:
        content, kind = b"".join(body or ()), "application/octet-stream"
    phrase = HTTPStatus(reply.status).phrase if reply.status in HTTPStatus._value2member_map_ else ""
    answer = f"<response-{identity.strip('<>')}>" if identity else ""
    head = f"--{boundary}\r\nContent-Type: application/http\r\n"
    if answer:
        head += f"Content-ID: {answer}\r\n"
    head += f"\r\nHTTP/1.1 {reply.status} {phrase}\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n"
    for name, value in reply.headers.items():
        if name.lower() not in ("content-type", "content-length"):
            head += f"{name}: {value}\r\n"
    return head.encode("latin-1") + b"\r\n" + content + b"\r\n"
