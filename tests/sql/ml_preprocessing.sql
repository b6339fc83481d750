-- Preprocessing functions of BigQuery ML in plain queries. Values are those of the public reference.
-- https://cloud.google.com/bigquery/docs/reference/standard-sql/bigqueryml-preprocessing-functions

-- buckets by given splits
SELECT x, ML.BUCKETIZE(x, [2, 5, 7]) AS bucket FROM UNNEST([1, 2, 4, 5, 7, NULL]) AS x ORDER BY x;
--> x INT64 | bucket STRING
--> NULL | NULL
--> 1 | "bin_1"
--> 2 | "bin_2"
--> 4 | "bin_2"
--> 5 | "bin_3"
--> 7 | "bin_4"

-- without the first and the last split
SELECT ML.BUCKETIZE(x, [2, 5, 7, 10], TRUE) AS bucket FROM UNNEST([1, 6, 12]) AS x ORDER BY x;
--> bucket STRING
--> "bin_1"
--> "bin_2"
--> "bin_3"

SELECT x, ML.BUCKETIZE(x, [2, 4], FALSE, 'bucket_ranges') AS bucket FROM UNNEST([1, 3, 5]) AS x ORDER BY x;
--> x INT64 | bucket STRING
--> 1 | "(-inf, 2)"
--> 3 | "[2, 4)"
--> 5 | "[4, +inf)"

SELECT ML.BUCKETIZE(3, [2, 4], FALSE, 'bucket_ranges_json') AS bucket;
--> error: Tule does not do the output format bucket_ranges_json of ML.BUCKETIZE. Next: use bucket_names or bucket_ranges

SELECT ML.BUCKETIZE(3) AS bucket;
--> error: ML.BUCKETIZE takes 2 to 4 arguments; given: 1

-- buckets by quantiles of the column
SELECT x, ML.QUANTILE_BUCKETIZE(x, 4) OVER () AS bucket FROM UNNEST([1, 2, 3, 4, 5, 6, 7, 8]) AS x ORDER BY x;
--> x INT64 | bucket STRING
--> 1 | "bin_1"
--> 2 | "bin_2"
--> 3 | "bin_2"
--> 4 | "bin_3"
--> 5 | "bin_3"
--> 6 | "bin_4"
--> 7 | "bin_4"
--> 8 | "bin_4"

SELECT ML.QUANTILE_BUCKETIZE(x, 1) OVER () AS bucket FROM UNNEST([1, 2]) AS x;
--> error: ML.QUANTILE_BUCKETIZE needs 2 buckets or more; given: 1

-- FARM_FINGERPRINT as an unsigned number, modulo the size
SELECT ML.HASH_BUCKETIZE(s, 0) = FARM_FINGERPRINT(s) AS same, ML.HASH_BUCKETIZE(s, 10) AS bucket FROM UNNEST(['a', 'b', 'c', 'd']) AS s ORDER BY s;
--> same BOOL | bucket INT64
--> true | 9
--> true | 2
--> true | 2
--> true | 5

-- scalers; the deviation is that of the population
SELECT f, ML.STANDARD_SCALER(f) OVER () AS scaled FROM UNNEST([1, 2, 3, 4, 5]) AS f ORDER BY f;
--> f INT64 | scaled FLOAT64
--> 1 | -1.414213562373095
--> 2 | -0.7071067811865475
--> 3 | 0.0
--> 4 | 0.7071067811865475
--> 5 | 1.414213562373095

SELECT f, ML.MAX_ABS_SCALER(f) OVER () AS scaled FROM UNNEST([NULL, -3, 1, 2, 3, 4, 5]) AS f ORDER BY f;
--> f INT64 | scaled FLOAT64
--> NULL | NULL
--> -3 | -0.6
--> 1 | 0.2
--> 2 | 0.4
--> 3 | 0.6
--> 4 | 0.8
--> 5 | 1.0

SELECT f, ML.MIN_MAX_SCALER(f) OVER () AS scaled FROM UNNEST([1, 2, 3, 4, 5]) AS f ORDER BY f;
--> f INT64 | scaled FLOAT64
--> 1 | 0.0
--> 2 | 0.25
--> 3 | 0.5
--> 4 | 0.75
--> 5 | 1.0

