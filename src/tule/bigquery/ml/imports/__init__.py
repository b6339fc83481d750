"""Models that were trained elsewhere: imported files, and endpoints of Vertex AI."""
