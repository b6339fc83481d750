-- https://cloud.google.com/bigquery/docs/reference/standard-sql/query-syntax

-- setup
CREATE TABLE d.people AS
SELECT * FROM UNNEST([STRUCT(1 AS id, 'Ann' AS name, 'x' AS team, [1, 2] AS scores, STRUCT('Rome' AS city, 10 AS zip) AS home),
                      (2, 'Bob', 'y', [3], ('Oslo', 20)),
                      (3, 'Cid', 'x', ARRAY<INT64>[], (NULL, NULL))]);

-- setup
CREATE TABLE d.teams AS SELECT 'x' AS team, 'red' AS color UNION ALL SELECT 'z', 'blue';

SELECT * FROM d.people WHERE id = 1;
--> id INT64 | name STRING | team STRING | scores ARRAY<INT64> | home STRUCT<city STRING, zip INT64>
--> 1 | "Ann" | "x" | [1, 2] | {city: "Rome", zip: 10}

SELECT p.*, t.color FROM d.people AS p JOIN d.teams AS t ON p.team = t.team WHERE id = 3;
--> id INT64 | name STRING | team STRING | scores ARRAY<INT64> | home STRUCT<city STRING, zip INT64> | color STRING
--> 3 | "Cid" | "x" | [] | {city: NULL, zip: NULL} | "red"

SELECT * EXCEPT (scores, home), home.city FROM d.people ORDER BY id DESC LIMIT 2;
--> id INT64 | name STRING | team STRING | city STRING
--> 3 | "Cid" | "x" | NULL
--> 2 | "Bob" | "y" | "Oslo"

SELECT * EXCEPT (nothing) FROM d.people;
--> error: Column nothing in SELECT * EXCEPT list does not exist at [1:18]

SELECT * REPLACE (id * 10 AS id) FROM d.teams;
--> error: Unrecognized name: id at [1:19]

SELECT * REPLACE (UPPER(color) AS color) FROM d.teams ORDER BY team;
--> team STRING | color STRING
--> "x" | "RED"
--> "z" | "BLUE"

SELECT home.* FROM d.people WHERE id = 1;
--> city STRING | zip INT64
--> "Rome" | 10

SELECT p.home.city, p.scores[OFFSET(1)], p.home FROM d.people AS p WHERE p.id = 1;
--> city STRING | f0_ INT64 | home STRUCT<city STRING, zip INT64>
--> "Rome" | 2 | {city: "Rome", zip: 10}

SELECT p FROM (SELECT id, name FROM d.people) AS p WHERE p.id = 1;
--> p STRUCT<id INT64, name STRING>
--> {id: 1, name: "Ann"}

-- Names in errors

SELECT nam FROM d.people;
--> error: Unrecognized name: nam; Did you mean name? at [1:8]

SELECT q.id FROM d.people AS p;
--> error: Unrecognized name: q at [1:8]

SELECT p.nothing FROM d.people AS p;
--> error: Name nothing not found inside p at [1:8]

SELECT home.street FROM d.people;
--> error: Field name street does not exist in STRUCT<city STRING, zip INT64> at [1:8]

SELECT team FROM d.people CROSS JOIN d.teams;
--> error: Column name team is ambiguous at [1:8]

SELECT id, id FROM d.people;
--> error: Duplicate column names in the result are not supported. Found duplicate(s): id

SELECT 1 AS a, 2 AS A;
--> error: Duplicate column names in the result are not supported. Found duplicate(s): a

SELECT * FROM d.nothing;
--> error: Not found: Table test-project:queries.nothing was not found in location US

SELECT * FROM nowhere.t;
--> error: Not found: Dataset test-project:nowhere was not found in location US

SELECT * FROM people;
--> error: Table "people" must be qualified with a dataset (e.g. dataset.table).

SELECT *;
--> error: SELECT * must have a FROM clause at [1:8]

SELEC 1;
--> error: Syntax error: Unexpected identifier "SELEC" at [1:1]

SELECT 1 FROM;
--> error: Syntax error: Unexpected end of script at [1:14]

