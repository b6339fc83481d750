-- setup
CREATE TABLE d.s AS SELECT * FROM UNNEST(ARRAY<STRUCT<device_id INT64, time DATETIME, signal INT64, state STRING>>[
  (1, '2023-11-01 09:34:01', 74, 'INACTIVE'), (2, '2023-11-01 09:36:00', 77, 'ACTIVE'),
  (3, '2023-11-01 09:37:00', 78, 'ACTIVE'), (4, '2023-11-01 09:38:01', 80, 'ACTIVE')]);

-- setup
CREATE TABLE d.n AS SELECT * REPLACE(IF(device_id = 3, NULL, signal) AS signal) FROM d.s;

-- setup
CREATE TABLE d.r AS SELECT * FROM UNNEST(ARRAY<STRUCT<emp_id INT64, dept_id INT64, duration RANGE<DATE>>>[
  (10, 1000, RANGE(DATE '2010-01-10', DATE '2010-03-10')), (10, 2000, RANGE(DATE '2010-03-10', DATE '2010-07-15')),
  (10, 2000, RANGE(DATE '2010-06-15', DATE '2010-08-18')), (20, 2000, RANGE(DATE '2010-03-10', DATE '2010-07-20')),
  (20, 1000, RANGE(DATE '2020-05-10', NULL)), (20, 1000, RANGE(DATE '2021-05-10', DATE '2021-06-01'))]);

SELECT * FROM GAP_FILL(TABLE d.s, ts_column => 'time', bucket_width => INTERVAL 1 MINUTE, value_columns => [('signal', 'locf')])
ORDER BY time;
--> time DATETIME | signal INT64
--> 2023-11-01T09:35:00 | 74
--> 2023-11-01T09:36:00 | 77
--> 2023-11-01T09:37:00 | 78
--> 2023-11-01T09:38:00 | 78

SELECT * FROM GAP_FILL(TABLE d.s, 'time', INTERVAL 1 MINUTE, value_columns => [('signal', 'linear'), ('state', 'locf')])
ORDER BY time;
--> time DATETIME | signal INT64 | state STRING
--> 2023-11-01T09:35:00 | 75 | "INACTIVE"
--> 2023-11-01T09:36:00 | 77 | "ACTIVE"
--> 2023-11-01T09:37:00 | 78 | "ACTIVE"
--> 2023-11-01T09:38:00 | 80 | "ACTIVE"

SELECT * FROM GAP_FILL(TABLE d.s, ts_column => 'time', bucket_width => INTERVAL 1 MINUTE) ORDER BY time;
--> time DATETIME | device_id INT64 | signal INT64 | state STRING
--> 2023-11-01T09:35:00 | NULL | NULL | NULL
--> 2023-11-01T09:36:00 | 2 | 77 | "ACTIVE"
--> 2023-11-01T09:37:00 | 3 | 78 | "ACTIVE"
--> 2023-11-01T09:38:00 | NULL | NULL | NULL

SELECT * FROM GAP_FILL((SELECT * FROM d.n), ts_column => 'time', bucket_width => INTERVAL 1 MINUTE,
  value_columns => [('signal', 'linear')]) AS g ORDER BY g.time;
--> time DATETIME | signal INT64
--> 2023-11-01T09:35:00 | 75
--> 2023-11-01T09:36:00 | 77
--> 2023-11-01T09:37:00 | 78
--> 2023-11-01T09:38:00 | 80

SELECT * FROM GAP_FILL(TABLE d.n, ts_column => 'time', bucket_width => INTERVAL 1 MINUTE, value_columns => [('signal', 'linear')],
  ignore_null_values => FALSE) ORDER BY time;
--> time DATETIME | signal INT64
--> 2023-11-01T09:35:00 | 75
--> 2023-11-01T09:36:00 | 77
--> 2023-11-01T09:37:00 | NULL
--> 2023-11-01T09:38:00 | NULL

SELECT * FROM GAP_FILL(TABLE d.s, ts_column => 'time', bucket_width => INTERVAL 1 MINUTE, value_columns => [('signal', 'null')],
  origin => DATETIME '2023-11-01 09:30:01') ORDER BY time;
