-- WITH DEPTH: https://github.com/google/zetasql/blob/master/docs/query-syntax.md#with_clause

WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n * 2 FROM t WHERE n < 20) WITH DEPTH SELECT * FROM t ORDER BY n;
--> n INT64 | depth INT64
--> 1 | 0
--> 2 | 1
--> 4 | 2
--> 8 | 3
--> 16 | 4
--> 32 | 5

WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n * 2 FROM t) WITH DEPTH AS d BETWEEN 1 AND 3 SELECT * FROM t ORDER BY d;
--> n INT64 | d INT64
--> 2 | 1
--> 4 | 2
--> 8 | 3

WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT * FROM t) WITH DEPTH AS d MAX 2, u AS (SELECT MAX(d) AS m FROM t) SELECT * FROM u;
--> m INT64
--> 2

WITH RECURSIVE t AS ((SELECT 1 AS n UNION ALL SELECT 10) UNION ALL SELECT n + 1 FROM t AS x WHERE x.n < 3) WITH DEPTH BETWEEN 1 AND UNBOUNDED SELECT n, depth FROM t ORDER BY depth;
--> n INT64 | depth INT64
--> 2 | 1
--> 3 | 2

WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + depth FROM t WHERE n < 3) WITH DEPTH SELECT * FROM t;
--> error: Unrecognized name: depth at [1:57]

WITH RECURSIVE t AS (SELECT 1 AS n) WITH DEPTH SELECT * FROM t;
--> error: WITH DEPTH must stand behind a recursive query of UNION ALL; t is none

WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) WITH DEPTH SELECT * FROM t;
--> error: A recursive CTE has reached the maximum number of iterations: 500

WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t WHERE n < 5) WITH DEPTH MAX 'a' SELECT * FROM t;
--> error: Syntax error: Unexpected keyword SELECT at [1:98]

WITH depth AS (SELECT 1 AS x) SELECT * FROM depth;
--> x INT64
--> 1
