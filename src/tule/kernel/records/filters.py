"""The filter language of Google's List methods (https://google.aip.dev/160), compiled to a predicate over JSON bodies.

    filter      = { factor [AND] }            AND binds *looser* than OR, and may be left out
    factor      = term { OR term }
    term        = [NOT | "-"] ( "(" filter ")" | restriction )
    restriction = path [ comparator value ]   = != < <= > >= :

What the words mean here:

- Values compare by what the field holds: numbers (also 64-bit ones, which JSON writes as text), booleans, timestamps
  (RFC 3339), durations (``20s``), otherwise text.
- ``=`` with ``*`` at an end or inside of the value matches any text there; ``!=`` is its negation, true for missing
  fields.
- A missing field equals ``false`` and ``0`` (JSON leaves defaults out), at the top level also ``""``; it is neither
  less nor greater than anything.
- ``:`` asks what a field *has*: ``path:*`` presence, ``labels:env`` a key, ``tags:red`` an element,
  ``labels.env:prod`` a member's value, and on text at the top level a part of it, in any case.
- A lone value is looked for in every field of the body, in any case.
- Words that a list gives for its kind (``relations``) are about other resources: ``in_context("NAME")`` and
  ``parent_contexts:"NAME"`` hold for the records that stand so to NAME.
- Below a field that holds a google.protobuf.Struct (``structs``) the type of a value may be written behind its key:
  ``metadata.epochs.number_value > 3``, ``metadata."a:b".struct_value.c.string_value = "x"``; another type does not match.

>>> matches = Filter('labels.env = "prod" AND (state = RUNNING OR size_bytes >= 10)')
>>> matches({"labels": {"env": "prod"}, "sizeBytes": "12"}), matches({"labels": {"env": "test"}, "state": "RUNNING"})
(True, False)
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple, NoReturn

from tule.kernel.errors import InvalidArgument, Unimplemented
from tule.kernel.records import paths as field_paths

Predicate = Callable[[dict[str, Any]], bool]
Relations = Mapping[str, Callable[[str], Collection[str]]]
"""Words of filters that are about other resources: each gives the names of the records that stand so to a name."""

_LONGEST = 16_384
_DEEPEST = 40

_TIMESTAMP = r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:[Zz]|[+-]\d\d:\d\d)"
_TOKEN = re.compile(
    rf"""\s*(?:
      (?P<time>{_TIMESTAMP}(?![\w.:]))
    | (?P<comparator><=|>=|!=|=|<|>|:)
    | (?P<punctuation>[(),.])
    | (?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    | (?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w*@/%-]|\.\w))
    | (?P<minus>-(?=[^\s-]))
    | (?P<text>[^\s()<>=!:,."']+)
    )""",
    re.VERBOSE,
)
_WHOLE_TIMESTAMP = re.compile(_TIMESTAMP)
_DURATION = re.compile(r"([-+]?\d+(?:\.\d+)?)s")
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")

_ORDERINGS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Token(NamedTuple):
    """A word of a filter: its kind, its text without quotes, where it stands, and where it ends."""

    kind: str
    text: str
    position: int
    end: int


class Value(NamedTuple):
    """The right side of a comparison, in each reading that it allows."""

    text: str
    quoted: bool
    number: float | int | None
    boolean: bool | None
    instant: datetime | None
    seconds: float | None
    pattern: re.Pattern[str] | None


class Test(NamedTuple):
    """A part of a filter: its predicate, and the only names for which that can hold, None where any may."""

    holds: Predicate
    only: frozenset[str] | None = None


class Filter:
    """A parsed filter: call it with a body. Raises InvalidArgument that says where a wrong filter went wrong.

    ``only``: the names of the records that alone can match, None where any may. ``relations`` are asked when the filter
    is parsed.
    """

    def __init__(self, text: str, *, relations: Relations | None = None, structs: Collection[str] = ()) -> None:
        self.text = text
        self._predicate: Predicate | None = None
        self.only: frozenset[str] | None = None
        if text.strip():
            self._predicate, self.only = _Parser(text, relations or {}, frozenset(structs)).parse()

    @property
    def empty(self) -> bool:
        """Whether it matches everything because nothing was asked."""
        return self._predicate is None

    def __call__(self, body: dict[str, Any]) -> bool:
        return self._predicate is None or self._predicate(body)


class _Parser:
    def __init__(self, text: str, relations: Relations, structs: frozenset[str]) -> None:
        if len(text) > _LONGEST:
            raise InvalidArgument(f"A filter must have at most {_LONGEST} characters", given=len(text))
        self._text = text
        self._relations = relations
        self._structs = structs
        self._tokens = list(self._split())
        self._next = 0
        self._depth = 0

    def _split(self) -> Iterator[Token]:
        position, text = 0, self._text.rstrip()
        while position < len(text):
            found = _TOKEN.match(text, position)
            if found is None or found.lastgroup is None:
                while text[position].isspace():
                    position += 1
                if text[position] in "\"'":
                    self._refuse("a closing quote", position)
                self._refuse("a field, a value or a comparator", position)
            kind, word = found.lastgroup, found.group(found.lastgroup)
            start = found.start(kind)
            position = found.end()
            yield Token(kind, re.sub(r"\\(.)", r"\1", word[1:-1]) if kind == "quoted" else word, start, position)

    def _refuse(self, expected: str, position: int | None = None) -> NoReturn:
        if position is None:
            token = self._peek()
            position = token.position if token else len(self._text)
        found = self._text[position : position + 20] or "the end"
        raise InvalidArgument(
            f"A filter must follow https://google.aip.dev/160; expected {expected} at character {position + 1}",
            given=f"{self._text!r}, where {found!r} stands",
        )

    def _peek(self, ahead: int = 0) -> Token | None:
        at = self._next + ahead
        return self._tokens[at] if at < len(self._tokens) else None

    def _is(self, text: str, kind: str = "punctuation") -> bool:
        token = self._peek()
        return token is not None and token.kind == kind and token.text == text

    def _take(self) -> Token:
        token = self._tokens[self._next]
        self._next += 1
        return token

    def parse(self) -> Test:
        test = self._conjunction()
        if self._peek() is not None:
            self._refuse("AND, OR or the end")
        return test

    def _conjunction(self) -> Test:
        self._depth += 1
        if self._depth > _DEEPEST:
            self._refuse(f"at most {_DEEPEST} nested parentheses")
        parts = [self._disjunction()]
        while True:
            token = self._peek()
            if token is None or (token.kind == "punctuation" and token.text == ")"):
                break
            if self._is("AND", "text"):
                self._take()
            parts.append(self._disjunction())
        self._depth -= 1
        if len(parts) == 1:
            return parts[0]
        limits = [part.only for part in parts if part.only is not None]
        only = frozenset.intersection(*limits) if limits else None
        return Test(lambda body: all(part.holds(body) for part in parts), only)

    def _disjunction(self) -> Test:
        parts = [self._term()]
        while self._is("OR", "text"):
            self._take()
            parts.append(self._term())
        if len(parts) == 1:
            return parts[0]
        limits = [part.only for part in parts if part.only is not None]
        only = frozenset().union(*limits) if len(limits) == len(parts) else None
        return Test(lambda body: any(part.holds(body) for part in parts), only)

    def _term(self) -> Test:
        negated = False
        while self._is("NOT", "text") or self._is("-", "minus"):
            if self._take().kind == "text" and self._peek() is None:
                self._refuse("what NOT negates")
            negated = not negated
        inner = self._simple()
        return Test(lambda body: not inner.holds(body)) if negated else inner

    def _simple(self) -> Test:
        if self._is("("):
            self._take()
            inner = self._conjunction()
            if not self._is(")"):
                self._refuse("a closing parenthesis")
            self._take()
            return inner
        token = self._peek()
        if token is None or token.kind in ("punctuation", "comparator", "minus"):
            self._refuse("a field or a value")
        if token.kind == "text" and token.text in ("AND", "OR"):
            self._refuse("a field or a value before " + token.text)
        return self._restriction()

    def _restriction(self) -> Test:
        first = self._take()
        segments = [first.text]
        while self._is("."):
            self._take()
            token = self._peek()
            if token is None or token.kind not in ("text", "quoted", "number", "time"):
                self._refuse("a field name after the dot")
            # "labels.1.5" splits as a number; its parts are two keys.
            word = self._take()
            segments.extend(word.text.split(".") if word.kind == "number" else [word.text])
        if self._is("("):
            return self._call(".".join(segments), first)
        token = self._peek()
        if token is None or token.kind != "comparator":
            return Test(_anywhere(".".join(segments)))
        if first.kind in ("number", "time"):
            self._refuse("a field name before the comparator", first.position)
        comparator = self._take().text
        value = self._value(comparator)
        relation = self._relations.get(field_paths.snake(segments[0])) if len(segments) == 1 else None
        if relation is not None:
            if comparator != ":":
                self._refuse(f"{segments[0]}:NAME", first.position)
            return _related(relation(value.text))
        return Test(_compare(tuple(segments), comparator, value, structs=self._structs))

    def _call(self, name: str, first: Token) -> Test:
        relation = self._relations.get(name)
        if relation is None:
            raise Unimplemented(
                self._functions(),
                given=f"{name}(...) at character {first.position + 1}",
                do="use comparisons: = != < <= > >= :",
            )
        self._take()
        value = self._value("(")
        if not self._is(")"):
            self._refuse("a closing parenthesis")
        self._take()
        return _related(relation(value.text))

    def _functions(self) -> str:
        known = ", ".join(sorted(self._relations))
        return f"Filters of this list have no functions but {known}" if known else "Filters have no functions"

    def _value(self, comparator: str) -> Value:
        token = self._peek()
        negative = token is not None and token.kind == "minus"
        if negative:
            self._take()
            token = self._peek()
        if token is None or token.kind not in ("text", "quoted", "number", "time"):
            if token is not None and token.text == "(":
                self._refuse(f"one value after {comparator} (write a={'{'}1{'}'} OR a={'{'}2{'}'} for several)")
            self._refuse(f"a value after {comparator}")
        if token.kind == "text" and token.text in ("AND", "OR"):
            self._refuse(f"a value after {comparator}; quote {token.text} if it is one")
        self._take()
        text, quoted = token.text, token.kind == "quoted"
        # Unquoted values may hold dots and dashes (a version, an email); they end at the first blank.
        end = token.end
        while not quoted and (following := self._peek()) is not None and following.position == end:
            if following.kind == "punctuation" and following.text == "(":
                raise Unimplemented("Filters have no functions", given=f"{text}(...)", do="compare with a value")
            if following.kind not in ("text", "number", "minus") and following.text != ".":
                break
            text += self._take().text
            end = following.end
        return _value("-" + text if negative else text, quoted)


def _value(text: str, quoted: bool) -> Value:
    pattern = None
    if "*" in text and text != "*":
        pattern = re.compile(".*".join(re.escape(part) for part in text.split("*")), re.DOTALL)
    duration = _DURATION.fullmatch(text)
    return Value(
        text=text,
        quoted=quoted,
        number=as_number(text),
        boolean={"true": True, "false": False}.get(text.lower()) if not quoted else None,
        instant=as_instant(text),
        seconds=float(duration.group(1)) if duration else None,
        pattern=pattern,
    )


def as_number(text: str) -> int | float | None:
    """The number a text writes, exactly; None when it writes none."""
    if _NUMBER.fullmatch(text) is None:
        return None
    try:
        return int(text)
    except ValueError:
        return float(text)


def as_instant(text: str) -> datetime | None:
    """The moment that an RFC 3339 text writes, None for other texts. Digits below a microsecond are dropped.

    >>> as_instant("2026-01-01T01:00:00.123456789+01:00").isoformat()
    '2026-01-01T00:00:00.123456+00:00'
    """
    if len(text) < 17 or _WHOLE_TIMESTAMP.fullmatch(text) is None:
        return None
    try:
        found = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text.upper()))
        return found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _related(names: Collection[str]) -> Test:
    only = frozenset(names)
    return Test(lambda body: body.get("name") in only, only)


# What a google.protobuf.Value may be, by the name of its field.
_STRUCT_TYPES: dict[str, tuple[type, ...]] = {
    "number_value": (int, float),
    "string_value": (str,),
    "bool_value": (bool,),
    "list_value": (list,),
    "struct_value": (dict,),
    "null_value": (type(None),),
}


def _plain(path: tuple[str, ...], structs: frozenset[str]) -> tuple[tuple[str, ...], tuple[type, ...] | None]:
    """A path through a Struct as a path through its JSON, and the types that its end may have where it names one.

    >>> _plain(("metadata", "a", "struct_value", "b", "number_value"), frozenset({"metadata"}))[0]
    ('metadata', 'a', 'b')
    """
    if len(path) < 3 or path[0] not in structs:
        return path, None
    end = _STRUCT_TYPES.get(field_paths.snake(path[-1]))
    inner = [
        word
        for place, word in enumerate(path[1:], 1)
        # Keys and the names of what they hold take turns, so a key may itself be called struct_value.
        if not (place > 1 and field_paths.snake(word) in ("struct_value", "fields") and place < len(path) - 1)
    ]
    return (path[0], *(inner[:-1] if end else inner)), end


def _compare(
    path: tuple[str, ...], comparator: str, value: Value, *, structs: frozenset[str] = frozenset()
) -> Predicate:
    path, types = _plain(path, structs)
    if types is not None:
        return _typed(path, types, comparator, value)
    spelled = tuple(field_paths.spellings(segment) for segment in path)
    nested = len(path) > 1
    if comparator == ":":
        if value.text == "*" and not value.quoted:
            return lambda body: any(_present(found) for found in field_paths.values(body, spelled))
        return lambda body: any(_has(found, value, nested) for found in field_paths.values(body, spelled))
    if comparator in _ORDERINGS:
        ordering = _ORDERINGS[comparator]
        return lambda body: any(_ordered(found, value, ordering) for found in field_paths.values(body, spelled))

    default = value.boolean is False or value.number == 0 or (not value.text and not nested)

    def equal(body: dict[str, Any]) -> bool:
        missing = True
        for found in field_paths.values(body, spelled):
            if found is not None:
                missing = False
                if isinstance(found, list):
                    if any(_equal(element, value) for element in found):
                        return True
                elif _equal(found, value):
                    return True
        return missing and default

    return equal if comparator == "=" else lambda body: not equal(body)


def _typed(path: tuple[str, ...], types: tuple[type, ...], comparator: str, value: Value) -> Predicate:
    """A comparison with a value of one type; one of another type, or none, does not match."""
    spelled = tuple(field_paths.spellings(segment) for segment in path)
    number = bool not in types and int in types

    def holds(body: dict[str, Any]) -> bool:
        for found in field_paths.values(body, spelled):
            if not isinstance(found, types) or (number and isinstance(found, bool)):
                continue
            if comparator == ":":
                return (value.text == "*" and not value.quoted) or _has(found, value, True)
            if comparator in _ORDERINGS:
                return _ordered(found, value, _ORDERINGS[comparator])
            return _equal(found, value) is (comparator == "=")
        return False

    return holds


def _equal(found: Any, value: Value) -> bool:
    if isinstance(found, bool):
        return found is value.boolean or (value.quoted and value.text.lower() == str(found).lower())
    if isinstance(found, int | float):
        return value.number is not None and found == value.number
    if not isinstance(found, str):
        return False
    if found == value.text:
        return True
    if value.pattern is not None and value.pattern.fullmatch(found) is not None:
        return True
    if value.text == "*":
        return True
    if value.number is not None:
        return not value.quoted and as_number(found) == value.number
    if value.instant is not None:
        return as_instant(found) == value.instant
    return value.seconds is not None and _seconds(found) == value.seconds


def _ordered(found: Any, value: Value, ordering: Callable[[Any, Any], bool]) -> bool:
    if isinstance(found, bool) or found is None:
        return False
    if isinstance(found, int | float):
        return value.number is not None and ordering(found, value.number)
    if not isinstance(found, str):
        return False
    if value.instant is not None and (instant := as_instant(found)) is not None:
        return ordering(instant, value.instant)
    if value.seconds is not None and (seconds := _seconds(found)) is not None:
        return ordering(seconds, value.seconds)
    if value.number is not None and not value.quoted:
        number = as_number(found)
        return number is not None and ordering(number, value.number)
    return ordering(found, value.text)


def _seconds(text: str) -> float | None:
    found = _DURATION.fullmatch(text)
    return float(found.group(1)) if found else None


def _present(found: Any) -> bool:
    return found is not None and found != {} and found != []


def _has(found: Any, value: Value, nested: bool) -> bool:
    if isinstance(found, list):
        return any(_has(element, value, True) for element in found)
    if isinstance(found, dict):
        return any(key in found for key in field_paths.spellings(value.text))
    if isinstance(found, str) and not nested and value.pattern is None:
        return value.text.casefold() in found.casefold() or _equal(found, value)
    return _equal(found, value)


def _anywhere(text: str) -> Predicate:
    wanted = text.strip("*").casefold()

    def search(found: Any) -> bool:
        if isinstance(found, dict):
            return any(search(each) for each in found.values())
        if isinstance(found, list):
            return any(search(each) for each in found)
        if isinstance(found, bool):
            return str(found).lower() == wanted
        return found is not None and wanted in str(found).casefold()

    return search
