"""Names in syntax trees: ``project.dataset.table`` in all the ways that GoogleSQL allows to write them."""

from __future__ import annotations

from sqlglot import exp

from tule.bigquery.sql.catalog import Name, Temporary
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


SESSION = "_SESSION"


def written_names(tree: exp.Expression, project: str) -> list[Name]:
    """The tables that a statement names with their dataset, without those that are parts of others (``t.list``), of
    INFORMATION_SCHEMA, temporary or a wildcard."""
    found = []
    tables = [(each, parts(each)) for each in tree.find_all(exp.Table) if isinstance(each.this, exp.Identifier)]
    inside = {name.lower() for each, written in tables for name in (each.alias, written[-1])}
    for table, written in tables:
        upper = [each.upper() for each in written]
        if len(written) > 1 and upper[0] != SESSION and "INFORMATION_SCHEMA" not in upper and written[-1][-1:] != "*":
            name = full_name(table, project, None)
            if written[0].lower() not in inside - {name.table.lower()}:
                found.append(name)
    return found


def full_name(table: exp.Expression, project: str, dataset: str | None, temporary: Temporary | None = None) -> Name:
    """The full name of a table node; raises InvalidArgument where a dataset is missing."""
    # Where a word is missing, sqlglot's trees may hold anything.
    written = parts(table) if isinstance(table, exp.Expression) else []
    if not all(written) or not written:
        raise InvalidArgument(
            "Syntax error: A statement must name a table where it reads or changes one",
            reason="invalidQuery",
            location="query",
        )
    if temporary is not None:
        if len(written) == 1 and (found := temporary.find(written[0])) is not None:
            return found
        if len(written) == 2 and written[0].upper() == SESSION:
            return temporary.named(written[1])
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


def is_definition(tree: exp.Expression) -> bool:
    """Whether a statement makes or removes what it names first."""
    return isinstance(tree, exp.Create | exp.Drop)
