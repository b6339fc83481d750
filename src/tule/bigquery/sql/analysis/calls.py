"""Calls of functions: found by name, matched with a signature, and made in the engine's form."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from tule.bigquery.sql.analysis import collations, having
from tule.bigquery.sql.analysis.scopes import Scope, wrong
from tule.bigquery.sql.functions.signatures import Function, Match, Signature
from tule.bigquery.sql.kinds import BIGNUMERIC, FLOAT64, INT64, INTERVAL, NUMERIC, Kind, engine_type, shown
from tule.kernel.errors import Unimplemented

if TYPE_CHECKING:
    from tule.bigquery.sql.analysis.walk import Walk


def engine_call(name: str, *arguments: Any) -> exp.Anonymous:
    """A function of the engine, or one of our macros there (``tule_...``)."""
    made = exp.Anonymous(this=name, expressions=[each for each in arguments if each is not None])
    made.meta["tule_engine"] = True
    return made


@dataclass
class Call:
    """A call while it is made: arguments that are done, their types, and the words around them."""

    walk: Walk
    scope: Scope
    node: Any
    function: Function
    arguments: list[Any] = field(default_factory=list)
    kinds: list[tuple[Kind | None, bool]] = field(default_factory=list)
    names: dict[str, int] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    """Arguments that are given by name after any number of others."""
    missing: set[int] = field(default_factory=set)
    """Places between arguments that were given by name."""
    distinct: bool = False
    order: list[Any] = field(default_factory=list)
    limit: Any = None
    nulls: str = ""
    having: Any = None
    window: Any = None
    match: Match | None = None
    result: Kind | None = None
    """The type of the answer, once a builder knows it better than the signature."""

    @property
    def signature(self) -> Signature:
        assert self.match is not None
        return self.match.signature

    def kind(self, index: int) -> Kind | None:
        return self.kinds[index][0] if index < len(self.kinds) else None

    def argument(self, index: int, default: Any = None) -> Any:
        return self.arguments[index] if index < len(self.arguments) else default

    def wrong(self, message: str) -> Exception:
        return wrong(message, self.node)

    def refuse(self, what: str, do: str = "see docs/bigquery-sql.md for what it does") -> Exception:
        return Unimplemented(f"Tule does not do {what}", do=do, reason="notImplemented", location="query")

    def constant(self, index: int, what: str) -> Any:
        """The value of an argument that must be a constant."""
        context = self.walk.context
        node = self.arguments[index]
        inner = node.this if isinstance(node, exp.Cast) else node
        if isinstance(inner, exp.Parameter) and inner.name in context.bound:
            # The SQL that is made depends on the value: it is not right again for another one.
            context.called.append((self.function.name,))
            return context.bound[inner.name]
        return constant(node, f"{what} of {self.function.name}", self.node)

    def option(self, name: str, default: Any) -> Any:
        """The value of an option, which must be a constant."""
        node = self.options.get(name)
        return default if node is None else constant(node, f"{name} of {self.function.name}", self.node)

    def aggregate(self, name: str, *arguments: Any, order: bool = True, condition: Any = None) -> Any:
        """An aggregate of the engine with DISTINCT, HAVING, ORDER BY and OVER of this call."""
        inner = list(arguments)
        if self.having is not None:
            ordered = [each.copy() for each in self.order] if order else []
            return having.restricted(self, name, inner[0], inner[1:], condition, ordered)
        if self.distinct:
            inner = [exp.Distinct(expressions=inner)]
        if self.order and order:
            ordered = [each.copy() for each in self.order]
            inner[-1] = exp.Order(this=inner[-1], expressions=ordered)
        made: Any = engine_call(name, *inner)
        if condition is not None:
            made = exp.Filter(this=made, expression=exp.Where(this=condition))
        return self.over(made)

    def over(self, made: Any) -> Any:
        """The aggregate over the window of this call, if it has one."""
        if self.window is None:
            return made
        window = self.window.copy()
        window.set("this", made)
        window.meta["tule_done"] = True
        return window


def constant(node: Any, what: str, at_node: Any) -> Any:
    """The Python value of a constant node; raises where it is none."""
    inner = node
    while isinstance(inner, exp.Cast | exp.Paren) and not isinstance(inner, exp.TryCast):
        inner = inner.this
    if isinstance(inner, exp.Neg):
        return -constant(inner.this, what, at_node)
    if isinstance(inner, exp.Literal):
        if inner.is_string:
            return inner.this
        text = inner.meta.get("tule_written", inner.this)
        return int(text) if text.isdigit() else float(text)
    if isinstance(inner, exp.Boolean):
        return bool(inner.this)
    if isinstance(inner, exp.Null):
        return None
    raise Unimplemented(f"Tule does the {what} only as a constant", given=node.sql("bigquery")[:80],
                        do="write the constant into the query", reason="notImplemented", location="query")  # fmt: skip


def named_call(
    walk: Walk, node: Any, name: str, scope: Scope, aliases: bool, *, window: Any = None, safe: bool = False
) -> Kind | None:
    """A call by its name in GoogleSQL."""
    from tule.bigquery.sql.functions import FUNCTIONS

    function = FUNCTIONS.get(name)
    if function is None:
        raise _not_found(name, node)
    if function.refused:
        raise refused(function)
    if function.role == "table":
        raise wrong(f"{name} is a table function and must stand in FROM", node)
    if window is not None and function.role == "scalar":
        raise wrong(f"Analytic function not found: {name.lower()}", node)
    if window is None and function.role == "window":
        raise wrong(f"Analytic function {name.lower()} cannot be called without an OVER clause", node)
    if safe and function.role != "scalar":
        raise wrong(f"Function {name} does not support SAFE error mode", node)
    call = Call(walk, scope, node, function, window=window)
    _arguments(call, list(node.expressions), aliases)
    call.match = _matched(call)
    _coerce(call)
    call.result = collations.result(call, call.match.result)
    made = walk.sums.made(node, _made(call))
    if window is None and name in ("SUM", "AVG") and call.match.arguments == [FLOAT64]:
        made = walk.sums.whole(node, made, call.argument(0))
    if function.role == "aggregate" and window is None:
        made.meta[collations.AGGREGATE] = True
    if safe:
        made = attempt(made, call.arguments)
    from tule.bigquery.sql.analysis.expressions import replace

    replace(window if window is not None else node, made)
    return call.result


def refused(function: Function) -> Exception:
    reason = function.refused
    return Unimplemented(
        f"Function not supported in Tule: {function.name}", given=reason,
        do="see docs/bigquery-sql.md for the functions it has", reason="invalidQuery", location="query",
    )  # fmt: skip


def _not_found(name: str, node: Any) -> Exception:
    from tule.bigquery.sql.functions import FUNCTIONS

    near = difflib.get_close_matches(name, FUNCTIONS, n=1, cutoff=0.75)
    hint = f"; Did you mean {near[0].lower()}?" if near else ""
    return wrong(f"Function not found: {name}{hint}", node)


def _arguments(call: Call, given: list[Any], aliases: bool) -> None:
    """Take the words around the arguments off, and walk them."""
    given = _unwrapped(call, given)
    positions = _part_positions(call.function)
    for index, node in enumerate(given):
        if isinstance(node, exp.Kwarg):
            call.names[node.this.name.lower()] = index
            node = node.expression
        if index in positions and _is_part(node):
            call.arguments.append(exp.Literal.string(part_name(node)))
            call.kinds.append((None, True))
            continue
        if isinstance(node, exp.Interval) and _takes_interval(call.function, index):
            _visited(call, node.this, aliases) if isinstance(node.this, exp.Expression) else None
            call.arguments.append(node)
            call.kinds.append((INTERVAL, True))
            continue
        if isinstance(node, exp.Lambda):
            element = call.kinds[0][0].element if call.kinds and call.kinds[0][0] is not None else None
            names = dict(zip((each.name.lower() for each in node.expressions), (element, INT64), strict=False))
            kind = call.walk.expr(node.this, Scope(call.scope, [], {}, names))
            node.meta["tule_done"] = True
            call.arguments.append(node)
            call.kinds.append((kind, False))
            continue
        if isinstance(node, exp.Star):
            call.arguments.append(node)
            call.kinds.append((None, False))
            continue
        value, kind, literal = _visited(call, node, aliases)
        call.arguments.append(value)
        call.kinds.append((kind, literal))
    if call.names:
        _by_name(call)
    for each in call.order:
        if not isinstance(each.this, exp.Literal):
            collations.keyed(call.walk, each.this, call.scope)
    if call.having is not None:
        holder = exp.Paren(this=call.having.expression)
        collations.keyed(call.walk, call.having.expression, call.scope)
        call.having.set("expression", holder.this)


def _takes_interval(function: Function, index: int) -> bool:
    """Whether a builder makes what an INTERVAL at this place is."""
    return any(
        each.engine.startswith("@") and index < len(each.arguments) and each.arguments[index].kind == INTERVAL
        for each in function.signatures
    )


def _visited(call: Call, node: Any, aliases: bool) -> tuple[Any, Kind | None, bool]:
    from tule.bigquery.sql.analysis.expressions import is_literal, visit

    literal = is_literal(node)
    parent, key, index = node.parent, node.arg_key, node.index
    kind = visit(call.walk, node, call.scope, aliases)
    current = parent.args[key][index] if index is not None else parent.args[key]
    return current, kind, literal


def _unwrapped(call: Call, given: list[Any]) -> list[Any]:
    if not given:
        return given
    *head, last = given
    while True:
        if isinstance(last, exp.Limit):
            call.limit, last = last.expression, last.this
        elif isinstance(last, exp.Order):
            call.order, last = list(last.expressions), last.this
        elif isinstance(last, exp.IgnoreNulls | exp.RespectNulls):
            call.nulls, last = ("IGNORE" if isinstance(last, exp.IgnoreNulls) else "RESPECT"), last.this
        elif isinstance(last, exp.HavingMax):
            call.having, last = last, last.this
        elif isinstance(last, exp.Distinct):
            call.distinct = True
            return [*head, *last.expressions]
        else:
            break
    found = [*head, last]
    if isinstance(found[0], exp.Distinct):
        call.distinct = True
        return [*found[0].expressions, *found[1:]]
    first = found[0]
    while isinstance(first, exp.IgnoreNulls | exp.RespectNulls | exp.HavingMax):
        if isinstance(first, exp.HavingMax):
            call.having = first
        else:
            call.nulls = "IGNORE" if isinstance(first, exp.IgnoreNulls) else "RESPECT"
        first = first.this
    return [first, *found[1:]]


def _part_positions(function: Function) -> set[int]:
    return {
        index
        for each in function.signatures
        for index, argument in enumerate(each.arguments)
        if argument.kind.name == "PART"
    }


def _is_part(node: Any) -> bool:
    if isinstance(node, exp.Var):
        return True
    if isinstance(node, exp.Column):
        return node.args.get("table") is None
    return isinstance(node, exp.Anonymous | exp.WeekStart) and node.name.upper() == "WEEK"


def part_name(node: Any) -> str:
    """``DAY``, ``WEEK(MONDAY)``, ... in capitals."""
    if isinstance(node, exp.Anonymous):
        inner = node.expressions[0].name.upper() if node.expressions else ""
        return f"WEEK({inner})"
    if isinstance(node, exp.WeekStart):
        return f"WEEK({node.this.name.upper()})"
    return str(node.name).upper()


def _take_options(call: Call) -> None:
    options = {each.name for signature in call.function.signatures for each in signature.options}
    taken = {name: index for name, index in call.names.items() if name in options}
    for name, index in taken.items():
        call.options[name] = call.arguments[index]
        del call.names[name]
    call.arguments = [each for index, each in enumerate(call.arguments) if index not in taken.values()]
    call.kinds = [each for index, each in enumerate(call.kinds) if index not in taken.values()]


def _by_name(call: Call) -> None:
    """Arguments given by name, brought to their places; places left out in between become NULL."""
    _take_options(call)
    if not call.names:
        return
    for signature in call.function.signatures:
        places = {each.name: index for index, each in enumerate(signature.arguments) if each.name}
        if set(call.names) <= set(places):
            break
    else:
        unknown = next(iter(call.names))
        raise call.wrong(f"Named argument {unknown} not found in signature for call to function {call.function.name}")
    positional = len(call.arguments) - len(call.names)
    found = dict(enumerate(zip(call.arguments[:positional], call.kinds[:positional], strict=True)))
    for name, index in call.names.items():
        found[places[name]] = (call.arguments[index], call.kinds[index])
    last = max(found)
    from tule.bigquery.sql.kinds import NULL

    spread = [found.get(index, (exp.Null(), (NULL, True))) for index in range(last + 1)]
    call.missing = set(range(last + 1)) - set(found)
    call.arguments = [each for each, _ in spread]
    call.kinds = [each for _, each in spread]


def _matched(call: Call) -> Match:
    signatures = call.function.signatures
    found = [match for each in signatures if (match := each.match(call.kinds)) is not None]
    if found:
        return min(found, key=lambda each: each.cost)
    supported = "; ".join(map(str, signatures))
    if not any(each._spread(len(call.kinds)) is not None for each in signatures):
        raise call.wrong(
            f"Number of arguments does not match for function {call.function.name}. Supported signature"
            f"{'s' * (len(signatures) > 1)}: {supported}"
        )
    raise call.wrong(
        f"No matching signature for function {call.function.name} for argument types: "
        f"{shown([kind for kind, _ in call.kinds])}. Supported signature{'s' * (len(signatures) > 1)}: {supported}"
    )


def _coerce(call: Call) -> None:
    from tule.bigquery.sql.analysis.expressions import coerced

    assert call.match is not None
    _readable(call)
    for index, wanted in enumerate(call.match.arguments):
        given, _ = call.kinds[index]
        if wanted is None or isinstance(call.arguments[index], exp.Star | exp.Interval):
            continue
        if given == BIGNUMERIC and wanted == FLOAT64 and _takes_decimals(call.function):
            raise call.refuse(f"{call.function.name} on BIGNUMERIC", do="cast to NUMERIC or FLOAT64")
        if (
            given is not None
            and given.name in ("INT64", "NUMERIC")
            and wanted.name == "FLOAT64"
            and not call.signature.engine.startswith("@")
        ):
            # The engine widens numbers itself, but constants print better with their type.
            pass
        call.arguments[index] = coerced(call.arguments[index], given, wanted)


_ONLY_COUNTED = frozenset(
    {"APPROX_COUNT_DISTINCT", "COUNT", "FORMAT", "GROUPING", "ISERROR", "JSON_ARRAY", "JSON_ARRAY_APPEND",
     "JSON_ARRAY_INSERT", "JSON_OBJECT", "JSON_SET", "MAX_BY", "MIN_BY", "TO_JSON", "TO_JSON_STRING", "TYPEOF"}
)  # fmt: skip
_UNREADABLE = frozenset({"BIGNUMERIC", "RANGE"})


def _readable(call: Call) -> None:
    """Raise where a function of any type would read what the engine keeps in a form of its own."""
    if call.function.name in _ONLY_COUNTED:
        return
    for argument, (kind, _) in zip(call.signature._spread(len(call.kinds)) or (), call.kinds, strict=False):
        if argument.kind.name == "ANY" and kind is not None and (found := _UNREADABLE & _names(kind)):
            name = min(found)
            raise call.refuse(f"{call.function.name} on {name}", do="cast to STRING first: CAST(x AS STRING)")


def _names(kind: Kind) -> set[str]:
    found = {kind.name}
    for each in (kind.element, *(inner for _, inner in kind.fields)):
        if each is not None:
            found |= _names(each)
    return found


def _takes_decimals(function: Function) -> bool:
    """Whether a function answers decimals of decimals: as FLOAT64 its answer would be another."""
    return any(NUMERIC in (each.kind, each.kind.element) for form in function.signatures for each in form.arguments)


def _made(call: Call) -> Any:
    from tule.bigquery.sql.functions.builders import BUILDERS

    signature = call.signature
    if call.function.role == "scalar" and (call.distinct or call.order or call.nulls or call.limit is not None):
        raise call.wrong(f"Function {call.function.name} does not take DISTINCT, ORDER BY, LIMIT or IGNORE NULLS")
    if (changed := collations.of_call(call)) is not None:
        return changed
    if signature.engine.startswith("@"):
        made = BUILDERS[signature.engine[1:]](call)
    elif call.function.role == "scalar":
        made = engine_call(signature.engine, *call.arguments)
    else:
        made = _plain_aggregate(call)
    if signature.casts and call.match is not None and call.match.result is not None:
        target = engine_type(call.match.result)
        if target is not None:
            made = exp.Cast(this=made, to=target)
            made.meta["tule_done"] = True
    return made


def _plain_aggregate(call: Call) -> Any:
    if call.limit is not None:
        raise call.wrong(f"Aggregate function {call.function.name} does not support LIMIT in arguments")
    if call.function.role == "aggregate" and call.order:
        raise call.wrong(f"Aggregate function {call.function.name} does not support ORDER BY in arguments")
    arguments = list(call.arguments)
    if call.nulls:
        if call.function.role != "window":
            raise call.wrong(f"IGNORE NULLS and RESPECT NULLS are not allowed in {call.function.name}")
        if call.nulls == "IGNORE":
            arguments[-1] = exp.IgnoreNulls(this=arguments[-1])
    return call.aggregate(call.signature.engine, *arguments)


# -- the ways to a call


def call_of_class(walk: Walk, node: Any, scope: Scope, aliases: bool) -> Kind | None:
    """A call that was built as one of the parser's classes instead of by name."""
    made = _by_its_name(node)
    return named_call(walk, made, made.name, scope, aliases)


