"""Aggregate, statistical, approximate, numbering and navigation functions."""

from __future__ import annotations

from tule.bigquery.sql.functions.signatures import Function, read

FUNCTIONS: dict[str, Function] = {
    **read(
        "Aggregate functions",
        """
        ANY_VALUE(T) T = @any_value
        ARRAY_AGG(T) ARRAY<T> = @array_agg
        ARRAY_CONCAT_AGG(ARRAY<T>) ARRAY<T> = @array_concat_agg
        AVG(INT64) FLOAT64 = avg
        AVG(NUMERIC) NUMERIC = @avg_numeric
        AVG(BIGNUMERIC) BIGNUMERIC = @avg_bignumeric
        AVG(FLOAT64) FLOAT64 = avg
        AVG(INTERVAL) INTERVAL = @avg_interval
        BIT_AND(INT64) INT64 = bit_and
        BIT_OR(INT64) INT64 = bit_or
        BIT_XOR(INT64) INT64 = bit_xor
        COUNT([ANY]) INT64 = count
        COUNTIF(BOOL) INT64 = @countif
        GROUPING(ANY) INT64 = grouping::
        LOGICAL_AND(BOOL) BOOL = bool_and
        LOGICAL_OR(BOOL) BOOL = bool_or
        MAX(T) T = @extreme
        MAX_BY(T, ANY) T = arg_max_null
        MIN(T) T = @extreme
        MIN_BY(T, ANY) T = arg_min_null
        STRING_AGG(STRING, [STRING]) STRING = @string_agg
        STRING_AGG(BYTES, [BYTES]) BYTES = @on_bytes
        SUM(INT64) INT64 = sum::
        SUM(NUMERIC) NUMERIC = sum::
        SUM(BIGNUMERIC) BIGNUMERIC = @sum_bignumeric
        SUM(FLOAT64) FLOAT64 = sum
        SUM(INTERVAL) INTERVAL = @sum_interval
        """,
        role="aggregate",
    ),
    **read(
        "Statistical aggregate functions",
        """
        CORR(FLOAT64, FLOAT64) FLOAT64 = corr
        COVAR_POP(FLOAT64, FLOAT64) FLOAT64 = covar_pop
        COVAR_SAMP(FLOAT64, FLOAT64) FLOAT64 = covar_samp
        STDDEV(FLOAT64) FLOAT64 = stddev_samp
        STDDEV_POP(FLOAT64) FLOAT64 = stddev_pop
        STDDEV_SAMP(FLOAT64) FLOAT64 = stddev_samp
        VAR_POP(FLOAT64) FLOAT64 = var_pop
        VAR_SAMP(FLOAT64) FLOAT64 = var_samp
        VARIANCE(FLOAT64) FLOAT64 = var_samp
        """,
        role="aggregate",
    ),
    **read(
        "Approximate aggregate functions",
        """
        APPROX_COUNT_DISTINCT(ANY) INT64 = @count_distinct
        APPROX_QUANTILES(T, CONST) ARRAY<T> = @approx_quantiles
        APPROX_TOP_COUNT(T, CONST) ARRAY<STRUCT<value T, count INT64>> = @approx_top_count
        APPROX_TOP_SUM(T, INT64, CONST) ARRAY<STRUCT<value T, sum INT64>> = @approx_top_sum
        APPROX_TOP_SUM(T, NUMERIC, CONST) ARRAY<STRUCT<value T, sum NUMERIC>> = @approx_top_sum
        APPROX_TOP_SUM(T, FLOAT64, CONST) ARRAY<STRUCT<value T, sum FLOAT64>> = @approx_top_sum
        """,
        role="aggregate",
    ),
    **read(
        "Sketches (HLL_COUNT, KLL_QUANTILES)",
        """
        HLL_COUNT.INIT(INT64, [CONST]) BYTES = @hll_init
        HLL_COUNT.INIT(NUMERIC, [CONST]) BYTES = @hll_init
        HLL_COUNT.INIT(STRING, [CONST]) BYTES = @hll_init
        HLL_COUNT.INIT(BYTES, [CONST]) BYTES = @hll_init
        HLL_COUNT.MERGE(BYTES) INT64 = @hll_merge
        HLL_COUNT.MERGE_PARTIAL(BYTES) BYTES = @hll_merge_partial
        KLL_QUANTILES.INIT_INT64(INT64, [INT64], [weight => INT64]) BYTES = @kll_init_int64
        KLL_QUANTILES.INIT_FLOAT64(FLOAT64, [INT64], [weight => INT64]) BYTES = @kll_init_float64
        KLL_QUANTILES.MERGE_INT64(BYTES, INT64) ARRAY<INT64> = @kll_merge_int64
        KLL_QUANTILES.MERGE_FLOAT64(BYTES, INT64) ARRAY<FLOAT64> = @kll_merge_float64
        KLL_QUANTILES.MERGE_PARTIAL(BYTES) BYTES = @kll_merge_partial
        KLL_QUANTILES.MERGE_POINT_INT64(BYTES, FLOAT64) INT64 = @kll_merge_point_int64
        KLL_QUANTILES.MERGE_POINT_FLOAT64(BYTES, FLOAT64) FLOAT64 = @kll_merge_point_float64
        """,
        role="aggregate",
    ),
    **read(
        "Sketches (HLL_COUNT, KLL_QUANTILES)",
        """
        HLL_COUNT.EXTRACT(BYTES) INT64 = @hll_extract
        KLL_QUANTILES.EXTRACT_INT64(BYTES, INT64) ARRAY<INT64> = @kll_extract_int64
        KLL_QUANTILES.EXTRACT_FLOAT64(BYTES, INT64) ARRAY<FLOAT64> = @kll_extract_float64
        KLL_QUANTILES.EXTRACT_POINT_INT64(BYTES, FLOAT64) INT64 = @kll_extract_point_int64
        KLL_QUANTILES.EXTRACT_POINT_FLOAT64(BYTES, FLOAT64) FLOAT64 = @kll_extract_point_float64
        """,
    ),
    **read(
        "Numbering functions",
        """
        CUME_DIST() FLOAT64 = cume_dist
        DENSE_RANK() INT64 = dense_rank
        NTILE(INT64) INT64 = ntile
        PERCENT_RANK() FLOAT64 = percent_rank
        RANK() INT64 = rank
        ROW_NUMBER() INT64 = row_number
        """,
        role="window",
    ),
    **read(
        "Navigation functions",
        """
        FIRST_VALUE(T) T = first_value
        LAG(T, [INT64], [T]) T = @offset
        LAST_VALUE(T) T = last_value
        LEAD(T, [INT64], [T]) T = @offset
        NTH_VALUE(T, INT64) T = nth_value
        PERCENTILE_CONT(FLOAT64, FLOAT64) FLOAT64 = @percentile_cont
        PERCENTILE_DISC(T, FLOAT64) T = @percentile_disc
        """,
        role="window",
    ),
    **read(
        "Differentially private and other aggregates",
        """
        - AI.AGG: it asks a large language model, and Tule serves none
        """,
        role="aggregate",
    ),
}
