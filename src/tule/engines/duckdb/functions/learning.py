"""BigQuery ML's preprocessing functions, where an expression alone would be too long."""

MACROS: tuple[tuple[str, str], ...] = (
    ("tule_bucket_range(x, splits)",
     "CASE WHEN x IS NULL THEN NULL WHEN len(splits) = 0 THEN '(-inf, +inf)' "
     "WHEN x < splits[1] THEN '(-inf, ' || tule_bound(splits[1]) || ')' "
     "WHEN x >= splits[-1] THEN '[' || tule_bound(splits[-1]) || ', +inf)' "
     "ELSE '[' || tule_bound(list_last(list_filter(splits, LAMBDA s: s <= x))) || ', ' || "
     "tule_bound(list_first(list_filter(splits, LAMBDA s: s > x))) || ')' END"),
    ("tule_bound(x)", "tule_text_of_double(CAST(x AS DOUBLE))"),
)  # fmt: skip
