"""The shell: statements over several lines, a history, and a few commands that begin with a dot."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import ThreadedCompleter
from prompt_toolkit.filters import Condition
from prompt_toolkit.history import FileHistory
from prompt_toolkit.lexers import PygmentsLexer
from pygments.lexers.sql import GoogleSqlLexer

from tule.cli.sql import scanner
from tule.cli.sql.client import Client
from tule.cli.sql.completion import Names, SqlCompleter
from tule.cli.sql.formats import FORMATS, write_table
from tule.cli.sql.runs import Runs, row_count, say
from tule.kernel.errors import InvalidArgument, TuleError

_PROMPT = "tule> "
_MORE = "  ... "


class _Leave(Exception):
    """The user wants out."""


class Shell:
    """Reads statements and runs them until the user leaves."""

    def __init__(self, runs: Runs, history: Path) -> None:
        self._runs = runs
        self._client: Client = runs.client
        self._names = Names(self._client)
        self._commands: dict[str, tuple[Callable[..., None], str]] = {
            ".help": (self._help, "what can be said here"),
            ".datasets": (self._datasets, "the datasets of the project"),
            ".tables": (self._tables, "[DATASET]: the tables, views and models, of all datasets or of one"),
            ".describe": (self._describe, "DATASET.NAME: the columns of a table, or what a model is"),
            ".format": (self._format, f"{' | '.join(FORMATS)}: how rows are written"),
            ".rows": (self._rows, "N: the most rows to write of a result; 0 for all"),
            ".quit": (self._quit, "leave, as Ctrl-D does"),
        }
        self._session: PromptSession[str] = PromptSession(
            history=FileHistory(_private(history)),
            lexer=PygmentsLexer(GoogleSqlLexer),
            completer=ThreadedCompleter(SqlCompleter(self._names, self._commands)),
            complete_while_typing=False,
            multiline=Condition(self._goes_on),
            prompt_continuation=_MORE,
        )

    def _goes_on(self) -> bool:
        """Whether Enter begins a new line rather than running what is there."""
        text = self._session.default_buffer.text.strip()
        return bool(text) and not text.startswith(".") and not scanner.is_ended(text)

    def run(self) -> None:
        say(f"Tule SQL on project {self._client.project}. Statements end with ; and .help tells more.")
        while True:
            try:
                text = self._session.prompt(_PROMPT)
            except KeyboardInterrupt:
                continue
            except EOFError:
                return
            try:
                self._one(text)
            except _Leave:
                return

    def _one(self, text: str) -> None:
        if text.strip().startswith("."):
            try:
                self._command(text.strip())
            except TuleError as error:
                say(f"Error: {error.message}")
            except KeyboardInterrupt:
                say("Cancelled")
        elif scanner.statements(text):
            self._runs.run(text)
            self._names.forget()

    # -- commands

    def _command(self, text: str) -> None:
        name, *arguments = _words(text)
        if name not in self._commands:
            near = get_close_matches(name, self._commands, 1)
            raise InvalidArgument(
                "A command must be one of the shell's", given=name, do=f"try {near[0] if near else '.help'}"
            )
        function, told = self._commands[name]
        wanted = told.partition(":")[0] if ":" in told else ""
        least = 1 if wanted and not wanted.startswith("[") else 0
        if not least <= len(arguments) <= bool(wanted):
            raise InvalidArgument(f"{name} takes {wanted or 'nothing'}", given=" ".join(arguments) or "nothing")
        function(*arguments)

    def _help(self) -> None:
        say("GoogleSQL, over as many lines as it needs, ended by ;  Ctrl-C cancels what runs, Tab completes.")
        for name, (_, told) in self._commands.items():
            argument, colon, words = told.rpartition(": ")
            say(f"  {name + (' ' + argument if colon else ''):32} {words}")

    def _datasets(self) -> None:
        self._show(("dataset",), [[each] for each in self._client.datasets()])

    def _tables(self, dataset: str | None = None) -> None:
        datasets = self._client.datasets() if dataset is None else [dataset]
        rows = [[f"{each}.{name}", kind] for each in datasets for name, kind in self._client.tables(each)]
        self._show(("name", "type"), rows)

    def _describe(self, name: str) -> None:
        project, dataset, table = _parts(name)
        try:
            found = self._client.table(dataset, table, project)
        except TuleError as error:
            if error.reason != "notFound":
                raise
            self._describe_model(self._client.model(dataset, table, project))
            return
        columns = [
            [each["name"], each["type"], each.get("mode", "NULLABLE"), each.get("description", "")]
            for each in found.get("schema", {}).get("fields", ())
        ]
        self._show(("column", "type", "mode", "description"), columns)
        if "numRows" in found:
            say(row_count(int(found["numRows"])))

    def _describe_model(self, found: dict[str, Any]) -> None:
        rows = [["model type", found.get("modelType", "")]]
        for title, key in (("label", "labelColumns"), ("feature", "featureColumns")):
            for each in found.get(key, ()):
                rows.append([title, f"{each['name']} {each.get('type', {}).get('typeKind', '')}".strip()])
        self._show(("", "model"), rows)

    def _format(self, name: str) -> None:
        if name not in FORMATS:
            raise InvalidArgument(f"The format must be one of {', '.join(FORMATS)}", given=name)
        self._runs.format = name

    def _rows(self, count: str) -> None:
        if not count.isdigit():
            raise InvalidArgument("The number of rows must be a whole number", given=count)
        self._runs.rows = int(count)

    def _quit(self) -> None:
        raise _Leave

    @staticmethod
    def _show(names: tuple[str, ...], rows: list[list[Any]]) -> None:
        write_table([{"name": each, "type": "STRING"} for each in names], rows, sys.stdout)
        sys.stdout.flush()


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text.replace("`", "").rstrip(";"))
    except ValueError:
        return text.split()


def _parts(name: str) -> tuple[str, str, str]:
    """(project or "", dataset, table) of a dotted name."""
    *project, dataset, table = ["", "", *name.split(".")][-3:]
    if not dataset or not table:
        raise InvalidArgument("A table or model must be named DATASET.NAME", given=name)
    return project[0], dataset, table


def _private(path: Path) -> str:
    """The history as a file that only the user can read: statements may hold what is nobody's business."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    path.chmod(0o600)
    return str(path)
