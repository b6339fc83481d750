-- https://cloud.google.com/bigquery/docs/reference/standard-sql/debugging_functions and security_functions

SELECT IFERROR('a', 'b') AS a, IFERROR(1 / 0, -1) AS b, IFERROR(CAST('x' AS INT64), 7) AS c, IFERROR(NULL, 1) AS d;
--> a STRING | b FLOAT64 | c INT64 | d INT64
--> "a" | -1.0 | 7 | NULL

SELECT IFERROR(ERROR('no'), ERROR('yes'));
--> error: yes

SELECT ISERROR('a') AS a, ISERROR(ERROR('a')) AS b, ISERROR(PARSE_DATE('%Y', 'x')) AS c, ISERROR(NULL) AS d;
--> a BOOL | b BOOL | c BOOL | d BOOL
--> false | true | true | false

SELECT NULLIFERROR('a') AS a, NULLIFERROR(ERROR('a')) AS b, NULLIFERROR(10 / x) AS c FROM UNNEST([0, 5]) AS x;
--> a STRING | b INT64 | c FLOAT64
--> "a" | NULL | NULL
--> "a" | NULL | 2.0

SELECT x, IFERROR(CAST(x AS INT64), 0) AS n, ISERROR(CAST(x AS INT64)) AS e FROM UNNEST(['1', 'a', NULL]) AS x;
--> x STRING | n INT64 | e BOOL
--> "1" | 1 | false
--> "a" | 0 | true
--> NULL | NULL | false

SELECT SUM(IFERROR(CAST(x AS INT64), 0)) AS n FROM UNNEST(['1', 'a', '2']) AS x;
--> n INT64
--> 3

SELECT SESSION_USER() AS a, COUNT(*) AS b FROM UNNEST([1]) AS x WHERE SESSION_USER() LIKE '%@%';
--> a STRING | b INT64
--> "tule@test-project.iam.gserviceaccount.com" | 1

SELECT IFERROR(1, 'a');
--> error: No matching signature for function IFERROR for argument types: INT64, STRING. Supported signature: IFERROR(T, T) at [1:8]

