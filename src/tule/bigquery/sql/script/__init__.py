"""Scripts: the procedural language as a tree of statements, with the place of each in its text.

https://cloud.google.com/bigquery/docs/reference/standard-sql/procedural-language
"""

from collections.abc import Collection

from tule.bigquery.sql.routine_statements import CreateRoutine, RoutineDefinition
from tule.bigquery.sql.script.checks import check
from tule.bigquery.sql.script.nodes import Expression, Node, Script, Sql
from tule.bigquery.sql.script.parser import parse_script


def check_script(script: Script, *, outer: Collection[str]) -> None:
    """Raise where a block of a script declares a variable that the session around it has."""
    check(script.text, script.statements, outer=outer)


def temporary_function(node: Node) -> RoutineDefinition | None:
    """The function that a statement makes, where it is a temporary one."""
    if isinstance(node, Sql) and isinstance(node.tree, CreateRoutine) and node.tree.this.temporary:
        found: RoutineDefinition = node.tree.this
        return found
    return None


__all__ = ["Expression", "Node", "Script", "Sql", "check_script", "parse_script", "temporary_function"]
