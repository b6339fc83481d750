"""The filter language of List methods (https://google.aip.dev/160)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tule.kernel.errors import InvalidArgument, TuleError, Unimplemented
from tule.kernel.records import Filter, Records

BODY: dict[str, Any] = {
    "displayName": "Penguin species (v2)",
    "state": "JOB_STATE_RUNNING",
    "labels": {"env": "prod", "my_key": "x", "a b": "spaced", "a.b": "dotted", "empty": ""},
    "tags": ["red", "blue"],
    "sizeBytes": "9007199254740993",
    "trafficSplit": {"0": 90, "17": 10},
    "score": 0.5,
    "enabled": True,
    "createTime": "2026-03-01T12:00:00Z",
    "ttl": "90s",
    "spec": {"machineSpec": {"machineType": "n1-standard-2", "count": 3}, "empty": {}},
    "deployedModels": [{"id": "1", "model": "a/models/1"}, {"id": "2", "model": "a/models/2"}],
    "nothing": None,
    "version": "1.2.3",
}

TRUE = [
    "",
    "   ",
    # equality and its readings
    'state = "JOB_STATE_RUNNING"',
    "state=JOB_STATE_RUNNING",
    "state='JOB_STATE_RUNNING'",
    "state != JOB_STATE_FAILED",
    'display_name = "Penguin species (v2)"',
    'displayName = "Penguin*"',
    'display_name = "*species*"',
    'display_name = "*(v2)"',
    'display_name = "Pen*cies*2)"',
    'display_name != "penguin*"',
    "display_name = *",
    "score = 0.5",
    "score = 5e-1",
    "enabled = true",
    "enabled != false",
    "size_bytes = 9007199254740993",
    "size_bytes != 9007199254740992",
    "version = 1.2.3",
    'version = "1.2.3"',
    # order
    "score < 1",
    "score >= 0.5",
    "score > -1",
    "size_bytes > 9007199254740992",
    "spec.machine_spec.count <= 3",
    'display_name > "P"',
    # times
    'create_time = "2026-03-01T13:00:00+01:00"',
    "create_time > 2026-02-28T00:00:00Z",
    'createTime < "2026-03-01T12:00:00.001Z"',
    "create_time >= 2026-03-01T12:00:00.000000Z AND create_time <= 2026-03-01T12:00:00Z",
    "ttl > 60s",
    "ttl = 90.0s",
    # paths
    "labels.env = prod",
    "labels.my_key = x",
    'labels."a b" = spaced',
    'labels."a.b" = dotted',
    'labels.empty = ""',
    "traffic_split.0 = 90",
    "trafficSplit.17 < 20",
    'spec.machineSpec.machineType = "n1-*"',
    "spec.machine_spec.machine_type = n1-standard-2",
    "deployed_models.id = 2",
    'tags = "red"',
    # has
    "labels:env",
    "labels:*",
    "labels.env:*",
    "labels.env:prod",
    "labels.env:pr*",
    "tags:red",
    "tags:*",
    "deployed_models.model:*",
    'deployed_models.model:"a/models/2"',
    'display_name:"SPECIES"',
    "display_name:peng",
    # missing fields
    "missing = false",
    "missing = 0",
    'missing = ""',
    "missing != x",
    "nothing != x",
    "NOT missing:*",
    "-missing:*",
    "NOT nothing:*",
    "NOT spec.empty:*",
    # logic: AND may be left out and binds looser than OR
    "score = 1 OR enabled = true",
    "enabled = true score = 0.5",
    "enabled = true AND score = 1 OR state = JOB_STATE_RUNNING",
    "NOT score = 1",
    "NOT (score = 1 OR score = 2)",
    "-(score = 1)",
    "(((score = 0.5)))",
    "NOT NOT score = 0.5",
    "-score = 1",
    # lone values
    "penguin",
    '"PENGUIN*" OR nope',
    "true",
    "90",
    "n1-standard-2",
]

FALSE = [
    'state = "job_state_running"',
    "state != JOB_STATE_RUNNING",
    'display_name = "Penguin"',
    'display_name = "species*"',
    "score = 1",
    'score = "x"',
    "enabled = false",
    "score < 0.5",
    "size_bytes = 9007199254740992",
    "create_time < 2026-03-01T12:00:00Z",
    "ttl < 60s",
    "labels.env = test",
    "labels.env = pro",
    'labels.missing = ""',
    "labels.env:pro",
    "labels:missing",
    "tags:green",
    "tags:re",
    "missing:*",
    "missing = x",
    "missing < 1",
    "missing > -1",
    "enabled = true AND (score = 1 OR score = 2)",
    "score = 0.5 enabled = false",
    "NOT enabled = true",
    "state.x = y",
    "score > abc",
    "nowhere",
    'display_name = ""',
]


@pytest.mark.parametrize("text", TRUE)
def test_matches(text: str) -> None:
    assert Filter(text)(BODY)


@pytest.mark.parametrize("text", FALSE)
def test_does_not_match(text: str) -> None:
    assert not Filter(text)(BODY)


def test_or_binds_tighter_than_and() -> None:
    """a AND b OR c is a AND (b OR c), other than in most languages."""
    found = Filter("a = 1 AND b = 1 OR c = 1")
    assert not found({"a": 2, "b": 2, "c": 1})
    assert found({"a": 1, "b": 2, "c": 1})


@pytest.mark.parametrize(
    ("text", "expected", "position"),
    [
        ("state =", "a value after =", 8),
        ("= x", "a field or a value", 1),
        ("state = x AND", "a field or a value", 14),
        ("state = x OR OR a = b", "a field or a value before OR", 14),
        ("(state = x", "a closing parenthesis", 11),
        ("state = x)", "AND, OR or the end", 10),
        ('state = "x', "a closing quote", 9),
        ("state = = x", "a value after =", 9),
        ("state. = x", "a field name after the dot", 8),
        ("NOT", "what NOT negates", 4),
        ("state = AND", "a value after =; quote AND", 9),
        ("5 = x", "a field name before the comparator", 1),
        ("a = (1 OR 2)", "one value after =", 5),
        ("a == b", "a value after =", 4),
        ("a = b, c = d", "a field or a value", 6),
        ("state ! x", "a field, a value or a comparator", 7),
        ("(" * 60 + "a" + ")" * 60, "at most 40 nested parentheses", 41),
    ],
)
def test_a_wrong_filter_says_what_was_expected_where(text: str, expected: str, position: int) -> None:
    with pytest.raises(InvalidArgument) as refused:
        Filter(text)
    assert f"expected {expected}" in refused.value.message
    assert f"at character {position};" in refused.value.message
    assert "aip.dev/160" in refused.value.message


@pytest.mark.parametrize("text", ["regex(name, 'x')", "a = now()", "a.b.c(1) = 2", "x AND match()"])
def test_functions_are_refused_by_name(text: str) -> None:
    with pytest.raises(Unimplemented, match="Filters have no functions; given: "):
        Filter(text)


def test_a_huge_filter_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="at most 16384 characters"):
        Filter("a = b " * 5000)


@given(st.text("ab.:=<>!()\"'*- ANDORT\\09Z`,", max_size=40))
def test_any_text_is_a_filter_or_an_error_of_ours(text: str) -> None:
    try:
        Filter(text)(BODY)
    except TuleError as error:
        assert error.message


def test_times_and_names_that_only_the_store_knows(records: Records) -> None:
    records.create("model", "projects/p/models/7", {})
    records.create("model", "projects/p/models/8", {"name": "own name"})

    def names(filter: str) -> list[str]:
        return [each.name for each in records.list("model", filter=filter)]

    assert names('create_time >= "2026-03-01T12:00:00Z"') == ["projects/p/models/7", "projects/p/models/8"]
    assert names("create_time > 2026-03-01T12:00:00Z") == []
    assert names('name = "projects/p/models/7"') == ["projects/p/models/7"]
    assert names('name = "own name"') == ["projects/p/models/8"]


def test_a_wrong_filter_in_a_list(records: Records) -> None:
    with pytest.raises(InvalidArgument, match="expected a value after ="):
        records.list("model", filter="a =")