SELECT (1;
--> error: Syntax error: Expected ")" but got end of script at [1:10]

-- Joins

SELECT p.name, t.color FROM d.people AS p LEFT JOIN d.teams AS t USING (team) ORDER BY p.id;
--> name STRING | color STRING
--> "Ann" | "red"
--> "Bob" | NULL
--> "Cid" | "red"

SELECT * FROM (SELECT id, team FROM d.people) FULL JOIN d.teams USING (team) ORDER BY team, id;
--> team STRING | id INT64 | color STRING
--> "x" | 1 | "red"
--> "x" | 3 | "red"
--> "y" | 2 | NULL
--> "z" | NULL | "blue"

SELECT COUNT(*) FROM d.people, d.teams;
--> f0_ INT64
--> 6

SELECT name FROM d.people WHERE team IN (SELECT team FROM d.teams) ORDER BY name;
--> name STRING
--> "Ann"
--> "Cid"

SELECT name FROM d.people AS p WHERE NOT EXISTS (SELECT 1 FROM d.teams AS t WHERE t.team = p.team);
--> name STRING
--> "Bob"

SELECT name, (SELECT color FROM d.teams AS t WHERE t.team = p.team) AS color FROM d.people AS p ORDER BY name;
--> name STRING | color STRING
--> "Ann" | "red"
--> "Bob" | NULL
--> "Cid" | "red"

SELECT * FROM d.people JOIN d.teams USING (nothing);
--> error: Column nothing in USING clause not found on both sides of join at [1:56]

-- UNNEST

SELECT name, s FROM d.people, UNNEST(scores) AS s ORDER BY s;
--> name STRING | s INT64
--> "Ann" | 1
--> "Ann" | 2
--> "Bob" | 3

SELECT name, s, o FROM d.people LEFT JOIN UNNEST(scores) AS s WITH OFFSET AS o ORDER BY name, o;
--> name STRING | s INT64 | o INT64
--> "Ann" | 1 | 0
--> "Ann" | 2 | 1
--> "Bob" | 3 | 0
--> "Cid" | NULL | NULL

SELECT name, s FROM d.people AS p, p.scores AS s WHERE s > 1 ORDER BY s;
--> name STRING | s INT64
--> "Ann" | 2
--> "Bob" | 3

SELECT name, (SELECT SUM(s) FROM UNNEST(scores) AS s) AS total FROM d.people ORDER BY name;
--> name STRING | total INT64
--> "Ann" | 3
--> "Bob" | 3
--> "Cid" | NULL

SELECT name, ARRAY(SELECT s * 2 FROM UNNEST(scores) AS s ORDER BY s DESC) AS doubled FROM d.people ORDER BY name;
--> name STRING | doubled ARRAY<INT64>
--> "Ann" | [4, 2]
--> "Bob" | [6]
--> "Cid" | []

SELECT x, o FROM UNNEST(['a', 'b', 'c']) AS x WITH OFFSET AS o WHERE o > 0 ORDER BY o;
--> x STRING | o INT64
--> "b" | 1
--> "c" | 2

SELECT x, offset FROM UNNEST(['a', 'b']) AS x WITH OFFSET ORDER BY offset;
--> x STRING | offset INT64
--> "a" | 0
--> "b" | 1

SELECT * FROM UNNEST([STRUCT(1 AS a, 'x' AS b), (2, 'y')]) ORDER BY a;
--> a INT64 | b STRING
--> 1 | "x"
--> 2 | "y"

SELECT s.a, b FROM UNNEST([STRUCT(1 AS a, 'x' AS b)]) AS s;
--> a INT64 | b STRING
--> 1 | "x"

SELECT s FROM UNNEST([STRUCT(1 AS a, 'x' AS b)]) AS s;
--> s STRUCT<a INT64, b STRING>
--> {a: 1, b: "x"}

SELECT * FROM UNNEST([1, 2]);
--> f0_ INT64
--> 1
--> 2

SELECT s.a, c.b FROM UNNEST([STRUCT(1 AS a, [STRUCT(2 AS b)] AS c)]) AS s, UNNEST(s.c) AS c;
--> a INT64 | b INT64
--> 1 | 2

SELECT a, c.b FROM UNNEST([STRUCT(1 AS a, [STRUCT(2 AS b)] AS c)]) AS s, s.c;
--> a INT64 | b INT64
--> 1 | 2

SELECT (1, 'a') AS pair;
--> pair STRUCT<_field_1 INT64, _field_2 STRING>
--> {_field_1: 1, _field_2: "a"}

-- The name of an unnested array, of its offset or of a table in FROM comes before columns of that name.
SELECT scores FROM d.people AS p CROSS JOIN UNNEST(p.scores) AS scores ORDER BY scores;
--> scores INT64
--> 1
--> 2
--> 3

SELECT id, scores, COUNT(*) AS n FROM d.people, UNNEST(scores) AS scores WITH OFFSET AS id GROUP BY id, scores ORDER BY scores;
--> id INT64 | scores INT64 | n INT64
--> 0 | 1 | 1
--> 1 | 2 | 1
--> 0 | 3 | 1

SELECT p.id, scores FROM d.people AS p, p.scores ORDER BY scores DESC LIMIT 1;
--> id INT64 | scores INT64
--> 2 | 3

SELECT scores FROM d.people, people.scores WHERE scores > 2;
--> scores INT64
--> 3

SELECT color FROM d.teams AS color WHERE color.team = 'x';
--> color STRUCT<team STRING, color STRING>
--> {team: "x", color: "red"}

SELECT team FROM d.teams AS team WHERE team = 'x';
--> error: No matching signature for operator = for argument types: STRUCT<team STRING, color STRING>, STRING. at [1:53]

SELECT n FROM (SELECT AS VALUE 1 + 1) AS n;
--> n INT64
--> 2

SELECT x FROM UNNEST(5) AS x;
--> error: Values referenced in UNNEST must be arrays. UNNEST contains expression of type INT64 at [1:22]

SELECT x * 1000000000 AS y FROM UNNEST([1, 2, 3]) AS x ORDER BY x;
--> y INT64
--> 1000000000
--> 2000000000
--> 3000000000

-- WITH, set operations, order

WITH a AS (SELECT 1 AS x), b AS (SELECT x + 1 AS x FROM a) SELECT * FROM a UNION ALL SELECT * FROM b ORDER BY x;
--> x INT64
--> 1
--> 2

WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT SUM(i) AS s FROM n;
--> s INT64
--> 15

SELECT 1 AS x UNION ALL SELECT 2.5 ORDER BY x;
--> x FLOAT64
--> 1.0
--> 2.5

SELECT 1 UNION DISTINCT SELECT 1;
--> f0_ INT64
--> 1

SELECT x FROM UNNEST([1, 2, 3]) AS x EXCEPT DISTINCT SELECT 2 ORDER BY x;
--> x INT64
--> 1
--> 3

SELECT x FROM UNNEST([1, 2, 3]) AS x INTERSECT DISTINCT SELECT 2;
--> x INT64
--> 2

SELECT 1 UNION ALL SELECT 'a';
--> error: Column 1 in UNION ALL has incompatible types: INT64, STRING at [1:27]

SELECT 1, 2 UNION ALL SELECT 1;
--> error: Queries in UNION ALL have mismatched column count; query 1 has 2 columns, query 2 has 1 column at [1:30]

SELECT x FROM UNNEST([2, NULL, 1]) AS x ORDER BY x;
--> x INT64
--> NULL
--> 1
--> 2

SELECT x FROM UNNEST([2, NULL, 1]) AS x ORDER BY x DESC;
--> x INT64
--> 2
--> 1
--> NULL

SELECT x FROM UNNEST([2, NULL, 1]) AS x ORDER BY x NULLS LAST;
--> x INT64
--> 1
--> 2
--> NULL

SELECT x FROM UNNEST([1, 2, 3, 4]) AS x ORDER BY x LIMIT 2 OFFSET 1;
--> x INT64
--> 2
--> 3

SELECT DISTINCT team FROM d.people ORDER BY team;
--> team STRING
--> "x"
--> "y"

SELECT AS STRUCT 1 AS a, 'x' AS b;
--> a INT64 | b STRING
--> 1 | "x"

SELECT AS VALUE STRUCT(1 AS a, 'x' AS b);
--> a INT64 | b STRING
--> 1 | "x"

SELECT ARRAY_AGG(r) AS rows_ FROM (SELECT AS STRUCT id, name FROM d.people WHERE id < 2) AS r;
--> rows_ ARRAY<STRUCT<id INT64, name STRING>>
--> [{id: 1, name: "Ann"}]

-- PIVOT and UNPIVOT. https://cloud.google.com/bigquery/docs/reference/standard-sql/query-syntax#pivot_operator

-- setup
CREATE TABLE d.produce AS
SELECT 'Kale' AS product, 51 AS sales, 'Q1' AS quarter, 2020 AS year UNION ALL SELECT 'Kale', 23, 'Q2', 2020 UNION ALL
SELECT 'Kale', 45, 'Q3', 2020 UNION ALL SELECT 'Apple', 77, 'Q1', 2020 UNION ALL SELECT 'Apple', 1, 'Q1', 2021;

SELECT * FROM (SELECT product, sales, quarter FROM d.produce) PIVOT(SUM(sales) FOR quarter IN ('Q1', 'Q2', 'Q3')) ORDER BY product;
--> product STRING | Q1 INT64 | Q2 INT64 | Q3 INT64
--> "Apple" | 78 | NULL | NULL
--> "Kale" | 51 | 23 | 45

SELECT * FROM (SELECT product, sales, quarter FROM d.produce) PIVOT(SUM(sales) AS total, COUNT(*) AS n FOR quarter IN ('Q1', 'Q2' AS second)) ORDER BY product;
--> product STRING | total_Q1 INT64 | n_Q1 INT64 | total_second INT64 | n_second INT64
--> "Apple" | 78 | 2 | NULL | 0
--> "Kale" | 51 | 1 | 23 | 1

SELECT * FROM (SELECT product, sales, year FROM d.produce) PIVOT(SUM(sales) FOR year IN (2020, 2021)) ORDER BY product;
--> product STRING | _2020 INT64 | _2021 INT64
--> "Apple" | 77 | 1
--> "Kale" | 119 | NULL

SELECT * FROM (SELECT 'Kale' AS product, 51 AS Q1, 23 AS Q2) UNPIVOT(sales FOR quarter IN (Q1, Q2)) ORDER BY quarter;
--> product STRING | sales INT64 | quarter STRING
--> "Kale" | 51 | "Q1"
--> "Kale" | 23 | "Q2"

SELECT * FROM (SELECT 1 AS a, NULL AS b) UNPIVOT(v FOR k IN (a, b));
--> v INT64 | k STRING
--> 1 | "a"

-- Pipes. https://cloud.google.com/bigquery/docs/reference/standard-sql/pipe-syntax

FROM d.people |> WHERE id > 1 |> SELECT name, team |> ORDER BY name;
--> name STRING | team STRING
--> "Bob" | "y"
--> "Cid" | "x"

FROM d.produce |> AGGREGATE SUM(sales) AS total GROUP BY product |> ORDER BY total DESC;
--> product STRING | total INT64
--> "Kale" | 119
--> "Apple" | 78

FROM d.teams |> EXTEND UPPER(team) AS big |> WHERE big = 'X' |> SELECT big, color;
--> big STRING | color STRING
--> "X" | "red"

FROM d.teams |> SET team = 'a' |> ORDER BY color;
--> team STRING | color STRING
--> "a" | "blue"
--> "a" | "red"

-- Windows over random values

SELECT COUNT(DISTINCT r) AS places, MIN(r) AS least FROM (SELECT *, ROW_NUMBER() OVER (ORDER BY RAND()) AS r FROM d.people);
--> places INT64 | least INT64
--> 3 | 1

SELECT id, ROW_NUMBER() OVER (PARTITION BY p.team ORDER BY p.team, CONCAT(CAST(RAND() AS STRING), name)) AS r
FROM d.people AS p WHERE team = 'y';
--> id INT64 | r INT64
--> 2 | 1

SELECT name, t.color, ROW_NUMBER() OVER (ORDER BY GENERATE_UUID()) AS r, s
FROM d.people AS p JOIN d.teams AS t ON p.team = t.team CROSS JOIN UNNEST(scores) AS s WHERE s > 1;
--> name STRING | color STRING | r INT64 | s INT64
--> "Ann" | "red" | 1 | 2

SELECT name FROM d.people WHERE team = 'x' QUALIFY COUNT(*) OVER (ORDER BY RAND() ROWS UNBOUNDED PRECEDING) = 2 AND 1 = 2;
--> name STRING

SELECT team, RANK() OVER (ORDER BY RAND()) AS r FROM d.people GROUP BY team;
--> error: A window has no ORDER BY a value that may differ each time. Next: compute it in a subquery, or declare the JavaScript function DETERMINISTIC

SELECT COUNT(*) AS n FROM d.people FOR SYSTEM_TIME AS OF CURRENT_TIMESTAMP() WHERE name IS NULL;
--> n INT64
--> 0

SELECT * FROM d.people FOR SYSTEM_TIME AS OF TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 1 HOUR);
--> error: Invalid snapshot time 1795519815123 for Table test-project:queries.people@1795519815123. Cannot read before 1795523415123.

