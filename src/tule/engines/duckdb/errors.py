"""DuckDB's errors as Tule's, in BigQuery's words: one ordered table, the most specific first.

Physical names and DuckDB's own hints must not get out: they mean nothing to a user of BigQuery.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from tule.kernel.errors import (
    Aborted,
    Cancelled,
    Internal,
    InvalidArgument,
    ResourceExhausted,
    TuleError,
    Unimplemented,
)

Make = Callable[[re.Match[str]], TuleError]


def _invalid(template: str) -> Make:
    return lambda found: InvalidArgument(found.expand(template), reason="invalidQuery")


_NOUNS: dict[str, str] = {
    "INT64": "int64",
    "BIGINT": "int64",
    "INT32": "int64",
    "DOUBLE": "double",
    "FLOAT": "double",
    "BOOL": "bool",
}

_TABLE: tuple[tuple[str, Make], ...] = (
    # A failed condition of a column (see constraints.py) has its message at the end.
    (r"CHECK constraint failed.*\(Error: (?:[\w ]+ Error: )?tule: (?P<text>.+)\)\s*$", _invalid(r"\g<text>")),
    (r"tule-missing: (?P<text>[^\n]+)",
     lambda found: Unimplemented(found["text"], do="pip install 'tule[geography]'", reason="notImplemented")),
    # A failed check of a macro is a cast of its message that cannot be done.
    (r"tule: (?P<text>[^\n]+?)(?:' to (?:INT64|DOUBLE)[^\n]*)?(?:\n|$)",
     lambda found: InvalidArgument(found["text"], reason="invalidQuery")),
    (r"(?P<what>(?:missing [)\]]|invalid escape sequence|no argument for repetition operator|bad repetition operator|"
     r"invalid perl operator|invalid character class(?: range)?|invalid named capture group|unexpected \)|trailing \\): "
     r"[^\n]*)", _invalid(r"Cannot parse regular expression: \g<what>")),
    (r"INTERRUPT|Interrupted", lambda _: Cancelled("Job execution was cancelled: the query was stopped", reason="stopped")),
    (r"Casting value \"(?P<value>[^\"]*)\" to type DECIMAL\((?P<precision>\d+),(?P<scale>\d+)\) failed",
     lambda found: _out_of_numeric(found["value"], int(found["precision"]), int(found["scale"]))),
    (r"Overflow in \w+ of DECIMAL|Overflow in SUM of DECIMAL|Overflow in HUGEINT",
     _invalid("numeric overflow: the result is out of the range of NUMERIC")),
    (r"Overflow in (?:addition|subtraction|multiplication|negation|division) of \w+ \((?P<what>[^)]*)\)",
     _invalid(r"int64 overflow: \g<what>")),
    (r"Overflow in division of (?P<what>-?\d+ / -?\d+)", _invalid(r"int64 overflow: \g<what>")),
    (r"Overflow on (?P<what>abs\([^)]*\))", _invalid(r"int64 overflow: \g<what>")),
    (r"Division by zero in expression \((?P<what>.*?)\)(?:\.|$)", lambda found: _division(found["what"])),
    (r"Could not convert string '(?P<value>[^']*)' to (?P<type>\w+)",
     lambda found: InvalidArgument(f"Bad {_NOUNS.get(found['type'].upper(), found['type'].lower())} value: {found['value']}",
                                   reason="invalidQuery")),
    (r"invalid (?P<type>\w+) field format: \"(?P<value>[^\"]*)\"", _invalid(r"Invalid \g<type>: '\g<value>'")),
    (r"Type U?INT128 with value (?P<value>\S+) can't be cast because the value is out of range for the destination type "
     r"INT64",
     _invalid(r"int64 overflow: \g<value>")),
    (r"Type \w+ with value (?P<value>\S+) can't be cast because the value is out of range for the destination type",
     _invalid(r"int64 out of range: \g<value>")),
    (r"Could not cast value (?P<value>\S+) to DECIMAL", _invalid(r"numeric out of range: \g<value>")),
    (r"cannot take logarithm of (?:zero|a negative number)", _invalid("Floating point error in function: LN")),
    (r"cannot take square root of a negative number", _invalid("Floating point error in function: SQRT")),
    (r"MERGE INTO command cannot affect the same target row more than once",
     _invalid("UPDATE/MERGE must match at most one source row for each target row")),
    (r"(?P<clause>ORDER|PARTITION) BY window expressions cannot be volatile",
     lambda found: Unimplemented(
         f"A window has no {found['clause']} BY a value that may differ each time", reason="notImplemented",
         do="compute it in a subquery, or declare the JavaScript function DETERMINISTIC")),
    (r"More than one row returned by a subquery", _invalid("Scalar subquery produced more than one element")),
    (r"NOT NULL constraint failed: \S*?\.(?P<column>\w+)", _invalid(r"Required field \g<column> cannot be null")),
    (r"Column \"(?P<column>[^\"]+)\" referenced that exists in the SELECT clause",
     _invalid(r"Unrecognized name: \g<column>")),
    (r"Referenced column \"(?P<column>[^\"]+)\" (?:not found|was not found)", _invalid(r"Unrecognized name: \g<column>")),
    (r"Table \"[^\"]+\" does not have a column named \"(?P<column>[^\"]+)\"",
     _invalid(r"Unrecognized name: \g<column>")),
    (r"column \"(?P<column>[^\"]+)\" must appear in the GROUP BY clause",
     _invalid(r"SELECT list expression references column \g<column> which is neither grouped nor aggregated")),
    (r"Ambiguous reference to column name \"(?P<column>[^\"]+)\"", _invalid(r"Column name \g<column> is ambiguous")),
    (r"Could not find key \"(?P<field>[^\"]+)\" in struct", _invalid(r"Field name \g<field> does not exist in STRUCT")),
    (r"Transaction conflict|TransactionContext Error",
     lambda _: Aborted("Transaction is aborted due to concurrent update against the table", reason="invalidQuery")),
    (r"Out of Memory|failed to allocate|could not allocate",
     lambda _: ResourceExhausted("Resources exceeded during query execution: out of memory", do="set TULE_MEMORY higher",
                                 reason="resourcesExceeded")),
    (r"No space left on device",
     lambda _: ResourceExhausted("The disk is full", do="make room under the data directory", reason="resourcesExceeded")),
    (r"No function matches the given name and argument types '(?P<call>[^']+)'",
     lambda found: InvalidArgument(f"No matching signature for function {_call(found['call'])}", reason="invalidQuery")),
    (r"Scalar Function with name (?P<name>\w+) does not exist",
     lambda found: InvalidArgument(f"Function not found: {found['name'].upper()}", reason="invalidQuery")),
    (r"Cannot (?:compare|mix) values of type (?P<a>\w+)[^\n]* and (?:type )?(?P<b>\w+)",
     _invalid(r"Types \g<a> and \g<b> do not match")),
    (r"Set operations can only apply to expressions with the same number of result columns",
     _invalid("Queries in UNION ALL have mismatched column count")),
    (r"Unknown TimeZone '(?P<zone>[^']*)'", _invalid(r"Invalid time zone: \g<zone>")),
    (r"Not implemented Error: (?P<what>[^\n]+)",
     lambda found: Unimplemented(_clean(found["what"]), reason="notImplemented")),
)  # fmt: skip


def _out_of_numeric(value: str, precision: int, scale: int) -> TuleError:
    if (precision, scale) == (38, 9):
        return InvalidArgument(f"numeric out of range: {value}", reason="invalidQuery")
    most = "9" * (precision - scale) + ("." + "9" * scale if scale else "")
    return InvalidArgument(
        f"NUMERIC({precision}, {scale}) has precision {precision} and scale {scale} but got a value that is not in range "
        f"of [-{most}, {most}]", reason="invalidQuery",
    )  # fmt: skip


def _division(what: str) -> TuleError:
    """Whole numbers are written as such: the engine has made doubles of them."""
    if re.search(r"#\d|_tule_", what):
        # Names that the engine or Tule made.
        return InvalidArgument("division by zero", reason="invalidQuery")
    text = re.sub(r"(\d)\.0\b", r"\1", what).replace("//", "/")
    return InvalidArgument(f"division by zero: {text}", reason="invalidQuery")


_PHYSICAL = re.compile(r"\"?\w*\"?\.?\"?main\"?\.?\"?t_[0-9a-f]{8,}\"?|\bt_[0-9a-f]{8,}\b")
_USERS = ("Binder", "Conversion", "Out of Range", "Invalid Input", "Parser", "Catalog", "Constraint", "Type", "Data")


def _call(text: str) -> str:
    return _PHYSICAL.sub("the table", text.split("(")[0].upper() + "(" + text.partition("(")[2])


def _clean(text: str) -> str:
    """The first line of a message without DuckDB's prefix, hints and physical names."""
    line = text.split("\n")[0].strip()
    line = re.sub(r"^(?:[A-Z][\w ]+ Error: )+", "", line)
    line = re.split(r"\s(?:Did you mean|Candidate bindings|Use TRY|HINT|Try )", line)[0]
    return _PHYSICAL.sub("the table", line).rstrip("!. ")


def translated(error: Exception) -> TuleError:
    """The error to raise ``from`` one of DuckDB's."""
    if isinstance(error, TuleError):
        return error
    text = str(error)
    for pattern, make in _TABLE:
        if found := re.search(pattern, text):
            return make(found)
    if type(error).__module__.endswith("duckdb") and text.startswith(_USERS):
        return InvalidArgument(_clean(text), reason="invalidQuery")
    return Internal("The SQL engine failed", given=_clean(text), do="look at the server's log (`tule logs`)")
