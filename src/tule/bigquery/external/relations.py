"""External tables in one statement: relations of its session, read when the engine reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from tule.bigquery.engine import Session
from tule.bigquery.external.tables import FILE_NAME, ExternalRows, ExternalTables
from tule.bigquery.schemas import JsonField
from tule.bigquery.sql.catalog import Relation
from tule.bigquery.types import Field, arrow_schema


class ExternalRelations:
    """``definitions``: external tables of a query's own (``tableDefinitions``) by name."""

    def __init__(
        self,
        tables: ExternalTables,
        session: Session,
        check: Callable[[], None],
        definitions: Mapping[str, Any] | None = None,
    ) -> None:
        self._tables = tables
        self._session = session
        self._check = check
        self._definitions = definitions or {}
        self._found: dict[str, Relation] = {}

    def defined(self, name: str) -> Relation | None:
        """The external table that the query itself defines under a name."""
        external = self._definitions.get(name)
        if external is None:
            return None
        if name not in self._found:
            fields = self._tables.schema(external, (external.get("schema") or {}).get("fields"))
            self._found[name] = self.relation(name, external, fields)
        return self._found[name]

    def relation(self, name: str, external: Mapping[str, Any], fields: Sequence[JsonField]) -> Relation:
        """An external table by its configuration and columns."""
        rows = self._tables.rows(name, external, fields)
        keys = tuple(each["name"] for each in rows.hive.fields) if rows.hive is not None else ()
        return Relation(
            rows.fields,
            read=lambda wanted: self._stream(rows, wanted),
            bytes=rows.bytes,
            pseudo=(Field(FILE_NAME, "STRING"),),
            filter_on=keys if self._tables.required(external) else (),
        )

    def _stream(self, rows: ExternalRows, wanted: Callable[[str], bool]) -> str:
        # A relation has a column at least; this one costs nothing.
        columns = rows.columns(wanted) or rows.columns(lambda name: name == FILE_NAME)

        def batches() -> Iterator[pa.RecordBatch]:
            return rows.batches(columns, self._check)

        return self._session.stream(arrow_schema(columns), batches)
