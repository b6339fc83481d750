"""ibis on its BigQuery backend: tables from frames, expressions, windows, joins, views, raw SQL."""

import os

import ibis
import pandas as pd
from google.cloud import bigquery

bigquery.Client().create_dataset("ibis_zoo")
con = ibis.bigquery.connect(project_id=os.environ["GOOGLE_CLOUD_PROJECT"], dataset_id="ibis_zoo")
frame = pd.DataFrame(
    {
        "g": ["a", "b", "a"],
        "x": [1, 2, 3],
        "y": [0.5, None, 2.0],
        "d": pd.to_datetime(["2024-01-01", "2024-02-01", "2024-03-01"], utc=True),
    }
)
t = con.create_table("t", frame, overwrite=True)
assert con.list_tables() == ["t"]
assert {name: str(kind) for name, kind in t.schema().items()} == {
    "g": "string", "x": "int64", "y": "float64", "d": "timestamp('UTC')",
}  # fmt: skip
assert t.order_by("x").head(2).execute()["g"].tolist() == ["a", "b"]

grouped = t.group_by("g").aggregate(s=t.x.sum(), m=t.y.mean(), n=t.count()).order_by("g").execute()
assert grouped["s"].tolist() == [4, 2] and grouped["m"].iloc[0] == 1.25 and pd.isna(grouped["m"].iloc[1])
ranked = t.mutate(r=ibis.row_number().over(group_by="g", order_by="x"), c=t.x.cumsum(order_by="x")).order_by("x")
assert ranked.execute()[["r", "c"]].values.tolist() == [[0, 1], [0, 3], [1, 6]]
assert t.join(t.view(), "g").count().execute() == 5

text = t.order_by("x").mutate(u=t.g.upper(), n=t.g.length(), c=t.g.concat("z"), r=t.g.re_search("^a")).execute()
assert text["u"].tolist() == ["A", "B", "A"] and text["c"].tolist() == ["az", "bz", "az"]
assert text["r"].tolist() == [True, False, True]
dates = t.order_by("x").mutate(a=t.d.year(), b=t.d.month(), w=t.d.day_of_week.index(), q=t.d.truncate("M")).execute()
assert dates["b"].tolist() == [1, 2, 3] and dates["w"].tolist() == [0, 3, 4]
assert t.mutate(k=ibis.cases((t.x > 1, "big"), else_="small")).k.nunique().execute() == 2
assert t.x.nunique().execute() == 3 and t.filter(t.g.isin(["a"])).count().execute() == 2
assert t.pivot_wider(names_from="g", values_from="x", values_agg="sum", id_cols=[]).execute().values.tolist() == [
    [4, 2]
]
assert sorted(t.aggregate(a=t.x.collect()).execute()["a"][0]) == [1, 2, 3]
assert t.to_pyarrow().num_rows == 3
assert con.sql("SELECT * FROM ibis_zoo.t WHERE x > 1").count().execute() == 2
assert con.sql("SELECT [1, 2] AS z").z.unnest().execute().tolist() == [1, 2]
assert con.sql("SELECT STRUCT(1 AS a, 'x' AS b) AS s").s.a.execute().tolist() == [1]
assert con.execute(ibis.memtable({"a": [1, 2, 3]}).a.sum()) == 6

view = con.create_view("v", t.filter(t.x > 1), overwrite=True)
assert view.count().execute() == 2
con.drop_view("v")
con.insert("t", frame)
assert t.count().execute() == 6
con.drop_table("t")
try:
    con.table("t")
except Exception as error:
    assert "t" in str(error)
else:
    raise AssertionError("a dropped table is found")
print("ok")
