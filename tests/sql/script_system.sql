-- https://cloud.google.com/bigquery/docs/reference/system-variables

-- setup
CREATE TABLE d.t (x INT64);

SELECT @@project_id AS p, @@dataset_id AS d, @@dataset_project_id AS dp;
--> p STRING | d STRING | dp STRING
--> "test-project" | NULL | NULL

SET @@dataset_id = 'script_system';
INSERT INTO t VALUES (1);
SELECT @@row_count AS n, (SELECT COUNT(*) FROM t) AS m;
--> n INT64 | m INT64
--> 1 | 1

SET @@dataset_project_id = 'test-project';
SET @@dataset_id = 'script_system';
CREATE OR REPLACE TABLE made AS SELECT 1 AS v;
SELECT v FROM d.made;
--> v INT64
--> 1

INSERT INTO d.t SELECT * FROM UNNEST([5, 6, 7]);
SELECT @@row_count AS n;
--> n INT64
--> 3

UPDATE d.t SET x = 8 WHERE x = 6;
SELECT @@row_count AS n;
--> n INT64
--> 1

DELETE FROM d.t WHERE TRUE;
SELECT @@row_count > 0 AS some;
--> some BOOL
--> true

SELECT @@row_count IS NULL AS none;
--> none BOOL
--> true

SELECT @@time_zone AS z;
--> z STRING
--> "UTC"

SET @@time_zone = 'UTC';
SELECT @@time_zone AS z;
--> z STRING
--> "UTC"

SET @@time_zone = 'Nowhere/Land';
--> error: Query error: SET @@time_zone = 'Nowhere/Land' is not executed by Tule. Next: give the time zone to the functions that take one at [1:19]

SET @@time_zone = 'Asia/Tokyo';
--> error: Query error: SET @@time_zone = 'Asia/Tokyo' is not executed by Tule. Next: give the time zone to the functions that take one at [1:19]

SELECT 1; SELECT 2;
SELECT @@script.num_child_jobs AS n;
--> n INT64
--> 3

SELECT 1;
SELECT @@last_job_id != @@script.job_id AS differ;
--> differ BOOL
--> true

SET @@query_label = 'team:one,cost:low';
SELECT @@query_label AS l;
--> l STRING
--> "team:one,cost:low"

SET @@query_label = 'Not A Label';
--> error: Query error: Invalid query label: 'Not A Label'; labels are written key:value,key:value at [1:21]

SET @@query_label = '';
SELECT @@query_label AS l;
--> l STRING
--> NULL

SELECT @@session_id IS NULL AS none;
--> none BOOL
--> true

SELECT @@location AS l;
--> l STRING
--> "US"

SET @@location = 'EU';
--> error: Query error: @@location must be the location that the job runs in, US; given: 'EU' at [1:18]

SELECT @@nothing;
--> error: Unrecognized name: @@nothing at [1:8]

SET @@nothing = 1;
--> error: Query error: Unrecognized name: @@nothing at [1:1]

SET @@project_id = 'x';
--> error: Query error: Cannot assign to read-only system variable: @@project_id at [1:1]

SET @@row_count = 1;
--> error: Query error: Cannot assign to read-only system variable: @@row_count at [1:1]

SET @@dataset_id = 5;
--> error: Query error: Cannot coerce expression 5 to type STRING at [1:20]

SELECT @@error.message IS NULL AS m, @@error.stack_trace IS NULL AS s, @@error.statement_text IS NULL AS t;
--> m BOOL | s BOOL | t BOOL
--> true | true | true

BEGIN
  SELECT 1 / 0;
EXCEPTION WHEN ERROR THEN
  SELECT (SELECT AS STRUCT f.line, f.column, f.location, f.filename FROM UNNEST(@@error.stack_trace) AS f).line AS line;
END;
--> line INT64
--> 2

SELECT @@script.nothing;
--> error: Unrecognized name: @@script.nothing at [1:8]

-- one statement alone

SELECT @@project_id AS p;
--> p STRING
--> "test-project"

SELECT @@error.message AS m;
--> m STRING
--> NULL

SET @@dataset_id = 'script_system';
--> rows: 0

-- temporary tables

CREATE TEMP TABLE a AS SELECT 1 AS x;
CREATE TEMPORARY TABLE b (y STRING);
INSERT INTO b VALUES ('q');
SELECT x, y FROM a, b;
--> x INT64 | y STRING
--> 1 | "q"

CREATE TEMP TABLE a AS SELECT 1 AS x;
CREATE OR REPLACE TEMP TABLE a AS SELECT 2 AS x;
SELECT x FROM _SESSION.a;
--> x INT64
--> 2

CREATE TEMP TABLE a AS SELECT 1 AS x;
CREATE TEMP TABLE IF NOT EXISTS a AS SELECT 2 AS x;
SELECT x FROM a;
--> x INT64
--> 1

CREATE TEMP TABLE a AS SELECT 1 AS x;
DROP TABLE a;
SELECT x FROM a;
--> error: Query error: Table "a" must be qualified with a dataset (e.g. dataset.table). at [3:1]

CREATE TEMP TABLE a AS SELECT 1 AS x;
DROP TABLE _SESSION.a;
SELECT 'dropped' AS v;
--> v STRING
--> "dropped"

CREATE TEMP TABLE a AS SELECT 1 AS x;
ALTER TABLE a ADD COLUMN y INT64;
UPDATE a SET y = 5 WHERE TRUE;
SELECT * FROM a;
--> x INT64 | y INT64
--> 1 | 5

CREATE TEMP TABLE t AS SELECT 'temporary wins' AS x;
SET @@dataset_id = 'script_system';
SELECT x FROM t;
--> x STRING
--> "temporary wins"

CREATE TEMP TABLE d.a AS SELECT 1 AS x;
--> error: Use of CREATE TEMPORARY TABLE requires a script or session

CREATE TEMP TABLE a AS SELECT 1 AS x;
SELECT x FROM d.a;
--> error: Query error: Not found: Table test-project:script_system.a was not found in location US at [2:1]

CREATE TEMP TABLE a (x INT64);
BEGIN
  INSERT INTO a VALUES (1), (2);
  MERGE a USING (SELECT 2 AS x) AS s ON a.x = s.x WHEN MATCHED THEN DELETE;
END;
SELECT x FROM a;
--> x INT64
--> 1

SELECT * FROM _SESSION.a;
--> error: Not found: Table test-project:_SESSION.a was not found in location US

CREATE TEMP VIEW v AS SELECT 1 AS x;
SELECT x FROM v;
--> error: Query error: Tule does not make temporary views. Next: use a dataset's at [1:1]

-- one alone is one statement

CREATE TEMP TABLE alone AS SELECT 1 AS x;
--> error: Use of CREATE TEMPORARY TABLE requires a script or session

SET @@dataset_project_id = 'elsewhere';
SELECT * FROM d.t;
--> error: Query error: Not found: Dataset elsewhere:script_system was not found in location US at [2:1]

SET @@dataset_id = 'script_system';
SET @@dataset_project_id = 'elsewhere';
SELECT @@dataset_project_id AS p, @@dataset_id AS d;
--> p STRING | d STRING
--> "elsewhere" | "script_system"

SELECT 1;
SELECT @@current_job_id != @@script.job_id AS differ;
--> differ BOOL
--> true
