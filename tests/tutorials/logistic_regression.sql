-- A classifier with preprocessing of its own: TRANSFORM keeps its statistics with the model.
-- https://cloud.google.com/bigquery/docs/logistic-regression-prediction
-- https://cloud.google.com/bigquery/docs/bigqueryml-transform

CREATE OR REPLACE MODEL d.sexes
TRANSFORM (ML.STANDARD_SCALER(body_mass_g) OVER () AS mass, ML.QUANTILE_BUCKETIZE(flipper_length_mm, 3) OVER () AS flipper,
  culmen_depth_mm, sex)
OPTIONS (model_type = 'LOGISTIC_REG', input_label_cols = ['sex'], data_split_method = 'NO_SPLIT') AS
SELECT * FROM `bigquery-public-data.ml_datasets.penguins` WHERE sex IN ('MALE', 'FEMALE') AND body_mass_g IS NOT NULL;

CREATE TABLE d.adults AS
SELECT * FROM `bigquery-public-data.ml_datasets.penguins` WHERE sex IN ('MALE', 'FEMALE') AND body_mass_g IS NOT NULL;

-- each penguin is judged by the statistics of the training, alone or among others
SELECT COUNT(*) AS penguins, MAX(ABS(t.mass - (t.body_mass_g - s.mean) / s.deviation)) < 1e-9 AS scaled
FROM ML.TRANSFORM(MODEL d.sexes, (SELECT *, body_mass_g + 0 AS body_mass FROM d.adults WHERE island = 'Dream')) AS t0
CROSS JOIN (SELECT AVG(body_mass_g) AS mean, STDDEV_POP(body_mass_g) AS deviation FROM d.adults) AS s
CROSS JOIN UNNEST([STRUCT(t0.mass AS mass, t0.body_mass AS body_mass_g)]) AS t;
--> penguins | scaled
--> 123 | True

-- evaluation beside the same figures from the predictions
WITH answers AS (
  SELECT sex, predicted_sex, (SELECT prob FROM UNNEST(predicted_sex_probs) WHERE label = sex) AS prob
  FROM ML.PREDICT(MODEL d.sexes, TABLE d.adults))
SELECT MAX(e.accuracy) / AVG(IF(sex = predicted_sex, 1, 0)) AS accuracy, MAX(e.log_loss) / AVG(-LN(prob)) AS log_loss
FROM answers, ML.EVALUATE(MODEL d.sexes, TABLE d.adults) AS e;
--> accuracy | log_loss
--> 1.0 | 1.0

-- at the optimum the probabilities of a class add up to its members
SELECT SUM((SELECT prob FROM UNNEST(predicted_sex_probs) WHERE label = 'MALE')) / COUNTIF(sex = 'MALE') AS males
FROM ML.PREDICT(MODEL d.sexes, TABLE d.adults);
--> males
--> 1.0

SELECT SUM(`FEMALE`) + SUM(`MALE`) AS penguins FROM ML.CONFUSION_MATRIX(MODEL d.sexes, TABLE d.adults);
--> penguins
--> 333

SELECT MIN(recall) >= 0 AND MAX(recall) <= 1 AS fits, COUNT(*) > 10 AS many FROM ML.ROC_CURVE(MODEL d.sexes, TABLE d.adults);
--> fits | many
--> True | True
