"""The search language of MLflow: ``metrics.auc > 0.9 AND params.kind = 'tree' AND tags.owner LIKE 'a%'``.

    filter     = comparison { AND comparison }
    comparison = key comparator value
    key        = [ ("metrics" | "params" | "tags" | "attributes" ...) "." ] ( name | `name` | "name" )
    comparator = "=" | "!=" | "<" | "<=" | ">" | ">=" | LIKE | ILIKE | [NOT] IN | IS [NOT] NULL

Orders are keys with ASC or DESC. What has no value at a key does not match (but IS NULL), and comes last in an order.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, NoReturn

from tule.kernel.errors import InvalidArgument

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    | (?P<ticked>`[^`]+`)
    | (?P<comparator><=|>=|!=|=|<|>)
    | (?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.]))
    | (?P<punctuation>[(),.])
    | (?P<word>[A-Za-z_][\w/-]*)
    )""",
    re.VERBOSE,
)
_COMPARISONS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
# What stands before the dot of a key, and what it means.
KINDS: Final[dict[str, str]] = {
    "metrics": "metrics", "metric": "metrics", "params": "params", "parameters": "params", "param": "params",
    "parameter": "params", "tags": "tags", "tag": "tags", "attributes": "attributes", "attribute": "attributes",
    "attr": "attributes", "run": "attributes", "datasets": "datasets", "dataset": "datasets",
}  # fmt: skip


class Key(NamedTuple):
    """What a comparison or an order looks at: ``metrics``, ``params``, ``tags`` or ``attributes``, and the name there."""

    kind: str
    name: str


Find = Callable[[Any, Key], Any]
"""What a thing has at a key, None for nothing; InvalidArgument for a key that such things do not have."""


class _Word(NamedTuple):
    kind: str
    text: str


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._words: list[_Word] = []
        position, text = 0, text.rstrip()
        while position < len(text):
            found = _TOKEN.match(text, position)
            if found is None or found.lastgroup is None:
                self.refuse(f"at {text[position : position + 20]!r}")
            word = found.group(found.lastgroup)
            if found.lastgroup == "text":
                word = re.sub(r"\\(['\"\\])", r"\1", word[1:-1])
            self._words.append(_Word(found.lastgroup, word.strip("`")))
            position = found.end()
        self._next = 0

    def refuse(self, why: str) -> NoReturn:
        raise InvalidArgument(
            "A search must be comparisons joined by AND, such as metrics.loss < 0.1", given=f"{self._text!r}, {why}"
        )

    def more(self) -> bool:
        return self._next < len(self._words)

    def take(self, what: str, *kinds: str) -> _Word:
        if not self.more():
            self.refuse(f"which ends where {what} should be")
        word = self._words[self._next]
        if kinds and word.kind not in kinds:
            self.refuse(f"with {word.text!r} where {what} should be")
        self._next += 1
        return word

    def is_word(self, *texts: str) -> bool:
        """Take the next word if it is one of these."""
        if self.more() and self._words[self._next].text.upper() in texts and self._words[self._next].kind != "text":
            self._next += 1
            return True
        return False

    def key(self) -> Key:
        first = self.take("a key", "word", "ticked", "text")
        if not self.is_word("."):
            return Key("attributes", first.text)
        kind = KINDS.get(first.text.lower())
        if kind is None:
            self.refuse(f"where {first.text!r} must be one of {', '.join(sorted(set(KINDS.values())))}")
        parts = [self.take("a name", "word", "ticked", "text", "number").text]
        # Names of metrics may hold dots without being quoted.
        while self.is_word("."):
            parts.append(self.take("a name", "word", "number", "ticked").text)
        return Key(kind, ".".join(parts))

    def value(self) -> str | float:
        word = self.take("a value", "text", "number")
        return float(word.text) if word.kind == "number" else word.text


def parse_filter(text: str, find: Find) -> Callable[[Any], bool]:
    """The predicate that a search writes; InvalidArgument says where it is wrong."""
    reader = _Reader(text or "")
    tests: list[Callable[[Any], bool]] = []
    while reader.more():
        if tests and not reader.is_word("AND"):
            reader.refuse("where AND should join comparisons")
        tests.append(_comparison(reader, find))
    return lambda thing: all(test(thing) for test in tests)


def _comparison(reader: _Reader, find: Find) -> Callable[[Any], bool]:
    key = reader.key()
    if reader.is_word("IS"):
        wanted = not reader.is_word("NOT")
        if not reader.is_word("NULL"):
            reader.refuse("where NULL should follow IS")
        return lambda thing: (find(thing, key) is None) is wanted
    negated = reader.is_word("NOT")
    if reader.is_word("IN"):
        values = _values(reader)
        return lambda thing: (found := find(thing, key)) is not None and (found in values) is not negated
    if reader.is_word("LIKE", "ILIKE"):
        return _like(reader, key, find, negated)
    comparator = reader.take("a comparator", "comparator").text
    value = reader.value()
    if key.kind == "metrics" and isinstance(value, str):
        reader.refuse(f"where the metric {key.name} must be compared with a number")
    if key.kind in ("params", "tags") and (not isinstance(value, str) or comparator not in ("=", "!=")):
        reader.refuse(f"where {key.kind} must be compared by =, !=, LIKE or ILIKE with a quoted text")
    compare = _COMPARISONS[comparator]

    def holds(thing: Any) -> bool:
        found = find(thing, key)
        return found is not None and isinstance(found, str) is isinstance(value, str) and compare(found, value)

    return holds


def _values(reader: _Reader) -> list[str | float]:
    if not reader.is_word("("):
        reader.refuse("where IN must be followed by a list")
    values = [reader.value()]
    while reader.is_word(","):
        values.append(reader.value())
    if not reader.is_word(")"):
        reader.refuse("where a list must end")
    return values


def _like(reader: _Reader, key: Key, find: Find, negated: bool) -> Callable[[Any], bool]:
    # The word that was taken last tells whether case counts.
    flags = re.DOTALL | (re.IGNORECASE if reader._words[reader._next - 1].text.upper() == "ILIKE" else 0)
    value = reader.value()
    if not isinstance(value, str):
        reader.refuse("where LIKE must be given a text")
    parts = {"%": ".*", "_": "."}
    pattern = re.compile("".join(parts.get(each, re.escape(each)) for each in value), flags)
    return lambda thing: (
        isinstance(found := find(thing, key), str) and (pattern.fullmatch(found) is not None) is not negated
    )


def sort(things: list[Any], order_by: Sequence[str], find: Find) -> list[Any]:
    """Things in an order, those without a value at a key behind the others."""
    for text in reversed(order_by):
        reader = _Reader(text)
        key = reader.key()
        descending = reader.is_word("DESC")
        if not descending:
            reader.is_word("ASC")
        if reader.more():
            reader.refuse("where an order must be a key with ASC or DESC")
        keyed = [(find(thing, key), thing) for thing in things]
        known = [pair for pair in keyed if pair[0] is not None and pair[0] == pair[0]]
        rest = [pair[1] for pair in keyed if pair[0] is None or pair[0] != pair[0]]
        known.sort(key=lambda pair: pair[0], reverse=descending)
        things = [pair[1] for pair in known] + rest
    return things
