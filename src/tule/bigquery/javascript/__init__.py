"""Functions in JavaScript: their values, their libraries, and the port behind which their programs run."""

from tule.bigquery.javascript.functions import Engine, Functions, Program
from tule.bigquery.javascript.values import check_types

__all__ = ["Engine", "Functions", "Program", "check_types"]
