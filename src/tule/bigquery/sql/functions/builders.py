"""Functions whose engine form is more than a name: each builder takes a ``Call`` and gives a node."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from tule.bigquery.sql.analysis import bignumerics, floats, operators, structs
from tule.bigquery.sql.analysis.calls import engine_call as call
from tule.bigquery.sql.functions import (
    decimals,
    geographies,
    intervals,
    jsons,
    keysets,
    ranges,
    searches,
    sketches,
    texts,
    times,
)
from tule.bigquery.sql.kinds import BIGNUMERIC, BYTES, FLOAT64, INT64, NULL, NUMERIC, array, engine_type

if TYPE_CHECKING:
    from tule.bigquery.sql.analysis.calls import Call

Builder = Callable[["Call"], Any]


def number(value: int) -> Any:
    return exp.Literal.number(value)


def text(value: str) -> Any:
    return exp.Literal.string(value)


def done(node: Any) -> Any:
    node.meta["tule_done"] = True
    return node


def cast(node: Any, kind: Any) -> Any:
    return done(exp.Cast(this=node, to=engine_type(kind)))


def not_null(node: Any) -> Any:
    return exp.Not(this=exp.Is(this=node.copy(), expression=exp.Null()))


def _on_bytes(it: Call) -> Any:
    """The function of text, on text of one character for each byte. https://github.com/google/re2 sees BYTES so too."""
    form = next(each for each in it.function.signatures if BYTES not in [argument.kind for argument in each.arguments])
    assert it.match is not None
    result = it.match.result
    for index, kind in enumerate(it.match.arguments):
        if kind == BYTES and it.kind(index) != NULL:
            it.arguments[index] = characters(it.arguments[index])
        elif kind == array(BYTES):
            it.arguments[index] = call("tule_characters_of_all", it.arguments[index])
    made = BUILDERS[form.engine[1:]](it) if form.engine.startswith("@") else call(form.engine, *it.arguments)
    if result == BYTES:
        return call("tule_octets", made)
    return call("tule_octets_of_all", made) if result == array(BYTES) else made


def characters(node: Any) -> Any:
    """Constants stay constants: a pattern must be one."""
    if isinstance(node, exp.Anonymous) and node.name == "unhex" and isinstance(node.expressions[0], exp.Literal):
        return text(bytes.fromhex(node.expressions[0].this).decode("latin-1"))
    return call("tule_characters", node)


# -- aggregates


def _any_value(it: Call) -> Any:
    if it.having is not None:
        best, it.having = it.having, None
        return it.aggregate("arg_max_null" if best.args.get("max") else "arg_min_null", it.argument(0), best.expression)
    return it.aggregate("any_value", it.argument(0))


def _extreme(it: Call) -> Any:
    kind, name = it.kind(0), it.function.name
    if kind is not None and kind.name in ("ARRAY", "STRUCT", "JSON", "GEOGRAPHY"):
        raise it.wrong(f"{name} is not defined for arguments of type {kind}")
    if kind == FLOAT64 and name == "MIN" and it.having is None:
        # NaN is the answer as soon as there is one; to the engine it is the largest number.
        nan = call("isnan", it.aggregate("max", it.argument(0).copy(), order=False))
        plain = it.aggregate("min", it.argument(0))
        return exp.Paren(this=exp.Case(default=plain).when(nan, cast(text("nan"), FLOAT64)))
    return it.aggregate(name.lower(), it.argument(0))


def _array_agg(it: Call) -> Any:
    kind = it.kind(0)
    if kind is not None and kind.name == "ARRAY":
        raise it.wrong("The argument to ARRAY_AGG must not be an array type but was " + str(kind))
    value = it.argument(0)
    condition = not_null(value) if it.nulls == "IGNORE" else None
    made = it.aggregate("list", value, condition=condition)
    if it.limit is not None:
        made = call("list_slice", made, number(1), it.limit)
    return made


def _array_concat_agg(it: Call) -> Any:
    arrays = it.aggregate("list", it.argument(0), condition=not_null(it.argument(0)))
    if it.limit is not None:
        arrays = call("list_slice", arrays, number(1), it.limit)
    return call("flatten", arrays)


