"""What XML answers say: errors, etags, the metadata of objects as headers."""

from __future__ import annotations

import base64
import re
from xml.sax.saxutils import escape

from tule.kernel.errors import InvalidArgument, NotFound, TuleError
from tule.kernel.objects import Object
from tule.storage.api.routes import reason_of, status_of
from tule.storage.api.xml.requests import META
from tule.wire.door import Reply

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_CODES = {
    "notFound": "NoSuchKey",
    "conditionNotMet": "PreconditionFailed",
    "conflict": "Conflict",
    "invalid": "InvalidArgument",
    "notImplemented": "NotImplemented",
    "authError": "AuthenticationRequired",
    "forbidden": "AccessDenied",
    "internalError": "InternalError",
}
_STATUS = {"ExpiredToken": 400, "SignatureDoesNotMatch": 403}
_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


def error_answer(error: TuleError) -> Reply:
    reason = reason_of(error)
    code = _CODES.get(reason, reason)
    if isinstance(error, NotFound) and "bucket" in error.message:
        code = "NoSuchBucket"
    body = _element("Error", {"Code": code, "Message": error.message, "Details": error.message})
    return _reply(_STATUS.get(reason) or status_of(error), body)


def result(name: str, fields: dict[str, str]) -> Reply:
    """An answer of status 200: an element with texts in it."""
    return _reply(200, _element(f'{name} xmlns="{_NAMESPACE}"', fields))


def _reply(status: int, body: str) -> Reply:
    text = f"<?xml version='1.0' encoding='UTF-8'?>{body}"
    return Reply(status, text.encode(), {"Content-Type": "application/xml; charset=UTF-8"})


def _element(tag: str, fields: dict[str, str]) -> str:
    inner = "".join(f"<{name}>{escape(_clean(text))}</{name}>" for name, text in fields.items())
    return f"<{tag}>{inner}</{tag.split()[0]}>"


def etag_of(found: Object) -> str:
    """The MD5 in hexadecimal where there is one, as S3 has it too."""
    return base64.b64decode(found.md5).hex() if found.md5 else f"-{found.generation:x}"


def metadata(found: Object) -> dict[str, str]:
    """Custom metadata as headers, where a header can hold it."""
    return {
        META + key: value
        for key, value in (found.body.get("metadata") or {}).items()
        if _TOKEN.fullmatch(key) and value.isascii() and value.isprintable()
    }


def shown(name: str, value: str) -> str:
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in value):
        raise InvalidArgument(f"{name} must have no control characters", given=repr(value[:100]))
    return value


def _clean(text: str) -> str:
    """Without what XML cannot hold."""
    return "".join(letter if letter >= " " or letter in "\t\n" else "\ufffd" for letter in text)
