-- https://cloud.google.com/bigquery/docs/reference/standard-sql/procedural-language

-- setup
CREATE TABLE d.t AS SELECT x, CONCAT('n', CAST(x AS STRING)) AS name FROM UNNEST([1, 2, 3]) AS x;

-- IF

IF TRUE THEN SELECT 1 AS v; END IF;
--> v INT64
--> 1

IF FALSE THEN SELECT 1 AS v; ELSE SELECT 2 AS v; END IF;
--> v INT64
--> 2

IF 1 > 2 THEN SELECT 'a' AS v; ELSEIF 2 > 1 THEN SELECT 'b' AS v; ELSE SELECT 'c' AS v; END IF;
--> v STRING
--> "b"

IF NULL THEN SELECT 1 AS v; ELSE SELECT 2 AS v; END IF;
--> v INT64
--> 2

IF EXISTS (SELECT 1 FROM d.t WHERE x = 2) THEN SELECT 'found' AS v; END IF;
--> v STRING
--> "found"

IF (SELECT COUNT(*) FROM d.t) = 3 THEN
  IF FALSE THEN SELECT 0 AS v; ELSE SELECT 'inner' AS v; END IF;
END IF;
--> v STRING
--> "inner"

IF 1 THEN SELECT 1; END IF;
--> error: Query error: Cannot coerce expression 1 to type BOOL at [1:4]

IF 'x' THEN SELECT 1; END IF;
--> error: Query error: Cannot coerce expression 'x' to type BOOL at [1:4]

IF TRUE THEN SELECT 1;
--> error: Syntax error: Expected keyword END but got end of script at [1:23]

IF TRUE SELECT 1; END IF;
--> error: Syntax error: Unexpected keyword SELECT at [1:9]

IF TRUE THEN ELSE END IF;
--> rows: 0

-- CASE

DECLARE x INT64 DEFAULT 2;
CASE x WHEN 1 THEN SELECT 'one' AS v; WHEN 2 THEN SELECT 'two' AS v; ELSE SELECT 'more' AS v; END CASE;
--> v STRING
--> "two"

DECLARE x INT64 DEFAULT 5;
CASE x WHEN 1 THEN SELECT 'one' AS v; ELSE SELECT 'more' AS v; END CASE;
--> v STRING
--> "more"

CASE WHEN FALSE THEN SELECT 1 AS v; WHEN TRUE THEN SELECT 2 AS v; END CASE;
--> v INT64
--> 2

CASE WHEN EXISTS (SELECT 1 FROM d.t WHERE x > 9) THEN SELECT 'yes' AS v; ELSE SELECT 'no' AS v; END CASE;
--> v STRING
--> "no"

CASE (SELECT MAX(name) FROM d.t) WHEN 'n3' THEN SELECT 'last' AS v; END CASE;
--> v STRING
--> "last"

CASE NULL WHEN NULL THEN SELECT 1 AS v; ELSE SELECT 'unequal' AS v; END CASE;
--> v STRING
--> "unequal"

CASE 1 WHEN 1.0 THEN SELECT 'equal' AS v; END CASE;
--> v STRING
--> "equal"

CASE DATE '2020-01-01' WHEN '2020-01-01' THEN SELECT 'same day' AS v; END CASE;
--> v STRING
--> "same day"

CASE 1 WHEN 'a' THEN SELECT 1; END CASE;
--> error: Query error: No matching signature for operator = for argument types: INT64, STRING. at [1:1]

CASE END CASE;
--> error: Syntax error: Expected keyword WHEN but got ";" at [1:14]

-- LOOP and its jumps

DECLARE x INT64 DEFAULT 0;
LOOP
  SET x = x + 1;
  IF x >= 10 THEN LEAVE; END IF;
END LOOP;
SELECT x;
--> x INT64
--> 10

DECLARE x, odd INT64 DEFAULT 0;
LOOP
  SET x = x + 1;
  IF x > 9 THEN BREAK; END IF;
  IF MOD(x, 2) = 0 THEN CONTINUE; END IF;
  SET odd = odd + 1;
END LOOP;
SELECT x, odd;
--> x INT64 | odd INT64
--> 10 | 5

DECLARE x INT64 DEFAULT 0;
outside: LOOP
  inside: LOOP
    SET x = x + 1;
    IF x > 3 THEN LEAVE outside; END IF;
    CONTINUE inside;
  END LOOP inside;
  SET x = 100;
END LOOP outside;
SELECT x;
--> x INT64
--> 4

DECLARE x, y INT64 DEFAULT 0;
a: WHILE x < 3 DO
  SET x = x + 1;
  WHILE TRUE DO
    SET y = y + 1;
    ITERATE a;
  END WHILE;
END WHILE;
SELECT x, y;
--> x INT64 | y INT64
--> 3 | 3

