-- https://cloud.google.com/bigquery/docs/change-history; what happens over time is in tests/bigquery/test_change_history.py

CREATE TABLE d.t (x INT64);
--> rows: 0

INSERT d.t VALUES (1), (2);
--> rows: 2

INSERT d.t VALUES (3);
--> rows: 1

SELECT x, _CHANGE_TYPE AS what FROM APPENDS(TABLE d.t, NULL, NULL) ORDER BY x;
--> x INT64 | what STRING
--> 1 | "INSERT"
--> 2 | "INSERT"
--> 3 | "INSERT"

SELECT a.x, t.x AS y FROM APPENDS(TABLE d.t) AS a JOIN d.t USING (x) WHERE a.x > 2;
--> x INT64 | y INT64
--> 3 | 3

FROM CHANGES(TABLE d.t, NULL, NULL);
--> error: CHANGES must be of a table whose option enable_change_history is TRUE; given: test-project:change_history.t

SELECT * FROM EXTERNAL_QUERY('a.b.c');
--> error: No matching signature for table-valued function EXTERNAL_QUERY; it takes 2 or 3 arguments, given: 1