def _by_its_name(node: Any) -> exp.Anonymous:
    """A call of the parser's classes, replaced by one by name."""
    from tule.bigquery.sql.analysis.expressions import replace

    arguments: list[Any] = []
    for key in node.arg_types:
        value = node.args.get(key)
        if isinstance(value, list):
            arguments.extend(value)
        elif isinstance(value, exp.Expression):
            arguments.append(value)
    name = node.sql_name().upper()
    made = exp.Anonymous(this=_CLASS_NAMES.get(name, name), expressions=[each.copy() for each in arguments])
    replace(node, made)
    return made


_CLASS_NAMES = {"POWER": "POW", "COUNT_IF": "COUNTIF"}


def dotted_call(walk: Walk, node: Any, scope: Scope, aliases: bool) -> Kind | None:
    """``NET.HOST(x)``, ``HLL_COUNT.MERGE(x)``, ``dataset.function(x)``."""
    inner = node.expression
    name = inner.name if isinstance(inner, exp.Anonymous) else inner.sql_name()
    prefix = node.this.sql(dialect="bigquery").replace("`", "")
    made = exp.Anonymous(this=name, expressions=list(inner.expressions))
    made.meta.update(inner.meta)
    from tule.bigquery.sql.analysis.expressions import replace

    replace(node, made)
    whole = f"{prefix}.{name}".upper()
    return named_call(walk, made, whole.removeprefix("SAFE."), scope, aliases, safe=whole.startswith("SAFE."))