SELECT f, ML.ROBUST_SCALER(f) OVER () AS scaled FROM UNNEST([NULL, -3, 1, 2, 3, 4, 5]) AS f ORDER BY f;
--> f INT64 | scaled FLOAT64
--> NULL | NULL
--> -3 | -2.2
--> 1 | -0.6
--> 2 | -0.2
--> 3 | 0.2
--> 4 | 0.6
--> 5 | 1.0

-- a column that never varies
SELECT ML.STANDARD_SCALER(f) OVER () AS a, ML.MIN_MAX_SCALER(f) OVER () AS b FROM UNNEST([7, 7]) AS f;
--> a FLOAT64 | b FLOAT64
--> 0.0 | 0.0
--> 0.0 | 0.0

-- missing values
SELECT f, ML.IMPUTER(f, 'mean') OVER () AS mean, ML.IMPUTER(f, 'median') OVER () AS median FROM UNNEST([NULL, -3, NULL, 1, 2, 3, 4, 5]) AS f ORDER BY f;
--> f INT64 | mean FLOAT64 | median FLOAT64
--> NULL | 2.0 | 2.0
--> NULL | 2.0 | 2.0
--> -3 | -3.0 | -3.0
--> 1 | 1.0 | 1.0
--> 2 | 2.0 | 2.0
--> 3 | 3.0 | 3.0
--> 4 | 4.0 | 4.0
--> 5 | 5.0 | 5.0

-- the lower median
SELECT ML.IMPUTER(f, 'median') OVER () AS m FROM UNNEST([NULL, 1, 1, 2, 3, 4, 5]) AS f WHERE TRUE ORDER BY f LIMIT 1;
--> m FLOAT64
--> 2.0

SELECT f, ML.IMPUTER(f, 'most_frequent') OVER () AS output FROM UNNEST([NULL, NULL, 'a', 'a', 'b', 'c', 'd']) AS f ORDER BY f;
--> f STRING | output STRING
--> NULL | "a"
--> NULL | "a"
--> "a" | "a"
--> "a" | "a"
--> "b" | "b"
--> "c" | "c"
--> "d" | "d"

SELECT ML.IMPUTER(f, 'average') OVER () AS output FROM UNNEST([1]) AS f;
--> error: The strategy of ML.IMPUTER must be mean, median or most_frequent; given: 'average'

-- numbers of categories: the most frequent ones, in alphabetical order; 0 for the rest
SELECT f, ML.LABEL_ENCODER(f, 2, 2) OVER () AS output FROM UNNEST([NULL, 'a', 'b', 'b', 'c', 'c', 'c', 'd', 'd']) AS f ORDER BY f;
--> f STRING | output INT64
--> NULL | 0
--> "a" | 0
--> "b" | 1
--> "b" | 1
--> "c" | 2
--> "c" | 2
--> "c" | 2
--> "d" | 0
--> "d" | 0

-- by default a category must come five times
SELECT DISTINCT f, ML.LABEL_ENCODER(f) OVER () AS output FROM UNNEST(ARRAY_CONCAT(GENERATE_ARRAY(1, 1), [2, 2, 2, 2, 2])) AS n, UNNEST([CAST(n AS STRING)]) AS f ORDER BY f;
--> f STRING | output INT64
--> "1" | 0
--> "2" | 1

SELECT ML.FEATURE_CROSS(STRUCT('a' AS f1, 'b' AS f2, 'c' AS f3)) AS crossed;
--> crossed STRUCT<f1_f2 STRING, f1_f3 STRING, f2_f3 STRING>
--> {f1_f2: "a_b", f1_f3: "a_c", f2_f3: "b_c"}

SELECT ML.FEATURE_CROSS(STRUCT('a' AS f1, NULL AS f2, 'c' AS f3), 3) AS crossed;
--> crossed STRUCT<f1_f2 STRING, f1_f3 STRING, f2_f3 STRING, f1_f2_f3 STRING>
--> {f1_f2: NULL, f1_f3: "a_c", f2_f3: NULL, f1_f2_f3: NULL}

SELECT ML.POLYNOMIAL_EXPAND(STRUCT(2 AS f1, 3 AS f2)) AS expanded;
--> expanded STRUCT<f1 FLOAT64, f1_f1 FLOAT64, f1_f2 FLOAT64, f2 FLOAT64, f2_f2 FLOAT64>
--> {f1: 2.0, f1_f1: 4.0, f1_f2: 6.0, f2: 3.0, f2_f2: 9.0}

