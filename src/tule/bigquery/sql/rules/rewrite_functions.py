"""Functions: those known to mean the same pass, those that differ are rewritten, all others are refused by name.

``SAME`` and ``REWRITES`` are the matrix of docs/bigquery-functions.md. Nothing reaches the engine that is in neither.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any

from sqlglot import exp

from tule.bigquery.sql.context import Context
from tule.kernel.errors import InvalidArgument, Unimplemented

DATE = exp.DataType.Type.DATE
BIGINT = exp.DataType.Type.BIGINT
TIMESTAMPTZ = exp.DataType.Type.TIMESTAMPTZ
TEXT = exp.DataType.Type.TEXT


def call(name: str, *arguments: Any) -> exp.Anonymous:
    """A function of the engine, or one of our macros there (``tule_...``)."""
    made = exp.Anonymous(this=name, expressions=[each for each in arguments if each is not None])
    made.meta["tule_engine"] = True
    return made


# Classes of sqlglot whose DuckDB form has the meaning of GoogleSQL.
SAME: frozenset[str] = frozenset(
    {
        # aggregates and windows
        "AnyValue", "ApproxDistinct", "ArgMax", "ArgMin", "Avg", "BitwiseAndAgg", "BitwiseOrAgg", "BitwiseXorAgg", "Corr",
        "Count", "CountIf", "CovarPop", "CovarSamp", "CumeDist", "DenseRank", "FirstValue", "Lag", "LastValue", "Lead",
        "LogicalAnd", "LogicalOr", "Max", "Min", "NthValue", "Ntile", "PercentRank", "PercentileCont", "PercentileDisc",
        "Rank", "RowNumber", "Stddev", "StddevPop", "StddevSamp", "Sum", "Variance", "VariancePop",
        # conditions and construction
        "And", "Or", "Xor", "Array", "Case", "Coalesce", "Exists", "If", "Nullif", "Struct", "Cast", "TryCast", "Map",
        # numbers
        "Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atan2", "Atanh", "Cbrt", "Ceil", "Cos", "Cosh", "Cot", "Exp",
        "Floor", "Greatest", "IsInf", "IsNan", "Least", "Ln", "Log", "Pow", "Rand", "Sign", "Sin", "Sinh", "Sqrt", "Tan",
        "Tanh", "SafeDivide", "BitwiseCount",
        # text and bytes
        "Ascii", "ByteLength", "Chr", "Concat", "Contains", "EndsWith", "Left", "Length", "Lower", "LowerHex", "MD5Digest",
        "Pad", "RegexpExtract", "RegexpExtractAll", "RegexpLike", "RegexpReplace", "Repeat", "Replace", "Reverse", "Right",
        "SHA2Digest", "Split", "StartsWith", "StrPosition", "Substring", "ToBase64", "FromBase64", "Trim", "Unicode",
        "Upper", "Uuid", "Initcap", "DPipe",
        # dates and times
        "CurrentDate", "Date", "DateDiff", "DateFromParts", "DatetimeAdd", "DatetimeDiff", "DatetimeSub", "DatetimeTrunc",
        "Extract", "LastDay", "ParseDatetime", "StrToDate", "TimeFromParts", "TimeToStr", "Timestamp", "TimestampAdd",
        "TimestampDiff", "TimestampFromParts", "TimestampSub", "TimestampTrunc", "TsOrDsToDate", "TsOrDsToDatetime",
        "TsOrDsToTimestamp", "UnixDate", "UnixMicros", "UnixMillis", "UnixSeconds", "WeekStart", "Datetime", "Time",
        # arrays
        "ArrayConcat", "ArrayFirst", "ArrayLast", "ArrayReverse", "ArraySize", "ArrayToString", "GenerateDateArray",
        "GenerateSeries", "Unnest", "Explode",
        # JSON
        "JSONExtract", "JSONExtractScalar", "JSONFormat", "ParseJSON", "JSONValue",
    }
)  # fmt: skip


def _date(node: Any) -> Any:
    """The engine answers a timestamp where a DATE is meant."""
    return _kept(exp.cast(_kept(node), DATE))


def _kept(node: Any) -> Any:
    node.meta["tule_done"] = True
    return node


def _date_add(node: Any) -> Any:
    return _date(node)


def _extract(node: Any) -> Any:
    part = node.this.name.upper() if node.this is not None else ""
    if isinstance(node.this, exp.WeekStart):
        raise Unimplemented("Tule does not do EXTRACT(WEEK(<day>) ...)", do="use ISOWEEK", reason="notImplemented")
    value = node.expression
    if part == "DAYOFWEEK":
        return _kept(exp.Paren(this=exp.Add(this=_kept(node), expression=exp.Literal.number(1))))
    if part == "WEEK":
        # Weeks begin on Sunday; days before the first Sunday are in week 0.
        return exp.cast(call("strftime", value, exp.Literal.string("%U")), BIGINT)
    if part == "ISOWEEK":
        node.set("this", exp.var("WEEK"))
    elif part == "DATE":
        return _kept(exp.cast(value, DATE))
    elif part == "MILLISECOND":
        return call("tule_extract_millisecond", value)
    elif part == "MICROSECOND":
        return call("tule_extract_microsecond", value)
    elif part == "SECOND":
        return exp.cast(call("date_part", exp.Literal.string("second"), value), BIGINT)
    elif part not in ("YEAR", "ISOYEAR", "QUARTER", "MONTH", "DAY", "DAYOFYEAR", "HOUR", "MINUTE"):
        raise Unimplemented(f"Tule does not do EXTRACT({part} ...)", reason="notImplemented")
    return _kept(node)


def _unix_to_time(node: Any) -> Any:
    scale = str(node.args.get("scale") or 0)
    micros = {"0": "1000000", "3": "1000", "6": "1"}.get(scale)
    if micros is None:
        raise Unimplemented(f"Tule does not do this conversion to TIMESTAMP (scale {scale})", reason="notImplemented")
    return call(
        "tule_timestamp_micros", exp.Mul(this=exp.cast(node.this, BIGINT), expression=exp.Literal.number(micros))
    )


def _str_to_time(node: Any) -> Any:
    """PARSE_TIMESTAMP is a moment, not a wall clock."""
    return _kept(exp.cast(_kept(node), TIMESTAMPTZ))


def _array_agg(node: Any) -> Any:
    """ARRAY_AGG with IGNORE NULLS, ORDER BY and LIMIT in any mix."""
    inner, ignore, limit = node.this, False, None
    while isinstance(inner, exp.IgnoreNulls | exp.RespectNulls | exp.Limit):
        if isinstance(inner, exp.IgnoreNulls):
            ignore = True
        if isinstance(inner, exp.Limit):
            limit = inner.expression
        inner = inner.this
    order: list[Any] = []
    if isinstance(inner, exp.Order):
        order, inner = inner.expressions, inner.this
    distinct = isinstance(inner, exp.Distinct)
    element = inner.expressions[0] if distinct else inner
    argument: Any = exp.Distinct(expressions=[element.copy()]) if distinct else element.copy()
    if order:
        argument = exp.Order(this=argument, expressions=order)
    # A list keeps NULLs; our macro refuses them where BigQuery would.
    made: Any = call("list", argument)
    if ignore:
        condition = exp.Not(this=exp.Is(this=element.copy(), expression=exp.Null()))
        made = exp.Filter(this=made, expression=exp.Where(this=condition))
    if limit is not None:
        made = call("list_slice", made, exp.Literal.number(1), limit)
    return made


def _group_concat(node: Any) -> Any:
    separator = node.args.get("separator") or exp.Literal.string(",")
    inner, limit = node.this, None
    if isinstance(inner, exp.Limit):
        limit, inner = inner.expression, inner.this
    if limit is not None:
        raise Unimplemented("Tule does not do LIMIT in STRING_AGG", reason="notImplemented")
    made = call("string_agg", inner, separator)
    if isinstance(inner, exp.Order):
        made = call("string_agg", inner.this, exp.Order(this=separator, expressions=inner.expressions))
    return made


def _format(node: Any) -> Any:
    return call("printf", node.this, *node.expressions)


def _round(node: Any) -> Any:
    return _kept(node)


def _trunc(node: Any) -> Any:
    if node.args.get("decimals") is not None:
        return call("tule_trunc", node.this, node.args["decimals"])
    return _kept(node)


def _string(node: Any) -> Any:
    if node.args.get("zone") is not None:
        raise Unimplemented("Tule does not do STRING with a time zone", reason="notImplemented")
    return call("tule_string", node.this)


def _cast(node: Any) -> Any:
    """Casts whose rounding, wording or text differ; the others are the engine's."""
    to = node.to.this
    safe = isinstance(node, exp.TryCast)
    if node.args.get("format") is not None:
        raise Unimplemented(
            "Tule does not do CAST ... FORMAT", do="use FORMAT_DATE or PARSE_DATE", reason="notImplemented"
        )
    if to == BIGINT:
        return call("tule_safe_int64" if safe else "tule_int64", node.this)
    if to == TEXT and not node.to.expressions:
        return call("tule_string", node.this)
    if to == exp.DataType.Type.DECIMAL and not node.to.expressions:
        node.to.set("expressions", [exp.DataTypeParam(this=exp.Literal.number(each)) for each in (38, 9)])
    if to == exp.DataType.Type.BIGDECIMAL:
        raise Unimplemented("Tule has no type BIGNUMERIC", do="use NUMERIC or FLOAT64", reason="notImplemented")
    return _kept(node)


