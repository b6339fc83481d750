"""Builders of string functions."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from tule.bigquery.collations import COLLATIONS
from tule.bigquery.sql.analysis import bignumerics, casts
from tule.bigquery.sql.analysis.calls import engine_call as call
from tule.bigquery.sql.kinds import BIGNUMERIC, FLOAT64, INT64, NULL, STRING, Kind, array, engine_type

if TYPE_CHECKING:
    from tule.bigquery.sql.analysis.calls import Call


def _text(value: str) -> Any:
    return exp.Literal.string(value)


def _cast(node: Any, kind: Kind) -> Any:
    made = exp.Cast(this=node, to=engine_type(kind))
    made.meta["tule_done"] = True
    return made


def joined(parts: list[Any]) -> Any:
    """Parts of text one after the other; NULL when one is."""
    parts = [_cast(each, STRING) if isinstance(each, exp.Null) else each for each in parts]
    made = parts[0]
    for each in parts[1:]:
        made = exp.DPipe(this=made, expression=each)
        made.meta["tule_done"] = True
    return exp.Paren(this=made) if len(parts) > 1 else made


def _concat(it: Call) -> Any:
    return joined(it.arguments)


def _concat_any(it: Call) -> Any:
    """CONCAT takes values of any type that can be cast to STRING."""
    parts = []
    for node, (kind, _) in zip(it.arguments, it.kinds, strict=True):
        if kind is None:
            parts.append(call("tule_as_string", node))
        elif kind in (STRING, NULL):
            parts.append(_cast(node, STRING) if kind == NULL else node)
        elif kind.name in ("ARRAY", "STRUCT", "JSON", "BYTES"):
            raise it.wrong(f"No matching signature for function CONCAT for argument types: {kind}")
        else:
            parts.append(casts.to_string(node, kind))
    return joined(parts)


def _contains_substr(it: Call) -> Any:
    """Whether a text is in any value of a value; NULL where it is in none and one is NULL."""
    if it.kind(1) == NULL:
        raise it.wrong("CONTAINS_SUBSTR: the search value must not be the literal NULL")
    scope = str(it.constant(2, "json_scope")) if len(it.arguments) > 2 else "JSON_VALUES"
    if scope not in ("JSON_VALUES", "JSON_KEYS", "JSON_KEYS_AND_VALUES"):
        raise it.wrong(f"Invalid json_scope of CONTAINS_SUBSTR: {scope}")
    return _found_in(it, it.argument(0), it.kind(0), scope)


def _found_in(it: Call, node: Any, kind: Kind | None, scope: str) -> Any:
    if kind is None:
        return call("tule_contains_substr", call("tule_as_string", node), it.argument(1).copy())
    if kind.name == "STRUCT":
        found = [
            _found_in(it, exp.Dot(this=exp.Paren(this=node.copy()), expression=exp.to_identifier(
                name or f"_field_{index + 1}", quoted=True)), inner, scope)
            for index, (name, inner) in enumerate(kind.fields)
        ]  # fmt: skip
        return exp.Paren(this=exp.or_(*found, copy=False))
    if kind.name == "JSON":
        node, kind = call("tule_json_texts", node, _text(scope)), array(STRING)
    if kind.name == "ARRAY":
        variable = exp.to_identifier(f"tule_s{_depth(kind)}")
        body = _found_in(it, exp.column(variable.copy()), kind.element, scope)
        return call("tule_any", call("list_transform", node, exp.Lambda(this=body, expressions=[variable])))
    return call("tule_contains_substr", casts.to_string(node, kind), it.argument(1).copy())


def _initcap(it: Call) -> Any:
    if len(it.arguments) > 1:
        return call("tule_initcap_with", it.argument(0), it.argument(1))
    return call("tule_initcap", it.argument(0))


def _instr(it: Call) -> Any:
    if len(it.arguments) == 2:
        return call("strpos", it.argument(0), it.argument(1))
    one = _cast(exp.Literal.number(1), INT64)
    return call("tule_instr", it.argument(0), it.argument(1), it.argument(2), it.argument(3, one))


def _pad(it: Call) -> Any:
    return call(f"tule_{it.function.name.lower()}", it.argument(0), it.argument(1), it.argument(2, _text(" ")))


# https://cloud.google.com/bigquery/docs/reference/standard-sql/string_functions#trim: white space of Unicode.
_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))


def _trim(it: Call) -> Any:
    return call(it.function.name.lower(), it.argument(0), it.argument(1, _text(_SPACE)))


def _normalized(it: Call, name: str) -> Any:
    mode = it.argument(1).this if len(it.arguments) > 1 else "NFC"
    if mode not in ("NFC", "NFD", "NFKC", "NFKD"):
        raise it.wrong(f"Invalid normalization mode: {mode}")
    return call(name, it.argument(0), _text(mode))


def _split(it: Call) -> Any:
    return call("string_split", it.argument(0), it.argument(1, _text(",")))


def _substr(it: Call) -> Any:
    if len(it.arguments) == 2:
        return call("tule_substr_from", it.argument(0), it.argument(1))
    return call("tule_substr", *it.arguments)


def _substr_bytes(it: Call) -> Any:
    if len(it.arguments) == 2:
        return call("tule_substr_bytes_from", it.argument(0), it.argument(1))
    return call("tule_substr_bytes", *it.arguments)


# -- FORMAT

_SPECIFIER = re.compile(r"%(?P<flags>[-+ #0']*)(?P<width>\d+|\*)?(?P<dot>\.(?P<precision>\d+|\*)?)?(?P<kind>[a-zA-Z%])")


def _format(it: Call) -> Any:
    """FORMAT with a constant pattern: its pieces, one after the other."""
    pattern = str(it.constant(0, "format string"))
    parts: list[Any] = []
    at, taken = 0, 0
    values = list(zip(it.arguments[1:], it.kinds[1:], strict=True))
    for found in _SPECIFIER.finditer(pattern):
        if found.start() > at:
            _literal_part(it, parts, pattern[at : found.start()])
        at = found.end()
        if found["kind"] == "%":
            parts.append(_text("%"))
            continue
        wanted = 1 + (found["width"], found["precision"]).count("*")
        if taken + wanted > len(values):
            raise it.wrong(
                f"Too few arguments to FORMAT for pattern {pattern!r}; Expected {taken + wanted}; Got {len(values)}"
            )
        sizes = [_size(it, *each) for each in values[taken : taken + wanted - 1]]
        node, (kind, _) = values[taken + wanted - 1]
        taken += wanted
        parts.append(_formatted(it, node, kind, _Specifier.of(found, sizes)))
    if at < len(pattern):
        _literal_part(it, parts, pattern[at:])
    if taken < len(values):
        raise it.wrong(f"Too many arguments to FORMAT for pattern {pattern!r}; Expected {taken}; Got {len(values)}")
    return joined(parts) if parts else _text("")


@dataclass(frozen=True)
class _Specifier:
    """``%-10.3f`` in pieces; a width or precision is a node of a number, None where there is none."""

    letter: str
    flags: str
    width: Any
    precision: Any

    @classmethod
    def of(cls, found: re.Match[str], sizes: list[Any]) -> _Specifier:
        left = list(sizes)
        width, precision = (
            left.pop(0) if found[name] == "*" else exp.Literal.number(int(found[name])) if found[name] else None
            for name in ("width", "precision")
        )
        if precision is None and found["dot"]:
            precision = exp.Literal.number(0)
        return cls(found["kind"], found["flags"], width, precision)

    def pattern(self, *, width: bool = True) -> Any:
        """As the engine's printf writes it, a constant where it can be one."""
        pieces: list[Any] = ["%" + self.flags.replace("'", "")]
        for sign, size in (("", self.width if width else None), (".", self.precision)):
            if size is not None:
                pieces += [sign, size]
        pieces.append({"i": "d", "F": "f"}.get(self.letter, self.letter))
        if all(isinstance(each, str | exp.Literal) for each in pieces):
            return _text("".join(each if isinstance(each, str) else each.this for each in pieces))
        return joined([_text(each) if isinstance(each, str) else _cast(each.copy(), STRING) for each in pieces])