def window_call(walk: Walk, node: Any, scope: Scope, aliases: bool) -> Kind | None:
    """``f(x) OVER (...)``."""
    inner = node.this
    if isinstance(inner, exp.IgnoreNulls | exp.RespectNulls):
        words, inner = type(inner), inner.this
        if isinstance(inner, exp.Anonymous) and inner.expressions:
            first = inner.expressions[0]
            first.replace(words(this=first.copy()))
    if inner.meta.get("tule_engine"):
        from tule.bigquery.sql.analysis.expressions import visit

        return visit(walk, inner, scope, aliases)
    if isinstance(inner, exp.Dot) and isinstance(inner.expression, exp.Anonymous):
        prefix = inner.this.sql(dialect="bigquery").replace("`", "").upper()
        return named_call(
            walk, inner.expression, f"{prefix}.{inner.expression.name.upper()}", scope, aliases, window=node
        )
    if not isinstance(inner, exp.Anonymous):
        if not isinstance(inner, exp.Func):
            raise wrong("OVER must follow a function", node)
        inner = _by_its_name(inner)
    return named_call(walk, inner, inner.name.upper(), scope, aliases, window=node)


def safe_call(walk: Walk, node: Any, scope: Scope, aliases: bool) -> Kind | None:
    """``SAFE.f(x)``: NULL where f fails, but not where its arguments do."""
    inner = node.this
    name = inner.name.upper() if isinstance(inner, exp.Anonymous) else ""
    if not name:
        if isinstance(inner, exp.Func):
            from tule.bigquery.sql.analysis.expressions import replace

            if type(inner).__name__.startswith("Current"):
                replace(node, inner)
                return walk.expr(inner, scope)
        raise wrong("SAFE. must stand before a function", node)
    node.replace(inner)
    return named_call(walk, inner, name, scope, aliases, safe=True)


