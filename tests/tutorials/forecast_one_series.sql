-- The flights that leave New York City a day, a week ahead. The page's visits of a shop do not ship in a package.
-- https://cloud.google.com/bigquery/docs/arima-single-time-series-forecasting-tutorial
-- tables: flights

CREATE TABLE d.daily AS SELECT DATE(year, month, day) AS date, COUNT(*) AS flights FROM d.flights GROUP BY date;

CREATE OR REPLACE MODEL d.departures
OPTIONS (model_type = 'ARIMA_PLUS', time_series_timestamp_col = 'date', time_series_data_col = 'flights', auto_arima = TRUE,
  data_frequency = 'AUTO_FREQUENCY', decompose_time_series = TRUE, horizon = 30) AS
SELECT * FROM d.daily WHERE date < '2013-11-01';

-- weeks are found
SELECT ARRAY_TO_STRING(seasonal_periods, ',') AS seasonal_periods
FROM ML.ARIMA_EVALUATE(MODEL d.departures, STRUCT(FALSE AS show_all_candidate_models));
--> seasonal_periods
--> WEEKLY

-- the week that came, after a month without holidays; an interval of 0.9 is 1.6449 standard errors wide on each side
SELECT COUNT(*) AS days, AVG(ABS(forecast_value - flights) / flights) < 0.1 AS near,
  COUNTIF(flights BETWEEN prediction_interval_lower_bound AND prediction_interval_upper_bound) >= 5 AS inside,
  AVG((prediction_interval_upper_bound - forecast_value) / standard_error) AS width
FROM ML.FORECAST(MODEL d.departures, STRUCT(7 AS horizon, 0.9 AS confidence_level))
JOIN d.daily ON DATE(forecast_timestamp) = date;
--> days | near | inside | width
--> 7 | True | True | 1.6448536

-- the parts of the past add up to it
SELECT COUNT(*) AS days, COUNTIF(ABS(time_series_data - (trend + IFNULL(seasonal_period_yearly, 0) + IFNULL(seasonal_period_quarterly, 0)
  + IFNULL(seasonal_period_monthly, 0) + IFNULL(seasonal_period_weekly, 0) + IFNULL(seasonal_period_daily, 0)
  + IFNULL(holiday_effect, 0) + IFNULL(spikes_and_dips, 0) + IFNULL(step_changes, 0) + residual)) < 1e-6) AS explained
FROM ML.EXPLAIN_FORECAST(MODEL d.departures, STRUCT(7 AS horizon)) WHERE time_series_type = 'history';
--> days | explained
--> 304 | 304
