"""Mathematical, conditional, conversion and array functions."""

from __future__ import annotations

from tule.bigquery.sql.functions.signatures import Function, read

FUNCTIONS: dict[str, Function] = {
    **read(
        "Mathematical functions",
        """
        ABS(INT64) INT64 = abs
        ABS(NUMERIC) NUMERIC = abs
        ABS(BIGNUMERIC) BIGNUMERIC = tule_bignumeric_abs
        ABS(FLOAT64) FLOAT64 = abs
        ACOS(FLOAT64) FLOAT64
        ACOSH(FLOAT64) FLOAT64
        ASIN(FLOAT64) FLOAT64
        ASINH(FLOAT64) FLOAT64 = asinh
        ATAN(FLOAT64) FLOAT64 = atan
        ATAN2(FLOAT64, FLOAT64) FLOAT64 = atan2
        ATANH(FLOAT64) FLOAT64
        CBRT(FLOAT64) FLOAT64
        CEIL(INT64) FLOAT64 = ceil::
        CEIL(NUMERIC) NUMERIC = ceil::
        CEIL(BIGNUMERIC) BIGNUMERIC = tule_bignumeric_ceil
        CEIL(FLOAT64) FLOAT64 = ceil
        CEILING(INT64) FLOAT64 = ceil::
        CEILING(NUMERIC) NUMERIC = ceil::
        CEILING(BIGNUMERIC) BIGNUMERIC = tule_bignumeric_ceil
        CEILING(FLOAT64) FLOAT64 = ceil
        COS(FLOAT64) FLOAT64
        COSH(FLOAT64) FLOAT64
        COSINE_DISTANCE(ARRAY<FLOAT64>, ARRAY<FLOAT64>) FLOAT64
        COSINE_DISTANCE(ARRAY<T>, ARRAY<T>) FLOAT64 = @sparse_distance
        COT(FLOAT64) FLOAT64
        COTH(FLOAT64) FLOAT64
        CSC(FLOAT64) FLOAT64
        CSCH(FLOAT64) FLOAT64
        DIV(INT64, INT64) INT64
        DIV(NUMERIC, NUMERIC) NUMERIC = tule_div_numeric
        DIV(BIGNUMERIC, BIGNUMERIC) BIGNUMERIC = tule_bignumeric_div
        EUCLIDEAN_DISTANCE(ARRAY<FLOAT64>, ARRAY<FLOAT64>) FLOAT64
        EUCLIDEAN_DISTANCE(ARRAY<T>, ARRAY<T>) FLOAT64 = @sparse_distance
        EXP(INT64) FLOAT64
        EXP(NUMERIC) NUMERIC = @by_bignumeric
        EXP(BIGNUMERIC) BIGNUMERIC = tule_bignumeric_exp
        EXP(FLOAT64) FLOAT64
        FLOOR(INT64) FLOAT64 = floor::
        FLOOR(NUMERIC) NUMERIC = floor::
        FLOOR(BIGNUMERIC) BIGNUMERIC = tule_bignumeric_floor
        FLOOR(FLOAT64) FLOAT64 = floor
        GREATEST(T...) T = @greatest
        IEEE_DIVIDE(FLOAT64, FLOAT64) FLOAT64
        IS_INF(FLOAT64) BOOL = isinf
        IS_NAN(FLOAT64) BOOL = isnan
        LEAST(T...) T = @greatest
        LN(INT64) FLOAT64
        LN(NUMERIC) NUMERIC = @by_bignumeric
        LN(BIGNUMERIC) BIGNUMERIC = tule_bignumeric_ln
        LN(FLOAT64) FLOAT64
        LOG(INT64, [INT64]) FLOAT64 = @log
        LOG(NUMERIC, [NUMERIC]) NUMERIC = @by_bignumeric
        LOG(BIGNUMERIC) BIGNUMERIC = tule_bignumeric_ln
        LOG(BIGNUMERIC, BIGNUMERIC) BIGNUMERIC = tule_bignumeric_log
        LOG(FLOAT64, [FLOAT64]) FLOAT64 = @log
        LOG10(INT64) FLOAT64
        LOG10(NUMERIC) NUMERIC = @by_bignumeric
        LOG10(BIGNUMERIC) BIGNUMERIC = tule_bignumeric_log10
        LOG10(FLOAT64) FLOAT64
        MOD(INT64, INT64) INT64
        MOD(NUMERIC, NUMERIC) NUMERIC = tule_mod::
        MOD(BIGNUMERIC, BIGNUMERIC) BIGNUMERIC = tule_bignumeric_mod
        POW(NUMERIC, NUMERIC) NUMERIC = tule_pow::
        POW(BIGNUMERIC, BIGNUMERIC) BIGNUMERIC = tule_bignumeric_pow
        POW(FLOAT64, FLOAT64) FLOAT64
        POW(INT64, INT64) FLOAT64
        POWER(NUMERIC, NUMERIC) NUMERIC = tule_pow::
        POWER(BIGNUMERIC, BIGNUMERIC) BIGNUMERIC = tule_bignumeric_pow
        POWER(FLOAT64, FLOAT64) FLOAT64 = tule_pow
        POWER(INT64, INT64) FLOAT64 = tule_pow
        RAND() FLOAT64 = random
        RANGE_BUCKET(T, ARRAY<T>) INT64
        ROUND(NUMERIC, [INT64], [STRING]) NUMERIC = @round
        ROUND(BIGNUMERIC, [INT64], [STRING]) BIGNUMERIC = @round_bignumeric
        ROUND(INT64, [INT64]) FLOAT64 = @round
        ROUND(FLOAT64, [INT64]) FLOAT64 = @round
        SAFE_ADD(INT64, INT64) INT64 = @safe_add
        SAFE_ADD(NUMERIC, NUMERIC) NUMERIC = @safe_add
        SAFE_ADD(BIGNUMERIC, BIGNUMERIC) BIGNUMERIC = @safe_add
        SAFE_ADD(FLOAT64, FLOAT64) FLOAT64 = @safe_add
        SAFE_DIVIDE(NUMERIC, NUMERIC) NUMERIC = tule_safe_divide_numeric
        SAFE_DIVIDE(BIGNUMERIC, BIGNUMERIC) BIGNUMERIC = @safe_divide
        SAFE_DIVIDE(INT64, INT64) FLOAT64
        SAFE_DIVIDE(FLOAT64, FLOAT64) FLOAT64
        SAFE_MULTIPLY(INT64, INT64) INT64 = @safe_multiply
        SAFE_MULTIPLY(NUMERIC, NUMERIC) NUMERIC = @safe_multiply
        SAFE_MULTIPLY(BIGNUMERIC, BIGNUMERIC) BIGNUMERIC = @safe_multiply
        SAFE_MULTIPLY(FLOAT64, FLOAT64) FLOAT64 = @safe_multiply
        SAFE_NEGATE(INT64) INT64 = @safe_negate
        SAFE_NEGATE(NUMERIC) NUMERIC = @safe_negate
        SAFE_NEGATE(BIGNUMERIC) BIGNUMERIC = @safe_negate
        SAFE_NEGATE(FLOAT64) FLOAT64 = @safe_negate
        SAFE_SUBTRACT(INT64, INT64) INT64 = @safe_subtract
        SAFE_SUBTRACT(NUMERIC, NUMERIC) NUMERIC = @safe_subtract
        SAFE_SUBTRACT(BIGNUMERIC, BIGNUMERIC) BIGNUMERIC = @safe_subtract
        SAFE_SUBTRACT(FLOAT64, FLOAT64) FLOAT64 = @safe_subtract
        SEC(FLOAT64) FLOAT64
        SECH(FLOAT64) FLOAT64
        SIGN(INT64) INT64 = sign::
        SIGN(NUMERIC) NUMERIC = sign::
        SIGN(BIGNUMERIC) BIGNUMERIC = tule_bignumeric_sign
        SIGN(FLOAT64) FLOAT64 = tule_sign_double
        SIN(FLOAT64) FLOAT64
        SINH(FLOAT64) FLOAT64
        SQRT(NUMERIC) NUMERIC = tule_sqrt::
        SQRT(BIGNUMERIC) BIGNUMERIC = tule_bignumeric_sqrt
        SQRT(FLOAT64) FLOAT64
        SQRT(INT64) FLOAT64
        TAN(FLOAT64) FLOAT64
        TANH(FLOAT64) FLOAT64
        TRUNC(NUMERIC, [INT64]) NUMERIC = @trunc
        TRUNC(BIGNUMERIC, [INT64]) BIGNUMERIC = @trunc_bignumeric
        TRUNC(INT64, [INT64]) FLOAT64 = @trunc
        TRUNC(FLOAT64, [INT64]) FLOAT64 = @trunc
        """,
    ),
    **read(
        "Conditional expressions",
        """
        COALESCE(T...) T = @coalesce
        IFNULL(T, T) T = @coalesce
        NULLIF(T, T) T = @nullif
        """,
    ),
    **read(
        "Conversion functions",
        """
        PARSE_BIGNUMERIC(STRING) BIGNUMERIC
        PARSE_NUMERIC(STRING) NUMERIC
        """,
    ),
    **read(
        "Array functions",
        """
        ARRAY_CONCAT(ARRAY<T>...) ARRAY<T> = @array_concat
        ARRAY_FIRST(ARRAY<T>) T
        ARRAY_LAST(ARRAY<T>) T
        ARRAY_LENGTH(ARRAY) INT64 = len
        ARRAY_REVERSE(ARRAY<T>) ARRAY<T> = list_reverse
        ARRAY_SLICE(ARRAY<T>, INT64, INT64) ARRAY<T>
        ARRAY_TO_STRING(ARRAY<STRING>, STRING, [STRING]) STRING = @array_to_string
        ARRAY_TO_STRING(ARRAY<BYTES>, BYTES, [BYTES]) BYTES = @on_bytes
        GENERATE_ARRAY(INT64, INT64, [INT64]) ARRAY<INT64> = @generate_array
        GENERATE_ARRAY(NUMERIC, NUMERIC, [NUMERIC]) ARRAY<NUMERIC> = @generate_array
        GENERATE_ARRAY(FLOAT64, FLOAT64, [FLOAT64]) ARRAY<FLOAT64> = @generate_array
        GENERATE_DATE_ARRAY(DATE, DATE, [INTERVAL]) ARRAY<DATE> = @generate_date_array
        GENERATE_TIMESTAMP_ARRAY(TIMESTAMP, TIMESTAMP, INTERVAL) ARRAY<TIMESTAMP> = @generate_timestamp_array
        ARRAY_FILTER(ARRAY<T>, ANY) ARRAY<T> = @array_filter
        ARRAY_TRANSFORM(ARRAY<T>, ANY) ARRAY = @array_transform
        """,
    ),
}
