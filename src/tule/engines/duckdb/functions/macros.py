"""Functions of GoogleSQL as DuckDB macros: name, parameters, body. An error begins with ``tule:`` (see errors.py)."""

from __future__ import annotations

MACROS: tuple[tuple[str, str], ...] = (
    ("tule_error(message)", "error('tule: ' || message)"),
    ("tule_divide(a, b)",
     "CASE WHEN b = 0 THEN error('tule: division by zero: ' || a::VARCHAR || ' / ' || b::VARCHAR) ELSE a / b END"),
    ("tule_int64(x)",
     "CASE WHEN typeof(x) = 'VARCHAR' THEN CASE WHEN x IS NULL THEN NULL "
     "WHEN regexp_full_match(trim(x::VARCHAR), '[-+]?([0-9]+|0[xX][0-9a-fA-F]+)') THEN try_cast(trim(x::VARCHAR) AS BIGINT) "
     "ELSE error('tule: Bad int64 value: ' || x::VARCHAR)::BIGINT END "
     "WHEN typeof(x) IN ('DOUBLE', 'FLOAT') THEN round(try_cast(x AS DOUBLE))::BIGINT ELSE x::BIGINT END"),
    ("tule_safe_int64(x)",
     "CASE WHEN typeof(x) = 'VARCHAR' THEN CASE WHEN regexp_full_match(trim(x::VARCHAR), '[-+]?([0-9]+|0[xX][0-9a-fA-F]+)') "
     "THEN try_cast(trim(x::VARCHAR) AS BIGINT) ELSE NULL END "
     "WHEN typeof(x) IN ('DOUBLE', 'FLOAT') THEN try_cast(round(try_cast(x AS DOUBLE)) AS BIGINT) ELSE try_cast(x AS BIGINT) END"),
    ("tule_string(x)",
     "CASE WHEN typeof(x) IN ('DOUBLE', 'FLOAT') THEN regexp_replace(x::VARCHAR, '\\.0$', '') "
     "WHEN typeof(x) LIKE 'DECIMAL%' THEN regexp_replace(regexp_replace(x::VARCHAR, '(\\.[0-9]*?)0+$', '\\1'), '\\.$', '') "
     "ELSE x::VARCHAR END"),
    ("tule_trunc(x, n)", "trunc(x * pow(10, n)) / pow(10, n)"),
    ("tule_timestamp_micros(n)", "make_timestamptz(n)"),
    ("tule_extract_millisecond(x)", "(date_part('millisecond', x) % 1000)::BIGINT"),
    ("tule_extract_microsecond(x)", "(date_part('microsecond', x) % 1000000)::BIGINT"),
    ("tule_bucket(x, splits)",
     "CASE WHEN x IS NULL THEN NULL ELSE 'bin_' || (1 + len(list_filter(splits, LAMBDA s: s <= x)))::VARCHAR END"),
    ("tule_range_bucket(x, splits)",
     "CASE WHEN x IS NULL OR splits IS NULL THEN NULL ELSE len(list_filter(splits, LAMBDA s: s <= x)) END"),
    ("tule_vocabulary(words, top_k, threshold)",
     "list_sort(list_transform(list_slice(list_sort(list_transform(list_filter(map_entries(list_histogram(words)), "
     "LAMBDA e: e.value >= threshold), LAMBDA e: {'c': -e.value::BIGINT, 'w': e.key})), 1, top_k), LAMBDA e: e.w))"),
    ("tule_hash_bucketize(s, size)",
     "CASE WHEN size = 0 THEN tule_farm_fingerprint(s) ELSE ((tule_farm_fingerprint(s)::HUGEINT + "
     "CASE WHEN tule_farm_fingerprint(s) < 0 THEN 18446744073709551616::HUGEINT ELSE 0 END) % size)::BIGINT END"),
    ("tule_lp_norm(a, p)",
     "CASE WHEN p = 0 THEN len(list_filter(a, LAMBDA v: v <> 0))::DOUBLE WHEN isinf(p::DOUBLE) THEN list_max(list_transform(a, "
     "LAMBDA v: abs(v)))::DOUBLE ELSE pow(list_sum(list_transform(a, LAMBDA v: pow(abs(v), p))), 1.0 / p) END"),
    ("tule_normalizer(a, p)", "list_transform(a, LAMBDA v: v / tule_lp_norm(a, p))"),
    ("tule_distance(a, b, kind)",
     "CASE upper(kind) WHEN 'EUCLIDEAN' THEN list_distance(a::DOUBLE[], b::DOUBLE[]) "
     "WHEN 'COSINE' THEN 1 - list_cosine_similarity(a::DOUBLE[], b::DOUBLE[]) "
     "WHEN 'MANHATTAN' THEN list_sum(list_transform(list_zip(a, b), LAMBDA z: abs(z[1] - z[2])))::DOUBLE "
     "ELSE error('tule: The distance must be EUCLIDEAN, MANHATTAN or COSINE')::DOUBLE END"),
    ("tule_ngrams(words, lengths, separator)",
     "flatten(list_transform(range(1, len(words) + 1), LAMBDA i: list_transform(list_filter(range(lengths[1], lengths[-1] + 1), "
     "LAMBDA n: i + n - 1 <= len(words)), LAMBDA n: array_to_string(words[i:i + n - 1], separator))))"),
    ("tule_top_count(x, n)",
     "list_transform(list_slice(list_sort(list_transform(map_entries(histogram(x)), LAMBDA e: {'c': -e.value::BIGINT, "
     "'v': e.key})), 1, n), LAMBDA e: {'value': e.v, 'count': -e.c})"),
    ("tule_instr(s, part, position, occurrence)",
     "CASE WHEN position < 1 OR occurrence < 1 THEN error('tule: INSTR needs a position and occurrence from 1')::BIGINT "
     "ELSE coalesce(list_extract(list_filter(range(position, len(s) + 1), LAMBDA i: s[i:i + len(part) - 1] = part), occurrence), 0) "
     "END"),
)  # fmt: skip
