-- Numbers.

-- NUMERIC / NUMERIC with nine digits, rounded half away from zero: in integers, because the engine divides doubles.
tule_divide_numeric(a, b) AS
    CASE WHEN tule_check(b = 0, 'division by zero: ' || tule_text_of_numeric(a) || ' / ' ||
    tule_text_of_numeric(b)) THEN tule_quotient(tule_units(a), tule_units(b)) END;

tule_units(x) AS
    CAST(CAST(x AS DECIMAL(38, 9)) * 1000000000::DECIMAL(10, 0) AS HUGEINT);

tule_quotient(a, b) AS
    CAST(CAST((2 * abs(a) * 1000000000::HUGEINT + abs(b)) // nullif(2 * abs(b), 0) * sign(a) * sign(b) AS
    DECIMAL(38, 0)) * 0.000000001::DECIMAL(9, 9) AS DECIMAL(38, 9));

tule_divide(a DOUBLE, b DOUBLE) AS
    a / b;

tule_divide(a BIGINT, b BIGINT) AS
    a / b;

tule_divide(a DECIMAL(38, 9), b DECIMAL(38, 9)) AS
    tule_divide_numeric(a, b);

tule_safe_divide(a, b) AS
    CASE WHEN b = 0 THEN NULL ELSE a / b END;

tule_safe_divide_numeric(a, b) AS
    CASE WHEN b = 0 THEN NULL ELSE tule_divide_numeric(a, b) END;

tule_ieee_divide(a, b) AS
    CASE WHEN b <> 0 THEN CAST(a AS DOUBLE) / CAST(b AS DOUBLE) WHEN isnan(CAST(b AS DOUBLE)) OR isnan(CAST(a AS
    DOUBLE)) OR (a = 0 AND b = 0) THEN 'nan'::DOUBLE WHEN b = 0 AND (a > 0) = (CAST(b AS VARCHAR) NOT LIKE '-%')
    THEN 'inf'::DOUBLE WHEN b = 0 AND a IS NOT NULL THEN '-inf'::DOUBLE END;

tule_div(a, b) AS
    CASE WHEN tule_check(b = 0, 'division by zero: DIV(' || a::VARCHAR || ', ' || b::VARCHAR || ')') THEN a //
    nullif(b, 0) END;

