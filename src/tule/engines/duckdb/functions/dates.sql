-- Dates, times and intervals.

-- Intervals are (months, days, microseconds).
tule_months(n) AS
    to_months(CAST(n AS INTEGER));

tule_days(n) AS
    to_days(CAST(n AS INTEGER));

tule_microseconds(n) AS
    to_microseconds(CAST(n AS BIGINT));

tule_interval(months, days, micros) AS
    CASE WHEN tule_interval_field('months', months, 120000) AND tule_interval_field('days', days, 3660000) AND
    tule_interval_field('microseconds', micros, 316224000000000000) THEN to_months(CAST(months AS INTEGER)) +
    to_days(CAST(days AS INTEGER)) + to_microseconds(CAST(micros AS BIGINT)) END;

tule_interval_field(name, value, most) AS
    tule_check(value > most OR value < -most, 'Interval field ' || name || ' ' || tule_single_quoted(value::VARCHAR) ||
    ' is out of range ' || (-most)::VARCHAR || ' to ' || most::VARCHAR);

tule_interval_checked(x) AS
    tule_interval(tule_months_of(x), tule_days_of(x), tule_micros_of(x));

tule_interval_times(x, n) AS
    tule_interval(CAST(tule_months_of(x) AS HUGEINT) * n, CAST(tule_days_of(x) AS HUGEINT) * n,
    CAST(tule_micros_of(x) AS HUGEINT) * n);

-- What is left of months becomes days of which 30 are one, and what is left of days hours.
tule_interval_divided(x, n) AS
    CASE WHEN tule_check(n = 0, 'division by zero: ' || tule_text_of_interval(x) || ' / 0') THEN
    tule_interval_parts(tule_months_of(x), tule_days_of(x), tule_micros_of(x), nullif(n, 0)) END;

tule_interval_parts(months, days, micros, n) AS
    tule_interval(months // n, (months % n * 30 + days) // n, ((months % n * 30 + days) % n * 86400000000::HUGEINT +
    micros) // n);

tule_months_of(x) AS
    (datepart('year', x) * 12 + datepart('month', x));

tule_days_of(x) AS
    datepart('day', x);

tule_micros_of(x) AS
    epoch_us(x - to_months(CAST(tule_months_of(x) AS INTEGER)) - to_days(CAST(tule_days_of(x) AS INTEGER)));

tule_clock_interval(x) AS
    CASE WHEN tule_check(tule_months_of(x) <> 0,
    'TIMESTAMP +/- INTERVAL is not supported for intervals with non-zero MONTH or YEAR part.') THEN x END;

tule_make_interval(y, mo, d, h, mi, s) AS
    tule_interval(CAST(y AS BIGINT) * 12 + mo, d, (CAST(h AS BIGINT) * 3600 + CAST(mi AS BIGINT) * 60 + s) *
    1000000);

tule_interval_year(x) AS
    tule_months_of(x) // 12;

tule_interval_month(x) AS
    tule_months_of(x) % 12;

tule_interval_day(x) AS
    tule_days_of(x);

tule_interval_hour(x) AS
    tule_micros_of(x) // 3600000000;

tule_interval_minute(x) AS
    tule_micros_of(x) // 60000000 % 60;

tule_interval_second(x) AS
    tule_micros_of(x) // 1000000 % 60;

tule_interval_millisecond(x) AS
    tule_micros_of(x) // 1000 % 1000;

tule_interval_microsecond(x) AS
    tule_micros_of(x) % 1000000;

-- The parts of an interval, with the larger one's sign for both.
tule_justify_hours(x) AS
    tule_justify_days_and_micros(tule_months_of(x), tule_days_of(x) + tule_micros_of(x) // 86400000000, tule_micros_of(x) %
    86400000000);

tule_justify_days_and_micros(months, days, micros) AS
    tule_interval(months, days - tule_carry(days, micros), micros + tule_carry(days, micros) * 86400000000);

tule_carry(large, small) AS
    CASE WHEN large > 0 AND small < 0 THEN 1 WHEN large < 0 AND small > 0 THEN -1 ELSE 0 END;

