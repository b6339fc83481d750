"""What a script keeps between its statements, and a session between its scripts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tule.bigquery.references import DatasetReference
from tule.bigquery.scripts.frames import Variable
from tule.bigquery.sql.routine_statements import RoutineDefinition

if TYPE_CHECKING:
    from tule.bigquery.scripts.transactions import Transaction


@dataclass
class State:
    """Temporary functions and tables, the open transaction, and settings of ``SET @@...``.

    ``temporary`` is the hidden dataset of the temporary tables; ``variables`` are those of a session. ``dataset`` and
    ``project`` are those of names that have none.
    """

    temporary: DatasetReference
    functions: dict[str, RoutineDefinition] = field(default_factory=dict)
    variables: dict[str, Variable] = field(default_factory=dict)
    dataset: str | None = None
    project: str | None = None
    labels: Mapping[str, str] | None = None
    transaction: Transaction | None = None
    row_count: int | None = None
    last_job: str | None = None