def _avg_numeric(it: Call) -> Any:
    total = it.aggregate("sum", it.argument(0), order=False)
    count = it.aggregate("count", it.argument(0).copy(), order=False)
    return call("tule_divide_numeric", cast(total, NUMERIC), call("nullif", count, number(0)))


def _countif(it: Call) -> Any:
    condition = it.argument(0)
    return it.aggregate("count", exp.Case().when(condition, number(1)))


def _count_distinct(it: Call) -> Any:
    it.distinct = True
    return it.aggregate("count", it.argument(0))


def _string_agg(it: Call) -> Any:
    separator = it.argument(1, text(","))
    if it.distinct and it.limit is None:
        made = it.aggregate("list", it.argument(0), condition=not_null(it.argument(0)))
        return call("array_to_string", made, separator)
    if it.limit is not None or it.distinct:
        made = it.aggregate("list", it.argument(0), condition=not_null(it.argument(0)))
        if it.limit is not None:
            made = call("list_slice", made, number(1), it.limit)
        return call("array_to_string", made, separator)
    if not isinstance(separator, exp.Literal):
        made = it.aggregate("list", it.argument(0), condition=not_null(it.argument(0)))
        return call("array_to_string", made, separator)
    return it.aggregate("string_agg", it.argument(0), separator)


def _approx_quantiles(it: Call) -> Any:
    count = it.constant(1, "number of quantiles")
    if not isinstance(count, int) or count < 1:
        raise it.wrong("The number of quantiles of APPROX_QUANTILES must be a positive INT64")
    if it.nulls == "RESPECT":
        raise it.refuse("RESPECT NULLS in APPROX_QUANTILES")
    shares = []
    for index in range(count + 1):
        share = exp.Literal.number(f"{index / count:.17g}e0")
        share.meta["tule_typed"] = True
        shares.append(share)
    return it.aggregate("quantile_disc", it.argument(0), exp.Array(expressions=shares))


def _approx_top_count(it: Call) -> Any:
    value, most = it.argument(0), it.constant(1, "number")
    return call("tule_top_count", it.aggregate("list", value), number(int(most)))


def _approx_top_sum(it: Call) -> Any:
    value, weight, most = it.argument(0), it.argument(1), it.constant(2, "number")
    pair = call("struct_pack", done(exp.PropertyEQ(this=exp.to_identifier("v"), expression=value)),
                done(exp.PropertyEQ(this=exp.to_identifier("w"), expression=weight)))  # fmt: skip
    made = it.aggregate("list", pair, condition=not_null(weight))
    return call("tule_top_sum", made, number(int(most)))


# -- windows


def _offset(it: Call) -> Any:
    arguments = list(it.arguments)
    if len(arguments) > 2 and it.kind(2) == NULL:
        arguments = arguments[:2]
    return it.aggregate(it.function.name.lower(), *arguments)


def _percentile(it: Call, name: str) -> Any:
    if it.nulls == "RESPECT":
        raise it.refuse(f"RESPECT NULLS in {it.function.name}")
    share = it.constant(1, "percentile")
    if not isinstance(share, int | float) or not 0 <= share <= 1:
        raise it.wrong(f"The percentile of {it.function.name} must be between 0 and 1")
    constant = exp.Literal.number(f"{float(share):.17g}e0")
    constant.meta["tule_typed"] = True
    return it.aggregate(name, it.argument(0), constant)


# -- numbers


def _greatest(it: Call) -> Any:
    """GREATEST and LEAST are NULL as soon as an argument is; NaN likewise."""
    name = it.function.name.lower()
    for kind, _ in it.kinds:
        if kind is not None and kind.name in ("ARRAY", "STRUCT", "JSON"):
            raise it.wrong(f"{it.function.name} is not defined for arguments of type {kind}")
    conditions = [exp.Is(this=each.copy(), expression=exp.Null()) for each in it.arguments if not _never_null(each)]
    made: Any = call(name, *it.arguments)
    if it.match is not None and it.match.result == FLOAT64:
        nan = exp.or_(*(call("isnan", each.copy()) for each in it.arguments), copy=False)
        made = exp.Case(default=made).when(nan, cast(text("nan"), FLOAT64))
    if conditions:
        made = exp.Case(default=made).when(exp.or_(*conditions, copy=False), exp.Null())
    return exp.Paren(this=made)


