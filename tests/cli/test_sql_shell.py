"""The shell of ``tule sql`` in a terminal: lines, history, completion, its own commands, and what goes wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from tule.testing.process import ServerProcess

pytestmark = pytest.mark.clients
Open = Callable[..., Any]
ENTER, TAB, UP, CTRL_C, CTRL_D = "\r", "\t", "\x1b[A", "\x03", "\x04"


class Shell:
    """The shell, spoken to line by line: what is typed before a prompt shows would be lost."""

    def __init__(self, shown: Any) -> None:
        self.shown = shown
        shown.expect("Tule SQL on project test-project.*\n")
        shown.expect("tule>")

    def say(self, line: str, pattern: str) -> str:
        """What is shown, up to ``pattern``, when ``line`` was entered; the next prompt is waited for."""
        self.shown.type(line + ENTER)
        seen: str = self.shown.expect(pattern)
        self.shown.expect("tule>")
        return seen

    def leave(self) -> int:
        self.shown.type(CTRL_D)
        code: int = self.shown.exit_code()
        return code


@pytest.fixture
def shell(terminal: Open, server: ServerProcess) -> Shell:
    return Shell(terminal("sql", home=server.home))


def test_a_statement_over_lines_runs_at_its_semicolon(shell: Shell) -> None:
    shell.shown.type("SELECT 'a;b' AS x," + ENTER)
    shell.shown.expect(r"\.\.\.")
    shell.shown.type("2 AS y" + ENTER)
    assert "a;b  2" in shell.say(";", r"1 row in \d")
    assert shell.leave() == 0


def test_an_error_leaves_the_shell_open(shell: Shell) -> None:
    seen = shell.say("SELEC 1;", r"\| SELEC 1;\s+\^")
    assert 'Error: Syntax error: Unexpected identifier "SELEC" at [1:1]' in seen
    assert "42" in shell.say("SELECT 6 * 7 AS answer;", "1 row in")
    shell.shown.type(".quit" + ENTER)
    assert shell.shown.exit_code() == 0


def test_history_is_kept_private_and_comes_back(shell: Shell, terminal: Open, server: ServerProcess) -> None:
    shell.say("SELECT 'remember' AS me;", "1 row in")
    shell.leave()
    history = server.home / "sql_history"
    assert history.stat().st_mode & 0o777 == 0o600 and "remember" in history.read_text()
    again = Shell(terminal("sql", home=server.home))
    assert "remember" in again.say(UP, "1 row in")


def test_commands_that_begin_with_a_dot(shell: Shell) -> None:
    shell.say("CREATE SCHEMA shell_zoo;", "Created dataset shell_zoo in")
    shell.say("CREATE TABLE shell_zoo.birds AS SELECT 'owl' AS name, [1, 2] AS legs;", "Created table .* with 1 row in")
    shell.say("CREATE VIEW shell_zoo.names AS SELECT name FROM shell_zoo.birds;", "Created view shell_zoo.names in")
    assert ".describe DATASET.NAME" in shell.say(".help", "leave, as Ctrl-D does")
    shell.say(".datasets", "dataset\\s+─+(\\s+\\w+)*\\s+shell_zoo\\s")
    shell.say(".tables shell_zoo", r"shell_zoo.birds  TABLE\s+shell_zoo.names  VIEW")
    shell.say(".tables", r"shell_zoo.birds +TABLE\s+shell_zoo.names +VIEW")
    shell.say(".describe shell_zoo.birds", r"name +STRING +NULLABLE\s+legs +INTEGER +REPEATED\s+1 row\s")
    shell.say(".format csv", "")
    shell.say("SELECT name FROM shell_zoo.birds;", r"name\s+owl\s+1 row in")
    shell.say(".rows 2", "")
    shell.say("SELECT n FROM UNNEST([7, 8, 9]) AS n ORDER BY n;", r"n\s+7\s+8\s+2 of 3 rows in")


WRONG = {
    ".tabels": "Error: A command must be one of the shell's; given: .tabels. Next: try .tables",
    ".describe": "Error: .describe takes DATASET.NAME; given: nothing",
    ".describe birds": "Error: A table or model must be named DATASET.NAME; given: birds",
    ".describe no.such": "Error: Not found: ",
    ".tables nowhere": "Error: Not found: Dataset test-project:nowhere",
    ".format xml": "Error: The format must be one of table, json, csv; given: xml",
    ".rows many": "Error: The number of rows must be a whole number; given: many",
    ".quit now": "Error: .quit takes nothing; given: now",
}


def test_a_wrong_command_is_told(shell: Shell) -> None:
    for line, message in WRONG.items():
        shell.say(line, re.escape(message))
    assert shell.leave() == 0


def test_tab_completes_keywords_datasets_and_what_is_in_them(shell: Shell) -> None:
    shell.say("CREATE SCHEMA tab_zoo;", "Created dataset")
    shell.say("CREATE TABLE tab_zoo.elephants AS SELECT 'Jumbo' AS name;", "Created table")
    shell.shown.type("SEL" + TAB)
    shell.shown.expect("SELECT")
    shell.shown.type(" name FROM tab_z" + TAB)
    # The line is drawn anew, or only what was added.
    shell.shown.expect(r"tab_z\W*oo")
    shell.shown.type(".ele" + TAB)
    shell.shown.expect(r"ele\W*phants")
    assert "Jumbo" in shell.say(";", "1 row in")


def test_ctrl_c_drops_a_line_and_cancels_a_job(shell: Shell) -> None:
    shell.shown.type("SELECT nothing of this")
    shell.shown.expect("nothing of this")
    shell.shown.type(CTRL_C)
    shell.shown.expect("tule>")
    shell.shown.type(
        "SELECT MAX(MOD(a * b, 7)) FROM UNNEST(GENERATE_ARRAY(1, 1000000)) a, UNNEST(GENERATE_ARRAY(1, 1000000)) b;"
        + ENTER
    )
    shell.shown.expect("Ctrl-C cancels")
    shell.shown.type(CTRL_C)
    shell.shown.expect("Cancelled")
    shell.shown.expect("tule>")
    shell.say("SELECT 'still here' AS x;", r"still here\s+1 row in")


def test_a_server_that_is_gone_is_told_and_one_that_comes_back_is_used(
    terminal: Open, fresh_server: ServerProcess
) -> None:
    shell = Shell(terminal("sql", home=fresh_server.home))
    fresh_server.kill9()
    shell.say("SELECT 1;", "Error: The server must be reachable; given: http://127.0.0.1:[^!]*tule status")
    fresh_server.start()
    shell.say("SELECT 'back' AS x;", r"back\s+1 row in")
