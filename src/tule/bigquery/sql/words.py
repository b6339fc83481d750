"""The words of a text and a cursor over them: what the hand-written parsers of statements read from.

The words are sqlglot's tokens, which keep the place of each in the text, so that parts of it can be cut out as they are
written. Errors have BigQuery's wording and positions: lines and columns from 1, a tab reaching to the next multiple of 8.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Sequence
from typing import Any, ClassVar

import sqlglot
from sqlglot.dialects.bigquery import BigQuery
from sqlglot.errors import TokenError
from sqlglot.tokens import TokenType

from tule.kernel.errors import InvalidArgument, TuleError

_TAB = 8
_LINE = re.compile("\n")
_PLACE = re.compile(r" at \[(\d+):(\d+)\]")
_ANY_PLACE = re.compile(r" at \[(?:[^\]\s]+:)?\d+:\d+\]")
_QUOTED = frozenset({TokenType.STRING, TokenType.RAW_STRING, TokenType.BYTE_STRING, TokenType.IDENTIFIER})
_STRINGS = frozenset({TokenType.STRING, TokenType.RAW_STRING})
# https://cloud.google.com/bigquery/docs/reference/standard-sql/lexical#reserved_keywords
RESERVED = frozenset(
    """ALL AND ANY ARRAY AS ASC ASSERT_ROWS_MODIFIED AT BETWEEN BY CASE CAST COLLATE CONTAINS CREATE CROSS CUBE CURRENT
    DEFAULT DEFINE DESC DISTINCT ELSE END ENUM ESCAPE EXCEPT EXCLUDE EXISTS EXTRACT FALSE FETCH FOLLOWING FOR FROM FULL
    GROUP GROUPING GROUPS HASH HAVING IF IGNORE IN INNER INTERSECT INTERVAL INTO IS JOIN LATERAL LEFT LIKE LIMIT LOOKUP
    MERGE NATURAL NEW NO NOT NULL NULLS OF ON OR ORDER OUTER OVER PARTITION PRECEDING PROTO QUALIFY RANGE RECURSIVE RESPECT
    RIGHT ROLLUP ROWS SELECT SET SOME STRUCT TABLESAMPLE THEN TO TREAT TRUE UNBOUNDED UNION UNNEST USING WHEN WHERE WINDOW
    WITH WITHIN""".split()  # noqa: SIM905
)
# Words that are keywords in a statement of the procedural language, and names elsewhere.
_KEYWORDS = RESERVED | frozenset(
    """ASSERT BEGIN BREAK CALL COMMIT CONTINUE DECLARE DELETE DO DROP ELSEIF ERROR EXCEPTION EXECUTE FUNCTION IMMEDIATE
    INSERT ITERATE LEAVE LOOP MESSAGE MODEL OPTIONS PROCEDURE RAISE REPEAT REPLACE RETURN RETURNS ROLLBACK TABLE TEMP
    TEMPORARY TRANSACTION UNTIL UPDATE VIEW WHILE""".split()  # noqa: SIM905
)


class _Words(BigQuery):
    """sqlglot's BigQuery tokens without its two habits that get in the way: keywords of several words, and commands, whose
    rest up to the semicolon it takes for one string."""

    class Tokenizer(BigQuery.Tokenizer):
        COMMANDS: ClassVar[set[Any]] = set()
        KEYWORDS: ClassVar[dict[str, Any]] = {
            word: kind for word, kind in BigQuery.Tokenizer.KEYWORDS.items() if " " not in word
        }


class Text:
    """A text and where its lines begin."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._lines = [0]
        self._lines += [found.end() for found in _LINE.finditer(text)]
        self._tabs = "\t" in text

    def position(self, offset: int) -> tuple[int, int]:
        """(line, column) of an offset."""
        line = bisect_right(self._lines, offset)
        begin = self._lines[line - 1]
        if not self._tabs:
            return line, offset - begin + 1
        column = 0
        for letter in self.text[begin:offset]:
            column = column - column % _TAB + _TAB if letter == "\t" else column + 1
        return line, column + 1

    def shifted(self, error: TuleError, offset: int, *, lines: int = 0) -> TuleError:
        """An error about a part of this text that begins at ``offset``, its position made one in the whole text.

        ``lines``: how many lines stood before the part where it was looked at.
        """
        return moved(error, self.position(offset), lines=lines)

    def placed(self, error: TuleError, offset: int, name: str = "", *, always: bool = False) -> TuleError:
        """An error that tells a place: its own where it has one (unless ``always``), else ``offset``. ``name``: the
        procedure that this is the text of."""
        prefix = f"{name}:" if name else ""
        if always or not _ANY_PLACE.search(error.message):
            line, column = self.position(offset)
            error.message += f" at [{prefix}{line}:{column}]"
        elif prefix and (found := list(_PLACE.finditer(error.message))):
            place = f" at [{prefix}{found[-1][1]}:{found[-1][2]}]"
            error.message = error.message[: found[-1].start()] + place + error.message[found[-1].end() :]
        error.args = (error.message,)
        return error

    def error(self, message: str, offset: int) -> InvalidArgument:
        """``message at [line:column]``"""
        line, column = self.position(offset)
        return InvalidArgument(f"{message} at [{line}:{column}]", reason="invalidQuery", location="query")


