"""What the routes of the BigQuery door share: both spellings of paths, and the reading of parameters."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

from tule.bigquery.api.shapes import Shape, check
from tule.bigquery.errors import invalid
from tule.wire.door import Request, route

PREFIXES = ("/bigquery/v2", "")
_LONGEST_NUMBER = 18
_PAGE = 1_000
_LARGEST_PAGE = 10_000
Method = TypeVar("Method", bound=Callable[..., Any])


def served(verb: str, template: str, *, body: Shape | None = None, **declared: Any) -> Callable[[Method], Method]:
    """``route`` under ``/bigquery/v2`` and, for clients that leave that out, without it.

    ``body``: the types of a JSON body, checked before the method runs. A project given by its number arrives as its id,
    and exists once something else than reading was asked of it.
    """

    def mark(function: Method) -> Method:
        @functools.wraps(function)
        def resolved(self: Any, request: Request) -> Any:
            project = request.params.get("project")
            if project is not None and (verb != "GET" or project.isdigit()):
                request.params["project"] = self.warehouse.projects.resolve(project)
            if body is not None:
                check(request.json(), body)
            return function(self, request)

        made = cast(Method, resolved)
        for prefix in PREFIXES:
            made = route(verb, prefix + template, **declared)(made)
        return made

    return mark


def flag(request: Request, name: str, default: bool = False) -> bool:
    """A boolean query parameter."""
    text = request.query.get(name)
    if text is None:
        return default
    if text.lower() not in ("true", "false"):
        raise invalid(f"{name} must be true or false; given: {text!r}", location=name)
    return text.lower() == "true"


def number(request: Request, name: str, default: int | None = None) -> int | None:
    """A query parameter that is a whole number, not negative."""
    text = request.query.get(name)
    if text is None or text == "":
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER):
        raise invalid(f"{name} must be a whole number; given: {text[:100]!r}", location=name)
    return int(text)


def page(request: Request) -> dict[str, Any]:
    """``maxResults`` and ``pageToken`` as the lists of the room take them."""
    size = min(number(request, "maxResults") or _PAGE, _LARGEST_PAGE)
    return {"page_size": size, "page_token": request.query.get("pageToken", "")}


def etag(request: Request) -> str | None:
    """The etag of ``If-Match``."""
    text = request.headers.get("if-match", "").strip()
    return None if text in ("", "*") else text.strip('"')
