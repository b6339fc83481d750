"""``tule sql``: GoogleSQL from the command line, one text or a shell, over BigQuery's own REST API."""

from tule.cli.sql.client import Client
from tule.cli.sql.formats import FORMATS
from tule.cli.sql.runs import Runs

__all__ = ["FORMATS", "Client", "Runs"]
