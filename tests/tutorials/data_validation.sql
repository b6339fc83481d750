-- Is what a model is asked like what it was taught?
-- https://cloud.google.com/bigquery/docs/model-monitoring-overview

CREATE TABLE d.taught AS
SELECT * FROM `bigquery-public-data.ml_datasets.penguins` WHERE island IN ('Biscoe', 'Torgersen') AND body_mass_g IS NOT NULL;

CREATE TABLE d.asked AS
SELECT * FROM `bigquery-public-data.ml_datasets.penguins` WHERE island = 'Dream' AND body_mass_g IS NOT NULL;

CREATE OR REPLACE MODEL d.watched OPTIONS (model_type = 'LINEAR_REG', input_label_cols = ['body_mass_g']) AS
SELECT species, island, sex, flipper_length_mm, body_mass_g FROM d.taught;

-- a description beside the aggregates of SQL
SELECT d.num_rows, d.mean / a.mean AS mean, d.stddev / a.deviation AS stddev, CAST(d.max AS FLOAT64) / a.most AS max
FROM ML.DESCRIBE_DATA(TABLE d.taught) AS d, (SELECT AVG(body_mass_g) AS mean, STDDEV_POP(body_mass_g) AS deviation,
  MAX(body_mass_g) AS most FROM d.taught) AS a WHERE d.name = 'body_mass_g';
--> num_rows | mean | stddev | max
--> 218 | 1.0 | 1.0 | 1.0

-- nothing has changed yet
SELECT COUNT(*) AS features, MAX(value) AS most FROM ML.VALIDATE_DATA_SKEW(MODEL d.watched, TABLE d.taught);
--> features | most
--> 4 | 0.0

-- an island that was never seen, and the share by which a species became rarer or more frequent
SELECT input, is_anomaly, value / (SELECT MAX(ABS(IFNULL(t.share, 0) - IFNULL(a.share, 0)))
  FROM (SELECT species, COUNT(*) / (SELECT COUNT(*) FROM d.taught) AS share FROM d.taught GROUP BY species) AS t
  FULL JOIN (SELECT species, COUNT(*) / (SELECT COUNT(*) FROM d.asked) AS share FROM d.asked GROUP BY species) AS a
  USING (species)) AS same
FROM ML.VALIDATE_DATA_SKEW(MODEL d.watched, TABLE d.asked, STRUCT(0.2 AS categorical_default_threshold)) WHERE input = 'species';
--> input | is_anomaly | same
--> species | True | 1.0

SELECT s.input, s.value / d.value AS same
FROM ML.VALIDATE_DATA_SKEW(MODEL d.watched, TABLE d.asked) AS s
JOIN ML.VALIDATE_DATA_DRIFT(TABLE d.taught, TABLE d.asked) AS d USING (input) ORDER BY input;
--> input | same
--> flipper_length_mm | 1.0
--> island | 1.0
--> sex | 1.0
--> species | 1.0
