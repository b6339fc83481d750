-- https://cloud.google.com/bigquery/docs/reference/standard-sql/collation-concepts

-- setup
CREATE TABLE d.t (id INT64, name STRING COLLATE 'und:ci', plain STRING);

-- setup
INSERT d.t VALUES (1, 'apple', 'apple'), (2, 'Apple', 'Apple'), (3, 'Zebra', 'Zebra'), (4, 'éclair', 'éclair'), (5, NULL, NULL);

-- setup
CREATE TABLE d.u (name STRING COLLATE 'und:ci', price INT64);

-- setup
INSERT d.u VALUES ('APPLE', 10), ('zebra', 20);

SELECT * FROM UNNEST([COLLATE('B', 'und:ci'), 'b', 'a']) AS character ORDER BY character;
--> character STRING
--> "a"
--> "B"
--> "b"

SELECT * FROM UNNEST(['B', 'b', 'a']) AS character ORDER BY character;
--> character STRING
--> "B"
--> "a"
--> "b"

SELECT COLLATE('a', 'und:ci') < COLLATE('Z', 'und:ci') AS x, 'a' < 'Z' AS y, COLLATE('a', 'und:ci') = 'A' AS z, COLLATE(COLLATE('a', 'und:ci'), '') = 'A' AS w;
--> x BOOL | y BOOL | z BOOL | w BOOL
--> true | false | true | false

-- Accents make a difference, what is ignored makes none
SELECT COLLATE('é', 'und:ci') = 'e' AS a, COLLATE('É', 'und:ci') = 'é' AS b, COLLATE('oran⁠ge', 'und:ci') = 'Orange' AS c, COLLATE('ẞ', 'und:ci') > 'SS' AS d, COLLATE('ẞ1', 'und:ci') < 'SS2' AS e;
--> a BOOL | b BOOL | c BOOL | d BOOL | e BOOL
--> false | true | true | true | true

SELECT COLLATE('a', 'de') AS x;
--> error: COLLATE has an invalid collation specification: 'de'; there are 'und:ci' and '' at [1:8]

SELECT id FROM d.t WHERE name = 'APPLE' ORDER BY id;
--> id INT64
--> 1
--> 2

SELECT id FROM d.t WHERE name IN ('APPLE', 'x') ORDER BY id;
--> id INT64
--> 1
--> 2

SELECT id FROM d.t WHERE 'APPLE' IN (name) ORDER BY id;
--> id INT64
--> 1
--> 2

SELECT id FROM d.t WHERE name IN (SELECT name FROM d.u WHERE price > 15);
--> id INT64
--> 3

SELECT id FROM d.t WHERE plain IN (SELECT name FROM d.u) ORDER BY id;
--> id INT64
--> 1
--> 2
--> 3

SELECT id FROM d.t WHERE name IN UNNEST(['ZEBRA']);
--> id INT64
--> 3

SELECT id FROM d.t WHERE name NOT IN UNNEST(['ZEBRA', plain]);
--> id INT64

SELECT id FROM d.t WHERE name BETWEEN 'APPLE' AND 'B' ORDER BY id;
--> id INT64
--> 1
--> 2

SELECT id FROM d.t WHERE name IS NOT DISTINCT FROM 'ZEBRA';
--> id INT64
--> 3

SELECT CASE name WHEN 'APPLE' THEN 'fruit' WHEN 'zebra' THEN 'animal' ELSE 'other' END AS kind, NULLIF(name, 'APPLE') AS rest FROM d.t ORDER BY id;
--> kind STRING | rest STRING
--> "fruit" | NULL
--> "fruit" | NULL
--> "animal" | "Zebra"
--> "other" | "éclair"
--> "other" | NULL

SELECT (name, 1) = ('APPLE', 1) AS a, STRUCT(name AS n) IN (STRUCT('ZEBRA')) AS b FROM d.t WHERE id IN (1, 3) ORDER BY id;
--> a BOOL | b BOOL
--> true | false
--> false | true

