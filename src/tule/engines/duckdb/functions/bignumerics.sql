-- BIGNUMERIC as a whole number of 1e-38 (BIGNUM); what needs more than additions is in bignumerics.py.

tule_bignumeric_of_int64(x) AS
    CAST(CAST(x AS VARCHAR) || '00000000000000000000000000000000000000' AS BIGNUM);

tule_bignumeric_of_numeric(x) AS
    CAST(replace(CAST(CAST(x AS DECIMAL(38, 9)) AS VARCHAR), '.', '') || '00000000000000000000000000000' AS BIGNUM);

tule_bignumeric_abs(x) AS
    CASE WHEN x < '0'::BIGNUM THEN -x ELSE x END;

tule_bignumeric_sign(x) AS
    CASE WHEN x > '0'::BIGNUM THEN '100000000000000000000000000000000000000'::BIGNUM WHEN x < '0'::BIGNUM THEN
    '-100000000000000000000000000000000000000'::BIGNUM WHEN x IS NOT NULL THEN '0'::BIGNUM END;

tule_bignumeric_checked(x, what) AS
    CASE WHEN tule_check(x > '57896044618658097711785492504343953926634992332820282019728792003956564819967'::BIGNUM OR
    x < '-57896044618658097711785492504343953926634992332820282019728792003956564819968'::BIGNUM,
    'BIGNUMERIC overflow: ' || what) THEN x END;

-- At least 39 digits of the number without its sign.
tule_bignumeric_digits(x) AS
    lpad(CAST(tule_bignumeric_abs(x) AS VARCHAR), CAST(greatest(39, length(CAST(tule_bignumeric_abs(x) AS VARCHAR))) AS INTEGER), '0');

tule_text_of_bignumeric(x) AS
    CASE WHEN x < '0'::BIGNUM THEN '-' ELSE '' END || rtrim(rtrim(left(tule_bignumeric_digits(x),
    length(tule_bignumeric_digits(x)) - 38) || '.' || right(tule_bignumeric_digits(x), 38), '0'), '.');

tule_double_of_bignumeric(x) AS
    CAST(tule_text_of_bignumeric(x) AS DOUBLE);

tule_numeric_of_bignumeric(x) AS
    CASE WHEN tule_check(x IS NOT NULL AND TRY_CAST(tule_text_of_bignumeric(x) AS DECIMAL(38, 9)) IS NULL,
    'numeric out of range: ' || tule_text_of_bignumeric(x)) THEN TRY_CAST(tule_text_of_bignumeric(x) AS DECIMAL(38, 9)) END;

-- Rounded half away from zero: a half more, and the fraction cut off.
tule_whole_of_bignumeric(x) AS
    CASE WHEN x < '0'::BIGNUM THEN '-' ELSE '' END || left(tule_bignumeric_digits(tule_bignumeric_abs(x) +
    '50000000000000000000000000000000000000'::BIGNUM), length(tule_bignumeric_digits(tule_bignumeric_abs(x) +
    '50000000000000000000000000000000000000'::BIGNUM)) - 38);

tule_int64_of_bignumeric(x) AS
    CASE WHEN tule_check(x IS NOT NULL AND TRY_CAST(tule_whole_of_bignumeric(x) AS BIGINT) IS NULL,
    'int64 out of range: ' || tule_text_of_bignumeric(x)) THEN TRY_CAST(tule_whole_of_bignumeric(x) AS BIGINT) END;

tule_bignumeric_sized(x, precision, scale) AS
    CASE WHEN tule_check(length(regexp_extract(tule_text_of_bignumeric(tule_bignumeric_round(x, scale,
    'ROUND_HALF_AWAY_FROM_ZERO')), '^-?0?(\d*)', 1)) > precision - scale, 'BIGNUMERIC(' || precision::VARCHAR || ', ' ||
    scale::VARCHAR || ') out of range: ' || tule_text_of_bignumeric(x)) THEN tule_bignumeric_round(x, scale,
    'ROUND_HALF_AWAY_FROM_ZERO') END;
