"""Batch requests of JSON APIs: many calls in one multipart/mixed body, answered through the same handlers."""

from __future__ import annotations

import email.parser
import email.policy
import secrets
from collections.abc import Callable
from email.message import Message
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import orjson

from tule.kernel.errors import InvalidArgument
from tule.wire.door import Reply, Request, one_line
from tule.wire.errors import discovery_body, http_status

MOST = 1000
One = Callable[[str, str, dict[str, str], bytes, Request], Reply]


def is_batch(verb: str, path: str) -> bool:
    return verb == "POST" and (path == "/batch" or path.startswith("/batch/"))


def answer_batch(request: Request, one: One) -> Reply:
    """Answer each part by ``one``; a part that fails answers its own error and does not stop the others."""
    boundary = f"batch_{secrets.token_hex(12)}"
    answers = []
    for part in _parts(request):
        try:
            reply = one(*_call(part), request)
        except InvalidArgument as error:
            reply = Reply(http_status(error), discovery_body(error))
        answers.append(_part(boundary, str(part.get("Content-ID", "")), reply))
    content = b"".join(answers) + f"--{boundary}--\r\n".encode()
    return Reply(200, content, {"Content-Type": f"multipart/mixed; boundary={boundary}"})


def _parts(request: Request) -> list[Message]:
    kind = request.headers.get("content-type", "")
    if not kind.lower().startswith("multipart/mixed"):
        raise InvalidArgument("A batch must be multipart/mixed", given=kind or "no content type")
    raw = b"Content-Type: " + kind.encode("latin-1") + b"\r\n\r\n" + request.body()
    try:
        message = email.parser.BytesParser(policy=email.policy.compat32).parsebytes(raw)
    except RecursionError:
        raise InvalidArgument("A batch must hold HTTP requests, not multipart bodies in each other") from None
    parts = message.get_payload()
    if not isinstance(parts, list):
        raise InvalidArgument("A batch must have parts between its boundaries", given=kind)
    if len(parts) > MOST:
        raise InvalidArgument(f"A batch must have at most {MOST} parts", given=len(parts))
    return [part for part in parts if isinstance(part, Message)]


def _call(part: Message) -> tuple[str, str, dict[str, str], bytes]:
    """The request inside a part: verb, path with query, headers, body."""
    content = part.get_payload(decode=True)
    if not isinstance(content, bytes):
        raise InvalidArgument("A part of a batch must hold an HTTP request", given=part.get_content_type())
    head, _, body = content.replace(b"\r\n", b"\n").partition(b"\n\n")
    first, *lines = head.decode("latin-1").split("\n")
    words = first.split(" ")
    if len(words) < 2:
        raise InvalidArgument("A part of a batch must begin with METHOD PATH HTTP/1.1", given=first[:80])
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    try:
        target = urlsplit(words[1])
    except ValueError as error:
        raise InvalidArgument("A part of a batch must name a path", given=f"{words[1][:80]!r}: {error}") from None
    return words[0].upper(), target.path + (f"?{target.query}" if target.query else ""), headers, body


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
    answer = f"<response-{one_line(identity).strip('<>')}>" if identity else ""
    head = f"--{boundary}\r\nContent-Type: application/http\r\n"
    if answer:
        head += f"Content-ID: {answer}\r\n"
    head += f"\r\nHTTP/1.1 {reply.status} {phrase}\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n"
    for name, value in reply.headers.items():
        if name.lower() not in ("content-type", "content-length"):
            head += f"{name}: {one_line(value)}\r\n"
    return head.encode(errors="replace") + b"\r\n" + content + b"\r\n"