SELECT id, name LIKE 'A%' AS a, name LIKE 'APPLE' AS b, name NOT LIKE '%BRA' AS c, name LIKE ANY ('Z_BRA', 'x') AS d FROM d.t WHERE id < 5 ORDER BY id;
--> id INT64 | a BOOL | b BOOL | c BOOL | d BOOL
--> 1 | true | true | true | false
--> 2 | true | true | true | false
--> 3 | false | false | false | true
--> 4 | false | false | true | false

SELECT STARTS_WITH(name, 'AP') AS a, ENDS_WITH(name, 'LE') AS b, STRPOS(name, 'PL') AS c, INSTR(name, 'P', 1, 2) AS d, REPLACE(name, 'P', 'b') AS e, SPLIT(name, 'P') AS f FROM d.t WHERE id = 1;
--> a BOOL | b BOOL | c INT64 | d INT64 | e STRING | f ARRAY<STRING>
--> true | true | 3 | 3 | "abble" | ["a", "", "le"]

SELECT GREATEST(name, 'B') AS a, LEAST(name, 'B') AS b FROM d.t WHERE id IN (1, 5) ORDER BY id;
--> a STRING | b STRING
--> "B" | "apple"
--> NULL | NULL

-- Groups
SELECT LOWER(name) AS name, COUNT(*) AS n, SUM(id) AS s FROM d.t GROUP BY name ORDER BY name;
--> name STRING | n INT64 | s INT64
--> NULL | 1 | 5
--> "apple" | 2 | 3
--> "éclair" | 1 | 4
--> "zebra" | 1 | 3

SELECT LOWER(t.name) AS low, COUNT(*) AS n FROM d.t GROUP BY t.name HAVING name = 'APPLE';
--> low STRING | n INT64
--> "apple" | 2

SELECT UPPER(name), COUNT(*) AS n FROM d.t GROUP BY 1 ORDER BY 1 DESC;
--> f0_ STRING | n INT64
--> "ZEBRA" | 1
--> "ÉCLAIR" | 1
--> "APPLE" | 2
--> NULL | 1

SELECT CONCAT(name, '!') AS k, COUNT(*) AS n FROM d.t WHERE id < 4 GROUP BY k ORDER BY n DESC LIMIT 1 OFFSET 1;
--> k STRING | n INT64
--> "Zebra!" | 1

SELECT UPPER(name) AS name, GROUPING(name) AS g, COUNT(*) AS n FROM d.t WHERE id < 4 GROUP BY ROLLUP(name) ORDER BY g, n;
--> name STRING | g INT64 | n INT64
--> "ZEBRA" | 0 | 1
--> "APPLE" | 0 | 2
--> NULL | 1 | 3

SELECT UPPER(name) AS name, RANK() OVER (ORDER BY COUNT(*) DESC, name) AS r FROM d.t WHERE id < 4 GROUP BY name ORDER BY r;
--> name STRING | r INT64
--> "APPLE" | 1
--> "ZEBRA" | 2

SELECT ARRAY_AGG(id ORDER BY name, id) AS ids, COUNT(DISTINCT name) AS d, COUNT(DISTINCT plain) AS p, UPPER(MIN(name)) AS least, MAX(name) AS most FROM d.t;
--> ids ARRAY<INT64> | d INT64 | p INT64 | least STRING | most STRING
--> [5, 1, 2, 4, 3] | 3 | 4 | "APPLE" | "Zebra"

SELECT DISTINCT UPPER(name) AS u FROM d.t ORDER BY u;
--> u STRING
--> NULL
--> "APPLE"
--> "ÉCLAIR"
--> "ZEBRA"

SELECT COUNT(*) AS n FROM (SELECT DISTINCT name FROM d.t);
--> n INT64
--> 4

SELECT DISTINCT name, id > 1 AS later FROM d.t WHERE id < 4 ORDER BY name DESC, 2 LIMIT 2;
--> name STRING | later BOOL
--> "Zebra" | true
--> "apple" | false

SELECT DISTINCT name FROM d.t ORDER BY id;
--> error: ORDER BY clause expression references a column which is not visible after SELECT DISTINCT at [1:49]