b: BEGIN
  SELECT 1 AS v;
  LEAVE b;
  SELECT 2 AS v;
END b;
--> v INT64
--> 1

LEAVE;
--> error: LEAVE without label is only allowed inside of a loop body at [1:1]

CONTINUE;
--> error: CONTINUE is only allowed inside of a loop body at [1:1]

a: LOOP LEAVE b; END LOOP;
--> error: Label b does not exist or is out of scope at [1:9]

a: BEGIN ITERATE a; END;
--> error: ITERATE with label must refer to a loop at [1:10]

a: LOOP a: LOOP LEAVE a; END LOOP; END LOOP;
--> error: Label a already exists at [1:9]

a: LOOP LEAVE; END LOOP b;
--> error: Mismatched end label; expected a, got b at [1:25]

-- WHILE and REPEAT

DECLARE x INT64 DEFAULT 0;
WHILE x < 5 DO SET x = x + 2; END WHILE;
SELECT x;
--> x INT64
--> 6

WHILE FALSE DO SELECT 1 AS v; END WHILE;
SELECT 2 AS v;
--> v INT64
--> 2

WHILE NULL DO SELECT 1 AS v; END WHILE;
SELECT 3 AS v;
--> v INT64
--> 3

DECLARE x INT64 DEFAULT 0;
REPEAT SET x = x + 1; UNTIL x >= 3 END REPEAT;
SELECT x;
--> x INT64
--> 3

DECLARE x INT64 DEFAULT 0;
REPEAT SET x = x + 1; UNTIL NULL OR x > 1 END REPEAT;
SELECT x;
--> x INT64
--> 2

DECLARE x INT64 DEFAULT 0;
r: REPEAT
  SET x = x + 1;
  IF x = 2 THEN ITERATE r; END IF;
  IF x = 4 THEN LEAVE r; END IF;
UNTIL FALSE END REPEAT r;
SELECT x;
--> x INT64
--> 4

WHILE TRUE SELECT 1; END WHILE;
--> error: Syntax error: Unexpected keyword SELECT at [1:12]

REPEAT SELECT 1; END REPEAT;
--> error: Syntax error: Unexpected keyword END at [1:18]

-- FOR

DECLARE all_names STRING DEFAULT '';
FOR record IN (SELECT x, name FROM d.t ORDER BY x DESC) DO
  SET all_names = CONCAT(all_names, record.name, '/', CAST(record.x AS STRING), ' ');
END FOR;
SELECT all_names;
--> all_names STRING
--> "n3/3 n2/2 n1/1 "

FOR r IN (SELECT 1 AS a WHERE FALSE) DO SELECT 'never' AS v; END FOR;
SELECT 'after' AS v;
--> v STRING
--> "after"

DECLARE total INT64 DEFAULT 0;
FOR r IN (SELECT x FROM d.t ORDER BY x) DO
  IF r.x = 2 THEN CONTINUE; END IF;
  SET total = total + r.x;
END FOR;
SELECT total;
--> total INT64
--> 4

DECLARE total INT64 DEFAULT 0;
f: FOR r IN (SELECT x FROM d.t ORDER BY x) DO
  FOR s IN (SELECT x FROM d.t WHERE x <= r.x) DO
    IF r.x = 3 THEN LEAVE f; END IF;
    SET total = total + s.x;
  END FOR;
END FOR f;
SELECT total;
--> total INT64
--> 4

FOR r IN (SELECT [1, 2] AS list, STRUCT('q' AS a) AS s) DO
  SELECT r.list[OFFSET(1)] AS second, r.s.a AS a;
END FOR;
--> second INT64 | a STRING
--> 2 | "q"

FOR r IN (SELECT x FROM d.t) DO SELECT 1; END FOR;
SELECT r.x;
--> error: Query error: Unrecognized name: r at [2:8]

DECLARE r INT64;
FOR r IN (SELECT x FROM d.t) DO SELECT 1; END FOR;
--> error: Variable 'r' redeclaration at [2:5]

FOR r IN SELECT x FROM d.t DO SELECT 1; END FOR;
--> error: Syntax error: Expected "(" but got keyword SELECT at [1:10]

FOR r IN (SELECT 1, 2) DO SELECT r.f0_ AS v; END FOR;
--> v INT64
--> 1

-- RETURN

SELECT 1 AS v;
RETURN;
SELECT 2 AS v;
--> v INT64
--> 1

FOR r IN (SELECT x FROM d.t ORDER BY x) DO
  SELECT r.x AS v;
  IF r.x = 2 THEN RETURN; END IF;
END FOR;
--> v INT64
--> 2

-- BEGIN ... EXCEPTION

BEGIN
  SELECT 1 / 0;
EXCEPTION WHEN ERROR THEN
  SELECT @@error.message AS message, @@error.statement_text AS text, @@error.formatted_stack_trace AS trace;
