-- setup
CREATE TABLE d.t AS
SELECT * FROM UNNEST([STRUCT(1 AS x, 'a' AS s, 1.5 AS f, NUMERIC '1.5' AS n), (2, 'b', 2.5, 2), (3, 'b', NULL, 3)]);

-- WITH(name AS value, ..., expression)
SELECT WITH(a AS '123', b AS CONCAT(a, '456'), c AS '789', CONCAT(b, c)) AS q, WITH(r AS RAND(), r = r) AS once;
--> q STRING | once BOOL
--> "123456789" | true

SELECT s, WITH(a AS SUM(x), a > 1 AND a < 3) AS q, WITH(a AS 2, (SELECT SUM(t.x * a) FROM d.t)) AS z FROM d.t GROUP BY s;
--> s STRING | q BOOL | z INT64
--> "a" | false | 12
--> "b" | false | 12

-- names of a query inside come first
SELECT WITH(x AS 10, (SELECT SUM(x) FROM d.t)) AS q;
--> q INT64
--> 6

CREATE TEMP FUNCTION f(a INT64) AS (WITH(b AS a + 1, b * b)); SELECT f(2) AS q;
--> q INT64
--> 9

SELECT WITH(a AS 1);
--> error: Syntax error: Unexpected end of script at [1:20]

-- chained calls
SELECT ('abc').UPPER() AS a, 'abc'.UPPER().LENGTH() AS b, [1, 2][0].SAFE_ADD(1) AS c, ('x.com').(NET.HOST)() AS d,
  ('abc').(SAFE.LEFT)(-1) AS e, (x).SUM() AS f FROM d.t GROUP BY x HAVING x = 1;
--> a STRING | b INT64 | c INT64 | d STRING | e STRING | f INT64
--> "ABC" | 3 | 2 | "x.com" | NULL | 1

SELECT s.UPPER() FROM d.t;
--> error: Function not found: S.UPPER; Did you mean upper? at [1:10]

-- LIKE with patterns of an array or of a query
SELECT 'abc' LIKE ANY UNNEST(['a%', 'x']) AS a, 'abc' LIKE ALL UNNEST(CAST([] AS ARRAY<STRING>)) AS b,
  'abc' LIKE SOME UNNEST(['x', NULL]) AS c, 'abc' LIKE ANY (SELECT 'a%') AS d, 'abc' LIKE ALL (SELECT s FROM d.t) AS e,
  'abc' NOT LIKE ALL UNNEST(['x']) AS f, b'abc' LIKE ANY UNNEST([b'a%']) AS g, NULL LIKE ANY UNNEST(['a']) AS h;
--> a BOOL | b BOOL | c BOOL | d BOOL | e BOOL | f BOOL | g BOOL | h BOOL
--> true | true | NULL | true | false | true | true | NULL

SELECT 1 LIKE ANY UNNEST(['a']);
--> error: No matching signature for operator LIKE for argument types: INT64, STRING. at [1:8]

-- UNNEST of several arrays
SELECT * FROM UNNEST([1, 2] AS a, ['a', 'b', 'c'] AS b) WITH OFFSET ORDER BY offset;
--> a INT64 | b STRING | offset INT64
--> 1 | "a" | 0
--> 2 | "b" | 1
--> NULL | "c" | 2

SELECT x, a, b FROM d.t, UNNEST([x, x + 1] AS a, [s] AS b, mode => 'TRUNCATE') ORDER BY x;
--> x INT64 | a INT64 | b STRING
--> 1 | 1 | "a"
--> 2 | 2 | "b"
--> 3 | 3 | "b"

SELECT * FROM UNNEST([1, 2], ['a', 'b', 'c'], mode => 'STRICT');
--> error: Unnested arrays under STRICT mode must have equal lengths

SELECT * FROM UNNEST([1], [2], mode => 'SOME');
--> error: Unrecognized mode of UNNEST: SOME; it is PAD, STRICT or TRUNCATE at [1:23]

