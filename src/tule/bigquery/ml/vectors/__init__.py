"""Vector indexes: lists of a table's vectors, kept beside it and used by VECTOR_SEARCH."""
