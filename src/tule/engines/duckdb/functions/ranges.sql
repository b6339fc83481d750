-- RANGE as a struct of two bounds, infinite where there is none: such structs compare as ranges do.

tule_range(a, b) AS
    CASE WHEN tule_check(a >= b, 'Range start element must be less than range end element: [' || a::VARCHAR || ', ' ||
    b::VARCHAR || ')') THEN struct_pack(tule_start := a, tule_end := b) END;

tule_range_start(r) AS
    CASE WHEN isinf(r.tule_start) THEN NULL ELSE r.tule_start END;

tule_range_end(r) AS
    CASE WHEN isinf(r.tule_end) THEN NULL ELSE r.tule_end END;

tule_range_contains(r, x) AS
    r.tule_start <= x AND x < r.tule_end;

tule_range_contains_range(r, s) AS
    r.tule_start <= s.tule_start AND s.tule_end <= r.tule_end;

tule_range_overlaps(r, s) AS
    r.tule_start < s.tule_end AND s.tule_start < r.tule_end;

tule_range_intersect(r, s) AS
    CASE WHEN tule_check(NOT tule_range_overlaps(r, s), 'Provided RANGE inputs do not overlap') THEN
    CASE WHEN r IS NULL OR s IS NULL THEN NULL ELSE struct_pack(tule_start := greatest(r.tule_start, s.tule_start),
    tule_end := least(r.tule_end, s.tule_end)) END END;

-- A bound as it is written, NULL where there is none.
tule_range_bound(s, place) AS
    CASE WHEN upper(tule_range_written(s, place)) NOT IN ('UNBOUNDED', 'NULL') THEN tule_range_written(s, place) END;

tule_range_written(s, place) AS
    nullif(trim(regexp_extract(s, '^\s*\[\s*([^,]*?)\s*,\s*([^)]*?)\s*\)\s*$', place)), '');

tule_range_text_check(s) AS
    tule_check(NOT regexp_full_match(s, '\s*\[\s*[^\s,\[\]()][^,\[\]()]*,\s*[^\s,\[\]()][^,\[\]()]*\)\s*'), 'Invalid RANGE value: ' ||
    tule_single_quoted(s) || ': it must be written as [start, end)');

tule_range_text(a, b) AS
    '[' || coalesce(a, 'UNBOUNDED') || ', ' || coalesce(b, 'UNBOUNDED') || ')';

-- Pieces of a range, of which the n-th begins n steps after the start, so that months do not drift. ``t`` is a struct of the
-- range and the step, which are computed once.
tule_generate_range_array(t, partial) AS
    list_filter(list_transform(tule_range_steps(t.r.tule_start, t.r.tule_end, t.step), LAMBDA i: CASE WHEN t.r.tule_start +
    (i + 1) * t.step <= t.r.tule_end THEN struct_pack(tule_start := t.r.tule_start + i * t.step, tule_end := t.r.tule_start +
    (i + 1) * t.step) WHEN partial AND t.r.tule_start + i * t.step < t.r.tule_end THEN struct_pack(tule_start :=
    t.r.tule_start + i * t.step, tule_end := t.r.tule_end) END), LAMBDA x: x IS NOT NULL);

tule_range_steps(a, b, step) AS
    CASE WHEN tule_check(isinf(a) OR isinf(b), 'GENERATE_RANGE_ARRAY needs a range with both bounds') THEN CASE WHEN
    tule_check(a + step <= a, 'GENERATE_RANGE_ARRAY needs a step above zero') THEN range(CAST(ceil((epoch_us(b) -
    epoch_us(a))::DOUBLE / CASE WHEN step > INTERVAL 0 SECOND THEN epoch_us(step) * 0.92 END) AS BIGINT) + 1) END END;
