"""BigQuery DataFrames: session start, frames from queries and tables, rows in order, groups, joins, windows, tables out."""

import os

import bigframes.pandas as bpd
import pandas as pd
from google.cloud import bigquery

bigquery.Client().create_dataset("frames_zoo")
bpd.options.bigquery.project = os.environ["GOOGLE_CLOUD_PROJECT"]
bpd.options.display.progress_bar = None

inline = bpd.read_pandas(pd.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "x"]}))
assert inline.to_pandas()["a"].tolist() == [1, 2, 3]
birds = bpd.read_gbq("SELECT * FROM `bigquery-public-data.ml_datasets.penguins`")
assert birds.shape == (344, 7)
assert len(birds.head(3).to_pandas()) == 3
means = birds.groupby("species")["body_mass_g"].mean().to_pandas()
assert round(means["Gentoo penguin (Pygoscelis papua)"], 2) == 5076.02
assert birds[birds["body_mass_g"] > 4000].shape == (172, 7)
heavy = birds.assign(kg=birds["body_mass_g"] / 1000).sort_values("kg", ascending=False).head(2).to_pandas()
assert heavy["kg"].tolist() == [6.3, 6.05]
assert birds.merge(birds.groupby("island", as_index=False)["body_mass_g"].mean(), on="island").shape == (344, 8)
total = birds.sort_values("body_mass_g")["body_mass_g"].cumsum().head(3).to_pandas()
assert total.tolist() == [2700.0, 5550.0, 8400.0]
assert birds["island"].value_counts().to_pandas().to_dict() == {"Biscoe": 168, "Dream": 124, "Torgersen": 52}
whole = bpd.read_gbq("bigquery-public-data.ml_datasets.penguins")
assert whole["body_mass_g"].max() == 6300.0
assert round(birds.describe().to_pandas().loc["mean", "body_mass_g"], 3) == 4201.754
birds.to_gbq("frames_zoo.birds", if_exists="replace")
assert bpd.read_gbq("frames_zoo.birds").shape == (344, 7)
print("ok")
