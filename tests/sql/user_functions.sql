-- https://cloud.google.com/bigquery/docs/user-defined-functions

-- setup
CREATE TABLE d.t AS SELECT x, MOD(x, 2) AS k, [x, x * 10] AS list FROM UNNEST([1, 2, 3, 4]) AS x;

-- setup
CREATE FUNCTION d.twice(x INT64) AS (x * 2);

-- setup
CREATE OR REPLACE FUNCTION d.half(x FLOAT64) RETURNS FLOAT64 AS (x / 2);

-- setup
CREATE FUNCTION d.total(list ARRAY<INT64>) AS ((SELECT SUM(e) FROM UNNEST(list) AS e));

-- setup
CREATE FUNCTION d.capture(plus INT64) AS ((SELECT MAX(t.x) + plus FROM d.t AS t WHERE t.x < 3));

-- setup
CREATE FUNCTION d.above(y INT64) AS ((SELECT COUNT(*) FROM d.t WHERE x > y));

-- setup
CREATE FUNCTION d.same(x ANY TYPE) AS (x = x);

-- setup
CREATE FUNCTION d.inside(x ANY TYPE, low ANY TYPE, high ANY TYPE) AS (x BETWEEN low AND high);

-- setup
CREATE FUNCTION d.joined(s STRUCT<a INT64, b STRING>) AS (CONCAT(s.b, CAST(s.a AS STRING)));

-- setup
CREATE FUNCTION d.made(a INT64) RETURNS STRUCT<p INT64, q STRING> AS (STRUCT(a, 'z'));

-- setup
CREATE FUNCTION d.first(x INT64) AS (x + 1);

-- setup
CREATE FUNCTION d.second(x INT64) AS (d.first(x) * 2);

-- setup
CREATE AGGREGATE FUNCTION d.weighted(x FLOAT64, w FLOAT64) RETURNS FLOAT64 AS (SUM(x * w) / SUM(w));

-- setup
CREATE AGGREGATE FUNCTION d.scaled(x INT64, factor INT64 NOT AGGREGATE) AS (SUM(x) * factor);

-- setup
CREATE TABLE FUNCTION d.upto(n INT64) AS SELECT x, k FROM d.t WHERE x <= n;

-- setup
CREATE TABLE FUNCTION d.texts(n INT64) RETURNS TABLE<x STRING, y INT64> AS SELECT CAST(x AS STRING) AS x, n AS y FROM d.t;

-- setup
CREATE VIEW d.v AS SELECT d.twice(x) AS y FROM d.t;

-- functions of values

SELECT d.twice(3) AS a, d.half(3) AS b, d.half(d.twice(3)) AS c;
--> a INT64 | b FLOAT64 | c FLOAT64
--> 6 | 1.5 | 3.0

SELECT x, d.twice(x) AS y FROM d.t ORDER BY x DESC LIMIT 2;
--> x INT64 | y INT64
--> 4 | 8
--> 3 | 6

SELECT d.twice(NULL) AS v;
--> v INT64
--> NULL

SELECT `test-project`.user_functions.twice(4) AS v;
--> v INT64
--> 8

SELECT `test-project.user_functions.twice`(4) AS v;
--> v INT64
--> 8

SELECT d.total(list) AS v, d.total([1, 2]) AS w, d.total([]) AS n FROM d.t ORDER BY 1;
--> v INT64 | w INT64 | n INT64
--> 11 | 3 | NULL
--> 22 | 3 | NULL
--> 33 | 3 | NULL
--> 44 | 3 | NULL

SELECT k, d.total(ARRAY_AGG(x)) AS v FROM d.t GROUP BY k ORDER BY k;
--> k INT64 | v INT64
--> 0 | 6
--> 1 | 4

SELECT d.twice(SUM(x)) AS v, SUM(d.twice(x)) AS w FROM d.t;
--> v INT64 | w INT64
--> 20 | 20

SELECT x FROM d.t WHERE d.twice(x) > 5 GROUP BY x HAVING d.total(ARRAY_AGG(x)) > 1 ORDER BY d.twice(x) DESC;
--> x INT64
--> 4
--> 3

SELECT d.twice(k) AS kk, COUNT(*) AS n FROM d.t GROUP BY d.twice(k) ORDER BY 1;
--> kk INT64 | n INT64
--> 0 | 2
--> 2 | 2

SELECT d.capture(k) AS c, COUNT(*) AS n FROM d.t GROUP BY d.capture(k) ORDER BY 1;
--> c INT64 | n INT64
--> 2 | 2
--> 3 | 2

SELECT d.twice(ROW_NUMBER() OVER (ORDER BY x)) AS v FROM d.t;
--> v INT64
--> 2
--> 4
--> 6
--> 8

SELECT d.twice(SUM(x) OVER ()) AS v FROM d.t LIMIT 1;
--> v INT64
--> 20

-- names in a body are the body's own, and its columns win over its arguments

CREATE TEMP FUNCTION f(x INT64) AS ((SELECT MAX(t.x + x) FROM d.t AS t));
SELECT f(100) AS v;
--> v INT64
--> 8

