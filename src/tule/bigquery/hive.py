"""Hive-partitioned folders: ``gs://bucket/sales/day=2026-01-02/shop=7/part.parquet`` has the columns day and shop.

https://cloud.google.com/bigquery/docs/hive-partitioned-queries
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from tule.bigquery.errors import invalid, not_implemented
from tule.bigquery.formats.sources import AnySource
from tule.bigquery.formats.values import column, day, integer, timestamp
from tule.bigquery.schemas import JsonField
from tule.bigquery.types import Field, fields_from_rest

_MODES = ("AUTO", "STRINGS", "CUSTOM")
_TYPES = {"STRING": "STRING", "INTEGER": "INTEGER", "INT64": "INTEGER", "DATE": "DATE", "TIMESTAMP": "TIMESTAMP"}
_KEY = re.compile(r"\{(?P<name>\w+):(?P<type>\w+)\}", re.ASCII)
_PAIR = re.compile(r"(?P<name>\w+)=(?P<value>.*)", re.ASCII)
# What Hive writes for NULL.
_NULL = "__HIVE_DEFAULT_PARTITION__"
_MOST_KEYS = 10
# From narrow to wide: the first type that takes all values of a key is its type.
_LADDER: tuple[tuple[str, Callable[[str], Any]], ...] = (
    ("INTEGER", integer), ("DATE", day), ("TIMESTAMP", timestamp),
)  # fmt: skip


@dataclass(frozen=True)
class HiveLayout:
    """Where the keys of some files are: behind ``prefix``; ``keys`` (name, type) where they are given (CUSTOM)."""

    mode: str
    prefix: str
    keys: tuple[tuple[str, str], ...] = ()
    require_filter: bool = False

    @classmethod
    def read(cls, options: Mapping[str, Any] | None, uris: Sequence[str]) -> HiveLayout | None:
        """From ``hivePartitioningOptions``; None where files are not partitioned."""
        if not options or not options.get("mode"):
            if options and (options.get("sourceUriPrefix") or options.get("requirePartitionFilter")):
                raise invalid("hivePartitioningOptions.mode must be AUTO, STRINGS or CUSTOM; it is not set")
            return None
        mode = str(options["mode"]).upper()
        if mode not in _MODES:
            raise invalid(f"hivePartitioningOptions.mode must be one of {', '.join(_MODES)}; given: {mode!r}")
        written = str(options.get("sourceUriPrefix") or "")
        prefix, _, encoded = written.partition("{")
        keys = _keys("{" + encoded) if encoded else ()
        if bool(keys) != (mode == "CUSTOM"):
            raise invalid(
                "hivePartitioningOptions.sourceUriPrefix must encode the partition keys (gs://bucket/table/{day:DATE}) "
                f"with mode CUSTOM, and only then; given: mode {mode}, {written!r}"
            )
        prefix = (prefix or _common(uris)).rstrip("/") + "/"
        for each in uris:
            if not each.startswith(prefix):
                raise invalid(
                    f"sourceUriPrefix must be the beginning of every source URI; given: {written!r}, {each!r}"
                )
        return cls(mode, prefix, keys, bool(options.get("requirePartitionFilter")))

    def partitions(self, sources: Sequence[AnySource]) -> HivePartitions:
        """The keys of the files that there are; raises where they do not agree with one another."""
        found = {each.name: self._pairs(each.name) for each in sources}
        names = [name for name, _ in self.keys] or [name for name, _ in next(iter(found.values()), [])]
        for file, pairs in found.items():
            if [name.lower() for name, _ in pairs] != [name.lower() for name in names]:
                raise invalid(
                    f"All files must have the partition keys {', '.join(names) or 'none'} in this order behind "
                    f"{self.prefix}; given: {file}",
                    location=file,
                )
        if not names:
            raise invalid(
                f"Files below {self.prefix} must be in folders named KEY=VALUE. Next: correct sourceUriPrefix"
            )
        if len(names) > _MOST_KEYS:
            raise invalid(f"Files may have at most {_MOST_KEYS} partition keys; given: {', '.join(names)}")
        texts = {file: [None if value == _NULL else value for _, value in pairs] for file, pairs in found.items()}
        fields = [
            {"name": name, "type": self._type(index, [each[index] for each in texts.values()]), "mode": "NULLABLE"}
            for index, name in enumerate(names)
        ]
        return HivePartitions(fields, texts)

    def declared(self) -> list[JsonField]:
        """The keys that are known without a file."""
        return [{"name": name, "type": kind, "mode": "NULLABLE"} for name, kind in self.keys]

    def _pairs(self, uri: str) -> list[tuple[str, str]]:
        """The (key, value) pairs of a file's folders."""
        pairs: list[tuple[str, str]] = []
        for folder in uri.removeprefix(self.prefix).split("/")[:-1]:
            match = _PAIR.fullmatch(folder)
            if match is None:
                if pairs:
                    raise invalid(f"A folder between partition keys must be KEY=VALUE; given: {folder!r} of {uri}")
                continue
            pairs.append((match["name"], match["value"]))
        return pairs

    def _type(self, index: int, values: Iterable[str | None]) -> str:
        if self.keys:
            return self.keys[index][1]
        texts = [each for each in values if each is not None]
        if self.mode == "AUTO" and texts:
            for kind, parse in _LADDER:
                if all(_fits(parse, text) for text in texts):
                    return kind
        return "STRING"