def _date_trunc(node: Any) -> Any:
    return _date(node)


def _safe_func(node: Any) -> Any:
    """SAFE.f(x): NULL where f would fail."""
    inner = node.this
    return call("try", inner)


def _approx_top_count(node: Any) -> Any:
    return call("tule_top_count", node.this, node.expression or node.args.get("expression"))


def _approx_quantiles(node: Any) -> Any:
    count = node.args.get("expression")
    if not isinstance(count, exp.Literal):
        raise InvalidArgument("APPROX_QUANTILES needs a constant number of quantiles", reason="invalidQuery")
    number = int(count.this)
    shares = exp.Array(expressions=[exp.Literal.number(f"{index / number:.17g}e0") for index in range(number + 1)])
    for each in shares.expressions:
        each.meta["tule_typed"] = True
    return call("quantile_disc", node.this, shares)


def _current_timestamp(node: Any) -> Any:
    # CURRENT_TIMESTAMP could be taken for a column of that name; a function cannot.
    return call("now")


def _current_datetime(node: Any) -> Any:
    if node.this is not None:
        raise Unimplemented("Tule does not do CURRENT_DATETIME with a time zone", reason="notImplemented")
    return exp.cast(call("now"), exp.DataType.Type.TIMESTAMP)


def _current_time(node: Any) -> Any:
    return exp.cast(exp.cast(call("now"), exp.DataType.Type.TIMESTAMP), exp.DataType.Type.TIME)


