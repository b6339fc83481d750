-- https://cloud.google.com/bigquery/docs/procedures

-- setup
CREATE TABLE d.t AS SELECT x FROM UNNEST([1, 2, 3]) AS x;

-- setup
CREATE PROCEDURE d.plain() BEGIN SELECT 'called' AS v; END;

-- setup
CREATE PROCEDURE d.add(a INT64, b INT64, OUT total INT64) BEGIN SET total = a + b; END;

-- setup
CREATE PROCEDURE d.grow(INOUT x FLOAT64, factor FLOAT64)
BEGIN
  SET x = x * factor;
END;

-- setup
CREATE PROCEDURE d.any(x ANY TYPE, OUT shown STRING) BEGIN SET shown = FORMAT('%T', x); END;

-- setup
CREATE PROCEDURE d.count(n INT64)
BEGIN
  IF n > 0 THEN
    CALL d.count(n - 1);
  END IF;
  SELECT n AS v;
END;

-- setup
CREATE PROCEDURE d.fails(x INT64)
BEGIN
  SELECT 1;
  SELECT 1 / x;
END;

-- setup
CREATE PROCEDURE d.temporary()
BEGIN
  CREATE TEMP TABLE made AS SELECT 5 AS z;
END;

-- setup
CREATE PROCEDURE d.returns(x INT64, OUT y STRING)
BEGIN
  SET y = 'first';
  IF x = 1 THEN RETURN; END IF;
  SET y = 'second';
END;

-- setup
CREATE PROCEDURE d.raises() BEGIN RAISE USING MESSAGE = 'from inside'; END;

-- setup
CREATE PROCEDURE d.endless() BEGIN CALL d.endless(); END;

-- setup
CREATE PROCEDURE d.loose() OPTIONS (strict_mode = FALSE) BEGIN CALL d.later(); END;

CALL d.plain();
--> v STRING
--> "called"

CALL `test-project`.script_procedures.plain();
--> v STRING
--> "called"

DECLARE total INT64;
CALL d.add(1, 2, total);
SELECT total;
--> total INT64
--> 3

DECLARE total INT64 DEFAULT 9;
DECLARE a INT64 DEFAULT 4;
CALL d.add(a * 2, (SELECT MAX(x) FROM d.t), total);
SELECT total, a;
--> total INT64 | a INT64
--> 11 | 4

DECLARE x FLOAT64 DEFAULT 3;
CALL d.grow(x, 2);
CALL d.grow(x, 0.5);
SELECT x;
--> x FLOAT64
--> 3.0

DECLARE shown STRING;
CALL d.any([1, 2], shown);
SELECT shown;
--> shown STRING
--> "[1, 2]"

CALL d.count(2);
--> v INT64
--> 2

DECLARE y STRING;
CALL d.returns(1, y);
SELECT y;
--> y STRING
--> "first"

DECLARE y STRING;
CALL d.returns(2, y);
SELECT y;
--> y STRING
--> "second"

CALL d.temporary();
SELECT z FROM made;
--> z INT64
--> 5

CALL d.fails(0);
--> error: Query error: division by zero: 1 / 0 at [test-project.script_procedures.fails:3:3]

SELECT 1;
  CALL d.fails(0);
--> error: Query error: division by zero: 1 / 0 at [test-project.script_procedures.fails:3:3]

BEGIN
  CALL d.fails(0);
EXCEPTION WHEN ERROR THEN
  SELECT @@error.message AS m, @@error.statement_text AS s, @@error.formatted_stack_trace AS t;
END;
--> m STRING | s STRING | t STRING
--> "Query error: division by zero: 1 / 0 at [test-project.script_procedures.fails:3:3]" | "SELECT 1 / x" | "At test-project.script_procedures.fails[3:3]\nAt [2:3]\n"

BEGIN
  CALL d.raises();
EXCEPTION WHEN ERROR THEN
  SELECT @@error.message AS m, @@error.formatted_stack_trace AS t;
END;
--> m STRING | t STRING
--> "from inside" | "At test-project.script_procedures.raises[1:7]\nAt [2:3]\n"

CALL d.raises();
--> error: Query error: from inside at [test-project.script_procedures.raises:1:7]

CALL d.endless();
--> error: Query error: Out of stack space due to deeply-nested procedure call to script_procedures.endless at [test-project.script_procedures.endless:1:7]

CALL d.loose();
--> error: Query error: Procedure is not found: script_procedures.later at [test-project.script_procedures.loose:1:12]

CALL d.nothing();
--> error: Query error: Procedure is not found: script_procedures.nothing at [1:6]

CALL d.plain(1);
--> error: Query error: Number of arguments does not match for procedure script_procedures.plain; it has 0, 1 given at [1:6]

CALL d.add(1, 2);
--> error: Query error: Number of arguments does not match for procedure script_procedures.add; it has 3, 2 given at [1:6]

CALL d.add('a', 2, 3);
--> error: Query error: Cannot coerce expression 'a' to type INT64 at [1:28]