def moved(error: TuleError, place: tuple[int, int], *, lines: int = 0) -> TuleError:
    """An error about a text, its position made one in a text where the first one stands at ``place``.

    ``lines``: how many lines stood before the text where it was looked at.
    """
    if not (found := list(_PLACE.finditer(error.message))):
        return error
    line, column = int(found[-1][1]) - lines, int(found[-1][2])
    if line == 1:
        column += place[1] - 1
    words = f" at [{line + place[0] - 1}:{column}]"
    error.message = error.message[: found[-1].start()] + words + error.message[found[-1].end() :]
    error.args = (error.message,)
    return error


def place(error: TuleError) -> tuple[int, int] | None:
    """The (line, column) that an error tells."""
    found = list(_PLACE.finditer(error.message))
    return (int(found[-1][1]), int(found[-1][2])) if found else None


def bracketed(expression: str) -> str:
    """An expression as a query whose positions are one line further down; a comment at its end does no harm."""
    last = expression.rsplit("\n", 1)[-1]
    return f"SELECT (\n{expression}" + ("\n)" if "--" in last or "#" in last else ")")


def words(text: Text) -> list[Any]:
    """The tokens of a text; InvalidArgument for a string or comment without end."""
    try:
        return list(sqlglot.tokenize(text.text, read=_Words))
    except TokenError:
        raise _unfinished(text) from None


_WHOLE = re.compile(
    r"""--[^\n]*|\#[^\n]*|/\*.*?\*/|`(?:\\.|[^`\\])*`"""
    r"""|[rRbB]{0,2}(?P<quotes>\"{3}|'{3})(?:\\.|[^\\])*?(?P=quotes)"""
    r"""|[rRbB]{0,2}(?!\"{3}|'{3})(?P<quote>["'])(?:\\.|(?!(?P=quote))[^\\])*(?P=quote)"""
    r"""|\w+(?!["'\w])|[^"'`/]|/(?!\*)""",
    re.DOTALL,
)
_BEGUN = {"`": "quoted identifier", "/": "comment"}


def _unfinished(text: Text) -> InvalidArgument:
    """The place of a token that does not end: sqlglot tells only its surroundings."""
    at = 0
    while at < len(text.text) and (found := _WHOLE.match(text.text, at)) is not None:
        at = found.end()
    if at >= len(text.text):
        return text.error("Syntax error: Illegal input character", 0)
    return text.error(f"Syntax error: Unclosed {_BEGUN.get(text.text[at], 'string literal')}", at)


def is_name(token: Any) -> bool:
    """Whether a token can be a name: an identifier in backticks, or a word that is not reserved."""
    if token.token_type == TokenType.IDENTIFIER:
        return bool(token.text)
    return is_word(token) and token.text.upper() not in RESERVED


def is_word(token: Any) -> bool:
    return token.token_type not in _QUOTED and token.text.isidentifier()


def is_string(token: Any) -> bool:
    return token.token_type in _STRINGS


def shown(token: Any | None, text: Text) -> str:
    """A token as error messages name it."""
    if token is None:
        return "end of script"
    if token.token_type == TokenType.IDENTIFIER:
        return f"identifier `{token.text}`"
    written = text.text[token.start : token.end + 1]
    if is_string(token):
        return f"string literal {written}"
    if token.token_type == TokenType.BYTE_STRING:
        return f"bytes literal {written}"
    if token.token_type == TokenType.NUMBER:
        return f'{"integer" if token.text.isdigit() else "floating point"} literal "{token.text}"'
    if is_word(token):
        word = token.text.upper()
        return f"keyword {word}" if word in _KEYWORDS else f'identifier "{token.text}"'
    return f'"{token.text}"'


_OPENING = {TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE}
_CLOSING = {TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE}