def _never_null(node: Any) -> bool:
    inner = node
    while isinstance(inner, exp.Cast | exp.Neg | exp.Paren):
        inner = inner.this
    return isinstance(inner, exp.Literal)


def _log(it: Call) -> Any:
    if len(it.arguments) == 1:
        return call("tule_ln", it.argument(0))
    return call("tule_log", it.argument(0), it.argument(1))


def _round(it: Call) -> Any:
    value, digits = it.argument(0), it.argument(1, number(0))
    if len(it.arguments) > 2:
        mode = str(it.constant(2, "rounding mode"))
        if mode == "ROUND_HALF_EVEN":
            return call("tule_round_even_numeric", value, digits)
        if mode != "ROUND_HALF_AWAY_FROM_ZERO":
            raise it.wrong(f"Invalid rounding mode: {mode}")
    result = it.match.result if it.match is not None else None
    if result == NUMERIC:
        return call("tule_round_numeric", value, digits)
    if len(it.arguments) == 1:
        return call("round", cast(value, FLOAT64) if it.kind(0) == INT64 else value)
    return call("tule_round", cast(value, FLOAT64) if it.kind(0) == INT64 else value, digits)


def _trunc(it: Call) -> Any:
    result = it.match.result if it.match is not None else None
    if result == NUMERIC:
        return call("tule_trunc_numeric", it.argument(0), it.argument(1, number(0)))
    value = cast(it.argument(0), FLOAT64)
    if len(it.arguments) == 1:
        return call("trunc", value)
    return call("tule_trunc", value, it.argument(1))


def _safe(operator: type[Any]) -> Builder:
    def build(it: Call) -> Any:
        from tule.bigquery.sql.analysis.calls import attempt

        made: Any = operator(this=it.argument(0), expression=it.argument(1))
        result = it.match.result if it.match is not None else None
        if result == BIGNUMERIC:
            return attempt(bignumerics.computed(made), it.arguments)
        made = floats.checked(made) if result == FLOAT64 else exp.Paren(this=made)
        if result == NUMERIC:
            made = cast(made, NUMERIC)
        return attempt(made, it.arguments)

    return build


def _safe_negate(it: Call) -> Any:
    from tule.bigquery.sql.analysis.calls import attempt

    return attempt(exp.Paren(this=exp.Neg(this=it.argument(0))), it.arguments)


def _sparse_distance(it: Call) -> Any:
    raise it.refuse(f"{it.function.name} of sparse vectors", do="use arrays of numbers")


def _coalesce(it: Call) -> Any:
    return _first_of(it.arguments)


_FAIL = (exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Neg, exp.Cast, exp.Anonymous, exp.Subquery)


def _first_of(values: list[Any]) -> Any:
    """The first that is not NULL. What may fail is computed only where it is asked for: the engine takes a part of COALESCE
    that it finds twice out of it, but none of a CASE."""
    if len(values) == 1:
        return values[0]
    if not any(_may_fail(each) for each in values[1:]):
        return call("coalesce", *values)
    first = values[0]
    rest = exp.Case().when(exp.Is(this=exp.Paren(this=first.copy()), expression=exp.Null()), _first_of(values[1:]))
    return call("coalesce", first, exp.Paren(this=rest))


def _may_fail(node: Any) -> bool:
    return any(not _is_constant(each) for each in node.find_all(*_FAIL))


def _is_constant(node: Any) -> bool:
    inner = node
    while isinstance(inner, exp.Cast | exp.Neg | exp.Paren):
        inner = inner.this
    return isinstance(inner, exp.Literal | exp.Null | exp.Parameter)


def _nullif(it: Call) -> Any:
    """NULL where both are equal as ``=`` says: NaN is equal to nothing."""
    value, other = it.arguments
    a, b = it.kind(0), it.kind(1)
    kind = operators.comparable("=", it.kinds[0], it.kinds[1], it.node)
    if kind is not None and kind.name == "STRUCT" and a is not None and b is not None:
        same = structs.equal(value, other, kind, kind)
        if same is not None:
            return exp.Paren(this=exp.Case(default=value.copy()).when(same, exp.Null()))
    if floats.maybe_nan(value, a):
        return exp.Paren(
            this=exp.Case(default=call("nullif", value, other)).when(call("isnan", value.copy()), value.copy())
        )
    return call("nullif", value, other)


