"""Metadata stores and what is in them, over records and links. Safe to use from any thread; writes join an open
transaction."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from tule.kernel.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound
from tule.kernel.records import Filter, Links, Points, Record, Records
from tule.kernel.records.store import Change
from tule.vertex.experiments import schemas
from tule.vertex.experiments.lineage import Graph, Lineage
from tule.vertex.experiments.nodes import (
    ARTIFACT,
    CHILD,
    CONTEXT,
    EXECUTION,
    INPUT,
    MEMBER,
    OUTPUT,
    STORE,
    Kind,
    body_of,
    check_size,
    kind_of,
    message,
    new_id,
    store_of,
    timestamp,
)
from tule.vertex.experiments.schemas import Schemas

DEFAULT = "default"
_STORE = "metadataStore"
_MOST_PARENTS = 10
_MOST_SAMPLED = 100
_RELATIONS = {"INPUT": INPUT, "OUTPUT": OUTPUT}


class Metadata:
    """The metadata stores of a server. The store ``default`` of a location is there as soon as anybody asks for it."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._links = Links(records)
        self._schemas = Schemas(records)
        self._graph = Graph(records, self._links)
        self.points = Points(records)
        """What runs report over time, in series named below their context."""

    # -- what other rooms write: names in, names out; what is there already is brought up to date

    def ensure_store(self, parent: str, store: str = DEFAULT) -> str:
        """The name of a store in a location, made with its schemas if it is not there."""
        name = f"{parent}/metadataStores/{store}"
        if self._records.find(name) is None:
            STORE.parse(name)
            with self._records.transaction():
                if self._records.find(name) is None:
                    self._create_store(name, {})
        return name

    def put_context(
        self,
        store: str,
        id: str,
        *,
        schema: str,
        display_name: str = "",
        metadata: Mapping[str, Any] | None = None,
        parents: Sequence[str] = (),
    ) -> str:
        """Create or update a context; returns its name. It is added to ``parents``, and stays in those it had."""
        with self._records.transaction():
            name = self._put(CONTEXT, store, id, _given(schema, display_name, metadata))
            for parent in parents:
                self.add_children(parent, [name])
        return name

    def put_artifact(
        self,
        store: str,
        id: str,
        *,
        schema: str,
        uri: str = "",
        display_name: str = "",
        metadata: Mapping[str, Any] | None = None,
        state: str = "LIVE",
    ) -> str:
        """Create or update an artifact; returns its name."""
        body = _given(schema, display_name, metadata) | {"state": state} | ({"uri": uri} if uri else {})
        return self._put(ARTIFACT, store, id, body)

    def put_execution(
        self,
        store: str,
        id: str,
        *,
        schema: str,
        state: str,
        display_name: str = "",
        metadata: Mapping[str, Any] | None = None,
    ) -> str:
        """Create or update an execution; returns its name."""
        return self._put(EXECUTION, store, id, _given(schema, display_name, metadata) | {"state": state})

    def add_events(self, execution: str, inputs: Sequence[str] = (), outputs: Sequence[str] = ()) -> None:
        """Say which artifacts an execution took and made."""
        with self._records.transaction():
            self._links.add(execution, INPUT, inputs)
            self._links.add(execution, OUTPUT, outputs)

    def add_to_context(self, context: str, *, artifacts: Sequence[str] = (), executions: Sequence[str] = ()) -> None:
        """Make nodes members of a context."""
        self._links.add(context, MEMBER, [*artifacts, *executions])

    def lineage(self, name: str, *, hops: int | None = 100) -> Lineage:
        """What an artifact or execution came from and led to, both ways over at most ``hops`` events."""
        return self._graph.walk(self._find(name).name, hops=hops, most=None)

    # -- nodes as records, for rooms that keep more in them than the message: under ``_tule`` of the body

    def transaction(self) -> AbstractContextManager[Any]:
        return self._records.transaction()

    def find(self, name: str) -> Record | None:
        return self._records.find(name)

    def nodes(self, kind: Kind, store: str, filter: str) -> Sequence[Record]:
        return self._records.list(kind.kind, store, filter=self._filter(kind, filter)).records

    def children(self, context: str) -> Sequence[Record]:
        """The contexts in a context."""
        return list(self._records.find_all(self._links.targets(context, CHILD)).values())

    def parents(self, context: str) -> Sequence[str]:
        return self._links.sources(context, CHILD)

    def add_context(self, store: str, id: str, *, schema: str, body: Mapping[str, Any], parent: str) -> Record:
        """Add a context that is whole as it is, as a child of another; raises AlreadyExists."""
        name = f"{store}/contexts/{id}"
        fixed = {"schemaTitle": schema, "schemaVersion": schemas.FIRST}
        with self._records.transaction():
            record = self._records.create(CONTEXT.kind, name, {**body, **fixed})
            self._links.add(parent, CHILD, [name])
        return record

    def change(self, name: str, change: Change) -> Record:
        """Change a node's body, or some of its fields, whoever changed it before; raises NotFound."""
        return self._records.update(name, change)

    def _put(self, kind: Kind, store: str, id: str, body: dict[str, Any]) -> str:
        name = f"{store}/{kind.collection}/{id}"
        kind.pattern.parse(name)
        with self._records.transaction():
            if self._records.find(name) is None:
                self._records.create(kind.kind, name, body_of(kind, body))
            else:
                self._records.update(name, body_of(kind, body))
        return name

    # -- stores

    def create_store(self, parent: str, id: str, message: Mapping[str, Any]) -> dict[str, Any]:
        """Add a store; raises AlreadyExists."""
        name = f"{parent}/metadataStores/{new_id(id, 'a metadata store')}"
        STORE.parse(name)
        with self._records.transaction():
            self.check_new_store(name)
            record = self._create_store(name, {key: message[key] for key in ("description",) if key in message})
        return self._store_message(record)

    def check_new_store(self, name: str) -> None:
        if self._records.find(name) is not None:
            raise AlreadyExists("The name must be free", given=name, do="choose another id, or use this store")

    def _create_store(self, name: str, body: dict[str, Any]) -> Record:
        record = self._records.create(_STORE, name, body)
        now = self._records.clock.now()
        self._records.create_all(schemas.KIND, [(each, seed, now) for each, seed in schemas.seeds(name)])
        return record

    def store(self, name: str) -> dict[str, Any]:
        """A store's message; raises NotFound, but not for the default store of a location."""
        return self._store_message(self._records.get(self._at(name)))

    def list_stores(self, parent: str, *, page_size: int, page_token: str) -> tuple[list[dict[str, Any]], str]:
        page = self._records.list(_STORE, parent, page_size=page_size, page_token=page_token)
        return [self._store_message(record) for record in page], page.next_page_token

    def delete_store(self, name: str) -> None:
        """Remove a store with everything in it."""
        STORE.parse(name)
        with self._records.transaction():
            record = self._records.find(name)
            if record is None or record.kind != _STORE:
                raise NotFound("The metadata store must exist", given=name)
            self._records.delete_under(name)
            self._links.forget_under(name)
            self.points.forget(name)
            self._records.delete(name)

    def _store_message(self, record: Record) -> dict[str, Any]:
        return {
            **record.body,
            "name": record.name,
            "createTime": timestamp(record.create_time),
            "updateTime": timestamp(record.update_time),
            "state": {"diskUtilizationBytes": str(self._records.size_under(record.name))},
        }

    def _at(self, store: str) -> str:
        """The store of this name, there for certain; raises NotFound."""
        parts = STORE.parse(store)
        if parts["metadata_store"] == DEFAULT:
            return self.ensure_store(store.rpartition("/metadataStores/")[0])
        record = self._records.find(store)
        if record is None or record.kind != _STORE:
            raise NotFound("The metadata store must exist", given=store, do="create it with CreateMetadataStore")
        return store

    # -- schemas

    def create_schema(self, store: str, id: str, message: Mapping[str, Any]) -> dict[str, Any]:
        return self._schemas.create(self._at(store), id, message)

    def schema(self, name: str) -> dict[str, Any]:
        self._at(store_of(name))
        return schemas.schema_message(schemas.find(self._records, name))

    def list_schemas(
        self, store: str, *, filter: str, page_size: int, page_token: str
    ) -> tuple[list[dict[str, Any]], str]:
        page = self._records.list(
            schemas.KIND, self._at(store), filter=filter, page_size=page_size, page_token=page_token
        )
        return [schemas.schema_message(record) for record in page], page.next_page_token

    # -- nodes

    def create(self, kind: Kind, store: str, id: str, message: Mapping[str, Any]) -> dict[str, Any]:
        """Add a node that a client describes; raises AlreadyExists, and InvalidArgument for what cannot be."""
        store = self._at(store)
        name = f"{store}/{kind.collection}/{new_id(id, f'an {kind.kind}' if kind is not CONTEXT else 'a context')}"
        body = body_of(kind, message)
        check_size(body.get("metadata", {}))
        with self._records.transaction():
            body |= self._schemas.checked(store, kind, body)
            return self._message(self._records.create(kind.kind, name, body))

    def get(self, kind: Kind, name: str) -> dict[str, Any]:
        """A node's message; raises NotFound."""
        return self._message(self._find(name, kind))

    def page(
        self, kind: Kind, store: str, *, filter: str = "", order_by: str = "", page_size: int = 0, page_token: str = ""
    ) -> tuple[list[dict[str, Any]], str]:
        """The nodes of a store, and the token of the next page."""
        page = self._records.list(
            kind.kind,
            self._at(store),
            filter=self._filter(kind, filter),
            order_by=order_by,
            page_size=page_size,
            page_token=page_token,
        )
        return self._messages(page.records), page.next_page_token

    def update(
        self, kind: Kind, message: Mapping[str, Any], *, mask: Sequence[str], allow_missing: bool
    ) -> dict[str, Any]:
        """Change the fields of a node that ``mask`` names, without one those that are set; Aborted for a stale etag."""
        name = message.get("name", "")
        kind.pattern.parse(name)
        store = self._at(store_of(name))
        body = body_of(kind, message)
        check_size(body.get("metadata", {}))
        with self._records.transaction():
            record = self._records.find(name)
            if record is None:
                if not allow_missing:
                    raise _missing(kind, name)
                return self.create(kind, store, name.rpartition("/")[2], message)

            def change(old: dict[str, Any]) -> dict[str, Any]:
                new = _merged(old, body, mask)
                _check_fixed(old, new)
                self._schemas.checked(store, kind, new)
                return new

            return self._message(self._records.update(name, change, etag=message.get("etag") or None))

    def check_delete(self, kind: Kind, name: str, etag: str = "") -> None:
        """Raise what ``delete`` would raise."""
        record = self._find(name, kind)
        if etag and etag != record.etag:
            raise FailedPrecondition(
                f"The etag of {name} must be the present one", given=repr(etag), do="get it again, then delete it"
            )

    def delete(self, kind: Kind, name: str, etag: str = "") -> None:
        """Remove a node and its place in the graph; FailedPrecondition for a stale etag."""
        with self._records.transaction():
            self.check_delete(kind, name, etag)
            self._drop(name)

    def _drop(self, name: str) -> None:
        self._records.delete(name)
        self._links.forget(name)
        self.points.forget(name)

    def purge(self, kind: Kind, store: str, filter: str, *, force: bool) -> dict[str, Any]:
        """Remove the nodes that a filter wants; without ``force`` tell how many and which."""
        if not filter.strip():
            raise InvalidArgument("A purge must be given a filter", given="none", do='all: create_time > "1970-01-01"')
        with self._records.transaction():
            found = [
                each.name for each in self._records.list(kind.kind, self._at(store), filter=self._filter(kind, filter))
            ]
            if force:
                for name in found:
                    self._drop(name)
        return {"purgeCount": str(len(found)), **({} if force else {"purgeSample": found[:_MOST_SAMPLED]})}

    def _filter(self, kind: Kind, text: str) -> Filter:
        """The filter language of a kind of node: with its relations to contexts, and types in its metadata."""
        words: dict[str, Callable[[str], Collection[str]]] = {"in_context": self._members}
        if kind is CONTEXT:
            words = {
                "parent_contexts": lambda name: self._links.targets(name, CHILD),
                "child_contexts": lambda name: self._links.sources(name, CHILD),
            }
        return Filter(text, relations=words, structs=("metadata",))

    def _members(self, context: str) -> Collection[str]:
        return self._links.targets(context, MEMBER)

    # -- contexts

    def add_members(self, context: str, artifacts: Iterable[str], executions: Iterable[str]) -> None:
        """Make nodes members of a context; all of them must exist, in the context's store."""
        with self._records.transaction():
            self._find(context, CONTEXT)
            self._check_beside(context, ARTIFACT, artifacts)
            self._check_beside(context, EXECUTION, executions)
            self._links.add(context, MEMBER, [*artifacts, *executions])

    def add_children(self, context: str, children: Iterable[str]) -> None:
        """Make contexts children of a context: at most 10 parents each, and no circle."""
        with self._records.transaction():
            self._find(context, CONTEXT)
            self._check_beside(context, CONTEXT, children)
            above = self._above(context)
            for child in children:
                if child in above:
                    raise InvalidArgument("Contexts must not be their own descendants", given=f"{child} in {context}")
                parents = self._links.sources(child, CHILD)
                if context not in parents and len(parents) >= _MOST_PARENTS:
                    raise InvalidArgument(f"A context must have at most {_MOST_PARENTS} parents", given=child)
            self._links.add(context, CHILD, list(children))

    def remove_children(self, context: str, children: Iterable[str]) -> None:
        with self._records.transaction():
            self._find(context, CONTEXT)
            self._links.remove(context, CHILD, list(children))

    def _above(self, context: str) -> set[str]:
        """A context and everything it is in."""
        found, edge = {context}, [context]
        while edge:
            edge = [link.source for link in self._links.reaching(edge, (CHILD,)) if link.source not in found]
            found.update(edge)
        return found

    def context_lineage(self, context: str) -> Lineage:
        """The members of a context and the events between them."""
        self._find(context, CONTEXT)
        return self._graph.among(self._members(context))

    # -- artifacts and executions

    def add_execution_events(self, execution: str, events: Sequence[Mapping[str, Any]]) -> None:
        """Add Google's Event messages; one that is there already is left as it is."""
        with self._records.transaction():
            self._find(execution, EXECUTION)
            self._check_beside(execution, ARTIFACT, [event.get("artifact", "") for event in events])
            for word, relation in _RELATIONS.items():
                of_type = {event["artifact"]: event for event in events if event.get("type") == word}
                details = {
                    artifact: {"labels": event["labels"]} for artifact, event in of_type.items() if event.get("labels")
                }
                self._links.add(execution, relation, of_type, details)
            untyped = [event for event in events if event.get("type") not in _RELATIONS]
            if untyped:
                raise InvalidArgument("An event must be of type INPUT or OUTPUT", given=untyped[0].get("type", "none"))

    def execution_lineage(self, execution: str) -> Lineage:
        """An execution with what it took and made."""
        return self._graph.walk(self._find(execution, EXECUTION).name, hops=1)

    def artifact_lineage(self, artifact: str, *, hops: int | None, filter: str = "") -> Lineage:
        """What an artifact came from and led to; a ``filter`` says which artifacts belong to the graph."""
        if hops is not None and hops < 0:
            raise InvalidArgument("max_hops must not be negative", given=hops)
        wanted = self._filter(ARTIFACT, filter)
        return self._graph.walk(
            self._find(artifact, ARTIFACT).name,
            hops=hops,
            fits=None if wanted.empty else lambda record: wanted(record.view()),
        )

    # -- inside

    def _find(self, name: str, kind: Kind | None = None) -> Record:
        kind = kind or kind_of(name)
        kind.pattern.parse(name)
        record = self._records.find(name)
        if record is None or record.kind != kind.kind:
            raise _missing(kind, name)
        return record

    def _check_beside(self, name: str, kind: Kind, others: Iterable[str]) -> None:
        """Raise unless the others exist, are of a kind, and lie in the same store."""
        store, wanted = store_of(name), list(others)
        for other in wanted:
            kind.pattern.parse(other)
            if store_of(other) != store:
                raise InvalidArgument("Nodes that belong together must be in one metadata store", given=other, do=store)
        found = self._records.find_all(wanted)
        for other in wanted:
            if other not in found or found[other].kind != kind.kind:
                raise _missing(kind, other)

    def _message(self, record: Record) -> dict[str, Any]:
        return self._messages([record])[0]

    def _messages(self, found: Sequence[Record]) -> list[dict[str, Any]]:
        names = [record.name for record in found if record.kind == CONTEXT.kind]
        parents: dict[str, list[str]] = {}
        for link in self._links.reaching(names, (CHILD,)) if names else ():
            parents.setdefault(link.target, []).append(link.source)
        return [message(record, parents.get(record.name, ())) for record in found]


def _given(schema: str, display_name: str, metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    """The fields that a caller gave: those left out stay as they are in a node that exists."""
    body: dict[str, Any] = {"schemaTitle": schema, "schemaVersion": schemas.FIRST}
    if display_name:
        body["displayName"] = display_name
    if metadata is not None:
        body["metadata"] = dict(metadata)
    return body


def _merged(old: dict[str, Any], new: dict[str, Any], mask: Sequence[str]) -> dict[str, Any]:
    from tule.kernel.records import apply_mask

    if not mask:
        return {**old, **new}
    kept = {key: value for key, value in old.items() if key.startswith("_")}
    return {**apply_mask(old, new, mask), **kept}


def _check_fixed(old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    for field in ("schemaTitle", "schemaVersion"):
        if old.get(field) and new.get(field) != old[field]:
            raise InvalidArgument(f"The {field} of a node must stay as it is", given=new.get(field) or "none")


def _missing(kind: Kind, name: str) -> NotFound:
    return NotFound(f"The {kind.kind} must exist", given=name, do=f"list the {kind.collection} of its metadata store")