def _str_position(node: Any) -> Any:
    for name in ("position", "occurrence"):
        if node.args.get(name) is not None:
            return call(
                "tule_instr", node.this, node.args["substr"], node.args.get("position") or exp.Literal.number(1),
                node.args.get("occurrence") or exp.Literal.number(1),
            )  # fmt: skip
    return _kept(node)


def _farm(node: Any) -> Any:
    return call("tule_farm_fingerprint", *(node.expressions or [node.this]))


def _range_bucket(node: Any) -> Any:
    return call("tule_range_bucket", node.this, node.expression)


def _current_user(node: Any) -> Any:
    raise Unimplemented("Tule does not do SESSION_USER()", reason="notImplemented")


REWRITES: dict[str, Callable[[Any], Any]] = {
    "ApproxQuantiles": _approx_quantiles,
    "ApproxTopK": _approx_top_count,
    "ArrayAgg": _array_agg,
    "Cast": _cast,
    "CurrentDatetime": _current_datetime,
    "CurrentTime": _current_time,
    "CurrentTimestamp": _current_timestamp,
    "DateAdd": _date_add,
    "DateSub": _date_add,
    "DateTrunc": _date_trunc,
    "Extract": _extract,
    "FarmFingerprint": _farm,
    "Format": _format,
    "GroupConcat": _group_concat,
    "RangeBucket": _range_bucket,
    "Round": _round,
    "SafeFunc": _safe_func,
    "StrPosition": _str_position,
    "StrToTime": _str_to_time,
    "String": _string,
    "Trunc": _trunc,
    "TryCast": _cast,
    "UnixToTime": _unix_to_time,
}


