"""dbt on its BigQuery adapter: seed, run (table, view, incremental by merge, ephemeral), test, snapshot, docs."""

import json
import os
import shutil
import tempfile
from pathlib import Path

from dbt.cli.main import dbtRunner
from google.cloud import bigquery

client = bigquery.Client()
runner = dbtRunner()


def dbt(*arguments: str, ends: bool = True) -> dict[str, str]:
    """Run a dbt command; the status of each node by its name."""
    done = runner.invoke(["--quiet", *arguments, "--profiles-dir", "."])
    assert done.success is ends, (
        arguments,
        done.exception,
        [each.message for each in getattr(done.result, "results", ())],
    )
    return {each.node.name: str(each.status) for each in getattr(done.result, "results", ()) if hasattr(each, "node")}


def rows(sql: str) -> list[tuple]:
    return [tuple(row.values()) for row in client.query_and_wait(sql)]


def main() -> None:
    project = Path(tempfile.mkdtemp()) / "project"
    shutil.copytree(Path(__file__).parents[1] / "dbt_project", project)
    os.chdir(project)
    assert dbt("seed") == {"animals": "success"}
    assert rows("SELECT name, born FROM dbt_zoo.animals ORDER BY id")[0][0] == "Rex"
    assert dbt("run") == {"dogs": "success", "inc": "success", "kinds": "success"}
    dogs = client.get_table("dbt_zoo.dogs")
    assert dogs.clustering_fields == ["kind"] and dogs.time_partitioning.field == "born"
    assert client.get_table("dbt_zoo.kinds").table_type == "VIEW"
    assert rows("SELECT kind, n FROM dbt_zoo.kinds ORDER BY kind") == [("cat", 1), ("dog", 2)]
    assert set(dbt("test").values()) == {"pass"}

    before = dict(rows("SELECT id, seen FROM dbt_zoo.inc"))
    dbt("run", "--select", "inc")
    after = dict(rows("SELECT id, seen FROM dbt_zoo.inc"))
    assert {id for id in after if after[id] != before[id]} == {2, 3} and len(after) == 3

    assert dbt("snapshot") == {"animals_snapshot": "success"}
    seeds = Path("seeds/animals.csv")
    seeds.write_text(seeds.read_text().replace("Rex", "Max") + "4,Eve,dog,\n")
    dbt("seed")
    dbt("snapshot")
    held = rows("SELECT name, dbt_valid_to IS NULL FROM dbt_zoo.animals_snapshot ORDER BY id, dbt_valid_from")
    assert held == [("Rex", False), ("Max", True), ("Tom", True), ("Kim", True), ("Eve", True)], held

    dbt("docs", "generate")
    catalog = json.loads(Path("target/catalog.json").read_text())
    assert not catalog["errors"]
    node = catalog["nodes"]["model.zoo.dogs"]
    assert list(node["columns"]) == ["id", "name", "kind", "born"] and node["columns"]["born"]["type"] == "DATE"
    assert node["stats"]["num_rows"]["value"] == 2 and node["stats"]["clustering_fields"]["value"] == "kind"

    Path("models/dogs.sql").write_text("select id, name, kind, born from {{ ref('animals') }}")
    dbt("run", "--select", "dogs", "--full-refresh")
    failed = dbt("test", ends=False)
    assert failed["accepted_values_dogs_kind__dog"] == "fail" and failed["unique_dogs_id"] == "pass"
    Path("models/dogs.sql").write_text("select nothing from {{ ref('animals') }}")
    assert dbt("run", "--select", "dogs", ends=False) == {"dogs": "error"}
    print("ok")


if __name__ == "__main__":
    # dbt starts processes of its own, which read this file again.
    main()
