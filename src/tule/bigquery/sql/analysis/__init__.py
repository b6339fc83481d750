"""What names and expressions of a statement mean: types from the tables up, and the engine's form of each expression.

One walk over a statement, innermost first: names are looked up in their scopes, operators and functions are matched with
their signatures, and each is rewritten to what the engine has for these types. A type that is not known (``None``) leaves
the choice to the engine.
"""

from tule.bigquery.sql.analysis.walk import Walk, analyzed

__all__ = ["Walk", "analyzed"]
