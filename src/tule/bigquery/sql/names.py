"""Names in syntax trees: ``project.dataset.table`` in all the ways that GoogleSQL allows to write them."""

from __future__ import annotations

from sqlglot import exp

from tule.bigquery.sql.catalog import Name
from tule.kernel.errors import InvalidArgument


def parts(table: exp.Expression) -> list[str]:
    """The parts of a table node as written, dots inside backticks taken apart."""
    found: list[str] = []
    for node in (*[table.args.get("catalog")], table.args.get("db"), table.this):
        if node is None:
            continue
        text = node.name if isinstance(node, exp.Identifier) else node.sql(dialect="bigquery").replace("`", "")
        found.extend(text.split("."))
    return found


def full_name(table: exp.Expression, project: str, dataset: str | None) -> Name:
    """The full name of a table node; raises InvalidArgument where a dataset is missing."""
    written = parts(table)
    # A project of an organisation is written with its domain: example.com:project.
    if len(written) > 3:
        written = [".".join(written[:-2]), *written[-2:]]
    if len(written) == 3:
        return Name(*written)
    if len(written) == 2:
        return Name(project, *written)
    if dataset is None:
        raise InvalidArgument(
            f'Table "{written[0]}" must be qualified with a dataset (e.g. dataset.table).',
            reason="invalid",
            location="query",
        )
    default_project, _, name = dataset.rpartition(".")
    return Name(default_project or project, name, written[0])
