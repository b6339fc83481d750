"""BigQuery: the warehouse. Doors in ``api/`` and ``storage_api.py``, SQL in ``sql/``, machine learning in ``ml/``."""