tule_div_numeric(a, b) AS
    CASE WHEN tule_check(b = 0, 'division by zero: DIV(' || a::VARCHAR || ', ' || b::VARCHAR || ')') THEN
    CAST(tule_units(a) // nullif(tule_units(b), 0) AS DECIMAL(38, 0))::DECIMAL(38, 9) END;

tule_mod(a, b) AS
    CASE WHEN tule_check(b = 0, 'division by zero: MOD(' || a::VARCHAR || ', ' || b::VARCHAR || ')') THEN a %
    CASE WHEN b = -1 THEN 1 ELSE nullif(b, 0) END END;

tule_finite(x, name, a) AS
    CASE WHEN tule_check(NOT isfinite(x) AND isfinite(CAST(a AS DOUBLE)), 'Floating point error in function: ' ||
    name) THEN x END;

tule_exp(x) AS
    CASE WHEN tule_check(x > 709.782712893384 AND isfinite(CAST(x AS DOUBLE)),
    'Floating point error in function: EXP') THEN exp(x) END;

tule_ln(x) AS
    CASE WHEN tule_check(x <= 0, 'Floating point error in function: LN') THEN ln(CASE WHEN x > 0 THEN x END) END;

tule_log10(x) AS
    CASE WHEN tule_check(x <= 0, 'Floating point error in function: LOG10') THEN log10(CASE WHEN x > 0 THEN x END)
    END;

tule_log(x, base) AS
    CASE WHEN tule_check(x <= 0 OR base <= 0 OR base = 1, 'Floating point error in function: LOG') THEN CASE base
    WHEN 10 THEN log10(CASE WHEN x > 0 THEN x END) WHEN 2 THEN log2(CASE WHEN x > 0 THEN x END) ELSE ln(CASE WHEN x
    > 0 THEN x END) / nullif(ln(CASE WHEN base > 0 THEN base END), 0) END END;

tule_sqrt(x) AS
    CASE WHEN tule_check(x < 0, 'Floating point error in function: SQRT') THEN sqrt(CASE WHEN x >= 0 THEN CAST(x AS
    DOUBLE) END) END;

tule_pow_fails(x, y) AS
    (x < 0 AND y <> trunc(CAST(y AS DOUBLE)) AND isfinite(CAST(y AS DOUBLE))) OR
    (x = 0 AND y < 0 AND isfinite(CAST(y AS DOUBLE)));

tule_pow(x, y) AS
    CASE WHEN tule_check(tule_pow_fails(x, y), 'Floating point error in function: POW(' ||
    tule_text_of_double(CAST(x AS DOUBLE)) || ', ' || tule_text_of_double(CAST(y AS DOUBLE)) || ')') THEN
    tule_finite(pow(CASE WHEN tule_pow_fails(x, y) THEN NULL ELSE CAST(x AS DOUBLE) END, CAST(y AS DOUBLE)), 'POW',
    CAST(x AS DOUBLE) + CAST(y AS DOUBLE)) END;

tule_acos(x) AS
    CASE WHEN tule_check(abs(x) > 1, 'Floating point error in function: ACOS') THEN
    acos(CASE WHEN abs(x) > 1 THEN NULL ELSE x END) END;

tule_asin(x) AS
    CASE WHEN tule_check(abs(x) > 1, 'Floating point error in function: ASIN') THEN
    asin(CASE WHEN abs(x) > 1 THEN NULL ELSE x END) END;

-- One step of Newton brings the last digit right.
tule_cbrt(x) AS
    CASE WHEN x = 0 OR NOT isfinite(CAST(x AS DOUBLE)) THEN CAST(x AS DOUBLE) ELSE
    cbrt(x) - (cbrt(x) * cbrt(x) * cbrt(x) - x) / (3 * cbrt(x) * cbrt(x)) END;

tule_acosh(x) AS
    CASE WHEN tule_check(x < 1, 'Floating point error in function: ACOSH') THEN acosh(CASE WHEN x >= 1 THEN x END)
    END;

tule_atanh(x) AS
    CASE WHEN tule_check(abs(x) >= 1, 'Floating point error in function: ATANH') THEN atanh(CASE WHEN abs(x) < 1
    THEN x END) END;

tule_sin(x) AS
    CASE WHEN isinf(CAST(x AS DOUBLE)) THEN 'nan'::DOUBLE ELSE sin(x) END;

tule_cos(x) AS
    CASE WHEN isinf(CAST(x AS DOUBLE)) THEN 'nan'::DOUBLE ELSE cos(x) END;

tule_tan(x) AS
    CASE WHEN isinf(CAST(x AS DOUBLE)) THEN 'nan'::DOUBLE ELSE tan(x) END;

tule_tanh(x) AS
    tanh(x);

tule_sinh(x) AS
    CASE WHEN tule_check(abs(x) > 710.4758600739439 AND isfinite(CAST(x AS DOUBLE)),
    'Floating point error in function: SINH') THEN sinh(x) END;

tule_cosh(x) AS
    CASE WHEN tule_check(abs(x) > 710.4758600739439 AND isfinite(CAST(x AS DOUBLE)),
    'Floating point error in function: COSH') THEN cosh(x) END;

tule_cot(x) AS
    CASE WHEN tule_check(x = 0, 'Floating point error in function: COT') THEN 1 / nullif(tule_tan(x), 0) END;

tule_coth(x) AS
    CASE WHEN tule_check(x = 0, 'Floating point error in function: COTH') THEN 1 / nullif(tanh(x), 0) END;

tule_csc(x) AS
    CASE WHEN tule_check(x = 0, 'Floating point error in function: CSC') THEN 1 / nullif(tule_sin(x), 0) END;

tule_csch(x) AS
    CASE WHEN tule_check(x = 0, 'Floating point error in function: CSCH') THEN CASE WHEN abs(x) > 710 THEN 0e0 ELSE
    1 / nullif(sinh(x), 0) END END;

tule_sec(x) AS
    1 / tule_cos(x);

tule_sech(x) AS
    CASE WHEN abs(x) > 710 THEN 0e0 ELSE 1 / cosh(x) END;

tule_sign_double(x) AS
    CASE WHEN isnan(x) THEN x ELSE CAST(sign(x) AS DOUBLE) END;

tule_round(x, n) AS
    CASE WHEN n > 15 OR NOT isfinite(x) THEN x ELSE round(x, CAST(tule_larger(n, -310) AS INTEGER)) END;

tule_trunc(x, n) AS
    CASE WHEN n > 15 OR NOT isfinite(x) THEN x ELSE trunc(x, CAST(tule_larger(n, -310) AS INTEGER)) END;

-- The digits of an engine's decimal must be constants: round in units of 0.000000001 instead.
tule_unit_of(n) AS
    CAST(pow(10::DOUBLE, CAST(9 - tule_smaller(tule_larger(n, -29), 9) AS DOUBLE)) AS HUGEINT);

tule_from_units(u) AS
    CAST(CAST(u AS DECIMAL(38, 0)) * 0.000000001::DECIMAL(9, 9) AS DECIMAL(38, 9));

tule_round_numeric(x, n) AS
    tule_from_units(((abs(tule_units(x)) + tule_unit_of(n) // 2) // tule_unit_of(n)) * tule_unit_of(n) *
    sign(tule_units(x)));

tule_trunc_numeric(x, n) AS
    tule_from_units((tule_units(x) // tule_unit_of(n)) * tule_unit_of(n));

tule_round_even_numeric(x, n) AS
    tule_from_units((abs(tule_units(x)) // tule_unit_of(n) + CASE WHEN (abs(tule_units(x)) % tule_unit_of(n)) * 2 >
    tule_unit_of(n) OR ((abs(tule_units(x)) % tule_unit_of(n)) * 2 = tule_unit_of(n) AND (abs(tule_units(x)) //
    tule_unit_of(n)) % 2 = 1) THEN 1 ELSE 0 END) * tule_unit_of(n) * sign(tule_units(x)));

tule_range_bucket(x, splits) AS
    CASE WHEN x IS NULL OR splits IS NULL THEN NULL ELSE len(list_filter(splits, LAMBDA s: s <= x)) END;

tule_bit_count(x) AS
    bit_count(x)::BIGINT;

tule_shift_left(x, n) AS
    CASE WHEN tule_check(n < 0, 'Bitwise shift by negative offset') THEN CASE WHEN n >= 64 THEN 0 ELSE CAST(CASE
    WHEN (CAST(x AS HUGEINT) * tule_power_of_two(n)) % 18446744073709551616::HUGEINT >=
    9223372036854775808::HUGEINT THEN (CAST(x AS HUGEINT) * tule_power_of_two(n)) % 18446744073709551616::HUGEINT -
    18446744073709551616::HUGEINT WHEN (CAST(x AS HUGEINT) * tule_power_of_two(n)) % 18446744073709551616::HUGEINT
    < -9223372036854775808::HUGEINT THEN (CAST(x AS HUGEINT) * tule_power_of_two(n)) %
    18446744073709551616::HUGEINT + 18446744073709551616::HUGEINT ELSE (CAST(x AS HUGEINT) * tule_power_of_two(n))
    % 18446744073709551616::HUGEINT END AS BIGINT) END END;

tule_power_of_two(n) AS
    CAST(pow(2::DOUBLE, CAST(tule_smaller(tule_larger(n, 0), 63) AS DOUBLE)) AS HUGEINT);

-- A shift to the right brings zeros in, also for negative numbers.
tule_shift_right(x, n) AS
    CASE WHEN tule_check(n < 0, 'Bitwise shift by negative offset') THEN CASE WHEN n >= 64 THEN 0 ELSE CAST(CASE
    WHEN x < 0 AND n > 0 THEN (CAST(x AS HUGEINT) + 18446744073709551616::HUGEINT) // tule_power_of_two(n) WHEN n =
    0 THEN x ELSE CAST(x AS HUGEINT) // tule_power_of_two(n) END AS BIGINT) END END;

tule_uuid() AS
    CAST(uuid() AS VARCHAR);

tule_cosine_distance(a, b) AS
    CASE WHEN tule_check(len(a) <> len(b), 'Array arguments to COSINE_DISTANCE must have the same length') THEN
    CASE WHEN tule_check(list_sum(list_transform(a, LAMBDA v: v * v)) = 0 OR list_sum(list_transform(b, LAMBDA v: v
    * v)) = 0, 'Cannot compute cosine distance against zero vector') THEN 1 - list_cosine_similarity(CAST(a AS
    DOUBLE[]), CAST(b AS DOUBLE[])) END END;

tule_euclidean_distance(a, b) AS
    CASE WHEN tule_check(len(a) <> len(b), 'Array arguments to EUCLIDEAN_DISTANCE must have the same length') THEN
    list_distance(CAST(a AS DOUBLE[]), CAST(b AS DOUBLE[])) END;
