-- Parameters of types, default values and what a column asks of its values.
-- https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types#parameterized_data_types
-- https://cloud.google.com/bigquery/docs/default-values

CREATE TABLE d.p (s STRING(3), b BYTES(2), n NUMERIC(5, 2), x INT64 DEFAULT 7, t STRING NOT NULL DEFAULT 'q', u STRING DEFAULT GENERATE_UUID(), a ARRAY<INT64>,
                  z STRUCT<y STRING(1), w INT64 NOT NULL>);
--> rows: 0

INSERT INTO d.p (s, b, n) VALUES ('abc', b'ab', 1.239), ('éüö', NULL, -1.235);
--> rows: 2

INSERT INTO d.p VALUES ('a', b'ab', 1.2, DEFAULT, 'w', DEFAULT, NULL, STRUCT('1', 2));
--> rows: 1

INSERT INTO d.p (s) SELECT 'zz';
--> rows: 1

INSERT INTO d.p (s) VALUES ('abcd');
--> error: Field s: STRING(3) has maximum length 3 but got a value with length 4

INSERT INTO d.p (b) VALUES (b'abc');
--> error: Field b: BYTES(2) has maximum length 2 but got a value with length 3

INSERT INTO d.p (n) VALUES (1234.5);
--> error: NUMERIC(5, 2) has precision 5 and scale 2 but got a value that is not in range of [-999.99, 999.99]

INSERT INTO d.p (a) VALUES ([1, NULL]);
--> error: Array cannot have a null element; error in writing field a

INSERT INTO d.p (t) VALUES (NULL);
--> error: Required field t cannot be null

INSERT INTO d.p (z) VALUES (STRUCT('12', 2));
--> error: Field z.y: STRING(1) has maximum length 1 but got a value with length 2

INSERT INTO d.p (z) VALUES (STRUCT('1', NULL));
--> error: Required field z.w cannot be null

INSERT INTO d.p (s) SELECT 'abcd';
--> error: Field s: STRING(3) has maximum length 3 but got a value with length 4

UPDATE d.p SET x = DEFAULT, s = 'q' WHERE s = 'zz';
--> rows: 1

UPDATE d.p SET s = 'abcd' WHERE TRUE;
--> error: Field s: STRING(3) has maximum length 3 but got a value with length 4

UPDATE d.p SET a = [1, NULL] WHERE TRUE;
--> error: Array cannot have a null element; error in writing field a

MERGE d.p USING (SELECT 'm' AS s) AS q ON FALSE WHEN NOT MATCHED THEN INSERT (s, x) VALUES (q.s, DEFAULT);
--> rows: 1

MERGE d.p USING (SELECT 'mmmm' AS s) AS q ON FALSE WHEN NOT MATCHED THEN INSERT (s) VALUES (q.s);
--> error: Field s: STRING(3) has maximum length 3 but got a value with length 4

SELECT s, b, n, x, t, LENGTH(u), a, a IS NULL, z FROM d.p ORDER BY s, n;
--> s STRING | b BYTES | n NUMERIC | x INT64 | t STRING | f0_ INT64 | a ARRAY<INT64> | f1_ BOOL | z STRUCT<y STRING, w INT64>
--> "a" | b"ab" | 1.2 | 7 | "w" | 36 | [] | false | {y: "1", w: 2}
--> "abc" | b"ab" | 1.24 | 7 | "q" | 36 | [] | false | NULL
--> "m" | NULL | NULL | 7 | "q" | 36 | [] | false | NULL
--> "q" | NULL | NULL | 7 | "q" | 36 | [] | false | NULL
--> "éüö" | NULL | -1.24 | 7 | "q" | 36 | [] | false | NULL

SELECT column_name, data_type, column_default, is_nullable FROM d.information_schema.columns WHERE table_name = 'p' ORDER BY ordinal_position;
--> column_name STRING | data_type STRING | column_default STRING | is_nullable STRING
--> "s" | "STRING(3)" | "NULL" | "YES"
--> "b" | "BYTES(2)" | "NULL" | "YES"
--> "n" | "NUMERIC(5, 2)" | "NULL" | "YES"
--> "x" | "INT64" | "7" | "YES"
--> "t" | "STRING" | "'q'" | "NO"
--> "u" | "STRING" | "GENERATE_UUID()" | "YES"
--> "a" | "ARRAY<INT64>" | "NULL" | "YES"
--> "z" | "STRUCT<y STRING(1), w INT64>" | "NULL" | "YES"

CREATE TABLE d.like_p LIKE d.p;
--> rows: 0

INSERT INTO d.like_p (s) VALUES ('abcd');
--> error: Field s: STRING(3) has maximum length 3 but got a value with length 4

INSERT INTO d.like_p (s) VALUES ('abc');
--> rows: 1

