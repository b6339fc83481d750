"""BigQuery itself as the engine of SQL and tables, through Google's own client."""

from tule.engines.bigquery.adapter import BigQueryEngine

__all__ = ["BigQueryEngine"]
