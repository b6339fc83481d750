"""From text to a script: one method a statement, in the order of the reference.

Statements of the procedural language are read here word by word; all others, and every expression, are cut out of the text
and parsed by ``sql.parse``, so that a script has no wrong syntax anywhere once it is made.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.tokens import TokenType

from tule.bigquery.sql.parse import ENDS, parse, parse_expression
from tule.bigquery.sql.script.checks import check
from tule.bigquery.sql.script.nodes import (
    Argument,
    Assert,
    Assign,
    AssignStruct,
    AssignSystem,
    Block,
    Branch,
    Call,
    Case,
    Declare,
    Execute,
    Expression,
    ForIn,
    If,
    Jump,
    Loop,
    Node,
    Raise,
    Repeat,
    Return,
    Script,
    Sql,
    Transaction,
    Using,
    While,
)
from tule.bigquery.sql.words import Cursor, Text, is_name, is_string, is_word, words
from tule.kernel.errors import InvalidArgument, TuleError

DEEPEST = 50
_LONGEST = 1024 * 1024


def parse_script(text: str, *, arguments: Collection[str] = (), outer: Collection[str] = ()) -> Script:
    """Read a script; InvalidArgument with BigQuery's wording and position for the first thing wrong in it.

    ``arguments``: the text is the body of a procedure with these. ``outer``: variables that the session has.
    """
    if len(text) > _LONGEST:
        raise InvalidArgument("The query is too large. The maximum standard SQL query length is 1024.00K characters",
                              reason="invalid", location="query")  # fmt: skip
    source = Text(text)
    parser = _Parser(source, words(source))
    statements = parser.script()
    check(source, statements, arguments=arguments, outer=outer)
    return Script(source, statements, parser.positions, parser.parameters)


class _Parser:
    def __init__(self, text: Text, tokens: list[Any]) -> None:
        self.text = text
        self.words = Cursor(text, tokens)
        self._depth = 0
        places = [token.start for token in tokens if token.token_type == TokenType.PLACEHOLDER]
        self._placeholders = places
        self.positions = len(places)
        self.parameters = frozenset(_named(tokens))
        if places and self.parameters:
            raise text.error("Cannot mix named and positional parameters in scripts", places[0])

    # -- lists of statements

    def script(self) -> tuple[Node, ...]:
        found: list[Node] = []
        while True:
            while self.words.skip_symbol(";"):
                pass
            if self.words.done:
                break
            found.append(self._statement())
            if not self.words.done:
                self.words.expect_symbol(";")
        if not found:
            raise self.text.error("Syntax error: Unexpected end of statement", 0)
        return tuple(found)

    def _list(self, *ends: str) -> tuple[Node, ...]:
        """The statements up to one of the words ``ends``, which is not taken."""
        found: list[Node] = []
        while self.words.word() not in ends:
            if self.words.done:
                raise self.words.expected(f"keyword {ends[-1]}")
            found.append(self._statement())
            self.words.expect_symbol(";")
        return tuple(found)

    @contextmanager
    def _nested(self, start: int) -> Iterator[None]:
        if self._depth >= DEEPEST:
            raise self.text.error(f"Script statement nesting level exceeds maximum supported limit of {DEEPEST}", start)
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1

    def _statement(self) -> Node:
        cursor = self.words
        start = cursor.start
        token = cursor.token()
        label = ""
        if token is not None and is_name(token) and cursor.symbol(":", 1):
            label = cursor.name()
            cursor.expect_symbol(":")
            if cursor.word() not in _LABELLED:
                raise cursor.unexpected()
        elif token is not None and not (is_word(token) or token.text == "("):
            raise cursor.unexpected()
        word = cursor.word()
        if word in _LABELLED and not (word == "BEGIN" and self._begins_transaction()):
            with self._nested(start):
                return _LABELLED[word](self, start, label)
        if label:
            raise cursor.unexpected()
        if (read := _STATEMENTS.get(word)) is not None:
            return read(self, start)
        return self._sql(start)

    # -- statements that are not the procedural language's

    def _sql(self, start: int) -> Node:
        cursor = self.words
        cases = 0
        while not cursor.done and not cursor.symbol(";"):
            word = "" if cursor.symbol(".", -1) else cursor.word()
            if word == "BEGIN" and self._is_procedure(start):
                self._skip_block()
                continue
            cases += (word == "CASE") - (word == "END")
            if cases < 0:
                break
            cursor.take()
        if cursor.end <= start:
            raise cursor.unexpected()
        return self._cut(start, cursor.end)

    def _cut(self, start: int, end: int) -> Sql:
        try:
            tree = parse(self.text.text[start:end])
        except TuleError as error:
            raise self.text.shifted(error, start) from None
        return Sql(start=start, end=end, tree=tree, positions=self._positions(start))

    def _is_procedure(self, start: int) -> bool:
        head = [each.upper() for each in self.text.text[start : self.words.start].split()[:5]]
        return head[:1] == ["CREATE"] and "PROCEDURE" in head

    def _skip_block(self) -> None:
        """Pass the body of a procedure: it is parsed when the statement is."""
        start = self.words.start
        with self._nested(start):
            self._block(start, "")

    def _positions(self, offset: int) -> int:
        """How many ``?`` stand before an offset."""
        low, high = 0, len(self._placeholders)
        while low < high:
            middle = (low + high) // 2
            if self._placeholders[middle] < offset:
                low = middle + 1
            else:
                high = middle
        return low

    # -- expressions

    def _expression(self, *stops: str) -> Expression:
        return self._made(*self.words.until({*stops}))

    def _made(self, start: int, end: int) -> Expression:
        if self.text.text[start:end].split(None, 1)[0].upper() in ("SELECT", "WITH", "FROM"):
            word = self.text.text[start:end].split(None, 1)[0].upper()
            raise self.text.error(f"Syntax error: Unexpected keyword {word}", start)
        try:
            tree: Any = parse_expression(self.text.text[start:end])
        except TuleError as error:
            if error.message.startswith(ENDS):
                raise self.words.unexpected() from None
            raise self.text.shifted(error, start) from None
        if type(tree) is not exp.Select or len(tree.expressions) != 1 or len([*_clauses(tree)]) != 1:
            raise self.text.error("Syntax error: Expected an expression", start)
        _tuple_as_struct(tree.expressions[0])
        reads = any(isinstance(each, exp.Query) for each in tree.expressions[0].walk())
        return Expression(
            start=start, end=end, tree=tree, positions=self._positions(start), reads=reads,
            literal=_is_literal(tree.expressions[0]),
        )  # fmt: skip

    # -- DECLARE, SET

    def _declare(self, start: int) -> Node:
        cursor = self.words
        cursor.expect("DECLARE")
        names, places = self._names()
        kind = None
        if not (cursor.at("DEFAULT") or cursor.symbol(";") or cursor.done):
            kind = self._type("DEFAULT")
        default = self._expression() if cursor.skip("DEFAULT") else None
        if kind is None and default is None:
            raise cursor.unexpected()
        return Declare(
            start=start, end=cursor.end, names=names, places=places, type=kind, default=default
        )  # fmt: skip

    def _names(self) -> tuple[tuple[str, ...], tuple[int, ...]]:
        names, places = [], []
        while True:
            places.append(self.words.start)
            names.append(self.words.name())
            if not self.words.skip_symbol(","):
                return tuple(names), tuple(places)

    def _type(self, *stops: str) -> exp.DataType:
        start, end = self.words.until({*stops}, commas=True)
        return type_of(self.text, start, end)

    def _set(self, start: int) -> Node:
        cursor = self.words
        cursor.expect("SET")
        if cursor.symbol("@") and cursor.symbol("@", 1):
            name = self._system_name()
            cursor.expect_symbol("=")
            value = self._expression()
            return AssignSystem(start=start, end=cursor.end, name=name, value=value)
        if cursor.skip_symbol("("):
            names, places = self._names()
            cursor.expect_symbol(")")
            cursor.expect_symbol("=")
            value = self._expression()
            return AssignStruct(start=start, end=cursor.end, names=names, places=places, value=value)
        place = cursor.start
        name = cursor.name()
        cursor.expect_symbol("=")
        value = self._expression()
        return Assign(start=start, end=cursor.end, name=name, place=place, value=value)

    def _system_name(self) -> str:
        self.words.expect_symbol("@")
        self.words.expect_symbol("@")
        parts = [self.words.take().text]
        while self.words.skip_symbol("."):
            parts.append(self.words.take().text)
        return ".".join(parts).lower()

    # -- EXECUTE IMMEDIATE

    def _execute(self, start: int) -> Node:
        cursor = self.words
        cursor.expect("EXECUTE", "IMMEDIATE")
        text = self._expression("INTO", "USING")
        into, places = self._names() if cursor.skip("INTO") else ((), ())
        using: list[Using] = []
        if cursor.skip("USING"):
            using.append(self._using())
            while cursor.skip_symbol(","):
                using.append(self._using())
        if any(each.name for each in using) and not all(each.name for each in using):
            raise self.text.error("EXECUTE IMMEDIATE USING parameters must be all positional or all named.", start)
        return Execute(start=start, end=cursor.end, text=text, into=into, places=places, using=tuple(using))

    def _using(self) -> Using:
        value = self._expression("AS")
        name, place = "", self.words.start
        if self.words.skip("AS"):
            place = self.words.start
            name = self.words.name()
        return Using(value=value, name=name, place=place)

    # -- blocks and transactions

    def _begins_transaction(self) -> bool:
        cursor = self.words
        following = cursor.token(1)
        return following is None or cursor.symbol(";", 1) or cursor.word(1) == "TRANSACTION"

    def _block(self, start: int, label: str) -> Node:
        cursor = self.words
        cursor.expect("BEGIN")
        body = self._list("EXCEPTION", "END")
        handler = None
        if cursor.skip("EXCEPTION"):
            cursor.expect("WHEN", "ERROR", "THEN")
            handler = self._list("END")
        cursor.expect("END")
        self._end_label(label)
        return Block(start=start, end=cursor.end, label=label, body=body, handler=handler)

    def _end_label(self, label: str) -> None:
        """The label may be said again behind the end."""
        token = self.words.token()
        if token is None or not is_name(token):
            return
        if not label or token.text.lower() != label.lower():
            what = f"expected {label}" if label else "no label at the beginning"
            raise self.text.error(f"Mismatched end label; {what}, got {token.text}", token.start)
        self.words.take()

    def _transaction(self, start: int) -> Node:
        verb = self.words.take().text.upper()
        self.words.skip("TRANSACTION")
        return Transaction(start=start, end=self.words.end, verb=verb)

    # -- IF, CASE

    def _if(self, start: int) -> Node:
        cursor = self.words
        with self._nested(start):
            cursor.expect("IF")
            branches = [self._branch(start, "ELSEIF", "ELSE", "END")]
            while cursor.at("ELSEIF"):
                begin = cursor.start
                cursor.take()
                branches.append(self._branch(begin, "ELSEIF", "ELSE", "END"))
            otherwise = self._list("END") if cursor.skip("ELSE") else ()
            cursor.expect("END", "IF")
        return If(start=start, end=cursor.end, branches=tuple(branches), otherwise=otherwise)

    def _branch(self, start: int, *ends: str) -> Branch:
        condition = self._expression("THEN")
        self.words.expect("THEN")
        body = self._list(*ends)
        return Branch(start=start, end=self.words.end, condition=condition, body=body)

    def _case(self, start: int) -> Node:
        cursor = self.words
        with self._nested(start):
            cursor.expect("CASE")
            operand = None if cursor.at("WHEN") else self._expression("WHEN")
            branches = []
            while cursor.at("WHEN"):
                begin = cursor.start
                cursor.take()
                branches.append(self._branch(begin, "WHEN", "ELSE", "END"))
            if not branches:
                raise cursor.expected("keyword WHEN")
            otherwise = self._list("END") if cursor.skip("ELSE") else ()
            cursor.expect("END", "CASE")
        return Case(start=start, end=cursor.end, operand=operand, branches=tuple(branches), otherwise=otherwise)

    # -- loops

    def _loop(self, start: int, label: str) -> Node:
        self.words.expect("LOOP")
        body = self._list("END")
        self.words.expect("END", "LOOP")
        self._end_label(label)
        return Loop(start=start, end=self.words.end, label=label, body=body)

    def _while(self, start: int, label: str) -> Node:
        self.words.expect("WHILE")
        condition = self._expression("DO")
        self.words.expect("DO")
        body = self._list("END")
        self.words.expect("END", "WHILE")
        self._end_label(label)
        return While(start=start, end=self.words.end, label=label, body=body, condition=condition)

    def _repeat(self, start: int, label: str) -> Node:
        self.words.expect("REPEAT")
        body = self._list("UNTIL")
        self.words.expect("UNTIL")
        until = self._expression("END")
        self.words.expect("END", "REPEAT")
        self._end_label(label)
        return Repeat(start=start, end=self.words.end, label=label, body=body, until=until)

    def _for(self, start: int, label: str) -> Node:
        cursor = self.words
        cursor.expect("FOR")
        place = cursor.start
        variable = cursor.name()
        cursor.expect("IN")
        begin, end = cursor.bracketed()
        query = self._cut(begin, end)
        if not isinstance(query.tree, exp.Query):
            raise self.text.error("Syntax error: FOR must loop over a query", begin)
        cursor.expect("DO")
        body = self._list("END")
        cursor.expect("END", "FOR")
        self._end_label(label)
        return ForIn(
            start=start, end=cursor.end, label=label, body=body, variable=variable, place=place, query=query
        )  # fmt: skip

    def _jump(self, start: int) -> Node:
        word = self.words.take().text.upper()
        token = self.words.token()
        label = self.words.name() if token is not None and is_name(token) else ""
        continues = word in ("CONTINUE", "ITERATE")
        return Jump(start=start, end=self.words.end, word=word, continues=continues, label=label)

    # -- RAISE, RETURN, CALL, ASSERT

    def _raise(self, start: int) -> Node:
        cursor = self.words
        cursor.expect("RAISE")
        message = None
        if cursor.skip("USING"):
            cursor.expect("MESSAGE")
            cursor.expect_symbol("=")
            message = self._expression()
        return Raise(start=start, end=cursor.end, message=message)

    def _return(self, start: int) -> Node:
        self.words.expect("RETURN")
        return Return(start=start, end=self.words.end)

    def _call(self, start: int) -> Node:
        cursor = self.words
        cursor.expect("CALL")
        place = cursor.start
        procedure = cursor.path()
        cursor.expect_symbol("(")
        arguments: list[Argument] = []
        if not cursor.symbol(")"):
            arguments.append(self._argument())
            while cursor.skip_symbol(","):
                arguments.append(self._argument())
        cursor.expect_symbol(")")
        return Call(
            start=start, end=cursor.end, procedure=tuple(procedure), place=place, arguments=tuple(arguments)
        )  # fmt: skip

    def _argument(self) -> Argument:
        cursor = self.words
        name = ""
        token = cursor.token()
        if token is not None and is_name(token) and (cursor.symbol("=>", 1)):
            name = cursor.name()
            cursor.expect_symbol("=>")
        token, start = cursor.token(), cursor.start
        value = self._expression()
        alone = token is not None and is_name(token) and cursor.end == token.end + 1 and value.start == start
        return Argument(value=value, variable=token.text if token is not None and alone else "", name=name)

    def _assert(self, start: int) -> Node:
        cursor = self.words
        cursor.expect("ASSERT")
        condition = self._expression("AS")
        description = None
        if cursor.skip("AS"):
            token = cursor.token()
            if token is None or not is_string(token):
                raise cursor.expected("string literal")
            description = cursor.take().text
        return Assert(start=start, end=cursor.end, condition=condition, description=description)


def type_of(text: Text, start: int, end: int) -> exp.DataType:
    """A type as it is written."""
    if text.text.count("<", start, end) != text.text.count(">", start, end):
        raise _not_a_type(text, start, end)
    try:
        made: Any = exp.DataType.build(text.text[start:end], dialect="bigquery")
    except (SqlglotError, ValueError):
        raise _not_a_type(text, start, end) from None
    for each in made.find_all(exp.DataType):
        if each.this == exp.DataType.Type.USERDEFINED:
            raise _not_a_type(text, start, end)
    return made


def _not_a_type(text: Text, start: int, end: int) -> InvalidArgument:
    return text.error(f"Type not found: {text.text[start:end].strip()}", start)


def _named(tokens: list[Any]) -> Iterator[str]:
    """The names after one ``@``."""
    for index, token in enumerate(tokens[1:], 1):
        before = tokens[index - 1]
        if before.token_type != TokenType.PARAMETER or before.end + 1 != token.start:
            continue
        if (
            index > 1
            and tokens[index - 2].token_type == TokenType.PARAMETER
            and tokens[index - 2].end + 1 == before.start
        ):
            continue
        if is_word(token) or is_name(token):
            yield token.text.lower()


def _tuple_as_struct(item: Any) -> None:
    """``(a, b)`` is a struct; sqlglot takes it for a row."""
    while isinstance(item, exp.Paren):
        item = item.this
    if isinstance(item, exp.Tuple):
        item.replace(exp.Struct(expressions=list(item.expressions)))


def _is_literal(item: Any) -> bool:
    """Whether an expression is written as a constant."""
    while isinstance(item, exp.Paren | exp.Neg | exp.PropertyEQ):
        item = item.expression if isinstance(item, exp.PropertyEQ) else item.this
    if isinstance(item, exp.Array | exp.Struct | exp.Tuple):
        return all(_is_literal(each) for each in item.expressions)
    return isinstance(item, exp.Literal | exp.Null | exp.Boolean)


def _clauses(tree: exp.Select) -> Iterator[str]:
    """The clauses that a query has; ``expressions`` alone for one that is made of an expression."""
    return (name for name, value in tree.args.items() if value)


_LABELLED: dict[str, Callable[[_Parser, int, str], Node]] = {
    "BEGIN": _Parser._block,
    "LOOP": _Parser._loop,
    "WHILE": _Parser._while,
    "REPEAT": _Parser._repeat,
    "FOR": _Parser._for,
}
_STATEMENTS: dict[str, Callable[[_Parser, int], Node]] = {
    "DECLARE": _Parser._declare,
    "SET": _Parser._set,
    "EXECUTE": _Parser._execute,
    "BEGIN": _Parser._transaction,
    "COMMIT": _Parser._transaction,
    "ROLLBACK": _Parser._transaction,
    "IF": _Parser._if,
    "CASE": _Parser._case,
    "BREAK": _Parser._jump,
    "LEAVE": _Parser._jump,
    "CONTINUE": _Parser._jump,
    "ITERATE": _Parser._jump,
    "RAISE": _Parser._raise,
    "RETURN": _Parser._return,
    "CALL": _Parser._call,
    "ASSERT": _Parser._assert,
}

__all__ = ["parse_script", "type_of"]
