-- Which airline flies where? Airlines stand for users, destinations for films: ratings of films do not ship in a package.
-- https://cloud.google.com/bigquery/docs/bigqueryml-mf-implicit-tutorial
-- tables: flights

CREATE OR REPLACE MODEL d.routes
OPTIONS (model_type = 'MATRIX_FACTORIZATION', feedback_type = 'IMPLICIT', user_col = 'carrier', item_col = 'dest',
  rating_col = 'flights', num_factors = 5, l2_reg = 1, max_iterations = 10) AS
SELECT carrier, dest, CAST(COUNT(*) AS FLOAT64) AS flights FROM d.flights GROUP BY carrier, dest;

SELECT COUNT(*) AS pairs, COUNT(DISTINCT carrier) AS airlines, COUNT(DISTINCT dest) AS places
FROM ML.RECOMMEND(MODEL d.routes);
--> pairs | airlines | places
--> 1680 | 16 | 105

-- a confidence is the product of the factors
WITH factors AS (
  SELECT processed_input, feature, factor, weight
  FROM ML.WEIGHTS(MODEL d.routes), UNNEST(factor_weights) WHERE processed_input IS NOT NULL)
SELECT COUNT(*) AS pairs, MAX(ABS(predicted - product)) < 1e-5 AS is_product FROM (
  SELECT r.carrier, r.dest, MAX(r.predicted_flights_confidence) AS predicted, SUM(u.weight * i.weight) AS product
  FROM ML.RECOMMEND(MODEL d.routes) AS r
  JOIN factors AS u ON u.processed_input = 'carrier' AND u.feature = r.carrier
  JOIN factors AS i ON i.processed_input = 'dest' AND i.feature = r.dest AND i.factor = u.factor
  GROUP BY r.carrier, r.dest);
--> pairs | is_product
--> 1680 | True

-- what is flown is recommended before what is not
SELECT AVG(IF(f.dest IS NULL, NULL, predicted_flights_confidence)) > 3 * AVG(IF(f.dest IS NULL, predicted_flights_confidence, NULL)) AS learned
FROM ML.RECOMMEND(MODEL d.routes) AS r
LEFT JOIN (SELECT DISTINCT carrier, dest FROM d.flights) AS f ON f.carrier = r.carrier AND f.dest = r.dest;
--> learned
--> True