-- Samples

SELECT COUNT(*) AS n FROM d.people AS p TABLESAMPLE SYSTEM (100 PERCENT) WHERE p.id > 0;
--> n INT64
--> 3

SELECT COUNT(*) AS n FROM d.people TABLESAMPLE SYSTEM (0 PERCENT);
--> n INT64
--> 0

SELECT * FROM (SELECT 1 AS a) TABLESAMPLE SYSTEM (10 PERCENT);
--> error: TABLESAMPLE SYSTEM can only be applied directly to tables

SELECT * FROM d.people TABLESAMPLE SYSTEM (101 PERCENT);
--> error: TABLESAMPLE percent value must be in the range [0, 100]; given: 101

SELECT * FROM d.people TABLESAMPLE BERNOULLI (10 PERCENT);
--> error: TABLESAMPLE must be written as TABLESAMPLE SYSTEM (number PERCENT)

-- What would be lost is refused

SELECT read_text('/etc/passwd');
--> error: Function not found: READ_TEXT at [1:8]

SELECT * FROM read_csv('/etc/passwd');
--> error: Table-valued function not found: READ_CSV

SELECT * FROM `/etc/passwd`;
--> error: Table "/etc/passwd" must be qualified with a dataset (e.g. dataset.table).

SELECT current_setting('threads');
--> error: Function not found: CURRENT_SETTING at [1:8]

