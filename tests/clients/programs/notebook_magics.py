"""%%bigquery in IPython, with parameters and a result in a variable."""

from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell.instance()
shell.run_line_magic("load_ext", "bigquery_magics")
shell.run_cell_magic("bigquery", 'frame --params {"n": 2} --progress_bar_type None', "SELECT @n AS n, 'x' AS y")
assert shell.user_ns["frame"].to_dict("records") == [{"n": 2, "y": "x"}]
shell.run_cell_magic(
    "bigquery",
    "birds --progress_bar_type None",
    "SELECT species, COUNT(*) AS n FROM `bigquery-public-data.ml_datasets.penguins` GROUP BY species ORDER BY n",
)
assert shell.user_ns["birds"]["n"].tolist() == [68, 124, 152]
shell.run_cell_magic("bigquery", "nothing --progress_bar_type None", "SELECT broken FROM nowhere.nothing")
assert type(shell.user_ns.get("nothing")).__name__ != "DataFrame"
print("ok")