class Cursor:
    """A place among the words of a text."""

    def __init__(self, text: Text, tokens: Sequence[Any], at: int = 0) -> None:
        self.text = text
        self._tokens = tokens
        self._at = at

    # -- looking

    def token(self, ahead: int = 0) -> Any | None:
        at = self._at + ahead
        return self._tokens[at] if at < len(self._tokens) else None

    @property
    def done(self) -> bool:
        return self._at >= len(self._tokens)

    @property
    def start(self) -> int:
        """The offset of the next token; of the text's end where there is none."""
        token = self.token()
        return int(token.start) if token is not None else len(self.text.text)

    @property
    def end(self) -> int:
        """The offset behind the last token that was taken."""
        return int(self._tokens[self._at - 1].end) + 1 if self._at else 0

    def word(self, ahead: int = 0) -> str:
        """The next token in capitals where it is a bare word, "" where it is none."""
        token = self.token(ahead)
        return token.text.upper() if token is not None and is_word(token) else ""

    def symbol(self, text: str, ahead: int = 0) -> bool:
        token = self.token(ahead)
        return token is not None and token.token_type not in _QUOTED and token.text == text

    def at(self, *expected: str) -> bool:
        """Whether the next words are these."""
        return all(self.word(index) == each for index, each in enumerate(expected))

    # -- taking

    def take(self) -> Any:
        token = self.token()
        if token is None:
            raise self.unexpected()
        self._at += 1
        return token

    def skip(self, *expected: str) -> bool:
        """Take the next words if they are these."""
        if self.at(*expected):
            self._at += len(expected)
            return True
        return False

    def skip_symbol(self, text: str) -> bool:
        if self.symbol(text):
            self._at += 1
            return True
        return False

    def expect(self, *words: str) -> None:
        for each in words:
            if not self.skip(each):
                raise self.expected(f"keyword {each}")

    def expect_symbol(self, text: str) -> None:
        if not self.skip_symbol(text):
            raise self.expected(f'"{text}"')

    def name(self) -> str:
        """Take an identifier."""
        token = self.token()
        if token is None or not is_name(token):
            raise self.unexpected()
        self._at += 1
        return str(token.text)

    def path(self) -> list[str]:
        """Take a dotted name; dots inside backticks are taken apart, dashes of a project's id put together."""
        parts = self._dashed().split(".")
        while self.symbol("."):
            self._at += 1
            token = self.token()
            # Behind a dot any word is a name.
            if token is None or not (is_name(token) or is_word(token)):
                raise self.unexpected()
            self._at += 1
            parts += str(token.text).split(".")
        return parts

    def _dashed(self) -> str:
        token = self.token()
        text = self.name()
        while (
            token is not None
            and token.token_type != TokenType.IDENTIFIER
            and self.symbol("-")
            and self.start == self.end
            and (following := self.token(1)) is not None
            and following.start == self.end + 1
            and following.text.replace("_", "").isalnum()
        ):
            text += f"-{following.text}"
            self._at += 2
            token = following
        return text

    # -- parts of the text

    def part(self, start: int, end: int) -> str:
        return self.text.text[start:end]

    def until(self, stops: Collection[str], *, commas: bool = False, types: bool = False) -> tuple[int, int]:
        """Pass an expression up to one of ``stops`` (words or symbols) outside of brackets and CASE; its offsets.

        ``commas``: it may have commas of its own; ``types``: it may have types with parts in ``<>``. Raises where nothing
        stands there.
        """
        start, first = self.start, self._at
        brackets: list[Any] = []
        cases = angles = 0
        while (token := self.token()) is not None:
            kind = token.token_type
            word = token.text.upper() if is_word(token) else ""
            if not brackets and not cases and (word in stops or (kind not in _QUOTED and token.text in stops)):
                break
            if kind == TokenType.SEMICOLON:
                break
            if kind in _OPENING:
                brackets.append((token, cases))
                cases = 0
            elif kind in _CLOSING:
                if not brackets:
                    break
                cases = brackets.pop()[1]
            elif word == "CASE" and not self.symbol(".", -1):
                cases += 1
            elif word == "END" and cases and not self.symbol(".", -1):
                cases -= 1
            elif types and token.text == "<" and self.word(-1) in ("ARRAY", "STRUCT", "RANGE"):
                angles += 1
            elif types and angles and token.text in (">", ">>"):
                angles -= len(token.text)
            elif token.text == "," and kind not in _QUOTED and not (brackets or cases or commas or angles):
                break
            self._at += 1
        if brackets:
            raise self.expected('")"' if brackets[-1][0].text == "(" else '"]"')
        if self._at == first:
            raise self.unexpected()
        return start, self.end

    def bracketed(self) -> tuple[int, int]:
        """Pass what stands in the next pair of parentheses, the parentheses too; its offsets."""
        start = self.start
        self.expect_symbol("(")
        depth = 1
        while depth:
            if self.done:
                raise self.expected('")"')
            token = self.take()
            if token.token_type == TokenType.L_PAREN:
                depth += 1
            elif token.token_type == TokenType.R_PAREN:
                depth -= 1
        return start, self.end

    # -- errors

    def unexpected(self) -> InvalidArgument:
        return self.text.error(f"Syntax error: Unexpected {shown(self.token(), self.text)}", self._error_offset())

    def expected(self, what: str) -> InvalidArgument:
        return self.text.error(
            f"Syntax error: Expected {what} but got {shown(self.token(), self.text)}", self._error_offset()
        )

    def _error_offset(self) -> int:
        return self.start if self.token() is not None else len(self.text.text.rstrip())