--> time DATETIME | signal INT64
--> 2023-11-01T09:34:01 | 74
--> 2023-11-01T09:35:01 | NULL
--> 2023-11-01T09:36:01 | NULL
--> 2023-11-01T09:37:01 | NULL
--> 2023-11-01T09:38:01 | 80

WITH t AS (SELECT x AS k, d, v FROM UNNEST([1, 2]) AS x, UNNEST([STRUCT(DATE '2024-01-01' AS d, 1.0 AS v), (DATE '2024-01-03', 2.0)]))
SELECT * FROM GAP_FILL(TABLE t, ts_column => 'd', bucket_width => INTERVAL 1 DAY, partitioning_columns => ['k'],
  value_columns => [('v', 'linear')]) ORDER BY k, d;
--> d DATE | k INT64 | v FLOAT64
--> 2024-01-01 | 1 | 1.0
--> 2024-01-02 | 1 | 1.5
--> 2024-01-03 | 1 | 2.0
--> 2024-01-01 | 2 | 1.0
--> 2024-01-02 | 2 | 1.5
--> 2024-01-03 | 2 | 2.0

SELECT * FROM GAP_FILL(TABLE d.s, ts_column => 'time', bucket_width => INTERVAL 1 MINUTE, value_columns => [('state', 'linear')]);
--> error: The method linear of GAP_FILL takes INT64, NUMERIC or FLOAT64; state is of STRING at [1:15]

SELECT * FROM GAP_FILL(TABLE d.s, ts_column => 'state', bucket_width => INTERVAL 1 MINUTE);
--> error: ts_column of GAP_FILL must be of type DATE, DATETIME or TIMESTAMP; state is of STRING at [1:15]

SELECT * FROM GAP_FILL(TABLE d.s, ts_column => 'time', bucket_width => INTERVAL 1 MINUTE, value_columns => [('signal', 'x')]);
--> error: Invalid gap filling method: x; it is one of null, linear, locf at [1:15]

SELECT * FROM GAP_FILL((SELECT time, x FROM d.s, UNNEST([1, 2]) AS x), ts_column => 'time', bucket_width => INTERVAL 1 MINUTE);
--> error: GAP_FILL: Tule does not fill gaps where rows of one time have different values

SELECT emp_id, dept_id, duration, session_range FROM RANGE_SESSIONIZE(TABLE d.r, 'duration', ['emp_id']) ORDER BY emp_id, RANGE_START(duration);
--> emp_id INT64 | dept_id INT64 | duration RANGE | session_range RANGE
--> 10 | 1000 | [2010-01-10, 2010-03-10) | [2010-01-10, 2010-08-18)
--> 10 | 2000 | [2010-03-10, 2010-07-15) | [2010-01-10, 2010-08-18)
--> 10 | 2000 | [2010-06-15, 2010-08-18) | [2010-01-10, 2010-08-18)
--> 20 | 2000 | [2010-03-10, 2010-07-20) | [2010-03-10, 2010-07-20)
--> 20 | 1000 | [2020-05-10, UNBOUNDED) | [2020-05-10, UNBOUNDED)
--> 20 | 1000 | [2021-05-10, 2021-06-01) | [2020-05-10, UNBOUNDED)

SELECT dept_id, session_range FROM RANGE_SESSIONIZE(TABLE d.r, 'duration', ['emp_id'], 'OVERLAPS') WHERE emp_id = 10
ORDER BY RANGE_START(duration);
--> dept_id INT64 | session_range RANGE
--> 1000 | [2010-01-10, 2010-03-10)
--> 2000 | [2010-03-10, 2010-08-18)
--> 2000 | [2010-03-10, 2010-08-18)

SELECT * FROM RANGE_SESSIONIZE(TABLE d.r, 'dept_id', []);
--> error: range_column of RANGE_SESSIONIZE must be of type RANGE; dept_id is of INT64 at [1:15]

SELECT * FROM RANGE_SESSIONIZE(TABLE d.r, 'duration', [], 'TOUCHES');
--> error: Invalid sessionize_option: TOUCHES; it is MEETS or OVERLAPS at [1:15]
