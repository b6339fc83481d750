-- https://cloud.google.com/bigquery/docs/reference/standard-sql/query-syntax#set_operators

SELECT 1 AS a, 2 AS b UNION ALL BY NAME SELECT 3 AS b, 4 AS a ORDER BY a;
--> a INT64 | b INT64
--> 1 | 2
--> 4 | 3

SELECT 1 AS a, 2 AS b UNION ALL BY NAME SELECT 3 AS b, 4 AS c;
--> error: BY NAME needs both queries to have the same columns; only one has a: write FULL, LEFT or INNER before the operator at [1:8]

SELECT 1 AS a, 2 AS b FULL UNION ALL BY NAME SELECT 3 AS b, 4 AS c ORDER BY b;
--> a INT64 | b INT64 | c INT64
--> 1 | 2 | NULL
--> NULL | 3 | 4

SELECT 1 AS a, 2 AS b FULL OUTER UNION ALL BY NAME SELECT 3 AS b, 4 AS c ORDER BY b;
--> a INT64 | b INT64 | c INT64
--> 1 | 2 | NULL
--> NULL | 3 | 4

SELECT 1 AS a, 2 AS b LEFT UNION ALL BY NAME SELECT 3 AS b, 4 AS c ORDER BY b;
--> a INT64 | b INT64
--> 1 | 2
--> NULL | 3

SELECT 1 AS a, 2 AS b INNER UNION ALL BY NAME SELECT 3 AS b, 4 AS c ORDER BY b;
--> b INT64
--> 2
--> 3

SELECT 1 AS a, 2 AS b UNION ALL CORRESPONDING SELECT 3 AS b, 4 AS c ORDER BY b;
--> b INT64
--> 2
--> 3

SELECT 1 AS a, 2 AS b FULL UNION ALL CORRESPONDING SELECT 3.5 AS b, 'x' AS c ORDER BY b;
--> a INT64 | b FLOAT64 | c STRING
--> 1 | 2.0 | NULL
--> NULL | 3.5 | "x"

SELECT 1 AS a, 2 AS b UNION ALL CORRESPONDING BY (b) SELECT 3 AS b, 4 AS c ORDER BY b;
--> b INT64
--> 2
--> 3

SELECT 1 AS a, 2 AS b UNION ALL BY NAME ON (b) SELECT 3 AS b, 4 AS c ORDER BY b;
--> b INT64
--> 2
--> 3

SELECT 1 AS a UNION ALL BY NAME ON (b) SELECT 2 AS b;
--> error: Column b of BY NAME ON is not in query 1 at [1:8]

SELECT 1 AS a UNION ALL CORRESPONDING SELECT 2 AS b;
--> error: Queries that are matched by name must have a column in common at [1:8]

SELECT 1 AS a, 2 AS b EXCEPT DISTINCT BY NAME SELECT 2 AS b, 1 AS a;
--> a INT64 | b INT64

SELECT 1 AS a, 2 AS b INTERSECT DISTINCT CORRESPONDING SELECT 5 AS c, 2 AS b;
--> b INT64
--> 2

SELECT 1 AS a UNION ALL SELECT 2.5 ORDER BY a;
--> a FLOAT64
--> 1.0
--> 2.5

SELECT 1 AS a UNION ALL SELECT 'x';
--> error: Column 1 in UNION ALL has incompatible types: INT64, STRING at [1:32]

SELECT 1 AS a, 2 AS b UNION ALL SELECT 1;
--> error: Queries in UNION ALL have mismatched column count; query 1 has 2 columns, query 2 has 1 column at [1:40]

SELECT 1 AS a UNION SELECT 2;
--> error: Syntax error: Unexpected keyword SELECT at [1:21]

WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 500) SELECT COUNT(*), MAX(n) FROM r;
--> f0_ INT64 | f1_ INT64
--> 500 | 500

WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT COUNT(*) FROM r;
--> error: A recursive CTE has reached the maximum number of iterations: 500

WITH RECURSIVE r AS (SELECT 1 AS n, 'a' AS s UNION ALL SELECT x.n + 1, CONCAT(x.s, 'b') FROM r AS x WHERE x.n < 3) SELECT * FROM r ORDER BY n;
--> n INT64 | s STRING
--> 1 | "a"
--> 2 | "ab"
--> 3 | "abb"

WITH RECURSIVE r AS (SELECT 1 AS n UNION DISTINCT SELECT MOD(n, 3) + 1 FROM r) SELECT n FROM r ORDER BY n;
--> n INT64
--> 1
--> 2
--> 3

SELECT (SELECT AS STRUCT * FROM UNNEST([STRUCT(1 AS id)])).id;
--> id INT64
--> 1
