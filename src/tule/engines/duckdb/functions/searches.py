"""Tokens of texts, and searches for them. https://cloud.google.com/bigquery/docs/reference/standard-sql/text-analysis"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tule.engines.duckdb.functions.udfs import Row

_DELIMITERS = (
    *"[]<>(){}|!;,'\"*&?+/:=@.-$%\\_\n\r\t ",
    "%21", "%26", "%2526", "%3B", "%3b", "%7C", "%7c", "%20", "%2B", "%2b", "%3D", "%3d", "%2520", "%5D", "%5d", "%5B",
    "%5b", "%3A", "%3a", "%0A", "%0a", "%2C", "%2c", "%28", "%29",
)  # fmt: skip
_WORDS = r"\b\w{2,}\b"


def _failure(message: str) -> ValueError:
    return ValueError(f"tule: {message}")


@dataclass(frozen=True)
class _Analyzer:
    """How a text is cut into tokens, and what becomes of each."""

    name: str
    cut: Callable[[str], list[str]]
    filters: tuple[Callable[[list[str]], list[str]], ...]

    def tokens(self, text: str) -> list[str]:
        found = self.cut(text)
        for each in self.filters:
            found = each(found)
        return found


def _lower(tokens: list[str]) -> list[str]:
    """ASCII letters alone."""
    return ["".join(each.lower() if each.isascii() else each for each in token) for token in tokens]


@lru_cache(maxsize=64)
def _analyzer(name: str, options: str) -> _Analyzer:
    try:
        given = json.loads(options) if options else {}
        if not isinstance(given, dict):
            raise TypeError
    except (ValueError, TypeError):
        raise _failure(f"Invalid analyzer_options: {options}") from None
    unknown = set(given) - {"delimiters", "patterns", "token_filters"}
    if unknown:
        raise _failure(f"Unknown analyzer_options: {', '.join(sorted(unknown))}")
    filters = tuple(_filter(each) for each in given.get("token_filters") or ())
    match name:
        case "NO_OP_ANALYZER":
            return _Analyzer(name, lambda text: [text], filters)
        case "LOG_ANALYZER":
            marks = sorted((*(given.get("delimiters") or _DELIMITERS),), key=len, reverse=True)
            split = re.compile("|".join(map(re.escape, marks)))
            return _Analyzer(name, lambda text: [each for each in split.split(text) if each], filters or (_lower,))
        case "PATTERN_ANALYZER":
            patterns = given.get("patterns") or [_WORDS]
            if len(patterns) != 1:
                raise _failure("PATTERN_ANALYZER takes one pattern")
            return _Analyzer(name, _matches(str(patterns[0])), filters or (_lower,))
    raise _failure(f"Invalid analyzer: {name}")


_OPEN, _CLOSE = "\ue000", "\ue001"
"""Private characters, which stand around a match."""


def _matches(pattern: str) -> Callable[[str], list[str]]:
    """The matches of a pattern by RE2, as in GoogleSQL: Python's own engine may take for ever."""
    import pyarrow as pa
    import pyarrow.compute as pc

    def found(text: str) -> list[str]:
        plain = text.replace(_OPEN, "").replace(_CLOSE, "")
        try:
            marked = pc.replace_substring_regex(pa.array([plain]), f"({pattern})", f"{_OPEN}\\1{_CLOSE}")[0].as_py()
        except pa.ArrowInvalid:
            raise _failure(f"Invalid pattern of PATTERN_ANALYZER: {pattern}") from None
        parts = [each.partition(_CLOSE)[0] for each in str(marked).split(_OPEN)[1:]]
        return [each for each in parts if each]

    found("")
    return found


def _filter(given: dict[str, Any]) -> Callable[[list[str]], list[str]]:
    if "stop_words" in given:
        words = frozenset(given["stop_words"])
        return lambda tokens: [each for each in tokens if each not in words]
    mode = (given.get("normalizer") or given.get("normalization") or {}).get("mode", "")
    if mode == "NONE":
        return lambda tokens: tokens
    if mode == "LOWER":
        return lambda tokens: [each.lower() for each in tokens]
    if mode == "ICU_NORMALIZE":
        return lambda tokens: [
            unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", t).casefold()) for t in tokens
        ]
    if mode == "ICU_FOLDING":
        return lambda tokens: [_folded(each) for each in tokens]
    raise _failure(f"Invalid token filter: {json.dumps(given)}")


def _folded(token: str) -> str:
    plain = unicodedata.normalize("NFKD", token.casefold())
    return unicodedata.normalize("NFC", "".join(each for each in plain if not unicodedata.combining(each)))


def _analyzed(text: str, analyzer: str, options: str) -> list[str]:
    return _analyzer(analyzer, options).tokens(text)


_QUERY = re.compile(r"`((?:[^`\\]|\\.)*)`|((?:\\.|[^\s`\\])+)", re.DOTALL)


@lru_cache(maxsize=256)
def _query(query: str, analyzer: str, options: str) -> tuple[tuple[str, ...], ...]:
    """The phrases of a query: tokens of a text in backticks follow each other, others are phrases of their own."""
    if analyzer == "NO_OP_ANALYZER":
        return ((query,),)
    phrases: list[tuple[str, ...]] = []
    for found in _QUERY.finditer(query):
        text = re.sub(r"\\(.)", r"\1", found[1] if found[1] is not None else found[2])
        tokens = _analyzed(text, analyzer, options)
        phrases += [tuple(tokens)] if found[1] is not None else [(each,) for each in tokens]
    wanted = tuple(each for each in phrases if each)
    if not wanted:
        raise _failure("SEARCH: the query has no tokens")
    return wanted


def _search(texts: Sequence[str | None], query: str, analyzer: str, options: str) -> bool:
    """Whether each phrase of a query is in one of the texts."""
    tokens = [_analyzed(each, analyzer, options) for each in texts if each is not None]
    return all(any(_holds(each, phrase) for each in tokens) for phrase in _query(query, analyzer, options))


def _holds(tokens: list[str], phrase: tuple[str, ...]) -> bool:
    if len(phrase) == 1:
        return phrase[0] in tokens
    return any(tuple(tokens[at : at + len(phrase)]) == phrase for at in range(len(tokens) - len(phrase) + 1))


def _bag(tokens: Sequence[str | None]) -> list[dict[str, Any]]:
    counts = Counter(tokens)
    ordered = sorted(counts, key=lambda each: (each is not None, each or ""))
    return [{"term": each, "count": counts[each]} for each in ordered]


FUNCTIONS: tuple[Row, ...] = (
    ("tule_text_analyze", _analyzed, "VARCHAR, VARCHAR, VARCHAR", "VARCHAR[]"),
    ("tule_search", _search, "VARCHAR[], VARCHAR, VARCHAR, VARCHAR", "BOOLEAN"),
    ("tule_bag_of_words", _bag, "VARCHAR[]", "STRUCT(term VARCHAR, count BIGINT)[]"),
)
