-- https://cloud.google.com/bigquery/docs/reference/standard-sql/procedural-language

-- setup
CREATE TABLE d.t AS SELECT x, CONCAT('n', CAST(x AS STRING)) AS name FROM UNNEST([1, 2, 3]) AS x;

-- DECLARE

DECLARE x INT64;
SELECT x;
--> x INT64
--> NULL

DECLARE x INT64 DEFAULT 5;
SELECT x + 1 AS y;
--> y INT64
--> 6

DECLARE x, y, z INT64 DEFAULT 2;
SELECT x * y * z AS v;
--> v INT64
--> 8

DECLARE x DEFAULT 1.5;
SELECT x;
--> x FLOAT64
--> 1.5

DECLARE d DEFAULT DATE '2020-02-29';
SELECT DATE_ADD(d, INTERVAL 1 DAY) AS next;
--> next DATE
--> 2020-03-01

DECLARE x INT64 DEFAULT (SELECT MAX(x) FROM d.t);
SELECT x;
--> x INT64
--> 3

DECLARE a ARRAY<INT64> DEFAULT [1, 2, 3];
SELECT a, ARRAY_LENGTH(a) AS n;
--> a ARRAY<INT64> | n INT64
--> [1, 2, 3] | 3

DECLARE a ARRAY<STRING>;
SELECT a, a IS NULL AS empty;
--> a ARRAY<STRING> | empty BOOL
--> [] | true

DECLARE s STRUCT<a INT64, b STRING> DEFAULT (1, 'x');
SELECT s.a, s.b;
--> a INT64 | b STRING
--> 1 | "x"

DECLARE s DEFAULT STRUCT(1 AS a, [STRUCT('p' AS q)] AS l);
SELECT s.l[OFFSET(0)].q;
--> q STRING
--> "p"

DECLARE n NUMERIC DEFAULT 1;
DECLARE f FLOAT64 DEFAULT 1;
SELECT n, f;
--> n NUMERIC | f FLOAT64
--> 1 | 1.0

DECLARE ts TIMESTAMP DEFAULT '2020-01-01 00:00:00+01';
DECLARE dt DATE DEFAULT '2020-01-01';
SELECT ts, dt;
--> ts TIMESTAMP | dt DATE
--> 2019-12-31 23:00:00+00 | 2020-01-01

DECLARE j JSON DEFAULT JSON '{"a": [1, 2]}';
SELECT j.a[1] AS v;
--> v JSON
--> 2

DECLARE b BYTES DEFAULT b'ab';
DECLARE t TIME DEFAULT '01:02:03';
DECLARE dt DATETIME DEFAULT '2020-01-01 01:02:03';
SELECT b, t, dt;
--> b BYTES | t TIME | dt DATETIME
--> b"ab" | 01:02:03 | 2020-01-01T01:02:03

DECLARE x INT64 DEFAULT 'a';
SELECT x;
--> error: Query error: Cannot coerce expression 'a' to type INT64 at [1:25]

DECLARE x INT64 DEFAULT 1.5;
SELECT x;
--> error: Query error: Cannot coerce expression 1.5 to type INT64 at [1:25]

DECLARE x INT64; DECLARE X STRING;
SELECT x;
--> error: Variable 'X' redeclaration at [1:26]

DECLARE x DEFAULT 1, y INT64;
SELECT 1;
--> error: Syntax error: Expected ";" but got "," at [1:20]

DECLARE x;
SELECT 1;
--> error: Syntax error: Unexpected ";" at [1:10]

DECLARE x NOPE;
SELECT 1;
--> error: Type not found: NOPE at [1:11]

SELECT 1;
DECLARE x INT64;
--> error: Variable declarations are allowed only at the start of a block or script at [2:1]

DECLARE x DEFAULT NULL;
SELECT x;
--> x INT64
--> NULL

DECLARE x INT64 DEFAULT (SELECT x FROM d.t);
SELECT x;
--> error: Query error: Scalar subquery produced more than one element at [1:25]

DECLARE x INT64 DEFAULT (SELECT x FROM d.t WHERE x > 100);
SELECT x;
--> x INT64
--> NULL

-- SET

DECLARE x INT64;
SET x = 3;
SET x = x * x;
SELECT x;
--> x INT64
--> 9

DECLARE x INT64;
DECLARE y STRING;
SET (x, y) = (4, 'four');
SELECT x, y;
--> x INT64 | y STRING
--> 4 | "four"

DECLARE x INT64;
DECLARE y STRING;
SET (x, y) = (SELECT AS STRUCT x, name FROM d.t WHERE x = 2);
SELECT x, y;
--> x INT64 | y STRING
--> 2 | "n2"

DECLARE x INT64 DEFAULT 1;
DECLARE y INT64 DEFAULT 2;
SET (x, y) = (y, x);
SELECT x, y;
--> x INT64 | y INT64
--> 2 | 1

