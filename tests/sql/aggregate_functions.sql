-- https://cloud.google.com/bigquery/docs/reference/standard-sql/aggregate_functions

-- setup
CREATE TABLE d.fruit AS
SELECT * FROM UNNEST([STRUCT('apple' AS name, 3 AS n, 1.5 AS x, NUMERIC '1.10' AS price, TRUE AS ripe, DATE '2020-01-01' AS day),
                      ('pear', 1, 2.5, NUMERIC '2.20', FALSE, DATE '2020-01-02'),
                      ('apple', NULL, 4.0, NUMERIC '3.30', NULL, DATE '2020-01-03'),
                      (NULL, 5, NULL, NULL, TRUE, NULL)]);

SELECT COUNT(*), COUNT(n), COUNT(DISTINCT name), COUNTIF(ripe), COUNTIF(n > 100) FROM d.fruit;
--> f0_ INT64 | f1_ INT64 | f2_ INT64 | f3_ INT64 | f4_ INT64
--> 4 | 3 | 2 | 2 | 0

SELECT SUM(n), SUM(x), SUM(price), SUM(DISTINCT n), AVG(n), AVG(x), AVG(price) FROM d.fruit;
--> f0_ INT64 | f1_ FLOAT64 | f2_ NUMERIC | f3_ INT64 | f4_ FLOAT64 | f5_ FLOAT64 | f6_ NUMERIC
--> 9 | 8.0 | 6.6 | 9 | 3.0 | 2.6666666666666665 | 2.2

SELECT SUM(n), AVG(n), MAX(n), COUNT(n) FROM d.fruit WHERE FALSE;
--> f0_ INT64 | f1_ FLOAT64 | f2_ INT64 | f3_ INT64
--> NULL | NULL | NULL | 0

SELECT SUM(x) FROM UNNEST([9223372036854775807, 1]) AS x;
--> error: int64 overflow: 9223372036854775808

SELECT SUM(name) FROM d.fruit;
--> error: No matching signature for function SUM for argument types: STRING. Supported signatures: SUM(INT64); SUM(NUMERIC); SUM(BIGNUMERIC); SUM(FLOAT64); SUM(INTERVAL) at [1:8]

SELECT MIN(name), MAX(name), MIN(day), MAX(x), MAX(ripe), MIN(price) FROM d.fruit;
--> f0_ STRING | f1_ STRING | f2_ DATE | f3_ FLOAT64 | f4_ BOOL | f5_ NUMERIC
--> "apple" | "pear" | 2020-01-01 | 4.0 | true | 1.1

SELECT MAX(x), MIN(x) FROM UNNEST([1.0, CAST('nan' AS FLOAT64)]) AS x;
--> f0_ FLOAT64 | f1_ FLOAT64
--> NaN | NaN

SELECT MAX([1]) FROM d.fruit;
--> error: MAX is not defined for arguments of type ARRAY<INT64> at [1:8]

SELECT ANY_VALUE(name HAVING MAX x), ANY_VALUE(name HAVING MIN x), MAX_BY(name, x), MIN_BY(name, n) FROM d.fruit;
--> f0_ STRING | f1_ STRING | f2_ STRING | f3_ STRING
--> "apple" | "apple" | "apple" | "pear"

SELECT ANY_VALUE(name) FROM d.fruit WHERE name = 'pear';
--> f0_ STRING
--> "pear"

SELECT ARRAY_AGG(n IGNORE NULLS ORDER BY n DESC), ARRAY_AGG(n IGNORE NULLS ORDER BY n LIMIT 2) FROM d.fruit;
--> f0_ ARRAY<INT64> | f1_ ARRAY<INT64>
--> [5, 3, 1] | [1, 3]

SELECT ARRAY_AGG(DISTINCT name IGNORE NULLS ORDER BY name) FROM d.fruit;
--> f0_ ARRAY<STRING>
--> ["apple", "pear"]

SELECT ARRAY_AGG(n) FROM d.fruit;
--> error: Array cannot have a null element; error in writing field f0_

SELECT ARRAY_LENGTH(ARRAY_AGG(n)) FROM d.fruit;
--> f0_ INT64
--> 4

SELECT ARRAY_AGG(x) FROM UNNEST([1]) AS x WHERE FALSE;
--> f0_ ARRAY<INT64>
--> []

SELECT ARRAY_AGG(STRUCT(name, n) ORDER BY n LIMIT 1) FROM d.fruit WHERE name = 'pear';
--> f0_ ARRAY<STRUCT<name STRING, n INT64>>
--> [{name: "pear", n: 1}]

