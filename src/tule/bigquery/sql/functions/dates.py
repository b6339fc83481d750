"""Date, time, interval and time series functions."""

from __future__ import annotations

from tule.bigquery.sql.functions.signatures import Function, read

FUNCTIONS: dict[str, Function] = {
    **read(
        "Date functions",
        """
        CURRENT_DATE([STRING]) DATE = @current
        DATE(INT64, INT64, INT64) DATE = tule_date_of_parts
        DATE(DATE) DATE = date
        DATE(DATETIME) DATE = tule_date_of_datetime
        DATE(TIMESTAMP, [STRING]) DATE = @date_of_timestamp
        DATE_ADD(DATE, INTERVAL) DATE = @date_add
        DATE_ADD(DATETIME, INTERVAL) DATETIME = @datetime_add
        DATE_ADD(TIMESTAMP, INTERVAL) TIMESTAMP = @timestamp_add
        DATE_DIFF(DATE, DATE, PART) INT64 = @date_diff
        DATE_DIFF(DATETIME, DATETIME, PART) INT64 = @datetime_diff
        DATE_DIFF(TIMESTAMP, TIMESTAMP, PART) INT64 = @timestamp_diff
        DATE_FROM_UNIX_DATE(INT64) DATE
        DATE_SUB(DATE, INTERVAL) DATE = @date_sub
        DATE_SUB(DATETIME, INTERVAL) DATETIME = @datetime_sub
        DATE_SUB(TIMESTAMP, INTERVAL) TIMESTAMP = @timestamp_sub
        DATE_TRUNC(DATE, PART) DATE = @date_trunc
        DATE_TRUNC(DATETIME, PART) DATETIME = @datetime_trunc
        DATE_TRUNC(TIMESTAMP, PART, [STRING]) TIMESTAMP = @timestamp_trunc
        FORMAT_DATE(STRING, DATE) STRING = @format_time
        FORMAT_DATE(STRING, DATETIME) STRING = @format_time
        LAST_DAY(DATE, [PART]) DATE = @last_day
        LAST_DAY(DATETIME, [PART]) DATE = @last_day
        PARSE_DATE(STRING, STRING) DATE = @parse_time
        UNIX_DATE(DATE) INT64
        """,
    ),
    **read(
        "Datetime functions",
        """
        CURRENT_DATETIME([STRING]) DATETIME = @current
        DATETIME(INT64, INT64, INT64, INT64, INT64, INT64) DATETIME = tule_datetime_of_parts
        DATETIME(DATE) DATETIME = tule_datetime_of_date
        DATETIME(DATETIME) DATETIME = tule_same
        DATETIME(DATE, TIME) DATETIME = tule_datetime_of_date_and_time
        DATETIME(TIMESTAMP, [STRING]) DATETIME = @datetime_of_timestamp
        DATETIME_ADD(DATETIME, INTERVAL) DATETIME = @datetime_add
        DATETIME_DIFF(DATETIME, DATETIME, PART) INT64 = @datetime_diff
        DATETIME_SUB(DATETIME, INTERVAL) DATETIME = @datetime_sub
        DATETIME_TRUNC(DATETIME, PART) DATETIME = @datetime_trunc
        FORMAT_DATETIME(STRING, DATETIME) STRING = @format_time
        PARSE_DATETIME(STRING, STRING) DATETIME = @parse_time
        """,
    ),
    **read(
        "Time functions",
        """
        CURRENT_TIME([STRING]) TIME = @current
        FORMAT_TIME(STRING, TIME) STRING = @format_time
        PARSE_TIME(STRING, STRING) TIME = @parse_time
        TIME(INT64, INT64, INT64) TIME = tule_time_of_parts
        TIME(TIME) TIME = tule_same
        TIME(DATETIME) TIME = tule_time_of_datetime
        TIME(TIMESTAMP, [STRING]) TIME = @time_of_timestamp
        TIME_ADD(TIME, INTERVAL) TIME = @time_add
        TIME_DIFF(TIME, TIME, PART) INT64 = @time_diff
        TIME_SUB(TIME, INTERVAL) TIME = @time_sub
        TIME_TRUNC(TIME, PART) TIME = @time_trunc
        """,
    ),
    **read(
        "Timestamp functions",
        """
        CURRENT_TIMESTAMP() TIMESTAMP = @current
        FORMAT_TIMESTAMP(STRING, TIMESTAMP, [STRING]) STRING = @format_time
        PARSE_TIMESTAMP(STRING, STRING, [STRING]) TIMESTAMP = @parse_time
        TIMESTAMP(TIMESTAMP) TIMESTAMP = tule_same
        TIMESTAMP(STRING, [STRING]) TIMESTAMP = @timestamp_of_text
        TIMESTAMP(DATE, [STRING]) TIMESTAMP = @timestamp_of_datetime
        TIMESTAMP(DATETIME, [STRING]) TIMESTAMP = @timestamp_of_datetime
        TIMESTAMP_ADD(TIMESTAMP, INTERVAL) TIMESTAMP = @timestamp_add
        TIMESTAMP_DIFF(TIMESTAMP, TIMESTAMP, PART) INT64 = @timestamp_diff
        TIMESTAMP_DIFF(DATETIME, DATETIME, PART) INT64 = @datetime_diff
        TIMESTAMP_MICROS(INT64) TIMESTAMP
        TIMESTAMP_MILLIS(INT64) TIMESTAMP
        TIMESTAMP_SECONDS(INT64) TIMESTAMP
        TIMESTAMP_SUB(TIMESTAMP, INTERVAL) TIMESTAMP = @timestamp_sub
        TIMESTAMP_TRUNC(TIMESTAMP, PART, [STRING]) TIMESTAMP = @timestamp_trunc
        TIMESTAMP_TRUNC(DATETIME, PART) DATETIME = @datetime_trunc
        UNIX_MICROS(TIMESTAMP) INT64 = epoch_us
        UNIX_MILLIS(TIMESTAMP) INT64
        UNIX_SECONDS(TIMESTAMP) INT64
        """,
    ),
    **read(
        "Interval functions",
        """
        JUSTIFY_DAYS(INTERVAL) INTERVAL
        JUSTIFY_HOURS(INTERVAL) INTERVAL
        JUSTIFY_INTERVAL(INTERVAL) INTERVAL
        MAKE_INTERVAL([year => INT64], [month => INT64], [day => INT64], \
            [hour => INT64], [minute => INT64], [second => INT64]) INTERVAL = @make_interval
        """,
    ),
    **read(
        "Time series functions",
        """
        DATE_BUCKET(DATE, INTERVAL, [DATE]) DATE = @bucket
        DATETIME_BUCKET(DATETIME, INTERVAL, [DATETIME]) DATETIME = @bucket
        TIMESTAMP_BUCKET(TIMESTAMP, INTERVAL, [TIMESTAMP]) TIMESTAMP = @bucket
        """,
    ),
    **read(
        "Time series functions",
        "GAP_FILL(ANY, ts_column => STRING, bucket_width => INTERVAL, [partitioning_columns => ARRAY<STRING>], "
        "[value_columns => ANY], [origin => ANY], [ignore_null_values => BOOL]) ANY",
        role="table",
    ),
    **read(
        "Range functions",
        """
        GENERATE_RANGE_ARRAY(RANGE<DATE>, INTERVAL, [BOOL]) ARRAY<RANGE<DATE>> = @generate_range_array
        GENERATE_RANGE_ARRAY(RANGE<DATETIME>, INTERVAL, [BOOL]) ARRAY<RANGE<DATETIME>> = @generate_range_array
        GENERATE_RANGE_ARRAY(RANGE<TIMESTAMP>, INTERVAL, [BOOL]) ARRAY<RANGE<TIMESTAMP>> = @generate_range_array
        RANGE(DATE, DATE) RANGE<DATE> = @range
        RANGE(DATETIME, DATETIME) RANGE<DATETIME> = @range
        RANGE(TIMESTAMP, TIMESTAMP) RANGE<TIMESTAMP> = @range
        RANGE_CONTAINS(RANGE<DATE>, DATE) BOOL
        RANGE_CONTAINS(RANGE<DATETIME>, DATETIME) BOOL
        RANGE_CONTAINS(RANGE<TIMESTAMP>, TIMESTAMP) BOOL
        RANGE_CONTAINS(RANGE<DATE>, RANGE<DATE>) BOOL = tule_range_contains_range
        RANGE_CONTAINS(RANGE<DATETIME>, RANGE<DATETIME>) BOOL = tule_range_contains_range
        RANGE_CONTAINS(RANGE<TIMESTAMP>, RANGE<TIMESTAMP>) BOOL = tule_range_contains_range
        RANGE_END(RANGE<DATE>) DATE
        RANGE_END(RANGE<DATETIME>) DATETIME
        RANGE_END(RANGE<TIMESTAMP>) TIMESTAMP
        RANGE_INTERSECT(RANGE<DATE>, RANGE<DATE>) RANGE<DATE>
        RANGE_INTERSECT(RANGE<DATETIME>, RANGE<DATETIME>) RANGE<DATETIME>
        RANGE_INTERSECT(RANGE<TIMESTAMP>, RANGE<TIMESTAMP>) RANGE<TIMESTAMP>
        RANGE_OVERLAPS(RANGE<DATE>, RANGE<DATE>) BOOL
        RANGE_OVERLAPS(RANGE<DATETIME>, RANGE<DATETIME>) BOOL
        RANGE_OVERLAPS(RANGE<TIMESTAMP>, RANGE<TIMESTAMP>) BOOL
        RANGE_START(RANGE<DATE>) DATE
        RANGE_START(RANGE<DATETIME>) DATETIME
        RANGE_START(RANGE<TIMESTAMP>) TIMESTAMP
        """,
    ),
    **read(
        "Range functions",
        "RANGE_SESSIONIZE(ANY, range_column => STRING, partitioning_columns => ARRAY<STRING>, "
        "[sessionize_option => STRING]) ANY",
        role="table",
    ),
}