-- Windows
SELECT id, COUNT(*) OVER (PARTITION BY name) AS n, FIRST_VALUE(id) OVER (ORDER BY name DESC, id) AS f FROM d.t ORDER BY id;
--> id INT64 | n INT64 | f INT64
--> 1 | 2 | 3
--> 2 | 2 | 3
--> 3 | 1 | 3
--> 4 | 1 | 3
--> 5 | 1 | 3

-- Joins
SELECT t.id, u.price FROM d.t JOIN d.u ON t.name = u.name ORDER BY id;
--> id INT64 | price INT64
--> 1 | 10
--> 2 | 10
--> 3 | 20

SELECT * FROM d.t JOIN d.u USING (name) ORDER BY id;
--> name STRING | id INT64 | plain STRING | price INT64
--> "apple" | 1 | "apple" | 10
--> "Apple" | 2 | "Apple" | 10
--> "Zebra" | 3 | "Zebra" | 20

SELECT name, price FROM d.u FULL JOIN (SELECT name FROM d.t WHERE id > 3) AS x USING (name) ORDER BY name;
--> name STRING | price INT64
--> NULL | NULL
--> "APPLE" | 10
--> "éclair" | NULL
--> "zebra" | 20

SELECT name, u.price FROM d.u RIGHT JOIN d.t USING (name) WHERE name = 'APPLE' ORDER BY t.id;
--> name STRING | price INT64
--> "apple" | 10
--> "Apple" | 10

-- Set operations
SELECT COUNT(*) AS n FROM (SELECT name FROM d.t UNION DISTINCT SELECT name FROM d.u);
--> n INT64
--> 4

SELECT name, 1 AS part FROM d.t WHERE id = 1 UNION ALL SELECT name, 2 FROM d.u ORDER BY name DESC, part;
--> name STRING | part INT64
--> "zebra" | 2
--> "apple" | 1
--> "APPLE" | 2

SELECT UPPER(name) AS n FROM d.t INTERSECT DISTINCT SELECT name FROM d.u ORDER BY n;
--> n STRING
--> "APPLE"
--> "ZEBRA"

SELECT name FROM d.t EXCEPT DISTINCT SELECT name FROM d.u ORDER BY 1;
--> name STRING
--> NULL
--> "éclair"

-- What takes no collation
SELECT REGEXP_CONTAINS(name, 'a') FROM d.t;
--> error: Collation is not allowed on argument 1 ("und:ci") at [1:8]

SELECT MAX_BY(id, name) FROM d.t;
--> error: Collation is not allowed on argument 2 ("und:ci") at [1:8]

SELECT ARRAY_AGG(DISTINCT name) FROM d.t;
--> error: Tule does not do ARRAY_AGG(DISTINCT ...) of texts with a collation. Next: group by the text first

SELECT STRUCT(name) AS s, COUNT(*) FROM d.t GROUP BY s;
--> error: Tule does not compare, group or order values of type STRUCT<name STRING> whose texts have a collation. Next: take the text out of it, or COLLATE(text, '')

-- What keeps and what loses it
SELECT CONCAT('x', name) = 'XAPPLE' AS a, CAST(name AS STRING) = 'APPLE' AS b, (SELECT n FROM UNNEST([name]) AS n) = 'APPLE' AS c, [name][OFFSET(0)] = 'APPLE' AS d, STRUCT(name AS n).n = 'APPLE' AS e, TO_JSON_STRING(name) = '"APPLE"' AS f, IF(TRUE, name, 'x') = 'APPLE' AS g, name || '' = 'APPLE' AS h FROM d.t WHERE id = 1;
--> a BOOL | b BOOL | c BOOL | d BOOL | e BOOL | f BOOL | g BOOL | h BOOL
--> true | false | true | true | true | false | true | true

-- Columns of tables
CREATE TABLE d.v AS SELECT name, plain, [name] AS names, STRUCT(name AS n, id AS i) AS s FROM d.t WHERE id < 5;
--> rows: 0

