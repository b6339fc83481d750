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

-- An alias of a table means its rows as they were; what was selected has none
FROM (SELECT 2 AS x, 3 AS y) AS t |> SET x = x * x, y = 8 |> SELECT t.x AS original_x, x, y;
--> original_x INT64 | x INT64 | y INT64
--> 2 | 4 | 8

FROM (SELECT 1 AS x, 2 AS y) AS t |> DROP x |> SELECT t.x AS original_x, y;
--> original_x INT64 | y INT64
--> 1 | 2

SELECT 1 AS x, 2 AS y, 3 AS z |> AS t |> RENAME y AS renamed_y |> SELECT *, t.y AS t_y;
--> x INT64 | renamed_y INT64 | z INT64 | t_y INT64
--> 1 | 2 | 3 | 2

SELECT 1 AS x, 2 AS y, 3 AS z |> AS t |> RENAME y AS renamed_y |> EXTEND t.y + 1 AS w |> WHERE t.x = 1;
--> x INT64 | renamed_y INT64 | z INT64 | w INT64
--> 1 | 2 | 3 | 3

(SELECT 'apples' AS item, 2 AS sales UNION ALL SELECT 'bananas', 5 UNION ALL SELECT 'bananas', 5) |> AS Produce |> DISTINCT |> SELECT Produce.item |> ORDER BY item;
--> item STRING
--> "apples"
--> "bananas"

(SELECT 'apples' AS item, 2 AS sales) |> AS Produce |> SELECT DISTINCT * |> SELECT Produce.item;
--> error: Unrecognized name: Produce at [1:84]

FROM d.t |> JOIN d.u ON t.id = u.id |> LIMIT 5 |> SELECT t.id, u.w, t.v |> ORDER BY id;
--> id INT64 | w STRING | v INT64
--> 1 | "x" | 10
--> 3 | "y" | 30

FROM d.t |> JOIN d.u ON t.id = u.id |> EXTEND t.v * 2 AS z |> SELECT t.id, u.id AS uid, z |> ORDER BY id;
--> id INT64 | uid INT64 | z INT64
--> 1 | 1 | 20
--> 3 | 3 | 60

FROM d.t |> EXTEND v + 1 AS k |> WHERE t.id IN (SELECT t.id FROM d.u AS t) |> SELECT t.id, k |> ORDER BY id;
--> id INT64 | k INT64
--> 1 | 11
--> 3 | 31

FROM d.t |> SELECT name, v, SUM(v) OVER w AS s WINDOW w AS (PARTITION BY name) |> ORDER BY name, v;
--> name STRING | v INT64 | s INT64
--> "a" | 10 | 40
--> "a" | 30 | 40
--> "b" | 20 | 20
--> "c" | NULL | NULL

FROM d.t |> EXTEND SUM(v) OVER w AS s WINDOW w AS (PARTITION BY name) |> ORDER BY id;
--> id INT64 | name STRING | v INT64 | s INT64
--> 1 | "a" | 10 | 40
--> 2 | "b" | 20 | 20
--> 3 | "a" | 30 | 40
--> 4 | "c" | NULL | NULL

FROM d.t |> AGGREGATE SUM(v) AS total ASC GROUP BY id, name DESC;
--> id INT64 | name STRING | total INT64
--> 4 | "c" | NULL
--> 2 | "b" | 20
--> 1 | "a" | 10
--> 3 | "a" | 30

FROM d.t |> AGGREGATE SUM(v) AS total, GROUP AND ORDER BY name, id DESC;
--> name STRING | id INT64 | total INT64
--> "a" | 3 | 30
--> "a" | 1 | 10
--> "b" | 2 | 20
--> "c" | 4 | NULL

FROM d.t |> AGGREGATE COUNT(*) AS n GROUP BY ROLLUP(name) |> ORDER BY n, name;
--> name STRING | n INT64
--> "b" | 1
--> "c" | 1
--> "a" | 2
--> NULL | 4

FROM d.t |> AGGREGATE GROUP BY name |> ORDER BY name;
--> name STRING
--> "a"
--> "b"
--> "c"

FROM d.t |> AGGREGATE COUNT(*) GROUP BY UPPER(name) AS name |> ORDER BY name;
--> name STRING | f0_ INT64
--> "A" | 2
--> "B" | 1
--> "C" | 1

SELECT 1 AS key |> WITH t AS (SELECT 1 AS key, 'my_value' AS value) |> INNER JOIN t USING (key);
--> key INT64 | value STRING
--> 1 | "my_value"

SELECT 1 AS key |> WITH t1 AS (SELECT 2), t2 AS (SELECT 3), |> UNION ALL (FROM t1), (FROM t2) |> ORDER BY key;
--> key INT64
--> 1
--> 2
--> 3

FROM d.t |> ASSERT id > 0, 'positive', id |> AGGREGATE COUNT(*) AS n;
--> n INT64
--> 4

FROM d.t |> ASSERT id < 3, 'too large', id |> AGGREGATE COUNT(*) AS n;
--> error: Assertion failed: too large 3

FROM d.t |> ASSERT v > 0 |> WHERE id = 1;
--> error: Assertion failed: v > 0

FROM d.t |> TABLESAMPLE SYSTEM (100 PERCENT) |> AGGREGATE COUNT(*) AS n;
--> n INT64
--> 4

FROM d.t |> WHERE id > 1 |> TABLESAMPLE SYSTEM (100 PERCENT) |> AGGREGATE COUNT(*) AS n;
--> error: TABLESAMPLE SYSTEM can only be applied directly to tables

