"""Default values of columns that rows leave out, computed by the engine: a value of its own for each row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa

from tule.bigquery.engine import Session
from tule.bigquery.errors import not_implemented
from tule.bigquery.formats.columnar import cast
from tule.bigquery.sql import Context, compile_query
from tule.bigquery.sql.kinds import kind_of_field
from tule.bigquery.sql.parse import parse
from tule.bigquery.types import Field

_UNTOLD = ("BYTES", "STRUCT", "RANGE")


def fill(rows: Sequence[Any], fields: Sequence[Field], session: Session, project: str, now: datetime) -> list[Any]:
    """Rows of an insertAll with the default values of the columns that their JSON leaves out."""
    columns = [each for each in fields if each.default]
    if not columns:
        return list(rows)
    missing = [[each for each in columns if each.name.lower() not in _keys(row)] for row in rows]
    wanted = [each for each in columns if any(each in lacks for lacks in missing)]
    for each in wanted:
        if each.repeated or each.type in _UNTOLD:
            raise not_implemented(
                f"A streamed row without the column {each.name}, whose default value is a {each.type}",
                do="give the column a value in the row",
            )
    values = _values(wanted, len(rows), session, project, now) if wanted else []
    return [
        {**row, "json": {**row["json"], **{each.name: found[each.name] for each in lacks}}} if lacks else row
        for row, lacks, found in zip(rows, missing, values or [{}] * len(rows), strict=True)
    ]


def _keys(row: Any) -> set[str]:
    """The names that a row gives; all of them where it is no row, which is told elsewhere."""
    body = row.get("json") if isinstance(row, dict) else None
    return {key.lower() for key in body} if isinstance(body, dict) else _All()


class _All(set[str]):
    def __contains__(self, name: object) -> bool:
        return True


def _values(
    fields: Sequence[Field], count: int, session: Session, project: str, now: datetime
) -> list[dict[str, str | None]]:
    """``count`` rows of the default values as texts."""
    items = [_text(each) for each in fields]
    found: list[dict[str, str | None]] = _rows(items, count, session, project, now).to_pylist()
    return found


def _rows(items: Sequence[str], count: int, session: Session, project: str, now: datetime) -> pa.Table:
    text = f"SELECT {', '.join(items)} FROM UNNEST(GENERATE_ARRAY(1, {count}))"
    context = Context(catalog=None, project=project, instant=now, dialect=session.dialect)  # type: ignore[arg-type]
    compiled = compile_query(parse(text), context)
    return session.query(compiled.sql, compiled.parameters).table()


def added(
    batches: Iterable[pa.RecordBatch], fields: Sequence[Field], session: Session, project: str, now: datetime
) -> Iterator[pa.RecordBatch]:
    """Batches with the default values of ``fields`` in the columns of their names."""
    items = [f"CAST(({each.default}) AS {kind_of_field(each)}) AS `{each.name}`" for each in fields]
    for batch in batches:
        if batch.num_rows:
            values = _rows(items, batch.num_rows, session, project, now)
            for each in fields:
                at = batch.schema.get_field_index(each.name)
                column = cast(values.column(each.name).combine_chunks(), batch.schema.field(at).type)
                batch = batch.set_column(at, batch.schema.field(at), column)
        yield batch


def _text(field: Field) -> str:
    made = f"TO_JSON_STRING({field.default})" if field.type == "JSON" else f"CAST(({field.default}) AS STRING)"
    return f"{made} AS `{field.name}`"


__all__ = ["added", "fill"]
