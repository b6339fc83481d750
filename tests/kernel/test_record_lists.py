"""Lists of records: parents, order, pages that survive changes, speed."""

from __future__ import annotations

import itertools
import random
from datetime import timedelta
from typing import Any

import pytest

from tule.kernel.clock import RealClock, VirtualClock
from tule.kernel.errors import InvalidArgument
from tule.kernel.records import Records

HERE = "projects/p/locations/l"


def make(records: Records, *bodies: dict[str, Any], parent: str = HERE) -> None:
    for number, body in enumerate(bodies):
        records.create("model", f"{parent}/models/{number:03}", body)


def ids(found: Any) -> list[str]:
    return [each.name.rpartition("/")[2] for each in found]


def pages(records: Records, size: int, **asked: Any) -> list[list[str]]:
    found, token = [], ""
    while True:
        page = records.list("model", HERE, page_size=size, page_token=token, **asked)
        found.append(ids(page))
        token = page.next_page_token
        if not token:
            return found


# -- parents


def test_a_list_is_of_one_kind_and_parent_by_name(records: Records) -> None:
    for name in (
        "projects/p/locations/l/models/b",
        "projects/p/locations/l/models/a",
        "projects/p/locations/m/models/a",
    ):
        records.create("model", name, {})
    records.create("endpoint", "projects/p/locations/l/endpoints/a", {})
    assert ids(records.list("model", HERE)) == ["a", "b"]
    assert len(records.list("model").records) == 3
    assert records.list("model", HERE).total_size == 2


def test_wildcards_stand_for_one_segment(records: Records) -> None:
    for name in ("projects/p/locations/l", "projects/p/locations/m", "projects/q/locations/l", "projects/p/places/l"):
        records.create("model", f"{name}/models/{name.count('q')}", {"at": name})
    records.create("model", "projects/p/locations/l/extra/1/models/0", {"at": "deeper"})

    def at(parent: str) -> list[str]:
        return sorted(each.body["at"] for each in records.list("model", parent))

    assert at("projects/p/locations/-") == ["projects/p/locations/l", "projects/p/locations/m"]
    assert at("projects/-/locations/l") == ["projects/p/locations/l", "projects/q/locations/l"]
    assert len(at("projects/-/locations/-")) == 3
    assert records.list("model", "projects/p/locations/-").total_size == 2


# -- order


def test_order_by_fields_of_the_body(records: Records) -> None:
    make(
        records,
        {"displayName": "b", "size": "10", "spec": {"rank": 1}},
        {"displayName": "a", "size": "9", "spec": {"rank": 2}},
        {"displayName": "b", "size": "-1"},
    )
    assert ids(records.list("model", order_by="display_name")) == ["001", "000", "002"]
    assert ids(records.list("model", order_by="displayName desc, name desc")) == ["002", "000", "001"]
    assert ids(records.list("model", order_by="size")) == ["002", "001", "000"]  # 64-bit numbers are texts in JSON
    assert ids(records.list("model", order_by="spec.rank desc")) == ["001", "000", "002"]
    assert ids(records.list("model", order_by="absent")) == ["000", "001", "002"]


def test_order_by_times_and_names(records: Records, clock: VirtualClock) -> None:
    for name in ("c", "a", "b"):
        records.create("model", f"{HERE}/models/{name}", {})
        clock.advance(timedelta(seconds=1))
    records.update(f"{HERE}/models/c", {"x": 1})
    assert ids(records.list("model", order_by="create_time")) == ["c", "a", "b"]
    assert ids(records.list("model", order_by="createTime desc")) == ["b", "a", "c"]
    assert ids(records.list("model", order_by="update_time desc")) == ["c", "b", "a"]
    assert ids(records.list("model", order_by="name desc")) == ["c", "b", "a"]


@pytest.mark.parametrize("order_by", ["name up", "a b c", "a,,b", ", a", "a..b"])
def test_a_wrong_order_is_refused(records: Records, order_by: str) -> None:
    with pytest.raises(InvalidArgument, match=r"order|field path"):
        records.list("model", order_by=order_by)


# -- pages

ORDERS = [
    "",
    "name desc",
    "create_time desc",
    "update_time, name desc",
    "rank desc",
    "group, rank",
    "group desc, absent",
]


