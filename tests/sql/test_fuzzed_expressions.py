"""Random expressions over typed columns, against a reading of the reference in Python: three-valued logic, NaN, structs."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.sql.test_pairs import PROJECT, Warehouse

Row = dict[str, Any]
Made = tuple[str, Callable[[Row], Any]]
"""An expression as SQL and as a function of a row."""

NAN, INFINITY = math.nan, math.inf
ROWS: list[Row] = [
    {"i": 0, "j": None, "f": NAN, "g": 1.5, "s": "a", "u": None, "b": True, "c": None},
    {"i": None, "j": 2, "f": 1.5, "g": NAN, "s": "", "u": "a", "b": False, "c": True},
    {"i": 7, "j": -3, "f": None, "g": NAN, "s": "ab", "u": "%", "b": None, "c": False},
    {"i": -3, "j": -3, "f": INFINITY, "g": None, "s": None, "u": "b", "b": True, "c": True},
    {"i": 2, "j": 7, "f": -0.5, "g": -INFINITY, "s": "Ä", "u": "", "b": False, "c": False},
    {"i": None, "j": None, "f": None, "g": None, "s": None, "u": None, "b": None, "c": None},
]
COLUMNS = {"INT64": "ij", "FLOAT64": "fg", "STRING": "su", "BOOL": "bc"}
CONSTANTS: dict[str, list[Any]] = {
    "INT64": [0, 2, 7],
    "FLOAT64": [0.0, 1.5],
    "STRING": ["a", "", "%b"],
    "BOOL": [True, False],
}
OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


def written(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else f"CAST('{value}' AS FLOAT64)"
    return repr(value) if isinstance(value, str) else str(value)


def known(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that is NULL as soon as an argument is."""
    return lambda *values: None if any(each is None for each in values) else function(*values)


def both(a: Any, b: Any) -> Any:
    if a is False or b is False:
        return False
    return None if a is None or b is None else True


def either(a: Any, b: Any) -> Any:
    return negated(both(negated(a), negated(b)))


def negated(a: Any) -> Any:
    return None if a is None else not a


def equal(a: Any, b: Any) -> Any:
    if isinstance(a, tuple):
        found: Any = True
        for x, y in zip(a, b, strict=True):
            found = both(found, equal(x, y))
        return found
    return known(operator.eq)(a, b)


def compared(symbol: str, a: Any, b: Any) -> Any:
    ordered = [each.encode() if isinstance(each, str) else each for each in (a, b)]
    return known(OPERATORS[symbol])(*ordered)


def listed(value: Any, values: list[Any]) -> Any:
    found: Any = False
    for each in values:
        found = either(found, equal(value, each))
    return found


def first(values: list[Any]) -> Any:
    return next((each for each in values if each is not None), None)


def chosen(value: Any, branches: list[tuple[Any, Any]], otherwise: Any) -> Any:
    return next((then for when, then in branches if equal(value, when) is True), otherwise)


@st.composite
def expressions(draw: Any, kind: str, depth: int) -> Made:
    if depth == 0 or draw(st.integers(0, 5)) == 0:
        if draw(st.integers(0, 2)):
            name = draw(st.sampled_from(COLUMNS[kind]))
            return name, lambda row: row[name]
        constant = draw(st.sampled_from(CONSTANTS[kind]))
        return written(constant), lambda row: constant

    def part(of: str = kind) -> Made:
        made: Made = draw(expressions(of, depth - 1))
        return made

    form = draw(st.sampled_from(FORMS[kind]))
    return form(part, draw(st.sampled_from(list(COLUMNS))), draw(st.sampled_from(list(OPERATORS))))


Part = Callable[..., Made]
"""Draws a smaller expression, of the same type or of another."""


def _coalesce(part: Part, other: str, symbol: str) -> Made:
    a, b = part(), part()
    return f"COALESCE({a[0]}, {b[0]})", lambda row: first([a[1](row), b[1](row)])


def _nullif(part: Part, other: str, symbol: str) -> Made:
    a, b = part(), part()
    return f"NULLIF({a[0]}, {b[0]})", lambda row: None if equal(a[1](row), b[1](row)) is True else a[1](row)


def _if(part: Part, other: str, symbol: str) -> Made:
    condition, a, b = part("BOOL"), part(), part()
    return f"IF({condition[0]}, {a[0]}, {b[0]})", lambda row: (a if condition[1](row) is True else b)[1](row)


def _case(part: Part, other: str, symbol: str) -> Made:
    value, when, a, b = part(other), part(other), part(), part()
    sql = f"CASE {value[0]} WHEN {when[0]} THEN {a[0]} ELSE {b[0]} END"
    return sql, lambda row: chosen(value[1](row), [(when[1](row), a[1](row))], b[1](row))


def _added(part: Part, other: str, symbol: str) -> Made:
    a, b = part(), part()
    return f"({a[0]} + {b[0]})", lambda row: known(operator.add)(a[1](row), b[1](row))


def _joined(part: Part, other: str, symbol: str) -> Made:
    a, b = part(), part()
    return f"({a[0]} || {b[0]})", lambda row: known(operator.add)(a[1](row), b[1](row))


def _and(part: Part, other: str, symbol: str) -> Made:
    a, b = part(), part()
    return f"({a[0]} AND {b[0]})", lambda row: both(a[1](row), b[1](row))


