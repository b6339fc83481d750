"""Globs over object names: ``gs://bucket/key*`` of BigQuery, and ``matchGlob`` of Cloud Storage.

https://cloud.google.com/storage/docs/json_api/v1/objects/list#list-objects-and-prefixes-using-glob
"""

from __future__ import annotations

import re

from tule.kernel.errors import InvalidArgument


def split(uri: str) -> tuple[str, str]:
    """The bucket and the key of a ``gs://`` URI; the key may be empty.

    >>> split("gs://sales/2026/*.csv")
    ('sales', '2026/*.csv')
    """
    bucket, _, key = uri.removeprefix("gs://").partition("/")
    if not uri.startswith("gs://") or not bucket:
        raise InvalidArgument("A Cloud Storage URI must be gs://BUCKET/KEY", given=repr(uri[:200]))
    return bucket, key


def compiled(glob: str) -> re.Pattern[str]:
    """``*`` and ``?`` stop at a slash, ``**`` does not; ``[a-z]``, ``[!a]`` and ``{one,two}`` as in a shell.

    >>> bool(compiled("a/*.csv").fullmatch("a/b.csv")), bool(compiled("a/*.csv").fullmatch("a/b/c.csv"))
    (True, False)
    >>> bool(compiled("**/{x,y}[0-9]").fullmatch("a/b/y7"))
    True
    """
    text, at, depth = "", 0, 0
    while at < len(glob):
        letter = glob[at]
        at += 1
        if letter == "*":
            if glob[at : at + 1] == "*":
                at += 1
                text += ".*"
            else:
                text += "[^/]*"
        elif letter == "?":
            text += "[^/]"
        elif letter == "[":
            end = glob.find("]", at + 1)
            if end < 0:
                raise _wrong(glob, "a [ without its ]")
            inside = glob[at:end]
            negated = inside[0] in "!^"
            inside = re.sub(r"([\\\[\]^&|~])", r"\\\1", inside[1:] if negated else inside)
            text += f"(?!/)[{'^' if negated else ''}{inside}]"
            at = end + 1
        elif letter == "{":
            depth += 1
            text += "(?:"
        elif letter == "}" and depth:
            depth -= 1
            text += ")"
        elif letter == "," and depth:
            text += "|"
        elif letter == "\\" and at < len(glob):
            text += re.escape(glob[at])
            at += 1
        else:
            text += re.escape(letter)
    if depth:
        raise _wrong(glob, "a { without its }")
    try:
        return re.compile(text, re.DOTALL)
    except re.error as error:
        raise _wrong(glob, str(error)) from error


def _wrong(glob: str, what: str) -> InvalidArgument:
    return InvalidArgument("A glob must be well formed", given=f"{glob[:200]!r}, with {what}")
