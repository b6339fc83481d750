"""Files of one format as rows: what load jobs, LOAD DATA and external tables say alike.

Options are in the words of ``configuration.load``.
https://cloud.google.com/bigquery/docs/reference/rest/v2/Job#JobConfigurationLoad
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from tule.bigquery.errors import invalid, not_implemented
from tule.bigquery.formats import avro, columnar, csv, detect, ndjson
from tule.bigquery.formats.bad_records import BadRecords
from tule.bigquery.formats.csv import CsvOptions
from tule.bigquery.formats.sources import AnySource
from tule.bigquery.types import Field, fields_of

FORMATS = ("CSV", "NEWLINE_DELIMITED_JSON", "PARQUET", "AVRO", "ORC")
_ELSEWHERE = ("DATASTORE_BACKUP", "GOOGLE_SHEETS", "BIGTABLE", "ICEBERG", "DELTA_LAKE", "FIRESTORE")
# Files of these tell no types of their own.
_UNTYPED = ("CSV", "NEWLINE_DELIMITED_JSON")


@dataclass(frozen=True)
class FileFormat:
    """How some files are read."""

    name: str
    options: Mapping[str, Any]

    @classmethod
    def read(cls, name: Any, options: Mapping[str, Any]) -> FileFormat:
        """Raises for a format or an option that cannot be read."""
        name = str(name or "CSV").upper()
        if name in _ELSEWHERE:
            raise not_implemented(f"sourceFormat {name}", do=f"use one of {', '.join(FORMATS)}")
        if name not in FORMATS:
            raise invalid(f"sourceFormat must be one of {', '.join(FORMATS)}; given: {name!r}")
        if options.get("jsonExtension"):
            raise not_implemented("jsonExtension", do="leave it out")
        CsvOptions.read(dict(options))
        made = cls(name, options)
        made.bad_records()
        return made

    @property
    def typed(self) -> bool:
        """Whether files of this format tell the types of their columns."""
        return self.name not in _UNTYPED

    def bad_records(self) -> BadRecords:
        """What one reading may meet, up to ``maxBadRecords``."""
        return BadRecords(self.name, int(self.options.get("maxBadRecords") or 0))

    def detected(self, source: AnySource) -> tuple[FileFormat, list[dict[str, Any]]]:
        """The REST fields that a file shows, and how the files are then read: a CSV file also shows its header."""
        if self.name == "CSV":
            found = detect.csv_schema(source, CsvOptions.read(dict(self.options)))
            return replace(self, options={**self.options, "skipLeadingRows": found.skip}), found.fields
        if self.name == "NEWLINE_DELIMITED_JSON":
            return self, detect.json_schema(source)
        if self.name == "AVRO":
            return self, avro.fields_of(source, logical=bool(self.options.get("useAvroLogicalTypes")))
        schema = columnar.schema_of(source, self.name)
        if self.name == "PARQUET" and not (self.options.get("parquetOptions") or {}).get("enableListInference"):
            lists = [field.name for field in schema if pa.types.is_list(field.type)]
            if lists:
                raise not_implemented(
                    f"A Parquet list (column {lists[0]}) without parquetOptions.enableListInference",
                    do="set it to true: the column is loaded as REPEATED",
                )
        return self, [each.rest() for each in fields_of(schema)]

    def batches(
        self,
        sources: Sequence[AnySource],
        fields: Sequence[Field],
        bad: BadRecords,
        *,
        order: Sequence[Field] | None = None,
    ) -> Iterable[pa.RecordBatch]:
        """Typed batches of all files in turn. ``order``: the columns of a CSV file, where they are not ``fields``."""
        unknown = bool(self.options.get("ignoreUnknownValues"))
        if self.name == "CSV":
            return self._csv(sources, fields, bad, order or fields)
        if self.name == "NEWLINE_DELIMITED_JSON":
            return ndjson.batches(sources, fields, bad, ignore_unknown=unknown)
        if self.name == "AVRO":
            return avro.batches(sources, fields, ignore_unknown=unknown)
        return columnar.batches(sources, fields, self.name, ignore_unknown=unknown)

    def _csv(
        self, sources: Sequence[AnySource], fields: Sequence[Field], bad: BadRecords, order: Sequence[Field]
    ) -> Iterable[pa.RecordBatch]:
        """CSV columns are told by their order alone."""
        options = CsvOptions.read(dict(self.options))
        if [each.name.lower() for each in order] == [each.name.lower() for each in fields]:
            return csv.batches(sources, fields, options, bad)
        by_name = {each.name.lower(): each for each in fields}
        ordered = [by_name.get(each.name.lower(), each) for each in order]
        return (columnar.fitted(batch, fields, "", 0) for batch in csv.batches(sources, ordered, options, bad))
