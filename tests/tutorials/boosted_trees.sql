-- Trees, one after the other. The page's census table does not ship in a package: flowers stand in.
-- https://cloud.google.com/bigquery/docs/boosted-tree-classifier-tutorial
-- tables: iris

CREATE OR REPLACE MODEL d.flowers
OPTIONS (model_type = 'BOOSTED_TREE_CLASSIFIER', booster_type = 'GBTREE', num_parallel_tree = 1, max_iterations = 15,
  tree_method = 'HIST', early_stop = FALSE, subsample = 0.85, data_split_method = 'NO_SPLIT',
  input_label_cols = ['species']) AS
SELECT * FROM d.iris;

SELECT COUNT(*) AS rounds, MIN(iteration) AS first, MAX(iteration) AS last FROM ML.TRAINING_INFO(MODEL d.flowers);
--> rounds | first | last
--> 15 | 1 | 15

SELECT e.accuracy > 0.95 AS good, e.accuracy / p.accuracy AS same
FROM ML.EVALUATE(MODEL d.flowers, TABLE d.iris) AS e,
  (SELECT AVG(IF(species = predicted_species, 1, 0)) AS accuracy FROM ML.PREDICT(MODEL d.flowers, TABLE d.iris)) AS p;
--> good | same
--> True | 1.0

-- petals tell the species, as everybody knows since Fisher
SELECT STARTS_WITH(feature, 'petal') AS petal FROM ML.FEATURE_IMPORTANCE(MODEL d.flowers) ORDER BY importance_gain DESC LIMIT 1;
--> petal
--> True

SELECT predicted_species, (SELECT SUM(prob) FROM UNNEST(predicted_species_probs)) AS sum
FROM ML.PREDICT(MODEL d.flowers, (SELECT 5.0 AS sepal_length, 3.4 AS sepal_width, 1.5 AS petal_length, 0.2 AS petal_width));
--> predicted_species | sum
--> setosa | 1.0
