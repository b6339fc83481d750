"""Conditions and selectors of tasks: the part of the Common Expression Language that pipelines use.

    inputs.parameter_values['pipelinechannel--flip-Output'] == 'heads' && !(int(inputs.parameter_values['n']) > 5)
    parseJson(string_value)["metrics"][0]

https://github.com/google/cel-spec/blob/master/doc/langdef.md. An expression is compiled once into a function of the names
it may read; what it does not know is an InvalidArgument that shows the place.
"""

from __future__ import annotations

import functools
import json
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from tule.kernel.errors import InvalidArgument

Expression = Callable[[Mapping[str, Any]], Any]

_TOKEN = re.compile(
    r"""\s*(?:(?P<number>\d+\.\d*(?:[eE][+-]?\d+)?|\.\d+|\d+(?:[eE][+-]?\d+)?)
    |(?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    |(?P<word>[A-Za-z_]\w*)
    |(?P<mark>==|!=|<=|>=|&&|\|\||[-+*/%<>!()\[\].,?:]))""",
    re.VERBOSE | re.DOTALL,
)
_CONSTANTS = {"true": True, "false": False, "null": None}
_DEEPEST = 60


def compiled(text: str, names: tuple[str, ...]) -> Expression:
    """An expression over the variables ``names``; raises InvalidArgument."""
    return _compiled(text, names)


@functools.lru_cache(maxsize=1024)
def _compiled(text: str, names: tuple[str, ...]) -> Expression:
    return _Parser(text, names).parse()


def condition(text: str, parameters: Mapping[str, Any]) -> bool:
    """Whether a trigger condition holds for a task's parameters."""
    found = _run(text, ("inputs",), {"inputs": {"parameter_values": parameters, "parameters": _Legacy(parameters)}})
    if not isinstance(found, bool):
        raise InvalidArgument("A condition must be true or false", given=f"{text}, which is {found!r}")
    return found


def check_condition(text: str) -> None:
    """Raise InvalidArgument for a condition that cannot be read."""
    compiled(text, ("inputs",))


def selected(text: str, value: Any) -> Any:
    """What a selector takes of a parameter's value."""
    as_text = value if isinstance(value, str) else json.dumps(value)
    return _run(text, ("string_value", "struct_value", "list_value"), {
        "string_value": as_text, "struct_value": value, "list_value": value
    })  # fmt: skip


def check_selector(text: str) -> None:
    """Raise InvalidArgument for a selector that cannot be read."""
    compiled(text, ("string_value", "struct_value", "list_value"))


def _run(text: str, names: tuple[str, ...], variables: Mapping[str, Any]) -> Any:
    try:
        return compiled(text, names)(variables)
    except (TypeError, ValueError, KeyError, IndexError, ZeroDivisionError) as error:
        told = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise InvalidArgument("An expression must fit the values it reads", given=f"{text}: {told}") from None


class _Legacy(dict[str, Any]):
    """``inputs.parameters['x'].string_value`` and its like, of schema 2.0.0."""

    def __getitem__(self, name: str) -> Any:
        value = super().__getitem__(name)
        return {"string_value": value, "int_value": value, "double_value": value, "bool_value": value}


