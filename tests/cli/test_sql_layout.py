"""Cells as text and JSON, tables fitted to a screen, where statements end, where errors point."""

from __future__ import annotations

import doctest
import io
import json

import pytest

import tule.cli.sql.scanner
import tule.cli.sql.values
from tule.cli.sql.faults import shown
from tule.cli.sql.formats import write_csv, write_json, write_table
from tule.cli.sql.layout import Column, Screen, lines
from tule.cli.sql.progress import progress_of
from tule.cli.sql.scanner import is_ended, statements
from tule.cli.sql.values import json_value, text
from tule.kernel.errors import InvalidArgument


@pytest.mark.parametrize("module", [tule.cli.sql.values, tule.cli.sql.scanner], ids=["values", "scanner"])
def test_examples(module: object) -> None:
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]


PROBS = {
    "name": "probs",
    "type": "RECORD",
    "mode": "REPEATED",
    "fields": [{"name": "label", "type": "STRING"}, {"name": "prob", "type": "FLOAT"}],
}
PROBS_CELL = [{"v": {"f": [{"v": 'a "b"'}, {"v": "0.25"}]}}, {"v": {"f": [{"v": None}, {"v": "NaN"}]}}]


@pytest.mark.parametrize(
    ("kind", "cell", "read", "value"),
    [
        ("INTEGER", "12", "12", 12),
        ("INTEGER", "-9007199254740993", "-9007199254740993", "-9007199254740993"),
        ("FLOAT", "1.5", "1.5", 1.5),
        ("FLOAT", "-Infinity", "-Infinity", "-Infinity"),
        ("NUMERIC", "0.1", "0.1", 0.1),
        ("BIGNUMERIC", "0.12345678901234567890123", "0.12345678901234567890123", "0.12345678901234567890123"),
        ("BOOLEAN", "true", "true", True),
        ("STRING", "", "", ""),
        ("BYTES", "YWJj", "YWJj", "YWJj"),
        ("DATE", "2024-02-29", "2024-02-29", "2024-02-29"),
        ("TIMESTAMP", "-62135596800000000", "0001-01-01 00:00:00 UTC", "0001-01-01T00:00:00Z"),
        ("TIMESTAMP", "1700000000123450", "2023-11-14 22:13:20.123450 UTC", "2023-11-14T22:13:20.123450Z"),
        ("JSON", '{"a": [1, null]}', '{"a": [1, null]}', {"a": [1, None]}),
        ("INTERVAL", "0-1 2 0:0:0", "0-1 2 0:0:0", "0-1 2 0:0:0"),
    ],
)
def test_scalars(kind: str, cell: str, read: str, value: object) -> None:
    field = {"name": "x", "type": kind, "mode": "NULLABLE"}
    assert text(field, cell) == read
    made = json_value(field, cell)
    assert (made, type(made)) == (value, type(value))
    assert text(field, None) is None and json_value(field, None) is None


def test_nested_values() -> None:
    assert text(PROBS, PROBS_CELL) == '[{label: "a \\"b\\"", prob: 0.25}, {label: NULL, prob: NaN}]'
    assert json_value(PROBS, PROBS_CELL) == [{"label": 'a "b"', "prob": 0.25}, {"label": None, "prob": "NaN"}]
    assert text(PROBS, []) == "[]"


def test_csv_tells_null_from_the_empty_string_and_quotes_what_needs_it() -> None:
    fields = [{"name": name, "type": "STRING"} for name in ("a", "b", "with, comma")]
    out = io.StringIO()
    assert write_csv([*fields, PROBS], [["", None, 'x,"y"\nz', PROBS_CELL[:1]]], out) == 1
    assert out.getvalue() == (
        'a,b,"with, comma",probs\n"",,"x,""y""\nz","[{""label"": ""a \\""b\\"""", ""prob"": 0.25}]"\n'
    )


@pytest.mark.parametrize("count", [0, 1, 3])
def test_json_is_an_array_whatever_the_count(count: int) -> None:
    out = io.StringIO()
    assert write_json([{"name": "x", "type": "INTEGER"}], [[str(n)] for n in range(count)], out) == count
    assert json.loads(out.getvalue()) == [{"x": n} for n in range(count)]


COLUMNS = [Column("n", True), Column("text", False)]


def table(rows: list[list[str | None]], width: int | None = None, columns: list[Column] = COLUMNS) -> list[str]:
    return list(lines(columns, rows, Screen(width)))


def test_a_table_sets_numbers_right_and_text_left() -> None:
    assert table([["1", "a"], ["100", None], [None, "bcd"]]) == [
        "   n  text",
        "────  ────",
        "   1  a",
        " 100  NULL",
        "NULL  bcd",
    ]
    assert table([]) == ["n  text", "─  ────"]


def test_widths_are_those_of_the_screen() -> None:
    assert table([["1", "日本"], ["2", "e\u0301"]])[2:] == ["1  日本", "2  e\u0301"]
    narrow = table([["1", "日本語" * 6]], width=20)
    assert narrow[2] == "1  日本語日本語日本…"


