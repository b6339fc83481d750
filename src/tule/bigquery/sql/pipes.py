"""Pipe syntax: each operator sees the rows that the one before it made.

sqlglot folds operators into one SELECT, which is another query where a LIMIT, DISTINCT or ORDER BY stands before. Here a
query that has one of these is closed (it becomes a WITH entry) before the next operator.
https://cloud.google.com/bigquery/docs/reference/standard-sql/pipe-syntax
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from sqlglot import exp
from sqlglot.tokens import TokenType

from tule.kernel.errors import Unimplemented

_CLOSING = ("limit", "offset", "distinct", "order", "qualify", "kind")
_REFUSED = frozenset(
    {"ASSERT", "CALL", "CREATE", "DESCRIBE", "EXPORT", "FORK", "IF", "INSERT", "LOG", "MATCH_RECOGNIZE", "RECURSIVE",
     "STATIC_DESCRIBE", "TABLESAMPLE", "TEE", "WITH"}
)  # fmt: skip


class PipeParser:
    """The part of a parser that reads ``|>`` and what follows."""

    PIPES: ClassVar[dict[str, Callable[[Any, Any], Any]]] = {
        "DISTINCT": lambda self, query: self._pipe_distinct(query),
        "DROP": lambda self, query: self._pipe_drop(query),
        "EXTEND": lambda self, query: self._pipe_extend(query, "EXTEND"),
        "LIMIT": lambda self, query: self._pipe_limit(query),
        "RENAME": lambda self, query: self._pipe_rename(query),
        "SELECT": lambda self, query: self._pipe_select(query),
        "SET": lambda self, query: self._pipe_set(query),
        "WINDOW": lambda self, query: self._pipe_extend(query, "WINDOW"),
    }

    def _parse_pipe_syntax_query(self: Any, query: Any) -> Any:
        if isinstance(query, exp.Subquery):
            query = exp.select("*").from_(query, copy=False)
        if not query.args.get("from_"):
            query = exp.select("*").from_(query.subquery(copy=False), copy=False)
        while self._match(TokenType.PIPE_GT):
            word = self._curr.text.upper() if self._curr is not None else ""
            if word in _REFUSED:
                raise Unimplemented(
                    f"Tule does not do the pipe operator {word}", do="see docs/bigquery-sql.md for what it does",
                    reason="notImplemented", location="query",
                )  # fmt: skip
            if word == "UNION" or not (word == "LIMIT" and not _has(query, ("limit", "offset", "distinct", "kind"))):
                query = self._closed(query)
            query = self._pipe(word, query)
        return query

    def _closed(self: Any, query: Any) -> Any:
        """A query that the next operator can be added to."""
        if not isinstance(query, exp.Select) or _has(query, _CLOSING) or not _is_plain(query):
            return self._build_pipe_cte(query=query, expressions=[exp.Star()])
        return query

    def _pipe(self: Any, word: str, query: Any) -> Any:
        known = self.PIPES.get(word) or self.PIPE_SYNTAX_TRANSFORM_PARSERS.get(word)
        if known is not None:
            return known(self, query)
        start = self._index
        made = self._parse_pipe_syntax_set_operator(query) or self._parse_pipe_syntax_join(query)
        if made is None:
            self._retreat(start)
            self.raise_error(f"Unsupported pipe syntax operator: '{word}'.")
        return made

    def _pipe_select(self: Any, query: Any) -> Any:
        select = self._parse_select(consume_pipe=False)
        if select is None:
            return query
        others = {key for key, value in select.args.items() if value} - {"expressions", "distinct", "kind"}
        kind = str(select.args.get("kind") or "").upper()
        if others or kind == "VALUE":
            raise Unimplemented(
                "Tule does |> SELECT with a list of columns alone", given=f"SELECT AS {kind}" if kind else ", ".join(others),
                do="write the rest as operators of their own", reason="notImplemented", location="query",
            )  # fmt: skip
        made = query.select(*select.expressions, append=False)
        if select.args.get("distinct"):
            made.set("distinct", select.args["distinct"])
        return self._build_pipe_cte(query=made, expressions=[exp.Star()])

    def _pipe_distinct(self: Any, query: Any) -> Any:
        self._advance()
        return query.distinct(copy=False)

    def _pipe_extend(self: Any, query: Any, word: str) -> Any:
        self._match_text_seq(word)
        made = query.select(*self._parse_expressions(), append=True, copy=False)
        return self._build_pipe_cte(query=made, expressions=[exp.Star()])

    def _pipe_limit(self: Any, query: Any) -> Any:
        limit, offset = self._parse_limit(), self._parse_offset()
        query.set("limit", limit)
        if offset is not None:
            query.set("offset", offset)
        return query

    def _pipe_set(self: Any, query: Any) -> Any:
        self._match_text_seq("SET")
        items = []
        for each in self._parse_csv(self._parse_disjunction):
            if not isinstance(each, exp.EQ) or not isinstance(each.this, exp.Column):
                self.raise_error("Expected column = expression after |> SET")
            items.append(exp.alias_(each.expression, each.this.this, copy=True))
        return self._starred(query, replace=items)

    def _pipe_drop(self: Any, query: Any) -> Any:
        self._match_text_seq("DROP")
        return self._starred(query, except_=self._parse_csv(self._parse_id_var))

    def _pipe_rename(self: Any, query: Any) -> Any:
        self._match_text_seq("RENAME")
        pairs = self._parse_csv(self._renamed)
        return self._starred(query, rename=pairs)

    def _renamed(self: Any) -> Any:
        name = self._parse_id_var()
        self._match(TokenType.ALIAS)
        return exp.alias_(exp.column(name), self._parse_id_var(), copy=False)

    def _starred(self: Any, query: Any, **changes: Any) -> Any:
        """All columns, some of them changed."""
        inner = self._build_pipe_cte(query=query, expressions=[exp.Star()])
        inner.set("expressions", [exp.Star(**changes)])
        return self._build_pipe_cte(query=inner, expressions=[exp.Star()])


def _has(query: Any, keys: tuple[str, ...]) -> bool:
    return any(query.args.get(key) for key in keys)


def _is_plain(query: exp.Select) -> bool:
    """Whether a query's list is all columns and nothing is grouped: what stands before the first operator may be."""
    items = query.expressions
    return (
        len(items) == 1
        and isinstance(items[0], exp.Star)
        and not any(items[0].args.values())
        and not (query.args.get("group") or query.args.get("having"))
    )


__all__ = ["PipeParser"]