class _Parser:
    """Recursive descent: each method reads one level of precedence and returns a function."""

    def __init__(self, text: str, names: tuple[str, ...]) -> None:
        self._text = text
        self._names = names
        self._tokens = self._scan()
        self._at = 0
        self._depth = 0

    def _scan(self) -> list[tuple[str, str]]:
        found, place, end = [], 0, len(self._text.rstrip())
        while place < end:
            token = _TOKEN.match(self._text, place)
            if token is None:
                self._wrong(self._text[place : place + 20].strip())
            kind = token.lastgroup or ""
            found.append((kind, token[kind]))
            place = token.end()
        return found

    def parse(self) -> Expression:
        made = self._either()
        if self._at < len(self._tokens):
            self._wrong(self._tokens[self._at][1])
        return made

    # -- levels

    def _either(self) -> Expression:
        self._depth += 1
        if self._depth > _DEEPEST:
            self._wrong("parentheses without end")
        first = self._choice()
        self._depth -= 1
        if not self._take("?"):
            return first
        then = self._either()
        self._need(":")
        other = self._either()
        return lambda names: then(names) if _truth(first(names)) else other(names)

    def _choice(self) -> Expression:
        left = self._both()
        while self._take("||"):
            left = _lazy_or(left, self._both())
        return left

    def _both(self) -> Expression:
        left = self._relation()
        while self._take("&&"):
            left = _lazy_and(left, self._relation())
        return left

    def _relation(self) -> Expression:
        left = self._sum()
        while True:
            mark = self._take(*_RELATIONS)
            if not mark:
                return left
            left = _binary(_RELATIONS[mark], left, self._sum())

    def _sum(self) -> Expression:
        left = self._product()
        while mark := self._take("+", "-"):
            left = _binary(_ARITHMETIC[mark], left, self._product())
        return left

    def _product(self) -> Expression:
        left = self._unary()
        while mark := self._take("*", "/", "%"):
            left = _binary(_ARITHMETIC[mark], left, self._unary())
        return left

    def _unary(self) -> Expression:
        if self._take("!"):
            inner = self._unary()
            return lambda names: not _truth(inner(names))
        if self._take("-"):
            inner = self._unary()
            return lambda names: -inner(names)
        return self._member()

    def _member(self) -> Expression:
        found = self._primary()
        while True:
            if self._take("."):
                found = _item(found, _constant(self._word()))
            elif self._take("["):
                found = _item(found, self._either())
                self._need("]")
            else:
                return found

    def _primary(self) -> Expression:
        if self._at >= len(self._tokens):
            self._wrong("its end")
        kind, text = self._tokens[self._at]
        self._at += 1
        if kind == "number":
            return _constant(float(text) if any(each in text for each in ".eE") else int(text))
        if kind == "text":
            return _constant(_unescaped(text))
        if text == "(":
            inner = self._either()
            self._need(")")
            return inner
        if text == "[":
            return self._list()
        if kind != "word":
            self._wrong(text)
        if text in _CONSTANTS:
            return _constant(_CONSTANTS[text])
        if text in _FUNCTIONS and self._take("("):
            argument = self._either()
            self._need(")")
            function = _FUNCTIONS[text]
            return lambda names: function(argument(names))
        if text not in self._names:
            self._wrong(text)
        return lambda names: names[text]

    def _list(self) -> Expression:
        items: list[Expression] = []
        while not self._take("]"):
            items.append(self._either())
            if not self._take(","):
                self._need("]")
                break
        return lambda names: [each(names) for each in items]

    # -- tokens

    def _take(self, *marks: str) -> str:
        if self._at < len(self._tokens):
            kind, text = self._tokens[self._at]
            if kind != "text" and text in marks:
                self._at += 1
                return text
        return ""

    def _need(self, mark: str) -> None:
        if not self._take(mark):
            self._wrong(self._tokens[self._at][1] if self._at < len(self._tokens) else "its end")

    def _word(self) -> str:
        if self._at >= len(self._tokens) or self._tokens[self._at][0] != "word":
            self._wrong("what follows a dot")
        self._at += 1
        return self._tokens[self._at - 1][1]

    def _wrong(self, at: str) -> NoReturn:
        raise InvalidArgument(
            f"A condition or selector must be an expression over {', '.join(self._names)}",
            given=f"{self._text[:200]!r}, at {at!r}",
        )


def _constant(value: Any) -> Expression:
    return lambda names: value


def _binary(function: Callable[[Any, Any], Any], left: Expression, right: Expression) -> Expression:
    return lambda names: function(left(names), right(names))


def _lazy_or(left: Expression, right: Expression) -> Expression:
    return lambda names: _truth(left(names)) or _truth(right(names))


def _lazy_and(left: Expression, right: Expression) -> Expression:
    return lambda names: _truth(left(names)) and _truth(right(names))


def _item(whole: Expression, key: Expression) -> Expression:
    return lambda names: whole(names)[key(names)]


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is neither true nor false")
    return value


def _equal(left: Any, right: Any) -> bool:
    # Booleans are no numbers here.
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def _unescaped(text: str) -> str:
    inner = text[1:-1]
    if text[0] == "'":
        inner = re.sub(r"\\'", "'", inner)
        inner = re.sub(r'(?<!\\)"', r"\"", inner)
    try:
        return str(json.loads(f'"{inner}"', strict=False))
    except json.JSONDecodeError:
        return inner


def _boolean(value: Any) -> bool:
    if isinstance(value, str) and value in ("true", "false"):
        return value == "true"
    return _truth(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


_RELATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "==": _equal, "!=": lambda left, right: not _equal(left, right),
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    "in": lambda left, right: left in right,
}  # fmt: skip
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "%": operator.mod,
    "/": lambda left, right: left // right if isinstance(left, int) and isinstance(right, int) else left / right,
}  # fmt: skip
_FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "int": lambda value: int(float(value)), "double": float, "string": _text, "bool": _boolean, "size": len,
    "parseJson": json.loads,
}  # fmt: skip
