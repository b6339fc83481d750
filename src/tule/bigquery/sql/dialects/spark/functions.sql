-- What the shared analysis calls by names of its own (tule_...), in Spark's SQL. What is not here is refused by name.

tule_check(bad, message) AS
    CAST(CASE WHEN bad THEN concat('tule: ', message) ELSE NULL END AS BIGINT) IS NULL;

tule_error(message) AS
    raise_error(concat('tule: ', coalesce(message, 'NULL')));

tule_same(x) AS x;
tule_larger(a, b) AS CASE WHEN a IS NULL OR b IS NULL THEN NULL WHEN a > b THEN a ELSE b END;
tule_smaller(a, b) AS CASE WHEN a IS NULL OR b IS NULL THEN NULL WHEN a < b THEN a ELSE b END;

-- Numbers

tule_div(a, b) AS
    CASE WHEN tule_check(b = 0, concat('division by zero: DIV(', CAST(a AS STRING), ', ', CAST(b AS STRING), ')')) THEN a DIV nullif(b, 0) END;
tule_mod(a, b) AS
    CASE WHEN tule_check(b = 0, concat('division by zero: MOD(', CAST(a AS STRING), ', ', CAST(b AS STRING), ')')) THEN a % nullif(b, 0) END;
tule_safe_divide(a, b) AS CASE WHEN b = 0 THEN NULL ELSE CAST(a AS DOUBLE) / CAST(nullif(b, 0) AS DOUBLE) END;
tule_finite(x, name, a) AS
    CASE WHEN tule_check(NOT isfinite(x) AND isfinite(CAST(a AS DOUBLE)), concat('Floating point error in function: ', name)) THEN x END;
tule_exp(x) AS
    CASE WHEN tule_check(x > 709.782712893384D AND isfinite(CAST(x AS DOUBLE)), 'Floating point error in function: EXP') THEN exp(x) END;
tule_ln(x) AS
    CASE WHEN tule_check(x <= 0, 'Floating point error in function: LN') THEN ln(CASE WHEN x > 0 THEN x END) END;
tule_log10(x) AS
    CASE WHEN tule_check(x <= 0, 'Floating point error in function: LOG10') THEN log10(CASE WHEN x > 0 THEN x END) END;
tule_sqrt(x) AS
    CASE WHEN tule_check(x < 0, 'Floating point error in function: SQRT') THEN sqrt(CASE WHEN x >= 0 THEN CAST(x AS DOUBLE) END) END;
tule_pow_fails(x, y) AS (x < 0 AND y <> rint(CAST(y AS DOUBLE))) OR (x = 0 AND y < 0);
tule_pow(x, y) AS
    CASE WHEN tule_check(tule_pow_fails(x, y), 'Floating point error in function: POW') THEN
    tule_finite(pow(CAST(x AS DOUBLE), CAST(y AS DOUBLE)), 'POW', CAST(x AS DOUBLE) + CAST(y AS DOUBLE)) END;
tule_acos(x) AS CASE WHEN tule_check(abs(x) > 1, 'Floating point error in function: ACOS') THEN acos(x) END;
tule_asin(x) AS CASE WHEN tule_check(abs(x) > 1, 'Floating point error in function: ASIN') THEN asin(x) END;
tule_sin(x) AS sin(x);
tule_cos(x) AS cos(x);
tule_tan(x) AS tan(x);
tule_tanh(x) AS tanh(x);
tule_sign_double(x) AS CASE WHEN isnan(x) THEN x ELSE sign(x) END;
tule_int64_of_double(x) AS
    CASE WHEN tule_check(NOT isfinite(x) OR x >= 9223372036854775808D OR x < -9223372036854775808D,
    concat('Illegal conversion of non-finite floating point number to an integer: ', tule_text_of_double(x))) THEN
    CAST(round(x) AS BIGINT) END;
tule_shift_left(a, b) AS
    CASE WHEN tule_check(b < 0, 'Bitwise binary operator for INT64 requires a shift of 0 or more') THEN CASE WHEN b > 63 THEN 0L ELSE shiftleft(a, CAST(b AS INT)) END END;
tule_shift_right(a, b) AS
    CASE WHEN tule_check(b < 0, 'Bitwise binary operator for INT64 requires a shift of 0 or more') THEN CASE WHEN b > 63 THEN 0L ELSE shiftrightunsigned(a, CAST(b AS INT)) END END;

-- Casts