SELECT ML.POLYNOMIAL_EXPAND(STRUCT(2 AS f1), 5) AS expanded;
--> error: The degree of ML.POLYNOMIAL_EXPAND must be 1 to 4; given: 5

SELECT ML.NGRAMS(['a', 'b', 'c'], [2, 3], '#') AS both, ML.NGRAMS(['a', 'b', 'c'], 2) AS two;
--> both ARRAY<STRING> | two ARRAY<STRING>
--> ["a#b", "a#b#c", "b#c"] | ["a b", "b c"]

SELECT ML.LP_NORM([3.0, 4.0], 2) AS two, ML.LP_NORM([1.0, -2.0], 1) AS one, ML.LP_NORM([3.0, 0.0, 4.0], 0) AS zero, ML.LP_NORM([3.0, -4.0], CAST('+inf' AS FLOAT64)) AS most;
--> two FLOAT64 | one FLOAT64 | zero FLOAT64 | most FLOAT64
--> 5.0 | 3.0 | 2.0 | 4.0

SELECT ML.NORMALIZER([4.0, 1.0, 2.0, 2.0]) AS two, ML.NORMALIZER([1.0, 3.0], 1) AS one;
--> two ARRAY<FLOAT64> | one ARRAY<FLOAT64>
--> [0.8, 0.2, 0.4, 0.4] | [0.25, 0.75]

SELECT ML.DISTANCE([1.0, 2.0], [4.0, 6.0]) AS e, ML.DISTANCE([1.0, 2.0], [4.0, 6.0], 'MANHATTAN') AS m, ML.DISTANCE([1.0, 0.0], [0.0, 1.0], 'COSINE') AS c, ML.DISTANCE([1.0], NULL) AS n;
--> e FLOAT64 | m FLOAT64 | c FLOAT64 | n FLOAT64
--> 5.0 | 7.0 | 1.0 | NULL

SELECT ML.DISTANCE([1.0], [2.0], 'CHESS') AS d;
--> error: The distance must be EUCLIDEAN, MANHATTAN or COSINE

SELECT ML.STANDARD_SCALER(x) AS s FROM UNNEST([1, 2]) AS x;
--> error: ML.STANDARD_SCALER must be called with an empty OVER ()

SELECT ML.STANDARD_SCALER(x) OVER (PARTITION BY x) AS s FROM UNNEST([1, 2]) AS x;
--> error: ML.STANDARD_SCALER must be called with an empty OVER ()

SELECT ML.DECODE_IMAGE(b'x') AS s;
--> error: Function not supported in Tule: ML.DECODE_IMAGE

-- numbers as text are GoogleSQL's
SELECT ML.FEATURE_CROSS(STRUCT(1.0 AS a, 2 AS b, TRUE AS c)) AS crossed;
--> crossed STRUCT<a_b STRING, a_c STRING, b_c STRING>
--> {a_b: "1_2", a_c: "1_true", b_c: "2_true"}

-- one element a value: the number of its category, 0 for those that are not kept
SELECT f, ML.ONE_HOT_ENCODER(f, 'none', 2, 2) OVER () AS output FROM UNNEST([NULL, 'a', 'b', 'b', 'c', 'c', 'c', 'd', 'd']) AS f ORDER BY f LIMIT 4;
--> f STRING | output ARRAY<STRUCT<index INT64, value FLOAT64>>
--> NULL | [{index: 0, value: 1.0}]
--> "a" | [{index: 0, value: 1.0}]
--> "b" | [{index: 1, value: 1.0}]
--> "b" | [{index: 1, value: 1.0}]

-- the most frequent category weighs nothing
SELECT DISTINCT f, output[OFFSET(0)].index AS i, output[OFFSET(0)].value AS v FROM (SELECT f, ML.ONE_HOT_ENCODER(f, 'most_frequent', 10, 1) OVER () AS output FROM UNNEST(['a', 'b', 'c', 'c']) AS f) ORDER BY f;
--> f STRING | i INT64 | v FLOAT64
--> "a" | 1 | 1.0
--> "b" | 2 | 1.0
--> "c" | 3 | 0.0

SELECT ML.ONE_HOT_ENCODER(f, 'first') OVER () AS output FROM UNNEST(['a']) AS f;
--> error: The drop of ML.ONE_HOT_ENCODER must be none or most_frequent; given: 'first'

