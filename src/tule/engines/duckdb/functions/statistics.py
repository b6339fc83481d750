"""ML.TFDV_VALIDATE: two messages of statistics compared (``learn.tfdv``)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tule.kernel.errors import InvalidArgument

if TYPE_CHECKING:
    from tule.engines.duckdb.functions.udfs import Row


def _validate(base: str, study: str, options: str) -> str:
    from tule.learn.drift import Criteria
    from tule.learn.tfdv import validate

    asked = json.loads(options)
    try:
        made = validate(_read(base), _read(study), asked["kind"], Criteria(**asked["criteria"]))
    except InvalidArgument as error:
        raise ValueError(f"tule: {error.message}") from None
    return json.dumps(made, ensure_ascii=False, separators=(",", ":"))


def _read(text: str) -> Any:
    """A JSON value; a STRING that holds one counts as it."""
    value = json.loads(text)
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        return None


FUNCTIONS: tuple[Row, ...] = (("tule_tfdv_validate", _validate, "VARCHAR, VARCHAR, VARCHAR", "VARCHAR"),)