SELECT ARRAY_CONCAT_AGG(x) FROM (SELECT [1, 2] AS x UNION ALL SELECT NULL UNION ALL SELECT [3]);
--> f0_ ARRAY<INT64>
--> [1, 2, 3]

SELECT STRING_AGG(name, ', ' ORDER BY name DESC), STRING_AGG(DISTINCT name ORDER BY name), STRING_AGG(name, '&' ORDER BY name LIMIT 1) FROM d.fruit;
--> f0_ STRING | f1_ STRING | f2_ STRING
--> "pear, apple, apple" | "apple,pear" | "apple"

SELECT BIT_AND(x), BIT_OR(x), BIT_XOR(x) FROM UNNEST([0xF001, 0x00A1]) AS x;
--> f0_ INT64 | f1_ INT64 | f2_ INT64
--> 1 | 61601 | 61600

SELECT LOGICAL_AND(ripe), LOGICAL_OR(ripe) FROM d.fruit;
--> f0_ BOOL | f1_ BOOL
--> false | true

SELECT name, SUM(n) AS total FROM d.fruit GROUP BY name HAVING total > 2 ORDER BY name;
--> name STRING | total INT64
--> NULL | 5
--> "apple" | 3

SELECT name, n FROM d.fruit GROUP BY name;
--> error: SELECT list expression references column n which is neither grouped nor aggregated

SELECT name, ripe, COUNT(*) AS c, GROUPING(name) AS g FROM d.fruit GROUP BY ROLLUP(name, ripe) HAVING name IS NULL AND g = 1;
--> name STRING | ripe BOOL | c INT64 | g INT64
--> NULL | NULL | 4 | 1

SELECT UPPER(name) AS big, COUNT(*) AS c FROM d.fruit WHERE name IS NOT NULL GROUP BY big ORDER BY 2 DESC;
--> big STRING | c INT64
--> "APPLE" | 2
--> "PEAR" | 1

SELECT name, COUNT(*) AS c FROM d.fruit GROUP BY ALL ORDER BY c DESC, name LIMIT 1;
--> name STRING | c INT64
--> "apple" | 2

SELECT APPROX_COUNT_DISTINCT(name), APPROX_QUANTILES(n, 2), APPROX_TOP_COUNT(name, 1) FROM d.fruit;
--> f0_ INT64 | f1_ ARRAY<INT64> | f2_ ARRAY<STRUCT<value STRING, count INT64>>
--> 2 | [1, 3, 5] | [{value: "apple", count: 2}]

SELECT APPROX_TOP_COUNT(x, 2) FROM UNNEST(['apple', 'apple', 'pear', 'pear', 'pear', 'banana']) AS x;
--> f0_ ARRAY<STRUCT<value STRING, count INT64>>
--> [{value: "pear", count: 3}, {value: "apple", count: 2}]

SELECT APPROX_TOP_SUM(x, w, 2) FROM UNNEST([STRUCT('apple' AS x, 3 AS w), ('pear', 2), ('apple', 0), ('banana', 5), ('pear', 4)]);
--> f0_ ARRAY<STRUCT<value STRING, sum INT64>>
--> [{value: "pear", sum: 6}, {value: "banana", sum: 5}]

SELECT APPROX_QUANTILES(x, 2) FROM UNNEST([1, 1, 1, 4, 5, 6, 7, 8, 9, 10]) AS x;
--> f0_ ARRAY<INT64>
--> [1, 5, 10]

SELECT ROUND(STDDEV(x), 6), ROUND(STDDEV_POP(x), 6), VARIANCE(x), VAR_POP(x), ROUND(CORR(x, x * 2), 6), COVAR_POP(x, x), COVAR_SAMP(x, x) FROM UNNEST([1.0, 2.0, 3.0]) AS x;
--> f0_ FLOAT64 | f1_ FLOAT64 | f2_ FLOAT64 | f3_ FLOAT64 | f4_ FLOAT64 | f5_ FLOAT64 | f6_ FLOAT64
--> 1.0 | 0.816497 | 1.0 | 0.6666666666666666 | 1.0 | 0.6666666666666666 | 1.0

SELECT STDDEV(x), STDDEV_POP(x), STDDEV_SAMP(x), VAR_SAMP(x) FROM UNNEST([1.0]) AS x;
--> f0_ FLOAT64 | f1_ FLOAT64 | f2_ FLOAT64 | f3_ FLOAT64
--> NULL | 0.0 | NULL | NULL

SELECT SAFE.SUM(n) FROM d.fruit;
--> error: Function SUM does not support SAFE error mode at [1:13]

-- Windows. https://cloud.google.com/bigquery/docs/reference/standard-sql/window-function-calls

