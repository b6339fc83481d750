"""External tables: what their configuration says, and their rows, read anew by each statement.

https://cloud.google.com/bigquery/docs/external-tables
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from tule.bigquery import schemas
from tule.bigquery.errors import invalid
from tule.bigquery.external.options import load_options
from tule.bigquery.formats.files import FileFormat
from tule.bigquery.formats.sources import AnySource
from tule.bigquery.hive import HiveLayout, HivePartitions
from tule.bigquery.loads import partitioned
from tule.bigquery.schemas import JsonField
from tule.bigquery.source_files import SourceFiles
from tule.bigquery.types import Field, fields_from_rest
from tule.kernel.errors import InvalidArgument, TuleError

FILE_NAME = "_FILE_NAME"
_READING = "Error while reading data, error message: "


@dataclass(frozen=True)
class ExternalRows:
    """The rows of an external table as its files are now."""

    name: str
    format: FileFormat
    sources: Sequence[AnySource]
    fields: Sequence[Field]
    hive: HivePartitions | None

    @property
    def bytes(self) -> int:
        return sum(each.size for each in self.sources)

    def columns(self, wanted: Callable[[str], bool]) -> list[Field]:
        """The columns that are wanted, ``_FILE_NAME`` behind the others."""
        return [each for each in (*self.fields, Field(FILE_NAME, "STRING")) if wanted(each.name)]

    def batches(self, columns: Sequence[Field], check: Callable[[], None]) -> Iterator[pa.RecordBatch]:
        """The rows in some of the columns, read from the files; may be asked for more than once."""
        bad = self.format.bad_records()
        schema = pa.schema([each.arrow for each in columns])
        read = self._read(columns)
        try:
            for source in self.sources:
                for batch in self._of(source, read, bad):
                    check()
                    yield _picked(batch, columns, schema, source.name)
        except TuleError as error:
            raise _told(error, self.name) from None

    def _read(self, columns: Sequence[Field]) -> list[Field]:
        """What must be read for some columns: all of a CSV file, whose cells are told by their order, and of an Avro file,
        whose blocks hold whole rows; a required column must be looked at too."""
        if not self.format.typed or self.format.name == "AVRO":
            return list(self.fields)
        names = {each.name.lower() for each in columns}
        keys = self.hive.names if self.hive is not None else frozenset()
        read = [each for each in self.fields if each.name.lower() in names or each.mode == "REQUIRED"]
        if all(each.name.lower() in keys for each in read):
            # A column of the files tells how many rows there are.
            read += [each for each in self.fields if each.name.lower() not in keys][:1]
        return read

    def _of(self, source: AnySource, fields: Sequence[Field], bad: Any) -> Iterator[pa.RecordBatch]:
        format = self.format
        if len(fields) < len(self.fields):
            format = replace(format, options={**format.options, "ignoreUnknownValues": True})
        if self.hive is not None:
            yield from partitioned(format, [source], self.hive, fields, bad)
        else:
            yield from format.batches([source], fields, bad)


class ExternalTables:
    """Reads configurations of external tables."""

    def __init__(self, files: SourceFiles) -> None:
        self._files = files

    def schema(self, external: Mapping[str, Any], fields: Any) -> list[JsonField]:
        """The columns of a table: those given, with the keys of folders, or those that its files show. Raises for a
        configuration that cannot be."""
        format, layout = self._read(external)
        if fields:
            made = schemas.checked(fields)
            if layout is None:
                return made
            keys = layout.declared() or self._partitions(layout, external).fields
            given = {each["name"].lower() for each in made}
            return schemas.checked([*made, *(each for each in keys if each["name"].lower() not in given)])
        if not format.typed and not external.get("autodetect"):
            raise invalid("No schema specified on job or table. Next: give a schema, or set autodetect")
        sources = self._files.of_options(external)
        reference = external.get("referenceFileSchemaUri")
        _, found = format.detected(self._files.find([reference])[0] if reference else sources[0])
        made = schemas.checked(found)
        return made if layout is None else schemas.checked(layout.partitions(sources).with_columns(made))

    def rows(self, name: str, external: Mapping[str, Any], fields: Sequence[JsonField]) -> ExternalRows:
        """The rows of a table whose columns are known; raises where files are missing."""
        format, layout = self._read(external)
        sources = self._files.of_options(external)
        if format.name == "CSV" and external.get("autodetect"):
            # A header was found when the columns were: it is in each file.
            format, _ = format.detected(sources[0])
        hive = layout.partitions(sources) if layout is not None else None
        return ExternalRows(name, format, sources, fields_from_rest(fields), hive)

    def required(self, external: Mapping[str, Any]) -> bool:
        """Whether a query must filter by a key of the folders."""
        return bool((external.get("hivePartitioningOptions") or {}).get("requirePartitionFilter"))

    def _read(self, external: Mapping[str, Any]) -> tuple[FileFormat, HiveLayout | None]:
        options = load_options(external)
        format = FileFormat.read(options["sourceFormat"], options)
        uris = self._files.checked(options.get("sourceUris") or [])
        return format, HiveLayout.read(options.get("hivePartitioningOptions"), uris)

    def _partitions(self, layout: HiveLayout, external: Mapping[str, Any]) -> HivePartitions:
        return layout.partitions(self._files.of_options(external))


def _picked(batch: pa.RecordBatch, columns: Sequence[Field], schema: pa.Schema, file: str) -> pa.RecordBatch:
    arrays = [
        pa.repeat(pa.scalar(file), batch.num_rows) if each.name == FILE_NAME else batch.column(each.name)
        for each in columns
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _told(error: TuleError, table: str) -> TuleError:
    """An error of reading, with the table that it was read for."""
    if isinstance(error, InvalidArgument) and error.message.startswith(_READING):
        error.message = f"Error while reading table: {table}, error message: {error.message.removeprefix(_READING)}"
        error.args = (error.message,)
    return error