def _typeof(it: Call) -> Any:
    kind = it.kind(0)
    if kind is None:
        raise it.refuse("TYPEOF of an expression whose type it does not know")
    return text("INT64" if kind == NULL else str(kind))


# -- arrays


def _array_concat(it: Call) -> Any:
    made = it.argument(0)
    for each in it.arguments[1:]:
        made = call("tule_array_concat", made, each)
    return made


def _array_to_string(it: Call) -> Any:
    if len(it.arguments) > 2:
        return call("tule_array_to_string", *it.arguments)
    return call("array_to_string", it.argument(0), it.argument(1))


def _generate_array(it: Call) -> Any:
    step = it.argument(2, cast(number(1), INT64))
    kind = it.match.result.element if it.match is not None and it.match.result is not None else None
    if kind == INT64:
        return call("tule_generate_array", it.argument(0), it.argument(1), step)
    if kind is None:
        return call("tule_generate_array", it.argument(0), it.argument(1), step)
    values = [cast(each, kind) for each in (it.argument(0), it.argument(1), step)]
    return call("tule_generate_numbers", *values)


def _generate_date_array(it: Call) -> Any:
    node = it.argument(2)
    if node is None:
        return call("tule_generate_dates", it.argument(0), it.argument(1), call("to_days", number(1)))
    step = intervals.span(it, node, ("DAY", "WEEK", "MONTH", "QUARTER", "YEAR"))
    return call("tule_generate_dates", it.argument(0), it.argument(1), step)


def _generate_timestamp_array(it: Call) -> Any:
    step = intervals.span(it, it.argument(2), ("MICROSECOND", "MILLISECOND", "SECOND", "MINUTE", "HOUR", "DAY"))
    return call("tule_generate_timestamps", it.argument(0), it.argument(1), step)


# -- patterns


def groups(pattern: str) -> int:
    """How many capturing groups an RE2 pattern has."""
    bare = re.sub(r"\\Q.*?(\\E|$)|\\.", "", pattern, flags=re.DOTALL)
    bare = re.sub(r"\[\^?\]?[^\]]*\]", "", bare)
    return len(re.findall(r"\((?!\?)|\(\?P?<(?![=!])", bare))


_OPTIONAL = re.compile(r"\)[?*]|\)\{0|\|")
"""Signs of a group that a match may leave out."""


def _pattern(it: Call, most: int = 1) -> tuple[Any, int]:
    """The pattern's node, and the group that is the answer."""
    if it.kind(1) == NULL:
        return it.argument(1), 0
    pattern = str(it.constant(1, "regular expression"))
    count = groups(pattern)
    if count > most:
        raise it.wrong(
            f"Regular expressions passed into extraction functions must not have more than 1 capturing group: {pattern}"
        )
    return text(pattern), count


def _regexp_extract(it: Call) -> Any:
    pattern, group = _pattern(it)
    if len(it.arguments) == 2:
        made = call("tule_regexp_extract", it.argument(0), pattern, number(group))
        # The engine tells a group that took no part in the match from an empty one by nothing.
        return call("nullif", made, text("")) if group and _OPTIONAL.search(pattern.this) else made
    occurrence = it.argument(3, cast(number(1), INT64))
    return call("tule_regexp_extract_nth", it.argument(0), pattern, number(group), it.argument(2), occurrence)


def _regexp_extract_all(it: Call) -> Any:
    pattern, group = _pattern(it)
    return call("regexp_extract_all", it.argument(0), pattern, number(group))


def _regexp_instr(it: Call) -> Any:
    pattern = str(it.constant(1, "regular expression"))
    position = it.argument(2, cast(number(1), INT64))
    occurrence = it.constant(3, "occurrence") if len(it.arguments) > 3 else 1
    after = it.constant(4, "occurrence position") if len(it.arguments) > 4 else 0
    if not isinstance(occurrence, int) or occurrence < 1 or after not in (0, 1):
        raise it.wrong("REGEXP_INSTR needs an occurrence from 1 and an occurrence position of 0 or 1")
    if groups(pattern) > 1:
        raise it.wrong("REGEXP_INSTR takes a regular expression with at most one capturing group")
    if groups(pattern) == 1:
        raise it.refuse("REGEXP_INSTR with a capturing group")
    before = f"(?s)^((?:.*?(?:{pattern})){{{occurrence - 1}}}.*?)(?:{pattern})"
    if after:
        before = f"(?s)^((?:.*?(?:{pattern})){{{occurrence}}})"
    return call("tule_regexp_instr", it.argument(0), text(before), position)


