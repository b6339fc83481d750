"""``tule lineage NAME``: where a thing came from and what it led to, as two trees."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import httpx

from tule.kernel.errors import NotFound, Unavailable
from tule.wire.intercept.environment import Target

_MOST = 1000


class Graph:
    """A lineage graph as the service answers it."""

    def __init__(self, found: Mapping[str, Any]) -> None:
        self.nodes = {each["name"]: each for each in (*found.get("artifacts", ()), *found.get("executions", ()))}
        self._events = [
            (each["execution"], each["type"], each["artifact"])
            for each in found.get("events", ())
            if each["execution"] in self.nodes and each["artifact"] in self.nodes
        ]

    def before(self, name: str) -> list[str]:
        """What made an artifact, or what an execution took."""
        made = [execution for execution, type, artifact in self._events if artifact == name and type == "OUTPUT"]
        return made or [artifact for execution, type, artifact in self._events if execution == name and type == "INPUT"]

    def after(self, name: str) -> list[str]:
        """What took an artifact, or what an execution made."""
        taken = [execution for execution, type, artifact in self._events if artifact == name and type == "INPUT"]
        return taken or [
            artifact for execution, type, artifact in self._events if execution == name and type == "OUTPUT"
        ]

    def title(self, name: str) -> str:
        """A node in one line: what it is called, its schema, its resource or address, and the version it had."""
        node = self.nodes[name]
        about = node.get("metadata", {})
        where = about.get("resourceName") or ("" if "tableId" in about or "modelId" in about else node.get("uri", ""))
        words = [node.get("displayName") or name.rpartition("/")[2], node.get("schemaTitle", "")]
        words += [str(where)] if where and where != words[0] else []
        words += [f"as of {about['version']}"] if about.get("version") else []
        generations = about.get("generations", {})
        words += [f"{file} generation {number}" for file, number in sorted(generations.items())[:3]]
        return "  ".join(word for word in words if word)


def tree(graph: Graph, name: str, follow: Callable[[str], Sequence[str]], prefix: str = "") -> Iterator[str]:
    """The lines of a tree; a node that was shown above is not gone into again."""
    yield from _branches(graph, follow(name), follow, prefix, {name})


def _branches(
    graph: Graph, names: Iterable[str], follow: Callable[[str], Sequence[str]], prefix: str, seen: set[str]
) -> Iterator[str]:
    every = list(dict.fromkeys(names))
    for place, name in enumerate(every):
        last = place == len(every) - 1
        again = name in seen
        yield f"{prefix}{'└── ' if last else '├── '}{graph.title(name)}{' (above)' if again else ''}"
        if not again:
            seen.add(name)
            yield from _branches(graph, follow(name), follow, prefix + ("    " if last else "│   "), seen)


def lineage(target: Target, name: str) -> Iterator[str]:
    """The lines that tell of a thing. ``name``: a resource name or its end, a table, an address, a display name."""
    url = f"{target.url}/v1/projects/{target.project}/locations/{target.location}/metadataStores/default"
    with httpx.Client(headers={"Authorization": f"Bearer {target.token}"}, timeout=60, trust_env=False) as client:
        artifact = _find(client, url, name)
        path = url.partition("/projects/")[0] + "/" + artifact["name"]
        graph = Graph(_asked(client, f"{path}:queryArtifactLineageSubgraph", {}))
    own = artifact["name"]
    yield graph.title(own)
    for title, follow in (("came from", graph.before), ("led to", graph.after)):
        lines = list(tree(graph, own, follow, "  "))
        if lines:
            yield title
            yield from lines


def _find(client: httpx.Client, url: str, name: str) -> dict[str, Any]:
    """The newest artifact that a name means."""
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    tests = [
        f'name = "{quoted}"',
        f'display_name = "{quoted}"',
        f'uri = "{quoted}"',
        *(f'metadata.resourceName.string_value = "{pattern}"' for pattern in (quoted, f"*/{quoted}", f"*/{quoted}@*")),
    ]
    found = _asked(client, f"{url}/artifacts", {"filter": " OR ".join(tests), "orderBy": "create_time desc",
                                                "pageSize": str(_MOST)})  # fmt: skip
    artifacts: list[dict[str, Any]] = found.get("artifacts", [])
    if not artifacts:
        raise NotFound(
            "There must be an artifact of this name in the metadata store", given=name,
            do="name an endpoint, a model (MODEL@VERSION), a table (PROJECT.DATASET.TABLE), or an artifact",
        )  # fmt: skip
    return artifacts[0]


def _asked(client: httpx.Client, url: str, query: Mapping[str, str]) -> dict[str, Any]:
    answer = client.get(url, params=query)
    if answer.status_code >= 400:
        said = answer.json().get("error", {}).get("message", answer.text[:500])
        raise Unavailable("The server must answer", given=said)
    found: dict[str, Any] = answer.json()
    return found
