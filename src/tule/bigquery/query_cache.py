"""Answers of queries that are given again: the same text of the same user over tables that have not changed.

https://cloud.google.com/bigquery/docs/cached-results
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tule.bigquery.plans import QueryPlan
from tule.bigquery.references import TableReference
from tule.bigquery.results import Kept
from tule.bigquery.tables import Tables
from tule.kernel.clock import Clock

_MOST = 512

States = dict[str, list[Any]]
"""The record of each table by name, and what tells its rows; [] for one that cannot change."""


@dataclass(frozen=True)
class Answer:
    """What a query came to, and the tables it was made from as they were."""

    kept: Kept
    about: Mapping[str, Any]
    states: States


class QueryCache:
    """The latest answers; forgotten when the server ends."""

    def __init__(self, tables: Tables, clock: Clock) -> None:
        self._tables = tables
        self._clock = clock
        self._answers: OrderedDict[str, Answer] = OrderedDict()
        self._lock = threading.Lock()

    def key(self, plan: QueryPlan, user: str) -> str | None:
        """What an answer to this query is kept under; None where it must be asked for anew."""
        if plan.config.get("useQueryCache") is False or plan.destination is not None or plan.transaction is not None:
            return None
        if plan.session is not None or plan.config.get("tableDefinitions"):
            return None
        scope = plan.scope
        if scope is not None and (scope.variables or scope.temporary is not None or scope.functions):
            return None
        given = [[name, each.type, repr(each.value)] for name, each in plan.parameters.items()]
        return json.dumps([plan.project, plan.names_project, plan.dataset, user, plan.text, given])

    def find(self, key: str) -> Answer | None:
        """An answer that still is right."""
        with self._lock:
            found = self._answers.get(key)
        if found is None:
            return None
        over = int(found.kept.expires) <= self._clock.now().timestamp() * 1000
        if over or self.states(TableReference.of(name) for name in found.states) != found.states:
            with self._lock:
                self._answers.pop(key, None)
            return None
        with self._lock:
            if key in self._answers:
                self._answers.move_to_end(key)
        return found

    def keep(self, key: str, answer: Answer) -> None:
        with self._lock:
            self._answers[key] = answer
            self._answers.move_to_end(key)
            while len(self._answers) > _MOST:
                self._answers.popitem(last=False)

    def holds(self, file: str) -> bool:
        """Whether the file of a result may be answered from again."""
        with self._lock:
            return any(each.kept.file == file for each in self._answers.values())

    def states(self, references: Iterable[TableReference]) -> States:
        """The tables as they are now."""
        made: States = {}
        for each in references:
            record = self._tables.current(each)
            if record is None:
                made[each.name] = []
            else:
                private = record.body.get("_tule") or {}
                made[each.name] = [private.get("physical") or record.etag, private.get("changes", 0)]
        return made