tule_justify_days(x) AS
    tule_justify_months_and_days(tule_months_of(x) + tule_days_of(x) // 30, tule_days_of(x) % 30, tule_micros_of(x));

tule_justify_months_and_days(months, days, micros) AS
    tule_interval(months - tule_carry(months, days), days + tule_carry(months, days) * 30, micros);

tule_justify_interval(x) AS
    tule_justify_all(tule_months_of(x), tule_days_of(x) + tule_micros_of(x) // 86400000000, tule_micros_of(x) % 86400000000);

tule_justify_all(months, days, micros) AS
    tule_justify_signs(months + days // 30, days % 30, micros);

tule_justify_signs(months, days, micros) AS
    tule_justify_days_and_micros(months - tule_carry(months, CASE WHEN days = 0 THEN micros ELSE days END), days +
    tule_carry(months, CASE WHEN days = 0 THEN micros ELSE days END) * 30, micros);

-- Time zones are names, or offsets like +08:00.
tule_is_offset(zone) AS
    regexp_full_match(zone, '[zZ]|[+-]\d{1,2}(:?\d{2})?');

tule_offset_micros(zone) AS
    (CASE WHEN zone LIKE '-%' THEN -1 ELSE 1 END) * (coalesce(TRY_CAST(regexp_extract(zone, '^[+-](\d{1,2})', 1) AS
    BIGINT), 0) * 3600 + coalesce(TRY_CAST(regexp_extract(zone, '^[+-]\d{1,2}:?(\d{2})$', 1) AS BIGINT), 0) * 60) *
    1000000;

tule_zone_name(zone) AS
    CASE WHEN tule_is_offset(zone) THEN 'UTC' ELSE zone END;

tule_in_zone(ts, zone) AS
    (ts AT TIME ZONE tule_zone_name(zone)) + to_microseconds(CASE WHEN tule_is_offset(zone) THEN
    tule_offset_micros(zone) ELSE 0 END);

tule_moment(dt, zone) AS
    (dt AT TIME ZONE tule_zone_name(zone)) - to_microseconds(CASE WHEN tule_is_offset(zone) THEN
    tule_offset_micros(zone) ELSE 0 END);

tule_format_offset(seconds, colon) AS
    CASE WHEN seconds < 0 THEN '-' ELSE '+' END || lpad((abs(seconds) // 3600)::VARCHAR, 2, '0') || colon ||
    lpad((abs(seconds) // 60 % 60)::VARCHAR, 2, '0');

tule_format_zone_name(seconds) AS
    CASE WHEN seconds = 0 THEN 'UTC' WHEN seconds % 3600 = 0 THEN
    'UTC' || CASE WHEN seconds < 0 THEN '-' ELSE '+' END || (abs(seconds) // 3600)::VARCHAR
    ELSE 'UTC' || regexp_replace(tule_format_offset(seconds, ':'), '^([+-])0', '\1') END;

tule_date_of_parts(y, m, d) AS
    CASE WHEN tule_check(y NOT BETWEEN 1 AND 9999 OR m NOT BETWEEN 1 AND 12 OR d NOT BETWEEN 1 AND 31 OR
    TRY(make_date(y, m, d)) IS NULL AND y IS NOT NULL AND m IS NOT NULL AND d IS NOT NULL,
    'Input calculates to invalid date: ' || y::VARCHAR || '-' || m::VARCHAR || '-' || d::VARCHAR) THEN
    TRY(make_date(y, m, d)) END;

tule_time_of_parts(h, m, s) AS
    CASE WHEN tule_check(h NOT BETWEEN 0 AND 23 OR m NOT BETWEEN 0 AND 59 OR s NOT BETWEEN 0 AND 59,
    'Input calculates to invalid time: ' || h::VARCHAR || ':' || m::VARCHAR || ':' || s::VARCHAR) THEN
    TRY(make_time(h, m, CAST(s AS DOUBLE))) END;

tule_datetime_of_parts(y, mo, d, h, mi, s) AS
    tule_datetime_of_date_and_time(tule_date_of_parts(y, mo, d), tule_time_of_parts(h, mi, s));

tule_datetime_of_date(d) AS
    CAST(d AS TIMESTAMP);

tule_date_of_datetime(x) AS
    CAST(x AS DATE);

tule_time_of_datetime(x) AS
    CAST(x AS TIME);

tule_datetime_of_date_and_time(d, t) AS
    d + t;

tule_datetime_of_time(t) AS
    DATE '1970-01-01' + t;

tule_date_from_unix_date(n) AS
    DATE '1970-01-01' + CAST(n AS INTEGER);

tule_unix_date(d) AS
    CAST(d - DATE '1970-01-01' AS BIGINT);

tule_timestamp_micros(n) AS
    make_timestamptz(n);

tule_timestamp_millis(n) AS
    make_timestamptz(n * 1000);

tule_timestamp_seconds(n) AS
    make_timestamptz(n * 1000000);

tule_floor_seconds(us) AS
    us // 1000000 - CASE WHEN us % 1000000 < 0 THEN 1 ELSE 0 END;

tule_unix_seconds(x) AS
    tule_floor_seconds(epoch_us(x));

tule_unix_millis(x) AS
    epoch_us(x) // 1000 - CASE WHEN epoch_us(x) % 1000 < 0 THEN 1 ELSE 0 END;

tule_time_micros(t) AS
    epoch_us(tule_datetime_of_time(t));

tule_date_plus(d, n) AS
    d + CAST(n AS INTEGER);

tule_date_minus(d, n) AS
    d - CAST(n AS INTEGER);

tule_minus_dates(a, b) AS
    to_days(CAST(a - b AS INTEGER));

tule_minus_times(a, b) AS
    to_microseconds(epoch_us(a) - epoch_us(b));

tule_date_add(d, i) AS
    CAST(d + i AS DATE);

tule_date_sub(d, i) AS
    CAST(d - i AS DATE);

tule_datetime_add(x, i) AS
    x + i;

tule_datetime_sub(x, i) AS
    x - i;

tule_timestamp_add(x, i) AS
    x + i;

tule_timestamp_sub(x, i) AS
    x - i;

tule_time_add(t, i) AS
    CAST(tule_datetime_of_time(t) + i AS TIME);

tule_time_sub(t, i) AS
    CAST(tule_datetime_of_time(t) - i AS TIME);

tule_time_trunc(t, unit) AS
    CAST(DATE '1970-01-01' + to_microseconds(tule_time_micros(t) // unit * unit) AS TIME);

tule_week_index(d, start) AS
    (tule_unix_date(d) + 4 - start) // 7 - CASE WHEN (tule_unix_date(d) + 4 - start) % 7 < 0 THEN 1 ELSE 0 END;

tule_week_diff(a, b, start) AS
    (tule_week_index(a, start)) - (tule_week_index(b, start));

tule_week_start(d, start) AS
    d - CAST((dayofweek(d) - start + 7) % 7 AS INTEGER);

tule_week_number(d, start) AS
    (dayofyear(d) - 1 + 7 - (dayofweek(d) - start + 7) % 7) // 7;

tule_date_trunc_day(d) AS
    d;

tule_date_trunc_month(d) AS
    make_date(year(d), month(d), 1);

tule_date_trunc_quarter(d) AS
    make_date(year(d), quarter(d) * 3 - 2, 1);

tule_date_trunc_year(d) AS
    make_date(year(d), 1, 1);

tule_date_trunc_isoyear(d) AS
    tule_week_start(make_date(isoyear(d), 1, 4), 1);

tule_last_day_month(d) AS
    last_day(d);

tule_last_day_quarter(d) AS
    last_day(make_date(year(d), quarter(d) * 3, 1));

tule_last_day_year(d) AS
    make_date(year(d), 12, 31);

tule_last_day_isoyear(d) AS
    tule_week_start(make_date(isoyear(d) + 1, 1, 4), 1) - 1;

tule_boundaries(a, b, unit) AS
    (a - (a % unit + unit) % unit) // unit - (b - (b % unit + unit) % unit) // unit;

tule_whole(a, b, unit) AS
    (a - b) // unit;

tule_extract_millisecond(x) AS
    (date_part('millisecond', x) % 1000)::BIGINT;

tule_extract_microsecond(x) AS
    (date_part('microsecond', x) % 1000000)::BIGINT;

tule_format_century(x) AS
    lpad((year(x) // 100)::VARCHAR, 2, '0');

tule_format_hour12(x) AS
    lpad(((hour(x) + 11) % 12 + 1)::VARCHAR, 2, ' ');

tule_format_isoyear2(x) AS
    lpad((isoyear(x) % 100)::VARCHAR, 2, '0');

tule_format_seconds(x) AS
    regexp_replace(regexp_replace(strftime(x, '%S.%f'), '0+$', ''), '\.$', '');

tule_parse(s, formats, shown) AS
    CASE WHEN tule_check(s IS NOT NULL AND try_strptime(s, formats) IS NULL, 'Failed to parse input string ' ||
    chr(34) || s || chr(34)) THEN try_strptime(s, formats) END;

tule_parse_zoned(s, formats, shown) AS
    tule_parse(s, formats, shown);

tule_parse_epoch(s) AS
    make_timestamptz(tule_int64_of_text(s) * 1000000);

tule_generate_dates(a, b, step) AS
    CASE WHEN a IS NULL OR b IS NULL OR step IS NULL THEN NULL WHEN tule_check(step = INTERVAL 0 DAY,
    'Sequence step cannot be 0.') THEN list_transform(generate_series(CAST(a AS TIMESTAMP), CAST(b AS TIMESTAMP),
    CASE WHEN step = INTERVAL 0 DAY THEN NULL ELSE step END), LAMBDA d: CAST(d AS DATE)) END;

tule_generate_timestamps(a, b, step) AS
    CASE WHEN a IS NULL OR b IS NULL OR step IS NULL THEN NULL WHEN tule_check(step = INTERVAL 0 DAY,
    'Sequence step cannot be 0.') THEN generate_series(a, b, CASE WHEN step = INTERVAL 0 DAY THEN NULL ELSE step
    END) END;

tule_today() AS
    CAST(CAST(current_date AS DATE) AS VARCHAR);
