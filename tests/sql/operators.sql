-- https://cloud.google.com/bigquery/docs/reference/standard-sql/operators

SELECT 1 + 2;
--> f0_ INT64
--> 3

SELECT 1 + 2.5;
--> f0_ FLOAT64
--> 3.5

SELECT 1 + NUMERIC '2.5';
--> f0_ NUMERIC
--> 3.5

SELECT NUMERIC '1.5' + 2.5;
--> f0_ NUMERIC
--> 4

SELECT NUMERIC '1' + CAST(2.5 AS FLOAT64);
--> f0_ FLOAT64
--> 3.5

SELECT 2147483647 + 1;
--> f0_ INT64
--> 2147483648

SELECT 9223372036854775807 + 1;
--> error: int64 overflow: 9223372036854775807 + 1

SELECT -9223372036854775808;
--> f0_ INT64
--> -9223372036854775808

SELECT 9223372036854775808;
--> error: Invalid integer literal: 9223372036854775808 at [1:8]

SELECT 1 + 'a';
--> error: No matching signature for operator + for argument types: INT64, STRING. at [1:8]

SELECT 1 + TRUE;
--> error: No matching signature for operator + for argument types: INT64, BOOL. at [1:8]

SELECT 2 * 3;
--> f0_ INT64
--> 6

SELECT 4611686018427387904 * 2;
--> error: int64 overflow: 4611686018427387904 * 2

SELECT NUMERIC '1.5' * NUMERIC '2.25';
--> f0_ NUMERIC
--> 3.375

SELECT NUMERIC '0.000000001' * NUMERIC '0.5';
--> f0_ NUMERIC
--> 0.000000001

SELECT NUMERIC '1.1' * NUMERIC '1.1' * NUMERIC '1.1' * NUMERIC '1.1' * NUMERIC '1.1';
--> f0_ NUMERIC
--> 1.61051

SELECT 2 * 1.5;
--> f0_ FLOAT64
--> 3.0

SELECT 4 / 2;
--> f0_ FLOAT64
--> 2.0

SELECT 1 / 2;
--> f0_ FLOAT64
--> 0.5

SELECT NUMERIC '1' / 3;
--> f0_ NUMERIC
--> 0.333333333

SELECT NUMERIC '2' / 3;
--> f0_ NUMERIC
--> 0.666666667

SELECT NUMERIC '-2' / 3;
--> f0_ NUMERIC
--> -0.666666667

SELECT 1 / 0;
--> error: division by zero: 1 / 0

SELECT 1.5 / 0;
--> error: division by zero: 1.5 / 0

SELECT NUMERIC '1' / 0;
--> error: division by zero: 1 / 0

SELECT 0.0 / 0.0;
--> error: division by zero: 0 / 0

SELECT NULL / 0;
--> f0_ FLOAT64
--> NULL

SELECT -(1 + 2);
--> f0_ INT64
--> -3

SELECT - 'a';
--> error: No matching signature for operator - for argument types: STRING. at [1:10]

SELECT 5 % 2;
--> error: Syntax error: Illegal input character "%" at [1:8]

SELECT 5 & 3;
--> f0_ INT64
--> 1

SELECT 5 | 3;
--> f0_ INT64
--> 7

SELECT 5 ^ 3;
--> f0_ INT64
--> 6

SELECT ~5;
--> f0_ INT64
--> -6

SELECT 1 << 3;
--> f0_ INT64
--> 8

SELECT 1 << 63;
--> f0_ INT64
--> -9223372036854775808

SELECT 1 << 64;
--> f0_ INT64
--> 0

SELECT -1 >> 1;
--> f0_ INT64
--> 9223372036854775807

SELECT 16 >> 2;
--> f0_ INT64
--> 4

SELECT 1 << -1;
--> error: Bitwise shift by negative offset

SELECT TRUE AND NULL;
--> f0_ BOOL
--> NULL

SELECT FALSE AND NULL;
--> f0_ BOOL
--> false

SELECT TRUE OR NULL;
--> f0_ BOOL
--> true

SELECT NOT NULL;
--> f0_ BOOL
--> NULL

SELECT 1 AND TRUE;
--> error: No matching signature for operator AND for argument types: INT64. at [1:8]

SELECT NOT 1;
--> error: No matching signature for operator NOT for argument types: INT64. at [1:12]

SELECT 1 = 1.0;
--> f0_ BOOL
--> true

SELECT NULL = NULL;
--> f0_ BOOL
--> NULL

SELECT 'a' = 1;
--> error: No matching signature for operator = for argument types: STRING, INT64. at [1:8]

SELECT DATE '2020-01-01' = '2020-01-01';
--> f0_ BOOL
--> true