SELECT f[OFFSET(0)] AS first, ML.MULTI_HOT_ENCODER(f, 10, 2) OVER () AS output FROM (SELECT ['a', 'b', 'b', NULL, 'c'] AS f UNION ALL SELECT ['c', 'c', 'd', 'd', 'z']) ORDER BY first;
--> first STRING | output ARRAY<STRUCT<index INT64, value FLOAT64>>
--> "a" | [{index: 0, value: 1.0}, {index: 1, value: 1.0}, {index: 2, value: 1.0}]
--> "c" | [{index: 0, value: 1.0}, {index: 2, value: 1.0}, {index: 3, value: 1.0}]

-- documents as counts of their terms; none is unknown
SELECT ML.BAG_OF_WORDS(f, 32, 1) OVER () AS bag FROM UNNEST([STRUCT(1 AS id, ['a', 'b', 'b', 'c'] AS f), (2, ['a', 'c'])]) ORDER BY id;
--> bag ARRAY<STRUCT<index INT64, value FLOAT64>>
--> [{index: 1, value: 1.0}, {index: 2, value: 2.0}, {index: 3, value: 1.0}]
--> [{index: 1, value: 1.0}, {index: 3, value: 1.0}]

-- terms of fewer than two documents, and NULL, are unknown
SELECT ML.BAG_OF_WORDS(f, 4, 2) OVER () AS bag FROM UNNEST([STRUCT(1 AS id, ['a', 'b', 'b', 'b', 'c', 'c', 'c', 'c', 'd', 'd'] AS f), (2, ['a', 'c', NULL])]) ORDER BY id;
--> bag ARRAY<STRUCT<index INT64, value FLOAT64>>
--> [{index: 0, value: 5.0}, {index: 1, value: 1.0}, {index: 2, value: 4.0}]
--> [{index: 0, value: 1.0}, {index: 1, value: 1.0}, {index: 2, value: 1.0}]

-- of terms that are as frequent the first by name stay
SELECT ML.BAG_OF_WORDS(f, 2, 2) OVER () AS bag FROM UNNEST([STRUCT(1 AS id, ['a', 'b', 'b', 'c', 'd', 'd', 'd'] AS f), (2, ['a', 'c', 'c', 'd', 'd', 'd']), (3, []), (4, NULL)]) ORDER BY id;
--> bag ARRAY<STRUCT<index INT64, value FLOAT64>>
--> [{index: 0, value: 5.0}, {index: 1, value: 1.0}, {index: 2, value: 1.0}]
--> [{index: 0, value: 3.0}, {index: 1, value: 1.0}, {index: 2, value: 2.0}]
--> []
--> []

-- https://cloud.google.com/bigquery/docs/reference/standard-sql/bigqueryml-syntax-tf-idf
SELECT id, e.index, ROUND(e.value, 14) AS value FROM (SELECT id, ML.TF_IDF(f, 3, 1) OVER () AS r FROM UNNEST([STRUCT(1 AS id, ['I', 'like', 'pie', 'pie', 'pie', NULL] AS f), (2, ['yum', 'yum', 'pie', NULL]), (3, ['I', 'yum', 'pie', NULL]), (4, ['you', 'like', 'pie', NULL])])), UNNEST(r) AS e ORDER BY id, e.index;
--> id INT64 | index INT64 | value FLOAT64
--> 1 | 0 | 0.12679902142647
--> 1 | 1 | 0.14121631006453
--> 1 | 2 | 0.14121631006453
--> 1 | 3 | 0.29389333245106
--> 2 | 0 | 0.57059559641913
--> 2 | 3 | 0.14694666622553
--> 3 | 0 | 0.38039706427942
--> 3 | 1 | 0.2118244650968
--> 3 | 3 | 0.14694666622553
--> 4 | 0 | 0.38039706427942
--> 4 | 2 | 0.2118244650968
--> 4 | 3 | 0.14694666622553

SELECT ML.TF_IDF(f, 3, 1, 2) OVER () AS r FROM UNNEST([STRUCT(['a'] AS f)]);
--> error: ML.TF_IDF takes 1 to 3 arguments; given: 4

SELECT ML.BAG_OF_WORDS(f) AS r FROM UNNEST([STRUCT(['a'] AS f)]);
--> error: ML.BAG_OF_WORDS must be called with an empty OVER ()