def test_a_table_too_wide_is_narrowed_where_text_is() -> None:
    made = table([["123456789", "x" * 50]], width=40)
    assert made[2] == "123456789  " + "x" * 28 + "…"
    assert max(len(line) for line in made) == 40
    assert table([["123456789", "x" * 50]])[2].endswith("x" * 50)


def test_a_table_far_too_wide_is_turned() -> None:
    columns = [Column(f"column_{n}", False) for n in range(6)]
    made = table([["v" * 20, "two\nlines", "w" * 70, None, "", "x"]], width=60, columns=columns)
    assert made[0].startswith("── row 1 ──")
    assert made[1:] == [
        "column_0  " + "v" * 20,
        "column_1  two",
        "          lines",
        "column_2  " + "w" * 50,
        "          " + "w" * 20,
        "column_3  NULL",
        "column_4",
        "column_5  x",
    ]


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert table([["1", "a\tb\nc\x1b[2J\u2028"]])[2] == "1  a\\tb\\nc\\x1b[2J\\u2028"
    turned = table([["1", "\x1b]0;title\x07" + "y" * 90]], width=20)
    assert not any("\x1b" in line or "\x07" in line for line in turned)


def test_null_is_set_apart_from_the_word_on_a_screen_with_styles() -> None:
    made = list(lines([Column("s", False)], [["NULL"], [None]], Screen(80, styled=True)))
    assert made[2:] == ["NULL", "\x1b[2mNULL\x1b[0m"]


def test_write_table_takes_cells_of_the_api() -> None:
    out = io.StringIO()
    assert write_table([{"name": "t", "type": "TIMESTAMP"}, PROBS], [["0", []]], out) == 1
    assert out.getvalue().splitlines()[2] == "1970-01-01 00:00:00 UTC  []"


@pytest.mark.parametrize(
    ("sql", "count", "ended"),
    [
        ("", 0, False),
        (" -- only; a comment\n", 0, False),
        ("SELECT 1", 1, False),
        ("SELECT 1;", 1, True),
        ("SELECT 1; -- why;\n# not\n/* ; */", 1, True),
        ("SELECT 1; SELECT 2", 2, False),
        (";;SELECT 1;;", 1, True),
        ("SELECT 'a;b', \"c;\", `d;e`;", 1, True),
        ("SELECT 'it\\'s; so'", 1, False),
        ("SELECT r'\\';", 1, True),
        ("SELECT '''a;\n'b';\n''';", 1, True),
        ("SELECT '''a;", 1, False),
        ("SELECT 1 /* open ;", 1, False),
        ('SELECT """x""" AS y;', 1, True),
        ("SELECT a-1;", 1, True),
    ],
)
def test_where_statements_end(sql: str, count: int, ended: bool) -> None:
    assert (statements(sql), is_ended(sql)) == (count, ended)


@pytest.mark.parametrize(
    ("message", "sql", "line", "mark"),
    [
        ('Syntax error: Unexpected "x" at [2:3]', "a\n\tbx", "   2 |  bx", "         ^"),
        ("Unrecognized name: foo", "SELECT food,\n  foo FROM t", "   2 |   foo FROM t", "         ^"),
        ("Unrecognized name: foo", "SELECT foo, foo", None, None),
        ("division by zero: 1 / 0", "SELECT 1/0", None, None),
        ("Something at [7:1]", "SELECT 1", None, None),
        ("Ends at [1:99]", "SELECT (", "   1 | SELECT (", "               ^"),
    ],
)
def test_an_error_points_at_its_place(message: str, sql: str, line: str | None, mark: str | None) -> None:
    made = shown(InvalidArgument(message), sql)
    assert made[0] == f"Error: {message}"
    assert made[1:] == ([] if line is None else [line, mark])


def test_an_error_in_a_long_line_shows_the_part_around_it() -> None:
    sql = "SELECT " + "x, " * 200 + "nonsense y, " + "z, " * 200
    column = sql.index("nonsense") + 1
    _, line, mark = shown(InvalidArgument(f"Unexpected at [1:{column}]"), sql)
    assert len(line) < 180
    assert line[mark.index("^") :].startswith("nonsense y")


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({}, None),
        ({"hparamTrials": [{"trialId": "1", "status": "NOT_STARTED"}] * 5}, ("trial 1 of 5", 0, 5)),
        (
            {
                "hparamTrials": [
                    {"trialId": "1", "status": "SUCCEEDED"},
                    {"trialId": "2", "status": "INFEASIBLE"},
                    {"trialId": "3", "status": "RUNNING"},
                    {"trialId": "4", "status": "RUNNING"},
                    {"trialId": "5", "status": "NOT_STARTED"},
                ]
            },
            ("trial 4 of 5", 2, 5),
        ),
        (
            {"maxIterations": "20", "iterationResults": [{"index": 0, "trainingLoss": 0.25}]},
            ("iteration 1 of 20, loss 0.25", 1, 20),
        ),
    ],
    ids=["nothing", "trials to come", "trials", "iterations"],
)
def test_how_far_a_training_is(told: dict[str, object], words: tuple[str, float, float] | None) -> None:
    class Training:
        training = told
        statistics: dict[str, object] = {}

    assert progress_of(Training()) == words  # type: ignore[arg-type]
