"""External tables: tables whose rows stay in the files that they are read from."""
