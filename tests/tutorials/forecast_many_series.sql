-- A series for each airport, by one statement.
-- https://cloud.google.com/bigquery/docs/arima-multiple-time-series-forecasting-tutorial
-- tables: flights

CREATE OR REPLACE MODEL d.airports
OPTIONS (model_type = 'ARIMA_PLUS', time_series_timestamp_col = 'date', time_series_data_col = 'flights',
  time_series_id_col = 'origin', auto_arima_max_order = 2, horizon = 14) AS
SELECT origin, DATE(year, month, day) AS date, COUNT(*) AS flights FROM d.flights WHERE month < 12 GROUP BY origin, date;

SELECT origin, COUNT(*) AS days, LOGICAL_AND(prediction_interval_lower_bound < forecast_value
  AND forecast_value < prediction_interval_upper_bound) AS inside
FROM ML.FORECAST(MODEL d.airports, STRUCT(14 AS horizon, 0.8 AS confidence_level)) GROUP BY origin ORDER BY origin;
--> origin | days | inside
--> EWR | 14 | True
--> JFK | 14 | True
--> LGA | 14 | True

SELECT COUNT(*) AS airports, MIN(variance) > 0 AS fitted FROM ML.ARIMA_EVALUATE(MODEL d.airports);
--> airports | fitted
--> 3 | True

-- beside the days that came
SELECT origin, mean_absolute_percentage_error < 12 AS near
FROM ML.EVALUATE(MODEL d.airports, (SELECT origin, DATE(year, month, day) AS date, COUNT(*) AS flights FROM d.flights
  WHERE month = 12 AND day < 15 GROUP BY origin, date), STRUCT(TRUE AS perform_aggregation)) ORDER BY origin;
--> origin | near
--> EWR | True
--> JFK | True
--> LGA | True
