"""Apache Spark as the engine of SQL and tables, through Spark Connect."""

from tule.engines.spark.adapter import SparkEngine
from tule.engines.spark.local import LocalSpark

__all__ = ["LocalSpark", "SparkEngine"]
