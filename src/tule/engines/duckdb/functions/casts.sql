-- Casts between text and the other types, in BigQuery's forms. tule_as_<type> chooses by the type of its argument.

tule_single_quoted(s) AS
    chr(39) || s || chr(39);

tule_int64_of_text(s) AS
    CASE WHEN tule_check(NOT regexp_full_match(s, '\s*[-+]?([0-9]+|0[xX][0-9a-fA-F]+)\s*') OR tule_try_int64(s) IS
    NULL, 'Bad int64 value: ' || s) THEN tule_try_int64(s) END;

tule_try_int64(s) AS
    CASE WHEN regexp_full_match(s, '\s*[-+]?0[xX][0-9a-fA-F]+\s*') THEN TRY_CAST(CASE WHEN contains(s, '-') THEN
    '-' ELSE '' END || CAST(TRY_CAST('0x' || regexp_extract(s, '0[xX]([0-9a-fA-F]+)', 1) AS HUGEINT) AS VARCHAR) AS
    BIGINT) ELSE TRY_CAST(regexp_replace(trim(s), '^\+', '') AS BIGINT) END;

tule_double_of_text(s) AS
    CASE WHEN tule_check(NOT regexp_full_match(s,
    '(?i)\s*[-+]?(\d+\.?\d*([eE][-+]?\d+)?|\.\d+([eE][-+]?\d+)?|inf|infinity|nan)\s*') OR TRY_CAST(trim(s) AS
    DOUBLE) IS NULL, 'Bad double value: ' || s) THEN TRY_CAST(trim(s) AS DOUBLE) END;

tule_numeric_of_text(s) AS
    CASE WHEN tule_check(NOT regexp_full_match(s, '\s*[-+]?(\d+\.?\d*([eE][-+]?\d+)?|\.\d+([eE][-+]?\d+)?)\s*') OR
    TRY_CAST(trim(s) AS DECIMAL(38, 9)) IS NULL, 'Invalid NUMERIC value: ' || s) THEN TRY_CAST(trim(s) AS
    DECIMAL(38, 9)) END;

tule_parse_numeric(s) AS
    tule_numeric_of_text(regexp_replace(regexp_replace(regexp_replace(trim(s), '(\d),', '\1', 'g'), '^([-+])\s+',
    '\1'), '^(.*\S)\s*-$', '-\1'));

tule_bool_of_text(s) AS
    CASE WHEN tule_check(lower(trim(s)) NOT IN ('true', 'false'), 'Bad bool value: ' || s) THEN lower(trim(s)) =
    'true' END;

tule_date_of_text(s) AS
    CASE WHEN tule_check(NOT regexp_full_match(s,
    '\s*(\d{4,5}-\d{1,2}-\d{1,2})(?:[ Tt](\d{1,2}:\d{1,2}:\d{1,2}(?:\.\d{1,6})?|\d{1,2}:\d{1,2}).*)?\s*') OR
    TRY_CAST(regexp_extract(s, '\d{4,5}-\d{1,2}-\d{1,2}') AS DATE) IS NULL, 'Invalid date: ' ||
    tule_single_quoted(s)) THEN TRY_CAST(regexp_extract(s, '\d{4,5}-\d{1,2}-\d{1,2}') AS DATE) END;

tule_time_of_text(s) AS
    CASE WHEN tule_check(NOT regexp_full_match(s, '\s*(\d{1,2}:\d{1,2}:\d{1,2}(?:\.\d{1,6})?|\d{1,2}:\d{1,2})\s*')
    OR TRY_CAST(tule_full_clock(trim(s)) AS TIME) IS NULL, 'Invalid time: ' || tule_single_quoted(s)) THEN
    TRY_CAST(tule_full_clock(trim(s)) AS TIME) END;

tule_full_clock(s) AS
    CASE WHEN regexp_full_match(s, '\d{1,2}:\d{1,2}') THEN s || ':00' ELSE s END;

tule_datetime_of_text(s) AS
    CASE WHEN tule_check(NOT regexp_full_match(s,
    '\s*(\d{4,5}-\d{1,2}-\d{1,2})(?:[ Tt](\d{1,2}:\d{1,2}:\d{1,2}(?:\.\d{1,6})?|\d{1,2}:\d{1,2}))?\s*') OR
    TRY_CAST(tule_full_datetime(s) AS TIMESTAMP) IS NULL, 'Invalid datetime: ' || tule_single_quoted(s)) THEN
    TRY_CAST(tule_full_datetime(s) AS TIMESTAMP) END;

