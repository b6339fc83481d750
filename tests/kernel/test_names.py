"""Resource names: parse, print, match."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tule.kernel.errors import InvalidArgument
from tule.kernel.names import Pattern, numeric_id, project_number

ENDPOINT = Pattern("projects/{project}/locations/{location}/endpoints/{endpoint}")


def test_variables_collection_and_parent() -> None:
    assert ENDPOINT.variables == ("project", "location", "endpoint")
    assert ENDPOINT.collection == "endpoints"
    assert ENDPOINT.parent == Pattern("projects/{project}/locations/{location}")
    assert Pattern("projects/{project}").parent is None
    assert ENDPOINT.parent_of("projects/p/locations/l/endpoints/7") == "projects/p/locations/l"


@given(
    st.fixed_dictionaries(
        {name: st.text("abc-_.:@~ é1", min_size=1, max_size=12) for name in ("project", "location", "endpoint")}
    ).filter(lambda found: not {".", ".."} & set(found.values()))
)
def test_a_printed_name_parses_back(variables: dict[str, str]) -> None:
    assert ENDPOINT.parse(ENDPOINT.name(**variables)) == variables


@pytest.mark.parametrize(
    "name",
    [
        "",
        "projects/p/locations/l",
        "projects/p/locations/l/endpoints/",
        "projects/p/locations/l/models/7",
        "projects/p/locations/l/endpoints/7/",
        "/projects/p/locations/l/endpoints/7",
        "projects/p/locations/../endpoints/7",
        "projects/p/locations/l/endpoints/a\nb",
        "projects/p/locations/l/endpoints/a\x00b",
    ],
)
def test_what_is_not_such_a_name_is_refused_by_its_form(name: str) -> None:
    assert ENDPOINT.match(name) is None
    with pytest.raises(InvalidArgument, match=r"must have the form projects/\{project\}/locations"):
        ENDPOINT.parse(name)


def test_a_variable_cannot_bring_a_slash_in() -> None:
    with pytest.raises(InvalidArgument):
        ENDPOINT.name(project="p", location="l/endpoints/8", endpoint="7")


def test_numbers() -> None:
    assert project_number("my-project") == project_number("my-project")
    assert len({project_number(f"p{i}") for i in range(1000)}) == 1000
    assert all(len(str(project_number(f"p{i}"))) == 12 for i in range(100))
    made = {numeric_id() for _ in range(1000)}
    assert len(made) == 1000 and all(len(each) == 19 and int(each) < 2**63 for each in made)