SELECT x, ROW_NUMBER() OVER (ORDER BY x) AS rn, RANK() OVER (ORDER BY x) AS r, DENSE_RANK() OVER (ORDER BY x) AS dr, PERCENT_RANK() OVER (ORDER BY x) AS pr, CUME_DIST() OVER (ORDER BY x) AS cd, NTILE(2) OVER (ORDER BY x) AS nt FROM UNNEST([1, 2, 2, 5]) AS x ORDER BY rn;
--> x INT64 | rn INT64 | r INT64 | dr INT64 | pr FLOAT64 | cd FLOAT64 | nt INT64
--> 1 | 1 | 1 | 1 | 0.0 | 0.25 | 1
--> 2 | 2 | 2 | 2 | 0.3333333333333333 | 0.75 | 1
--> 2 | 3 | 2 | 2 | 0.3333333333333333 | 0.75 | 2
--> 5 | 4 | 4 | 3 | 1.0 | 1.0 | 2

SELECT x, LAG(x) OVER w AS a, LEAD(x, 1, 99) OVER w AS b, FIRST_VALUE(x) OVER w AS f, LAST_VALUE(x) OVER (w ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS l, NTH_VALUE(x, 2) OVER (w ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS n2 FROM UNNEST([10, 20, 30]) AS x WINDOW w AS (ORDER BY x) ORDER BY x;
--> x INT64 | a INT64 | b INT64 | f INT64 | l INT64 | n2 INT64
--> 10 | NULL | 20 | 10 | 30 | 20
--> 20 | 10 | 30 | 10 | 30 | 20
--> 30 | 20 | 99 | 10 | 30 | 20

SELECT x, SUM(x) OVER (ORDER BY x) AS running, SUM(x) OVER () AS total, AVG(x) OVER (ORDER BY x ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS m, COUNT(*) OVER (PARTITION BY MOD(x, 2)) AS c FROM UNNEST([1, 2, 3]) AS x ORDER BY x;
--> x INT64 | running INT64 | total INT64 | m FLOAT64 | c INT64
--> 1 | 1 | 6 | 1.0 | 2
--> 2 | 3 | 6 | 1.5 | 1
--> 3 | 6 | 6 | 2.5 | 2

SELECT DISTINCT PERCENTILE_CONT(x, 0) OVER () AS a, PERCENTILE_CONT(x, 0.01) OVER () AS b, PERCENTILE_CONT(x, 0.5) OVER () AS m, PERCENTILE_CONT(x, 1) OVER () AS z FROM UNNEST([0, 3, NULL, 1, 2]) AS x;
--> a FLOAT64 | b FLOAT64 | m FLOAT64 | z FLOAT64
--> 0.0 | 0.03 | 1.5 | 3.0

SELECT DISTINCT PERCENTILE_DISC(x, 0) OVER () AS a, PERCENTILE_DISC(x, 0.5) OVER () AS m, PERCENTILE_DISC(x, 1) OVER () AS z FROM UNNEST(['c', NULL, 'b', 'a']) AS x;
--> a STRING | m STRING | z STRING
--> "a" | "b" | "c"

SELECT x, FIRST_VALUE(x IGNORE NULLS) OVER (ORDER BY o) AS f FROM UNNEST([NULL, 1, 2]) AS x WITH OFFSET AS o ORDER BY o;
--> x INT64 | f INT64
--> NULL | NULL
--> 1 | 1
--> 2 | 1

SELECT x FROM UNNEST([3, 1, 2]) AS x QUALIFY ROW_NUMBER() OVER (ORDER BY x DESC) <= 2 ORDER BY x;
--> x INT64
--> 2
--> 3

SELECT x, RANK() OVER (ORDER BY x) AS r FROM UNNEST([3, 1, 2]) AS x QUALIFY r = 1;
--> x INT64 | r INT64
--> 1 | 1

SELECT RANK() FROM d.fruit;
--> error: Analytic function rank cannot be called without an OVER clause at [1:8]

SELECT UPPER(name) OVER () FROM d.fruit;
--> error: Analytic function not found: upper at [1:8]

SELECT AVG(price) OVER () AS a, SUM(price) OVER (ORDER BY day) AS s FROM d.fruit WHERE price IS NOT NULL ORDER BY day;
--> a NUMERIC | s NUMERIC
--> 2.2 | 1.1
--> 2.2 | 3.3
--> 2.2 | 6.6

SELECT WITH DIFFERENTIAL_PRIVACY OPTIONS(epsilon=1, delta=.1, privacy_unit_column=x) COUNT(*) FROM UNNEST([1]) AS x;
--> error: Tule does not do SELECT WITH DIFFERENTIAL_PRIVACY. Next: aggregate without the clause
