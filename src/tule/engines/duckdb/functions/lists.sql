-- Arrays and JSON.

tule_array_offset(a, i) AS
    CASE WHEN tule_check(i < 0 OR i >= len(a), 'Array index ' || i::VARCHAR || ' is out of bounds (' || CASE WHEN i
    < 0 THEN 'underflow' ELSE 'overflow' END || ')') THEN list_extract(a, i + 1) END;

tule_array_ordinal(a, i) AS
    CASE WHEN tule_check(i < 1 OR i > len(a), 'Array index ' || i::VARCHAR || ' is out of bounds (' || CASE WHEN i
    < 1 THEN 'underflow' ELSE 'overflow' END || ')') THEN list_extract(a, i) END;

tule_array_safe_offset(a, i) AS
    CASE WHEN i < 0 THEN NULL ELSE list_extract(a, i + 1) END;

tule_array_safe_ordinal(a, i) AS
    CASE WHEN i < 1 THEN NULL ELSE list_extract(a, i) END;

tule_array_first(a) AS
    CASE WHEN tule_check(len(a) = 0, 'ARRAY_FIRST cannot get the first element of an empty array') THEN
    list_extract(a, 1) END;

tule_array_last(a) AS
    CASE WHEN tule_check(len(a) = 0, 'ARRAY_LAST cannot get the last element of an empty array') THEN
    list_extract(a, -1) END;

tule_array_concat(a, b) AS
    CASE WHEN a IS NULL OR b IS NULL THEN NULL ELSE list_concat(a, b) END;

tule_place(n, i) AS
    CASE WHEN i < 0 THEN n + i ELSE i END;

tule_array_slice(a, i, j) AS
    CASE WHEN a IS NULL OR i IS NULL OR j IS NULL THEN NULL WHEN tule_place(len(a), j) < 0 OR tule_place(len(a), i)
    > tule_place(len(a), j) THEN a[1:0] ELSE list_slice(a, tule_larger(tule_place(len(a), i), 0) + 1,
    tule_smaller(tule_place(len(a), j), len(a) - 1) + 1) END;

tule_array_to_string(a, separator, missing) AS
    CASE WHEN a IS NULL OR separator IS NULL THEN NULL WHEN missing IS NULL THEN coalesce(array_to_string(a,
    separator), '') ELSE coalesce(array_to_string(list_transform(a, LAMBDA v: coalesce(v, missing)), separator),
    '') END;

-- A bucket of HyperLogLog, by the first bits of a hash, and how many zeros follow, and one: bucket * 64 + run.
tule_hll_code(s, bits) AS
    CAST(md5_number_lower(s) >> CAST(64 - bits AS UBIGINT) AS BIGINT) * 64 + tule_hll_run((md5_number_lower(s) &
    CAST((1::HUGEINT << CAST(64 - bits AS HUGEINT)) - 1 AS UBIGINT)), 64 - bits);

tule_hll_run(low, size) AS
    CASE WHEN low = 0 THEN size + 1 ELSE size - CAST(floor(log2(CAST(low AS DOUBLE))) AS BIGINT) END;

-- TRUE where one is, else NULL where one is unknown.
tule_any(a) AS
    CASE WHEN a IS NULL THEN NULL WHEN list_contains(a, TRUE) THEN TRUE WHEN list_count(a) < len(a) THEN NULL ELSE
    FALSE END;

tule_in_array(x, a) AS
    CASE WHEN a IS NULL OR len(a) = 0 THEN FALSE WHEN x IS NULL THEN NULL WHEN list_contains(a, x) THEN TRUE WHEN
    list_count(a) < len(a) THEN NULL ELSE FALSE END;

tule_whole_array(a, name) AS
    CASE WHEN tule_check(list_count(a) < len(a), 'Array cannot have a null element; error in writing field ' ||
    name) THEN a END;

tule_generate_array(a, b, step) AS
    CASE WHEN a IS NULL OR b IS NULL OR step IS NULL THEN NULL WHEN tule_check(step = 0,
    'Sequence step cannot be 0.') THEN generate_series(a, b, CASE WHEN step = 0 THEN 1 ELSE step END) END;

tule_generate_numbers(a, b, step) AS
    CASE WHEN a IS NULL OR b IS NULL OR step IS NULL THEN NULL WHEN tule_check(step = 0,
    'Sequence step cannot be 0.') THEN list_transform(range(0, tule_larger(0, CAST(floor(CAST(b - a AS DOUBLE) /
    nullif(CAST(step AS DOUBLE), 0) + 1e-9) AS BIGINT) + 1)), LAMBDA i: a + step * i) END;