SELECT d.capture(100) AS v;
--> v INT64
--> 102

SELECT x, d.above(x) AS v FROM d.t ORDER BY x;
--> x INT64 | v INT64
--> 1 | 3
--> 2 | 2
--> 3 | 1
--> 4 | 0

SELECT d.above(COUNT(*)) AS v, d.above(MAX(x) - 2) AS w FROM d.t;
--> error: Tule does not pass window functions or COUNT(*) to test-project.user_functions.above, whose body has a query. Next: compute the argument in a subquery and pass its column

SELECT d.above((SELECT MIN(x) FROM d.t)) AS v;
--> v INT64
--> 3

SELECT t.x FROM d.t AS t JOIN d.t AS u ON d.twice(t.x) = u.x ORDER BY 1;
--> x INT64
--> 1
--> 2

SELECT d.second(d.first(d.second(x))) AS v FROM d.t ORDER BY 1;
--> v INT64
--> 12
--> 16
--> 20
--> 24

-- an argument is computed once

SELECT LOGICAL_AND(d.same(RAND())) AS v, LOGICAL_AND(d.same(GENERATE_UUID())) AS w FROM d.t;
--> v BOOL | w BOOL
--> true | true

-- types

SELECT d.inside('b', 'a', 'c') AS v, d.inside(5, 1, 4) AS w, d.inside(DATE '2020-01-02', DATE '2020-01-01', DATE '2020-01-03') AS z;
--> v BOOL | w BOOL | z BOOL
--> true | false | true

SELECT d.joined(STRUCT(1 AS a, 'q' AS b)) AS v, d.joined((2, 'r')) AS w;
--> v STRING | w STRING
--> "q1" | "r2"

SELECT d.made(4).q AS v, d.made(5) AS w;
--> v STRING | w STRUCT<p INT64, q STRING>
--> "z" | {p: 5, q: "z"}

SELECT d.half(NUMERIC '5') AS v;
--> v FLOAT64
--> 2.5

SELECT d.twice('a');
--> error: No matching signature for function test-project.user_functions.twice for argument types: STRING. Supported signature: test-project.user_functions.twice(INT64) at [1:8]

SELECT d.twice(1.5);
--> error: No matching signature for function test-project.user_functions.twice for argument types: FLOAT64. Supported signature: test-project.user_functions.twice(INT64) at [1:8]

SELECT d.twice(1, 2);
--> error: Number of arguments does not match for function test-project.user_functions.twice; it has 1 argument, 2 given at [1:8]

SELECT d.twice();
--> error: Number of arguments does not match for function test-project.user_functions.twice; it has 1 argument, 0 given at [1:8]

CREATE FUNCTION d.wrong(x INT64) RETURNS INT64 AS (CONCAT(x, 'a'));
--> error: Function declared to return INT64 but the function body produces incompatible type STRING

CREATE FUNCTION d.wrong(x INT64) RETURNS DATE AS (x);
--> error: Function declared to return DATE but the function body produces incompatible type INT64

CREATE FUNCTION d.wrong(x INT64) AS (y + 1);
--> error: Unrecognized name: y at [1:51]

CREATE FUNCTION d.wrong(x INT64) AS (nothing(x));
--> error: Function not found: NOTHING at [1:51]

CREATE FUNCTION d.wrong(x INT64) AS ((SELECT z FROM d.nothing));
--> error: Not found: Table test-project:user_functions.nothing was not found in location US

CREATE FUNCTION d.wrong(x INT64, X STRING) AS (1);
--> error: Duplicate argument name: X at [1:47]

CREATE OR REPLACE FUNCTION d.first(x INT64) AS (d.second(x));
--> error: The function test-project.user_functions.first must not call itself, nor calls nest more than 30 deep

CREATE FUNCTION d.twice(x INT64) AS (x);
--> error: Already Exists: Routine test-project:user_functions.twice

CREATE FUNCTION IF NOT EXISTS d.twice(x INT64) AS (x * 100);
--> rows: 0

SELECT d.twice(1) AS unchanged;
--> unchanged INT64
--> 2

CREATE FUNCTION d.wrong(x INT64);
--> error: Syntax error: Expected keyword AS but got end of script at [1:46]

CREATE FUNCTION d.wrong(x NOPE) AS (x);
--> error: Type not found: NOPE at [1:40]

CREATE FUNCTION d.wrong(x INT64) RETURNS INT64 LANGUAGE python OPTIONS (entry_point = 'f', runtime_version = 'python-3.11') AS 'def f(x): return x';
--> error: Tule does not make functions in the language python. Next: write them in SQL or JavaScript

CREATE FUNCTION d.wrong(x INT64) REMOTE WITH CONNECTION `us.c` OPTIONS (endpoint = 'https://example.com');
--> error: Tule does not make remote functions. Next: write the function in SQL or JavaScript

CREATE FUNCTION no_dataset(x INT64) AS (x);
--> error: Routine name "no_dataset" missing dataset while no default dataset is set in the request.