def _size(it: Call, node: Any, kind: tuple[Kind | None, bool]) -> Any:
    if kind[0] not in (None, INT64, NULL):
        raise it.wrong(f"Invalid type for argument in FORMAT; Expected INT64; Got {kind[0]}")
    return node


def _literal_part(it: Call, parts: list[Any], text: str) -> None:
    if "%" in text:
        raise it.wrong(f"Invalid format specifier in FORMAT string: {text!r}")
    parts.append(_text(text))


_WANTED = {
    "d": "INT64", "i": "INT64", "u": "INT64", "o": "INT64", "x": "INT64", "X": "INT64", "f": "FLOAT64", "F": "FLOAT64",
    "e": "FLOAT64", "E": "FLOAT64", "g": "FLOAT64", "G": "FLOAT64", "s": "STRING",
}  # fmt: skip


def _formatted(it: Call, node: Any, kind: Kind | None, given: _Specifier) -> Any:
    letter = given.letter
    if letter in ("t", "T"):
        return _padded(printed(it, node, kind, quoted=letter == "T"), given)
    if letter in ("p", "P"):
        return _padded(_json(it, node, kind, pretty=letter == "P"), given)
    wanted = _WANTED.get(letter)
    if wanted is None:
        raise it.wrong(f"Invalid format specifier in FORMAT string: %{letter}")
    if (
        kind is not None
        and kind not in (NULL, Kind(wanted))
        and not (wanted == "FLOAT64" and kind.name in ("NUMERIC", "BIGNUMERIC"))
    ):
        raise it.wrong(f"Invalid type for argument in FORMAT; Expected {wanted}; Got {kind}")
    if letter == "s":
        value = node if given.precision is None else call("left", node, given.precision)
        return _padded(value, given)
    if wanted == "INT64":
        return _whole(node, given)
    if kind is not None and kind.name in ("NUMERIC", "BIGNUMERIC"):
        if letter in ("f", "F") and "0" not in given.flags and "#" not in given.flags:
            return _exact(node, kind, given)
        node = bignumerics.converted(node, kind, FLOAT64) if kind.name == "BIGNUMERIC" else node
    return _fractional(node, given)


