-- https://cloud.google.com/bigquery/docs/reference/standard-sql/mathematical_functions

SELECT ABS(25);
--> f0_ INT64
--> 25

SELECT ABS(-25);
--> f0_ INT64
--> 25

SELECT ABS(CAST('-inf' AS FLOAT64));
--> f0_ FLOAT64
--> Infinity

SELECT ABS(NUMERIC '-2.5');
--> f0_ NUMERIC
--> 2.5

SELECT ABS(-9223372036854775808);
--> error: int64 overflow: abs(-9223372036854775808)

SELECT ABS('a');
--> error: No matching signature for function ABS for argument types: STRING. Supported signatures: ABS(INT64); ABS(NUMERIC); ABS(BIGNUMERIC); ABS(FLOAT64) at [1:8]

SELECT ROUND(ACOS(0.5), 6);
--> f0_ FLOAT64
--> 1.047198

SELECT ACOS(2);
--> error: Floating point error in function: ACOS

SELECT ROUND(ACOSH(2), 6);
--> f0_ FLOAT64
--> 1.316958

SELECT ACOSH(0);
--> error: Floating point error in function: ACOSH

SELECT ROUND(ASIN(1), 6);
--> f0_ FLOAT64
--> 1.570796

SELECT ROUND(ASINH(1), 6);
--> f0_ FLOAT64
--> 0.881374

SELECT ROUND(ATAN(1), 6);
--> f0_ FLOAT64
--> 0.785398

SELECT ROUND(ATAN2(1, -1), 6);
--> f0_ FLOAT64
--> 2.356194

SELECT ROUND(ATANH(0.5), 6);
--> f0_ FLOAT64
--> 0.549306

SELECT ATANH(1);
--> error: Floating point error in function: ATANH

SELECT CBRT(27);
--> f0_ FLOAT64
--> 3.0

SELECT CEIL(2.3);
--> f0_ FLOAT64
--> 3.0

SELECT CEIL(-2.3);
--> f0_ FLOAT64
--> -2.0

SELECT CEIL(2);
--> f0_ FLOAT64
--> 2.0

SELECT CEILING(NUMERIC '2.3');
--> f0_ NUMERIC
--> 3

SELECT COS(0);
--> f0_ FLOAT64
--> 1.0

SELECT COS(CAST('inf' AS FLOAT64));
--> f0_ FLOAT64
--> NaN

SELECT ROUND(COSH(1), 6);
--> f0_ FLOAT64
--> 1.543081

SELECT COSINE_DISTANCE([1.0, 2.0], [3.0, 4.0]) BETWEEN 0.01613 AND 0.01614;
--> f0_ BOOL
--> true

SELECT COSINE_DISTANCE([0.0, 0.0], [3.0, 4.0]);
--> error: Cannot compute cosine distance against zero vector

SELECT COSINE_DISTANCE([1.0], [3.0, 4.0]);
--> error: Array arguments to COSINE_DISTANCE must have the same length

SELECT ROUND(EUCLIDEAN_DISTANCE([1.0, 2.0], [3.0, 4.0]), 6);
--> f0_ FLOAT64
--> 2.828427

SELECT ROUND(COT(1), 6);
--> f0_ FLOAT64
--> 0.642093

SELECT COT(0);
--> error: Floating point error in function: COT

SELECT ROUND(COTH(1), 6);
--> f0_ FLOAT64
--> 1.313035

SELECT ROUND(CSC(100), 6);
--> f0_ FLOAT64
--> -1.974858

SELECT ROUND(CSCH(0.5), 6);
--> f0_ FLOAT64
--> 1.919035

SELECT DIV(20, 4);
--> f0_ INT64
--> 5

SELECT DIV(12, -7);
--> f0_ INT64
--> -1

SELECT DIV(20, 3);
--> f0_ INT64
--> 6

SELECT DIV(0, 20);
--> f0_ INT64
--> 0

SELECT DIV(20, 0);
--> error: division by zero: DIV(20, 0)

SELECT DIV(NUMERIC '7.5', 2);
--> f0_ NUMERIC
--> 3

SELECT ROUND(EXP(1), 6);
--> f0_ FLOAT64
--> 2.718282

SELECT EXP(CAST('-inf' AS FLOAT64));
--> f0_ FLOAT64
--> 0.0

SELECT EXP(1000);
--> error: Floating point error in function: EXP

