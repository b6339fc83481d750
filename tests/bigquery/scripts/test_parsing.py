"""The text of scripts: what is read, what is refused, and that nothing else ever comes of a text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tule.bigquery.sql.script import parse_script
from tule.bigquery.sql.script.nodes import Block, Declare, Execute, If, Jump, Node, Sql, While
from tule.kernel.errors import InvalidArgument, TuleError


def only(text: str) -> Node:
    (found,) = parse_script(text).statements
    return found


def sources(text: str) -> list[str]:
    script = parse_script(text)
    return [script.source(each) for each in script.statements]


# -- what is read


def test_statements_are_cut_as_they_are_written() -> None:
    assert sources("SELECT 1 ;\n\n-- between\nSELECT ';' AS `a;b`, r'\\d;';/* ; */ INSERT INTO t VALUES (1)") == [
        "SELECT 1", "SELECT ';' AS `a;b`, r'\\d;'", "INSERT INTO t VALUES (1)"
    ]  # fmt: skip


def test_words_of_the_language_are_names_elsewhere() -> None:
    node = only("SELECT begin, loop, `if`, repeat(x, 2), call, message, error FROM declare AS raise")
    assert isinstance(node, Sql)
    declared = only("DECLARE loop, message INT64")
    assert isinstance(declared, Declare) and declared.names == ("loop", "message")


def test_nested_blocks_have_their_places() -> None:
    text = "IF a THEN\n  WHILE b DO\n    SELECT 1;\n    BREAK;\n  END WHILE;\nEND IF;"
    script = parse_script(text)
    (outer,) = script.statements
    assert isinstance(outer, If)
    (loop,) = outer.branches[0].body
    assert isinstance(loop, While)
    select, jump = loop.body
    assert isinstance(jump, Jump) and jump.word == "BREAK" and not jump.continues
    assert [script.text.position(each.start) for each in (outer, loop, select, jump)] == [
        (1, 1),
        (2, 3),
        (3, 5),
        (4, 5),
    ]
    assert script.source(loop) == "WHILE b DO\n    SELECT 1;\n    BREAK;\n  END WHILE"


def test_a_procedure_keeps_its_body_in_one_statement() -> None:
    text = "CREATE PROCEDURE d.p(OUT x INT64) BEGIN IF TRUE THEN SET x = 1; END IF; BEGIN END; END; SELECT 2"
    assert sources(text)[1] == "SELECT 2"


def test_begin_is_a_block_or_a_transaction() -> None:
    kinds = [type(each).__name__ for each in parse_script("BEGIN; BEGIN TRANSACTION; BEGIN END; COMMIT").statements]
    assert kinds == ["Transaction", "Transaction", "Block", "Transaction"]


def test_parameters_are_counted() -> None:
    script = parse_script("SELECT ?, '?'; SET x = ? + ?; SELECT ?")
    assert script.positions == 4
    assert [getattr(each, "positions", 0) for each in script.statements] == [0, 0, 3]
    assert parse_script("SELECT @a, @B; SELECT @@row_count, '@c'").parameters == {"a", "b"}


def test_execute_immediate() -> None:
    node = only("EXECUTE IMMEDIATE CONCAT('a', b) INTO x, y USING 1 AS p, z AS q")
    assert isinstance(node, Execute)
    assert (node.into, [each.name for each in node.using]) == (("x", "y"), ["p", "q"])


def test_tabs_count_as_columns_up_to_the_next_eighth() -> None:
    with pytest.raises(InvalidArgument, match=re.escape('Unexpected identifier "SELEC" at [1:9]')):
        parse_script("\tSELEC 1")


def test_a_long_script_is_read_in_a_moment() -> None:
    text = "SELECT CASE WHEN x THEN 1 ELSE 2 END FROM t;\n" * 2000
    assert len(parse_script(text).statements) == 2000


def test_deep_nesting_has_an_end() -> None:
    fine = "BEGIN " * 49 + "END; " * 49
    assert isinstance(only(fine), Block)
    with pytest.raises(InvalidArgument, match="Script statement nesting level exceeds maximum supported limit of 50"):
        parse_script("BEGIN " * 60 + "END; " * 60)


# -- what is refused


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("IF x SELECT 1; END IF", "Syntax error: Unexpected keyword SELECT at [1:6]"),
        ("IF x THEN SELECT 1 END IF", 'Syntax error: Expected ";" but got keyword END at [1:20]'),
        ("WHILE DO SELECT 1; END WHILE", "Syntax error: Unexpected keyword DO at [1:7]"),
        ("LOOP SELECT 1; END", "Syntax error: Expected keyword LOOP but got end of script at [1:19]"),
        ("REPEAT SELECT 1; UNTIL END REPEAT", "Syntax error: Unexpected keyword END at [1:24]"),
        ("FOR x SELECT 1", "Syntax error: Expected keyword IN but got keyword SELECT at [1:7]"),
        ("SET = 1", 'Syntax error: Unexpected "=" at [1:5]'),
        ("SET x 1", 'Syntax error: Expected "=" but got integer literal "1" at [1:7]'),
        ("SET x =", "Syntax error: Unexpected end of script at [1:8]"),
        ("SET x = SELECT 1", "Syntax error: Unexpected keyword SELECT at [1:9]"),
        ("SET (x, y = (1, 2)", 'Syntax error: Expected ")" but got "=" at [1:11]'),
        ("DECLARE", "Syntax error: Unexpected end of script at [1:8]"),
        ("DECLARE x, x INT64", "Variable 'x' redeclaration at [1:12]"),
        ("DECLARE x INT64 DEFAULT", "Syntax error: Unexpected end of script at [1:24]"),
        ("DECLARE x ARRAY<INT64", "Type not found: ARRAY<INT64 at [1:11]"),
        ("CALL", "Syntax error: Unexpected end of script at [1:5]"),
        ("CALL p", 'Syntax error: Expected "(" but got end of script at [1:7]'),
        ("CALL p(1", 'Syntax error: Expected ")" but got end of script at [1:9]'),
        ("EXECUTE 'SELECT 1'", "Syntax error: Expected keyword IMMEDIATE but got string literal 'SELECT 1' at [1:9]"),
        ("EXECUTE IMMEDIATE", "Syntax error: Unexpected end of script at [1:18]"),
        ("RAISE USING 'x'", "Syntax error: Expected keyword MESSAGE but got string literal 'x' at [1:13]"),
        ("ASSERT", "Syntax error: Unexpected end of script at [1:7]"),
        ("BEGIN EXCEPTION WHEN ERROR SELECT 1; END", "Syntax error: Expected keyword THEN but got keyword SELECT at [1:28]"),
        ("CASE x WHEN THEN SELECT 1; END CASE", "Syntax error: Unexpected keyword THEN at [1:13]"),
        ("CASE WHEN x THEN SELECT 1; END", "Syntax error: Expected keyword CASE but got end of script at [1:31]"),
        ("l: SELECT 1", "Syntax error: Unexpected keyword SELECT at [1:4]"),
        ("SELECT ? + @a", "Cannot mix named and positional parameters in scripts at [1:8]"),
        ("SELECT 'a", "Syntax error: Unclosed string literal at [1:8]"),
        ("SELECT 1;\n  SELECT \"\"\"a", "Syntax error: Unclosed string literal at [2:10]"),
        ("SELECT 'b', 'c' AS d, r'e' || 'f", "Syntax error: Unclosed string literal at [1:31]"),
        ("SELECT /* a 'b */ 1 /* c", "Syntax error: Unclosed comment at [1:21]"),
        ("SELECT '" + "\\\\" * 3000, "Syntax error: Unclosed string literal at [1:8]"),
        ("SELECT `a", "Syntax error: Unclosed quoted identifier at [1:8]"),
        ("", "Syntax error: Unexpected end of statement at [1:1]"),
        ("  -- nothing", "Syntax error: Unexpected end of statement at [1:1]"),
    ],
)  # fmt: skip
def test_errors_and_their_places(text: str, message: str) -> None:
    with pytest.raises(InvalidArgument) as found:
        parse_script(text)
    assert found.value.message == message


# -- whatever the text

_WORDS = [
    "BEGIN",
    "END",
    "IF",
    "THEN",
    "ELSE",
    "ELSEIF",
    "CASE",
    "WHEN",
    "LOOP",
    "WHILE",
    "DO",
    "REPEAT",
    "UNTIL",
    "FOR",
    "IN",
    "BREAK",
    "LEAVE",
    "CONTINUE",
    "ITERATE",
    "RETURN",
    "RAISE",
    "USING",
    "MESSAGE",
    "EXCEPTION",
    "ERROR",
    "DECLARE",
    "DEFAULT",
    "SET",
    "CALL",
    "EXECUTE",
    "IMMEDIATE",
    "INTO",
    "TRANSACTION",
    "COMMIT",
    "ROLLBACK",
    "ASSERT",
    "AS",
    "SELECT",
    "FROM",
    "WHERE",
    "CREATE",
    "TEMP",
    "TABLE",
    "FUNCTION",
    "PROCEDURE",
    "REPLACE",
    "OR",
    "INT64",
    "STRING",
    "ARRAY",
    "STRUCT",
    "x",
    "y",
    "l",
    "l:",
    "a.b",
    "`q`",
    "1",
    "2.5",
    "'s'",
    '"t"',
    "(",
    ")",
    "[",
    "]",
    "<",
    ">",
    ",",
    ".",
    ";",
    ";",
    ";",
    "=",
    "+",
    "-",
    "*",
    "/",
    "?",
    "@p",
    "@@row_count",
    "@@error.message",
    "--",
    "/*",
    "*/",
    "#",
    "\n",
    "NULL",
    "TRUE",
    "AND",
    "NOT",
]

_STATEMENTS = st.recursive(
    st.sampled_from(
        ["SELECT 1", "SET x = x + 1", "DECLARE y INT64", "BREAK", "RETURN", "RAISE", "CALL p(x)", "SELECT (", "SET",
         "EXECUTE IMMEDIATE 'SELECT 1' INTO x", "INSERT INTO t VALUES (1)", "CREATE TEMP FUNCTION f() AS (1)", "LEAVE l"]
    ),
    lambda inner: st.builds(
        lambda form, body: form.format("".join(f"{each};\n" for each in body)),
        st.sampled_from(
            ["BEGIN {}END", "IF x THEN {}END IF", "IF x THEN {}ELSE SELECT 2; END IF", "LOOP {}END LOOP",
             "l: WHILE x DO {}END WHILE l", "REPEAT {}UNTIL x END REPEAT", "FOR r IN (SELECT 1) DO {}END FOR",
             "CASE x WHEN 1 THEN {}END CASE", "BEGIN {}EXCEPTION WHEN ERROR THEN RAISE; END",
             "CREATE PROCEDURE p() BEGIN {}END"]
        ),
        st.lists(inner, max_size=3),
    ),
    max_leaves=12,
)  # fmt: skip


def _read(text: str) -> None:
    """Parse a text: nodes whose places lie in it, or an error that the caller is told."""
    try:
        script = parse_script(text)
    except TuleError as error:
        assert error.message
        return
    last = 0
    for each in script.statements:
        assert last <= each.start < each.end <= len(text)
        last = each.end
        assert script.source(each).strip() == script.source(each)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(_WORDS), max_size=30).map(" ".join))
def test_any_words(text: str) -> None:
    _read(text)


@settings(max_examples=200, deadline=None)
@given(st.lists(_STATEMENTS, min_size=1, max_size=4).map(";\n".join))
def test_any_statements(text: str) -> None:
    _read(text)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_any_text(text: str) -> None:
    _read(text)


@settings(max_examples=100, deadline=None)
@given(st.lists(_STATEMENTS, min_size=1, max_size=3).map(";\n".join), st.integers(0, 400), st.text(max_size=3))
def test_statements_with_something_broken(text: str, at: int, put: str) -> None:
    at = min(at, len(text))
    _read(text[:at] + put + text[at + len(put) :])
