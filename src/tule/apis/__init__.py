"""Small APIs of Google Cloud that the large ones lean on, each a room of its own."""
