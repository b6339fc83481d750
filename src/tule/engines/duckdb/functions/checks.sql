-- Checks: how a macro fails. A cast that cannot be done has a message that begins with tule: (see errors.py).
-- error() would do for most, but counts as volatile, and TRY (for SAFE functions) takes no volatile expressions.

tule_check(bad, message) AS
    CAST(CASE WHEN bad THEN 'tule: ' || message ELSE NULL END AS BIGINT) IS NULL;

-- NULL takes any type beside it; never folded, so that IF(FALSE, ERROR('no'), 1) is 1.
tule_error(message) AS
    CASE WHEN error('tule: ' || coalesce(message, 'NULL')) IS NULL THEN NULL END;

tule_failure(message) AS
    CASE WHEN tule_check(TRUE, coalesce(message, 'NULL')) THEN NULL END;

tule_round_within_limit(n) AS
    tule_check(n >= 500, 'A recursive CTE has reached the maximum number of iterations: 500');

tule_same(x) AS
    x;

-- The engine's greatest and least pass over NULL.
tule_larger(a, b) AS
    CASE WHEN a IS NULL OR b IS NULL THEN NULL WHEN a > b THEN a ELSE b END;

tule_smaller(a, b) AS
    CASE WHEN a IS NULL OR b IS NULL THEN NULL WHEN a < b THEN a ELSE b END;
