"""bigframes.ml: estimators are trained as BigQuery ML models and predict there."""

import os

import bigframes.pandas as bpd
from bigframes.ml.cluster import KMeans
from bigframes.ml.ensemble import XGBRegressor
from bigframes.ml.linear_model import LinearRegression, LogisticRegression
from google.cloud import bigquery

bigquery.Client().create_dataset("models_zoo")
bpd.options.bigquery.project = os.environ["GOOGLE_CLOUD_PROJECT"]
bpd.options.display.progress_bar = None
birds = bpd.read_gbq("SELECT * FROM `bigquery-public-data.ml_datasets.penguins`").dropna()
features, mass = birds[["species", "island", "culmen_length_mm", "sex"]], birds[["body_mass_g"]]

linear = LinearRegression().fit(features, mass)
assert linear.score(features, mass).to_pandas()["r2_score"].iloc[0] > 0.85
predicted = linear.predict(features.head(5)).to_pandas()
assert predicted["predicted_body_mass_g"].between(2500, 6500).all() and len(predicted) == 5
linear.to_gbq("models_zoo.linear", replace=True)
again = bpd.read_gbq_model("models_zoo.linear")
column = "predicted_body_mass_g"
twice = again.predict(features).to_pandas()[column].sort_index()
assert (twice - linear.predict(features).to_pandas()[column].sort_index()).abs().max() < 1e-6

species = LogisticRegression().fit(birds[["culmen_length_mm", "culmen_depth_mm"]], birds[["species"]])
assert (
    species.score(birds[["culmen_length_mm", "culmen_depth_mm"]], birds[["species"]]).to_pandas()["accuracy"].iloc[0]
    > 0.9
)
trees = XGBRegressor(n_estimators=1, max_depth=4).fit(features, mass)
assert trees.predict(features.head(2)).shape[0] == 2
clusters = KMeans(n_clusters=3).fit(birds[["culmen_length_mm", "body_mass_g"]])
assert set(clusters.predict(birds[["culmen_length_mm", "body_mass_g"]]).to_pandas()["CENTROID_ID"]) == {1, 2, 3}
print("ok")