END;
--> message STRING | text STRING | trace STRING
--> "Query error: division by zero: 1 / 0 at [2:3]" | "SELECT 1 / 0" | "At [2:3]\n"

BEGIN
  SELECT 1 AS v;
EXCEPTION WHEN ERROR THEN
  SELECT 2 AS v;
END;
--> v INT64
--> 1

BEGIN
  RAISE USING MESSAGE = 'mine';
EXCEPTION WHEN ERROR THEN
  SELECT @@error.message AS m;
END;
--> m STRING
--> "mine"

BEGIN
  BEGIN
    SELECT * FROM d.nothing;
  EXCEPTION WHEN ERROR THEN
    RAISE USING MESSAGE = CONCAT('wrapped: ', SUBSTR(@@error.message, 1, 20));
  END;
EXCEPTION WHEN ERROR THEN
  SELECT @@error.message AS m;
END;
--> m STRING
--> "wrapped: Query error: Not fou"

BEGIN
  BEGIN
    RAISE USING MESSAGE = 'first';
  EXCEPTION WHEN ERROR THEN
    RAISE;
  END;
EXCEPTION WHEN ERROR THEN
  SELECT @@error.message AS m;
END;
--> m STRING
--> "first"

DECLARE x INT64 DEFAULT 0;
BEGIN
  SET x = 1;
  SET x = CAST('a' AS INT64);
EXCEPTION WHEN ERROR THEN
  SELECT x, @@error.message AS m;
END;
--> x INT64 | m STRING
--> 1 | "Query error: Bad int64 value: a at [4:3]"

BEGIN
  RAISE USING MESSAGE = 'one';
EXCEPTION WHEN ERROR THEN
END;
SELECT @@error.message IS NULL AS forgotten;
--> forgotten BOOL
--> true

BEGIN
  DECLARE y INT64 DEFAULT 1;
  SELECT 1 / 0;
EXCEPTION WHEN ERROR THEN
  SELECT y;
END;
--> error: Query error: Unrecognized name: y at [5:10]

FOR r IN (SELECT x FROM d.t ORDER BY x) DO
  BEGIN
    SELECT 6 / (r.x - 2) AS v;
  EXCEPTION WHEN ERROR THEN
    CONTINUE;
  END;
END FOR;
--> v FLOAT64
--> 6.0

RAISE USING MESSAGE = 'not handled';
--> error: Query error: not handled at [1:1]

RAISE;
--> error: Cannot re-raise an existing exception outside of an exception handler at [1:1]

RAISE USING MESSAGE = 1;
--> error: Query error: Cannot coerce expression 1 to type STRING at [1:23]

BEGIN
  SELECT 1;
EXCEPTION WHEN ERROR THEN
  SELECT 2;
EXCEPTION WHEN ERROR THEN
  SELECT 3;
END;
--> error: Syntax error: Unexpected identifier "EXCEPTION" at [5:1]

BEGIN SELECT 1;
--> error: Syntax error: Expected keyword END but got end of script at [1:16]

SELECT 1; END;
--> error: Syntax error: Unexpected keyword END at [1:11]

-- ASSERT

ASSERT 1 = 1 AS 'fine';
SELECT 'after' AS v;
--> v STRING
--> "after"

ASSERT (SELECT COUNT(*) FROM d.t) = 4 AS 'four rows';
--> error: Query error: Assertion failed: four rows at [1:1]

ASSERT NULL;
SELECT 1;
--> error: Query error: Assertion failed at [1:1]

ASSERT 1;
SELECT 1;
--> error: Query error: ASSERT expression should return type BOOL, but returns type INT64 at [1:8]

ASSERT EXISTS (SELECT 1 FROM d.t WHERE x = 3);
SELECT 'there' AS v;
--> v STRING
--> "there"

-- EXECUTE IMMEDIATE

EXECUTE IMMEDIATE 'SELECT 1 AS v';
--> v INT64
--> 1

DECLARE name STRING DEFAULT 't';
EXECUTE IMMEDIATE FORMAT('SELECT COUNT(*) AS n FROM script_flow.%s', name);
--> n INT64
--> 3

DECLARE y INT64;
EXECUTE IMMEDIATE 'SELECT ? * ? + @@row_count' USING 2, 3;
--> f0_ INT64
--> NULL

DECLARE y INT64;
EXECUTE IMMEDIATE 'SELECT ? * ?' INTO y USING 2, 3;
SELECT y;
--> y INT64
--> 6

DECLARE a, b INT64;
EXECUTE IMMEDIATE 'SELECT @p + 1, @q' INTO a, b USING 5 AS q, 6 AS p;
SELECT a, b;
--> a INT64 | b INT64
--> 7 | 5

DECLARE y INT64 DEFAULT 7;
EXECUTE IMMEDIATE 'SELECT x FROM script_flow.t WHERE x > 100' INTO y;
SELECT y;
--> y INT64
--> NULL

