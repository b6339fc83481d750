"""Databases elsewhere that EXTERNAL_QUERY asks: PostgreSQL, MySQL and Spanner, each through its own library."""

from tule.engines.federation.mysql import MySql
from tule.engines.federation.postgresql import PostgreSql
from tule.engines.federation.spanner import Spanner

__all__ = ["MySql", "PostgreSql", "Spanner"]
