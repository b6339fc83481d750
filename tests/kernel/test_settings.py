"""Settings: one table, read once, from the environment and arguments."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest

from tule.kernel.errors import InvalidArgument
from tule.kernel.settings import Settings


def test_arguments_win_over_the_environment_and_that_over_defaults(tmp_path: Path) -> None:
    environ = {"TULE_PROJECT": "from-env", "TULE_PORT": "8080", "TULE_OFFLINE": "yes", "TULE_HOME": str(tmp_path)}
    settings = Settings.read(environ, project="given", port=None)
    assert (settings.project, settings.port, settings.offline, settings.home) == ("given", 8080, True, tmp_path)
    assert settings.location == Settings().location


def test_the_home_is_absolute_and_expanded() -> None:
    assert Settings.read({"TULE_HOME": "~/x"}).home == Path.home() / "x"
    assert Settings.read({"TULE_HOME": "x"}).home == Path.cwd() / "x"


def test_every_setting_has_help() -> None:
    assert all(each.metadata["help"] for each in fields(Settings))


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [("TULE_PORT", "http", "TULE_PORT must be a whole number"), ("TULE_OFFLINE", "maybe", "must be true or false")],
)
def test_a_wrong_value_is_named(name: str, value: str, rule: str) -> None:
    with pytest.raises(InvalidArgument, match=f"{rule}; given: '{value}'"):
        Settings.read({name: value})


def test_settings_do_not_change_after_they_were_read() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings().port = 1  # type: ignore[misc]