tule_full_datetime(s) AS
    regexp_extract(s, '(\d{4,5}-\d{1,2}-\d{1,2})', 1) || ' ' || tule_full_clock(CASE WHEN regexp_extract(s,
    '[ Tt](\d{1,2}:\d{1,2}:\d{1,2}(?:\.\d{1,6})?|\d{1,2}:\d{1,2})', 1) = '' OR regexp_extract(s,
    '[ Tt](\d{1,2}:\d{1,2}:\d{1,2}(?:\.\d{1,6})?|\d{1,2}:\d{1,2})', 1) IS NULL THEN '00:00:00' ELSE
    regexp_extract(s, '[ Tt](\d{1,2}:\d{1,2}:\d{1,2}(?:\.\d{1,6})?|\d{1,2}:\d{1,2})', 1) END);

tule_timestamp_of_text(s) AS
    tule_timestamp_of_text_in(s, 'UTC');

tule_timestamp_of_text_in(s, zone) AS
    CASE WHEN tule_check(NOT regexp_full_match(s,
    '\s*(\d{4,5}-\d{1,2}-\d{1,2})(?:[ Tt](\d{1,2}:\d{1,2}:\d{1,2}(?:\.\d{1,6})?|\d{1,2}:\d{1,2}))?(?:[Zz]|\s*(?:[+-]\d{1,2}(?::\d{2})?)|\s+[A-Za-z][\w+/-]*)?\s*')
    OR TRY_CAST(tule_full_datetime(s) AS TIMESTAMP) IS NULL, 'Invalid timestamp: ' || tule_single_quoted(s)) THEN
    tule_moment(TRY_CAST(tule_full_datetime(s) AS TIMESTAMP), coalesce(nullif(tule_zone_of_text(s), ''), zone)) END;

tule_zone_of_text(s) AS
    trim(regexp_extract(s,
    '(\d{4,5}-\d{1,2}-\d{1,2})(?:[ Tt](\d{1,2}:\d{1,2}:\d{1,2}(?:\.\d{1,6})?|\d{1,2}:\d{1,2}))?((?:[Zz]|\s*(?:[+-]\d{1,2}(?::\d{2})?)|\s+[A-Za-z][\w+/-]*)?)\s*$',
    3));

tule_interval_of_text(s) AS
    CASE WHEN starts_with(s, 'P') THEN tule_interval_of_iso(CASE WHEN starts_with(s, 'P') THEN s END) ELSE
    tule_interval_of_parts(CASE WHEN NOT starts_with(s, 'P') THEN s END) END;

-- ISO 8601: P1Y2M3W4DT5H6M7.8S, each number with a sign of its own.
tule_interval_of_iso(s) AS
    CASE WHEN tule_check(NOT regexp_full_match(s,
    'P([-+]?\d+Y)?([-+]?\d+M)?([-+]?\d+W)?([-+]?\d+D)?(T([-+]?\d+H)?([-+]?\d+M)?([-+]?\d+(\.\d{1,6})?S)?)?') OR s IN
    ('P', 'PT') OR s LIKE '%T', 'Invalid INTERVAL value: ' || tule_single_quoted(s)) THEN
    tule_interval(tule_iso_number(s, '^P[^T]*?([-+]?\d+)Y') * 12 + tule_iso_number(s, '^P[^T]*?([-+]?\d+)M'),
    tule_iso_number(s, '^P[^T]*?([-+]?\d+)W') * 7 + tule_iso_number(s, '^P[^T]*?([-+]?\d+)D'), (tule_iso_number(s,
    'T.*?([-+]?\d+)H') * 3600 + tule_iso_number(s, 'T.*?([-+]?\d+)M') * 60) * 1000000 +
    CAST(coalesce(TRY_CAST(nullif(regexp_extract(s, 'T.*?([-+]?\d+(?:\.\d+)?)S', 1), '') AS DECIMAL(20, 6)), 0) * 1000000
    AS BIGINT)) END;

tule_iso_number(s, pattern) AS
    coalesce(TRY_CAST(nullif(regexp_extract(s, pattern, 1), '') AS BIGINT), 0);

