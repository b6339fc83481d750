-- https://cloud.google.com/bigquery/docs/reference/standard-sql/pipe-syntax

-- setup
CREATE TABLE d.t AS SELECT * FROM UNNEST([STRUCT(1 AS id, 'a' AS name, 10 AS v), (2, 'b', 20), (3, 'a', 30), (4, 'c', NULL)]);

-- setup
CREATE TABLE d.u AS SELECT * FROM UNNEST([STRUCT(1 AS id, 'x' AS w), (3, 'y'), (9, 'z')]);

FROM d.t;
--> id INT64 | name STRING | v INT64
--> 1 | "a" | 10
--> 2 | "b" | 20
--> 3 | "a" | 30
--> 4 | "c" | NULL

FROM d.t |> WHERE id > 1 |> SELECT id, v |> ORDER BY id DESC;
--> id INT64 | v INT64
--> 4 | NULL
--> 3 | 30
--> 2 | 20

-- An operator sees what the one before it left
FROM d.t |> ORDER BY id |> LIMIT 2 |> WHERE id > 1;
--> id INT64 | name STRING | v INT64
--> 2 | "b" | 20

FROM d.t |> ORDER BY id |> LIMIT 3 |> LIMIT 2 OFFSET 1 |> ORDER BY id;
--> id INT64 | name STRING | v INT64
--> 2 | "b" | 20
--> 3 | "a" | 30

FROM d.t |> ORDER BY id |> LIMIT 2 |> AGGREGATE COUNT(*) AS n;
--> n INT64
--> 2

FROM d.t |> ORDER BY id |> LIMIT 2 |> ORDER BY id DESC;
--> id INT64 | name STRING | v INT64
--> 2 | "b" | 20
--> 1 | "a" | 10

FROM d.t |> ORDER BY id |> LIMIT 2 |> EXTEND COUNT(*) OVER () AS n |> ORDER BY id;
--> id INT64 | name STRING | v INT64 | n INT64
--> 1 | "a" | 10 | 2
--> 2 | "b" | 20 | 2

FROM d.t |> SELECT name |> DISTINCT |> AGGREGATE COUNT(*) AS n;
--> n INT64
--> 3

FROM d.t |> SELECT DISTINCT name |> ORDER BY name;
--> name STRING
--> "a"
--> "b"
--> "c"

-- parameters: [{"name": "n", "parameterType": {"type": "INT64"}, "parameterValue": {"value": "1"}}]
FROM d.t |> ORDER BY id |> LIMIT @n OFFSET @n;
--> id INT64 | name STRING | v INT64
--> 2 | "b" | 20

FROM d.t |> EXTEND v * 2 AS w, id + 1 AS k |> WHERE w > 20 |> ORDER BY id;
--> id INT64 | name STRING | v INT64 | w INT64 | k INT64
--> 2 | "b" | 20 | 40 | 3
--> 3 | "a" | 30 | 60 | 4

FROM d.t |> SET v = v + 1, name = UPPER(name) |> ORDER BY id;
--> id INT64 | name STRING | v INT64
--> 1 | "A" | 11
--> 2 | "B" | 21
--> 3 | "A" | 31
--> 4 | "C" | NULL

FROM d.t |> SET nothing = 1;
--> error: Column nothing in SELECT * REPLACE list does not exist at [1:21]

FROM d.t |> DROP name, v |> ORDER BY id;
--> id INT64
--> 1
--> 2
--> 3
--> 4

FROM d.t |> DROP nothing;
--> error: Column nothing in SELECT * EXCEPT list does not exist at [1:22]

FROM d.t |> RENAME v AS value, id AS i |> ORDER BY i;
--> i INT64 | name STRING | value INT64
--> 1 | "a" | 10
--> 2 | "b" | 20
--> 3 | "a" | 30
--> 4 | "c" | NULL

FROM d.t |> RENAME nothing AS x;
--> error: Column nothing in RENAME does not exist at [1:24]

FROM d.t |> WINDOW SUM(v) OVER (ORDER BY id) AS s |> ORDER BY id;
--> id INT64 | name STRING | v INT64 | s INT64
--> 1 | "a" | 10 | 10
--> 2 | "b" | 20 | 30
--> 3 | "a" | 30 | 60
--> 4 | "c" | NULL | 60