-- setup
CREATE TABLE FUNCTION d.suffixed(suffix STRING, t TABLE<name STRING>) AS SELECT name || suffix AS name FROM t;

-- setup
CREATE TABLE FUNCTION d.twice(t TABLE<name STRING>) AS SELECT name || name AS name FROM t;

FROM d.t |> SELECT name |> DISTINCT |> CALL d.twice() |> CALL d.suffixed('!') AS s |> WHERE s.name > 'b' |> ORDER BY name;
--> name STRING
--> "bb!"
--> "cc!"

FROM d.t |> WITH q AS (SELECT 'a' AS name) |> SELECT name |> CALL d.twice() |> UNION ALL (FROM q) |> ORDER BY name;
--> name STRING
--> "a"
--> "aa"
--> "aa"
--> "bb"
--> "cc"

SELECT 1 AS one_digit, 10 AS two_digit |> UNION ALL BY NAME (SELECT 20 AS two_digit, 2 AS one_digit) |> ORDER BY 1;
--> one_digit INT64 | two_digit INT64
--> 1 | 10
--> 2 | 20

SELECT * FROM UNNEST(ARRAY<INT64>[1, 2, 3, 3, 4]) AS number |> INTERSECT DISTINCT (SELECT * FROM UNNEST(ARRAY<INT64>[2, 3, 3, 5]) AS number), (SELECT * FROM UNNEST(ARRAY<INT64>[3, 3, 4, 5]) AS number);
--> number INT64
--> 3

SELECT * FROM UNNEST(ARRAY<INT64>[1, 2, 3, 3, 4]) AS number |> EXCEPT DISTINCT (SELECT * FROM UNNEST(ARRAY<INT64>[1, 2]) AS number |> EXCEPT DISTINCT (SELECT * FROM UNNEST(ARRAY<INT64>[1, 4]) AS number)) |> ORDER BY 1;
--> number INT64
--> 1
--> 3
--> 4

SELECT 1 AS a |> FULL OUTER UNION ALL BY NAME (SELECT 2 AS b) |> ORDER BY a;
--> a INT64 | b INT64
--> NULL | 2
--> 1 | NULL

SELECT 1 AS a |> LEFT UNION ALL BY NAME (SELECT 2 AS b, 3 AS a) |> ORDER BY a;
--> a INT64
--> 1
--> 3

SELECT AS STRUCT 1 x, 2 y |> DISTINCT;
--> x INT64 | y INT64
--> 1 | 2

FROM d.t AS t |> SET v = 1 |> WHERE t.v > 10 |> PIVOT (COUNT(*) AS n FOR name IN ('a', 'b')) |> ORDER BY id;
--> id INT64 | v INT64 | n_a INT64 | n_b INT64
--> 2 | 1 | 0 | 1
--> 3 | 1 | 1 | 0

FROM d.t |> RECURSIVE UNION ALL (SELECT 1);
--> error: Tule does not do the pipe operator RECURSIVE. Next: see docs/bigquery-sql.md for what it does

FROM d.t |> CALL nothing;
--> error: Syntax error: Unexpected end of script at [1:29]

FROM d.t |> AGGREGATE |> WHERE x = 1;
--> error: Syntax error: Unexpected "|>" at [1:27]

FROM d.t AS t |> DROP v |> SELECT t.*, name AS n |> ORDER BY id;
--> id INT64 | name STRING | v INT64 | n STRING
--> 1 | "a" | 10 | "a"
--> 2 | "b" | 20 | "b"
--> 3 | "a" | 30 | "a"
--> 4 | "c" | NULL | "c"

SELECT 1 AS a |> UNION ALL (SELECT 2 ORDER BY 1 LIMIT 1), (SELECT 3 UNION ALL SELECT 4) |> ORDER BY a;
--> a INT64
--> 1
--> 2
--> 3
--> 4

SELECT * FROM d.suffixed('!', TABLE d.t) ORDER BY 1;
--> name STRING
--> "a!"
--> "a!"
--> "b!"
--> "c!"

SELECT * FROM d.suffixed('!', (SELECT 1 AS x, w AS name FROM d.u)) ORDER BY 1;
--> name STRING
--> "x!"
--> "y!"
--> "z!"

SELECT * FROM d.suffixed('!', (SELECT 1 AS x FROM d.u)) ORDER BY 1;
--> error: Unrecognized name: name

FROM d.t |> EXTEND 1 AS a, 2 AS b |> SET a = 3 |> DROP v |> RENAME b AS c |> WHERE t.v > 10 |> SELECT t.v, a, c |> ORDER BY v;
--> v INT64 | a INT64 | c INT64
--> 20 | 3 | 2
--> 30 | 3 | 2

FROM d.t |> WHERE id > 1 |> ORDER BY id |> LIMIT 2 |> SELECT t.id |> ORDER BY id;
--> id INT64
--> 2
--> 3

FROM d.t JOIN d.u USING (id) |> SET w = 'q' |> SELECT id, u.w AS before, w, t.name |> ORDER BY id;
--> id INT64 | before STRING | w STRING | name STRING
--> 1 | "x" | "q" | "a"
--> 3 | "y" | "q" | "a"

FROM d.t |> FOO id;
--> error: Syntax error: Unexpected identifier "FOO" at [1:17]

FROM d.t |> SELECT nothing;
--> error: Unrecognized name: nothing at [1:24]

FROM d.t |>;
--> error: Syntax error: Unexpected "|>" at [1:14]
