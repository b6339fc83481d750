"""Connections to databases elsewhere, and queries that are sent there."""
