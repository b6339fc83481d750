-- https://cloud.google.com/bigquery/docs/reference/standard-sql/array_functions

SELECT ARRAY(SELECT 1 UNION ALL SELECT 2 ORDER BY 1);
--> f0_ ARRAY<INT64>
--> [1, 2]

SELECT ARRAY(SELECT AS STRUCT 1 AS a, 'x' AS b);
--> f0_ ARRAY<STRUCT<a INT64, b STRING>>
--> [{a: 1, b: "x"}]

SELECT ARRAY(SELECT AS STRUCT x, x * 2 AS y FROM UNNEST([3, 1, 2]) AS x ORDER BY x DESC LIMIT 2);
--> f0_ ARRAY<STRUCT<x INT64, y INT64>>
--> [{x: 3, y: 6}, {x: 2, y: 4}]

SELECT ARRAY(SELECT x FROM UNNEST([1, 2]) AS x WHERE FALSE);
--> f0_ ARRAY<INT64>
--> []

SELECT ARRAY(SELECT 1, 2);
--> error: ARRAY subquery cannot have more than one column unless using SELECT AS STRUCT to build STRUCT values at [1:21]

SELECT ARRAY(SELECT [1]);
--> error: Cannot use array subquery with column of type ARRAY<INT64> because nested arrays are not supported at [1:22]

SELECT ARRAY_CONCAT([1, 2], [3, 4], [5, 6]);
--> f0_ ARRAY<INT64>
--> [1, 2, 3, 4, 5, 6]

SELECT ARRAY_CONCAT([1], [2.5]);
--> f0_ ARRAY<FLOAT64>
--> [1.0, 2.5]

SELECT ARRAY_CONCAT([1], NULL) IS NULL;
--> f0_ BOOL
--> true

SELECT ARRAY_FIRST(['a', 'b', 'c', 'd']);
--> f0_ STRING
--> "a"

SELECT ARRAY_LAST(['a', 'b', 'c', 'd']);
--> f0_ STRING
--> "d"

SELECT ARRAY_FIRST(ARRAY<INT64>[]);
--> error: ARRAY_FIRST cannot get the first element of an empty array

SELECT ARRAY_LENGTH(['a', NULL]);
--> f0_ INT64
--> 2

SELECT ARRAY_LENGTH(NULL);
--> f0_ INT64
--> NULL

SELECT ARRAY_LENGTH('a');
--> error: No matching signature for function ARRAY_LENGTH for argument types: STRING. Supported signature: ARRAY_LENGTH(ARRAY<?>) at [1:8]

SELECT ARRAY_REVERSE([1, 2, 3]);
--> f0_ ARRAY<INT64>
--> [3, 2, 1]

SELECT ARRAY_SLICE(['a', 'b', 'c', 'd', 'e'], 1, 3);
--> f0_ ARRAY<STRING>
--> ["b", "c", "d"]

SELECT ARRAY_SLICE(['a', 'b', 'c', 'd', 'e'], -1, 3);
--> f0_ ARRAY<STRING>
--> []

SELECT ARRAY_SLICE(['a', 'b', 'c', 'd', 'e'], 1, -3);
--> f0_ ARRAY<STRING>
--> ["b", "c"]

SELECT ARRAY_SLICE(['a', 'b', 'c', 'd', 'e'], -3, -2);
--> f0_ ARRAY<STRING>
--> ["c", "d"]

SELECT ARRAY_SLICE(['a', 'b', 'c', 'd', 'e'], 1, 30);
--> f0_ ARRAY<STRING>
--> ["b", "c", "d", "e"]

SELECT ARRAY_TO_STRING(['coffee', 'tea', 'milk'], '--');
--> f0_ STRING
--> "coffee--tea--milk"

SELECT ARRAY_TO_STRING(['cake', 'pie', NULL], '--');
--> f0_ STRING
--> "cake--pie"

SELECT ARRAY_TO_STRING(['cake', 'pie', NULL], '--', 'MISSING');
--> f0_ STRING
--> "cake--pie--MISSING"

SELECT ARRAY_TO_STRING(ARRAY<STRING>[], ',');
--> f0_ STRING
--> ""