tule_top_count(a, n) AS
    (SELECT list_slice(list({'value': v, 'count': c} ORDER BY c DESC, p), 1, n) FROM (SELECT v, count(*) AS c,
    min(p) AS p FROM (SELECT unnest(a) AS v, unnest(range(len(a))) AS p) GROUP BY v));

tule_top_sum(a, n) AS
    (SELECT list_slice(list({'value': v, 'sum': s} ORDER BY s DESC, p), 1, n) FROM (SELECT e.v AS v, sum(e.w) AS s,
    min(p) AS p FROM (SELECT unnest(a) AS e, unnest(range(len(a))) AS p) GROUP BY e.v));

tule_parse_json(s) AS
    CASE WHEN tule_check(NOT json_valid(s), 'Invalid input to PARSE_JSON: syntax error while parsing value') THEN
    CASE WHEN json_valid(s) THEN json(s) END END;

-- Numbers of many digits are looked at one by one: whether a double holds them.
tule_parse_json_in(s, exact) AS
    CASE WHEN regexp_matches(s, '[0-9.]{16}|[0-9][eE]') THEN CAST(tule_parse_json_wide(s, exact) AS JSON) ELSE
    tule_parse_json(s) END;

tule_json_subscript(j, i VARCHAR) AS
    json_extract(j, '$."' || replace(i, '"', '\"') || '"');

tule_json_subscript(j, i BIGINT) AS
    json_extract(j, '$[' || i || ']');

tule_json_query(j, path) AS
    json_extract(j, path);

tule_valid(s) AS
    CASE WHEN json_valid(s) THEN CAST(s AS JSON) END;

tule_json_query_text(s, path) AS
    CASE WHEN json_type(tule_valid(s), path) = 'NULL' THEN NULL ELSE CAST(json_extract(tule_valid(s), path) AS
    VARCHAR) END;

tule_json_query_array(j, path) AS
    CASE WHEN json_type(j, path) = 'ARRAY' THEN json_extract(json_extract(j, path), '$[*]') END;

tule_json_query_array_text(s, path) AS
    list_transform(tule_json_query_array(tule_valid(s), path), LAMBDA v: CAST(v AS VARCHAR));

tule_json_value(j, path) AS
    CASE WHEN json_type(j, path) IN ('OBJECT', 'ARRAY', 'NULL') THEN NULL ELSE json_extract_string(j, path) END;

tule_json_value_text(s, path) AS
    tule_json_value(tule_valid(s), path);

tule_json_value_array(j, path) AS
    CASE WHEN json_type(j, path) <> 'ARRAY' OR len(list_filter(json_extract(json_extract(j, path), '$[*]'), LAMBDA
    v: json_type(v) IN ('OBJECT', 'ARRAY'))) > 0 THEN NULL ELSE list_transform(json_extract(json_extract(j, path),
    '$[*]'), LAMBDA v: tule_json_value(v, '$')) END;

tule_json_value_array_text(s, path) AS
    tule_json_value_array(tule_valid(s), path);

tule_json_type(j) AS
    CASE json_type(j) WHEN 'OBJECT' THEN 'object' WHEN 'ARRAY' THEN 'array' WHEN 'VARCHAR' THEN 'string' WHEN
    'BOOLEAN' THEN 'boolean' WHEN 'NULL' THEN 'null' WHEN 'BIGINT' THEN 'number' WHEN 'UBIGINT' THEN 'number' WHEN
    'DOUBLE' THEN 'number' WHEN 'HUGEINT' THEN 'number' WHEN 'UHUGEINT' THEN 'number' END;

tule_json_bool(j) AS
    CASE WHEN tule_check(json_type(j) NOT IN ('BOOLEAN'), 'The provided JSON input is not a boolean') THEN
    TRY_CAST(j ->> '$' AS BOOLEAN) END;

tule_json_string(j) AS
    CASE WHEN tule_check(json_type(j) NOT IN ('VARCHAR'), 'The provided JSON input is not a string') THEN j ->> '$'
    END;

tule_json_float64(j) AS
    CASE WHEN tule_check(json_type(j) NOT IN ('BIGINT', 'UBIGINT', 'DOUBLE', 'HUGEINT', 'UHUGEINT'),
    'The provided JSON input is not a number') THEN TRY_CAST(j ->> '$' AS DOUBLE) END;