CREATE FUNCTION nothing.f(x INT64) AS (x);
--> error: Not found: Dataset test-project:nothing

DROP FUNCTION d.nothing;
--> error: Not found: Routine test-project:user_functions.nothing

DROP FUNCTION IF EXISTS d.nothing;
--> rows: 0

DROP TABLE FUNCTION d.twice;
--> error: test-project:user_functions.twice is not allowed for this operation because it is currently a SCALAR_FUNCTION.

DROP PROCEDURE d.twice;
--> error: test-project:user_functions.twice is not allowed for this operation because it is currently a SCALAR_FUNCTION.

-- functions of this statement alone

CREATE TEMP FUNCTION plus(x INT64) AS (x + 1);
SELECT plus(1) AS v;
--> v INT64
--> 2

CREATE TEMPORARY FUNCTION f(x INT64) AS (x + 1);
CREATE TEMP FUNCTION g(x INT64) AS (f(x) * 10);
SELECT g(1) AS v, g(x) AS w FROM d.t ORDER BY w LIMIT 1;
--> v INT64 | w INT64
--> 20 | 20

CREATE TEMP FUNCTION f(x INT64) AS (x + 1);
CREATE TEMP FUNCTION f(x INT64) AS (x + 2);
SELECT f(1);
--> f0_ INT64
--> 3

CREATE TEMP FUNCTION f(x INT64) AS (x + 1);
CREATE OR REPLACE TEMP FUNCTION f(x INT64) AS (x + 2);
SELECT f(1) AS v;
--> v INT64
--> 3

CREATE TEMP FUNCTION abs(x INT64) AS (x * 100);
SELECT abs(-1) AS v;
--> v INT64
--> -100

CREATE TEMP FUNCTION f(x INT64) AS (f(x));
SELECT f(1);
--> error: The function f must not call itself, nor calls nest more than 30 deep at [2:37]

CREATE TEMP FUNCTION `a b`(x INT64) AS (x);
SELECT `a b`(5) AS v;
--> v INT64
--> 5

DECLARE x INT64 DEFAULT 7;
CREATE TEMP FUNCTION f(y INT64) AS (y + 1);
SELECT f(x) AS v;
--> v INT64
--> 8

DECLARE x INT64 DEFAULT 7;
CREATE TEMP FUNCTION f(y INT64) AS (y + x);
SELECT f(1) AS v;
--> error: Query error: Unrecognized name: x at [2:41]

-- table functions

SELECT * FROM d.upto(2) ORDER BY x;
--> x INT64 | k INT64
--> 1 | 1
--> 2 | 0

SELECT a.x AS l, b.x AS r FROM d.upto(2) AS a JOIN d.upto(3) AS b ON a.x < b.x ORDER BY 1, 2;
--> l INT64 | r INT64
--> 1 | 2
--> 1 | 3
--> 2 | 3

SELECT * FROM d.texts(7) ORDER BY x LIMIT 2;
--> x STRING | y INT64
--> "1" | 7
--> "2" | 7

SELECT (SELECT COUNT(*) FROM d.upto(3)) AS n;
--> n INT64
--> 3

-- parameters: [{"name": "p", "parameterType": {"type": "INT64"}, "parameterValue": {"value": "1"}}]
SELECT x FROM d.upto(@p);
--> x INT64
--> 1

DECLARE n INT64 DEFAULT 1;
SELECT x FROM d.upto(n);
--> x INT64
--> 1

SELECT * FROM d.upto('a');
--> error: No matching signature for function test-project.user_functions.upto for argument types: STRING. Supported signature: test-project.user_functions.upto(INT64) at [1:15]

SELECT * FROM d.upto();
--> error: Number of arguments does not match for function test-project.user_functions.upto; it has 1 argument, 0 given at [1:15]

CREATE TABLE FUNCTION d.wrong() AS SELECT z FROM d.t;
--> error: Unrecognized name: z at [1:56]

CREATE TABLE FUNCTION d.wrong() RETURNS TABLE<z INT64> AS SELECT x FROM d.t;
--> error: Unrecognized name: z

-- aggregates

SELECT k, d.weighted(x, x) AS w FROM d.t GROUP BY k ORDER BY k;
--> k INT64 | w FLOAT64
--> 0 | 3.3333333333333335
--> 1 | 2.5

SELECT d.weighted(x, 1) AS w, d.scaled(x, 100) AS s FROM d.t;
--> w FLOAT64 | s INT64
--> 2.5 | 1000

SELECT d.scaled(x, x) FROM d.t;
--> error: SELECT list expression references column x which is neither grouped nor aggregated

SELECT d.weighted(SUM(x), 1) FROM d.t;
--> error: aggregate function calls cannot be nested

CREATE TEMP AGGREGATE FUNCTION spread(x INT64) AS (MAX(x) - MIN(x));
SELECT k, spread(x) AS s FROM d.t GROUP BY k ORDER BY k;
--> k INT64 | s INT64
--> 0 | 2
--> 1 | 2

-- in views

SELECT SUM(y) AS s FROM d.v;
--> s INT64
--> 20
