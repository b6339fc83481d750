"""Scripts: the procedural language as a tree of statements, with the place of each in its text.

https://cloud.google.com/bigquery/docs/reference/standard-sql/procedural-language
"""

from collections.abc import Collection, Iterable, Iterator

from sqlglot import exp

from tule.bigquery.sql.routine_statements import CreateRoutine, RoutineDefinition
from tule.bigquery.sql.script.checks import check
from tule.bigquery.sql.script.nodes import Expression, Node, Script, Sql
from tule.bigquery.sql.script.parser import parse_script


def check_script(script: Script, *, outer: Collection[str]) -> None:
    """Raise where a block of a script declares a variable that the session around it has."""
    check(script.text, script.statements, outer=outer)


def check_body(script: Script, arguments: Collection[str]) -> None:
    """Raise where the body of a procedure gives a value to a variable that it does not have."""
    check(script.text, script.statements, arguments=arguments, strict=True)


def trees(statements: Iterable[Node]) -> Iterator[tuple[Node, exp.Expression]]:
    """Each statement's trees, also inside of others."""
    for node in statements:
        if isinstance(node, Sql):
            yield node, node.tree
        for value in vars(node).values():
            if isinstance(value, Expression | Sql):
                yield node, value.tree
        for branch in getattr(node, "branches", ()):
            yield node, branch.condition.tree
        for block in node.blocks():
            yield from trees(block)


def temporary_function(node: Node) -> RoutineDefinition | None:
    """The function that a statement makes, where it is a temporary one."""
    if isinstance(node, Sql) and isinstance(node.tree, CreateRoutine) and node.tree.this.temporary:
        found: RoutineDefinition = node.tree.this
        return found
    return None


__all__ = [
    "Expression", "Node", "Script", "Sql", "check_body", "check_script", "parse_script", "temporary_function", "trees",
]  # fmt: skip
