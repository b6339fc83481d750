"""Documentation that must exist and must say what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tule.testing.pages import PAGES

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


@pytest.mark.parametrize("name", PAGES)
def test_generated_pages_are_up_to_date(name: str) -> None:
    assert (DOCS / name).read_text() == PAGES[name]() + "\n", f"docs/{name} is stale. Next: make docs"


def test_links_between_pages_lead_somewhere() -> None:
    wrong = []
    for page in [*DOCS.rglob("*.md"), *ROOT.glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            if not target.startswith(("http:", "https:", "mailto:")) and not (page.parent / target).exists():
                wrong.append(f"{page.relative_to(ROOT)} -> {target}")
    assert not wrong


def test_every_page_can_be_found_from_the_readme_or_the_map() -> None:
    entry = (ROOT / "README.md").read_text() + (DOCS / "architecture.md").read_text()
    missing = [page.name for page in DOCS.glob("*.md") if page.name not in entry]
    assert not missing


@pytest.mark.parametrize("page", sorted((DOCS / "decisions").glob("*.md")), ids=lambda page: page.name)
def test_a_decision_says_what_and_why(page: Path) -> None:
    text = page.read_text()
    assert "**Decision.**" in text and "**Why.**" in text