SELECT DATE '2020-01-01' = TIMESTAMP '2020-01-01 00:00:00+00';
--> error: No matching signature for operator = for argument types: DATE, TIMESTAMP. at [1:13]

SELECT TIMESTAMP '2020-01-01 00:00:00 America/Los_Angeles' = '2020-01-01 08:00:00';
--> f0_ BOOL
--> true

SELECT [1] = [1];
--> error: Equality is not defined for arguments of type ARRAY<INT64> at [1:9]

SELECT STRUCT(1, 'a') = STRUCT(1, 'a');
--> f0_ BOOL
--> true

SELECT 1 != 2;
--> f0_ BOOL
--> true

SELECT 1 <> 1;
--> f0_ BOOL
--> false

SELECT 'a' < 'b';
--> f0_ BOOL
--> true

SELECT 'B' < 'a';
--> f0_ BOOL
--> true

SELECT 2 BETWEEN 1 AND 3;
--> f0_ BOOL
--> true

SELECT 2 NOT BETWEEN 1 AND 3;
--> f0_ BOOL
--> false

SELECT 1 IN (1, 2);
--> f0_ BOOL
--> true

SELECT 3 IN (1, NULL);
--> f0_ BOOL
--> NULL

SELECT 1 NOT IN (2, 3);
--> f0_ BOOL
--> true

SELECT 1 IN UNNEST([1, 2]);
--> f0_ BOOL
--> true

SELECT 3 IN UNNEST([1, NULL]);
--> f0_ BOOL
--> NULL

SELECT 3 IN UNNEST(CAST([] AS ARRAY<INT64>));
--> f0_ BOOL
--> false

SELECT 1 IN ('a');
--> error: No matching signature for operator IN for argument types: INT64, STRING. at [1:8]

SELECT (1, 2) IN ((1, 2), (3, 4));
--> f0_ BOOL
--> true

SELECT 1 IN (SELECT x FROM UNNEST([1, 2]) AS x);
--> f0_ BOOL
--> true

SELECT NULL IS NULL;
--> f0_ BOOL
--> true

SELECT 1 IS NOT NULL;
--> f0_ BOOL
--> true

SELECT NULL IS TRUE;
--> f0_ BOOL
--> false

SELECT TRUE IS NOT FALSE;
--> f0_ BOOL
--> true

SELECT 1 IS DISTINCT FROM NULL;
--> f0_ BOOL
--> true

SELECT NULL IS NOT DISTINCT FROM NULL;
--> f0_ BOOL
--> true

SELECT EXISTS(SELECT 1 FROM UNNEST([1]) WHERE FALSE);
--> f0_ BOOL
--> false

SELECT [1, 2] || [3];
--> f0_ ARRAY<INT64>
--> [1, 2, 3]

SELECT [1, 2] || NULL;
--> f0_ ARRAY<INT64>
--> []

SELECT (SELECT 1);
--> f0_ INT64
--> 1

SELECT (SELECT x FROM UNNEST([1, 2]) AS x);
--> error: Scalar subquery produced more than one element

SELECT (SELECT x FROM UNNEST([1]) AS x WHERE FALSE);
--> f0_ INT64
--> NULL

SELECT (SELECT 1, 2);
--> error: Scalar subquery cannot have more than one column unless using SELECT AS STRUCT to build STRUCT values at [1:16]

-- Dates with numbers and intervals

SELECT DATE '2020-01-31' + 1;
--> f0_ DATE
--> 2020-02-01

SELECT 1 + DATE '2020-01-31';
--> f0_ DATE
--> 2020-02-01

SELECT DATE '2020-01-31' - 31;
--> f0_ DATE
--> 2019-12-31

SELECT DATE '2021-05-20' - DATE '2020-04-19';
--> f0_ INTERVAL
--> 0-0 396 0:0:0

SELECT DATETIME '2021-06-01 12:34:56.789' - DATETIME '2021-05-31 00:00:00';
--> f0_ INTERVAL
--> 0-0 0 36:34:56.789

SELECT TIMESTAMP '2021-06-01 12:34:56.789+00' - TIMESTAMP '2021-05-31 00:00:00+00';
--> f0_ INTERVAL
--> 0-0 0 36:34:56.789

SELECT DATE '2021-04-20' + INTERVAL 25 HOUR;
--> f0_ DATETIME
--> 2021-04-21T01:00:00

SELECT TIMESTAMP '2021-05-02 00:01:02+00' - INTERVAL 1 DAY;
--> f0_ TIMESTAMP
--> 2021-05-01 00:01:02+00

SELECT DATETIME '2021-05-31 00:00:00' + INTERVAL 1 MONTH;
--> f0_ DATETIME
--> 2021-06-30T00:00:00

SELECT DATE '2020-01-01' + DATE '2020-01-01';
--> error: No matching signature for operator + for argument types: DATE, DATE. at [1:13]

