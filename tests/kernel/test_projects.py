"""Projects by id and number."""

from __future__ import annotations

import pytest

from tule.kernel.errors import InvalidArgument, NotFound
from tule.kernel.names import project_number
from tule.kernel.projects import Projects
from tule.kernel.records import Records


def test_an_id_is_recorded_when_it_is_first_seen(records: Records) -> None:
    projects = Projects(records)
    assert projects.resolve("my-project") == "my-project"
    record = records.get("projects/my-project")
    assert record.kind == "project" and record.parent == ""
    assert record.body == {
        "projectId": "my-project",
        "projectNumber": str(project_number("my-project")),
        "state": "ACTIVE",
    }
    projects.resolve("my-project")
    assert records.get("projects/my-project") == record


def test_a_number_leads_back_to_its_project_also_after_a_restart(records: Records) -> None:
    number = Projects(records).number("my-project")
    assert Projects(records).resolve(str(number)) == "my-project"
    assert Projects(records).number(str(number)) == number


def test_a_number_of_nobody_is_not_found(records: Records) -> None:
    with pytest.raises(NotFound, match="project used here before; given: 123456789012"):
        Projects(records).resolve("123456789012")


def test_placeholders_stay_and_are_not_recorded(records: Records) -> None:
    projects = Projects(records)
    assert [projects.resolve(each) for each in ("_", "-")] == ["_", "-"]
    assert records.list("project").records == []
    with pytest.raises(InvalidArgument, match="belongs to one project"):
        projects.number("-")


@pytest.mark.parametrize("text", ["", "a/b", "../x", "a b", "-a", "a-", "é", "x" * 101, "a\n"])
def test_what_cannot_be_an_id_is_refused(records: Records, text: str) -> None:
    with pytest.raises(InvalidArgument, match="A project id must be"):
        Projects(records).resolve(text)


def test_domain_scoped_ids(records: Records) -> None:
    assert Projects(records).resolve("example.com:my-project") == "example.com:my-project"


def test_a_failed_transaction_leaves_no_project_behind(records: Records) -> None:
    projects = Projects(records)
    with pytest.raises(ZeroDivisionError), records.transaction():
        number = projects.number("gone")
        assert projects.number("gone") == number
        raise ZeroDivisionError
    assert records.find("projects/gone") is None
    assert projects.number("gone") == number
    assert records.find("projects/gone") is not None