tule_int64_of_text(s) AS
    CASE WHEN tule_check(NOT trim(s) RLIKE '^[-+]?[0-9]+\\z' OR try_cast(trim(s) AS BIGINT) IS NULL, concat('Bad int64 value: ', s)) THEN try_cast(trim(s) AS BIGINT) END;
tule_double_of_text(s) AS
    CASE WHEN tule_check(NOT trim(s) RLIKE '^[-+]?([0-9]+[.]?[0-9]*([eE][-+]?[0-9]+)?|[.][0-9]+([eE][-+]?[0-9]+)?|[iI][nN][fF]|[iI][nN][fF][iI][nN][iI][tT][yY]|[nN][aA][nN])\\z',
    concat('Bad double value: ', s)) THEN try_cast(trim(s) AS DOUBLE) END;
tule_numeric_of_text(s) AS
    CASE WHEN tule_check(NOT trim(s) RLIKE '^[-+]?([0-9]+[.]?[0-9]*([eE][-+]?[0-9]+)?|[.][0-9]+([eE][-+]?[0-9]+)?)\\z' OR
    try_cast(trim(s) AS DECIMAL(38, 9)) IS NULL, concat('Invalid NUMERIC value: ', s)) THEN try_cast(trim(s) AS DECIMAL(38, 9)) END;
tule_bool_of_text(s) AS
    CASE WHEN tule_check(lower(trim(s)) NOT IN ('true', 'false'), concat('Bad bool value: ', s)) THEN lower(trim(s)) = 'true' END;
tule_date_of_text(s) AS
    CASE WHEN tule_check(NOT trim(s) RLIKE '^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}\\z' OR try_cast(trim(s) AS DATE) IS NULL, concat('Invalid date: \'', s, '\'')) THEN try_cast(trim(s) AS DATE) END;
tule_text_of_double(x) AS
    CASE WHEN isnan(x) THEN 'NaN' WHEN NOT isfinite(x) THEN CASE WHEN x > 0 THEN 'Infinity' ELSE '-Infinity' END
    WHEN x = 0 THEN CASE WHEN CAST(x AS STRING) LIKE '-%' THEN '-0' ELSE '0' END
    WHEN x = rint(x) AND abs(x) < 1e15D THEN CAST(CAST(x AS BIGINT) AS STRING)
    WHEN abs(x) >= 1e-3D AND abs(x) < 1e7D THEN CAST(x AS STRING)
    ELSE raise_error('tule: Spark does not write this FLOAT64 as the service does: cast it to NUMERIC first') END;
tule_text_of_numeric(x) AS
    regexp_replace(regexp_replace(CAST(CAST(x AS DECIMAL(38, 9)) AS STRING), '([.][0-9]*?)0+$', '$1'), '[.]$', '');
tule_grouped_fraction(s) AS regexp_replace(regexp_replace(s, '[.]000000$', ''), '([.][0-9]{3})000$', '$1');
tule_text_of_datetime(x) AS tule_grouped_fraction(date_format(x, 'yyyy-MM-dd HH:mm:ss.SSSSSS'));
tule_text_of_timestamp(x) AS concat(tule_grouped_fraction(date_format(x, 'yyyy-MM-dd HH:mm:ss.SSSSSS')), '+00');
tule_sized_text(s, n) AS
    CASE WHEN tule_check(length(s) > n, concat('maximum length ', CAST(n AS STRING), ' required for \'', s, '\'')) THEN s END;
tule_sized_bytes(s, n) AS
    CASE WHEN tule_check(octet_length(s) > n, concat('maximum length ', CAST(n AS STRING), ' required for bytes')) THEN s END;

-- Text

tule_left(s, n) AS CASE WHEN tule_check(n < 0, 'Length must be greater than or equal to 0') THEN left(s, CAST(tule_larger(n, 0) AS INT)) END;
tule_right(s, n) AS CASE WHEN tule_check(n < 0, 'Length must be greater than or equal to 0') THEN right(s, CAST(tule_larger(n, 0) AS INT)) END;
tule_repeat(s, n) AS CASE WHEN tule_check(n < 0, 'Repetitions must be greater than or equal to 0') THEN repeat(s, CAST(tule_larger(n, 0) AS INT)) END;
tule_replace(s, part, new) AS CASE WHEN part = '' THEN s ELSE replace(s, part, new) END;
tule_lpad(s, n, pattern) AS
    CASE WHEN tule_check(n < 0 OR pattern = '', 'LPAD needs a length of 0 or more and a pattern that is not empty') THEN lpad(s, CAST(tule_larger(n, 0) AS INT), pattern) END;