-- Wildcard tables. https://cloud.google.com/bigquery/docs/querying-wildcard-tables

-- setup
CREATE TABLE d.log_2020 AS SELECT 1 AS n;

-- setup
CREATE TABLE d.log_2021 AS SELECT 2 AS n;

SELECT n, _TABLE_SUFFIX AS s FROM `queries.log_*` ORDER BY n;
--> n INT64 | s STRING
--> 1 | "2020"
--> 2 | "2021"

SELECT * FROM `queries.log_*` WHERE _TABLE_SUFFIX = '2021';
--> n INT64
--> 2

SELECT MAX(_TABLE_SUFFIX) FROM `test-project.queries.log_*`;
--> f0_ STRING
--> "2021"

SELECT * FROM `queries.nothing_*`;
--> error: test-project:queries.nothing_* does not match any table.

-- Information schema and views

-- setup
CREATE VIEW d.reds AS SELECT team, UPPER(color) AS big FROM d.teams WHERE color = 'red';

SELECT * FROM d.reds;
--> team STRING | big STRING
--> "x" | "RED"

SELECT r.big, p.name FROM d.reds AS r JOIN d.people AS p USING (team) ORDER BY name;
--> big STRING | name STRING
--> "RED" | "Ann"
--> "RED" | "Cid"