# -- errors and users


def _attempted(it: Call) -> Any:
    """The first argument in a list, or an empty list where its evaluation fails."""
    from tule.bigquery.sql.analysis.calls import attempt

    held = exp.Array(expressions=[it.argument(0)])
    for each in list(held.find_all(exp.Anonymous)):
        if each.name == "tule_error":
            # The engine's error() counts as volatile, and TRY takes nothing volatile.
            each.set("this", "tule_failure")
    held.meta["tule_done"] = True
    found = [each for each in held.find_all(exp.Column) if each.find_ancestor(exp.Lambda, exp.Query) is None]
    return attempt(held, found or [each for each in held.find_all(exp.Literal) if _may_vary(each)], columns=True)


_FORMATTED = frozenset({"strftime", "tule_parse", "tule_parse_zoned"})
"""Calls of the engine of which only the first argument may be no constant."""


def _may_vary(literal: Any) -> bool:
    """Whether the engine takes another expression in a constant's place."""
    node = literal
    while (parent := node.parent) is not None:
        if isinstance(parent, exp.Anonymous) and parent.name in _FORMATTED and node.index:
            return False
        node = parent
    return True


def _iferror(it: Call) -> Any:
    tried = _attempted(it)
    failed = exp.Is(this=tried, expression=exp.Null())
    return exp.Paren(this=exp.Case(default=call("list_extract", tried.copy(), number(1))).when(failed, it.argument(1)))


def _iserror(it: Call) -> Any:
    return exp.Paren(this=exp.Is(this=_attempted(it), expression=exp.Null()))


def _nulliferror(it: Call) -> Any:
    return call("list_extract", _attempted(it), number(1))


def _session_user(it: Call) -> Any:
    context = it.walk.context
    # The statement is another one for another user.
    context.called.append((it.function.name,))
    return text(context.user)


BUILDERS: dict[str, Builder] = {
    "iferror": _iferror,
    "iserror": _iserror,
    "nulliferror": _nulliferror,
    "session_user": _session_user,
    "on_bytes": _on_bytes,
    "any_value": _any_value,
    "extreme": _extreme,
    "array_agg": _array_agg,
    "array_concat_agg": _array_concat_agg,
    "avg_numeric": _avg_numeric,
    **decimals.BUILDERS,
    **ranges.BUILDERS,
    "countif": _countif,
    "count_distinct": _count_distinct,
    "string_agg": _string_agg,
    "approx_quantiles": _approx_quantiles,
    "approx_top_count": _approx_top_count,
    "approx_top_sum": _approx_top_sum,
    "offset": _offset,
    "percentile_cont": lambda it: _percentile(it, "quantile_cont"),
    "percentile_disc": lambda it: _percentile(it, "quantile_disc"),
    "greatest": _greatest,
    "log": _log,
    "round": _round,
    "trunc": _trunc,
    "safe_add": _safe(exp.Add),
    "safe_subtract": _safe(exp.Sub),
    "safe_multiply": _safe(exp.Mul),
    "safe_negate": _safe_negate,
    "sparse_distance": _sparse_distance,
    "coalesce": _coalesce,
    "nullif": _nullif,
    "typeof": _typeof,
    "array_concat": _array_concat,
    "array_to_string": _array_to_string,
    "generate_array": _generate_array,
    "generate_date_array": _generate_date_array,
    "generate_timestamp_array": _generate_timestamp_array,
    "regexp_extract": _regexp_extract,
    "regexp_extract_all": _regexp_extract_all,
    "regexp_instr": _regexp_instr,
    **texts.BUILDERS,
    **sketches.BUILDERS,
    **searches.BUILDERS,
    **keysets.BUILDERS,
    **geographies.BUILDERS,
    **times.BUILDERS,
    **intervals.BUILDERS,
    **jsons.BUILDERS,
}
