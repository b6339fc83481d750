"""docs/coverage.md: what each method does with the fields of its request, from the receipts in the code."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tule.wire.door import BoundRoute, Door
    from tule.wire.handlers import Api, HandlerTable
    from tule.wire.receipts import Receipt
    from tule.wire.service import Handler
    from tule.wire.surfaces import Method

_PREAMBLE = """
For every method: the request fields that it *executes* (they change what happens or what is answered) and those that it
only *stores* (they are kept and given back). **Any other field that arrives set is refused by name** (UNIMPLEMENTED), and
nothing of the request is done; the column *refused* shows the ones nearest to the top, where the API describes its fields.
Fields that an API fills in itself ("output only") may be sent back, and are not read, as Google's APIs do.

`a.{b, c}` is `a.b` and `a.c`; `a.*` is `a` with everything inside; `*` stands where a method reads, or refuses, every field
itself. A method that a service has and this page does not list answers UNIMPLEMENTED with its own name. Of the query
parameters that all APIs share, `fields` and `alt` (`json`, `media`, and `sse` for streams) are executed; `key`, `quotaUser`,
`userProject` and `prettyPrint` change nothing on a machine of one's own.
""".strip()


def page(note: str) -> str:
    """The whole page."""
    from tule.app import build
    from tule.kernel.settings import Settings

    with tempfile.TemporaryDirectory(prefix="tule-") as folder:
        app = build(Settings(home=Path(folder) / "home"))
        try:
            return "\n\n".join(["# Coverage", note, _PREAMBLE, *_doors(app.table), *_apis(app.table)])
        finally:
            app.stop()


# -- JSON doors


def _doors(table: HandlerTable) -> Iterator[str]:
    for hosts, prefixes, door in sorted(table.doors(), key=lambda each: each[2].name):
        places = ", ".join(f"`{host}`" for host in sorted(hosts))
        local = f"on loopback names: {', '.join(f'`{each}...`' for each in prefixes)}" if prefixes else ""
        yield f"## {door.name}\n\nAt {'; '.join(each for each in (places, local) if each)}."
        yield _table(("method", "at", "executed", "stored"), _routes(door))


def _routes(door: Door) -> Iterator[tuple[str, ...]]:
    """A row a method; one that answers several routes with one receipt has one row."""
    by_method: dict[tuple[str, Receipt], list[BoundRoute]] = {}
    for bound in door.routes():
        by_method.setdefault((bound.route.method, bound.route.receipt), []).append(bound)
    for (name, receipt), routes in sorted(by_method.items(), key=lambda each: each[0][0]):
        places = "<br>".join(f"{verb} `{template}`" for verb, template in _longest(routes))
        yield f"`{name}`", places, _fields(receipt.executes), _fields(receipt.stores)


def _longest(routes: list[BoundRoute]) -> list[tuple[str, str]]:
    """Verbs and templates, less those that are the end of another: shorter names of one thing."""
    places = [(each.route.verb, each.route.template) for each in routes]
    return [
        (verb, template)
        for verb, template in places
        if not any(verb == other and longer != template and longer.endswith(template) for other, longer in places)
    ]


# -- gapic APIs


def _apis(table: HandlerTable) -> Iterator[str]:
    for api in sorted(table.apis, key=lambda each: each.host):
        yield f"## {api.host}\n\nBy gRPC and REST, as described by {', '.join(f'`{each}`' for each in api.packages)}."
        yield from _services(table, api)
    yield "## All gapic APIs\n\nMethods that they have in common."
    handlers = sorted(table.shared_handlers(), key=lambda each: each.method.full_name)
    yield _table(("method", "executed", "stored", "refused"), map(_row, handlers))


def _services(table: HandlerTable, api: Api) -> Iterator[str]:
    first, *others = api.packages
    served = table.services_of(first)
    for service, handlers in sorted(served.items()):
        rows = sorted(handlers.values(), key=lambda each: each.method.name)
        yield f"### {service}"
        yield _table(("method", "executed", "stored", "refused"), map(_row, rows))
        methods = table.surface(first).service(service).methods.values()
        missing = sorted(each.name for each in methods if each.path not in handlers)
        if missing:
            yield "Refused whole: " + ", ".join(f"`{name}`" for name in missing) + "."
        for package in others:
            more = {each.method.name for each in table.services_of(package).get(service, {}).values()}
            only = sorted(more - {each.method.name for each in rows})
            also = f" and {', '.join(f'`{name}`' for name in only)}" if only else ""
            lacks = sorted({each.method.name for each in rows} - more)
            without = f", but for {', '.join(f'`{name}`' for name in lacks)}" if lacks else ""
            yield f"`{package.rpartition('_')[2]}`: the same methods{also}{without}."
    absent = sorted(set(table.surface(first).services) - set(served))
    if absent:
        yield "Services refused whole: " + ", ".join(f"`{name}`" for name in absent) + "."


def _row(handler: Handler) -> tuple[str, ...]:
    receipt = handler.receipt
    return (
        f"`{handler.method.name}`",
        _fields(receipt.executes),
        _fields(receipt.stores),
        _fields(_refused(handler.method, receipt)),
    )


def _refused(method: Method, receipt: Receipt) -> list[str]:
    """The fields nearest to the top of a request of which nothing is covered."""
    from tule.wire.surfaces import pb_class

    return list(_uncovered(pb_class(method.request).DESCRIPTOR, "", receipt, depth=2))


def _uncovered(descriptor: Any, prefix: str, receipt: Receipt, *, depth: int) -> Iterator[str]:
    from tule.wire.fields import behaviours

    filled_in = behaviours(descriptor).output_only
    for field in descriptor.fields:
        path = f"{prefix}.{field.name}" if prefix else field.name
        if field.name in filled_in or receipt.covers(path):
            continue
        if not receipt.covers(f"{path}."):
            yield path
        elif field.message_type is not None and depth > 1:
            yield from _uncovered(field.message_type, path, receipt, depth=depth - 1)


# -- writing


def _fields(paths: Iterable[str]) -> str:
    """Paths in their order, those beside each other in one object drawn together."""
    groups: dict[str, list[str]] = {}
    for path in paths:
        above, _, last = path.removesuffix(".*").rpartition(".")
        groups.setdefault(above, []).append(last + (".*" if path.endswith(".*") else ""))
    made = []
    for above, lasts in groups.items():
        if not above:
            made += [f"`{each}`" for each in lasts]
        else:
            inside = lasts[0] if len(lasts) == 1 else "{" + ", ".join(lasts) + "}"
            made.append(f"`{above}.{inside}`")
    return ", ".join(made) or "-"


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    from tule.testing.pages import table

    return table(header, rows)
