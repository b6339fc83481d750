"""The table of functions: each one that is done has a pair, each one that is refused is refused by its name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tule.bigquery.sql.functions import FUNCTIONS
from tule.bigquery.sql.functions.builders import BUILDERS
from tule.bigquery.sql.functions.signatures import read
from tule.bigquery.sql.kinds import FLOAT64, INT64, STRING, NoSupertype, common, fits, parsed

_PAIRS = "\n".join(path.read_text() for path in sorted(Path(__file__).parent.glob("*.sql"))).upper()


def test_every_function_that_is_done_has_a_pair() -> None:
    done = [function.name for function in FUNCTIONS.values() if not function.refused]
    assert [name for name in done if not re.search(rf"\b{re.escape(name)}\b", _PAIRS)] == []


def test_every_family_that_is_refused_says_why() -> None:
    assert all(function.refused or function.signatures for function in FUNCTIONS.values())


def test_every_builder_is_there_and_is_called() -> None:
    wanted = {each.engine[1:] for f in FUNCTIONS.values() for each in f.signatures if each.engine.startswith("@")}
    assert wanted == set(BUILDERS)


@pytest.mark.parametrize(
    ("kinds", "wanted"),
    [
        ([(INT64, False)], "INT64"),
        ([(INT64, False), (FLOAT64, False)], "FLOAT64"),
        ([(parsed("NUMERIC"), False), (FLOAT64, True)], "NUMERIC"),
        ([(parsed("NUMERIC"), False), (FLOAT64, False)], "FLOAT64"),
        ([(parsed("DATE"), False), (STRING, True)], "DATE"),
        ([(parsed("ARRAY<INT64>"), False), (parsed("ARRAY<FLOAT64>"), False)], "ARRAY<FLOAT64>"),
        ([(None, False), (INT64, False)], "None"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_supertypes(kinds: list[tuple[object, bool]], wanted: str) -> None:
    assert str(common(kinds)) == wanted  # type: ignore[arg-type]


@pytest.mark.parametrize("pair", [("INT64", "STRING"), ("DATE", "TIMESTAMP"), ("ARRAY<INT64>", "INT64")])
def test_types_without_a_supertype(pair: tuple[str, str]) -> None:
    a, b = (parsed(each) for each in pair)
    with pytest.raises(NoSupertype, match="No common supertype"):
        common([(a, False), (b, False)])


def test_only_a_constant_text_becomes_a_date() -> None:
    assert fits(STRING, parsed("DATE"), literal=True) is not None
    assert fits(STRING, parsed("DATE")) is None


def test_signatures_are_read_with_optional_repeated_and_named_arguments() -> None:
    (function,) = read("f", "F(STRING, [n => INT64], [ANY...]) ARRAY<STRING> = engine::").values()
    (signature,) = function.signatures
    assert str(signature) == "F(STRING, [n => INT64], [ANY, ...])"
    assert (signature.engine, signature.casts) == ("engine", True)
    assert signature.match([(STRING, False)]) is not None
    assert signature.match([(STRING, False), (INT64, False), (None, False), (INT64, False)]) is not None
    assert signature.match([]) is None
    assert signature.match([(INT64, False)]) is None
