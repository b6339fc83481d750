"""Which rows train and which are held out for evaluation.

A row's *key* is a number that its own values and the names of its columns decide, so that the same data is split in the
same way however it is stored and ordered. The service takes FARM_FINGERPRINT of a form of the row that is not published,
so its very choice cannot be repeated; Tule takes the engine's hash, which is computed as fast as the rows are read.
Rows that are equal in every column get keys of their own by counting them, else a table of few distinct rows would be
split into whole groups.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from sqlglot import exp

from tule.bigquery.ml import nodes
from tule.bigquery.ml.batches import Relation
from tule.bigquery.ml.options import ModelOptions
from tule.bigquery.ml.options.model_types import AUTOML
from tule.kernel.errors import InvalidArgument

if TYPE_CHECKING:
    from tule.bigquery.model_statements import Run

KEY = "_tule_key"
AUTO_FEWEST = 500
AUTO_MOST_SHARED = 50_000
AUTO_SHARE = 0.2
AUTO_HELD = 10_000
TUNED_SHARE = 0.1
"""Of the rows of a tuning so many evaluate, and so many test."""
WORDS = ("TRAIN", "EVAL", "TEST")
SEARCH_WORDS = ("TRAIN", "VALIDATE", "TEST", "UNASSIGNED")
_KEYS = 1 << 63
_LOOKED_AT = 1_000
# Of the smallest keys so many must differ, else equal rows are counted apart.
_DISTINCT = 0.95


@dataclass(frozen=True)
class Split:
    """Conditions over ``relation``: the rows that train (None: all) and those held out (None: none)."""

    relation: Relation
    training: exp.Expression | None = None
    held_out: exp.Expression | None = None
    rows: int | None = None
    """How many rows train, where that is known without reading them."""
    test: exp.Expression | None = None
    """Of a tuning: the rows that neither train nor choose a trial."""

    @property
    def columns(self) -> list[str]:
        return [name for name in self.relation.schema.names if name != KEY]


def key_of(names: Sequence[str]) -> exp.Expression:
    """The key of a row with these columns, 0 to 2**63 - 1, as an expression."""
    words = exp.Literal.string("\x1f".join(names))
    hashed = nodes.engine_call("hash", words, *(nodes.column(name) for name in names))
    return _positive(hashed)


def _positive(hashed: exp.Expression) -> exp.Expression:
    """A hash of the engine as an INT64 from 0 on."""
    shifted = exp.BitwiseRightShift(this=hashed, expression=_whole(1))
    shifted.meta["tule_done"] = True
    made: exp.Expression = exp.cast(exp.Paren(this=shifted), "BIGINT")
    made.meta["tule_done"] = True
    return made


def _whole(number: int) -> exp.Expression:
    literal = exp.Literal.number(number)
    literal.meta["tule_typed"] = True
    return literal


def _ascending(*keys: exp.Expression) -> exp.Order:
    return exp.Order(expressions=[exp.Ordered(this=each, nulls_first=True) for each in keys])


class Splitter:
    """Splits a relation as the options say. ``keep`` stores a query as a relation for the rest of the statement.

    A tuning splits three ways: into rows that train, evaluate and test.
    """

    def __init__(
        self, run: Run, options: ModelOptions, label: str | None, keep: Callable[[exp.Expression], Relation]
    ) -> None:
        self._run = run
        self._options = options
        self._label = label
        self._keep = keep

    def split(self, relation: Relation, key: exp.Expression, column: str | None) -> Split:
        """``key`` is an expression over the relation, ``column`` the one of DATA_SPLIT_COL."""
        if self._options.model_type in AUTOML:
            return self._searched(relation, key, column)
        match self._options.get("data_split_method"):
            case None:
                # Of a tuned model type without the option.
                return self._automatic(relation, key)
            case "AUTO_SPLIT":
                return self._automatic(relation, key)
            case "RANDOM":
                return self._random(relation, key)
            case "CUSTOM":
                assert column is not None
                return self._custom(relation, column)
            case "SEQ":
                assert column is not None
                return self._sequential(relation, column)
        return Split(relation)

    @property
    def _shares(self) -> tuple[float, float]:
        """The shares of evaluation and test rows."""
        if self._options.tuned and "DATA_SPLIT_EVAL_FRACTION" not in self._options.given:
            return TUNED_SHARE, TUNED_SHARE
        shares = self._options["data_split_eval_fraction"], self._options["data_split_test_fraction"]
        return round(shares[0], 2), round(shares[1], 2)

    def _labelled(self) -> exp.Expression:
        if self._label is None:
            return exp.true()
        return exp.Not(this=exp.Is(this=nodes.column(self._label), expression=exp.Null()))

    def _one(self, query: exp.Expression) -> list[Any]:
        (row,) = self._run.batches(query).table().to_pylist()
        return list(row.values())

    def _count(self, relation: Relation, what: exp.Expression) -> int:
        count = nodes.named(exp.Count(this=what), "n")
        return int(self._one(relation.select([count]))[0])

    def _smallest(self, relation: Relation, key: exp.Expression, count: int) -> list[int]:
        """The smallest keys of rows with a label, ascending."""
        query = relation.select([nodes.named(key.copy(), KEY)], self._labelled())
        query.set("order", _ascending(nodes.column(KEY)))
        query.set("limit", exp.Limit(expression=_whole(count)))
        found: list[int] = pa.chunked_array(self._run.batches(query).table().column(0)).to_pylist()
        return found

    def _counted_apart(self, relation: Relation) -> tuple[Relation, exp.Expression]:
        """The relation with a key in which equal rows differ by their number."""
        names = [name for name in relation.schema.names if name != KEY]
        numbered = exp.Window(this=exp.RowNumber(), partition_by=[nodes.column(KEY)], over="OVER")
        own = [] if KEY in relation.schema.names else [nodes.named(key_of(names), KEY)]
        inner = relation.select([exp.Star(), *own])
        columns = [nodes.named(nodes.column(name), name) for name in names]
        mixed = nodes.engine_call("hash", nodes.column(KEY), numbered)
        key = _positive(mixed)
        query = nodes.select([*columns, nodes.named(key, KEY)], nodes.subquery(inner))
        # In an order that the rows decide, so that training again gives the same bytes.
        query.set("order", _ascending(nodes.column(KEY)))
        return self._keep(query), nodes.column(KEY)

    def _with_distinct_keys(
        self, relation: Relation, key: exp.Expression, looked_at: int
    ) -> tuple[Relation, exp.Expression, list[int]]:
        """(relation, key, its ``looked_at`` smallest values) where hardly two rows share a key."""
        smallest = self._smallest(relation, key, looked_at)
        straddles = len(smallest) > 1 and smallest[-1] == smallest[-2]
        if straddles or len(set(smallest)) < _DISTINCT * len(smallest):
            relation, key = self._counted_apart(relation)
            smallest = self._smallest(relation, key, looked_at)
        return relation, key, smallest

    def _automatic(self, relation: Relation, key: exp.Expression) -> Split:
        rows = self._count(relation, nodes.column(self._label) if self._label is not None else exp.Star())
        if rows < AUTO_FEWEST:
            return Split(relation, rows=rows)
        if self._options.tuned:
            relation, key, _ = self._with_distinct_keys(relation, key, _LOOKED_AT)
            return self._between(relation, key, TUNED_SHARE, TUNED_SHARE)
        held = round(AUTO_SHARE * rows) if rows <= AUTO_MOST_SHARED else AUTO_HELD
        relation, key, smallest = self._with_distinct_keys(relation, key, held + 1)
        return self._below(relation, key, smallest[held], rows - held)

    def _random(self, relation: Relation, key: exp.Expression) -> Split:
        share, tested = self._shares
        if share + tested == 0.0:
            return Split(relation)
        relation, key, _ = self._with_distinct_keys(relation, key, _LOOKED_AT)
        if self._options.tuned:
            return self._between(relation, key, share, tested)
        return self._below(relation, key, int(share * _KEYS), None)

    def _between(self, relation: Relation, key: exp.Expression, share: float, tested: float) -> Split:
        """The rows of the smallest keys evaluate, those of the next test."""
        first, last = int(share * _KEYS), min(_KEYS - 1, int((share + tested) * _KEYS))
        below = exp.LT(this=key.copy(), expression=_whole(first))
        beyond = exp.GTE(this=key.copy(), expression=_whole(first))
        test = exp.And(this=beyond, expression=exp.LT(this=key.copy(), expression=_whole(last)))
        return Split(
            relation,
            exp.GTE(this=key.copy(), expression=_whole(last)),
            exp.And(this=below, expression=self._labelled()) if share else None,
            test=exp.And(this=test, expression=self._labelled()) if tested else None,
        )

    def _below(self, relation: Relation, key: exp.Expression, bound: int, rows: int | None) -> Split:
        """Rows with a label and a key below the bound are held out."""
        below = exp.LT(this=key.copy(), expression=_whole(bound))
        held = exp.And(this=below, expression=self._labelled())
        return Split(relation, exp.GTE(this=key.copy(), expression=_whole(bound)), held, rows)

    def _searched(self, relation: Relation, key: exp.Expression, column: str | None) -> Split:
        """Of an automatic search: a tenth tests, and the search validates on rows of its own; or as the column says."""
        if column is None:
            relation, key, _ = self._with_distinct_keys(relation, key, _LOOKED_AT)
            return self._between(relation, key, 0.0, TUNED_SHARE)
        kind = relation.schema.field(column).type
        if pa.types.is_timestamp(kind) and kind.tz:
            return self._in_time(relation, column, TUNED_SHARE, TUNED_SHARE)
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            return self._by_words(relation, column, SEARCH_WORDS)
        raise InvalidArgument(
            "DATA_SPLIT_COL of an AutoML model must be a STRING or a TIMESTAMP column",
            given=f"{column} is {kind}",
            do=f"select {', '.join(SEARCH_WORDS)} for the rows, or a time that orders them",
            location="query",
            reason="invalidQuery",
        )

    def _in_time(self, relation: Relation, column: str, share: float, tested: float) -> Split:
        """The latest rows test, those before them evaluate."""
        kept, rows, ordered = self._placed(relation, column)
        last = rows - round(tested * ordered)
        first = last - round(share * ordered)

        def after(place: int) -> exp.Expression:
            return exp.GT(this=nodes.column(KEY), expression=_whole(place))

        until = exp.LTE(this=nodes.column(KEY), expression=_whole(last))
        trains = exp.LTE(this=nodes.column(KEY), expression=_whole(first))
        return Split(kept, trains, exp.And(this=after(first), expression=until), first, after(last))

    def _named(self, relation: Relation, column: str) -> Split:
        """By the words TRAIN, EVAL and TEST."""
        kind = relation.schema.field(column).type
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            raise InvalidArgument(
                "With NUM_TRIALS, DATA_SPLIT_COL of DATA_SPLIT_METHOD = 'CUSTOM' must be a STRING column",
                given=f"{column} is {kind}",
                do=f"select one of {', '.join(WORDS)} for each row",
                location="query",
                reason="invalidQuery",
            )
        return self._by_words(relation, column, WORDS)

    def _by_words(self, relation: Relation, column: str, words: tuple[str, ...]) -> Split:
        """``words``: those of the rows that train, evaluate and test, then others."""
        self._check_words(relation, column, words)

        def named(word: str) -> exp.Expression:
            return exp.EQ(this=nodes.column(column), expression=exp.Literal.string(word))

        train, evaluate, test, *_ = words
        return Split(
            relation,
            named(train),
            exp.And(this=named(evaluate), expression=self._labelled()),
            test=exp.And(this=named(test), expression=self._labelled()),
        )

    def _check_words(self, relation: Relation, column: str, words: tuple[str, ...]) -> None:
        known = exp.In(this=nodes.column(column), expressions=[exp.Literal.string(word) for word in words])
        strange = exp.Not(this=exp.Coalesce(this=known, expressions=[exp.false()]))
        query = relation.select([nodes.named(nodes.column(column), "word")], strange)
        query.set("limit", exp.Limit(expression=_whole(1)))
        found = self._run.batches(query).table()
        if found.num_rows:
            raise InvalidArgument(
                f"The values of DATA_SPLIT_COL must be {', '.join(words)}",
                given=repr(found.column(0)[0].as_py()),
                do="say for each row what it is for",
                location="query",
                reason="invalidQuery",
            )

    def _custom(self, relation: Relation, column: str) -> Split:
        if self._options.tuned:
            return self._named(relation, column)
        kind = relation.schema.field(column).type
        if not pa.types.is_boolean(kind):
            raise InvalidArgument(
                "DATA_SPLIT_COL of DATA_SPLIT_METHOD = 'CUSTOM' must be a BOOL column",
                given=f"{column} is {kind}",
                do="select a condition: TRUE or NULL evaluates, FALSE trains",
                location="query",
                reason="invalidQuery",
            )
        trains = exp.Is(this=nodes.column(column), expression=exp.false())
        held = exp.And(this=exp.Not(this=trains.copy()), expression=self._labelled())
        return Split(relation, trains, held)

    def _sequential(self, relation: Relation, column: str) -> Split:
        kind = relation.schema.field(column).type
        if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_boolean(kind):
            raise InvalidArgument(
                "DATA_SPLIT_COL of DATA_SPLIT_METHOD = 'SEQ' must be a column of numbers, STRING, DATE or TIMESTAMP",
                given=f"{column} is {kind}",
                do="choose a column that orders the rows",
                location="query",
                reason="invalidQuery",
            )
        kept, rows, ordered = self._placed(relation, column)
        share, tested = self._shares
        last = rows - round(share * ordered)
        held = exp.GT(this=nodes.column(KEY), expression=_whole(last))
        before = last - round(tested * ordered) if self._options.tuned else last
        test = exp.And(
            this=exp.GT(this=nodes.column(KEY), expression=_whole(before)),
            expression=exp.LTE(this=nodes.column(KEY), expression=_whole(last)),
        )
        trains = exp.LTE(this=nodes.column(KEY), expression=_whole(before))
        return Split(kept, trains, held, before, test if before < last else None)

    def _placed(self, relation: Relation, column: str) -> tuple[Relation, int, int]:
        """The rows with their place in the order of a column as key, their number, and how many of them count."""
        # Rows that do not count come first, so that they stay with those that train.
        special = [name for name in (self._label, column) if name is not None]
        first = [exp.Is(this=nodes.column(name), expression=exp.Null()) for name in special]
        order = [exp.Ordered(this=each, desc=True) for each in first]
        names = [name for name in relation.schema.names if name != KEY]
        order += _ascending(nodes.column(column), key_of(names)).expressions
        position = exp.Window(this=exp.RowNumber(), order=exp.Order(expressions=order), over="OVER")
        columns = [nodes.named(nodes.column(name), name) for name in names]
        query = relation.select([*columns, nodes.named(position, KEY)])
        query.set("order", _ascending(nodes.column(KEY)))
        kept = self._keep(query)
        placed = exp.Not(this=exp.Is(this=nodes.column(column), expression=exp.Null()))
        counted = exp.CountIf(this=exp.And(this=self._labelled(), expression=placed))
        rows, ordered = self._one(
            kept.select([nodes.named(exp.Count(this=exp.Star()), "n"), nodes.named(counted, "m")])
        )
        return kept, int(rows), int(ordered)
