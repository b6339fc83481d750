"""Table functions that are queries over their input, and the names of their arguments in order."""

NAMES: dict[str, tuple[str, ...]] = {
    "GAP_FILL": (
        "input", "ts_column", "bucket_width", "partitioning_columns", "value_columns", "origin", "ignore_null_values",
    ),
    "RANGE_SESSIONIZE": ("input", "range_column", "partitioning_columns", "sessionize_option"),
}  # fmt: skip
