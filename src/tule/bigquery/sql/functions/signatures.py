"""Signatures of functions as lines of text, and which of them a call fits.

    LENGTH(STRING) INT64 = length
    SUBSTR(STRING, INT64, [INT64]) STRING
    CONCAT(STRING...) STRING = @concat

The part after ``=`` is the engine's function; without it ``tule_<name>``, a macro of the engine. ``::`` after it casts the
answer to the result type, ``@`` names a builder of syntax (``builders.py``). ``T`` is any one type, ``ANY`` any type,
``PART`` a date part, ``CONST`` a constant, ``[x]`` may be missing, ``x...`` repeats, ``name => x`` may be given by name;
after ``x...`` only so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tule.bigquery.sql.kinds import NULL, Kind, NoSupertype, common, fits, parsed, split_commas


@dataclass(frozen=True)
class Argument:
    """One argument of a signature."""

    kind: Kind
    optional: bool = False
    repeated: bool = False
    name: str = ""

    def __str__(self) -> str:
        text = f"{self.name} => {self.kind}" if self.name else str(self.kind)
        if self.repeated:
            text += ", ..."
        return f"[{text}]" if self.optional else text


@dataclass(frozen=True)
class Signature:
    """One way to call a function."""

    name: str
    arguments: tuple[Argument, ...]
    result: Kind
    engine: str
    casts: bool = False
    options: tuple[Argument, ...] = ()
    """Those that may be given by name after one that repeats."""

    def __str__(self) -> str:
        return f"{self.name}({', '.join(map(str, (*self.arguments, *self.options)))})"

    def match(self, given: Sequence[tuple[Kind | None, bool]]) -> Match | None:
        """How arguments of these (types, is literal) fit, None when they do not."""
        wanted = self._spread(len(given))
        if wanted is None:
            return None
        cost, together = 0, []
        for argument, (kind, literal) in zip(wanted, given, strict=True):
            if argument.kind.name in ("ANY", "PART", "CONST"):
                continue
            pair = _variable(argument.kind, kind)
            if pair is not None:
                if pair == ():
                    return None
                together.append((pair[0], literal))
                continue
            found = fits(kind, argument.kind, literal=literal)
            if found is None:
                return None
            cost += found
        try:
            bound = common(together) if together else None
        except NoSupertype:
            return None
        return Match(self, cost, [_bind(each.kind, bound) for each in wanted], _bind(self.result, bound))

    def _spread(self, count: int) -> list[Argument] | None:
        """The argument that each given one is for."""
        found = list(self.arguments)
        if found and found[-1].repeated:
            found += [found[-1]] * (count - len(found))
        if count > len(found):
            return None
        if any(not each.optional for each in found[count:]) and not (
            len(found) - count == 1 and found[-1].repeated and found[-1].optional
        ):
            return None
        return found[:count]


@dataclass(frozen=True)
class Match:
    """A signature that fits: what each argument becomes, and the type of the answer."""

    signature: Signature
    cost: int
    arguments: list[Kind | None]
    result: Kind | None


def _variable(wanted: Kind, given: Kind | None) -> Any:
    """For an argument that mentions T: the type that T is for this one in a tuple, () when it cannot be; else None."""
    if wanted.name == "T":
        return (given,)
    if wanted.name == "ARRAY" and wanted.element is not None and wanted.element.name == "T":
        if given is None or given == NULL:
            return (given,)
        return (given.element,) if given.name == "ARRAY" else ()
    return None


def _bind(kind: Kind, bound: Kind | None) -> Kind | None:
    if kind.name in ("ANY", "PART", "CONST"):
        return None
    if kind.name == "T":
        return bound
    if kind.name == "ARRAY" and kind.element is not None:
        return Kind("ARRAY", _bind(kind.element, bound))
    if kind.name == "STRUCT":
        return Kind("STRUCT", None, tuple((name, each and _bind(each, bound)) for name, each in kind.fields))
    return kind


@dataclass(frozen=True)
class Function:
    """A function of the public reference: its signatures, or why it is refused. ``role``: scalar, aggregate, window,
    table."""

    name: str
    family: str
    role: str = "scalar"
    signatures: list[Signature] = field(default_factory=list)
    refused: str = ""


def read(family: str, text: str, *, role: str = "scalar") -> dict[str, Function]:
    """Functions by name from lines of signatures; a line ``- A B: reason`` refuses functions by name."""
    found: dict[str, Function] = {}
    for line in text.splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("- "):
            names, _, reason = line[2:].partition(":")
            for name in names.split():
                found[name] = Function(name, family, role, [], reason.strip() or "not done yet")
            continue
        made = _signature(line)
        found.setdefault(made.name, Function(made.name, family, role)).signatures.append(made)
    return found


def _signature(line: str) -> Signature:
    head, _, engine = line.partition(" = ")
    name, _, rest = head.partition("(")
    arguments, _, result = rest.rpartition(")")
    found = tuple(_argument(each.strip()) for each in split_commas(arguments))
    last = next((index for index, each in enumerate(found, 1) if each.repeated), len(found))
    engine = engine.strip() or "tule_" + name.lower().replace(".", "_")
    casts = engine.endswith("::")
    return Signature(
        name.strip(),
        found[:last],
        parsed(result),
        engine.removesuffix("::"),
        casts,
        found[last:],
    )


def _argument(text: str) -> Argument:
    optional = text.startswith("[")
    text = text.strip("[]")
    repeated = text.endswith("...")
    text = text.removesuffix("...")
    name, arrow, kind = text.rpartition("=>")
    return Argument(parsed(kind if arrow else text), optional, repeated, name.strip())