DECLARE x INT64;
SET (x, x) = (1, 2);
--> error: Query error: Assigning multiple values to variable: x at [2:9]

DECLARE x INT64;
SET x = 'text';
--> error: Query error: Cannot coerce expression 'text' to type INT64 at [2:9]

DECLARE x INT64;
SET x = 2.5;
--> error: Query error: Cannot coerce expression 2.5 to type INT64 at [2:9]

DECLARE x FLOAT64;
SET x = 2;
SELECT x;
--> x FLOAT64
--> 2.0

DECLARE x ARRAY<INT64>;
SET x = NULL;
SELECT ARRAY_LENGTH(x) AS n;
--> n INT64
--> NULL

SET nope = 1;
--> error: Query error: Undeclared variable: nope at [1:5]

DECLARE s STRUCT<a INT64> DEFAULT STRUCT(1);
SET s.a = 2;
--> error: Syntax error: Expected "=" but got "." at [2:6]

DECLARE x INT64;
SET x = (SELECT 1 / 0);
--> error: Query error: division by zero: 1 / 0 at [2:9]

DECLARE x INT64;
SET x = nope + 1;
--> error: Query error: Unrecognized name: nope at [2:9]

DECLARE x INT64 DEFAULT 1;
SET x = x + 1, x = 5;
--> error: Syntax error: Expected ";" but got "," at [2:14]

-- names: columns win, and no case

DECLARE x INT64 DEFAULT 100;
SELECT SUM(x) AS s FROM d.t;
--> s INT64
--> 6

DECLARE y INT64 DEFAULT 2;
SELECT name FROM d.t WHERE x = Y;
--> name STRING
--> "n2"

DECLARE name STRING DEFAULT 'n1';
SELECT COUNT(*) AS n FROM d.t WHERE name = name;
--> n INT64
--> 3

DECLARE v INT64 DEFAULT 2;
SELECT (SELECT COUNT(*) FROM d.t WHERE x <= v) AS n, v FROM (SELECT 9 AS v);
--> n INT64 | v INT64
--> 3 | 9

DECLARE v INT64 DEFAULT 2;
SELECT ARRAY(SELECT x FROM d.t WHERE x > v ORDER BY x) AS a;
--> a ARRAY<INT64>
--> [3]

DECLARE v INT64 DEFAULT 1;
SELECT v AS v, v + 1 AS w FROM d.t LIMIT 1;
--> v INT64 | w INT64
--> 1 | 2

DECLARE v INT64 DEFAULT 2;
SELECT x FROM d.t ORDER BY x LIMIT v;
--> x INT64
--> 1
--> 2

-- parameters: [{"name": "p", "parameterType": {"type": "INT64"}, "parameterValue": {"value": "7"}}]
DECLARE p INT64 DEFAULT 5;
SELECT @p AS given, p;
--> given INT64 | p INT64
--> 7 | 5

-- parameters: [{"name": "p", "parameterType": {"type": "INT64"}, "parameterValue": {"value": "7"}}]
DECLARE p INT64 DEFAULT @p;
SET p = p + @p;
SELECT p;
--> p INT64
--> 14

-- parameters: [{"parameterType": {"type": "INT64"}, "parameterValue": {"value": "1"}}, {"parameterType": {"type": "STRING"}, "parameterValue": {"value": "two"}}, {"parameterType": {"type": "INT64"}, "parameterValue": {"value": "3"}}]
DECLARE p INT64 DEFAULT ?;
DECLARE q STRING DEFAULT ?;
SELECT p, q, ? AS third;
--> p INT64 | q STRING | third INT64
--> 1 | "two" | 3

-- parameters: [{"parameterType": {"type": "INT64"}, "parameterValue": {"value": "1"}}]
DECLARE p INT64 DEFAULT ?;
SELECT p, ?;
--> error: Query error: Query parameter number 2 not found at [2:11]

SELECT x FROM d.t WHERE x = @nope; SELECT 1;
--> error: Query error: Query parameter 'nope' not found at [1:44]

DECLARE x INT64 DEFAULT 1;
BEGIN
  DECLARE x STRING DEFAULT 'inner';
  SELECT x;
END;
--> error: Variable 'x' redeclaration at [3:11]

DECLARE x INT64 DEFAULT 1;
BEGIN
  DECLARE y STRING DEFAULT 'inner';
  SET x = 2;
END;
SELECT x;
--> x INT64
--> 2

BEGIN
  DECLARE y STRING DEFAULT 'inner';
END;
SELECT y;
--> error: Query error: Unrecognized name: y at [4:8]

DECLARE `select` INT64 DEFAULT 3;
SELECT `select` + 1 AS v;
--> v INT64
--> 4