tule_interval_of_parts(s) AS
    CASE WHEN tule_check(NOT regexp_full_match(s, '[-+]?\d+-\d+ [-+]?\d+ [-+]?\d+:\d+:\d+(\.\d{1,6})?'),
    'Invalid INTERVAL value: ' || tule_single_quoted(s)) THEN tule_interval((CASE WHEN s LIKE '-%' THEN -1 ELSE 1
    END) * (TRY_CAST(regexp_extract(s, '^[-+]?(\d+)-', 1) AS BIGINT) * 12 + TRY_CAST(regexp_extract(s, '^[-+]?\d+-(\d+)',
    1) AS BIGINT)), TRY_CAST(regexp_extract(s, ' ([-+]?\d+) ', 1) AS BIGINT), (CASE WHEN regexp_matches(s, ' -\d+:')
    THEN -1 ELSE 1 END) * CAST(round((TRY_CAST(regexp_extract(s, ' [-+]?(\d+):', 1) AS BIGINT) * 3600 +
    TRY_CAST(regexp_extract(s, ':(\d+):', 1) AS BIGINT) * 60) * 1000000 + TRY_CAST(regexp_extract(s, ':(\d+(?:\.\d+)?)$',
    1) AS DOUBLE) * 1000000) AS BIGINT)) END;

tule_text_of_double(x) AS
    CASE WHEN isnan(x) THEN 'NaN' WHEN isinf(x) THEN CASE WHEN x > 0 THEN 'Infinity' ELSE '-Infinity' END ELSE
    regexp_replace(CAST(x AS VARCHAR), '\.0$', '') END;

tule_print_double(x) AS
    CASE WHEN isnan(x) THEN 'NaN' WHEN isinf(x) THEN CASE WHEN x > 0 THEN 'Infinity' ELSE '-Infinity' END ELSE
    CAST(x AS VARCHAR) END;

tule_text_of_numeric(x) AS
    regexp_replace(regexp_replace(CAST(CAST(x AS DECIMAL(38, 9)) AS VARCHAR), '(\.[0-9]*?)0+$', '\1'), '\.$', '');

tule_text_of_bytes(x) AS
    CASE WHEN tule_check(try(decode(x)) IS NULL AND x IS NOT NULL,
    'Invalid UTF-8 bytes in a cast from BYTES to STRING') THEN try(decode(x)) END;

tule_fraction(s) AS
    regexp_replace(regexp_replace(s, '(\.\d{3})000$', '\1'), '\.(\d*?)0+$', '.\1');

tule_text_of_datetime(x) AS
    tule_grouped_fraction(strftime(x, '%Y-%m-%d %H:%M:%S.%f'));

tule_text_of_time(x) AS
    tule_grouped_fraction(strftime(tule_datetime_of_time(x), '%H:%M:%S.%f'));

-- A fraction of a second is written with three or six digits, or left out.
tule_grouped_fraction(s) AS
    regexp_replace(regexp_replace(s, '\.000000$', ''), '(\.\d{3})000$', '\1');

tule_text_of_timestamp(x) AS
    tule_grouped_fraction(strftime(CAST(x AS TIMESTAMP), '%Y-%m-%d %H:%M:%S.%f')) || '+00';

tule_text_of_timestamp_at(local, seconds) AS
    tule_grouped_fraction(strftime(local, '%Y-%m-%d %H:%M:%S.%f')) ||
    regexp_replace(tule_format_offset(seconds, ':'), ':00$', '');

