"""Scheduled queries: the BigQuery Data Transfer API's transfer configurations of the data source ``scheduled_query``."""
