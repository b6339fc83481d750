-- What the service answered for models of its public penguins table, to the six digits that its clients' tests print.
-- https://github.com/googleapis/python-bigquery-dataframes/blob/main/tests/system/small/ml/test_core.py

CREATE OR REPLACE MODEL d.mass OPTIONS (model_type = 'linear_reg', input_label_cols = ['body_mass_g']) AS
SELECT * FROM `bigquery-public-data.ml_datasets.penguins` WHERE body_mass_g IS NOT NULL;

SELECT * FROM ML.EVALUATE(MODEL d.mass);
--> mean_absolute_error | mean_squared_error | mean_squared_log_error | median_absolute_error | r2_score | explained_variance
--> 227.01223 | 81838.159892 | 0.00507 | 173.080816 | 0.872377 | 0.872377

-- rows without NULL
SELECT * FROM ML.EVALUATE(MODEL d.mass, (
  SELECT * FROM `bigquery-public-data.ml_datasets.penguins` WHERE body_mass_g IS NOT NULL AND sex IS NOT NULL));
--> mean_absolute_error | mean_squared_error | mean_squared_log_error | median_absolute_error | r2_score | explained_variance
--> 225.817334 | 80540.705944 | 0.004972 | 173.080816 | 0.87529 | 0.87529

-- three penguins that training has not seen
CREATE TABLE d.unseen AS SELECT * FROM UNNEST([
  STRUCT(1633 AS tag_number, 'Adelie Penguin (Pygoscelis adeliae)' AS species, 'Torgersen' AS island, 39.5 AS culmen_length_mm,
    18.8 AS culmen_depth_mm, 196.0 AS flipper_length_mm, 3750.0 AS body_mass_g, 'MALE' AS sex),
  (1672, 'Adelie Penguin (Pygoscelis adeliae)', 'Torgersen', 38.5, 17.2, 181.0, 5200.0, 'FEMALE'),
  (1690, 'Chinstrap penguin (Pygoscelis antarctica)', 'Dream', 37.9, 18.1, 188.0, 3325.0, 'FEMALE')]);

SELECT tag_number, predicted_body_mass_g FROM ML.PREDICT(MODEL d.mass, TABLE d.unseen) ORDER BY tag_number;
--> tag_number | predicted_body_mass_g
--> 1633 | 4030.1
--> 1672 | 3280.8
--> 1690 | 3177.9

-- https://github.com/googleapis/python-bigquery-dataframes/blob/main/tests/system/large/ml/test_pipeline.py
CREATE OR REPLACE MODEL d.scaled
TRANSFORM (ML.STANDARD_SCALER(culmen_length_mm) OVER () AS length, ML.STANDARD_SCALER(culmen_depth_mm) OVER () AS depth,
  ML.STANDARD_SCALER(flipper_length_mm) OVER () AS flipper, body_mass_g)
OPTIONS (model_type = 'linear_reg', input_label_cols = ['body_mass_g']) AS
SELECT * FROM `bigquery-public-data.ml_datasets.penguins` WHERE body_mass_g IS NOT NULL AND sex IS NOT NULL;

SELECT * FROM ML.EVALUATE(MODEL d.scaled, (
  SELECT * FROM `bigquery-public-data.ml_datasets.penguins` WHERE body_mass_g IS NOT NULL AND sex IS NOT NULL));
--> mean_absolute_error | mean_squared_error | mean_squared_log_error | median_absolute_error | r2_score | explained_variance
--> 309.477331 | 152184.227219 | 0.009524 | 257.728263 | 0.764356 | 0.764356

SELECT tag_number, predicted_body_mass_g FROM ML.PREDICT(MODEL d.scaled, TABLE d.unseen) ORDER BY tag_number;
--> tag_number | predicted_body_mass_g
--> 1633 | 3968.8
--> 1672 | 3176.3
--> 1690 | 3545.2

CREATE OR REPLACE MODEL d.parts OPTIONS (model_type = 'PCA', num_principal_components = 3) AS
SELECT * FROM `bigquery-public-data.ml_datasets.penguins`;

SELECT * FROM ML.EVALUATE(MODEL d.parts);
--> total_explained_variance_ratio
--> 0.812383

SELECT * FROM ML.PRINCIPAL_COMPONENT_INFO(MODEL d.parts) ORDER BY principal_component_id;
--> principal_component_id | eigenvalue | explained_variance_ratio | cumulative_explained_variance_ratio
--> 0 | 3.278657 | 0.469357 | 0.469357
--> 1 | 1.270829 | 0.181926 | 0.651283
--> 2 | 1.125354 | 0.1611 | 0.812383

-- the first component; its sign is anyone's
WITH parts AS (SELECT * FROM ML.PRINCIPAL_COMPONENTS(MODEL d.parts) WHERE principal_component_id = 0),
  direction AS (SELECT SIGN(numerical_value) AS side FROM parts WHERE feature = 'flipper_length_mm')
SELECT feature, side * numerical_value AS value FROM parts, direction WHERE numerical_value IS NOT NULL ORDER BY feature;
--> feature | value
--> body_mass_g | 0.501174
--> culmen_depth_mm | -0.377482
--> culmen_length_mm | 0.401489
--> flipper_length_mm | 0.524052

WITH parts AS (SELECT * FROM ML.PRINCIPAL_COMPONENTS(MODEL d.parts) WHERE principal_component_id = 0),
  direction AS (SELECT SIGN(numerical_value) AS side FROM parts WHERE feature = 'flipper_length_mm')
SELECT each.category, side * each.value AS value FROM parts, direction, UNNEST(categorical_value) AS each ORDER BY feature, each.category;
--> category | value
--> Biscoe | 0.19761120114410635
--> Dream | -0.11264736305259061
--> Torgersen | -0.07065913511418596
--> . | 0.0015916894448071784
--> FEMALE | -0.052521171596813174
--> MALE | 0.06869704739750442
--> _null_filler | -0.0034628622681684906
--> Adelie Penguin (Pygoscelis adeliae) | -0.20622291900416198
--> Chinstrap penguin (Pygoscelis antarctica) | -0.030161149275185855
--> Gentoo penguin (Pygoscelis papua) | 0.25068877125667804

SELECT tag_number, is_anomaly, mean_squared_error
FROM ML.DETECT_ANOMALIES(MODEL d.parts, STRUCT(0.25 AS contamination), TABLE d.unseen) ORDER BY tag_number;
--> tag_number | is_anomaly | mean_squared_error
--> 1633 | True | 0.254188
--> 1672 | True | 0.731243
--> 1690 | True | 0.298889

-- to three digits: how three other penguins lie
-- within 0.002
SELECT ABS(principal_component_1) AS first, ABS(principal_component_2) AS second, ABS(principal_component_3) AS third
FROM ML.PREDICT(MODEL d.parts, (SELECT * FROM UNNEST([
  STRUCT('Adelie Penguin (Pygoscelis adeliae)' AS species, 'Dream' AS island, 37.8 AS culmen_length_mm, 18.1 AS culmen_depth_mm, 193.0 AS flipper_length_mm, 3750.0 AS body_mass_g, 'MALE' AS sex),
  ('Gentoo penguin (Pygoscelis papua)', 'Biscoe', 46.5, 14.8, 217.0, 5200.0, 'FEMALE'),
  ('Adelie Penguin (Pygoscelis adeliae)', 'Torgersen', 41.1, 18.6, 189.0, 3325.0, 'MALE')]))) ORDER BY first;
--> first | second | third
--> 1.459 | 1.120 | 0.646
--> 1.685 | 0.874 | 0.704
--> 2.258 | 1.351 | 0.443