@dataclass(frozen=True)
class HivePartitions:
    """The columns that folders give: ``texts`` are the values of each file in the order of ``fields``."""

    fields: list[JsonField]
    texts: Mapping[str, Sequence[str | None]]

    @property
    def names(self) -> frozenset[str]:
        return frozenset(each["name"].lower() for each in self.fields)

    def values(self, source: AnySource, wanted: Sequence[Field]) -> dict[str, pa.Array]:
        """One value of each of the ``wanted`` keys for a file, by name in lower case."""
        given = dict(zip([each["name"].lower() for each in self.fields], self.texts[source.name], strict=True))
        made = {}
        for field in wanted:
            values, wrong = column(pa.array([given[field.name.lower()]], pa.string()), field)
            if wrong:
                raise invalid(
                    f"The partition key {field.name} must be of type {field.type}; given: "
                    f"{given[field.name.lower()]!r} in {source.name}",
                    location=source.name,
                )
            made[field.name.lower()] = values
        return made

    def completed(
        self, source: AnySource, batches: Iterable[pa.RecordBatch], fields: Sequence[Field]
    ) -> Iterator[pa.RecordBatch]:
        """The rows of one file, which lack the keys, with all ``fields``."""
        keys = self.values(source, [each for each in fields if each.name.lower() in self.names])
        schema = pa.schema([each.arrow for each in fields])
        for batch in batches:
            columns = []
            for each in fields:
                key = keys.get(each.name.lower())
                columns.append(batch.column(each.name) if key is None else pa.repeat(key[0], batch.num_rows))
            yield pa.RecordBatch.from_arrays(columns, schema=schema)

    def with_columns(self, fields: Sequence[JsonField]) -> list[JsonField]:
        """The columns of files with those of their folders behind them; raises where a file has one of these too."""
        if twice := [each["name"] for each in fields if each["name"].lower() in self.names]:
            raise invalid(f"The partition key {twice[0]} must not be a column of the files too")
        return [*fields, *self.fields]

    def columns(self) -> list[Field]:
        return fields_from_rest(self.fields)


def _keys(encoded: str) -> tuple[tuple[str, str], ...]:
    """``{day:DATE}/{shop:INTEGER}``"""
    keys = []
    for part in encoded.rstrip("/").split("/"):
        match = _KEY.fullmatch(part)
        if match is None:
            raise invalid(f"A partition key must be written {{name:TYPE}} in sourceUriPrefix; given: {part!r}")
        kind = _TYPES.get(match["type"].upper())
        if kind is None:
            raise not_implemented(
                f"A partition key of type {match['type']} ({match['name']})", do=f"use one of {', '.join(_TYPES)}"
            )
        keys.append((match["name"], kind))
    return tuple(keys)


def encoded(prefix: str, keys: Sequence[Field]) -> str:
    """A prefix with its keys, as ``sourceUriPrefix`` writes them."""
    return "/".join([prefix.rstrip("/"), *(f"{{{each.name}:{each.type}}}" for each in keys)])


def _common(uris: Sequence[str]) -> str:
    """What all URIs begin with before a wildcard or a key, cut at a slash."""
    heads = []
    for uri in uris:
        kept = []
        for part in uri.split("/"):
            if "*" in part or _PAIR.fullmatch(part):
                break
            kept.append(part)
        heads.append("/".join(kept))
    return min(heads, key=len) if heads else ""


def _fits(parse: Callable[[str], Any], text: str) -> bool:
    try:
        parse(text)
    except (ValueError, OverflowError):
        return False
    return True
