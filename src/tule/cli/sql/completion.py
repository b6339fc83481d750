"""Completion in the shell: keywords, functions of machine learning, and the names that the catalog has."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from tule.cli.sql.client import Client
from tule.kernel.errors import TuleError

# The words of statements, as one writes them most.
KEYWORDS = (
    "ALTER", "AND", "ARRAY", "AS", "ASC", "BETWEEN", "BY", "CASE", "CAST", "CREATE", "CROSS JOIN", "DELETE", "DESC",
    "DISTINCT", "DROP", "ELSE", "END", "EXCEPT", "EXISTS", "EXPORT", "FALSE", "FROM", "FULL JOIN", "GROUP BY", "HAVING",
    "IF", "IN", "INNER JOIN", "INSERT INTO", "INTERSECT", "INTERVAL", "IS", "JOIN", "LEFT JOIN", "LIKE", "LIMIT", "MERGE",
    "MODEL", "NOT", "NULL", "ON", "OPTIONS", "OR", "ORDER BY", "OVER", "PARTITION BY", "QUALIFY", "REPLACE", "SCHEMA",
    "SELECT", "SET", "STRUCT", "TABLE", "THEN", "TRANSFORM", "TRUE", "TRUNCATE TABLE", "UNION ALL", "UNNEST", "UPDATE",
    "USING", "VALUES", "VIEW", "WHEN", "WHERE", "WINDOW", "WITH",
)  # fmt: skip
FUNCTIONS = (
    "ML.PREDICT", "ML.EVALUATE", "ML.WEIGHTS", "ML.FEATURE_INFO", "ML.TRAINING_INFO", "ML.CONFUSION_MATRIX",
    "ML.ROC_CURVE", "ML.FEATURE_IMPORTANCE", "ML.EXPLAIN_PREDICT", "ML.GLOBAL_EXPLAIN", "ML.CENTROIDS",
    "ML.DETECT_ANOMALIES", "ML.ADVANCED_WEIGHTS",
)  # fmt: skip
_WORD = re.compile(r"[\w.`-]*$")


class Names:
    """The names of the catalog, asked for when they are first needed and again after ``forget``."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._datasets: list[str] | None = None
        self._tables: dict[str, list[str]] = {}

    def forget(self) -> None:
        self._datasets = None
        self._tables = {}

    def datasets(self) -> list[str]:
        if self._datasets is None:
            self._datasets = self._client.datasets()
        return self._datasets

    def tables(self, dataset: str) -> list[str]:
        if dataset not in self._tables:
            known = dataset in self.datasets()
            self._tables[dataset] = [name for name, _ in self._client.tables(dataset)] if known else []
        return self._tables[dataset]


class SqlCompleter(Completer):
    """Completes the word before the cursor: ``dataset.`` with what is in it, anything else with keywords and datasets."""

    def __init__(self, names: Names, commands: Iterable[str]) -> None:
        self._names = names
        self._commands = tuple(commands)

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
        before = document.text_before_cursor
        found = _WORD.search(before)
        word = found[0] if found else ""
        for each in self._candidates(before, word.lstrip("`")):
            yield Completion(each, start_position=-len(word.lstrip("`")))

    def _candidates(self, before: str, word: str) -> list[str]:
        if before.strip() == word and word.startswith("."):
            return [each for each in self._commands if each.startswith(word)]
        dataset, dot, start = word.rpartition(".")
        try:
            if dot and dataset.upper() != "ML":
                return [f"{dataset}.{each}" for each in self._names.tables(dataset) if each.startswith(start)]
            names = [each for each in self._names.datasets() if word and each.startswith(word)]
        except TuleError:
            # Without a server there is nothing to complete with; the next statement will say so.
            names = []
        upper = word.upper()
        fixed = [each for each in (*KEYWORDS, *FUNCTIONS) if word and each.startswith(upper)]
        return [*names, *fixed]
