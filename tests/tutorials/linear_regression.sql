-- How heavy is a penguin? The numbers of the evaluation are those of the page.
-- https://cloud.google.com/bigquery/docs/linear-regression-tutorial

CREATE OR REPLACE MODEL `d.penguins_model`
OPTIONS (model_type = 'linear_reg', input_label_cols = ['body_mass_g'], enable_global_explain = TRUE) AS
SELECT * FROM `bigquery-public-data.ml_datasets.penguins` WHERE body_mass_g IS NOT NULL;

SELECT * FROM ML.EVALUATE(MODEL `d.penguins_model`,
  (SELECT * FROM `bigquery-public-data.ml_datasets.penguins` WHERE body_mass_g IS NOT NULL));
--> mean_absolute_error | mean_squared_error | mean_squared_log_error | median_absolute_error | r2_score | explained_variance
--> 227.01223115137774 | 81838.1598975635 | 0.0050704049984503835 | 173.08081641661738 | 0.8723772534253441 | 0.8723772534253441

-- the same errors from the predictions
SELECT COUNT(*) AS penguins, AVG(ABS(predicted_body_mass_g - body_mass_g)) AS mean_absolute_error,
  AVG(POW(predicted_body_mass_g - body_mass_g, 2)) AS mean_squared_error
FROM ML.PREDICT(MODEL `d.penguins_model`,
  (SELECT * FROM `bigquery-public-data.ml_datasets.penguins` WHERE body_mass_g IS NOT NULL));
--> penguins | mean_absolute_error | mean_squared_error
--> 342 | 227.01223115137774 | 81838.1598975635

SELECT COUNT(*) AS biscoe FROM ML.PREDICT(MODEL `d.penguins_model`,
  (SELECT * FROM `bigquery-public-data.ml_datasets.penguins` WHERE island = 'Biscoe'));
--> biscoe
--> 168

-- what explains a prediction adds up to it
SELECT COUNT(*) AS penguins, COUNTIF(ABS(baseline_prediction_value - predicted_body_mass_g
  + (SELECT SUM(attribution) FROM UNNEST(top_feature_attributions))) < 1e-6) AS explained
FROM ML.EXPLAIN_PREDICT(MODEL `d.penguins_model`,
  (SELECT * FROM `bigquery-public-data.ml_datasets.penguins` WHERE body_mass_g IS NOT NULL), STRUCT(6 AS top_k_features));
--> penguins | explained
--> 342 | 342

SELECT feature FROM ML.GLOBAL_EXPLAIN(MODEL `d.penguins_model`) ORDER BY attribution DESC LIMIT 1;
--> feature
--> species

-- one feature: the line of least squares by its formula
CREATE OR REPLACE MODEL d.line OPTIONS (model_type = 'linear_reg', input_label_cols = ['body_mass_g']) AS
SELECT flipper_length_mm, body_mass_g FROM `bigquery-public-data.ml_datasets.penguins` WHERE body_mass_g IS NOT NULL;

WITH formula AS (
  SELECT COVAR_POP(flipper_length_mm, body_mass_g) / VAR_POP(flipper_length_mm) AS slope, AVG(body_mass_g) AS mass,
    AVG(flipper_length_mm) AS flipper
  FROM `bigquery-public-data.ml_datasets.penguins` WHERE body_mass_g IS NOT NULL)
SELECT MAX(IF(processed_input = 'flipper_length_mm', weight / slope, NULL)) AS slope,
  MAX(IF(processed_input = '__INTERCEPT__', weight / (mass - slope * flipper), NULL)) AS intercept
FROM ML.WEIGHTS(MODEL d.line), formula;
--> slope | intercept
--> 1.0 | 1.0
