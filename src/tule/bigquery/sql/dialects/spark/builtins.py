"""Functions of DuckDB that the shared analysis calls, by the function of Spark that does the same for such values."""

from __future__ import annotations

# None: written as it is.
BUILTINS: dict[str, str] = {
    name: spark or name
    for name, spark in {
        "abs": "", "acosh": "", "asinh": "", "atan": "", "atan2": "", "greatest": "", "least": "",
        "isnan": "", "nullif": "", "coalesce": "", "sign": "", "upper": "", "lower": "", "reverse": "",
        "concat": "", "starts_with": "startswith", "ends_with": "endswith", "contains": "contains",
        "translate": "", "to_base64": "base64", "unhex": "unhex",
        "list_reverse": "reverse", "flatten": "flatten", "list_contains": "array_contains",
        "count": "", "sum": "", "avg": "", "min": "", "max": "", "any_value": "", "bool_or": "",
        "bool_and": "", "bit_and": "", "bit_or": "", "bit_xor": "", "stddev_samp": "", "stddev_pop": "", "var_samp": "",
        "var_pop": "", "corr": "", "covar_pop": "", "covar_samp": "", "rank": "", "dense_rank": "", "row_number": "",
        "percent_rank": "", "cume_dist": "", "ntile": "", "lag": "", "lead": "", "first_value": "", "last_value": "",
        "nth_value": "", "random": "rand", "year": "", "month": "", "day": "", "hour": "", "minute": "", "second": "",
        "quarter": "", "weekofyear": "", "dayofyear": "", "grouping": "", "epoch_us": "unix_micros",
        "count_if": "", "exp": "", "md5": "",
    }.items()
}  # fmt: skip

# Functions and operators of the syntax itself, by the name of their node.
SYNTAX = frozenset(
    {"Cast", "TryCast", "Case", "If", "Coalesce", "Count", "Sum", "Avg", "Min", "Max", "And", "Or", "Xor", "Exists",
     "Array", "Struct", "RowNumber", "Rank", "DenseRank", "PercentRank", "CumeDist", "Ntile", "Lag", "Lead", "FirstValue",
     "LastValue",
     "NthValue", "Abs", "Nullif", "Upper", "Lower", "Greatest", "Least",
     "AnyValue", "Stddev", "StddevPop", "StddevSamp", "Variance", "VariancePop", "Filter", "Explode", "Lateral", "CountIf"}
)  # fmt: skip

__all__ = ["BUILTINS", "SYNTAX"]
