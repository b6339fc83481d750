-- Two components of four measures. The shares are those that every textbook gives for iris, scaled.
-- https://cloud.google.com/bigquery/docs/reference/standard-sql/bigqueryml-syntax-create-pca
-- tables: iris

CREATE OR REPLACE MODEL d.components OPTIONS (model_type = 'PCA', num_principal_components = 2, scale_features = TRUE) AS
SELECT * EXCEPT (species) FROM d.iris;

SELECT principal_component_id, explained_variance_ratio, cumulative_explained_variance_ratio
FROM ML.PRINCIPAL_COMPONENT_INFO(MODEL d.components) ORDER BY principal_component_id;
--> principal_component_id | explained_variance_ratio | cumulative_explained_variance_ratio
--> 0 | 0.72962445 | 0.72962445
--> 1 | 0.22850762 | 0.95813207

-- components have length one
SELECT principal_component_id, SUM(POW(numerical_value, 2)) AS length
FROM ML.PRINCIPAL_COMPONENTS(MODEL d.components) GROUP BY 1 ORDER BY 1;
--> principal_component_id | length
--> 0 | 1.0
--> 1 | 1.0

-- the variance of what is predicted is the eigenvalue
SELECT VAR_SAMP(principal_component_1) / e.first AS first, VAR_SAMP(principal_component_2) / e.second AS second
FROM ML.PREDICT(MODEL d.components, TABLE d.iris),
  (SELECT MAX(eigenvalue) AS first, MIN(eigenvalue) AS second FROM ML.PRINCIPAL_COMPONENT_INFO(MODEL d.components)) AS e
GROUP BY e.first, e.second;
--> first | second
--> 1.0 | 1.0
