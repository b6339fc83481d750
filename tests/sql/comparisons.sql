-- structs, field by field: unknown where a field is NULL and none differs
SELECT (1, 2) = (1, 2) AS a, STRUCT(1 AS a) = STRUCT(1 AS b) AS b, (1, NULL) = (1, 2) AS c, (1, NULL) = (2, NULL) AS d,
  (1, NULL) != (1, 2) AS e, (1, (2, 'a')) = (1.0, (2, 'a')) AS f;
--> a BOOL | b BOOL | c BOOL | d BOOL | e BOOL | f BOOL
--> true | true | NULL | false | NULL | true

SELECT (1, 2) IN ((1, 2), (3, 4)) AS a, (1, NULL) IN ((1, 2)) AS b, (1, 2) IN (SELECT (1, 2)) AS c,
  (1, 2) IN UNNEST([(1, 2)]) AS d, (1, 2) NOT IN ((1, NULL), (3, 4)) AS e;
--> a BOOL | b BOOL | c BOOL | d BOOL | e BOOL
--> true | NULL | true | true | NULL

SELECT x = y AS a, x != y AS b, x IN (y, x) AS c, NULLIF(x, x) AS d
FROM (SELECT STRUCT(1 AS a, CAST('nan' AS FLOAT64) AS b) AS x, STRUCT(1 AS a, 2.0 AS b) AS y);
--> a BOOL | b BOOL | c BOOL | d STRUCT<a INT64, b FLOAT64>
--> false | true | false | {a: 1, b: NaN}

SELECT x = y AS a, x IN (y) AS b FROM (SELECT (1, 'a') AS x, STRUCT(1 AS q, CAST(NULL AS STRING) AS b) AS y);
--> a BOOL | b BOOL
--> NULL | NULL

SELECT STRUCT(s, s) = STRUCT('a', 'a') AS a FROM UNNEST(['a', 'b']) AS s;
--> a BOOL
--> true
--> false

SELECT (1, 2) < (1, 3);
--> error: Less than is not defined for arguments of type STRUCT<INT64, INT64> at [1:9]

SELECT (1, JSON '1') = (1, JSON '1');
--> error: Equality is not defined for arguments of type JSON at [1:17]

-- NaN is equal to nothing, not even in CASE and NULLIF, and beside NULL nothing is known
SELECT CASE f WHEN f THEN 1 ELSE 2 END AS a, NULLIF(f, f) AS b, (f, 1) = (f, 1) AS c, f > NULL AS d, f IN (f, NULL) AS e,
  f BETWEEN NULL AND f AS g, NOT (f >= NULL) AS h, f != f AS i FROM (SELECT CAST('nan' AS FLOAT64) AS f);
--> a INT64 | b FLOAT64 | c BOOL | d BOOL | e BOOL | g BOOL | h BOOL | i BOOL
--> 2 | NaN | false | NULL | NULL | false | NULL | true

SELECT id FROM UNNEST([STRUCT(1 AS id, CAST('nan' AS FLOAT64) AS f, CAST(NULL AS FLOAT64) AS g), (2, 1.5, 1.0)])
WHERE NOT (f >= g) OR f BETWEEN g AND f;
--> id INT64
--> 2

-- what COALESCE does not ask for is not computed
SELECT COALESCE(f, (i + 0.5) / j) AS a, COALESCE(f, COALESCE(f, i) + 5 / j) AS b, IFNULL(f, i / j) AS c
FROM UNNEST([STRUCT(1.0 AS f, 1 AS i, 0 AS j), (NULL, 1, 2)]);
--> a FLOAT64 | b FLOAT64 | c FLOAT64
--> 1.0 | 1.0 | 1.0
--> 0.75 | 3.5 | 0.5

SELECT COALESCE(f, i / j) FROM UNNEST([STRUCT(CAST(NULL AS FLOAT64) AS f, 1 AS i, 0 AS j)]);
--> error: division by zero

SELECT REPLACE('b', '', CAST(NULL AS STRING)) AS a, REPLACE('b', '', 'x') AS b;
--> a STRING | b STRING
--> NULL | "b"