DECLARE y INT64;
EXECUTE IMMEDIATE 'SELECT x FROM script_flow.t' INTO y;
--> error: Query error: DynamicSQL may only return 0 or 1 rows with INTO clause at [1:1]

DECLARE y INT64;
EXECUTE IMMEDIATE 'SELECT 1, 2' INTO y;
--> error: Query error: Variables returned by Dynamic SQL do not match number of variables in INTO clause, expected 1 columns, but got 2 at [1:1]

DECLARE y INT64;
EXECUTE IMMEDIATE 'SELECT "a"' INTO y;
--> error: Query error: Value returned by Dynamic SQL has type STRING which is not assignable to variable y of type INT64 at [1:1]

DECLARE y INT64;
EXECUTE IMMEDIATE 'CREATE TEMP TABLE q AS SELECT 1 AS z' INTO y;
--> error: Query error: EXECUTE IMMEDIATE with INTO clause must use a query statement at [1:1]

EXECUTE IMMEDIATE 'CREATE TEMP TABLE q AS SELECT 4 AS z';
SELECT z FROM q;
--> z INT64
--> 4

EXECUTE IMMEDIATE 'SELECT 1; SELECT 2';
--> error: Query error: EXECUTE IMMEDIATE sql string must contain exactly one statement at [1:19]

EXECUTE IMMEDIATE '';
--> error: Query error: Empty EXECUTE IMMEDIATE sql string cannot be executed at [1:19]

EXECUTE IMMEDIATE NULL;
--> error: Query error: EXECUTE IMMEDIATE sql string cannot be NULL at [1:19]

EXECUTE IMMEDIATE 'SELEC 1';
--> error: Query error: Invalid EXECUTE IMMEDIATE sql string `SELEC 1`, Syntax error: Unexpected identifier "SELEC" at [1:1] at [1:19]

EXECUTE IMMEDIATE 5;
--> error: Query error: Cannot coerce expression 5 to type STRING at [1:19]

EXECUTE IMMEDIATE 'SELECT ?';
--> error: Query error: Script has 1 positional parameters but only 0 were supplied at [1:19]

EXECUTE IMMEDIATE 'SELECT @a' USING 1 AS b;
--> error: Query error: Unknown named query parameter: a at [1:19]

EXECUTE IMMEDIATE 'SELECT @a' USING 1 AS a, 2 AS a;
--> error: Query error: EXECUTE IMMEDIATE USING parameters must have unique names, found duplicate name: a at [1:50]

EXECUTE IMMEDIATE 'DECLARE x INT64';
--> error: Query error: SQL created by EXECUTE IMMEDIATE contains unsupported statement type: VariableDeclaration at [1:19]

EXECUTE IMMEDIATE 'BEGIN SELECT 1; END';
--> error: Query error: SQL created by EXECUTE IMMEDIATE contains unsupported statement type: BeginEndBlock at [1:19]

EXECUTE IMMEDIATE 'EXECUTE IMMEDIATE "SELECT 8 AS v"';
--> error: Query error: SQL created by EXECUTE IMMEDIATE contains unsupported statement type: ExecuteImmediateStatement at [1:19]

DECLARE hidden INT64 DEFAULT 1;
EXECUTE IMMEDIATE 'SELECT hidden';
--> error: Query error: Unrecognized name: hidden at [1:8]

EXECUTE IMMEDIATE 'SELECT 1 / 0';
--> error: Query error: division by zero: 1 / 0 at [1:1]

EXECUTE IMMEDIATE CONCAT('SELECT ', (SELECT STRING_AGG(name ORDER BY x) FROM d.t), ' FROM (SELECT 1 AS n1, 2 AS n2, 3 AS n3)');
--> n1 INT64 | n2 INT64 | n3 INT64
--> 1 | 2 | 3

-- errors tell where

SELECT 1;
SELECT 1 / 0;
--> error: Query error: division by zero: 1 / 0 at [2:1]

SELECT 1;
  SELEC 2;
--> error: Syntax error: Unexpected identifier "SELEC" at [2:3]

SELECT 1;
SELECT nope FROM d.t;
--> error: Query error: Unrecognized name: nope at [2:8]

SELECT 1;
SELECT * FROM d.nothing;
--> error: Query error: Not found: Table test-project:script_flow.nothing was not found in location US at [2:1]

BEGIN
  DECLARE x INT64 DEFAULT 1;
  SET x = x + NOPE(x);
END;
--> error: Query error: Function not found: NOPE at [3:15]

SELECT 'unfinished;
--> error: Syntax error: Unclosed string literal at [1:8]

SELECT 1 /* unfinished
--> error: Syntax error: Unclosed comment at [1:10]

SELECT 1 AS v; -- a comment at the end
--> v INT64
--> 1