tule_rpad(s, n, pattern) AS
    CASE WHEN tule_check(n < 0 OR pattern = '', 'RPAD needs a length of 0 or more and a pattern that is not empty') THEN rpad(s, CAST(tule_larger(n, 0) AS INT), pattern) END;
tule_from(n, position) AS CASE WHEN position > 0 THEN position WHEN position = 0 THEN 1 ELSE tule_larger(n + position + 1, 1) END;
tule_substr_from(s, position) AS substring(s, CAST(tule_from(length(s), position) AS INT));
tule_substr(s, position, n) AS
    CASE WHEN tule_check(n < 0, 'Third argument in SUBSTR() cannot be negative') THEN substring(s, CAST(tule_from(length(s), position) AS INT), CAST(tule_larger(n, 0) AS INT)) END;
tule_unicode(s) AS CASE WHEN s = '' THEN 0L ELSE CAST(ascii(s) AS BIGINT) END;
tule_to_hex(b) AS lower(hex(b));
tule_md5(x) AS unhex(md5(x));
tule_sha1(x) AS unhex(sha1(x));
tule_sha256(x) AS unhex(sha2(x, 256));

-- Arrays

tule_whole_array(a, name) AS
    CASE WHEN tule_check(exists(a, e -> e IS NULL), concat('Array cannot have a null element; error in writing field ', name)) THEN a END;
tule_array_offset(a, i) AS
    CASE WHEN tule_check(i < 0 OR i >= cardinality(a), concat('Array index ', CAST(i AS STRING), ' is out of bounds (', CASE WHEN i < 0 THEN 'underflow' ELSE 'overflow' END, ')'))
    THEN try_element_at(a, CAST(CASE WHEN i >= 0 THEN i + 1 END AS INT)) END;
tule_array_ordinal(a, i) AS
    CASE WHEN tule_check(i < 1 OR i > cardinality(a), concat('Array index ', CAST(i AS STRING), ' is out of bounds (', CASE WHEN i < 1 THEN 'underflow' ELSE 'overflow' END, ')'))
    THEN try_element_at(a, CAST(CASE WHEN i >= 1 THEN i END AS INT)) END;
tule_array_safe_offset(a, i) AS try_element_at(a, CAST(CASE WHEN i >= 0 THEN i + 1 END AS INT));
tule_array_safe_ordinal(a, i) AS try_element_at(a, CAST(CASE WHEN i >= 1 THEN i END AS INT));
tule_array_concat(a, b) AS CASE WHEN a IS NULL OR b IS NULL THEN NULL ELSE concat(a, b) END;
tule_generate_array(a, b, step) AS
    CASE WHEN a IS NULL OR b IS NULL OR step IS NULL THEN NULL WHEN tule_check(step = 0, 'Sequence step cannot be 0.') THEN
    CASE WHEN (b - a) * sign(step) < 0 THEN slice(array(a), 1, 0) ELSE sequence(a, b, CASE WHEN step = 0 THEN 1 ELSE step END) END END;
tule_array_to_string(a, separator, missing) AS
    CASE WHEN a IS NULL OR separator IS NULL THEN NULL WHEN missing IS NULL THEN array_join(a, separator) ELSE array_join(a, separator, missing) END;
tule_in_array(x, a) AS
    CASE WHEN a IS NULL OR cardinality(a) = 0 THEN FALSE WHEN x IS NULL THEN NULL
    WHEN array_contains(filter(a, tule_e -> tule_e IS NOT NULL), x) THEN TRUE
    WHEN cardinality(filter(a, tule_e -> tule_e IS NULL)) > 0 THEN NULL ELSE FALSE END;

-- Dates

