"""Links between records, from both of their ends."""

from __future__ import annotations

import pytest

from tule.kernel.records import Links, Records


@pytest.fixture
def links(records: Records) -> Links:
    return Links(records)


def test_links_are_found_from_both_ends(links: Links) -> None:
    assert links.add("s/a", "has", ["s/b", "s/c", "s/b"], {"s/c": {"label": "x"}}) == 2
    assert links.add("s/a", "has", ["s/c", "s/d"], {"s/c": {"label": "other"}}) == 1
    links.add("s/z", "makes", ["s/b"])
    assert sorted(links.targets("s/a", "has")) == ["s/b", "s/c", "s/d"]
    assert links.sources("s/b", "has") == ["s/a"] and links.sources("s/b", "makes") == ["s/z"]
    assert [link.detail for link in links.reaching(["s/c"], ("has",))] == [{"label": "x"}]
    assert {link.source for link in links.reaching(["s/b"], ("has", "makes"))} == {"s/a", "s/z"}
    assert len(links.leaving([f"s/{each}" for each in [*range(1200), "a"]], ("has",))) == 3


def test_links_go_with_their_records(links: Links, records: Records) -> None:
    links.add("s/a", "has", ["s/b", "s/c"])
    links.add("s/b", "has", ["s/a"])
    links.add("other/x", "has", ["s/c"])
    links.remove("s/a", "has", ["s/b", "s/none"])
    assert links.targets("s/a", "has") == ["s/c"]
    links.forget("s/a")
    assert links.sources("s/c", "has") == ["other/x"] and links.targets("s/b", "has") == []
    links.forget_under("s")
    assert links.targets("other/x", "has") == []


def test_a_failed_transaction_links_nothing(links: Links, records: Records) -> None:
    with pytest.raises(RuntimeError), records.transaction():
        links.add("s/a", "has", ["s/b"])
        raise RuntimeError
    assert links.targets("s/a", "has") == []