-- the rows of a group of which something is the largest
SELECT SUM(x HAVING MAX s) AS a, COUNT(x HAVING MIN s) AS b, STRING_AGG(s HAVING MAX x) AS c,
  ARRAY_AGG(x HAVING MAX s ORDER BY x DESC LIMIT 1) AS d, MAX(x HAVING MIN s) AS e, ANY_VALUE(s HAVING MAX x) AS f,
  AVG(n HAVING MAX s) AS g, COUNTIF(x > 2 HAVING MAX s) AS h, ARRAY_AGG(f IGNORE NULLS HAVING MAX s) AS i FROM d.t;
--> a INT64 | b INT64 | c STRING | d ARRAY<INT64> | e INT64 | f STRING | g NUMERIC | h INT64 | i ARRAY<FLOAT64>
--> 5 | 1 | "b" | [3] | 1 | "b" | 2.5 | 1 | [2.5]

-- where it is NULL in all rows, all are taken
SELECT SUM(x HAVING MAX f) AS a FROM UNNEST([STRUCT(1 AS x, CAST(NULL AS FLOAT64) AS f), (2, NULL)]);
--> a INT64
--> 3

SELECT SUM(x HAVING MAX x) AS a, COUNT(x HAVING MAX x) AS b FROM d.t WHERE FALSE;
--> a INT64 | b INT64
--> NULL | 0

SELECT CORR(x, f HAVING MAX x) FROM d.t;
--> error: Tule does not do HAVING MAX and HAVING MIN in CORR. Next: use MAX_BY or a window function

SELECT COUNT(* HAVING MAX x) FROM d.t;
--> error: HAVING MAX and HAVING MIN cannot be used with COUNT(*) at [1:8]

SELECT COUNTIF(DISTINCT x > 1) AS a, ARRAY_CONCAT_AGG([x] ORDER BY x DESC LIMIT 2) AS b FROM d.t;
--> a INT64 | b ARRAY<INT64>
--> 1 | [3, 2]

-- sets of groups inside each other
SELECT s, x, COUNT(*) AS c FROM d.t GROUP BY GROUPING SETS (CUBE(s, x), ROLLUP((s, x))) ORDER BY s, x, c;
--> s STRING | x INT64 | c INT64
--> NULL | NULL | 3
--> NULL | NULL | 3
--> NULL | 1 | 1
--> NULL | 2 | 1
--> NULL | 3 | 1
--> "a" | NULL | 1
--> "a" | 1 | 1
--> "a" | 1 | 1
--> "b" | NULL | 2
--> "b" | 2 | 1
--> "b" | 2 | 1
--> "b" | 3 | 1
--> "b" | 3 | 1

-- what only other dialects have
SELECT 1::INT64;
--> error: Syntax error: Unexpected "::" at [1:9]

SELECT x FROM UNNEST([1]) AS x FETCH FIRST 1 ROWS ONLY;
--> error: Syntax error: Unexpected identifier "FETCH" at [1:32]

SELECT 's' ILIKE 'S';
--> error: Syntax error: Unexpected identifier "ILIKE" at [1:12]

SELECT * FROM UNNEST([1]) AS x NATURAL JOIN d.t AS u;
--> error: Syntax error: Unexpected identifier "NATURAL" at [1:32]

SELECT SUM(x) OVER (ORDER BY x GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING) FROM d.t;
--> error: Syntax error: Unexpected GROUPS in a window frame at [1:47]

SELECT DISTINCT ON (s) s FROM d.t;
--> error: Syntax error: Unexpected DISTINCT ON at [1:21]

SELECT x FROM UNNEST([1]) AS x LIMIT 5, 1;
--> error: Syntax error: Unexpected integer literal "1" at [1:41]

SELECT @{hint=1} x FROM d.t;
--> error: Tule does not do hints (@{...}). Next: leave them out: they change no answer