SELECT s, x, t FROM d.like_p;
--> s STRING | x INT64 | t STRING
--> "abc" | 7 | "q"

CREATE TABLE d.plain AS SELECT s, n FROM d.p WHERE s = 'abc';
--> rows: 0

INSERT INTO d.plain VALUES ('abcdefg', 123456);
--> rows: 1

CREATE TABLE d.bad (x INT64 DEFAULT 'a');
--> error: Invalid default value expression for column x: Value has type STRING which cannot be inserted into column x, which has type INT64

CREATE TABLE d.bad (x INT64 DEFAULT y);
--> error: Invalid default value expression: y: it must not name columns: y

CREATE TABLE d.bad (x INT64 DEFAULT (SELECT 1));
--> error: Invalid default value expression: (SELECT 1): it must be a constant or a function of constants

CREATE TABLE d.bad (x STRUCT<y INT64 DEFAULT 1>);
--> error: Default value is not allowed for nested fields. Field: x.y

CREATE TABLE d.bad (x INT64(5));
--> error: Tule has no type INT64(5); given: column x. Next: leave the parameters out

CREATE TABLE d.bad (x NUMERIC(40, 2));
--> error: In NUMERIC(P, 2), P must be between 2 and 31; given: 40; field: x

CREATE TABLE d.bad (x BIGNUMERIC(80, 2));
--> error: In BIGNUMERIC(P, 2), P must be between 2 and 40; given: 80; field: x

CREATE TABLE d.bad (x TIMESTAMP(12));
--> error: Tule has no type TIMESTAMP(12); given: column x. Next: leave the parameters out

CREATE TABLE d.bad (x ARRAY<STRING(3)>);
--> error: Tule has no parameters of types inside of an ARRAY; given: column x. Next: leave them out

CREATE TABLE d.bad (x NUMERIC OPTIONS (rounding_mode = 'ROUND_HALF_EVEN'));
--> error: Tule does not do rounding_mode ROUND_HALF_EVEN of a column; given: x. Next: leave it out

CREATE TABLE d.bad (x ARRAY<ARRAY<INT64>>);
--> error: Cannot construct an array of arrays

CREATE TABLE d.moments (x STRING COLLATE '', y DATE DEFAULT CURRENT_DATE(), z TIMESTAMP DEFAULT CURRENT_TIMESTAMP, e NUMERIC DEFAULT 1.5, f ARRAY<INT64> DEFAULT [1, 2]);
--> rows: 0

INSERT INTO d.moments (x) VALUES ('a');
--> rows: 1

INSERT INTO d.moments (x, f) SELECT 'b', NULL;
--> rows: 1

SELECT * FROM d.moments ORDER BY x;
--> x STRING | y DATE | z TIMESTAMP | e NUMERIC | f ARRAY<INT64>
--> "a" | 2026-11-24 | 2026-11-24 12:30:15.123456+00 | 1.5 | [1, 2]
--> "b" | 2026-11-24 | 2026-11-24 12:30:15.123456+00 | 1.5 | []

ALTER TABLE d.moments ALTER COLUMN e SET DEFAULT 2.5;
--> rows: 0

ALTER TABLE d.moments ALTER COLUMN y DROP DEFAULT;
--> rows: 0

ALTER TABLE d.moments ALTER COLUMN e SET DEFAULT 'x';
--> error: Invalid default value expression for column e: Value has type STRING which cannot be inserted into column e, which has type NUMERIC

ALTER TABLE d.moments ALTER COLUMN nothing SET DEFAULT 1;
--> error: Column not found: nothing

INSERT INTO d.moments (x) VALUES ('c');
--> rows: 1

SELECT x, y, e FROM d.moments WHERE x = 'c';
--> x STRING | y DATE | e NUMERIC
--> "c" | NULL | 2.5

ALTER TABLE d.moments ADD COLUMN g STRING(2);
--> rows: 0

ALTER TABLE d.moments ADD COLUMN h INT64 DEFAULT 1;
--> error: Adding a column with a default value to an existing table is not supported (column: h): add it without, then ALTER COLUMN SET DEFAULT

INSERT INTO d.moments (g) VALUES ('abc');
--> error: Field g: STRING(2) has maximum length 2 but got a value with length 3

SELECT CAST('abcd' AS STRING(3));
--> error: maximum length 3 required for 'abcd'

SELECT CAST('abc' AS STRING(3)), CAST(123.456 AS NUMERIC(5, 2)), CAST(b'ab' AS BYTES(2));
--> f0_ STRING | f1_ NUMERIC | f2_ BYTES
--> "abc" | 123.46 | b"ab"

SELECT CAST(1234.5 AS NUMERIC(5, 2));
--> error: NUMERIC(5, 2) has precision 5 and scale 2 but got a value that is not in range of [-999.99, 999.99]