tule_text_of_interval(x) AS
    CASE WHEN tule_months_of(x) < 0 THEN '-' ELSE '' END || (abs(tule_months_of(x)) // 12)::VARCHAR || '-' ||
    (abs(tule_months_of(x)) % 12)::VARCHAR || ' ' || tule_days_of(x)::VARCHAR || ' ' || CASE WHEN tule_micros_of(x)
    < 0 THEN '-' ELSE '' END || (abs(tule_micros_of(x)) // 3600000000)::VARCHAR || ':' || (abs(tule_micros_of(x))
    // 60000000 % 60)::VARCHAR || ':' || (abs(tule_micros_of(x)) // 1000000 % 60)::VARCHAR || CASE WHEN
    abs(tule_micros_of(x)) % 1000000 = 0 THEN '' ELSE '.' || regexp_replace(lpad((abs(tule_micros_of(x)) %
    1000000)::VARCHAR, 6, '0'), '000$', '') END;

tule_int64_of_double(x) AS
    CASE WHEN tule_check(NOT isfinite(x) OR x >= 9223372036854775808::DOUBLE OR x < -9223372036854775808::DOUBLE,
    'Illegal conversion of non-finite floating point number to an integer: ' || tule_text_of_double(x)) THEN
    TRY_CAST(CASE WHEN isfinite(x) THEN round(x) END AS BIGINT) END;

tule_sized_text(s, n) AS
    CASE WHEN tule_check(length(s) > n, 'maximum length ' || n::VARCHAR || ' required for ' ||
    tule_single_quoted(s)) THEN s END;

tule_sized_bytes(s, n) AS
    CASE WHEN tule_check(octet_length(s) > n, 'maximum length ' || n::VARCHAR || ' required for bytes') THEN s END;

tule_text_of_geography(x) AS
    tule_st_astext(st_aswkb(x));

tule_as_int64(x BIGINT) AS
    x;

tule_as_int64(x VARCHAR) AS
    tule_int64_of_text(x);

tule_as_int64(x BOOLEAN) AS
    CAST(x AS BIGINT);

tule_as_int64(x DOUBLE) AS
    tule_int64_of_double(x);

tule_as_int64(x DECIMAL(38, 9)) AS
    CAST(x AS BIGINT);

tule_as_float64(x DOUBLE) AS
    x;

tule_as_float64(x VARCHAR) AS
    tule_double_of_text(x);

tule_as_float64(x BIGINT) AS
    CAST(x AS DOUBLE);

tule_as_float64(x DECIMAL(38, 9)) AS
    CAST(x AS DOUBLE);

tule_as_numeric(x DECIMAL(38, 9)) AS
    x;

tule_as_numeric(x VARCHAR) AS
    tule_numeric_of_text(x);

tule_as_numeric(x BIGINT) AS
    CAST(x AS DECIMAL(38, 9));

tule_as_numeric(x DOUBLE) AS
    CAST(x AS DECIMAL(38, 9));

tule_as_bool(x BOOLEAN) AS
    x;

tule_as_bool(x VARCHAR) AS
    tule_bool_of_text(x);

tule_as_bool(x BIGINT) AS
    CAST(x AS BOOLEAN);

tule_as_string(x VARCHAR) AS
    x;

tule_as_string(x BIGINT) AS
    CAST(x AS VARCHAR);

tule_as_string(x BOOLEAN) AS
    CAST(x AS VARCHAR);

tule_as_string(x DOUBLE) AS
    tule_text_of_double(x);

tule_as_string(x DECIMAL(38, 9)) AS
    tule_text_of_numeric(x);

tule_as_string(x BLOB) AS
    tule_text_of_bytes(x);

tule_as_string(x DATE) AS
    CAST(x AS VARCHAR);

tule_as_string(x TIME) AS
    tule_text_of_time(x);

tule_as_string(x TIMESTAMP) AS
    tule_text_of_datetime(x);

tule_as_string(x TIMESTAMPTZ) AS
    tule_text_of_timestamp(x);

tule_as_string(x INTERVAL) AS
    tule_text_of_interval(x);

tule_as_bytes(x BLOB) AS
    x;

tule_as_bytes(x VARCHAR) AS
    encode(x);

tule_as_date(x DATE) AS
    x;

tule_as_date(x VARCHAR) AS
    tule_date_of_text(x);

tule_as_date(x TIMESTAMP) AS
    CAST(x AS DATE);

tule_as_date(x TIMESTAMPTZ) AS
    CAST(x AS DATE);

tule_as_time(x TIME) AS
    x;

tule_as_time(x VARCHAR) AS
    tule_time_of_text(x);

tule_as_time(x TIMESTAMP) AS
    CAST(x AS TIME);

tule_as_time(x TIMESTAMPTZ) AS
    CAST(CAST(x AS TIMESTAMP) AS TIME);

tule_as_datetime(x TIMESTAMP) AS
    x;

tule_as_datetime(x VARCHAR) AS
    tule_datetime_of_text(x);

tule_as_datetime(x DATE) AS
    CAST(x AS TIMESTAMP);

tule_as_datetime(x TIMESTAMPTZ) AS
    CAST(x AS TIMESTAMP);

tule_as_timestamp(x TIMESTAMPTZ) AS
    x;

tule_as_timestamp(x VARCHAR) AS
    tule_timestamp_of_text(x);

tule_as_timestamp(x DATE) AS
    CAST(x AS TIMESTAMPTZ);

tule_as_timestamp(x TIMESTAMP) AS
    CAST(x AS TIMESTAMPTZ);