SELECT GENERATE_ARRAY(1, 5);
--> f0_ ARRAY<INT64>
--> [1, 2, 3, 4, 5]

SELECT GENERATE_ARRAY(0, 10, 3);
--> f0_ ARRAY<INT64>
--> [0, 3, 6, 9]

SELECT GENERATE_ARRAY(10, 0, -3);
--> f0_ ARRAY<INT64>
--> [10, 7, 4, 1]

SELECT GENERATE_ARRAY(4, 4, 10);
--> f0_ ARRAY<INT64>
--> [4]

SELECT GENERATE_ARRAY(10, 0, 3);
--> f0_ ARRAY<INT64>
--> []

SELECT GENERATE_ARRAY(5, NULL, 1) IS NULL;
--> f0_ BOOL
--> true

SELECT GENERATE_ARRAY(1, 5, 0);
--> error: Sequence step cannot be 0.

SELECT GENERATE_ARRAY(0, 1, 0.25);
--> f0_ ARRAY<FLOAT64>
--> [0.0, 0.25, 0.5, 0.75, 1.0]

SELECT GENERATE_ARRAY(NUMERIC '0.1', NUMERIC '0.3', NUMERIC '0.1');
--> f0_ ARRAY<NUMERIC>
--> [0.1, 0.2, 0.3]

SELECT GENERATE_DATE_ARRAY('2016-10-05', '2016-10-08');
--> f0_ ARRAY<DATE>
--> [2016-10-05, 2016-10-06, 2016-10-07, 2016-10-08]

SELECT GENERATE_DATE_ARRAY('2016-10-05', '2016-10-09', INTERVAL 2 DAY);
--> f0_ ARRAY<DATE>
--> [2016-10-05, 2016-10-07, 2016-10-09]

SELECT GENERATE_DATE_ARRAY('2016-10-05', '2016-10-01', INTERVAL -3 DAY);
--> f0_ ARRAY<DATE>
--> [2016-10-05, 2016-10-02]

SELECT GENERATE_DATE_ARRAY('2016-01-01', '2016-04-30', INTERVAL 1 MONTH);
--> f0_ ARRAY<DATE>
--> [2016-01-01, 2016-02-01, 2016-03-01, 2016-04-01]

SELECT GENERATE_DATE_ARRAY('2016-10-05', '2016-10-01');
--> f0_ ARRAY<DATE>
--> []

SELECT GENERATE_TIMESTAMP_ARRAY('2016-10-05 00:00:00', '2016-10-07 00:00:00', INTERVAL 1 DAY);
--> f0_ ARRAY<TIMESTAMP>
--> [2016-10-05 00:00:00+00, 2016-10-06 00:00:00+00, 2016-10-07 00:00:00+00]

SELECT GENERATE_TIMESTAMP_ARRAY(TIMESTAMP '2016-10-05 00:00:00', TIMESTAMP '2016-10-05 00:00:02', INTERVAL 1 SECOND);
--> f0_ ARRAY<TIMESTAMP>
--> [2016-10-05 00:00:00+00, 2016-10-05 00:00:01+00, 2016-10-05 00:00:02+00]

SELECT GENERATE_TIMESTAMP_ARRAY('2016-10-05', '2016-10-07', INTERVAL 1 MONTH);
--> error: GENERATE_TIMESTAMP_ARRAY does not support the MONTH date part at [1:8]

SELECT TYPEOF([1.5]);
--> f0_ STRING
--> "ARRAY<FLOAT64>"

SELECT TYPEOF(STRUCT(1 AS a));
--> f0_ STRING
--> "STRUCT<a INT64>"

SELECT LENGTH(GENERATE_UUID());
--> f0_ INT64
--> 36

SELECT AI.GENERATE('x');
--> error: Function not supported in Tule: AI.GENERATE; given: it asks a large language model, and Tule serves none. Next: see docs/bigquery-sql.md for the functions it has

SELECT DLP_KEY_CHAIN('x');
--> error: Function not supported in Tule: DLP_KEY_CHAIN; given: there are no key services. Next: see docs/bigquery-sql.md for the functions it has