tule_months(n) AS make_interval(0, CAST(n AS INT));
tule_days(n) AS make_interval(0, 0, 0, CAST(n AS INT));
tule_microseconds(n) AS make_interval(0, 0, 0, 0, 0, 0, CAST(CAST(n AS DECIMAL(20, 0)) / 1000000 AS DECIMAL(18, 6)));
tule_clock_interval(x) AS x;
tule_date_plus(d, n) AS date_add(d, CAST(n AS INT));
tule_date_minus(d, n) AS date_sub(d, CAST(n AS INT));
tule_date_add(d, i) AS CAST(CAST(d AS TIMESTAMP_NTZ) + i AS DATE);
tule_date_sub(d, i) AS CAST(CAST(d AS TIMESTAMP_NTZ) - i AS DATE);
tule_datetime_add(x, i) AS x + i;
tule_datetime_sub(x, i) AS x - i;
tule_timestamp_add(x, i) AS x + i;
tule_timestamp_sub(x, i) AS x - i;
tule_datetime_of_date(d) AS CAST(d AS TIMESTAMP_NTZ);
tule_date_of_datetime(x) AS CAST(x AS DATE);
tule_date_from_unix_date(n) AS date_from_unix_date(CAST(n AS INT));
tule_unix_date(d) AS CAST(unix_date(d) AS BIGINT);
tule_timestamp_micros(n) AS timestamp_micros(n);
tule_timestamp_millis(n) AS timestamp_millis(n);
tule_timestamp_seconds(n) AS timestamp_seconds(n);
tule_unix_seconds(x) AS unix_seconds(x);
tule_unix_millis(x) AS unix_millis(x);
tule_date_of_parts(y, m, d) AS
    CASE WHEN tule_check(y NOT BETWEEN 1 AND 9999 OR m NOT BETWEEN 1 AND 12 OR d NOT BETWEEN 1 AND 31 OR
    try_to_date(concat(lpad(CAST(y AS STRING), 4, '0'), '-', lpad(CAST(m AS STRING), 2, '0'), '-', lpad(CAST(d AS STRING), 2, '0')), 'yyyy-MM-dd') IS NULL,
    concat('Input calculates to invalid date: ', CAST(y AS STRING), '-', CAST(m AS STRING), '-', CAST(d AS STRING))) THEN
    try_to_date(concat(lpad(CAST(y AS STRING), 4, '0'), '-', lpad(CAST(m AS STRING), 2, '0'), '-', lpad(CAST(d AS STRING), 2, '0')), 'yyyy-MM-dd') END;
tule_week_start(d, start) AS date_sub(d, CAST((dayofweek(d) - 1 - start + 7) % 7 AS INT));
tule_date_trunc_day(d) AS d;
tule_date_trunc_month(d) AS trunc(d, 'MONTH');
tule_date_trunc_quarter(d) AS trunc(d, 'QUARTER');
tule_date_trunc_year(d) AS trunc(d, 'YEAR');
tule_last_day_month(d) AS last_day(d);
tule_last_day_quarter(d) AS last_day(add_months(trunc(d, 'QUARTER'), 2));
tule_last_day_year(d) AS last_day(add_months(trunc(d, 'YEAR'), 11));
tule_boundaries(a, b, unit) AS (a - pmod(a, unit)) DIV unit - (b - pmod(b, unit)) DIV unit;
tule_whole(a, b, unit) AS (a - b) DIV unit;
tule_floor_seconds(us) AS (us - pmod(us, 1000000L)) DIV 1000000L;

-- Functions of DuckDB (on_...) that are not one of Spark's as they are.

on_floor(x) AS CASE WHEN NOT abs(x) < 4503599627370496D THEN x ELSE CAST(floor(CASE WHEN abs(x) < 4503599627370496D THEN x END) AS DOUBLE) END;
on_ceil(x) AS CASE WHEN NOT abs(x) < 4503599627370496D THEN x ELSE CAST(ceil(CASE WHEN abs(x) < 4503599627370496D THEN x END) AS DOUBLE) END;
on_encode(s) AS encode(s, 'UTF-8');
on_dayofweek(d) AS dayofweek(d) - 1;
on_length(s) AS CAST(length(s) AS BIGINT);
on_octet_length(s) AS CAST(octet_length(s) AS BIGINT);
on_len(a) AS CAST(cardinality(a) AS BIGINT);
on_strpos(s, part) AS CAST(instr(s, part) AS BIGINT);
on_round(x) AS CASE WHEN NOT isfinite(CAST(x AS DOUBLE)) THEN x ELSE round(x) END;
on_list(x) AS CASE WHEN count(*) = 0 THEN NULL ELSE transform(array_agg(named_struct('v', x)), e -> e.v) END;
on_date_diff_day(a, b) AS CAST(datediff(b, a) AS BIGINT);
on_date_diff_month(a, b) AS CAST((year(b) - year(a)) * 12 + month(b) - month(a) AS BIGINT);
on_date_diff_year(a, b) AS CAST(year(b) - year(a) AS BIGINT);
on_string_agg(x, separator) AS listagg(x, separator);
tule_round(x, n) AS CASE WHEN n > 15 OR NOT isfinite(CAST(x AS DOUBLE)) THEN x ELSE round(x, CAST(n AS INT)) END;
