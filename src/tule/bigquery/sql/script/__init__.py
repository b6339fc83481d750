"""Scripts: the procedural language as a tree of statements, with the place of each in its text.

https://cloud.google.com/bigquery/docs/reference/standard-sql/procedural-language
"""

from tule.bigquery.sql.script.nodes import Expression, Node, Script
from tule.bigquery.sql.script.parser import parse_script

__all__ = ["Expression", "Node", "Script", "parse_script"]
