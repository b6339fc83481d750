-- Groups of flowers, from three of them as first centroids. The page's hires of bicycles do not ship in a package.
-- https://cloud.google.com/bigquery/docs/kmeans-tutorial
-- tables: iris

CREATE OR REPLACE MODEL d.groups
OPTIONS (model_type = 'KMEANS', num_clusters = 3, standardize_features = FALSE, kmeans_init_method = 'CUSTOM',
  kmeans_init_col = 'first', max_iterations = 20, min_rel_progress = 1e-9) AS
SELECT * EXCEPT (species), ROW_NUMBER() OVER (PARTITION BY species ORDER BY petal_length, sepal_length, sepal_width, petal_width) = 25 AS first
FROM d.iris;

-- a centroid is the mean of the flowers that are nearest to it
WITH means AS (
  SELECT CENTROID_ID AS centroid_id, feature, AVG(value) AS mean, COUNT(*) AS flowers
  FROM ML.PREDICT(MODEL d.groups, TABLE d.iris),
    UNNEST([STRUCT('petal_length' AS feature, petal_length AS value), ('petal_width', petal_width),
            ('sepal_length', sepal_length), ('sepal_width', sepal_width)])
  GROUP BY centroid_id, feature)
SELECT COUNT(*) AS features, MAX(ABS(numerical_value - mean)) < 1e-6 AS is_mean, SUM(flowers) / 4 AS flowers
FROM ML.CENTROIDS(MODEL d.groups) JOIN means USING (centroid_id, feature);
--> features | is_mean | flowers
--> 12 | True | 150.0

-- 78.8514 is the known least sum of squares of iris in three groups (Hartigan)
SELECT SUM(POW(NEAREST_CENTROIDS_DISTANCE[OFFSET(0)].DISTANCE, 2)) AS within_groups FROM ML.PREDICT(MODEL d.groups, TABLE d.iris);
--> within_groups
--> 78.85144

SELECT mean_squared_distance * 150 AS within_groups FROM ML.EVALUATE(MODEL d.groups, TABLE d.iris);
--> within_groups
--> 78.85144
