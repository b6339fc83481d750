-- Hyperparameter tuning in SQL: a grid, so that the trials are those that the statement lists.
-- https://cloud.google.com/bigquery/docs/hp-tuning-overview

-- setup
CREATE MODEL d.line OPTIONS (MODEL_TYPE = 'LINEAR_REG', INPUT_LABEL_COLS = ['y'], NUM_TRIALS = 10,
  HPARAM_TUNING_ALGORITHM = 'GRID_SEARCH', HPARAM_TUNING_OBJECTIVES = ['MEAN_SQUARED_ERROR'],
  L2_REG = HPARAM_CANDIDATES([0, 0.01, 1000]), DATA_SPLIT_METHOD = 'NO_SPLIT') AS
SELECT x, 2.0 * x + 1.0 AS y FROM UNNEST(GENERATE_ARRAY(1, 20)) AS x;

-- setup
CREATE MODEL d.plain OPTIONS (MODEL_TYPE = 'LINEAR_REG', INPUT_LABEL_COLS = ['y']) AS
SELECT x, 2.0 * x + 1.0 AS y FROM UNNEST(GENERATE_ARRAY(1, 20)) AS x;

-- the search starts at the default value and ends when every point was tried
SELECT trial_id, hyperparameters.l2_reg AS l2_reg, status, error_message, is_optimal
FROM ML.TRIAL_INFO(MODEL d.line) ORDER BY trial_id;
--> trial_id INT64 | l2_reg FLOAT64 | status STRING | error_message STRING | is_optimal BOOL
--> 1 | 0.0 | "SUCCEEDED" | NULL | true
--> 2 | 0.01 | "SUCCEEDED" | NULL | false
--> 3 | 1000.0 | "SUCCEEDED" | NULL | false

-- the names of the objective and of what is tuned
SELECT hyperparameters, ROUND(hparam_tuning_evaluation_metrics.mean_squared_error, 6) AS mse
FROM ML.TRIAL_INFO(MODEL d.line) WHERE is_optimal;
--> hyperparameters STRUCT<l2_reg FLOAT64> | mse FLOAT64
--> {l2_reg: 0.0} | 0.0

-- one row for each trial without rows given
SELECT trial_id, r2_score > 0.999 AS fits FROM ML.EVALUATE(MODEL d.line) ORDER BY trial_id;
--> trial_id INT64 | fits BOOL
--> 1 | true
--> 2 | true
--> 3 | false

SELECT trial_id, ROUND(predicted_y, 6) AS y FROM ML.PREDICT(MODEL d.line, (SELECT 10 AS x));
--> trial_id INT64 | y FLOAT64
--> 1 | 21.0

SELECT trial_id, predicted_y > 21.0 AS more FROM ML.PREDICT(MODEL d.line, (SELECT 10 AS x), STRUCT(3 AS trial_id));
--> trial_id INT64 | more BOOL
--> 3 | true

SELECT trial_id, COUNT(*) AS n FROM ML.WEIGHTS(MODEL d.line) GROUP BY trial_id ORDER BY trial_id;
--> trial_id INT64 | n INT64
--> 1 | 2
--> 2 | 2
--> 3 | 2

SELECT * FROM ML.PREDICT(MODEL d.line, (SELECT 10 AS x), STRUCT(4 AS trial_id));
--> error: The argument trial_id must name a trial of test-project.model_tuning.line that succeeded; given: 4. Next: use one of 1, 2, 3; ML.TRIAL_INFO tells of all

SELECT * FROM ML.TRIAL_INFO(MODEL d.plain);
--> error: ML.TRIAL_INFO needs a model trained with NUM_TRIALS; given: test-project.model_tuning.plain. Next: train it with the option NUM_TRIALS

CREATE MODEL d.never OPTIONS (MODEL_TYPE = 'LINEAR_REG', NUM_TRIALS = 2, HPARAM_TUNING_ALGORITHM = 'GRID_SEARCH') AS SELECT 1 AS x, 2 AS label;
--> error: HPARAM_TUNING_ALGORITHM = 'GRID_SEARCH' needs hyperparameters with finitely many values; given: a range of L1_REG, L2_REG. Next: list the values with HPARAM_CANDIDATES, or choose another algorithm

CREATE MODEL d.never OPTIONS (MODEL_TYPE = 'LINEAR_REG', L1_REG = HPARAM_RANGE(0, 1)) AS SELECT 1 AS x, 2 AS label;
--> error: L1_REG needs NUM_TRIALS. Next: set it