def _exact(node: Any, kind: Kind, given: _Specifier) -> Any:
    """A decimal number with all of its digits, rounded to so many."""
    wide = node if kind == BIGNUMERIC else bignumerics.converted(node, kind, BIGNUMERIC)
    digits = given.precision if given.precision is not None else exp.Literal.number(6)
    rounded = call("tule_bignumeric_round", wide, digits.copy(), _text("ROUND_HALF_AWAY_FROM_ZERO"))
    value: Any = call("tule_fixed_digits", bignumerics.converted(rounded, BIGNUMERIC, STRING), digits.copy())
    if "'" in given.flags:
        value = call("tule_thousands", value)
    sign = "+" if "+" in given.flags else " " if " " in given.flags else ""
    if sign:
        negative = call("starts_with", value.copy(), _text("-"))
        value = exp.Paren(this=exp.Case(default=joined([_text(sign), value.copy()])).when(negative, value))
    return _padded(value, given)


def _json(it: Call, node: Any, kind: Kind | None, *, pretty: bool) -> Any:
    from tule.bigquery.sql.functions.jsons import as_json

    written = _cast(as_json(it, node, kind), STRING)
    return call("tule_json_pretty", written) if pretty else written


def _whole(node: Any, given: _Specifier) -> Any:
    if given.letter == "u":
        return _padded(call("printf", _text("%d"), call("tule_unsigned", _cast(node, INT64))), given)
    if "'" in given.flags and given.letter in ("d", "i"):
        sign = "+" if "+" in given.flags else " " if " " in given.flags else ""
        return _padded(call("format", _text("{:" + sign + ",}"), _cast(node, INT64)), given)
    plain = call("printf", given.pattern(), _cast(node, INT64))
    if given.letter not in ("x", "X", "o"):
        return plain
    size = call("printf", given.pattern(width=False), call("abs", _cast(node.copy(), INT64)))
    negative = exp.LT(this=_cast(node.copy(), INT64), expression=exp.Literal.number(0))
    return exp.Paren(this=exp.Case(default=plain).when(negative, _padded(joined([_text("-"), size]), given)))


def _fractional(node: Any, given: _Specifier) -> Any:
    value: Any = call("printf", given.pattern(), _cast(node, FLOAT64))
    if "'" in given.flags:
        value = _padded(call("tule_thousands", call("printf", given.pattern(width=False), _cast(node, FLOAT64))), given)
    # NaN and infinity are written as words.
    infinite = exp.Not(this=call("isfinite", _cast(node.copy(), FLOAT64)))
    word = _padded(call("tule_word_of_double", _cast(node.copy(), FLOAT64), _text(given.letter)), given)
    return exp.Paren(this=exp.Case(default=value).when(infinite, word))