SELECT column_name, collation_name FROM collations.INFORMATION_SCHEMA.COLUMNS WHERE table_name = 'v' ORDER BY ordinal_position;
--> column_name STRING | collation_name STRING
--> "name" | "und:ci"
--> "plain" | "NULL"
--> "names" | "und:ci"
--> "s" | "NULL"

SELECT field_path, collation_name FROM collations.INFORMATION_SCHEMA.COLUMN_FIELD_PATHS WHERE table_name = 'v' AND field_path LIKE 's%' ORDER BY 1;
--> field_path STRING | collation_name STRING
--> "s" | "NULL"
--> "s.i" | "NULL"
--> "s.n" | "und:ci"

SELECT COUNT(*) AS n FROM d.v WHERE s.n = 'APPLE' AND 'APPLE' IN UNNEST(names);
--> n INT64
--> 2

CREATE TABLE d.w (a STRING, b STRING COLLATE '', c INT64, s STRUCT<x STRING, y STRING COLLATE ''>) DEFAULT COLLATE 'und:ci';
--> rows: 0

ALTER TABLE d.w ADD COLUMN e STRING, ADD COLUMN f STRING COLLATE '';
--> rows: 0

ALTER TABLE d.w SET DEFAULT COLLATE '';
--> rows: 0

ALTER TABLE d.w ADD COLUMN g STRING;
--> rows: 0

SELECT field_path, collation_name FROM collations.INFORMATION_SCHEMA.COLUMN_FIELD_PATHS WHERE table_name = 'w' AND data_type = 'STRING' ORDER BY 1;
--> field_path STRING | collation_name STRING
--> "a" | "und:ci"
--> "b" | "NULL"
--> "e" | "und:ci"
--> "f" | "NULL"
--> "g" | "NULL"
--> "s.x" | "und:ci"
--> "s.y" | "NULL"

CREATE SCHEMA coll DEFAULT COLLATE 'und:ci';
--> rows: 0

CREATE TABLE coll.t (a STRING, b STRING COLLATE '');
--> rows: 0

CREATE TABLE coll.u (a STRING) DEFAULT COLLATE '';
--> rows: 0

ALTER SCHEMA coll SET DEFAULT COLLATE '';
--> rows: 0

CREATE TABLE coll.v (a STRING);
--> rows: 0

SELECT table_name, column_name, collation_name FROM coll.INFORMATION_SCHEMA.COLUMNS ORDER BY 1, 2;
--> table_name STRING | column_name STRING | collation_name STRING
--> "t" | "a" | "und:ci"
--> "t" | "b" | "NULL"
--> "u" | "a" | "NULL"
--> "v" | "a" | "NULL"

SELECT table_name, default_collation_name FROM coll.INFORMATION_SCHEMA.TABLES ORDER BY 1;
--> table_name STRING | default_collation_name STRING
--> "t" | "und:ci"
--> "u" | "NULL"
--> "v" | "NULL"

CREATE TABLE d.bad (x STRING COLLATE 'de');
--> error: The collation of field x must be 'und:ci' or ''; given: 'de'

CREATE TABLE d.bad (x INT64 COLLATE 'und:ci');
--> error: collation belongs to fields of type STRING; field x is INTEGER

CREATE TABLE d.bad (x STRING COLLATE 'und:ci') CLUSTER BY x;
--> error: A column with a collation cannot be clustered by. Invalid field: x.

ALTER TABLE d.t ALTER COLUMN plain SET DATA TYPE STRING COLLATE 'und:ci';
--> error: ALTER TABLE ALTER COLUMN SET DATA TYPE must not change the collation of column plain

UPDATE d.u SET price = 11 WHERE name = 'apple';
--> rows: 1

MERGE d.u USING (SELECT 'ZEBRA' AS name, 5 AS price) AS s ON u.name = s.name WHEN MATCHED THEN UPDATE SET price = s.price WHEN NOT MATCHED THEN INSERT ROW;
--> rows: 1

SELECT * FROM d.u ORDER BY name;
--> name STRING | price INT64
--> "APPLE" | 11
--> "zebra" | 5