SELECT FLOOR(2.3);
--> f0_ FLOAT64
--> 2.0

SELECT FLOOR(-2.8);
--> f0_ FLOAT64
--> -3.0

SELECT FLOOR(NUMERIC '-2.5');
--> f0_ NUMERIC
--> -3

SELECT GREATEST(3, 5, 1);
--> f0_ INT64
--> 5

SELECT GREATEST(3, NULL, 1);
--> f0_ INT64
--> NULL

SELECT GREATEST(3, 5.5);
--> f0_ FLOAT64
--> 5.5

SELECT GREATEST('a', 'c', 'b');
--> f0_ STRING
--> "c"

SELECT GREATEST(1.0, CAST('nan' AS FLOAT64));
--> f0_ FLOAT64
--> NaN

SELECT LEAST(3, 5, 1);
--> f0_ INT64
--> 1

SELECT LEAST(DATE '2020-01-02', '2020-01-01');
--> f0_ DATE
--> 2020-01-01

SELECT IEEE_DIVIDE(20.0, 4.0);
--> f0_ FLOAT64
--> 5.0

SELECT IEEE_DIVIDE(0.0, 25.0);
--> f0_ FLOAT64
--> 0.0

SELECT IEEE_DIVIDE(25.0, 0.0);
--> f0_ FLOAT64
--> Infinity

SELECT IEEE_DIVIDE(-25.0, 0.0);
--> f0_ FLOAT64
--> -Infinity

SELECT IEEE_DIVIDE(0.0, 0.0);
--> f0_ FLOAT64
--> NaN

SELECT IEEE_DIVIDE(1, 0);
--> f0_ FLOAT64
--> Infinity

SELECT IEEE_DIVIDE(NULL, 0);
--> f0_ FLOAT64
--> NULL

SELECT IS_INF(CAST('-inf' AS FLOAT64));
--> f0_ BOOL
--> true

SELECT IS_INF(25);
--> f0_ BOOL
--> false

SELECT IS_NAN(CAST('nan' AS FLOAT64));
--> f0_ BOOL
--> true

SELECT LN(1);
--> f0_ FLOAT64
--> 0.0

SELECT LN(0);
--> error: Floating point error in function: LN

SELECT LOG(100, 10);
--> f0_ FLOAT64
--> 2.0

SELECT LOG(8, 2);
--> f0_ FLOAT64
--> 3.0

SELECT ROUND(LOG(10), 6);
--> f0_ FLOAT64
--> 2.302585

SELECT LOG(10, 1);
--> error: Floating point error in function: LOG

SELECT LOG10(100);
--> f0_ FLOAT64
--> 2.0

SELECT MOD(25, 12);
--> f0_ INT64
--> 1

SELECT MOD(-25, 12);
--> f0_ INT64
--> -1

SELECT MOD(25, 0);
--> error: division by zero: MOD(25, 0)

SELECT MOD(NUMERIC '5.5', 2);
--> f0_ NUMERIC
--> 1.5

SELECT POW(2, 3);
--> f0_ FLOAT64
--> 8.0

SELECT POWER(2, -1);
--> f0_ FLOAT64
--> 0.5

SELECT POW(-2, 0.5);
--> error: Floating point error in function: POW(-2, 0.5)

SELECT POW(0, -1);
--> error: Floating point error in function: POW(0, -1)

SELECT POW(10, 1000);
--> error: Floating point error in function: POW

SELECT POW(NUMERIC '1.5', 2);
--> f0_ NUMERIC
--> 2.25

SELECT RAND() BETWEEN 0 AND 1;
--> f0_ BOOL
--> true

SELECT RANGE_BUCKET(20, [0, 10, 20, 30, 40]);
--> f0_ INT64
--> 3

SELECT RANGE_BUCKET(20, [0, 10, 20, 20, 40, 40]);
--> f0_ INT64
--> 4

SELECT RANGE_BUCKET(25, [0, 10, 20, 30, 40]);
--> f0_ INT64
--> 3

SELECT RANGE_BUCKET(-10, [5, 6]);
--> f0_ INT64
--> 0

SELECT RANGE_BUCKET(80, [0, 10, 20, 30, 40]);
--> f0_ INT64
--> 5

SELECT RANGE_BUCKET(NULL, [0, 10]);
--> f0_ INT64
--> NULL