def _padded(value: Any, given: _Specifier) -> Any:
    """A text as wide as is wanted; a negative width is one on the left."""
    if given.width is None:
        return value
    name = "tule_pad_right" if "-" in given.flags else "tule_pad_left"
    if not isinstance(given.width, exp.Literal):
        name = "tule_pad_right" if "-" in given.flags else "tule_pad"
    return call(name, value, given.width)


def printed(it: Call, node: Any, kind: Kind | None, *, quoted: bool) -> Any:
    """A value as %t or %T prints it; NULL is the word NULL."""
    if kind is None:
        raise it.refuse("FORMAT with %t or %T of a value whose type it does not know", do="cast the value")
    return call("coalesce", _printed(it, node, kind, quoted), _text("NULL"))


_WORDS = {"DATE": "DATE", "TIME": "TIME", "DATETIME": "DATETIME", "TIMESTAMP": "TIMESTAMP", "NUMERIC": "NUMERIC",
          "BIGNUMERIC": "BIGNUMERIC", "INTERVAL": "INTERVAL"}  # fmt: skip


def _printed(it: Call, node: Any, kind: Kind, quoted: bool) -> Any:
    if kind == NULL:
        return _text("NULL")
    if kind.name == "ARRAY":
        if kind.element is None:
            raise it.refuse("FORMAT with %t or %T of an array whose type it does not know")
        variable = exp.to_identifier(f"tule_e{_depth(kind)}")
        body = call("coalesce", _printed(it, exp.column(variable.copy()), kind.element, True), _text("NULL"))
        items = call("list_transform", node, exp.Lambda(this=body, expressions=[variable]))
        return joined([_text("["), call("array_to_string", items, _text(", ")), _text("]")])
    if kind.name == "STRUCT":
        parts: list[Any] = [_text("(")]
        for index, (name, inner) in enumerate(kind.fields):
            if inner is None:
                raise it.refuse("FORMAT with %t or %T of a struct whose fields it does not know")
            if index:
                parts.append(_text(", "))
            each = exp.Dot(this=exp.Paren(this=node.copy()), expression=exp.to_identifier(name, quoted=True))
            parts.append(call("coalesce", _printed(it, each, inner, True), _text("NULL")))
        whole = joined([*parts, _text(")")])
        return exp.Case(default=whole).when(exp.Is(this=node.copy(), expression=exp.Null()), exp.Null())
    if kind.name == "BYTES":
        return call("tule_quoted_bytes" if quoted else "tule_escaped_bytes", node)
    value = casts.to_string(node, kind)
    if kind == FLOAT64:
        value = call("tule_print_double", node)
    if not quoted:
        return value
    if kind == STRING:
        return call("tule_quoted", node)
    if kind.name in _WORDS:
        after = '" YEAR TO SECOND' if kind.name == "INTERVAL" else '"'
        return joined([_text(_WORDS[kind.name] + ' "'), value, _text(after)])
    if kind.name == "RANGE":
        return joined([_text(f'{kind} "'), value, _text('"')])
    if kind == FLOAT64:
        word = joined([_text('CAST("'), call("lower", value), _text('" AS FLOAT64)')])
        return exp.Paren(this=exp.Case(default=value.copy()).when(exp.Not(this=call("isfinite", node.copy())), word))
    if kind.name == "JSON":
        return joined([_text("JSON '"), value, _text("'")])
    return value


def _depth(kind: Kind) -> int:
    return 1 + (_depth(kind.element) if kind.element is not None and kind.element.name == "ARRAY" else 0)


def _collate(it: Call) -> Any:
    """The text as it is, of a type with the collation."""
    given = it.constant(1, "collation")
    if given not in COLLATIONS:
        raise it.wrong(f"COLLATE has an invalid collation specification: {given!r}; there are 'und:ci' and ''")
    it.result = Kind("STRING", collation=given)
    return it.argument(0)


BUILDERS: dict[str, Callable[[Call], Any]] = {
    "collate": _collate,
    "concat": _concat,
    "concat_any": _concat_any,
    "contains_substr": _contains_substr,
    "initcap": _initcap,
    "instr": _instr,
    "pad": _pad,
    "trim": _trim,
    "normalize": lambda it: _normalized(it, "tule_normalize"),
    "normalize_and_casefold": lambda it: _normalized(it, "tule_normalize_and_casefold"),
    "split": _split,
    "substr": _substr,
    "substr_bytes": _substr_bytes,
    "format": _format,
}
