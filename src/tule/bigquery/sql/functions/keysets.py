"""Builders of the encryption functions: texts become bytes, and what is random is so for each row.

https://cloud.google.com/bigquery/docs/reference/standard-sql/aead_encryption_functions
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from tule.bigquery.sql.analysis.calls import engine_call as call
from tule.bigquery.sql.kinds import STRING

if TYPE_CHECKING:
    from tule.bigquery.sql.analysis.calls import Call

VOLATILE = frozenset({"AEAD.ENCRYPT", "KEYS.ADD_KEY_FROM_RAW_BYTES", "KEYS.NEW_KEYSET", "KEYS.ROTATE_KEYSET"})
"""Those that answer otherwise each time."""


def _name(it: Call) -> str:
    return "tule_" + it.function.name.lower().replace(".", "_")


def _random(it: Call) -> Any:
    it.arguments.append(call("tule_uuid"))
    return call(_name(it), *it.arguments)


def _encrypt(it: Call) -> Any:
    """The plaintext and what is authenticated with it are of one type, STRING or BYTES."""
    assert it.match is not None
    it.arguments = [
        call("encode", value) if kind == STRING else value
        for value, kind in zip(it.arguments, it.match.arguments, strict=True)
    ]
    if it.function.name in VOLATILE:
        return _random(it)
    # A deterministic cipher has no use of a value of its own for each row.
    return call(_name(it), *it.arguments, exp.Literal.string(""))


BUILDERS: dict[str, Callable[[Call], Any]] = {"keys_random": _random, "keys_encrypt": _encrypt}

__all__ = ["BUILDERS", "VOLATILE"]