SELECT column_name, data_type FROM queries.INFORMATION_SCHEMA.COLUMNS WHERE table_name = 'reds' ORDER BY 1;
--> column_name STRING | data_type STRING
--> "big" | "STRING"
--> "team" | "STRING"

SELECT COUNT(*) AS n FROM `test-project.queries.INFORMATION_SCHEMA.TABLES` WHERE table_name = 'teams';
--> n INT64
--> 1

SELECT table_id, row_count, size_bytes > 0 AS sized, type FROM queries.__TABLES__ WHERE table_id IN ('teams', 'reds') ORDER BY 1;
--> table_id STRING | row_count INT64 | sized BOOL | type INT64
--> "reds" | 0 | false | 2
--> "teams" | 2 | true | 1

SELECT field_path, data_type FROM queries.INFORMATION_SCHEMA.COLUMN_FIELD_PATHS
WHERE table_name = 'people' AND column_name IN ('scores', 'home') ORDER BY field_path;
--> field_path STRING | data_type STRING
--> "home" | "STRUCT<city STRING, zip INT64>"
--> "home.city" | "STRING"
--> "home.zip" | "INT64"
--> "scores" | "ARRAY<INT64>"

-- setup
CREATE TABLE d.described (x INT64) OPTIONS (description = 'a "b"', labels = [('k', 'v')]);