CALL d.add(1, 2, 3);
--> error: Query error: Procedure OUT/INOUT argument must be a variable at [1:34]

DECLARE total STRING;
CALL d.add(1, 2, total);
--> error: Query error: Variable total cannot be passed as output argument total, for argument type INT64 cannot be coerced to variable type STRING when procedure exits at [2:34]

DECLARE total INT64;
CALL d.add('a', 2, total);
--> error: Query error: Cannot coerce expression 'a' to type INT64 at [2:28]

CALL d.add(1, 2, nothing);
--> error: Query error: Undeclared variable: nothing at [1:34]

SELECT d.plain();
--> error: test-project.script_procedures.plain is a procedure: CALL it at [1:8]

-- a procedure sees no variables of its caller

-- setup
CREATE PROCEDURE d.blind() BEGIN SELECT hidden AS v; END;

DECLARE hidden INT64 DEFAULT 1;
CALL d.blind();
--> error: Query error: Unrecognized name: hidden at [test-project.script_procedures.blind:1:14]

CREATE PROCEDURE d.wrong() BEGIN SELECT 1 END;
--> error: Syntax error: Expected ";" but got keyword END at [1:59]

CREATE PROCEDURE d.wrong()
BEGIN
  SELEC 1;
END;
--> error: Syntax error: Unexpected identifier "SELEC" at [3:3]

CREATE PROCEDURE d.wrong() BEGIN SET x = 1; END;
--> error: Undeclared variable: x at [1:54]

CREATE PROCEDURE d.wrong() BEGIN CALL d.nothing(); END;
--> error: Procedure is not found: script_procedures.nothing at [1:55]

CREATE PROCEDURE d.wrong() SELECT 1;
--> error: Syntax error: Expected keyword BEGIN but got keyword SELECT at [1:44]

CREATE PROCEDURE d.wrong(a INT64, A STRING) BEGIN SELECT 1; END;
--> error: Duplicate argument name: A at [1:51]

CREATE PROCEDURE d.plain() BEGIN SELECT 2 AS v; END;
--> error: Already Exists: Routine test-project:script_procedures.plain

CREATE PROCEDURE IF NOT EXISTS d.plain() BEGIN SELECT 2 AS v; END;
--> rows: 0

CREATE OR REPLACE PROCEDURE d.plain2() BEGIN SELECT 2 AS v; END;
CREATE OR REPLACE PROCEDURE d.plain2() BEGIN SELECT 3 AS v; END;
CALL d.plain2();
--> v INT64
--> 3

CREATE OR REPLACE PROCEDURE d.gone() BEGIN SELECT 2 AS v; END;
DROP PROCEDURE d.gone;
CALL d.gone();
--> error: Query error: Procedure is not found: script_procedures.gone at [3:6]

DROP PROCEDURE d.nothing;
--> error: Not found: Routine test-project:script_procedures.nothing

DROP PROCEDURE IF EXISTS d.nothing;
--> rows: 0

DROP FUNCTION d.plain;
--> error: test-project:script_procedures.plain is not allowed for this operation because it is currently a PROCEDURE.

CREATE PROCEDURE d.spark() WITH CONNECTION `us.c` OPTIONS (engine = 'SPARK') LANGUAGE PYTHON AS 'x';
--> error: Tule does not make stored procedures for Apache Spark. Next: write the procedure in SQL

-- procedures of the system

CALL BQ.ABORT_SESSION();
--> error: Query error: BQ.ABORT_SESSION() must be called inside a session, or with the id of one at [1:1]

CALL BQ.REFRESH_MATERIALIZED_VIEW('d.v');
--> error: Query error: Not found: Table test-project:script_procedures.v at [1:1]

CALL BQ.NOTHING();
--> error: Query error: Procedure is not found: BQ.NOTHING at [1:6]

CREATE PROCEDURE d.wrong() BEGIN SELECT * FROM d.nothing; END;
--> error: Not found: Table test-project:script_procedures.nothing was not found in location US at [1:50]

CREATE PROCEDURE d.wrong()
BEGIN
  IF (SELECT COUNT(*) FROM d.nothing) > 0 THEN SELECT 1; END IF;
END;
--> error: Not found: Table test-project:script_procedures.nothing was not found in location US at [3:3]

CREATE PROCEDURE d.wrong() BEGIN EXECUTE IMMEDIATE 'SELECT 1' INTO nothing; END;
--> error: Undeclared variable: nothing at [1:84]

CREATE OR REPLACE PROCEDURE d.makes()
BEGIN
  CREATE OR REPLACE TABLE d.made AS SELECT [1, 2] AS list;
  SELECT SUM(e) AS s FROM d.made AS m, m.list AS e;
END;
CALL d.makes();
--> s INT64
--> 3

SELECT 1 END;
--> error: Syntax error: Expected ";" but got keyword END at [1:10]

SELECT CASE WHEN TRUE THEN 1 END AS v; SELECT CASE 1 WHEN 1 THEN CASE WHEN TRUE THEN 2 END END AS v;
--> v INT64
--> 2