def _or_not(part: Part, other: str, symbol: str) -> Made:
    a, b = part(), part()
    return f"({a[0]} OR NOT {b[0]})", lambda row: either(a[1](row), negated(b[1](row)))


def _is_null(part: Part, other: str, symbol: str) -> Made:
    a = part(other)
    return f"({a[0]} IS NULL)", lambda row: a[1](row) is None


def _compared(part: Part, other: str, symbol: str) -> Made:
    a, b = part(other), part(other)
    return f"({a[0]} {symbol} {b[0]})", lambda row: compared(symbol, a[1](row), b[1](row))


def _between(part: Part, other: str, symbol: str) -> Made:
    a, b, c = part(other), part(other), part(other)
    return (
        f"({a[0]} BETWEEN {b[0]} AND {c[0]})",
        lambda row: both(compared(">=", a[1](row), b[1](row)), compared("<=", a[1](row), c[1](row))),
    )


def _not_in(part: Part, other: str, symbol: str) -> Made:
    a, b, c = part(other), part(other), part(other)
    return f"({a[0]} NOT IN ({b[0]}, {c[0]}))", lambda row: negated(listed(a[1](row), [b[1](row), c[1](row)]))


def _structs(part: Part, other: str, symbol: str) -> Made:
    a, b, c, d = part(other), part(), part(other), part()

    def value(row: Row) -> Any:
        found = equal((a[1](row), b[1](row)), (c[1](row), d[1](row)))
        return found if symbol == "=" else negated(found)

    return f"(STRUCT({a[0]} AS x, {b[0]} AS y) {'=' if symbol == '=' else '!='} ({c[0]}, {d[0]}))", value


def _struct_in(part: Part, other: str, symbol: str) -> Made:
    a, b, c, d = part(other), part(), part(other), part()
    return (
        f"(({a[0]}, {b[0]}) IN (({c[0]}, {d[0]}), ({a[0]}, {d[0]})))",
        lambda row: listed((a[1](row), b[1](row)), [(c[1](row), d[1](row)), (a[1](row), d[1](row))]),
    )


_ANY = (_coalesce, _nullif, _if, _case)
FORMS: dict[str, tuple[Callable[[Part, str, str], Made], ...]] = {
    "INT64": (*_ANY, _added),
    "FLOAT64": _ANY,
    "STRING": (*_ANY, _joined),
    "BOOL": (*_ANY, _and, _or_not, _is_null, _compared, _compared, _between, _not_in, _structs, _struct_in),
}


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    made = Warehouse(tmp_path_factory.mktemp("fuzzed"))
    columns = ", ".join(f"{name} {kind}" for kind, names in COLUMNS.items() for name in names)
    values = ", ".join(f"({index}, {', '.join(map(written, row.values()))})" for index, row in enumerate(ROWS))
    for sql in ("CREATE SCHEMA d", f"CREATE TABLE d.t (id INT64, {columns})", f"INSERT INTO d.t VALUES {values}"):
        answered(made, sql)
    yield made
    made.close()


def answered(warehouse: Warehouse, sql: str) -> list[list[Any]]:
    body = {"query": sql, "useLegacySql": False, "timeoutMs": 60_000}
    found = warehouse._warehouse.requests.query(PROJECT, body, warehouse._principal)
    return [[cell["v"] for cell in row["f"]] for row in found.get("rows", ())]


def shown(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return None if value is None else str(value).lower()
    return repr(value + 0.0) if isinstance(value, float) else str(value)


def read(value: Any, kind: str) -> Any:
    return value if value is None or kind != "FLOAT64" else repr(float(value) + 0.0)


often = settings(
    max_examples=25, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip


def test_values(warehouse: Warehouse) -> None:
    @often
    @given(st.tuples(*(expressions(kind, 2) for kind in COLUMNS)))
    def try_it(made: tuple[Made, ...]) -> None:
        sql = ", ".join(f"{text} AS v{index}" for index, (text, _) in enumerate(made))
        found = answered(warehouse, f"SELECT {sql} FROM d.t ORDER BY id")
        assert [[read(v, kind) for v, kind in zip(row, COLUMNS, strict=True)] for row in found] == [
            [shown(value(row)) for _, value in made] for row in ROWS
        ], sql

    try_it()


def test_conditions(warehouse: Warehouse) -> None:
    @often
    @given(expressions("BOOL", 3))
    def try_it(made: Made) -> None:
        text, value = made
        kept = [str(index) for index, row in enumerate(ROWS) if value(row) is True]
        dropped = [str(index) for index, row in enumerate(ROWS) if value(row) is False]
        assert answered(warehouse, f"SELECT id FROM d.t WHERE {text} ORDER BY id") == [[each] for each in kept], text
        assert answered(warehouse, f"SELECT id FROM d.t WHERE NOT {text} ORDER BY id") == [[e] for e in dropped], text

    try_it()


def test_groups(warehouse: Warehouse) -> None:
    @often
    @given(expressions("STRING", 2), expressions("INT64", 2))
    def try_it(key: Made, number: Made) -> None:
        expected: dict[Any, int | None] = {}
        for row in ROWS:
            value, total = number[1](row), expected.get(key[1](row))
            expected[key[1](row)] = total if value is None else (total or 0) + value
        found = answered(warehouse, f"SELECT {key[0]} AS k, SUM({number[0]}) AS n FROM d.t GROUP BY k")
        assert dict(found) == {k: shown(v) for k, v in expected.items()}, (key[0], number[0])

    try_it()
