"""A graph while it is built: nodes are added one by one, each named by what it gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tule.learn.onnx import protobuf

ML = "ai.onnx.ml"
_IR, _OPSET, _ML_OPSET = 9, 20, 5


@dataclass(frozen=True)
class Node:
    """One operator: its inputs by name, its outputs, its attributes as Python values or as written fields."""

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    raw: Sequence[bytes] = ()
    domain: str = ""

    def to_bytes(self) -> bytes:
        made = b"".join(protobuf.field(1, each) for each in self.inputs)
        made += b"".join(protobuf.field(2, each) for each in self.outputs)
        made += protobuf.field(4, self.operator)
        if self.domain:
            made += protobuf.field(7, self.domain)
        fields = [*self.raw, *(_attribute(name, value) for name, value in self.attributes.items())]
        return made + b"".join(protobuf.field(5, each) for each in fields)


def _attribute(name: str, value: Any) -> bytes:
    if isinstance(value, int):
        return protobuf.integer(name, value)
    if value and isinstance(value[0], str):
        return protobuf.texts(name, value)
    return protobuf.integers(name, np.asarray(value))


@dataclass
class Graph:
    """``metadata``: what a reader of the file may want to know, as texts. ``supplied``: values of the graph's own that
    stand for inputs of these names."""

    name: str
    nodes: list[Node] = field(default_factory=list)
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    inputs: list[tuple[str, str, tuple[int, ...]]] = field(default_factory=list)
    outputs: list[tuple[str, str, tuple[int, ...]]] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)
    supplied: dict[str, str] = field(default_factory=dict)

    def input(self, name: str, kind: str, sizes: Sequence[int] = ()) -> str:
        """A tensor (rows, *sizes) that the caller gives; ``kind`` is NumPy's name of a type, or ``str``."""
        if name in self.supplied:
            return self.supplied[name]
        made = (name, kind, tuple(sizes))
        # Parts of one model read the same inputs.
        if made not in self.inputs:
            self.inputs.append(made)
        return name

    def constant(self, values: Any, kind: str = "float64") -> str:
        name = f"constant_{len(self.constants)}"
        self.constants[name] = np.asarray(values, object if kind == "str" else kind)
        return name

    def node(self, operator: str, *inputs: str, raw: Sequence[bytes] = (), domain: str = "", **attributes: Any) -> str:
        """Add an operator; the name of its first output."""
        return self.several(operator, inputs, 1, attributes, raw=raw, domain=domain)[0]

    def several(
        self,
        operator: str,
        inputs: Sequence[str],
        outputs: int,
        attributes: Mapping[str, Any],
        *,
        raw: Sequence[bytes] = (),
        domain: str = "",
    ) -> list[str]:
        """Add an operator with several outputs; their names."""
        place = len(self.nodes)
        names = tuple(f"{operator.lower()}_{place}" + (f"_{at}" if at else "") for at in range(outputs))
        self.nodes.append(Node(operator, tuple(inputs), names, attributes, raw, domain))
        return list(names)

    def output(self, name: str, value: str, kind: str, sizes: Sequence[int] = ()) -> None:
        """Answer a value under this name."""
        self.nodes.append(Node("Identity", (value,), (name,), {}))
        self.outputs.append((name, kind, tuple(sizes)))

    def to_bytes(self) -> bytes:
        """The file."""
        write = protobuf.field
        graph = b"".join(write(1, each.to_bytes()) for each in self.nodes) + write(2, self.name)
        graph += b"".join(write(5, protobuf.tensor_of(name, values)) for name, values in self.constants.items())
        for number, values in ((11, self.inputs), (12, self.outputs)):
            graph += b"".join(write(number, protobuf.value_info(*each)) for each in values)
        made = write(1, _IR) + write(2, "tule") + write(7, graph)
        made += write(8, write(1, "") + write(2, _OPSET)) + write(8, write(1, ML) + write(2, _ML_OPSET))
        return made + b"".join(write(14, write(1, key) + write(2, text)) for key, text in self.metadata.items())
