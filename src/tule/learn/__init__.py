"""Machine learning on Arrow tables. Knows no Google product and no SQL: Arrow in, Arrow out, numpy inside."""