tule_json_int64(j) AS
    CASE WHEN tule_check(json_type(j) NOT IN ('BIGINT', 'UBIGINT') AND NOT (json_type(j) IN ('DOUBLE', 'HUGEINT',
    'UHUGEINT') AND TRY_CAST(j ->> '$' AS DOUBLE) = trunc(TRY_CAST(j ->> '$' AS DOUBLE)) AND abs(TRY_CAST(j ->> '$'
    AS DOUBLE)) < 9.223372036854775e18), 'The provided JSON input is not an integer') THEN coalesce(TRY_CAST(j ->>
    '$' AS BIGINT), TRY_CAST(TRY_CAST(j ->> '$' AS DOUBLE) AS BIGINT)) END;

tule_json_float64_exact(j) AS
    CASE WHEN tule_check(json_type(j) IN ('BIGINT', 'UBIGINT', 'HUGEINT', 'UHUGEINT') AND TRY_CAST(j ->> '$' AS
    HUGEINT) <> TRY_CAST(TRY_CAST(j ->> '$' AS DOUBLE) AS HUGEINT), 'JSON number: ' || (j ->> '$') ||
    ' cannot be converted to DOUBLE without loss of precision') THEN tule_json_float64(j) END;

tule_json_bool_array(j) AS
    CASE WHEN tule_check(json_type(j) <> 'ARRAY', 'The provided JSON input is not an array') THEN
    list_transform(json_extract(j, '$[*]'), LAMBDA v: tule_json_bool(v)) END;

tule_json_string_array(j) AS
    CASE WHEN tule_check(json_type(j) <> 'ARRAY', 'The provided JSON input is not an array') THEN
    list_transform(json_extract(j, '$[*]'), LAMBDA v: tule_json_string(v)) END;

tule_json_float64_array(j) AS
    CASE WHEN tule_check(json_type(j) <> 'ARRAY', 'The provided JSON input is not an array') THEN
    list_transform(json_extract(j, '$[*]'), LAMBDA v: tule_json_float64(v)) END;

tule_json_int64_array(j) AS
    CASE WHEN tule_check(json_type(j) <> 'ARRAY', 'The provided JSON input is not an array') THEN
    list_transform(json_extract(j, '$[*]'), LAMBDA v: tule_json_int64(v)) END;

tule_lax_bool(j) AS
    CASE json_type(j) WHEN 'BOOLEAN' THEN TRY_CAST(j ->> '$' AS BOOLEAN) WHEN 'VARCHAR' THEN CASE lower(j ->> '$')
    WHEN 'true' THEN TRUE WHEN 'false' THEN FALSE END WHEN 'BIGINT' THEN (j ->> '$') <> '0' WHEN 'UBIGINT' THEN (j
    ->> '$') <> '0' WHEN 'DOUBLE' THEN TRY_CAST(j ->> '$' AS DOUBLE) <> 0 END;

tule_lax_string(j) AS
    CASE WHEN json_type(j) IN ('OBJECT', 'ARRAY', 'NULL') THEN NULL ELSE j ->> '$' END;

tule_lax_float64(j) AS
    CASE WHEN json_type(j) IN ('OBJECT', 'ARRAY', 'NULL', 'BOOLEAN') THEN NULL ELSE TRY_CAST(trim(j ->> '$') AS
    DOUBLE) END;

tule_lax_int64(j) AS
    CASE WHEN json_type(j) IN ('OBJECT', 'ARRAY', 'NULL') THEN NULL WHEN json_type(j) = 'BOOLEAN' THEN
    CAST(TRY_CAST(j ->> '$' AS BOOLEAN) AS BIGINT) ELSE coalesce(TRY_CAST(CASE WHEN regexp_full_match(j ->> '$',
    '\s*[-+]?\d+\s*') THEN j ->> '$' END AS BIGINT), TRY_CAST(round(TRY_CAST(j ->> '$' AS DOUBLE)) AS BIGINT)) END;

tule_lax_bool_array(j) AS
    CASE WHEN json_type(j) = 'ARRAY' THEN list_transform(json_extract(j, '$[*]'), LAMBDA v: tule_lax_bool(v)) END;

tule_lax_string_array(j) AS
    CASE WHEN json_type(j) = 'ARRAY' THEN list_transform(json_extract(j, '$[*]'), LAMBDA v: tule_lax_string(v)) END;

