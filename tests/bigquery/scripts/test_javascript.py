"""Functions in JavaScript: values both ways, errors, limits, libraries; their programs are gone when the query is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from tests.bigquery.conftest import PROJECT

from tule.bigquery.jobs import Job
from tule.bigquery.references import JobReference
from tule.engines.javascript import Limits, QuickJs

if TYPE_CHECKING:
    from tests.bigquery.conftest import BigQueryApi


def workers() -> list[psutil.Process]:
    """The processes of programs that this process has started."""
    return [each for each in psutil.Process().children() if "javascript.worker" in " ".join(each.cmdline())]


@pytest.fixture(autouse=True)
def _nothing_stays() -> Iterator[None]:
    yield
    assert workers() == []


def call(api: BigQueryApi, head: str, body: str, query: str) -> Any:
    """The rows of ``query`` with a function ``f`` of this head and body."""
    return api.rows(f'CREATE TEMP FUNCTION f{head} LANGUAGE js AS r"""{body}""";\n{query}')


def call_error(api: BigQueryApi, head: str, body: str, query: str = "SELECT f()") -> str:
    text = f'CREATE TEMP FUNCTION f{head} LANGUAGE js AS r"""{body}""";\n{query}'
    return str(api.query_error(text)["message"])


# -- values


def test_what_a_body_is_given(api: BigQueryApi) -> None:
    [[text]] = call(
        api,
        "(a STRING, b BYTES, c DATE, d TIMESTAMP, e JSON, g ARRAY<STRUCT<x FLOAT64, y STRING>>, h BOOL) RETURNS STRING",
        "return JSON.stringify([a, b, c, d, d.microsecond, e, g, h]);",
        "SELECT f('é', b'xy', DATE '2024-01-02', TIMESTAMP '2024-01-02 03:04:05.123456+00', JSON '{\"a\": [1, null]}', "
        "[STRUCT(1.5 AS x, 'u' AS y)], TRUE)",
    )
    assert text == (
        '["é","eHk=","2024-01-02T00:00:00.000Z","2024-01-02T03:04:05.123Z",456,{"a":[1,null]},[{"x":1.5,"y":"u"}],true]'
    )


def test_numbers_of_a_body(api: BigQueryApi) -> None:
    [row] = call(
        api,
        "(x NUMERIC) RETURNS STRING",
        "return typeof x + ' ' + x",
        "SELECT f(12), f(NUMERIC '12.5'), f(NUMERIC '9007199254740993'), f(NUMERIC '-0')",
    )
    assert row == ["number 12", "string 12.5", "string 9007199254740993", "number 0"]
    [row] = call(
        api,
        "(x FLOAT64) RETURNS STRING",
        "return String(x)",
        "SELECT f(0.1), f(CAST('NaN' AS FLOAT64)), f(CAST('-inf' AS FLOAT64)), f(1e300)",
    )
    assert row == ["0.1", "NaN", "-Infinity", "1e+300"]


def test_nulls(api: BigQueryApi) -> None:
    [row] = call(
        api,
        "(s STRING, a ARRAY<STRING>, r STRUCT<x FLOAT64>) RETURNS STRING",
        "return JSON.stringify([s, a, r])",
        "SELECT f(NULL, NULL, NULL), f('x', [], STRUCT(CAST(NULL AS FLOAT64)))",
    )
    assert row == ["[null,[],null]", '["x",[],{"x":null}]']


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("INT64", "'12'", "12"),
        ("INT64", "2 ** 53", "9007199254740992"),
        ("INT64", "'9223372036854775807'", "9223372036854775807"),
        ("INT64", "12345678901234567890n / 2n", "6172839450617283945"),
        ("FLOAT64", "1 / 3", "0.3333333333333333"),
        ("FLOAT64", "1 / 0", "Infinity"),
        ("FLOAT64", "'2.5'", "2.5"),
        ("NUMERIC", "'1.2345678915'", "1.234567892"),
        ("NUMERIC", "0.5", "0.5"),
        ("BOOL", "''", "false"),
        ("STRING", "12.5", "12.5"),
        ("STRING", "'\\ud800!'", "\ufffd!"),
        ("BYTES", "'eHk='", "eHk="),
        ("DATE", "new Date(Date.UTC(2024, 1, 29, 23))", "2024-02-29"),
        ("DATE", "'2024-02-29'", "2024-02-29"),
        ("TIMESTAMP", "Object.assign(new Date(1500), {microsecond: 7})", "1500007"),
        ("TIMESTAMP", "new Date(-1)", "-1000"),
        ("JSON", "({b: 1, a: [null, 'x']})", '{"b":1,"a":[null,"x"]}'),
        ("ARRAY<INT64>", "[1, '2']", ["1", "2"]),
        ("ARRAY<STRING>", "new Set(['a'])", ["a"]),
        ("ARRAY<STRING>", "null", []),
        ("STRUCT<a INT64, b ARRAY<STRING>>", "({a: 1, b: ['x'], c: 2})", ["1", ["x"]]),
        ("STRUCT<a INT64, b STRING>", "({})", [None, None]),
        ("STRING", "undefined", None),
        ("STRING", "Promise.resolve('later')", "later"),
        ("STRING", "(async () => { await null; return 'much later'; })()", "much later"),
    ],
)
def test_what_a_body_returns(api: BigQueryApi, kind: str, value: str, expected: Any) -> None:
    text = f'CREATE TEMP FUNCTION f() RETURNS {kind} LANGUAGE js AS r"""return {value};""";\nSELECT f()'
    assert api.rows(text, formatOptions={"useInt64Timestamp": True}) == [[expected]]


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("INT64", "1.5", "Failed to coerce output value 1.5 to type INT64"),
        ("INT64", "'9223372036854775808'", 'Failed to coerce output value "9223372036854775808" to type INT64: int64'),
        ("FLOAT64", "'abc'", 'Failed to coerce output value "abc" to type FLOAT64'),
        ("FLOAT64", "({})", "Failed to coerce output value {} to type FLOAT64"),
        ("NUMERIC", "'abc'", 'Failed to coerce output value "abc" to type NUMERIC'),
        ("NUMERIC", "1e40", "Failed to coerce output value"),
        ("BYTES", "'%'", 'Failed to coerce output value "%" to type BYTES: not base64'),
        ("DATE", "5", "Failed to coerce output value 5 to type DATE"),
        ("DATE", "new Date(8.64e15)", "Failed to coerce output value 8640000000000000 to type DATE"),
        ("TIMESTAMP", "new Date(NaN)", 'Failed to coerce output value "Invalid Date" to type TIMESTAMP'),
        ("ARRAY<INT64>", "5", "Failed to coerce output value 5 to type ARRAY<INT64>"),
        ("STRUCT<a INT64>", "'x'", 'Failed to coerce output value "x" to type STRUCT<a INT64>'),
        ("STRING", "Promise.reject(new Error('no'))", "Error: no at f() line 1"),
        ("STRING", "new Promise(() => {})", "The promise was never settled"),
    ],
)
def test_what_a_body_cannot_return(api: BigQueryApi, kind: str, value: str, message: str) -> None:
    assert message in call_error(api, f"() RETURNS {kind}", f"return {value};")


# -- in queries


def test_rows_aggregates_and_functions_of_functions(api: BigQueryApi) -> None:
    api.query("CREATE OR REPLACE FUNCTION d.shout(s STRING) RETURNS STRING LANGUAGE js AS 'return s + \"!\";'")
    api.query("CREATE OR REPLACE FUNCTION d.twice(s STRING) AS (d.shout(d.shout(s)))")
    assert api.rows(
        "SELECT d.twice(x), COUNT(*) FROM UNNEST(['a', 'b', 'a']) AS x WHERE d.shout(x) != 'c!' "
        "GROUP BY d.twice(x) HAVING MAX(d.shout(x)) IS NOT NULL ORDER BY 1"
    ) == [["a!!", "2"], ["b!!", "1"]]
    assert api.rows("SELECT SUM(LENGTH(d.shout(CAST(x AS STRING)))) FROM UNNEST(GENERATE_ARRAY(1, 5000)) AS x") == [
        ["23893"]
    ]


def test_arguments_are_taken_for_their_types(api: BigQueryApi) -> None:
    assert call(api, "(x FLOAT64) RETURNS FLOAT64", "return x / 2", "SELECT f(3), f(NUMERIC '5')") == [["1.5", "2.5"]]
    assert "No matching signature for function f" in call_error(api, "(x FLOAT64) RETURNS FLOAT64", "", "SELECT f('a')")


def test_a_script_and_a_session_use_them(api: BigQueryApi) -> None:
    assert api.rows(
        "CREATE TEMP FUNCTION f(x FLOAT64) RETURNS FLOAT64 LANGUAGE js AS 'return x + 1;';"
        "CREATE TEMP TABLE t AS SELECT f(1) AS x; UPDATE t SET x = f(x) WHERE f(x) > 0; SELECT f(x) FROM t;"
    ) == [["4.0"]]


def test_a_dry_run_starts_no_program(api: BigQueryApi) -> None:
    text = 'CREATE TEMP FUNCTION f() RETURNS DATE LANGUAGE js AS "while (true) {}"; SELECT f() AS day'
    job = api.ok("POST", "jobs", {"configuration": {"dryRun": True, "query": {"query": text, "useLegacySql": False}}})
    [field] = job["statistics"]["query"]["schema"]["fields"]
    assert (field["name"], field["type"]) == ("day", "DATE")


# -- libraries


def put(api: BigQueryApi, name: str, text: str | bytes) -> str:
    api.app.objects.put("scripts", name, [text.encode() if isinstance(text, str) else text], content_type="text/plain")
    return f"gs://scripts/{name}"


def test_libraries_come_before_the_body(api: BigQueryApi) -> None:
    api.app.objects.buckets.create(PROJECT, "scripts")
    first = put(api, "first.js", "const base = 40; function plus(x) { return base + x; }")
    second = put(api, "second.js", "function twice(x) { return plus(x) * 2; }")
    query = (
        f"CREATE TEMP FUNCTION f(x FLOAT64) RETURNS FLOAT64 LANGUAGE js OPTIONS (library = ['{first}', '{second}']) "
        "AS 'return twice(x);'; SELECT f(1)"
    )
    assert api.rows(query) == [["82.0"]]
    assert "Not found: URI gs://scripts/none.js" in api.query_error(query.replace("second.js", "none.js"))["message"]
    put(api, "second.js", "function (")
    assert "SyntaxError" in api.query_error(query)["message"]
    put(api, "second.js", b"\xff\xfe")
    assert "must be text in UTF-8" in api.query_error(query)["message"]
    error = api.query_error(query.replace("gs://scripts/first.js", "file:///etc/passwd"))
    assert "must be at gs://bucket/object; given: 'file:///etc/passwd'" in error["message"]


# -- what fails


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("\n  throw new TypeError('boom');", "TypeError: boom at f() line 2, columns 1"),
        ("throw 'plain'", "Uncaught plain at f()"),
        ("return nothing;", "ReferenceError: nothing is not defined at f() line 1"),
        ("return ((", "SyntaxError: "),
        ("return 1; } function g() { return 2;", "SyntaxError: "),
        ("function r() { return r() + 1; } return r();", "RangeError: Maximum call stack size exceeded"),
        ("return require('fs')", "ReferenceError: require is not defined"),
        ("return std.open('/etc/passwd')", "ReferenceError: std is not defined"),
        ("return import('os')", "Error: "),
        ("return fetch('http://127.0.0.1')", "ReferenceError: fetch is not defined"),
    ],
)
def test_errors_of_a_body(api: BigQueryApi, body: str, message: str) -> None:
    assert message in call_error(api, "() RETURNS STRING", body)


@pytest.mark.parametrize(
    ("arguments", "rest", "call", "message"),
    [
        ("x INT64", "RETURNS STRING", "1", "INT64 is not supported as the type of an argument"),
        ("x STRUCT<a ARRAY<INT64>>", "RETURNS STRING", "NULL", "INT64 is not supported"),
        ("x DATETIME", "RETURNS STRING", "NULL", "An argument of type DATETIME of a JavaScript function"),
        ("", "RETURNS TIME", "", "A JavaScript function that returns TIME"),
        ("", "", "", "must have a RETURNS clause"),
        ("x ANY TYPE", "RETURNS STRING", "1", "The arguments of a JavaScript function must have types"),
        ("", "RETURNS STRING LANGUAGE js AS (1) --", "", "Expected string literal"),
    ],
)
def test_functions_that_cannot_be(api: BigQueryApi, arguments: str, rest: str, call: str, message: str) -> None:
    head = f"({arguments}) {rest} LANGUAGE js AS 'return 1'"
    assert message in api.query_error(f"CREATE FUNCTION d.f{head}")["message"]
    assert api.error("GET", "datasets/d/routines/f")["code"] == 404
    assert message in api.query_error(f"CREATE TEMP FUNCTION f{head}\n; SELECT f({call})")["message"]


def test_windows_have_no_order_by_what_may_differ(api: BigQueryApi) -> None:
    query = "SELECT x, ROW_NUMBER() OVER (ORDER BY f(x)) FROM UNNEST([1.0, 2.0]) AS x ORDER BY 1"
    assert call(api, "(x FLOAT64) RETURNS FLOAT64 DETERMINISTIC", "return -x", query) == [["1.0", "2"], ["2.0", "1"]]
    assert "declare the JavaScript function DETERMINISTIC" in call_error(
        api, "(x FLOAT64) RETURNS FLOAT64", "return -x", query
    )


def test_without_an_engine_they_are_refused_by_name(api: BigQueryApi) -> None:
    routines = api.warehouse.routines
    engine, routines.javascript = routines.javascript, None
    try:
        error = api.query_error("CREATE TEMP FUNCTION f() RETURNS STRING LANGUAGE js AS 'return 1'; SELECT f()")
    finally:
        routines.javascript = engine
    assert (error["code"], error["reason"]) == (501, "notImplemented")
    assert "install tule[javascript]" in error["message"]


def test_cancelling_ends_the_program(api: BigQueryApi) -> None:
    text = "CREATE TEMP FUNCTION f() RETURNS STRING LANGUAGE js AS 'while (true) {}'; SELECT f()"
    job = api.ok("POST", "jobs", {"configuration": {"query": {"query": text, "useLegacySql": False}}})
    name = job["jobReference"]["jobId"]
    while not workers():
        running = api.warehouse.jobs.find(JobReference(PROJECT, name))
        assert isinstance(running, Job) and not running.done
    api.ok("POST", f"jobs/{name}/cancel")
    assert api.ended(name)["status"]["errorResult"]["reason"] == "stopped"


# -- the engine alone


@pytest.fixture
def opened() -> Iterator[Callable[..., Any]]:
    made: list[Any] = []

    def open_(*sources: str, **limits: Any) -> Any:
        made.append(QuickJs(Limits(**limits)).open(sources))
        return made[-1]

    yield open_
    for each in made:
        each.close()


def test_a_program_answers_in_order(opened: Callable[..., Any]) -> None:
    program = opened("let n = 0", "(text) => `${text} ${++n}`")
    assert program.answer(["a", "b"]) == ["a 1", "b 2"]
    assert program.answer(["c"]) == ["c 3"]
    assert program.answer([]) == []


@pytest.mark.parametrize(
    ("source", "limits", "message"),
    [
        (
            "(text) => { while (true) {} }",
            {"seconds": 0.3},
            "must answer in time; given: it computed longer than 0.3 s",
        ),
        ("(text) => Promise.resolve().then(() => { while (true) {} }) && ''", {"seconds": 0.3}, "must answer in time"),
        ("while (true) {}", {"seconds": 0.3}, "must answer in time"),
        (
            "(text) => { const a = []; while (true) a.push('x'.repeat(10000) + a.length); }",
            {"memory": 2**24},
            "its values take more than 16 MiB",
        ),
    ],
    ids=["loop", "promise", "at its start", "memory"],
)
def test_limits(opened: Callable[..., Any], source: str, limits: dict[str, Any], message: str) -> None:
    program = opened(source, **limits)
    with pytest.raises(Exception, match="A JavaScript function must") as found:
        program.answer(["x"])
    assert message in str(found.value)
    assert workers() == []


def test_a_program_that_was_stopped_does_not_come_back(opened: Callable[..., Any]) -> None:
    program = opened("(text) => text")
    assert program.answer(["x"]) == ["x"]
    program.stop()
    with pytest.raises(Exception, match="The JavaScript function was stopped"):
        program.answer(["x"])


def test_a_killed_process_is_told(opened: Callable[..., Any]) -> None:
    program = opened("(text) => text")
    program.answer(["x"])
    [process] = workers()
    process.kill()
    with pytest.raises(Exception, match="must stay within its memory; given: its process ended"):
        program.answer(["x"])


def test_the_process_is_locked_in(opened: Callable[..., Any]) -> None:
    opened("(text) => text").answer(["x"])
    [process] = workers()
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    assert (status["Seccomp"], status["NoNewPrivs"]) == ("2", "1")
    assert process.environ().keys() <= {"PATH", "PYTHONDONTWRITEBYTECODE", "TZ", "LC_ALL"}
