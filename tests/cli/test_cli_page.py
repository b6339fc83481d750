"""docs/cli.md tells of every command and option that there is."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from tule.cli.commands import program

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
COMMANDS = typer.main.get_command(program).commands  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_a_command_and_its_options_are_told_of(name: str) -> None:
    assert f"`tule {name}" in PAGE
    options = [option for each in COMMANDS[name].params for option in each.opts if option.startswith("--")]
    assert [option for option in options if option not in PAGE and option != "--help"] == []
