-- Sums of FLOAT64 arithmetic are checked as a whole, and term by term where that leaves a doubt.
SELECT SUM(x * y) AS s, AVG(x - y) AS a, SUM(x * (1 - y) * (1 + y)) AS p FROM UNNEST([STRUCT(2.0 AS x, 0.5 AS y), (4.0, 0.25)]);
--> s FLOAT64 | a FLOAT64 | p FLOAT64
--> 2.0 | 2.625 | 5.25

-- No rows, and rows of NULLs, come to NULL.
SELECT SUM(x * y) AS none, AVG(x + y) AS average FROM UNNEST([STRUCT(1.0 AS x, 2.0 AS y)]) WHERE x > 5;
--> none FLOAT64 | average FLOAT64
--> NULL | NULL

SELECT g, SUM(x * 2) AS s FROM UNNEST([STRUCT('a' AS g, 1.5 AS x), ('b', NULL), ('a', 0.5)]) GROUP BY g ORDER BY g;
--> g STRING | s FLOAT64
--> "a" | 4.0
--> "b" | NULL

-- A term that overflows.
SELECT SUM(x * y) FROM UNNEST([STRUCT(1.0 AS x, 2.0 AS y), (1e200, 1e200)]);
--> error: double overflow: 1e+200 * 1e+200

SELECT AVG(x + x) FROM UNNEST([1e308, -1e308]) AS x;
--> error: double overflow: 1e+308 + 1e+308

-- Terms that overflow and take each other away: the sum would be NaN.
SELECT SUM(x * 1e200) FROM UNNEST([1e200, -1e200]) AS x;
--> error: double overflow: 1e+200 * 1e+200

SELECT g, SUM(x * x) AS s FROM UNNEST([STRUCT(1 AS g, 3.0 AS x), (2, 1e160)]) GROUP BY g HAVING SUM(x * x) > 1 ORDER BY SUM(x * x);
--> error: double overflow: 1e+160 * 1e+160

-- What was infinite or no number before is no overflow.
SELECT SUM(x * 2) AS i, AVG(x - 1) AS a FROM UNNEST([1.0, CAST('inf' AS FLOAT64)]) AS x;
--> i FLOAT64 | a FLOAT64
--> Infinity | Infinity

SELECT IS_NAN(SUM(x * 2)) AS n FROM UNNEST([1.0, CAST('nan' AS FLOAT64)]) AS x;
--> n BOOL
--> true

SELECT IS_NAN(SUM(x * y)) AS n FROM UNNEST([STRUCT(CAST('inf' AS FLOAT64) AS x, 0.0 AS y)]);
--> n BOOL
--> true

-- Where the sum is one of many, or its terms are more than arithmetic, each term is checked as ever.
SELECT SUM(x * 2) OVER (ORDER BY x) AS s FROM UNNEST([1.0, 2.0]) AS x ORDER BY s;
--> s FLOAT64
--> 2.0
--> 6.0

SELECT SUM(x * x) OVER () AS s FROM UNNEST([1e200]) AS x;
--> error: double overflow: 1e+200 * 1e+200

SELECT SUM(DISTINCT x * 2) AS d, SUM(SQRT(x) * 2) AS q, SUM(IF(x > 1, x * 2, 0)) AS c FROM UNNEST([1.0, 4.0, 4.0]) AS x;
--> d FLOAT64 | q FLOAT64 | c FLOAT64
--> 10.0 | 10.0 | 16.0

SELECT SUM(1 / (x * x)) FROM UNNEST([1e200]) AS x;
--> error: double overflow: 1e+200 * 1e+200

-- In views of a query, in subqueries, beside other sums.
SELECT (SELECT SUM(y * 2) FROM UNNEST(t.ys) AS y) AS s, COUNT(*) OVER () AS n FROM (SELECT [1.5, 2.5] AS ys UNION ALL SELECT [0.5]) AS t ORDER BY s;
--> s FLOAT64 | n INT64
--> 1.0 | 2
--> 8.0 | 2

SELECT * FROM (SELECT g, x FROM UNNEST([STRUCT('a' AS g, 2.0 AS x), ('b', 3.0)])) PIVOT (SUM(x * 2) AS s FOR g IN ('a', 'b'));
--> s_a FLOAT64 | s_b FLOAT64
--> 4.0 | 6.0

-- Sums of plain columns
SELECT SUM(x) AS s FROM UNNEST([1.7e308, 1.7e308]) AS x;
--> error: double overflow: SUM

SELECT AVG(x) AS s, COUNT(*) AS n FROM UNNEST([1.7e308, 1.7e308]) AS x;
--> error: double overflow: AVG

SELECT SUM(x) AS s, AVG(x) AS a, SUM(DISTINCT x) AS d FROM UNNEST([1.5, CAST('inf' AS FLOAT64), 1.5]) AS x;
--> s FLOAT64 | a FLOAT64 | d FLOAT64
--> Infinity | Infinity | Infinity

SELECT SUM(x) AS s, AVG(x) AS a FROM UNNEST([1.5, CAST('nan' AS FLOAT64)]) AS x;
--> s FLOAT64 | a FLOAT64
--> NaN | NaN

SELECT SUM(x) AS s FROM UNNEST(CAST([] AS ARRAY<FLOAT64>)) AS x;
--> s FLOAT64
--> NULL

SELECT SUM(x) OVER () AS s FROM UNNEST([1.5, 2.5]) AS x;
--> s FLOAT64
--> 4.0
--> 4.0

SELECT SUM(DISTINCT x) AS s FROM UNNEST([1.7e308, 1.6e308]) AS x;
--> error: double overflow: SUM

SELECT k, SUM(x) AS s FROM UNNEST([STRUCT(1 AS k, 1.7e308 AS x), (1, 1.7e308), (2, 1.0)]) GROUP BY k HAVING SUM(x) > 0 ORDER BY SUM(x);
--> error: double overflow: SUM
