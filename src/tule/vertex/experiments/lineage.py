"""Lineage: the graph of artifacts and executions that events join, walked from one node.

>>> graph = Lineage([{"name": "a"}], [{"name": "x"}], [{"artifact": "a", "execution": "x", "type": "INPUT"}])
>>> graph.makers("a"), graph.takers("a"), graph.inputs("x")
([], ['x'], ['a'])
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from tule.kernel.errors import FailedPrecondition
from tule.kernel.records import Link, Links, Record, Records
from tule.vertex.experiments.nodes import EXECUTION, INPUT, OUTPUT, kind_of, message, timestamp

_TYPES = {INPUT: "INPUT", OUTPUT: "OUTPUT"}
# A graph that is answered has at most so many nodes of a kind, as the service's.
MOST = 1000


@dataclass(frozen=True)
class Lineage:
    """A part of the graph, as Google's messages: artifacts, executions, and the events between them."""

    artifacts: list[dict[str, Any]] = field(default_factory=list)
    executions: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Google's LineageSubgraph."""
        return {"artifacts": self.artifacts, "executions": self.executions, "events": self.events}

    def makers(self, artifact: str) -> list[str]:
        """The executions that made an artifact."""
        return self._executions(artifact, "OUTPUT")

    def takers(self, artifact: str) -> list[str]:
        """The executions that used an artifact."""
        return self._executions(artifact, "INPUT")

    def inputs(self, execution: str) -> list[str]:
        return self._artifacts(execution, "INPUT")

    def outputs(self, execution: str) -> list[str]:
        return self._artifacts(execution, "OUTPUT")

    def node(self, name: str) -> dict[str, Any] | None:
        return next((each for each in (*self.artifacts, *self.executions) if each["name"] == name), None)

    def _executions(self, artifact: str, type: str) -> list[str]:
        return [each["execution"] for each in self.events if each["artifact"] == artifact and each["type"] == type]

    def _artifacts(self, execution: str, type: str) -> list[str]:
        return [each["artifact"] for each in self.events if each["execution"] == execution and each["type"] == type]


def event_message(link: Link) -> dict[str, Any]:
    """The Event message of a link."""
    event = {
        "artifact": link.target,
        "execution": link.source,
        "eventTime": timestamp(link.time),
        "type": _TYPES[link.relation],
    }
    return {**event, **({"labels": link.detail["labels"]} if link.detail.get("labels") else {})}


class Graph:
    """The events of a record store as a graph."""

    def __init__(self, records: Records, links: Links) -> None:
        self._records = records
        self._links = links

    def walk(
        self, start: str, *, hops: int | None, fits: Callable[[Record], bool] | None = None, most: int | None = MOST
    ) -> Lineage:
        """What can be reached from a node in both directions over at most ``hops`` events, None for all.

        ``fits``: which artifacts belong to the graph; the walk does not go through others. ``most``: how many nodes of a
        kind there may be (FailedPrecondition).
        """
        nodes: dict[str, Record] = {}
        events: dict[tuple[str, str, str], Link] = {}
        edge = self._kept([start], fits)
        nodes |= edge
        while edge and (hops is None or hops > 0):
            found = self._events(edge)
            ends = {name for link in found for name in (link.source, link.target) if name not in nodes}
            edge = self._kept(ends, fits)
            nodes |= edge
            events |= {(link.source, link.relation, link.target): link for link in found}
            hops = None if hops is None else hops - 1
            if most is not None:
                _check_size(nodes, events, most)
        return self._made(nodes, events.values())

    def among(self, names: Iterable[str]) -> Lineage:
        """These nodes and the events between them."""
        nodes = self._kept(names, None)
        executions = [name for name in nodes if nodes[name].kind == EXECUTION.kind]
        found = self._links.leaving(executions, (INPUT, OUTPUT))
        _check_size(nodes, found, MOST)
        return self._made(nodes, found)

    def _events(self, edge: dict[str, Record]) -> list[Link]:
        executions = [name for name in edge if edge[name].kind == EXECUTION.kind]
        artifacts = [name for name in edge if edge[name].kind != EXECUTION.kind]
        relations = (INPUT, OUTPUT)
        return self._links.leaving(executions, relations) + self._links.reaching(artifacts, relations)

    def _kept(self, names: Iterable[str], fits: Callable[[Record], bool] | None) -> dict[str, Record]:
        found = self._records.find_all(names)
        return {
            name: record
            for name, record in found.items()
            if fits is None or record.kind == EXECUTION.kind or fits(record)
        }

    @staticmethod
    def _made(nodes: dict[str, Record], events: Iterable[Link]) -> Lineage:
        made = Lineage()
        for name in sorted(nodes, key=lambda name: (nodes[name].create_time, name)):
            place = made.executions if kind_of(name) is EXECUTION else made.artifacts
            place.append(message(nodes[name]))
        inside = [link for link in events if link.source in nodes and link.target in nodes]
        inside.sort(key=lambda link: (link.time, link.source, link.target))
        made.events.extend(event_message(link) for link in inside)
        return made


def _check_size(nodes: dict[str, Record], events: Any, most: int) -> None:
    executions = sum(record.kind == EXECUTION.kind for record in nodes.values())
    sizes = {"artifacts": len(nodes) - executions, "executions": executions, "events": len(events)}
    for what, size in sizes.items():
        if size > most:
            raise FailedPrecondition(
                f"A lineage graph must have at most {most} {what}", given=size, do="give max_hops or a filter"
            )
