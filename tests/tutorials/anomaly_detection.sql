-- Days and flowers that are unlike the others.
-- https://cloud.google.com/bigquery/docs/reference/standard-sql/bigqueryml-syntax-detect-anomalies
-- tables: flights, iris

CREATE OR REPLACE MODEL d.usual
OPTIONS (model_type = 'ARIMA_PLUS', time_series_timestamp_col = 'date', time_series_data_col = 'flights',
  auto_arima_max_order = 2, clean_spikes_and_dips = TRUE) AS
SELECT DATE(year, month, day) AS date, COUNT(*) AS flights FROM d.flights GROUP BY date;

-- Thanksgiving: the quietest day of the year
SELECT CAST(DATE(date) AS STRING) AS day, is_anomaly, flights < lower_bound AS low
FROM ML.DETECT_ANOMALIES(MODEL d.usual, STRUCT(0.95 AS anomaly_prob_threshold))
WHERE is_anomaly ORDER BY flights LIMIT 1;
--> day | is_anomaly | low
--> 2013-11-28 | True | True

CREATE OR REPLACE MODEL d.few OPTIONS (model_type = 'PCA', num_principal_components = 2) AS
SELECT * EXCEPT (species) FROM d.iris;

-- a tenth of the flowers was to be called odd
-- within 0.07
SELECT CAST(COUNTIF(is_anomaly) AS FLOAT64) AS odd, COUNT(*) AS flowers, MIN(mean_squared_error) >= 0 AS measured
FROM ML.DETECT_ANOMALIES(MODEL d.few, STRUCT(0.1 AS contamination), TABLE d.iris);
--> odd | flowers | measured
--> 15 | 150 | True