SELECT option_name, option_type, option_value FROM queries.INFORMATION_SCHEMA.TABLE_OPTIONS
WHERE table_name = 'described' ORDER BY 1;
--> option_name STRING | option_type STRING | option_value STRING
--> "description" | "STRING" | "\"a \\\"b\\\"\""
--> "labels" | "ARRAY<STRUCT<STRING, STRING>>" | "[STRUCT(\"k\", \"v\")]"

-- setup
CREATE TABLE d.brief (x INT64)
OPTIONS (expiration_timestamp = TIMESTAMP_ADD(TIMESTAMP '2100-01-01 00:00:00 UTC', INTERVAL 12 HOUR), description = CONCAT('a', 'b'));

SELECT option_name, option_value FROM queries.INFORMATION_SCHEMA.TABLE_OPTIONS WHERE table_name = 'brief' ORDER BY 1;
--> option_name STRING | option_value STRING
--> "description" | "\"ab\""
--> "expiration_timestamp" | "TIMESTAMP \"2100-01-01T12:00:00.000Z\""

CREATE TABLE d.never (x INT64) OPTIONS (description = (SELECT 'a'));
--> error: An option must be a constant; given: (SELECT 'a')

CREATE TABLE d.never (x INT64) OPTIONS (description = UPPER(5));
--> error: No matching signature for function UPPER for argument types: INT64. Supported signatures: UPPER(STRING); UPPER(BYTES) at [1:61]

SELECT COUNT(*) AS n FROM queries.INFORMATION_SCHEMA.MATERIALIZED_VIEWS;
--> n INT64
--> 0

SELECT * FROM nowhere.__TABLES__;
--> error: Not found: Dataset test-project:nowhere

SELECT * FROM queries.INFORMATION_SCHEMA.NOTHING;
--> error: Not found: Table test-project.queries.INFORMATION_SCHEMA.NOTHING was not found in location US

-- What other statements would lose

CREATE VECTOR INDEX i ON d.people(id, name) OPTIONS (index_type = 'IVF');
--> error: A vector index is of one column; given: id, name. Next: name the column with the vectors

CREATE EXTERNAL TABLE d.ext OPTIONS (format = 'CSV');
--> error: The option uris must be set in CREATE EXTERNAL TABLE

CREATE MATERIALIZED VIEW d.m AS SELECT RAND() AS a;
--> error: Materialized view query contains unsupported feature: RAND

CREATE TABLE d.e (a INT64) COMMENT 'x';
--> error: Tule does not do COMMENT='x' in CREATE TABLE. Next: see docs/bigquery-sql.md