tule_lax_float64_array(j) AS
    CASE WHEN json_type(j) = 'ARRAY' THEN list_transform(json_extract(j, '$[*]'), LAMBDA v: tule_lax_float64(v)) END;

tule_lax_int64_array(j) AS
    CASE WHEN json_type(j) = 'ARRAY' THEN list_transform(json_extract(j, '$[*]'), LAMBDA v: tule_lax_int64(v)) END;

tule_json_of_int64(x) AS
    CASE WHEN abs(CAST(x AS HUGEINT)) > 9007199254740992 THEN to_json(CAST(x AS VARCHAR)) ELSE to_json(x) END;

tule_json_of_double(x) AS
    CASE WHEN isfinite(x) THEN CAST(tule_text_of_double(x) AS JSON) ELSE to_json(tule_text_of_double(x)) END;

-- A decimal number's text as JSON; ``wide``: a string unless it is whole and no larger than 2^53.
tule_json_of_number_text(s, wide) AS
    CASE WHEN wide AND (contains(s, '.') OR abs(TRY_CAST(s AS HUGEINT)) > 9007199254740992 OR TRY_CAST(s AS HUGEINT) IS
    NULL) THEN to_json(s) ELSE CAST(s AS JSON) END;

tule_iso_of_interval(x) AS
    'P' || CASE WHEN tule_months_of(x) = 0 AND tule_days_of(x) = 0 AND tule_micros_of(x) = 0 THEN '0Y' ELSE
    tule_iso_part(tule_signed_quotient(tule_months_of(x), 12), 'Y') || tule_iso_part(tule_months_of(x) -
    tule_signed_quotient(tule_months_of(x), 12) * 12, 'M') || tule_iso_part(tule_days_of(x), 'D') || CASE WHEN
    tule_micros_of(x) = 0 THEN '' ELSE 'T' || tule_iso_part(tule_signed_quotient(tule_micros_of(x), 3600000000), 'H') ||
    tule_iso_part(tule_signed_quotient(tule_micros_of(x), 60000000) - tule_signed_quotient(tule_micros_of(x), 3600000000) *
    60, 'M') || tule_iso_seconds(tule_micros_of(x) - tule_signed_quotient(tule_micros_of(x), 60000000) * 60000000) END END;

tule_signed_quotient(n, d) AS
    CASE WHEN n < 0 THEN -(-n // d) ELSE n // d END;

tule_iso_part(n, letter) AS
    CASE WHEN n = 0 THEN '' ELSE n::VARCHAR || letter END;

tule_iso_seconds(micros) AS
    CASE WHEN micros = 0 THEN '' ELSE CASE WHEN micros < 0 THEN '-' ELSE '' END || (abs(micros) // 1000000)::VARCHAR ||
    CASE WHEN abs(micros) % 1000000 = 0 THEN '' ELSE '.' || rtrim(lpad((abs(micros) % 1000000)::VARCHAR, 6, '0'), '0') END
    || 'S' END;

tule_json_of_timestamp(x) AS
    tule_grouped_fraction(strftime(CAST(x AS TIMESTAMP), '%Y-%m-%dT%H:%M:%S.%f')) || 'Z';

tule_json_of_datetime(x) AS
    tule_grouped_fraction(strftime(x, '%Y-%m-%dT%H:%M:%S.%f'));

tule_json_flatten(j) AS
    CAST(tule_json_flatten_text(j) AS JSON[]);

tule_edit_distance(a, b) AS
    tule_distance_of_texts(a, b);

tule_edit_distance(a, b, most) AS
    tule_smaller(tule_distance_of_texts(a, b), most);

tule_equally_long(a, lengths) AS
    CASE WHEN tule_check(list_min(lengths) < list_max(lengths), 'Unnested arrays under STRICT mode must have equal '
    || 'lengths') THEN a END;

-- FALSE where one is, else NULL where one is unknown.
tule_every(a) AS
    CASE WHEN list_contains(a, FALSE) THEN FALSE WHEN list_count(a) < len(a) THEN NULL ELSE TRUE END;

-- The rows {v, k} of a group of which k is the largest, or the smallest.
tule_of_largest(a) AS
    list_filter(a, LAMBDA e: e.k IS NOT DISTINCT FROM list_max(list_transform(a, LAMBDA x: x.k)));

tule_of_smallest(a) AS
    list_filter(a, LAMBDA e: e.k IS NOT DISTINCT FROM list_min(list_transform(a, LAMBDA x: x.k)));
