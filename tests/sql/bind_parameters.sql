-- https://cloud.google.com/bigquery/docs/parameterized-queries

-- parameters: [{"name": "x", "parameterType": {"type": "INT64"}, "parameterValue": {"value": "5"}}]
SELECT @x + 1 AS y, @X AS same;
--> y INT64 | same INT64
--> 6 | 5

-- parameters: [{"parameterType": {"type": "STRING"}, "parameterValue": {"value": "a'b"}}, {"parameterType": {"type": "INT64"}, "parameterValue": {"value": "2"}}]
SELECT ? AS s, REPEAT('x', ?) AS r;
--> s STRING | r STRING
--> "a'b" | "xx"

-- parameters: [{"name": "ids", "parameterType": {"type": "ARRAY", "arrayType": {"type": "INT64"}}, "parameterValue": {"arrayValues": [{"value": "1"}, {"value": "3"}]}}]
SELECT x FROM UNNEST([1, 2, 3]) AS x WHERE x IN UNNEST(@ids) ORDER BY x;
--> x INT64
--> 1
--> 3

-- parameters: [{"name": "ids", "parameterType": {"type": "ARRAY", "arrayType": {"type": "INT64"}}, "parameterValue": {"arrayValues": []}}]
SELECT ARRAY_LENGTH(@ids) AS n, 1 IN UNNEST(@ids) AS found;
--> n INT64 | found BOOL
--> 0 | false

-- parameters: [{"name": "s", "parameterType": {"type": "STRUCT", "structTypes": [{"name": "a", "type": {"type": "INT64"}}, {"name": "b", "type": {"type": "STRING"}}]}, "parameterValue": {"structValues": {"a": {"value": "1"}, "b": {"value": "x"}}}}]
SELECT @s.a AS a, @s AS whole;
--> a INT64 | whole STRUCT<a INT64, b STRING>
--> 1 | {a: 1, b: "x"}

-- parameters: [{"name": "d", "parameterType": {"type": "DATE"}, "parameterValue": {"value": "2020-01-31"}}, {"name": "t", "parameterType": {"type": "TIMESTAMP"}, "parameterValue": {"value": "2020-01-01 10:00:00+02:00"}}, {"name": "n", "parameterType": {"type": "NUMERIC"}, "parameterValue": {"value": "1.5"}}]
SELECT DATE_ADD(@d, INTERVAL 1 MONTH) AS d, @t AS t, @n * 2 AS n;
--> d DATE | t TIMESTAMP | n NUMERIC
--> 2020-02-29 | 2020-01-01 08:00:00+00 | 3

-- parameters: [{"name": "x", "parameterType": {"type": "FLOAT64"}, "parameterValue": {"value": "nan"}}, {"name": "b", "parameterType": {"type": "BYTES"}, "parameterValue": {"value": "AP8="}}, {"name": "t", "parameterType": {"type": "BOOL"}, "parameterValue": {"value": "true"}}]
SELECT IS_NAN(@x) AS x, @b AS b, @t AS t;
--> x BOOL | b BYTES | t BOOL
--> true | b"\x00\xff" | true

-- parameters: [{"name": "x", "parameterType": {"type": "STRING"}, "parameterValue": {}}]
SELECT @x IS NULL AS n, IFNULL(@x, 'none') AS v;
--> n BOOL | v STRING
--> true | "none"

-- parameters: [{"name": "pattern", "parameterType": {"type": "STRING"}, "parameterValue": {"value": "b(.)"}}]
SELECT REGEXP_EXTRACT('abc', @pattern) AS c;
--> c STRING
--> "c"

-- parameters: [{"name": "d", "parameterType": {"type": "STRING"}, "parameterValue": {"value": "2020-01-02"}}]
SELECT DATE '2020-01-02' = @d AS same;
--> same BOOL
--> true

-- parameters: [{"name": "n", "parameterType": {"type": "INT64"}, "parameterValue": {"value": "2"}}]
SELECT x FROM UNNEST([1, 2, 3]) AS x ORDER BY x LIMIT @n;
--> x INT64
--> 1
--> 2

-- parameters: [{"name": "x", "parameterType": {"type": "INT64"}, "parameterValue": {"value": "5"}}]
SELECT @y;
--> error: Query parameter 'y' not found at [1:8]

-- parameters: [{"parameterType": {"type": "INT64"}, "parameterValue": {"value": "5"}}]
SELECT ?, ?;
--> error: Query parameter number 2 not found at [1:11]

-- parameters: [{"name": "x", "parameterType": {"type": "INT64"}, "parameterValue": {"value": "many"}}]
SELECT @x;
--> error: Invalid value for query parameter x: 'many' is not a valid INT64