@pytest.mark.parametrize("order_by", ORDERS)
@pytest.mark.parametrize("filter", ["", "group = 1", "rank > 5 OR group = 0"])
def test_pages_are_the_whole_list_in_parts(records: Records, clock: VirtualClock, order_by: str, filter: str) -> None:
    shuffled = random.Random(7)
    for number in range(23):
        body = {"group": number % 3, "rank": shuffled.choice([1, 2.5, "17", None, "x", True])}
        make(records, body, parent=HERE) if number == 0 else records.create("model", f"{HERE}/models/{number:03}", body)
        if number % 4 == 0:
            clock.advance(timedelta(seconds=1))
    whole = ids(records.list("model", HERE, order_by=order_by, filter=filter))
    for size in (1, 4, 22, 23, 100):
        parts = pages(records, size, order_by=order_by, filter=filter)
        assert list(itertools.chain(*parts)) == whole
        assert all(len(part) == size for part in parts[:-1])
    assert records.list("model", HERE, filter=filter, page_size=2).total_size == len(whole)


@pytest.mark.parametrize("order_by", ["", "rank desc"])
def test_pages_survive_changes_in_between(records: Records, order_by: str) -> None:
    make(records, *({"rank": 100 - number} for number in range(10)))
    first = records.list("model", HERE, page_size=4, order_by=order_by)
    assert ids(first) == ["000", "001", "002", "003"]
    records.delete(f"{HERE}/models/003")  # the last one seen
    records.delete(f"{HERE}/models/004")
    records.create("model", f"{HERE}/models/000a", {"rank": 99.5})  # behind us
    records.create("model", f"{HERE}/models/006a", {"rank": 93.5})  # before us
    rest = records.list("model", HERE, page_size=100, page_token=first.next_page_token, order_by=order_by)
    assert ids(rest) == ["005", "006", "006a", "007", "008", "009"]


def test_the_last_page_has_no_token(records: Records) -> None:
    make(records, {}, {})
    assert records.list("model", HERE, page_size=2).next_page_token == ""
    assert records.list("model", "projects/none", page_size=2) == records.list("endpoint", HERE)


def test_a_token_belongs_to_its_request(records: Records) -> None:
    make(records, *({"n": number} for number in range(5)))
    asked = {"filter": "n >= 0", "order_by": "n", "page_size": 2}
    token = records.list("model", HERE, **asked).next_page_token
    assert ids(records.list("model", HERE, **{**asked, "page_size": 1}, page_token=token)) == ["002"]
    for change in ({"filter": "n > 0"}, {"order_by": "n desc"}, {"order_by": ""}):
        with pytest.raises(InvalidArgument, match="must come from the last answer to the same request"):
            records.list("model", HERE, **{**asked, **change}, page_token=token)
    for kind, parent in (("model", None), ("model", "projects/p/locations/-"), ("endpoint", HERE)):
        with pytest.raises(InvalidArgument, match="Next: start again without a page token"):
            records.list(kind, parent, **asked, page_token=token)


@pytest.mark.parametrize("token", ["x", "!!", "AAAA", "A" * 40, "é", "bm90IGEgdG9rZW4gYXQgYWxs"])
def test_a_token_that_is_none_is_refused(records: Records, token: str) -> None:
    with pytest.raises(InvalidArgument, match="page token"):
        records.list("model", HERE, page_token=token)


def test_a_changed_token_is_refused(records: Records) -> None:
    make(records, {}, {}, {})
    token = records.list("model", HERE, page_size=1).next_page_token
    for place in range(0, len(token), 5):
        changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        with pytest.raises(InvalidArgument):
            records.list("model", HERE, page_token=changed)


def test_a_negative_page_size_is_refused(records: Records) -> None:
    with pytest.raises(InvalidArgument, match="must not be negative; given: -1"):
        records.list("model", page_size=-1)


def test_a_page_of_many_reads_only_that_page(on_sqlite: None, records: Records) -> None:
    """10,000 records: the cost of a page does not grow with the list (counted in rows that the database returns)."""
    import sqlalchemy as sa

    with records.transaction():
        for number in range(10_000):
            records.create("model", f"{HERE}/models/{number:05}", {"n": number})
    clock = RealClock()
    begin = clock.monotonic()
    page = records.list("model", HERE, page_size=50)
    once = clock.monotonic() - begin
    assert len(page.records) == 50 and page.total_size == 10_000
    begin = clock.monotonic()
    assert len(records.list("model", HERE, filter="n >= 9990").records) == 10
    assert once < (clock.monotonic() - begin) / 3
    with records.reading() as connection:
        plan = connection.execute(
            sa.text(
                "EXPLAIN QUERY PLAN SELECT * FROM records WHERE kind = 'model' AND parent = 'p' ORDER BY name LIMIT 50"
            )
        ).all()
    assert "USING INDEX records_by_parent" in str(plan) and "TEMP B-TREE" not in str(plan)
