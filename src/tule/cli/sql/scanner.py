"""GoogleSQL looked at letter by letter, as far as a shell needs: where statements end.

https://cloud.google.com/bigquery/docs/reference/standard-sql/lexical
"""

from __future__ import annotations

import re

_PIECES = re.compile(
    r"""
      (?P<comment> (?: -- | \# ) [^\n]* | /\* .*? \*/ )
    | (?P<raw>     \b (?: r | rb | br ) (?: \"{3} .*? \"{3} | '{3} .*? '{3} | "(?!"")[^"\n]*" | '(?!'')[^'\n]*' ) )
    | (?P<text>    \"{3} (?: \\. | . )*? \"{3} | '{3} (?: \\. | . )*? '{3}
                 | "(?!"") (?: \\. | [^"\\\n] )* " | '(?!'') (?: \\. | [^'\\\n] )* ' | ` (?: \\. | [^`\\\n] )* ` )
    | (?P<open>    /\* | \"{3} | '{3} )
    | (?P<end>     ; )
    | (?P<word>    \w+ | [^\s] )
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)


def statements(text: str) -> int:
    """How many statements a text holds, the last one ended or not."""
    count, inside = 0, False
    for found in _PIECES.finditer(text):
        if found.lastgroup == "end":
            inside = False
        elif found.lastgroup != "comment" and not inside:
            count, inside = count + 1, True
    return count


def is_ended(text: str) -> bool:
    """Whether a text can be run as it stands: nothing open, and a semicolon behind its last statement.

    >>> is_ended("SELECT ';'"), is_ended("SELECT ';';  -- done"), is_ended("SELECT 1; SELECT")
    (False, True, False)
    """
    last = ""
    for found in _PIECES.finditer(text):
        kind = found.lastgroup or ""
        if kind == "open":
            return False
        if kind != "comment":
            last = kind
    return last == "end"