-- Subscripts

SELECT [10, 20, 30][OFFSET(0)];
--> f0_ INT64
--> 10

SELECT [10, 20, 30][ORDINAL(1)];
--> f0_ INT64
--> 10

SELECT [10, 20, 30][0];
--> f0_ INT64
--> 10

SELECT [10, 20, 30][SAFE_OFFSET(5)];
--> f0_ INT64
--> NULL

SELECT [10, 20, 30][SAFE_OFFSET(-1)];
--> f0_ INT64
--> NULL

SELECT [10, 20, 30][SAFE_ORDINAL(3)];
--> f0_ INT64
--> 30

SELECT [10, 20, 30][OFFSET(5)];
--> error: Array index 5 is out of bounds (overflow)

SELECT [10, 20, 30][OFFSET(-1)];
--> error: Array index -1 is out of bounds (underflow)

SELECT [10, 20, 30][ORDINAL(0)];
--> error: Array index 0 is out of bounds (underflow)

SELECT STRUCT(1 AS a, 'x' AS b).b;
--> b STRING
--> "x"

SELECT STRUCT(1 AS a, 'x' AS b)[OFFSET(1)];
--> f0_ STRING
--> "x"

SELECT STRUCT(1 AS a).c;
--> error: Field name c does not exist in STRUCT<a INT64> at [1:8]

SELECT (1)[0];
--> error: Subscript access using [INT64] is not supported on values of type INT64 at [1:9]

-- Conditions. https://cloud.google.com/bigquery/docs/reference/standard-sql/conditional_expressions

SELECT CASE WHEN 1 > 2 THEN 'a' WHEN TRUE THEN 'b' ELSE 'c' END;
--> f0_ STRING
--> "b"

SELECT CASE 2 WHEN 1 THEN 'one' WHEN 2 THEN 'two' END;
--> f0_ STRING
--> "two"

SELECT CASE 3 WHEN 1 THEN 1.5 ELSE 2 END;
--> f0_ FLOAT64
--> 2.0

SELECT CASE WHEN FALSE THEN 1 END;
--> f0_ INT64
--> NULL

SELECT CASE WHEN TRUE THEN 1 ELSE 'a' END;
--> error: No matching signature for operator CASE for argument types: INT64, STRING. at [1:28]

SELECT COALESCE(NULL, 'B', 'C');
--> f0_ STRING
--> "B"

SELECT COALESCE(NULL, NULL);
--> f0_ INT64
--> NULL

SELECT COALESCE(1, 2.5);
--> f0_ FLOAT64
--> 1.0

SELECT COALESCE(1, 'a');
--> error: No matching signature for function COALESCE for argument types: INT64, STRING. Supported signature: COALESCE(T, ...) at [1:8]

SELECT IF(1 < 2, 'yes', 'no');
--> f0_ STRING
--> "yes"

SELECT IF(NULL, 'yes', 'no');
--> f0_ STRING
--> "no"

SELECT IF(TRUE, 1, 1 / 0);
--> f0_ FLOAT64
--> 1.0

SELECT IF(1, 2, 3);
--> error: No matching signature for function IF for argument types: INT64. at [1:11]

SELECT IFNULL(NULL, 0);
--> f0_ INT64
--> 0

SELECT IFNULL(10, 0);
--> f0_ INT64
--> 10

SELECT NULLIF(0, 0);
--> f0_ INT64
--> NULL

SELECT NULLIF(10, 0);
--> f0_ INT64
--> 10

SELECT IF(FALSE, ERROR('no'), 1);
--> f0_ INT64
--> 1

SELECT ERROR('That went wrong');
--> error: That went wrong

SELECT IF(TRUE, CAST(ERROR(CONCAT('bad ', 'x')) AS STRING), 'a');
--> error: bad x

-- A sum of products of negative constants, compared; and checks within arguments.
SELECT IF(-5 * x + 2 * y - 3 * x > 0, 1, 0) AS a, 1 / (1 + EXP(-(-2 * x + 0.5 * y))) = 1 / (1 + EXP(2 * x - 0.5 * y)) AS b FROM (SELECT 0.5 AS x, 3.5 AS y);
--> a INT64 | b BOOL
--> 1 | true

SELECT 1 / (x * -1) < 0 AS a, CAST(-x * 0 AS STRING) AS b, CAST('inf' AS FLOAT64) * 2 - 1 AS c, IS_NAN(CAST('nan' AS FLOAT64) + 1) AS d FROM (SELECT 4.0 AS x);
--> a BOOL | b STRING | c FLOAT64 | d BOOL
--> true | "-0" | Infinity | true

SELECT SQRT(x * x) FROM (SELECT 1e200 AS x);
--> error: double overflow: 1e+200 * 1e+200