def _ieee_divide(arguments: list[Any]) -> Any:
    made = exp.Div(this=arguments[0], expression=arguments[1])
    made.meta["tule_ieee"] = True
    return exp.Paren(this=made)


def _error(arguments: list[Any]) -> Any:
    return call("tule_error", *arguments)


# Functions that sqlglot does not know, by name.
NAMED: dict[str, Callable[[list[Any]], Any]] = {
    "IEEE_DIVIDE": _ieee_divide,
    "ERROR": _error,
    "TRANSLATE": lambda arguments: call("translate", *arguments),
    "TIMESTAMP_FROM_UNIX_SECONDS": lambda arguments: call("to_timestamp", *arguments),
}


def rewrite_functions(tree: Any, context: Context) -> Any:
    """Innermost first, so that a rewrite sees arguments that are done."""
    for nulls in list(tree.find_all(exp.IgnoreNulls, exp.RespectNulls)):
        # ARRAY_AGG(x IGNORE NULLS ...): sqlglot puts the words around the function; ours stand inside.
        if isinstance(nulls.this, exp.ArrayAgg):
            array = nulls.this
            nulls.replace(array)
            array.set("this", type(nulls)(this=array.this))
    for node in reversed(list(tree.find_all(exp.Func))):
        if node.meta.get("tule_done") or node.meta.get("tule_engine"):
            continue
        made = _one(node)
        if made is not node:
            if node is tree:
                tree = made
            else:
                _replace(node, made)
    return tree


def _replace(node: Any, made: Any) -> None:
    parent = node.parent
    if parent is None:
        return
    # The new node may hold the old one: swap it in under the old one's parent.
    placeholder = exp.Null()
    node.replace(placeholder)
    placeholder.replace(made)


def _one(node: Any) -> Any:
    if isinstance(node, exp.Anonymous):
        name = node.name.upper()
        if isinstance(node.parent, exp.Dot):
            name = f"{node.parent.this.name.upper()}.{name}"
        if name in NAMED:
            return NAMED[name](list(node.expressions))
        raise _unknown(name)
    kind = type(node).__name__
    if kind in REWRITES:
        return REWRITES[kind](node)
    if kind in SAME or isinstance(node, exp.Connector | exp.SubqueryPredicate):
        return node
    raise Unimplemented(
        f"Function not supported in Tule: {node.sql_name() if hasattr(node, 'sql_name') else kind}",
        do="see docs/bigquery.md for the functions it has", reason="invalidQuery",
    )  # fmt: skip


def _unknown(name: str) -> InvalidArgument:
    near = difflib.get_close_matches(name, NAMED, n=1)
    hint = f"; Did you mean {near[0].lower()}?" if near else ""
    return InvalidArgument(f"Function not found: {name}{hint}", reason="invalidQuery", location="query")