def attempt(made: Any, arguments: list[Any], *, columns: bool = False) -> Any:
    """NULL where the engine's evaluation of ``made`` fails.

    Arguments are computed outside: their errors are errors. They are handed in through a list, which also keeps constants
    from being computed (and failing) before there is anybody to catch it. ``columns``: columns too, so that the engine
    computes no part of ``made`` that it has twice before it.
    """
    outside = [each for each in arguments if isinstance(each, exp.Expression) and not isinstance(each, exp.Star)]
    if not columns and all(_is_plain_column(each) for each in outside) and outside:
        return engine_call("try", made)
    fields = []
    for index, each in enumerate(outside):
        if each.parent is None:
            continue
        name = f"a{index}"
        reference = exp.Dot(this=exp.to_identifier("tule_safe", quoted=False), expression=exp.to_identifier(name))
        value = each.copy()
        each.replace(reference)
        fields.append(exp.PropertyEQ(this=exp.to_identifier(name, quoted=True), expression=value))
    if not fields:
        return engine_call("try", made)
    handed = exp.Array(expressions=[exp.Struct(expressions=fields)])
    body = exp.Lambda(this=engine_call("try", made), expressions=[exp.to_identifier("tule_safe")])
    body.meta["tule_done"] = True
    return engine_call("list_extract", engine_call("list_transform", handed, body), exp.Literal.number(1))


def _is_plain_column(node: Any) -> bool:
    return isinstance(node, exp.Column) or (isinstance(node, exp.Paren) and _is_plain_column(node.this))