FROM d.t |> AS x |> WHERE x.id = 1;
--> id INT64 | name STRING | v INT64
--> 1 | "a" | 10

FROM d.t |> WHERE t.id = 1 |> SELECT t.id, t.v;
--> id INT64 | v INT64
--> 1 | 10

FROM d.t |> AGGREGATE SUM(v) AS s, COUNT(*) AS n GROUP BY name |> WHERE n > 1;
--> name STRING | s INT64 | n INT64
--> "a" | 40 | 2

FROM d.t |> AGGREGATE SUM(v) AS s GROUP AND ORDER BY name DESC;
--> name STRING | s INT64
--> "c" | NULL
--> "b" | 20
--> "a" | 40

FROM d.t |> JOIN d.u USING (id) |> ORDER BY id;
--> id INT64 | name STRING | v INT64 | w STRING
--> 1 | "a" | 10 | "x"
--> 3 | "a" | 30 | "y"

FROM d.t |> AS a |> LEFT JOIN d.u AS b ON a.id = b.id |> SELECT a.id, b.w |> ORDER BY id;
--> id INT64 | w STRING
--> 1 | "x"
--> 2 | NULL
--> 3 | "y"
--> 4 | NULL

FROM d.t, d.u |> WHERE t.id = u.id |> SELECT t.id, w |> ORDER BY id;
--> id INT64 | w STRING
--> 1 | "x"
--> 3 | "y"

FROM d.t |> SELECT id |> UNION ALL (SELECT 99), (SELECT 98) |> ORDER BY id DESC |> LIMIT 3;
--> id INT64
--> 99
--> 98
--> 4

FROM d.t |> SELECT id |> EXCEPT DISTINCT (SELECT 1) |> ORDER BY id;
--> id INT64
--> 2
--> 3
--> 4

FROM d.t |> SELECT name, v |> PIVOT (SUM(v) FOR name IN ('a', 'b'));
--> a INT64 | b INT64
--> 40 | 20

SELECT 1 AS k, 10 AS a, 20 AS b |> UNPIVOT (val FOR col IN (a, b)) |> ORDER BY col;
--> k INT64 | val INT64 | col STRING
--> 1 | 10 | "a"
--> 1 | 20 | "b"

SELECT id, v FROM d.t ORDER BY id LIMIT 2 |> WHERE id > 1;
--> id INT64 | v INT64
--> 2 | 20

SELECT name, SUM(v) AS s FROM d.t GROUP BY name |> WHERE s > 20 |> ORDER BY s;
--> name STRING | s INT64
--> "a" | 40

SELECT DISTINCT name FROM d.t |> AGGREGATE COUNT(*) AS n;
--> n INT64
--> 3

SELECT id FROM (FROM d.t |> WHERE id = 2);
--> id INT64
--> 2

WITH q AS (FROM d.t |> WHERE id = 2) SELECT * FROM q;
--> id INT64 | name STRING | v INT64
--> 2 | "b" | 20

SELECT ARRAY(FROM d.t |> SELECT id |> ORDER BY id) AS a;
--> a ARRAY<INT64>
--> [1, 2, 3, 4]

FROM d.t |> ASSERT id > 0, 'positive';
--> error: Tule does not do the pipe operator ASSERT. Next: see docs/bigquery-sql.md for what it does

FROM d.t |> TABLESAMPLE SYSTEM (10 PERCENT);
--> error: Tule does not do the pipe operator TABLESAMPLE. Next: see docs/bigquery-sql.md for what it does

FROM d.t |> CALL d.f();
--> error: Tule does not do the pipe operator CALL. Next: see docs/bigquery-sql.md for what it does

FROM d.t |> WITH q AS (SELECT 1) |> WHERE id = 1;
--> error: Tule does not do the pipe operator WITH. Next: see docs/bigquery-sql.md for what it does

FROM d.t |> FOO id;
--> error: Syntax error: Unexpected identifier "FOO" at [1:17]

FROM d.t |> SELECT nothing;
--> error: Unrecognized name: nothing at [1:24]

FROM d.t |>;
--> error: Syntax error: Unexpected "|>" at [1:14]