SELECT ROUND(2.0);
--> f0_ FLOAT64
--> 2.0

SELECT ROUND(2.3);
--> f0_ FLOAT64
--> 2.0

SELECT ROUND(2.8);
--> f0_ FLOAT64
--> 3.0

SELECT ROUND(2.5);
--> f0_ FLOAT64
--> 3.0

SELECT ROUND(-2.3);
--> f0_ FLOAT64
--> -2.0

SELECT ROUND(-2.5);
--> f0_ FLOAT64
--> -3.0

SELECT ROUND(123.7, -1);
--> f0_ FLOAT64
--> 120.0

SELECT ROUND(1.235, 2);
--> f0_ FLOAT64
--> 1.24

SELECT ROUND(5);
--> f0_ FLOAT64
--> 5.0

SELECT ROUND(NUMERIC '2.25', 1);
--> f0_ NUMERIC
--> 2.3

SELECT ROUND(NUMERIC '2.25', 1, 'ROUND_HALF_EVEN');
--> f0_ NUMERIC
--> 2.2

SELECT ROUND(NUMERIC '-2.5');
--> f0_ NUMERIC
--> -3

SELECT ROUND(NUMERIC '1234.5', -2);
--> f0_ NUMERIC
--> 1200

SELECT SAFE_ADD(5, 4);
--> f0_ INT64
--> 9

SELECT SAFE_ADD(9223372036854775807, 1);
--> f0_ INT64
--> NULL

SELECT SAFE_DIVIDE(20, 4);
--> f0_ FLOAT64
--> 5.0

SELECT SAFE_DIVIDE(20, 0);
--> f0_ FLOAT64
--> NULL

SELECT SAFE_DIVIDE(NUMERIC '1', NUMERIC '3');
--> f0_ NUMERIC
--> 0.333333333

SELECT SAFE_MULTIPLY(20, 4);
--> f0_ INT64
--> 80

SELECT SAFE_MULTIPLY(9223372036854775807, 2);
--> f0_ INT64
--> NULL

SELECT SAFE_NEGATE(1);
--> f0_ INT64
--> -1

SELECT SAFE_NEGATE(-9223372036854775808);
--> f0_ INT64
--> NULL

SELECT SAFE_SUBTRACT(5, 4);
--> f0_ INT64
--> 1

SELECT SAFE_SUBTRACT(-9223372036854775808, 1);
--> f0_ INT64
--> NULL

SELECT ROUND(SEC(100), 6);
--> f0_ FLOAT64
--> 1.159664

SELECT ROUND(SECH(0.5), 6);
--> f0_ FLOAT64
--> 0.886819

SELECT SIGN(25);
--> f0_ INT64
--> 1

SELECT SIGN(-2.5);
--> f0_ FLOAT64
--> -1.0

SELECT SIGN(0);
--> f0_ INT64
--> 0

SELECT SIN(0);
--> f0_ FLOAT64
--> 0.0

SELECT ROUND(SINH(1), 6);
--> f0_ FLOAT64
--> 1.175201

SELECT SINH(1000);
--> error: Floating point error in function: SINH

SELECT SQRT(25.0);
--> f0_ FLOAT64
--> 5.0

SELECT SQRT(-25.0);
--> error: Floating point error in function: SQRT

SELECT SQRT(NUMERIC '2');
--> f0_ NUMERIC
--> 1.414213562

SELECT ROUND(TAN(1), 6);
--> f0_ FLOAT64
--> 1.557408

SELECT ROUND(TANH(1), 6);
--> f0_ FLOAT64
--> 0.761594

SELECT TRUNC(2.8);
--> f0_ FLOAT64
--> 2.0

SELECT TRUNC(-2.8);
--> f0_ FLOAT64
--> -2.0

SELECT TRUNC(2.567, 2);
--> f0_ FLOAT64
--> 2.56

SELECT TRUNC(NUMERIC '2.567', 1);
--> f0_ NUMERIC
--> 2.5

SELECT TRUNC(123.7, -1);
--> f0_ FLOAT64
--> 120.0

-- The remainder of the least number
SELECT MOD(-9223372036854775808, -1) AS a, MOD(7, -1) AS b, MOD(NUMERIC '1.5', -1) AS c, MOD(-7, 3) AS d;
--> a INT64 | b INT64 | c NUMERIC | d INT64
--> 0 | 0 | 0.5 | -1
